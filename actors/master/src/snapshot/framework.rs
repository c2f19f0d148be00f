//! A framework as the master knows it.
//! Not here: what moves it from state to state (`core/frameworks.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tepui_protocol::mesos::v1::framework_info::capability::Type as Capability;
use tepui_protocol::mesos::v1::scheduler::OfferConstraints;
use tepui_protocol::mesos::v1::{AgentInfo, ExecutorInfo, FrameworkInfo, Task, TaskStatus};
use tepui_protocol::resources::Resources;
use tepui_runtime::{Pid, Time};

use super::{Bounded, Key, Map, Set};

/// How a framework is connected to this master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    /// Subscribed; calls come from and events go to this PID.
    Connected(Pid),
    /// Was subscribed here; its link broke.
    Disconnected,
    /// Known from an agent only, never subscribed to this master.
    Recovered,
}

/// A framework.
#[derive(Clone, Debug)]
pub struct Framework {
    /// `<master id>-NNNN`.
    pub id: String,
    /// What it said of itself; `id` is filled in.
    pub info: Arc<FrameworkInfo>,
    /// Where it is.
    pub connection: Connection,
    /// Whether it gets offers. Only a connected framework does.
    pub active: bool,
    /// The roles it wants no offers for.
    pub suppressed_roles: Arc<BTreeSet<String>>,
    /// On which agents it wants offers, by role; on any in the roles that are not there.
    pub offer_constraints: Arc<OfferConstraints>,
    /// When it first subscribed here, or was first heard of.
    pub registered_at: Time,
    /// When it last subscribed with its id.
    pub reregistered_at: Option<Time>,
    /// When it was removed.
    pub unregistered_at: Option<Time>,
    /// Its tasks by id: every one whose terminal update is not acknowledged yet.
    pub tasks: Map<String, Task>,
    /// Tasks on agents that are unreachable, by id.
    pub unreachable_tasks: Bounded<String, Task>,
    /// Tasks that ended, oldest first. The same id may appear more than once.
    pub completed_tasks: Bounded<u64, Task>,
    /// How many tasks ever completed; the next key of `completed_tasks`.
    pub completed_count: u64,
    /// What the latest tasks were told that were not launched at all, by task id: for people.
    pub refused_tasks: Bounded<String, TaskStatus>,
    /// Its executors by agent and executor id. Command executors are not among them.
    pub executors: Map<Key, ExecutorInfo>,
    /// Ids of its outstanding offers.
    pub offers: Set<String>,
    /// What its tasks and executors use, on all agents.
    pub used: Resources,
}

impl Framework {
    /// The PID it is connected by.
    #[must_use]
    pub fn pid(&self) -> Option<&Pid> {
        match &self.connection {
            Connection::Connected(pid) => Some(pid),
            Connection::Disconnected | Connection::Recovered => None,
        }
    }

    /// Whether it is connected.
    #[must_use]
    pub fn connected(&self) -> bool {
        self.pid().is_some()
    }

    /// How long it may be away before it is removed. SUBSCRIBE made sure that it is a duration;
    /// less than nothing is nothing.
    #[must_use]
    pub fn failover_timeout(&self) -> Duration {
        Duration::try_from_secs_f64(self.info.failover_timeout()).unwrap_or(Duration::ZERO)
    }

    /// For people: what it means that the framework asks for no time to come back. None if it
    /// asks for some.
    #[must_use]
    pub fn failover_note(&self) -> Option<&'static str> {
        self.failover_timeout().is_zero().then_some(
            "failover_timeout is 0: as soon as the framework disconnects it is removed, its tasks \
             and executors are killed, and its id cannot subscribe again",
        )
    }

    /// The principal it subscribed with.
    #[must_use]
    pub fn principal(&self) -> Option<&str> {
        self.info.principal.as_deref()
    }

    /// Whether it has a capability.
    #[must_use]
    pub fn can(&self, capability: Capability) -> bool {
        framework_can(&self.info, capability)
    }

    /// The ids of these agents that its offer constraints exclude, by role: each of its roles is
    /// there.
    #[must_use]
    pub fn excluded<'a>(
        &self,
        agents: impl IntoIterator<Item = &'a AgentInfo>,
    ) -> BTreeMap<String, Vec<String>> {
        let mut excluded = tepui_allocator::excluded(&self.offer_constraints, agents);
        for role in self.roles() {
            excluded.entry(role).or_default();
        }
        excluded
    }

    /// The roles it is subscribed to.
    #[must_use]
    pub fn roles(&self) -> BTreeSet<String> {
        framework_roles(&self.info)
    }
}

/// Whether a framework has a capability.
#[must_use]
pub(crate) fn framework_can(info: &FrameworkInfo, capability: Capability) -> bool {
    info.capabilities
        .iter()
        .any(|has| has.r#type == Some(capability as i32))
}

/// The roles of a framework: `roles` where it is MULTI_ROLE, else `role`, which is `*` if unset.
#[must_use]
pub(crate) fn framework_roles(info: &FrameworkInfo) -> BTreeSet<String> {
    if framework_can(info, Capability::MultiRole) {
        info.roles.iter().cloned().collect()
    } else {
        BTreeSet::from([info.role.clone().unwrap_or_else(|| "*".to_owned())])
    }
}
