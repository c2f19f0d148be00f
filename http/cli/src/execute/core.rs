//! What `tepui execute` does with the master's events, decided without any I/O.
//!
//! ```text
//!   waiting --offer that fits--> launched --RUNNING, --kill_after--> killed later
//!                                   |                                    |
//!                                   +- terminal update of the last task -+--> over
//! ```

use std::{collections::BTreeSet, time::Duration};

use tepui_protocol::{
    mesos::v1::{
        AgentId, ExecutorInfo, FrameworkId, FrameworkInfo, Offer, Resource, TaskGroupInfo, TaskId,
        TaskInfo, TaskState, TaskStatus,
        offer::{Operation, operation},
        scheduler::{Call, Event, call, event},
    },
    resources::Resources,
};

use crate::run::{is_terminal, take};

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    /// A line for the user.
    Print(String),
    /// A line for the user that is no result.
    Warn(String),
    /// A call to the master.
    Call(Box<Call>),
    /// Call [`Core::kill`] after this time.
    KillAfter(Duration),
    /// All is over; whether the task finished.
    Finish(bool),
}

/// What is launched: without agents, its resources are what it needs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Work {
    /// One task.
    Task(Box<TaskInfo>),
    /// Tasks that share one fate, and the executor that runs them.
    Group(Box<ExecutorInfo>, Vec<TaskInfo>),
}

impl Work {
    fn tasks(&self) -> &[TaskInfo] {
        match self {
            Self::Task(task) => std::slice::from_ref(task),
            Self::Group(_, tasks) => tasks,
        }
    }

    /// For people.
    fn name(&self) -> String {
        let ids = self.tasks().iter();
        let ids: Vec<String> = ids.map(|it| format!("'{}'", it.task_id.value)).collect();
        match self {
            Self::Task(_) => format!("task {}", ids.join(", ")),
            Self::Group(..) => format!("task group with tasks [ {} ]", ids.join(", ")),
        }
    }
}

/// One task or group, and its framework.
#[derive(Debug)]
pub(crate) struct Core {
    framework: FrameworkInfo,
    work: Work,
    kill_after: Option<Duration>,
    /// Where it was launched.
    agent_id: Option<AgentId>,
    kill_is_set: bool,
    /// The tasks that have not ended.
    open: BTreeSet<String>,
    /// Whether all that ended have finished.
    finished: bool,
}

impl Core {
    /// A framework that is not subscribed, with work that is not launched.
    pub(crate) fn new(framework: FrameworkInfo, work: Work, kill_after: Option<Duration>) -> Self {
        let tasks = work.tasks().iter();
        Self {
            framework,
            open: tasks.map(|task| task.task_id.value.clone()).collect(),
            work,
            kill_after,
            agent_id: None,
            kill_is_set: false,
            finished: true,
        }
    }

    /// The call that subscribes, for the first time or again.
    pub(crate) fn subscribe(&self) -> Call {
        Call {
            framework_id: self.framework.id.clone(),
            r#type: Some(call::Type::Subscribe.into()),
            subscribe: Some(call::Subscribe {
                framework_info: self.framework.clone(),
                ..call::Subscribe::default()
            }),
            ..Call::default()
        }
    }

    /// The master says something.
    pub(crate) fn event(&mut self, event: Event) -> Vec<Effect> {
        match event.r#type() {
            event::Type::Subscribed => {
                let id = event.subscribed.map(|it| it.framework_id);
                self.subscribed(id.unwrap_or_default())
            }
            event::Type::Offers => self.offered(event.offers.unwrap_or_default().offers),
            event::Type::Update => match event.update {
                Some(update) => self.updated(&update.status),
                None => Vec::new(),
            },
            event::Type::Error => {
                let message = event.error.map(|error| error.message).unwrap_or_default();
                vec![
                    Effect::Warn(format!("Received an ERROR event: {message}")),
                    Effect::Finish(false),
                ]
            }
            _ => Vec::new(),
        }
    }

    /// It ran for as long as it may.
    pub(crate) fn kill(&self) -> Vec<Effect> {
        let kill = |id: &String| {
            let task_id = TaskId { value: id.clone() };
            let call = self.call(Call {
                r#type: Some(call::Type::Kill.into()),
                kill: Some(call::Kill {
                    task_id,
                    agent_id: self.agent_id.clone(),
                    ..call::Kill::default()
                }),
                ..Call::default()
            });
            [Effect::Print(format!("Asked to kill task '{id}'")), call]
        };
        self.open.iter().flat_map(kill).collect()
    }

    fn call(&self, call: Call) -> Effect {
        Effect::Call(Box::new(Call {
            framework_id: self.framework.id.clone(),
            ..call
        }))
    }

    fn subscribed(&mut self, id: FrameworkId) -> Vec<Effect> {
        let mut effects = vec![Effect::Print(format!("Subscribed with ID {}", id.value))];
        self.framework.id = Some(id);
        if self.agent_id.is_some() {
            // What was said while the connection was broken is asked for.
            let task = |id: &String| call::reconcile::Task {
                task_id: TaskId { value: id.clone() },
                agent_id: self.agent_id.clone(),
            };
            let tasks = self.open.iter().map(task).collect();
            effects.push(self.call(Call {
                r#type: Some(call::Type::Reconcile.into()),
                reconcile: Some(call::Reconcile { tasks }),
                ..Call::default()
            }));
        }
        effects
    }

    fn offered(&mut self, offers: Vec<Offer>) -> Vec<Effect> {
        let mut effects = Vec::new();
        let mut declined = Vec::new();
        for offer in offers {
            match self.fit(&offer) {
                Some(launch) => effects.extend(self.launch(offer, launch)),
                None => declined.push(offer.id),
            }
        }
        if !declined.is_empty() {
            effects.push(self.call(Call {
                r#type: Some(call::Type::Decline.into()),
                decline: Some(call::Decline {
                    offer_ids: declined,
                    ..call::Decline::default()
                }),
                ..Call::default()
            }));
        }
        effects
    }

    /// The launch with resources of this offer, if it is still to be done and fits.
    fn fit(&self, offer: &Offer) -> Option<Operation> {
        if self.agent_id.is_some() {
            return None;
        }
        let mut left = Resources::from_proto(&offer.resources).ok()?;
        let mut cut = |resources: &mut Vec<Resource>| {
            let needed = Resources::from_proto(&*resources).ok()?;
            let taken = take(&left, &needed)?;
            left -= &taken;
            *resources = taken.to_proto();
            Some(())
        };
        let mut launched = |task: &TaskInfo| {
            let mut task = task.clone();
            task.agent_id = offer.agent_id.clone();
            cut(&mut task.resources)?;
            Some(task)
        };
        Some(match &self.work {
            Work::Task(task) => Operation {
                r#type: Some(operation::Type::Launch.into()),
                launch: Some(operation::Launch {
                    task_infos: vec![launched(task)?],
                }),
                ..Operation::default()
            },
            Work::Group(executor, tasks) => {
                let tasks = tasks.iter().map(launched).collect::<Option<_>>()?;
                let mut executor = ExecutorInfo::clone(executor);
                executor.framework_id = self.framework.id.clone();
                cut(&mut executor.resources)?;
                Operation {
                    r#type: Some(operation::Type::LaunchGroup.into()),
                    launch_group: Some(operation::LaunchGroup {
                        executor,
                        task_group: TaskGroupInfo { tasks },
                    }),
                    ..Operation::default()
                }
            }
        })
    }

    fn launch(&mut self, offer: Offer, launch: Operation) -> Vec<Effect> {
        self.agent_id = Some(offer.agent_id.clone());
        let (what, agent) = (self.work.name(), &offer.agent_id.value);
        let line = format!("Submitted {what} to agent '{agent}'");
        vec![
            self.call(Call {
                r#type: Some(call::Type::Accept.into()),
                accept: Some(call::Accept {
                    offer_ids: vec![offer.id],
                    operations: vec![launch],
                    ..call::Accept::default()
                }),
                ..Call::default()
            }),
            Effect::Print(line),
        ]
    }

    fn updated(&mut self, status: &TaskStatus) -> Vec<Effect> {
        let mut effects = vec![Effect::Print(lines(status))];
        if let (Some(uuid), Some(agent_id)) = (&status.uuid, &status.agent_id) {
            effects.push(self.call(Call {
                r#type: Some(call::Type::Acknowledge.into()),
                acknowledge: Some(call::Acknowledge {
                    agent_id: agent_id.clone(),
                    task_id: status.task_id.clone(),
                    uuid: uuid.clone(),
                }),
                ..Call::default()
            }));
        }
        if status.state() == TaskState::TaskRunning
            && !self.kill_is_set
            && let Some(after) = self.kill_after
        {
            self.kill_is_set = true;
            effects.push(Effect::KillAfter(after));
        }
        if is_terminal(status.state()) && self.open.remove(&status.task_id.value) {
            self.finished &= status.state() == TaskState::TaskFinished;
            if self.open.is_empty() {
                effects.push(self.call(Call {
                    r#type: Some(call::Type::Teardown.into()),
                    ..Call::default()
                }));
                effects.push(Effect::Finish(self.finished));
            }
        }
        effects
    }
}

/// What the user is told of an update.
fn lines(status: &TaskStatus) -> String {
    let mut text = format!(
        "Received status update {} for task '{}'",
        status.state().as_str_name(),
        status.task_id.value
    );
    if let Some(message) = &status.message {
        text += &format!("\n  message: '{message}'");
    }
    if status.source.is_some() {
        text += &format!("\n  source: {}", status.source().as_str_name());
    }
    if status.reason.is_some() {
        text += &format!("\n  reason: {}", status.reason().as_str_name());
    }
    if let Some(healthy) = status.healthy {
        text += &format!("\n  healthy?: {}", u8::from(healthy));
    }
    text
}

#[cfg(test)]
#[path = "core_tests.rs"]
mod tests;
