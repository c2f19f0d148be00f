//! What the core takes in and what it asks for.
//!
//! Effects are carried out in the order given. An effect after an [`Effect::Disk`] waits until
//! that write is synced: so whatever is told to anyone is durable first. Only
//! [`Effect::is_prompt`] effects tell nothing and may overtake.

use std::path::PathBuf;
use std::time::Duration;

use tepui_protocol::mesos::internal::{
    AgentRegistered, AgentReregistered, ExecutorToFramework, ExitedExecutor, FrameworkToExecutor,
    KillTask, PingAgent, PongAgent, RegisterAgent, ReregisterAgent, RunTask, RunTaskGroup,
    Shutdown, ShutdownExecutor, ShutdownFramework, StatusUpdateAcknowledgement,
    StatusUpdateMessage, UnregisterAgent, UpdateAgent, UpdateFramework,
};
use tepui_protocol::mesos::v1::executor;
use tepui_protocol::mesos::v1::{ContainerId, TaskState, agent};
use tepui_protocol::tepui::containerizer::{
    Launch, Launched, Recover, Terminated, Update, Updated,
};
use tepui_protocol::tepui::operator::AgentOperated;
use tepui_runtime::{Pid, Time};

use crate::checkpoint::{RecoveredState, Write};
use crate::core::AgentState;
use crate::core::executor::ExecutorState;
use crate::updates::StreamKey;

/// The instant at which an input is taken, and the source of chance.
pub struct Turn<'a> {
    /// Now.
    pub now: Time,
    /// Gives uniform random numbers.
    pub random: &'a mut dyn FnMut() -> u64,
}

impl Turn<'_> {
    /// A random uuid of 16 bytes (version 4).
    pub fn uuid(&mut self) -> uuid::Uuid {
        let high = u128::from((self.random)());
        let low = u128::from((self.random)());
        uuid::Builder::from_u128(high << 64 | low)
            .with_version(uuid::Version::Random)
            .with_variant(uuid::Variant::RFC4122)
            .into_uuid()
    }

    /// A random duration in `[0, most]`.
    pub fn random_up_to(&mut self, most: Duration) -> Duration {
        let nanos = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX - 1);
        Duration::from_nanos((self.random)() % (nanos + 1))
    }
}

/// What happens to an agent.
#[derive(Debug)]
pub enum Input {
    /// The checkpoints of an earlier agent were read.
    Recovered(Box<RecoveredState>),
    /// The containerizer answered [`Effect::RecoverContainers`]: the ids still alive, or why not.
    ContainersRecovered(Result<Vec<ContainerId>, String>),
    /// A message from a master, or from who says to be one.
    Master(Pid, FromMaster),
    /// A call of an executor.
    Executor(Pid, executor::Call),
    /// A call of an operator, or of an executor for its containers.
    Operate(Pid, Box<agent::Call>),
    /// The link to an executor, to the master, or to who waits for something broke.
    Exited(Pid),
    /// The containerizer answered a launch of the container, or the ask failed.
    Launched(ContainerId, Result<Launched, String>),
    /// The containerizer answered [`Effect::UpdateContainer`] of this number.
    ContainerUpdated(u64, Updated),
    /// The part of the disk that is used, 0 to 1, or why that is not known.
    DiskUsage(Result<f64, String>),
    /// Something could not be written for want of space.
    DiskFull,
    /// A container has ended.
    Terminated(Terminated),
    /// A timer went off.
    Timer(Timer),
    /// The operator takes the agent out of the cluster, for this reason.
    Unregister(String),
}

/// What a master says to an agent.
#[derive(Debug)]
pub enum FromMaster {
    /// The agent was admitted.
    Registered(AgentRegistered),
    /// The agent was admitted again.
    Reregistered(AgentReregistered),
    /// The master's observer asks whether the agent is there.
    Ping(PingAgent),
    /// Run this task.
    RunTask(Box<RunTask>),
    /// Run these tasks.
    RunTaskGroup(Box<RunTaskGroup>),
    /// Kill this task.
    KillTask(KillTask),
    /// End all of a framework.
    ShutdownFramework(ShutdownFramework),
    /// End an executor.
    ShutdownExecutor(ShutdownExecutor),
    /// End everything and exit.
    Shutdown(Shutdown),
    /// A framework's info or PID changed, or it is connected again.
    UpdateFramework(Box<UpdateFramework>),
    /// A framework has a status update.
    Acknowledgement(StatusUpdateAcknowledgement),
    /// A framework's words for its executor.
    Message(FrameworkToExecutor),
}

/// Timers of the core. There is no cancelling: one that went stale changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Timer {
    /// (Re-)registration number so much of this agent.
    Register(u64),
    /// Has the master been silent for too long?
    PingSilence,
    /// The executor in this container should have subscribed.
    ExecutorRegistration(String),
    /// The executor in this container should have ended.
    ExecutorShutdown(String),
    /// Executors of before the restart should have come back.
    ExecutorReregistration,
    /// A status update was not acknowledged.
    UpdateRetry(StreamKey, u64),
    /// How full is the disk?
    DiskWatch,
    /// The sandboxes that are due at this instant are to be removed.
    Collect(Time),
}

/// A message for another process.
#[derive(Debug, Clone, PartialEq)]
pub enum Outbound {
    /// To the master: admit this agent.
    Register(Box<RegisterAgent>),
    /// To the master: admit this agent again.
    Reregister(Box<ReregisterAgent>),
    /// To the master: this agent leaves for good.
    Unregister(UnregisterAgent),
    /// To the master: what the agent has now.
    Update(Box<UpdateAgent>),
    /// To the master: a task's status.
    Status(Box<StatusUpdateMessage>),
    /// To the master: an executor ended.
    ExitedExecutor(ExitedExecutor),
    /// To the master: an executor's words for its scheduler.
    Message(Box<ExecutorToFramework>),
    /// To the master's observer.
    Pong(PongAgent),
    /// To an executor.
    Event(Box<executor::Event>),
    /// To who asked for something of a nested container.
    Operated(Box<AgentOperated>),
}

/// The folder in which an executor, or a container in its container, runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    /// The container that is about to be launched, with those around it.
    pub container: String,
    /// The folder.
    pub directory: PathBuf,
    /// Symlink that shall lead to it, where there is to be one.
    pub latest: Option<PathBuf>,
    /// The folder above it in which a user may have put what it likes, links above all.
    pub within: Option<PathBuf>,
    /// User that shall own it.
    pub owner: Option<String>,
}

/// What the core asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Change the disk. An agent whose checkpoints fail cannot go on, unless the disk is full:
    /// then this and all that hangs on it waits.
    Disk(Write),
    /// Make a sandbox. Where that fails, so does the launch of its container.
    Sandbox(Sandbox),
    /// Send a message.
    Send(Pid, Outbound),
    /// Ask to be told when this process is gone.
    Link(Pid),
    /// Ask the containerizer which containers are alive; answered by
    /// [`Input::ContainersRecovered`].
    RecoverContainers(Recover),
    /// Ask it to launch; answered by [`Input::Launched`].
    Launch(Box<Launch>),
    /// Ask it to change limits; answered by [`Input::ContainerUpdated`] with this number.
    UpdateContainer(u64, Update),
    /// Ask it to kill all of the executor's container with this id.
    Destroy(String),
    /// Tell it to send a signal to a nested container; 9 kills all of it.
    KillContainer(ContainerId, i32),
    /// Tell it to forget a nested container that has ended.
    RemoveContainer(ContainerId),
    /// Remove these folders with all that is in them, and what was to be removed before.
    Collect(Vec<PathBuf>),
    /// Remove the sandbox of a nested container: the folder at this path below its executor's, in
    /// which a user may have put what it likes.
    RemoveSandbox(PathBuf, PathBuf),
    /// Look how full the disk is; answered by [`Input::DiskUsage`].
    MeasureDisk,
    /// Give [`Input::Timer`] after a while.
    Timer(Duration, Timer),
    /// Tell people: one line in the log, and the counters.
    Note(Note),
    /// The agent is over. `Err` says why it cannot go on.
    Exit(Result<String, String>),
}

impl Effect {
    /// Whether the effect may overtake writes that came before it. What repeats an update may
    /// not: it would tell what is not on the disk yet.
    #[must_use]
    pub fn is_prompt(&self) -> bool {
        match self {
            Effect::Timer(_, timer) => !matches!(timer, Timer::UpdateRetry(..)),
            Effect::Send(_, Outbound::Pong(_)) | Effect::Link(_) | Effect::MeasureDisk => true,
            _ => false,
        }
    }
}

/// A change worth a line in the log, or a count.
#[derive(Debug, Clone, PartialEq)]
pub enum Note {
    /// The agent changed its state.
    Agent {
        /// Its id, once it has one.
        agent: Option<String>,
        /// The state now.
        state: AgentState,
        /// Why.
        why: String,
    },
    /// A framework came, changed or went.
    Framework {
        /// Its id.
        framework: String,
        /// What happened.
        what: &'static str,
    },
    /// An executor changed its state.
    Executor {
        /// Framework id.
        framework: String,
        /// Executor id.
        executor: String,
        /// Container id.
        container: String,
        /// The state now.
        state: ExecutorState,
        /// Why.
        why: String,
    },
    /// A task changed its state.
    Task {
        /// Framework id.
        framework: String,
        /// Task id.
        task: String,
        /// The state now.
        state: TaskState,
        /// Why, where something is known.
        why: String,
    },
    /// Something was not taken.
    Refused {
        /// What, from whom, and why.
        what: String,
        /// It was a status update.
        update: bool,
    },
    /// A status update was taken.
    ValidUpdate,
    /// A framework's message went to its executor, or why not.
    FrameworkMessage(Result<(), String>),
    /// Folders were removed, and others could not be.
    Collected {
        /// Paths that are gone.
        removed: usize,
        /// Paths that are not, and why.
        failed: Vec<String>,
    },
    /// A container could not be launched.
    LaunchFailed {
        /// Container id.
        container: String,
        /// What the containerizer said.
        error: String,
    },
    /// Something to know that changes nothing.
    Info(String),
}
