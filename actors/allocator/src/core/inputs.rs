//! What the core is told: options, frameworks, agents, and how resources come back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tepui_invariants::Planted;
use tepui_protocol::mesos::v1::Attribute;
use tepui_protocol::resources::{Quantities, Resources, Scalar};

use super::constraints::Constraints;
use super::pattern::PatternLimits;

/// The longest refusal that counts; what is longer is cut to this.
pub const LONGEST_REFUSAL: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// How long a refusal lasts that gives no usable time.
pub const DEFAULT_REFUSAL: Duration = Duration::from_secs(5);

/// What an operator chooses.
#[derive(Clone, Debug)]
pub struct Options {
    /// The time between two batches; also the shortest refusal.
    pub allocation_interval: Duration,
    /// How long what was freed is gathered before it is given out, and the least time between
    /// two runs. Long enough that declines that arrive together are served together.
    pub gather: Duration,
    /// No offer is smaller than every one of these; an empty list lets everything through.
    pub min_allocatable_resources: Vec<Quantities>,
    /// Whether agents with gpus are only for frameworks that know of them.
    pub filter_gpu_resources: bool,
    /// Names that do not count for fair shares.
    pub fair_sharing_excluded_resource_names: BTreeSet<String>,
    /// The region of the master, if it has one.
    pub region: Option<String>,
    /// Weights by role; 1 for all others.
    pub weights: BTreeMap<String, f64>,
    /// How large the regular expressions of offer constraints may be.
    pub patterns: PatternLimits,
    /// A bug to have, in a test build.
    pub planted: Planted,
}

impl Default for Options {
    /// Mesos' defaults.
    fn default() -> Options {
        let minimum = |name: &str, thousandths| {
            [(name.to_owned(), Scalar::from_thousandths(thousandths))]
                .into_iter()
                .collect()
        };
        Options {
            allocation_interval: Duration::from_secs(1),
            gather: Duration::from_millis(2),
            min_allocatable_resources: vec![minimum("cpus", 10), minimum("mem", 32_000)],
            filter_gpu_resources: true,
            fair_sharing_excluded_resource_names: BTreeSet::new(),
            region: None,
            weights: BTreeMap::new(),
            patterns: PatternLimits::default(),
            planted: Planted::NONE,
        }
    }
}

/// What a framework says it can deal with, as far as it decides what it is offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameworkCapabilities {
    /// `REVOCABLE_RESOURCES`
    pub revocable_resources: bool,
    /// `SHARED_RESOURCES`
    pub shared_resources: bool,
    /// `GPU_RESOURCES`
    pub gpu_resources: bool,
    /// `MULTI_ROLE`
    pub multi_role: bool,
    /// `RESERVATION_REFINEMENT`
    pub reservation_refinement: bool,
    /// `REGION_AWARE`
    pub region_aware: bool,
}

/// A framework, as far as it decides what it is offered.
#[derive(Clone, Debug, Default)]
pub struct FrameworkSpec {
    /// Its id.
    pub id: String,
    /// The roles it is subscribed to.
    pub roles: BTreeSet<String>,
    /// Those of them in which it wants no offers.
    pub suppressed_roles: BTreeSet<String>,
    /// Its capabilities.
    pub capabilities: FrameworkCapabilities,
    /// By role, what replaces the operator's `min_allocatable_resources`.
    pub min_allocatable_resources: BTreeMap<String, Vec<Quantities>>,
    /// By role, on which agents it wants offers; on any, where there are none.
    pub constraints: BTreeMap<String, Arc<Constraints>>,
}

/// What an agent says it can deal with, as far as it decides to whom it is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgentCapabilities {
    /// `MULTI_ROLE`
    pub multi_role: bool,
    /// `HIERARCHICAL_ROLE`
    pub hierarchical_role: bool,
}

/// An agent, as far as it decides to whom it is offered.
#[derive(Clone, Debug)]
pub struct AgentSpec {
    /// Its id.
    pub id: String,
    /// The name by which a whitelist knows it.
    pub hostname: String,
    /// Its region, if it has a fault domain.
    pub region: Option<String>,
    /// Its zone, if it has a fault domain.
    pub zone: Option<String>,
    /// Its attributes; when they change, refusals of this agent are forgotten.
    pub attributes: Vec<Attribute>,
    /// Its capabilities.
    pub capabilities: AgentCapabilities,
    /// All it has, without allocation.
    pub total: Resources,
}

/// What a framework holds on an agent; each resource is allocated to a role.
#[derive(Clone, Debug)]
pub struct Use {
    /// The framework's id.
    pub framework: String,
    /// The agent's id.
    pub agent: String,
    /// What it holds there.
    pub resources: Resources,
}

/// Why resources come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// The framework refused an offer, or left this much of it over, for so long. Zero means
    /// until the next batch.
    Refused(Duration),
    /// The framework has refused nothing, but the agent pauses for it: what it launches there fails
    /// at once. Lasts exactly so long.
    Paused(Duration),
    /// A task ended, an offer was taken back, or the framework used some of an offer and left the
    /// rest over for no time: it may be offered it again at once, if its share says so.
    Freed,
}

impl Recovery {
    /// From `Filters.refuse_seconds`: what is negative or no number lasts for the default of
    /// 5 s, what is longer than 365 days is cut to that.
    #[must_use]
    pub fn refused_for(seconds: f64) -> Recovery {
        if seconds > LONGEST_REFUSAL.as_secs_f64() {
            return Recovery::Refused(LONGEST_REFUSAL);
        }
        Recovery::Refused(Duration::try_from_secs_f64(seconds).unwrap_or(DEFAULT_REFUSAL))
    }
}

/// An input that does not fit what the core knows. The state is as if it had not come, except
/// where a variant says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AllocatorError {
    /// The framework was never added, or was removed.
    #[error("framework {framework} is not known to the allocator")]
    UnknownFramework {
        /// Its id.
        framework: String,
    },
    /// The agent was never added, or was removed.
    #[error("agent {agent} is not known to the allocator")]
    UnknownAgent {
        /// Its id.
        agent: String,
    },
    /// It was added before.
    #[error("framework {framework} was added before")]
    FrameworkExists {
        /// Its id.
        framework: String,
    },
    /// It was added before.
    #[error("agent {agent} was added before")]
    AgentExists {
        /// Its id.
        agent: String,
    },
    /// A resource that is to be held or given back does not say in which role.
    #[error("resources '{resources}' of framework {framework} are not allocated to a role")]
    NotAllocated {
        /// The framework's id.
        framework: String,
        /// Those without role.
        resources: String,
    },
    /// More was given back than was held. What was held has been given back.
    #[error("framework {framework} does not hold '{resources}' on agent {agent}")]
    NotHeld {
        /// The framework's id.
        framework: String,
        /// The agent's id.
        agent: String,
        /// What was too much.
        resources: String,
    },
    /// A weight that is not above zero.
    #[error("weight {weight} of role '{role}' is not above zero")]
    Weight {
        /// The role.
        role: String,
        /// The weight, as text.
        weight: String,
    },
}
