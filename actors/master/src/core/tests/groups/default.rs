//! Groups of Mesos' DEFAULT executor, each of whose tasks has a container of its own.

use tepui_protocol::mesos::v1::{Volume, volume};

use super::*;

/// What Mesos' default executor is described by.
fn default_executor(framework: &str) -> ExecutorInfo {
    ExecutorInfo {
        r#type: Some(executor_info::Type::Default as i32),
        command: None,
        ..executor(framework)
    }
}

#[test]
fn groups_of_a_default_executor_are_sent_and_it_is_charged_once() {
    let mut stage = Stage::new();
    let own = default_executor(&stage.id);
    let with_own = TaskInfo {
        executor: Some(own.clone()),
        ..stage.task("t2")
    };
    let tasks = vec![stage.task("t1"), with_own];
    stage.accept(TOTAL, group(own.clone(), tasks));
    assert!(stage.bench.take_statuses("a").is_empty());
    let sent = stage.sent();
    assert_eq!(sent.launch_executor, Some(true));
    // Its command is the agent's to make.
    assert_eq!(sent.executor.r#type(), executor_info::Type::Default);
    assert_eq!(sent.executor.command, None);
    assert_eq!(sent.task_group.tasks.len(), 2);
    assert_eq!(stage.used(), "cpus:2.1;mem:160;disk:10");

    let tasks = vec![stage.task("t3")];
    stage.accept("cpus:1.9;mem:864;disk:90", group(own.clone(), tasks));
    assert_eq!(stage.sent().launch_executor, Some(false));
    assert_eq!(stage.used(), "cpus:3.1;mem:224;disk:10");

    // It runs groups only.
    let alone = TaskInfo {
        command: None,
        executor: Some(own),
        ..command_task("t4", &stage.agent, "cpus:0.1")
    };
    stage.accept(
        "cpus:0.9;mem:800;disk:90",
        offer::Operation {
            r#type: Some(OperationType::Launch as i32),
            launch: Some(offer::operation::Launch {
                task_infos: vec![alone],
            }),
            ..offer::Operation::default()
        },
    );
    let statuses = stage.bench.take_statuses("a");
    assert_eq!(statuses[0].state(), TaskState::TaskError);
    assert_eq!(
        statuses[0].message(),
        "'ExecutorInfo.type' must be 'CUSTOM'"
    );
}

#[test]
fn what_of_a_default_executor_no_agent_can_do_is_named() {
    let mut stage = Stage::new();
    let with_volume = ExecutorInfo {
        container: container(|container| {
            container.volumes = vec![Volume {
                container_path: "v".into(),
                host_path: Some("/tmp".into()),
                mode: volume::Mode::Rw as i32,
                ..Volume::default()
            }];
        }),
        ..default_executor(&stage.id)
    };
    let tasks = vec![stage.task("t1"), stage.task("t2")];
    assert_eq!(
        stage.refusal(with_volume, tasks),
        "Executor uses fields that are not supported: executor.container.volumes"
    );
}

#[test]
fn a_default_executor_has_no_more_tasks_than_its_container_can_hold() {
    let mut stage = Stage::new();
    let own = default_executor(&stage.id);
    let small = |count: usize| -> Vec<TaskInfo> {
        let task = |number| command_task(&format!("t{number}"), &stage.agent, "cpus:0.001");
        (0..count).map(task).collect()
    };
    let (many, few) = (small(1001), small(1000));
    assert_eq!(
        stage.refusal(own.clone(), many),
        "Executor 'e' has 0 tasks, and no more than 1000 may be in its container"
    );
    stage.accept(TOTAL, group(own.clone(), few));
    assert_eq!(stage.sent().task_group.tasks.len(), 1000);
    let one_more = vec![command_task("more", &stage.agent, "cpus:0.001")];
    stage.accept("cpus:1;mem:128;disk:20", group(own, one_more));
    let statuses = stage.bench.take_statuses("a");
    assert_eq!(
        statuses[0].message(),
        "Executor 'e' has 1000 tasks, and no more than 1000 may be in its container"
    );
}

#[test]
fn what_a_task_of_a_default_executor_must_be() {
    let mut stage = Stage::new();
    let own = default_executor(&stage.id);
    let command = |change: fn(&mut CommandInfo)| {
        let mut task = stage.task("t2");
        change(task.command.get_or_insert_default());
        task
    };
    let checked = |statuses: &[u32]| TaskInfo {
        health_check: Some(HealthCheck {
            r#type: Some(health_check::Type::Http as i32),
            http: Some(health_check::HttpCheckInfo {
                port: 80,
                statuses: statuses.to_vec(),
                ..health_check::HttpCheckInfo::default()
            }),
            ..HealthCheck::default()
        }),
        ..stage.task("t2")
    };
    let start = "Task 't2' cannot be run by a 'DEFAULT' executor: ";
    let cases = vec![
        (
            TaskInfo {
                command: None,
                ..stage.task("t2")
            },
            format!("{start}it has no command"),
        ),
        (
            command(|command| command.value = None),
            format!("{start}Shell command is not specified"),
        ),
        (
            command(|command| {
                command.value = None;
                command.shell = Some(false);
            }),
            format!("{start}neither `value` nor `arguments` is set"),
        ),
        // It checks what a command executor can check.
        (
            checked(&[204]),
            "Task uses fields that are not supported: health_check.http.statuses".to_owned(),
        ),
    ];
    let good = checked(&[]);
    for (bad, words) in cases {
        let tasks = vec![stage.task("t1"), bad];
        assert_eq!(stage.refusal(own.clone(), tasks), words);
    }
    let tasks = vec![stage.task("t1"), good];
    stage.accept(TOTAL, group(own, tasks));
    assert_eq!(stage.sent().task_group.tasks.len(), 2);
}
