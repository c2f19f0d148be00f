//! A container that has exceeded its memory: whoever tells it first, the cause is told.

use tepui_protocol::mesos::v1::task_status::Reason;

use super::*;

fn exceeded() -> Updated {
    Updated {
        state: Some(TaskState::TaskFailed as i32),
        reason: Some(Reason::ContainerLimitationMemory as i32),
        message: Some("Memory limit exceeded: 64MB".to_owned()),
        limited_resources: vec![scalar("mem", 64.0)],
        ..Updated::default()
    }
}

fn end(container: &str) -> Input {
    let exceeded = exceeded();
    Input::Terminated(Terminated {
        container_id: container_id(container),
        status: Some(9),
        state: exceeded.state,
        reason: exceeded.reason,
        message: exceeded.message,
        limited_resources: exceeded.limited_resources,
        error: None,
    })
}

const TOLD: &str = "TASK_FAILED REASON_CONTAINER_LIMITATION_MEMORY 'Memory limit exceeded: 64MB'";

#[test]
fn what_the_executor_calls_a_failure_has_the_containerizers_reason() {
    let (mut rig, container) = Rig::running(framework(false));
    rig.update(TaskState::TaskFailed, 1);
    let effects = rig.input(Input::ContainerUpdated(1, exceeded()));
    assert_eq!(
        short(&effects),
        [
            format!("to master: t {TOLD}"),
            "timer retry 1 10s".to_owned(),
            "to x: ACKNOWLEDGED".to_owned(),
        ]
    );
    let status = sent_status(&effects).update.status;
    assert_eq!(status.limitation.unwrap().resources, [scalar("mem", 64.0)]);
    assert_eq!(
        status.uuid,
        Some(Bytes::from(vec![1; 16])),
        "the executor's"
    );
    let kept = &rig.core.frameworks()["F"].executors["t"];
    let kept = &kept.tasks.get("t").unwrap().task;
    assert_eq!(
        kept.statuses.last().unwrap().reason(),
        Reason::ContainerLimitationMemory
    );
    assert_eq!(short(&rig.input(end(&container))), [""; 0], "told once");
    let notes = effects.iter().filter(|effect| {
        matches!(effect, Effect::Note(Note::Task { state, .. }) if *state == TaskState::TaskFailed)
    });
    assert_eq!(notes.count(), 1, "and counted once");
}

#[test]
fn the_end_of_the_container_may_come_before_the_answer() {
    let (mut rig, container) = Rig::running(framework(false));
    rig.update(TaskState::TaskFailed, 1);
    assert_eq!(short(&rig.input(end(&container))), [""; 0]);
    assert_eq!(
        short(&rig.updated(1)),
        [
            format!("to master: t {TOLD}"),
            "timer retry 1 10s".to_owned()
        ]
    );
}

#[test]
fn an_executor_that_is_killed_along_says_nothing() {
    let (mut rig, container) = Rig::running(framework(false));
    let effects = rig.input(end(&container));
    assert_eq!(short(&effects)[0], format!("to master: t {TOLD}"));
    assert_eq!(
        short(&rig.update(TaskState::TaskFailed, 1)),
        [""; 0],
        "nobody is connected any more"
    );
}

#[test]
fn other_ends_are_left_as_they_are() {
    for state in [TaskState::TaskFinished, TaskState::TaskKilled] {
        let (mut rig, _) = Rig::running(framework(false));
        rig.update(state, 1);
        let effects = rig.input(Input::ContainerUpdated(1, exceeded()));
        let status = sent_status(&effects).update.status;
        assert_eq!((status.state(), status.reason), (state, None));
    }
}

#[test]
fn of_several_tasks_each_is_told_the_cause() {
    let (mut rig, container) = Rig::custom(framework(false));
    rig.run_task(framework(false), custom_task("b", "e"));
    rig.updated(1);
    rig.update_of("e", "a", TaskState::TaskFailed, 1);
    let effects = rig.input(Input::ContainerUpdated(2, exceeded()));
    assert_eq!(short(&effects)[0], format!("to master: a {TOLD}"));
    let effects = rig.input(end(&container));
    assert_eq!(
        short(&effects),
        [
            "to master: exited executor e 9".to_owned(),
            format!("to master: b {TOLD}"),
            "timer retry 1 10s".to_owned(),
        ]
    );
}

#[test]
fn a_terminal_update_of_an_executor_that_is_ending_is_explained_too() {
    let (mut rig, _) = Rig::running(framework(false));
    rig.master(FromMaster::ShutdownExecutor(
        tepui_protocol::mesos::internal::ShutdownExecutor {
            framework_id: Some(framework_id("F")),
            executor_id: Some(executor_id("t")),
        },
    ));
    assert_eq!(
        short(&rig.update(TaskState::TaskFailed, 1)),
        ["update container 1: 2 resources"]
    );
    let effects = rig.input(Input::ContainerUpdated(1, exceeded()));
    assert_eq!(short(&effects)[0], format!("to master: t {TOLD}"));
}
