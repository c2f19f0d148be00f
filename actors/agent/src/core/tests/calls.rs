//! Which calls of executors are taken.

use super::*;
use crate::core::call::{CallError, Standing, validate_executor_call};
use tepui_protocol::mesos::v1::CheckStatusInfo;

fn a_call(kind: Option<call::Type>) -> Call {
    Call {
        framework_id: framework_id("F"),
        executor_id: executor_id("t"),
        r#type: kind.map(|kind| kind as i32),
        ..Call::default()
    }
}

fn an_update(change: impl FnOnce(&mut TaskStatus)) -> Call {
    let mut status = status("t", TaskState::TaskRunning, 1);
    change(&mut status);
    Call {
        update: Some(call::Update { status }),
        ..a_call(Some(call::Type::Update))
    }
}

fn judge(call: &Call, standing: Standing) -> Result<(), (u16, String)> {
    validate_executor_call(call, true, |_, _| standing)
        .map_err(|error| (error.status(), error.to_string()))
}

#[test]
fn each_defect_has_its_answer() {
    let invalid =
        |problem: &str| Err((400, format!("Failed to validate Executor::Call: {problem}")));
    let subscribed = Standing::Subscribed;
    let from = "executor t of framework F";
    for (call, answer) in [
        (a_call(None), invalid("Expecting 'type' to be present")),
        (
            a_call(Some(call::Type::Unknown)),
            Err((501, "501 Not Implemented.".to_owned())),
        ),
        (a_call(Some(call::Type::Heartbeat)), Ok(())),
        (
            a_call(Some(call::Type::Subscribe)),
            invalid("Expecting 'subscribe' to be present"),
        ),
        (
            a_call(Some(call::Type::Message)),
            invalid("Expecting 'message' to be present"),
        ),
        (
            a_call(Some(call::Type::Update)),
            invalid("Expecting 'update' to be present"),
        ),
        (an_update(|_| {}), Ok(())),
        (
            an_update(|s| s.uuid = None),
            invalid("Expecting 'uuid' to be present"),
        ),
        (
            an_update(|s| s.uuid = Some(Bytes::from_static(b"short"))),
            invalid("Not a valid UUID"),
        ),
        (
            an_update(|s| s.executor_id = Some(executor_id("u"))),
            invalid("ExecutorID in Call: t does not match ExecutorID in TaskStatus: u"),
        ),
        (
            an_update(|s| s.source = Some(Source::Agent as i32)),
            invalid(&format!(
                "Received Call from {from} with invalid source, expecting 'SOURCE_EXECUTOR'"
            )),
        ),
        (
            an_update(|s| s.state = TaskState::TaskStaging as i32),
            invalid(&format!(
                "Received TASK_STAGING from {from} which is not allowed"
            )),
        ),
        (
            an_update(|s| s.state = 99),
            invalid(&format!("Received an unknown task state 99 from {from}")),
        ),
        (
            an_update(|s| s.task_id.value = "a/b".to_owned()),
            invalid(&format!(
                "Received a status from {from} for a task whose id is not valid"
            )),
        ),
        (
            an_update(|s| s.check_status = Some(CheckStatusInfo::default())),
            invalid("CheckStatusInfo must specify 'type'"),
        ),
    ] {
        assert_eq!(judge(&call, subscribed), answer, "{call:?}");
    }
}

#[test]
fn whom_the_agent_does_not_know_is_answered_as_by_mesos() {
    let update = an_update(|_| {});
    let answer = |standing| judge(&update, standing).unwrap_err();
    assert_eq!(
        answer(Standing::NoFramework),
        (400, "Framework cannot be found".to_owned())
    );
    assert_eq!(
        answer(Standing::NoExecutor),
        (400, "Executor cannot be found".to_owned())
    );
    assert_eq!(
        answer(Standing::NotSubscribed),
        (403, "Executor is not subscribed".to_owned())
    );
    let subscribe = Some(call::Subscribe::default());
    let subscribe = Call {
        subscribe,
        ..a_call(Some(call::Type::Subscribe))
    };
    assert_eq!(judge(&subscribe, Standing::NotSubscribed), Ok(()));
    let closed = validate_executor_call(&subscribe, false, |_, _| Standing::Subscribed);
    assert_eq!(closed.unwrap_err().status(), CallError::Recovering.status());
}

#[test]
fn an_executor_that_is_an_actor_hears_why_it_is_refused() {
    let (mut rig, _) = Rig::running(framework(false));
    let effects = rig.update(TaskState::TaskStaging, 1);
    assert_eq!(
        short(&effects),
        [
            "to x: ERROR Failed to validate Executor::Call: Received TASK_STAGING from executor \
             t of framework F which is not allowed"
        ]
    );
    assert!(
        effects
            .iter()
            .any(|e| matches!(e, Effect::Note(Note::Refused { update: true, .. })))
    );
}

#[test]
fn updates_of_tasks_that_nobody_knows_are_forwarded_up_to_a_bound() {
    let (mut rig, _) = Rig::running(framework(false));
    let mut forwarded = 0;
    for number in 0..crate::core::framework::MAX_STRAYS + 5 {
        let mut status = status(&format!("stray-{number}"), TaskState::TaskRunning, 1);
        status.uuid = Some(bytes_of(uuid::Uuid::from_u128(number as u128)));
        let update = Some(call::Update { status });
        let effects = rig.executor(
            call::Type::Update,
            Call {
                update,
                ..Call::default()
            },
        );
        forwarded += short(&effects)
            .iter()
            .filter(|line| line.starts_with("to master"))
            .count();
    }
    assert_eq!(forwarded, crate::core::framework::MAX_STRAYS);
}

#[test]
fn an_executor_that_subscribes_from_elsewhere_leaves_its_old_connection() {
    let (mut rig, _) = Rig::running(framework(false));
    let subscribe = Some(call::Subscribe {
        unacknowledged_tasks: vec![task("t")],
        ..Default::default()
    });
    let call = Call {
        subscribe,
        ..a_call(Some(call::Type::Subscribe))
    };
    let effects = rig.input(Input::Executor(pid("y@10.0.0.2:10"), call));
    assert_eq!(
        short(&effects),
        [
            "to x: ERROR Executor subscribed from elsewhere",
            "link y",
            "to y: SUBSCRIBED"
        ]
    );
    rig.input(Input::Exited(pid("x@10.0.0.2:9")));
    assert_eq!(short(&rig.kill("t")), ["to y: KILL t"]);
}
