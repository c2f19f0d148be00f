//! What a task of a LAUNCH must be: Mesos' `validation::task::validate`, in its order and words.
//! Not here: whether the offers it was launched with are valid (`accept`), and the parts of a
//! task (`checks`, `command`, `executor`).

use tepui_protocol::ids;
use tepui_protocol::mesos::v1::agent_info::capability::Type as Capability;
use tepui_protocol::mesos::v1::framework_info::capability::Type as FrameworkCapability;
use tepui_protocol::mesos::v1::{ExecutorInfo, Resource, TaskInfo, value};
use tepui_protocol::resources::{Resources, Scalar};

use super::{bounds, checks, command, executor, fields, resources};
use crate::core::frameworks::framework_id;
use crate::core::tasks::task_of;
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
    /// How many tasks the framework may have.
    pub most_tasks: usize,
}

impl<'a> Launch<'a> {
    /// The framework's executor of that id which runs on the agent already.
    #[must_use]
    pub fn running(&self, executor: &str) -> Option<&'a ExecutorInfo> {
        let key = (self.agent.id.clone(), executor.to_owned());
        self.framework.executors.get(&key).map(AsRef::as_ref)
    }
}

/// What a valid task takes of the offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// What the task itself uses.
    pub task: Resources,
    /// What its executor uses, if it is to be launched with it.
    pub executor: Option<Resources>,
}

impl Taken {
    /// Both together.
    #[must_use]
    pub fn total(&self) -> Resources {
        let mut total = self.task.clone();
        if let Some(executor) = &self.executor {
            total += executor;
        }
        total
    }
}

/// Whether a task can be launched so; its resources have reservation stacks and allocation info,
/// its executor has its framework's id.
///
/// # Errors
/// Why not, as the message of its TASK_ERROR.
pub fn task(task: &TaskInfo, launch: &Launch<'_>) -> Result<Taken, String> {
    let used = described(task, launch)?;
    limits(task, &used, launch.agent)?;
    if task
        .container
        .as_ref()
        .and_then(|container| container.linux_info.as_ref())
        .is_some_and(|info| info.share_cgroups == Some(false))
    {
        return Err(
            "Only tasks in a task group may have 'share_cgroups' set to 'false'".to_owned(),
        );
    }
    let taken = what_runs_it(task, used, launch)?;
    unsupported(task)?;
    let total = taken.total();
    if !launch.left.contains(&total) {
        return Err(format!(
            "Total resources {total} required by task and its executor is more than available {}",
            launch.left
        ));
    }
    fits(task, &taken, launch)?;
    Ok(taken)
}

/// What holds for a task however it is launched: Mesos' `validateTask`. Gives back what it uses.
pub(super) fn described(task: &TaskInfo, launch: &Launch<'_>) -> Result<Resources, String> {
    identity(task, launch)?;
    times(task)?;
    if let Some(check) = &task.check {
        checks::check(check).map_err(|problem| format!("Task uses invalid check: {problem}"))?;
    }
    if let Some(check) = &task.health_check {
        checks::health_check(check)
            .map_err(|problem| format!("Task uses invalid health check: {problem}"))?;
    }
    let used = used(task, launch)?;
    if let Some(command) = &task.command {
        command::environment_variables(command.environment.as_ref())
            .map_err(|problem| format!("Task's `CommandInfo` is invalid: {problem}"))?;
    }
    if let Some(container) = &task.container {
        command::container(container)
            .map_err(|problem| format!("Task's `ContainerInfo` is invalid: {problem}"))?;
    }
    Ok(used)
}

/// Ours: what of a task nobody here can do.
pub(super) fn unsupported(task: &TaskInfo) -> Result<(), String> {
    let refused = fields::refused(task);
    if refused.is_empty() {
        return Ok(());
    }
    Err(format!(
        "Task uses fields that are not supported: {}",
        refused.join(", ")
    ))
}

/// Ours: what is kept of a task is neither too many nor too large.
fn fits(task: &TaskInfo, taken: &Taken, launch: &Launch<'_>) -> Result<(), String> {
    let tasks = launch.framework.tasks.size();
    if tasks >= launch.most_tasks {
        return Err(format!(
            "Framework has {tasks} tasks whose end it has not acknowledged, and no more may be"
        ));
    }
    bounds::within(&task_of(task, &framework_id(&launch.framework.id)))?;
    match &task.executor {
        Some(executor) if taken.executor.is_some() => bounds::within(executor),
        _ => Ok(()),
    }
}

fn identity(task: &TaskInfo, launch: &Launch<'_>) -> Result<(), String> {
    let id = &task.task_id.value;
    ids::validate(id).map_err(|problem| problem.to_string())?;
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

fn times(task: &TaskInfo) -> Result<(), String> {
    let grace = task.kill_policy.as_ref().and_then(|p| p.grace_period);
    if grace.is_some_and(|period| period.nanoseconds < 0) {
        return Err("Task's 'kill_policy.grace_period' must be non-negative".to_owned());
    }
    if task
        .max_completion_time
        .is_some_and(|time| time.nanoseconds < 0)
    {
        return Err("Task's `max_completion_time` must be non-negative".to_owned());
    }
    Ok(())
}

fn used(task: &TaskInfo, launch: &Launch<'_>) -> Result<Resources, String> {
    if task.resources.is_empty() {
        return Err("Task uses no resources".to_owned());
    }
    let used = amounts(&task.resources, "Task")?;
    if used.is_empty() {
        return Err("Task uses no resources".to_owned());
    }
    let capable = launch
        .framework
        .can(FrameworkCapability::RevocableResources);
    if !used.revocable().is_empty() && !capable && launch.left.contains(&used) {
        return Err(
            "Task uses revocable resources without the capability REVOCABLE_RESOURCES".to_owned(),
        );
    }
    Ok(used)
}

/// Mesos' `validateResources` of a task or an executor; `whose` says which.
pub(super) fn amounts(list: &[Resource], whose: &str) -> Result<Resources, String> {
    let used = Resources::from_proto(list).map_err(|problem| {
        format!(
            "{whose} uses invalid resources: {}",
            resources::words_of(&problem)
        )
    })?;
    for disk in list {
        resources::disk(disk).map_err(|problem| {
            format!("{whose} uses invalid resources: Invalid DiskInfo: {problem}")
        })?;
    }
    if let Some(id) = used.repeated_persistence_id() {
        return Err(format!("{whose} uses duplicate persistence ID: {id}"));
    }
    let roles: Vec<String> = used.allocations().into_keys().collect();
    if let [first, second, ..] = &roles[..] {
        return Err(format!(
            "Invalid {} resources: The resources have multiple allocation roles ('{first}' and \
             '{second}') but only one allocation role is allowed",
            whose.to_ascii_lowercase()
        ));
    }
    if let Some(name) = used.partly_revocable_name() {
        return Err(format!(
            "{whose} mixes revocable and non-revocable resources: {}",
            mixes(name)
        ));
    }
    Ok(used)
}

fn mixes(name: &str) -> String {
    format!("Cannot use both revocable and non-revocable '{name}' at the same time")
}

/// The command or the executor of a task: exactly one of them.
fn what_runs_it(task: &TaskInfo, used: Resources, launch: &Launch<'_>) -> Result<Taken, String> {
    match (&task.command, &task.executor) {
        (Some(command), None) => {
            command::command(command)
                .map_err(|problem| format!("Task's `CommandInfo` is invalid: {problem}"))?;
            Ok(Taken {
                task: used,
                executor: None,
            })
        }
        (None, Some(executor)) => {
            let needs = executor::executor(executor, launch)?;
            let both = used.clone() + &needs;
            if let Some(id) = both.repeated_persistence_id() {
                return Err(format!(
                    "Task and its executor use duplicate persistence ID: {id}"
                ));
            }
            if let Some(name) = both.partly_revocable_name() {
                return Err(format!(
                    "Task and its executor mix revocable and non-revocable resources: {}",
                    mixes(name)
                ));
            }
            let runs = launch.running(&executor.executor_id.value).is_some();
            Ok(Taken {
                task: used,
                executor: (!runs).then_some(needs),
            })
        }
        _ => Err(
            "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present"
                .to_owned(),
        ),
    }
}

/// Mesos' `validateResourceLimits`: a limit is for cpus or mem, which the task also requests,
/// and not below that request. Infinity is allowed.
pub(super) fn limits(task: &TaskInfo, used: &Resources, agent: &Agent) -> Result<(), String> {
    if task.limits.is_empty() {
        return Ok(());
    }
    if !agent.can(Capability::TaskResourceLimits) {
        return Err("Agent is not capable of handling task resource limits".to_owned());
    }
    if task
        .limits
        .keys()
        .any(|name| name != "cpus" && name != "mem")
    {
        return Err("Only cpus and mem may be included in a task's resource limits".to_owned());
    }
    for (name, long, short) in [("cpus", "CPU", "cpu"), ("mem", "memory", "memory")] {
        let Some(limit) = task.limits.get(name) else {
            continue;
        };
        let requested = used.scalar(name);
        if requested == Scalar::ZERO {
            return Err(format!(
                "When a {long} limit is specified, a {long} request must also be specified"
            ));
        }
        if !reaches(limit, requested) {
            return Err(format!(
                "The {short} limit must be greater than or equal to the {short} request"
            ));
        }
    }
    Ok(())
}

fn reaches(limit: &value::Scalar, requested: Scalar) -> bool {
    limit.value == f64::INFINITY
        || Scalar::rounded(limit.value).is_some_and(|limit| limit >= requested)
}
