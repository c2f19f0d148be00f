//! Tasks that wait for their executor, and how they get to it.
//!
//! ```text
//!   queued ──(executor subscribes, or is there)──► container gets what the tasks add
//!                                                        │ done            │ failed
//!                                                        ▼                 ▼
//!                                                LAUNCH to the executor   container destroyed
//! ```
//!
//! What the first task adds, the container has from its launch.

use tepui_protocol::mesos::v1::executor::{Event, event};
use tepui_protocol::mesos::v1::{TaskInfo, TaskState};
use tepui_protocol::tepui::containerizer::Update;

use super::executor::{AgentTask, ExecutorState, Phase};
use super::launch::task_of;
use super::{Core, Effect, Purpose, Waiting, run};

impl Core {
    /// Gives an executor that is there one more task.
    pub(super) fn queue(&mut self, framework: &str, id: &str, task: TaskInfo) {
        let Some(known) = self.frameworks.get(framework) else {
            return;
        };
        let info = known.info.clone();
        let task_id = task.task_id.value.clone();
        let queued = AgentTask {
            task: task_of(&task, framework, TaskState::TaskStaging, &info),
            phase: Phase::Queued(Box::new(task)),
        };
        let agent = self.agent_id().to_owned();
        let Some(executor) = self.executor_mut(framework, id) else {
            return;
        };
        let state = executor.state;
        let container = executor.container.clone();
        executor.tasks.insert(task_id.clone(), queued.clone());
        if info.checkpoint() {
            let run = run(&agent, framework, id, &container);
            self.write_message(self.paths.task_info(run, &task_id), &queued.task);
        }
        self.note_queued(framework, &task_id);
        if state == ExecutorState::Running {
            self.grow(framework, id);
        }
    }

    /// An executor has subscribed: it gets what waits for it.
    pub(super) fn deliver_to_subscribed(&mut self, framework: &str, id: &str, first_time: bool) {
        let Some(executor) = self.executor(framework, id) else {
            return;
        };
        let launched_with =
            first_time && executor.tasks.len() == 1 && executor.completed.is_empty();
        let queued = executor.queued_tasks();
        if queued.is_empty() {
            return;
        }
        if launched_with || executor.generated {
            self.deliver(framework, id, &queued);
        } else {
            self.grow(framework, id);
        }
    }

    /// Has the container get what all of its tasks need; those that are queued now are delivered
    /// once it has.
    fn grow(&mut self, framework: &str, id: &str) {
        let queued = self.executor(framework, id).map(|it| it.queued_tasks());
        if let Some(queued) = queued {
            self.update_container(framework, id, Purpose::Deliver(queued));
        }
    }

    /// Has the container get what its tasks need now. Gives whether there is a container to ask.
    pub(super) fn update_container(&mut self, framework: &str, id: &str, purpose: Purpose) -> bool {
        let Some(executor) = self.executor(framework, id) else {
            return false;
        };
        if executor.state == ExecutorState::Terminated {
            return false;
        }
        let container = executor.container.clone();
        let message = Update {
            container_id: super::container_id(&container),
            resources: executor.resources(),
            limits: executor.limits(),
        };
        let number = self.number();
        self.effect(Effect::UpdateContainer(number, message));
        let waiting = Waiting {
            framework: framework.to_owned(),
            executor: id.to_owned(),
            container,
            purpose,
        };
        self.waiting.insert(number, waiting);
        true
    }

    /// Gives an executor those of these tasks that it does not have; who is away for the moment
    /// gets them when it subscribes again.
    pub(super) fn deliver(&mut self, framework: &str, id: &str, tasks: &[String]) {
        let Some(executor) = self.executor_mut(framework, id) else {
            return;
        };
        let Some(pid) = executor.pid.clone() else {
            return;
        };
        let mut events = Vec::new();
        for task in tasks {
            let Some(task) = executor.tasks.get_mut(task) else {
                continue;
            };
            if let Phase::Queued(info) = &mut task.phase {
                let info = std::mem::take(&mut **info);
                task.phase = Phase::Launched;
                executor.sent = true;
                events.push(Event {
                    r#type: Some(event::Type::Launch as i32),
                    launch: Some(event::Launch { task: info }),
                    ..Event::default()
                });
            }
        }
        for event in events {
            self.send_event(&pid, event);
        }
    }
}
