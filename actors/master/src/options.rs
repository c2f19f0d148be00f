//! How a master is started: Mesos' flags that matter here, with Mesos' defaults.
//! Not here: how flags are read (`http/cli`).

use std::collections::BTreeSet;
use std::time::Duration;

use tepui_invariants::Planted;
use tepui_protocol::mesos::v1::DomainInfo;

/// Where the registry is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RegistryKind {
    /// `in_memory`: it does not survive the master, which says so at start.
    #[default]
    InMemory,
}

/// The options of a master. Each is the Mesos flag of its name.
#[derive(Clone, Debug)]
pub struct MasterOptions {
    /// The name that the master advertises; without one, its IP.
    pub hostname: Option<String>,
    /// How long a ping waits for its pong; also the time between pings.
    pub agent_ping_timeout: Duration,
    /// How many pings in a row may miss their pong before the agent is unreachable.
    pub max_agent_ping_timeouts: u32,
    /// How long agents may be away: disconnected, or since the master came up.
    pub agent_reregister_timeout: Duration,
    /// The least time between two agents that become unreachable: `1/10mins` is ten minutes, `2/1mins`
    /// half a minute; none, if there is none.
    pub agent_removal_rate_limit: Option<Duration>,
    /// How many agents may be registered at once; ours: whoever reaches the port can register.
    pub max_agents: usize,
    /// How many frameworks there may be at once; ours, for the same reason.
    pub max_frameworks: usize,
    /// How many tasks of a framework there may be that it has not acknowledged the end of; ours,
    /// for the same reason: one that acknowledges nothing would fill the memory.
    pub max_tasks_per_framework: usize,
    /// How many removed frameworks are kept.
    pub max_completed_frameworks: usize,
    /// How many ended tasks of each framework are kept.
    pub max_completed_tasks_per_framework: usize,
    /// How many unreachable tasks of each framework are kept.
    pub max_unreachable_tasks_per_framework: usize,
    /// After how long an offer is rescinded; never, if there is none.
    pub offer_timeout: Option<Duration>,
    /// How much of the cluster may be given up at once when the master came up, from 0 to 1.
    pub recovery_agent_removal_limit: f64,
    /// Where the registry is kept.
    pub registry: RegistryKind,
    /// How long reading the registry may take.
    pub registry_fetch_timeout: Duration,
    /// How long a change of the registry may take.
    pub registry_store_timeout: Duration,
    /// The time between two prunings of unreachable and gone agents.
    pub registry_gc_interval: Duration,
    /// How long such agents are kept.
    pub registry_max_agent_age: Duration,
    /// How many of each kind are kept.
    pub registry_max_agent_count: usize,
    /// The only roles that may be subscribed to, beside `*`; any, if there is none.
    pub roles: Option<BTreeSet<String>>,
    /// Whether frameworks may run as root.
    pub root_submissions: bool,
    /// Whether each framework has metrics of its own.
    pub publish_per_framework_metrics: bool,
    /// The master's fault domain.
    pub domain: Option<DomainInfo>,
    /// Whether agents without a fault domain are kept out.
    pub require_agent_domain: bool,
    /// How the allocator works. Its region is that of `domain`.
    pub allocator: tepui_allocator::AllocatorOptions,
    /// A bug to have, in a test build.
    pub planted: Planted,
}

impl Default for MasterOptions {
    fn default() -> Self {
        MasterOptions {
            hostname: None,
            agent_ping_timeout: Duration::from_secs(15),
            max_agent_ping_timeouts: 5,
            agent_reregister_timeout: Duration::from_secs(600),
            agent_removal_rate_limit: None,
            // Twice the largest clusters that Mesos was run with.
            max_agents: 100_000,
            max_frameworks: 10_000,
            max_tasks_per_framework: 200_000,
            max_completed_frameworks: 50,
            max_completed_tasks_per_framework: 1000,
            max_unreachable_tasks_per_framework: 1000,
            offer_timeout: None,
            recovery_agent_removal_limit: 1.0,
            registry: RegistryKind::InMemory,
            registry_fetch_timeout: Duration::from_secs(60),
            registry_store_timeout: Duration::from_secs(20),
            registry_gc_interval: Duration::from_secs(15 * 60),
            registry_max_agent_age: Duration::from_secs(14 * 24 * 3600),
            registry_max_agent_count: 102_400,
            roles: None,
            root_submissions: true,
            publish_per_framework_metrics: true,
            domain: None,
            require_agent_domain: false,
            allocator: tepui_allocator::AllocatorOptions::default(),
            planted: Planted::NONE,
        }
    }
}
