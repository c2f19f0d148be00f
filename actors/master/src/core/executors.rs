//! Executors of frameworks' own: they end, are shut down, and exchange messages with their
//! frameworks. Data goes both ways unread, at most once. And those of which nobody knows whether
//! they were launched.
//!
//! Not here: how they are launched (`accept`), and the books (`tasks`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tepui_protocol::mesos::internal::{
    ExecutorToFramework, ExitedExecutor, FrameworkToExecutor, ShutdownExecutor, StatusUpdate,
};
use tepui_protocol::mesos::v1::Task;
use tepui_protocol::mesos::v1::scheduler::call::{Message, Shutdown};
use tepui_protocol::mesos::v1::scheduler::{Event, event};

use super::frameworks::framework_id;
use super::status::failed;
use super::{MasterCore, ToAgent, holds, is_terminal};
use crate::snapshot::Key;

impl MasterCore {
    /// An agent has listed what it runs. The executor of a task that it did not list may have been
    /// launched with that task, and both be under way still: what the executor has is not free
    /// before the agent has answered what became of the task. (Mesos strikes it off, and never
    /// hears of it.)
    pub(super) fn doubt(&mut self, agent_id: &str, listed: &[Task], executors: &BTreeSet<Key>) {
        let listed = listed.iter();
        let listed: BTreeSet<(&str, &str)> = listed
            .map(|task| (&*task.framework_id.value, &*task.task_id.value))
            .collect();
        let Some(agent) = self.state.agent(agent_id) else {
            return;
        };
        let mut doubtful: BTreeMap<Key, BTreeSet<String>> = BTreeMap::new();
        for (framework, id) in agent.tasks.iter() {
            if listed.contains(&(framework, id)) {
                continue;
            }
            let known = self.state.framework(framework);
            let task = known.and_then(|known| known.tasks.get(id));
            let task = task.filter(|task| holds(task.state()));
            let Some(executor) = task.and_then(|task| task.executor_id.as_ref()) else {
                continue;
            };
            let key = (framework.clone(), executor.value.clone());
            if !executors.contains(&key) {
                doubtful.entry(key).or_default().insert(id.clone());
            }
        }
        if let Some(agent) = self.agent_mut(agent_id) {
            let doubtful = doubtful.into_iter();
            agent.doubtful = doubtful
                .map(|(key, tasks)| (key, Arc::new(tasks)))
                .collect();
        }
    }

    /// An agent has told of a task. If it never had the task, nor what would have launched the
    /// task's executor, that one is taken from the books.
    pub(super) fn settle_doubt(&mut self, agent_id: &str, update: &StatusUpdate) {
        let framework = &update.framework_id.value;
        let task = &update.status.task_id.value;
        let Some(agent) = self.state.agent(agent_id) else {
            return;
        };
        let asked =
            |key: &Key, tasks: &BTreeSet<String>| key.0 == *framework && tasks.contains(task);
        let doubtful = agent.doubtful.iter().find(|(key, tasks)| asked(key, tasks));
        let Some((key, mut tasks)) = doubtful.map(|(key, tasks)| (key.clone(), tasks.clone()))
        else {
            return;
        };
        let had = update.executor_id.is_some();
        if !had && !is_terminal(update.status.state()) {
            return;
        }
        Arc::make_mut(&mut tasks).remove(task);
        let settled = had || tasks.is_empty();
        let Some(agent) = self.agent_mut(agent_id) else {
            return;
        };
        match settled {
            true => agent.doubtful.remove_mut(&key),
            false => {
                agent.doubtful.insert_mut(key, tasks);
                return;
            }
        };
        if !had {
            self.remove_executor(framework, agent_id, &key.1);
        }
    }

    /// MESSAGE: passed on if the agent is there, else dropped.
    pub(super) fn message(&mut self, id: &str, message: Message) {
        let agent_id = message.agent_id.value.clone();
        if let Some(problem) = self.absent(&agent_id) {
            self.count("master/invalid_framework_to_executor_messages");
            return self.warn(format!(
                "dropping MESSAGE of framework {id} to executor {} on agent {agent_id}: {problem}",
                message.executor_id.value
            ));
        }
        self.count("master/valid_framework_to_executor_messages");
        let message = FrameworkToExecutor {
            agent_id: message.agent_id,
            framework_id: framework_id(id),
            executor_id: message.executor_id,
            data: message.data,
        };
        self.tell_agent(&agent_id, ToAgent::Message(message));
    }

    /// SHUTDOWN: the agent ends the executor and all its tasks.
    pub(super) fn shut_down_executor(&mut self, id: &str, shutdown: Shutdown) {
        let agent_id = &shutdown.agent_id.value;
        let executor = &shutdown.executor_id.value;
        if let Some(problem) = self.absent(agent_id) {
            return self.warn(format!(
                "dropping SHUTDOWN of framework {id} for executor {executor} on agent {agent_id}: \
                 {problem}"
            ));
        }
        self.info(format!(
            "framework {id} shuts down executor {executor} on agent {agent_id}"
        ));
        let message = ShutdownExecutor {
            executor_id: Some(shutdown.executor_id.clone()),
            framework_id: Some(framework_id(id)),
        };
        self.tell_agent(agent_id, ToAgent::ShutdownExecutor(message));
    }

    /// Why an agent cannot be told anything now.
    pub(super) fn absent(&self, agent_id: &str) -> Option<&'static str> {
        match self.state.agent(agent_id) {
            None => Some("its agent is not registered"),
            Some(agent) if !agent.connected => Some("its agent is disconnected"),
            Some(_) => None,
        }
    }

    /// An executor ended. Its tasks' updates come separately.
    pub(super) fn exited_executor(&mut self, message: &ExitedExecutor) {
        self.count("master/messages_exited_executor");
        let agent_id = &message.agent_id.value;
        let id = &message.framework_id.value;
        let executor_id = &message.executor_id.value;
        if self.state.agent(agent_id).is_none() {
            return self.warn(format!(
                "ignoring exit of executor {executor_id} of framework {id}: \
                 agent {agent_id} is not registered"
            ));
        }
        self.info(format!(
            "executor {executor_id} of framework {id} on agent {agent_id} exited with status {}",
            message.status
        ));
        self.remove_executor(id, agent_id, executor_id);
        let failure = event::Failure {
            agent_id: Some(message.agent_id.clone()),
            executor_id: Some(message.executor_id.clone()),
            status: Some(message.status),
        };
        self.event(id, failed(failure));
    }

    /// Data of an executor for its framework: passed on if both are there, else dropped.
    pub(super) fn executor_message(&mut self, message: ExecutorToFramework) {
        self.count("master/messages_executor_to_framework");
        let id = message.framework_id.value.clone();
        let registered = self.state.agents.contains_key(&message.agent_id.value);
        let event = Event {
            r#type: Some(event::Type::Message as i32),
            message: Some(event::Message {
                agent_id: message.agent_id,
                executor_id: message.executor_id,
                data: message.data,
            }),
            ..Event::default()
        };
        if registered && self.event(&id, event) {
            self.count("master/valid_executor_to_framework_messages");
        } else {
            self.count("master/invalid_executor_to_framework_messages");
            self.warn(format!(
                "dropping message of an executor to framework {id}: \
                 its agent is not registered, or the framework not connected"
            ));
        }
    }
}
