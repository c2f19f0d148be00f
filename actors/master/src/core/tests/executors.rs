//! Executors of frameworks' own: charged once, ended, shut down, spoken to.

use tepui_protocol::mesos::internal::{ExecutorToFramework, ExitedExecutor, ReregisterAgent};
use tepui_protocol::mesos::v1::scheduler::{call, event};
use tepui_protocol::mesos::v1::{
    AgentId, CommandInfo, ExecutorId, ExecutorInfo, FrameworkId, TaskInfo, TaskState,
};

use super::bench::{Bench, agent_info, command_task, framework_info, launch, listed, pid, protos};
use crate::core::{FromAgent, Input, ToAgent, ToAllocator};

fn executor(id: &str) -> ExecutorInfo {
    ExecutorInfo {
        executor_id: ExecutorId { value: id.into() },
        command: Some(CommandInfo {
            value: Some("true".into()),
            ..CommandInfo::default()
        }),
        resources: protos("cpus:0.5;mem:32"),
        ..ExecutorInfo::default()
    }
}

/// A task of one cpu and 64 MB for an executor.
fn task(id: &str, agent: &str, executor: ExecutorInfo) -> TaskInfo {
    TaskInfo {
        command: None,
        executor: Some(executor),
        ..command_task(id, agent, "cpus:1;mem:64")
    }
}

/// A framework `a`, an agent at `s`, and an offer of all it has.
fn offered() -> (Bench, String, String, String) {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let agent = bench.agent("s", "cpus:4;mem:1024");
    let offer = bench.offer(&id, &agent, "cpus:4;mem:1024").remove(0);
    bench.take_events("a");
    bench.take_agent_messages("s");
    bench.take_recovered();
    (bench, id, agent, offer)
}

/// Whether each task that the agent at `s` is to run brings its executor with it.
fn launched(bench: &mut Bench) -> Vec<Option<bool>> {
    let messages = bench.take_agent_messages("s").into_iter();
    messages
        .map(|message| match message {
            ToAgent::Run(run) => run.launch_executor,
            other => panic!("{other:?}"),
        })
        .collect()
}

fn used(bench: &Bench, agent: &str, id: &str) -> String {
    let snapshot = bench.core.snapshot();
    let used = snapshot.agent(agent).unwrap().used.get(id).cloned();
    used.map_or_else(String::new, |used| used.unallocate().to_text().unwrap())
}

fn exits(bench: &mut Bench, id: &str, agent: &str, executor: &str) {
    let message = ExitedExecutor {
        agent_id: AgentId {
            value: agent.into(),
        },
        framework_id: FrameworkId { value: id.into() },
        executor_id: ExecutorId {
            value: executor.into(),
        },
        status: 9,
    };
    bench.give(Input::Agent(pid("s"), FromAgent::ExitedExecutor(message)));
}

#[test]
fn an_executor_is_charged_once_for_all_its_tasks() {
    let (mut bench, id, agent, offer) = offered();
    let tasks = vec![
        task("t1", &agent, executor("e")),
        task("t2", &agent, executor("e")),
        task("t3", &agent, executor("f")),
    ];
    bench.accept("a", &id, &[&offer], vec![launch(tasks)], None);
    assert_eq!(launched(&mut bench), [Some(true), Some(false), Some(true)]);
    assert_eq!(used(&bench, &agent, &id), "cpus:4;mem:256");
    assert!(bench.take_statuses("a").is_empty());
    assert_eq!(bench.take_recovered(), [("mem:768".to_owned(), Some(5.0))]);
}

#[test]
fn an_executor_has_to_fit_beside_its_task() {
    let (mut bench, id, agent, offer) = offered();
    let mut big = task("t", &agent, executor("e"));
    big.resources = protos("cpus:3.6");
    bench.launch("a", &id, &offer, big);
    let statuses = bench.take_statuses("a");
    assert_eq!(
        statuses[0].message(),
        "Total resources cpus(allocated: *):4.1; mem(allocated: *):32 required by task and its \
         executor is more than available cpus(allocated: *):4; mem(allocated: *):1024"
    );
    assert!(
        bench
            .core
            .snapshot()
            .framework(&id)
            .unwrap()
            .executors
            .is_empty()
    );
}

#[test]
fn what_is_sent_says_whose_the_executor_is_and_in_which_role() {
    let (mut bench, id, agent, offer) = offered();
    bench.launch("a", &id, &offer, task("t", &agent, executor("e")));
    let messages = bench.take_agent_messages("s");
    let [ToAgent::Run(run)] = &messages[..] else {
        panic!("{messages:?}")
    };
    let sent = run.task.executor.as_ref().unwrap();
    assert_eq!(sent.framework_id.as_ref().unwrap().value, id);
    let role = sent.resources[0].allocation_info.as_ref().unwrap();
    assert_eq!(role.role(), "*");
    let snapshot = bench.core.snapshot();
    let known = snapshot
        .framework(&id)
        .unwrap()
        .tasks
        .get("t")
        .cloned()
        .unwrap();
    assert_eq!(known.executor_id.as_ref().unwrap().value, "e");
}

#[test]
fn an_executor_that_runs_is_not_described_anew() {
    let (mut bench, id, agent, offer) = offered();
    bench.launch("a", &id, &offer, task("t1", &agent, executor("e")));
    let changed = ExecutorInfo {
        name: Some("other".into()),
        ..executor("e")
    };
    let richer = ExecutorInfo {
        resources: protos("cpus:0.6;mem:32"),
        ..executor("e")
    };
    for other in [changed, richer] {
        let offer = bench.offer(&id, &agent, "cpus:2;mem:512").remove(0);
        bench.take_events("a");
        bench.launch("a", &id, &offer, task("t2", &agent, other));
        let statuses = bench.take_statuses("a");
        let message = statuses[0].message();
        let words = "ExecutorInfo is not compatible with existing ExecutorInfo with same \
                     ExecutorID.\n";
        assert!(message.starts_with(words), "{message}");
    }
    // The same resources in another order are the same.
    let mut same = executor("e");
    same.resources.reverse();
    let offer = bench.offer(&id, &agent, "cpus:2;mem:512").remove(0);
    bench.launch("a", &id, &offer, task("t2", &agent, same));
    assert_eq!(bench.state_of(&id, "t2"), Some(TaskState::TaskStaging));
}

#[test]
fn when_an_executor_ends_its_resources_return_and_its_framework_hears_of_it() {
    let (mut bench, id, agent, offer) = offered();
    bench.launch("a", &id, &offer, task("t", &agent, executor("e")));
    bench.take_recovered();
    exits(&mut bench, &id, &agent, "e");
    assert_eq!(
        bench.take_recovered(),
        [("cpus:0.5;mem:32".to_owned(), None)]
    );
    assert_eq!(used(&bench, &agent, &id), "cpus:1;mem:64");
    let events = bench.take_events("a");
    let failure = events[0].failure.as_ref().unwrap();
    assert_eq!(failure.agent_id.as_ref().unwrap().value, agent);
    assert_eq!(failure.executor_id.as_ref().unwrap().value, "e");
    assert_eq!(failure.status, Some(9));
    // The next task brings it again.
    let offer = bench.offer(&id, &agent, "cpus:2;mem:512").remove(0);
    bench.take_agent_messages("s");
    bench.launch("a", &id, &offer, task("t2", &agent, executor("e")));
    assert_eq!(launched(&mut bench), [Some(true)]);
}

#[test]
fn messages_go_both_ways_while_the_agent_is_there() {
    let (mut bench, id, agent, _) = offered();
    let message = |agent: &str| {
        let mut call = Bench::of(&id, call::Type::Message);
        call.message = Some(call::Message {
            agent_id: AgentId {
                value: agent.into(),
            },
            executor_id: ExecutorId { value: "e".into() },
            data: b"to"[..].into(),
        });
        call
    };
    bench.call("a", message(&agent));
    let messages = bench.take_agent_messages("s");
    let [ToAgent::Message(sent)] = &messages[..] else {
        panic!("{messages:?}")
    };
    assert_eq!(
        (sent.framework_id.value.as_str(), &sent.data[..]),
        (id.as_str(), &b"to"[..])
    );
    assert_eq!(
        (sent.executor_id.value.as_str(), &sent.agent_id.value),
        ("e", &agent)
    );
    let answer = ExecutorToFramework {
        agent_id: AgentId {
            value: agent.clone(),
        },
        framework_id: FrameworkId { value: id.clone() },
        executor_id: ExecutorId { value: "e".into() },
        data: b"fro"[..].into(),
    };
    bench.give(Input::Agent(pid("s"), FromAgent::ToFramework(answer)));
    let events = bench.take_events("a");
    assert_eq!(events[0].r#type(), event::Type::Message);
    assert_eq!(&events[0].message.as_ref().unwrap().data[..], b"fro");

    bench.call("a", message("m-S9"));
    bench.exited("s");
    bench.call("a", message(&agent));
    assert!(bench.take_agent_messages("s").is_empty());
    assert_eq!(
        bench.count("master/valid_framework_to_executor_messages"),
        1
    );
    assert_eq!(
        bench.count("master/invalid_framework_to_executor_messages"),
        2
    );
    assert_eq!(bench.count("master/messages_framework_to_executor"), 3);
    assert_eq!(
        bench.count("master/valid_executor_to_framework_messages"),
        1
    );
}

#[test]
fn an_executor_is_shut_down_by_its_agent() {
    let (mut bench, id, agent, _) = offered();
    for to in [agent.as_str(), "m-S9"] {
        let mut call = Bench::of(&id, call::Type::Shutdown);
        call.shutdown = Some(call::Shutdown {
            agent_id: AgentId { value: to.into() },
            executor_id: ExecutorId { value: "e".into() },
        });
        bench.call("a", call);
    }
    let messages = bench.take_agent_messages("s");
    let [ToAgent::ShutdownExecutor(sent)] = &messages[..] else {
        panic!("{messages:?}")
    };
    assert_eq!(sent.framework_id.as_ref().unwrap().value, id);
    assert_eq!(sent.executor_id.as_ref().unwrap().value, "e");
}

#[test]
fn an_agent_that_is_back_says_which_executors_live() {
    let (mut bench, id, agent, offer) = offered();
    let tasks = vec![
        task("t", &agent, executor("e")),
        task("u", &agent, executor("f")),
    ];
    bench.accept("a", &id, &[&offer], vec![launch(tasks)], None);
    bench.exited("s");
    bench.take_recovered();
    let info = |name: &str| ExecutorInfo {
        framework_id: Some(FrameworkId { value: id.clone() }),
        resources: super::bench::resources("cpus:0.5;mem:32")
            .allocate("*")
            .to_proto(),
        ..executor(name)
    };
    let mut messages = Vec::new();
    for name in ["t", "u"] {
        messages.push(listed(&id, name, &agent, TaskState::TaskRunning));
    }
    // `f` is gone, `g` is new to the master.
    let message = ReregisterAgent {
        agent: agent_info(Some(&agent), "cpus:4;mem:1024"),
        tasks: messages,
        executor_infos: vec![info("e"), info("g")],
        frameworks: vec![framework_info(&[])],
        ..ReregisterAgent::default()
    };
    bench.to_allocator.clear();
    bench.reregister("s", message);
    let snapshot = bench.core.snapshot();
    let known: Vec<_> = snapshot
        .framework(&id)
        .unwrap()
        .executors
        .keys()
        .map(|(_, id)| id.clone())
        .collect();
    assert_eq!(known, ["e", "g"]);
    let used_more = bench
        .to_allocator
        .iter()
        .filter(|message| matches!(message, ToAllocator::AddUse(_)));
    assert_eq!(used_more.count(), 1);
    assert_eq!(
        bench.take_recovered(),
        [("cpus:0.5;mem:32".to_owned(), None)]
    );
    assert_eq!(used(&bench, &agent, &id), "cpus:3;mem:192");
}

/// An agent that was asked to run `t` with executor `e`, and is back with a list that it made
/// before.
fn back_without_it() -> (Bench, String, String) {
    let (mut bench, id, agent, offer) = offered();
    bench.launch("a", &id, &offer, task("t", &agent, executor("e")));
    bench.exited("s");
    bench.take_recovered();
    bench.reregister("s", list(&agent, Vec::new()));
    (bench, id, agent)
}

fn list(agent: &str, executor_infos: Vec<ExecutorInfo>) -> ReregisterAgent {
    ReregisterAgent {
        agent: agent_info(Some(agent), "cpus:4;mem:1024"),
        executor_infos,
        frameworks: vec![framework_info(&[])],
        ..ReregisterAgent::default()
    }
}

#[test]
fn what_an_executor_has_whose_launch_is_under_way_is_not_free() {
    let (mut bench, id, agent) = back_without_it();
    assert_eq!(bench.take_recovered(), []);
    assert_eq!(used(&bench, &agent, &id), "cpus:1.5;mem:96");
    // It was launched after all, and is one of those that end as others do.
    let running = (TaskState::TaskRunning, TaskState::TaskRunning);
    bench.status("s", &id, &agent, "t", running, 1);
    let resources = super::bench::resources("cpus:0.5;mem:32").allocate("*");
    let own = ExecutorInfo {
        framework_id: Some(FrameworkId { value: id.clone() }),
        resources: resources.to_proto(),
        ..executor("e")
    };
    bench.reregister("s", list(&agent, vec![own]));
    let dropped = (TaskState::TaskDropped, TaskState::TaskDropped);
    bench.status("s", &id, &agent, "t", dropped, 2);
    assert_eq!(
        used(&bench, &agent, &id),
        "cpus:0.5;mem:32",
        "it is on the list"
    );
}

#[test]
fn an_executor_whose_launch_never_arrived_is_struck_off() {
    let (mut bench, id, agent) = back_without_it();
    let dropped = (TaskState::TaskDropped, TaskState::TaskDropped);
    bench.status("s", &id, &agent, "t", dropped, 1);
    assert_eq!(used(&bench, &agent, &id), "");
    let mut recovered = bench.take_recovered();
    recovered.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = ["cpus:0.5;mem:32", "cpus:1;mem:64"].map(|text| (text.to_owned(), None));
    assert_eq!(recovered, expected);
    let snapshot = bench.core.snapshot();
    assert!(snapshot.agent(&agent).unwrap().doubtful.is_empty());
}

#[test]
fn executors_end_with_their_agent_and_their_framework() {
    let (mut bench, id, agent, offer) = offered();
    bench.launch("a", &id, &offer, task("t", &agent, executor("e")));
    bench.take_recovered();
    bench.call("a", Bench::of(&id, call::Type::Teardown));
    let mut returned = bench.take_recovered();
    returned.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = ["cpus:0.5;mem:32", "cpus:1;mem:64"].map(|text| (text.to_owned(), None));
    assert_eq!(returned, expected);
    assert!(
        bench
            .core
            .snapshot()
            .agent(&agent)
            .unwrap()
            .executors
            .is_empty()
    );
}
