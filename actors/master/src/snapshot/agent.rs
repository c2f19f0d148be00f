//! An agent as the master knows it while it is registered.
//! Not here: agents that are only in the registry; those are ids and times in `Snapshot`.

use std::collections::BTreeSet;
use std::sync::Arc;

use tepui_protocol::mesos::v1::agent_info::capability::Type as Capability;
use tepui_protocol::mesos::v1::{AgentInfo, agent_info};
use tepui_protocol::resources::Resources;
use tepui_runtime::{Pid, Time};

use super::{Key, Map, Set};

/// A registered agent.
#[derive(Clone, Debug)]
pub struct Agent {
    /// `<master id>-S<n>`, of the master that admitted it.
    pub id: String,
    /// What it said of itself; `id` is filled in.
    pub info: Arc<AgentInfo>,
    /// Where it is.
    pub pid: Pid,
    /// The Mesos version it said to be compatible with.
    pub version: String,
    /// What it can do.
    pub capabilities: Arc<Vec<agent_info::Capability>>,
    /// Which time it is that an agent is in the books: the allocator's grants say for which life
    /// of the agent they are.
    pub incarnation: u64,
    /// When it registered or came back to this master.
    pub registered_at: Time,
    /// When it last re-registered.
    pub reregistered_at: Option<Time>,
    /// Whether its link holds.
    pub connected: bool,
    /// Whether its resources may be offered.
    pub active: bool,
    /// All it has, revocable resources included; without allocation info.
    pub total: Resources,
    /// The part of `total` that may be taken back.
    pub oversubscribed: Resources,
    /// The version of its resources, sent back with each task.
    pub resource_version: Option<Vec<u8>>,
    /// Keys of its tasks; the tasks themselves are their frameworks'.
    pub tasks: Set<Key>,
    /// Keys of its executors.
    pub executors: Set<Key>,
    /// Executors that it did not list when it came back, though what launches them may be under
    /// way: with the ids of the tasks that it is asked about for that.
    pub doubtful: Map<Key, BTreeSet<String>>,
    /// What each framework's tasks and executors use here, by framework id.
    pub used: Map<String, Resources>,
    /// Ids of outstanding offers of its resources.
    pub offers: Set<String>,
    /// Tasks that are to be killed and not known to have ended.
    pub killed: Set<Key>,
}

impl Agent {
    /// Whether it has a capability.
    #[must_use]
    pub fn can(&self, capability: Capability) -> bool {
        self.capabilities
            .iter()
            .any(|has| has.r#type == Some(capability as i32))
    }
}
