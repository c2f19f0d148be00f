//! A framework as an agent knows it: who it is, and its executors here.
//!
//! ```text
//!   RUNNING ──(ShutdownFramework)──► TERMINATING ──(last executor removed)──► completed
//!      └────────────(last executor removed, nothing unacknowledged)────────────►┘
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tepui_protocol::mesos::v1::framework_info::capability;
use tepui_protocol::mesos::v1::{FrameworkInfo, TaskState};

use super::executor::Executor;

/// Tasks unknown to this agent whose updates are forwarded at one time for one framework. Mesos
/// forwards any number; an executor that invents tasks would otherwise fill the agent.
pub const MAX_STRAYS: usize = 1000;

/// A framework with executors on this agent.
#[derive(Debug, Clone)]
pub struct Framework {
    /// Its FrameworkInfo; has an id.
    pub info: FrameworkInfo,
    /// Its PID as text; empty where it speaks HTTP.
    pub pid: String,
    /// It was told to end.
    pub terminating: bool,
    /// Its executors by id.
    pub executors: BTreeMap<String, Executor>,
    /// Those that ended, oldest first.
    pub completed: VecDeque<Executor>,
    /// Tasks with update streams that no executor here has.
    pub strays: BTreeSet<String>,
}

impl Framework {
    /// A running framework without executors.
    #[must_use]
    pub fn new(info: FrameworkInfo, pid: String) -> Framework {
        Framework {
            info,
            pid,
            terminating: false,
            executors: BTreeMap::new(),
            completed: VecDeque::new(),
            strays: BTreeSet::new(),
        }
    }

    /// Whether this is its id.
    #[must_use]
    pub fn has_id(&self, id: &str) -> bool {
        self.info.id.as_ref().is_some_and(|own| own.value == id)
    }

    /// Whether its tasks, executors and updates are kept over a restart of the agent.
    #[must_use]
    pub fn checkpoint(&self) -> bool {
        self.info.checkpoint()
    }

    /// Whether nothing of it is left here.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.executors.is_empty() && self.strays.is_empty()
    }

    /// Remembers an ended executor, and forgets the oldest when there are more than `most`.
    pub fn complete(&mut self, executor: Executor, most: usize) {
        self.completed.push_back(executor);
        while self.completed.len() > most {
            self.completed.pop_front();
        }
    }

    /// Whether the task ended and was acknowledged here, as far as that is remembered.
    #[must_use]
    pub fn has_completed(&self, task: &str) -> bool {
        self.end_of(task).is_some()
    }

    /// As what a task ended whose end was acknowledged here, as far as that is remembered.
    #[must_use]
    pub fn end_of(&self, task: &str) -> Option<TaskState> {
        let mut all = self.executors.values().chain(&self.completed);
        all.find_map(|executor| executor.end_of(task))
    }

    /// The executor that has this task, in whatever phase.
    pub fn executor_of_mut(&mut self, task: &str) -> Option<&mut Executor> {
        self.executors
            .values_mut()
            .find(|executor| executor.tasks.contains(task))
    }
}

/// `state` as this framework is told it: frameworks that are not partition-aware know only
/// TASK_LOST for it.
#[must_use]
pub fn lost_as(info: &FrameworkInfo, state: TaskState) -> TaskState {
    let aware = info
        .capabilities
        .iter()
        .any(|capability| capability.r#type() == capability::Type::PartitionAware);
    if aware { state } else { TaskState::TaskLost }
}
