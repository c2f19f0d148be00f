//! An agent that is killed, and agents and masters that stand still past the ping time and go on:
//! what becomes of the tasks, and what their frameworks are told before and after.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tepui_integration::{Cluster, Subscription, command_task};

const PATIENCE: Duration = Duration::from_secs(30);
const AGENT: &[&str] = &[
    "--resources=cpus:4;mem:4096;disk:0;ports:[]",
    // An executor tries again within this time; what it needs then must not be the rest of it.
    "--executor_reregistration_timeout=5secs",
];
/// An agent is unreachable after three seconds of silence.
const SHORT_PINGS: &[&str] = &[
    "--agent_ping_timeout=1secs",
    "--max_agent_ping_timeouts=3",
    "--allocation_interval=100ms",
];

fn framework(cluster: &Cluster, name: &str, checkpoint: bool, aware: bool) -> Subscription {
    let capabilities = if aware {
        json!([{"type": "PARTITION_AWARE"}])
    } else {
        json!([])
    };
    let info = json!({
        "user": "root",
        "name": name,
        "checkpoint": checkpoint,
        "failover_timeout": 600,
        "capabilities": capabilities,
    });
    Subscription::open(cluster.address(), &info)
}

/// Runs a task on an offer, and leaves what is left of it to others.
fn run(framework: &mut Subscription, name: &str, command: &str) -> Value {
    assert_eq!(framework.call(json!({"type": "REVIVE"})), 202);
    let offer = framework.offer(|_| true);
    let task = command_task(name, command, 0.1, 32.0);
    framework.launch_and_refuse(&offer, vec![task], 600);
    framework.state(name, "TASK_RUNNING")
}

/// How the master says a task stands.
fn reconciled(framework: &mut Subscription, name: &str, agent: &Value) -> Value {
    let tasks = json!([{"task_id": {"value": name}, "agent_id": agent}]);
    let call = json!({"type": "RECONCILE", "reconcile": {"tasks": tasks}});
    assert_eq!(framework.call(call), 202);
    let status = framework.status(name, |status| status["reason"] == "REASON_RECONCILIATION");
    assert_eq!(status["source"], "SOURCE_MASTER", "{status:#}");
    status["state"].clone()
}

fn killed(framework: &mut Subscription, name: &str) {
    framework.kill(name);
    let status = framework.status(name, |status| status["state"] == "TASK_KILLED");
    // It was there to be killed.
    check(&status, &json!({"source": "SOURCE_EXECUTOR"}));
}

/// Checks some parts of a status.
fn check(status: &Value, expected: &Value) {
    for (key, value) in expected.as_object().expect("parts") {
        assert_eq!(status[key], *value, "{key} of {status:#}");
    }
}

/// Waits until something is so that no event tells.
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not in time");
        std::thread::yield_now();
    }
}

/// The host's pid of a task's executor, which is alive as long as this exists.
fn executor_of(status: &Value) -> PathBuf {
    let pid = &status["container_status"]["executor_pid"];
    let pid = pid
        .as_i64()
        .unwrap_or_else(|| panic!("no pid in {status:#}"));
    PathBuf::from(format!("/proc/{pid}"))
}

#[test]
fn tasks_with_checkpoints_outlive_their_agent() {
    let mut cluster = Cluster::start(&["--allocation_interval=100ms"]);
    cluster.add_agent(AGENT);
    let mut framework = framework(&cluster, "with checkpoints", true, true);
    let folder = tempfile::tempdir().expect("a folder");
    let (word, heard) = (folder.path().join("word"), folder.path().join("heard"));
    let listens = format!(
        "until [ -e {} ]; do read -t 1 _ < /dev/zero || :; done; echo > {}",
        word.display(),
        heard.display()
    );
    let long = run(&mut framework, "long", "exec sleep 1000");
    let agent_id = &long["agent_id"];
    let listening = format!("exec bash -c '{listens}'");
    run(&mut framework, "ends without its agent", &listening);
    let executor = executor_of(&long);
    cluster.kill_agent(0);

    // One of them comes to its end meanwhile.
    std::fs::write(&word, "").expect("a file");
    wait_until("the end of the task", || heard.exists());
    assert_eq!(reconciled(&mut framework, "long", agent_id), "TASK_RUNNING");
    let agent = cluster.restart_agent(0);
    agent.wait_for("registration", |line| line.contains("registered"));

    let end = framework.state("ends without its agent", "TASK_FINISHED");
    check(&end, &json!({"source": "SOURCE_EXECUTOR"}));
    assert!(executor.exists(), "the executor of the other is gone");
    assert_eq!(reconciled(&mut framework, "long", agent_id), "TASK_RUNNING");
    killed(&mut framework, "long");
    // The agent is the same one to the master, and works.
    let again = run(&mut framework, "after the restart", "exec sleep 1000");
    assert_eq!(again["agent_id"], long["agent_id"]);
    framework.teardown();
    cluster.stop();
}

#[test]
fn tasks_without_checkpoints_are_lost_with_their_agent() {
    let mut cluster = Cluster::start(&["--allocation_interval=100ms"]);
    cluster.add_agent(AGENT);
    let mut framework = framework(&cluster, "without checkpoints", false, true);
    let long = run(&mut framework, "long", "exec sleep 1000");
    let executor = executor_of(&long);
    cluster.kill_agent(0);
    let lost = framework.status("long", |_| true);
    check(
        &lost,
        &json!({
            "state": "TASK_LOST",
            "reason": "REASON_AGENT_DISCONNECTED",
            "source": "SOURCE_MASTER",
            "agent_id": long["agent_id"],
        }),
    );
    assert_eq!(lost.get("uuid"), None, "{lost:#}");
    let agent = cluster.restart_agent(0);
    agent.wait_for("registration", |line| line.contains("registered"));
    wait_until("the end of the executor", || !executor.exists());
    run(&mut framework, "after the restart", "exec sleep 1000");
    framework.teardown();
    cluster.stop();
}

#[test]
fn an_agent_that_stands_still_is_unreachable_and_comes_back_with_its_tasks() {
    let mut cluster = Cluster::start(SHORT_PINGS);
    cluster.add_agent(AGENT);
    let mut aware = framework(&cluster, "partition aware", true, true);
    let long = run(&mut aware, "long", "exec sleep 1000");
    let agent_id = &long["agent_id"];
    let mut unaware = framework(&cluster, "not partition aware", true, false);
    run(&mut unaware, "other", "exec sleep 1000");
    cluster.agents[0].signal(Signal::SIGSTOP);

    let status = aware.status("long", |_| true);
    check(
        &status,
        &json!({
            "state": "TASK_UNREACHABLE",
            "reason": "REASON_AGENT_REMOVED",
            "source": "SOURCE_MASTER",
            "agent_id": long["agent_id"],
        }),
    );
    assert!(
        status["unreachable_time"]["nanoseconds"].is_u64(),
        "{status:#}"
    );
    let status = unaware.status("other", |_| true);
    check(
        &status,
        &json!({
            "state": "TASK_LOST",
            "reason": "REASON_AGENT_REMOVED",
            "source": "SOURCE_MASTER",
        }),
    );
    let failure = aware.wait_for("FAILURE", |_| true);
    assert_eq!(
        failure["failure"]["agent_id"], long["agent_id"],
        "{failure:#}"
    );
    assert_eq!(failure["failure"].get("executor_id"), None, "{failure:#}");
    assert_eq!(reconciled(&mut aware, "long", agent_id), "TASK_UNREACHABLE");

    cluster.agents[0].signal(Signal::SIGCONT);
    for (framework, name) in [(&mut aware, "long"), (&mut unaware, "other")] {
        let status = framework.status(name, |status| status["state"] == "TASK_RUNNING");
        check(
            &status,
            &json!({
                "reason": "REASON_AGENT_REREGISTERED",
                "source": "SOURCE_MASTER",
                "agent_id": long["agent_id"],
            }),
        );
        assert_eq!(status.get("uuid"), None, "{status:#}");
        assert_eq!(reconciled(framework, name, agent_id), "TASK_RUNNING");
        killed(framework, name);
    }
    run(&mut aware, "after it", "exec sleep 1000");
    aware.teardown();
    unaware.teardown();
    cluster.stop();
}

#[test]
fn a_master_that_stands_still_loses_nothing() {
    let mut cluster = Cluster::start(SHORT_PINGS);
    cluster.add_agent(AGENT);
    let mut framework = framework(&cluster, "patient", true, true);
    let long = run(&mut framework, "long", "exec sleep 1000");
    let agent_id = &long["agent_id"];
    run(&mut framework, "ends meanwhile", "exec sleep 3");
    cluster.master.signal(Signal::SIGSTOP);
    // The agent hears no ping, and looks for its master anew.
    cluster.agents[0].wait_for("the silence to be noticed", |line| line.contains("no ping"));
    cluster.master.signal(Signal::SIGCONT);

    // Whatever the master tells of the tasks, it is not that they are out of reach.
    let (mut has_ended, mut has_answered) = (false, false);
    while !has_answered {
        let event = framework.next_event();
        let status = &event["update"]["status"];
        match (
            status["task_id"]["value"].as_str(),
            status["state"].as_str(),
        ) {
            (None, _) => assert_ne!(event["type"], "FAILURE", "{event:#}"),
            (Some("ends meanwhile"), Some("TASK_FINISHED")) => {
                check(status, &json!({"source": "SOURCE_EXECUTOR"}));
                framework.acknowledge(status);
                if !has_ended {
                    let tasks = json!([{"task_id": {"value": "long"}, "agent_id": agent_id}]);
                    let call = json!({"type": "RECONCILE", "reconcile": {"tasks": tasks}});
                    assert_eq!(framework.call(call), 202);
                }
                has_ended = true;
            }
            (_, state) => {
                assert_eq!(state, Some("TASK_RUNNING"), "{status:#}");
                framework.acknowledge(status);
                has_answered |= has_ended && status["reason"] == "REASON_RECONCILIATION";
            }
        }
    }
    killed(&mut framework, "long");
    run(&mut framework, "after it", "exec sleep 1000");
    framework.teardown();
    cluster.stop();
}

#[test]
fn an_agent_that_is_told_to_leave_takes_its_tasks_along() {
    let mut cluster = Cluster::start(&["--allocation_interval=100ms"]);
    cluster.add_agent(AGENT);
    let mut framework = framework(&cluster, "left", true, true);
    let long = run(&mut framework, "long", "exec sleep 1000");
    let executor = executor_of(&long);
    cluster.agents[0].signal(Signal::SIGUSR1);

    // It says good-bye at once: to the master it is no partition.
    let status = framework.status("long", |_| true);
    check(
        &status,
        &json!({
            "state": "TASK_LOST",
            "reason": "REASON_AGENT_REMOVED",
            "source": "SOURCE_MASTER",
        }),
    );
    let failure = framework.wait_for("FAILURE", |_| true);
    assert_eq!(failure["failure"]["agent_id"], long["agent_id"]);
    let agent = cluster.agents.remove(0);
    let (status, lines) = agent.finish();
    assert!(status.success(), "{status}: {lines:#?}");
    assert!(!executor.exists(), "the executor goes on");
    framework.teardown();
    cluster.stop();
}
