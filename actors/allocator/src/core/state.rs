//! The state of the allocator, and when it wants to run. What each input does to it is in
//! `framework_events`, `agent_events` and `uses`; a run is in `run`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tepui_protocol::resources::Resources;
use tepui_runtime::Time;

use super::agent::Agent;
use super::filters::Expiry;
use super::frameworks::{ClientId, FrameworkId, Minimum};
use super::inputs::{AllocatorError, Options};
use super::ledger::Ledger;
use super::pattern::PatternLimits;
use super::slab::Slab;

/// The allocator. See the [module](super) for how it is used.
#[derive(Debug)]
pub struct Allocator {
    pub(super) options: Options,
    pub(super) ledger: Ledger,
    pub(super) agents: Slab<Agent>,
    pub(super) agent_ids: BTreeMap<Arc<str>, u32>,
    pub(super) expiry: Expiry,
    /// The operator's least amounts.
    pub(super) minimum: Vec<Minimum>,
    pub(super) pending: Pending,
    pub(super) next_batch: Time,
    pub(super) last_run: Option<Time>,
    /// The hostnames whose agents may be offered; all, if there is none.
    pub(super) whitelist: Option<BTreeSet<String>>,
}

/// What the next run has to look at.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) all: bool,
    pub(super) agents: BTreeSet<u32>,
    /// When it should be, if something waits.
    pub(super) at: Option<Time>,
}

impl Allocator {
    /// An allocator that knows nobody yet; its first batch is one interval from `now`.
    #[must_use]
    pub fn new(options: Options, now: Time) -> Allocator {
        let mut ledger = Ledger::new(&options);
        let minimum = ledger.acquire_minimum(&options.min_allocatable_resources);
        Allocator {
            ledger,
            agents: Slab::default(),
            agent_ids: BTreeMap::new(),
            expiry: Expiry::default(),
            minimum,
            pending: Pending::default(),
            next_batch: now + options.allocation_interval,
            last_run: None,
            whitelist: None,
            options,
        }
    }

    /// How large the regular expressions of offer constraints may be.
    #[must_use]
    pub fn patterns(&self) -> PatternLimits {
        self.options.patterns
    }

    /// When [`run`](Allocator::run) is wanted next. It may lie in the past; it changes with every
    /// input.
    #[must_use]
    pub fn due(&self) -> Time {
        self.pending
            .at
            .map_or(self.next_batch, |at| at.min(self.next_batch))
    }

    /// When the next run over all agents is.
    #[must_use]
    pub fn next_batch(&self) -> Time {
        self.next_batch
    }

    /// Offers only agents of these hostnames; without a list all of them. It counts from the next
    /// run on, and takes nothing back.
    pub fn set_whitelist(&mut self, hostnames: Option<BTreeSet<String>>) {
        self.whitelist = hostnames;
    }

    /// Whether an agent's hostname lets it be offered.
    pub(super) fn is_listed(&self, agent: &Agent) -> bool {
        let list = self.whitelist.as_ref();
        list.is_none_or(|list| list.contains(&agent.spec.hostname))
    }

    pub(super) fn set_total(&mut self, agent: u32, total: &Resources) {
        for (name, change) in self.agents[agent].set_total(total, &mut self.ledger.names) {
            self.ledger.totals.add(name, change);
        }
        self.tidy_slots(agent);
    }

    pub(super) fn tidy_slots(&mut self, agent: u32) {
        for name in self.agents[agent].drop_unused_slots() {
            self.ledger.names.release(name);
        }
    }

    pub(super) fn clear_filters(&mut self, clients: &[ClientId]) {
        for client in clients {
            if self.expiry.has_any(*client) {
                for (_, agent) in self.agents.iter_mut() {
                    self.expiry.clear(agent, *client);
                }
            }
        }
    }

    pub(super) fn added(&self, id: &str) -> Result<FrameworkId, AllocatorError> {
        self.ledger
            .framework(id)
            .filter(|framework| self.ledger.frameworks[*framework].added)
            .ok_or_else(|| AllocatorError::UnknownFramework {
                framework: id.to_owned(),
            })
    }

    pub(super) fn agent(&self, id: &str) -> Result<u32, AllocatorError> {
        let known = self.agent_ids.get(id).copied();
        known.ok_or_else(|| AllocatorError::UnknownAgent {
            agent: id.to_owned(),
        })
    }

    pub(super) fn request(&mut self, agent: u32, at: Time) {
        self.pending.agents.insert(agent);
        self.wake(at);
    }

    pub(super) fn request_all(&mut self, at: Time) {
        self.pending.all = true;
        self.wake(at);
    }

    /// Wants a run at `at`, but not closer to the last one than the time for gathering.
    pub(super) fn wake(&mut self, at: Time) {
        let at = self
            .last_run
            .map_or(at, |last| at.max(last + self.options.gather));
        self.pending.at = Some(self.pending.at.map_or(at, |already| already.min(at)));
    }
}
