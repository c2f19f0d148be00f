//! A task from the master's RunTask to the moment its executor gets it.
//!
//! Each command task gets an executor of its own: the sandbox is made, the executor and the task
//! are checkpointed where the framework asks for it, the containerizer is asked to launch, and
//! the task waits until the executor subscribes.

use tepui_containerizer::unsupported_task_fields;
use tepui_protocol::mesos::internal::{RunTask, RunTaskGroup, UpdateFramework};
use tepui_protocol::mesos::v1::executor::{Event, event};
use tepui_protocol::mesos::v1::task_status::Reason;
use tepui_protocol::mesos::v1::{FrameworkId, FrameworkInfo, Task, TaskInfo, TaskState};
use tepui_protocol::tepui::containerizer::{Launch, Launched};

use super::effect::Sandbox;
use super::executor::{AgentTask, Executor, ExecutorState, PendingTermination, Phase};
use super::framework::{Framework, lost_as};
use super::{AgentState, Core, Effect, Note, Timer, Turn, command_executor, run};
use crate::checkpoint::{Paths, Write};

impl Core {
    pub(super) fn run_task(&mut self, message: RunTask, turn: &mut Turn<'_>) {
        let RunTask {
            framework: info,
            task,
            pid,
            resource_version_uuids,
            ..
        } = message;
        let id = &task.task_id.value;
        let Some(framework) = self.may_run(&info, id) else {
            return;
        };
        if task.agent_id.value != self.agent_id() {
            self.refuse(format!("task {id} for agent {}", task.agent_id.value));
            return;
        }
        self.know_framework(&framework, info, pid.unwrap_or_default());
        let stale = resource_version_uuids.iter().any(|version| {
            version.resource_provider_id.is_none() && version.uuid.value != self.resource_version
        });
        let drop = if stale {
            Some((
                Reason::InvalidOffers,
                "Task assumes outdated resource state".to_owned(),
            ))
        } else if self.executor(&framework, id).is_some() {
            let why = format!("Task '{id}' reuses the id of an executor that is still here");
            Some((Reason::TaskInvalid, why))
        } else {
            None
        };
        if let Some((reason, why)) = drop {
            let info = self
                .frameworks
                .get(&framework)
                .map(|known| known.info.clone());
            let state = lost_as(&info.unwrap_or_default(), TaskState::TaskDropped);
            let status = self.status(id, state, reason, &why, turn);
            self.direct_update(&framework, status);
        } else if let Some(why) = unsupported(&task) {
            let status = self.status(id, TaskState::TaskError, Reason::TaskInvalid, &why, turn);
            self.direct_update(&framework, status);
        } else {
            self.launch(&framework, task, turn);
        }
        self.forget_if_idle(&framework);
    }

    pub(super) fn run_task_group(&mut self, message: RunTaskGroup, turn: &mut Turn<'_>) {
        let info = message.framework;
        for task in &message.task_group.tasks {
            let id = &task.task_id.value;
            let Some(framework) = self.may_run(&info, id) else {
                continue;
            };
            self.know_framework(&framework, info.clone(), String::new());
            let why = "task_group: this agent has no default executor and runs single tasks only";
            let status = self.status(
                id,
                TaskState::TaskError,
                Reason::TaskGroupInvalid,
                why,
                turn,
            );
            self.direct_update(&framework, status);
        }
    }

    /// The framework's id, if its task may be looked at at all.
    fn may_run(&mut self, info: &FrameworkInfo, task: &str) -> Option<String> {
        let framework = info
            .id
            .as_ref()
            .map(|id| id.value.clone())
            .unwrap_or_default();
        let why = if !matches!(self.state, AgentState::Disconnected | AgentState::Running) {
            format!("while {:?}", self.state)
        } else if !Paths::is_segment(&framework) || !Paths::is_segment(task) {
            "its ids are no valid ids".to_owned()
        } else if self
            .frameworks
            .get(&framework)
            .is_some_and(|known| known.terminating)
        {
            "its framework is terminating".to_owned()
        } else {
            return Some(framework);
        };
        self.refuse(format!("task '{task}' of framework '{framework}': {why}"));
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
        self.frameworks
            .insert(framework.to_owned(), Framework::new(info, pid));
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
            self.note(Note::Framework {
                framework: framework.clone(),
                what: "updated",
            });
            self.checkpoint_framework(&framework);
        }
        let actions = self.updates.resume_framework(&framework);
        self.carry(actions);
    }

    /// Everything up to the launch of the container, for a task that was looked at.
    fn launch(&mut self, framework: &str, task: TaskInfo, turn: &mut Turn<'_>) {
        let Some(known) = self.frameworks.get(framework) else {
            return;
        };
        let framework_info = known.info.clone();
        let container = turn.uuid().to_string();
        let binary = self.options.executor_binary.display().to_string();
        let info = command_executor::executor_info(&framework_info, &task, &binary);
        let id = info.executor_id.value.clone();
        let agent = self.agent_id().to_owned();
        let run = run(&agent, framework, &id, &container);
        let directory = self.paths.sandbox(run);
        let user = self
            .options
            .switch_user
            .then(|| user_of(&framework_info, &task));

        let mut executor = Executor::new(info.clone(), true, container.clone(), directory.clone());
        let queued = AgentTask {
            task: task_of(&task, framework, TaskState::TaskStaging, &framework_info),
            phase: Phase::Queued(Box::new(task.clone())),
        };
        executor
            .tasks
            .insert(task.task_id.value.clone(), queued.clone());
        let resources = executor.resources();

        self.effect(Effect::Sandbox(Sandbox {
            container: container.clone(),
            directory: directory.clone(),
            latest: self.paths.latest_sandbox(run),
            owner: user.clone(),
        }));
        if framework_info.checkpoint() {
            self.write_message(self.paths.executor_info(run), &info);
            self.write_record(self.paths.generated_for_command_task(run), b"");
            self.write_message(self.paths.task_info(run, &task.task_id.value), &queued.task);
            let link = self.paths.meta_latest_run(run);
            self.effect(Effect::Disk(Write::Link {
                target: self.paths.meta_run(run),
                link,
            }));
        }

        let text = directory.display().to_string();
        let environment = command_executor::environment(
            &self.options,
            &self.myself,
            &framework_info,
            &info,
            run,
            &text,
        );
        let mut command = info.command.clone().unwrap_or_default();
        command.environment = Some(environment);
        let launch = Launch {
            container_id: super::container_id(&container),
            command,
            container: info.container.clone(),
            resources,
            limits: task.limits.clone(),
            directory: text,
            user,
            builtin_executor: Some(true),
            framework_id: super::framework_id(framework),
            executor_id: super::executor_id(&id),
            observer: Some(self.myself.to_string()),
        };
        if let Some(known) = self.frameworks.get_mut(framework) {
            known.executors.insert(id.clone(), executor);
        }
        self.executor_state(
            framework,
            &id,
            ExecutorState::Registering,
            "container is launched",
        );
        self.note(Note::Task {
            framework: framework.to_owned(),
            task: task.task_id.value.clone(),
            state: TaskState::TaskStaging,
            why: "queued for its executor".to_owned(),
        });
        self.effect(Effect::Launch(Box::new(launch)));
        let timer = Timer::ExecutorRegistration(container);
        self.timer_after(self.options.executor_registration_timeout, timer);
    }

    /// The containerizer answered.
    pub(super) fn launched(
        &mut self,
        container: &str,
        launched: Result<Launched, String>,
        turn: &mut Turn<'_>,
    ) {
        let Some((framework, id)) = self.run_of(container) else {
            // Its executor was given up while the launch went on.
            self.effect(Effect::Destroy(container.to_owned()));
            return;
        };
        let (pid, error) = match launched {
            Ok(Launched {
                error: None, pid, ..
            }) => (pid, None),
            Ok(Launched {
                error: Some(error), ..
            }) => (None, Some(error)),
            Err(error) => {
                // Nobody knows what of it is there.
                self.effect(Effect::Destroy(container.to_owned()));
                (None, Some(error))
            }
        };
        if let Some(error) = error {
            self.note(Note::LaunchFailed {
                container: container.to_owned(),
                error: error.clone(),
            });
            self.set_pending_termination(
                &framework,
                &id,
                PendingTermination {
                    state: TaskState::TaskFailed,
                    reason: Reason::ContainerLaunchFailed,
                    message: format!("Failed to launch container: {error}"),
                },
            );
            self.executor_terminated(&framework, &id, None, turn);
            return;
        }
        let agent = self.agent_id().to_owned();
        let checkpoint = self
            .frameworks
            .get(&framework)
            .is_some_and(Framework::checkpoint);
        let Some(executor) = self.executor_mut(&framework, &id) else {
            return;
        };
        executor.forked_pid = pid;
        if let Some(pid) = pid.filter(|_| checkpoint) {
            let path = self
                .paths
                .forked_pid(run(&agent, &framework, &id, container));
            self.write_record(path, pid.to_string().as_bytes());
        }
    }

    /// Gives a subscribed executor the tasks that wait for it.
    pub(super) fn deliver_queued(&mut self, framework: &str, id: &str) {
        let Some(executor) = self.executor_mut(framework, id) else {
            return;
        };
        let Some(pid) = executor.pid.clone() else {
            return;
        };
        let mut events = Vec::new();
        for task in executor.tasks.values_mut() {
            if let Phase::Queued(info) = &mut task.phase {
                let info = std::mem::take(&mut **info);
                task.phase = Phase::Launched;
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

/// The Task of a TaskInfo: Mesos' `protobuf::createTask`.
#[must_use]
pub(super) fn task_of(
    info: &TaskInfo,
    framework: &str,
    state: TaskState,
    framework_info: &FrameworkInfo,
) -> Task {
    let user = info
        .command
        .as_ref()
        .and_then(|command| command.user.clone());
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

/// The user as whom an executor runs.
fn user_of(framework: &FrameworkInfo, task: &TaskInfo) -> String {
    let user = task
        .command
        .as_ref()
        .and_then(|command| command.user.clone());
    user.unwrap_or_else(|| framework.user.clone())
}

/// What of a task this agent cannot run, by the name of the field. The master refuses such tasks
/// first; an agent does not rely on that.
fn unsupported(task: &TaskInfo) -> Option<String> {
    if task.executor.is_some() {
        return Some("task.executor: this agent runs tasks with a command only".to_owned());
    }
    if task.command.is_none() {
        return Some("task.command: missing, and so is task.executor".to_owned());
    }
    match unsupported_task_fields(task) {
        fields if fields.is_empty() => None,
        fields => Some(format!(
            "this agent cannot honour task.{}",
            fields.join(", task.")
        )),
    }
}
