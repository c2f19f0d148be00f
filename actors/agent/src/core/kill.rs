//! A task is to be killed: before its executor has it the agent ends it itself, and all of its
//! group with it; afterwards the executor does.

use tepui_protocol::mesos::internal::KillTask;
use tepui_protocol::mesos::v1::TaskState;
use tepui_protocol::mesos::v1::executor::{Event, event};
use tepui_protocol::mesos::v1::task_status::Reason;

use super::executor::{ExecutorState, Phase};
use super::framework::lost_as;
use super::{Core, Note, Turn};

impl Core {
    pub(super) fn kill_task(&mut self, message: KillTask, turn: &mut Turn<'_>) {
        let framework = message.framework_id.value.clone();
        let task = message.task_id.value.clone();
        let Some(known) = self
            .frameworks
            .get_mut(&framework)
            .filter(|known| !known.terminating)
        else {
            let what = format!("kill of task {task} of framework {framework}, which is not here");
            self.note(Note::Refused {
                what,
                update: false,
            });
            return;
        };
        let state = lost_as(&known.info, TaskState::TaskDropped);
        let stray = known.strays.contains(&task);
        let Some(executor) = known.executor_of_mut(&task) else {
            if !stray {
                let message = "Cannot find executor";
                let status = self.status(&task, state, Reason::ExecutorTerminated, message, turn);
                self.direct_update(&framework, status);
            }
            return;
        };
        let id = executor.id().to_owned();
        let queued = matches!(
            executor.tasks.get(&task).map(|task| &task.phase),
            Some(Phase::Queued(_))
        );
        let connected = executor.pid.clone();
        match executor.state {
            ExecutorState::Registering | ExecutorState::Running if queued => {
                let group = executor.take_group(&task);
                let (tasks, message) = match group.is_empty() {
                    true => (vec![task], "Task killed before delivery to the executor"),
                    false => (group, KILLED_IN_GROUP),
                };
                self.kill_undelivered(&framework, &id, &tasks, message, turn);
                let needless = self.executor(&framework, &id).is_some_and(|executor| {
                    executor.state == ExecutorState::Running && executor.is_needless()
                });
                if needless {
                    self.shutdown_executor(&framework, &id, "all of its tasks were killed");
                }
            }
            ExecutorState::Running => match connected {
                Some(pid) => self.send_event(&pid, kill_event(message)),
                None => self.note(Note::Info(format!(
                    "cannot kill task {task} of framework {framework}: its executor is \
                     disconnected; the master repeats the kill when the agent re-registers"
                ))),
            },
            // The tasks of an executor that ends, end with it.
            ExecutorState::Registering | ExecutorState::Terminating | ExecutorState::Terminated => {
            }
        }
    }
}

/// Mesos' words for each task of a group of which one was killed.
const KILLED_IN_GROUP: &str =
    "A task within the task group was killed before delivery to the executor";

impl Core {
    /// Ends tasks that their executor does not have.
    fn kill_undelivered(
        &mut self,
        framework: &str,
        id: &str,
        tasks: &[String],
        message: &str,
        turn: &mut Turn<'_>,
    ) {
        for task in tasks {
            let reason = Reason::TaskKilledDuringLaunch;
            let status = self.status(task, TaskState::TaskKilled, reason, message, turn);
            self.agent_update(framework, id, status);
        }
    }

    /// A task that its executor does not have has ended all the same: the rest of its group will
    /// not be delivered either.
    pub(super) fn end_group(&mut self, framework: &str, id: &str, task: &str, turn: &mut Turn<'_>) {
        let Some(executor) = self.executor_mut(framework, id) else {
            return;
        };
        let mut rest = executor.take_group(task);
        rest.retain(|other| other != task);
        self.kill_undelivered(framework, id, &rest, KILLED_IN_GROUP, turn);
    }
}

fn kill_event(message: KillTask) -> Event {
    Event {
        r#type: Some(event::Type::Kill as i32),
        kill: Some(event::Kill {
            task_id: message.task_id,
            kill_policy: message.kill_policy,
        }),
        ..Event::default()
    }
}
