//! The executor that an agent makes for a task with a command.
//!
//! Not here: the executor itself (a role of the binary, in `containerizer`).

use tepui_protocol::mesos::v1::value::{self, Scalar};
use tepui_protocol::mesos::v1::{
    CommandInfo, ExecutorInfo, FrameworkInfo, Resource, TaskInfo, executor_info,
};

/// What the command executor gets beside its task (Mesos' DEFAULT_EXECUTOR_CPUS).
const OVERHEAD_CPUS: f64 = 0.1;

/// The same for memory, in megabytes (Mesos' DEFAULT_EXECUTOR_MEM).
const OVERHEAD_MEM: f64 = 32.0;

/// The ExecutorInfo for `task`, which has a command: Mesos' `Slave::getExecutorInfo`.
#[must_use]
pub(super) fn executor_info(
    framework: &FrameworkInfo,
    task: &TaskInfo,
    binary: &str,
) -> ExecutorInfo {
    let command = task.command.clone().unwrap_or_default();
    ExecutorInfo {
        r#type: Some(executor_info::Type::Custom as i32),
        executor_id: super::executor_id(&task.task_id.value),
        framework_id: framework.id.clone(),
        name: Some(name(task, &command)),
        source: Some(task.task_id.value.clone()),
        command: Some(CommandInfo {
            uris: command.uris,
            environment: command.environment,
            user: command.user,
            shell: Some(false),
            value: Some(binary.to_owned()),
            arguments: vec!["tepui".to_owned(), "executor".to_owned()],
        }),
        container: task.container.clone(),
        labels: task.labels.clone(),
        discovery: task.discovery.clone(),
        resources: overhead(task),
        ..ExecutorInfo::default()
    }
}

/// Mesos' name text, the command cut to 12 characters where it is longer than 15.
fn name(task: &TaskInfo, command: &CommandInfo) -> String {
    let value = command.value();
    let text = if command.shell() {
        format!("sh -c '{}'", cut(value))
    } else {
        let mut arguments = command.arguments.join(", ");
        if arguments.is_empty() {
            value.clone_into(&mut arguments);
        } else {
            arguments = format!("{value}, {arguments}");
        }
        cut(&arguments)
    };
    format!(
        "Command Executor (Task: {}) (Command: {text})",
        task.task_id.value
    )
}

fn cut(text: &str) -> String {
    if text.chars().count() > 15 {
        text.chars().take(12).chain("...".chars()).collect()
    } else {
        text.to_owned()
    }
}

/// Resources of the executor itself: allocated as the task's are, revocable if they are. The
/// master neither offers nor counts them.
fn overhead(task: &TaskInfo) -> Vec<Resource> {
    let scalar = |name: &str, amount: f64| {
        let like = task.resources.iter().find(|resource| resource.name == name);
        Resource {
            name: name.to_owned(),
            r#type: value::Type::Scalar as i32,
            scalar: Some(Scalar { value: amount }),
            allocation_info: task
                .resources
                .first()
                .and_then(|first| first.allocation_info.clone()),
            revocable: like.and_then(|like| like.revocable),
            ..Resource::default()
        }
    };
    vec![scalar("cpus", OVERHEAD_CPUS), scalar("mem", OVERHEAD_MEM)]
}

#[cfg(test)]
mod tests {
    use tepui_protocol::mesos::v1::command_info::Uri;
    use tepui_protocol::mesos::v1::environment::Variable;
    use tepui_protocol::mesos::v1::resource::{AllocationInfo, RevocableInfo};
    use tepui_protocol::mesos::v1::{
        ContainerInfo, DiscoveryInfo, Environment, ExecutorId, FrameworkId, Label, Labels, TaskId,
        container_info, discovery_info,
    };

    use super::*;

    /// A resource of role `r`.
    fn resource(name: &str, amount: f64, revocable: bool) -> Resource {
        Resource {
            name: name.to_owned(),
            r#type: value::Type::Scalar as i32,
            scalar: Some(Scalar { value: amount }),
            allocation_info: Some(AllocationInfo {
                role: Some("r".to_owned()),
            }),
            revocable: revocable.then(RevocableInfo::default),
            ..Resource::default()
        }
    }

    #[test]
    fn it_is_made_of_what_its_task_says_and_nothing_else() {
        let framework = FrameworkInfo {
            id: Some(FrameworkId {
                value: "F".to_owned(),
            }),
            user: "somebody".to_owned(),
            ..FrameworkInfo::default()
        };
        let uris = vec![Uri {
            value: "file:///data".to_owned(),
            ..Uri::default()
        }];
        let environment = Some(Environment {
            variables: vec![Variable {
                name: "A".to_owned(),
                value: Some("b".to_owned()),
                ..Variable::default()
            }],
        });
        let container = Some(ContainerInfo {
            r#type: container_info::Type::Mesos as i32,
            hostname: Some("inside".to_owned()),
            ..ContainerInfo::default()
        });
        let labels = Some(Labels {
            labels: vec![Label {
                key: "tier".to_owned(),
                value: Some("web".to_owned()),
            }],
        });
        let discovery = Some(DiscoveryInfo {
            visibility: discovery_info::Visibility::Cluster as i32,
            name: Some("web".to_owned()),
            ..DiscoveryInfo::default()
        });
        let task = TaskInfo {
            name: "a name".to_owned(),
            task_id: TaskId {
                value: "t".to_owned(),
            },
            resources: vec![resource("cpus", 2.0, true), resource("mem", 64.0, false)],
            command: Some(CommandInfo {
                uris: uris.clone(),
                environment: environment.clone(),
                user: Some("other".to_owned()),
                shell: Some(false),
                value: Some("/bin/ls".to_owned()),
                arguments: vec!["ls".to_owned(), "-la".to_owned()],
            }),
            container: container.clone(),
            labels: labels.clone(),
            discovery: discovery.clone(),
            data: Some("for the task alone".into()),
            ..TaskInfo::default()
        };
        let expected = ExecutorInfo {
            r#type: Some(executor_info::Type::Custom as i32),
            executor_id: ExecutorId {
                value: "t".to_owned(),
            },
            framework_id: framework.id.clone(),
            name: Some("Command Executor (Task: t) (Command: /bin/ls, ls,...)".to_owned()),
            source: Some("t".to_owned()),
            command: Some(CommandInfo {
                uris,
                environment,
                user: Some("other".to_owned()),
                shell: Some(false),
                value: Some("/opt/tepui".to_owned()),
                arguments: vec!["tepui".to_owned(), "executor".to_owned()],
            }),
            container,
            labels,
            discovery,
            resources: vec![resource("cpus", 0.1, true), resource("mem", 32.0, false)],
            ..ExecutorInfo::default()
        };
        assert_eq!(executor_info(&framework, &task, "/opt/tepui"), expected);
    }

    #[test]
    fn the_name_tells_the_task_and_the_head_of_its_command() {
        let task = |value: &str| TaskInfo {
            task_id: tepui_protocol::mesos::v1::TaskId {
                value: "t".to_owned(),
            },
            command: Some(CommandInfo {
                value: Some(value.to_owned()),
                ..CommandInfo::default()
            }),
            ..TaskInfo::default()
        };
        let name = |value: &str| {
            executor_info(&FrameworkInfo::default(), &task(value), "tepui")
                .name()
                .to_owned()
        };
        assert_eq!(
            name("echo hello"),
            "Command Executor (Task: t) (Command: sh -c 'echo hello')"
        );
        assert_eq!(
            name("echo hello; sleep 10"),
            "Command Executor (Task: t) (Command: sh -c 'echo hello; ...')"
        );
    }
}
