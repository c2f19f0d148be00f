//! A registered agent's life: it is pinged, its link breaks, it becomes unreachable or is removed.
//!
//! ```text
//!                       exited                agent_reregister_timeout
//!   registered ──────────────────> disconnected ──────────────┐
//!       ^  │ no pong, max_agent_ping_timeouts times           v
//!       │  └───────────────────────────────────────────> (registry) ──> unreachable
//!       └── re-registers: `reregistration` <─────────────────────────────────┘
//!   registered, unreachable ── an operator marks it gone ──> (registry) ──> gone: `gone`
//!   registered ── unregisters, or another agent takes its address ──> (registry) ──> removed
//! ```
//!
//! Pings go on while an agent is disconnected. Frameworks without `checkpoint` lose their tasks
//! the moment the link breaks, for the agent may have restarted without them.
//! Not here: how it came (`registration`) and how it comes back (`reregistration`).

use tepui_protocol::mesos::internal::{PingAgent, UnregisterAgent, UpdateAgent};
use tepui_protocol::mesos::v1::framework_info::capability::Type as Capability;
use tepui_protocol::mesos::v1::task_status::Reason;
use tepui_protocol::mesos::v1::{AgentId, AgentInfo, TaskState, TimeInfo};
use tepui_protocol::resources::Resources;
use tepui_protocol::tepui::allocator as to_allocator;
use tepui_protocol::tepui::registrar::{Operation, operation};
use tepui_runtime::Pid;

use super::status::Made;
use super::tasks::Destiny;
use super::{Effect, MasterCore, Pending, Timer, ToAgent, ToAllocator};

/// The pings of one agent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pings {
    /// How many in a row got no answer.
    missed: u32,
    /// Whether the last one waits for its answer.
    waiting: bool,
}

pub(super) fn agent_id(id: &str) -> AgentId {
    AgentId {
        value: id.to_owned(),
    }
}

/// What happens to the tasks of an agent that leaves the books.
pub(super) struct Farewell<'a> {
    /// The tasks' state, where the framework is partition aware; else TASK_LOST.
    pub(super) state: TaskState,
    /// Its reason, where the framework is partition aware; else REASON_SLAVE_REMOVED.
    pub(super) reason: Reason,
    pub(super) destiny: Destiny,
    pub(super) message: &'a str,
    pub(super) unreachable_since: Option<i64>,
}

impl MasterCore {
    /// Sends the next ping, if the agent is still registered.
    pub(super) fn ping_due(&mut self, id: &str) {
        let Some(agent) = self.state.agent(id) else {
            return;
        };
        let connected = agent.connected;
        let pings = self.book.pings.entry(id.to_owned()).or_default();
        if pings.waiting {
            pings.missed = pings.missed.saturating_add(1);
        }
        pings.waiting = true;
        let missed = pings.missed;
        self.tell_agent(id, ToAgent::Ping(PingAgent { connected }));
        self.arm(Timer::Ping(id.to_owned()), self.options.agent_ping_timeout);
        if missed >= self.options.max_agent_ping_timeouts {
            self.give_up(id, "health check timed out");
        }
    }

    pub(super) fn pong(&mut self, from: &Pid) {
        let Some(id) = self.book.agent_of.get(from).cloned() else {
            return;
        };
        if let Some(pings) = self.book.pings.get_mut(&id) {
            *pings = Pings::default();
        }
        if self.state.agent(&id).is_some_and(|agent| agent.connected) {
            self.keep(&id);
        }
    }

    /// The agent's link broke.
    pub(super) fn agent_exited(&mut self, id: &str) {
        if !self.state.agent(id).is_some_and(|agent| agent.connected) {
            return;
        }
        self.info(format!("agent {id} disconnected"));
        self.deactivate_agent(id);
        if let Some(agent) = self.agent_mut(id) {
            agent.connected = false;
        }
        self.drop_what_is_not_checkpointed(id);
        self.arm(
            Timer::AgentReregister(id.to_owned()),
            self.options.agent_reregister_timeout,
        );
    }

    /// No offers of the agent from now on; those there are end.
    pub(super) fn deactivate_agent(&mut self, id: &str) {
        let Some(agent) = self.state.agent(id) else {
            return;
        };
        if agent.active {
            self.tell_allocator(ToAllocator::DeactivateAgent(
                to_allocator::DeactivateAgent {
                    agent_id: agent_id(id),
                },
            ));
            if let Some(agent) = self.agent_mut(id) {
                agent.active = false;
            }
        }
        self.take_back_offers_of_agent(id);
    }

    fn drop_what_is_not_checkpointed(&mut self, id: &str) {
        let Some(agent) = self.state.agent(id) else {
            return;
        };
        let hostname = agent.info.hostname.clone();
        let volatile = |framework_id: &str| {
            self.state
                .framework(framework_id)
                .is_some_and(|framework| !framework.info.checkpoint())
        };
        let tasks: Vec<_> = agent
            .tasks
            .iter()
            .filter(|(framework, _)| volatile(framework))
            .cloned()
            .collect();
        let executors: Vec<_> = agent
            .executors
            .iter()
            .filter(|(framework, _)| volatile(framework))
            .cloned()
            .collect();
        for (framework_id, task_id) in tasks {
            let made = Made {
                state: TaskState::TaskLost,
                reason: Reason::AgentDisconnected,
                message: format!("Agent {hostname} disconnected"),
                unreachable_since: None,
            };
            self.end_task(&framework_id, &task_id, &made, Destiny::Completed);
        }
        for (framework_id, executor_id) in executors {
            self.remove_executor(&framework_id, id, &executor_id);
        }
    }

    /// Gives a task its last state, takes it from the books and tells its framework.
    fn end_task(&mut self, framework_id: &str, task_id: &str, made: &Made, destiny: Destiny) {
        let Some(update) = self.update_for(framework_id, task_id, made) else {
            return;
        };
        self.update_task(framework_id, task_id, &update);
        self.remove_task(framework_id, task_id, destiny);
        self.send_status(framework_id, update.status);
    }

    pub(super) fn agent_did_not_return(&mut self, id: &str) {
        if self.state.agent(id).is_some_and(|agent| !agent.connected) {
            let why = format!(
                "agent did not re-register within {:?} after disconnecting",
                self.options.agent_reregister_timeout
            );
            self.give_up(id, &why);
        }
    }

    /// Writes into the registry that an agent, registered or of the registry, is unreachable.
    pub(super) fn mark_unreachable(&mut self, id: &str, why: &str) {
        let registered = self.state.agent(id).map(|agent| (*agent.info).clone());
        let info: Option<AgentInfo> = registered.or_else(|| {
            self.state
                .recovered_agents
                .get(id)
                .map(|info| (**info).clone())
        });
        let Some(info) = info else { return };
        if self.is_leaving(id) {
            return;
        }
        self.book.marking_unreachable.insert(id.to_owned());
        self.info(format!("marking agent {id} unreachable: {why}"));
        let at = self.nanoseconds();
        let operation = Operation {
            r#type: Some(operation::Type::MarkAgentUnreachable as i32),
            agent_info: Some(info),
            time: Some(TimeInfo { nanoseconds: at }),
            ..Operation::default()
        };
        let pending = Pending::Unreachable {
            agent_id: id.to_owned(),
            why: why.to_owned(),
            at,
        };
        self.effects
            .push(Effect::Registrar(Box::new(operation), pending));
    }

    pub(super) fn marked_unreachable(&mut self, id: &str, why: &str, at: i64, mutated: bool) {
        self.book.marking_unreachable.remove(id);
        if !mutated {
            return self.effects.push(Effect::Abort(format!(
                "the registry does not admit agent {id}, which is to be marked unreachable"
            )));
        }
        self.changed = true;
        self.count("master/slave_unreachable_completed");
        if self.state.recovered_agents.remove_mut(id) {
            self.count("master/recovery_slave_removals");
        }
        self.state.unreachable_agents.insert_mut(id.to_owned(), at);
        self.count("master/slave_removals");
        self.count("master/slave_removals/reason_unhealthy");
        self.info(format!("agent {id} is unreachable: {why}"));
        self.take_agent_out(
            id,
            &Farewell {
                state: TaskState::TaskUnreachable,
                reason: Reason::AgentRemoved,
                destiny: Destiny::Unreachable,
                message: why,
                unreachable_since: Some(at),
            },
        );
        self.lost_agent(&agent_id(id));
    }

    /// Whether an agent is about to become unreachable, removed or gone.
    pub(super) fn is_leaving(&self, id: &str) -> bool {
        self.book.marking_unreachable.contains(id)
            || self.book.removing.contains(id)
            || self.book.marking_gone.contains(id)
    }

    pub(super) fn unregister_agent(&mut self, from: &Pid, message: &UnregisterAgent) {
        self.count("master/messages_unregister_slave");
        let id = &message.agent_id.value;
        match self.state.agent(id) {
            Some(agent) if agent.pid == *from => {
                let counter = "master/slave_removals/reason_unregistered";
                self.remove_agent(id, "the agent unregistered", counter);
            }
            _ => self.warn(format!(
                "ignoring that agent {id} unregisters from {from}: it is not registered there"
            )),
        }
    }

    /// Writes into the registry that an agent is no more.
    pub(super) fn remove_agent(&mut self, id: &str, why: &str, counter: &'static str) {
        let Some(agent) = self.state.agent(id) else {
            return;
        };
        let info = (*agent.info).clone();
        if self.is_leaving(id) {
            return;
        }
        self.book.removing.insert(id.to_owned());
        self.info(format!("removing agent {id}: {why}"));
        let operation = Operation {
            r#type: Some(operation::Type::RemoveAgent as i32),
            agent_info: Some(info),
            ..Operation::default()
        };
        let pending = Pending::Remove {
            agent_id: id.to_owned(),
            why: why.to_owned(),
            counter,
        };
        self.effects
            .push(Effect::Registrar(Box::new(operation), pending));
    }

    pub(super) fn removed_from_registry(&mut self, id: &str, why: &str, counter: &'static str) {
        self.book.removing.remove(id);
        self.state.deactivated_agents.remove_mut(id);
        self.count("master/slave_removals");
        self.count(counter);
        self.info(format!("agent {id} removed: {why}"));
        let hostname = self
            .state
            .agent(id)
            .map(|agent| agent.info.hostname.as_str());
        let message = format!("Agent {} removed: {why}", hostname.unwrap_or(id));
        self.take_agent_out(
            id,
            &Farewell {
                state: TaskState::TaskLost,
                reason: Reason::AgentRemoved,
                destiny: Destiny::Completed,
                message: &message,
                unreachable_since: None,
            },
        );
        self.book
            .removed
            .insert(id.to_owned(), std::sync::Arc::new(()));
        self.lost_agent(&agent_id(id));
    }

    /// Takes an agent, its offers, tasks and executors from the books.
    pub(super) fn take_agent_out(&mut self, id: &str, farewell: &Farewell<'_>) {
        self.deactivate_agent(id);
        let Some(agent) = self.state.agents.get(id).cloned() else {
            return;
        };
        for (framework_id, task_id) in agent.tasks.iter() {
            let aware =
                |framework: &crate::snapshot::Framework| framework.can(Capability::PartitionAware);
            let (state, reason) = match self.state.framework(framework_id) {
                Some(framework) if aware(framework) => (farewell.state, farewell.reason),
                _ => (TaskState::TaskLost, Reason::AgentRemoved),
            };
            let made = Made {
                state,
                reason,
                message: farewell.message.to_owned(),
                unreachable_since: farewell.unreachable_since,
            };
            self.end_task(framework_id, task_id, &made, farewell.destiny);
        }
        for (framework_id, executor_id) in agent.executors.iter() {
            self.remove_executor(framework_id, id, executor_id);
        }
        self.changed = true;
        self.state.agents.remove_mut(id);
        self.forget_agent_pid(id, &agent.pid);
        self.book.pings.remove(id);
        self.effects
            .push(Effect::Cancel(Timer::Ping(id.to_owned())));
        self.effects
            .push(Effect::Cancel(Timer::AgentReregister(id.to_owned())));
        self.tell_allocator(ToAllocator::RemoveAgent(to_allocator::RemoveAgent {
            agent_id: agent_id(id),
        }));
    }

    /// Nothing that comes from `pid` is agent `id`'s any more.
    pub(super) fn forget_agent_pid(&mut self, id: &str, pid: &Pid) {
        if self.book.agent_of.get(pid).is_some_and(|there| there == id) {
            self.book.agent_of.remove(pid);
        }
    }

    /// UpdateSlaveMessage: what may be taken back has changed.
    pub(super) fn update_agent(&mut self, from: &Pid, message: UpdateAgent) {
        self.count("master/messages_update_slave");
        let id = &message.agent_id.value;
        let problem = match self.state.agent(id) {
            None => Some("it is not registered"),
            Some(agent) if agent.pid != *from => Some("it is registered at another address"),
            Some(_) if message.resource_providers.is_some() => {
                Some("resource_providers is not supported")
            }
            Some(_) => None,
        };
        if let Some(problem) = problem {
            return self.warn(format!(
                "ignoring update of agent {id} from {from}: {problem}"
            ));
        }
        if let Some(version) = message.resource_version_uuid
            && let Some(agent) = self.agent_mut(id)
        {
            agent.resource_version = Some(version.value.to_vec());
        }
        let told = message.update_oversubscribed_resources.unwrap_or(true);
        match Resources::from_proto(&message.oversubscribed_resources) {
            _ if !told => {}
            Ok(oversubscribed) => self.oversubscribe(id, oversubscribed),
            Err(problem) => self.warn(format!(
                "ignoring oversubscribed_resources of agent {id}: {problem}"
            )),
        }
    }

    fn oversubscribe(&mut self, id: &str, oversubscribed: Resources) {
        let Some(agent) = self.state.agent(id) else {
            return;
        };
        if agent.oversubscribed == oversubscribed {
            return;
        }
        let revocable: Vec<String> = agent
            .offers
            .iter()
            .filter(|offer| {
                self.state
                    .offers
                    .get(*offer)
                    .is_some_and(|offer| !offer.resources.revocable().is_empty())
            })
            .cloned()
            .collect();
        self.info(format!("agent {id} now oversubscribes {oversubscribed}"));
        if let Some(agent) = self.agent_mut(id) {
            agent.total -= &agent.oversubscribed;
            agent.total += &oversubscribed;
            agent.oversubscribed = oversubscribed;
        }
        for offer_id in revocable {
            self.take_back_offer(&offer_id, true);
        }
        self.tell_allocator_of_agent(id);
    }

    /// Tells the allocator what a known agent is and has now.
    pub(super) fn tell_allocator_of_agent(&mut self, id: &str) {
        let Some(agent) = self.state.agent(id) else {
            return;
        };
        let message = to_allocator::UpdateAgent {
            agent_info: (*agent.info).clone(),
            capabilities: (*agent.capabilities).clone(),
            total: agent.total.to_proto(),
        };
        self.tell_allocator(ToAllocator::UpdateAgent(message));
    }
}
