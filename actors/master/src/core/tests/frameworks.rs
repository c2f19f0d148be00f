//! SUBSCRIBE, failover, disconnection and removal.

use std::time::Duration;

use tepui_protocol::mesos::internal::Registry;
use tepui_protocol::mesos::v1::framework_info::capability::Type as Capability;
use tepui_protocol::mesos::v1::scheduler::call::{self, Subscribe};
use tepui_protocol::mesos::v1::scheduler::{OfferConstraints, event, offer_constraints};
use tepui_protocol::mesos::v1::{
    FrameworkId, FrameworkInfo, OfferFilters, TaskState, offer_filters, value,
};

use super::bench::{Bench, framework_info, pid};
use crate::MasterOptions;
use crate::core::{ToAgent, ToAllocator};
use crate::snapshot::Connection;

/// What the ERROR event says that a subscription is answered with.
fn refusal(bench: &mut Bench, from: &str, subscribe: Subscribe) -> String {
    bench.subscribe_with(from, subscribe);
    let events = bench.take_events(from);
    let errors: Vec<String> = events
        .into_iter()
        .filter_map(|event| event.error)
        .map(|error| error.message)
        .collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    errors.into_iter().next().unwrap()
}

fn with(info: FrameworkInfo) -> Subscribe {
    Subscribe {
        framework_info: info,
        ..Subscribe::default()
    }
}

fn known(id: &str) -> FrameworkInfo {
    FrameworkInfo {
        id: Some(FrameworkId { value: id.into() }),
        ..framework_info(&[])
    }
}

#[test]
fn a_new_framework_gets_the_next_id_of_four_digits() {
    let mut bench = Bench::new();
    assert_eq!(bench.framework("a"), "m-0000");
    assert_eq!(bench.framework("b"), "m-0001");
    assert_eq!(bench.links, [pid("a"), pid("b")]);
    let added = bench
        .to_allocator
        .iter()
        .filter(|m| matches!(m, ToAllocator::AddFramework(_)));
    assert_eq!(added.count(), 2);
}

#[test]
fn subscribed_says_who_the_master_is_and_how_often_it_beats() {
    let mut bench = Bench::new();
    bench.subscribe_with("a", with(framework_info(&[])));
    let events = bench.take_events("a");
    let subscribed = events[0].subscribed.as_ref().unwrap();
    assert_eq!(subscribed.heartbeat_interval_seconds, Some(15.0));
    assert_eq!(subscribed.master_info.as_ref().unwrap().id, "m");
}

#[test]
fn a_scheduler_of_another_node_hears_a_heartbeat_each_15_seconds() {
    let beats = |bench: &mut Bench, seconds| {
        bench.pass(Duration::from_secs(seconds));
        let events = bench.take_events("a").into_iter();
        let beats = events.filter(|event| event.r#type() == event::Type::Heartbeat);
        beats.count()
    };
    let at = |pid| Bench::at(Some(pid), MasterOptions::default(), Registry::default());
    let mut bench = at("master@10.0.0.9:5050");
    let id = bench.framework("a");
    assert_eq!(beats(&mut bench, 14), 0);
    assert_eq!(beats(&mut bench, 1), 1);
    assert_eq!(beats(&mut bench, 45), 3);
    // Who subscribes again has one timer, who is away none.
    bench.subscribe("a", known(&id));
    assert_eq!(beats(&mut bench, 60), 4);
    bench.exited("a");
    assert_eq!(beats(&mut bench, 59), 0);
    bench.subscribe("a", known(&id));
    assert_eq!(beats(&mut bench, 15), 1);
    // An adapter is on the master's own node.
    let mut bench = at(&format!("master@{}", pid("a").address()));
    bench.framework("a");
    assert_eq!(beats(&mut bench, 60), 0);
}

#[test]
fn the_same_pid_without_id_is_the_same_framework() {
    let mut bench = Bench::new();
    assert_eq!(bench.framework("a"), "m-0000");
    assert_eq!(bench.framework("a"), "m-0000");
}

#[test]
fn an_id_that_nobody_knows_is_believed() {
    let mut bench = Bench::new();
    assert_eq!(bench.subscribe("a", known("other-0007")), "other-0007");
}

#[test]
fn another_pid_with_the_id_takes_over() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let agent = bench.agent("s", "cpus:4;mem:1024");
    bench.offer(&id, &agent, "cpus:4;mem:1024");
    bench.take_events("a");
    bench.to_allocator.clear();
    bench.subscribe("b", known(&id));

    // The old one hears of nothing but its end: no RESCIND.
    let old = bench.take_events("a");
    assert_eq!(old.len(), 1);
    assert_eq!(
        old[0].error.as_ref().unwrap().message,
        "Framework failed over"
    );
    let snapshot = bench.core.snapshot();
    let framework = snapshot.framework(&id).unwrap();
    assert_eq!(framework.connection, Connection::Connected(pid("b")));
    assert!(framework.active && framework.offers.is_empty());
    // Its filters go with the deactivation.
    let told: Vec<&str> = bench
        .to_allocator
        .iter()
        .map(|message| match message {
            ToAllocator::DeactivateFramework(_) => "deactivate",
            ToAllocator::Recover(message) => {
                assert!(message.filters.is_none());
                "recover"
            }
            ToAllocator::UpdateFramework(_) => "update",
            ToAllocator::ActivateFramework(_) => "activate",
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, ["deactivate", "recover", "update", "activate"]);
    // The end of the old one changes nothing any more.
    bench.exited("a");
    assert!(bench.core.snapshot().framework(&id).unwrap().connected());
}

#[test]
fn the_same_pid_with_its_id_gets_its_offers_rescinded() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let agent = bench.agent("s", "cpus:4;mem:1024");
    bench.offer(&id, &agent, "cpus:4;mem:1024");
    bench.take_events("a");
    bench.subscribe_with("a", with(known(&id)));
    assert_eq!(
        bench.take_types("a"),
        [event::Type::Rescind, event::Type::Subscribed]
    );
}

#[test]
fn user_and_checkpoint_stay_and_the_rest_is_replaced() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let info = FrameworkInfo {
        user: "other".into(),
        checkpoint: Some(false),
        name: "renamed".into(),
        ..known(&id)
    };
    bench.subscribe("b", info);
    let snapshot = bench.core.snapshot();
    let info = &snapshot.framework(&id).unwrap().info;
    assert_eq!((info.user.as_str(), info.checkpoint()), ("u", true));
    assert_eq!(info.name, "renamed");
}

#[test]
fn a_changed_principal_is_refused() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let info = FrameworkInfo {
        principal: Some("p".into()),
        ..known(&id)
    };
    assert_eq!(
        refusal(&mut bench, "b", with(info)),
        "Changing framework's principal is not allowed."
    );
    assert_eq!(
        bench.core.snapshot().framework(&id).unwrap().pid(),
        Some(&pid("a"))
    );
}

#[test]
fn agents_hear_of_a_framework_that_is_back() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    bench.agent("s", "cpus:4;mem:1024");
    bench.subscribe("b", known(&id));
    let messages = bench.take_agent_messages("s");
    assert!(
        matches!(&messages[..], [ToAgent::UpdateFramework(m)] if m.framework_id.value == id),
        "{messages:?}"
    );
}

#[test]
fn a_framework_has_failover_timeout_to_come_back() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let agent = bench.agent("s", "cpus:4;mem:1024");
    bench.run("a", &id, &agent, "t");
    bench.exited("a");
    bench.pass(Duration::from_secs(59));
    assert!(!bench.core.snapshot().framework(&id).unwrap().connected());
    bench.subscribe("b", known(&id));
    bench.pass(Duration::from_secs(600));
    assert_eq!(bench.state_of(&id, "t"), Some(TaskState::TaskStaging));
    bench.exited("b");
    bench.pass(Duration::from_secs(60));
    assert!(bench.core.snapshot().is_completed(&id));
    assert_eq!(
        refusal(&mut bench, "c", with(known(&id))),
        "Framework has been removed"
    );
}

#[test]
fn a_disconnected_framework_loses_its_offers() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let agent = bench.agent("s", "cpus:4;mem:1024");
    bench.offer(&id, &agent, "cpus:4;mem:1024");
    bench.take_recovered();
    bench.exited("a");
    assert_eq!(
        bench.take_recovered(),
        [("cpus:4;mem:1024".to_owned(), None)]
    );
    let snapshot = bench.core.snapshot();
    assert!(snapshot.offers.is_empty() && !snapshot.framework(&id).unwrap().active);
    // What was allocated to it meanwhile goes straight back.
    assert!(bench.offer(&id, &agent, "cpus:4;mem:1024").is_empty());
    assert_eq!(
        bench.take_recovered(),
        [("cpus:4;mem:1024".to_owned(), None)]
    );
}

#[test]
fn without_failover_timeout_the_framework_is_removed_at_once() {
    let mut bench = Bench::new();
    let id = bench.subscribe(
        "a",
        FrameworkInfo {
            failover_timeout: None,
            ..framework_info(&[])
        },
    );
    bench.exited("a");
    assert!(bench.core.snapshot().is_completed(&id));
}

#[test]
fn teardown_ends_tasks_without_a_word_to_the_framework() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let agent = bench.agent("s", "cpus:4;mem:1024");
    bench.run("a", &id, &agent, "t");
    bench.take_agent_messages("s");
    bench.take_events("a");
    bench.to_allocator.clear();
    bench.call("a", Bench::of(&id, call::Type::Teardown));

    assert!(bench.take_events("a").is_empty());
    let messages = bench.take_agent_messages("s");
    assert!(
        matches!(&messages[..], [ToAgent::ShutdownFramework(_)]),
        "{messages:?}"
    );
    assert!(matches!(
        bench.to_allocator.last(),
        Some(ToAllocator::RemoveFramework(_))
    ));
    assert_eq!(bench.take_recovered(), [("cpus:1;mem:64".to_owned(), None)]);
    let snapshot = bench.core.snapshot();
    let completed = snapshot.completed_frameworks.get(&id).unwrap();
    let task = completed.completed_tasks.iter().next().unwrap().1;
    assert_eq!(task.state(), TaskState::TaskKilled);
    assert!(snapshot.agent(&agent).unwrap().tasks.is_empty());
    assert_eq!(
        bench.count("master/task_killed/source_master/reason_framework_removed"),
        1
    );
}

#[test]
fn only_so_many_completed_frameworks_are_remembered() {
    let options = MasterOptions {
        max_completed_frameworks: 1,
        ..MasterOptions::default()
    };
    let mut bench = Bench::with(options);
    for from in ["a", "b"] {
        let id = bench.framework(from);
        bench.call(from, Bench::of(&id, call::Type::Teardown));
    }
    let snapshot = bench.core.snapshot();
    assert!(!snapshot.is_completed("m-0000") && snapshot.is_completed("m-0001"));
}

#[test]
fn calls_of_others_and_unknown_frameworks_are_dropped() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    bench.framework("b");
    bench.call("b", Bench::of(&id, call::Type::Teardown));
    assert!(bench.core.snapshot().framework(&id).is_some());
    bench.call("a", Bench::of("nobody", call::Type::Teardown));
    bench.call("a", Bench::of(&id, call::Type::UpdateFramework));
    assert!(bench.core.snapshot().framework(&id).is_some());
}

#[test]
fn a_call_that_is_not_supported_is_dropped_and_counted() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    bench.call("a", Bench::of(&id, call::Type::Unknown));
    assert_eq!(bench.count("tepui/master/unsupported_calls"), 1);
    assert!(bench.take_events("a").is_empty());
}

#[test]
fn suppress_and_revive_reach_the_allocator_for_the_frameworks_own_roles() {
    let mut bench = Bench::new();
    let mut info = framework_info(&[Capability::MultiRole]);
    info.roles = vec!["x".into(), "y".into()];
    let id = bench.subscribe("a", info);
    bench.to_allocator.clear();
    let mut suppress = Bench::of(&id, call::Type::Suppress);
    suppress.suppress = Some(call::Suppress {
        roles: vec!["x".into()],
    });
    bench.call("a", suppress);
    let suppressed = |bench: &Bench| {
        let snapshot = bench.core.snapshot();
        let framework = snapshot.framework(&id).unwrap();
        framework
            .suppressed_roles
            .iter()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(suppressed(&bench), ["x"]);
    let mut foreign = Bench::of(&id, call::Type::Revive);
    foreign.revive = Some(call::Revive {
        roles: vec!["x".into(), "z".into()],
    });
    bench.call("a", foreign);
    assert_eq!(suppressed(&bench), ["x"]);
    bench.call("a", Bench::of(&id, call::Type::Revive));
    assert!(suppressed(&bench).is_empty());
    assert!(matches!(
        &bench.to_allocator[..],
        [ToAllocator::Suppress(s), ToAllocator::Revive(r)]
            if s.roles == ["x"] && r.roles.is_empty()
    ));
}

#[test]
fn what_a_framework_info_must_not_say() {
    use Capability::MultiRole;
    let multi = |roles: &[&str]| FrameworkInfo {
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        ..framework_info(&[MultiRole])
    };
    let plain = framework_info(&[]);
    let cases = [
        (
            FrameworkInfo {
                role: Some("x".into()),
                ..multi(&[])
            },
            "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable",
        ),
        (
            multi(&["x", "y", "x", "y"]),
            "'FrameworkInfo.roles' contains duplicate items: { x, y }",
        ),
        (
            FrameworkInfo {
                roles: vec!["x".into()],
                ..plain.clone()
            },
            "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable",
        ),
        (
            multi(&["x", "/y"]),
            "'FrameworkInfo.roles' contains invalid role: Role '/y' cannot start with a slash",
        ),
        (known("a/b"), "'a/b' contains invalid characters"),
        (known(".."), "'..' is disallowed"),
        (
            known(&"x".repeat(256)),
            "ID must not be greater than 255 characters",
        ),
    ];
    let roles = [
        ("", "Role names cannot be the empty string"),
        ("/x", "Role '/x' cannot start with a slash"),
        ("a/", "Role 'a/' cannot end with a slash"),
        ("a//b", "Role 'a//b' cannot contain two adjacent slashes"),
        ("a/..", "Role 'a/..' cannot include '..' as a component"),
        ("a/*", "Role 'a/*' cannot include '*' as a component"),
        (
            "-x",
            "Role component '-x' is invalid because it starts with a dash",
        ),
        (
            "a b",
            "Role component 'a b' is invalid because it contains backspace or whitespace",
        ),
    ];
    let roles = roles.map(|(role, problem)| {
        let info = FrameworkInfo {
            role: Some(role.into()),
            ..plain.clone()
        };
        (
            info,
            format!("'FrameworkInfo.role' is not a valid role: {problem}"),
        )
    });
    let timeouts = [(1e10, "1e+10"), (9.3e9, "9.3e+09"), (-1e300, "-1e+300")];
    let timeouts = timeouts.map(|(seconds, text)| {
        let info = FrameworkInfo {
            failover_timeout: Some(seconds),
            ..plain.clone()
        };
        (
            info,
            format!("The framework failover_timeout ({text}) is invalid"),
        )
    });
    let cases = cases.map(|(info, expected)| (info, expected.to_owned()));
    for (info, expected) in cases.into_iter().chain(roles).chain(timeouts) {
        let mut bench = Bench::new();
        assert_eq!(refusal(&mut bench, "a", with(info)), expected);
        assert!(bench.core.snapshot().frameworks.is_empty());
    }
}

#[test]
fn what_the_masters_options_forbid() {
    let options = MasterOptions {
        root_submissions: false,
        roles: Some(["allowed".to_owned()].into()),
        ..MasterOptions::default()
    };
    let mut bench = Bench::with(options);
    let root = FrameworkInfo {
        user: "root".into(),
        ..framework_info(&[])
    };
    assert_eq!(
        refusal(&mut bench, "a", with(root)),
        "User 'root' is not allowed to run frameworks without --root_submissions set"
    );
    let foreign = FrameworkInfo {
        role: Some("x".into()),
        ..framework_info(&[])
    };
    assert_eq!(
        refusal(&mut bench, "a", with(foreign)),
        "Roles 'x' are not present in the master's --roles"
    );
    bench.framework("a");
    let allowed = FrameworkInfo {
        role: Some("allowed".into()),
        ..framework_info(&[])
    };
    bench.subscribe("b", allowed);
}

#[test]
fn filters_suppressed_roles_and_constraints_are_checked() {
    let mut bench = Bench::new();
    let mut info = framework_info(&[]);
    let empty = offer_filters::ResourceQuantities::default();
    let minimum = offer_filters::MinAllocatableResources {
        quantities: vec![empty],
    };
    let filters = OfferFilters {
        min_allocatable_resources: Some(minimum),
    };
    info.offer_filters.insert("*".into(), filters);
    assert_eq!(
        refusal(&mut bench, "a", with(info.clone())),
        "Resource quantities must contain at least one quantity"
    );
    let negative = value::Scalar { value: -1.0 };
    let filters = info.offer_filters.get_mut("*").unwrap();
    let minimum = filters.min_allocatable_resources.as_mut().unwrap();
    minimum.quantities[0]
        .quantities
        .insert("cpus".into(), negative);
    assert_eq!(
        refusal(&mut bench, "a", with(info)),
        "Invalid resource quantity for 'cpus': Negative values not supported"
    );

    let mut subscribe = with(framework_info(&[]));
    subscribe.suppressed_roles = vec!["x".into()];
    assert_eq!(
        refusal(&mut bench, "a", subscribe),
        "Suppressed role 'x' is not contained in the list of roles"
    );
    let mut subscribe = with(framework_info(&[]));
    let constraints = offer_constraints::RoleConstraints::default();
    subscribe.offer_constraints = Some(OfferConstraints {
        role_constraints: [("*".to_owned(), constraints)].into(),
    });
    assert_eq!(
        refusal(&mut bench, "a", subscribe),
        "Offer constraints are not valid: 'OfferConstraints::role_constraints' has an empty \
         'RoleConstraints::groups' for role *"
    );
}

#[test]
fn a_process_is_one_framework() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    assert_eq!(
        refusal(&mut bench, "a", with(known("other-0000"))),
        format!("this process is subscribed as framework {id}")
    );
}

#[test]
fn no_more_frameworks_are_taken_than_may_be() {
    let options = MasterOptions {
        max_frameworks: 1,
        ..MasterOptions::default()
    };
    let mut bench = Bench::with(options);
    let id = bench.framework("a");
    let words = "there are 1 frameworks, and no more may be";
    assert_eq!(refusal(&mut bench, "b", with(framework_info(&[]))), words);
    assert_eq!(refusal(&mut bench, "b", with(known("unheard-of"))), words);
    assert_eq!(bench.framework("a"), id);
}
