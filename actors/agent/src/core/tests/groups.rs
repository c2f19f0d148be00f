//! Groups of tasks: all of them get to their executor at one stroke, or none does.

use tepui_protocol::mesos::internal::{ResourceVersionUuid, RunTaskGroup};
use tepui_protocol::mesos::v1::{TaskGroupInfo, Uuid};

use super::*;

fn group(ids: &[&str]) -> RunTaskGroup {
    let tasks = ids.iter().map(|id| TaskInfo {
        command: None,
        ..task(id)
    });
    RunTaskGroup {
        framework: framework(true),
        executor: custom_task("any", "e").executor.unwrap(),
        task_group: TaskGroupInfo {
            tasks: tasks.collect(),
        },
        launch_executor: Some(true),
        ..RunTaskGroup::default()
    }
}

fn run(rig: &mut Rig, group: RunTaskGroup) -> Vec<Effect> {
    rig.master(FromMaster::RunTaskGroup(Box::new(group)))
}

/// One for an executor that is there.
fn another(ids: &[&str]) -> RunTaskGroup {
    RunTaskGroup {
        launch_executor: Some(false),
        ..group(ids)
    }
}

fn launch(effects: &[Effect]) -> Launch {
    let mut launches = effects.iter().filter_map(|effect| match effect {
        Effect::Launch(launch) => Some(launch),
        _ => None,
    });
    (**launches.next().expect("a launch")).clone()
}

/// An agent whose executor `e` was launched for the group `a`, `b`, and has not subscribed.
fn registering() -> (Rig, String) {
    let mut rig = Rig::registered();
    let launch = launch(&run(&mut rig, group(&["a", "b"])));
    let container = launch.container_id.value;
    rig.launched(&container);
    (rig, container)
}

#[test]
fn a_group_starts_its_executor_with_room_for_all_and_is_delivered_whole() {
    let mut rig = Rig::registered();
    let effects = run(&mut rig, group(&["a", "b"]));
    assert_eq!(
        short(&effects),
        [
            "file F/framework.info",
            "file F/framework.pid",
            "sandbox runs/C",
            "file e/executor.info",
            "file a/task.info",
            "file b/task.info",
            "symlink runs/latest",
            "launch",
            "timer registration 60s",
        ]
    );
    let launch = launch(&effects);
    assert_eq!(
        launch.resources.len(),
        6,
        "of the executor and of two tasks"
    );
    assert!(!launch.builtin_executor());
    rig.launched(&launch.container_id.value);
    let effects = rig.subscribe_as("e");
    assert_eq!(
        short(&effects),
        [
            "link x",
            "file pids/libprocess.pid",
            "to x: SUBSCRIBED",
            "to x: LAUNCH_GROUP a b"
        ]
    );
    // Each task says whose it is, as the master was told by the group alone.
    let executor = &rig.core.frameworks()["F"].executors["e"];
    let own = executor.tasks.values().map(|task| &task.task.executor_id);
    assert!(own.into_iter().all(|id| *id == Some(executor_id("e"))));
    assert!(executor.groups.is_empty());
}

#[test]
fn groups_and_tasks_keep_their_order_until_the_executor_subscribes() {
    let (mut rig, _) = registering();
    assert_eq!(
        short(&rig.run_task(framework(true), custom_task("c", "e"))),
        ["file c/task.info"]
    );
    assert_eq!(
        short(&run(&mut rig, another(&["d", "f"]))),
        ["file d/task.info", "file f/task.info"]
    );
    let effects = short(&rig.subscribe_as("e"));
    assert_eq!(effects.last().unwrap(), "update container 1: 12 resources");
    assert_eq!(
        short(&rig.updated(1)),
        [
            "to x: LAUNCH_GROUP a b",
            "to x: LAUNCH c",
            "to x: LAUNCH_GROUP d f"
        ]
    );
}

#[test]
fn an_executor_that_runs_gets_a_group_once_its_container_has_room() {
    let (mut rig, _) = registering();
    rig.subscribe_as("e");
    let effects = run(&mut rig, another(&["c", "d"]));
    assert_eq!(
        short(&effects),
        [
            "file c/task.info",
            "file d/task.info",
            "update container 1: 10 resources"
        ]
    );
    assert_eq!(short(&rig.updated(1)), ["to x: LAUNCH_GROUP c d"]);
    // One of them ends: the others are the executor's own business.
    let effects = short(&rig.update_of("e", "c", TaskState::TaskFailed, 1));
    assert_eq!(effects, ["update container 2: 8 resources"]);
    assert_eq!(short(&rig.kill("d")), ["to x: KILL d"]);
}

#[test]
fn a_kill_before_the_delivery_ends_the_whole_group() {
    let (mut rig, _) = registering();
    rig.run_task(framework(true), custom_task("c", "e"));
    let killed = |id: &str| {
        format!(
            "to master: {id} TASK_KILLED REASON_TASK_KILLED_DURING_LAUNCH 'A task within the \
             task group was killed before delivery to the executor'"
        )
    };
    let effects = short(&rig.kill("b"));
    assert_eq!(effects, ["update container 1: 6 resources"]);
    let mut effects = short(&rig.updated(1));
    effects.extend(short(&rig.updated(2)));
    let told: Vec<&String> = effects
        .iter()
        .filter(|line| line.starts_with("to "))
        .collect();
    assert_eq!(told, [&killed("a"), &killed("b")]);
    let effects = short(&rig.subscribe_as("e"));
    assert_eq!(effects.last().unwrap(), "update container 3: 4 resources");
    assert_eq!(short(&rig.updated(3)), ["to x: LAUNCH c"]);
}

#[test]
fn an_executor_whose_group_was_killed_is_not_needed() {
    let (mut rig, _) = registering();
    rig.kill("a");
    let effects = short(&rig.subscribe_as("e"));
    assert!(
        effects.contains(&"to x: SHUTDOWN".to_owned()),
        "{effects:?}"
    );
    assert!(!effects.iter().any(|line| line.contains("LAUNCH")));
}

#[test]
fn a_task_that_ends_before_it_is_delivered_takes_its_group_along() {
    let (mut rig, _) = registering();
    rig.subscribe_as("e");
    run(&mut rig, another(&["c", "d"]));
    // Its executor knows it from elsewhere, and says that it is over.
    rig.update_of("e", "c", TaskState::TaskFailed, 7);
    let mut effects = short(&rig.updated(1));
    effects.extend(short(&rig.updated(2)));
    assert!(
        effects.iter().any(|line| line.starts_with(
            "to master: d TASK_KILLED REASON_TASK_KILLED_DURING_LAUNCH 'A task within"
        )),
        "{effects:?}"
    );
    assert!(
        effects.iter().all(|line| !line.contains(": LAUNCH")),
        "{effects:?}"
    );
}

#[test]
fn what_is_wrong_with_one_is_told_of_all() {
    let mut rig = Rig::registered();
    let told = |rig: &mut Rig, group: RunTaskGroup| -> Vec<String> {
        let mut lines = short(&run(rig, group));
        lines.retain(|line| line.starts_with("to "));
        lines
    };
    let mut bad = group(&["a", "b"]);
    // Its executor's own matter.
    bad.task_group.tasks[0].health_check = Some(Default::default());
    let limit = tepui_protocol::mesos::v1::value::Scalar { value: 1.0 };
    bad.task_group.tasks[1].limits = [("disk".to_owned(), limit)].into();
    let invalid = "TASK_ERROR REASON_TASK_GROUP_INVALID 'this agent cannot honour \
                   task.limits.disk'";
    let expected = ["a", "b"].map(|id| format!("to master: {id} {invalid}"));
    let exited = "to master: exited executor e -1".to_owned();
    assert_eq!(
        told(&mut rig, bad),
        [&expected[..], std::slice::from_ref(&exited)].concat()
    );
    let mut mixed = group(&["c", "d"]);
    mixed.task_group.tasks[1].executor = custom_task("any", "other").executor;
    let lines = told(&mut rig, mixed);
    assert!(
        lines[0].contains("REASON_TASK_GROUP_INVALID 'task.executor: another"),
        "{lines:?}"
    );
    assert_eq!(lines.len(), 3);
    let stale = RunTaskGroup {
        resource_version_uuids: vec![ResourceVersionUuid {
            resource_provider_id: None,
            uuid: Uuid {
                value: Bytes::from(vec![9; 16]),
            },
        }],
        ..group(&["e", "f"])
    };
    let lost = "TASK_LOST REASON_INVALID_OFFERS 'Task assumes outdated resource state'";
    let expected = ["e", "f"].map(|id| format!("to master: {id} {lost}"));
    assert_eq!(
        told(&mut rig, stale),
        [&expected[..], std::slice::from_ref(&exited)].concat()
    );
    // There is nothing to run, and so no executor.
    assert_eq!(told(&mut rig, group(&[])), [exited]);
    assert!(rig.core.frameworks()["F"].executors.is_empty());
}

#[test]
fn a_group_that_was_on_its_way_when_the_agent_restarted_is_told_of() {
    let (mut rig, _) = registering();
    rig.subscribe_as("e");
    rig.input(Input::Exited(pid("x@10.0.0.2:9")));
    // It says that it has but one of them.
    let call = Call {
        subscribe: Some(call::Subscribe {
            unacknowledged_tasks: vec![task("a")],
            unacknowledged_updates: Vec::new(),
        }),
        ..Call::default()
    };
    let effects = short(&rig.executor_says("e", call::Type::Subscribe, call));
    let shrinks = "update container 1: 4 resources".to_owned();
    assert!(effects.contains(&shrinks), "{effects:?}");
    let effects = short(&rig.updated(1));
    assert!(
        effects.contains(
            &"to master: b TASK_LOST REASON_AGENT_RESTARTED 'Task launched during agent restart'"
                .to_owned()
        ),
        "{effects:?}"
    );
}
