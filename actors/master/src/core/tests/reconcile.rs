//! RECONCILE by its six rules.

use std::time::Duration;

use tepui_protocol::mesos::internal::{Registry, registry};
use tepui_protocol::mesos::v1::framework_info::capability::Type as Capability;
use tepui_protocol::mesos::v1::scheduler::call::{self, Reconcile, reconcile};
use tepui_protocol::mesos::v1::task_status::{Reason, Source};
use tepui_protocol::mesos::v1::{AgentId, TaskId, TaskState, TaskStatus, TimeInfo};

use super::bench::{Bench, framework_info, pid, registry_of};
use crate::MasterOptions;

fn reconcile(bench: &mut Bench, id: &str, tasks: &[(&str, Option<&str>)]) -> Vec<TaskStatus> {
    let tasks = tasks
        .iter()
        .map(|(task, agent)| reconcile::Task {
            task_id: TaskId {
                value: (*task).into(),
            },
            agent_id: agent.map(|agent| AgentId {
                value: agent.into(),
            }),
        })
        .collect();
    let mut call = Bench::of(id, call::Type::Reconcile);
    call.reconcile = Some(Reconcile { tasks });
    bench.call("a", call);
    bench.take_statuses("a")
}

/// Both kinds of frameworks, and what they hear instead of `aware`.
fn both(aware: TaskState) -> [(&'static [Capability], TaskState); 2] {
    [
        (&[], TaskState::TaskLost),
        (&[Capability::PartitionAware], aware),
    ]
}

#[test]
fn r1_a_known_task_has_the_state_that_the_framework_was_told() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let agent = bench.agent("s", "cpus:4;mem:1024");
    bench.run("a", &id, &agent, "t");
    let told = (TaskState::TaskRunning, TaskState::TaskFinished);
    bench.status("s", &id, &agent, "t", told, 1);
    bench.take_events("a");
    let statuses = reconcile(&mut bench, &id, &[("t", None)]);
    assert_eq!(statuses.len(), 1);
    assert_eq!(statuses[0].state(), TaskState::TaskRunning);
    assert_eq!(statuses[0].message(), "Reconciliation: Latest task state");
    assert_eq!(
        (statuses[0].source(), statuses[0].reason()),
        (Source::Master, Reason::Reconciliation)
    );
    assert!(statuses[0].uuid.is_none());
    assert_eq!(statuses[0].agent_id.as_ref().unwrap().value, agent);
}

#[test]
fn r2_there_is_no_answer_while_an_agent_may_still_come_back() {
    for capabilities in [&[][..], &[Capability::PartitionAware]] {
        let registry = registry_of(&["old-S0"]);
        let mut bench = Bench::recovering(MasterOptions::default(), registry);
        let id = bench.subscribe("a", framework_info(capabilities));
        assert!(reconcile(&mut bench, &id, &[("t", Some("old-S0"))]).is_empty());
        assert!(reconcile(&mut bench, &id, &[("t", None)]).is_empty());
        // Of another agent there is nothing to wait for.
        assert_eq!(reconcile(&mut bench, &id, &[("t", Some("other"))]).len(), 1);
    }
}

#[test]
fn r3_a_registered_agent_does_not_know_the_task() {
    for (capabilities, expected) in both(TaskState::TaskGone) {
        let mut bench = Bench::new();
        let id = bench.subscribe("a", framework_info(capabilities));
        let agent = bench.agent("s", "cpus:4");
        let statuses = reconcile(&mut bench, &id, &[("t", Some(&agent))]);
        assert_eq!(statuses[0].state(), expected);
        assert_eq!(
            statuses[0].message(),
            "Reconciliation: Task is unknown to the agent"
        );
    }
}

#[test]
fn r4_an_unreachable_agent_says_since_when() {
    for (capabilities, expected) in both(TaskState::TaskUnreachable) {
        let mut bench = Bench::new();
        let id = bench.subscribe("a", framework_info(capabilities));
        let agent = bench.agent("s", "cpus:4");
        bench.silent.insert(pid("s"));
        bench.pass(Duration::from_secs(120));
        bench.take_events("a");
        let statuses = reconcile(&mut bench, &id, &[("t", Some(&agent))]);
        assert_eq!(statuses[0].state(), expected);
        // It came at 1000 s and answered the first ping; the five from 1015 s on it did not.
        let since = statuses[0].unreachable_time.unwrap().nanoseconds;
        assert_eq!(since, (1000 + 90) * 1_000_000_000);
        assert_eq!(statuses[0].message(), "Reconciliation: Task is unreachable");
    }
}

#[test]
fn r5_an_agent_marked_gone() {
    for (capabilities, expected) in both(TaskState::TaskGoneByOperator) {
        let gone = registry::GoneAgent {
            id: AgentId {
                value: "old-S0".into(),
            },
            timestamp: TimeInfo { nanoseconds: 5 },
        };
        let registry = Registry {
            gone: Some(registry::GoneAgents { agents: vec![gone] }),
            ..Registry::default()
        };
        let mut bench = Bench::recovering(MasterOptions::default(), registry);
        let id = bench.subscribe("a", framework_info(capabilities));
        let statuses = reconcile(&mut bench, &id, &[("t", Some("old-S0"))]);
        assert_eq!(statuses[0].state(), expected);
        assert_eq!(statuses[0].message(), "Reconciliation: Task is gone");
    }
}

#[test]
fn r6_nobody_knows() {
    for (capabilities, expected) in both(TaskState::TaskUnknown) {
        let mut bench = Bench::new();
        let id = bench.subscribe("a", framework_info(capabilities));
        let statuses = reconcile(&mut bench, &id, &[("t", None), ("u", Some("m-S9"))]);
        let shown: Vec<_> = statuses
            .iter()
            .map(|s| (s.state(), s.agent_id.is_some(), s.message()))
            .collect();
        let message = "Reconciliation: Task is unknown";
        assert_eq!(
            shown,
            [(expected, false, message), (expected, true, message)]
        );
    }
}

#[test]
fn no_tasks_means_all_but_unreachable_and_completed_ones() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let agent = bench.agent("s", "cpus:4;mem:1024");
    let lost = bench.agent("t", "cpus:4;mem:1024");
    for (agent, task) in [(&agent, "t1"), (&agent, "t2"), (&lost, "t3")] {
        bench.run("a", &id, agent, task);
    }
    bench.status(
        "s",
        &id,
        &agent,
        "t2",
        (TaskState::TaskFinished, TaskState::TaskFinished),
        1,
    );
    bench.acknowledge("a", &id, &agent, "t2", 1);
    bench.silent.insert(pid("t"));
    bench.pass(Duration::from_secs(120));
    bench.take_events("a");
    let statuses = reconcile(&mut bench, &id, &[]);
    let shown: Vec<_> = statuses
        .iter()
        .map(|s| (s.task_id.value.as_str(), s.state()))
        .collect();
    assert_eq!(shown, [("t1", TaskState::TaskStaging)]);
}
