//! Status updates on their way to frameworks, and acknowledgements on their way back.
//!
//! An agent's update carries a uuid and is acknowledged through the master; the agent sends it
//! again until then. What the master itself says carries none and is said once.

use std::sync::Arc;

use tepui_invariants::PlantedBug;
use tepui_protocol::mesos::internal::{
    StatusUpdate, StatusUpdateAcknowledgement, StatusUpdateMessage,
};
use tepui_protocol::mesos::v1::scheduler::call::Acknowledge;
use tepui_protocol::mesos::v1::scheduler::{Event, event};
use tepui_protocol::mesos::v1::task_status::{Reason, Source};
use tepui_protocol::mesos::v1::{AgentId, Task, TaskId, TaskInfo, TaskState, TaskStatus, TimeInfo};

use super::frameworks::framework_id;
use super::tasks::Destiny;
use super::{MasterCore, ToAgent, is_terminal};

/// What is remembered of a refused task, in bytes: of a longer id nothing, of the message so much.
const MAX_REFUSED_ID: usize = 255;
const MAX_REFUSED_MESSAGE: usize = 1000;

/// An update that the master makes for a task it knows.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) state: TaskState,
    pub(super) reason: Reason,
    pub(super) message: String,
    /// When its agent was marked unreachable, in nanoseconds since the epoch.
    pub(super) unreachable_since: Option<i64>,
}

/// How tasks that were never launched are answered.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub(super) state: TaskState,
    pub(super) reason: Reason,
    pub(super) message: String,
}

impl MasterCore {
    /// Mesos' `createStatusUpdate` without uuid: from the master, about any task.
    pub(super) fn master_status(&self, task_id: &TaskId, state: TaskState) -> TaskStatus {
        TaskStatus {
            task_id: task_id.clone(),
            state: state as i32,
            source: Some(Source::Master as i32),
            timestamp: Some(self.now.as_secs_f64()),
            ..TaskStatus::default()
        }
    }

    /// An update about a task in the books.
    pub(super) fn update_for(
        &self,
        framework_id: &str,
        task_id: &str,
        made: &Made,
    ) -> Option<StatusUpdate> {
        let task = self.state.framework(framework_id)?.tasks.get(task_id)?;
        let mut status = self.master_status(&task.task_id, made.state);
        status.message = Some(made.message.clone());
        status.reason = Some(made.reason as i32);
        status.agent_id = Some(task.agent_id.clone());
        status.executor_id.clone_from(&task.executor_id);
        status.unreachable_time = made
            .unreachable_since
            .map(|nanoseconds| TimeInfo { nanoseconds });
        Some(unacknowledged(framework_id, task, status))
    }

    /// Sends a status to a framework. `false` if it is not connected.
    pub(super) fn send_status(&mut self, framework_id: &str, status: TaskStatus) -> bool {
        let event = Event {
            r#type: Some(event::Type::Update as i32),
            update: Some(event::Update { status }),
            ..Event::default()
        };
        self.event(framework_id, event)
    }

    /// Answers tasks that are not launched.
    pub(super) fn refuse_tasks(&mut self, id: &str, tasks: &[TaskInfo], refused: &Refused) {
        for task in tasks {
            let mut status = self.master_status(&task.task_id, refused.state);
            status.message = Some(refused.message.clone());
            status.reason = Some(refused.reason as i32);
            status.agent_id = Some(task.agent_id.clone());
            self.info(format!(
                "task {} of framework {id} is {}: {}",
                task.task_id.value,
                refused.state.as_str_name(),
                refused.message
            ));
            self.count_outcome(refused.state, &status);
            self.remember_refused(id, &status);
            self.send_status(id, status);
        }
    }

    /// For who asks why the task does not run: it is in no book.
    fn remember_refused(&mut self, id: &str, status: &TaskStatus) {
        let task_id = &status.task_id.value;
        if task_id.len() > MAX_REFUSED_ID {
            return;
        }
        let mut status = status.clone();
        if let Some(message) = &mut status.message {
            let end = message.floor_char_boundary(MAX_REFUSED_MESSAGE);
            message.truncate(end);
        }
        let key = task_id.clone();
        if let Some(framework) = self.framework_mut(id) {
            framework.refused_tasks.insert(key, Arc::new(status));
        }
    }

    pub(super) fn status_update(&mut self, message: StatusUpdateMessage) {
        self.count("master/messages_status_update");
        let update = message.update;
        let id = update.framework_id.value.clone();
        let task_id = update.status.task_id.value.clone();
        let agent_id = update
            .agent_id
            .as_ref()
            .map(|id| id.value.clone())
            .unwrap_or_default();
        if self.state.agent(&agent_id).is_none() {
            self.count("master/invalid_status_updates");
            return self.warn(format!(
                "ignoring status update of task {task_id} of framework {id}: \
                 agent {agent_id} is not registered"
            ));
        }
        let mut valid = self.send_status(&id, as_event(&update));
        if !valid {
            // The agent sends it again until a framework that is back has acknowledged it.
            self.warn(format!(
                "status update of task {task_id}: framework {id} is unknown or disconnected"
            ));
        }
        let known = |task: &Arc<Task>| task.agent_id.value == agent_id;
        let framework = self.state.framework(&id);
        if framework
            .and_then(|framework| framework.tasks.get(&task_id))
            .is_some_and(known)
        {
            self.update_task(&id, &task_id, &update);
            self.settle_doubt(&agent_id, &update);
            let unacknowledged = update.uuid.as_ref().is_none_or(|uuid| uuid.is_empty());
            if unacknowledged && is_terminal(update.status.state()) {
                // Nobody is going to acknowledge it.
                self.remove_task(&id, &task_id, Destiny::Completed);
            }
        } else {
            valid = false;
            self.warn(format!(
                "status update of task {task_id} of framework {id}: unknown task"
            ));
        }
        let counter = if valid {
            "master/valid_status_updates"
        } else {
            "master/invalid_status_updates"
        };
        self.count(counter);
    }

    pub(super) fn acknowledge(&mut self, id: &str, acknowledge: Acknowledge) {
        let Acknowledge {
            agent_id,
            task_id,
            uuid,
        } = acknowledge;
        let one_in_four = |uuid: &[u8]| uuid.first().is_some_and(|byte| byte % 4 == 0);
        if self.planted(PlantedBug::AcknowledgementDropped) && one_in_four(&uuid) {
            return;
        }
        let problem = self.absent(&agent_id.value);
        let task = self
            .state
            .framework(id)
            .and_then(|f| f.tasks.get(&task_id.value))
            .cloned();
        let task = task.filter(|task| task.agent_id == agent_id);
        let problem = problem.or_else(|| match &task {
            Some(task) if task.status_update_uuid.is_none() => Some("no update is outstanding"),
            _ => None,
        });
        if let Some(problem) = problem {
            self.count("master/invalid_status_update_acknowledgements");
            return self.warn(format!(
                "dropping acknowledgement of task {} of framework {id} on agent {}: {problem}",
                task_id.value, agent_id.value
            ));
        }
        self.count("master/valid_status_update_acknowledgements");
        if let Some(task) = task
            && task.status_update_uuid.as_ref() == Some(&uuid)
            && is_terminal(task.status_update_state())
        {
            self.remove_task(id, &task_id.value, Destiny::Completed);
        }
        let agent = agent_id.value.clone();
        let message = StatusUpdateAcknowledgement {
            agent_id,
            framework_id: framework_id(id),
            task_id,
            uuid,
        };
        self.tell_agent(&agent, ToAgent::Acknowledge(message));
    }

    /// Tells every connected framework that an agent is lost.
    pub(super) fn lost_agent(&mut self, agent_id: &AgentId) {
        let ids: Vec<String> = self.state.frameworks.keys().cloned().collect();
        for id in ids {
            let failure = event::Failure {
                agent_id: Some(agent_id.clone()),
                executor_id: None,
                status: None,
            };
            self.event(&id, failed(failure));
        }
    }
}

pub(super) fn failed(failure: event::Failure) -> Event {
    Event {
        r#type: Some(event::Type::Failure as i32),
        failure: Some(failure),
        ..Event::default()
    }
}

/// An update that needs no acknowledgement.
pub(super) fn unacknowledged(framework: &str, task: &Task, status: TaskStatus) -> StatusUpdate {
    StatusUpdate {
        framework_id: framework_id(framework),
        executor_id: task.executor_id.clone(),
        agent_id: Some(task.agent_id.clone()),
        timestamp: status.timestamp.unwrap_or_default(),
        status,
        uuid: None,
        latest_state: None,
    }
}

/// Mesos' evolve table: what an agent's update is to a scheduler.
fn as_event(update: &StatusUpdate) -> TaskStatus {
    let mut status = update.status.clone();
    if update.agent_id.is_some() {
        status.agent_id.clone_from(&update.agent_id);
    }
    if update.executor_id.is_some() {
        status.executor_id.clone_from(&update.executor_id);
    }
    status.timestamp = Some(update.timestamp);
    status.uuid = update.uuid.clone().filter(|uuid| !uuid.is_empty());
    status
}
