//! `tepui why` as a user runs it, against real daemons.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    daemons::{agent, master},
    effects::end_agent,
    support::{Running, finish, request, tepui, wait_until},
};

/// `tepui why`: exit status, stdout, stderr.
fn why(address: &str, arguments: &[&str]) -> (i32, String, String) {
    let master = format!("--master={address}");
    finish(tepui(&[&["why", &master], arguments].concat()))
}

/// Waits until the master has something of this kind; the id of the first.
fn first(address: &str, kind: &str) -> String {
    let id = || {
        let state = request(address, "GET", "/state", "", "").body();
        let state: Value = serde_json::from_str(&state).unwrap();
        Some(state[kind].get(0)?["id"].as_str().unwrap().to_owned())
    };
    wait_until(kind, || id().is_some());
    id().unwrap()
}

#[test]
fn a_user_is_told_why_there_is_no_offer_and_why_a_task_does_not_run() {
    let folder = TempDir::new().unwrap();
    let (_master, address) = master(&[]);
    let (agent, place) = agent(&address, "0", &folder, "why");
    first(&address, "slaves");

    // It wants more than there is.
    let mut greedy = tepui(&["execute", "--name=greedy", "--command=true"]);
    greedy.args([
        &format!("--master={address}"),
        "--resources=cpus:400;mem:32",
    ]);
    let greedy = Running::start(greedy);
    let id = first(&address, "frameworks");
    let (status, stdout, stderr) = why(&address, &["framework", &id]);
    assert_eq!((status, stderr.as_str()), (0, ""), "{stdout}");
    let mut lines = stdout.lines();
    let first = format!("framework {id} 'tepui execute' is connected; roles: *");
    assert!(lines.next().unwrap().starts_with(&first), "{stdout}");
    let line = lines.next().unwrap();
    assert!(
        line.starts_with("agent ") && lines.next().is_none(),
        "{stdout}"
    );

    let (status, stdout, _) = why(&address, &["framework", &id, "--json"]);
    assert_eq!(status, 0);
    let answer: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(answer["framework_id"], json!(id));
    assert_eq!(answer["agents"].as_array().unwrap().len(), 1);
    drop(greedy);

    let (status, stdout, stderr) = finish(tepui(&[
        "execute",
        &format!("--master={address}"),
        "--name=broken",
        "--command=exit 7",
        "--resources=cpus:0.5;mem:32",
    ]));
    assert_eq!(status, 1, "{stdout}{stderr}");
    let (status, stdout, stderr) = why(&address, &["task", "broken"]);
    assert_eq!((status, stderr.as_str()), (0, ""), "{stdout}");
    assert!(stdout.contains(": it ended as TASK_FAILED: "), "{stdout}");
    assert!(stdout.contains("status 7"), "{stdout}");

    let (status, stdout, stderr) = why(&address, &["task", "nothing", "--framework=none"]);
    assert_eq!((status, stdout.as_str()), (1, ""));
    assert!(
        stderr.starts_with("tepui why: There is no task 'nothing' of framework 'none': "),
        "{stderr}"
    );
    end_agent(agent, &place);
}

#[test]
fn a_master_that_is_not_there_is_said_to_be_so() {
    let (status, stdout, stderr) = why("127.0.0.1:1", &["framework", "f"]);
    assert_eq!((status, stdout.as_str()), (1, ""));
    assert!(
        stderr.starts_with("tepui why: the master at 127.0.0.1:1: "),
        "{stderr}"
    );
}
