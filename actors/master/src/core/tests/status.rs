//! Status updates, acknowledgements and kills.

use tepui_protocol::mesos::v1::scheduler::call;
use tepui_protocol::mesos::v1::task_status::Reason;
use tepui_protocol::mesos::v1::{AgentId, TaskId, TaskState};

use super::bench::{Bench, uuid};
use crate::core::ToAgent;

use TaskState::{TaskFailed, TaskFinished, TaskKilled, TaskKilling, TaskRunning, TaskStarting};

/// A framework `a`, an agent at `s` and a task `t` on it.
fn running() -> (Bench, String, String) {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let agent = bench.agent("s", "cpus:4;mem:1024");
    bench.run("a", &id, &agent, "t");
    bench.take_events("a");
    bench.take_agent_messages("s");
    bench.take_recovered();
    (bench, id, agent)
}

fn kill(bench: &mut Bench, id: &str, task: &str, agent: Option<&str>) {
    let mut call = Bench::of(id, call::Type::Kill);
    call.kill = Some(call::Kill {
        task_id: TaskId { value: task.into() },
        agent_id: agent.map(|agent| AgentId {
            value: agent.into(),
        }),
        kill_policy: None,
    });
    bench.call("a", call);
}

#[test]
fn an_update_reaches_the_framework_with_its_uuid() {
    let (mut bench, id, agent) = running();
    bench.status("s", &id, &agent, "t", (TaskRunning, TaskRunning), 1);
    let statuses = bench.take_statuses("a");
    assert_eq!(statuses.len(), 1);
    assert_eq!(statuses[0].state(), TaskRunning);
    assert_eq!(statuses[0].uuid(), &uuid(1)[..]);
    assert_eq!(statuses[0].agent_id.as_ref().unwrap().value, agent);
    assert_eq!(statuses[0].timestamp(), 7.0);
    assert_eq!(bench.state_of(&id, "t"), Some(TaskRunning));
    assert_eq!(bench.count("master/valid_status_updates"), 1);
}

#[test]
fn an_acknowledgement_reaches_the_agent() {
    let (mut bench, id, agent) = running();
    bench.status("s", &id, &agent, "t", (TaskRunning, TaskRunning), 1);
    bench.acknowledge("a", &id, &agent, "t", 1);
    let messages = bench.take_agent_messages("s");
    let [ToAgent::Acknowledge(message)] = &messages[..] else {
        panic!("{messages:?}")
    };
    assert_eq!(message.uuid, uuid(1));
    assert_eq!(
        (&message.framework_id.value, &message.agent_id.value),
        (&id, &agent)
    );
    assert_eq!(bench.state_of(&id, "t"), Some(TaskRunning));
}

#[test]
fn the_task_follows_the_latest_state_and_its_resources_go_with_it() {
    let (mut bench, id, agent) = running();
    // The framework is told STARTING, while the task has already finished at the agent.
    bench.status("s", &id, &agent, "t", (TaskStarting, TaskFinished), 1);
    assert_eq!(bench.take_statuses("a")[0].state(), TaskStarting);
    assert_eq!(bench.state_of(&id, "t"), Some(TaskFinished));
    assert_eq!(bench.take_recovered(), [("cpus:1;mem:64".to_owned(), None)]);
    assert!(bench.core.snapshot().agent(&agent).unwrap().used.is_empty());
    // The acknowledgement of STARTING does not end it.
    bench.acknowledge("a", &id, &agent, "t", 1);
    assert_eq!(bench.state_of(&id, "t"), Some(TaskFinished));
    bench.status("s", &id, &agent, "t", (TaskFinished, TaskFinished), 2);
    assert!(bench.take_recovered().is_empty());
    assert_eq!(bench.count("master/tasks_finished"), 1);
    bench.acknowledge("a", &id, &agent, "t", 2);
    assert_eq!(bench.state_of(&id, "t"), None);
    let snapshot = bench.core.snapshot();
    assert_eq!(snapshot.framework(&id).unwrap().completed_tasks.len(), 1);
    assert!(snapshot.agent(&agent).unwrap().tasks.is_empty());
    assert_eq!(snapshot.task_counts.get(TaskFinished), 0);
}

#[test]
fn a_terminal_state_stays() {
    let (mut bench, id, agent) = running();
    bench.status("s", &id, &agent, "t", (TaskFinished, TaskFinished), 1);
    bench.status("s", &id, &agent, "t", (TaskRunning, TaskRunning), 2);
    assert_eq!(bench.state_of(&id, "t"), Some(TaskFinished));
    assert_eq!(bench.take_statuses("a").len(), 2);
}

#[test]
fn only_the_acknowledgement_of_the_forwarded_terminal_update_removes_the_task() {
    let (mut bench, id, agent) = running();
    bench.status("s", &id, &agent, "t", (TaskFinished, TaskFinished), 1);
    bench.acknowledge("a", &id, &agent, "t", 9);
    assert_eq!(bench.state_of(&id, "t"), Some(TaskFinished));
    bench.acknowledge("a", &id, &agent, "t", 1);
    assert_eq!(bench.state_of(&id, "t"), None);
    // A second one is passed on: the agent may not have had the first.
    bench.acknowledge("a", &id, &agent, "t", 1);
    assert_eq!(bench.take_agent_messages("s").len(), 3);
}

#[test]
fn an_acknowledgement_without_an_update_is_dropped() {
    let (mut bench, id, agent) = running();
    bench.acknowledge("a", &id, &agent, "t", 1);
    bench.acknowledge("a", &id, "m-S9", "t", 1);
    assert!(bench.take_agent_messages("s").is_empty());
    assert_eq!(
        bench.count("master/invalid_status_update_acknowledgements"),
        2
    );
}

#[test]
fn an_update_for_a_disconnected_framework_is_counted_invalid_and_kept_by_the_agent() {
    let (mut bench, id, agent) = running();
    bench.exited("a");
    bench.take_events("a");
    bench.status("s", &id, &agent, "t", (TaskFinished, TaskFinished), 1);
    assert!(bench.take_events("a").is_empty());
    assert_eq!(bench.count("master/invalid_status_updates"), 1);
    // The master knows all the same, and the resources are free.
    assert_eq!(bench.state_of(&id, "t"), Some(TaskFinished));
    assert!(
        bench
            .core
            .snapshot()
            .framework(&id)
            .unwrap()
            .used
            .is_empty()
    );
}

#[test]
fn an_update_of_an_unknown_task_is_forwarded_and_of_an_unknown_agent_not() {
    let (mut bench, id, agent) = running();
    bench.status("s", &id, &agent, "other", (TaskRunning, TaskRunning), 1);
    assert_eq!(bench.take_statuses("a").len(), 1);
    bench.status("s", &id, "m-S9", "t", (TaskRunning, TaskRunning), 1);
    assert!(bench.take_statuses("a").is_empty());
    assert_eq!(bench.state_of(&id, "t"), Some(TaskState::TaskStaging));
    assert_eq!(bench.count("master/invalid_status_updates"), 2);
}

#[test]
fn statuses_of_one_state_replace_each_other_and_are_bounded() {
    let (mut bench, id, agent) = running();
    for uuid in 0..5 {
        bench.status("s", &id, &agent, "t", (TaskRunning, TaskRunning), uuid);
    }
    let statuses = |bench: &Bench| {
        let snapshot = bench.core.snapshot();
        let framework = snapshot.framework(&id).unwrap();
        framework.tasks.get("t").unwrap().statuses.len()
    };
    assert_eq!(statuses(&bench), 1);
    for uuid in 0..100 {
        let state = if uuid % 2 == 0 {
            TaskKilling
        } else {
            TaskRunning
        };
        bench.status("s", &id, &agent, "t", (state, state), uuid);
    }
    assert_eq!(statuses(&bench), 28);
}

#[test]
fn a_kill_is_passed_on() {
    let (mut bench, id, agent) = running();
    kill(&mut bench, &id, "t", Some(&agent));
    let messages = bench.take_agent_messages("s");
    assert!(
        matches!(&messages[..], [ToAgent::Kill(m)] if m.task_id.value == "t"),
        "{messages:?}"
    );
    kill(&mut bench, &id, "t", Some("m-S9"));
    assert!(bench.take_agent_messages("s").is_empty());
}

#[test]
fn a_kill_of_an_unknown_task_is_answered_by_reconciliation() {
    let (mut bench, id, agent) = running();
    kill(&mut bench, &id, "other", Some(&agent));
    let statuses = bench.take_statuses("a");
    assert_eq!(statuses[0].state(), TaskState::TaskLost);
    assert_eq!(statuses[0].reason(), Reason::Reconciliation);
    assert!(bench.take_agent_messages("s").is_empty());
}

#[test]
fn where_a_task_ran_or_was_killed_its_framework_is_offered_more_at_once() {
    let ends = [
        (TaskStarting, TaskFailed),
        (TaskKilled, TaskKilled),
        (TaskFinished, TaskFinished),
    ];
    for (first, then) in ends {
        let (mut bench, id, agent) = running();
        bench.status("s", &id, &agent, "t", (first, first), 1);
        bench.status("s", &id, &agent, "t", (then, then), 2);
        assert_eq!(bench.offer(&id, &agent, "cpus:4").len(), 1, "{first:?}");
    }
}
