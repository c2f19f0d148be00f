//! The simulated containerizer, through its messages and those of its executors: the same answers
//! as the real one gives, in virtual time.

#[cfg(test)]
#[path = "simulated/cluster.rs"]
mod cluster;

use tepui_containerizer::simulated::Trouble;
use tepui_protocol::mesos::v1::ContainerId;
use tepui_protocol::tepui::containerizer::Destroy;

use crate::cluster::{Cluster, relative};

#[test]
fn a_task_ends_as_its_script_says() {
    let mut cluster = Cluster::start("sleep 3; exit 1", None);
    assert_eq!(cluster.launch(true).error, None);
    let expected = [
        "0 TASK_STARTING ",
        "0 TASK_RUNNING ",
        "3 TASK_FAILED Command exited with status 1",
        "terminated Some(0) None",
    ];
    assert_eq!(relative(cluster.log()), expected);
}

#[test]
fn containers_go_wrong_as_they_are_told_to() {
    let start = |trouble| Cluster::troubled("sleep 1000", None, trouble);
    let mut fails = start(Trouble {
        fails: 1,
        ..Trouble::default()
    });
    let problem = fails.launch(true).error.unwrap();
    assert!(
        problem.contains("no container can be made now"),
        "{problem}"
    );
    let mut hangs = start(Trouble {
        hangs: 1,
        ..Trouble::default()
    });
    assert_eq!(hangs.launch(true).error, None);
    assert!(hangs.log().is_empty(), "its executor never says a word");
    let mut dies = start(Trouble {
        dies: 1,
        slow: 1,
        ..Trouble::default()
    });
    assert_eq!(dies.launch(true).error, None);
    assert_eq!(dies.log().last().unwrap(), "terminated Some(9) None");
}

#[test]
fn a_kill_escalates_in_virtual_time() {
    let mut cluster = Cluster::start("trap '' TERM; sleep 1000", Some(10));
    assert_eq!(cluster.launch(true).error, None);
    let expected = [
        "0 TASK_STARTING ",
        "0 TASK_RUNNING ",
        "13 TASK_KILLED Command terminated with signal Killed",
        "terminated Some(0) None",
    ];
    assert_eq!(relative(cluster.log()), expected);
}

#[test]
fn a_destroyed_container_takes_its_executor_with_it() {
    let mut cluster = Cluster::start("sleep 1000", None);
    assert_eq!(cluster.launch(true).error, None);
    assert_eq!(cluster.log().len(), 2);
    let destroy = Destroy {
        container_id: ContainerId::top("c"),
    };
    cluster
        .node
        .send(&cluster.agent, &cluster.containerizer, destroy);
    assert_eq!(cluster.log().last().unwrap(), "terminated Some(9) None");
    let left: Vec<String> = cluster
        .node
        .processes()
        .into_iter()
        .map(|process| process.pid.id().to_owned())
        .collect();
    assert_eq!(left, ["containerizer(1)", "slave(1)"]);
}

#[test]
fn a_frameworks_own_executor_lasts_as_its_command_says() {
    let mut cluster = Cluster::start("true", None);
    assert_eq!(cluster.launch(false).error, None);
    assert_eq!(cluster.log(), ["terminated Some(512) None"]);
}
