//! Whether a framework may be offered what is free of an agent, and if not, why.
//! What no freed resource would change is looked at first, so that it is what is said.

use tepui_runtime::Time;

use super::agent::{Agent, Slot};
use super::filters::Cause;
use super::frameworks::{Client, ClientId, Framework, Minimum};
use super::inputs::Options;
use super::ledger::Ledger;
use super::names::{Amounts, NameId};
use super::reason::{Capability, Reason};

/// Why not, without any text: made a million times in a big run, read seldom.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    Constrained,
    BelowMinimum,
    GpuAgent,
    OtherRegion,
    Incapable,
    AgentWithoutMultiRole,
    AgentWithoutHierarchicalRole,
    Refused { until: Time, cause: Cause },
}

/// Places of slots in an agent.
pub(super) type Places = Vec<usize>;

pub(super) struct Judge<'a> {
    pub(super) options: &'a Options,
    pub(super) ledger: &'a Ledger,
    pub(super) minimum: &'a [Minimum],
}

impl Judge<'_> {
    /// Chooses, of the free slots in `view`, those that go to the client.
    pub(super) fn choose(
        &self,
        agent: &Agent,
        id: ClientId,
        view: &[usize],
        chosen: &mut Places,
    ) -> Result<(), Verdict> {
        self.able(agent, id)?;
        let client = &self.ledger.clients[id];
        let framework = &self.ledger.frameworks[client.framework];
        let minimum = client.minimum.as_deref().unwrap_or(self.minimum);
        if !enough(minimum, agent, view) {
            return Err(Verdict::BelowMinimum);
        }
        chosen.clear();
        let usable = |place: &&usize| lacking(framework, &agent.slots[**place]).is_none();
        chosen.extend(view.iter().filter(usable));
        if chosen.len() < view.len() && (chosen.is_empty() || !enough(minimum, agent, chosen)) {
            return Err(Verdict::Incapable);
        }
        let filters = agent.filters.get(&id).into_iter().flatten();
        let covering = filters
            .filter(|filter| filter.covers(chosen.iter().map(|place| &agent.slots[*place])))
            .max_by_key(|filter| filter.until);
        match covering {
            Some(filter) => Err(Verdict::Refused {
                until: filter.until,
                cause: filter.cause,
            }),
            None => Ok(()),
        }
    }

    /// What stands against an offer however much of the agent is free.
    pub(super) fn able(&self, agent: &Agent, id: ClientId) -> Result<(), Verdict> {
        let client = &self.ledger.clients[id];
        let capabilities = &self.ledger.frameworks[client.framework].capabilities;
        let constraints = client.constraints.as_ref();
        if constraints.is_some_and(|constraints| !constraints.admit(&agent.spec)) {
            return Err(Verdict::Constrained);
        }
        if self.options.filter_gpu_resources && !capabilities.gpu_resources && agent.gpus {
            return Err(Verdict::GpuAgent);
        }
        if !capabilities.region_aware && self.is_remote(agent) {
            return Err(Verdict::OtherRegion);
        }
        if capabilities.multi_role && !agent.spec.capabilities.multi_role {
            return Err(Verdict::AgentWithoutMultiRole);
        }
        if !agent.spec.capabilities.hierarchical_role && self.role_name(client).contains('/') {
            return Err(Verdict::AgentWithoutHierarchicalRole);
        }
        Ok(())
    }

    /// The verdict in full.
    pub(super) fn reason(
        &self,
        verdict: Verdict,
        agent: &Agent,
        id: ClientId,
        view: &[usize],
    ) -> Reason {
        let client = &self.ledger.clients[id];
        let framework = &self.ledger.frameworks[client.framework];
        let quantities = |places: &[usize]| {
            let mut sums = Amounts::default();
            for slot in places.iter().map(|place| &agent.slots[*place]) {
                if let Some(name) = slot.name {
                    sums.add(name, slot.thousandths(&slot.offered()));
                }
            }
            self.ledger.quantities(&sums)
        };
        match verdict {
            Verdict::Constrained => Reason::Constrained {
                unmet: client
                    .constraints
                    .iter()
                    .flat_map(|constraints| constraints.unmet(&agent.spec))
                    .collect(),
            },
            Verdict::BelowMinimum => Reason::BelowMinimum {
                free: quantities(view),
                minimum: self.minimum_texts(client),
            },
            Verdict::GpuAgent => Reason::GpuAgent,
            Verdict::OtherRegion => Reason::OtherRegion {
                region: agent.spec.region.clone().unwrap_or_default(),
            },
            Verdict::Incapable => {
                let lack = |place: &usize| lacking(framework, &agent.slots[*place]);
                let left: Places = view
                    .iter()
                    .copied()
                    .filter(|place| lack(place).is_none())
                    .collect();
                let mut lacks: Vec<Capability> = view.iter().filter_map(lack).collect();
                lacks.sort_by_key(|capability| *capability as u8);
                lacks.dedup();
                Reason::Incapable {
                    lacks,
                    left: quantities(&left),
                }
            }
            Verdict::AgentWithoutMultiRole => Reason::AgentWithoutMultiRole,
            Verdict::AgentWithoutHierarchicalRole => Reason::AgentWithoutHierarchicalRole,
            Verdict::Refused { until, cause } => match cause {
                Cause::Refusal => Reason::Refused { until },
                Cause::Return => Reason::JustRefused,
                Cause::Pause => Reason::Paused { until },
            },
        }
    }

    /// The places of what is free of the agent for a role, but for those of `left_out`.
    pub(super) fn view(agent: &Agent, role: &str, left_out: &[u32], view: &mut Places) {
        view.clear();
        let free = |slot: &Slot| {
            !slot.free.is_empty()
                && slot.kind.is_allocatable_to(role)
                && !left_out.contains(&slot.id)
        };
        view.extend(
            agent
                .slots
                .iter()
                .enumerate()
                .filter(|(_, s)| free(s))
                .map(|(at, _)| at),
        );
    }

    /// An agent without a domain is nowhere else.
    fn is_remote(&self, agent: &Agent) -> bool {
        agent.spec.region.is_some() && agent.spec.region != self.options.region
    }

    fn role_name(&self, client: &Client) -> &str {
        &self.ledger.roles[client.role].name
    }

    fn minimum_texts(&self, client: &Client) -> Vec<tepui_protocol::resources::Quantities> {
        let sets = client.minimum.as_deref().unwrap_or(self.minimum);
        let texts = |set: &Minimum| {
            let mut amounts = Amounts::default();
            set.iter()
                .for_each(|(name, least)| amounts.add(*name, *least));
            self.ledger.quantities(&amounts)
        };
        sets.iter().map(texts).collect()
    }
}

/// Which capability the framework lacks for the slot.
fn lacking(framework: &Framework, slot: &Slot) -> Option<Capability> {
    let capabilities = &framework.capabilities;
    if slot.kind.is_shared() && !capabilities.shared_resources {
        Some(Capability::SharedResources)
    } else if slot.kind.is_revocable() && !capabilities.revocable_resources {
        Some(Capability::RevocableResources)
    } else if slot.kind.has_refined_reservations() && !capabilities.reservation_refinement {
        Some(Capability::ReservationRefinement)
    } else {
        None
    }
}

/// Whether any of the least amounts is reached.
fn enough(minimum: &[Minimum], agent: &Agent, places: &[usize]) -> bool {
    let sum = |name: NameId| -> i64 {
        places
            .iter()
            .map(|place| &agent.slots[*place])
            .filter(|slot| slot.name == Some(name))
            .map(|slot| slot.thousandths(&slot.free))
            .sum()
    };
    minimum.is_empty()
        || minimum
            .iter()
            .any(|set| set.iter().all(|(name, least)| sum(*name) >= *least))
}
