//! A task from offer to end, as events and effects.

use tepui_protocol::{
    mesos::v1::{ExecutorId, OfferId, task_status},
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
    Core::new(
        FrameworkInfo::default(),
        Work::Task(Box::new(task)),
        kill_after,
    )
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
    update_of("t", state, uuid)
}

fn update_of(task: &str, state: TaskState, uuid: Option<&'static [u8]>) -> Event {
    Event {
        r#type: Some(event::Type::Update.into()),
        update: Some(event::Update {
            status: TaskStatus {
                task_id: TaskId {
                    value: task.to_owned(),
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

/// A group of `t` and `u`, which with their executor need 2.1 cpus, 160 MB and 32 MB of disk.
fn group(kill_after: Option<Duration>) -> Core {
    let resources = |text| resources::parse(text, "*").unwrap().to_proto();
    let task = |id: &str| TaskInfo {
        task_id: TaskId {
            value: id.to_owned(),
        },
        resources: resources("cpus:1;mem:64"),
        ..TaskInfo::default()
    };
    let executor = ExecutorInfo {
        executor_id: ExecutorId {
            value: "e".to_owned(),
        },
        resources: resources("cpus:0.1;mem:32;disk:32"),
        ..ExecutorInfo::default()
    };
    let work = Work::Group(Box::new(executor), vec![task("t"), task("u")]);
    Core::new(FrameworkInfo::default(), work, kill_after)
}

#[test]
fn a_group_goes_onto_an_offer_with_room_for_all_of_it_and_its_executor() {
    let mut core = group(None);
    core.event(subscribed());
    let given = [
        ("small", "cpus:2;mem:160;disk:32"),
        ("o", "cpus:2.1;mem:160;disk:32"),
    ];
    let effects = core.event(offers(&given));
    let accept = effects.iter().find_map(|effect| match effect {
        Effect::Call(call) => call.accept.clone(),
        _ => None,
    });
    let operation = accept.unwrap().operations.remove(0);
    assert_eq!(operation.r#type(), operation::Type::LaunchGroup);
    let launched = operation.launch_group.unwrap();
    assert_eq!(launched.executor.framework_id.unwrap().value, "F");
    let agents = launched.task_group.tasks.iter();
    let agents: Vec<&str> = agents.map(|task| task.agent_id.value.as_str()).collect();
    assert_eq!(agents, ["agent of o"; 2]);
    assert_eq!(
        told(effects),
        [
            "F: ACCEPT o",
            "Submitted task group with tasks [ 't', 'u' ] to agent 'agent of o'",
            "F: DECLINE small"
        ]
    );
}

#[test]
fn a_group_is_over_with_its_last_task_and_has_finished_if_each_has() {
    for (second, success) in [
        (TaskState::TaskFinished, true),
        (TaskState::TaskKilled, false),
    ] {
        let mut core = group(None);
        core.event(subscribed());
        core.event(offers(&[("o", "cpus:4;mem:256;disk:64")]));
        for _ in 0..2 {
            // Told twice, it has ended once.
            let first = core.event(update_of("t", TaskState::TaskFinished, None));
            assert_eq!(first.len(), 1, "{first:?}");
        }
        let strange = core.event(update_of("another", TaskState::TaskFailed, None));
        assert_eq!(strange.len(), 1, "{strange:?}");
        let last = told(core.event(update_of("u", second, None)));
        assert_eq!(
            last[1..],
            ["F: TEARDOWN".to_owned(), format!("finish {success}")]
        );
    }
}

#[test]
fn of_a_group_those_that_still_run_are_killed() {
    let mut core = group(Some(Duration::from_secs(1)));
    core.event(subscribed());
    core.event(offers(&[("o", "cpus:4;mem:256;disk:64")]));
    let running = told(core.event(update_of("t", TaskState::TaskRunning, None)));
    assert_eq!(running[1..], ["kill after 1s"]);
    assert_eq!(
        told(core.event(update_of("u", TaskState::TaskRunning, None))).len(),
        1
    );
    assert_eq!(core.kill().len(), 4);
    core.event(update_of("t", TaskState::TaskFinished, None));
    let killed = ["Asked to kill task 'u'", "F: KILL agent of o"];
    assert_eq!(told(core.kill()), killed);
}
