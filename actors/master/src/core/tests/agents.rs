//! Registration, pings, broken links, unreachable and removed agents.

use std::time::Duration;

use tepui_protocol::mesos::internal::{
    ExitedExecutor, RegisterAgent, UnregisterAgent, UpdateAgent,
};
use tepui_protocol::mesos::v1::framework_info::capability::Type as Capability;
use tepui_protocol::mesos::v1::scheduler::event;
use tepui_protocol::mesos::v1::task_status::{Reason, Source};
use tepui_protocol::mesos::v1::{
    AgentId, DomainInfo, ExecutorId, FrameworkId, FrameworkInfo, TaskState,
};

use super::bench::{Bench, agent_info, framework_info, pid, protos};
use crate::MasterOptions;
use crate::core::{FromAgent, Input, ToAgent, ToAllocator};

/// 1000 s, when the bench begins, and `seconds` after it.
fn at(seconds: i64) -> i64 {
    (1000 + seconds) * 1_000_000_000
}

#[test]
fn an_agent_is_admitted_before_it_is_told_its_id() {
    let mut bench = Bench::new();
    bench.slow = true;
    bench.register("s", agent_info(None, "cpus:4"));
    assert!(bench.to_agents.is_empty() && bench.to_allocator.is_empty());
    // It tries again while it waits.
    bench.register("s", agent_info(None, "cpus:4"));
    assert_eq!(bench.waiting.len(), 1);
    bench.answer();
    let messages = bench.take_agent_messages("s");
    let [ToAgent::Registered(registered)] = &messages[..] else {
        panic!("{messages:?}")
    };
    assert_eq!(registered.agent_id.value, "m-S0");
    let connection = registered.connection.as_ref().unwrap();
    assert_eq!(connection.total_ping_timeout_seconds, Some(75.0));
    assert!(matches!(
        &bench.to_allocator[..],
        [ToAllocator::AddAgent(_)]
    ));
    assert_eq!(bench.links, [pid("s")]);
    assert_eq!(bench.registry.agents.as_ref().unwrap().agents.len(), 1);
}

#[test]
fn an_agent_that_registers_twice_is_told_the_same_id() {
    let mut bench = Bench::new();
    let id = bench.agent("s", "cpus:4");
    assert_eq!(bench.agent("s", "cpus:4"), id);
    assert_eq!(bench.count("master/slave_registrations"), 1);
}

#[test]
fn a_new_agent_at_the_address_of_a_disconnected_one_replaces_it() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let old = bench.agent("s", "cpus:4;mem:1024");
    bench.run("a", &id, &old, "t");
    bench.exited("s");
    bench.take_events("a");
    bench.register("s", agent_info(None, "cpus:4"));
    assert!(bench.core.snapshot().agents.is_empty());
    let events = bench.take_events("a");
    let types: Vec<event::Type> = events.iter().map(|event| event.r#type()).collect();
    assert_eq!(types, [event::Type::Update, event::Type::Failure]);
    let status = &events[0].update.as_ref().unwrap().status;
    assert_eq!(
        (status.state(), status.reason(), status.source()),
        (TaskState::TaskLost, Reason::AgentRemoved, Source::Master)
    );
    let failure = events[1].failure.as_ref().unwrap();
    assert_eq!(failure.agent_id.as_ref().unwrap().value, old);
    assert!(failure.executor_id.is_none());
    assert_eq!(bench.count("master/slave_removals/reason_registered"), 1);
    assert_eq!(bench.agent("s", "cpus:4"), "m-S1");
}

#[test]
fn what_is_not_let_in() {
    let options = MasterOptions {
        require_agent_domain: true,
        ..MasterOptions::default()
    };
    let mut strict = Bench::with(options);
    strict.register("s", agent_info(None, "cpus:4"));
    assert!(strict.to_agents.is_empty());

    let mut bench = Bench::new();
    let mut domain = agent_info(None, "cpus:4");
    domain.domain = Some(DomainInfo::default());
    let mut allocated = agent_info(None, "cpus:4");
    allocated.resources = super::bench::resources("cpus:4").allocate("*").to_proto();
    let mut negative = agent_info(None, "cpus:4");
    negative.resources[0].scalar.as_mut().unwrap().value = -1.0;
    for info in [domain, allocated, negative] {
        bench.register("s", info);
    }
    for version in [None, Some("0.28.2"), Some("new")] {
        let message = RegisterAgent {
            agent: agent_info(None, "cpus:4"),
            version: version.map(str::to_owned),
            ..RegisterAgent::default()
        };
        bench.give(Input::Agent(pid("s"), FromAgent::Register(message)));
    }
    let message = RegisterAgent {
        agent: agent_info(None, "cpus:4"),
        version: Some("1.12.0".into()),
        checkpointed_resources: protos("cpus:1"),
        ..RegisterAgent::default()
    };
    bench.give(Input::Agent(pid("s"), FromAgent::Register(message)));
    assert!(bench.to_agents.is_empty() && bench.waiting.is_empty());
    assert_eq!(bench.count("master/messages_register_slave"), 7);
}

#[test]
fn five_pings_without_an_answer_make_an_agent_unreachable() {
    let mut bench = Bench::new();
    let id = bench.subscribe("a", framework_info(&[Capability::PartitionAware]));
    bench.silent.insert(pid("s"));
    let agent = bench.agent("s", "cpus:4;mem:1024");
    bench.run("a", &id, &agent, "t");
    bench.offer(&id, &agent, "cpus:1");
    bench.take_events("a");
    bench.pass(Duration::from_millis(74_999));
    assert!(bench.take_events("a").is_empty());
    bench.pass(Duration::from_millis(1));

    assert_eq!(bench.pings.len(), 6);
    let events = bench.take_events("a");
    let types: Vec<_> = events.iter().map(|event| event.r#type()).collect();
    assert_eq!(
        types,
        [
            event::Type::Rescind,
            event::Type::Update,
            event::Type::Failure
        ]
    );
    let status = &events[1].update.as_ref().unwrap().status;
    assert_eq!(
        (status.state(), status.reason()),
        (TaskState::TaskUnreachable, Reason::AgentRemoved)
    );
    assert_eq!(status.unreachable_time.unwrap().nanoseconds, at(75));
    assert!(status.uuid.is_none());
    let failure = events[2].failure.as_ref().unwrap();
    assert_eq!(failure.agent_id.as_ref().unwrap().value, agent);
    assert!(failure.executor_id.is_none());
    let snapshot = bench.core.snapshot();
    assert!(snapshot.agents.is_empty());
    assert_eq!(snapshot.unreachable_agents.get(&agent), Some(&at(75)));
    assert_eq!(snapshot.framework(&id).unwrap().unreachable_tasks.len(), 1);
    assert_eq!(snapshot.task_counts.get(TaskState::TaskUnreachable), 1);
    assert!(
        bench
            .take_agent_messages("s")
            .iter()
            .all(|m| matches!(m, ToAgent::Registered(_) | ToAgent::Run(_)))
    );
    assert!(matches!(
        bench.to_allocator.last(),
        Some(ToAllocator::RemoveAgent(_))
    ));
}

#[test]
fn any_answer_starts_the_count_anew() {
    let mut bench = Bench::new();
    bench.silent.insert(pid("s"));
    let agent = bench.agent("s", "cpus:4");
    for _ in 0..4 {
        bench.pass(Duration::from_secs(70));
        bench.give(Input::Agent(pid("s"), FromAgent::Pong));
    }
    assert!(bench.core.snapshot().agent(&agent).is_some());
}

#[test]
fn a_broken_link_takes_offers_and_what_is_not_checkpointed() {
    let mut bench = Bench::new();
    let kept = bench.framework("a");
    let dropped = bench.subscribe(
        "b",
        FrameworkInfo {
            checkpoint: None,
            ..framework_info(&[Capability::PartitionAware])
        },
    );
    let agent = bench.agent("s", "cpus:4;mem:1024");
    bench.run("a", &kept, &agent, "t");
    bench.run("b", &dropped, &agent, "u");
    bench.offer(&kept, &agent, "cpus:1");
    for from in ["a", "b"] {
        bench.take_events(from);
    }
    bench.take_recovered();
    bench.exited("s");

    assert_eq!(bench.take_types("a"), [event::Type::Rescind]);
    let statuses = bench.take_statuses("b");
    // TASK_LOST even for a framework that is partition aware.
    assert_eq!(
        (statuses[0].state(), statuses[0].reason()),
        (TaskState::TaskLost, Reason::AgentDisconnected)
    );
    assert_eq!(bench.state_of(&kept, "t"), Some(TaskState::TaskStaging));
    assert_eq!(
        bench.take_recovered(),
        [
            ("cpus:1".to_owned(), None),
            ("cpus:1;mem:64".to_owned(), None)
        ]
    );
    let snapshot = bench.core.snapshot();
    let agent = snapshot.agent(&agent).unwrap();
    assert!(!agent.connected && !agent.active && agent.tasks.size() == 1);
    // Pings go on, and say that the link is broken.
    bench.pass(Duration::from_secs(15));
    assert_eq!(bench.pings.last(), Some(&(pid("s"), false)));
}

#[test]
fn a_disconnected_agent_has_agent_reregister_timeout_to_come_back() {
    let mut bench = Bench::new();
    let agent = bench.agent("s", "cpus:4");
    bench.exited("s");
    bench.pass(Duration::from_secs(599));
    assert!(bench.core.snapshot().agent(&agent).is_some());
    bench.pass(Duration::from_secs(1));
    assert!(
        bench
            .core
            .snapshot()
            .unreachable_agents
            .contains_key(&agent)
    );
}

#[test]
fn an_agent_that_unregisters_is_removed() {
    let mut bench = Bench::new();
    let id = bench.subscribe("a", framework_info(&[Capability::PartitionAware]));
    let agent = bench.agent("s", "cpus:4;mem:1024");
    bench.run("a", &id, &agent, "t");
    bench.take_events("a");
    let message = UnregisterAgent {
        agent_id: AgentId {
            value: agent.clone(),
        },
    };
    bench.give(Input::Agent(
        pid("other"),
        FromAgent::Unregister(message.clone()),
    ));
    assert!(bench.core.snapshot().agent(&agent).is_some());
    bench.give(Input::Agent(pid("s"), FromAgent::Unregister(message)));
    let events = bench.take_events("a");
    let status = &events[0].update.as_ref().unwrap().status;
    assert_eq!(
        (status.state(), status.reason()),
        (TaskState::TaskLost, Reason::AgentRemoved)
    );
    assert_eq!(events[1].r#type(), event::Type::Failure);
    let snapshot = bench.core.snapshot();
    assert!(snapshot.agents.is_empty() && snapshot.unreachable_agents.is_empty());
    assert_eq!(snapshot.framework(&id).unwrap().completed_tasks.len(), 1);
    assert_eq!(bench.count("master/slave_removals/reason_unregistered"), 1);
}

#[test]
fn an_executor_that_exits_is_a_failure_event() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let agent = bench.agent("s", "cpus:4");
    let message = ExitedExecutor {
        agent_id: AgentId {
            value: agent.clone(),
        },
        framework_id: FrameworkId { value: id },
        executor_id: ExecutorId { value: "e".into() },
        status: 256,
    };
    bench.give(Input::Agent(pid("s"), FromAgent::ExitedExecutor(message)));
    let events = bench.take_events("a");
    let failure = events[0].failure.as_ref().unwrap();
    assert_eq!(failure.status, Some(256));
    assert_eq!(failure.executor_id.as_ref().unwrap().value, "e");
}

#[test]
fn oversubscription_changes_the_total_and_rescinds_revocable_offers() {
    let mut bench = Bench::new();
    let id = bench.subscribe("a", framework_info(&[Capability::RevocableResources]));
    let agent = bench.agent("s", "cpus:4");
    let mut revocable = protos("cpus:2");
    revocable[0].revocable = Some(Default::default());
    let update = |resources| UpdateAgent {
        agent_id: AgentId {
            value: agent.clone(),
        },
        update_oversubscribed_resources: Some(true),
        oversubscribed_resources: resources,
        ..UpdateAgent::default()
    };
    bench.give(Input::Agent(
        pid("s"),
        FromAgent::Update(update(revocable.clone())),
    ));
    let total = |bench: &Bench| {
        bench
            .core
            .snapshot()
            .agent(&agent)
            .unwrap()
            .total
            .scalar("cpus")
            .to_f64()
    };
    assert_eq!(total(&bench), 6.0);
    assert!(matches!(
        bench.to_allocator.last(),
        Some(ToAllocator::UpdateAgent(_))
    ));
    bench.offer(&id, &agent, "cpus:4");
    let mut allocation = tepui_protocol::tepui::allocator::Allocation {
        framework_id: FrameworkId { value: id.clone() },
        role: "*".into(),
        agent_id: AgentId {
            value: agent.clone(),
        },
        resources: revocable,
        incarnation: None,
    };
    allocation.resources[0].allocation_info =
        Some(tepui_protocol::mesos::v1::resource::AllocationInfo {
            role: Some("*".into()),
        });
    bench.give(Input::Allocations(vec![allocation]));
    assert_eq!(bench.core.snapshot().offers.size(), 2);
    bench.give(Input::Agent(
        pid("s"),
        FromAgent::Update(update(Vec::new())),
    ));
    assert_eq!(total(&bench), 4.0);
    assert_eq!(bench.core.snapshot().offers.size(), 1);
}

#[test]
fn no_more_agents_are_admitted_than_may_be() {
    let options = MasterOptions {
        max_agents: 1,
        ..MasterOptions::default()
    };
    let mut bench = Bench::with(options);
    let id = bench.agent("s", "cpus:4");
    bench.register("t", agent_info(None, "cpus:4"));
    assert!(bench.take_agent_messages("t").is_empty());
    assert_eq!(bench.registry.agents.as_ref().unwrap().agents.len(), 1);
    assert_eq!(bench.agent("s", "cpus:4"), id, "who is in stays in");
}
