//! Executors of frameworks' own: several tasks on one, and all the ways in which they come and go.

use tepui_protocol::mesos::internal::{
    AgentReregistered, FrameworkToExecutor, ShutdownExecutor, StatusUpdateAcknowledgement,
};
use tepui_protocol::mesos::v1::{DurationInfo, KillPolicy};

use super::*;

/// Gives the agent a task that its master believes to need a launch, or not.
fn run(rig: &mut Rig, task: TaskInfo, launch_executor: bool) -> Vec<Effect> {
    rig.master(FromMaster::RunTask(Box::new(RunTask {
        framework: framework(false),
        task,
        pid: Some(String::new()),
        launch_executor: Some(launch_executor),
        ..RunTask::default()
    })))
}

fn message(executor: &str, data: &'static str) -> FromMaster {
    FromMaster::Message(FrameworkToExecutor {
        agent_id: AgentId {
            value: "S0".to_owned(),
        },
        framework_id: framework_id("F"),
        executor_id: executor_id(executor),
        data: Bytes::from(data),
    })
}

#[test]
fn the_launch_is_what_the_framework_describes() {
    let mut rig = Rig::registered();
    let launch = rig.run(framework(true), custom_task("a", "e"));
    assert_eq!(launch.executor_id.value, "e");
    assert!(!launch.builtin_executor());
    assert_eq!(launch.command.value(), "./executor");
    let amounts = launch.resources.iter().map(|resource| {
        let scalar = resource.scalar.as_ref().unwrap();
        (resource.name.as_str(), scalar.value)
    });
    assert_eq!(
        amounts.collect::<Vec<_>>(),
        [("cpus", 0.5), ("mem", 128.0), ("cpus", 1.0), ("mem", 64.0)]
    );
    let container = &launch.container_id.value;
    let directory = format!("/w/slaves/S0/frameworks/F/executors/e/runs/{container}");
    assert_eq!(launch.directory, directory);
    let executor = &rig.core.frameworks()["F"].executors["e"];
    assert_eq!(executor.info.framework_id, Some(framework_id("F")));
}

#[test]
fn the_executors_user_counts_before_the_frameworks() {
    let mut rig = Rig::registered();
    let mut task = custom_task("a", "e");
    let executor = task.executor.as_mut().unwrap();
    executor.command.as_mut().unwrap().user = Some("nobody".to_owned());
    let launch = rig.run(framework(false), task);
    assert_eq!(launch.user.as_deref(), Some("nobody"));
}

#[test]
fn a_checkpointed_executor_is_not_marked_as_the_agents_own() {
    let mut rig = Rig::registered();
    let effects = rig.run_task(framework(true), custom_task("a", "e"));
    assert_eq!(
        short(&effects),
        [
            "file F/framework.info",
            "file F/framework.pid",
            "sandbox runs/C",
            "file e/executor.info",
            "file a/task.info",
            "symlink runs/latest",
            "launch",
            "timer registration 60s",
        ]
    );
}

#[test]
fn tasks_queue_until_the_executor_subscribes() {
    let mut rig = Rig::registered();
    let container = run(&mut rig, custom_task("a", "e"), true);
    let container = match &container[..] {
        [.., Effect::Launch(launch), Effect::Timer(..)] => launch.container_id.value.clone(),
        effects => panic!("no launch in {effects:?}"),
    };
    assert_eq!(short(&run(&mut rig, custom_task("b", "e"), false)), [""; 0]);
    rig.launched(&container);
    assert_eq!(
        short(&rig.subscribe_as("e")),
        [
            "link x",
            "to x: SUBSCRIBED",
            "update container 1: 6 resources"
        ],
        "the container gets what the second task needs first"
    );
    assert_eq!(
        short(&rig.updated(1)),
        ["to x: LAUNCH a", "to x: LAUNCH b"],
        "in their order"
    );
    // One more, for an executor that runs.
    let effects = run(&mut rig, custom_task("c", "e"), false);
    assert_eq!(short(&effects), ["update container 2: 8 resources"]);
    assert_eq!(short(&rig.updated(2)), ["to x: LAUNCH c"]);
    let tasks = &rig.core.frameworks()["F"].executors["e"].tasks;
    assert_eq!(tasks.len(), 3);
}

#[test]
fn an_executor_outlives_its_tasks() {
    let (mut rig, container) = Rig::custom(framework(false));
    assert_eq!(
        short(&rig.update_of("e", "a", TaskState::TaskFinished, 1)),
        ["update container 1: 2 resources"]
    );
    rig.updated(1);
    rig.acknowledge("a", Bytes::from(vec![1; 16]));
    let executor = &rig.core.frameworks()["F"].executors["e"];
    assert_eq!(executor.state, ExecutorState::Running);
    assert!(executor.tasks.is_empty());
    // It takes another task, and ends by itself.
    run(&mut rig, custom_task("b", "e"), false);
    assert_eq!(short(&rig.updated(2)), ["to x: LAUNCH b"]);
    let effects = rig.input(Input::Terminated(Terminated {
        container_id: container_id(&container),
        status: Some(256),
        ..Terminated::default()
    }));
    assert_eq!(
        short(&effects),
        [
            "to master: exited executor e 256",
            "to master: b TASK_FAILED REASON_EXECUTOR_TERMINATED 'Executor terminated'",
            "timer retry 1 10s",
        ]
    );
    let status = sent_status(&effects).update.status;
    assert_eq!(status.container_status, None, "there is none any more");
    rig.acknowledge("b", status.uuid.unwrap());
    assert!(rig.core.frameworks().is_empty());
}

#[test]
fn what_the_master_believes_of_an_executor_has_to_be_so() {
    let mut rig = Rig::registered();
    let effects = run(&mut rig, custom_task("a", "e"), false);
    assert_eq!(
        short(&effects),
        [
            "to master: a TASK_LOST REASON_EXECUTOR_TERMINATED 'No executor is expected to \
             launch and there is no executor running'",
            "timer retry 1 10s",
        ]
    );
    let (mut rig, container) = Rig::custom(framework(false));
    let effects = run(&mut rig, custom_task("b", "e"), true);
    assert_eq!(
        short(&effects),
        [
            "to master: b TASK_LOST REASON_EXECUTOR_TERMINATED 'The executor to be launched \
             exists already'",
            "timer retry 1 10s",
        ],
        "its end is told when it comes"
    );
    // It has ended, and its last task is not acknowledged: the master may count it anew.
    rig.terminated(&container);
    let effects = run(&mut rig, custom_task("c", "e"), true);
    assert_eq!(
        short(&effects),
        [
            "to master: c TASK_LOST REASON_EXECUTOR_TERMINATED 'Executor terminating'",
            "timer retry 1 10s",
            "to master: exited executor e -1",
        ]
    );
}

#[test]
fn an_executor_with_the_id_of_a_command_tasks_is_not_mixed_up_with_it() {
    let (mut rig, _) = Rig::running(framework(false));
    let effects = rig.run_task(framework(false), custom_task("a", "t"));
    assert_eq!(
        short(&effects)[0],
        "to master: a TASK_LOST REASON_TASK_INVALID ''t' is the id of an executor that is still \
         here'"
    );
}

#[test]
fn a_task_given_twice_is_run_once() {
    let (mut rig, _) = Rig::custom(framework(false));
    let effects = run(&mut rig, custom_task("a", "e"), false);
    assert!(
        matches!(&effects[..], [Effect::Note(Note::Refused { .. })]),
        "{effects:?}"
    );
}

#[test]
fn all_tasks_killed_before_they_were_delivered_end_the_executor() {
    let mut rig = Rig::registered();
    let launch = rig.run(framework(false), custom_task("a", "e"));
    let container = launch.container_id.value;
    run(&mut rig, custom_task("b", "e"), false);
    rig.launched(&container);
    rig.kill("a");
    rig.kill("b");
    rig.updated(1);
    let effects = rig.updated(2);
    let status = sent_status(&effects).update.status;
    assert_eq!(status.state(), TaskState::TaskKilled);
    assert_eq!(
        short(&rig.subscribe_as("e")),
        ["link x", "to x: SHUTDOWN", "timer shutdown 5s"]
    );

    // One of two: the other is delivered.
    let mut rig = Rig::registered();
    let launch = rig.run(framework(false), custom_task("a", "e"));
    run(&mut rig, custom_task("b", "e"), false);
    rig.launched(&launch.container_id.value);
    rig.kill("a");
    rig.updated(1);
    rig.subscribe_as("e");
    assert_eq!(short(&rig.updated(2)), ["to x: LAUNCH b"]);
}

#[test]
fn a_queued_task_of_a_running_executor_can_be_killed() {
    let (mut rig, _) = Rig::custom(framework(false));
    run(&mut rig, custom_task("b", "e"), false);
    assert_eq!(short(&rig.kill("b")), [""; 0], "its container has grown");
    let effects = rig.updated(1);
    assert_eq!(
        short(&effects),
        ["update container 2: 4 resources"],
        "it is not delivered, and its container shrinks again"
    );
    let effects = rig.updated(2);
    assert_eq!(
        sent_status(&effects).update.status.state(),
        TaskState::TaskKilled
    );
    assert_eq!(short(&rig.kill("a")), ["to x: KILL a"]);
}

#[test]
fn the_grace_of_a_kill_reaches_the_executor() {
    let (mut rig, _) = Rig::custom(framework(false));
    let grace_period = Some(DurationInfo {
        nanoseconds: 9_000_000_000,
    });
    let kill_policy = Some(KillPolicy { grace_period });
    let effects = rig.master(FromMaster::KillTask(KillTask {
        framework_id: framework_id("F"),
        task_id: TaskId {
            value: "a".to_owned(),
        },
        kill_policy,
    }));
    let [Effect::Send(_, Outbound::Event(event))] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(event.kill.as_ref().unwrap().kill_policy, kill_policy);
}

#[test]
fn who_is_away_gets_its_tasks_when_it_is_back() {
    let (mut rig, _) = Rig::custom(framework(false));
    run(&mut rig, custom_task("b", "e"), false);
    rig.input(Input::Exited(pid("x@10.0.0.2:9")));
    assert_eq!(short(&rig.updated(1)), [""; 0]);
    let subscribe = call::Subscribe {
        unacknowledged_tasks: vec![custom_task("a", "e")],
        ..call::Subscribe::default()
    };
    let call = Call {
        subscribe: Some(subscribe),
        ..Call::default()
    };
    assert_eq!(
        short(&rig.executor_says("e", call::Type::Subscribe, call)),
        [
            "link x",
            "to x: SUBSCRIBED",
            "update container 2: 6 resources"
        ]
    );
    assert_eq!(short(&rig.updated(2)), ["to x: LAUNCH b"]);
}

#[test]
fn a_container_that_cannot_grow_is_destroyed_with_its_tasks() {
    let mut rig = Rig::registered();
    let info = partition_aware(framework(false));
    let container = rig.run(info, custom_task("a", "e")).container_id.value;
    rig.launched(&container);
    rig.subscribe_as("e");
    run(&mut rig, custom_task("b", "e"), false);
    let failed = Updated {
        error: Some("EIO".to_owned()),
        ..Updated::default()
    };
    let effects = rig.input(Input::ContainerUpdated(1, failed));
    assert_eq!(short(&effects), ["destroy"]);
    let text = "TASK_GONE REASON_CONTAINER_UPDATE_FAILED 'Failed to update resources for \
                container: EIO'";
    assert_eq!(
        short(&rig.terminated(&container)),
        [
            "to master: exited executor e -1".to_owned(),
            format!("to master: a {text}"),
            "timer retry 1 10s".to_owned(),
            format!("to master: b {text}"),
            "timer retry 1 10s".to_owned(),
        ]
    );
}

#[test]
fn words_go_both_ways_and_only_between_those_who_are_there() {
    let (mut rig, _) = Rig::custom(framework(false));
    assert_eq!(short(&rig.master(message("e", "hi"))), ["to x: MESSAGE"]);
    let call = Call {
        message: Some(call::Message {
            data: Bytes::from("ho"),
        }),
        ..Call::default()
    };
    assert_eq!(
        short(&rig.executor_says("e", call::Type::Message, call)),
        ["to master: message ho"]
    );
    let why = |effects: Vec<Effect>| match &effects[..] {
        [Effect::Note(Note::FrameworkMessage(Err(what)))] => what.clone(),
        effects => panic!("{effects:?}"),
    };
    assert_eq!(
        why(rig.master(message("other", "hi"))),
        "message for executor other of framework F: it is not here"
    );
    rig.input(Input::Exited(pid("x@10.0.0.2:9")));
    assert_eq!(
        why(rig.master(message("e", "hi"))),
        "message for executor e of framework F: it is disconnected"
    );
    rig.run(framework(false), custom_task("n", "new"));
    assert_eq!(
        why(rig.master(message("new", "hi"))),
        "message for executor new of framework F: it has not subscribed"
    );
}

#[test]
fn a_shutdown_gives_the_executor_the_time_that_it_asked_for() {
    let mut rig = Rig::registered();
    let mut task = custom_task("a", "e");
    task.executor.as_mut().unwrap().shutdown_grace_period = Some(DurationInfo {
        nanoseconds: 7_000_000_000,
    });
    let container = rig.run(framework(false), task).container_id.value;
    rig.launched(&container);
    rig.subscribe_as("e");
    let shutdown = || {
        FromMaster::ShutdownExecutor(ShutdownExecutor {
            framework_id: Some(framework_id("F")),
            executor_id: Some(executor_id("e")),
        })
    };
    assert_eq!(
        short(&rig.master(shutdown())),
        ["to x: SHUTDOWN", "timer shutdown 7s"]
    );
    assert_eq!(short(&rig.master(shutdown())), [""; 0], "asked twice");
    let timer = Timer::ExecutorShutdown(container.clone());
    assert_eq!(short(&rig.timer(timer.clone())), ["destroy"]);
    assert_eq!(
        short(&rig.terminated(&container))[1],
        "to master: a TASK_FAILED REASON_EXECUTOR_TERMINATED 'Executor terminated'"
    );
    assert_eq!(short(&rig.timer(timer)), [""; 0], "too late");
}

#[test]
fn an_executor_that_never_subscribes_takes_all_its_tasks_along() {
    let mut rig = Rig::registered();
    let launch = rig.run(framework(false), custom_task("a", "e"));
    let container = launch.container_id.value;
    run(&mut rig, custom_task("b", "e"), false);
    rig.launched(&container);
    rig.timer(Timer::ExecutorRegistration(container.clone()));
    let text = "TASK_FAILED REASON_EXECUTOR_REGISTRATION_TIMEOUT 'Executor did not register \
                within 1mins'";
    assert_eq!(
        short(&rig.terminated(&container)),
        [
            "to master: exited executor e -1".to_owned(),
            format!("to master: a {text}"),
            "timer retry 1 10s".to_owned(),
            format!("to master: b {text}"),
            "timer retry 1 10s".to_owned(),
        ]
    );
}

#[test]
fn the_master_is_told_of_executors_that_live() {
    let (mut rig, container) = Rig::custom(framework(false));
    let infos = |rig: &mut Rig, number: u64| {
        rig.after(Duration::from_secs(75));
        rig.timer(Timer::PingSilence);
        let effects = rig.timer(Timer::Register(number));
        let Some(Effect::Send(_, Outbound::Reregister(message))) = effects.first() else {
            panic!("no re-registration but {effects:?}");
        };
        let ids = message.executor_infos.iter();
        ids.map(|info| info.executor_id.value.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(infos(&mut rig, 3), ["e"]);
    rig.master(FromMaster::Reregistered(AgentReregistered {
        agent_id: AgentId {
            value: "S0".to_owned(),
        },
        ..AgentReregistered::default()
    }));
    rig.terminated(&container);
    assert_eq!(
        infos(&mut rig, 5),
        [""; 0],
        "it waits for an acknowledgement only"
    );
}

#[test]
fn limits_of_one_task_bound_the_whole_container() {
    let mut rig = Rig::registered();
    let mut limited = custom_task("a", "e");
    limited.limits = [("mem".to_owned(), Scalar { value: 256.0 })].into();
    let launch = rig.run(framework(false), limited);
    assert_eq!(
        launch.limits,
        [("mem".to_owned(), Scalar { value: 384.0 })].into(),
        "that of the task, and the executor's own request"
    );
    rig.launched(&launch.container_id.value);
    rig.subscribe_as("e");
    let effects = run(&mut rig, custom_task("b", "e"), false);
    let [.., Effect::UpdateContainer(_, update)] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(
        update.limits,
        [("mem".to_owned(), Scalar { value: 448.0 })].into(),
        "a task without a limit adds its request"
    );
}

#[test]
fn an_acknowledgement_for_another_task_of_the_executor_changes_nothing() {
    let (mut rig, _) = Rig::custom(framework(false));
    rig.update_of("e", "a", TaskState::TaskRunning, 1);
    let effects = rig.master(FromMaster::Acknowledgement(StatusUpdateAcknowledgement {
        agent_id: AgentId::default(),
        framework_id: framework_id("F"),
        task_id: TaskId {
            value: "b".to_owned(),
        },
        uuid: Bytes::from(vec![1; 16]),
    }));
    assert!(
        matches!(&effects[..], [Effect::Note(Note::Refused { .. })]),
        "{effects:?}"
    );
}

#[test]
fn an_executor_that_asks_twice_before_it_is_answered_has_lost_nothing() {
    let (mut rig, _) = Rig::custom(framework(false));
    assert_eq!(
        short(&rig.subscribe_as("e")),
        ["link x", "to x: SUBSCRIBED"],
        "its task is on its way to it"
    );
    rig.input(Input::Exited(pid("x@10.0.0.2:9")));
    rig.subscribe_as("e");
    let effects = rig.updated(1);
    let lost = "to master: a TASK_LOST REASON_AGENT_RESTARTED 'Task launched during agent restart'";
    assert!(
        short(&effects).iter().any(|line| line == lost),
        "{effects:?}"
    );
}
