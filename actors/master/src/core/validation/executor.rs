//! What the executor of a task of LAUNCH or of a LAUNCH_GROUP must be: Mesos' `executor::validate`
//! and what `task::validateExecutor` or `group::validateExecutor` adds, in their order and words.

use tepui_protocol::ids;
use tepui_protocol::mesos::v1::{ExecutorInfo, container_info, executor_info};
use tepui_protocol::resources::{Resources, Scalar};

use super::command;
use super::task::{Launch, amounts};
use crate::core::amounts::trusted;

/// What an executor should have at least; Mesos warns of less.
const LEAST: [(&str, Scalar); 2] = [
    ("cpus", Scalar::from_thousandths(10)),
    ("mem", Scalar::from_units(32)),
];

/// Whether an executor can be run so. Its `framework_id` is filled in. Gives back what it uses.
///
/// # Errors
/// Why not, as the message of its task's TASK_ERROR.
pub(super) fn executor(executor: &ExecutorInfo, launch: &Launch<'_>) -> Result<Resources, String> {
    let used = described(executor, launch)?;
    if executor.r#type.is_some() && executor.r#type() != executor_info::Type::Custom {
        return Err("'ExecutorInfo.type' must be 'CUSTOM'".to_owned());
    }
    if executor.command.is_none() {
        return Err("'ExecutorInfo.command' must be set".to_owned());
    }
    runnable(executor)?;
    without_shared(&used)?;
    Ok(used)
}

/// Whether an executor can run a group, but for what it has at least. Gives back what it uses.
///
/// # Errors
/// Why not, as the message of the TASK_ERROR of each task.
pub(super) fn of_group(executor: &ExecutorInfo, launch: &Launch<'_>) -> Result<Resources, String> {
    let used = described(executor, launch)?;
    if executor.r#type.is_none() {
        return Err("'ExecutorInfo.type' must be set".to_owned());
    }
    if executor.r#type() == executor_info::Type::Unknown {
        return Err("Unknown executor type".to_owned());
    }
    Ok(used)
}

/// Ours: whether an agent can run the executor of a group, with all that is said of it.
///
/// # Errors
/// What it cannot do.
pub(super) fn supported(executor: &ExecutorInfo) -> Result<(), String> {
    let refused = tepui_containerizer::unsupported_executor_fields(executor);
    if !refused.is_empty() {
        return Err(format!(
            "Executor uses fields that are not supported: {}",
            refused.join(", ")
        ));
    }
    runnable(executor)
}

/// What holds for an executor whatever it runs. The id of its framework is filled in for LAUNCH.
fn described(executor: &ExecutorInfo, launch: &Launch<'_>) -> Result<Resources, String> {
    kind(executor)?;
    ids::validate(&executor.executor_id.value).map_err(|problem| problem.to_string())?;
    if executor
        .shutdown_grace_period
        .is_some_and(|period| period.nanoseconds < 0)
    {
        return Err("ExecutorInfo's 'shutdown_grace_period' must be non-negative".to_owned());
    }
    let used = amounts(&executor.resources, "Executor")?;
    if let Some(command) = &executor.command {
        command::environment_variables(command.environment.as_ref())
            .map_err(|problem| format!("Executor's `CommandInfo` is invalid: {problem}"))?;
    }
    if let Some(container) = &executor.container {
        command::container(container)
            .map_err(|problem| format!("Executor's `ContainerInfo` is invalid: {problem}"))?;
    }
    let Some(id) = &executor.framework_id else {
        return Err("'ExecutorInfo.framework_id' must be set".to_owned());
    };
    if id.value != launch.framework.id {
        return Err(format!(
            "ExecutorInfo has an invalid FrameworkID (Actual: {} vs Expected: {})",
            id.value, launch.framework.id
        ));
    }
    compatible(executor, &used, launch)?;
    Ok(used)
}

fn runnable(executor: &ExecutorInfo) -> Result<(), String> {
    let Some(command) = &executor.command else {
        return Ok(());
    };
    command::command(command)
        .map_err(|problem| format!("Executor's `CommandInfo` is invalid: {problem}"))
}

pub(super) fn without_shared(used: &Resources) -> Result<(), String> {
    if !used.shared().is_empty() {
        return Err(format!(
            "Executor resources {used} should not contain any shared resources"
        ));
    }
    Ok(())
}

fn kind(executor: &ExecutorInfo) -> Result<(), String> {
    let container = executor.container.as_ref();
    let image = container.and_then(|container| container.mesos.as_ref()?.image.as_ref());
    let problem = match (executor.r#type, executor.r#type()) {
        (None, _) | (_, executor_info::Type::Unknown) => return Ok(()),
        (_, executor_info::Type::Default) if executor.command.is_some() => {
            "'ExecutorInfo.command' must not be set for 'DEFAULT' executor"
        }
        (_, executor_info::Type::Default)
            if container.is_some_and(|it| it.r#type() != container_info::Type::Mesos) =>
        {
            "'ExecutorInfo.container.type' must be 'MESOS' for 'DEFAULT' executor"
        }
        (_, executor_info::Type::Default) if image.is_some() => {
            "'ExecutorInfo.container.mesos.image' must not be set for 'DEFAULT' executor"
        }
        (_, executor_info::Type::Custom) if executor.command.is_none() => {
            "'ExecutorInfo.command' must be set for 'CUSTOM' executor"
        }
        (_, executor_info::Type::Default | executor_info::Type::Custom) => return Ok(()),
    };
    Err(problem.to_owned())
}

/// An executor that runs already is described as it was when it was launched.
fn compatible(
    executor: &ExecutorInfo,
    used: &Resources,
    launch: &Launch<'_>,
) -> Result<(), String> {
    let Some(known) = launch.running(&executor.executor_id.value) else {
        return Ok(());
    };
    let bare = |info: &ExecutorInfo| ExecutorInfo {
        resources: Vec::new(),
        ..info.clone()
    };
    if bare(known) == bare(executor) && trusted(&known.resources) == *used {
        return Ok(());
    }
    let shown = |info: &ExecutorInfo| {
        tepui_protocol::json::to_vec(info)
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .unwrap_or_default()
    };
    let line = "-".repeat(60);
    Err(format!(
        "ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID.\n{line}\n\
         Existing ExecutorInfo:\n{}\n{line}\nGiven ExecutorInfo:\n{}\n{line}\n",
        shown(known),
        shown(executor)
    ))
}

/// What is less than an executor should have, for the log: it runs nevertheless.
#[must_use]
pub fn scanty(executor: &ExecutorInfo) -> Option<String> {
    let used = trusted(&executor.resources);
    let (name, least) = LEAST
        .into_iter()
        .find(|(name, least)| used.scalar(name) < *least)?;
    Some(format!(
        "executor '{}' uses less {name} ({}) than the minimum required ({least})",
        executor.executor_id.value,
        used.scalar(name)
    ))
}
