//! An executor as an agent knows it: its state, its container and its tasks.
//!
//! ```text
//!   REGISTERING ──(SUBSCRIBE)──► RUNNING ──(SHUTDOWN sent)──► TERMINATING
//!        │                          │                             │
//!        └─(timeout: destroyed)─────┴───(container ended)─────────┴──► TERMINATED
//!                                                                         │
//!                             all terminal updates acknowledged ──► removed, completed
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use rpds::QueueSync;
use tepui_protocol::mesos::v1::value::Scalar;
use tepui_protocol::mesos::v1::{
    ExecutorInfo, FrameworkInfo, Resource, Task, TaskInfo, TaskState, executor_info, task_status,
};
use tepui_runtime::Pid;

use super::nested::Nest;
use super::task_list::TaskList;
use crate::updates::is_terminal;

/// Ended tasks that are remembered per executor (Mesos' MAX_COMPLETED_TASKS_PER_EXECUTOR).
pub const MAX_COMPLETED_TASKS: usize = 200;

/// State of an executor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExecutorState {
    /// Its container is launched, it has not subscribed.
    Registering,
    /// It is subscribed, or was and may come back.
    Running,
    /// It was told to shut down, or its container is being destroyed.
    Terminating,
    /// Its container has ended.
    Terminated,
}

/// Where a task is.
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// The executor does not have it yet.
    Queued(Box<TaskInfo>),
    /// The executor has it.
    Launched,
    /// It has ended, and the framework has not acknowledged that.
    Terminated,
}

/// A task of an executor.
#[derive(Debug, Clone)]
pub struct AgentTask {
    /// What masters and people are told of it.
    pub task: Task,
    /// Where it is.
    pub phase: Phase,
}

/// Why an executor's tasks end, where the agent ended it.
#[derive(Debug, Clone, PartialEq)]
pub struct PendingTermination {
    /// State that the tasks get.
    pub state: TaskState,
    /// Its reason.
    pub reason: task_status::Reason,
    /// Words for people.
    pub message: String,
}

/// An executor of a framework on this agent.
#[derive(Debug, Clone)]
pub struct Executor {
    /// Its ExecutorInfo.
    pub info: Arc<ExecutorInfo>,
    /// Its state.
    pub state: ExecutorState,
    /// Made by the agent for a command task.
    pub generated: bool,
    /// Its container's id.
    pub container: String,
    /// Its sandbox on the host.
    pub directory: PathBuf,
    /// Its container is there for good: the containerizer has said so.
    pub launched: bool,
    /// Pid of the container's init on the host, where known.
    pub forked_pid: Option<u32>,
    /// The process that speaks for it, while it is connected.
    pub pid: Option<Pid>,
    /// Its tasks.
    pub tasks: TaskList,
    /// Of tasks that it gets together the ids, until it has them: all of them or none.
    pub groups: Vec<Vec<String>>,
    /// So many tasks were there when its container was launched, which has room for them.
    pub launched_with: usize,
    /// Tasks that ended and were acknowledged, oldest first.
    pub completed: QueueSync<Arc<AgentTask>>,
    /// Why the agent ends it.
    pub pending_termination: Option<PendingTermination>,
    /// It was alive before the agent restarted, and has not come back yet.
    pub recovered: bool,
    /// It was given a task, ever.
    pub sent: bool,
    /// The containers in its container.
    pub nest: Nest,
}

impl Executor {
    /// An executor whose container is about to be launched.
    #[must_use]
    pub fn new(
        info: ExecutorInfo,
        generated: bool,
        container: String,
        directory: PathBuf,
    ) -> Executor {
        Executor {
            info: Arc::new(info),
            state: ExecutorState::Registering,
            generated,
            container,
            directory,
            launched: false,
            forked_pid: None,
            pid: None,
            tasks: TaskList::default(),
            groups: Vec::new(),
            launched_with: 0,
            completed: QueueSync::new_sync(),
            pending_termination: None,
            recovered: false,
            sent: false,
            nest: Nest::default(),
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.info.executor_id.value
    }

    /// Whether it is Mesos' default executor, whose command the agent gives.
    #[must_use]
    pub fn is_default(&self) -> bool {
        is_default(&self.info)
    }

    /// The user that it runs as, where users are switched: its own word, else its framework's.
    #[must_use]
    pub fn user(&self, framework: &FrameworkInfo) -> String {
        let command = self.info.command.as_ref();
        let own = command.and_then(|command| command.user.clone());
        own.unwrap_or_else(|| framework.user.clone())
    }

    /// What its container should have: its own resources and those of tasks that have not ended.
    #[must_use]
    pub fn resources(&self) -> Vec<Resource> {
        resources(&self.info, self.tasks.values())
    }

    /// The upper bounds of its container: where a task has one, the sum of those of all tasks (a
    /// task without one counts with its request) and of the executor's own amount (Mesos'
    /// `computeExecutorLimits`).
    #[must_use]
    pub fn limits(&self) -> BTreeMap<String, Scalar> {
        let limited = |name: &&str| self.unended_tasks().any(|t| t.limits.contains_key(*name));
        let bound = |task: &Task, name: &str| match task.limits.get(name) {
            Some(limit) => limit.value,
            None => amount(&task.resources, name),
        };
        let limit = |name: &str| {
            let tasks: f64 = self.unended_tasks().map(|task| bound(task, name)).sum();
            Scalar {
                value: amount(&self.info.resources, name) + tasks,
            }
        };
        ["cpus", "mem"]
            .into_iter()
            .filter(limited)
            .map(|name| (name.to_owned(), limit(name)))
            .collect()
    }

    fn unended_tasks(&self) -> impl Iterator<Item = &Task> {
        unended(self.tasks.values())
    }

    /// Ids of the tasks that the executor does not have yet.
    #[must_use]
    pub fn queued_tasks(&self) -> Vec<String> {
        let queued = |task: &AgentTask| matches!(task.phase, Phase::Queued(_));
        self.tasks
            .iter()
            .filter(|(_, task)| queued(task))
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// Adds tasks that it does not have yet.
    pub fn queue(&mut self, tasks: Vec<AgentTask>, group: bool) {
        if group {
            let ids = tasks.iter().map(|task| task.task.task_id.value.clone());
            self.groups.push(ids.collect());
        }
        for task in tasks {
            self.tasks.insert(task);
        }
    }

    /// Takes the group of a task out: it is given to the executor, or it will never be. Empty for
    /// a task that is in none.
    pub fn take_group(&mut self, task: &str) -> Vec<String> {
        let in_it = |group: &Vec<String>| group.iter().any(|id| id == task);
        match self.groups.iter().position(in_it) {
            Some(place) => self.groups.remove(place),
            None => Vec::new(),
        }
    }

    /// Whether there is nothing that it could do: the task it was made for has ended, or all of
    /// its tasks were killed before it got any.
    #[must_use]
    pub fn is_needless(&self) -> bool {
        if self.generated {
            self.live_tasks().is_empty()
        } else {
            !self.sent && self.queued_tasks().is_empty()
        }
    }

    /// Marks a task as ended with an acknowledgement: it is only remembered from now on.
    pub fn complete_task(&mut self, task: &str) {
        if let Some(done) = self.tasks.remove(task) {
            if self.completed.len() == MAX_COMPLETED_TASKS {
                self.completed.dequeue_mut();
            }
            self.completed.enqueue_mut(done);
        }
    }

    /// Whether the task ended and was acknowledged here.
    #[must_use]
    pub fn has_completed(&self, task: &str) -> bool {
        self.end_of(task).is_some()
    }

    /// As what a task ended whose end was acknowledged here.
    #[must_use]
    pub fn end_of(&self, task: &str) -> Option<TaskState> {
        let mut completed = self.completed.iter();
        let done = completed.find(|done| done.task.task_id.value == task)?;
        Some(done.task.state())
    }

    /// Ids of tasks that have not ended.
    #[must_use]
    pub fn live_tasks(&self) -> Vec<String> {
        self.tasks
            .iter()
            .filter(|(_, task)| !is_terminal(task.task.state()))
            .map(|(id, _)| id.clone())
            .collect()
    }
}

/// Whether this is Mesos' default executor.
pub(crate) fn is_default(info: &ExecutorInfo) -> bool {
    info.r#type == Some(executor_info::Type::Default as i32)
}

/// The executor's own resources and those of tasks that have not ended.
pub(crate) fn resources<'a>(
    info: &ExecutorInfo,
    tasks: impl Iterator<Item = &'a AgentTask>,
) -> Vec<Resource> {
    let mut resources = info.resources.clone();
    resources.extend(unended(tasks).flat_map(|task| task.resources.iter().cloned()));
    resources
}

fn unended<'a>(tasks: impl Iterator<Item = &'a AgentTask>) -> impl Iterator<Item = &'a Task> {
    tasks
        .filter(|task| task.phase != Phase::Terminated)
        .map(|task| &task.task)
}

fn amount(resources: &[Resource], name: &str) -> f64 {
    resources
        .iter()
        .filter(|resource| resource.name == name)
        .filter_map(|resource| resource.scalar.as_ref())
        .map(|scalar| scalar.value)
        .sum()
}
