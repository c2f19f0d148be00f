//! A framework that is away and comes back: how long it may be, what it may have changed, and what
//! it hears of what happened meanwhile.

use std::time::Duration;

use tepui_protocol::mesos::v1::framework_info::capability::Type as Capability;
use tepui_protocol::mesos::v1::scheduler::call::{self, Subscribe};
use tepui_protocol::mesos::v1::scheduler::event;
use tepui_protocol::mesos::v1::{FrameworkId, FrameworkInfo, TaskState};

use super::bench::{Bench, command_task, framework_info, launch};
use crate::core::{Timer, ToAllocator};

use TaskState::{TaskFinished, TaskRunning};

fn with_timeout(seconds: Option<f64>) -> FrameworkInfo {
    FrameworkInfo {
        failover_timeout: seconds,
        ..framework_info(&[])
    }
}

fn again(id: &str, info: FrameworkInfo) -> FrameworkInfo {
    FrameworkInfo {
        id: Some(FrameworkId { value: id.into() }),
        ..info
    }
}

fn multi_role(roles: &[&str]) -> FrameworkInfo {
    FrameworkInfo {
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        ..framework_info(&[Capability::MultiRole])
    }
}

#[test]
fn failover_timeout_is_kept_to_the_millisecond() {
    for (seconds, millis) in [(0.5, 500), (1.25, 1250), (60.0, 60_000)] {
        let mut bench = Bench::new();
        let id = bench.subscribe("a", with_timeout(Some(seconds)));
        bench.exited("a");
        bench.pass(Duration::from_millis(millis - 1));
        assert!(bench.core.snapshot().framework(&id).is_some());
        bench.pass(Duration::from_millis(1));
        assert!(bench.core.snapshot().is_completed(&id));
    }
}

#[test]
fn the_longest_failover_timeout_outlasts_everybody() {
    let mut bench = Bench::new();
    let id = bench.subscribe("a", with_timeout(Some(9.2e9)));
    bench.exited("a");
    bench.pass(Duration::from_secs(100 * 365 * 86_400));
    assert!(bench.core.snapshot().framework(&id).is_some());
}

#[test]
fn who_asks_for_no_time_is_removed_at_once_and_was_told_so() {
    for seconds in [None, Some(0.0), Some(-5.0)] {
        let mut bench = Bench::new();
        let id = bench.subscribe("a", with_timeout(seconds));
        let snapshot = bench.core.snapshot();
        let note = snapshot.framework(&id).unwrap().failover_note().unwrap();
        assert!(note.starts_with("failover_timeout is 0: "), "{note}");
        assert_eq!(bench.warnings, [format!("framework {id}: {note}")]);
        bench.exited("a");
        assert!(bench.core.snapshot().is_completed(&id));
    }
    let mut bench = Bench::new();
    let id = bench.subscribe("a", with_timeout(Some(0.001)));
    assert!(
        bench
            .core
            .snapshot()
            .framework(&id)
            .unwrap()
            .failover_note()
            .is_none()
    );
    assert!(bench.warnings.is_empty());
    // It may change its mind.
    bench.subscribe("a", again(&id, with_timeout(None)));
    assert_eq!(bench.warnings.len(), 1);
    bench.exited("a");
    assert!(bench.core.snapshot().is_completed(&id));
}

#[test]
fn who_is_back_in_time_goes_on_as_before() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let agent = bench.agent("s", "cpus:4;mem:1024");
    bench.run("a", &id, &agent, "t");
    bench.exited("a");
    assert!(
        bench
            .timers
            .contains_key(&Timer::FrameworkFailover(id.clone()))
    );
    // An update while it is away is not lost: the agent sends it again until it is acknowledged.
    bench.status("s", &id, &agent, "t", (TaskRunning, TaskRunning), 1);
    assert_eq!(bench.count("master/invalid_status_updates"), 1);
    bench.to_allocator.clear();
    bench.subscribe("b", again(&id, framework_info(&[])));
    assert!(
        !bench
            .timers
            .contains_key(&Timer::FrameworkFailover(id.clone()))
    );
    assert!(matches!(
        &bench.to_allocator[..],
        [
            ToAllocator::UpdateFramework(_),
            ToAllocator::ActivateFramework(_)
        ]
    ));
    bench.status("s", &id, &agent, "t", (TaskRunning, TaskRunning), 1);
    assert_eq!(bench.take_statuses("b")[0].state(), TaskRunning);
    bench.pass(Duration::from_secs(3600));
    assert_eq!(bench.state_of(&id, "t"), Some(TaskRunning));
    // The time counts from each disconnection.
    bench.exited("b");
    bench.pass(Duration::from_secs(59));
    bench.subscribe("c", again(&id, framework_info(&[])));
    bench.exited("c");
    bench.pass(Duration::from_secs(59));
    assert!(bench.core.snapshot().framework(&id).is_some());
}

#[test]
fn a_task_that_ended_while_its_framework_was_away_waits_for_it() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let agent = bench.agent("s", "cpus:4;mem:1024");
    bench.run("a", &id, &agent, "t");
    bench.exited("a");
    bench.take_recovered();
    bench.status("s", &id, &agent, "t", (TaskFinished, TaskFinished), 1);
    // What it used is free at once; the task itself stays until it is acknowledged.
    assert_eq!(bench.take_recovered(), [("cpus:1;mem:64".to_owned(), None)]);
    bench.subscribe("b", again(&id, framework_info(&[])));
    let mut reconcile = Bench::of(&id, call::Type::Reconcile);
    reconcile.reconcile = Some(call::Reconcile::default());
    bench.call("b", reconcile);
    assert_eq!(bench.take_statuses("b")[0].state(), TaskFinished);
    bench.acknowledge("b", &id, &agent, "t", 1);
    assert_eq!(bench.state_of(&id, "t"), None);
}

#[test]
fn only_the_last_connection_may_call() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    for (before, now) in [("a", "b"), ("b", "c"), ("c", "a")] {
        bench.subscribe(now, again(&id, framework_info(&[])));
        let events = bench.take_events(before);
        let errors: Vec<&str> = events
            .iter()
            .filter_map(|event| event.error.as_ref())
            .map(|error| error.message.as_str())
            .collect();
        assert_eq!(errors, ["Framework failed over"]);
        bench.call(before, Bench::of(&id, call::Type::Teardown));
        assert!(bench.core.snapshot().framework(&id).is_some());
    }
    bench.call("a", Bench::of(&id, call::Type::Teardown));
    assert!(bench.core.snapshot().is_completed(&id));
}

#[test]
fn a_role_that_was_left_keeps_its_tasks_and_loses_its_offers() {
    let mut bench = Bench::new();
    let id = bench.subscribe("a", multi_role(&["x", "y"]));
    let agent = bench.agent("s", "cpus:4;mem:1024");
    let offer = bench.offer_in(&id, &agent, "x", "cpus:1;mem:64").remove(0);
    let task = command_task("t", &agent, "cpus:1;mem:64");
    bench.accept("a", &id, &[&offer], vec![launch(vec![task])], None);
    let left = bench.offer_in(&id, &agent, "x", "cpus:1").remove(0);
    bench.offer_in(&id, &agent, "y", "cpus:1");
    bench.take_events("a");
    bench.to_allocator.clear();
    // The same process again: all its offers are rescinded, as it may not know of them.
    bench.subscribe_with(
        "a",
        Subscribe {
            framework_info: again(&id, multi_role(&["y", "z"])),
            suppressed_roles: vec!["z".into()],
            ..Subscribe::default()
        },
    );
    let events = bench.take_events("a");
    let types: Vec<_> = events.iter().map(|event| event.r#type()).collect();
    use event::Type::{Rescind, Subscribed};
    assert_eq!(types, [Rescind, Rescind, Subscribed]);
    let rescinded = events[0].rescind.as_ref().unwrap();
    assert_eq!(rescinded.offer_id.value, left);
    let snapshot = bench.core.snapshot();
    let framework = snapshot.framework(&id).unwrap();
    assert_eq!(
        framework.roles().into_iter().collect::<Vec<_>>(),
        ["y", "z"]
    );
    assert_eq!(bench.state_of(&id, "t"), Some(TaskState::TaskStaging));
    let updated = bench.to_allocator.iter().find_map(|message| match message {
        ToAllocator::UpdateFramework(update) => Some(update),
        _ => None,
    });
    let updated = updated.unwrap();
    assert_eq!(updated.framework_info.roles, ["y", "z"]);
    assert_eq!(updated.suppressed_roles, ["z"]);
}

#[test]
fn capabilities_may_change_and_count_from_then_on() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let agent = bench.agent("s", "cpus:4;mem:1024");
    bench.run("a", &id, &agent, "t");
    bench.subscribe(
        "b",
        again(&id, framework_info(&[Capability::PartitionAware])),
    );
    bench.silent.insert(super::bench::pid("s"));
    bench.take_events("b");
    bench.pass(Duration::from_secs(120));
    let statuses = bench.take_statuses("b");
    assert_eq!(statuses[0].state(), TaskState::TaskUnreachable);
    // Its id is taken while the task may come back.
    let other = bench.agent("u", "cpus:4;mem:1024");
    let offer = bench.offer(&id, &other, "cpus:1;mem:64").remove(0);
    bench.take_events("b");
    bench.launch("b", &id, &offer, command_task("t", &other, "cpus:1;mem:64"));
    let statuses = bench.take_statuses("b");
    assert_eq!(
        statuses[0].message(),
        "Task reuses the ID of an unreachable task: t"
    );
}

#[test]
fn an_agent_that_is_disconnected_is_pinged_and_told_so() {
    let mut bench = Bench::new();
    let agent = bench.agent("s", "cpus:4");
    bench.exited("s");
    bench.silent.insert(super::bench::pid("s"));
    bench.pings.clear();
    bench.pass(Duration::from_secs(30));
    let told: Vec<bool> = bench
        .pings
        .iter()
        .map(|(_, connected)| *connected)
        .collect();
    assert_eq!(told, [false, false]);
    // Silence counts long before agent_reregister_timeout is over.
    bench.pass(Duration::from_secs(60));
    assert!(
        bench
            .core
            .snapshot()
            .unreachable_agents
            .contains_key(&agent)
    );
}
