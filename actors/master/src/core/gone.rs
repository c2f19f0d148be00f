//! MARK_AGENT_GONE: an operator says that an agent never comes back.
//!
//! Its id is never used again: an agent that comes with it is told to shut down. Its tasks are
//! TASK_GONE_BY_OPERATOR, or TASK_LOST where their framework is not partition aware; those that were
//! unreachable already get their new state, too, and are completed. Of an agent that is not back
//! since this master leads no tasks are known; reconciliation says what became of them.

use tepui_protocol::mesos::v1::framework_info::capability::Type as Capability;
use tepui_protocol::mesos::v1::task_status::Reason;
use tepui_protocol::mesos::v1::{TaskState, TimeInfo};
use tepui_protocol::tepui::registrar::{Operation, operation};
use tepui_runtime::Pid;

use super::agents::{Farewell, agent_id};
use super::operator::Refusal;
use super::tasks::Destiny;
use super::{Effect, MasterCore, Pending};

/// What frameworks and the agent are told.
const MESSAGE: &str = "Agent has been marked gone";

impl MasterCore {
    /// Writes into the registry that an agent is gone; whether it was so before.
    pub(super) fn mark_gone(&mut self, asker: &Pid, id: &str) -> Result<bool, Refusal> {
        if self.state.gone_agents.contains_key(id) {
            self.warn(format!("agent {id} is marked gone already"));
            return Ok(true);
        }
        let going = |what: &str| (503, format!("Agent '{id}' is already being {what}"));
        if self.book.marking_gone.contains(id) {
            return Err(going("transitioned to gone"));
        }
        if self.book.removing.contains(id) {
            return Err(going("removed"));
        }
        if self.book.marking_unreachable.contains(id) {
            return Err(going("transitioned to unreachable"));
        }
        if !self.is_in_registry(id) {
            return Err((404, format!("Agent '{id}' not found")));
        }
        self.info(format!("an operator marks agent {id} gone"));
        self.book.marking_gone.insert(id.to_owned());
        let at = self.nanoseconds();
        let operation = Operation {
            r#type: Some(operation::Type::MarkAgentGone as i32),
            agent_id: Some(agent_id(id)),
            time: Some(TimeInfo { nanoseconds: at }),
            ..Operation::default()
        };
        let pending = Pending::Gone {
            agent_id: id.to_owned(),
            at,
            asker: asker.clone(),
        };
        self.effects
            .push(Effect::Registrar(Box::new(operation), pending));
        Ok(false)
    }

    pub(super) fn marked_gone(&mut self, asker: &Pid, id: &str, at: i64) {
        self.book.marking_gone.remove(id);
        self.keep(id);
        self.changed = true;
        self.state.gone_agents.insert_mut(id.to_owned(), at);
        self.state.recovered_agents.remove_mut(id);
        self.state.unreachable_agents.remove_mut(id);
        self.state.deactivated_agents.remove_mut(id);
        self.info(format!("agent {id} is gone"));
        if let Some(pid) = self.state.agent(id).map(|agent| agent.pid.clone()) {
            self.shut_down_agent(&pid, MESSAGE);
            self.take_agent_out(
                id,
                &Farewell {
                    state: TaskState::TaskGoneByOperator,
                    reason: Reason::AgentRemovedByOperator,
                    destiny: Destiny::Completed,
                    message: MESSAGE,
                    unreachable_since: None,
                },
            );
            self.lost_agent(&agent_id(id));
        }
        self.unreachable_tasks_are_gone(id);
        self.operated(asker, Ok(()));
    }

    /// Gives the tasks that were unreachable with an agent the state that they have for good.
    fn unreachable_tasks_are_gone(&mut self, id: &str) {
        let mut tasks = Vec::new();
        for framework in self.state.frameworks.values() {
            let aware = framework.can(Capability::PartitionAware);
            let on_it = framework.unreachable_tasks.iter();
            let on_it = on_it.filter(|(_, task)| task.agent_id.value == id);
            tasks.extend(on_it.map(|(task, _)| (framework.id.clone(), task.clone(), aware)));
        }
        for (framework, task, aware) in tasks {
            let (state, reason) = match aware {
                true => (
                    TaskState::TaskGoneByOperator,
                    Reason::AgentRemovedByOperator,
                ),
                false => (TaskState::TaskLost, Reason::AgentRemoved),
            };
            let Some(mut status) = self.end_unreachable_task(&framework, &task, state) else {
                continue;
            };
            status.reason = Some(reason as i32);
            status.message = Some(MESSAGE.to_owned());
            self.send_status(&framework, status);
        }
    }
}
