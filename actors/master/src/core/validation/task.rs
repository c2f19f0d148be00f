//! What a task of a LAUNCH must be: Mesos' `validation::task::validate`, in its order.
//! Not here: whether the offers it was launched with are valid (`accept`).

use tepui_protocol::ids;
use tepui_protocol::mesos::v1::agent_info::capability::Type as Capability;
use tepui_protocol::mesos::v1::framework_info::capability::Type as FrameworkCapability;
use tepui_protocol::mesos::v1::{CommandInfo, Environment, TaskInfo, environment, value};
use tepui_protocol::resources::{Resources, Scalar};

use super::fields;
use crate::snapshot::{Agent, Framework};

/// What a task is launched with.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    /// Whose task it is.
    pub framework: &'a Framework,
    /// Where it is to run.
    pub agent: &'a Agent,
    /// What is left of the offers.
    pub left: &'a Resources,
}

/// Whether a task can be launched so; its resources have reservation stacks and allocation info.
/// Gives back what it uses.
///
/// # Errors
/// Why not, as the message of its TASK_ERROR.
pub fn task(task: &TaskInfo, launch: &Launch<'_>) -> Result<Resources, String> {
    identity(task, launch)?;
    let refused = fields::refused(task);
    if !refused.is_empty() {
        return Err(format!(
            "Task uses fields that are not supported: {}",
            refused.join(", ")
        ));
    }
    if task
        .kill_policy
        .as_ref()
        .and_then(|p| p.grace_period)
        .is_some_and(|p| p.nanoseconds < 0)
    {
        return Err("Task's 'kill_policy.grace_period' must be non-negative".to_owned());
    }
    if task
        .max_completion_time
        .is_some_and(|time| time.nanoseconds < 0)
    {
        return Err("Task's `max_completion_time` must be non-negative".to_owned());
    }
    let used = resources(task, launch)?;
    match (&task.command, &task.executor) {
        (Some(command), None) => {
            self::command(command).map_err(|e| format!("Task's `CommandInfo` is invalid: {e}"))?;
        }
        _ => {
            return Err(
                "Task should have at least one (but not both) of CommandInfo or \
                        ExecutorInfo present"
                    .to_owned(),
            );
        }
    }
    limits(task, &used, launch.agent)?;
    if !launch.left.contains(&used) {
        return Err(format!(
            "Task uses more resources {used} than available {}",
            launch.left
        ));
    }
    Ok(used)
}

fn identity(task: &TaskInfo, launch: &Launch<'_>) -> Result<(), String> {
    let id = &task.task_id.value;
    ids::validate(id).map_err(|problem| format!("Task ID is invalid: {problem}"))?;
    if launch.framework.tasks.contains_key(id) {
        return Err(format!("Task has duplicate ID: {id}"));
    }
    if launch.framework.unreachable_tasks.contains(id) {
        return Err(format!("Task reuses the ID of an unreachable task: {id}"));
    }
    if task.agent_id.value != launch.agent.id {
        return Err(format!(
            "Task uses invalid agent {} while agent {} is expected",
            task.agent_id.value, launch.agent.id
        ));
    }
    Ok(())
}

fn resources(task: &TaskInfo, launch: &Launch<'_>) -> Result<Resources, String> {
    if task.resources.is_empty() {
        return Err("Task uses no resources".to_owned());
    }
    let used = Resources::from_proto(&task.resources)
        .map_err(|problem| format!("Task uses invalid resources: {problem}"))?;
    if used.is_empty() {
        return Err("Task uses no resources".to_owned());
    }
    if let Some(id) = used.repeated_persistence_id() {
        return Err(format!("Task uses duplicate persistence ID: {id}"));
    }
    let roles: Vec<String> = used.allocations().into_keys().collect();
    if roles.len() > 1 {
        return Err(format!(
            "The resources have multiple allocation roles ('{}') but only one allocation role is \
             allowed",
            roles.join("', '")
        ));
    }
    if let Some(name) = used.partly_revocable_name() {
        return Err(format!(
            "Cannot use both revocable and non-revocable '{name}' at the same time"
        ));
    }
    let revocable = !used.revocable().is_empty();
    if revocable
        && !launch
            .framework
            .can(FrameworkCapability::RevocableResources)
    {
        return Err(
            "Task uses revocable resources without the capability REVOCABLE_RESOURCES".to_owned(),
        );
    }
    Ok(used)
}

/// Mesos' `validateCommandInfo`.
fn command(command: &CommandInfo) -> Result<(), String> {
    if let Some(environment) = &command.environment {
        environment_variables(environment)?;
    }
    if command.value.is_none() && command.shell() {
        return Err("Shell command is not specified".to_owned());
    }
    if command.value.is_none() && command.arguments.is_empty() {
        return Err("neither `value` nor `arguments` is set".to_owned());
    }
    Ok(())
}

/// Mesos' `validateEnvironment`: each variable has exactly the one source of its type.
fn environment_variables(environment: &Environment) -> Result<(), String> {
    use environment::variable::Type;
    for variable in &environment.variables {
        let name = &variable.name;
        match variable.r#type() {
            Type::Secret => {
                return Err(format!("Environment variable '{name}' of type SECRET"));
            }
            Type::Value if variable.secret.is_some() => {
                return Err(format!(
                    "Environment variable '{name}' of type 'VALUE' must not have a secret set"
                ));
            }
            Type::Value if variable.value.is_none() => {
                return Err(format!(
                    "Environment variable '{name}' of type 'VALUE' must have a value set"
                ));
            }
            Type::Value if variable.value().contains('\0') => {
                return Err(format!(
                    "Environment variable '{name}' contains a null byte"
                ));
            }
            Type::Value => {}
            Type::Unknown => {
                return Err(format!(
                    "Environment variable '{name}' is of an unknown type"
                ));
            }
        }
    }
    Ok(())
}

/// Mesos' `validateResourceLimits`: a limit is for cpus or mem, which the task also requests,
/// and not below that request. Infinity is allowed.
fn limits(task: &TaskInfo, used: &Resources, agent: &Agent) -> Result<(), String> {
    if task.limits.is_empty() {
        return Ok(());
    }
    if !agent.can(Capability::TaskResourceLimits) {
        return Err(format!(
            "Task resource limits are not supported by agent {}",
            agent.id
        ));
    }
    for (name, limit) in &task.limits {
        if name != "cpus" && name != "mem" {
            return Err(format!(
                "Resource limits are only supported for cpus and mem, not {name}"
            ));
        }
        let requested = used.scalar(name);
        if requested == Scalar::ZERO {
            return Err(format!(
                "When a limit is set on a resource, the request must also be set: {name}"
            ));
        }
        limit_of(name, limit, requested)?;
    }
    Ok(())
}

fn limit_of(name: &str, limit: &value::Scalar, requested: Scalar) -> Result<(), String> {
    if limit.value == f64::INFINITY {
        return Ok(());
    }
    match Scalar::rounded(limit.value) {
        Some(limit) if limit >= requested => Ok(()),
        _ => Err(format!(
            "The limit {} of {name} is less than its request {requested}",
            limit.value
        )),
    }
}
