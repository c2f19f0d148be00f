//! What is seen of groups of tasks.

use tepui_invariants::{Fact, TaskKey};
use tepui_protocol::mesos::v1::offer::operation::LaunchGroup;
use tepui_protocol::mesos::v1::task_status::Reason;
use tepui_protocol::mesos::v1::{TaskInfo, TaskState, TaskStatus, executor};
use tepui_runtime::Pid;

use super::Seen;
use crate::framework::is_default;

/// A group reached the master.
pub(super) fn grouped(framework: &str, launch: &LaunchGroup) -> Fact {
    Fact::Grouped {
        tasks: keys(framework, &launch.task_group.tasks),
        one_fate: is_default(&launch.executor),
    }
}

fn keys(framework: &str, tasks: &[TaskInfo]) -> Vec<TaskKey> {
    let keys = tasks.iter();
    keys.map(|task| TaskKey::new(framework, &task.task_id.value))
        .collect()
}

impl Seen {
    /// Counts a group for a default executor, before it is written down.
    pub(super) fn count_group(&mut self, framework: &str, launch: &LaunchGroup) {
        let executor = &launch.executor.executor_id.value;
        let first = launch.task_group.tasks.first();
        let agent = first.map_or("", |task| task.agent_id.value.as_str());
        let again = !self
            .frameworks
            .tasks_of(framework, executor, agent)
            .is_empty();
        self.count("groups for default executors", 1);
        self.count("groups for default executors again", usize::from(again));
    }

    /// An agent gives an executor a group.
    pub(super) fn group_started(&self, to: &Pid, event: &executor::Event) -> Option<Fact> {
        let launch = event.launch_group.as_ref()?;
        let framework = self.agents.framework_of(to)?;
        let tasks = keys(framework, &launch.task_group.tasks);
        Some(Fact::GroupStarted { tasks })
    }

    /// An executor tells its agent of a task.
    pub(super) fn told_by_executor(&mut self, call: &executor::Call) -> Option<Fact> {
        let status = &call.update.as_ref()?.status;
        let (framework, task) = (&call.framework_id.value, &status.task_id.value);
        let others = usize::from(self.frameworks.fellows(framework, task) > 0);
        match status.state() {
            TaskState::TaskFailed => {
                self.count("groups that end as one fails", others);
                let task = TaskKey::new(framework, task);
                Some(Fact::Failed { task })
            }
            TaskState::TaskKilled => {
                self.count("tasks of default executors killed", others);
                None
            }
            _ => None,
        }
    }

    /// A framework is told a status.
    pub(super) fn count_end(&mut self, framework: &str, status: &TaskStatus) {
        if status.reason() == Reason::ContainerLimitationMemory {
            let others = self.frameworks.fellows(framework, &status.task_id.value);
            self.count("tasks of groups out of memory", usize::from(others > 0));
        }
    }
}
