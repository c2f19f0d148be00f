//! RECONCILE: what the master knows of tasks, by Mesos' six rules, tried in order:
//!
//! - R1: a task in the books has the state that was last forwarded to the framework;
//! - R2: while its agent (or, with no agent named, any agent) is not back since the master came
//!   up, there is no answer;
//! - R3: a registered agent does not know it: TASK_GONE;
//! - R4: its agent is unreachable: TASK_UNREACHABLE, with the time;
//! - R5: its agent was marked gone: TASK_GONE_BY_OPERATOR;
//! - R6: else TASK_UNKNOWN; but no answer while the agent is on its way back.
//!
//! Where the framework is not partition aware, R3 to R6 say TASK_LOST.

use tepui_protocol::mesos::v1::framework_info::capability::Type as Capability;
use tepui_protocol::mesos::v1::scheduler::call::reconcile;
use tepui_protocol::mesos::v1::task_status::Reason;
use tepui_protocol::mesos::v1::{Task, TaskState, TaskStatus, TimeInfo};

use super::MasterCore;

impl MasterCore {
    /// Answers for each of `tasks`, or for all of the framework's tasks if there are none.
    pub(super) fn reconcile(&mut self, id: &str, tasks: &[reconcile::Task]) {
        let Some(framework) = self.state.framework(id) else {
            return;
        };
        let answers: Vec<TaskStatus> = if tasks.is_empty() {
            framework
                .tasks
                .values()
                .map(|task| self.known(task))
                .collect()
        } else {
            tasks
                .iter()
                .filter_map(|task| self.reconciled(id, task))
                .collect()
        };
        self.info(format!(
            "framework {id} reconciles {}: {} answers",
            if tasks.is_empty() {
                "all tasks".to_owned()
            } else {
                format!("{} tasks", tasks.len())
            },
            answers.len()
        ));
        for status in answers {
            self.send_status(id, status);
        }
    }

    fn reconciled(&self, id: &str, asked: &reconcile::Task) -> Option<TaskStatus> {
        let framework = self.state.framework(id)?;
        if let Some(task) = framework.tasks.get(&asked.task_id.value) {
            return Some(self.known(task));
        }
        let mut unreachable_since = None;
        let (state, message) = match asked.agent_id.as_ref().map(|id| id.value.as_str()) {
            None if !self.state.recovered_agents.is_empty() => return None,
            Some(agent) if self.state.recovered_agents.contains_key(agent) => return None,
            Some(agent) if self.state.agents.contains_key(agent) => (
                TaskState::TaskGone,
                "Reconciliation: Task is unknown to the agent",
            ),
            Some(agent) if self.state.unreachable_agents.contains_key(agent) => {
                unreachable_since = self.state.unreachable_agents.get(agent).copied();
                (
                    TaskState::TaskUnreachable,
                    "Reconciliation: Task is unreachable",
                )
            }
            Some(agent) if self.state.gone_agents.contains_key(agent) => (
                TaskState::TaskGoneByOperator,
                "Reconciliation: Task is gone",
            ),
            Some(agent) if self.book.reregistering.contains(agent) => return None,
            _ => (TaskState::TaskUnknown, "Reconciliation: Task is unknown"),
        };
        let aware = framework.can(Capability::PartitionAware);
        let state = if aware { state } else { TaskState::TaskLost };
        let mut status = self.master_status(&asked.task_id, state);
        status.message = Some(message.to_owned());
        status.reason = Some(Reason::Reconciliation as i32);
        status.agent_id.clone_from(&asked.agent_id);
        status.unreachable_time = unreachable_since.map(|nanoseconds| TimeInfo { nanoseconds });
        Some(status)
    }

    /// R1: what the framework was last told, and how healthy the task was then.
    fn known(&self, task: &Task) -> TaskStatus {
        let state = task
            .status_update_state
            .map_or(task.state(), |_| task.status_update_state());
        let mut status = self.master_status(&task.task_id, state);
        let last = task.statuses.last();
        status.message = Some("Reconciliation: Latest task state".to_owned());
        status.reason = Some(Reason::Reconciliation as i32);
        status.agent_id = Some(task.agent_id.clone());
        status.executor_id.clone_from(&task.executor_id);
        status.healthy = last.and_then(|last| last.healthy);
        status.check_status = last.and_then(|last| last.check_status);
        status.container_status = last.and_then(|last| last.container_status.clone());
        status
    }
}
