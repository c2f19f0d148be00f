//! Runs of small jobs against made-up offers and updates.

use tepui_protocol::mesos::v1::{OfferId, task_status};
use tepui_protocol::resources;

use super::*;

fn run(instances: usize) -> Run {
    Run::new(Job {
        name: "job".to_owned(),
        command: CommandInfo {
            value: Some("true".to_owned()),
            ..CommandInfo::default()
        },
        resources: resources::parse("cpus:1;mem:64", "*").unwrap(),
        instances,
    })
}

fn offer(id: &str, text: &str) -> Offer {
    let allocated = resources::parse(text, "*").unwrap().allocate("web");
    Offer {
        id: OfferId {
            value: id.to_owned(),
        },
        framework_id: FrameworkId {
            value: "f".to_owned(),
        },
        agent_id: AgentId {
            value: format!("agent-{id}"),
        },
        hostname: "host".to_owned(),
        resources: allocated.to_proto(),
        ..Offer::default()
    }
}

fn status(instance: usize, state: TaskState, message: Option<&str>) -> TaskStatus {
    TaskStatus {
        task_id: TaskId {
            value: format!("job.{instance}"),
        },
        state: state.into(),
        message: message.map(str::to_owned),
        ..TaskStatus::default()
    }
}

/// Which tasks are launched on which offers.
fn launched(effects: &[Effect]) -> Vec<(&str, Vec<&str>)> {
    let mut launched = Vec::new();
    for effect in effects {
        if let Effect::Launch { offer, tasks } = effect {
            let ids = tasks.iter().map(|task| task.task_id.value.as_str());
            launched.push((offer.id.value.as_str(), ids.collect()));
        }
    }
    launched
}

#[test]
fn offers_are_filled_and_the_rest_is_given_back() {
    let mut run = run(3);
    let effects = run.offered(vec![
        offer("a", "cpus:2;mem:1000"),
        offer("b", "cpus:0.5;mem:1000"),
    ]);
    assert_eq!(launched(&effects), [("a", vec!["job.0", "job.1"])]);
    let declined = |effect: &Effect| matches!(effect, Effect::Decline(offers) if offers.len() == 1 && offers[0].id.value == "b");
    assert!(effects.iter().any(declined));
    assert!(
        !effects.contains(&Effect::Suppress),
        "one instance still waits"
    );
    let effects = run.offered(vec![offer("c", "cpus:4;mem:1000")]);
    assert_eq!(launched(&effects), [("c", vec!["job.2"])]);
    assert_eq!(effects.last(), Some(&Effect::Suppress));
}

#[test]
fn a_task_takes_what_is_reserved_first_and_says_what_it_was_allocated_for() {
    let mut run = run(1);
    let effects = run.offered(vec![offer("a", "cpus(web):0.25;cpus:2;mem:64")]);
    let Effect::Launch { tasks, .. } = &effects[1] else {
        panic!("{effects:?}")
    };
    let taken = Resources::from_proto(&tasks[0].resources).unwrap();
    let expected = resources::parse("cpus(web):0.25;cpus:0.75;mem:64", "*").unwrap();
    assert_eq!(taken, expected.allocate("web"));
}

#[test]
fn the_status_is_that_of_the_first_instance_that_did_not_end_well() {
    let mut run = run(3);
    run.offered(vec![offer("a", "cpus:3;mem:1000")]);
    let message = Some("Command exited with status 3");
    assert!(
        !run.updated(&status(2, TaskState::TaskFailed, message))
            .is_empty()
    );
    let again = run.updated(&status(2, TaskState::TaskFailed, message));
    assert_eq!(again, [], "an update that comes twice says nothing new");
    run.updated(&status(0, TaskState::TaskFinished, None));
    let message = Some("Command terminated with signal Killed");
    let effects = run.updated(&status(1, TaskState::TaskFailed, message));
    let said = "task job.1 is TASK_FAILED: Command terminated with signal Killed".to_owned();
    assert_eq!(effects, [Effect::Say(said), Effect::Finish(137)]);
}

#[test]
fn exit_statuses_are_read_from_the_words_of_the_executor() {
    let cases = [
        (
            TaskState::TaskFinished,
            Some("Command exited with status 0"),
            0,
        ),
        (
            TaskState::TaskFailed,
            Some("Command exited with status 3"),
            3,
        ),
        (
            TaskState::TaskFailed,
            Some("Command exited with status 300"),
            1,
        ),
        (
            TaskState::TaskFailed,
            Some("Command terminated with signal Segmentation fault"),
            139,
        ),
        (
            TaskState::TaskFailed,
            Some("Command terminated with signal Terminated (core dumped)"),
            143,
        ),
        (
            TaskState::TaskKilled,
            Some("Command terminated with signal Terminated"),
            143,
        ),
        (TaskState::TaskError, Some("no such field"), 1),
        (TaskState::TaskLost, None, 1),
    ];
    for (state, message, expected) in cases {
        assert_eq!(
            exit_status(&status(0, state, message)),
            expected,
            "{message:?}"
        );
    }
}

#[test]
fn the_output_is_followed_from_the_first_update_of_the_agent_on() {
    let mut run = run(1);
    run.offered(vec![offer("a", "cpus:1;mem:64")]);
    assert_eq!(
        run.updated(&status(0, TaskState::TaskStaging, None)).len(),
        1
    );
    let mut starting = status(0, TaskState::TaskStarting, None);
    starting.agent_id = Some(AgentId {
        value: "agent-a".to_owned(),
    });
    let said = Effect::Say("task job.0 is TASK_STARTING".to_owned());
    let follow = Effect::Follow {
        instance: 0,
        status: Box::new(starting.clone()),
    };
    assert_eq!(run.updated(&starting), [said, follow]);
}

#[test]
fn an_interrupt_kills_what_runs_and_ends_with_its_status() {
    let mut run = run(2);
    run.offered(vec![offer("a", "cpus:1;mem:64")]);
    let effects = run.interrupt(130);
    let kill = Effect::Kill {
        task_id: TaskId {
            value: "job.0".to_owned(),
        },
        agent_id: AgentId {
            value: "agent-a".to_owned(),
        },
    };
    assert_eq!(
        effects,
        [Effect::Say("killing task job.0".to_owned()), kill]
    );
    assert_eq!(run.interrupt(143), [], "each task is killed once");
    assert!(launched(&run.offered(vec![offer("b", "cpus:1;mem:64")])).is_empty());
    let effects = run.updated(&status(0, TaskState::TaskKilled, None));
    assert_eq!(effects.last(), Some(&Effect::Finish(130)));
}

#[test]
fn an_interrupt_before_anything_ran_ends_at_once() {
    assert_eq!(run(2).interrupt(143), [Effect::Finish(143)]);
}

#[test]
fn updates_of_others_are_left_alone() {
    let mut run = run(1);
    for id in ["other.0", "job.1", "job", "job.x"] {
        let mut update = status(0, TaskState::TaskFinished, None);
        update.task_id.value = id.to_owned();
        update.set_reason(task_status::Reason::Reconciliation);
        assert_eq!(run.updated(&update), [], "{id}");
    }
}

#[test]
fn a_cluster_that_cannot_go_on_ends_the_run_once() {
    let mut run = run(1);
    let said = Effect::Say("no such role".to_owned());
    assert_eq!(run.failed("no such role"), [said, Effect::Finish(1)]);
    assert_eq!(run.failed("again"), []);
}
