//! In which order the faults of a group are found: that of Mesos 1.11, of which every pair was
//! asked.

use tepui_protocol::mesos::v1::environment::Variable;
use tepui_protocol::mesos::v1::{DurationInfo, Environment, Resource};

use super::*;

type Change = fn(&mut ExecutorInfo, &mut Vec<TaskInfo>);

/// A fault, how it is made, and how the words begin in which it is told.
const FAULTS: [(&str, Change, &str); 16] = [
    (
        "task",
        |_, tasks| id_of(&mut tasks[0], "a/b"),
        "Task 'a/b' is invalid: ",
    ),
    (
        "command",
        |own, _| own.command = None,
        "'ExecutorInfo.command' must be set for 'CUSTOM'",
    ),
    (
        "id",
        |own, _| own.executor_id.value = "a/b".into(),
        "'a/b' contains invalid characters",
    ),
    (
        "grace",
        |own, _| own.shutdown_grace_period = Some(DurationInfo { nanoseconds: -1 }),
        "ExecutorInfo's 'shutdown_grace_period' must be non-negative",
    ),
    (
        "variable",
        |own, _| variable(own),
        "Executor's `CommandInfo` is invalid: ",
    ),
    (
        "container",
        |own, _| own.container = container(docker),
        "Executor's `ContainerInfo` is ",
    ),
    (
        "no framework",
        |own, _| own.framework_id = None,
        "'ExecutorInfo.framework_id' must be set",
    ),
    (
        "framework",
        |own, _| foreign(own),
        "ExecutorInfo has an invalid FrameworkID (Actual: z ",
    ),
    (
        "no type",
        |own, _| own.r#type = None,
        "'ExecutorInfo.type' must be set",
    ),
    (
        "type",
        |own, _| own.r#type = Some(executor_info::Type::Unknown as i32),
        "Unknown executor type",
    ),
    (
        "other",
        |_, tasks| other(&mut tasks[1]),
        "The `ExecutorInfo` of task 't2' is different ",
    ),
    (
        "cpus",
        |own, _| cpus(&mut own.resources, "cpus:0.001"),
        "Executor 'e' uses less",
    ),
    (
        "disk",
        |own, _| own.resources.retain(|it| it.name != "disk"),
        "Executor 'e' uses no disk",
    ),
    (
        "ports",
        |_, tasks| tasks.iter_mut().for_each(ports),
        "There are overlapping resources in ",
    ),
    (
        "much",
        |_, tasks| cpus(&mut tasks[0].resources, "cpus:1000"),
        "Total resources ",
    ),
    (
        "cgroups",
        |_, tasks| tasks[1].container = sharing(false),
        "If set, the value of 'share_cg",
    ),
];

/// What cannot be wrong at once, or hides the other.
const NOT_TOGETHER: [(&str, &str); 5] = [
    ("command", "variable"),
    ("command", "no type"),
    ("command", "type"),
    ("no framework", "framework"),
    ("no type", "type"),
];

fn cpus(resources: &mut Vec<Resource>, amount: &str) {
    resources.retain(|it| it.name != "cpus");
    resources.append(&mut protos(amount));
}

fn id_of(task: &mut TaskInfo, id: &str) {
    task.task_id.value = id.into();
}

fn variable(own: &mut ExecutorInfo) {
    let variable = Variable {
        name: "A".into(),
        ..Variable::default()
    };
    if let Some(command) = &mut own.command {
        command.environment = Some(Environment {
            variables: vec![variable],
        });
    }
}

fn docker(container: &mut ContainerInfo) {
    container.r#type = container_info::Type::Docker as i32;
}

fn foreign(own: &mut ExecutorInfo) {
    if let Some(id) = &mut own.framework_id {
        id.value = "z".into();
    }
}

fn other(task: &mut TaskInfo) {
    task.command = None;
    task.executor = Some(ExecutorInfo {
        name: Some("other".into()),
        ..executor("m-0000")
    });
}

fn ports(task: &mut TaskInfo) {
    task.resources.append(&mut protos("ports:[1-2]"));
}

fn refused(stage: &mut Stage, changes: &[Change]) -> String {
    let mut own = executor(&stage.id);
    let mut tasks = vec![stage.task("t1"), stage.task("t2")];
    for change in changes {
        change(&mut own, &mut tasks);
    }
    stage.refusal(own, tasks)
}

#[test]
fn faults_of_a_group_are_found_in_mesos_order() {
    let mut stage = Stage::new();
    let mut pairs = 0;
    for (number, (name, change, words)) in FAULTS.iter().enumerate() {
        let told = refused(&mut stage, &[*change]);
        assert!(told.starts_with(words), "{name}: {told}");
        for (later, also, _) in &FAULTS[number + 1..] {
            if NOT_TOGETHER.contains(&(name, later)) {
                continue;
            }
            pairs += 1;
            for both in [[*change, *also], [*also, *change]] {
                let told = refused(&mut stage, &both);
                assert!(told.starts_with(words), "{name} and {later}: {told}");
            }
        }
    }
    assert_eq!(pairs, 115);
}

#[test]
fn a_group_of_no_tasks_is_sent() {
    let mut stage = Stage::new();
    let own = executor(&stage.id);
    stage.accept(TOTAL, group(own, Vec::new()));
    assert!(stage.bench.take_statuses("a").is_empty());
    let sent = stage.sent();
    assert!(sent.task_group.tasks.is_empty());
    assert_eq!(sent.launch_executor, Some(true));
    assert_eq!(stage.used(), "cpus:0.1;mem:32;disk:10");
}
