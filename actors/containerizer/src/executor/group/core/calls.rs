//! What the agent is asked about containers, word for word as Mesos' default executor asks it.

use tepui_protocol::mesos::v1::agent::{Call, call};
use tepui_protocol::mesos::v1::{
    CommandInfo, ContainerId, ContainerInfo, Environment, LinuxInfo, TaskInfo, container_info,
};

use super::{Ask, Core, Effect, Errand, Of};
use crate::executor::variables::{plain, with_variables};

impl Core {
    pub(super) fn ask_for_task(&mut self, number: u64, errand: Errand) {
        let Some(task) = self.tasks.get(&number) else {
            return;
        };
        let call = match errand {
            Errand::Launch => self.launch_call(&task.info, &task.container),
            // Signal 0 is no signal.
            Errand::Find => kill(&task.container, 0),
            Errand::Wait => wait(&task.container),
            Errand::Kill(signal) => kill(&task.container, signal),
            Errand::Remove => remove(&task.container),
        };
        let of = Of::Task(number);
        self.effects
            .push(Effect::Ask(Ask { of, errand }, Box::new(call)));
    }

    pub(super) fn launch_call(&self, task: &TaskInfo, container_id: &ContainerId) -> Call {
        let task = self.with_variables(task);
        launch(call::LaunchContainer {
            container_id: container_id.clone(),
            command: task.command,
            container: task.container,
            resources: task.resources,
            limits: task.limits,
        })
    }

    /// The task with the variables that the executor adds to its own.
    pub(super) fn with_variables(&self, task: &TaskInfo) -> TaskInfo {
        with_variables(task, vec![plain("MESOS_CONTAINER_IP", &self.address)])
    }
}

fn launch(launch: call::LaunchContainer) -> Call {
    Call {
        r#type: Some(call::Type::LaunchContainer as i32),
        launch_container: Some(launch),
        ..Call::default()
    }
}

/// The launch of a check's command, in the namespaces of the container that it is nested in.
pub(super) fn launch_check(container_id: &ContainerId, command: CommandInfo) -> Call {
    launch(call::LaunchContainer {
        container_id: container_id.clone(),
        command: Some(command),
        container: Some(ContainerInfo {
            r#type: container_info::Type::Mesos as i32,
            linux_info: Some(LinuxInfo {
                share_pid_namespace: Some(true),
                ..LinuxInfo::default()
            }),
            ..ContainerInfo::default()
        }),
        ..call::LaunchContainer::default()
    })
}

/// The container that a call is about, as people write it.
pub(crate) fn container(call: &Call) -> String {
    let launch = call.launch_container.as_ref().map(|it| &it.container_id);
    let wait = call.wait_container.as_ref().map(|it| &it.container_id);
    let kill = call.kill_container.as_ref().map(|it| &it.container_id);
    let remove = call.remove_container.as_ref().map(|it| &it.container_id);
    let container = launch.or(wait).or(kill).or(remove);
    container.map(ToString::to_string).unwrap_or_default()
}

pub(super) fn wait(container_id: &ContainerId) -> Call {
    let container_id = container_id.clone();
    Call {
        r#type: Some(call::Type::WaitContainer as i32),
        wait_container: Some(call::WaitContainer { container_id }),
        ..Call::default()
    }
}

pub(super) fn kill(container_id: &ContainerId, signal: i32) -> Call {
    Call {
        r#type: Some(call::Type::KillContainer as i32),
        kill_container: Some(call::KillContainer {
            container_id: container_id.clone(),
            signal: Some(signal),
        }),
        ..Call::default()
    }
}

pub(super) fn remove(container_id: &ContainerId) -> Call {
    let container_id = container_id.clone();
    Call {
        r#type: Some(call::Type::RemoveContainer as i32),
        remove_container: Some(call::RemoveContainer { container_id }),
        ..Call::default()
    }
}

/// A check's command as a container runs it: in the sandbox of the task, with that as MESOS_SANDBOX,
/// and as its own user, the task's, or the executor's.
pub(super) fn check_command(
    command: CommandInfo,
    task: &TaskInfo,
    sandbox: &str,
    own_user: Option<String>,
) -> CommandInfo {
    let mut script = format!("cd {} || exit 1\n", quoted(sandbox));
    let value = command.value();
    if command.shell.unwrap_or(true) {
        script += value;
    } else {
        let arguments = command.arguments.iter().skip(1);
        let arguments: String = arguments.map(|it| format!(" {}", quoted(it))).collect();
        if !value.contains('/') {
            // A bare name is searched in the sandbox before PATH.
            let here = quoted(&format!("./{value}"));
            script += &format!("[ -f {here} ] && exec {here}{arguments}\n");
        }
        script += &format!("exec {}{arguments}", quoted(value));
    }
    let mut variables = vec![plain("MESOS_SANDBOX", sandbox)];
    variables.extend(
        command
            .environment
            .into_iter()
            .flat_map(|all| all.variables),
    );
    let user = task.command.as_ref().and_then(|task| task.user.clone());
    CommandInfo {
        value: Some(script),
        shell: Some(true),
        arguments: Vec::new(),
        environment: Some(Environment { variables }),
        user: command.user.or(user).or(own_user),
        uris: command.uris,
    }
}

/// One word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
