//! Refusals: what a framework does not want to be offered, on which agent, until when; and pauses,
//! which keep an offer back in the same way, though the framework refused nothing.
//!
//! A refusal keeps an offer back whose resources are all among those refused; more, or others,
//! pass. It ends with the first batch after its time: the batch that is due at that very moment
//! still honors it. A refusal for zero seconds is one whose time is now, so it ends with the next
//! batch; that keeps a framework that declines everything from spinning the master.

use std::collections::BTreeMap;

use tepui_runtime::Time;

use super::agent::Agent;
use super::agent::{Parts, Slot};
use super::frameworks::ClientId;
use super::slab::Slab;

/// How many refusals of one framework and role an agent remembers; the one that would end first
/// makes way. More than a handful means offers that shrink and grow all the time.
const MOST_PER_CLIENT: usize = 32;

/// One refusal.
#[derive(Debug)]
pub(super) struct Filter {
    number: u64,
    pub(super) until: Time,
    pub(super) cause: Cause,
    refused: Parts,
}

/// Why something is kept from a framework.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// It refused it for a time.
    Refusal,
    /// It refused it for no time, which lasts until the next batch.
    Return,
    /// The agent pauses for it.
    Pause,
}

impl Filter {
    /// Whether an offer of all that is free of `slots` holds nothing but what was refused.
    pub(super) fn covers<'a>(&self, mut slots: impl Iterator<Item = &'a Slot>) -> bool {
        slots.all(|slot| {
            let refused = self.refused.iter().find(|(id, _)| *id == slot.id);
            refused.is_some_and(|(_, part)| slot.is_within(part))
        })
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    all: usize,
    timed: usize,
}

/// When which refusal ends, over all agents.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    next: u64,
    due: BTreeMap<(Time, u64), (u32, ClientId)>,
    /// How many refusals each client has, and how many of them for a time, where it has any.
    counts: BTreeMap<ClientId, Counts>,
}

impl Expiry {
    /// Adds a refusal of `client` to the agent.
    pub(super) fn add(
        &mut self,
        (agent_id, agent): (u32, &mut Agent),
        client: ClientId,
        refused: Parts,
        until: Time,
        cause: Cause,
    ) {
        let filters = agent.filters.entry(client).or_default();
        if filters.len() >= MOST_PER_CLIENT
            && let Some(first) = filters
                .iter()
                .enumerate()
                .min_by_key(|(_, filter)| filter.until)
                .map(|(at, _)| at)
        {
            let gone = filters.swap_remove(first);
            self.due.remove(&(gone.until, gone.number));
            self.count(client, &gone, false);
        }
        let number = self.next;
        self.next += 1;
        let filter = Filter {
            number,
            until,
            cause,
            refused,
        };
        self.due.insert((until, number), (agent_id, client));
        self.count(client, &filter, true);
        filters.push(filter);
    }

    /// How many refusals for a time the client has.
    pub(super) fn timed(&self, client: ClientId) -> usize {
        self.counts.get(&client).map_or(0, |counts| counts.timed)
    }

    /// Whether the client has any refusal.
    pub(super) fn has_any(&self, client: ClientId) -> bool {
        self.counts.contains_key(&client)
    }

    fn count(&mut self, client: ClientId, filter: &Filter, more: bool) {
        let counts = self.counts.entry(client).or_default();
        let timed = usize::from(filter.cause == Cause::Refusal);
        if more {
            counts.all += 1;
            counts.timed += timed;
        } else {
            counts.all = counts.all.saturating_sub(1);
            counts.timed = counts.timed.saturating_sub(timed);
        }
        if counts.all == 0 {
            self.counts.remove(&client);
        }
    }

    /// Ends the refusals whose time lies before `now`.
    pub(super) fn purge(&mut self, now: Time, agents: &mut Slab<Agent>) {
        while let Some(first) = self.due.first_entry() {
            if first.key().0 >= now {
                break;
            }
            let number = first.key().1;
            let (agent, client) = first.remove();
            let Some(agent) = agents.get_mut(agent) else {
                continue;
            };
            let Some(filters) = agent.filters.get_mut(&client) else {
                continue;
            };
            let Some(at) = filters.iter().position(|filter| filter.number == number) else {
                continue;
            };
            let gone = filters.swap_remove(at);
            if filters.is_empty() {
                agent.filters.remove(&client);
            }
            self.count(client, &gone, false);
        }
    }

    /// Ends all refusals of `client` on one agent.
    pub(super) fn clear(&mut self, agent: &mut Agent, client: ClientId) {
        for filter in agent.filters.remove(&client).into_iter().flatten() {
            self.due.remove(&(filter.until, filter.number));
            self.count(client, &filter, false);
        }
    }

    /// Ends all refusals of one agent.
    pub(super) fn clear_agent(&mut self, agent: &mut Agent) {
        let clients: Vec<ClientId> = agent.filters.keys().copied().collect();
        for client in clients {
            self.clear(agent, client);
        }
    }
}
