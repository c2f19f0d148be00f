//! Offers: made only where they are wanted, and of agents that are active.

use std::collections::{BTreeMap, BTreeSet};

use super::Found;
use crate::{Fact, WANTED_WHERE_OFFERED};

#[derive(Clone, Debug, Default)]
pub(super) struct Wishes {
    /// By framework: the roles in which it wants offers, and since when, where that is known.
    roles: BTreeMap<String, (BTreeSet<String>, u64)>,
    deactivated: BTreeSet<String>,
}

impl Wishes {
    pub(super) fn see(&mut self, fact: &Fact, found: &mut Found) {
        match fact {
            Fact::Wants {
                framework,
                roles,
                at,
            } => {
                self.roles.insert(framework.clone(), (roles.clone(), *at));
            }
            Fact::Deactivated { agent } => {
                self.deactivated.insert(agent.clone());
            }
            Fact::Reactivated { agent } => {
                self.deactivated.remove(agent);
            }
            // Its successor is told by each framework anew, and its registry was in memory.
            Fact::MasterCrashed => *self = Wishes::default(),
            Fact::Offered {
                framework,
                offer,
                role,
                agent,
                at,
                ..
            } => {
                // In the very instant, what the allocator granted before may be under way.
                let wanted = self.roles.get(framework);
                if wanted.is_some_and(|(wanted, since)| since < at && !wanted.contains(role)) {
                    let detail = format!("offer {offer} to {framework} is in role '{role}'");
                    found.add(&WANTED_WHERE_OFFERED, detail);
                }
                if self.deactivated.contains(agent) {
                    let detail = format!("offer {offer} is of agent {agent}, which is deactivated");
                    found.add(&WANTED_WHERE_OFFERED, detail);
                }
            }
            _ => {}
        }
    }
}
