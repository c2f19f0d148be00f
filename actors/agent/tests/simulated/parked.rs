//! What waits for room on a full disk, and what happens meanwhile.

use std::time::Duration;

use tepui_framework::{Executor, ExecutorDriver, spawn_executor};
use tepui_protocol::mesos::internal::{KillTask, ShutdownFramework, UpdateFramework};
use tepui_protocol::mesos::v1::{
    CommandInfo, ExecutorId, ExecutorInfo, KillPolicy, TaskId, TaskInfo, TaskState, TaskStatus,
};
use tepui_runtime::{Message, Node};

use crate::cluster::{Cluster, framework, framework_id, task};

fn named(id: &str, command: &str) -> TaskInfo {
    let mut task = task(command);
    task.task_id = task_id(id);
    task
}

fn task_id(id: &str) -> TaskId {
    TaskId {
        value: id.to_owned(),
    }
}

fn say<M: Message>(cluster: &Cluster, node: &Node, message: M) {
    node.send(&cluster.master, &node.pid_of("slave(1)"), message);
}

fn seconds(cluster: &mut Cluster, seconds: u64) {
    cluster.simulation.run_for(Duration::from_secs(seconds));
}

#[test]
fn nothing_is_told_of_a_framework_that_was_removed_meanwhile() {
    let mut cluster = Cluster::new();
    let (node, agent) = cluster.agent();
    cluster.run_until_logged("register");
    seconds(&mut cluster, 1);
    cluster.simulation.set_disk_usage("agent", 1.0);
    cluster.give(framework(true), named("u", "sleep 1"));
    seconds(&mut cluster, 2);
    let shutdown = ShutdownFramework {
        framework_id: framework_id(),
    };
    say(&cluster, &node, shutdown);
    seconds(&mut cluster, 10);
    cluster.simulation.set_disk_usage("agent", 0.5);
    seconds(&mut cluster, 30);
    assert_eq!(cluster.log(), ["register"], "nobody would acknowledge it");
    assert!(agent.snapshot.load().executors.is_empty());
}

#[test]
fn what_was_acknowledged_meanwhile_is_not_sent_again() {
    let mut cluster = Cluster::new();
    cluster.launch(framework(true), "sleep 1000");
    let (node, _agent) = cluster.agent();
    cluster.books.lock().unwrap().deaf = true;
    cluster.run_until_logged("t TASK_STARTING");
    cluster.give(framework(true), named("u", "sleep 5"));
    cluster.run_until_logged("u TASK_STARTING");
    seconds(&mut cluster, 2);
    cluster.simulation.set_disk_usage("agent", 1.0);
    // The end of u finds no room; then all that waits for the framework is to be sent again.
    seconds(&mut cluster, 20);
    let back = UpdateFramework {
        framework_id: framework_id(),
        pid: None,
        framework_info: Some(framework(true)),
    };
    say(&cluster, &node, back);
    seconds(&mut cluster, 20);
    let sent = |cluster: &Cluster| {
        let log = cluster.log();
        log.iter().filter(|line| *line == "t TASK_STARTING").count()
    };
    let before = sent(&cluster);
    cluster.simulation.set_disk_usage("agent", 0.5);
    let withheld = {
        let mut books = cluster.books.lock().unwrap();
        books.deaf = false;
        std::mem::take(&mut books.withheld)
    };
    let of_t = withheld.into_iter().find(|it| it.task_id == task_id("t"));
    say(&cluster, &node, of_t.expect("an update of t"));
    cluster.run_until_logged("t TASK_RUNNING");
    assert_eq!(sent(&cluster), before, "it was not waited for");
    cluster.run_until_logged("u TASK_FINISHED");
    seconds(&mut cluster, 60);
    assert_eq!(sent(&cluster), before);
}

/// Kills only what it runs.
#[derive(Default)]
struct Exact {
    runs: Vec<TaskId>,
}

impl Executor for Exact {
    fn launch(&mut self, driver: &mut ExecutorDriver, task: TaskInfo) {
        driver.update(status(&task.task_id, TaskState::TaskRunning));
        self.runs.push(task.task_id);
    }

    fn kill(&mut self, driver: &mut ExecutorDriver, task_id: TaskId, _policy: Option<KillPolicy>) {
        if self.runs.contains(&task_id) {
            driver.update(status(&task_id, TaskState::TaskKilled));
        }
    }
}

fn status(task_id: &TaskId, state: TaskState) -> TaskStatus {
    TaskStatus {
        task_id: task_id.clone(),
        state: state as i32,
        ..TaskStatus::default()
    }
}

#[test]
fn a_kill_does_not_overtake_the_task_that_waits() {
    let mut cluster = Cluster::new();
    let (node, _agent) = cluster.agent();
    cluster.run_until_logged("register");
    seconds(&mut cluster, 1);
    let executor_id = ExecutorId {
        value: "e".to_owned(),
    };
    let executor = ExecutorInfo {
        executor_id: executor_id.clone(),
        command: Some(CommandInfo {
            value: Some("sleep 1000".to_owned()),
            ..CommandInfo::default()
        }),
        ..ExecutorInfo::default()
    };
    let own = TaskInfo {
        command: None,
        executor: Some(executor),
        ..named("a", "")
    };
    cluster.give(framework(true), own);
    seconds(&mut cluster, 2);
    cluster.simulation.set_disk_usage("agent", 1.0);
    let agent = node.pid_of("slave(1)");
    spawn_executor(&node, agent, framework_id(), executor_id, Exact::default()).unwrap();
    seconds(&mut cluster, 2);
    let kill = KillTask {
        framework_id: framework_id(),
        task_id: task_id("a"),
        kill_policy: None,
    };
    say(&cluster, &node, kill);
    seconds(&mut cluster, 20);
    cluster.simulation.set_disk_usage("agent", 0.5);
    seconds(&mut cluster, 30);
    assert_eq!(
        cluster.log(),
        ["register", "a TASK_RUNNING", "a TASK_KILLED"]
    );
}
