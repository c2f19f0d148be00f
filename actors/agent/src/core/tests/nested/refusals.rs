//! What cannot be done with nested containers, and the words for it.
//!
//! Mesos 1.11 was asked each of these, and answered so, but where something else is said.

use tepui_protocol::mesos::v1::value::Scalar;
use tepui_protocol::mesos::v1::{ContainerInfo, LinuxInfo, container_info};

use super::*;

type Part = agent::call::LaunchContainer;

/// An agent in whose executor's container, which is named, too, the container `n` runs.
fn stage() -> (Rig, String, ContainerId) {
    let (mut rig, root) = running();
    let n = nested(&root, "n");
    rig.nest(&n);
    let deep = ContainerId {
        value: "d".to_owned(),
        parent: Some(Box::new(n)),
    };
    (rig, root, deep)
}

fn invalid(problem: &str) -> String {
    format!("Failed to validate agent::Call: {problem}")
}

fn mesos() -> ContainerInfo {
    ContainerInfo {
        r#type: container_info::Type::Mesos as i32,
        ..ContainerInfo::default()
    }
}

fn own_cgroups(part: &mut Part) {
    part.container = Some(ContainerInfo {
        linux_info: Some(LinuxInfo {
            share_cgroups: Some(false),
            ..LinuxInfo::default()
        }),
        ..mesos()
    });
}

fn limit(part: &mut Part) {
    part.limits.insert("cpus".to_owned(), Scalar { value: 1.0 });
}

#[test]
fn an_id_that_is_none_is_named() {
    let (mut rig, root, _) = stage();
    let long = "x".repeat(243);
    let too_long = format!("'ContainerID.value' '{long}' exceeds the maximum length (242)");
    for (id, problem) in [
        (nested(&root, ""), "ID must not be empty"),
        (
            nested(&root, "x y"),
            "'ContainerID.value' 'x y' contains invalid characters",
        ),
        (
            nested(&root, "x.y"),
            "'ContainerID.value' 'x.y' contains invalid characters",
        ),
        (
            nested("a b", "x"),
            "'ContainerID.parent' is invalid: 'ContainerID.value' 'a b' contains invalid \
             characters",
        ),
        (nested(&root, &long), too_long.as_str()),
    ] {
        let expected = invalid(&format!(
            "'launch_container.container_id' is invalid: {problem}"
        ));
        assert_eq!(refusal(&rig.ask(launch(&id))), (400, expected));
    }
}

#[test]
fn what_a_container_deep_inside_cannot_have_is_named() {
    let (mut rig, _, deep) = stage();
    let resources: fn(&mut Part) = |part| part.resources = vec![scalar("cpus", 0.1)];
    for (change, problem) in [
        (resources, "specify resources"),
        (limit, "specify resource limits"),
        (own_cgroups, "set 'share_cgroups' to 'false'"),
    ] {
        let expected = invalid(&format!(
            "'launch_container' is invalid: containers nested at the second level or greater \
             cannot {problem}"
        ));
        let effects = rig.ask(launch_with(&deep, change));
        assert_eq!(refusal(&effects), (400, expected));
    }
}

#[test]
fn what_is_not_there_is_not_found() {
    let (mut rig, root, _) = stage();
    let none = nested(&root, "zzz");
    for (call, status, problem) in [
        (
            launch(&nested("other", "n")),
            400,
            "Parent container other does not exist".to_owned(),
        ),
        (
            kill(&none, None),
            404,
            format!("Container '{none}' cannot be found (or is already killed)"),
        ),
        (
            wait(&none),
            404,
            format!("Container {none} cannot be found"),
        ),
        (
            wait(&nested("other", "zzz")),
            404,
            "Container other.zzz cannot be found".to_owned(),
        ),
        (
            remove(&nested("other", "zzz")),
            500,
            "Unknown root container".to_owned(),
        ),
    ] {
        let what = format!("{call:?}");
        assert_eq!(refusal(&rig.ask(call)), (status, problem), "{what}");
    }
}

/// Mesos offers the last two.
#[test]
fn a_call_that_is_none_is_refused_by_its_name() {
    let (mut rig, root, _) = stage();
    let solo = agent::call::RemoveNestedContainer {
        container_id: container_id("solo"),
    };
    for (call, status, problem) in [
        (
            agent::Call::default(),
            400,
            invalid("Expecting 'type' to be present"),
        ),
        (
            agent_call(Type::WaitNestedContainer),
            400,
            invalid("Expecting 'wait_nested_container' to be present"),
        ),
        (
            agent::Call {
                remove_nested_container: Some(solo),
                ..agent_call(Type::RemoveNestedContainer)
            },
            400,
            invalid("Expecting 'remove_nested_container.container_id.parent' to be present"),
        ),
        (
            agent_call(Type::Unknown),
            501,
            "501 Not Implemented.".to_owned(),
        ),
        (
            agent_call(Type::PruneImages),
            501,
            "PRUNE_IMAGES is not offered".to_owned(),
        ),
        (
            kill(&container_id(&root), None),
            501,
            "KILL_CONTAINER of a container without container_id.parent, a standalone one, is \
             not offered"
                .to_owned(),
        ),
    ] {
        let what = format!("{call:?}");
        assert_eq!(refusal(&rig.ask(call)), (status, problem), "{what}");
    }
}

/// The first is Mesos'; the others it takes, and does not do them.
#[test]
fn what_cannot_be_honoured_is_refused_by_the_name_of_the_field() {
    let (mut rig, root, _) = stage();
    let docker: fn(&mut Part) = |part| {
        part.container = Some(ContainerInfo {
            r#type: container_info::Type::Docker as i32,
            ..ContainerInfo::default()
        });
    };
    for (change, problem) in [
        (
            docker,
            "The provided ContainerInfo is not supported".to_owned(),
        ),
        (
            |part| part.command = None,
            invalid("Expecting 'launch_container.command' to be present"),
        ),
        (
            limit,
            invalid(
                "'launch_container' is invalid: resource limits need 'share_cgroups' to be \
                 'false'",
            ),
        ),
        (
            |part| part.container = Some(with_volume()),
            "this agent cannot honour launch_container.container.volumes".to_owned(),
        ),
        (
            |part| {
                own_cgroups(part);
                part.limits.insert("disk".to_owned(), Scalar { value: 1.0 });
            },
            "this agent cannot honour launch_container.limits.disk".to_owned(),
        ),
    ] {
        let effects = rig.ask(launch_with(&nested(&root, "m"), change));
        assert_eq!(refusal(&effects), (400, problem));
    }
}
