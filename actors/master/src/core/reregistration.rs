//! An agent with an id comes back: because its link broke, because the master was replaced, or
//! because it had been given up. The agent's word on what runs counts, wherever they disagree.
//!
//! - registered here: its address may have changed but not its IP and hostname; what the master
//!   knows and it does not is sent back to be answered, what it knows and the master does not is
//!   taken into the books, unless its end was acknowledged while the list was under way; and kills
//!   that it may have missed are sent again;
//! - in the registry (`recovered`): it is let back in;
//! - anything else, also an id that nobody knows: it is marked reachable in the registry, all its
//!   tasks are kept, and their frameworks are told that they are there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tepui_invariants::PlantedBug;
use tepui_protocol::mesos::internal::{
    AgentReregistered, KillTask, ReconcileTasks, ReregisterAgent, ShutdownFramework,
    UpdateFramework,
};
use tepui_protocol::mesos::v1::task_status::Reason;
use tepui_protocol::mesos::v1::{ExecutorInfo, Task, TaskId};
use tepui_protocol::resources::Resources;
use tepui_protocol::tepui::allocator as to_allocator;
use tepui_protocol::tepui::registrar::{Operation, operation};
use tepui_runtime::Pid;

use super::agents::agent_id;
use super::frameworks::framework_id;
use super::registration::{Arrival, Reregistration};
use super::tasks::holds;
use super::{
    Effect, MasterCore, Pending, Timer, ToAgent, ToAllocator, amounts, is_terminal, validation,
};
use crate::snapshot::Connection;

impl MasterCore {
    pub(super) fn reregister_agent(&mut self, from: &Pid, message: ReregisterAgent) {
        self.count("master/messages_reregister_slave");
        let Some(id) = message.agent.id.as_ref().map(|id| id.value.clone()) else {
            return self.warn(format!(
                "dropping re-registration of agent at {from}: no id"
            ));
        };
        if self.book.reregistering.contains(&id)
            || self.is_leaving(&id)
            || self.book.registering.contains(from)
        {
            return self.info(format!(
                "agent {id} at {from} re-registers while in transition"
            ));
        }
        let let_in = self.planted(PlantedBug::StaleAgentAccepted);
        if self.state.gone_agents.contains_key(&id) && !let_in {
            return self.shut_down_agent(from, "Agent has been marked gone");
        }
        if let Err(problem) = validation::registration(
            &message.agent,
            &message.checkpointed_resources,
            message.version.as_deref(),
            &self.options,
        ) {
            return self.warn(format!(
                "dropping re-registration of agent {id} at {from}: {problem}"
            ));
        }
        let running = validation::running(&message);
        if let Some(problem) = running.err().or_else(|| self.no_room_for(&id)) {
            return self.warn(format!(
                "dropping re-registration of agent {id} at {from}: {problem}"
            ));
        }
        if let Some(other) = self
            .book
            .agent_of
            .get(from)
            .filter(|other| **other != id)
            .cloned()
        {
            let counter = "master/slave_removals/reason_registered";
            return self.remove_agent(&other, "another agent is at its address", counter);
        }
        if let Some(agent) = self.state.agent(&id)
            && (agent.pid.address().ip != from.address().ip
                || agent.info.hostname != message.agent.hostname)
        {
            let why = "Agent attempted to reregister with different IP / hostname";
            return self.shut_down_agent(from, why);
        }
        self.reregister(Reregistration {
            from: from.clone(),
            message,
            was_away: false,
        });
    }

    /// Why an agent that is neither registered nor of the registry cannot be let in.
    fn no_room_for(&self, id: &str) -> Option<String> {
        if self.state.agents.contains_key(id) || self.state.recovered_agents.contains_key(id) {
            return None;
        }
        self.full()
    }

    /// Writes to the registry what has to be written, then goes on.
    fn reregister(&mut self, mut agent: Reregistration) {
        let id = agent
            .message
            .agent
            .id
            .as_ref()
            .map(|id| id.value.clone())
            .unwrap_or_default();
        let info = &agent.message.agent;
        let known = self.state.agent(&id).map(|agent| agent.info.clone());
        let recovered = self.state.recovered_agents.get(&id).cloned();
        let registered = known.is_some();
        let (kind, pending): (_, fn(Box<Reregistration>) -> Pending) = match known.or(recovered) {
            Some(old) if *old == *info => {
                return if registered {
                    self.is_back(agent)
                } else {
                    self.readmitted(agent)
                };
            }
            Some(_) if registered => (operation::Type::UpdateAgent, Pending::Update),
            Some(_) => (operation::Type::UpdateAgent, Pending::Readmit),
            None => {
                agent.was_away = true;
                (operation::Type::MarkAgentReachable, Pending::Readmit)
            }
        };
        self.book.reregistering.insert(id);
        let operation = Operation {
            r#type: Some(kind as i32),
            agent_info: Some(agent.message.agent.clone()),
            ..Operation::default()
        };
        let pending = pending(Box::new(agent));
        self.effects
            .push(Effect::Registrar(Box::new(operation), pending));
    }

    pub(super) fn agent_info_updated(&mut self, agent: Reregistration, mutated: bool) {
        let id = agent
            .message
            .agent
            .id
            .as_ref()
            .map(|id| id.value.clone())
            .unwrap_or_default();
        self.book.reregistering.remove(&id);
        if self.state.agent(&id).is_none() || !mutated {
            // It was given up meanwhile; it tries again and finds itself unknown.
            return self.warn(format!(
                "agent {id} re-registered when it was no longer there"
            ));
        }
        self.is_back(agent);
    }

    /// A registered agent is back.
    fn is_back(&mut self, back: Reregistration) {
        let Reregistration { from, message, .. } = back;
        let id = message
            .agent
            .id
            .as_ref()
            .map(|id| id.value.clone())
            .unwrap_or_default();
        let Some(agent) = self.state.agent(&id) else {
            return;
        };
        let changed =
            *agent.info != message.agent || *agent.capabilities != message.agent_capabilities;
        let was_active = agent.active;
        let active = self.may_be_active(&id);
        let old_pid = agent.pid.clone();
        self.count("master/slave_reregistrations");
        self.keep(&id);
        self.forget_agent_pid(&id, &old_pid);
        self.book.agent_of.insert(from.clone(), id.clone());
        self.effects.push(Effect::Link(from.clone()));
        self.effects
            .push(Effect::Cancel(Timer::AgentReregister(id.clone())));
        if changed {
            self.take_back_offers_of_agent(&id);
        }
        let now = self.now;
        if let Some(agent) = self.agent_mut(&id) {
            agent.total = amounts::trusted(&message.agent.resources);
            agent.total += &agent.oversubscribed;
            agent.info = Arc::new(message.agent.clone());
            agent.version = message.version().to_owned();
            agent.capabilities = Arc::new(message.agent_capabilities.clone());
            agent.resource_version = message
                .resource_version_uuid
                .as_ref()
                .map(|version| version.value.to_vec());
            agent.pid = from.clone();
            agent.connected = true;
            agent.active = active;
            agent.reregistered_at = Some(now);
        }
        if changed {
            self.tell_allocator_of_agent(&id);
        }
        if active && !was_active {
            self.tell_allocator(ToAllocator::ActivateAgent(to_allocator::ActivateAgent {
                agent_id: agent_id(&id),
            }));
        }
        self.book.pings.remove(&id);
        self.info(format!("agent {id} at {from} re-registered"));
        self.recover_frameworks(&message);
        let reconciliations = self.unknown_to_agent(&id, &message.tasks);
        self.acknowledge_reregistration(&id, reconciliations);
        self.take_in(&id, &message);
        self.kill_again(&id, &message.tasks);
        self.tell_of_frameworks(&id, &message);
        self.ping_due(&id);
    }

    /// An agent that was not registered here is back.
    pub(super) fn readmitted(&mut self, back: Reregistration) {
        let Reregistration {
            from,
            message,
            was_away,
        } = back;
        let id = message
            .agent
            .id
            .as_ref()
            .map(|id| id.value.clone())
            .unwrap_or_default();
        self.book.reregistering.remove(&id);
        self.changed = true;
        self.keep(&id);
        self.state.recovered_agents.remove_mut(&id);
        self.state.unreachable_agents.remove_mut(&id);
        self.book.removed.remove(&id);
        self.count("master/slave_reregistrations");
        self.recover_frameworks(&message);
        let arrival = Arrival {
            from: &from,
            info: &message.agent,
            version: message.version(),
            capabilities: &message.agent_capabilities,
            resource_version: message
                .resource_version_uuid
                .as_ref()
                .map(|v| v.value.to_vec()),
        };
        let mut agent = self.new_agent(&arrival);
        agent.reregistered_at = Some(self.now);
        agent.active = self.may_be_active(&id);
        self.info(format!(
            "agent {id} at {from} re-registered with {}",
            agent.total
        ));
        let used = self.uses(&id, &message);
        self.add_agent(agent, used);
        for task in self.tasks_to_take_in(&message.tasks) {
            let framework_id = task.framework_id.value.clone();
            self.forget_unreachable(&framework_id, &task.task_id.value);
            self.add_task(task.clone());
            if was_away {
                self.tell_of_task(&framework_id, &task);
            }
        }
        self.forget_unreachable_on(&id);
        for (framework_id, executor) in self.executors_to_take_in(&message.executor_infos) {
            self.add_executor(&framework_id, &id, executor);
        }
        self.acknowledge_reregistration(&id, Vec::new());
        self.tell_of_frameworks(&id, &message);
        self.ping_due(&id);
    }

    fn acknowledge_reregistration(&mut self, id: &str, reconciliations: Vec<ReconcileTasks>) {
        let message = AgentReregistered {
            agent_id: agent_id(id),
            reconciliations,
            connection: Some(self.connection()),
        };
        self.tell_agent(id, ToAgent::Reregistered(message));
    }

    /// Frameworks that only the agent knows are recovered: no connection, no offers, no timer.
    fn recover_frameworks(&mut self, message: &ReregisterAgent) {
        for info in &message.frameworks {
            let Some(id) = info.id.as_ref().map(|id| &id.value) else {
                continue;
            };
            if self.state.frameworks.contains_key(id) || self.state.is_completed(id) {
                continue;
            }
            let most = self.options.max_frameworks;
            let full = || Err(format!("there are {most} frameworks, and no more may be"));
            let fits = match self.state.frameworks.size() >= most {
                true => full(),
                false => validation::known(info),
            };
            if let Err(problem) = fits {
                self.warn(format!("framework {id} of an agent is left out: {problem}"));
                continue;
            }
            self.info(format!(
                "framework {id} '{}' recovered from an agent",
                info.name
            ));
            let framework = self.new_framework(info.clone(), Connection::Recovered);
            self.add_framework(framework);
        }
    }

    /// Tasks of the books that the agent did not list, for it to answer with an update each.
    fn unknown_to_agent(&self, id: &str, listed: &[Task]) -> Vec<ReconcileTasks> {
        let listed: BTreeSet<(&str, &str)> = listed
            .iter()
            .map(|task| {
                (
                    task.framework_id.value.as_str(),
                    task.task_id.value.as_str(),
                )
            })
            .collect();
        let mut by_framework: BTreeMap<&str, ReconcileTasks> = BTreeMap::new();
        let Some(agent) = self.state.agent(id) else {
            return Vec::new();
        };
        for (framework, task_id) in agent.tasks.iter() {
            let known = self.state.framework(framework);
            let task = known.and_then(|known| known.tasks.get(task_id));
            let (Some(known), Some(task)) = (known, task) else {
                continue;
            };
            if listed.contains(&(framework.as_str(), task_id.as_str())) {
                continue;
            }
            let mut status = self.master_status(
                &TaskId {
                    value: task_id.clone(),
                },
                task.state(),
            );
            status.agent_id = Some(agent_id(id));
            status.message = Some("Reconciliation: Task is unknown to the agent".to_owned());
            status.reason = Some(Reason::Reconciliation as i32);
            let reconcile = by_framework
                .entry(framework)
                .or_insert_with(|| ReconcileTasks {
                    framework_id: framework_id(framework),
                    statuses: Vec::new(),
                    framework: Some((*known.info).clone()),
                });
            reconcile.statuses.push(status);
        }
        by_framework.into_values().collect()
    }

    /// Takes into the books what a registered agent runs and the master did not know of.
    fn take_in(&mut self, id: &str, message: &ReregisterAgent) {
        for task in self.tasks_to_take_in(&message.tasks) {
            let framework = task.framework_id.value.clone();
            let known = self
                .state
                .framework(&framework)
                .is_some_and(|known| known.tasks.contains_key(&task.task_id.value));
            if known {
                continue;
            }
            self.forget_unreachable(&framework, &task.task_id.value);
            if holds(task.state()) {
                self.use_more(id, &framework, &amounts::trusted(&task.resources));
            }
            self.add_task(task.clone());
            self.tell_of_task(&framework, &task);
        }
        let listed = self.executors_to_take_in(&message.executor_infos);
        let Some(agent) = self.state.agent(id) else {
            return;
        };
        let here = agent.executors.clone();
        let still: BTreeSet<(String, String)> = listed
            .iter()
            .map(|(framework, info)| (framework.clone(), info.executor_id.value.clone()))
            .collect();
        self.doubt(id, &message.tasks, &still);
        for key in here.iter().filter(|key| !still.contains(*key)) {
            let agent = self.state.agent(id);
            if agent.is_none_or(|agent| !agent.doubtful.contains_key(key)) {
                self.remove_executor(&key.0, id, &key.1);
            }
        }
        for (framework, executor) in listed {
            if !here.contains(&(framework.clone(), executor.executor_id.value.clone())) {
                self.use_more(id, &framework, &amounts::trusted(&executor.resources));
                self.add_executor(&framework, id, executor);
            }
        }
    }

    /// The listed tasks whose framework is in the books, but for those that are over.
    fn tasks_to_take_in(&self, listed: &[Task]) -> Vec<Task> {
        if self.planted(PlantedBug::TasksForgotten) {
            return Vec::new();
        }
        let known = |task: &&Task| self.state.frameworks.contains_key(&task.framework_id.value);
        let listed = listed.iter().filter(known);
        listed.filter(|task| !self.is_over(task)).cloned().collect()
    }

    /// Whether the end that the agent waits to have acknowledged is one that completed the task
    /// here: the list was long under way, and the acknowledgement has overtaken it. Back in the
    /// books it would be missed in the agent's next list, and end a second time, as dropped. If the
    /// acknowledgement was lost instead, the agent says the end again, and gets another.
    fn is_over(&self, listed: &Task) -> bool {
        let Some(uuid) = listed.status_update_uuid.as_ref() else {
            return false;
        };
        let Some(framework) = self.state.framework(&listed.framework_id.value) else {
            return false;
        };
        let same = |done: &Task| {
            done.status_update_uuid.as_ref() == Some(uuid)
                && done.task_id == listed.task_id
                && done.agent_id == listed.agent_id
        };
        is_terminal(listed.status_update_state())
            && !framework.tasks.contains_key(&listed.task_id.value)
            && framework.completed_tasks.iter().any(|(_, it)| same(it))
    }

    fn executors_to_take_in(&self, listed: &[ExecutorInfo]) -> Vec<(String, ExecutorInfo)> {
        let known = |info: &ExecutorInfo| {
            let framework = info.framework_id.as_ref().map(|id| id.value.clone())?;
            let known = self.state.frameworks.contains_key(&framework);
            known.then(|| (framework, info.clone()))
        };
        listed.iter().filter_map(known).collect()
    }

    /// What the frameworks in the books use on an agent that comes back.
    fn uses(&self, id: &str, message: &ReregisterAgent) -> Vec<to_allocator::Use> {
        let mut uses: BTreeMap<String, Resources> = BTreeMap::new();
        for task in self.tasks_to_take_in(&message.tasks) {
            if holds(task.state()) {
                *uses.entry(task.framework_id.value.clone()).or_default() +=
                    amounts::trusted(&task.resources);
            }
        }
        for (framework, executor) in self.executors_to_take_in(&message.executor_infos) {
            *uses.entry(framework).or_default() += amounts::trusted(&executor.resources);
        }
        uses.into_iter()
            .map(|(framework, resources)| use_of(id, &framework, &resources))
            .collect()
    }

    pub(super) fn use_more(&mut self, id: &str, framework: &str, resources: &Resources) {
        let message = to_allocator::AddUse {
            r#use: use_of(id, framework, resources),
        };
        self.tell_allocator(ToAllocator::AddUse(message));
    }

    fn forget_unreachable(&mut self, framework: &str, task_id: &str) {
        let Some(framework) = self.framework_mut(framework) else {
            return;
        };
        if let Some(task) = framework.unreachable_tasks.remove(task_id) {
            self.state.task_counts.leave(task.state());
        }
    }

    /// An agent is reachable: what was unreachable with it and is not on it never arrived there, or
    /// ended meanwhile. As at Mesos, frameworks hear that when they reconcile.
    fn forget_unreachable_on(&mut self, id: &str) {
        let mut tasks = Vec::new();
        for framework in self.state.frameworks.values() {
            let on_it = framework.unreachable_tasks.iter();
            let on_it = on_it.filter(|(_, task)| task.agent_id.value == id);
            tasks.extend(on_it.map(|(task, _)| (framework.id.clone(), task.clone())));
        }
        for (framework, task) in tasks {
            self.forget_unreachable(&framework, &task);
        }
    }

    /// Tells a framework that a task which it may have given up is there.
    fn tell_of_task(&mut self, framework: &str, task: &Task) {
        let mut status = self.master_status(&task.task_id, task.state());
        status.message = Some("Unreachable agent re-registered".to_owned());
        status.reason = Some(Reason::AgentReregistered as i32);
        status.agent_id = Some(task.agent_id.clone());
        status.executor_id.clone_from(&task.executor_id);
        self.send_status(framework, status);
    }

    /// Kills that the agent may have missed.
    fn kill_again(&mut self, id: &str, listed: &[Task]) {
        let Some(agent) = self.state.agent(id) else {
            return;
        };
        let alive: Vec<&Task> = listed
            .iter()
            .filter(|task| {
                let key = (task.framework_id.value.clone(), task.task_id.value.clone());
                agent.killed.contains(&key)
            })
            .collect();
        for task in alive {
            let message = KillTask {
                framework_id: task.framework_id.clone(),
                task_id: task.task_id.clone(),
                kill_policy: None,
            };
            self.tell_agent(id, ToAgent::Kill(message));
        }
    }

    /// Removed frameworks are to end there; of the others the agent hears what is new.
    fn tell_of_frameworks(&mut self, id: &str, message: &ReregisterAgent) {
        let named = message
            .frameworks
            .iter()
            .filter_map(|info| info.id.as_ref());
        let running = message.tasks.iter().map(|task| &task.framework_id);
        let ids: BTreeSet<&str> = named.chain(running).map(|id| id.value.as_str()).collect();
        for framework in ids {
            if self.state.is_completed(framework) {
                let message = ShutdownFramework {
                    framework_id: framework_id(framework),
                };
                self.tell_agent(id, ToAgent::ShutdownFramework(message));
            } else if let Some(known) = self.state.framework(framework) {
                let message = UpdateFramework {
                    framework_id: framework_id(framework),
                    pid: None,
                    framework_info: Some((*known.info).clone()),
                };
                self.tell_agent(id, ToAgent::UpdateFramework(message));
            }
        }
    }
}

fn use_of(id: &str, framework: &str, resources: &Resources) -> to_allocator::Use {
    to_allocator::Use {
        framework_id: framework_id(framework),
        agent_id: agent_id(id),
        resources: resources.to_proto(),
    }
}
