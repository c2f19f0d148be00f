//! A status update from its executor, or from the agent itself, to the update manager; and its
//! acknowledgement.
//!
//! ```text
//!   executor's ──► valid? ──► task's state ──► terminal: container's limits lowered ──┐
//!   agent's own ────────────────────┘                     │                          ▼
//!                                                         └────► update manager: stored, sent
//!                                                                └► executor acknowledged
//! ```
//!
//! The first terminal update of a task wins; a task that its executor does not have yet takes
//! terminal updates only (Mesos' `Executor::updateTaskState`).

use std::path::PathBuf;

use tepui_protocol::mesos::internal::{
    StatusUpdate, StatusUpdateAcknowledgement, StatusUpdateMessage,
};
use tepui_protocol::mesos::v1::executor::{Event, event};
use tepui_protocol::mesos::v1::network_info::{IpAddress, Protocol};
use tepui_protocol::mesos::v1::task_status::{Reason, Source};
use tepui_protocol::mesos::v1::{AgentId, NetworkInfo, Task, TaskState, TaskStatus};
use tepui_protocol::tepui::containerizer::{Terminated, Updated};
use tepui_runtime::Pid;

use super::executor::{ExecutorState, PendingTermination, Phase};
use super::framework::{MAX_STRAYS, lost_as};
use super::limitation::Exceeded;
use super::nested::NestedState;
use super::{Core, Effect, NextChange, Note, Outbound, Purpose, Turn, Waiting, run};
use crate::checkpoint::Write;
use crate::updates::{Accepted, Acknowledged, StreamKey, is_terminal, uuid_of};

/// Statuses that are kept with a task for people to look at.
const MAX_STATUSES: usize = 16;

impl Core {
    /// An update of an executor; the call was validated.
    pub(super) fn executor_update(
        &mut self,
        from: &Pid,
        framework: &str,
        id: &str,
        mut status: TaskStatus,
        turn: &mut Turn<'_>,
    ) {
        let key = StreamKey::new(framework, &status.task_id.value);
        let uuid = status.uuid.clone().unwrap_or_default();
        if self.updates.knows(&key, &uuid) {
            // Said again after a restart, or since our acknowledgement was lost. It may still be
            // on its way to the disk.
            if let Some(path) = self.updates_file(framework, id, &key.task) {
                self.effect(Effect::Disk(Write::Behind { path }));
            }
            self.acknowledge_executor(framework, id, &status);
            return;
        }
        let same = |update: &StatusUpdate| update.uuid.as_ref() == Some(&uuid);
        if self.waiting.values().any(|it| it.updates().any(same)) {
            // It is stored, and acknowledged then, once the container's limits are lowered.
            return;
        }
        if let Err(why) = self.judge(framework, id, &status) {
            let what = format!(
                "{} of task {} of framework {framework} from {from}: {why}",
                status.state().as_str_name(),
                key.task
            );
            self.note(Note::Refused { what, update: true });
            // The executor need not say it again: it stays refused.
            self.acknowledge_executor(framework, id, &status);
            return;
        }
        status.source = Some(Source::Executor as i32);
        status.executor_id = Some(super::executor_id(id));
        status.agent_id = Some(AgentId {
            value: self.agent_id().to_owned(),
        });
        status.timestamp.get_or_insert(turn.now.as_secs_f64());
        self.complete_container_status(framework, id, &mut status);
        self.note(Note::ValidUpdate);
        let terminal = is_terminal(status.state());
        self.book_and_tell(framework, id, status);
        if terminal {
            self.end_group(framework, id, &key.task, turn);
        }
    }

    /// An update of a task that its executor has, or was to have. Before a terminal one is told,
    /// what the task had is taken from its container: the master gives it away at once. The answer
    /// also tells of limits that were exceeded.
    fn book_and_tell(&mut self, framework: &str, id: &str, status: TaskStatus) {
        let terminal = is_terminal(status.state());
        self.book_status(framework, &status);
        let update = self.update_of(framework, Some(id), status);
        let waits = terminal
            && self.update_container(framework, id, Purpose::Tell(Box::new(update.clone())));
        if !waits {
            self.tell(framework, id, update);
        }
    }

    /// The task's status is told to people and to the master.
    fn tell(&mut self, framework: &str, id: &str, update: StatusUpdate) {
        self.note_status(framework, &update.status);
        self.store(framework, Some(id), update);
    }

    /// An update that the agent itself makes for a task of an executor.
    pub(super) fn agent_update(&mut self, framework: &str, id: &str, mut status: TaskStatus) {
        if !self.frameworks.contains_key(framework) || self.is_unheard(framework, &status) {
            return;
        }
        self.complete_container_status(framework, id, &mut status);
        self.note(Note::ValidUpdate);
        self.book_and_tell(framework, id, status);
    }

    /// An update for a task that no executor here has.
    pub(super) fn direct_update(&mut self, framework: &str, status: TaskStatus) {
        if self.is_unheard(framework, &status) {
            return;
        }
        self.note(Note::ValidUpdate);
        self.note_status(framework, &status);
        let task = status.task_id.value.clone();
        let update = self.update_of(framework, None, status);
        self.store(framework, None, update);
        if let Some(known) = self.frameworks.get_mut(framework) {
            known.strays.insert(task);
        }
    }

    /// Whether nobody would acknowledge the update, since its framework is terminating: it is
    /// ignored then, and counted as an invalid one (Mesos' `Slave::statusUpdate`).
    fn is_unheard(&mut self, framework: &str, status: &TaskStatus) -> bool {
        let known = self.frameworks.get(framework);
        let terminating = known.is_some_and(|known| known.terminating);
        if terminating {
            let what = format!(
                "{} of task {} of framework {framework}, which is terminating",
                status.state().as_str_name(),
                status.task_id.value
            );
            self.note(Note::Refused { what, update: true });
        }
        terminating
    }

    /// Whether the state of an executor's update may be the task's next.
    fn judge(
        &mut self,
        framework: &str,
        id: &str,
        status: &TaskStatus,
    ) -> Result<(), &'static str> {
        let task = &status.task_id.value;
        let Some(known) = self.frameworks.get_mut(framework) else {
            return Err("unknown framework");
        };
        if known.terminating {
            return Err("its framework is terminating");
        }
        if known
            .executor_of_mut(task)
            .is_some_and(|executor| executor.id() != id)
        {
            return Err("the task belongs to another executor");
        }
        let Some(executor) = known.executors.get(id) else {
            return Err("unknown executor");
        };
        match executor.tasks.get(task).map(|known| &known.phase) {
            _ if executor.state == ExecutorState::Terminated => Err("its executor has ended"),
            Some(Phase::Queued(_)) if !is_terminal(status.state()) => {
                Err("the task was not given to its executor yet")
            }
            Some(Phase::Terminated) => Err("the task has ended already"),
            Some(Phase::Queued(_) | Phase::Launched) => Ok(()),
            None if known.has_completed(task) => Err("the task has ended already"),
            None if known.strays.len() >= MAX_STRAYS && !known.strays.contains(task) => {
                Err("too many updates of unknown tasks are unacknowledged")
            }
            None => {
                known.strays.insert(task.clone());
                Ok(())
            }
        }
    }

    /// Adds what the executor does not know of its container, if that is still there (Mesos merges
    /// the containerizer's status; the agent's address stands in where the container has no
    /// network of its own).
    fn complete_container_status(&self, framework: &str, id: &str, status: &mut TaskStatus) {
        let there = self
            .executor(framework, id)
            .filter(|executor| executor.state != ExecutorState::Terminated);
        let Some(executor) = there else {
            return;
        };
        let container = status.container_status.get_or_insert_default();
        if container.container_id.is_none() {
            container.container_id = Some(super::container_id(&executor.container));
        }
        let mut pid = executor.forked_pid;
        let id = container.container_id.as_ref();
        if let Some(nested) = id.filter(|id| id.parent.is_some()) {
            // A task in a container of its own: nothing is known of one that does not run.
            let known = executor.nest.get(nested);
            let Some(nested) = known.filter(|it| it.state == NestedState::Running) else {
                return;
            };
            pid = nested.pid;
        }
        container.executor_pid = container.executor_pid.or(pid);
        if container.network_infos.is_empty() {
            let ip = self.myself.address().ip;
            let protocol = if ip.is_ipv4() {
                Protocol::IPv4
            } else {
                Protocol::IPv6
            };
            container.network_infos.push(NetworkInfo {
                ip_addresses: vec![IpAddress {
                    ip_address: Some(ip.to_string()),
                    protocol: Some(protocol as i32),
                }],
                ..NetworkInfo::default()
            });
        }
    }

    /// The task as the agent knows it gets the new state.
    fn book_status(&mut self, framework: &str, status: &TaskStatus) {
        let state = status.state();
        let id = &status.task_id.value;
        let executor = self
            .frameworks
            .get_mut(framework)
            .and_then(|f| f.executor_of_mut(id));
        if let Some(executor) = executor
            && let Some(task) = executor.tasks.get_mut(id)
        {
            task.task.state = status.state;
            if is_terminal(state) {
                task.phase = Phase::Terminated;
            }
            let statuses = &mut task.task.statuses;
            if statuses
                .last()
                .is_some_and(|last| last.state == status.state)
            {
                statuses.pop();
            } else if statuses.len() == MAX_STATUSES {
                statuses.remove(0);
            }
            statuses.push(TaskStatus {
                data: None,
                ..status.clone()
            });
            let executor = executor.id().to_owned();
            self.changed.insert((framework.to_owned(), executor));
        }
    }

    /// People are told.
    fn note_status(&mut self, framework: &str, status: &TaskStatus) {
        let reason = status
            .reason
            .and_then(|reason| Reason::try_from(reason).ok());
        let why = match (reason, status.message()) {
            (None, message) => message.to_owned(),
            (Some(reason), "") => reason.as_str_name().to_owned(),
            (Some(reason), message) => format!("{}: {message}", reason.as_str_name()),
        };
        self.note(Note::Task {
            framework: framework.to_owned(),
            task: status.task_id.value.clone(),
            state: status.state(),
            why,
        });
    }

    fn update_of(&self, framework: &str, id: Option<&str>, status: TaskStatus) -> StatusUpdate {
        StatusUpdate {
            framework_id: super::framework_id(framework),
            executor_id: id.map(super::executor_id),
            agent_id: self.info.id.clone(),
            timestamp: status.timestamp(),
            uuid: status.uuid.clone(),
            status,
            latest_state: None,
        }
    }

    /// The containerizer answered: what waited goes its way. A container that keeps what is not
    /// its own any more, or does not get what is, is destroyed.
    pub(super) fn container_updated(&mut self, number: u64, updated: Updated) {
        let Some(Waiting {
            framework,
            executor: id,
            container,
            tell,
            deliver,
            mut next,
        }) = self.waiting.remove(&number)
        else {
            return;
        };
        let running = self.executor(&framework, &id).is_some_and(|executor| {
            executor.container == container && executor.state == ExecutorState::Running
        });
        let failed = updated.error.as_ref().filter(|_| running);
        if let Some(error) = failed {
            let info = self
                .frameworks
                .get(&framework)
                .map(|known| known.info.clone());
            let pending = PendingTermination {
                state: lost_as(&info.unwrap_or_default(), TaskState::TaskGone),
                reason: Reason::ContainerUpdateFailed,
                message: format!("Failed to update resources for container: {error}"),
            };
            self.destroy(&framework, &id, pending);
        }
        let exceeded = Exceeded::of_update(&updated);
        for mut update in tell {
            if let Some(exceeded) = &exceeded {
                exceeded.explain(&mut update.status);
                self.book_status(&framework, &update.status);
            }
            self.tell(&framework, &id, update);
        }
        if running && updated.error.is_none() {
            self.deliver(&framework, &id, &deliver);
        }
        // Else they end with the container.
        if let Some(exceeded) = &exceeded {
            for update in &mut next.tell {
                exceeded.explain(&mut update.status);
                self.book_status(&framework, &update.status);
            }
        }
        self.change_again(&framework, &id, &container, next);
    }

    /// What gathered while a container's limits were changed.
    fn change_again(&mut self, framework: &str, id: &str, container: &str, next: NextChange) {
        let there = self.executor(framework, id).is_some_and(|executor| {
            executor.container == container && executor.state != ExecutorState::Terminated
        });
        if there && !next.is_empty() {
            return self.change_container(framework, id, next);
        }
        for update in next.tell {
            self.tell(framework, id, update);
        }
    }

    /// A container has ended for a limit that it exceeded, which explains the failures that its
    /// executor told and that still wait.
    pub(super) fn explain_waiting(&mut self, terminated: &Terminated) {
        let Some(exceeded) = Exceeded::of_end(terminated) else {
            return;
        };
        let container = &terminated.container_id.value;
        let of_it = |waiting: &&mut Waiting| waiting.container == *container;
        for waiting in self.waiting.values_mut().filter(of_it) {
            let next = waiting.next.tell.iter_mut();
            for update in waiting.tell.iter_mut().chain(next) {
                exceeded.explain(&mut update.status);
            }
        }
    }

    /// Stores an update and sends it if it is its task's turn; the executor hears of it then.
    fn store(&mut self, framework: &str, id: Option<&str>, update: StatusUpdate) {
        let status = update.status.clone();
        let key = StreamKey::new(framework, &status.task_id.value);
        let checkpoint = id.and_then(|id| self.updates_file(framework, id, &key.task));
        let (accepted, actions) = self.updates.update(&key, update, checkpoint);
        self.carry(actions);
        if accepted == Accepted::Full {
            let what = format!(
                "update of task {}: too many wait for the framework",
                key.task
            );
            self.note(Note::Refused { what, update: true });
        } else if let Some(id) = id.filter(|_| status.source() == Source::Executor) {
            self.acknowledge_executor(framework, id, &status);
        }
    }

    fn updates_file(&self, framework: &str, id: &str, task: &str) -> Option<PathBuf> {
        let known = self
            .frameworks
            .get(framework)
            .filter(|known| known.checkpoint())?;
        let container = &known.executors.get(id)?.container;
        Some(
            self.paths
                .task_updates(run(self.agent_id(), framework, id, container), task),
        )
    }

    /// Tells an executor that its update is safe with us.
    fn acknowledge_executor(&mut self, framework: &str, id: &str, status: &TaskStatus) {
        let pid = self
            .executor(framework, id)
            .and_then(|executor| executor.pid.clone());
        let (Some(pid), Some(uuid)) = (pid, status.uuid.clone()) else {
            return;
        };
        let event = Event {
            r#type: Some(event::Type::Acknowledged as i32),
            acknowledged: Some(event::Acknowledged {
                task_id: status.task_id.clone(),
                uuid,
            }),
            ..Event::default()
        };
        self.send_event(&pid, event);
    }

    /// The message in which an update goes to the master.
    pub(super) fn status_message(&self, update: StatusUpdate) -> Outbound {
        Outbound::Status(Box::new(StatusUpdateMessage {
            update,
            pid: Some(self.myself.to_string()),
        }))
    }

    /// The framework has an update.
    pub(super) fn acknowledgement(&mut self, message: StatusUpdateAcknowledgement) {
        let framework = message.framework_id.value;
        let task = message.task_id.value;
        let key = StreamKey::new(&framework, &task);
        let (acknowledged, actions) = self.updates.acknowledge(&key, &message.uuid);
        self.carry(actions);
        match acknowledged {
            Some(Acknowledged::Head { terminal: true }) => self.complete_task(&framework, &task),
            Some(Acknowledged::Head { terminal: false } | Acknowledged::Duplicate) => {}
            Some(Acknowledged::Unexpected) | None => {
                let what = format!(
                    "acknowledgement for task {task} of framework {framework} that is not for \
                     the update in flight"
                );
                self.note(Note::Refused {
                    what,
                    update: false,
                });
            }
        }
    }

    /// Nothing is left to tell of the task: it, and maybe its executor, are only remembered.
    fn complete_task(&mut self, framework: &str, task: &str) {
        let Some(known) = self.frameworks.get_mut(framework) else {
            return;
        };
        known.strays.remove(task);
        let over = known.executor_of_mut(task).map(|executor| {
            executor.complete_task(task);
            let over = executor.state == ExecutorState::Terminated && executor.tasks.is_empty();
            (executor.id().to_owned(), over)
        });
        if let Some((id, over)) = over {
            self.changed.insert((framework.to_owned(), id.clone()));
            if over {
                self.remove_executor(framework, &id);
            }
        }
        self.forget_if_idle(framework);
    }

    /// The task as a master is told of it: with the update that is in flight.
    pub(super) fn reported(&self, framework: &str, task: &Task) -> Task {
        let mut task = task.clone();
        if let Some(head) = self
            .updates
            .head(&StreamKey::new(framework, &task.task_id.value))
        {
            task.status_update_state = Some(head.status.state);
            task.status_update_uuid = Some(uuid_of(&head));
        }
        task
    }
}

impl Waiting {
    /// Every update that waits to be told.
    fn updates(&self) -> impl Iterator<Item = &StatusUpdate> {
        self.tell.iter().chain(&self.next.tell)
    }
}
