//! A task from offer to end, as events and effects.

use tepui_protocol::{
    mesos::v1::{OfferId, TaskId, task_status},
    resources,
};

use super::*;

fn core(kill_after: Option<Duration>) -> Core {
    let task = TaskInfo {
        name: "t".to_owned(),
        task_id: TaskId {
            value: "t".to_owned(),
        },
        resources: resources::parse("cpus:1;mem:64", "*").unwrap().to_proto(),
        ..TaskInfo::default()
    };
    Core::new(FrameworkInfo::default(), task, kill_after)
}

fn subscribed() -> Event {
    Event {
        r#type: Some(event::Type::Subscribed.into()),
        subscribed: Some(event::Subscribed {
            framework_id: FrameworkId {
                value: "F".to_owned(),
            },
            ..event::Subscribed::default()
        }),
        ..Event::default()
    }
}

fn offers(each: &[(&str, &str)]) -> Event {
    let offer = |(id, text): &(&str, &str)| Offer {
        id: OfferId {
            value: (*id).to_owned(),
        },
        agent_id: AgentId {
            value: format!("agent of {id}"),
        },
        resources: resources::parse(text, "*").unwrap().to_proto(),
        ..Offer::default()
    };
    Event {
        r#type: Some(event::Type::Offers.into()),
        offers: Some(event::Offers {
            offers: each.iter().map(offer).collect(),
        }),
        ..Event::default()
    }
}

fn update(state: TaskState, uuid: Option<&'static [u8]>) -> Event {
    Event {
        r#type: Some(event::Type::Update.into()),
        update: Some(event::Update {
            status: TaskStatus {
                task_id: TaskId {
                    value: "t".to_owned(),
                },
                state: state.into(),
                agent_id: Some(AgentId {
                    value: "agent of o".to_owned(),
                }),
                uuid: uuid.map(bytes::Bytes::from_static),
                ..TaskStatus::default()
            },
        }),
        ..Event::default()
    }
}

/// The effects in words.
fn told(effects: Vec<Effect>) -> Vec<String> {
    let word = |effect: Effect| match effect {
        Effect::Print(text) => text,
        Effect::Warn(text) => format!("warning: {text}"),
        Effect::Call(call) => {
            let id = call.framework_id.clone().unwrap_or_default().value;
            let kind = call.r#type();
            let about = match kind {
                call::Type::Accept => call.accept.unwrap().offer_ids[0].value.clone(),
                call::Type::Decline => {
                    let ids = call.decline.unwrap().offer_ids;
                    ids.into_iter()
                        .map(|id| id.value)
                        .collect::<Vec<_>>()
                        .join(",")
                }
                call::Type::Kill => call.kill.unwrap().agent_id.unwrap().value,
                call::Type::Reconcile => call.reconcile.unwrap().tasks[0].task_id.value.clone(),
                other => return format!("{id}: {}", other.as_str_name()),
            };
            format!("{id}: {} {about}", kind.as_str_name())
        }
        Effect::KillAfter(after) => format!("kill after {after:?}"),
        Effect::Finish(success) => format!("finish {success}"),
    };
    effects.into_iter().map(word).collect()
}

#[test]
fn the_task_goes_onto_the_first_offer_in_which_it_fits() {
    let mut core = core(None);
    assert_eq!(told(core.event(subscribed())), ["Subscribed with ID F"]);
    let given = [
        ("small", "cpus:1;mem:32"),
        ("o", "cpus:4;mem:64"),
        ("p", "cpus:4;mem:64"),
    ];
    assert_eq!(
        told(core.event(offers(&given))),
        [
            "F: ACCEPT o",
            "Submitted task 't' to agent 'agent of o'",
            "F: DECLINE small,p"
        ]
    );
    assert_eq!(
        told(core.event(offers(&[("q", "cpus:4;mem:64")]))),
        ["F: DECLINE q"]
    );
}

#[test]
fn updates_are_acknowledged_and_the_last_one_ends_it() {
    for (state, success) in [
        (TaskState::TaskFinished, true),
        (TaskState::TaskFailed, false),
    ] {
        let mut core = core(None);
        core.event(subscribed());
        core.event(offers(&[("o", "cpus:4;mem:64")]));
        assert_eq!(
            told(core.event(update(TaskState::TaskRunning, Some(b"1")))),
            [
                "Received status update TASK_RUNNING for task 't'",
                "F: ACKNOWLEDGE"
            ]
        );
        assert_eq!(
            told(core.event(update(state, None))),
            [
                format!(
                    "Received status update {} for task 't'",
                    state.as_str_name()
                ),
                "F: TEARDOWN".to_owned(),
                format!("finish {success}")
            ]
        );
    }
}

#[test]
fn it_is_killed_once_after_it_ran_for_long_enough() {
    let mut core = core(Some(Duration::from_secs(3)));
    core.event(subscribed());
    core.event(offers(&[("o", "cpus:4;mem:64")]));
    let started = told(core.event(update(TaskState::TaskStarting, None)));
    assert_eq!(
        started,
        ["Received status update TASK_STARTING for task 't'"]
    );
    let running = told(core.event(update(TaskState::TaskRunning, None)));
    assert_eq!(running[1..], ["kill after 3s"]);
    let again = told(core.event(update(TaskState::TaskRunning, None)));
    assert_eq!(again.len(), 1);
    assert_eq!(
        told(core.kill()),
        ["Asked to kill task 't'", "F: KILL agent of o"]
    );
}

#[test]
fn after_a_broken_connection_it_asks_what_became_of_the_task() {
    let mut core = core(None);
    assert_eq!(core.subscribe().framework_id, None);
    core.event(subscribed());
    let again = core.subscribe();
    assert_eq!(again.framework_id.unwrap().value, "F");
    assert_eq!(
        again.subscribe.unwrap().framework_info.id.unwrap().value,
        "F"
    );
    assert_eq!(told(core.event(subscribed())), ["Subscribed with ID F"]);
    core.event(offers(&[("o", "cpus:4;mem:64")]));
    let expected = ["Subscribed with ID F", "F: RECONCILE t"];
    assert_eq!(told(core.event(subscribed())), expected);
}

#[test]
fn an_error_ends_it() {
    let error = Event {
        r#type: Some(event::Type::Error.into()),
        error: Some(event::Error {
            message: "no".to_owned(),
        }),
        ..Event::default()
    };
    let expected = ["warning: Received an ERROR event: no", "finish false"];
    assert_eq!(told(core(None).event(error)), expected);
}

#[test]
fn what_is_known_of_an_update_is_printed() {
    let status = TaskStatus {
        task_id: TaskId {
            value: "t".to_owned(),
        },
        state: TaskState::TaskFailed.into(),
        message: Some("it fell".to_owned()),
        source: Some(task_status::Source::Executor.into()),
        reason: Some(task_status::Reason::CommandExecutorFailed.into()),
        healthy: Some(false),
        ..TaskStatus::default()
    };
    assert_eq!(
        lines(&status),
        "Received status update TASK_FAILED for task 't'\n  message: 'it fell'\n  \
         source: SOURCE_EXECUTOR\n  reason: REASON_COMMAND_EXECUTOR_FAILED\n  healthy?: 0"
    );
}
