//! What the flags of `tepui execute` ask for: a framework, a task or a group of them, and where the
//! master is.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tepui_protocol::{
    json,
    mesos::v1::{
        CommandInfo, ContainerInfo, Environment, ExecutorId, ExecutorInfo, FrameworkInfo,
        RLimitInfo, TaskGroupInfo, TaskId, TaskInfo, Volume, container_info, environment::Variable,
        executor_info, framework_info::Capability, framework_info::capability,
        r_limit_info::r_limit,
    },
    resources, roles,
};
use tepui_runtime::{Address, Encoding};

use super::core::Work;
use crate::{
    flags::{FlagError, Values},
    host, listening,
};

/// What is to be done.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) master: Address,
    pub(crate) encoding: Encoding,
    pub(crate) framework: FrameworkInfo,
    pub(crate) work: Work,
    pub(crate) kill_after: Option<Duration>,
}

/// Reads the flags.
///
/// # Errors
///
/// The flag whose value cannot be, or that is missing.
pub(crate) fn plan(values: &Values) -> Result<Plan, FlagError> {
    let encoding = match values.text("content_type") {
        None | Some("protobuf") => Encoding::Protobuf,
        Some("json") => Encoding::Json,
        Some(other) => {
            let problem = format!("'{other}' is neither protobuf nor json");
            return Err(bad("content_type", problem));
        }
    };
    Ok(Plan {
        master: listening::master_pid(values)?.address(),
        encoding,
        framework: framework(values)?,
        work: match (values.text("task"), values.text("task_group")) {
            (Some(_), Some(_)) => {
                let problem = "--task and --task_group exclude each other".to_owned();
                return Err(FlagError::Combination(problem));
            }
            (Some(text), None) => Work::Task(Box::new(whole_task(values, text)?)),
            (None, Some(text)) => group(values, text)?,
            (None, None) => Work::Task(Box::new(task(values)?)),
        },
        kill_after: values.duration("kill_after"),
    })
}

/// Flags that describe a task, which `--task` and `--task_group` describe as a whole.
const PARTS: [&str; 7] = [
    "name",
    "command",
    "shell",
    "env",
    "resources",
    "rlimits",
    "volumes",
];

/// What the executor of a group uses itself, as mesos-execute has it.
const OF_EXECUTOR: &str = "cpus:0.1;mem:32;disk:32";

/// No flag that describes a part of what this one describes.
fn alone(values: &Values, flag: &str) -> Result<(), FlagError> {
    match PARTS.iter().find(|name| values.is_given(name)) {
        Some(part) => {
            let problem = format!("--{part} and --{flag} exclude each other");
            Err(FlagError::Combination(problem))
        }
        None => Ok(()),
    }
}

/// The agent is that of the offer; Mesos' tool wants the field all the same.
fn without_agent(task: &mut serde_json::Value) {
    if let Some(fields) = task.as_object_mut() {
        fields
            .entry("agent_id")
            .or_insert_with(|| serde_json::json!({"value": ""}));
    }
}

fn whole_task(values: &Values, text: &str) -> Result<TaskInfo, FlagError> {
    alone(values, "task")?;
    let mut task: serde_json::Value =
        serde_json::from_str(text).map_err(|problem| bad("task", problem))?;
    without_agent(&mut task);
    let text = task.to_string();
    json::from_slice(text.as_bytes()).map_err(|problem| bad("task", problem))
}

fn group(values: &Values, text: &str) -> Result<Work, FlagError> {
    alone(values, "task_group")?;
    let mut group: serde_json::Value =
        serde_json::from_str(text).map_err(|problem| bad("task_group", problem))?;
    let tasks = group
        .get_mut("tasks")
        .and_then(|tasks| tasks.as_array_mut());
    tasks.into_iter().flatten().for_each(without_agent);
    let text = group.to_string();
    let group: TaskGroupInfo =
        json::from_slice(text.as_bytes()).map_err(|problem| bad("task_group", problem))?;
    if group.tasks.is_empty() {
        return Err(bad("task_group", "it has no tasks"));
    }
    let mut ids = BTreeSet::new();
    for task in &group.tasks {
        let id = &task.task_id.value;
        if !ids.insert(id) {
            return Err(bad("task_group", format!("two tasks have the id '{id}'")));
        }
    }
    let needs = resources::parse(OF_EXECUTOR, "*").map_err(|problem| bad("task_group", problem))?;
    let executor = ExecutorInfo {
        r#type: Some(executor_info::Type::Default.into()),
        executor_id: ExecutorId {
            value: "default-executor".to_owned(),
        },
        resources: needs.to_proto(),
        ..ExecutorInfo::default()
    };
    Ok(Work::Group(Box::new(executor), group.tasks))
}

fn task(values: &Values) -> Result<TaskInfo, FlagError> {
    let required = |name| values.text(name).ok_or(FlagError::Required { name });
    let name = required("name")?;
    let needs = resources::parse(values.text("resources").unwrap_or_default(), "*")
        .map_err(|problem| bad("resources", problem))?;
    Ok(TaskInfo {
        name: name.to_owned(),
        task_id: TaskId {
            value: name.to_owned(),
        },
        resources: needs.to_proto(),
        command: Some(command(required("command")?, values)?),
        container: container(values)?,
        ..TaskInfo::default()
    })
}

fn command(text: &str, values: &Values) -> Result<CommandInfo, FlagError> {
    let variables: BTreeMap<String, String> = match values.json("env") {
        Some(json) => serde_json::from_value(json)
            .map_err(|problem| bad("env", format!("expected an object of texts: {problem}")))?,
        None => BTreeMap::new(),
    };
    let variable = |(name, value)| Variable {
        name,
        value: Some(value),
        ..Variable::default()
    };
    let environment = (!variables.is_empty()).then(|| Environment {
        variables: variables.into_iter().map(variable).collect(),
    });
    let shell = values.boolean("shell");
    let words: Vec<String> = text
        .split(' ')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    if words.is_empty() {
        return Err(bad("command", "there is nothing to run"));
    }
    Ok(CommandInfo {
        value: Some(if shell {
            text.to_owned()
        } else {
            words[0].clone()
        }),
        shell: Some(shell),
        arguments: if shell { Vec::new() } else { words },
        environment,
        ..CommandInfo::default()
    })
}

/// The container, where a flag says something of it.
fn container(values: &Values) -> Result<Option<ContainerInfo>, FlagError> {
    let rlimit_info: Option<RLimitInfo> = values
        .text("rlimits")
        .map(|text| json::from_slice(text.as_bytes()).map_err(|problem| bad("rlimits", problem)))
        .transpose()?;
    let mut limits = rlimit_info.iter().flat_map(|info| &info.rlimits);
    if limits.any(|limit| limit.r#type() == r_limit::Type::Unknown) {
        return Err(bad("rlimits", "a limit is of no known type"));
    }
    let volumes = volumes(values)?;
    if rlimit_info.is_none() && volumes.is_empty() {
        return Ok(None);
    }
    Ok(Some(ContainerInfo {
        r#type: container_info::Type::Mesos.into(),
        rlimit_info,
        volumes,
        ..ContainerInfo::default()
    }))
}

fn volumes(values: &Values) -> Result<Vec<Volume>, FlagError> {
    let Some(json) = values.json("volumes") else {
        return Ok(Vec::new());
    };
    let serde_json::Value::Array(list) = json else {
        return Err(bad("volumes", "expected a list"));
    };
    list.iter()
        .map(|volume| json::from_slice(volume.to_string().as_bytes()))
        .collect::<Result<_, _>>()
        .map_err(|problem| bad("volumes", problem))
}

fn framework(values: &Values) -> Result<FrameworkInfo, FlagError> {
    use capability::Type;
    let role = values.text("role").unwrap_or("*");
    roles::validate(role).map_err(|problem| bad("role", problem))?;
    let mut capabilities = vec![
        Type::MultiRole,
        Type::ReservationRefinement,
        Type::TaskKillingState,
    ];
    if values.boolean("partition_aware") {
        capabilities.push(Type::PartitionAware);
    }
    let further = values.text("framework_capabilities").unwrap_or_default();
    for name in further
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
    {
        let known = Type::from_str_name(name).filter(|found| *found != Type::Unknown);
        let found = known.ok_or_else(|| {
            bad(
                "framework_capabilities",
                format!("'{name}' is not a capability of frameworks"),
            )
        })?;
        if !capabilities.contains(&found) {
            capabilities.push(found);
        }
    }
    let capability = |found: Type| Capability {
        r#type: Some(found.into()),
    };
    Ok(FrameworkInfo {
        name: "tepui execute".to_owned(),
        user: host::current_user(),
        roles: vec![role.to_owned()],
        capabilities: capabilities.into_iter().map(capability).collect(),
        checkpoint: Some(values.boolean("checkpoint")),
        ..FrameworkInfo::default()
    })
}

fn bad(name: &'static str, problem: impl ToString) -> FlagError {
    FlagError::BadValue {
        name,
        problem: problem.to_string(),
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
