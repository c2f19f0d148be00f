//! The agent after a restart: what its predecessor kept on disk, and which executors still live.
//!
//! ```text
//!   checkpoints read ──► containerizer asked ──► executors may subscribe, for 2 seconds
//!                                                  │ dead ones: their tasks end
//!                                                  │ silent ones: destroyed
//!                                                  ▼
//!                                           the master is contacted
//! ```

use tepui_protocol::mesos::v1::task_status::Reason;
use tepui_protocol::mesos::v1::{ContainerId, TaskState};
use tepui_protocol::tepui::containerizer::{Recover, recover};

use super::environment::duration_text;
use super::executor::{AgentTask, Executor, ExecutorState, PendingTermination, Phase};
use super::framework::{Framework, lost_as};
use super::{AgentState, Core, Effect, Note, Timer, Turn, container_id, run};
use crate::checkpoint::{
    RecoveredExecutor, RecoveredFramework, RecoveredState, RecoveredTask, Write,
};
use crate::updates::{StreamKey, is_terminal};

impl Core {
    pub(super) fn recovered(&mut self, state: RecoveredState) {
        let rebooted = matches!(
            (&state.boot_id, &self.options.boot_id),
            (Some(before), Some(now)) if before != now
        );
        if let Some(earlier) = &state.info {
            match self.is_compatible(earlier) {
                Ok(()) => self.info.id.clone_from(&earlier.id),
                // After a reboot nothing of it runs any more: it may begin anew.
                Err(why) if rebooted => self.note(Note::Info(format!("a new agent: {why}"))),
                Err(why) => {
                    self.give_up(&why);
                    return;
                }
            }
        }
        if let Some(now) = self.options.boot_id.clone()
            && state.boot_id.as_ref() != Some(&now)
        {
            self.write_record(self.paths.boot_id(), now.as_bytes());
        }
        let mut containers = Vec::new();
        if self.info.id.is_some() {
            for framework in state.frameworks {
                self.recover_framework(framework, rebooted, &mut containers);
            }
        }
        self.effect(Effect::RecoverContainers(Recover {
            containers,
            observer: Some(self.myself.to_string()),
        }));
        self.watch_sandboxes(state.folders);
    }

    fn recover_framework(
        &mut self,
        recovered: RecoveredFramework,
        rebooted: bool,
        containers: &mut Vec<recover::Container>,
    ) {
        let id = recovered
            .info
            .id
            .as_ref()
            .map(|id| id.value.clone())
            .unwrap_or_default();
        let mut framework = Framework::new(recovered.info, recovered.pid);
        for recovered in recovered.executors {
            let completed = recovered.completed;
            let executor = self.recover_executor(&id, recovered);
            if completed {
                framework.complete(executor, self.options.max_completed_executors_per_framework);
                continue;
            }
            if executor.forked_pid.is_some() && !rebooted {
                containers.push(recover::Container {
                    container_id: container_id(&executor.container),
                    pid: executor.forked_pid,
                    directory: executor.directory.display().to_string(),
                });
            }
            framework
                .executors
                .insert(executor.id().to_owned(), executor);
        }
        if !framework.executors.is_empty() {
            self.note(Note::Framework {
                framework: id.clone(),
                what: "recovered",
            });
            for executor in framework.executors.keys() {
                self.changed.insert((id.clone(), executor.clone()));
            }
            self.frameworks.insert(id, framework);
        }
    }

    fn recover_executor(&mut self, framework: &str, recovered: RecoveredExecutor) -> Executor {
        let id = recovered.info.executor_id.value.clone();
        let agent = self.agent_id().to_owned();
        let directory = self
            .paths
            .sandbox(run(&agent, framework, &id, &recovered.container));
        let mut executor = Executor::new(
            recovered.info,
            recovered.generated,
            recovered.container,
            directory,
        );
        executor.forked_pid = recovered.forked_pid;
        executor.launched = true;
        executor.recovered = true;
        executor.sent = true;
        for task in recovered.tasks {
            self.recover_task(framework, &mut executor, task, recovered.completed);
        }
        executor
    }

    fn recover_task(
        &mut self,
        framework: &str,
        executor: &mut Executor,
        recovered: RecoveredTask,
        completed: bool,
    ) {
        let RecoveredTask { mut task, updates } = recovered;
        let id = task.task_id.value.clone();
        let mut finished = completed;
        if let Some(updates) = updates {
            let stream = updates.stream;
            if stream.has_updates() {
                task.state = stream.latest() as i32;
            }
            finished |= updates.finished;
            if let (Some(length), Some(path)) = (updates.cut_to, stream.checkpoint.clone()) {
                self.effect(Effect::Disk(Write::Cut { path, length }));
            }
            if !finished {
                self.updates.adopt(StreamKey::new(framework, &id), stream);
            }
        }
        let terminal = is_terminal(task.state());
        let phase = if terminal {
            Phase::Terminated
        } else {
            Phase::Launched
        };
        executor.tasks.insert(AgentTask { task, phase });
        if finished {
            executor.complete_task(&id);
        }
    }

    /// The containerizer knows which containers are alive; the others' executors are over.
    pub(super) fn containers_recovered(
        &mut self,
        alive: Result<Vec<ContainerId>, String>,
        turn: &mut Turn<'_>,
    ) {
        if self.state != AgentState::Recovering {
            return;
        }
        let alive = match alive {
            Ok(alive) => alive,
            Err(error) => {
                self.give_up(&format!("the containerizer could not recover: {error}"));
                return;
            }
        };
        self.reconnecting = true;
        self.nested_recovered(&alive);
        let mut waiting = false;
        for (framework, id) in self.executor_ids() {
            let dead = self.executor(&framework, &id).is_some_and(|executor| {
                let id = container_id(&executor.container);
                !alive.contains(&id)
            });
            if dead {
                self.executor_terminated(&framework, &id, None, turn);
            } else {
                waiting = true;
            }
        }
        if waiting {
            let within = self.options.executor_reregistration_timeout;
            self.timer_after(within, Timer::ExecutorReregistration);
        } else {
            self.start_registration("recovered", turn);
        }
    }

    /// Executors that did not come back are destroyed, and the master is contacted.
    pub(super) fn reregistration_timeout(&mut self, turn: &mut Turn<'_>) {
        if self.state != AgentState::Recovering {
            return;
        }
        let within = duration_text(self.options.executor_reregistration_timeout);
        for (framework, id) in self.executor_ids() {
            let Some(known) = self.frameworks.get(&framework) else {
                continue;
            };
            let state = lost_as(&known.info, TaskState::TaskGone);
            let silent = known.executors.get(&id).is_some_and(|executor| {
                executor.recovered && executor.state == ExecutorState::Registering
            });
            if silent {
                let pending = PendingTermination {
                    state,
                    reason: Reason::ExecutorReregistrationTimeout,
                    message: format!("Executor did not reregister within {within}"),
                };
                self.destroy(&framework, &id, pending);
            }
        }
        self.start_registration("recovered", turn);
    }

    fn executor_ids(&self) -> Vec<(String, String)> {
        self.frameworks
            .iter()
            .flat_map(|(framework, known)| {
                known
                    .executors
                    .keys()
                    .map(move |id| (framework.clone(), id.clone()))
            })
            .collect()
    }
}
