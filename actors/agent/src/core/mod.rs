//! What an agent decides, in plain Rust: inputs in, effects out; no clock, no disk, no actor.
//!
//! ```text
//!   RECOVERING ──(executors are back or given up)──► DISCONNECTED ──(registered)──► RUNNING
//!                                                         ▲                            │
//!                 (master silent, or it says that we are disconnected) ────────────────┘
//!   any ──(Shutdown, unregistration)──► TERMINATING ──(last framework gone)──► exit
//! ```
//!
//! One file for each thing that happens: `registration`, `launch`, `start`, `delivery`, `kill`,
//! `update`, `messages`, `executor_calls`, `operate`, `termination`, `shutdown`, `recovery`,
//! `sandboxes`. `framework`, `executor` and `nested` hold what is known; `effect` has the inputs
//! and effects.
//!
//! Not here: how inputs arrive and effects are carried out (`process`).

pub mod agent_call;
pub mod call;
mod command_executor;
mod default_executor;
mod delivery;
mod effect;
mod environment;
pub mod executor;
mod executor_calls;
pub mod framework;
mod kill;
mod launch;
mod limitation;
mod messages;
pub mod nested;
mod operate;
mod recovery;
mod registration;
mod sandboxes;
mod shutdown;
mod start;
pub mod task_list;
mod termination;
mod update;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use tepui_invariants::{Planted, TaskKey, one_update_at_a_time};
use tepui_protocol::mesos::internal::StatusUpdate;
use tepui_protocol::mesos::v1::{
    AgentId, AgentInfo, ContainerId, ExecutorId, FrameworkId, TaskId, TaskState, TaskStatus,
    executor as executor_api, task_status,
};
use tepui_runtime::{Pid, Time};

pub use self::effect::{Effect, FromMaster, Input, Note, Outbound, Sandbox, Timer, Turn};
use self::executor::{Executor, ExecutorState};
use self::framework::Framework;
pub use self::registration::CAPABILITIES;
use self::registration::Registration;
use self::sandboxes::Schedule;
use crate::checkpoint::{Paths, Run, Write, record};
use crate::options::AgentOptions;
use crate::updates::{Action, StreamKey, UpdateManager, uuid_of};

/// Frameworks that ended and are remembered (Mesos' MAX_COMPLETED_FRAMEWORKS).
pub const MAX_COMPLETED_FRAMEWORKS: usize = 50;

/// State of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentState {
    /// It reads checkpoints and waits for executors of before its restart.
    Recovering,
    /// It has no master, or none that knows it.
    Disconnected,
    /// It is registered.
    Running,
    /// It ends everything it runs, and then itself.
    Terminating,
}

/// What waits until a container has other limits. One change is under way for a container at a
/// time; what comes meanwhile goes with the next.
#[derive(Debug, Clone)]
struct Waiting {
    framework: String,
    executor: String,
    container: String,
    /// Updates that are told once the change is done.
    tell: Vec<StatusUpdate>,
    /// Tasks that are given to the executor then.
    deliver: Vec<String>,
    next: NextChange,
}

/// Why a container's limits are to be changed once more.
#[derive(Debug, Clone, Default)]
struct NextChange {
    /// Tasks have ended; their terminal updates are told afterwards.
    tell: Vec<StatusUpdate>,
    /// Tasks are queued, and are given to the executor afterwards.
    deliver: bool,
}

/// Why a container's limits are to be changed.
#[derive(Debug, Clone)]
enum Purpose {
    /// A task has ended; its terminal update is told afterwards.
    Tell(Box<StatusUpdate>),
    /// Tasks are queued, and are given to the executor afterwards.
    Deliver,
}

/// The core of an agent.
#[derive(Debug)]
pub struct Core {
    options: AgentOptions,
    paths: Paths,
    myself: Pid,
    state: AgentState,
    /// Executors may subscribe: checkpoints were read.
    reconnecting: bool,
    info: AgentInfo,
    resource_version: Bytes,
    registration: Registration,
    frameworks: BTreeMap<String, Framework>,
    completed: VecDeque<Framework>,
    updates: UpdateManager,
    waiting: BTreeMap<u64, Waiting>,
    schedule: Schedule,
    next_number: u64,
    /// The instant of the input that is taken.
    now: Time,
    effects: Vec<Effect>,
    changed: BTreeSet<(String, String)>,
}

impl Core {
    /// An agent in its first moment; it waits for [`Input::Recovered`].
    pub fn new(mut options: AgentOptions, myself: Pid, turn: &mut Turn<'_>) -> Core {
        // Kept once: a process may hold hundreds of agents.
        let info = AgentInfo {
            hostname: std::mem::take(&mut options.hostname),
            port: Some(i32::from(myself.address().port)),
            resources: std::mem::take(&mut options.resources),
            attributes: std::mem::take(&mut options.attributes),
            domain: options.domain.take(),
            ..AgentInfo::default()
        };
        Core {
            paths: Paths::new(&options.work_dir),
            myself,
            state: AgentState::Recovering,
            reconnecting: false,
            info,
            resource_version: bytes_of(turn.uuid()),
            registration: Registration::default(),
            frameworks: BTreeMap::new(),
            completed: VecDeque::new(),
            updates: UpdateManager::new().with(options.planted),
            waiting: BTreeMap::new(),
            schedule: Schedule::default(),
            next_number: 0,
            now: turn.now,
            effects: Vec::new(),
            changed: BTreeSet::new(),
            options,
        }
    }

    /// Takes one input, and gives what it asks for, in order.
    pub fn handle(&mut self, input: Input, turn: &mut Turn<'_>) -> Vec<Effect> {
        self.now = turn.now;
        match input {
            Input::Recovered(state) => self.recovered(*state),
            Input::ContainersRecovered(alive) => self.containers_recovered(alive, turn),
            Input::Master(from, message) => self.master_says(&from, message, turn),
            Input::Executor(from, call) => self.executor_call(from, call, turn),
            Input::Operate(from, call) => self.operate(from, *call),
            Input::Exited(pid) => self.exited(&pid, turn),
            Input::Launched(id, launched) if id.parent.is_some() => {
                self.launched_nested(&id, launched);
            }
            Input::Launched(id, launched) => self.launched(&id.value, launched, turn),
            Input::ContainerUpdated(number, updated) => self.container_updated(number, updated),
            Input::DiskUsage(usage) => self.disk_measured(usage),
            Input::DiskFull => self.disk_full(),
            Input::Terminated(terminated) => self.container_terminated(terminated, turn),
            Input::Timer(timer) => self.timer(timer, turn),
            Input::Unregister(why) => self.unregister(&why),
        }
        std::mem::take(&mut self.effects)
    }

    fn master_says(&mut self, from: &Pid, message: FromMaster, turn: &mut Turn<'_>) {
        if !self.is_from_master(from, &message) {
            self.note(Note::Refused {
                what: format!(
                    "message from {from}, which is not the master {}",
                    self.options.master
                ),
                update: false,
            });
            return;
        }
        match message {
            FromMaster::Registered(message) => self.registered(message, turn),
            FromMaster::Reregistered(message) => self.reregistered(message, turn),
            FromMaster::Ping(message) => self.pinged(from, message, turn),
            FromMaster::RunTask(message) => self.run_task(*message, turn),
            FromMaster::RunTaskGroup(message) => self.run_task_group(*message, turn),
            FromMaster::KillTask(message) => self.kill_task(message, turn),
            FromMaster::ShutdownFramework(message) => {
                self.shutdown_framework(&message.framework_id.value);
            }
            FromMaster::ShutdownExecutor(message) => self.shutdown_executor_message(message),
            FromMaster::Shutdown(message) => self.shutdown(message.message),
            FromMaster::UpdateFramework(message) => self.update_framework(*message),
            FromMaster::Acknowledgement(message) => self.acknowledgement(message),
            FromMaster::Message(message) => self.framework_message(message),
        }
    }

    /// Pings come from the master's observer, another process at the same address.
    fn is_from_master(&self, from: &Pid, message: &FromMaster) -> bool {
        match message {
            FromMaster::Ping(_) => from.address() == self.options.master.address(),
            _ => *from == self.options.master,
        }
    }

    fn timer(&mut self, timer: Timer, turn: &mut Turn<'_>) {
        match timer {
            Timer::Register(number) => self.register(number, turn),
            Timer::PingSilence => self.check_ping_silence(turn),
            Timer::ExecutorRegistration(container) => self.registration_timeout(&container),
            Timer::ExecutorShutdown(container) => self.shutdown_timeout(&container),
            Timer::ExecutorReregistration => self.reregistration_timeout(turn),
            Timer::DiskWatch => self.watch_disk(),
            Timer::Collect(at) => self.collect_due(at),
            Timer::UpdateRetry(key, attempt) => {
                let actions = self.updates.retry(&key, attempt);
                self.carry(actions);
            }
        }
    }

    // What other parts and the process look at.

    /// The agent's state.
    #[must_use]
    pub fn state(&self) -> AgentState {
        self.state
    }

    /// Whether executors may subscribe: the checkpoints were read.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.reconnecting && self.state != AgentState::Terminating
            || matches!(self.state, AgentState::Disconnected | AgentState::Running)
    }

    /// The agent's info; has an id once it was registered.
    #[must_use]
    pub fn info(&self) -> &AgentInfo {
        &self.info
    }

    /// Its frameworks by id.
    #[must_use]
    pub fn frameworks(&self) -> &BTreeMap<String, Framework> {
        &self.frameworks
    }

    /// Frameworks that ended here, oldest first.
    #[must_use]
    pub fn completed_frameworks(&self) -> &VecDeque<Framework> {
        &self.completed
    }

    /// Whether an update is still to be sent that was asked to be, once what it hung on was
    /// written: that took its time where the disk was full, and meanwhile the update may have been
    /// acknowledged, or its framework removed.
    #[must_use]
    pub fn is_to_be_sent(&self, update: &StatusUpdate) -> bool {
        let (framework, task) = (&update.framework_id.value, &update.status.task_id.value);
        let key = StreamKey::new(framework, task);
        self.options.planted != Planted::NONE || self.updates.is_head(&key, &uuid_of(update))
    }

    /// Ids of framework and executor of what changed since the last call; without an executor's,
    /// the framework itself did.
    pub fn take_changed(&mut self) -> BTreeSet<(String, String)> {
        std::mem::take(&mut self.changed)
    }

    // What the files of this module share.

    fn agent_id(&self) -> &str {
        self.info.id.as_ref().map_or("", |id| id.value.as_str())
    }

    fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    fn note(&mut self, note: Note) {
        self.effects.push(Effect::Note(note));
    }

    fn tell_master(&mut self, message: Outbound) {
        self.effects
            .push(Effect::Send(self.options.master.clone(), message));
    }

    fn timer_after(&mut self, after: Duration, timer: Timer) {
        self.effects.push(Effect::Timer(after, timer));
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    fn set_state(&mut self, state: AgentState, why: &str) {
        self.state = state;
        let agent = self.info.id.as_ref().map(|id| id.value.clone());
        self.note(Note::Agent {
            agent,
            state,
            why: why.to_owned(),
        });
    }

    fn executor(&self, framework: &str, executor: &str) -> Option<&Executor> {
        self.frameworks.get(framework)?.executors.get(executor)
    }

    fn executor_mut(&mut self, framework: &str, executor: &str) -> Option<&mut Executor> {
        self.changed
            .insert((framework.to_owned(), executor.to_owned()));
        self.frameworks
            .get_mut(framework)?
            .executors
            .get_mut(executor)
    }

    /// Ids of framework and executor whose present run is in this container.
    fn run_of(&self, container: &str) -> Option<(String, String)> {
        self.frameworks.iter().find_map(|(framework, known)| {
            known
                .executors
                .iter()
                .find(|(_, executor)| executor.container == container)
                .map(|(id, _)| (framework.clone(), id.clone()))
        })
    }

    /// Changes an executor's state and says so.
    fn executor_state(&mut self, framework: &str, executor: &str, to: ExecutorState, why: &str) {
        let Some(known) = self.executor_mut(framework, executor) else {
            return;
        };
        known.state = to;
        let note = Note::Executor {
            framework: framework.to_owned(),
            executor: executor.to_owned(),
            container: known.container.clone(),
            state: to,
            why: why.to_owned(),
        };
        self.note(note);
    }

    /// A file that is one record.
    fn write_record(&mut self, path: std::path::PathBuf, body: &[u8]) {
        self.effect(Effect::Disk(Write::File {
            path,
            body: record::frame(body),
        }));
    }

    fn write_message(&mut self, path: std::path::PathBuf, message: &impl prost::Message) {
        self.write_record(path, &message.encode_to_vec());
    }

    fn send_event(&mut self, to: &Pid, event: executor_api::Event) {
        self.effect(Effect::Send(to.clone(), Outbound::Event(Box::new(event))));
    }

    /// Does what the update manager asks for.
    fn carry(&mut self, actions: Vec<Action>) {
        for action in actions {
            let effect = match action {
                Action::Append { path, record } => {
                    Effect::Disk(Write::Append { path, body: record })
                }
                Action::Behind { path } => Effect::Disk(Write::Behind { path }),
                Action::Forward(update) => {
                    self.assert_its_turn(&update);
                    Effect::Send(self.options.master.clone(), self.status_message(update))
                }
                Action::Retry {
                    key,
                    attempt,
                    after,
                } => Effect::Timer(after, Timer::UpdateRetry(key, attempt)),
            };
            self.effects.push(effect);
        }
    }

    /// In a debug build: an update that is sent is the oldest of its task.
    fn assert_its_turn(&self, update: &StatusUpdate) {
        if !cfg!(debug_assertions) || self.options.planted != Planted::NONE {
            return;
        }
        let (framework, task) = (&update.framework_id.value, &update.status.task_id.value);
        let head = self.updates.head(&StreamKey::new(framework, task));
        let (sent, oldest) = (uuid_of(update), head.as_ref().map(uuid_of));
        let key = TaskKey::new(framework, task);
        let broken = one_update_at_a_time(&key, &sent, oldest.as_deref());
        debug_assert!(broken.is_none(), "{broken:?}");
    }

    /// A status that this agent gives a task.
    fn status(
        &self,
        task: &str,
        state: TaskState,
        reason: task_status::Reason,
        message: &str,
        turn: &mut Turn<'_>,
    ) -> TaskStatus {
        TaskStatus {
            task_id: TaskId {
                value: task.to_owned(),
            },
            state: state as i32,
            message: Some(message.to_owned()),
            source: Some(task_status::Source::Agent as i32),
            reason: Some(reason as i32),
            agent_id: Some(AgentId {
                value: self.agent_id().to_owned(),
            }),
            timestamp: Some(turn.now.as_secs_f64()),
            uuid: Some(bytes_of(turn.uuid())),
            ..TaskStatus::default()
        }
    }
}

/// Where a run of an executor has its files.
fn run<'a>(agent: &'a str, framework: &'a str, executor: &'a str, container: &'a str) -> Run<'a> {
    Run {
        agent,
        framework,
        executor,
        container,
    }
}

fn bytes_of(uuid: uuid::Uuid) -> Bytes {
    Bytes::copy_from_slice(uuid.as_bytes())
}

fn framework_id(value: &str) -> FrameworkId {
    FrameworkId {
        value: value.to_owned(),
    }
}

fn executor_id(value: &str) -> ExecutorId {
    ExecutorId {
        value: value.to_owned(),
    }
}

fn container_id(value: &str) -> ContainerId {
    ContainerId {
        value: value.to_owned(),
        ..ContainerId::default()
    }
}
