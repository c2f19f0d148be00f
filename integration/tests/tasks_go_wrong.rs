//! Tasks and executors that go wrong, with real daemons: what happens to them, what their framework
//! is told, and that the agent goes on.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tepui_integration::{
    Cluster, Subscription, cgroup_mounts, command_task, folders, python, resources, scalar, top,
};

/// Tasks that exceed their memory.
const GREEDY: usize = 20;
/// How many of them at a time.
const AT_A_TIME: usize = 5;
const PATIENCE: Duration = Duration::from_secs(30);

fn subscribe(cluster: &Cluster) -> Subscription {
    let capabilities = json!([{"type": "PARTITION_AWARE"}]);
    let info = json!({"user": "root", "name": "unlucky", "capabilities": capabilities});
    Subscription::open(cluster.address(), &info)
}

/// A master, an agent with these flags, and a framework.
fn stage(flags: &[&str]) -> (Cluster, Subscription) {
    let mut cluster = Cluster::start(&["--allocation_interval=100ms"]);
    let resources = "--resources=cpus:4;mem:4096;disk:0;ports:[]";
    cluster.add_agent(&[&[resources], flags].concat());
    let framework = subscribe(&cluster);
    (cluster, framework)
}

fn end(cluster: Cluster, mut framework: Subscription) {
    framework.teardown();
    framework.wait_for_end();
    cluster.stop();
}

/// A task on a custom executor of this command.
fn executor_task(id: &str, executor: &str, command: &str) -> Value {
    json!({
        "name": id,
        "task_id": {"value": id},
        "resources": resources(0.1, 32.0),
        "executor": {
            "type": "CUSTOM",
            "executor_id": {"value": executor},
            "command": {"value": command},
            "resources": resources(0.1, 128.0),
        },
    })
}

/// Runs a task that has nothing wrong with it.
fn runs_another(framework: &mut Subscription, name: &str) {
    let offer = framework.offer(|_| true);
    framework.launch(&offer, vec![command_task(name, "exit 0", 0.1, 32.0)]);
    framework.state(name, "TASK_FINISHED");
}

#[test]
fn memory_exceeded_is_always_told_with_its_figures() {
    // Whatever the kernel kills first: the command itself, or a child, whose parent then ends as
    // if nothing were.
    const COMMANDS: [&str; 4] = [
        "exec tail /dev/zero",
        "tail /dev/zero; exit 0",
        "tail /dev/zero & wait; exit 3",
        "(tail /dev/zero; sleep 1000) & exec sleep 1000",
    ];
    let (cluster, mut framework) = stage(&[]);
    for batch in 0..GREEDY / AT_A_TIME {
        let names: Vec<String> = (0..AT_A_TIME)
            .map(|number| format!("greedy-{}", batch * AT_A_TIME + number))
            .collect();
        let task = |(number, name): (usize, &String)| {
            command_task(name, COMMANDS[(batch + number) % COMMANDS.len()], 0.1, 32.0)
        };
        // Freed resources may come back piece by piece.
        let offer = framework.offer(|offer| scalar(offer, "mem") >= 1024.0);
        framework.launch(&offer, names.iter().enumerate().map(task).collect());
        let mut left = names;
        while !left.is_empty() {
            let event = framework.wait_for("UPDATE", |_| true);
            let status = &event["update"]["status"];
            framework.acknowledge(status);
            if status["state"] == "TASK_STARTING" || status["state"] == "TASK_RUNNING" {
                continue;
            }
            check_memory(status);
            left.retain(|name| status["task_id"]["value"] != **name);
        }
    }
    end(cluster, framework);
}

fn check_memory(status: &Value) {
    assert_eq!(status["state"], "TASK_FAILED", "{status:#}");
    assert_eq!(
        status["reason"], "REASON_CONTAINER_LIMITATION_MEMORY",
        "{status:#}"
    );
    let message = status["message"].as_str().unwrap_or_default();
    let figures = message
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.ends_with("MB"));
    assert!(figures.count() >= 2, "{status:#}");
    let exceeded = &status["limitation"]["resources"][0];
    assert_eq!(exceeded["name"], "mem", "{status:#}");
}

#[test]
fn a_fork_bomb_is_bounded_and_destroyed() {
    const MOST: usize = 200;
    let (cluster, mut framework) = stage(&[&format!("--cgroups_pids_max={MOST}")]);
    let offer = framework.offer(|_| true);
    // Its first shell forks but once, so that it is not the one that cannot any more.
    let bomb = "trap '' TERM; bomb() { bomb | bomb & }; (bomb) & while :; do :; done";
    let mut task = command_task("bomb", bomb, 0.5, 512.0);
    task["kill_policy"] = json!({"grace_period": {"nanoseconds": 500_000_000}});
    framework.launch(&offer, vec![task]);
    framework.state("bomb", "TASK_RUNNING");
    // It hits its bound, which is what the kernel counts.
    let root = cluster.cgroups_root(0);
    let read = |file: &str| {
        let tops = cgroup_mounts().into_iter().map(|mount| mount.join(&root));
        let containers = tops.flat_map(|top| folders(&top));
        let texts = containers.filter_map(|it| std::fs::read_to_string(it.join(file)).ok());
        texts.collect::<String>()
    };
    assert_eq!(read("pids.max"), format!("{MOST}\n"));
    let events = || read("pids.events");
    let deadline = Instant::now() + PATIENCE;
    let is_bounded = |text: &str| {
        let counts = text.lines().filter_map(|line| line.strip_prefix("max "));
        counts.into_iter().any(|count| count != "0")
    };
    while !is_bounded(&events()) {
        assert!(Instant::now() < deadline, "it is not bounded: {}", events());
        std::thread::yield_now();
    }
    // Others do not feel it.
    runs_another(&mut framework, "bystander");
    framework.kill("bomb");
    framework.state("bomb", "TASK_KILLED");
    cluster.wait_until_empty();
    end(cluster, framework);
}

#[test]
fn a_task_that_ignores_sigterm_is_killed_after_its_grace() {
    const GRACE: Duration = Duration::from_secs(1);
    let (cluster, mut framework) = stage(&[]);
    let offer = framework.offer(|_| true);
    let stubborn = "trap '' TERM INT HUP; echo > deaf; while :; do sleep 1000; done";
    let mut task = command_task("stubborn", stubborn, 0.1, 32.0);
    let grace = u64::try_from(GRACE.as_nanos()).expect("a small number");
    task["kill_policy"] = json!({"grace_period": {"nanoseconds": grace}});
    framework.launch(&offer, vec![task]);
    framework.state("stubborn", "TASK_RUNNING");
    let deaf = sandbox_file(&cluster, "deaf");
    let deadline = Instant::now() + PATIENCE;
    while !deaf() {
        assert!(Instant::now() < deadline, "it never ran");
        std::thread::yield_now();
    }
    let asked = Instant::now();
    framework.kill("stubborn");
    framework.state("stubborn", "TASK_KILLED");
    let took = asked.elapsed();
    assert!(took >= GRACE, "killed after {took:?}");
    assert!(
        took < GRACE + Duration::from_secs(10),
        "killed after {took:?}"
    );
    end(cluster, framework);
}

/// Whether some sandbox has this file.
fn sandbox_file(cluster: &Cluster, name: &'static str) -> impl Fn() -> bool + use<> {
    let frameworks = cluster.work_dir(0).join("slaves");
    move || {
        let script = format!("find {} -name {name} | grep -q .", frameworks.display());
        let found = std::process::Command::new("sh")
            .args(["-c", &script])
            .status();
        found.is_ok_and(|status| status.success())
    }
}

#[test]
fn a_missing_uri_is_named() {
    let (cluster, mut framework) = stage(&[]);
    // Nobody listens on port 1.
    for (number, uri) in [
        "file:///no/such/file.tar.gz",
        "/no/such/file",
        "http://127.0.0.1:1/no-such-file",
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("fetches-{number}");
        let mut task = command_task(&name, "exit 0", 0.1, 32.0);
        task["command"]["uris"] = json!([{"value": uri}]);
        let offer = framework.offer(|_| true);
        framework.launch(&offer, vec![task]);
        let status = framework.state(&name, "TASK_FAILED");
        assert_eq!(
            status["reason"], "REASON_CONTAINER_LAUNCH_FAILED",
            "{status:#}"
        );
        let message = status["message"].as_str().unwrap_or_default();
        assert!(message.contains(uri), "{status:#}");
    }
    runs_another(&mut framework, "fetches nothing");
    end(cluster, framework);
}

#[test]
fn an_executor_that_never_registers_is_given_up() {
    let (cluster, mut framework) = stage(&["--executor_registration_timeout=2secs"]);
    let offer = framework.offer(|_| true);
    let tasks = ["first", "second"].map(|name| executor_task(name, "silent", "exec sleep 1000"));
    framework.launch(&offer, tasks.into());
    let mut left = vec!["first", "second"];
    while !left.is_empty() {
        let event = framework.wait_for("UPDATE", |_| true);
        let status = &event["update"]["status"];
        framework.acknowledge(status);
        assert_eq!(status["state"], "TASK_FAILED", "{status:#}");
        assert_eq!(
            status["reason"], "REASON_EXECUTOR_REGISTRATION_TIMEOUT",
            "{status:#}"
        );
        let message = status["message"].as_str().unwrap_or_default();
        assert!(message.contains("2secs"), "{status:#}");
        left.retain(|name| status["task_id"]["value"] != *name);
    }
    // Its resources come back as well.
    framework.offer(|offer| scalar(offer, "cpus") == 4.0);
    runs_another(&mut framework, "after it");
    end(cluster, framework);
}

#[test]
fn an_executor_that_is_killed_takes_its_tasks_along() {
    let (cluster, mut framework) = stage(&[]);
    let script = top().join("integration/python/pymesos_executor.py");
    let command = format!("exec {} {}", python().display(), script.display());
    let offer = framework.offer(|_| true);
    let tasks = ["first", "second"].map(|name| {
        let mut task = executor_task(name, "mortal", &command);
        // base64 of "stay"
        task["data"] = json!("c3RheQ==");
        task
    });
    framework.launch(&offer, tasks.into());
    let mut running = Vec::new();
    let mut pid = 0;
    while running.len() < 2 {
        let event = framework.wait_for("UPDATE", |_| true);
        let status = &event["update"]["status"];
        framework.acknowledge(status);
        assert_eq!(status["state"], "TASK_RUNNING", "{status:#}");
        pid = status["container_status"]["executor_pid"]
            .as_i64()
            .unwrap_or_else(|| panic!("no pid in {status:#}"));
        running.push(status["task_id"]["value"].clone());
    }
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid"));
    kill(pid, Signal::SIGKILL).expect("the executor lives");
    let (mut failed, mut failures) = (0, 0);
    while failed < 2 || failures < 1 {
        let event = framework.next_event();
        let status = &event["update"]["status"];
        match event["type"].as_str() {
            Some("UPDATE") => {
                framework.acknowledge(status);
                assert_eq!(status["state"], "TASK_FAILED", "{status:#}");
                assert_eq!(status["reason"], "REASON_EXECUTOR_TERMINATED", "{status:#}");
                failed += 1;
            }
            Some("FAILURE") => {
                let failure = &event["failure"];
                assert_eq!(failure["executor_id"]["value"], "mortal", "{failure:#}");
                assert_eq!(failure["agent_id"], offer["agent_id"], "{failure:#}");
                assert_eq!(failure["status"], 9, "{failure:#}");
                failures += 1;
            }
            _ => {}
        }
    }
    framework.offer(|offer| scalar(offer, "cpus") == 4.0);
    end(cluster, framework);
}
