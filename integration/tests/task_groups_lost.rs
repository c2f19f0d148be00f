//! Groups of tasks with the default executor when more than a task goes wrong, with real daemons:
//! memory, an executor that is killed or shut down, an agent that is killed, a framework that ends.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tepui_integration::{
    Cluster, Subscription, cgroup_mounts, command_task, folders, get, scalar, states,
};

const AGENT: &[&str] = &[
    "--resources=cpus:4;mem:4096;disk:1000;ports:[]",
    "--executor_reregistration_timeout=5secs",
];
const PATIENCE: Duration = Duration::from_secs(30);
const LONG: &str = "exec sleep 1000";
const GREEDY: &str = "exec tail /dev/zero";

fn stage() -> (Cluster, Subscription) {
    let mut cluster = Cluster::start(&["--allocation_interval=100ms"]);
    cluster.add_agent(AGENT);
    let info = json!({
        "user": "root", "name": "together", "checkpoint": true, "failover_timeout": 600,
        "capabilities": [{"type": "PARTITION_AWARE"}],
    });
    let framework = Subscription::open(cluster.address(), &info);
    (cluster, framework)
}

/// Ends all; of the containers no cgroup is left.
fn end(cluster: Cluster, mut framework: Subscription) {
    framework.teardown();
    framework.wait_for_end();
    cluster.wait_until_empty();
    for mount in cgroup_mounts() {
        let left = folders(&mount.join(cluster.cgroups_root(0)));
        assert_eq!(left, Vec::<PathBuf>::new());
    }
    cluster.stop();
}

fn task(id: &str, command: &str) -> Value {
    command_task(id, command, 0.1, 32.0)
}

fn launch(framework: &mut Subscription, executor: &str, tasks: Vec<Value>) {
    let executor = framework.default_executor(executor, 0.1, 64.0);
    let enough = |offer: &Value, name, least| scalar(offer, name) >= least;
    let offer = framework.offer(|offer| {
        enough(offer, "cpus", 1.0) && enough(offer, "mem", 512.0) && enough(offer, "disk", 10.0)
    });
    framework.launch_group(&offer, &executor, tasks);
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what} is not there");
        std::thread::yield_now();
    }
}

fn last<'a>(told: &'a tepui_integration::Told, task: &str) -> &'a Value {
    told[task].last().expect("an update")
}

/// The process of an executor, once the agent tells it.
fn pid_of(cluster: &Cluster, executor: &str) -> Pid {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let containers = get(&cluster.agent_address(0), "/containers");
        let mut all = containers.as_array().expect("a list").iter();
        let found = all.find(|it| it["executor_id"] == executor);
        if let Some(pid) = found.and_then(|it| it["status"]["executor_pid"].as_i64()) {
            return Pid::from_raw(i32::try_from(pid).expect("a pid"));
        }
        assert!(Instant::now() < deadline, "no pid: {containers:#?}");
        std::thread::yield_now();
    }
}

#[test]
fn memory_exceeded_by_one_ends_all_that_share_it() {
    let (cluster, mut framework) = stage();
    launch(&mut framework, "pod", vec![task("mate", LONG)]);
    framework.told_until_running(&["mate"]);
    launch(&mut framework, "pod", vec![task("greedy", GREEDY)]);
    let told = framework.told_until_over(&["greedy", "mate"]);
    for id in ["greedy", "mate"] {
        let status = last(&told, id);
        assert_eq!(status["state"], "TASK_FAILED", "{status:#}");
        assert_eq!(status["reason"], "REASON_CONTAINER_LIMITATION_MEMORY");
        let exceeded = &status["limitation"]["resources"][0];
        assert_eq!(exceeded["name"], "mem", "{status:#}");
    }
    framework.failure("pod");
    end(cluster, framework);
}

#[test]
fn memory_exceeded_in_a_cgroup_of_its_own_ends_one() {
    let (cluster, mut framework) = stage();
    let apart = |id: &str, command: &str| {
        let mut task = task(id, command);
        task["container"] = json!({"type": "MESOS", "linux_info": {"share_cgroups": false}});
        task
    };
    launch(&mut framework, "pod", vec![apart("other", LONG)]);
    framework.told_until_running(&["other"]);
    let tasks = vec![apart("greedy", GREEDY), apart("mate", LONG)];
    launch(&mut framework, "pod", tasks);
    let told = framework.told_until_over(&["greedy", "mate"]);
    let failed = last(&told, "greedy");
    assert_eq!(failed["state"], "TASK_FAILED", "{failed:#}");
    assert_eq!(failed["reason"], "REASON_CONTAINER_LIMITATION_MEMORY");
    assert_eq!(failed["source"], "SOURCE_EXECUTOR", "{failed:#}");
    assert_eq!(last(&told, "mate")["state"], "TASK_KILLED", "{told:#?}");
    assert!(!told.contains_key("other"), "{told:#?}");
    framework.kill("other");
    let told = framework.told_until_over(&["other"]);
    assert_eq!(last(&told, "other")["state"], "TASK_KILLED", "{told:#?}");
    end(cluster, framework);
}

#[test]
fn tasks_outlive_a_killed_agent() {
    let (mut cluster, mut framework) = stage();
    let word = cluster.work_dir(0).join("word");
    let waits = format!("until [ -e {} ]; do sleep 0.05; done", word.display());
    let heard = cluster.work_dir(0).join("heard");
    let ends = format!("{waits}; echo > {}", heard.display());
    launch(
        &mut framework,
        "pod",
        vec![task("ends", &ends), task("long", LONG)],
    );
    let told = framework.told_until_running(&["ends", "long"]);
    let id = |status: &Value| status["container_status"]["container_id"].clone();
    let before = id(last(&told, "long"));
    cluster.kill_agent(0);
    // One of them comes to its end meanwhile.
    std::fs::write(&word, "").expect("a file");
    wait_until("the end of the task", || heard.exists());
    let agent = cluster.restart_agent(0);
    agent.wait_for("registration", |line| line.contains("registered"));
    let told = framework.told_until_over(&["ends"]);
    let finished = last(&told, "ends");
    assert_eq!(finished["state"], "TASK_FINISHED", "{told:#?}");
    assert_eq!(finished["source"], "SOURCE_EXECUTOR", "{told:#?}");
    assert!(!told.contains_key("long"), "{told:#?}");
    // Its executor is the same one, and works.
    launch(&mut framework, "pod", vec![task("more", "exit 0")]);
    let told = framework.told_until_over(&["more"]);
    assert_eq!(last(&told, "more")["state"], "TASK_FINISHED", "{told:#?}");
    assert_eq!(id(last(&told, "more"))["parent"], before["parent"]);
    framework.kill("long");
    let told = framework.told_until_over(&["long"]);
    assert_eq!(last(&told, "long")["state"], "TASK_KILLED", "{told:#?}");
    assert_eq!(id(last(&told, "long")), before);
    end(cluster, framework);
}

#[test]
fn a_killed_executor_takes_its_tasks_along() {
    let (cluster, mut framework) = stage();
    launch(
        &mut framework,
        "pod",
        vec![task("a", LONG), task("b", LONG)],
    );
    launch(&mut framework, "other", vec![task("c", LONG)]);
    framework.told_until_running(&["a", "b", "c"]);
    kill(pid_of(&cluster, "pod"), Signal::SIGKILL).expect("it lives");
    let told = framework.told_until_over(&["a", "b"]);
    for id in ["a", "b"] {
        let status = last(&told, id);
        assert_eq!(status["state"], "TASK_FAILED", "{status:#}");
        assert_eq!(status["reason"], "REASON_EXECUTOR_TERMINATED", "{status:#}");
        assert_eq!(status["source"], "SOURCE_AGENT", "{status:#}");
    }
    assert!(!told.contains_key("c"), "{told:#?}");
    let failure = framework.failure("pod");
    assert_eq!(failure["status"], 9, "{failure:#}");
    // Torn down with `c` alive: nothing of that is left, either.
    end(cluster, framework);
}

#[test]
fn an_executor_that_is_shut_down_ends_its_tasks_first() {
    let (cluster, mut framework) = stage();
    let deaf = "trap '' TERM; while :; do sleep 1000; done";
    launch(
        &mut framework,
        "pod",
        vec![task("a", LONG), task("deaf", deaf)],
    );
    let told = framework.told_until_running(&["a", "deaf"]);
    let shutdown = json!({
        "executor_id": {"value": "pod"},
        "agent_id": last(&told, "a")["agent_id"],
    });
    assert_eq!(
        framework.call(json!({"type": "SHUTDOWN", "shutdown": shutdown})),
        202
    );
    let told = framework.told_until_over(&["a", "deaf"]);
    for id in ["a", "deaf"] {
        let status = last(&told, id);
        assert_eq!(states(&told[id]), ["TASK_KILLED"], "{told:#?}");
        assert_eq!(status["source"], "SOURCE_EXECUTOR", "{status:#}");
    }
    let failure = framework.failure("pod");
    assert_eq!(failure["status"], 0, "{failure:#}");
    end(cluster, framework);
}

#[test]
fn an_executor_that_dies_with_its_agent_takes_its_tasks_along() {
    let (mut cluster, mut framework) = stage();
    launch(
        &mut framework,
        "pod",
        vec![task("a", LONG), task("b", LONG)],
    );
    framework.told_until_running(&["a", "b"]);
    let pid = pid_of(&cluster, "pod");
    cluster.kill_agent(0);
    kill(pid, Signal::SIGKILL).expect("it lives");
    let agent = cluster.restart_agent(0);
    agent.wait_for("registration", |line| line.contains("registered"));
    let told = framework.told_until_over(&["a", "b"]);
    for id in ["a", "b"] {
        let status = last(&told, id);
        assert_eq!(status["state"], "TASK_FAILED", "{status:#}");
        assert_eq!(status["reason"], "REASON_EXECUTOR_TERMINATED", "{status:#}");
    }
    end(cluster, framework);
}

#[test]
fn an_executor_that_is_killed_while_it_launches_leaves_nothing() {
    const ROUNDS: usize = 8;
    const TASKS: usize = 12;
    let (cluster, mut framework) = stage();
    for round in 0..ROUNDS {
        let pod = format!("pod-{round}");
        let first = format!("{round}-first");
        launch(&mut framework, &pod, vec![task(&first, LONG)]);
        framework.told_until_running(&[&first]);
        let executor = child_of(pid_of(&cluster, &pod));
        let names: Vec<String> = (0..TASKS).map(|it| format!("{round}-{it}")).collect();
        let small = |name: &String| command_task(name, LONG, 0.05, 32.0);
        launch(&mut framework, &pod, names.iter().map(small).collect());
        // Some are launched then, some not; in each round others.
        let (state, after) = [("TASK_STARTING", 0), ("TASK_RUNNING", round / 2)][round % 2];
        framework.told_until(&[&names[after]], |it| it == state);
        kill(executor, Signal::SIGKILL).expect("it lives");
        let all: Vec<&str> = names.iter().chain([&first]).map(String::as_str).collect();
        let told = framework.told_until_over(&all);
        for name in all {
            let status = last(&told, name);
            assert_eq!(status["state"], "TASK_FAILED", "{status:#}");
            assert_eq!(status["reason"], "REASON_EXECUTOR_TERMINATED", "{status:#}");
        }
        framework.failure(&pod);
    }
    end(cluster, framework);
}

/// The first process that an init has started: the executor. What is in its container's containers
/// comes behind it.
fn child_of(init: Pid) -> Pid {
    let path = format!("/proc/{init}/task/{init}/children");
    let children = std::fs::read_to_string(path).expect("it lives");
    let first = children.split_whitespace().next().expect("a child");
    Pid::from_raw(first.parse().expect("a pid"))
}

#[test]
fn an_agent_that_is_killed_while_a_group_is_launched_runs_each_task_once() {
    const TASKS: usize = 60;
    let (mut cluster, mut framework) = stage();
    let ran = cluster.work_dir(0).join("ran");
    let names: Vec<String> = (0..TASKS).map(|it| format!("short-{it}")).collect();
    let short = |name: &String| {
        let command = format!("echo {name} >> {}", ran.display());
        command_task(name, &command, 0.01, 32.0)
    };
    launch(&mut framework, "pod", names.iter().map(short).collect());
    // Some of them run, some have run, some are still to be launched.
    wait_until("the first of them", || ran.exists());
    cluster.kill_agent(0);
    let agent = cluster.restart_agent(0);
    agent.wait_for("registration", |line| line.contains("registered"));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let told = framework.told_until_over(&names);
    // One that fails has all others killed, and says why.
    let ends = names.iter().map(|name| last(&told, name));
    let others: Vec<&Value> = ends.filter(|end| end["state"] != "TASK_FINISHED").collect();
    let failed = others.iter().filter(|end| end["state"] == "TASK_FAILED");
    let failed: Vec<_> = failed.collect();
    assert!(others.is_empty(), "{failed:#?} of {}", others.len());
    let text = std::fs::read_to_string(&ran).expect("they ran");
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    let mut wanted = names;
    wanted.sort_unstable();
    assert_eq!(lines, wanted);
    end(cluster, framework);
}
