//! A master that comes up with a registry, and the pruning of the registry.

use std::time::Duration;

use tepui_protocol::mesos::internal::{Registry, ReregisterAgent, registry};
use tepui_protocol::mesos::v1::scheduler::call;
use tepui_protocol::mesos::v1::{AgentId, DrainInfo, MasterInfo, TimeInfo, WeightInfo};
use tepui_runtime::Time;

use super::bench::{Bench, agent_info, pid, registry_of};
use crate::MasterOptions;
use crate::core::{Counter, Effect, Input, MasterCore, ToAgent, ToAllocator};

fn back(id: &str) -> ReregisterAgent {
    ReregisterAgent {
        agent: agent_info(Some(id), "cpus:4"),
        ..ReregisterAgent::default()
    }
}

#[test]
fn nothing_is_answered_before_the_registry_is_read() {
    let info = MasterInfo {
        id: "m".into(),
        ..MasterInfo::default()
    };
    let mut core = MasterCore::new(MasterOptions::default(), info, Time::EPOCH);
    let call = Bench::of("f", call::Type::Teardown);
    let effects = core.handle(Input::Call(pid("a"), call), Time::EPOCH);
    assert!(
        matches!(
            &effects[..],
            [Effect::Count(Counter::Key("master/dropped_messages"))]
        ),
        "{effects:?}"
    );
    core.handle(Input::Recovered(Ok(Registry::default())), Time::EPOCH);
    assert!(core.snapshot().recovered);
}

#[test]
fn an_agent_of_the_registry_is_let_back_in_without_a_write() {
    let mut bench = Bench::recovering(MasterOptions::default(), registry_of(&["old-S0"]));
    assert_eq!(bench.core.snapshot().recovered_agents.size(), 1);
    bench.slow = true;
    bench.reregister("s", back("old-S0"));
    assert!(bench.waiting.is_empty());
    let messages = bench.take_agent_messages("s");
    assert!(
        matches!(&messages[..], [ToAgent::Reregistered(_)]),
        "{messages:?}"
    );
    assert!(bench.core.snapshot().recovered_agents.is_empty());
}

#[test]
fn those_that_do_not_come_back_become_unreachable() {
    let registry = registry_of(&["old-S0", "old-S1"]);
    let mut bench = Bench::recovering(MasterOptions::default(), registry);
    bench.framework("a");
    bench.reregister("s", back("old-S0"));
    bench.pass(Duration::from_secs(600));
    let snapshot = bench.core.snapshot();
    assert!(snapshot.agent("old-S0").is_some());
    assert!(snapshot.unreachable_agents.contains_key("old-S1"));
    assert_eq!(bench.registry.unreachable.as_ref().unwrap().agents.len(), 1);
    assert_eq!(bench.count("master/recovery_slave_removals"), 1);
    let failure = bench
        .take_events("a")
        .into_iter()
        .find_map(|event| event.failure)
        .unwrap();
    assert_eq!(failure.agent_id.unwrap().value, "old-S1");
}

#[test]
fn a_master_that_would_give_up_too_many_ends_itself() {
    let options = MasterOptions {
        recovery_agent_removal_limit: 0.4,
        ..MasterOptions::default()
    };
    let mut bench = Bench::recovering(options, registry_of(&["old-S0", "old-S1"]));
    bench.reregister("s", back("old-S0"));
    bench.pass(Duration::from_secs(600));
    assert_eq!(
        bench.aborted.as_deref(),
        Some(
            "1 agents did not re-register since the master came up: 50% of all, more than \
             recovery_agent_removal_limit 40%"
        )
    );
}

#[test]
fn what_the_master_cannot_keep_its_word_on_is_refused_by_name() {
    let registry = Registry {
        minimum_capabilities: vec![registry::MinimumCapability {
            capability: "QUOTA_V2".into(),
        }],
        ..Registry::default()
    };
    let bench = Bench::recovering(MasterOptions::default(), registry);
    assert_eq!(
        bench.aborted.as_deref(),
        Some("the registry holds minimum capabilities: not supported")
    );
    let mut drained = registry_of(&["old-S0"]);
    drained.agents.as_mut().unwrap().agents[0].drain_info = Some(DrainInfo::default());
    let bench = Bench::recovering(MasterOptions::default(), drained);
    assert_eq!(
        bench.aborted.as_deref(),
        Some("the registry holds draining agents: not supported")
    );
}

#[test]
fn weights_of_the_registry_reach_the_allocator() {
    let info = WeightInfo {
        weight: 2.0,
        role: Some("r".into()),
    };
    let registry = Registry {
        weights: vec![registry::Weight { info }],
        ..Registry::default()
    };
    let bench = Bench::recovering(MasterOptions::default(), registry);
    assert!(matches!(
        &bench.to_allocator[..],
        [ToAllocator::UpdateWeights(update)] if update.weights.len() == 1
    ));
}

#[test]
fn unreachable_agents_are_pruned_by_age_and_by_number() {
    let unreachable = |id: &str, seconds: i64| registry::UnreachableAgent {
        id: AgentId { value: id.into() },
        timestamp: TimeInfo {
            nanoseconds: seconds * 1_000_000_000,
        },
        ..registry::UnreachableAgent::default()
    };
    let agents = vec![
        unreachable("a", 10),
        unreachable("b", 800),
        unreachable("c", 900),
    ];
    let registry = Registry {
        unreachable: Some(registry::UnreachableAgents { agents }),
        ..Registry::default()
    };
    let options = MasterOptions {
        registry_max_agent_age: Duration::from_secs(1700),
        registry_max_agent_count: 2,
        ..MasterOptions::default()
    };
    let mut bench = Bench::recovering(options, registry);
    let left = |bench: &Bench| -> Vec<String> {
        bench
            .core
            .snapshot()
            .unreachable_agents
            .keys()
            .cloned()
            .collect()
    };
    // At 1900 s: "a" is one too many, and "b" and "c" are younger than 1700 s.
    bench.pass(Duration::from_secs(900));
    assert_eq!(left(&bench), ["b", "c"]);
    // At 2800 s both are too old.
    bench.pass(Duration::from_secs(900));
    assert!(left(&bench).is_empty());
    assert!(
        bench
            .registry
            .unreachable
            .as_ref()
            .unwrap()
            .agents
            .is_empty()
    );
}

#[test]
fn a_registrar_that_fails_is_the_end() {
    let mut bench = Bench::new();
    bench.slow = true;
    bench.register("s", agent_info(None, "cpus:4"));
    let (_, pending) = bench.waiting.pop_front().unwrap();
    bench.give(Input::Applied(
        pending,
        Err("failed to store the registry".into()),
    ));
    assert_eq!(
        bench.aborted.as_deref(),
        Some("registrar failed: failed to store the registry")
    );
}
