//! `tepui execute` against real daemons.

use tempfile::TempDir;

use crate::{
    daemons::{agent, master},
    effects::end_agent,
    support::{Running, finish, finish_unread, request, tepui, wait_until},
};

/// A master with one agent, for as long as it is kept.
struct Cluster {
    address: String,
    _master: Running,
    agent: Option<(Running, String)>,
    _folder: TempDir,
}

impl Cluster {
    fn start(cgroup: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let (master, address) = master(&[]);
        let agent = agent(&address, "0", &folder, cgroup);
        Self {
            address,
            _master: master,
            agent: Some(agent),
            _folder: folder,
        }
    }

    /// `tepui execute`: exit status, stdout, stderr.
    fn execute(&self, arguments: &[&str]) -> (i32, String, String) {
        let master = format!("--master={}", self.address);
        let mut command = tepui(&["execute", &master]);
        command.args(arguments);
        finish(command)
    }

    /// The frameworks that the master still has.
    fn frameworks(&self) -> usize {
        let state = request(&self.address, "GET", "/state", "", "").body();
        let state: serde_json::Value = serde_json::from_str(&state).unwrap();
        state["frameworks"].as_array().unwrap().len()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A test that failed is not to fail twice.
        if let Some((agent, place)) = self.agent.take()
            && !std::thread::panicking()
        {
            end_agent(agent, &place);
        }
    }
}

/// The states that stdout tells of.
fn states(stdout: &str) -> Vec<&str> {
    stdout
        .lines()
        .filter_map(|line| line.strip_prefix("Received status update "))
        .filter_map(|rest| rest.split(' ').next())
        .collect()
}

#[test]
fn a_task_is_executed_on_a_cluster() {
    let cluster = Cluster::start("execute");
    for encoding in ["protobuf", "json"] {
        let (status, stdout, stderr) = cluster.execute(&[
            "--name=good",
            "--command=test \"$A\" = b",
            r#"--env={"A":"b"}"#,
            "--resources=cpus:0.5;mem:32",
            &format!("--content_type={encoding}"),
        ]);
        assert_eq!(status, 0, "{stdout}{stderr}");
        assert_eq!(stderr, "");
        let (first, rest) = stdout.split_once('\n').unwrap();
        assert!(first.starts_with("Subscribed with ID "), "{stdout}");
        assert!(
            rest.starts_with("Submitted task 'good' to agent '"),
            "{stdout}"
        );
        assert_eq!(
            states(&stdout),
            ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"]
        );
        assert!(stdout.contains(" for task 'good'\n"), "{stdout}");
        assert!(stdout.contains("\n  source: SOURCE_EXECUTOR\n"), "{stdout}");
    }
    let (status, stdout, _) = cluster.execute(&[
        "--name=bad",
        "--no-shell",
        "--command=false  x",
        "--resources=cpus:0.5;mem:32",
    ]);
    assert_eq!(status, 1);
    assert_eq!(
        states(&stdout),
        ["TASK_STARTING", "TASK_RUNNING", "TASK_FAILED"]
    );
    assert!(
        stdout.contains("\n  message: 'Command exited with status 1'\n"),
        "{stdout}"
    );
    let (status, stdout, _) = cluster.execute(&[
        "--name=limited",
        "--command=test $(ulimit -n) = 77",
        r#"--rlimits={"rlimits":[{"type":"RLMT_NOFILE","soft":77,"hard":77}]}"#,
        "--resources=cpus:0.5;mem:32",
    ]);
    assert_eq!(status, 0, "{stdout}");
    let volume = r#"--volumes=[{"container_path":"x","mode":"RW","host_path":"/srv"}]"#;
    let (status, stdout, _) = cluster.execute(&["--name=v", "--command=true", volume]);
    assert_eq!((status, states(&stdout)), (1, vec!["TASK_ERROR"]));
    assert!(stdout.contains("container.volumes"), "{stdout}");
    wait_until("the frameworks' end", || cluster.frameworks() == 0);
    // It goes on though nobody reads what it says.
    let mut unread = tepui(&["execute", &format!("--master={}", cluster.address)]);
    unread.args(["--name=unread", "--command=exit 0"]);
    unread.arg("--resources=cpus:0.5;mem:32");
    assert_eq!(finish_unread(unread), (0, String::new()));
}

#[test]
fn a_task_is_killed_when_its_time_is_over_and_a_whole_task_is_taken() {
    let cluster = Cluster::start("execute-kill");
    let whole = r#"--task={"name":"long","task_id":{"value":"long.1"},
        "command":{"value":"sleep 8787"},"resources":[
        {"name":"cpus","type":"SCALAR","scalar":{"value":0.5}},
        {"name":"mem","type":"SCALAR","scalar":{"value":32}}]}"#;
    let (status, stdout, stderr) = cluster.execute(&[whole, "--kill_after=50ms", "--role=a/b"]);
    assert_eq!((status, stderr.as_str()), (1, ""), "{stdout}");
    assert!(
        stdout.contains("\nAsked to kill task 'long.1'\n"),
        "{stdout}"
    );
    assert_eq!(states(&stdout).last(), Some(&"TASK_KILLED"), "{stdout}");
    assert!(states(&stdout).contains(&"TASK_RUNNING"), "{stdout}");
}

#[test]
fn a_master_that_says_no_ends_it_and_one_that_is_not_there_is_tried_again() {
    let (_master, address) = master(&["--roles=web"]);
    let address = format!("--master={address}");
    let (status, stdout, stderr) = finish(tepui(&[
        "execute",
        &address,
        "--name=x",
        "--command=x",
        "--role=db",
    ]));
    assert_eq!((status, stdout.as_str()), (1, ""), "{stderr}");
    assert!(stderr.contains("db"), "{stderr}");
    let command = tepui(&["execute", "--master=127.0.0.1:1", "--name=x", "--command=x"]);
    let mut waiting = Running::start(command);
    let line = waiting.until("trying again");
    assert!(
        line.contains("no connection to the master at 127.0.0.1:1"),
        "{line}"
    );
}
