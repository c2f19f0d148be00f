//! Questions about the present state: why a framework is not offered an agent, who holds what.
//! The answers come from the same judgment that a run makes.

use std::collections::BTreeMap;
use std::sync::Arc;

use tepui_protocol::resources::{Quantities, Resources};

use super::inputs::AllocatorError;
use super::judge::{Judge, Places};
use super::reason::{Reason, RecentGrant};
use super::state::Allocator;
use super::uses::resources_of;

impl Allocator {
    /// Why the framework is not being offered anything of the agent in the role, right now.
    ///
    /// # Errors
    /// The framework or the agent is not known.
    pub fn explain(
        &self,
        framework: &str,
        role: &str,
        agent: &str,
    ) -> Result<Reason, AllocatorError> {
        let unknown = || AllocatorError::UnknownFramework {
            framework: framework.to_owned(),
        };
        let id = self.ledger.framework(framework).ok_or_else(unknown)?;
        let framework = &self.ledger.frameworks[id];
        let agent = &self.agents[self.agent(agent)?];
        if !framework.active {
            return Ok(Reason::FrameworkInactive);
        }
        let Some(&client) = framework.clients.get(role) else {
            return Ok(Reason::NotSubscribed);
        };
        if !self.ledger.clients[client].subscribed {
            return Ok(Reason::NotSubscribed);
        }
        if self.ledger.clients[client].suppressed {
            return Ok(Reason::Suppressed);
        }
        if !agent.active {
            return Ok(Reason::AgentInactive);
        }
        if !self.is_listed(agent) {
            return Ok(Reason::NotWhitelisted);
        }
        let judge = Judge {
            options: &self.options,
            ledger: &self.ledger,
            minimum: &self.minimum,
        };
        if let Err(verdict) = judge.able(agent, client) {
            return Ok(judge.reason(verdict, agent, client, &[]));
        }
        if !agent.has_free() {
            return Ok(self.held_by_others(agent, client));
        }
        let (mut view, mut chosen) = (Places::new(), Places::new());
        Judge::view(agent, role, &[], &mut view);
        if view.is_empty() {
            return Ok(Reason::ReservedForOthers);
        }
        Ok(match judge.choose(agent, client, &view, &mut chosen) {
            Ok(()) => Reason::Waiting,
            Err(verdict) => judge.reason(verdict, agent, client, &view),
        })
    }

    /// The last grants of an agent, the latest last.
    ///
    /// # Errors
    /// The agent is not known.
    pub fn recent_grants(
        &self,
        agent: &str,
    ) -> Result<impl Iterator<Item = &RecentGrant>, AllocatorError> {
        Ok(self.agents[self.agent(agent)?].recent.iter())
    }

    /// The scalars of all agents.
    #[must_use]
    pub fn total(&self) -> Quantities {
        self.ledger.quantities(self.ledger.totals.amounts())
    }

    /// The scalars that are offered or in use, over all agents.
    #[must_use]
    pub fn offered_or_allocated(&self) -> Quantities {
        self.ledger.quantities(self.ledger.tree.root().held())
    }

    /// What is free of an agent.
    ///
    /// # Errors
    /// The agent is not known.
    pub fn free(&self, agent: &str) -> Result<Resources, AllocatorError> {
        let agent = &self.agents[self.agent(agent)?];
        let parts = agent
            .slots
            .iter()
            .map(|slot| (slot.id, slot.free.clone()))
            .collect();
        Ok(resources_of(agent, &parts))
    }

    /// What the frameworks hold of an agent, each resource allocated to its role.
    ///
    /// # Errors
    /// The agent is not known.
    pub fn held(&self, agent: &str) -> Result<BTreeMap<Arc<str>, Resources>, AllocatorError> {
        let agent = &self.agents[self.agent(agent)?];
        let mut held: BTreeMap<Arc<str>, Resources> = BTreeMap::new();
        for (client, parts) in &agent.uses {
            let client = &self.ledger.clients[*client];
            let role = &self.ledger.roles[client.role].name;
            let framework = Arc::clone(&self.ledger.frameworks[client.framework].id);
            *held.entry(framework).or_default() += resources_of(agent, parts).allocate(role);
        }
        Ok(held)
    }

    /// The dominant share, 0 to 1 and before weights, of each role and each parent of one.
    pub fn dominant_shares(&self) -> impl Iterator<Item = (&str, f64)> {
        self.ledger
            .tree
            .paths()
            .map(|(path, shares)| (path, shares.dominant()))
    }

    /// The number of refusals for a time that hold, by role; roles without any are there too.
    #[must_use]
    pub fn refusals_by_role(&self) -> BTreeMap<Arc<str>, usize> {
        let roles = self.ledger.role_names();
        roles
            .map(|(name, role)| {
                let clients = self.ledger.roles[role].clients.iter();
                (
                    Arc::clone(name),
                    clients.map(|client| self.expiry.timed(*client)).sum(),
                )
            })
            .collect()
    }
}
