//! A task from the master's RunTask to its executor: whether it may run here, and where; and a
//! group of them, which shares one fate until its executor has it.
//!
//! ```text
//!   RunTask ──────► valid? ──► with a command ─────────────────────► an executor is started for it
//!   RunTaskGroup ─►    │   └─► with an executor ──► none here ──────► it is started (`start`)
//!                      │                       └──► one lives here ─► it is queued (`delivery`)
//!                      └─► TASK_ERROR, or TASK_DROPPED (TASK_LOST); of a group all of them
//! ```

use std::collections::BTreeSet;

use tepui_containerizer::unsupported_task_fields;
use tepui_protocol::mesos::internal::{
    ResourceVersionUuid, RunTask, RunTaskGroup, UpdateFramework,
};
use tepui_protocol::mesos::v1::task_status::Reason;
use tepui_protocol::mesos::v1::{
    ExecutorInfo, FrameworkId, FrameworkInfo, Task, TaskInfo, TaskState,
};

use super::executor::{AgentTask, ExecutorState, Phase, is_default};
use super::framework::{Framework, lost_as};
use super::termination::NO_STATUS;
use super::{AgentState, Core, Note, Turn};
use crate::checkpoint::Paths;

/// Where a task goes.
enum Destination {
    /// To an executor that is to be started.
    New,
    /// To the executor with this id.
    Present(String),
}

/// What is given to an executor at one stroke: a task, or a group of them.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) tasks: Vec<TaskInfo>,
    pub(super) group: bool,
}

impl Work {
    /// The tasks as the agent keeps them until their executor has them.
    pub(super) fn queued(self, framework: &str, info: &FrameworkInfo) -> Vec<AgentTask> {
        let tasks = self.tasks.into_iter().map(|task| AgentTask {
            task: task_of(&task, framework, TaskState::TaskStaging, info),
            phase: Phase::Queued(Box::new(task)),
        });
        tasks.collect()
    }

    fn ids(&self) -> impl Iterator<Item = &str> {
        self.tasks.iter().map(|task| task.task_id.value.as_str())
    }

    /// For people.
    fn name(&self) -> String {
        let ids: Vec<&str> = self.ids().collect();
        let kind = if self.group { "task group" } else { "task" };
        format!("{kind} {}", ids.join(", "))
    }

    /// The executor of the framework's own that it is for.
    fn executor(&self) -> Option<&ExecutorInfo> {
        self.tasks.first()?.executor.as_ref()
    }

    /// What of it this agent cannot run.
    fn unsupported(&self) -> Option<String> {
        if self
            .tasks
            .iter()
            .any(|task| task.executor.as_ref() != self.executor())
        {
            return Some("task.executor: another than that of the group".to_owned());
        }
        let mut tasks = self.tasks.iter();
        tasks.find_map(|task| unsupported(task, self.group))
    }
}

/// What the master says with the tasks.
struct Order {
    framework: FrameworkInfo,
    pid: String,
    versions: Vec<ResourceVersionUuid>,
    /// What it believes: that the agent is to start an executor, or that it finds one.
    launch: Option<bool>,
}

impl Core {
    pub(super) fn run_task(&mut self, message: RunTask, turn: &mut Turn<'_>) {
        let order = Order {
            framework: message.framework,
            pid: message.pid.unwrap_or_default(),
            versions: message.resource_version_uuids,
            launch: message.launch_executor,
        };
        let work = Work {
            tasks: vec![message.task],
            group: false,
        };
        self.run(order, work, turn);
    }

    pub(super) fn run_task_group(&mut self, message: RunTaskGroup, turn: &mut Turn<'_>) {
        let order = Order {
            framework: message.framework,
            pid: String::new(),
            versions: message.resource_version_uuids,
            launch: message.launch_executor,
        };
        let executor = message.executor;
        if message.task_group.tasks.is_empty() {
            // There is nothing to run, and no executor to be started for it.
            self.refuse("a task group without tasks".to_owned());
            let framework = order.framework.id.unwrap_or_default().value;
            self.take_back_executor(&framework, Some(&executor), order.launch);
            return;
        }
        let tasks = message.task_group.tasks.into_iter().map(|task| TaskInfo {
            executor: task.executor.or_else(|| Some(executor.clone())),
            ..task
        });
        let work = Work {
            tasks: tasks.collect(),
            group: true,
        };
        self.run(order, work, turn);
    }

    fn run(&mut self, order: Order, work: Work, turn: &mut Turn<'_>) {
        let Some(framework) = self.may_run(&order.framework, &work) else {
            return;
        };
        let elsewhere = |task: &&TaskInfo| task.agent_id.value != self.agent_id();
        if let Some(task) = work.tasks.iter().find(elsewhere) {
            let other = &task.agent_id.value;
            self.refuse(format!("{} for agent {other}", work.name()));
            return;
        }
        self.know_framework(&framework, order.framework, order.pid);
        let stale = order.versions.iter().any(|version| {
            version.resource_provider_id.is_none() && version.uuid.value != self.resource_version
        });
        if let Some(why) = work.unsupported() {
            let reason = match work.group {
                true => Reason::TaskGroupInvalid,
                false => Reason::TaskInvalid,
            };
            for id in work.ids() {
                let status = self.status(id, TaskState::TaskError, reason, &why, turn);
                self.direct_update(&framework, status);
            }
            self.take_back_executor(&framework, work.executor(), order.launch);
        } else if work.ids().any(|id| self.has_task(&framework, id)) {
            let what = work.name();
            self.refuse(format!("{what} of framework {framework} a second time"));
        } else {
            let destination = if stale {
                let why = "Task assumes outdated resource state";
                Err((Reason::InvalidOffers, why.to_owned()))
            } else {
                self.destination(&framework, &work, order.launch)
            };
            match destination {
                Ok(Destination::New) => self.start_executor(&framework, work, turn),
                Ok(Destination::Present(executor)) => self.queue(&framework, &executor, work),
                Err((reason, why)) => {
                    for id in work.ids() {
                        self.drop_task(&framework, id, reason, &why, turn);
                    }
                    self.take_back_executor(&framework, work.executor(), order.launch);
                }
            }
        }
        self.forget_if_idle(&framework);
    }

    /// Which executor the tasks are for, where one may take them. `launch` is what the master
    /// believes: that the agent is to start one, or that it finds one.
    fn destination(
        &self,
        framework: &str,
        work: &Work,
        launch: Option<bool>,
    ) -> Result<Destination, (Reason, String)> {
        let Some(task) = work.tasks.first() else {
            return Ok(Destination::New);
        };
        let id = executor_id_of(task);
        let gone = |why: &str| Err((Reason::ExecutorTerminated, why.to_owned()));
        let Some(present) = self.executor(framework, id) else {
            return if launch == Some(false) {
                gone("No executor is expected to launch and there is no executor running")
            } else {
                Ok(Destination::New)
            };
        };
        if task.executor.is_none() || present.generated {
            let why = format!("'{id}' is the id of an executor that is still here");
            return Err((Reason::TaskInvalid, why));
        }
        match present.state {
            ExecutorState::Terminating | ExecutorState::Terminated => gone("Executor terminating"),
            _ if launch == Some(true) => gone("The executor to be launched exists already"),
            ExecutorState::Registering | ExecutorState::Running => {
                Ok(Destination::Present(id.to_owned()))
            }
        }
    }

    fn has_task(&self, framework: &str, task: &str) -> bool {
        self.frameworks.get(framework).is_some_and(|known| {
            let mut executors = known.executors.values();
            known.strays.contains(task) || executors.any(|e| e.tasks.contains(task))
        })
    }

    fn drop_task(
        &mut self,
        framework: &str,
        task: &str,
        reason: Reason,
        why: &str,
        turn: &mut Turn<'_>,
    ) {
        let known = self.frameworks.get(framework);
        let info = known.map(|known| known.info.clone()).unwrap_or_default();
        let state = lost_as(&info, TaskState::TaskDropped);
        let status = self.status(task, state, reason, why, turn);
        self.direct_update(framework, status);
    }

    /// The master counts an executor that it had launched with a task: it is told that there is
    /// none, unless there is one whose end it will be told.
    fn take_back_executor(
        &mut self,
        framework: &str,
        executor: Option<&ExecutorInfo>,
        launch: Option<bool>,
    ) {
        let Some(info) = executor else { return };
        let alive = self
            .executor(framework, &info.executor_id.value)
            .is_some_and(|present| present.state != ExecutorState::Terminated);
        if launch == Some(true) && !alive {
            self.exited_executor(framework, &info.executor_id.value, NO_STATUS);
        }
    }

    /// The framework's id, if its tasks may be looked at at all.
    fn may_run(&mut self, info: &FrameworkInfo, work: &Work) -> Option<String> {
        let framework = info
            .id
            .as_ref()
            .map(|id| id.value.clone())
            .unwrap_or_default();
        let why = if !matches!(self.state, AgentState::Disconnected | AgentState::Running) {
            format!("while {:?}", self.state)
        } else if !self.is_heard_of_new_tasks() {
            "the master was told what runs here, and it is not among it".to_owned()
        } else if !Paths::is_segment(&framework) || !work.ids().all(Paths::is_segment) {
            "its ids are no valid ids".to_owned()
        } else if work.ids().collect::<BTreeSet<_>>().len() < work.tasks.len() {
            "an id is there twice".to_owned()
        } else if self
            .frameworks
            .get(&framework)
            .is_some_and(|known| known.terminating)
        {
            "its framework is terminating".to_owned()
        } else {
            return Some(framework);
        };
        let what = work.name();
        self.refuse(format!("{what} of framework '{framework}': {why}"));
        None
    }

    fn refuse(&mut self, what: String) {
        self.note(Note::Refused {
            what,
            update: false,
        });
    }

    /// Makes the framework known, and checkpoints it if it asks for that.
    fn know_framework(&mut self, framework: &str, info: FrameworkInfo, pid: String) {
        if self.frameworks.contains_key(framework) {
            return;
        }
        let mut known = Framework::new(info, pid);
        // One that ended here takes along what is remembered of it, so that it is remembered once
        // (as by Mesos' agent).
        let mut ended = self.completed.iter();
        if let Some(place) = ended.position(|ended| ended.has_id(framework)) {
            let past = self.completed.remove(place);
            known.completed = past.map(|ended| ended.completed).unwrap_or_default();
        }
        self.frameworks.insert(framework.to_owned(), known);
        self.note(Note::Framework {
            framework: framework.to_owned(),
            what: "added",
        });
        self.checkpoint_framework(framework);
    }

    fn checkpoint_framework(&mut self, framework: &str) {
        let Some(known) = self.frameworks.get(framework) else {
            return;
        };
        if known.checkpoint() {
            let (info, pid) = (known.info.clone(), known.pid.clone());
            let agent = self.agent_id().to_owned();
            self.write_message(self.paths.framework_info(&agent, framework), &info);
            self.write_record(self.paths.framework_pid(&agent, framework), pid.as_bytes());
        }
    }

    pub(super) fn update_framework(&mut self, message: UpdateFramework) {
        let framework = message.framework_id.value;
        let Some(known) = self.frameworks.get_mut(&framework) else {
            return;
        };
        if known.terminating {
            return;
        }
        let pid = message.pid.unwrap_or_default();
        let info = message.framework_info.unwrap_or_else(|| known.info.clone());
        // Whether a framework is checkpointed cannot change, only be told wrongly.
        let info = FrameworkInfo {
            id: Some(FrameworkId {
                value: framework.clone(),
            }),
            checkpoint: known.info.checkpoint,
            ..info
        };
        if known.pid != pid || known.info != info {
            known.pid = pid;
            known.info = info;
            self.changed.insert((framework.clone(), String::new()));
            self.note(Note::Framework {
                framework: framework.clone(),
                what: "updated",
            });
            self.checkpoint_framework(&framework);
        }
        let actions = self.updates.resume_framework(&framework);
        self.carry(actions);
    }
}

/// The Task of a TaskInfo: Mesos' `protobuf::createTask`.
#[must_use]
pub(super) fn task_of(
    info: &TaskInfo,
    framework: &str,
    state: TaskState,
    framework_info: &FrameworkInfo,
) -> Task {
    let executor = info.executor.as_ref();
    let command = info
        .command
        .as_ref()
        .or_else(|| executor.and_then(|executor| executor.command.as_ref()));
    let user = command.and_then(|command| command.user.clone());
    Task {
        name: info.name.clone(),
        task_id: info.task_id.clone(),
        framework_id: super::framework_id(framework),
        executor_id: info
            .executor
            .as_ref()
            .map(|executor| executor.executor_id.clone()),
        agent_id: info.agent_id.clone(),
        state: state as i32,
        resources: info.resources.clone(),
        limits: info.limits.clone(),
        labels: info.labels.clone(),
        discovery: info.discovery.clone(),
        container: info.container.clone(),
        health_check: info.health_check.clone(),
        kill_policy: info.kill_policy,
        user: user.or_else(|| Some(framework_info.user.clone())),
        ..Task::default()
    }
}

/// The id of the executor that a task is for: a command task's is its own.
fn executor_id_of(task: &TaskInfo) -> &str {
    match &task.executor {
        Some(executor) => &executor.executor_id.value,
        None => &task.task_id.value,
    }
}

/// What of a task this agent cannot run, by the name of the field. The master refuses such tasks
/// first; an agent does not rely on that.
fn unsupported(task: &TaskInfo, group: bool) -> Option<String> {
    match (&task.command, &task.executor) {
        (Some(_), Some(_)) if !group => {
            return Some("task.executor: there is task.command, too".to_owned());
        }
        (None, None) => return Some("task.command: missing, and so is task.executor".to_owned()),
        (command, Some(executor)) if is_default(executor) => {
            if !group {
                return Some("task.executor.type: DEFAULT is for groups of tasks".to_owned());
            }
            if command.is_none() {
                return Some("task.command: missing".to_owned());
            }
        }
        (_, Some(executor)) if executor.command.is_none() => {
            return Some("task.executor.command: missing".to_owned());
        }
        (Some(_), None) | (_, Some(_)) => {}
    }
    if let Some(executor) = &task.executor
        && !Paths::is_segment(&executor.executor_id.value)
    {
        return Some("task.executor.executor_id: not a valid id".to_owned());
    }
    match unsupported_task_fields(task) {
        fields if fields.is_empty() => None,
        fields => Some(format!(
            "this agent cannot honour task.{}",
            fields.join(", task.")
        )),
    }
}
