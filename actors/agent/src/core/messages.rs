//! Words between a framework and its executors, delivered at most once.

use tepui_protocol::mesos::internal::{ExecutorToFramework, FrameworkToExecutor};
use tepui_protocol::mesos::v1::executor::{Call, Event, event};

use super::executor::ExecutorState;
use super::{Core, Note, Outbound};

impl Core {
    /// A framework's words go to the executor, if that is subscribed (Mesos'
    /// `Slave::schedulerMessage`).
    pub(super) fn framework_message(&mut self, message: FrameworkToExecutor) {
        let framework = &message.framework_id.value;
        let id = &message.executor_id.value;
        let known = self.frameworks.get(framework);
        let executor = known.and_then(|known| known.executors.get(id));
        let pid = match (known, executor) {
            (None, _) => Err("its framework is not here"),
            (Some(known), _) if known.terminating => Err("its framework is terminating"),
            (_, None) => Err("it is not here"),
            (_, Some(executor)) => match (executor.state, &executor.pid) {
                (ExecutorState::Running, Some(pid)) => Ok(pid.clone()),
                (ExecutorState::Running, None) => Err("it is disconnected"),
                (ExecutorState::Registering, _) => Err("it has not subscribed"),
                (ExecutorState::Terminating | ExecutorState::Terminated, _) => Err("it is ending"),
            },
        };
        match pid {
            Ok(pid) => {
                self.note(Note::FrameworkMessage(Ok(())));
                let event = Event {
                    r#type: Some(event::Type::Message as i32),
                    message: Some(event::Message { data: message.data }),
                    ..Event::default()
                };
                self.send_event(&pid, event);
            }
            Err(why) => {
                let what = format!("message for executor {id} of framework {framework}: {why}");
                self.note(Note::FrameworkMessage(Err(what)));
            }
        }
    }

    /// An executor's words go to its framework, by way of the master.
    pub(super) fn executor_message(&mut self, call: Call) {
        if let Some(message) = call.message {
            self.tell_master(Outbound::Message(Box::new(ExecutorToFramework {
                agent_id: self.info.id.clone().unwrap_or_default(),
                framework_id: call.framework_id,
                executor_id: call.executor_id,
                data: message.data,
            })));
        }
    }
}
