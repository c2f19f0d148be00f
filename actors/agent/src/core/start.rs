//! The start of an executor: its sandbox is made, it and its first task or group are checkpointed
//! where the framework asks for it, and the containerizer is asked to launch.
//!
//! Not here: what becomes of the tasks once the executor subscribes (`delivery`).

use tepui_protocol::mesos::v1::task_status::Reason;
use tepui_protocol::mesos::v1::{ExecutorInfo, TaskInfo, TaskState};
use tepui_protocol::tepui::containerizer::{Launch, Launched};

use super::effect::Sandbox;
use super::environment::environment;
use super::executor::{AgentTask, Executor, ExecutorState, PendingTermination};
use super::framework::Framework;
use super::launch::Work;
use super::{Core, Effect, Note, Timer, Turn, command_executor, default_executor, run};
use crate::checkpoint::Write;

impl Core {
    /// Everything up to the launch of the container, for tasks that were looked at.
    pub(super) fn start_executor(&mut self, framework: &str, work: Work, turn: &mut Turn<'_>) {
        let Some(first) = work.tasks.first() else {
            return;
        };
        let Some(known) = self.frameworks.get(framework) else {
            return;
        };
        let framework_info = known.info.clone();
        let container = turn.uuid().to_string();
        let info = self.executor_info(&framework_info, first);
        let id = info.executor_id.value.clone();
        let agent = self.agent_id().to_owned();
        let run = run(&agent, framework, &id, &container);
        let directory = self.paths.sandbox(run);
        let generated = first.executor.is_none();
        let mut executor = Executor::new(
            info.clone(),
            generated,
            container.clone(),
            directory.clone(),
        );
        let user = executor.user(&framework_info);
        let user = self.options.switch_user.then_some(user);
        let group = work.group;
        let queued = work.queued(framework, &framework_info);
        executor.queue(queued.clone(), group);
        executor.launched_with = queued.len();

        self.keep(framework, &id);
        self.effect(Effect::Sandbox(Sandbox {
            container: container.clone(),
            directory: directory.clone(),
            latest: Some(self.paths.latest_sandbox(run)),
            within: None,
            owner: user.clone(),
        }));
        if framework_info.checkpoint() {
            self.write_message(self.paths.executor_info(run), &info);
            if generated {
                self.write_record(self.paths.generated_for_command_task(run), b"");
            }
            for AgentTask { task, .. } in &queued {
                let path = self.paths.task_info(run, &task.task_id.value);
                self.write_message(path, task);
            }
            let link = self.paths.meta_latest_run(run);
            self.effect(Effect::Disk(Write::Link {
                target: self.paths.meta_run(run),
                link,
            }));
        }

        let built_in = generated || executor.is_default();
        let mut command = match executor.is_default() {
            true => default_executor::command(&self.options.executor_binary),
            false => info.command.clone().unwrap_or_default(),
        };
        let myself = &self.myself;
        let environment = environment(&self.options, myself, &framework_info, &executor, run);
        command.environment = Some(environment);
        let launch = Launch {
            container_id: super::container_id(&container),
            command,
            container: info.container.clone(),
            resources: executor.resources(),
            limits: executor.limits(),
            directory: directory.display().to_string(),
            user,
            builtin_executor: Some(built_in),
            framework_id: super::framework_id(framework),
            executor_id: super::executor_id(&id),
            observer: Some(self.myself.to_string()),
        };
        if let Some(known) = self.frameworks.get_mut(framework) {
            known.executors.insert(id.clone(), executor);
        }
        let registering = ExecutorState::Registering;
        self.executor_state(framework, &id, registering, "container is launched");
        for AgentTask { task, .. } in &queued {
            self.note_queued(framework, &task.task_id.value);
        }
        self.effect(Effect::Launch(Box::new(launch)));
        let timer = Timer::ExecutorRegistration(container);
        self.timer_after(self.options.executor_registration_timeout, timer);
    }

    /// The framework's own, or the one that the agent makes for a command.
    fn executor_info(
        &self,
        framework: &tepui_protocol::mesos::v1::FrameworkInfo,
        task: &TaskInfo,
    ) -> ExecutorInfo {
        match &task.executor {
            Some(own) => ExecutorInfo {
                framework_id: own.framework_id.clone().or_else(|| framework.id.clone()),
                ..own.clone()
            },
            None => {
                let binary = self.options.executor_binary.display().to_string();
                command_executor::executor_info(framework, task, &binary)
            }
        }
    }

    pub(super) fn note_queued(&mut self, framework: &str, task: &str) {
        self.note(Note::Task {
            framework: framework.to_owned(),
            task: task.to_owned(),
            state: TaskState::TaskStaging,
            why: "queued for its executor".to_owned(),
        });
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
        executor.launched = true;
        let held = executor.nest.release();
        if let Some(pid) = pid.filter(|_| checkpoint) {
            let path = self
                .paths
                .forked_pid(run(&agent, &framework, &id, container));
            self.write_record(path, pid.to_string().as_bytes());
        }
        self.effects.extend(held);
    }
}
