//! Agents that come back: to a master that knows them, that gave them up, that never saw them.

use std::time::Duration;

use tepui_protocol::mesos::internal::ReregisterAgent;
use tepui_protocol::mesos::v1::framework_info::capability::Type as Capability;
use tepui_protocol::mesos::v1::scheduler::call;
use tepui_protocol::mesos::v1::task_status::Reason;
use tepui_protocol::mesos::v1::{FrameworkId, FrameworkInfo, TaskId, TaskState};

use super::bench::{Bench, agent_info, framework_info, listed, pid, uuid};
use crate::core::{ToAgent, ToAllocator};
use crate::snapshot::Connection;

use TaskState::{TaskLost, TaskRunning, TaskStaging, TaskUnreachable};

const TOTAL: &str = "cpus:4;mem:1024";

fn back(agent: &str, framework: &str, tasks: &[(&str, TaskState)]) -> ReregisterAgent {
    let id = FrameworkId {
        value: framework.into(),
    };
    ReregisterAgent {
        agent: agent_info(Some(agent), TOTAL),
        frameworks: vec![FrameworkInfo {
            id: Some(id),
            ..framework_info(&[])
        }],
        tasks: tasks
            .iter()
            .map(|(t, state)| listed(framework, t, agent, *state))
            .collect(),
        ..ReregisterAgent::default()
    }
}

/// The names of the messages that went to the agent at `s`.
fn told(bench: &mut Bench) -> Vec<&'static str> {
    bench
        .take_agent_messages("s")
        .iter()
        .map(|message| match message {
            ToAgent::Registered(_) => "registered",
            ToAgent::Reregistered(_) => "reregistered",
            ToAgent::Ping(_) => "ping",
            ToAgent::Run(_) => "run",
            ToAgent::RunGroup(_) => "run group",
            ToAgent::Kill(_) => "kill",
            ToAgent::Acknowledge(_) => "acknowledge",
            ToAgent::ShutdownFramework(_) => "shutdown framework",
            ToAgent::UpdateFramework(_) => "update framework",
            ToAgent::Message(_) => "message",
            ToAgent::ShutdownExecutor(_) => "shutdown executor",
            ToAgent::Shutdown(_) => "shutdown",
        })
        .collect()
}

fn running(capabilities: &[Capability]) -> (Bench, String, String) {
    let mut bench = Bench::new();
    let id = bench.subscribe("a", framework_info(capabilities));
    let agent = bench.agent("s", TOTAL);
    bench.run("a", &id, &agent, "t");
    bench.take_events("a");
    bench.take_agent_messages("s");
    bench.to_allocator.clear();
    (bench, id, agent)
}

#[test]
fn a_disconnected_agent_is_active_again() {
    let (mut bench, id, agent) = running(&[]);
    bench.exited("s");
    bench.to_allocator.clear();
    bench.reregister("s", back(&agent, &id, &[("t", TaskRunning)]));
    assert_eq!(told(&mut bench), ["reregistered", "update framework"]);
    assert!(matches!(
        &bench.to_allocator[..],
        [ToAllocator::ActivateAgent(_)]
    ));
    let snapshot = bench.core.snapshot();
    let known = snapshot.agent(&agent).unwrap();
    assert!(known.connected && known.active);
    assert_eq!(known.tasks.size(), 1);
    assert!(bench.take_events("a").is_empty());
    // Its time to come back does not run any more.
    bench.pass(Duration::from_secs(3600));
    assert!(bench.core.snapshot().agent(&agent).is_some());
    assert_eq!(bench.count("master/slave_reregistrations"), 1);
}

#[test]
fn a_task_that_the_agent_does_not_know_is_sent_back_to_be_answered() {
    let (mut bench, id, agent) = running(&[]);
    bench.exited("s");
    bench.reregister("s", back(&agent, &id, &[]));
    let messages = bench.take_agent_messages("s");
    let ToAgent::Reregistered(message) = &messages[0] else {
        panic!("{messages:?}")
    };
    let reconcile = &message.reconciliations[0];
    assert_eq!(reconcile.framework_id.value, id);
    let status = &reconcile.statuses[0];
    assert_eq!(
        (status.task_id.value.as_str(), status.state()),
        ("t", TaskStaging)
    );
    assert_eq!(status.reason(), Reason::Reconciliation);
    // It is in the books until the agent's answer.
    assert_eq!(bench.state_of(&id, "t"), Some(TaskStaging));
}

#[test]
fn a_task_that_the_master_does_not_know_is_taken_in() {
    let (mut bench, id, agent) = running(&[]);
    let tasks = [
        ("t", TaskStaging),
        ("u", TaskRunning),
        ("v", TaskState::TaskFinished),
    ];
    bench.reregister("s", back(&agent, &id, &tasks));
    let uses: Vec<_> = bench
        .to_allocator
        .iter()
        .filter(|m| matches!(m, ToAllocator::AddUse(_)))
        .collect();
    assert_eq!(uses.len(), 1);
    let statuses = bench.take_statuses("a");
    let shown: Vec<_> = statuses
        .iter()
        .map(|s| (s.task_id.value.as_str(), s.state(), s.reason()))
        .collect();
    assert_eq!(
        shown,
        [
            ("u", TaskRunning, Reason::AgentReregistered),
            ("v", TaskState::TaskFinished, Reason::AgentReregistered)
        ]
    );
    let snapshot = bench.core.snapshot();
    let used = snapshot
        .agent(&agent)
        .unwrap()
        .used
        .get(&id)
        .unwrap()
        .unallocate();
    assert_eq!(used.to_text().unwrap(), "cpus:2;mem:128");
}

#[test]
fn a_list_that_an_acknowledgement_has_overtaken_brings_no_ended_task_back() {
    let (mut bench, id, agent) = running(&[]);
    let killed = (TaskState::TaskKilled, TaskState::TaskKilled);
    bench.status("s", &id, &agent, "t", killed, 1);
    let mut late = back(&agent, &id, &[("t", TaskState::TaskKilled)]);
    late.tasks[0].status_update_state = Some(TaskState::TaskKilled as i32);
    late.tasks[0].status_update_uuid = Some(uuid(1).into());
    // Before the acknowledgement it is in the books, and stays there.
    bench.reregister("s", late.clone());
    assert_eq!(bench.state_of(&id, "t"), Some(TaskState::TaskKilled));
    bench.acknowledge("a", &id, &agent, "t", 1);
    bench.take_statuses("a");
    bench.reregister("s", late.clone());
    assert_eq!(bench.state_of(&id, "t"), None);
    assert!(bench.take_statuses("a").is_empty());
    // So the next list, without it, leaves nothing for the agent to answer.
    bench.take_agent_messages("s");
    bench.reregister("s", back(&agent, &id, &[]));
    let messages = bench.take_agent_messages("s");
    let ToAgent::Reregistered(message) = &messages[0] else {
        panic!("{messages:?}")
    };
    assert!(message.reconciliations.is_empty());
    // An agent that missed the acknowledgement says the end again, and gets another.
    bench.status("s", &id, &agent, "t", killed, 1);
    assert_eq!(bench.take_statuses("a").len(), 1);
    bench.acknowledge("a", &id, &agent, "t", 1);
    assert_eq!(told(&mut bench), ["acknowledge"]);
    // Another task by that name is another.
    late.tasks[0].status_update_uuid = Some(uuid(2).into());
    bench.reregister("s", late);
    assert_eq!(bench.state_of(&id, "t"), Some(TaskState::TaskKilled));
}

#[test]
fn a_kill_that_the_agent_missed_is_sent_again() {
    let (mut bench, id, agent) = running(&[]);
    bench.exited("s");
    let mut call = Bench::of(&id, call::Type::Kill);
    call.kill = Some(call::Kill {
        task_id: TaskId { value: "t".into() },
        ..call::Kill::default()
    });
    bench.call("a", call);
    assert!(told(&mut bench).is_empty());
    bench.reregister("s", back(&agent, &id, &[("t", TaskRunning)]));
    assert_eq!(
        told(&mut bench),
        ["reregistered", "kill", "update framework"]
    );
}

#[test]
fn another_port_is_fine_and_another_ip_or_hostname_is_not() {
    let (mut bench, id, agent) = running(&[]);
    bench.reregister("slave(2)", back(&agent, &id, &[("t", TaskRunning)]));
    assert_eq!(
        bench.core.snapshot().agent(&agent).unwrap().pid,
        pid("slave(2)")
    );
    // The old link means nothing any more.
    bench.exited("s");
    assert!(bench.core.snapshot().agent(&agent).unwrap().connected);

    let mut renamed = back(&agent, &id, &[("t", TaskRunning)]);
    renamed.agent.hostname = "elsewhere".into();
    bench.reregister("s", renamed);
    assert_eq!(told(&mut bench), ["shutdown"]);
    assert_eq!(
        bench.core.snapshot().agent(&agent).unwrap().pid,
        pid("slave(2)")
    );
}

#[test]
fn a_changed_info_is_written_first_and_rescinds_offers() {
    let (mut bench, id, agent) = running(&[]);
    bench.offer(&id, &agent, "cpus:3;mem:512");
    bench.take_events("a");
    bench.slow = true;
    let mut grown = back(&agent, &id, &[("t", TaskRunning)]);
    grown.agent = agent_info(Some(&agent), "cpus:8;mem:1024");
    bench.reregister("s", grown);
    assert!(told(&mut bench).is_empty());
    bench.answer();
    assert_eq!(told(&mut bench), ["reregistered", "update framework"]);
    let snapshot = bench.core.snapshot();
    assert_eq!(
        snapshot
            .agent(&agent)
            .unwrap()
            .total
            .scalar("cpus")
            .to_f64(),
        8.0
    );
    assert!(snapshot.offers.is_empty());
    assert!(
        bench
            .to_allocator
            .iter()
            .any(|m| matches!(m, ToAllocator::UpdateAgent(_)))
    );
}

#[test]
fn an_unreachable_agent_keeps_its_tasks_and_frameworks_are_told() {
    for (capabilities, away) in [
        (&[][..], TaskLost),
        (&[Capability::PartitionAware], TaskUnreachable),
    ] {
        let (mut bench, id, agent) = running(capabilities);
        bench.silent.insert(pid("s"));
        bench.pass(Duration::from_secs(120));
        assert_eq!(bench.take_statuses("a")[0].state(), away);
        bench.silent.clear();
        bench.to_allocator.clear();
        bench.reregister("s", back(&agent, &id, &[("t", TaskRunning)]));
        assert_eq!(told(&mut bench), ["reregistered", "update framework"]);
        let statuses = bench.take_statuses("a");
        assert_eq!(
            (statuses[0].state(), statuses[0].reason()),
            (TaskRunning, Reason::AgentReregistered)
        );
        assert!(statuses[0].uuid.is_none());
        let snapshot = bench.core.snapshot();
        assert!(snapshot.unreachable_agents.is_empty());
        assert!(
            snapshot
                .framework(&id)
                .unwrap()
                .unreachable_tasks
                .is_empty()
        );
        assert_eq!(bench.state_of(&id, "t"), Some(TaskRunning));
        let [ToAllocator::AddAgent(added)] = &bench.to_allocator[..] else {
            panic!("{:?}", bench.to_allocator)
        };
        assert_eq!(added.used.len(), 1);
        assert_eq!(snapshot.task_counts.get(TaskUnreachable), 0);
        assert_eq!(snapshot.task_counts.get(TaskRunning), 1);
    }
}

#[test]
fn what_was_unreachable_and_is_not_on_the_returned_agent_is_forgotten() {
    let (mut bench, id, agent) = running(&[Capability::PartitionAware]);
    bench.silent.insert(pid("s"));
    bench.pass(Duration::from_secs(120));
    assert_eq!(bench.take_statuses("a")[0].state(), TaskUnreachable);
    bench.silent.clear();
    bench.reregister("s", back(&agent, &id, &[]));
    let snapshot = bench.core.snapshot();
    let framework = snapshot.framework(&id).unwrap();
    assert!(framework.unreachable_tasks.is_empty());
    assert_eq!(snapshot.task_counts.get(TaskUnreachable), 0);
    // Nobody is told; who asks is.
    assert!(bench.take_statuses("a").is_empty());
}

#[test]
fn an_agent_that_nobody_knows_is_let_in_with_its_frameworks() {
    let mut bench = Bench::new();
    bench.reregister("s", back("old-S0", "old-0000", &[("t", TaskRunning)]));
    let snapshot = bench.core.snapshot();
    let framework = snapshot.framework("old-0000").unwrap();
    assert_eq!(framework.connection, Connection::Recovered);
    assert!(!framework.active);
    assert_eq!(
        framework.used.unallocate().to_text().unwrap(),
        "cpus:1;mem:64"
    );
    // The allocator hears of the framework before it hears of what it uses.
    assert!(matches!(
        &bench.to_allocator[..],
        [ToAllocator::AddFramework(f), ToAllocator::AddAgent(a)] if !f.active && a.used.len() == 1
    ));
    assert_eq!(bench.registry.agents.as_ref().unwrap().agents.len(), 1);
    // A recovered framework waits without a limit, and is itself again when it subscribes.
    bench.pass(Duration::from_secs(100_000));
    let info = FrameworkInfo {
        id: Some(FrameworkId {
            value: "old-0000".into(),
        }),
        ..framework_info(&[])
    };
    assert_eq!(bench.subscribe("a", info), "old-0000");
    assert!(bench.core.snapshot().framework("old-0000").unwrap().active);
    assert_eq!(bench.state_of("old-0000", "t"), Some(TaskRunning));
}

#[test]
fn tasks_of_a_removed_framework_are_ended() {
    let (mut bench, id, agent) = running(&[]);
    bench.exited("s");
    bench.call("a", Bench::of(&id, call::Type::Teardown));
    told(&mut bench);
    bench.reregister("s", back(&agent, &id, &[("t", TaskRunning)]));
    assert_eq!(told(&mut bench), ["reregistered", "shutdown framework"]);
    assert!(
        bench
            .core
            .snapshot()
            .agent(&agent)
            .unwrap()
            .tasks
            .is_empty()
    );
    assert!(bench.core.snapshot().framework(&id).is_none());
}

#[test]
fn an_agent_in_transition_is_not_answered() {
    let (mut bench, id, agent) = running(&[]);
    bench.silent.insert(pid("s"));
    bench.slow = true;
    bench.pass(Duration::from_secs(120));
    assert_eq!(bench.waiting.len(), 1);
    bench.reregister("s", back(&agent, &id, &[("t", TaskRunning)]));
    assert!(told(&mut bench).is_empty());
    assert_eq!(bench.waiting.len(), 1);
    bench.answer();
    bench.reregister("s", back(&agent, &id, &[("t", TaskRunning)]));
    bench.reregister("s", back(&agent, &id, &[("t", TaskRunning)]));
    assert_eq!(bench.waiting.len(), 1);
    bench.answer();
    assert_eq!(told(&mut bench), ["reregistered", "update framework"]);
}
