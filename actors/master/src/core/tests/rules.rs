//! Rules of tasks and executors that no other test shows by itself: what a framework hears that
//! knows no partitions, what is charged, what is only warned of.

use std::time::Duration;

use tepui_protocol::mesos::v1::framework_info::capability::Type as Capability;
use tepui_protocol::mesos::v1::master::call::Type as OperatorCall;
use tepui_protocol::mesos::v1::scheduler::call::{self, Reconcile, reconcile};
use tepui_protocol::mesos::v1::{
    AgentId, CommandInfo, ExecutorId, ExecutorInfo, HealthCheck, TaskId, TaskInfo, TaskState,
    health_check,
};

use super::bench::{Bench, command_task, framework_info, pid, protos};
use super::operator::{ask, of_agent};
use crate::core::ToAgent;

use TaskState::{
    TaskDropped, TaskGone, TaskGoneByOperator, TaskLost, TaskUnknown, TaskUnreachable,
};

const TOTAL: &str = "cpus:4;mem:1024";

/// What a framework at `a` is answered of the task `asked`.
fn reconciled(bench: &mut Bench, id: &str, agent: Option<&str>) -> TaskState {
    let mut call = Bench::of(id, call::Type::Reconcile);
    let task = reconcile::Task {
        task_id: TaskId {
            value: "asked".into(),
        },
        agent_id: agent.map(|agent| AgentId {
            value: agent.into(),
        }),
    };
    call.reconcile = Some(Reconcile { tasks: vec![task] });
    bench.call("a", call);
    bench.take_statuses("a").pop().expect("an answer").state()
}

#[test]
fn what_a_framework_that_knows_no_partitions_hears_is_lost() {
    // Each in turn makes one of the five states.
    type Make = fn(&mut Bench, &str, &str) -> TaskState;
    let told = |bench: &mut Bench| bench.take_statuses("a").pop().expect("an update").state();
    let cases: [(TaskState, Make); 5] = [
        (TaskDropped, |bench, id, agent| {
            bench.launch("a", id, "nowhere", command_task("u", agent, "cpus:1"));
            bench.take_statuses("a").pop().expect("an update").state()
        }),
        (TaskUnreachable, |bench, id, agent| {
            bench.silent.insert(pid("s"));
            bench.pass(Duration::from_secs(120));
            let state = bench.take_statuses("a").pop().expect("an update").state();
            assert_eq!(reconciled(bench, id, Some(agent)), state);
            state
        }),
        (TaskGone, |bench, id, agent| {
            reconciled(bench, id, Some(agent))
        }),
        (TaskGoneByOperator, |bench, _, agent| {
            ask(bench, of_agent(OperatorCall::MarkAgentGone, agent));
            bench.take_statuses("a").pop().expect("an update").state()
        }),
        (TaskUnknown, |bench, id, _| reconciled(bench, id, None)),
    ];
    for (state, make) in cases {
        for (capabilities, expected) in
            [(&[Capability::PartitionAware][..], state), (&[], TaskLost)]
        {
            let mut bench = Bench::new();
            let id = bench.subscribe("a", framework_info(capabilities));
            let agent = bench.agent("s", TOTAL);
            bench.run("a", &id, &agent, "t");
            assert!(bench.take_statuses("a").is_empty());
            assert_eq!(make(&mut bench, &id, &agent), expected);
            // Of agents that are there a task stays what it is.
            if matches!(state, TaskDropped | TaskGone | TaskUnknown) {
                let running = TaskState::TaskRunning;
                bench.status("s", &id, &agent, "t", (running, running), 1);
                assert_eq!(told(&mut bench), running);
            }
        }
    }
}

#[test]
fn a_command_task_is_charged_for_itself_alone() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let agent = bench.agent("s", TOTAL);
    bench.take_agent_messages("s");
    // The agent adds 0.1 cpus and 32 MB for the executor: all there is may be used all the same.
    let offers = bench.offer(&id, &agent, TOTAL);
    bench.launch("a", &id, &offers[0], command_task("t", &agent, TOTAL));
    let sent = bench.take_agent_messages("s");
    let [ToAgent::Run(run)] = &sent[..] else {
        panic!("{sent:?}")
    };
    assert!(run.task.executor.is_none());
    let snapshot = bench.core.snapshot();
    let used = &snapshot.framework(&id).unwrap().used;
    assert_eq!(used.unallocate().to_text().unwrap(), TOTAL);
}

#[test]
fn a_scanty_executor_runs_and_the_log_says_so() {
    for (amount, said) in [
        ("cpus:0.005;mem:32", Some("less cpus (0.005)")),
        ("cpus:0.1;mem:31", Some("less mem (31)")),
        ("cpus:0.01;mem:32", None),
    ] {
        let mut bench = Bench::new();
        let id = bench.framework("a");
        let agent = bench.agent("s", TOTAL);
        bench.take_agent_messages("s");
        bench.warnings.clear();
        let executor = ExecutorInfo {
            executor_id: ExecutorId { value: "e".into() },
            command: Some(CommandInfo {
                value: Some("true".into()),
                ..CommandInfo::default()
            }),
            resources: protos(amount),
            ..ExecutorInfo::default()
        };
        let task = TaskInfo {
            command: None,
            executor: Some(executor),
            ..command_task("t", &agent, "cpus:1;mem:64")
        };
        let offers = bench.offer(&id, &agent, TOTAL);
        bench.launch("a", &id, &offers[0], task);
        let sent = bench.take_agent_messages("s");
        assert!(matches!(&sent[..], [ToAgent::Run(_)]), "{sent:?}");
        match said {
            None => assert!(bench.warnings.is_empty(), "{:?}", bench.warnings),
            Some(said) => {
                assert_eq!(bench.warnings.len(), 1);
                assert!(bench.warnings[0].contains(said), "{:?}", bench.warnings);
            }
        }
    }
}

#[test]
fn a_health_check_without_a_type_is_what_it_says() {
    let command = CommandInfo {
        value: Some("true".into()),
        ..CommandInfo::default()
    };
    let http = health_check::HttpCheckInfo {
        port: 80,
        ..health_check::HttpCheckInfo::default()
    };
    let of_command = HealthCheck {
        command: Some(command),
        ..HealthCheck::default()
    };
    let of_http = HealthCheck {
        http: Some(http.clone()),
        ..HealthCheck::default()
    };
    let of_both = HealthCheck {
        http: Some(http),
        ..of_command.clone()
    };
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let agent = bench.agent("s", TOTAL);
    let mut launch = |name: &str, check: HealthCheck| {
        let offers = bench.offer(&id, &agent, "cpus:1;mem:64");
        let mut task = command_task(name, &agent, "cpus:1;mem:64");
        task.health_check = Some(check);
        bench.launch("a", &id, &offers[0], task);
        let sent = bench.take_agent_messages("s");
        let told = bench.take_statuses("a").pop();
        (sent, told.map(|status| status.message().to_owned()))
    };
    for (name, check, kind) in [
        ("command", of_command, health_check::Type::Command),
        ("http", of_http, health_check::Type::Http),
    ] {
        let (sent, told) = launch(name, check);
        assert_eq!(told, None);
        let [ToAgent::Run(run)] = &sent[..] else {
            panic!("{sent:?}");
        };
        let check = run.task.health_check.as_ref().unwrap();
        assert_eq!(check.r#type, Some(kind as i32));
    }
    for (name, check) in [("both", of_both), ("none", HealthCheck::default())] {
        let (sent, told) = launch(name, check);
        assert!(sent.is_empty(), "{sent:?}");
        let words = told.unwrap();
        assert!(words.contains("HealthCheck must specify 'type'"), "{words}");
    }
}

#[test]
fn an_acknowledgement_for_an_agent_that_is_away_is_dropped() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let agent = bench.agent("s", TOTAL);
    bench.run("a", &id, &agent, "t");
    let ended = TaskState::TaskFinished;
    bench.status("s", &id, &agent, "t", (ended, ended), 1);
    bench.exited("s");
    bench.take_agent_messages("s");
    bench.acknowledge("a", &id, &agent, "t", 1);
    assert!(bench.take_agent_messages("s").is_empty());
    // The task waits for another: the agent will tell of its end again.
    assert_eq!(bench.state_of(&id, "t"), Some(ended));
    bench.acknowledge("a", &id, "m-S9", "t", 1);
    assert_eq!(bench.state_of(&id, "t"), Some(ended));
    assert_eq!(
        bench.count("master/invalid_status_update_acknowledgements"),
        2
    );
}
