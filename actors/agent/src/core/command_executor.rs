//! The executor that an agent makes for a task with a command, and the environment that any
//! executor sees.
//!
//! Not here: the executor itself (a role of the binary, in `containerizer`).

use std::collections::BTreeMap;
use std::time::Duration;

use tepui_protocol::mesos::v1::environment::{Variable, variable};
use tepui_protocol::mesos::v1::value::{self, Scalar};
use tepui_protocol::mesos::v1::{
    CommandInfo, Environment, ExecutorInfo, FrameworkInfo, Resource, TaskInfo, executor_info,
};
use tepui_runtime::Pid;

use crate::checkpoint::Run;
use crate::options::AgentOptions;

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

/// What an executor sees in its environment: first what the agent was told to hand down, then
/// Mesos' own variables, then those of its command.
#[must_use]
pub(super) fn environment(
    options: &AgentOptions,
    myself: &Pid,
    framework: &FrameworkInfo,
    executor: &ExecutorInfo,
    run: Run<'_>,
    directory: &str,
) -> Environment {
    let mut variables: BTreeMap<String, String> = options
        .executor_environment
        .iter()
        .filter(|(name, _)| !name.starts_with("LIBPROCESS_") && !name.starts_with("MESOS_"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let grace = executor
        .shutdown_grace_period
        .as_ref()
        .and_then(|grace| u64::try_from(grace.nanoseconds).ok())
        .map_or(options.executor_shutdown_grace_period, Duration::from_nanos);
    let flag = |set: bool| if set { "1" } else { "0" }.to_owned();
    let mut set = |name: &str, value: String| variables.insert(name.to_owned(), value);
    set("LIBPROCESS_IP", myself.address().ip.to_string());
    set("LIBPROCESS_PORT", "0".to_owned());
    set("MESOS_FRAMEWORK_ID", run.framework.to_owned());
    set("MESOS_EXECUTOR_ID", run.executor.to_owned());
    set("MESOS_DIRECTORY", directory.to_owned());
    set("MESOS_SANDBOX", directory.to_owned());
    set("MESOS_SLAVE_ID", run.agent.to_owned());
    set("MESOS_SLAVE_PID", myself.to_string());
    set("MESOS_AGENT_ENDPOINT", myself.address().to_string());
    set("MESOS_CHECKPOINT", flag(framework.checkpoint()));
    // Our command executor speaks nothing but the HTTP API.
    set("MESOS_HTTP_COMMAND_EXECUTOR", flag(true));
    set("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", duration_text(grace));
    if framework.checkpoint() {
        set(
            "MESOS_RECOVERY_TIMEOUT",
            duration_text(options.recovery_timeout),
        );
        let backoff = duration_text(options.executor_reregistration_timeout);
        set("MESOS_SUBSCRIPTION_BACKOFF_MAX", backoff);
    }
    let own = executor
        .command
        .as_ref()
        .and_then(|command| command.environment.as_ref());
    for variable in own.iter().flat_map(|environment| &environment.variables) {
        set(&variable.name, variable.value().to_owned());
    }
    Environment {
        variables: variables
            .into_iter()
            .map(|(name, value)| Variable {
                name,
                value: Some(value),
                r#type: Some(variable::Type::Value as i32),
                ..Variable::default()
            })
            .collect(),
    }
}

/// A duration as Mesos writes it: in the largest unit that is not above it, as `5secs` or
/// `1.5mins`.
#[must_use]
pub(super) fn duration_text(duration: Duration) -> String {
    const UNITS: &[(u128, &str)] = &[
        (7 * 24 * 3600 * 1_000_000_000, "weeks"),
        (24 * 3600 * 1_000_000_000, "days"),
        (3600 * 1_000_000_000, "hrs"),
        (60 * 1_000_000_000, "mins"),
        (1_000_000_000, "secs"),
        (1_000_000, "ms"),
        (1_000, "us"),
    ];
    let nanos = duration.as_nanos();
    match UNITS.iter().find(|(unit, _)| nanos >= *unit) {
        None => format!("{nanos}ns"),
        Some((unit, name)) if nanos.is_multiple_of(*unit) => format!("{}{name}", nanos / unit),
        Some((unit, name)) => {
            let unit = Duration::from_nanos(u64::try_from(*unit).unwrap_or(u64::MAX));
            format!("{}{name}", duration.as_secs_f64() / unit.as_secs_f64())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_mesos_does() {
        for (duration, text) in [
            (Duration::from_secs(5), "5secs"),
            (Duration::from_secs(900), "15mins"),
            (Duration::from_secs(90), "1.5mins"),
            (Duration::from_millis(1500), "1.5secs"),
            (Duration::from_secs(14 * 24 * 3600), "2weeks"),
            (Duration::from_nanos(7), "7ns"),
        ] {
            assert_eq!(duration_text(duration), text);
        }
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
