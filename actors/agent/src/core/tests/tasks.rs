//! A task's way: launch, updates, kill, and all the ways in which it can end.

use tepui_protocol::mesos::internal::{
    AgentReregistered, ReconcileTasks, ShutdownFramework, UpdateFramework,
};
use tepui_protocol::mesos::v1::environment::{Variable, variable};
use tepui_protocol::mesos::v1::task_status::Reason;
use tepui_protocol::mesos::v1::{Environment, executor_info};

use super::*;

#[test]
fn a_task_goes_from_its_launch_to_its_acknowledged_end() {
    let mut rig = Rig::registered();
    let effects = rig.run_task(framework(false), task("t"));
    assert_eq!(
        short(&effects),
        ["sandbox runs/C", "launch", "timer registration 60s"]
    );
    let container = rig.core.frameworks()["F"].executors["t"].container.clone();
    assert_eq!(short(&rig.launched(&container)), [""; 0]);
    assert_eq!(
        short(&rig.subscribe()),
        ["link x", "to x: SUBSCRIBED", "to x: LAUNCH t"]
    );

    let effects = rig.update(TaskState::TaskRunning, 1);
    assert_eq!(
        short(&effects),
        [
            "to master: t TASK_RUNNING",
            "timer retry 1 10s",
            "to x: ACKNOWLEDGED"
        ]
    );
    let update = sent_status(&effects).update;
    assert_eq!(update.latest_state(), TaskState::TaskRunning);
    assert_eq!(update.agent_id.as_ref().unwrap().value, "S0");
    let running = update.status.container_status.as_ref().unwrap();
    assert_eq!(running.container_id.as_ref().unwrap().value, container);
    assert_eq!(running.executor_pid, Some(4242));
    assert_eq!(
        running.network_infos[0].ip_addresses[0].ip_address(),
        "10.0.0.2"
    );

    // The limits of the container are lowered first: the executor's own cpus and mem remain.
    let effects = rig.update(TaskState::TaskFinished, 2);
    assert_eq!(short(&effects), ["update container 1: 2 resources"]);
    let effects = rig.updated(1);
    assert_eq!(
        short(&effects),
        ["to x: ACKNOWLEDGED"],
        "the head is not acknowledged yet"
    );
    let effects = rig.acknowledge("t", Bytes::from(vec![1; 16]));
    assert_eq!(
        short(&effects),
        ["to master: t TASK_FINISHED", "timer retry 2 10s"]
    );
    assert_eq!(short(&rig.terminated(&container)), [""; 0]);
    assert_eq!(
        rig.core.frameworks()["F"].executors["t"].state,
        ExecutorState::Terminated
    );

    assert_eq!(
        short(&rig.acknowledge("t", Bytes::from(vec![2; 16]))),
        [""; 0]
    );
    assert!(
        rig.core.frameworks().is_empty(),
        "nothing of the framework is left"
    );
    let executor = &rig.core.completed_frameworks()[0].completed[0];
    let completed = &executor.completed.peek().unwrap().task;
    assert_eq!(
        (completed.task_id.value.as_str(), completed.state()),
        ("t", TaskState::TaskFinished)
    );
}

#[test]
fn the_launch_carries_the_executor_that_mesos_would_make() {
    let mut rig = Rig::registered();
    let launch = rig.run(partition_aware(framework(true)), task("t"));
    assert_eq!(launch.executor_id.value, "t");
    assert!(launch.builtin_executor());
    assert_eq!(launch.user.as_deref(), Some("root"));
    let amounts: Vec<(&str, f64)> = launch
        .resources
        .iter()
        .map(|resource| {
            (
                resource.name.as_str(),
                resource.scalar.as_ref().unwrap().value,
            )
        })
        .collect();
    assert_eq!(
        amounts,
        [("cpus", 0.1), ("mem", 32.0), ("cpus", 1.0), ("mem", 64.0)]
    );
    let container = &launch.container_id.value;
    let directory = format!("/w/slaves/S0/frameworks/F/executors/t/runs/{container}");
    assert_eq!(launch.directory, directory);
    let environment: Vec<String> = launch
        .command
        .environment
        .as_ref()
        .unwrap()
        .variables
        .iter()
        .map(|variable| format!("{}={}", variable.name, variable.value()))
        .collect();
    assert_eq!(
        environment,
        [
            "LIBPROCESS_PORT=0".to_owned(),
            "MESOS_AGENT_ENDPOINT=10.0.0.2:5051".to_owned(),
            "MESOS_CHECKPOINT=1".to_owned(),
            format!("MESOS_DIRECTORY={directory}"),
            "MESOS_EXECUTOR_ID=t".to_owned(),
            "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD=5secs".to_owned(),
            "MESOS_FRAMEWORK_ID=F".to_owned(),
            "MESOS_HTTP_COMMAND_EXECUTOR=1".to_owned(),
            "MESOS_RECOVERY_TIMEOUT=15mins".to_owned(),
            format!("MESOS_SANDBOX={directory}"),
            "MESOS_SLAVE_ID=S0".to_owned(),
            "MESOS_SLAVE_PID=slave(1)@10.0.0.2:5051".to_owned(),
            "MESOS_SUBSCRIPTION_BACKOFF_MAX=2secs".to_owned(),
            "PATH=/bin".to_owned(),
        ]
    );
}

#[test]
fn a_checkpointing_framework_is_on_the_disk_before_anyone_is_told() {
    let mut rig = Rig::registered();
    let effects = rig.run_task(framework(true), task("t"));
    assert_eq!(
        short(&effects),
        [
            "file F/framework.info",
            "file F/framework.pid",
            "sandbox runs/C",
            "file t/executor.info",
            "file t/executor_generated_for_command_task",
            "file t/task.info",
            "symlink runs/latest",
            "launch",
            "timer registration 60s",
        ]
    );
    let container = rig.core.frameworks()["F"].executors["t"].container.clone();
    assert_eq!(short(&rig.launched(&container)), ["file pids/forked.pid"]);
    assert_eq!(
        short(&rig.subscribe()),
        [
            "link x",
            "file pids/libprocess.pid",
            "to x: SUBSCRIBED",
            "to x: LAUNCH t"
        ]
    );
    assert_eq!(
        short(&rig.update(TaskState::TaskRunning, 1)),
        [
            "append t/task.updates",
            "to master: t TASK_RUNNING",
            "timer retry 1 10s",
            "to x: ACKNOWLEDGED",
        ]
    );
    assert_eq!(
        short(&rig.acknowledge("t", Bytes::from(vec![1; 16]))),
        ["append t/task.updates"]
    );
}

#[test]
fn a_task_killed_before_its_executor_has_it_is_killed_by_the_agent() {
    let mut rig = Rig::registered();
    let container = rig.run(framework(false), task("t")).container_id.value;
    assert_eq!(
        short(&rig.kill("t")),
        ["update container 1: 2 resources"],
        "what the agent adds for its executor"
    );
    let effects = rig.updated(1);
    assert_eq!(
        short(&effects),
        [
            "to master: t TASK_KILLED REASON_TASK_KILLED_DURING_LAUNCH 'Task killed before \
             delivery to the executor'",
            "timer retry 1 10s",
        ]
    );
    assert_eq!(sent_status(&effects).update.status.source(), Source::Agent);
    assert_eq!(
        short(&rig.kill("t")),
        [""; 0],
        "a second kill changes nothing"
    );
    rig.launched(&container);
    assert_eq!(
        short(&rig.subscribe()),
        ["link x", "to x: SHUTDOWN", "timer shutdown 5s"]
    );
    assert_eq!(short(&rig.terminated(&container)), [""; 0]);
}

#[test]
fn a_kill_reaches_the_executor_that_has_the_task() {
    let (mut rig, _) = Rig::running(framework(false));
    assert_eq!(short(&rig.kill("t")), ["to x: KILL t"]);
    assert_eq!(
        short(&rig.kill("other")),
        [
            "to master: other TASK_LOST REASON_EXECUTOR_TERMINATED 'Cannot find executor'",
            "timer retry 1 10s",
        ]
    );
    rig.input(Input::Exited(pid("x@10.0.0.2:9")));
    assert_eq!(short(&rig.kill("t")), [""; 0], "nobody is there to tell");
}

#[test]
fn the_end_of_the_container_ends_a_task_that_has_not_ended() {
    let (mut rig, container) = Rig::running(framework(false));
    assert_eq!(
        short(&rig.terminated(&container)),
        [
            "to master: t TASK_FAILED REASON_EXECUTOR_TERMINATED 'Executor terminated'",
            "timer retry 1 10s",
        ]
    );
    assert_eq!(
        short(&rig.terminated(&container)),
        [""; 0],
        "told twice, ended once"
    );

    let (mut rig, container) = Rig::running(framework(false));
    let effects = rig.input(Input::Terminated(Terminated {
        container_id: container_id(&container),
        state: Some(TaskState::TaskFailed as i32),
        reason: Some(Reason::ContainerLimitationMemory as i32),
        message: Some("Memory limit exceeded".to_owned()),
        limited_resources: vec![scalar("mem", 96.0)],
        ..Terminated::default()
    }));
    let status = sent_status(&effects).update.status;
    assert_eq!(status.reason(), Reason::ContainerLimitationMemory);
    assert_eq!(status.message(), "Memory limit exceeded");
    assert_eq!(status.limitation.unwrap().resources, [scalar("mem", 96.0)]);
}

#[test]
fn an_executor_that_does_not_subscribe_is_destroyed() {
    let mut rig = Rig::registered();
    let container = rig.run(framework(false), task("t")).container_id.value;
    rig.launched(&container);
    let effects = rig.timer(Timer::ExecutorRegistration(container.clone()));
    assert_eq!(short(&effects), ["destroy"]);
    assert_eq!(short(&rig.subscribe()), ["to x: SHUTDOWN"], "too late");
    assert_eq!(
        short(&rig.terminated(&container)),
        [
            "to master: t TASK_FAILED REASON_EXECUTOR_REGISTRATION_TIMEOUT 'Executor did not \
             register within 1mins'",
            "timer retry 1 10s",
        ]
    );
    let (mut rig, container) = Rig::running(framework(false));
    assert_eq!(
        short(&rig.timer(Timer::ExecutorRegistration(container))),
        [""; 0],
        "it did"
    );
}

#[test]
fn a_launch_that_fails_fails_the_task() {
    let mut rig = Rig::registered();
    let container = rig.run(framework(false), task("t")).container_id.value;
    let launched = Launched {
        container_id: container_id(&container),
        pid: None,
        error: Some("no cgroups".to_owned()),
    };
    let effects = rig.input(Input::Launched(container_id(&container), Ok(launched)));
    assert_eq!(
        short(&effects),
        [
            "to master: t TASK_FAILED REASON_CONTAINER_LAUNCH_FAILED 'Failed to launch \
             container: no cgroups'",
            "timer retry 1 10s",
        ]
    );
}

#[test]
fn a_container_whose_limits_cannot_be_lowered_is_destroyed() {
    let (mut rig, _) = Rig::running(framework(false));
    rig.update(TaskState::TaskFinished, 1);
    let effects = rig.input(Input::ContainerUpdated(
        1,
        Updated {
            error: Some("EIO".to_owned()),
            ..Updated::default()
        },
    ));
    assert_eq!(
        short(&effects),
        [
            "destroy",
            "to master: t TASK_FINISHED",
            "timer retry 1 10s",
            "to x: ACKNOWLEDGED",
        ]
    );
}

#[test]
fn a_terminal_update_said_again_is_not_acknowledged_before_it_is_stored() {
    let (mut rig, _) = Rig::running(framework(false));
    rig.update(TaskState::TaskFinished, 1);
    assert_eq!(short(&rig.update(TaskState::TaskFinished, 1)), [""; 0]);
    let effects = rig.updated(1);
    assert_eq!(
        short(&effects),
        [
            "to master: t TASK_FINISHED",
            "timer retry 1 10s",
            "to x: ACKNOWLEDGED"
        ]
    );
}

#[test]
fn the_first_terminal_update_wins() {
    let (mut rig, container) = Rig::running(framework(false));
    rig.update(TaskState::TaskKilled, 1);
    assert_eq!(
        short(&rig.update(TaskState::TaskFinished, 2)),
        ["to x: ACKNOWLEDGED"]
    );
    rig.terminated(&container);
    let effects = rig.updated(1);
    assert_eq!(
        short(&effects),
        ["to master: t TASK_KILLED", "timer retry 1 10s"]
    );
    assert_eq!(
        short(&rig.acknowledge("t", Bytes::from(vec![1; 16]))),
        [""; 0]
    );
    assert!(rig.core.frameworks().is_empty());
}

#[test]
fn an_update_said_twice_is_stored_once_and_acknowledged_twice() {
    let (mut rig, _) = Rig::running(framework(true));
    rig.update(TaskState::TaskRunning, 1);
    assert_eq!(
        short(&rig.update(TaskState::TaskRunning, 1)),
        ["behind t/task.updates", "to x: ACKNOWLEDGED"],
        "not before it is on the disk"
    );
    rig.acknowledge("t", Bytes::from(vec![1; 16]));
    assert_eq!(
        short(&rig.update(TaskState::TaskRunning, 1)),
        ["behind t/task.updates", "to x: ACKNOWLEDGED"]
    );
}

#[test]
fn what_this_agent_cannot_run_is_refused_by_the_name_of_the_field() {
    let mut rig = Rig::registered();
    let own = |change: fn(&mut TaskInfo)| {
        let mut task = custom_task("t", "e");
        change(&mut task);
        task
    };
    for (task, problem) in [
        (
            own(|task| task.command = Some(CommandInfo::default())),
            "task.executor: there is task.command, too",
        ),
        (
            own(|task| task.executor = None),
            "task.command: missing, and so is task.executor",
        ),
        (
            own(|task| task.executor.as_mut().unwrap().command = None),
            "task.executor.command: missing",
        ),
        (
            own(|task| task.executor.as_mut().unwrap().executor_id = executor_id("../e")),
            "task.executor.executor_id: not a valid id",
        ),
        (
            own(|task| {
                let executor = task.executor.as_mut().unwrap();
                executor.r#type = Some(executor_info::Type::Default as i32);
            }),
            "task.executor.type: DEFAULT is for groups of tasks",
        ),
    ] {
        let effects = rig.run_task(framework(false), task);
        let status = sent_status(&effects).update.status;
        assert_eq!(
            (status.state(), status.reason(), status.message()),
            (TaskState::TaskError, Reason::TaskInvalid, problem)
        );
        rig.acknowledge("t", status.uuid.unwrap());
    }

    let mut secret = task("s");
    let variable = Variable {
        name: "KEY".to_owned(),
        r#type: Some(variable::Type::Secret as i32),
        ..Variable::default()
    };
    secret.command.as_mut().unwrap().environment = Some(Environment {
        variables: vec![variable],
    });
    let effects = rig.run_task(framework(false), secret);
    let status = sent_status(&effects).update.status;
    assert_eq!(status.state(), TaskState::TaskError);
    assert!(
        status.message().contains("task.command.environment"),
        "{}",
        status.message()
    );
}

#[test]
fn an_id_that_would_leave_its_folder_is_refused() {
    let mut rig = Rig::registered();
    let effects = rig.run_task(framework(false), task("../../etc"));
    assert!(
        matches!(&effects[..], [Effect::Note(Note::Refused { .. })]),
        "{effects:?}"
    );
    assert!(rig.core.frameworks().is_empty());
}

#[test]
fn a_torn_down_framework_takes_its_executors_and_updates_along() {
    let (mut rig, container) = Rig::running(framework(false));
    rig.update(TaskState::TaskRunning, 1);
    let message = ShutdownFramework {
        framework_id: framework_id("F"),
    };
    let effects = rig.master(FromMaster::ShutdownFramework(message));
    assert_eq!(short(&effects), ["to x: SHUTDOWN", "timer shutdown 5s"]);
    assert_eq!(
        short(&rig.update(TaskState::TaskKilled, 2)),
        ["to x: ACKNOWLEDGED"]
    );
    assert_eq!(
        short(&rig.terminated(&container)),
        [""; 0],
        "nobody is told"
    );
    assert!(rig.core.frameworks().is_empty());
}

#[test]
fn updates_for_a_framework_that_is_terminating_are_ignored_and_counted() {
    let (mut rig, container) = Rig::running(framework(false));
    let message = ShutdownFramework {
        framework_id: framework_id("F"),
    };
    rig.master(FromMaster::ShutdownFramework(message));
    let invalid = |effects: &[Effect]| {
        let refused = effects
            .iter()
            .filter(|effect| matches!(effect, Effect::Note(Note::Refused { update: true, .. })));
        refused.count()
    };
    assert_eq!(invalid(&rig.update(TaskState::TaskKilled, 2)), 1);
    // A master that has not taken part in the end yet asks after a task.
    let reconciliation = ReconcileTasks {
        framework_id: framework_id("F"),
        statuses: vec![status("u", TaskState::TaskRunning, 3)],
        framework: Some(framework(false)),
    };
    rig.after(Duration::from_secs(75));
    rig.timer(Timer::PingSilence);
    let effects = rig.master(FromMaster::Reregistered(AgentReregistered {
        agent_id: AgentId {
            value: "S0".to_owned(),
        },
        reconciliations: vec![reconciliation],
        connection: None,
    }));
    assert_eq!(invalid(&effects), 1);
    let mut told = short(&effects);
    told.retain(|line| line.contains("TASK_"));
    assert_eq!(told, [""; 0]);
    let effects = rig.terminated(&container);
    assert_eq!(invalid(&effects), 0, "its tasks' ends are not even made");
    assert!(rig.core.frameworks().is_empty(), "nothing keeps it");
}

#[test]
fn what_was_acknowledged_or_removed_meanwhile_is_not_to_be_sent_any_more() {
    let (mut rig, _) = Rig::running(framework(false));
    let first = sent_status(&rig.update(TaskState::TaskStarting, 1)).update;
    rig.update(TaskState::TaskRunning, 2);
    assert!(rig.core.is_to_be_sent(&first));
    let effects = rig.acknowledge("t", Bytes::from(vec![1; 16]));
    let second = sent_status(&effects).update;
    assert!(!rig.core.is_to_be_sent(&first), "it is acknowledged");
    assert!(rig.core.is_to_be_sent(&second));
    rig.master(FromMaster::ShutdownFramework(ShutdownFramework {
        framework_id: framework_id("F"),
    }));
    assert!(!rig.core.is_to_be_sent(&second), "nobody waits for it");
}

#[test]
fn a_framework_that_is_back_gets_what_it_has_not_acknowledged() {
    let (mut rig, _) = Rig::running(framework(false));
    rig.update(TaskState::TaskRunning, 1);
    let effects = rig.master(FromMaster::UpdateFramework(Box::new(UpdateFramework {
        framework_id: framework_id("F"),
        pid: Some("scheduler@10.0.0.9:1".to_owned()),
        framework_info: Some(framework(false)),
    })));
    assert_eq!(
        short(&effects),
        ["to master: t TASK_RUNNING", "timer retry 2 10s"]
    );
    assert_eq!(rig.core.frameworks()["F"].pid, "scheduler@10.0.0.9:1");
}

#[test]
fn updates_wait_while_there_is_no_master() {
    let (mut rig, _) = Rig::running(framework(false));
    rig.after(Duration::from_secs(75));
    rig.timer(Timer::PingSilence);
    assert_eq!(
        short(&rig.update(TaskState::TaskRunning, 1)),
        ["to x: ACKNOWLEDGED"]
    );
    let effects = rig.timer(Timer::Register(3));
    let Some(Effect::Send(_, Outbound::Reregister(message))) = effects.first() else {
        panic!("no re-registration but {effects:?}");
    };
    let task = &message.tasks[0];
    assert_eq!(
        (task.state(), task.status_update_state()),
        (TaskState::TaskRunning, TaskState::TaskRunning)
    );
    assert!(
        message.executor_infos.is_empty(),
        "a command task's executor is the agent's own"
    );
    assert_eq!(message.frameworks.len(), 1);
}
