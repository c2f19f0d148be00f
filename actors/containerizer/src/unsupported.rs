//! Which fields of a task can be honoured here. Every other field that is set is named, so that
//! the task is refused by that name: nothing is silently left out, whatever the schema grows.

use serde_json::Value;
use tepui_protocol::mesos::v1::environment::{Variable, variable};
use tepui_protocol::mesos::v1::{
    CommandInfo, ContainerInfo, ExecutorInfo, TaskInfo, executor_info,
};
use tepui_protocol::{Schema, json};

/// What is done with a field, and with all below it unless a longer path says otherwise.
enum Rule {
    /// Honoured, or carried as information that asks for nothing.
    Taken,
    /// Fields of a message, each with a rule of its own.
    Inside,
    /// Only this text or name of an enum's value.
    Only(&'static str),
    /// Only these names of an enum's value.
    OneOf(&'static [&'static str]),
    /// Only a number that a port can have.
    Port,
}

const PORT_MAX: u64 = 65_535;

/// Rules by path, indexes of lists left out. What is not listed is not supported.
const COMMAND: &[(&str, Rule)] = &[
    ("environment", Rule::Inside),
    ("environment.variables", Rule::Inside),
    ("environment.variables.name", Rule::Taken),
    ("environment.variables.type", Rule::Only("VALUE")),
    ("environment.variables.value", Rule::Taken),
    ("shell", Rule::Taken),
    ("value", Rule::Taken),
    ("arguments", Rule::Taken),
    ("user", Rule::Taken),
    ("uris", Rule::Inside),
    ("uris.value", Rule::Taken),
    ("uris.executable", Rule::Taken),
    ("uris.extract", Rule::Taken),
    // It asks for speed only; the log in the sandbox says that there was none to have.
    ("uris.cache", Rule::Taken),
    ("uris.output_file", Rule::Taken),
];

const CONTAINER: &[(&str, Rule)] = &[
    ("type", Rule::Only("MESOS")),
    ("mesos", Rule::Inside),
    ("linux_info", Rule::Inside),
    ("linux_info.share_pid_namespace", Rule::Taken),
    (
        "linux_info.ipc_mode",
        Rule::OneOf(&["PRIVATE", "SHARE_PARENT"]),
    ),
    ("linux_info.shm_size", Rule::Taken),
    // Of a container in another. One without a parent has its own cgroups, and says so in vain.
    ("linux_info.share_cgroups", Rule::Taken),
    ("rlimit_info", Rule::Inside),
    ("rlimit_info.rlimits", Rule::Inside),
    ("rlimit_info.rlimits.type", Rule::Taken),
    ("rlimit_info.rlimits.hard", Rule::Taken),
    ("rlimit_info.rlimits.soft", Rule::Taken),
];

const TASK: &[(&str, Rule)] = &[
    ("name", Rule::Taken),
    ("task_id", Rule::Taken),
    ("agent_id", Rule::Taken),
    ("resources", Rule::Taken),
    ("kill_policy", Rule::Taken),
    ("data", Rule::Taken),
    ("labels", Rule::Taken),
    ("discovery", Rule::Taken),
    ("max_completion_time", Rule::Taken),
    ("limits", Rule::Inside),
    ("limits.cpus", Rule::Taken),
    ("limits.mem", Rule::Taken),
];

/// What the executors that come with the agent can do of a `health_check`. One of a framework's own
/// gets it as it is.
const HEALTH_CHECK: &[(&str, Rule)] = &[
    ("type", Rule::OneOf(&["COMMAND", "HTTP", "TCP"])),
    ("delay_seconds", Rule::Taken),
    ("interval_seconds", Rule::Taken),
    ("timeout_seconds", Rule::Taken),
    ("grace_period_seconds", Rule::Taken),
    ("consecutive_failures", Rule::Taken),
    ("command", Rule::Inside),
    ("command.environment", Rule::Inside),
    ("command.environment.variables", Rule::Inside),
    ("command.environment.variables.name", Rule::Taken),
    ("command.environment.variables.type", Rule::Only("VALUE")),
    ("command.environment.variables.value", Rule::Taken),
    ("command.shell", Rule::Taken),
    ("command.value", Rule::Taken),
    ("command.arguments", Rule::Taken),
    ("http", Rule::Inside),
    ("http.protocol", Rule::OneOf(&["IPv4", "IPv6"])),
    ("http.scheme", Rule::OneOf(&["http", "https"])),
    ("http.port", Rule::Port),
    ("http.path", Rule::Taken),
    ("tcp", Rule::Inside),
    ("tcp.protocol", Rule::OneOf(&["IPv4", "IPv6"])),
    ("tcp.port", Rule::Port),
];

/// The same of a `check`.
const CHECK: &[(&str, Rule)] = &[
    ("type", Rule::OneOf(&["COMMAND", "HTTP", "TCP"])),
    ("delay_seconds", Rule::Taken),
    ("interval_seconds", Rule::Taken),
    ("timeout_seconds", Rule::Taken),
    ("command", Rule::Inside),
    ("command.command", Rule::Inside),
    ("command.command.environment", Rule::Inside),
    ("command.command.environment.variables", Rule::Inside),
    ("command.command.environment.variables.name", Rule::Taken),
    (
        "command.command.environment.variables.type",
        Rule::Only("VALUE"),
    ),
    ("command.command.environment.variables.value", Rule::Taken),
    ("command.command.shell", Rule::Taken),
    ("command.command.value", Rule::Taken),
    ("command.command.arguments", Rule::Taken),
    ("http", Rule::Inside),
    ("http.port", Rule::Port),
    ("http.path", Rule::Taken),
    ("tcp", Rule::Inside),
    ("tcp.port", Rule::Port),
];

const EXECUTOR: &[(&str, Rule)] = &[
    ("type", Rule::OneOf(&["CUSTOM", "DEFAULT"])),
    ("executor_id", Rule::Taken),
    ("framework_id", Rule::Taken),
    ("resources", Rule::Taken),
    ("name", Rule::Taken),
    ("source", Rule::Taken),
    ("data", Rule::Taken),
    ("discovery", Rule::Taken),
    ("shutdown_grace_period", Rule::Taken),
    ("labels", Rule::Taken),
];

/// Names the fields of a command and its container that are set and cannot be honoured, as
/// `command.uris` or `container.volumes`, in the order of their names.
#[must_use]
pub fn unsupported_fields(command: &CommandInfo, container: Option<&ContainerInfo>) -> Vec<String> {
    let mut found = Vec::new();
    if !is_plain_command(command) {
        collect(command, "command", COMMAND, &mut found);
    }
    if let Some(container) = container {
        collect(container, "container", CONTAINER, &mut found);
        one_sided_rlimits(container, &mut found);
    }
    found.sort();
    found.dedup();
    found
}

/// Names the fields of a task that are set and cannot be honoured, those of its command, its
/// container and its executor included, as `limits.disk` or `executor.command.uris`.
#[must_use]
pub fn unsupported_task_fields(task: &TaskInfo) -> Vec<String> {
    let mut found = Vec::new();
    if !is_plain_task(task) {
        let own = TaskInfo {
            command: None,
            container: None,
            executor: None,
            health_check: None,
            check: None,
            ..task.clone()
        };
        collect(&own, "", TASK, &mut found);
        if is_run_here(task) {
            unsupported_checks(task, &mut found);
        }
    }
    let none = CommandInfo::default();
    let command = task.command.as_ref().unwrap_or(&none);
    found.extend(unsupported_fields(command, task.container.as_ref()));
    if let Some(executor) = &task.executor {
        found.extend(unsupported_executor_fields(executor));
    }
    found
}

/// Whether the task's executor is one that comes with the agent: made for a command task, or of
/// type DEFAULT.
fn is_run_here(task: &TaskInfo) -> bool {
    task.executor.as_ref().is_none_or(is_default)
}

fn is_default(executor: &ExecutorInfo) -> bool {
    executor.r#type == Some(executor_info::Type::Default as i32)
}

/// What the executors that come with the agent cannot do of a task's checks.
fn unsupported_checks(task: &TaskInfo, found: &mut Vec<String>) {
    if let Some(check) = &task.check {
        collect(check, "check", CHECK, found);
    }
    if let Some(check) = &task.health_check {
        collect(check, "health_check", HEALTH_CHECK, found);
    }
}

/// The same for the executor that a framework gives its tasks.
#[must_use]
pub fn unsupported_executor_fields(executor: &ExecutorInfo) -> Vec<String> {
    let mut found = Vec::new();
    if !is_plain_executor(executor) {
        let own = ExecutorInfo {
            command: None,
            container: None,
            ..executor.clone()
        };
        collect(&own, "executor", EXECUTOR, &mut found);
    }
    if is_default(executor) && executor.command.is_some() {
        // The agent gives it its command.
        found.push("executor.command".to_owned());
    }
    let none = CommandInfo::default();
    let command = executor.command.as_ref().unwrap_or(&none);
    let inner = unsupported_fields(command, executor.container.as_ref());
    found.extend(inner.into_iter().map(|field| format!("executor.{field}")));
    found
}

// Nearly all commands and tasks set nothing that could be refused. To see that by the rules takes
// longer than all else that is done with a small task. Every field is named here, so that one which
// the schema gains has to be thought of.

/// Whether nothing is set that a rule could refuse.
fn is_plain_command(command: &CommandInfo) -> bool {
    let CommandInfo {
        uris,
        environment,
        shell: _,
        value: _,
        arguments: _,
        user: _,
    } = command;
    let variables = environment.iter().flat_map(|all| &all.variables);
    let is_plain = |variable: &Variable| {
        let Variable {
            name: _,
            value: _,
            r#type: kind,
            secret,
        } = variable;
        let value = variable::Type::Value as i32;
        secret.is_none() && kind.is_none_or(|kind| kind == value)
    };
    uris.is_empty() && variables.into_iter().all(is_plain)
}

/// The same of a task, whose command, container and executor are looked at by themselves.
fn is_plain_task(task: &TaskInfo) -> bool {
    let TaskInfo {
        name: _,
        task_id: _,
        agent_id: _,
        resources: _,
        executor: _,
        command: _,
        container: _,
        health_check,
        check,
        kill_policy: _,
        data: _,
        labels: _,
        discovery: _,
        max_completion_time: _,
        limits,
    } = task;
    limits.is_empty() && (!is_run_here(task) || (health_check.is_none() && check.is_none()))
}

/// The same of an executor, whose command and container are looked at by themselves.
fn is_plain_executor(executor: &ExecutorInfo) -> bool {
    let ExecutorInfo {
        r#type: kind,
        executor_id: _,
        framework_id: _,
        command: _,
        container: _,
        resources: _,
        name: _,
        source: _,
        data: _,
        discovery: _,
        shutdown_grace_period: _,
        labels: _,
    } = executor;
    let custom = executor_info::Type::Custom as i32;
    kind.is_none_or(|kind| kind == custom) || is_default(executor)
}

/// A limit has both values or none (no limit at all), as in Mesos.
fn one_sided_rlimits(container: &ContainerInfo, found: &mut Vec<String>) {
    let rlimits = container.rlimit_info.iter().flat_map(|info| &info.rlimits);
    for (index, rlimit) in rlimits.enumerate() {
        let known = crate::spec::rlimit_number(rlimit.r#type()).is_some();
        if !known {
            found.push(format!("container.rlimit_info.rlimits[{index}].type"));
        }
        if rlimit.soft.is_some() != rlimit.hard.is_some() {
            let lone = if rlimit.soft.is_some() {
                "soft"
            } else {
                "hard"
            };
            found.push(format!("container.rlimit_info.rlimits[{index}].{lone}"));
        }
    }
}

fn collect<M: Schema>(message: &M, name: &str, rules: &[(&str, Rule)], found: &mut Vec<String>) {
    // The JSON form has exactly the fields that are set, by their names on the wire.
    let value = json::to_vec(message)
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok());
    match value {
        Some(value) => walk(&value, name, "", rules, found),
        None => found.push(name.to_owned()),
    }
}

/// `shown` is the path with indexes and `path` the one without, by which the rules are found.
fn walk(value: &Value, shown: &str, path: &str, rules: &[(&str, Rule)], found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let join = |head: &str| {
                    if head.is_empty() {
                        name.clone()
                    } else {
                        format!("{head}.{name}")
                    }
                };
                let (shown, path) = (join(shown), join(path));
                match rules
                    .iter()
                    .find(|(rule, _)| *rule == path)
                    .map(|(_, rule)| rule)
                {
                    Some(Rule::Taken) => {}
                    Some(Rule::Inside) => walk(value, &shown, &path, rules, found),
                    Some(Rule::Only(only)) if value.as_str() == Some(*only) => {}
                    Some(Rule::OneOf(names))
                        if value.as_str().is_some_and(|name| names.contains(&name)) => {}
                    Some(Rule::Port) if value.as_u64().is_some_and(|port| port <= PORT_MAX) => {}
                    Some(Rule::Only(_) | Rule::OneOf(_) | Rule::Port) | None => found.push(shown),
                }
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                walk(value, &format!("{shown}[{index}]"), path, rules, found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
