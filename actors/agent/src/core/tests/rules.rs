//! Rules of launching, telling and listing tasks that no other example shows by itself.

use tepui_protocol::mesos::internal::{RegisterAgent, Shutdown, ShutdownFramework};
use tepui_protocol::mesos::v1::AgentInfo;
use tepui_protocol::mesos::v1::agent_info::capability::Type as Can;

use super::*;

/// Whether nothing came of it but a note that it was refused.
fn refused(effects: &[Effect]) -> bool {
    matches!(effects, [Effect::Note(Note::Refused { .. })])
}

#[test]
fn an_agent_says_what_it_can() {
    let mut rig = Rig::new();
    rig.input(Input::Recovered(Box::default()));
    rig.input(Input::ContainersRecovered(Ok(vec![])));
    let effects = rig.timer(Timer::Register(1));
    let Some(Effect::Send(_, Outbound::Register(message))) = effects.first() else {
        panic!("no registration but {effects:?}");
    };
    let RegisterAgent {
        agent: AgentInfo { id: None, .. },
        version: Some(version),
        agent_capabilities,
        resource_version_uuid: Some(resources),
        ..
    } = &**message
    else {
        panic!("{message:?}");
    };
    assert!(version.starts_with("1."), "{version}");
    assert_eq!(resources.value.len(), 16);
    let can: Vec<Can> = agent_capabilities.iter().map(|c| c.r#type()).collect();
    // Of what Mesos' agent says what is done, in its order.
    assert_eq!(
        can,
        [
            Can::MultiRole,
            Can::HierarchicalRole,
            Can::ReservationRefinement,
            Can::TaskResourceLimits,
        ]
    );
}

#[test]
fn what_waits_and_what_runs_is_on_the_list() {
    let (mut rig, _) = Rig::custom(framework(false));
    rig.update_of("e", "a", TaskState::TaskRunning, 1);
    // The container gets what it needs first: it is not with its executor yet.
    let effects = rig.run_task(framework(false), custom_task("b", "e"));
    assert_eq!(short(&effects), ["update container 1: 6 resources"]);
    rig.run_task(framework(false), task("c"));
    rig.after(Duration::from_secs(75));
    rig.timer(Timer::PingSilence);
    let effects = rig.timer(Timer::Register(3));
    let Some(Effect::Send(_, Outbound::Reregister(message))) = effects.first() else {
        panic!("no re-registration but {effects:?}");
    };
    let mut listed: Vec<(&str, TaskState)> = message
        .tasks
        .iter()
        .map(|task| (task.task_id.value.as_str(), task.state()))
        .collect();
    listed.sort_unstable_by_key(|(id, _)| *id);
    assert_eq!(
        listed,
        [
            ("a", TaskState::TaskRunning),
            ("b", TaskState::TaskStaging),
            ("c", TaskState::TaskStaging)
        ]
    );
    let frameworks: Vec<_> = message.frameworks.iter().map(|info| &info.id).collect();
    assert_eq!(frameworks, [&Some(framework_id("F"))]);
    // Of command tasks the executor is the agent's own affair.
    let executors = message.executor_infos.iter();
    let executors: Vec<&str> = executors.map(|e| e.executor_id.value.as_str()).collect();
    assert_eq!(executors, ["e"]);
}

#[test]
fn a_task_that_waits_takes_only_an_end() {
    let (mut rig, _) = Rig::custom(framework(false));
    rig.run_task(framework(false), custom_task("b", "e"));
    let effects = rig.update_of("e", "b", TaskState::TaskRunning, 1);
    let told = |effects: &[Effect]| {
        let mut told = short(effects).into_iter();
        told.any(|line| line.starts_with("to master: b "))
    };
    assert!(!told(&effects), "{effects:?}");
    let mut effects = rig.update_of("e", "b", TaskState::TaskFailed, 2);
    // It may wait for the container to get smaller.
    effects.extend(rig.updated(1));
    effects.extend(rig.updated(2));
    assert!(told(&effects), "{effects:?}");
    assert!(
        !short(&effects).contains(&"to x: LAUNCH b".to_owned()),
        "{effects:?}"
    );
}

#[test]
fn a_task_that_is_run_again_has_another_container() {
    let (mut rig, first) = Rig::running(framework(false));
    assert!(uuid::Uuid::parse_str(&first).is_ok(), "{first}");
    let effects = rig.update(TaskState::TaskFinished, 1);
    assert_eq!(short(&effects), ["update container 1: 2 resources"]);
    rig.updated(1);
    rig.acknowledge("t", Bytes::from(vec![1; 16]));
    rig.terminated(&first);
    let second = rig.run(framework(false), task("t")).container_id.value;
    assert_ne!(first, second);
}

#[test]
fn a_framework_that_does_not_checkpoint_leaves_nothing_on_the_disk() {
    let mut rig = Rig::registered();
    let mut all = rig.run_task(framework(false), task("t"));
    let container = rig.core.frameworks()["F"].executors["t"].container.clone();
    all.extend(rig.launched(&container));
    all.extend(rig.subscribe());
    all.extend(rig.update(TaskState::TaskRunning, 1));
    all.extend(rig.acknowledge("t", Bytes::from(vec![1; 16])));
    all.extend(rig.update(TaskState::TaskFinished, 2));
    all.extend(rig.updated(1));
    all.extend(rig.acknowledge("t", Bytes::from(vec![2; 16])));
    all.extend(rig.terminated(&container));
    assert!(rig.core.frameworks().is_empty(), "it went all the way");
    let written: Vec<&Effect> = all
        .iter()
        .filter(|effect| matches!(effect, Effect::Disk(_)))
        .filter(|effect| !matches!(effect, Effect::Disk(Write::Touch { .. })))
        .collect();
    assert!(written.is_empty(), "{written:?}");
}

#[test]
fn of_a_command_tasks_executor_no_exit_is_told() {
    let (mut rig, container) = Rig::running(framework(false));
    let effects = rig.input(Input::Terminated(Terminated {
        container_id: container_id(&container),
        status: Some(256),
        ..Terminated::default()
    }));
    assert_eq!(
        short(&effects),
        [
            "to master: t TASK_FAILED REASON_EXECUTOR_TERMINATED 'Executor terminated'",
            "timer retry 1 10s",
        ]
    );
}

#[test]
fn an_executor_has_its_time_from_the_launch_on() {
    let mut rig = Rig::registered();
    let effects = rig.run_task(framework(false), custom_task("a", "e"));
    // The sandbox is filled after that, by the containerizer.
    assert_eq!(
        short(&effects),
        ["sandbox runs/C", "launch", "timer registration 60s"]
    );
    let container = rig.core.frameworks()["F"].executors["e"].container.clone();
    rig.after(Duration::from_secs(59));
    assert_eq!(short(&rig.launched(&container)), [""; 0], "no time anew");
    let timer = Timer::ExecutorRegistration(container);
    assert_eq!(short(&rig.timer(timer)), ["destroy"]);
}

#[test]
fn who_recovers_or_ends_runs_nothing() {
    let mut rig = Rig::new();
    rig.input(Input::Recovered(Box::default()));
    assert_eq!(rig.core.state(), AgentState::Recovering);
    let effects = rig.run_task(framework(false), task("t"));
    assert!(refused(&effects), "{effects:?}");

    let (mut rig, _) = Rig::running(framework(false));
    rig.master(FromMaster::ShutdownFramework(ShutdownFramework {
        framework_id: framework_id("F"),
    }));
    let effects = rig.run_task(framework(false), task("u"));
    assert!(refused(&effects), "{effects:?}");
    let mut other = framework(false);
    other.id = Some(framework_id("G"));
    let effects = rig.run_task(other.clone(), task("u"));
    assert!(short(&effects).contains(&"launch".to_owned()));

    rig.master(FromMaster::Shutdown(Shutdown::default()));
    assert_eq!(rig.core.state(), AgentState::Terminating);
    let effects = rig.run_task(other, task("v"));
    assert!(refused(&effects), "{effects:?}");
}
