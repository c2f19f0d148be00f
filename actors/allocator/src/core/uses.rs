//! What is held: counted when the core is told of it, taken back when it is recovered.

use std::collections::BTreeMap;
use std::time::Duration;

use tepui_invariants::Planted;
use tepui_invariants::books::{AgentBooks, Held, in_one_place};
use tepui_protocol::resources::{Entry, Resources};
use tepui_runtime::Time;

use super::agent::{Agent, Parts, Slot};
use super::filters::Cause;
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
            self.keep_back((agent_id, client), parts, now, recovery);
            self.forget_client_if_idle(client);
        }
        self.tidy_slots(agent_id);
        self.assert_in_one_place(agent_id);
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
            agent.reported(&parts);
            self.ledger.take(agent, client, &parts);
        }
        for client in clients {
            self.ledger.forget_if_idle(client);
        }
        self.assert_in_one_place(agent_id);
        self.ledger.forget_unadded(framework);
    }

    /// In a debug build: of an agent, of which something was just given away or came back, what is
    /// held and what is free are together no more than it has, and no port is held twice. What an
    /// agent says to be in use beyond that is held all the same; shared resources are in several
    /// places.
    pub(super) fn assert_in_one_place(&self, id: u32) {
        if !cfg!(debug_assertions) || self.options.planted != Planted::NONE {
            return;
        }
        let Some(agent) = self.agents.get(id) else {
            return;
        };
        let own = |slot: &&Slot| !slot.kind.is_shared() && !slot.beyond;
        let slots: Vec<&Slot> = agent.slots.iter().filter(own).collect();
        let of = |slot: &Slot, part: &Part| piece_of(slot, part.clone());
        let amounts = |part: fn(&Slot) -> &Part| -> Resources {
            let all = slots.iter().filter_map(|slot| of(slot, part(slot)));
            all.collect()
        };
        let mut used: BTreeMap<String, Resources> = BTreeMap::new();
        let free = amounts(|slot| &slot.free);
        let mut holders = vec![Held {
            by: "nobody".to_owned(),
            resources: free.clone(),
        }];
        for (client, parts) in &agent.uses {
            let framework = self.ledger.clients[*client].framework;
            let framework = self.ledger.frameworks[framework].id.to_string();
            let known = parts.iter().filter_map(|(id, part)| {
                let slot = slots.iter().find(|slot| slot.id == *id)?;
                of(slot, part)
            });
            let resources: Resources = known.collect();
            *used.entry(framework.clone()).or_default() += &resources;
            let by = framework;
            holders.push(Held { by, resources });
        }
        let books = AgentBooks {
            total: amounts(|slot| &slot.total),
            used,
            held: holders,
            offered: BTreeMap::from([("nobody".to_owned(), free)]),
            ..AgentBooks::default()
        };
        let broken = in_one_place(&agent.id, &books);
        debug_assert!(broken.is_none(), "{broken:?}");
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

    fn keep_back(
        &mut self,
        (agent_id, client): (u32, ClientId),
        parts: Parts,
        now: Time,
        recovery: Recovery,
    ) {
        // Who is not subscribed any more gets no offers, and would leave the refusal behind.
        if parts.is_empty() || !self.ledger.clients[client].subscribed {
            return;
        }
        let (cause, duration) = match recovery {
            Recovery::Freed => return,
            Recovery::Refused(Duration::ZERO) => (Cause::Return, Duration::ZERO),
            Recovery::Refused(duration) => {
                let least = self.options.allocation_interval;
                (Cause::Refusal, duration.clamp(least, LONGEST_REFUSAL))
            }
            Recovery::Paused(duration) => (Cause::Pause, duration),
        };
        let agent = &mut self.agents[agent_id];
        self.expiry
            .add((agent_id, agent), client, parts, now + duration, cause);
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
    let entry = |(id, part): &(u32, Part)| piece_of(agent.slot(*id)?, part.clone());
    parts.iter().filter_map(entry).collect()
}

/// A part of a slot as a resource.
fn piece_of(slot: &Slot, part: Part) -> Option<Entry> {
    let kind = slot.kind.clone();
    Some(match part {
        Part::Amount(amount) => Entry {
            kind,
            amount,
            count: 1,
        },
        Part::Count(count) => Entry {
            kind,
            amount: slot.piece.clone()?,
            count,
        },
    })
}

#[cfg(test)]
mod tests {
    use tepui_protocol::resources::parse_text;

    use super::*;
    use crate::core::inputs::{AgentCapabilities, AgentSpec, Options};

    fn resources(text: &str) -> Resources {
        parse_text(text, "*").unwrap()
    }

    fn held(text: &str) -> Use {
        Use {
            framework: "framework".to_owned(),
            agent: "agent".to_owned(),
            resources: resources(text).allocate("role"),
        }
    }

    fn with_an_agent() -> Allocator {
        let mut core = Allocator::new(Options::default(), Time::EPOCH);
        let spec = AgentSpec {
            id: "agent".to_owned(),
            hostname: "agent".to_owned(),
            region: None,
            zone: None,
            attributes: Vec::new(),
            capabilities: AgentCapabilities {
                multi_role: true,
                hierarchical_role: true,
            },
            total: resources("cpus:4;mem:4096;ports:[31000-31999]"),
        };
        let used = [held("cpus:1;ports:[31000-31009]")];
        core.add_agent(Time::EPOCH, spec, &used).unwrap();
        core
    }

    #[test]
    fn what_is_held_beyond_the_total_is_in_its_place_all_the_same() {
        let mut core = with_an_agent();
        core.add_use(&held("cpus:6;mem:64")).unwrap();
        let freed = held("cpus:6;ports:[31005-31009]");
        core.recover(Time::EPOCH, &freed, Recovery::Freed).unwrap();
    }

    #[test]
    #[should_panic(expected = "in-one-place")]
    fn what_is_free_and_held_at_once_is_noticed() {
        let mut core = with_an_agent();
        let id = core.agent("agent").unwrap();
        for slot in &mut core.agents[id].slots {
            slot.free = slot.total.clone();
        }
        core.assert_in_one_place(id);
    }

    /// As the allocator grants: it takes what it chose.
    fn granted(core: &mut Allocator, framework: &str, text: &str) {
        let id = core.agent("agent").unwrap();
        let framework = core.ledger.framework_or_unadded(framework);
        let client = core.ledger.client(framework, "role");
        let agent = &mut core.agents[id];
        let parts = agent.parts(&resources(text), &mut core.ledger.names);
        core.ledger.take(agent, client, &parts);
        core.assert_in_one_place(id);
    }

    #[test]
    fn a_grant_of_what_is_free_is_in_its_place() {
        let mut core = with_an_agent();
        granted(&mut core, "framework", "cpus:3;ports:[31010-31019]");
        granted(&mut core, "other", "mem:4096;ports:[31020-31020]");
    }

    #[test]
    #[should_panic(expected = "in-one-place")]
    fn a_grant_beyond_the_total_is_noticed() {
        let mut core = with_an_agent();
        granted(&mut core, "framework", "cpus:3.5");
    }

    #[test]
    #[should_panic(expected = "in-one-place")]
    fn a_grant_of_what_another_holds_is_noticed() {
        let mut core = with_an_agent();
        granted(&mut core, "other", "ports:[31009-31010]");
    }

    #[test]
    #[should_panic(expected = "in-one-place")]
    fn what_was_reported_beyond_the_total_and_came_back_excuses_no_more() {
        let mut core = with_an_agent();
        core.add_use(&held("cpus:6")).unwrap();
        let freed = held("cpus:6");
        core.recover(Time::EPOCH, &freed, Recovery::Freed).unwrap();
        granted(&mut core, "framework", "cpus:4");
    }

    #[test]
    fn a_total_that_shrank_below_what_is_held_is_no_fault_of_the_allocators() {
        let mut core = with_an_agent();
        let id = core.agent("agent").unwrap();
        let total = resources("cpus:0.5;mem:4096;ports:[31000-31004]");
        core.agents[id].set_total(&total, &mut core.ledger.names);
        core.assert_in_one_place(id);
        granted(&mut core, "framework", "mem:64");
        let freed = held("ports:[31000-31009]");
        core.recover(Time::EPOCH, &freed, Recovery::Freed).unwrap();
        let ports = core.agents[id]
            .slots
            .iter()
            .find(|slot| slot.kind.name() == "ports");
        assert!(!ports.unwrap().beyond);
    }
}
