//! Allocations become offers; offers are declined, rescinded, or run out.
//!
//! An offer is one agent's resources for one framework in one role. While it is outstanding it is
//! in three places: the offers by id, its framework's and its agent's, both of which are active.
//! Not here: what is done with accepted offers (`accept`).

use std::collections::BTreeMap;
use std::sync::Arc;

use tepui_invariants::books::{AgentBooks, Held, in_one_place};
use tepui_invariants::{Planted, PlantedBug};
use tepui_protocol::mesos::v1::framework_info::capability::Type as Capability;
use tepui_protocol::mesos::v1::resource::AllocationInfo;
use tepui_protocol::mesos::v1::scheduler::call::Decline;
use tepui_protocol::mesos::v1::scheduler::{Event, event};
use tepui_protocol::mesos::v1::{self, Address, Filters, OfferId, Url};
use tepui_protocol::resources::Resources;
use tepui_protocol::tepui::allocator::Allocation;

use super::frameworks::framework_id;
use super::{Effect, MasterCore, Timer, agents, amounts};
use crate::snapshot::{Agent, Framework, Offer};

impl MasterCore {
    /// Turns what the allocator granted into offers: one for each framework, role and agent, and
    /// one event for each framework.
    pub(super) fn allocated(&mut self, allocations: Vec<Allocation>) {
        let mut events: BTreeMap<String, Vec<v1::Offer>> = BTreeMap::new();
        for allocation in merged(allocations) {
            if let Some(offer) = self.offer(&allocation) {
                events
                    .entry(allocation.framework_id.value)
                    .or_default()
                    .push(offer);
            }
        }
        for (id, offers) in events {
            self.note_offers(&id, &offers);
            self.count_offers(&id, "sent", offers.len());
            let event = Event {
                r#type: Some(event::Type::Offers as i32),
                offers: Some(event::Offers { offers }),
                ..Event::default()
            };
            self.event(&id, event);
        }
    }

    /// Makes one offer; what cannot be offered any more goes back to the allocator.
    fn offer(&mut self, allocation: &Allocation) -> Option<v1::Offer> {
        let to = &allocation.framework_id.value;
        let of = &allocation.agent_id.value;
        let resources = amounts::trusted(&allocation.resources);
        let agent = self.state.agent(of)?;
        if allocation
            .incarnation
            .is_some_and(|life| life != agent.incarnation)
        {
            // Granted before the agent was removed, which freed it: there is nothing to return.
            return None;
        }
        let willing = self
            .state
            .framework(to)
            .is_some_and(|framework| framework.active);
        let able = agent.active && self.fits(agent, &resources);
        if !willing || !able || resources.is_empty() {
            self.recover(to, of, &resources, None);
            return None;
        }
        if let Some(pause) = self.pausing(to, of) {
            self.pause_for(to, of, &resources, pause);
            return None;
        }
        let number = match self.planted(PlantedBug::OfferIdReused) {
            true => self.book.next_offer % 100,
            false => self.book.next_offer,
        };
        let id = format!("{}-O{number}", self.state.master_info.id);
        self.book.next_offer += 1;
        let offer = Offer {
            id: id.clone(),
            framework_id: to.clone(),
            agent_id: of.clone(),
            role: allocation.role.clone(),
            resources,
            made_at: self.now,
        };
        if let Some(framework) = self.framework_mut(to) {
            framework.offers.insert_mut(id.clone());
        }
        if let Some(agent) = self.agent_mut(of) {
            agent.offers.insert_mut(id.clone());
        }
        let event = as_sent(&offer, self.state.framework(to)?, self.state.agent(of)?);
        self.state.offers.insert_mut(id.clone(), Arc::new(offer));
        if let Some(timeout) = self.options.offer_timeout {
            self.arm(Timer::Offer(id), timeout);
        }
        Some(event)
    }

    /// One line, however many there are.
    fn note_offers(&mut self, to: &str, offers: &[v1::Offer]) {
        let line = match offers {
            [] => return,
            [one] => {
                let (id, of) = (&one.id.value, &one.agent_id.value);
                let offer = self.state.offers.get(id);
                let what = offer.map_or_else(String::new, |offer| offer.resources.to_string());
                format!("offer {id} of agent {of} to framework {to}: {what}")
            }
            [first, .., last] => format!(
                "{} offers, {} to {}, to framework {to}",
                offers.len(),
                first.id.value,
                last.id.value
            ),
        };
        self.info(line);
    }

    /// In a debug build: what is offered and used of an agent, of which more was just taken, is not
    /// more than it has, and no port is there twice.
    pub(super) fn assert_in_one_place(&self, id: &str) {
        if !cfg!(debug_assertions) || self.options.planted != Planted::NONE {
            return;
        }
        let Some(agent) = self.state.agent(id) else {
            return;
        };
        let offers = agent
            .offers
            .iter()
            .filter_map(|id| self.state.offers.get(id));
        let offered = offers.map(|offer| (offer.id.clone(), offer.resources.clone()));
        let used = agent.used.iter();
        let holders = self.state.holders(agent).into_iter();
        let books = AgentBooks {
            total: agent.total.clone(),
            used: used
                .map(|(id, used)| (id.clone(), (**used).clone()))
                .collect(),
            offered: offered.collect(),
            held: holders
                .map(|(by, resources)| Held { by, resources })
                .collect(),
            ..AgentBooks::default()
        };
        let broken = in_one_place(id, &books);
        debug_assert!(broken.is_none(), "{broken:?}");
    }

    /// Whether an agent has `more` beside all that is offered and used of it.
    fn fits(&self, agent: &Agent, more: &Resources) -> bool {
        let mut taken = more.clone();
        for offer in agent
            .offers
            .iter()
            .filter_map(|id| self.state.offers.get(id))
        {
            taken += &offer.resources;
        }
        for used in agent.used.values() {
            taken += &**used;
        }
        agent.total.contains(&taken.unallocate())
    }

    pub(super) fn decline(&mut self, id: &str, decline: Decline) {
        let filters = decline.filters.unwrap_or_default();
        let mut declined = Vec::new();
        for offer_id in decline.offer_ids {
            let offer_id = offer_id.value;
            match self.state.offers.get(&offer_id).cloned() {
                Some(offer) if offer.framework_id == id => {
                    self.remove_offer(&offer_id);
                    self.recover_offer(&offer, Some(filters));
                    declined.push(offer_id);
                }
                Some(_) => self.warn(format!(
                    "ignoring decline of offer {offer_id}: it is not framework {id}'s"
                )),
                None => self.warn(format!(
                    "ignoring decline of offer {offer_id} by framework {id}: \
                     it is no longer valid"
                )),
            }
        }
        self.count_offers(id, "declined", declined.len());
        match declined.as_slice() {
            [] => {}
            [one] => self.info(format!("framework {id} declines offer {one}")),
            [first, .., last] => self.info(format!(
                "framework {id} declines {} offers, {first} to {last}",
                declined.len()
            )),
        }
    }

    pub(super) fn offer_timed_out(&mut self, offer_id: &str) {
        self.take_back_offer(offer_id, true);
    }

    /// Ends an offer: its resources return without a filter, and the framework hears of it if
    /// `rescind` says so.
    pub(super) fn take_back_offer(&mut self, offer_id: &str, rescind: bool) {
        let Some(offer) = self.remove_offer(offer_id) else {
            return;
        };
        if rescind {
            self.info(format!(
                "offer {offer_id} to framework {} rescinded",
                offer.framework_id
            ));
            self.count_offers(&offer.framework_id, "rescinded", 1);
            let event = Event {
                r#type: Some(event::Type::Rescind as i32),
                rescind: Some(event::Rescind {
                    offer_id: OfferId {
                        value: offer.id.clone(),
                    },
                }),
                ..Event::default()
            };
            self.event(&offer.framework_id, event);
        }
        self.recover_offer(&offer, None);
        if rescind && self.planted(PlantedBug::RescindedHonored) {
            self.state.offers.insert_mut(offer.id.clone(), offer);
        }
    }

    pub(super) fn take_back_offers_of_framework(&mut self, id: &str, rescind: bool) {
        let Some(framework) = self.state.framework(id) else {
            return;
        };
        for offer_id in framework.offers.iter().cloned().collect::<Vec<_>>() {
            self.take_back_offer(&offer_id, rescind);
        }
    }

    pub(super) fn take_back_offers_of_agent(&mut self, id: &str) {
        let Some(agent) = self.state.agent(id) else {
            return;
        };
        for offer_id in agent.offers.iter().cloned().collect::<Vec<_>>() {
            self.take_back_offer(&offer_id, true);
        }
    }

    /// Takes an offer from the books. Its resources are the caller's to account for.
    pub(super) fn remove_offer(&mut self, offer_id: &str) -> Option<Arc<Offer>> {
        let offer = self.state.offers.get(offer_id).cloned()?;
        self.state.offers.remove_mut(offer_id);
        if let Some(framework) = self.framework_mut(&offer.framework_id) {
            framework.offers.remove_mut(offer_id);
        }
        if let Some(agent) = self.agent_mut(&offer.agent_id) {
            agent.offers.remove_mut(offer_id);
        }
        if self.options.offer_timeout.is_some() {
            self.effects
                .push(Effect::Cancel(Timer::Offer(offer_id.to_owned())));
        }
        Some(offer)
    }

    pub(super) fn recover_offer(&mut self, offer: &Offer, filters: Option<Filters>) {
        self.recover(
            &offer.framework_id,
            &offer.agent_id,
            &offer.resources,
            filters,
        );
    }
}

/// Joins grants of one framework, role and agent, in the order of their first.
fn merged(allocations: Vec<Allocation>) -> Vec<Allocation> {
    let mut merged: Vec<Allocation> = Vec::new();
    let mut place: BTreeMap<(String, String, String), usize> = BTreeMap::new();
    for allocation in allocations {
        let key = (
            allocation.framework_id.value.clone(),
            allocation.role.clone(),
            allocation.agent_id.value.clone(),
        );
        match place.get(&key).and_then(|at| merged.get_mut(*at)) {
            Some(first) => first.resources.extend(allocation.resources),
            None => {
                place.insert(key, merged.len());
                merged.push(allocation);
            }
        }
    }
    merged
}

/// The offer in the form that its framework understands: without allocation info unless it is
/// MULTI_ROLE, with `role` and `reservation` unless it knows RESERVATION_REFINEMENT.
fn as_sent(offer: &Offer, framework: &Framework, agent: &Agent) -> v1::Offer {
    let multi_role = framework.can(Capability::MultiRole);
    let allocation_info = AllocationInfo {
        role: Some(offer.role.clone()),
    };
    let address = agent.pid.address();
    let mut executor_ids: Vec<_> = agent
        .executors
        .iter()
        .filter(|(framework_id, _)| *framework_id == framework.id)
        .map(|(_, id)| v1::ExecutorId { value: id.clone() })
        .collect();
    executor_ids.sort_by(|a, b| a.value.cmp(&b.value));
    v1::Offer {
        id: OfferId {
            value: offer.id.clone(),
        },
        framework_id: framework_id(&framework.id),
        agent_id: agents::agent_id(&agent.id),
        hostname: agent.info.hostname.clone(),
        url: Some(Url {
            scheme: "http".to_owned(),
            address: Address {
                hostname: Some(agent.info.hostname.clone()),
                ip: Some(address.ip.to_string()),
                port: i32::from(address.port),
            },
            path: Some(format!("/{}", agent.pid.id())),
            query: Vec::new(),
            fragment: None,
        }),
        domain: agent.info.domain.clone(),
        resources: amounts::for_framework(&offer.resources, framework),
        attributes: agent.info.attributes.clone(),
        executor_ids,
        unavailability: None,
        allocation_info: multi_role.then_some(allocation_info),
    }
}
