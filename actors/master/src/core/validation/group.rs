//! What a LAUNCH_GROUP must be: Mesos' `validation::task::group::validate`, in its order and words.
//! All its tasks are launched or none, by one executor, which each task that names one names alike.
//!
//! A task for a framework's own executor may lack a command: what it is to do is between the two.
//! Ours is that no two tasks of a group have one id (Mesos 1.11 crashes), and that each task of a
//! DEFAULT executor has a command to run.

use std::collections::BTreeSet;
use std::sync::Arc;

use tepui_protocol::mesos::v1::offer::operation::LaunchGroup;
use tepui_protocol::mesos::v1::{
    ContainerInfo, ExecutorInfo, Task, TaskInfo, container_info, executor_info, health_check,
};
use tepui_protocol::resources::{Resources, Scalar};

use super::task::{Launch, Taken, described, limits, unsupported};
use super::{bounds, command, executor};
use crate::core::frameworks::framework_id;
use crate::core::tasks::task_of;

/// Each task of a default executor is a container in its own, of which an agent has no more.
const MOST_OF_DEFAULT: usize = 1000;

/// Whether a group can be launched so; resources have reservation stacks and allocation info.
///
/// # Errors
/// Why not, as the message of the TASK_ERROR of each of its tasks.
pub fn group(group: &LaunchGroup, launch: &Launch<'_>) -> Result<Taken, String> {
    let tasks = &group.task_group.tasks;
    let mut seen = BTreeSet::new();
    let mut total = Resources::default();
    let mut each = Vec::with_capacity(tasks.len());
    let mut overlaps = false;
    for task in tasks {
        let id = &task.task_id.value;
        let used = match seen.insert(id) {
            true => one(task, launch),
            false => Err(format!("Task has duplicate ID: {id}")),
        };
        let used = used.map_err(|problem| format!("Task '{id}' is invalid: {problem}"))?;
        overlaps |= overlap(&total, &used);
        total += &used;
        each.push(used.to_string());
    }
    let needs = executor::of_group(&group.executor, launch)?;
    let id = &group.executor.executor_id.value;
    if let Some(other) = tasks.iter().find(|task| {
        let own = task.executor.as_ref();
        own.is_some_and(|own| *own != group.executor)
    }) {
        return Err(format!(
            "The `ExecutorInfo` of task '{}' is different from executor '{id}'",
            other.task_id.value
        ));
    }
    least(&group.executor, &needs)?;
    executor::without_shared(&needs)?;
    let taken = Taken {
        task: total,
        executor: launch.running(id).is_none().then_some(needs),
    };
    apart(&taken, overlaps, &each)?;
    together(&taken, launch)?;
    share_cgroups(tasks, id, launch)?;
    for task in tasks {
        doable(task, &group.executor)?;
    }
    executor::supported(&group.executor)?;
    fits(group, &taken, launch)?;
    Ok(taken)
}

fn one(task: &TaskInfo, launch: &Launch<'_>) -> Result<Resources, String> {
    let used = described(task, launch)?;
    let container = task.container.as_ref();
    if container.is_some_and(|container| container.r#type() == container_info::Type::Docker) {
        return Err("Docker ContainerInfo is not supported on the task".to_owned());
    }
    let own_network = container.is_some_and(|container| !container.network_infos.is_empty());
    let probes = |check: &tepui_protocol::mesos::v1::HealthCheck| {
        matches!(
            check.r#type(),
            health_check::Type::Http | health_check::Type::Tcp
        )
    };
    if own_network && task.health_check.as_ref().is_some_and(probes) {
        return Err(
            "HTTP and TCP health checks are not supported for nested containers not joining \
             parent's network"
                .to_owned(),
        );
    }
    if !task.limits.is_empty() && shares_cgroups(container) {
        return Err(
            "Resource limits may only be set for tasks within a task group when the \
             'share_cgroups' field is set to 'false'."
                .to_owned(),
        );
    }
    limits(task, &used, launch.agent)?;
    Ok(used)
}

/// Ours: whether a task can be run here as it says.
fn doable(task: &TaskInfo, executor: &ExecutorInfo) -> Result<(), String> {
    let is_default = executor.r#type() == executor_info::Type::Default;
    if is_default {
        let command = task.command.as_ref();
        let runnable = command.ok_or("it has no command".to_owned());
        runnable.and_then(command::command).map_err(|problem| {
            let id = &task.task_id.value;
            format!("Task '{id}' cannot be run by a 'DEFAULT' executor: {problem}")
        })?;
    }
    if task.check.is_none() && task.health_check.is_none() {
        return unsupported(task);
    }
    // A framework's own executor has a task checked as it likes, the default one as an agent can.
    unsupported(&TaskInfo {
        executor: (!is_default).then(|| executor.clone()),
        ..task.clone()
    })
}

/// Whether two amounts have a number of a range or an item of a set in common.
fn overlap(one: &Resources, other: &Resources) -> bool {
    let mut both = one.clone();
    both += other;
    both -= other;
    both != *one
}

fn shares_cgroups(container: Option<&ContainerInfo>) -> bool {
    let info = container.and_then(|container| container.linux_info.as_ref());
    info.is_none_or(|info| info.share_cgroups())
}

/// The tasks of an executor on the agent, but those whose end is acknowledged.
fn tasks_of<'a>(executor: &str, launch: &Launch<'a>) -> impl Iterator<Item = &'a Arc<Task>> {
    let (all, agent) = (&launch.framework.tasks, &launch.agent.id);
    all.values().filter(move |task: &&Arc<Task>| {
        let own = task.executor_id.as_ref();
        task.agent_id.value == *agent && own.is_some_and(|id| id.value == executor)
    })
}

/// All tasks of an executor have cgroups of their own, or none has.
fn share_cgroups(tasks: &[TaskInfo], executor: &str, launch: &Launch<'_>) -> Result<(), String> {
    let known = tasks_of(executor, launch);
    let known = known.map(|task| shares_cgroups(task.container.as_ref()));
    let new = tasks
        .iter()
        .map(|task| shares_cgroups(task.container.as_ref()));
    let all: BTreeSet<bool> = known.chain(new).collect();
    match all.len() {
        0 | 1 => Ok(()),
        _ => Err(
            "If set, the value of 'share_cgroups' must be the same for all tasks in each task \
             group and under a single executor"
                .to_owned(),
        ),
    }
}

/// No port or item of a set is wanted by two, executor and tasks. `each` is what each task uses.
fn apart(taken: &Taken, overlaps: bool, each: &[String]) -> Result<(), String> {
    let nothing = Resources::default();
    let executor = taken.executor.as_ref().unwrap_or(&nothing);
    if !overlaps && !overlap(&taken.task, executor) {
        return Ok(());
    }
    Err(format!(
        "There are overlapping resources in the task group's task resources [ {} ] and/or \
         executor resources [ {executor} ]",
        each.join(", ")
    ))
}

/// What the group and its executor need together.
fn together(taken: &Taken, launch: &Launch<'_>) -> Result<(), String> {
    let total = taken.total();
    if let Some(id) = total.repeated_persistence_id() {
        return Err(format!(
            "Task group and executor use duplicate persistence ID: {id}"
        ));
    }
    if let Some(name) = total.partly_revocable_name() {
        return Err(format!(
            "Task group and executor mix revocable and non-revocable resources: Cannot use both \
             revocable and non-revocable '{name}' at the same time"
        ));
    }
    if !launch.left.contains(&total) {
        return Err(format!(
            "Total resources {total} required by task group and its executor are more than \
             available {}",
            launch.left
        ));
    }
    Ok(())
}

/// Ours: what is kept of a group is neither too many nor too large.
fn fits(group: &LaunchGroup, taken: &Taken, launch: &Launch<'_>) -> Result<(), String> {
    if group.executor.r#type() == executor_info::Type::Default {
        let id = &group.executor.executor_id.value;
        let own = tasks_of(id, launch).count();
        if own + group.task_group.tasks.len() > MOST_OF_DEFAULT {
            return Err(format!(
                "Executor '{id}' has {own} tasks, and no more than {MOST_OF_DEFAULT} may be in its \
                 container"
            ));
        }
    }
    let tasks = launch.framework.tasks.size();
    if tasks + group.task_group.tasks.len() > launch.most_tasks {
        return Err(format!(
            "Framework has {tasks} tasks whose end it has not acknowledged, and no more than {} \
             may be",
            launch.most_tasks
        ));
    }
    let id = framework_id(&launch.framework.id);
    for task in &group.task_group.tasks {
        bounds::within(&task_of(task, &id))?;
    }
    match taken.executor {
        Some(_) => bounds::within::<ExecutorInfo>(&group.executor),
        None => Ok(()),
    }
}

/// The least that the executor of a group must have.
fn least(executor: &ExecutorInfo, used: &Resources) -> Result<(), String> {
    let id = &executor.executor_id.value;
    let shown = |amount: Scalar, unit: &str| match amount {
        Scalar::ZERO => "None".to_owned(),
        amount => format!("{amount}{unit}"),
    };
    let (cpus, mem) = (used.scalar("cpus"), used.scalar("mem"));
    if cpus < Scalar::from_thousandths(10) {
        return Err(format!(
            "Executor '{id}' uses less CPUs ({}) than the minimum required (0.01)",
            shown(cpus, "")
        ));
    }
    if mem < Scalar::from_units(32) {
        return Err(format!(
            "Executor '{id}' uses less memory ({}) than the minimum required (32MB)",
            shown(mem, "MB")
        ));
    }
    if used.scalar("disk") == Scalar::ZERO {
        return Err(format!("Executor '{id}' uses no disk"));
    }
    Ok(())
}
