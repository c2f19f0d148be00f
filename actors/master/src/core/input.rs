//! What reaches the master's core: one value for each thing that can happen to it.
//! Not here: how it got here (`process.rs`).

use tepui_protocol::mesos::internal::{
    ExecutorToFramework, ExitedExecutor, RegisterAgent, Registry, ReregisterAgent,
    StatusUpdateMessage, UnregisterAgent, UpdateAgent,
};
use tepui_protocol::mesos::v1::master;
use tepui_protocol::mesos::v1::scheduler::Call;
use tepui_protocol::tepui::allocator::Allocation;
use tepui_runtime::Pid;

use super::registration::{Admission, Reregistration};

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// The registry was read, or could not be.
    Recovered(Result<Registry, String>),
    /// The registrar answered an operation: whether the registry changed, or why it failed.
    Applied(Pending, Result<bool, String>),
    /// A timer ran out.
    Timer(Timer),
    /// A linked process is gone, or the connection to it.
    Exited(Pid),
    /// The allocator decided.
    Allocations(Vec<Allocation>),
    /// A call of a scheduler, from its PID.
    Call(Pid, Call),
    /// A message of an agent, from its PID.
    Agent(Pid, FromAgent),
    /// A call of an operator, and who is to be answered.
    Operator(Pid, master::Call),
}

/// What agents say.
#[derive(Clone, Debug)]
#[expect(
    missing_docs,
    reason = "each variant is the message of its name in mesos.internal"
)]
pub enum FromAgent {
    Register(RegisterAgent),
    Reregister(ReregisterAgent),
    Unregister(UnregisterAgent),
    Update(UpdateAgent),
    Pong,
    Status(StatusUpdateMessage),
    ExitedExecutor(ExitedExecutor),
    ToFramework(ExecutorToFramework),
}

/// What the core goes on with when the registrar has answered.
#[derive(Clone, Debug)]
pub enum Pending {
    /// A new agent was admitted.
    Admit(Box<Admission>),
    /// A known agent's changed info was written.
    Update(Box<Reregistration>),
    /// An agent that was not registered here was marked reachable.
    Readmit(Box<Reregistration>),
    /// An agent was marked unreachable.
    Unreachable {
        /// Which agent.
        agent_id: String,
        /// Why, as told to frameworks.
        why: String,
        /// When, in nanoseconds since the epoch: what the registry says.
        at: i64,
    },
    /// An agent was removed.
    Remove {
        /// Which agent.
        agent_id: String,
        /// Why, as told to frameworks.
        why: String,
        /// The counter of Mesos' `master/slave_removals/reason_*`.
        counter: &'static str,
    },
    /// An agent was marked gone.
    Gone {
        /// Which agent.
        agent_id: String,
        /// When, in nanoseconds since the epoch: what the registry says.
        at: i64,
        /// The operator who wanted it.
        asker: Pid,
    },
    /// An agent was deactivated.
    Deactivate {
        /// Which agent.
        agent_id: String,
        /// The operator who wanted it.
        asker: Pid,
    },
    /// An agent was reactivated.
    Reactivate {
        /// Which agent.
        agent_id: String,
        /// The operator who wanted it.
        asker: Pid,
    },
    /// Old entries were pruned.
    Prune {
        /// Ids that left the unreachable list.
        unreachable: Vec<String>,
        /// Ids that left the gone list.
        gone: Vec<String>,
    },
}

/// The core's timers. Arming one again replaces it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The next ping of an agent is due.
    Ping(String),
    /// A disconnected agent had its `agent_reregister_timeout`.
    AgentReregister(String),
    /// The agents of the registry had their `agent_reregister_timeout`.
    RecoveredAgents,
    /// The next heartbeat of a connected framework is due.
    Heartbeat(String),
    /// A disconnected framework had its `failover_timeout`.
    FrameworkFailover(String),
    /// An offer had its `offer_timeout`.
    Offer(String),
    /// Unreachable and gone agents are to be pruned.
    RegistryGc,
    /// The next agent that is to be given up may go.
    Removal,
}
