//! What executors say to the agent: SUBSCRIBE, UPDATE, MESSAGE, HEARTBEAT.
//!
//! An executor is the process that sent its SUBSCRIBE; events go there. Other calls may come from
//! another process (over HTTP each call is a request of its own) and are known by their ids.

use tepui_protocol::mesos::v1::executor::{Call, Event, call, event};
use tepui_protocol::mesos::v1::task_status::Reason;
use tepui_protocol::mesos::v1::{ExecutorInfo, TaskState};
use tepui_runtime::Pid;

use super::call::{CallError, Standing, validate_executor_call};
use super::executor::{ExecutorState, Phase};
use super::framework::{Framework, lost_as};
use super::{Core, Effect, Note, Turn, run};

impl Core {
    pub(super) fn executor_call(&mut self, from: Pid, call: Call, turn: &mut Turn<'_>) {
        let valid = validate_executor_call(&call, self.is_open(), |framework, executor| {
            self.standing(framework, executor)
        });
        let framework = call.framework_id.value.clone();
        let executor = call.executor_id.value.clone();
        if let Err(error) = valid {
            let what =
                format!("call of executor {executor} of framework {framework} at {from}: {error}");
            let update = call.r#type() == call::Type::Update;
            self.note(Note::Refused { what, update });
            // While the agent reads its checkpoints, an executor is to try again.
            if error != CallError::Recovering {
                self.send_event(&from, error_event(&error.to_string()));
            }
            return;
        }
        match call.r#type() {
            call::Type::Subscribe => {
                let subscribe = call.subscribe.unwrap_or_default();
                self.subscribe(from, &framework, &executor, subscribe, turn);
            }
            call::Type::Update => {
                if let Some(update) = call.update {
                    self.executor_update(&from, &framework, &executor, update.status, turn);
                }
            }
            call::Type::Message => self.executor_message(call),
            // Keeps connections open on the way; there is nothing to do.
            call::Type::Heartbeat | call::Type::Unknown => {}
        }
    }

    /// How an executor stands with this agent.
    #[must_use]
    pub fn standing(&self, framework: &str, executor: &str) -> Standing {
        match self.frameworks.get(framework) {
            None => Standing::NoFramework,
            Some(known) => match known.executors.get(executor) {
                None => Standing::NoExecutor,
                Some(known) if known.state == ExecutorState::Registering => Standing::NotSubscribed,
                Some(_) => Standing::Subscribed,
            },
        }
    }

    fn subscribe(
        &mut self,
        from: Pid,
        framework: &str,
        id: &str,
        subscribe: call::Subscribe,
        turn: &mut Turn<'_>,
    ) {
        let terminating = self
            .frameworks
            .get(framework)
            .is_none_or(|known| known.terminating);
        let Some(executor) = self.executor_mut(framework, id) else {
            return;
        };
        let state = executor.state;
        let ending = matches!(
            state,
            ExecutorState::Terminating | ExecutorState::Terminated
        );
        if terminating || ending {
            self.send_event(&from, shutdown_event());
            return;
        }
        let before = executor.pid.replace(from.clone());
        executor.recovered = false;
        // It asks again since no answer came yet, but the answer is on its way, and so is all that
        // was said since: nothing was lost between the two, or the link would have told.
        let repeated = before.as_ref() == Some(&from);
        if let Some(before) = before.filter(|before| *before != from) {
            self.send_event(&before, error_event("Executor subscribed from elsewhere"));
        }
        self.effect(Effect::Link(from.clone()));
        self.checkpoint_subscription(framework, id, &from);
        if state == ExecutorState::Registering {
            self.executor_state(framework, id, ExecutorState::Running, "subscribed");
        }
        if repeated {
            self.send_subscribed(&from, framework, id);
            for update in subscribe.unacknowledged_updates {
                self.executor_update(&from, framework, id, update.status, turn);
            }
            return;
        }
        let kept: Vec<String> = subscribe
            .unacknowledged_tasks
            .iter()
            .map(|task| task.task_id.value.clone())
            .collect();
        if subscribe.unacknowledged_updates.is_empty() {
            self.drop_undelivered(framework, id, &kept, turn);
            if self.is_needless(framework, id) {
                // Its tasks were killed before it came: it hears nothing but that.
                self.shutdown_executor(framework, id, "it has no task");
                return;
            }
        }
        self.send_subscribed(&from, framework, id);
        for update in subscribe.unacknowledged_updates {
            self.executor_update(&from, framework, id, update.status, turn);
        }
        // What an update told of is not undelivered.
        self.drop_undelivered(framework, id, &kept, turn);
        if self.is_needless(framework, id) {
            // Its task ended while it was away.
            self.shutdown_executor(framework, id, "it has no task");
        } else {
            let first_time = state == ExecutorState::Registering;
            self.deliver_to_subscribed(framework, id, first_time);
        }
    }

    fn is_needless(&self, framework: &str, id: &str) -> bool {
        self.executor(framework, id)
            .is_some_and(|executor| executor.is_needless())
    }

    fn send_subscribed(&mut self, to: &Pid, framework: &str, id: &str) {
        let Some(known) = self.frameworks.get(framework) else {
            return;
        };
        let Some(executor) = known.executors.get(id) else {
            return;
        };
        let subscribed = event::Subscribed {
            executor_info: ExecutorInfo::clone(&executor.info),
            framework_info: known.info.clone(),
            agent_info: self.info.clone(),
            container_id: Some(super::container_id(&executor.container)),
        };
        let event = Event {
            r#type: Some(event::Type::Subscribed as i32),
            subscribed: Some(subscribed),
            ..Event::default()
        };
        self.send_event(to, event);
    }

    /// Where a checkpointed executor is reached, for the agent after this one.
    fn checkpoint_subscription(&mut self, framework: &str, id: &str, from: &Pid) {
        let checkpoint = self
            .frameworks
            .get(framework)
            .is_some_and(Framework::checkpoint);
        let Some(executor) = self.executor(framework, id) else {
            return;
        };
        if checkpoint {
            let (agent, container) = (self.agent_id().to_owned(), executor.container.clone());
            let run = run(&agent, framework, id, &container);
            let http =
                from.id().starts_with("http-executor(") && from.address() == self.myself.address();
            if http {
                self.write_record(self.paths.http_marker(run), b"");
            } else {
                self.write_record(self.paths.libprocess_pid(run), from.to_string().as_bytes());
            }
        }
    }

    /// Tasks that were on the way to the executor when the agent restarted never reached it.
    fn drop_undelivered(
        &mut self,
        framework: &str,
        id: &str,
        kept: &[String],
        turn: &mut Turn<'_>,
    ) {
        let Some(known) = self.frameworks.get(framework) else {
            return;
        };
        let Some(executor) = known.executors.get(id) else {
            return;
        };
        let state = lost_as(&known.info, TaskState::TaskDropped);
        let dropped: Vec<String> = executor
            .tasks
            .iter()
            .filter(|(task, known)| {
                known.phase == Phase::Launched
                    && known.task.state() == TaskState::TaskStaging
                    && !kept.contains(task)
            })
            .map(|(task, _)| task.clone())
            .collect();
        for task in dropped {
            let message = "Task launched during agent restart";
            let status = self.status(&task, state, Reason::AgentRestarted, message, turn);
            self.agent_update(framework, id, status);
        }
    }

    /// A link broke: that of an executor, which may come back; its container's end is told by
    /// the containerizer. Or the master's.
    pub(super) fn exited(&mut self, pid: &Pid, turn: &mut Turn<'_>) {
        self.forget_waiter(pid);
        let gone = self.frameworks.iter_mut().find_map(|(framework, known)| {
            let (id, executor) = known
                .executors
                .iter_mut()
                .find(|(_, executor)| executor.pid.as_ref() == Some(pid))?;
            executor.pid = None;
            Some((framework.clone(), id.clone(), executor.state))
        });
        match gone {
            Some((framework, id, state)) => {
                self.executor_state(&framework, &id, state, "disconnected");
            }
            None if *pid == self.options.master => self.lost_master(turn),
            None => {}
        }
    }
}

/// ERROR: what the executor wants is not possible.
fn error_event(message: &str) -> Event {
    Event {
        r#type: Some(event::Type::Error as i32),
        error: Some(event::Error {
            message: message.to_owned(),
        }),
        ..Event::default()
    }
}

/// SHUTDOWN: the executor is to end.
pub(super) fn shutdown_event() -> Event {
    Event {
        r#type: Some(event::Type::Shutdown as i32),
        ..Event::default()
    }
}
