//! What is held: counted when the core is told of it, taken back when it is recovered.

use std::time::Duration;

use tepui_protocol::resources::{Entry, Resources};
use tepui_runtime::Time;

use super::agent::{Agent, Parts};
use super::frameworks::ClientId;
use super::inputs::{AllocatorError, LONGEST_REFUSAL, Recovery, Use};
use super::part::Part;
use super::state::Allocator;

impl Allocator {
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

    /// Counts a use. With `only_missing`, what the framework is known to hold is not counted
    /// again. A use on an agent that is not known will come with that agent.
    pub(super) fn count_use(&mut self, one: &Use, only_missing: bool) {
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

    /// Everything that is held, agent by agent.
    #[must_use]
    pub fn uses(&self) -> Vec<Use> {
        let mut uses = Vec::new();
        for agent in self.agent_ids.values().map(|id| &self.agents[*id]) {
            for (client, parts) in &agent.uses {
                let client = &self.ledger.clients[*client];
                let role = &self.ledger.roles[client.role].name;
                uses.push(Use {
                    framework: self.ledger.frameworks[client.framework].id.to_string(),
                    agent: agent.id.to_string(),
                    resources: resources_of(agent, parts).allocate(role),
                });
            }
        }
        uses
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
            true => duration.clamp(self.options.allocation_interval, LONGEST_REFUSAL),
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
}

/// Whether each resource says in which role it is held.
pub(super) fn all_allocated(one: &Use) -> Result<(), AllocatorError> {
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
