//! Ends an executor, a framework or the whole agent because someone asked for it.

use tepui_protocol::mesos::internal::{ShutdownExecutor, UnregisterAgent};

use super::environment::shutdown_grace;
use super::executor::ExecutorState;
use super::executor_calls::shutdown_event;
use super::{AgentState, Core, Effect, Note, Outbound, Timer};
use crate::checkpoint::Write;

impl Core {
    /// The framework was torn down: its executors end, and nobody waits for its updates.
    pub(super) fn shutdown_framework(&mut self, framework: &str) {
        let Some(known) = self.frameworks.get_mut(framework) else {
            return;
        };
        if known.terminating {
            return;
        }
        known.terminating = true;
        known.strays.clear();
        let executors: Vec<(String, ExecutorState)> = known
            .executors
            .iter()
            .map(|(id, executor)| (id.clone(), executor.state))
            .collect();
        self.note(Note::Framework {
            framework: framework.to_owned(),
            what: "is shut down",
        });
        self.updates.forget_framework(framework);
        self.waiting
            .retain(|_, waiting| waiting.framework != framework);
        for (id, state) in executors {
            match state {
                ExecutorState::Registering | ExecutorState::Running => {
                    self.shutdown_executor(framework, &id, "its framework is shut down");
                }
                ExecutorState::Terminating => {}
                ExecutorState::Terminated => self.remove_executor(framework, &id),
            }
        }
        self.forget_if_idle(framework);
    }

    pub(super) fn shutdown_executor_message(&mut self, message: ShutdownExecutor) {
        let framework = message.framework_id.map(|id| id.value).unwrap_or_default();
        let id = message.executor_id.map(|id| id.value).unwrap_or_default();
        match self
            .executor(&framework, &id)
            .map(|executor| executor.state)
        {
            Some(ExecutorState::Registering | ExecutorState::Running) => {
                self.shutdown_executor(&framework, &id, "its framework asked for it");
            }
            Some(ExecutorState::Terminating | ExecutorState::Terminated) => {}
            None => {
                let what = format!("shutdown of executor {id} of framework {framework}, not here");
                self.note(Note::Refused {
                    what,
                    update: false,
                });
            }
        }
    }

    /// Asks an executor to end; what does not listen is destroyed, at once where nobody is
    /// connected, else after the grace period.
    pub(super) fn shutdown_executor(&mut self, framework: &str, id: &str, why: &str) {
        let Some(executor) = self.executor(framework, id) else {
            return;
        };
        let container = executor.container.clone();
        let pid = executor.pid.clone();
        let grace = shutdown_grace(executor, &self.options);
        self.executor_state(framework, id, ExecutorState::Terminating, why);
        match pid {
            Some(pid) => {
                self.send_event(&pid, shutdown_event());
                self.timer_after(grace, Timer::ExecutorShutdown(container));
            }
            None => self.effect(Effect::Destroy(container)),
        }
    }

    /// The grace period is over.
    pub(super) fn shutdown_timeout(&mut self, container: &str) {
        let Some((framework, id)) = self.run_of(container) else {
            return;
        };
        let terminating = self
            .executor(&framework, &id)
            .is_some_and(|executor| executor.state == ExecutorState::Terminating);
        if terminating {
            self.effect(Effect::Destroy(container.to_owned()));
        }
    }

    /// The operator wants the agent gone: the master is told, and everything ends.
    pub(super) fn unregister(&mut self, why: &str) {
        if let Some(agent_id) = self.info.id.clone() {
            self.tell_master(Outbound::Unregister(UnregisterAgent { agent_id }));
        }
        self.shutdown(Some(why.to_owned()));
    }

    /// The next agent on this work_dir is another: the master has done with this one's id (Mesos
    /// does the same when the agent has ended; here also if it crashes before).
    fn begin_anew(&mut self) {
        let path = self.paths.meta_latest_agent();
        self.effect(Effect::Disk(Write::Remove { path }));
    }

    /// The master wants the agent gone: everything ends, then the agent does.
    pub(super) fn shutdown(&mut self, message: Option<String>) {
        let why = message.unwrap_or_else(|| "the master asked for it".to_owned());
        if self.state == AgentState::Terminating {
            return;
        }
        self.set_state(AgentState::Terminating, &why);
        self.begin_anew();
        if self.frameworks.is_empty() {
            self.effect(Effect::Exit(Ok(why)));
            return;
        }
        let frameworks: Vec<String> = self.frameworks.keys().cloned().collect();
        for framework in frameworks {
            self.shutdown_framework(&framework);
        }
    }
}
