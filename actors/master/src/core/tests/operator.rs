//! What an operator asks for, in the statuses and words of Mesos 1.11: TEARDOWN, DEACTIVATE_AGENT,
//! REACTIVATE_AGENT. MARK_AGENT_GONE is in `gone`.

use std::time::Duration;

use tepui_protocol::mesos::internal::ReregisterAgent;
use tepui_protocol::mesos::v1::master::Call;
use tepui_protocol::mesos::v1::master::call::{self, Type};
use tepui_protocol::mesos::v1::scheduler::event;
use tepui_protocol::mesos::v1::{AgentId, FrameworkId};

use super::bench::{Bench, agent_info, pid, registry_of};
use crate::MasterOptions;
use crate::core::{Input, ToAgent, ToAllocator, operates};

/// A call about an agent.
pub(super) fn of_agent(kind: Type, agent: &str) -> Call {
    let agent_id = AgentId {
        value: agent.to_owned(),
    };
    let mut call = Call {
        r#type: Some(kind as i32),
        ..Call::default()
    };
    match kind {
        Type::MarkAgentGone => call.mark_agent_gone = Some(call::MarkAgentGone { agent_id }),
        Type::DeactivateAgent => call.deactivate_agent = Some(call::DeactivateAgent { agent_id }),
        Type::ReactivateAgent => call.reactivate_agent = Some(call::ReactivateAgent { agent_id }),
        other => panic!("{other:?} is about no agent"),
    }
    call
}

/// Asks, and takes the answers that are there.
pub(super) fn ask(bench: &mut Bench, call: Call) -> Vec<(u32, String)> {
    bench.give(Input::Operator(pid("operator"), call));
    answers(bench)
}

pub(super) fn answers(bench: &mut Bench) -> Vec<(u32, String)> {
    let answers = std::mem::take(&mut bench.answers);
    let told = answers.into_iter().map(|(to, answer)| {
        assert_eq!(to, pid("operator"));
        (answer.status, answer.problem.unwrap_or_default())
    });
    told.collect()
}

pub(super) fn ok() -> Vec<(u32, String)> {
    vec![(200, String::new())]
}

pub(super) fn no(status: u32, words: &str) -> Vec<(u32, String)> {
    vec![(status, words.to_owned())]
}

fn active(bench: &Bench, agent: &str) -> bool {
    bench.core.snapshot().agent(agent).unwrap().active
}

fn back(bench: &mut Bench, agent: &str) {
    let message = ReregisterAgent {
        agent: agent_info(Some(agent), "cpus:4"),
        ..ReregisterAgent::default()
    };
    bench.reregister("s", message);
}

#[test]
fn a_deactivated_agent_runs_on_and_is_not_offered_until_it_is_reactivated() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let agent = bench.agent("s", "cpus:4;mem:1024");
    bench.run("a", &id, &agent, "t");
    let offer = bench.offer(&id, &agent, "cpus:1").remove(0);
    bench.take_events("a");
    bench.to_allocator.clear();
    let deactivate = || of_agent(Type::DeactivateAgent, &agent);
    assert_eq!(ask(&mut bench, deactivate()), ok());
    let events = bench.take_events("a");
    assert_eq!(events.len(), 1, "the task runs on");
    assert_eq!(events[0].rescind.as_ref().unwrap().offer_id.value, offer);
    assert!(matches!(
        bench.to_allocator[0],
        ToAllocator::DeactivateAgent(_)
    ));
    assert!(!active(&bench, &agent) && bench.core.snapshot().agent(&agent).unwrap().connected);
    // What the allocator granted before it heard of it goes back.
    bench.take_recovered();
    assert!(bench.offer(&id, &agent, "cpus:1").is_empty());
    assert_eq!(bench.take_recovered(), [("cpus:1".to_owned(), None)]);
    assert_eq!(ask(&mut bench, deactivate()), ok(), "it may be said twice");

    bench.to_allocator.clear();
    let reactivate = || of_agent(Type::ReactivateAgent, &agent);
    assert_eq!(ask(&mut bench, reactivate()), ok());
    assert!(matches!(
        bench.to_allocator[..],
        [ToAllocator::ActivateAgent(_)]
    ));
    assert!(active(&bench, &agent));
    let again = ask(&mut bench, reactivate());
    assert_eq!(again, no(400, "Agent is not deactivated"));
}

#[test]
fn an_agent_stays_deactivated_whatever_becomes_of_it() {
    let mut bench = Bench::new();
    let agent = bench.agent("s", "cpus:4");
    assert_eq!(
        ask(&mut bench, of_agent(Type::DeactivateAgent, &agent)),
        ok()
    );
    // Its link breaks and it is back.
    bench.exited("s");
    bench.to_allocator.clear();
    back(&mut bench, &agent);
    assert!(!active(&bench, &agent));
    let activated = |message: &ToAllocator| matches!(message, ToAllocator::ActivateAgent(_));
    assert!(!bench.to_allocator.iter().any(activated));
    // It is unreachable and back.
    bench.silent.insert(pid("s"));
    bench.pass(Duration::from_secs(90));
    assert!(bench.core.snapshot().agent(&agent).is_none());
    bench.silent.clear();
    bench.to_allocator.clear();
    back(&mut bench, &agent);
    assert!(!active(&bench, &agent));
    let inactive = |message: &ToAllocator| matches!(message, ToAllocator::AddAgent(added) if added.active == Some(false));
    assert!(bench.to_allocator.iter().any(inactive));
    // Another master leads.
    let registry = bench.registry.clone();
    let mut bench = Bench::recovering(MasterOptions::default(), registry);
    back(&mut bench, &agent);
    assert!(!active(&bench, &agent));
    let reactivate = of_agent(Type::ReactivateAgent, &agent);
    assert_eq!(ask(&mut bench, reactivate), ok());
    assert!(active(&bench, &agent));
    let agents = &bench.registry.agents.as_ref().unwrap().agents;
    assert_eq!(agents[0].deactivated, None);
}

#[test]
fn an_agent_that_is_away_can_be_deactivated_and_is_not_there_to_be_reactivated() {
    let registry = registry_of(&["old-S0"]);
    let mut bench = Bench::recovering(MasterOptions::default(), registry);
    let away = |bench: &mut Bench, kind| ask(bench, of_agent(kind, "old-S0"));
    assert_eq!(away(&mut bench, Type::DeactivateAgent), ok());
    let removed = no(409, "Agent removed while processing the call");
    assert_eq!(away(&mut bench, Type::ReactivateAgent), removed);
    back(&mut bench, "old-S0");
    assert!(active(&bench, "old-S0"), "the registry was changed");
    // Disconnected: it is active once it is back.
    assert_eq!(away(&mut bench, Type::DeactivateAgent), ok());
    bench.exited("s");
    assert_eq!(away(&mut bench, Type::ReactivateAgent), ok());
    assert!(!active(&bench, "old-S0"));
    back(&mut bench, "old-S0");
    assert!(active(&bench, "old-S0"));
}

#[test]
fn what_is_not_there_cannot_be_deactivated() {
    let mut bench = Bench::new();
    let agent = bench.agent("s", "cpus:4");
    let unknown = no(400, "Unknown agent");
    let not = no(400, "Agent is not deactivated");
    let of = |kind| of_agent(kind, "nobody");
    assert_eq!(ask(&mut bench, of(Type::DeactivateAgent)), unknown);
    assert_eq!(ask(&mut bench, of(Type::ReactivateAgent)), not);
    // While it is being marked gone.
    assert_eq!(
        ask(&mut bench, of_agent(Type::DeactivateAgent, &agent)),
        ok()
    );
    bench.slow = true;
    assert_eq!(ask(&mut bench, of_agent(Type::MarkAgentGone, &agent)), []);
    let going = no(409, "Agent is currently being marked gone");
    for kind in [Type::DeactivateAgent, Type::ReactivateAgent] {
        assert_eq!(ask(&mut bench, of_agent(kind, &agent)), going);
    }
    bench.answer();
    assert_eq!(answers(&mut bench), ok());
    for (kind, refusal) in [
        (Type::DeactivateAgent, &unknown),
        (Type::ReactivateAgent, &not),
    ] {
        assert_eq!(&ask(&mut bench, of_agent(kind, &agent)), refusal);
    }
}

#[test]
fn an_agent_that_is_removed_meanwhile_is_not_deactivated() {
    let mut bench = Bench::new();
    let agent = bench.agent("s", "cpus:4");
    bench.slow = true;
    assert_eq!(ask(&mut bench, of_agent(Type::MarkAgentGone, &agent)), []);
    bench.answer();
    answers(&mut bench);
    let other = bench_agent(&mut bench, "t");
    assert_eq!(ask(&mut bench, of_agent(Type::DeactivateAgent, &other)), []);
    let message = tepui_protocol::mesos::internal::UnregisterAgent {
        agent_id: AgentId {
            value: other.clone(),
        },
    };
    bench.give(Input::Agent(
        pid("t"),
        crate::core::FromAgent::Unregister(message),
    ));
    // The removal is behind it in the registrar's queue.
    while bench.answer() {}
    assert_eq!(answers(&mut bench), ok());
    let snapshot = bench.core.snapshot();
    assert!(snapshot.agent(&other).is_none());
    assert!(!snapshot.deactivated_agents.contains(&other));
}

fn bench_agent(bench: &mut Bench, at: &str) -> String {
    bench.register(at, agent_info(None, "cpus:4"));
    while bench.answer() {}
    let registered = bench.take_agent_messages(at).into_iter();
    let mut ids = registered.filter_map(|message| match message {
        ToAgent::Registered(message) => Some(message.agent_id.value),
        _ => None,
    });
    ids.next().unwrap()
}

#[test]
fn an_operator_tears_a_framework_down() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let agent = bench.agent("s", "cpus:4;mem:1024");
    bench.run("a", &id, &agent, "t");
    bench.take_events("a");
    let teardown = |id: &str| Call {
        r#type: Some(Type::Teardown as i32),
        teardown: Some(call::Teardown {
            framework_id: FrameworkId { value: id.into() },
        }),
        ..Call::default()
    };
    let unknown = no(400, "No framework found with specified ID");
    assert_eq!(ask(&mut bench, teardown("nobody")), unknown);
    assert_eq!(ask(&mut bench, teardown(&id)), ok());
    assert_eq!(bench.take_types("a"), [] as [event::Type; 0]);
    assert!(bench.core.snapshot().is_completed(&id));
    let told = bench.take_agent_messages("s");
    assert!(matches!(told.last(), Some(ToAgent::ShutdownFramework(_))));
    assert_eq!(ask(&mut bench, teardown(&id)), unknown);
}

#[test]
fn a_call_lacks_nothing_and_is_one_of_those_that_are_done() {
    let mut bench = Bench::new();
    let mut done = Vec::new();
    for kind in (0..64).filter_map(|number| Type::try_from(number).ok()) {
        let call = Call {
            r#type: Some(kind as i32),
            ..Call::default()
        };
        let name = kind.as_str_name();
        let expected = if operates(kind) {
            done.push(name);
            no(
                400,
                &format!("Expecting '{}' to be present", name.to_lowercase()),
            )
        } else {
            no(501, &format!("{name} is not offered"))
        };
        assert_eq!(ask(&mut bench, call), expected);
    }
    done.sort_unstable();
    assert_eq!(
        done,
        [
            "DEACTIVATE_AGENT",
            "MARK_AGENT_GONE",
            "REACTIVATE_AGENT",
            "TEARDOWN"
        ]
    );
}
