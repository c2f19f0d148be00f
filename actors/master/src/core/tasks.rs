//! The books: which tasks and executors there are, where, and what they use.
//!
//! Every change of a task goes through `add_task`, `update_task` or `remove_task`, so that the
//! framework, its agent, the counts and the allocator always say the same.
//! A task holds its resources until its *latest* state is terminal or unreachable; it stays in the
//! books until the framework has acknowledged the terminal update.

use std::sync::Arc;
use std::time::Duration;

use tepui_allocator::PauseResources;
use tepui_invariants::PlantedBug;
use tepui_protocol::mesos::internal::StatusUpdate;
use tepui_protocol::mesos::v1::{
    ExecutorInfo, FrameworkId, Resource, Task, TaskInfo, TaskState, TaskStatus,
};
use tepui_protocol::resources::Resources;
use tepui_protocol::tepui::allocator as to_allocator;

use super::{MasterCore, ToAllocator, amounts, is_terminal};
use crate::snapshot::{Agent, Framework};

/// The statuses that a task keeps: as many as it has states, twice over. One that repeats the
/// state of the last replaces it, so that only a task that swings between states reaches this.
const MAX_STATUSES: usize = 28;

/// Where a task goes from the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Destiny {
    /// To the framework's completed tasks.
    Completed,
    /// To the framework's unreachable tasks: it may come back.
    Unreachable,
}

/// Whether a task in this state holds its resources.
pub(crate) fn holds(state: TaskState) -> bool {
    !is_terminal(state) && state != TaskState::TaskUnreachable
}

/// Whether a task in this state ended without anybody having seen how.
fn is_lost(state: TaskState) -> bool {
    matches!(
        state,
        TaskState::TaskLost | TaskState::TaskDropped | TaskState::TaskGone
    )
}

/// Mesos' `protobuf::createTask`: what the master keeps of a TaskInfo.
pub(super) fn task_of(info: &TaskInfo, framework_id: &FrameworkId) -> Task {
    let command = info.command.as_ref();
    let executor_command = info
        .executor
        .as_ref()
        .and_then(|executor| executor.command.as_ref());
    let user = command
        .or(executor_command)
        .and_then(|command| command.user.clone());
    Task {
        name: info.name.clone(),
        task_id: info.task_id.clone(),
        framework_id: framework_id.clone(),
        executor_id: info
            .executor
            .as_ref()
            .map(|executor| executor.executor_id.clone()),
        agent_id: info.agent_id.clone(),
        state: TaskState::TaskStaging as i32,
        resources: info.resources.clone(),
        statuses: Vec::new(),
        status_update_state: None,
        status_update_uuid: None,
        labels: info.labels.clone(),
        discovery: info.discovery.clone(),
        container: info.container.clone(),
        health_check: info.health_check.clone(),
        kill_policy: info.kill_policy,
        user,
        limits: info.limits.clone(),
    }
}

impl MasterCore {
    /// Adds a task to its framework and its agent, which both are known.
    pub(super) fn add_task(&mut self, task: Task) {
        let framework_id = task.framework_id.value.clone();
        let agent_id = task.agent_id.value.clone();
        let task_id = task.task_id.value.clone();
        let state = task.state();
        let resources = amounts::trusted(&task.resources);
        if let Some(framework) = self.framework_mut(&framework_id) {
            framework.tasks.insert_mut(task_id.clone(), Arc::new(task));
        }
        if let Some(agent) = self.agent_mut(&agent_id) {
            agent.tasks.insert_mut((framework_id.clone(), task_id));
        }
        self.state.task_counts.enter(state);
        if holds(state) {
            self.charge(&framework_id, &agent_id, &resources);
        }
    }

    /// Mesos' `updateTask`: the task follows the latest state of the update; what was forwarded
    /// to the framework is remembered beside it. A terminal state never changes.
    pub(super) fn update_task(&mut self, framework_id: &str, task_id: &str, update: &StatusUpdate) {
        let Some(framework) = self.framework_mut(framework_id) else {
            return;
        };
        let Some(task) = framework.tasks.get_mut(task_id) else {
            return;
        };
        let task = Arc::make_mut(task);
        let old = task.state();
        let status = &update.status;
        let latest = update
            .latest_state
            .map_or_else(|| status.state(), |_| update.latest_state());
        let new = if is_terminal(old) { old } else { latest };
        task.state = new as i32;
        if update.uuid.is_some() {
            task.status_update_state = Some(status.state);
            task.status_update_uuid.clone_from(&update.uuid);
        }
        remember(&mut task.statuses, status.clone());
        let agent_id = task.agent_id.value.clone();
        let resources = task.resources.clone();
        self.state.task_counts.leave(old);
        self.state.task_counts.enter(new);
        if old != new {
            self.info(format!(
                "task {task_id} of framework {framework_id} on agent {agent_id} is {}, was {}",
                new.as_str_name(),
                old.as_str_name()
            ));
        }
        let kept = self.planted(PlantedBug::LostResourcesKept) && is_lost(new);
        if holds(old) && !holds(new) && !kept {
            self.recover_used(framework_id, &agent_id, &resources);
        }
        self.pause_after(framework_id, &agent_id, old, new);
        if !is_terminal(old) && is_terminal(new) {
            self.count_ended(framework_id, new, status);
        }
    }

    /// Takes a task from the books. One that still holds resources gives them back.
    pub(super) fn remove_task(&mut self, framework_id: &str, task_id: &str, destiny: Destiny) {
        let Some(framework) = self.framework_mut(framework_id) else {
            return;
        };
        let Some(task) = framework.tasks.get(task_id).cloned() else {
            return;
        };
        framework.tasks.remove_mut(task_id);
        let state = task.state();
        let forgotten = match destiny {
            Destiny::Completed => {
                complete(framework, task.clone());
                Some(state)
            }
            Destiny::Unreachable => framework
                .unreachable_tasks
                .insert(task_id.to_owned(), task.clone())
                .map(|(_, forgotten)| forgotten.state()),
        };
        if let Some(state) = forgotten {
            self.state.task_counts.leave(state);
        }
        let agent_id = &task.agent_id.value;
        if holds(state) {
            self.recover_used(framework_id, agent_id, &task.resources);
        }
        if let Some(agent) = self.agent_mut(agent_id) {
            let key = (framework_id.to_owned(), task_id.to_owned());
            agent.tasks.remove_mut(&key);
            agent.killed.remove_mut(&key);
        }
    }

    /// An unreachable task has a last state now. Gives back what its framework is to be told.
    pub(super) fn end_unreachable_task(
        &mut self,
        framework_id: &str,
        task_id: &str,
        state: TaskState,
    ) -> Option<TaskStatus> {
        let framework = self.framework_mut(framework_id)?;
        let mut task = Arc::unwrap_or_clone(framework.unreachable_tasks.remove(task_id)?);
        let old = task.state();
        task.state = state as i32;
        let (id, agent) = (task.task_id.clone(), task.agent_id.clone());
        let executor_id = task.executor_id.clone();
        let mut status = self.master_status(&id, state);
        status.agent_id = Some(agent);
        status.executor_id = executor_id;
        remember(&mut task.statuses, status.clone());
        if let Some(framework) = self.framework_mut(framework_id) {
            complete(framework, Arc::new(task));
        }
        self.state.task_counts.leave(old);
        Some(status)
    }

    /// An unreachable task will not come back as the framework's.
    pub(super) fn complete_unreachable_task(&mut self, framework_id: &str, task_id: &str) {
        let Some(framework) = self.framework_mut(framework_id) else {
            return;
        };
        let Some(task) = framework.unreachable_tasks.remove(task_id) else {
            return;
        };
        let state = task.state();
        complete(framework, task);
        self.state.task_counts.leave(state);
    }

    /// Adds an executor that an agent runs. Command executors are not told of.
    pub(super) fn add_executor(&mut self, framework_id: &str, agent_id: &str, info: ExecutorInfo) {
        let executor_id = info.executor_id.value.clone();
        let resources = amounts::trusted(&info.resources);
        if let Some(framework) = self.framework_mut(framework_id) {
            let key = (agent_id.to_owned(), executor_id.clone());
            framework.executors.insert_mut(key, Arc::new(info));
        }
        if let Some(agent) = self.agent_mut(agent_id) {
            agent
                .executors
                .insert_mut((framework_id.to_owned(), executor_id));
        }
        self.charge(framework_id, agent_id, &resources);
    }

    /// Takes an executor from the books.
    pub(super) fn remove_executor(&mut self, framework_id: &str, agent_id: &str, id: &str) {
        let key = (agent_id.to_owned(), id.to_owned());
        let Some(framework) = self.framework_mut(framework_id) else {
            return;
        };
        let Some(executor) = framework.executors.get(&key).cloned() else {
            return;
        };
        framework.executors.remove_mut(&key);
        if let Some(agent) = self.agent_mut(agent_id) {
            let key = (framework_id.to_owned(), id.to_owned());
            agent.executors.remove_mut(&key);
            agent.doubtful.remove_mut(&key);
        }
        self.recover_used(framework_id, agent_id, &executor.resources);
    }

    /// Writes resources to what a framework uses on an agent. The allocator counts them already.
    fn charge(&mut self, framework_id: &str, agent_id: &str, resources: &Resources) {
        if let Some(framework) = self.framework_mut(framework_id) {
            framework.used += resources;
        }
        if let Some(agent) = self.agent_mut(agent_id) {
            let mut used = used_by(agent, framework_id);
            used += resources;
            agent
                .used
                .insert_mut(framework_id.to_owned(), Arc::new(used));
        }
    }

    /// Takes resources from what a framework uses on an agent, and gives them to the allocator.
    fn recover_used(&mut self, framework_id: &str, agent_id: &str, resources: &[Resource]) {
        let amount = amounts::trusted(resources);
        if let Some(framework) = self.framework_mut(framework_id) {
            framework.used -= &amount;
        }
        let Some(agent) = self.agent_mut(agent_id) else {
            return;
        };
        let mut used = used_by(agent, framework_id);
        used -= &amount;
        if used.is_empty() {
            agent.used.remove_mut(framework_id);
        } else {
            agent
                .used
                .insert_mut(framework_id.to_owned(), Arc::new(used));
        }
        self.recover(framework_id, agent_id, &amount, None);
    }

    /// Tells the allocator what a framework no longer holds.
    pub(super) fn recover(
        &mut self,
        framework_id: &str,
        agent_id: &str,
        resources: &Resources,
        filters: Option<tepui_protocol::mesos::v1::Filters>,
    ) {
        if resources.is_empty() {
            return;
        }
        let message = returned(framework_id, agent_id, resources, filters);
        self.tell_allocator(ToAllocator::Recover(message));
    }

    /// The same where the agent pauses for the framework.
    pub(super) fn pause_for(
        &mut self,
        framework_id: &str,
        agent_id: &str,
        resources: &Resources,
        pause: Duration,
    ) {
        let resources = returned(framework_id, agent_id, resources, None);
        let message = PauseResources { resources, pause };
        self.tell_allocator(ToAllocator::Pause(message));
    }
}

fn returned(
    framework_id: &str,
    agent_id: &str,
    resources: &Resources,
    filters: Option<tepui_protocol::mesos::v1::Filters>,
) -> to_allocator::RecoverResources {
    to_allocator::RecoverResources {
        framework_id: super::frameworks::framework_id(framework_id),
        agent_id: super::agents::agent_id(agent_id),
        resources: resources.to_proto(),
        filters,
    }
}

/// What a framework uses on an agent.
pub(super) fn used_by(agent: &Agent, framework_id: &str) -> Resources {
    agent
        .used
        .get(framework_id)
        .map(|used| (**used).clone())
        .unwrap_or_default()
}

fn complete(framework: &mut Framework, task: Arc<Task>) {
    framework
        .completed_tasks
        .insert(framework.completed_count, task);
    framework.completed_count += 1;
}

fn remember(statuses: &mut Vec<TaskStatus>, mut status: TaskStatus) {
    // Data may be large, and it is the framework's, not ours.
    status.data = None;
    if statuses
        .last()
        .is_some_and(|last| last.state == status.state)
    {
        statuses.pop();
    }
    statuses.push(status);
    if statuses.len() > MAX_STATUSES {
        statuses.remove(0);
    }
}
