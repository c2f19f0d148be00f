//! The simulated containerizer, through its messages and those of its executors: the same answers
//! as the real one gives, in virtual time.

#[cfg(test)]
#[path = "simulated/cluster.rs"]
mod cluster;
#[cfg(test)]
#[path = "simulated/nested.rs"]
mod nested;

use std::time::Duration;

use tepui_containerizer::simulated::Trouble;
use tepui_protocol::mesos::v1::{CommandInfo, ContainerId, HealthCheck, health_check};
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
    let mut slow = start(Trouble {
        slow: 1,
        ..Trouble::default()
    });
    assert_eq!(slow.launch(true).error, None);
    let before = slow.node.clock().now();
    slow.update("cpus:2;mem:128", &[]);
    let took = slow.node.clock().now().since(before);
    assert!(
        took > Duration::ZERO && took < Duration::from_secs(2),
        "{took:?}"
    );
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
fn a_health_check_is_a_script_too() {
    let check = |command: &str| HealthCheck {
        r#type: Some(health_check::Type::Command as i32),
        command: Some(CommandInfo {
            value: Some(command.to_owned()),
            ..CommandInfo::default()
        }),
        delay_seconds: Some(1.5),
        interval_seconds: Some(2.0),
        timeout_seconds: Some(4.0),
        grace_period_seconds: Some(0.0),
        consecutive_failures: Some(2),
        ..HealthCheck::default()
    };
    for (command, first, second) in [("sleep 1; exit 1", 2, 5), ("sleep 60", 5, 11)] {
        let mut ill = Cluster::checked("sleep 1000", check(command));
        assert_eq!(ill.launch(true).error, None);
        let expected = [
            "0 TASK_STARTING ".to_owned(),
            "0 TASK_RUNNING ".to_owned(),
            format!("{first} TASK_RUNNING  false"),
            format!("{second} TASK_RUNNING  false"),
            format!("{second} TASK_KILLED Command terminated with signal Terminated false"),
            "terminated Some(0) None".to_owned(),
        ];
        assert_eq!(relative(ill.log()), expected);
    }
    let mut well = Cluster::checked("sleep 20", check("sleep 1"));
    assert_eq!(well.launch(true).error, None);
    let expected = [
        "0 TASK_STARTING ",
        "0 TASK_RUNNING ",
        "2 TASK_RUNNING  true",
        "20 TASK_FINISHED Command exited with status 0",
        "terminated Some(0) None",
    ];
    assert_eq!(relative(well.log()), expected);
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

#[test]
fn the_usage_tells_the_limits_of_the_launch_and_then_of_the_last_update() {
    let mut cluster = Cluster::start("sleep 1000", None);
    let told = |cluster: &mut Cluster| {
        let containers = cluster.inspect();
        let statistics = containers[0].statistics.clone().unwrap();
        (
            statistics.cpus_soft_limit,
            statistics.cpus_limit,
            statistics.mem_soft_limit_bytes,
            statistics.mem_limit_bytes,
        )
    };
    assert_eq!(cluster.launch(true).error, None);
    let (cpus, mem) = (Some(0.5), Some(64 << 20));
    // Cpus that are asked for are no limit by themselves.
    assert_eq!(told(&mut cluster), (cpus, None, mem, mem));
    cluster.update("cpus:2;mem:128", &[("cpus", 3.0), ("mem", f64::INFINITY)]);
    let (cpus, mem) = (Some(2.0), Some(128 << 20));
    assert_eq!(told(&mut cluster), (cpus, Some(3.0), mem, None));
}
