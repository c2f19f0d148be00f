//! What the flags of `tepui execute` ask for: a framework, a task, and where the master is.

use std::{collections::BTreeMap, time::Duration};

use tepui_protocol::{
    json,
    mesos::v1::{
        CommandInfo, ContainerInfo, Environment, FrameworkInfo, RLimitInfo, TaskId, TaskInfo,
        Volume, container_info, environment::Variable, framework_info::Capability,
        framework_info::capability, r_limit_info::r_limit,
    },
    resources, roles,
};
use tepui_runtime::{Address, Encoding};

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
    /// The task, without an agent; its resources are what it needs.
    pub(crate) task: TaskInfo,
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
        task: match values.text("task") {
            Some(text) => whole_task(values, text)?,
            None => task(values)?,
        },
        kill_after: values.duration("kill_after"),
    })
}

/// Flags that describe a task, which `--task` describes as a whole.
const PARTS: [&str; 7] = [
    "name",
    "command",
    "shell",
    "env",
    "resources",
    "rlimits",
    "volumes",
];

fn whole_task(values: &Values, text: &str) -> Result<TaskInfo, FlagError> {
    if let Some(part) = PARTS.iter().find(|name| values.is_given(name)) {
        let problem = format!("--{part} and --task exclude each other");
        return Err(FlagError::Combination(problem));
    }
    let mut fields: serde_json::Value =
        serde_json::from_str(text).map_err(|problem| bad("task", problem))?;
    // The agent is that of the offer; Mesos' tool wants the field all the same.
    if let Some(fields) = fields.as_object_mut() {
        fields
            .entry("agent_id")
            .or_insert_with(|| serde_json::json!({"value": ""}));
    }
    let text = fields.to_string();
    json::from_slice(text.as_bytes()).map_err(|problem| bad("task", problem))
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
