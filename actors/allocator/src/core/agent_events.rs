//! What the core does when agents come, change and go.

use std::sync::Arc;

use tepui_protocol::resources::Resources;
use tepui_runtime::Time;

use super::agent::Agent;
use super::inputs::{AgentSpec, AllocatorError, Use};
use super::state::Allocator;
use super::uses::all_allocated;

impl Allocator {
    /// Adds an agent, with what is held of it already, also by frameworks that are yet to come.
    /// It is offered at once.
    ///
    /// # Errors
    /// It was added before; or a use does not name its role.
    pub fn add_agent(
        &mut self,
        now: Time,
        spec: AgentSpec,
        used: &[Use],
    ) -> Result<(), AllocatorError> {
        if self.agent_ids.contains_key(spec.id.as_str()) {
            return Err(AllocatorError::AgentExists { agent: spec.id });
        }
        used.iter().try_for_each(all_allocated)?;
        let total = spec.total.clone();
        let agent = Agent::new(spec);
        let id = Arc::clone(&agent.id);
        let agent = self.agents.insert(agent);
        self.agent_ids.insert(id, agent);
        self.set_total(agent, &total);
        for one in used {
            self.count_use(one, false);
        }
        self.request(agent, now);
        Ok(())
    }

    /// Replaces what is known of an agent; where something changed, it is offered at once.
    ///
    /// # Errors
    /// It is not known.
    pub fn update_agent(&mut self, now: Time, spec: AgentSpec) -> Result<(), AllocatorError> {
        let id = self.agent(&spec.id)?;
        let agent = &mut self.agents[id];
        let former = std::mem::replace(&mut agent.spec, spec);
        let same_attributes =
            tepui_protocol::attributes::equal(&former.attributes, &agent.spec.attributes);
        let same = same_attributes
            && former.capabilities == agent.spec.capabilities
            && former.region == agent.spec.region
            && former.zone == agent.spec.zone
            && former.hostname == agent.spec.hostname
            && former.total == agent.spec.total;
        if same {
            return Ok(());
        }
        if !same_attributes {
            self.expiry.clear_agent(agent);
        }
        let total = agent.spec.total.clone();
        self.set_total(id, &total);
        self.request(id, now);
        Ok(())
    }

    /// Forgets an agent and all that was held of it.
    ///
    /// # Errors
    /// It is not known.
    pub fn remove_agent(&mut self, id: &str) -> Result<(), AllocatorError> {
        let agent_id = self.agent(id)?;
        let agent = &mut self.agents[agent_id];
        self.expiry.clear_agent(agent);
        for (client, parts) in agent.uses.clone() {
            self.ledger.give_back(agent, client, &parts);
            // A client without subscription has no refusals, so none are left behind.
            self.ledger.forget_if_idle(client);
        }
        self.set_total(agent_id, &Resources::new());
        self.agents.remove(agent_id);
        self.agent_ids.remove(id);
        self.pending.agents.remove(&agent_id);
        Ok(())
    }

    /// The agent is offered again, at once.
    ///
    /// # Errors
    /// It is not known.
    pub fn activate_agent(&mut self, now: Time, id: &str) -> Result<(), AllocatorError> {
        let agent = self.agent(id)?;
        self.agents[agent].active = true;
        self.request(agent, now);
        Ok(())
    }

    /// The agent is not offered any more; what is held of it stays held.
    ///
    /// # Errors
    /// It is not known.
    pub fn deactivate_agent(&mut self, id: &str) -> Result<(), AllocatorError> {
        let agent = self.agent(id)?;
        self.agents[agent].active = false;
        Ok(())
    }
}
