//! One run: agent by agent, role by role, framework by framework, whoever comes first takes all
//! that it may have of what is free.

use std::sync::Arc;

use tepui_invariants::PlantedBug;
use tepui_runtime::Time;

use super::agent::{Agent, Parts};
use super::frameworks::ClientId;
use super::judge::{Judge, Places};
use super::part::Part;
use super::random::Random;
use super::reason::{Decision, Grant, Observer, Reason, RecentGrant};
use super::shares::FairTotals;
use super::state::{Allocator, Pending};
use super::tree::{NodeId, RoleId};

/// In which order the agents are gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Shuffled, so that no agent fills up first all the time.
    Shuffled {
        /// The same seed gives the same order.
        seed: u64,
    },
    /// By id.
    ById,
}

/// What a run did.
#[derive(Debug)]
pub struct Run {
    /// What was granted, in the order it was decided.
    pub grants: Vec<Grant>,
    /// Whether it was a batch over all agents.
    pub batch: bool,
    /// How many agents it looked at.
    pub agents: usize,
    /// How long it had been due.
    pub waited: std::time::Duration,
}

/// Who took of an agent in this run, and what the shares on their path were.
struct Winner {
    client: ClientId,
    path: Vec<(NodeId, f64)>,
    share: f64,
}

/// What is reused from agent to agent.
#[derive(Default)]
struct Scratch {
    roles: Vec<RoleId>,
    clients: Vec<ClientId>,
    view: Places,
    chosen: Places,
    /// The shared resources of this agent that went out in this run.
    shared: Vec<u32>,
    winners: Vec<Winner>,
}

impl Allocator {
    /// Gives out what is free. Where the time of the batch has come this looks at all agents, and
    /// ends the refusals whose time has passed; otherwise at those that something happened to.
    ///
    /// May be called at any time; [`due`](Allocator::due) says when there is a point in it.
    pub fn run(&mut self, now: Time, order: Order, observer: &mut dyn Observer) -> Run {
        let batch = now >= self.next_batch;
        let waited = now.since(self.due());
        let pending = std::mem::take(&mut self.pending);
        if batch {
            if !self.options.planted.has(PlantedBug::FilterOutlives) {
                self.expiry.purge(now, &mut self.agents);
            }
            self.next_batch = now + self.options.allocation_interval;
        }
        self.last_run = Some(now);
        let agents = self.candidates(batch, &pending, order);
        let mut scratch = Scratch::default();
        let mut grants = Vec::new();
        for id in &agents {
            self.serve(*id, now, &mut scratch, &mut grants, observer);
        }
        Run {
            grants,
            batch,
            agents: agents.len(),
            waited,
        }
    }

    /// The active agents to look at, in order.
    fn candidates(&self, batch: bool, pending: &Pending, order: Order) -> Vec<u32> {
        let offered = |agent: &Agent| agent.active && self.is_listed(agent);
        let active = |id: &u32| self.agents.get(*id).is_some_and(offered);
        let mut ids: Vec<u32> = if batch || pending.all {
            self.agent_ids.values().copied().filter(active).collect()
        } else {
            let mut few: Vec<u32> = pending.agents.iter().copied().filter(active).collect();
            few.sort_by(|a, b| self.agents[*a].id.cmp(&self.agents[*b].id));
            few
        };
        if let Order::Shuffled { seed } = order {
            Random::from_seed(seed).shuffle(&mut ids);
        }
        ids
    }

    /// Gives out what is free of one agent.
    fn serve(
        &mut self,
        id: u32,
        now: Time,
        scratch: &mut Scratch,
        grants: &mut Vec<Grant>,
        observer: &mut dyn Observer,
    ) {
        if !self.agents[id].has_free() {
            return;
        }
        let reasons = observer.wants_reasons();
        let fair = FairTotals {
            totals: &self.ledger.totals,
            excluded: self.ledger.names.excluded(),
        };
        scratch.roles.clear();
        scratch
            .roles
            .extend_from_slice(self.ledger.tree.order(&fair));
        if self.options.planted.has(PlantedBug::SharesIgnored) {
            let roles = &self.ledger.roles;
            scratch
                .roles
                .sort_by_key(|role| Arc::clone(&roles[*role].name));
        }
        scratch.shared.clear();
        scratch.winners.clear();
        for at in 0..scratch.roles.len() {
            let role = scratch.roles[at];
            let agent = &self.agents[id];
            Judge::view(
                agent,
                &self.ledger.roles[role].name,
                &scratch.shared,
                &mut scratch.view,
            );
            if scratch.view.is_empty() && !reasons {
                if !agent.has_free() {
                    break;
                }
                continue;
            }
            self.order_clients(role, &mut scratch.clients);
            for at in 0..scratch.clients.len() {
                let client = scratch.clients[at];
                if !self.serve_client(id, client, now, scratch, grants, observer) && !reasons {
                    break;
                }
            }
        }
    }

    fn order_clients(&mut self, role: RoleId, clients: &mut Vec<ClientId>) {
        let ledger = &mut self.ledger;
        let fair = FairTotals {
            totals: &ledger.totals,
            excluded: ledger.names.excluded(),
        };
        let order = ledger.roles[role].order(&mut ledger.clients, &ledger.frameworks, &fair);
        clients.clear();
        clients.extend_from_slice(order);
    }

    /// Offers what is free of the agent to one client; false when nothing is left for its role.
    fn serve_client(
        &mut self,
        id: u32,
        client: ClientId,
        now: Time,
        scratch: &mut Scratch,
        grants: &mut Vec<Grant>,
        observer: &mut dyn Observer,
    ) -> bool {
        let judge = Judge {
            options: &self.options,
            ledger: &self.ledger,
            minimum: &self.minimum,
        };
        let agent = &self.agents[id];
        let verdict = if scratch.view.is_empty() {
            Err(None)
        } else {
            judge
                .choose(agent, client, &scratch.view, &mut scratch.chosen)
                .map_err(Some)
        };
        match verdict {
            Ok(()) => {
                let chosen = std::mem::take(&mut scratch.chosen);
                let grant = self.grant(id, client, &chosen, now, scratch, observer);
                scratch.chosen = chosen;
                grants.push(grant);
                let role = &self.ledger.roles[self.ledger.clients[client].role].name;
                Judge::view(&self.agents[id], role, &scratch.shared, &mut scratch.view);
            }
            Err(verdict) if observer.wants_reasons() => {
                let reason = match verdict {
                    Some(verdict) => judge.reason(verdict, agent, client, &scratch.view),
                    None => self.lost(client, &scratch.winners),
                };
                observer.decided(Decision::Withheld {
                    framework: &self.ledger.frameworks[self.ledger.clients[client].framework].id,
                    role: &self.ledger.roles[self.ledger.clients[client].role].name,
                    agent: &agent.id,
                    reason,
                });
            }
            Err(_) => {}
        }
        !scratch.view.is_empty()
    }

    /// Hands the chosen slots over.
    fn grant(
        &mut self,
        id: u32,
        client: ClientId,
        chosen: &[usize],
        now: Time,
        scratch: &mut Scratch,
        observer: &mut dyn Observer,
    ) -> Grant {
        let agent = &mut self.agents[id];
        let mut parts = Parts::with_capacity(chosen.len());
        let mut pieces = Vec::with_capacity(chosen.len());
        for slot in chosen.iter().map(|place| &agent.slots[*place]) {
            let part = slot.offered();
            let (amount, count) = match (&part, &slot.piece) {
                (Part::Amount(amount), _) => (amount.clone(), 1),
                (Part::Count(count), Some(piece)) => (piece.clone(), *count),
                (Part::Count(_), None) => continue,
            };
            pieces.push((slot.kind.clone(), amount, count));
            if slot.kind.is_shared() {
                scratch.shared.push(slot.id);
            }
            parts.push((slot.id, part));
        }
        let grant = {
            let entry = &self.ledger.clients[client];
            Grant {
                framework: Arc::clone(&self.ledger.frameworks[entry.framework].id),
                role: Arc::clone(&self.ledger.roles[entry.role].name),
                agent: Arc::clone(&agent.id),
                pieces,
            }
        };
        let winner = self.ledger.winner(client);
        observer.decided(Decision::Granted {
            grant: &grant,
            role_share: winner.path.last().map_or(0.0, |(_, share)| *share),
            share: winner.share,
        });
        scratch.winners.push(winner);
        self.ledger.take(agent, client, &parts);
        agent.remember(RecentGrant {
            at: now,
            framework: Arc::clone(&grant.framework),
            role: Arc::clone(&grant.role),
        });
        self.assert_in_one_place(id);
        grant
    }

    /// Why nothing is left for a client.
    fn lost(&self, client: ClientId, winners: &[Winner]) -> Reason {
        let Some(winner) = winners.last() else {
            return Reason::ReservedForOthers;
        };
        let ledger = &self.ledger;
        let (own, theirs) = (&ledger.clients[client], &ledger.clients[winner.client]);
        let framework = Arc::clone(&ledger.frameworks[theirs.framework].id);
        let role = Arc::clone(&ledger.roles[theirs.role].name);
        if own.role == theirs.role {
            return Reason::Taken {
                theirs: Arc::clone(&framework),
                framework,
                role,
                their_share: winner.share,
                own: Arc::clone(&ledger.frameworks[own.framework].id),
                own_share: own.shares.share(),
            };
        }
        let leaves = (ledger.roles[theirs.role].leaf, ledger.roles[own.role].leaf);
        let [(node, path, share), (_, own_path, own_share)] =
            ledger.tree.parting(leaves.0, leaves.1);
        let before = winner
            .path
            .iter()
            .find(|(id, _)| *id == node)
            .map(|(_, share)| *share);
        Reason::Taken {
            framework,
            role,
            theirs: Arc::from(path),
            their_share: before.unwrap_or(share),
            own: Arc::from(own_path),
            own_share,
        }
    }
}

impl super::ledger::Ledger {
    fn winner(&self, client: ClientId) -> Winner {
        let entry = &self.clients[client];
        Winner {
            client,
            path: self.tree.shares_to(self.roles[entry.role].leaf),
            share: entry.shares.share(),
        }
    }
}
