//! Executors of frameworks' own, as actors beside the agent.

use std::time::Duration;

use bytes::Bytes;
use tepui_framework::{Executor, ExecutorDriver, spawn_executor};
use tepui_protocol::mesos::internal::{FrameworkToExecutor, KillTask, ShutdownExecutor};
use tepui_protocol::mesos::v1::{
    CommandInfo, ExecutorId, ExecutorInfo, KillPolicy, TaskGroupInfo, TaskId, TaskInfo, TaskState,
    TaskStatus,
};
use tepui_runtime::Node;

use crate::cluster::{Cluster, framework, framework_id, task};

/// Says RUNNING of what it gets and FINISHED when it is told so, and sends words back.
struct Echo;

impl Executor for Echo {
    fn launch(&mut self, driver: &mut ExecutorDriver, task: TaskInfo) {
        driver.update(status(task.task_id, TaskState::TaskRunning));
    }

    fn launch_group(&mut self, driver: &mut ExecutorDriver, group: TaskGroupInfo) {
        let ids = group.tasks.iter().map(|task| task.task_id.value.as_str());
        let words = format!("group {}", ids.collect::<Vec<_>>().join(" "));
        driver.message(words.into());
        for task in group.tasks {
            self.launch(driver, task);
        }
    }

    fn kill(&mut self, driver: &mut ExecutorDriver, task_id: TaskId, _policy: Option<KillPolicy>) {
        driver.update(status(task_id, TaskState::TaskKilled));
    }

    fn message(&mut self, driver: &mut ExecutorDriver, data: Bytes) {
        match data.strip_prefix(b"finish ") {
            Some(task) => {
                let value = String::from_utf8_lossy(task).into_owned();
                driver.update(status(TaskId { value }, TaskState::TaskFinished));
            }
            None => driver.message(data),
        }
    }
}

fn status(task_id: TaskId, state: TaskState) -> TaskStatus {
    TaskStatus {
        task_id,
        state: state as i32,
        ..TaskStatus::default()
    }
}

fn executor_id() -> ExecutorId {
    ExecutorId {
        value: "e".to_owned(),
    }
}

/// A task for executor `e`, whose process lasts as `command` says.
fn own(id: &str, command: &str) -> TaskInfo {
    TaskInfo {
        name: id.to_owned(),
        task_id: TaskId {
            value: id.to_owned(),
        },
        command: None,
        executor: Some(ExecutorInfo {
            executor_id: executor_id(),
            command: Some(CommandInfo {
                value: Some(command.to_owned()),
                ..CommandInfo::default()
            }),
            ..ExecutorInfo::default()
        }),
        ..task("")
    }
}

fn start_echo(node: &Node) {
    let agent = node.pid_of("slave(1)");
    spawn_executor(node, agent, framework_id(), executor_id(), Echo).unwrap();
}

/// A cluster whose agent runs `a` on executor `e`.
fn running(command: &str) -> (Cluster, Node) {
    let mut cluster = Cluster::new();
    let (node, _) = cluster.agent();
    cluster.run_until_logged("register");
    cluster.simulation.run_for(Duration::from_secs(1));
    cluster.give(framework(false), own("a", command));
    cluster.simulation.run_for(Duration::from_millis(100));
    start_echo(&node);
    cluster.run_until_logged("a TASK_RUNNING");
    (cluster, node)
}

fn say(cluster: &Cluster, node: &Node, words: &str) {
    let message = FrameworkToExecutor {
        agent_id: Default::default(),
        framework_id: framework_id(),
        executor_id: executor_id(),
        data: Bytes::from(words.to_owned()),
    };
    node.send(&cluster.master, &node.pid_of("slave(1)"), message);
}

#[test]
fn several_tasks_run_on_one_executor_that_hears_its_framework() {
    let (mut cluster, node) = running("sleep 1000");
    cluster.give(framework(false), own("b", "sleep 1000"));
    cluster.run_until_logged("b TASK_RUNNING");
    say(&cluster, &node, "hello");
    cluster.run_until_logged("message hello");
    say(&cluster, &node, "finish a");
    cluster.run_until_logged("a TASK_FINISHED");
    cluster.simulation.run_for(Duration::from_secs(60));
    let log = cluster.log();
    assert_eq!(
        log,
        [
            "register",
            "a TASK_RUNNING",
            "b TASK_RUNNING",
            "message hello",
            "a TASK_FINISHED"
        ],
        "the executor and its other task go on"
    );
    let shutdown = ShutdownExecutor {
        framework_id: Some(framework_id()),
        executor_id: Some(executor_id()),
    };
    node.send(&cluster.master, &node.pid_of("slave(1)"), shutdown);
    cluster.run_until_logged("b TASK_FAILED");
    cluster.run_until_logged("e exited 9");
}

#[test]
fn tasks_wait_for_an_executor_that_takes_its_time() {
    let mut cluster = Cluster::new();
    let (node, agent) = cluster.agent();
    cluster.run_until_logged("register");
    cluster.simulation.run_for(Duration::from_secs(1));
    for id in ["a", "b", "c"] {
        cluster.give(framework(false), own(id, "sleep 1000"));
    }
    cluster.simulation.run_for(Duration::from_secs(50));
    assert_eq!(cluster.log(), ["register"]);
    let snapshot = agent.snapshot.load_full();
    let key = ("F".to_owned(), "e".to_owned());
    assert_eq!(snapshot.executors.get(&key).unwrap().tasks.size(), 3);
    start_echo(&node);
    cluster.run_until_logged("c TASK_RUNNING");
    assert_eq!(
        cluster.log(),
        [
            "register",
            "a TASK_RUNNING",
            "b TASK_RUNNING",
            "c TASK_RUNNING"
        ]
    );
}

#[test]
fn an_executor_that_never_subscribes_fails_its_tasks_after_a_minute() {
    let mut cluster = Cluster::new();
    let (_node, _agent) = cluster.agent();
    cluster.run_until_logged("register");
    cluster.simulation.run_for(Duration::from_secs(1));
    cluster.give(framework(false), own("a", "sleep 1000"));
    cluster.simulation.run_for(Duration::from_secs(59));
    assert_eq!(cluster.log(), ["register"]);
    cluster.simulation.run_for(Duration::from_secs(2));
    assert_eq!(cluster.log(), ["register", "e exited 9", "a TASK_FAILED"]);
}

#[test]
fn an_executor_that_dies_takes_its_tasks_along() {
    let (mut cluster, _node) = running("sleep 5; exit 3");
    cluster.run_until_logged("e exited 768");
    cluster.run_until_logged("a TASK_FAILED");
}

#[test]
fn groups_arrive_whole_and_in_their_order() {
    let mut cluster = Cluster::new();
    let (node, _agent) = cluster.agent();
    cluster.run_until_logged("register");
    cluster.simulation.run_for(Duration::from_secs(1));
    let group = |ids: [&str; 2]| ids.map(|id| own(id, "sleep 1000")).to_vec();
    cluster.give_group(framework(false), group(["a", "b"]));
    cluster.give(framework(false), own("c", "sleep 1000"));
    cluster.give_group(framework(false), group(["d", "f"]));
    cluster.simulation.run_for(Duration::from_secs(50));
    start_echo(&node);
    cluster.run_until_logged("f TASK_RUNNING");
    cluster.run_until_logged("message group d f");
    let running = |id: &str| format!("{id} TASK_RUNNING");
    let mut log = cluster.log();
    // Words and updates go their own ways.
    let words: Vec<String> = log
        .iter()
        .filter(|line| line.starts_with("message"))
        .cloned()
        .collect();
    assert_eq!(words, ["message group a b", "message group d f"]);
    log.retain(|line| line.ends_with("TASK_RUNNING"));
    assert_eq!(log, ["a", "b", "c", "d", "f"].map(running));
    // One more, for an executor that is there.
    cluster.give_group(framework(false), group(["g", "h"]));
    cluster.run_until_logged("message group g h");
    cluster.run_until_logged("h TASK_RUNNING");
}

#[test]
fn a_group_of_which_one_was_killed_never_arrives() {
    let mut cluster = Cluster::new();
    let (node, _agent) = cluster.agent();
    cluster.run_until_logged("register");
    cluster.simulation.run_for(Duration::from_secs(1));
    let group = ["a", "b"].map(|id| own(id, "sleep 1000")).to_vec();
    cluster.give_group(framework(false), group);
    cluster.simulation.run_for(Duration::from_secs(1));
    let kill = KillTask {
        framework_id: framework_id(),
        task_id: TaskId {
            value: "b".to_owned(),
        },
        kill_policy: None,
    };
    node.send(&cluster.master, &node.pid_of("slave(1)"), kill);
    cluster.run_until_logged("b TASK_KILLED");
    assert_eq!(
        cluster.log(),
        ["register", "a TASK_KILLED", "b TASK_KILLED"]
    );
    start_echo(&node);
    cluster.run_until_logged("e exited 9");
    let log = cluster.log();
    assert!(
        !log.iter().any(|line| line.starts_with("message")),
        "{log:?}"
    );
}
