//! An executor's container has ended, or must end; and what that means for its tasks.

use tepui_protocol::mesos::internal::ExitedExecutor;
use tepui_protocol::mesos::v1::TaskState;
use tepui_protocol::mesos::v1::task_status::Reason;
use tepui_protocol::tepui::containerizer::Terminated;

use super::environment::duration_text;
use super::executor::{ExecutorState, PendingTermination};
use super::framework::Framework;
use super::limitation::limitation;
use super::{
    AgentState, Core, Effect, MAX_COMPLETED_FRAMEWORKS, Note, Outbound, Turn, executor_id,
    framework_id, run,
};
use crate::checkpoint::Folder;

/// The exit status of an executor where nobody knows one (Mesos' -1).
pub(super) const NO_STATUS: i32 = -1;

impl Core {
    pub(super) fn container_terminated(&mut self, terminated: Terminated, turn: &mut Turn<'_>) {
        if let Some(error) = &terminated.error {
            self.note(Note::Info(format!(
                "something of container {} is left: {error}",
                terminated.container_id
            )));
        }
        if terminated.container_id.parent.is_some() {
            self.nested_terminated(terminated);
            return;
        }
        self.explain_waiting(&terminated);
        if let Some((framework, id)) = self.run_of(&terminated.container_id.value) {
            self.executor_terminated(&framework, &id, Some(&terminated), turn);
        }
    }

    /// The executor is no more: its tasks that have not ended get their last update.
    pub(super) fn executor_terminated(
        &mut self,
        framework: &str,
        id: &str,
        terminated: Option<&Terminated>,
        turn: &mut Turn<'_>,
    ) {
        let Some(executor) = self.executor_mut(framework, id) else {
            return;
        };
        if executor.state == ExecutorState::Terminated {
            return;
        }
        executor.pid = None;
        executor.recovered = false;
        self.forget_nested(framework, id);
        let Some(executor) = self.executor_mut(framework, id) else {
            return;
        };
        let live = executor.live_tasks();
        let generated = executor.generated;
        let end = ending(executor.pending_termination.as_ref(), terminated);
        self.executor_state(framework, id, ExecutorState::Terminated, &end.message);
        let limited = terminated.and_then(|ended| limitation(&ended.limited_resources));
        if !generated {
            let status = terminated.and_then(|terminated| terminated.status);
            self.exited_executor(framework, id, status.unwrap_or(NO_STATUS));
        }
        let terminating = self
            .frameworks
            .get(framework)
            .is_some_and(|known| known.terminating);
        // Nobody would acknowledge what is told of a terminating framework's tasks.
        for task in live.iter().filter(|_| !terminating) {
            let mut status = self.status(task, end.state, end.reason, &end.message, turn);
            status.executor_id = Some(executor_id(id));
            status.limitation.clone_from(&limited);
            self.agent_update(framework, id, status);
        }
        let empty = self
            .executor(framework, id)
            .is_some_and(|known| known.tasks.is_empty());
        if terminating || empty {
            self.remove_executor(framework, id);
            self.forget_if_idle(framework);
        }
    }

    /// The master is told that an executor is no more, and with what wait status it ended.
    pub(super) fn exited_executor(&mut self, framework: &str, id: &str, status: i32) {
        let exited = ExitedExecutor {
            agent_id: self.info.id.clone().unwrap_or_default(),
            framework_id: framework_id(framework),
            executor_id: executor_id(id),
            status,
        };
        self.tell_again_once_registered(&exited);
        self.tell_master(Outbound::ExitedExecutor(exited));
    }

    /// The executor in this container has not subscribed in time.
    pub(super) fn registration_timeout(&mut self, container: &str) {
        let Some((framework, id)) = self.run_of(container) else {
            return;
        };
        let registering = self.executor(&framework, &id).is_some_and(|executor| {
            executor.state == ExecutorState::Registering && !executor.recovered
        });
        if registering {
            let within = duration_text(self.options.executor_registration_timeout);
            let pending = PendingTermination {
                state: TaskState::TaskFailed,
                reason: Reason::ExecutorRegistrationTimeout,
                message: format!("Executor did not register within {within}"),
            };
            self.destroy(&framework, &id, pending);
        }
    }

    /// Ends the container at once; its tasks end as `pending` says unless the containerizer
    /// knows better.
    pub(super) fn destroy(&mut self, framework: &str, id: &str, pending: PendingTermination) {
        let why = pending.message.clone();
        self.set_pending_termination(framework, id, pending);
        self.executor_state(framework, id, ExecutorState::Terminating, &why);
        if let Some(executor) = self.executor(framework, id) {
            let container = executor.container.clone();
            self.effect(Effect::Destroy(container));
        }
    }

    /// The first cause counts.
    pub(super) fn set_pending_termination(
        &mut self,
        framework: &str,
        id: &str,
        pending: PendingTermination,
    ) {
        if let Some(executor) = self.executor_mut(framework, id) {
            executor.pending_termination.get_or_insert(pending);
        }
    }

    /// The executor becomes a memory.
    pub(super) fn remove_executor(&mut self, framework: &str, id: &str) {
        self.changed.insert((framework.to_owned(), id.to_owned()));
        let agent = self.agent_id().to_owned();
        let Some(known) = self.frameworks.get_mut(framework) else {
            return;
        };
        let Some(mut executor) = known.executors.remove(id) else {
            return;
        };
        let ids: Vec<String> = executor.tasks.iter().map(|(id, _)| id.clone()).collect();
        for task in ids {
            executor.complete_task(&task);
        }
        let container = executor.container.clone();
        let checkpoint = known.checkpoint();
        known.complete(executor, self.options.max_completed_executors_per_framework);
        if checkpoint {
            self.write_record(
                self.paths.sentinel(run(&agent, framework, id, &container)),
                b"",
            );
        }
        for folder in [
            Folder::run(&agent, framework, id, &container),
            Folder::executor(&agent, framework, id),
        ] {
            self.ended(folder);
        }
    }

    /// A framework of which nothing is left becomes a memory, too.
    pub(super) fn forget_if_idle(&mut self, framework: &str) {
        if !self
            .frameworks
            .get(framework)
            .is_some_and(Framework::is_idle)
        {
            return;
        }
        let agent = self.agent_id().to_owned();
        if let Some(known) = self.frameworks.remove(framework) {
            self.ended(Folder::framework(&agent, framework));
            if self.completed.len() == MAX_COMPLETED_FRAMEWORKS {
                self.completed.pop_front();
            }
            self.completed.push_back(known);
        }
        self.note(Note::Framework {
            framework: framework.to_owned(),
            what: "removed",
        });
        if self.state == AgentState::Terminating && self.frameworks.is_empty() {
            self.effect(Effect::Exit(Ok("all frameworks are shut down".to_owned())));
        }
    }
}

/// How the tasks of an ended executor end (Mesos' `sendExecutorTerminatedStatusUpdate`).
fn ending(pending: Option<&PendingTermination>, ended: Option<&Terminated>) -> PendingTermination {
    let state = ended
        .and_then(|ended| ended.state)
        .and_then(|state| TaskState::try_from(state).ok())
        .or_else(|| pending.map(|pending| pending.state));
    let reason = ended
        .and_then(|ended| ended.reason)
        .and_then(|reason| Reason::try_from(reason).ok())
        .or_else(|| pending.map(|pending| pending.reason));
    let message = ended
        .and_then(|ended| ended.message.clone())
        .or_else(|| pending.map(|pending| pending.message.clone()));
    PendingTermination {
        state: state.unwrap_or(TaskState::TaskFailed),
        reason: reason.unwrap_or(Reason::ExecutorTerminated),
        message: message.unwrap_or_else(|| "Executor terminated".to_owned()),
    }
}
