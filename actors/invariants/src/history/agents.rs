//! Agents: one id, one agent, one life.

use std::collections::{BTreeMap, BTreeSet};

use super::Found;
use crate::{Fact, ONE_LIFE};

#[derive(Clone, Debug, Default)]
pub(super) struct Agents {
    hosts: BTreeMap<String, String>,
    gone: BTreeSet<String>,
}

impl Agents {
    pub(super) fn see(&mut self, fact: &Fact, found: &mut Found) {
        match fact {
            Fact::Registered { agent, host } => {
                if self.gone.contains(agent) {
                    let detail = format!("agent {agent} of {host} came back after its end");
                    found.add(&ONE_LIFE, detail);
                }
                let first = self
                    .hosts
                    .entry(agent.clone())
                    .or_insert_with(|| host.clone());
                if first != host {
                    let detail = format!("agent {agent} of {host} was {first}'s before");
                    found.add(&ONE_LIFE, detail);
                }
            }
            Fact::Gone { agent } => {
                self.gone.insert(agent.clone());
            }
            // Its registry was in memory: the next one knows of nobody's end.
            Fact::MasterCrashed => self.gone.clear(),
            _ => {}
        }
    }
}
