//! Nested containers of the simulated world: a command in one is a script.

use tepui_containerizer::simulated::Trouble;
use tepui_protocol::mesos::v1::ContainerId;
use tepui_protocol::tepui::containerizer::{Destroy, Kill, Remove};

use crate::cluster::{Cluster, relative};

/// A root `c` that lasts.
fn cluster() -> Cluster {
    let mut cluster = Cluster::start("sleep 1000", None);
    assert_eq!(cluster.launch(true).error, None);
    cluster
}

fn id(text: &str) -> ContainerId {
    text.parse().unwrap()
}

/// What was told from the third line on: before that the root's task came to run.
fn told(cluster: &mut Cluster) -> Vec<String> {
    relative(cluster.log().split_off(2))
}

#[test]
fn a_nested_command_lasts_as_its_script_says() {
    let mut cluster = cluster();
    let orphan = cluster.nest("x.n", "true").error;
    assert_eq!(orphan.as_deref(), Some("Parent container x does not exist"));
    let launched = cluster.nest("c.n", "sleep 3; exit 2");
    assert_eq!(launched.error, None);
    assert_eq!(launched.container_id, id("c.n"));
    assert_eq!(cluster.nest("c.n.check", "sleep 1").error, None);
    assert_eq!(told(&mut cluster), ["0 c.n.check 0 -", "2 c.n 512 -"]);
    let again = cluster.nest("c.n", "true").error;
    assert_eq!(again.as_deref(), Some("Container already started"));
    cluster.send(Remove {
        container_id: id("c.n"),
    });
    cluster.run_for(1);
    assert_eq!(cluster.nest("c.n", "exit 1").error, None);
    assert_eq!(
        told(&mut cluster)
            .last()
            .unwrap()
            .split_once(' ')
            .unwrap()
            .1,
        "c.n 256 -"
    );
}

#[test]
fn a_nested_command_is_signaled() {
    let mut cluster = cluster();
    assert_eq!(cluster.nest("c.a", "sleep 1000").error, None);
    assert_eq!(cluster.nest("c.b", "trap '' TERM; sleep 1000").error, None);
    let kill = |container: &str, signal| Kill {
        container_id: id(container),
        signal,
    };
    cluster.send(kill("c.a", 15));
    cluster.send(kill("c.b", 15));
    cluster.run_for(5);
    cluster.send(kill("c.b", 9));
    assert_eq!(told(&mut cluster), ["0 c.a 15 -", "5 c.b 9 -"]);
}

#[test]
fn nested_containers_end_with_the_root() {
    let mut cluster = cluster();
    assert_eq!(cluster.nest("c.a", "sleep 1000").error, None);
    assert_eq!(cluster.nest("c.a.x", "sleep 1000").error, None);
    cluster.send(Destroy {
        container_id: id("c"),
    });
    let expected = ["0 c.a.x 9 -", "0 c.a 9 -", "terminated Some(9) None"];
    assert_eq!(told(&mut cluster), expected);
    let left = cluster.node.processes().into_iter();
    let left: Vec<String> = left.map(|process| process.pid.id().to_owned()).collect();
    assert_eq!(left, ["containerizer(1)", "slave(1)"]);
}

#[test]
fn memory_that_is_used_up_is_that_of_all() {
    let mut cluster = cluster();
    assert_eq!(cluster.nest("c.a", "sleep 2; exceed 64").error, None);
    assert_eq!(cluster.nest("c.b", "sleep 1000").error, None);
    let reason = "REASON_CONTAINER_LIMITATION_MEMORY";
    let expected = [
        format!("0 c.a 9 {reason}"),
        format!("0 c.b 9 {reason}"),
        "terminated Some(9) None".to_owned(),
    ];
    assert_eq!(told(&mut cluster), expected);
}

#[test]
fn a_nested_container_goes_wrong_as_it_is_told_to() {
    let trouble = Trouble {
        dies: 1,
        ..Trouble::default()
    };
    let mut dies = Cluster::troubled("sleep 1000", None, trouble);
    assert_eq!(dies.launch(true).error, None);
    assert_eq!(dies.nest("c.a", "start 2; sleep 1000").error, None);
    let told = dies.log();
    assert!(
        told.iter().any(|line| line.ends_with("c.a 9 -")),
        "{told:?}"
    );
}
