//! The state of the allocator, and what each input does to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tepui_protocol::resources::{Entry, Resources};
use tepui_runtime::Time;

use super::agent::{Agent, Parts};
use super::filters::Expiry;
use super::frameworks::{ClientId, FrameworkId, Minimum};
use super::inputs::{AgentSpec, AllocatorError, FrameworkSpec, Options, Recovery, Use};
use super::ledger::Ledger;
use super::part::Part;
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
            options,
        }
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

    /// Adds a framework, with what it holds already. An active one is offered what there is at
    /// once.
    ///
    /// # Errors
    /// It was added before; or a use does not name its role.
    pub fn add_framework(
        &mut self,
        now: Time,
        spec: &FrameworkSpec,
        active: bool,
        used: &[Use],
    ) -> Result<(), AllocatorError> {
        let known = self.ledger.framework(&spec.id);
        if known.is_some_and(|framework| self.ledger.frameworks[framework].added) {
            return Err(AllocatorError::FrameworkExists {
                framework: spec.id.clone(),
            });
        }
        used.iter().try_for_each(all_allocated)?;
        let framework = self.ledger.framework_or_unadded(&spec.id);
        self.ledger.frameworks[framework].added = true;
        self.ledger.frameworks[framework].active = active;
        self.settle_framework(now, framework, spec);
        for one in used {
            // Most of it came with its agent; only what did not is new.
            self.count_use(one, true);
        }
        Ok(())
    }

    /// Replaces roles, suppressed roles, capabilities and least amounts of a framework.
    ///
    /// # Errors
    /// It is not known.
    pub fn update_framework(
        &mut self,
        now: Time,
        spec: &FrameworkSpec,
    ) -> Result<(), AllocatorError> {
        let framework = self.added(&spec.id)?;
        self.settle_framework(now, framework, spec);
        Ok(())
    }

    /// Forgets a framework; what it held is free.
    ///
    /// # Errors
    /// It is not known.
    pub fn remove_framework(&mut self, now: Time, id: &str) -> Result<(), AllocatorError> {
        let framework = self.added(id)?;
        let clients = self.ledger.clients_of(framework);
        let gathered = now + self.options.gather;
        for (agent_id, agent) in self.agents.iter_mut() {
            for client in &clients {
                self.expiry.clear(agent, *client);
                let Some(parts) = agent.uses.get(client).cloned() else {
                    continue;
                };
                self.ledger.give_back(agent, *client, &parts);
                self.pending.agents.insert(agent_id);
            }
        }
        self.ledger.frameworks[framework].added = false;
        self.ledger.settle_eligible(framework);
        for client in clients {
            self.ledger.clients[client].subscribed = false;
            self.ledger.forget_if_idle(client);
        }
        self.ledger.forget_unadded(framework);
        self.wake(gathered);
        Ok(())
    }

    /// Offers go to the framework again, at once.
    ///
    /// # Errors
    /// It is not known.
    pub fn activate_framework(&mut self, now: Time, id: &str) -> Result<(), AllocatorError> {
        let framework = self.added(id)?;
        self.ledger.frameworks[framework].active = true;
        self.ledger.settle_eligible(framework);
        self.request_all(now);
        Ok(())
    }

    /// No more offers go to the framework; its refusals are forgotten. What it holds it keeps.
    ///
    /// # Errors
    /// It is not known.
    pub fn deactivate_framework(&mut self, id: &str) -> Result<(), AllocatorError> {
        let framework = self.added(id)?;
        self.ledger.frameworks[framework].active = false;
        self.ledger.settle_eligible(framework);
        let clients = self.ledger.clients_of(framework);
        self.clear_filters(&clients);
        Ok(())
    }

    /// Adds an agent, with what is held of it already, also by frameworks that are yet to come.
    /// It is offered at once.
    ///
    /// # Errors
    /// It was added before; or a use does not name its role.
    pub fn add_agent(
        &mut self,
        now: Time,
        spec: AgentSpec,
        used: &[Use],
    ) -> Result<(), AllocatorError> {
        if self.agent_ids.contains_key(spec.id.as_str()) {
            return Err(AllocatorError::AgentExists { agent: spec.id });
        }
        used.iter().try_for_each(all_allocated)?;
        let total = spec.total.clone();
        let agent = Agent::new(spec);
        let id = Arc::clone(&agent.id);
        let agent = self.agents.insert(agent);
        self.agent_ids.insert(id, agent);
        self.set_total(agent, &total);
        for one in used {
            self.count_use(one, false);
        }
        self.request(agent, now);
        Ok(())
    }

    /// Replaces what is known of an agent; where something changed, it is offered at once.
    ///
    /// # Errors
    /// It is not known.
    pub fn update_agent(&mut self, now: Time, spec: AgentSpec) -> Result<(), AllocatorError> {
        let id = self.agent(&spec.id)?;
        let agent = &mut self.agents[id];
        let former = std::mem::replace(&mut agent.spec, spec);
        let same_attributes =
            tepui_protocol::attributes::equal(&former.attributes, &agent.spec.attributes);
        let same = same_attributes
            && former.capabilities == agent.spec.capabilities
            && former.region == agent.spec.region
            && former.total == agent.spec.total;
        if same {
            return Ok(());
        }
        if !same_attributes {
            self.expiry.clear_agent(agent);
        }
        let total = agent.spec.total.clone();
        self.set_total(id, &total);
        self.request(id, now);
        Ok(())
    }

    /// Forgets an agent and all that was held of it.
    ///
    /// # Errors
    /// It is not known.
    pub fn remove_agent(&mut self, id: &str) -> Result<(), AllocatorError> {
        let agent_id = self.agent(id)?;
        let agent = &mut self.agents[agent_id];
        self.expiry.clear_agent(agent);
        for (client, parts) in agent.uses.clone() {
            self.ledger.give_back(agent, client, &parts);
            // A client without subscription has no refusals, so none are left behind.
            self.ledger.forget_if_idle(client);
        }
        self.set_total(agent_id, &Resources::new());
        self.agents.remove(agent_id);
        self.agent_ids.remove(id);
        self.pending.agents.remove(&agent_id);
        Ok(())
    }

    /// The agent is offered again, at once.
    ///
    /// # Errors
    /// It is not known.
    pub fn activate_agent(&mut self, now: Time, id: &str) -> Result<(), AllocatorError> {
        let agent = self.agent(id)?;
        self.agents[agent].active = true;
        self.request(agent, now);
        Ok(())
    }

    /// The agent is not offered any more; what is held of it stays held.
    ///
    /// # Errors
    /// It is not known.
    pub fn deactivate_agent(&mut self, id: &str) -> Result<(), AllocatorError> {
        let agent = self.agent(id)?;
        self.agents[agent].active = false;
        Ok(())
    }

    /// Takes back what a framework no longer holds. A framework or agent that is gone held
    /// nothing any more.
    ///
    /// # Errors
    /// More came back than was held; what was held is free now.
    pub fn recover(
        &mut self,
        now: Time,
        freed: &Use,
        recovery: Recovery,
    ) -> Result<(), AllocatorError> {
        all_allocated(freed)?;
        let Some(&agent_id) = self.agent_ids.get(freed.agent.as_str()) else {
            return Ok(());
        };
        let Some(framework) = self.ledger.framework(&freed.framework) else {
            return Ok(());
        };
        let mut excess = Resources::new();
        for (role, resources) in freed.resources.allocations() {
            let agent = &mut self.agents[agent_id];
            let Some(&client) = self.ledger.frameworks[framework].clients.get(role.as_str()) else {
                excess += resources;
                continue;
            };
            let (parts, unknown) = agent.known_parts(&resources);
            let missing = self.ledger.give_back(agent, client, &parts);
            excess += unknown + &resources_of(agent, &missing).allocate(&role);
            if let Recovery::Refused(duration) = recovery {
                self.refuse(agent_id, client, parts, now, duration);
            }
            self.forget_client_if_idle(client);
        }
        self.tidy_slots(agent_id);
        self.pending.agents.insert(agent_id);
        self.wake(now + self.options.gather);
        if excess.is_empty() {
            return Ok(());
        }
        Err(AllocatorError::NotHeld {
            framework: freed.framework.clone(),
            agent: freed.agent.clone(),
            resources: excess.to_string(),
        })
    }

    /// Counts what is in use on an agent though it was never granted.
    ///
    /// # Errors
    /// The agent is not known; or the use does not name its role.
    pub fn add_use(&mut self, one: &Use) -> Result<(), AllocatorError> {
        all_allocated(one)?;
        self.agent(&one.agent)?;
        self.count_use(one, false);
        Ok(())
    }

    /// No more offers in these roles; no roles means all of the framework's.
    ///
    /// # Errors
    /// The framework is not known.
    pub fn suppress(&mut self, id: &str, roles: &[String]) -> Result<(), AllocatorError> {
        let framework = self.added(id)?;
        for client in self.clients_in(framework, roles) {
            self.ledger.clients[client].suppressed = true;
        }
        self.ledger.settle_eligible(framework);
        Ok(())
    }

    /// Offers in these roles again, at once, and whatever was refused in them too; no roles
    /// means all of the framework's.
    ///
    /// # Errors
    /// The framework is not known.
    pub fn revive(&mut self, now: Time, id: &str, roles: &[String]) -> Result<(), AllocatorError> {
        let framework = self.added(id)?;
        let clients = self.clients_in(framework, roles);
        for client in &clients {
            self.ledger.clients[*client].suppressed = false;
        }
        self.clear_filters(&clients);
        self.ledger.settle_eligible(framework);
        self.request_all(now);
        Ok(())
    }

    /// Sets weights of roles; they count from the next run on.
    ///
    /// # Errors
    /// A weight is not above zero; those before it are set.
    pub fn update_weights<'a>(
        &mut self,
        weights: impl IntoIterator<Item = (&'a str, f64)>,
    ) -> Result<(), AllocatorError> {
        for (role, weight) in weights {
            if !(weight.is_finite() && weight > 0.0) {
                let (role, weight) = (role.to_owned(), weight.to_string());
                return Err(AllocatorError::Weight { role, weight });
            }
            self.ledger.set_weight(role, weight);
        }
        Ok(())
    }

    fn settle_framework(&mut self, now: Time, framework: FrameworkId, spec: &FrameworkSpec) {
        for role in &spec.roles {
            let client = self.ledger.client(framework, role);
            self.ledger.clients[client].subscribed = true;
            self.ledger.clients[client].suppressed = spec.suppressed_roles.contains(role);
            let minimum = spec.min_allocatable_resources.get(role);
            self.ledger.set_minimum(client, minimum.map(Vec::as_slice));
        }
        let more_capable = self.ledger.frameworks[framework].capabilities != spec.capabilities;
        self.ledger.frameworks[framework].capabilities = spec.capabilities;
        let left: Vec<ClientId> = self.ledger.frameworks[framework]
            .clients
            .iter()
            .filter(|(role, _)| !spec.roles.contains(&***role))
            .map(|(_, client)| *client)
            .collect();
        self.clear_filters(&left);
        for client in left {
            self.ledger.clients[client].subscribed = false;
            self.ledger.forget_if_idle(client);
        }
        if self.ledger.settle_eligible(framework) || more_capable {
            self.request_all(now);
        }
    }

    /// Counts a use. With `only_missing`, what the framework is known to hold is not counted
    /// again. A use on an agent that is not known will come with that agent.
    fn count_use(&mut self, one: &Use, only_missing: bool) {
        let Some(&agent_id) = self.agent_ids.get(one.agent.as_str()) else {
            return;
        };
        let framework = self.ledger.framework_or_unadded(&one.framework);
        let mut clients = Vec::new();
        for (role, resources) in one.resources.allocations() {
            let client = self.ledger.client(framework, &role);
            clients.push(client);
            let agent = &mut self.agents[agent_id];
            let mut resources = resources.unallocate();
            if only_missing && let Some(held) = agent.uses.get(&client) {
                resources -= resources_of(agent, held);
            }
            if resources.is_empty() {
                continue;
            }
            let parts = agent.parts(&resources, &mut self.ledger.names);
            self.ledger.take(agent, client, &parts);
        }
        for client in clients {
            self.ledger.forget_if_idle(client);
        }
        self.ledger.forget_unadded(framework);
    }

    fn set_total(&mut self, agent: u32, total: &Resources) {
        for (name, change) in self.agents[agent].set_total(total, &mut self.ledger.names) {
            self.ledger.totals.add(name, change);
        }
        self.tidy_slots(agent);
    }

    fn tidy_slots(&mut self, agent: u32) {
        for name in self.agents[agent].drop_unused_slots() {
            self.ledger.names.release(name);
        }
    }

    fn refuse(
        &mut self,
        agent_id: u32,
        client: ClientId,
        parts: Parts,
        now: Time,
        duration: Duration,
    ) {
        // Who is not subscribed any more gets no offers, and would leave the refusal behind.
        if parts.is_empty() || !self.ledger.clients[client].subscribed {
            return;
        }
        let timed = !duration.is_zero();
        let duration = match timed {
            true => duration.clamp(
                self.options.allocation_interval,
                super::inputs::LONGEST_REFUSAL,
            ),
            false => Duration::ZERO,
        };
        let agent = &mut self.agents[agent_id];
        self.expiry
            .add((agent_id, agent), client, parts, now + duration, timed);
    }

    fn forget_client_if_idle(&mut self, client: ClientId) {
        if self
            .ledger
            .clients
            .get(client)
            .is_some_and(|client| !client.subscribed)
        {
            self.ledger.forget_if_idle(client);
        }
    }

    fn clear_filters(&mut self, clients: &[ClientId]) {
        for client in clients {
            if self.expiry.has_any(*client) {
                for (_, agent) in self.agents.iter_mut() {
                    self.expiry.clear(agent, *client);
                }
            }
        }
    }

    fn clients_in(&self, framework: FrameworkId, roles: &[String]) -> Vec<ClientId> {
        let clients = &self.ledger.frameworks[framework].clients;
        if roles.is_empty() {
            return clients.values().copied().collect();
        }
        roles
            .iter()
            .filter_map(|role| clients.get(role.as_str()).copied())
            .collect()
    }

    fn added(&self, id: &str) -> Result<FrameworkId, AllocatorError> {
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

    fn request(&mut self, agent: u32, at: Time) {
        self.pending.agents.insert(agent);
        self.wake(at);
    }

    fn request_all(&mut self, at: Time) {
        self.pending.all = true;
        self.wake(at);
    }

    /// Wants a run at `at`, but not closer to the last one than the time for gathering.
    fn wake(&mut self, at: Time) {
        let at = self
            .last_run
            .map_or(at, |last| at.max(last + self.options.gather));
        self.pending.at = Some(self.pending.at.map_or(at, |already| already.min(at)));
    }
}

/// Whether each resource says in which role it is held.
fn all_allocated(one: &Use) -> Result<(), AllocatorError> {
    let without = one
        .resources
        .filter(|entry| entry.kind.allocation_role().is_none());
    if without.is_empty() {
        return Ok(());
    }
    Err(AllocatorError::NotAllocated {
        framework: one.framework.clone(),
        resources: without.to_string(),
    })
}

/// Parts of an agent as resources.
pub(super) fn resources_of(agent: &Agent, parts: &Parts) -> Resources {
    let entry = |(id, part): &(u32, Part)| {
        let slot = agent.slot(*id)?;
        let kind = slot.kind.clone();
        Some(match part {
            Part::Amount(amount) => Entry {
                kind,
                amount: amount.clone(),
                count: 1,
            },
            Part::Count(count) => Entry {
                kind,
                amount: slot.piece.clone()?,
                count: *count,
            },
        })
    };
    parts.iter().filter_map(entry).collect()
}
