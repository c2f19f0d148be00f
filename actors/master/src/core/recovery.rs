//! What the registry says when the master comes up, and the pruning of its old entries.
//!
//! Agents of the registry have `agent_reregister_timeout` to come back; those that do not become
//! unreachable, unless they are more than `recovery_agent_removal_limit` allows: then something is
//! wrong with the master rather than with the agents, and it ends.
//! A registry that holds what this master does not do is refused by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use tepui_protocol::mesos::internal::Registry;
use tepui_protocol::mesos::v1::{AgentId, WeightInfo};
use tepui_protocol::tepui::allocator::UpdateWeights;
use tepui_protocol::tepui::registrar::{Operation, operation};

use super::agents::agent_id;
use super::{Effect, MasterCore, Pending, Timer, ToAllocator};

impl MasterCore {
    pub(super) fn recovered(&mut self, answer: Result<Registry, String>) {
        let registry = match answer {
            Ok(registry) => registry,
            Err(problem) => {
                return self
                    .effects
                    .push(Effect::Abort(format!("recovery failed: {problem}")));
            }
        };
        if let Some(what) = unsupported(&registry) {
            return self.effects.push(Effect::Abort(format!(
                "the registry holds {what}: not supported"
            )));
        }
        for agent in registry.agents.into_iter().flat_map(|agents| agents.agents) {
            if let Some(id) = agent.info.id.clone() {
                if agent.deactivated() {
                    self.state.deactivated_agents.insert_mut(id.value.clone());
                }
                self.state
                    .recovered_agents
                    .insert_mut(id.value, Arc::new(agent.info));
            }
        }
        for agent in registry
            .unreachable
            .into_iter()
            .flat_map(|agents| agents.agents)
        {
            if agent.deactivated() {
                let id = agent.id.value.clone();
                self.state.deactivated_agents.insert_mut(id);
            }
            self.state
                .unreachable_agents
                .insert_mut(agent.id.value, agent.timestamp.nanoseconds);
        }
        for agent in registry.gone.into_iter().flat_map(|agents| agents.agents) {
            self.state
                .gone_agents
                .insert_mut(agent.id.value, agent.timestamp.nanoseconds);
        }
        if !registry.weights.is_empty() {
            let weights: Vec<WeightInfo> = registry
                .weights
                .into_iter()
                .map(|weight| weight.info)
                .collect();
            let known = Arc::make_mut(&mut self.state.weights);
            known.extend(
                weights
                    .iter()
                    .map(|weight| (weight.role().to_owned(), weight.weight)),
            );
            self.tell_allocator(ToAllocator::UpdateWeights(UpdateWeights { weights }));
        }
        self.state.recovered = true;
        self.changed = true;
        let (agents, unreachable) = (
            self.state.recovered_agents.size(),
            self.state.unreachable_agents.size(),
        );
        self.info(format!(
            "registry recovered: {agents} agents, {unreachable} unreachable"
        ));
        if agents > 0 {
            self.arm(
                Timer::RecoveredAgents,
                self.options.agent_reregister_timeout,
            );
        }
        self.arm(Timer::RegistryGc, self.options.registry_gc_interval);
    }

    pub(super) fn recovered_agents_did_not_return(&mut self) {
        let absent: Vec<String> = self.state.recovered_agents.keys().cloned().collect();
        let returned = self.state.agents.size();
        let share = absent.len() as f64 / (absent.len() + returned).max(1) as f64;
        if share > self.options.recovery_agent_removal_limit {
            return self.effects.push(Effect::Abort(format!(
                "{} agents did not re-register since the master came up: {:.0}% of all, more than \
                 recovery_agent_removal_limit {:.0}%",
                absent.len(),
                share * 100.0,
                self.options.recovery_agent_removal_limit * 100.0
            )));
        }
        for id in absent {
            if !self.book.reregistering.contains(&id) {
                self.give_up(&id, "agent did not re-register after the master came up");
            }
        }
    }

    /// Drops unreachable and gone agents that are too old or too many from the registry.
    pub(super) fn prune(&mut self) {
        self.arm(Timer::RegistryGc, self.options.registry_gc_interval);
        let unreachable = self.too_old(&self.state.unreachable_agents);
        let gone = self.too_old(&self.state.gone_agents);
        if unreachable.is_empty() && gone.is_empty() {
            return;
        }
        let ids = |ids: &[String]| -> Vec<AgentId> { ids.iter().map(|id| agent_id(id)).collect() };
        let operation = Operation {
            r#type: Some(operation::Type::Prune as i32),
            unreachable: ids(&unreachable),
            gone: ids(&gone),
            ..Operation::default()
        };
        let pending = Pending::Prune { unreachable, gone };
        self.effects
            .push(Effect::Registrar(Box::new(operation), pending));
    }

    /// Now, as the registry writes times.
    pub(super) fn nanoseconds(&self) -> i64 {
        i64::try_from(self.now.as_nanos()).unwrap_or(i64::MAX)
    }

    /// The agents older than `registry_max_agent_age`, and the oldest of those beyond
    /// `registry_max_agent_count`.
    fn too_old(&self, agents: &rpds::RedBlackTreeMapSync<String, i64>) -> Vec<String> {
        let age = i64::try_from(self.options.registry_max_agent_age.as_nanos()).unwrap_or(i64::MAX);
        let oldest_kept = self.nanoseconds().saturating_sub(age);
        let excess = agents
            .size()
            .saturating_sub(self.options.registry_max_agent_count);
        let mut by_age: Vec<(i64, &String)> = agents.iter().map(|(id, at)| (*at, id)).collect();
        by_age.sort_unstable();
        let enumerated = by_age.into_iter().enumerate();
        let old = enumerated.filter(|(rank, (at, _))| *rank < excess || *at < oldest_kept);
        old.map(|(_, (_, id))| id.clone()).collect()
    }

    pub(super) fn pruned(&mut self, unreachable: &[String], gone: &[String]) {
        self.changed = true;
        for id in unreachable {
            self.state.unreachable_agents.remove_mut(id);
            self.state.deactivated_agents.remove_mut(id);
        }
        for id in gone {
            self.state.gone_agents.remove_mut(id);
        }
        self.info(format!(
            "pruned {} unreachable and {} gone agents from the registry",
            unreachable.len(),
            gone.len()
        ));
        self.forget_tasks_of(unreachable);
    }

    /// Tasks of agents that nobody will ask for again.
    fn forget_tasks_of(&mut self, agents: &[String]) {
        let mut forgotten: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for framework in self.state.frameworks.values() {
            for (task_id, task) in framework.unreachable_tasks.iter() {
                if agents.contains(&task.agent_id.value) {
                    forgotten
                        .entry(framework.id.clone())
                        .or_default()
                        .push(task_id.clone());
                }
            }
        }
        for (framework, tasks) in forgotten {
            for task_id in tasks {
                self.complete_unreachable_task(&framework, &task_id);
            }
        }
    }
}

/// A part of the registry that this master could not keep its word on.
fn unsupported(registry: &Registry) -> Option<&'static str> {
    let mut agents = registry.agents.iter().flat_map(|agents| &agents.agents);
    let mut unreachable = registry
        .unreachable
        .iter()
        .flat_map(|agents| &agents.agents);
    let drained = agents.any(|agent| agent.drain_info.is_some())
        || unreachable.any(|agent| agent.drain_info.is_some());
    [
        (drained, "draining agents"),
        (
            registry
                .machines
                .as_ref()
                .is_some_and(|m| !m.machines.is_empty()),
            "machines",
        ),
        (!registry.schedules.is_empty(), "maintenance schedules"),
        (
            !registry.quota_configs.is_empty() || !registry.quotas.is_empty(),
            "quotas",
        ),
        (
            registry.resource_provider_registry.is_some(),
            "resource providers",
        ),
        (
            !registry.minimum_capabilities.is_empty(),
            "minimum capabilities",
        ),
    ]
    .into_iter()
    .find_map(|(there, what)| there.then_some(what))
}
