//! Tasks that wait for their executor, and how they get to it.
//!
//! ```text
//!   queued ──(executor subscribes, or is there)──► container gets what the tasks add
//!                                                        │ done            │ failed
//!                                                        ▼                 ▼
//!                                       LAUNCH, LAUNCH_GROUP to the executor  container destroyed
//! ```
//!
//! What the first task adds, the container has from its launch. While one change is under way the
//! next gathers: an executor with a thousand short tasks does not cost a thousand changes.

use tepui_protocol::mesos::v1::executor::{Event, event};
use tepui_protocol::mesos::v1::{TaskGroupInfo, TaskInfo};
use tepui_protocol::tepui::containerizer::Update;

use super::executor::{AgentTask, Executor, ExecutorState, Phase};
use super::launch::Work;
use super::{Core, Effect, NextChange, Purpose, Waiting, run};

impl Core {
    /// Gives an executor that is there one more task, or one more group of them.
    pub(super) fn queue(&mut self, framework: &str, id: &str, work: Work) {
        let Some(known) = self.frameworks.get(framework) else {
            return;
        };
        let info = known.info.clone();
        let group = work.group;
        let queued = work.queued(framework, &info);
        let agent = self.agent_id().to_owned();
        let Some(executor) = self.executor_mut(framework, id) else {
            return;
        };
        let state = executor.state;
        let container = executor.container.clone();
        executor.queue(queued.clone(), group);
        let run = run(&agent, framework, id, &container);
        for AgentTask { task, .. } in queued {
            let task_id = &task.task_id.value;
            if info.checkpoint() {
                self.write_message(self.paths.task_info(run, task_id), &task);
            }
            self.note_queued(framework, task_id);
        }
        if state == ExecutorState::Running {
            self.update_container(framework, id, Purpose::Deliver);
        }
    }

    /// An executor has subscribed: it gets what waits for it.
    pub(super) fn deliver_to_subscribed(&mut self, framework: &str, id: &str, first_time: bool) {
        let Some(executor) = self.executor(framework, id) else {
            return;
        };
        let launched_with = first_time
            && executor.tasks.len() == executor.launched_with
            && executor.completed.is_empty();
        let queued = executor.queued_tasks();
        if queued.is_empty() {
            return;
        }
        if launched_with || executor.generated {
            self.deliver(framework, id, &queued);
        } else {
            self.update_container(framework, id, Purpose::Deliver);
        }
    }

    /// Has the container get what its tasks need now, or once the change is done that is under
    /// way. Gives whether there is a container to ask.
    pub(super) fn update_container(&mut self, framework: &str, id: &str, purpose: Purpose) -> bool {
        let Some(executor) = self.executor(framework, id) else {
            return false;
        };
        if executor.state == ExecutorState::Terminated {
            return false;
        }
        let container = executor.container.clone();
        let mut under_way = self.waiting.values_mut();
        if let Some(before) = under_way.find(|waiting| waiting.container == container) {
            before.next.add(purpose);
            return true;
        }
        let mut change = NextChange::default();
        change.add(purpose);
        self.change_container(framework, id, change);
        true
    }

    /// Has the container get what its tasks need now.
    pub(super) fn change_container(&mut self, framework: &str, id: &str, change: NextChange) {
        let Some(executor) = self.executor(framework, id) else {
            return;
        };
        let container = executor.container.clone();
        let message = Update {
            container_id: super::container_id(&container),
            resources: executor.resources(),
            limits: executor.limits(),
        };
        let deliver = match change.deliver {
            true => executor.queued_tasks(),
            false => Vec::new(),
        };
        let number = self.number();
        self.effect(Effect::UpdateContainer(number, message));
        let waiting = Waiting {
            framework: framework.to_owned(),
            executor: id.to_owned(),
            container,
            tell: change.tell,
            deliver,
            next: NextChange::default(),
        };
        self.waiting.insert(number, waiting);
    }

    /// Gives an executor those of these tasks that it does not have, groups as a whole; who is
    /// away for the moment gets them when it subscribes again.
    pub(super) fn deliver(&mut self, framework: &str, id: &str, tasks: &[String]) {
        let Some(executor) = self.executor_mut(framework, id) else {
            return;
        };
        let Some(pid) = executor.pid.clone() else {
            return;
        };
        let mut events = Vec::new();
        for task in tasks {
            let group = executor.take_group(task);
            let infos = match group.is_empty() {
                true => hand_over(executor, std::slice::from_ref(task)),
                false => hand_over(executor, &group),
            };
            events.extend(launch_event(infos, !group.is_empty()));
        }
        for event in events {
            self.send_event(&pid, event);
        }
    }
}

/// Those of these tasks that the executor does not have; it has them from now on.
fn hand_over(executor: &mut Executor, tasks: &[String]) -> Vec<TaskInfo> {
    let mut infos = Vec::new();
    for task in tasks {
        if let Some(task) = executor.tasks.get_mut(task)
            && let Phase::Queued(info) = &mut task.phase
        {
            infos.push(std::mem::take(&mut **info));
            task.phase = Phase::Launched;
            executor.sent = true;
        }
    }
    infos
}

fn launch_event(mut tasks: Vec<TaskInfo>, group: bool) -> Option<Event> {
    if group {
        let task_group = TaskGroupInfo { tasks };
        return Some(Event {
            r#type: Some(event::Type::LaunchGroup as i32),
            launch_group: Some(event::LaunchGroup { task_group }),
            ..Event::default()
        });
    }
    Some(Event {
        r#type: Some(event::Type::Launch as i32),
        launch: Some(event::Launch { task: tasks.pop()? }),
        ..Event::default()
    })
}

impl NextChange {
    fn add(&mut self, purpose: Purpose) {
        match purpose {
            Purpose::Tell(update) => self.tell.push(*update),
            Purpose::Deliver => self.deliver = true,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tell.is_empty() && !self.deliver
    }
}
