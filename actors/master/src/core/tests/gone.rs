//! MARK_AGENT_GONE: an agent never comes back, and everybody who has to know does.

use std::time::Duration;

use tepui_protocol::mesos::internal::ReregisterAgent;
use tepui_protocol::mesos::v1::framework_info::capability::Type as Capability;
use tepui_protocol::mesos::v1::master::call::Type;
use tepui_protocol::mesos::v1::scheduler::call::{self, Reconcile, reconcile};
use tepui_protocol::mesos::v1::scheduler::event;
use tepui_protocol::mesos::v1::task_status::{Reason, Source};
use tepui_protocol::mesos::v1::{AgentId, TaskId, TaskState};

use super::bench::{Bench, agent_info, framework_info, pid, registry_of};
use super::operator::{answers, ask, no, of_agent, ok};
use crate::MasterOptions;
use crate::core::ToAgent;

fn gone(agent: &str) -> tepui_protocol::mesos::v1::master::Call {
    of_agent(Type::MarkAgentGone, agent)
}

/// A partition aware framework at `a`, another at `b`, each with a task on an agent at `s`.
fn two_frameworks() -> (Bench, [String; 2], String) {
    let mut bench = Bench::new();
    let aware = bench.subscribe("a", framework_info(&[Capability::PartitionAware]));
    let other = bench.framework("b");
    let agent = bench.agent("s", "cpus:4;mem:1024");
    bench.run("a", &aware, &agent, "t");
    bench.run("b", &other, &agent, "u");
    bench.offer(&other, &agent, "cpus:1");
    for from in ["a", "b"] {
        bench.take_events(from);
    }
    bench.take_agent_messages("s");
    (bench, [aware, other], agent)
}

fn back(agent: &str) -> ReregisterAgent {
    ReregisterAgent {
        agent: agent_info(Some(agent), "cpus:4;mem:1024"),
        ..ReregisterAgent::default()
    }
}

/// Asserts that the agent at `at` was told to end, and nothing else.
fn told_to_end(bench: &mut Bench, at: &str) {
    let told = bench.take_agent_messages(at);
    assert!(
        matches!(&told[..], [ToAgent::Shutdown(m)] if m.message() == "Agent has been marked gone"),
        "{told:?}"
    );
}

#[test]
fn tasks_are_gone_or_lost_and_the_agent_ends() {
    let (mut bench, [aware, other], agent) = two_frameworks();
    assert_eq!(ask(&mut bench, gone(&agent)), ok());
    told_to_end(&mut bench, "s");
    let cases = [
        (
            "a",
            TaskState::TaskGoneByOperator,
            Reason::AgentRemovedByOperator,
        ),
        ("b", TaskState::TaskLost, Reason::AgentRemoved),
    ];
    for (at, state, reason) in cases {
        let events = bench.take_events(at);
        let status = events.iter().find_map(|event| event.update.as_ref());
        let status = &status.unwrap().status;
        assert_eq!((status.state(), status.reason()), (state, reason));
        assert_eq!(status.source(), Source::Master);
        assert_eq!(status.message(), "Agent has been marked gone");
        assert!(status.uuid.is_none());
        let failure = events.last().unwrap().failure.as_ref().unwrap();
        assert_eq!(failure.agent_id.as_ref().unwrap().value, agent);
        let rescinded = |event: &event::Type| *event == event::Type::Rescind;
        let types: Vec<_> = events.iter().map(|event| event.r#type()).collect();
        assert_eq!(types.iter().any(rescinded), at == "b");
    }
    let snapshot = bench.core.snapshot();
    assert!(snapshot.agent(&agent).is_none() && snapshot.gone_agents.contains_key(&agent));
    for id in [&aware, &other] {
        let framework = snapshot.framework(id).unwrap();
        assert!(framework.tasks.is_empty() && framework.used.is_empty());
        assert_eq!(framework.completed_tasks.len(), 1);
    }
    let gone_ones = &bench.registry.gone.as_ref().unwrap().agents;
    assert_eq!(gone_ones[0].id.value, agent);
    assert_eq!(ask(&mut bench, gone(&agent)), ok(), "it may be said twice");
}

#[test]
fn its_id_is_never_used_again() {
    let (mut bench, _, agent) = two_frameworks();
    ask(&mut bench, gone(&agent));
    bench.take_agent_messages("s");
    bench.reregister("s", back(&agent));
    told_to_end(&mut bench, "s");
    // Not even after another master leads.
    let mut bench = Bench::recovering(MasterOptions::default(), bench.registry.clone());
    bench.reregister("s", back(&agent));
    told_to_end(&mut bench, "s");
    assert!(bench.core.snapshot().agents.is_empty());
}

#[test]
fn unreachable_tasks_are_gone_for_good() {
    let (mut bench, [aware, other], agent) = two_frameworks();
    bench.silent.insert(pid("s"));
    bench.pass(Duration::from_secs(90));
    for (id, at) in [(&aware, "a"), (&other, "b")] {
        let snapshot = bench.core.snapshot();
        assert_eq!(snapshot.framework(id).unwrap().unreachable_tasks.len(), 1);
        bench.take_events(at);
    }
    assert_eq!(ask(&mut bench, gone(&agent)), ok());
    assert!(bench.take_agent_messages("s").is_empty(), "it is not there");
    for (at, id, state, reason) in [
        (
            "a",
            &aware,
            TaskState::TaskGoneByOperator,
            Reason::AgentRemovedByOperator,
        ),
        ("b", &other, TaskState::TaskLost, Reason::AgentRemoved),
    ] {
        let statuses = bench.take_statuses(at);
        assert_eq!(statuses.len(), 1);
        assert_eq!((statuses[0].state(), statuses[0].reason()), (state, reason));
        let snapshot = bench.core.snapshot();
        let framework = snapshot.framework(id).unwrap();
        assert_eq!(framework.unreachable_tasks.len(), 0);
        let (_, completed) = framework.completed_tasks.iter().last().unwrap();
        assert_eq!(completed.state(), state);
    }
    let snapshot = bench.core.snapshot();
    assert_eq!(snapshot.task_counts.get(TaskState::TaskUnreachable), 0);
    assert!(snapshot.unreachable_agents.is_empty());
}

#[test]
fn of_an_agent_that_is_not_back_reconciliation_says_what_became_of_its_tasks() {
    let registry = registry_of(&["old-S0"]);
    let mut bench = Bench::recovering(MasterOptions::default(), registry);
    let id = bench.subscribe("a", framework_info(&[Capability::PartitionAware]));
    assert_eq!(ask(&mut bench, gone("old-S0")), ok());
    assert!(bench.core.snapshot().recovered_agents.is_empty());
    let mut call = Bench::of(&id, call::Type::Reconcile);
    call.reconcile = Some(Reconcile {
        tasks: vec![reconcile::Task {
            task_id: TaskId { value: "t".into() },
            agent_id: Some(AgentId {
                value: "old-S0".into(),
            }),
        }],
    });
    bench.call("a", call);
    let statuses = bench.take_statuses("a");
    assert_eq!(statuses[0].state(), TaskState::TaskGoneByOperator);
    // It does not become unreachable later.
    bench.pass(Duration::from_secs(600));
    assert_eq!(bench.count("master/slave_unreachable_scheduled"), 0);
}

#[test]
fn one_transition_is_under_way_at_a_time() {
    let (mut bench, _, agent) = two_frameworks();
    let nobody = no(404, "Agent 'nobody' not found");
    assert_eq!(ask(&mut bench, gone("nobody")), nobody);
    bench.slow = true;
    assert_eq!(ask(&mut bench, gone(&agent)), []);
    let going = format!("Agent '{agent}' is already being transitioned to gone");
    assert_eq!(ask(&mut bench, gone(&agent)), no(503, &going));
    // Meanwhile it cannot come back, nor become unreachable.
    bench.exited("s");
    bench.reregister("s", back(&agent));
    assert!(bench.take_agent_messages("s").is_empty());
    bench.silent.insert(pid("s"));
    bench.pass(Duration::from_secs(700));
    assert_eq!(bench.waiting.len(), 1);
    bench.answer();
    assert_eq!(answers(&mut bench), ok());
    told_to_end(&mut bench, "s");

    let (mut bench, _, agent) = two_frameworks();
    bench.slow = true;
    bench.silent.insert(pid("s"));
    bench.pass(Duration::from_secs(90));
    let going = format!("Agent '{agent}' is already being transitioned to unreachable");
    assert_eq!(ask(&mut bench, gone(&agent)), no(503, &going));
    bench.answer();
    bench.slow = false;
    assert_eq!(ask(&mut bench, gone(&agent)), ok());
}

#[test]
fn an_agent_that_waits_to_become_unreachable_is_gone_instead() {
    let options = MasterOptions {
        agent_removal_rate_limit: Some(Duration::from_secs(600)),
        ..MasterOptions::default()
    };
    let mut bench = Bench::with(options);
    let ids = ["s", "t"].map(|at| {
        bench.silent.insert(pid(at));
        bench.agent(at, "cpus:4")
    });
    bench.pass(Duration::from_secs(75));
    let waits = ids
        .iter()
        .find(|id| bench.core.snapshot().agent(id).is_some());
    let waits = waits.unwrap().clone();
    assert_eq!(ask(&mut bench, gone(&waits)), ok());
    bench.pass(Duration::from_secs(3600));
    assert_eq!(bench.count("master/slave_unreachable_completed"), 1);
    assert_eq!(bench.core.snapshot().unreachable_agents.size(), 1);
}
