//! An agent that starts on the work_dir of another.

use std::path::Path;

use tepui_protocol::mesos::v1::ExecutorInfo;

use super::nested::{answered, kill, launch, launch_with, nested, refusal, wait};
use super::*;
use crate::checkpoint::{RecoveredExecutor, RecoveredFramework, RecoveredTask};
use crate::updates::{StreamKey, UpdateManager, replay};

/// What an agent leaves that ran task `t` and got `updates` for it, of which the first `acked`
/// were acknowledged.
fn left(info: FrameworkInfo, updates: &[TaskState], acked: usize) -> RecoveredState {
    let path = Path::new("/w/task.updates");
    let mut manager = UpdateManager::new();
    let key = StreamKey::new("F", "t");
    let mut file = Vec::new();
    let mut keep = |actions: Vec<Action>| {
        for action in actions {
            if let Action::Append { record, .. } = action {
                file.extend(record);
            }
        }
    };
    for (number, state) in (1..).zip(updates) {
        let status = status("t", *state, number);
        let update = StatusUpdate {
            framework_id: framework_id("F"),
            uuid: status.uuid.clone(),
            status,
            ..StatusUpdate::default()
        };
        keep(manager.update(&key, update, Some(path.to_owned())).1);
    }
    for number in (1..).take(acked) {
        keep(manager.acknowledge(&key, &Bytes::from(vec![number; 16])).1);
    }
    let launched = launch::task_of(&task("t"), "F", TaskState::TaskStaging, &info);
    let task = RecoveredTask {
        task: launched,
        updates: (!updates.is_empty()).then(|| replay(path, &file).unwrap()),
    };
    let executor = RecoveredExecutor {
        info: ExecutorInfo {
            executor_id: executor_id("t"),
            ..ExecutorInfo::default()
        },
        generated: true,
        container: "c".to_owned(),
        forked_pid: Some(4242),
        completed: false,
        tasks: vec![task],
    };
    let framework = RecoveredFramework {
        info,
        pid: String::new(),
        executors: vec![executor],
    };
    let mut agent = Rig::new().core.info().clone();
    agent.id = Some(AgentId {
        value: "S0".to_owned(),
    });
    RecoveredState {
        info: Some(agent),
        boot_id: None,
        frameworks: vec![framework],
        folders: Vec::new(),
    }
}

fn reregister(rig: &mut Rig) -> Vec<Effect> {
    rig.timer(Timer::Register(1));
    rig.master(FromMaster::Reregistered(
        tepui_protocol::mesos::internal::AgentReregistered {
            agent_id: AgentId {
                value: "S0".to_owned(),
            },
            ..Default::default()
        },
    ))
}

#[test]
fn an_executor_that_comes_back_goes_on_and_unacknowledged_updates_are_sent_again() {
    let mut rig = Rig::new();
    let state = left(
        framework(true),
        &[TaskState::TaskStarting, TaskState::TaskRunning],
        1,
    );
    assert_eq!(short(&rig.input(recovered(state))), ["recover 1"]);
    assert_eq!(
        short(&rig.subscribe()),
        [""; 0],
        "too early: it tries again"
    );
    let effects = rig.input(Input::ContainersRecovered(Ok(vec![container_id("c")])));
    assert_eq!(short(&effects), ["timer back 2s"]);
    assert_eq!(
        short(&rig.subscribe()),
        ["link x", "file pids/libprocess.pid", "to x: SUBSCRIBED"]
    );
    let effects = rig.timer(Timer::ExecutorReregistration);
    assert_eq!(short(&effects), ["link master", "timer register 1"]);
    assert_eq!(
        short(&rig.timer(Timer::Register(1))),
        ["to master: reregister 1 tasks", "timer register 2"]
    );
    let effects = reregister(&mut rig);
    assert_eq!(
        short(&effects),
        [
            "timer ping 75s",
            "to master: update agent",
            "behind w/task.updates",
            "to master: t TASK_RUNNING",
            "timer retry 1 10s"
        ]
    );
    assert_eq!(sent_uuid(&effects), Bytes::from(vec![2; 16]));
}

#[test]
fn an_executor_that_does_not_come_back_is_destroyed() {
    for (info, state) in [
        (framework(true), "TASK_LOST"),
        (partition_aware(framework(true)), "TASK_GONE"),
    ] {
        let mut rig = Rig::new();
        rig.input(recovered(left(info, &[TaskState::TaskRunning], 1)));
        rig.input(Input::ContainersRecovered(Ok(vec![container_id("c")])));
        let effects = rig.timer(Timer::ExecutorReregistration);
        assert_eq!(short(&effects)[0], "destroy");
        assert_eq!(short(&rig.terminated("c")), ["append w/task.updates"]);
        assert_eq!(
            short(&reregister(&mut rig))[3],
            format!(
                "to master: t {state} REASON_EXECUTOR_REREGISTRATION_TIMEOUT 'Executor did not \
                 reregister within 2secs'"
            )
        );
    }
}

#[test]
fn a_container_that_is_gone_ends_its_task() {
    let mut rig = Rig::new();
    rig.input(recovered(left(
        framework(true),
        &[TaskState::TaskRunning],
        1,
    )));
    let effects = rig.input(Input::ContainersRecovered(Ok(vec![])));
    assert_eq!(
        short(&effects),
        ["append w/task.updates", "link master", "timer register 1"]
    );
    assert_eq!(
        short(&reregister(&mut rig))[3],
        "to master: t TASK_FAILED REASON_EXECUTOR_TERMINATED 'Executor terminated'"
    );
}

#[test]
fn a_task_that_ended_and_was_acknowledged_is_not_told_again() {
    let mut rig = Rig::new();
    rig.input(recovered(left(
        framework(true),
        &[TaskState::TaskFinished],
        1,
    )));
    let effects = rig.input(Input::ContainersRecovered(Ok(vec![])));
    assert_eq!(
        short(&effects)[0],
        "file C/executor.sentinel".replace('C', "c")
    );
    let effects = reregister(&mut rig);
    assert_eq!(
        short(&effects),
        ["timer ping 75s", "to master: update agent"]
    );
    assert!(rig.core.frameworks().is_empty());
}

#[test]
fn a_task_that_never_reached_its_executor_is_dropped() {
    let mut rig = Rig::new();
    let info = partition_aware(framework(true));
    rig.input(recovered(left(info, &[], 0)));
    rig.input(Input::ContainersRecovered(Ok(vec![container_id("c")])));
    let lines = short(&rig.subscribe());
    assert_eq!(
        lines[2..],
        [
            "update container 1: 0 resources",
            "to x: SHUTDOWN",
            "timer shutdown 5s"
        ]
    );
    assert_eq!(short(&rig.updated(1)), ["append t/task.updates"]);
    rig.timer(Timer::ExecutorReregistration);
    assert_eq!(
        short(&reregister(&mut rig))[3],
        "to master: t TASK_DROPPED REASON_AGENT_RESTARTED 'Task launched during agent restart'"
    );
}

#[test]
fn an_agent_that_became_another_says_what_to_do() {
    let mut changed = options();
    changed.resources = vec![scalar("cpus", 8.0)];
    let mut rig = Rig::with(changed);
    let effects = rig.input(recovered(left(framework(true), &[], 0)));
    assert_eq!(
        short(&effects),
        [
            "exit Err(\"resources of this agent changed since it registered as S0; to let it \
             register anew, remove '/w/meta/slaves/latest'\")"
        ]
    );
}

#[test]
fn after_a_reboot_nothing_is_alive_and_the_id_is_kept() {
    let mut rebooted = options();
    rebooted.boot_id = Some("b2".to_owned());
    let mut rig = Rig::with(rebooted);
    let mut state = left(framework(true), &[TaskState::TaskRunning], 1);
    state.boot_id = Some("b1".to_owned());
    assert_eq!(
        short(&rig.input(recovered(state))),
        ["file meta/boot_id", "recover 0"]
    );
    rig.input(Input::ContainersRecovered(Ok(vec![])));
    assert_eq!(
        short(&rig.timer(Timer::Register(1))),
        ["to master: reregister 1 tasks", "timer register 2"]
    );
}

#[test]
fn a_containerizer_that_cannot_recover_ends_the_agent() {
    let mut rig = Rig::new();
    rig.input(recovered(RecoveredState::default()));
    let effects = rig.input(Input::ContainersRecovered(Err("EIO".to_owned())));
    assert_eq!(
        short(&effects),
        ["exit Err(\"the containerizer could not recover: EIO\")"]
    );
}

#[test]
fn nested_containers_of_before_are_waited_for_and_killed_by_the_agent_after() {
    let mut rig = Rig::new();
    rig.input(recovered(left(
        framework(true),
        &[TaskState::TaskRunning],
        1,
    )));
    let (alive, ended) = (nested("c", "alive"), nested("c", "ended"));
    let early = (503, "Agent has not finished recovery".to_owned());
    assert_eq!(refusal(&rig.ask(wait(&alive))), early);
    // What ended while there was no agent is told before the list of the living.
    rig.nested_ends(&ended, 256);
    // The list may have been begun before.
    let living = vec![container_id("c"), alive.clone(), ended.clone()];
    rig.input(Input::ContainersRecovered(Ok(living)));
    // The executor may ask before it has subscribed again.
    let answer = answered(&rig.ask(wait(&ended)));
    let end = answer.response.unwrap().wait_container.unwrap();
    assert_eq!(end.exit_status, Some(256));
    assert_eq!(short(&rig.ask(wait(&alive))), ["link agent-call(1)"]);
    // As whom it runs is not known any more, and not guessed.
    let inside = ContainerId {
        value: "inside".to_owned(),
        parent: Some(Box::new(alive.clone())),
    };
    let unknown = "The user of c.alive is not known any more: command.user: missing";
    assert_eq!(
        refusal(&rig.ask(launch(&inside))),
        (400, unknown.to_owned())
    );
    let named = launch_with(&inside, |part| {
        part.command.as_mut().unwrap().user = Some("other".to_owned());
    });
    assert_eq!(
        short(&rig.ask(named)),
        ["sandbox containers/inside", "launch"]
    );
    assert_eq!(
        short(&rig.ask(kill(&alive, Some(15)))),
        ["kill alive with 15", "to agent-call(1): 200"]
    );
    let effects = rig.nested_ends(&alive, 15);
    assert_eq!(answered(&effects).status, 200);
    // One whose executor has not come back goes with it.
    let effects = rig.timer(Timer::ExecutorReregistration);
    assert_eq!(short(&effects)[0], "destroy");
    rig.terminated("c");
    assert_eq!(refusal(&rig.ask(wait(&alive))).0, 404);
}

#[test]
fn while_an_agent_ends_its_executors_can_still_end_their_containers() {
    let (mut rig, container) = Rig::running(framework(false));
    let inside = nested(&container, "n");
    rig.nest(&inside);
    rig.master(FromMaster::Shutdown(
        tepui_protocol::mesos::internal::Shutdown::default(),
    ));
    assert_eq!(rig.core.state(), AgentState::Terminating);
    assert_eq!(
        short(&rig.ask(kill(&inside, None))),
        ["kill n with 9", "to agent-call(1): 200"]
    );
    assert_eq!(short(&rig.ask(wait(&inside))), ["link agent-call(1)"]);
}
