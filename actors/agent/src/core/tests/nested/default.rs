//! The executor of type DEFAULT itself, and its tasks.

use super::*;

#[test]
fn an_executor_of_type_default_gets_its_command_from_the_agent_and_keeps_none() {
    let mut rig = Rig::registered();
    let effects = rig.master(FromMaster::RunTaskGroup(Box::new(group(&["a", "b"]))));
    let launch = launch_of(&effects);
    assert!(launch.builtin_executor());
    assert_eq!(launch.command.value(), "tepui");
    assert_eq!(launch.command.arguments, ["tepui", "default-executor"]);
    assert!(!launch.command.shell());
    assert_eq!(launch.user(), "somebody");
    let sandbox = launch.directory.clone();
    let variables = &launch.command.environment.as_ref().unwrap().variables;
    let value = |name: &str| {
        let found = variables.iter().find(|variable| variable.name == name);
        found.map(|variable| variable.value().to_owned())
    };
    assert_eq!(value("MESOS_SANDBOX"), Some(sandbox));
    assert_eq!(value("MESOS_HTTP_COMMAND_EXECUTOR"), Some("0".to_owned()));
    let executor = &rig.core.frameworks()["F"].executors["e"];
    assert_eq!(
        executor.info.command, None,
        "what masters and executors are told"
    );
    assert!(!executor.generated);
    let root = launch.container_id.value;
    rig.launched(&root);
    let effects = rig.subscribe_as("e");
    let subscribed = effects.iter().find_map(|effect| match effect {
        Effect::Send(_, Outbound::Event(event)) => event.subscribed.clone(),
        _ => None,
    });
    let subscribed = subscribed.expect("SUBSCRIBED");
    assert_eq!(subscribed.container_id, Some(container_id(&root)));
    assert_eq!(subscribed.executor_info.command, None);
    assert!(
        short(&effects).contains(&"to x: LAUNCH_GROUP a b".to_owned()),
        "{effects:?}"
    );
}

#[test]
fn what_cannot_be_run_of_a_group_is_refused_by_the_name_of_the_field() {
    let refused = |change: fn(&mut RunTaskGroup)| {
        let mut rig = Rig::registered();
        let mut message = group(&["a"]);
        change(&mut message);
        let effects = rig.master(FromMaster::RunTaskGroup(Box::new(message)));
        let status = sent_status(&effects).update.status;
        assert_eq!(status.state(), TaskState::TaskError);
        assert_eq!(status.reason(), task_status::Reason::TaskGroupInvalid);
        status.message().to_owned()
    };
    assert_eq!(
        refused(|group| group.task_group.tasks[0].command = None),
        "task.command: missing"
    );
    assert_eq!(
        refused(|group| group.executor.command = Some(CommandInfo::default())),
        "this agent cannot honour task.executor.command"
    );
    let volumes = |group: &mut RunTaskGroup| {
        group.task_group.tasks[0].container = Some(with_volume());
    };
    assert_eq!(
        refused(volumes),
        "this agent cannot honour task.container.volumes"
    );
}

#[test]
fn a_task_in_a_container_of_its_own_has_that_ones_pid() {
    let (mut rig, root) = running();
    let id = nested(&root, "n");
    rig.nest(&id);
    let mut told = |uuid: u8, id: &ContainerId| {
        let mut status = status("a", TaskState::TaskRunning, uuid);
        status.container_status = Some(tepui_protocol::mesos::v1::ContainerStatus {
            container_id: Some(id.clone()),
            ..Default::default()
        });
        let call = Call {
            update: Some(call_update(status)),
            ..Call::default()
        };
        let effects = rig.executor_says("e", call::Type::Update, call);
        let status = sent_status(&effects).update.status;
        rig.acknowledge("a", status.uuid.clone().unwrap());
        let container = status.container_status.unwrap();
        assert_eq!(container.container_id.as_ref(), Some(id));
        (container.executor_pid, container.network_infos.len())
    };
    assert_eq!(told(1, &nested(&root, "not-yet")), (None, 0));
    assert_eq!(told(2, &id), (Some(17), 1));
    assert_eq!(told(3, &container_id(&root)), (Some(4242), 1));
}

fn call_update(status: TaskStatus) -> call::Update {
    call::Update { status }
}
