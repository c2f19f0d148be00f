//! What an agent shows of itself: what does not change is shared from picture to picture, and what
//! ended is remembered.

use std::sync::Arc;
use std::time::Duration;

use tepui_agent::core::executor::Phase;
use tepui_protocol::mesos::internal::UpdateFramework;
use tepui_protocol::mesos::v1::{FrameworkInfo, TaskId, TaskInfo, TaskState};

use crate::cluster::{Cluster, framework, framework_id, task};

fn named(id: &str, command: &str) -> TaskInfo {
    TaskInfo {
        task_id: TaskId {
            value: id.to_owned(),
        },
        ..task(command)
    }
}

fn key(executor: &str) -> (String, String) {
    ("F".to_owned(), executor.to_owned())
}

#[test]
fn what_did_not_change_is_shared() {
    let mut cluster = Cluster::new();
    cluster.launch(framework(false), "sleep 1000");
    let (_node, agent) = cluster.agent();
    cluster.run_until_logged("t TASK_RUNNING");
    cluster.simulation.run_for(Duration::from_secs(5));
    let before = agent.snapshot.load_full();
    cluster.give(framework(false), named("t2", "exit 0"));
    cluster.run_until_logged("t2 TASK_FINISHED");
    cluster.simulation.run_for(Duration::from_secs(60));
    let after = agent.snapshot.load_full();
    assert!(!Arc::ptr_eq(&before, &after));
    assert!(Arc::ptr_eq(&before.origin, &after.origin));
    assert!(Arc::ptr_eq(&before.info, &after.info));
    let (old, new) = (&before.executors[&key("t")], &after.executors[&key("t")]);
    assert!(Arc::ptr_eq(old, new), "nothing happened to it");
    assert_eq!(after.executors_of("F").count(), 1);
    let ended = &after.frameworks["F"].completed_executors;
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0].completed_tasks.len(), 1);
    cluster.give(framework(false), named("t3", "exit 0"));
    cluster.run_until_logged("t3 TASK_FINISHED");
    cluster.simulation.run_for(Duration::from_secs(60));
    let last = agent.snapshot.load_full();
    let still = &last.frameworks["F"].completed_executors;
    assert_eq!(still.len(), 2);
    assert!(Arc::ptr_eq(&ended[0], &still[0]), "it ended long ago");
}

#[test]
fn a_picture_does_not_change_after_it_was_taken() {
    let mut cluster = Cluster::new();
    cluster.launch(framework(false), "sleep 3");
    let (_node, agent) = cluster.agent();
    cluster.run_until_logged("t TASK_RUNNING");
    let running = agent.snapshot.load_full();
    cluster.run_until_logged("t TASK_FINISHED");
    cluster.simulation.run_for(Duration::from_secs(60));
    let task = running.executors[&key("t")].tasks.values().next().unwrap();
    assert_eq!(
        (task.task.state(), &task.phase),
        (TaskState::TaskRunning, &Phase::Launched)
    );
    let ended = agent.snapshot.load_full();
    assert!(ended.executors.is_empty() && ended.frameworks.is_empty());
    let completed = &ended.completed_frameworks[0];
    assert_eq!(completed.info.id, Some(framework_id()));
    let tasks = &completed.completed_executors[0].completed_tasks;
    assert_eq!(tasks.peek().unwrap().task.state(), TaskState::TaskFinished);
}

#[test]
fn a_framework_that_comes_back_is_remembered_once_with_all_that_ended() {
    let mut cluster = Cluster::new();
    cluster.launch(framework(false), "exit 0");
    let (_node, agent) = cluster.agent();
    cluster.run_until_logged("t TASK_FINISHED");
    cluster.simulation.run_for(Duration::from_secs(60));
    let first = agent.snapshot.load_full();
    assert_eq!(first.completed_frameworks.len(), 1);

    cluster.give(framework(false), named("t2", "sleep 3"));
    cluster.run_until_logged("t2 TASK_RUNNING");
    let running = agent.snapshot.load_full();
    assert_eq!(running.completed_frameworks.len(), 0, "it is back");
    let ended = &running.frameworks["F"].completed_executors;
    let past = &first.completed_frameworks[0].completed_executors;
    assert!(Arc::ptr_eq(&ended[0], &past[0]), "it ended long ago");

    cluster.run_until_logged("t2 TASK_FINISHED");
    cluster.simulation.run_for(Duration::from_secs(60));
    let last = agent.snapshot.load_full();
    assert_eq!(last.completed_frameworks.len(), 1);
    let ended = last.completed_frameworks[0].completed_executors.iter();
    let ids: Vec<&str> = ended
        .map(|view| view.info.executor_id.value.as_str())
        .collect();
    assert_eq!(ids, ["t", "t2"]);
}

#[test]
fn what_a_framework_says_of_itself_is_kept_up_to_date() {
    let mut cluster = Cluster::new();
    cluster.launch(framework(false), "sleep 1000");
    let (node, agent) = cluster.agent();
    cluster.run_until_logged("t TASK_RUNNING");
    let info = FrameworkInfo {
        hostname: Some("else".to_owned()),
        ..framework(false)
    };
    let update = UpdateFramework {
        framework_id: framework_id(),
        framework_info: Some(info),
        ..UpdateFramework::default()
    };
    node.send(&cluster.master, &agent.pid, update);
    cluster.simulation.run_for(Duration::from_secs(1));
    let snapshot = agent.snapshot.load();
    assert_eq!(snapshot.frameworks["F"].info.hostname(), "else");
}
