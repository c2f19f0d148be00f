//! What the master knows, as plain data: the core changes it, readers get immutable copies of it.
//!
//! Everything sits in persistent maps behind `Arc`s, so that a copy costs a few counters and
//! shares all that did not change. Not here: how the state changes (`core`), and how it is shown
//! (views are written where they are served).

mod agent;
mod bounded;
mod framework;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};
use tepui_protocol::mesos::v1::{AgentInfo, MasterInfo, TaskState};
use tepui_protocol::resources::Resources;
use tepui_runtime::Time;

use crate::core::holds;

pub use self::agent::Agent;
pub use self::bounded::Bounded;
pub use self::framework::{Connection, Framework};
pub(crate) use self::framework::{framework_can, framework_roles};

/// A persistent ordered map whose values are shared.
pub type Map<K, V> = RedBlackTreeMapSync<K, Arc<V>>;

/// A persistent ordered set.
pub type Set<K> = RedBlackTreeSetSync<K>;

/// The key of a task on an agent, and of an executor: the framework's id and its own.
pub type Key = (String, String);

/// Resources of one agent, offered to one framework in one role.
#[derive(Clone, Debug)]
pub struct Offer {
    /// `<master id>-O<n>`.
    pub id: String,
    /// To whom.
    pub framework_id: String,
    /// Of which agent.
    pub agent_id: String,
    /// In which role.
    pub role: String,
    /// What; each resource carries its allocation info.
    pub resources: Resources,
    /// When it was made.
    pub made_at: Time,
}

/// How many tasks there are in each state: Mesos' `master/tasks_*` gauges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskCounts(BTreeMap<i32, usize>);

impl TaskCounts {
    /// How many tasks are in `state`.
    #[must_use]
    pub fn get(&self, state: TaskState) -> usize {
        self.0.get(&(state as i32)).copied().unwrap_or(0)
    }

    pub(crate) fn enter(&mut self, state: TaskState) {
        *self.0.entry(state as i32).or_insert(0) += 1;
    }

    pub(crate) fn leave(&mut self, state: TaskState) {
        if let Some(count) = self.0.get_mut(&(state as i32)) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.0.remove(&(state as i32));
            }
        }
    }
}

/// All of the master's state at one instant.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Who this master is.
    pub master_info: Arc<MasterInfo>,
    /// When this master started.
    pub started_at: Time,
    /// Since when this master leads; it leads alone.
    pub elected_at: Option<Time>,
    /// Whether the registry was read: before that the master answers nobody.
    pub recovered: bool,
    /// Frameworks by id: connected, disconnected and recovered ones.
    pub frameworks: Map<String, Framework>,
    /// The last `max_completed_frameworks` that were removed, oldest first.
    pub completed_frameworks: Bounded<String, Framework>,
    /// Registered agents by id.
    pub agents: Map<String, Agent>,
    /// Agents of the registry that did not come back yet since this master leads.
    pub recovered_agents: Map<String, AgentInfo>,
    /// Agents marked unreachable, and when.
    pub unreachable_agents: RedBlackTreeMapSync<String, i64>,
    /// Agents marked gone, and when, in nanoseconds since the epoch.
    pub gone_agents: RedBlackTreeMapSync<String, i64>,
    /// Agents that an operator deactivated: registered ones, those of the registry that are not
    /// back, and unreachable ones.
    pub deactivated_agents: Set<String>,
    /// Outstanding offers by id.
    pub offers: Map<String, Offer>,
    /// Tasks by state, those kept as unreachable included.
    pub task_counts: TaskCounts,
    /// Weights by role, where one is set; all others weigh 1.
    pub weights: Arc<BTreeMap<String, f64>>,
    /// The only roles that may be subscribed to, beside `*`; any, if there is none.
    pub whitelist: Option<Arc<BTreeSet<String>>>,
}

impl Snapshot {
    /// The state of a master that just started.
    #[must_use]
    pub fn new(master_info: MasterInfo, started_at: Time, max_completed_frameworks: usize) -> Self {
        Snapshot {
            master_info: Arc::new(master_info),
            started_at,
            elected_at: Some(started_at),
            recovered: false,
            frameworks: Map::new_sync(),
            completed_frameworks: Bounded::new(max_completed_frameworks),
            agents: Map::new_sync(),
            recovered_agents: Map::new_sync(),
            unreachable_agents: RedBlackTreeMapSync::new_sync(),
            gone_agents: RedBlackTreeMapSync::new_sync(),
            deactivated_agents: Set::new_sync(),
            offers: Map::new_sync(),
            task_counts: TaskCounts::default(),
            weights: Arc::default(),
            whitelist: None,
        }
    }

    /// The framework `id`, unless it is completed or unknown.
    #[must_use]
    pub fn framework(&self, id: &str) -> Option<&Framework> {
        self.frameworks.get(id).map(Arc::as_ref)
    }

    /// The registered agent `id`.
    #[must_use]
    pub fn agent(&self, id: &str) -> Option<&Agent> {
        self.agents.get(id).map(Arc::as_ref)
    }

    /// What each task, executor and offer has of an agent, and which it is, in words.
    #[must_use]
    pub fn holders(&self, agent: &Agent) -> Vec<(String, Resources)> {
        let resources = |all| Resources::from_proto(all).unwrap_or_default();
        let mut holders = Vec::new();
        for (framework, id) in agent.tasks.iter() {
            let known = self.framework(framework);
            let task = known.and_then(|known| known.tasks.get(id));
            if let Some(task) = task.filter(|task| holds(task.state())) {
                holders.push((
                    format!("task {id} of {framework}"),
                    resources(&task.resources),
                ));
            }
        }
        for (framework, id) in agent.executors.iter() {
            let key = (agent.id.clone(), id.clone());
            let known = self.framework(framework);
            if let Some(executor) = known.and_then(|known| known.executors.get(&key)) {
                let by = format!("executor {id} of {framework}");
                holders.push((by, resources(&executor.resources)));
            }
        }
        let offers = agent.offers.iter().filter_map(|id| self.offers.get(id));
        holders
            .extend(offers.map(|offer| (format!("offer {}", offer.id), offer.resources.clone())));
        holders
    }

    /// Whether a framework with this id was removed.
    #[must_use]
    pub fn is_completed(&self, framework_id: &str) -> bool {
        self.completed_frameworks.contains(framework_id)
    }
}
