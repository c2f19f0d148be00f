//! The accounts: which framework holds how much in which role, and the shares that follow from it.
//!
//! All that a run and an input both need beside the agents themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use tepui_protocol::resources::{Quantities, Scalar};

use super::agent::{Agent, Change, Parts};
use super::frameworks::{Client, ClientId, Framework, FrameworkId, Minimum, Role};
use super::inputs::Options;
use super::names::{Amounts, NameId, Names};
use super::shares::{FairTotals, Shares, Totals};
use super::slab::Slab;
use super::tree::{RoleId, Tree};

#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) names: Names,
    pub(super) totals: Totals,
    pub(super) tree: Tree,
    pub(super) roles: Slab<Role>,
    role_ids: BTreeMap<Arc<str>, RoleId>,
    pub(super) clients: Slab<Client>,
    pub(super) frameworks: Slab<Framework>,
    framework_ids: BTreeMap<Arc<str>, FrameworkId>,
    weights: BTreeMap<String, f64>,
}

impl Ledger {
    pub(super) fn new(options: &Options) -> Ledger {
        Ledger {
            names: Names::excluding(options.fair_sharing_excluded_resource_names.clone()),
            totals: Totals::default(),
            tree: Tree::new(),
            roles: Slab::default(),
            role_ids: BTreeMap::new(),
            clients: Slab::default(),
            frameworks: Slab::default(),
            framework_ids: BTreeMap::new(),
            weights: options.weights.clone(),
        }
    }

    pub(super) fn framework(&self, id: &str) -> Option<FrameworkId> {
        self.framework_ids.get(id).copied()
    }

    /// The framework, made as one that nobody has added yet where it is not known.
    pub(super) fn framework_or_unadded(&mut self, id: &str) -> FrameworkId {
        if let Some(&known) = self.framework_ids.get(id) {
            return known;
        }
        let id: Arc<str> = Arc::from(id);
        let framework = self.frameworks.insert(Framework {
            id: Arc::clone(&id),
            added: false,
            active: false,
            capabilities: super::inputs::FrameworkCapabilities::default(),
            clients: BTreeMap::new(),
        });
        self.framework_ids.insert(id, framework);
        framework
    }

    /// The framework in the role, made where it is not there.
    pub(super) fn client(&mut self, framework: FrameworkId, role: &str) -> ClientId {
        if let Some(&client) = self.frameworks[framework].clients.get(role) {
            return client;
        }
        let role_id = self.role(role);
        let client = self.clients.insert(Client {
            framework,
            role: role_id,
            subscribed: false,
            suppressed: false,
            eligible: false,
            minimum: None,
            constraints: None,
            shares: Shares::new(1.0),
            agents: 0,
        });
        let role = &mut self.roles[role_id];
        role.clients.push(client);
        self.frameworks[framework]
            .clients
            .insert(Arc::clone(&role.name), client);
        client
    }

    fn role(&mut self, name: &str) -> RoleId {
        if let Some(&known) = self.role_ids.get(name) {
            return known;
        }
        let name: Arc<str> = Arc::from(name);
        let role = self.roles.insert(Role::new(Arc::clone(&name), 0));
        let weights = &self.weights;
        let weight = |path: &str| weights.get(path).copied().unwrap_or(1.0);
        self.roles[role].leaf = self.tree.add(&name, role, weight);
        self.role_ids.insert(name, role);
        role
    }

    pub(super) fn set_weight(&mut self, role: &str, weight: f64) {
        self.weights.insert(role.to_owned(), weight);
        let fair = FairTotals {
            totals: &self.totals,
            excluded: self.names.excluded(),
        };
        self.tree.set_weight(role, weight, &fair);
    }

    /// Settles to whom of the framework's clients offers go; true where there is a new one.
    pub(super) fn settle_eligible(&mut self, framework: FrameworkId) -> bool {
        let mut gained = false;
        let Framework {
            active,
            added,
            clients,
            ..
        } = &self.frameworks[framework];
        for id in clients.values() {
            let client = &mut self.clients[*id];
            let eligible = *active && *added && client.subscribed && !client.suppressed;
            if client.eligible != eligible {
                client.eligible = eligible;
                gained |= eligible;
                self.roles[client.role].unsort();
            }
        }
        gained
    }

    /// The framework's clients, by role.
    pub(super) fn clients_of(&self, framework: FrameworkId) -> Vec<ClientId> {
        self.frameworks[framework]
            .clients
            .values()
            .copied()
            .collect()
    }

    /// Forgets a client that is neither subscribed nor holds anything, and with the last of a
    /// role the role; true where it was forgotten.
    pub(super) fn forget_if_idle(&mut self, id: ClientId) -> bool {
        let client = &self.clients[id];
        if client.subscribed || client.agents > 0 {
            return false;
        }
        let (framework, role_id) = (client.framework, client.role);
        self.set_minimum(id, None);
        self.clients.remove(id);
        let role = &mut self.roles[role_id];
        role.clients.retain(|other| *other != id);
        role.unsort();
        let name = Arc::clone(&role.name);
        if role.clients.is_empty() {
            self.tree.remove(role.leaf);
            self.roles.remove(role_id);
            self.role_ids.remove(&name);
        }
        self.frameworks[framework].clients.remove(&name);
        self.forget_unadded(framework);
        true
    }

    /// Forgets a framework that nobody added, or that was removed, once it has no clients.
    pub(super) fn forget_unadded(&mut self, framework: FrameworkId) {
        let unused = self
            .frameworks
            .get(framework)
            .is_some_and(|f| !f.added && f.clients.is_empty());
        if unused && let Some(gone) = self.frameworks.remove(framework) {
            self.framework_ids.remove(&gone.id);
        }
    }

    /// Replaces the least amounts that hold for a client.
    pub(super) fn set_minimum(&mut self, client: ClientId, minimum: Option<&[Quantities]>) {
        let minimum = minimum.map(|sets| self.acquire_minimum(sets));
        let former = std::mem::replace(&mut self.clients[client].minimum, minimum);
        for (name, _) in former.into_iter().flatten().flatten() {
            self.names.release(name);
        }
    }

    pub(super) fn acquire_minimum(&mut self, sets: &[Quantities]) -> Vec<Minimum> {
        let names = &mut self.names;
        sets.iter()
            .map(|set| {
                set.iter()
                    .map(|(name, least)| (names.acquire(name), least.thousandths()))
                    .collect()
            })
            .collect()
    }

    /// Counts that `client` holds `parts` of `agent` more.
    pub(super) fn take(&mut self, agent: &mut Agent, id: ClientId, parts: &Parts) {
        let fresh = !agent.uses.contains_key(&id);
        let grown = agent.take(id, parts);
        let (own, role) = self.sums(agent, id, &grown);
        let fair = FairTotals {
            totals: &self.totals,
            excluded: self.names.excluded(),
        };
        let client = &mut self.clients[id];
        client.agents += u32::from(fresh);
        client.shares.allocated(&own, &fair);
        self.roles[client.role].unsort();
        self.tree
            .allocated(self.roles[client.role].leaf, &role, &fair);
    }

    /// Counts that `client` no longer holds `parts` of `agent`; gives back what it did not hold.
    pub(super) fn give_back(&mut self, agent: &mut Agent, id: ClientId, parts: &Parts) -> Parts {
        if !agent.uses.contains_key(&id) {
            return parts.clone();
        }
        let (shrunk, missing) = agent.give_back(id, parts);
        let (own, role) = self.sums(agent, id, &shrunk);
        let fair = FairTotals {
            totals: &self.totals,
            excluded: self.names.excluded(),
        };
        let client = &mut self.clients[id];
        client.agents -= u32::from(!agent.uses.contains_key(&id));
        client.shares.recovered(&own, &fair);
        self.roles[client.role].unsort();
        self.tree
            .recovered(self.roles[client.role].leaf, &role, &fair);
        missing
    }

    /// What a change means for the client, and for its role: a shared resource that another
    /// framework of the role holds on the agent counts for the role already.
    fn sums(&self, agent: &Agent, id: ClientId, changes: &[Change]) -> (Sums, Sums) {
        let role = self.clients[id].role;
        let elsewhere = |slot: u32| {
            agent.uses.iter().any(|(other, parts)| {
                *other != id
                    && self.clients[*other].role == role
                    && parts
                        .iter()
                        .any(|(held, part)| *held == slot && !part.is_empty())
            })
        };
        let sum = |change: &Change| (change.name, change.thousandths);
        let for_role = |change: &&Change| !change.shared.is_some_and(elsewhere);
        (
            changes.iter().map(sum).collect(),
            changes.iter().filter(for_role).map(sum).collect(),
        )
    }

    /// The names of `amounts` with what is not zero of them.
    pub(super) fn quantities(&self, amounts: &Amounts) -> Quantities {
        let named = amounts.iter().filter(|(_, thousandths)| *thousandths != 0);
        named
            .map(|(id, amount)| {
                (
                    self.names.text(id).to_string(),
                    Scalar::from_thousandths(amount),
                )
            })
            .collect()
    }

    /// The roles by name.
    pub(super) fn role_names(&self) -> impl Iterator<Item = (&Arc<str>, RoleId)> {
        self.role_ids.iter().map(|(name, id)| (name, *id))
    }
}

type Sums = Vec<(NameId, i64)>;
