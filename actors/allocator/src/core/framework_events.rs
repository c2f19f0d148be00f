//! What the core does when frameworks come, change, fall silent and go.

use tepui_runtime::Time;

use super::frameworks::{ClientId, FrameworkId};
use super::inputs::{AllocatorError, FrameworkSpec, Use};
use super::state::Allocator;
use super::uses::all_allocated;

impl Allocator {
    /// Adds a framework, with what it holds already. An active one is offered what there is at
    /// once.
    ///
    /// # Errors
    /// It was added before; or a use does not name its role.
    pub fn add_framework(
        &mut self,
        now: Time,
        spec: &FrameworkSpec,
        active: bool,
        used: &[Use],
    ) -> Result<(), AllocatorError> {
        let known = self.ledger.framework(&spec.id);
        if known.is_some_and(|framework| self.ledger.frameworks[framework].added) {
            return Err(AllocatorError::FrameworkExists {
                framework: spec.id.clone(),
            });
        }
        used.iter().try_for_each(all_allocated)?;
        let framework = self.ledger.framework_or_unadded(&spec.id);
        self.ledger.frameworks[framework].added = true;
        self.ledger.frameworks[framework].active = active;
        self.settle_framework(now, framework, spec);
        for one in used {
            // Most of it came with its agent; only what did not is new.
            self.count_use(one, true);
        }
        Ok(())
    }

    /// Replaces roles, suppressed roles, capabilities, least amounts and constraints of a framework.
    ///
    /// # Errors
    /// It is not known.
    pub fn update_framework(
        &mut self,
        now: Time,
        spec: &FrameworkSpec,
    ) -> Result<(), AllocatorError> {
        let framework = self.added(&spec.id)?;
        self.settle_framework(now, framework, spec);
        Ok(())
    }

    /// Forgets a framework; what it held is free.
    ///
    /// # Errors
    /// It is not known.
    pub fn remove_framework(&mut self, now: Time, id: &str) -> Result<(), AllocatorError> {
        let framework = self.added(id)?;
        let clients = self.ledger.clients_of(framework);
        let gathered = now + self.options.gather;
        for (agent_id, agent) in self.agents.iter_mut() {
            for client in &clients {
                self.expiry.clear(agent, *client);
                let Some(parts) = agent.uses.get(client).cloned() else {
                    continue;
                };
                self.ledger.give_back(agent, *client, &parts);
                self.pending.agents.insert(agent_id);
            }
        }
        self.ledger.frameworks[framework].added = false;
        self.ledger.settle_eligible(framework);
        for client in clients {
            self.ledger.clients[client].subscribed = false;
            self.ledger.forget_if_idle(client);
        }
        self.ledger.forget_unadded(framework);
        self.wake(gathered);
        Ok(())
    }

    /// Offers go to the framework again, at once.
    ///
    /// # Errors
    /// It is not known.
    pub fn activate_framework(&mut self, now: Time, id: &str) -> Result<(), AllocatorError> {
        let framework = self.added(id)?;
        self.ledger.frameworks[framework].active = true;
        self.ledger.settle_eligible(framework);
        self.request_all(now);
        Ok(())
    }

    /// No more offers go to the framework; its refusals are forgotten. What it holds it keeps.
    ///
    /// # Errors
    /// It is not known.
    pub fn deactivate_framework(&mut self, id: &str) -> Result<(), AllocatorError> {
        let framework = self.added(id)?;
        self.ledger.frameworks[framework].active = false;
        self.ledger.settle_eligible(framework);
        let clients = self.ledger.clients_of(framework);
        self.clear_filters(&clients);
        Ok(())
    }

    /// No more offers in these roles; no roles means all of the framework's.
    ///
    /// # Errors
    /// The framework is not known.
    pub fn suppress(&mut self, id: &str, roles: &[String]) -> Result<(), AllocatorError> {
        let framework = self.added(id)?;
        for client in self.clients_in(framework, roles) {
            self.ledger.clients[client].suppressed = true;
        }
        self.ledger.settle_eligible(framework);
        Ok(())
    }

    /// Offers in these roles again, at once, and whatever was refused in them too; no roles
    /// means all of the framework's.
    ///
    /// # Errors
    /// The framework is not known.
    pub fn revive(&mut self, now: Time, id: &str, roles: &[String]) -> Result<(), AllocatorError> {
        let framework = self.added(id)?;
        let clients = self.clients_in(framework, roles);
        for client in &clients {
            self.ledger.clients[*client].suppressed = false;
        }
        self.clear_filters(&clients);
        self.ledger.settle_eligible(framework);
        self.request_all(now);
        Ok(())
    }

    /// Sets weights of roles; they count from the next run on.
    ///
    /// # Errors
    /// A weight is not above zero; those before it are set.
    pub fn update_weights<'a>(
        &mut self,
        weights: impl IntoIterator<Item = (&'a str, f64)>,
    ) -> Result<(), AllocatorError> {
        for (role, weight) in weights {
            if !(weight.is_finite() && weight > 0.0) {
                let (role, weight) = (role.to_owned(), weight.to_string());
                return Err(AllocatorError::Weight { role, weight });
            }
            self.ledger.set_weight(role, weight);
        }
        Ok(())
    }

    fn settle_framework(&mut self, now: Time, framework: FrameworkId, spec: &FrameworkSpec) {
        let mut other_agents = false;
        for role in &spec.roles {
            let client = self.ledger.client(framework, role);
            self.ledger.clients[client].subscribed = true;
            self.ledger.clients[client].suppressed = spec.suppressed_roles.contains(role);
            let minimum = spec.min_allocatable_resources.get(role);
            self.ledger.set_minimum(client, minimum.map(Vec::as_slice));
            let constraints = spec.constraints.get(role).cloned();
            let client = &mut self.ledger.clients[client];
            other_agents |= client.constraints != constraints;
            client.constraints = constraints;
        }
        let more_capable = self.ledger.frameworks[framework].capabilities != spec.capabilities;
        self.ledger.frameworks[framework].capabilities = spec.capabilities;
        let left: Vec<ClientId> = self.ledger.frameworks[framework]
            .clients
            .iter()
            .filter(|(role, _)| !spec.roles.contains(&***role))
            .map(|(_, client)| *client)
            .collect();
        self.clear_filters(&left);
        for client in left {
            self.ledger.clients[client].subscribed = false;
            self.ledger.forget_if_idle(client);
        }
        if self.ledger.settle_eligible(framework) || more_capable || other_agents {
            self.request_all(now);
        }
    }

    fn clients_in(&self, framework: FrameworkId, roles: &[String]) -> Vec<ClientId> {
        let clients = &self.ledger.frameworks[framework].clients;
        if roles.is_empty() {
            return clients.values().copied().collect();
        }
        roles
            .iter()
            .filter_map(|role| clients.get(role.as_str()).copied())
            .collect()
    }
}
