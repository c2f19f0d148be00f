//! For each agent exactly one reason why a framework is offered nothing of it, and who holds an
//! agent of which nothing is free.
//!
//! A framework of several roles has a reason for each; what counts is the one of the role in which
//! it is nearest to an offer: the one that is found last by the checks that a run makes.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use tepui_protocol::resources::Quantities;

use super::agent::{Agent, Parts};
use super::frameworks::ClientId;
use super::inputs::AllocatorError;
use super::names::Amounts;
use super::reason::Reason;
use super::state::Allocator;

/// How many of those who hold an agent a sentence names.
const MOST_NAMED: usize = 3;

/// Why a framework is offered nothing of an agent.
#[derive(Clone, Debug, PartialEq)]
pub struct WhyNot {
    /// The agent's id.
    pub agent: Arc<str>,
    /// The role in which the framework is nearest to an offer; empty where it has none.
    pub role: Arc<str>,
    /// The reason.
    pub reason: Reason,
}

/// Who holds some of an agent, offered or in use, and whose turn it was by their shares.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Holder {
    /// The framework's id.
    pub framework: Arc<str>,
    /// In which role.
    pub role: Arc<str>,
    /// How much it holds.
    pub holds: Quantities,
    /// What is compared, of theirs: a role, or their framework's id within one role.
    pub theirs: Arc<str>,
    /// Their share, over the weight, as of now.
    pub their_share: f64,
    /// What is compared, of one's own.
    pub own: Arc<str>,
    /// One's own share.
    pub own_share: f64,
}

/// One phrase for people.
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Holder {
            framework,
            role,
            holds,
            theirs,
            their_share,
            own,
            own_share,
        } = self;
        write!(f, "{framework} in role {role} ({holds}")?;
        if theirs == own {
            f.write_str(")")
        } else {
            write!(
                f,
                "; {theirs} has share {their_share:.3}, {own} {own_share:.3})"
            )
        }
    }
}

/// Those who hold an agent, in a sentence.
pub(super) struct Holders<'a>(pub(super) &'a [Holder]);

impl fmt::Display for Holders<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("the agent has nothing");
        }
        let named: Vec<String> = self
            .0
            .iter()
            .take(MOST_NAMED)
            .map(Holder::to_string)
            .collect();
        write!(f, "all of it is held by {}", named.join(", "))?;
        match self.0.len().saturating_sub(MOST_NAMED) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl Reason {
    /// How many of the checks that a run makes were passed before this was found.
    fn passed(&self) -> u8 {
        match self {
            Reason::NotSubscribed => 0,
            Reason::FrameworkInactive => 1,
            Reason::Suppressed => 2,
            Reason::AgentInactive => 3,
            Reason::NotWhitelisted => 4,
            Reason::Constrained { .. } => 5,
            Reason::GpuAgent => 6,
            Reason::OtherRegion { .. } => 7,
            Reason::AgentWithoutMultiRole => 8,
            Reason::AgentWithoutHierarchicalRole => 9,
            Reason::Held { .. } | Reason::Taken { .. } => 10,
            Reason::ReservedForOthers => 11,
            Reason::BelowMinimum { .. } => 12,
            Reason::Incapable { .. } => 13,
            Reason::Refused { .. } | Reason::Paused { .. } => 14,
            Reason::JustRefused => 15,
            Reason::Waiting => 16,
        }
    }
}

impl Allocator {
    /// Why the framework is not being offered anything of each agent, right now: one reason for
    /// each agent, in the order of their ids.
    ///
    /// # Errors
    /// The framework is not known.
    pub fn why(&self, framework: &str) -> Result<Vec<WhyNot>, AllocatorError> {
        let roles = &self.ledger.frameworks[self.added(framework)?].clients;
        let mut all = Vec::with_capacity(self.agent_ids.len());
        for agent in self.agent_ids.keys() {
            let mut nearest = WhyNot {
                agent: Arc::clone(agent),
                role: Arc::from(""),
                reason: Reason::NotSubscribed,
            };
            for (role, client) in roles {
                let reason = self.explain(framework, role, agent)?;
                let subscribed = self.ledger.clients[*client].subscribed;
                let first = subscribed && nearest.role.is_empty();
                if first || reason.passed() > nearest.reason.passed() {
                    nearest.role = Arc::clone(role);
                    nearest.reason = reason;
                }
            }
            all.push(nearest);
        }
        Ok(all)
    }

    /// Nothing is free of the agent: who has it, last granted first.
    pub(super) fn held_by_others(&self, agent: &Agent, own: ClientId) -> Reason {
        let holders = agent.uses.iter();
        let mut by: Vec<Holder> = holders
            .map(|(client, parts)| self.holder(agent, (*client, parts), own))
            .collect();
        let granted = |holder: &Holder| {
            let of = |framework: &str, role: &str| {
                *framework == *holder.framework && *role == *holder.role
            };
            let mut grants = agent.recent.iter();
            grants.rposition(|grant| of(&grant.framework, &grant.role))
        };
        by.sort_by_key(|holder| std::cmp::Reverse(granted(holder)));
        Reason::Held { by }
    }

    fn holder(&self, agent: &Agent, (theirs, parts): (ClientId, &Parts), own: ClientId) -> Holder {
        let ledger = &self.ledger;
        let mut sums = Amounts::default();
        for (id, part) in parts {
            if let Some((slot, name)) = agent.slot(*id).and_then(|slot| Some((slot, slot.name?))) {
                sums.add(name, slot.thousandths(part));
            }
        }
        let (their, mine) = (&ledger.clients[theirs], &ledger.clients[own]);
        let framework = Arc::clone(&ledger.frameworks[their.framework].id);
        let roles = (&ledger.roles[their.role], &ledger.roles[mine.role]);
        let ((theirs, their_share), (own, own_share)) = if their.role == mine.role {
            let own = Arc::clone(&ledger.frameworks[mine.framework].id);
            let shares = (their.shares.share(), mine.shares.share());
            ((Arc::clone(&framework), shares.0), (own, shares.1))
        } else {
            let [(_, path, share), (_, own_path, own_share)] =
                ledger.tree.parting(roles.0.leaf, roles.1.leaf);
            ((Arc::from(path), share), (Arc::from(own_path), own_share))
        };
        Holder {
            framework,
            role: Arc::clone(&roles.0.name),
            holds: ledger.quantities(&sums),
            theirs,
            their_share,
            own,
            own_share,
        }
    }
}
