//! What can happen in a cluster, as far as a rule speaks of it.

use std::collections::BTreeSet;

use tepui_protocol::mesos::v1::TaskState;

/// A task: ids are a framework's own, so they mean nothing without it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskKey {
    /// The framework's id.
    pub framework: String,
    /// The task's.
    pub task: String,
}

impl TaskKey {
    /// A task of a framework.
    #[must_use]
    pub fn new(framework: impl Into<String>, task: impl Into<String>) -> TaskKey {
        TaskKey {
            framework: framework.into(),
            task: task.into(),
        }
    }
}

impl std::fmt::Display for TaskKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.task, self.framework)
    }
}

/// Something that happened. "Sent" is when a process sends, all else is when it is delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fact {
    /// The master sent an offer to the framework `to`.
    Offered {
        /// Who is sent it.
        to: String,
        /// Whom the offer names.
        framework: String,
        /// The offer's id.
        offer: String,
        /// The role that it is made to.
        role: String,
        /// The id of the agent that it is of.
        agent: String,
        /// When, in nanoseconds.
        at: u64,
    },
    /// In which roles a framework wants offers from now on, as the master has taken it: those that
    /// it has and did not suppress.
    Wants {
        /// Its id.
        framework: String,
        /// The roles.
        roles: BTreeSet<String>,
        /// When, in nanoseconds.
        at: u64,
    },
    /// An operator was told that an agent is deactivated.
    Deactivated {
        /// Its id.
        agent: String,
    },
    /// An operator asks that an agent be active again.
    Reactivated {
        /// Its id.
        agent: String,
    },
    /// The master took an offer back and said so: it sent a RESCIND. Those of a framework that
    /// disconnects, subscribes anew or is removed are taken back without a word.
    Rescinded {
        /// Who is told.
        to: String,
        /// The offer's id.
        offer: String,
    },
    /// An ACCEPT or DECLINE reached the master.
    Answered {
        /// Who answers.
        framework: String,
        /// The offers' ids.
        offers: Vec<String>,
        /// The ids of the tasks to launch.
        launches: Vec<String>,
    },
    /// A LAUNCH_GROUP reached the master.
    Grouped {
        /// Its tasks.
        tasks: Vec<TaskKey>,
        /// They end together: their executor is a default one.
        one_fate: bool,
    },
    /// An agent gave an executor a group.
    GroupStarted {
        /// The tasks that it gave.
        tasks: Vec<TaskKey>,
    },
    /// An executor told its agent that a task failed.
    Failed {
        /// The task.
        task: TaskKey,
    },
    /// The master sent a task to an agent.
    TaskSent {
        /// The task.
        task: TaskKey,
        /// Its framework asked for checkpoints: what its agent tells of it survives a crash.
        durable: bool,
    },
    /// An agent gave a task to its executor.
    Started {
        /// The task.
        task: TaskKey,
        /// The agent that the task was sent to, by id.
        meant_for: String,
        /// The agent that started it, by its present id.
        agent: String,
    },
    /// An agent did what it was asked to: it killed a task, passed a message on, or ended an
    /// executor, a framework or itself.
    Acted {
        /// In words.
        what: String,
        /// The agent that was asked, by id.
        meant_for: String,
        /// The agent that did it, by its present id; empty where it has none yet.
        agent: String,
    },
    /// An agent sent an update to the master.
    Forwarded {
        /// The task.
        task: TaskKey,
        /// The agent's id.
        agent: String,
        /// The update's.
        uuid: Vec<u8>,
        /// The state it tells.
        state: TaskState,
        /// The agent has the task, and not just the master's word for it: what it tells of a task
        /// that it never had is not checkpointed.
        had: bool,
    },
    /// An agent has taken the acknowledgement of an update.
    Recorded {
        /// The task.
        task: TaskKey,
        /// The update's uuid.
        uuid: Vec<u8>,
        /// Its disk takes writes. Else what it was about to send before is sent before it can
        /// write down that it need not.
        durable: bool,
    },
    /// An update reached a framework.
    Told {
        /// Who was told.
        to: String,
        /// The task.
        task: TaskKey,
        /// The update's uuid; absent where the master made it.
        uuid: Option<Vec<u8>>,
        /// The state it tells.
        state: TaskState,
        /// It answers a reconciliation, or what is answered by one.
        reconciled: bool,
    },
    /// A message of an executor reached a framework.
    Heard {
        /// Who was told.
        to: String,
        /// Whose executor said it, by its own word.
        framework: String,
    },
    /// A framework's acknowledgement reached the master.
    Acknowledged {
        /// The task.
        task: TaskKey,
        /// The update's uuid.
        uuid: Vec<u8>,
    },
    /// A KILL reached the master, or a SHUTDOWN of the task's executor.
    KillAsked {
        /// The task.
        task: TaskKey,
    },
    /// A framework asked the master for a task's state.
    Asked {
        /// The task.
        task: TaskKey,
    },
    /// A framework's subscription began.
    Subscribed {
        /// Its id.
        framework: String,
        /// It is said again to who did not hear it: nothing has changed.
        repeated: bool,
    },
    /// The master saw a framework's connection end.
    Disconnected {
        /// Its id.
        framework: String,
        /// When, in nanoseconds.
        at: u64,
        /// How long it may be away, in nanoseconds.
        failover_timeout: u64,
    },
    /// A TEARDOWN of a framework reached the master.
    TeardownAsked {
        /// Its id.
        framework: String,
    },
    /// The master removed a framework.
    Removed {
        /// Its id.
        framework: String,
        /// When, in nanoseconds.
        at: u64,
    },
    /// An agent is registered, again or for the first time.
    Registered {
        /// Its id.
        agent: String,
        /// What tells its host's disk from others'.
        host: String,
    },
    /// An agent was removed for good: it unregistered, or was marked gone.
    Gone {
        /// Its id.
        agent: String,
    },
    /// An agent was told to end all it runs, or does so by itself.
    AgentEnding {
        /// Its id.
        agent: String,
    },
    /// A host crashed and what its agent did not sync is lost; so is what it ran.
    AgentCrashed {
        /// Its agent's id.
        agent: String,
    },
    /// The master crashed: its offers are void, and it has forgotten who is connected.
    MasterCrashed,
}
