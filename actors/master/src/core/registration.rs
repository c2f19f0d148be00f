//! A new agent registers: it is checked, admitted into the registry, then told its id.
//! Not here: agents that have an id already (`reregistration`).

use std::sync::Arc;
use std::time::Duration;

use tepui_protocol::mesos::internal::{
    AgentRegistered, MasterAgentConnection, RegisterAgent, ReregisterAgent, Shutdown,
};
use tepui_protocol::mesos::v1::{AgentInfo, agent_info};
use tepui_protocol::resources::Resources;
use tepui_protocol::tepui::registrar::{Operation, operation};
use tepui_runtime::Pid;

use super::agents::agent_id;
use super::{Effect, MasterCore, Pending, ToAgent, validation};
use crate::snapshot::{Agent, Map, Set};

/// A registration that waits for the registry.
#[derive(Clone, Debug)]
pub struct Admission {
    pub(super) from: Pid,
    pub(super) message: RegisterAgent,
}

/// A re-registration that waits for the registry.
#[derive(Clone, Debug)]
pub struct Reregistration {
    pub(super) from: Pid,
    pub(super) message: ReregisterAgent,
    /// Whether frameworks are to be told of its tasks: it was away, not just disconnected.
    pub(super) was_away: bool,
}

/// The parts of a (re-)registration that both kinds have.
pub(super) struct Arrival<'a> {
    pub(super) from: &'a Pid,
    pub(super) info: &'a AgentInfo,
    pub(super) version: &'a str,
    pub(super) capabilities: &'a [agent_info::Capability],
    pub(super) resource_version: Option<Vec<u8>>,
}

impl MasterCore {
    pub(super) fn register_agent(&mut self, from: &Pid, mut message: RegisterAgent) {
        self.count("master/messages_register_slave");
        if let Err(problem) = validation::registration(
            &message.agent,
            &message.checkpointed_resources,
            message.version.as_deref(),
            &self.options,
        ) {
            return self.warn(format!(
                "dropping registration of agent at {from}: {problem}"
            ));
        }
        if self.book.registering.contains(from) {
            return self.info(format!("agent at {from} is being registered already"));
        }
        if let Some(id) = self.book.agent_of.get(from).cloned() {
            let connected = self.state.agent(&id).is_some_and(|agent| agent.connected);
            if connected {
                // It did not hear the answer to its first try.
                self.info(format!("agent {id} at {from} is registered already"));
                return self.acknowledge_registration(&id);
            }
            let counter = "master/slave_removals/reason_registered";
            self.remove_agent(&id, "a new agent registered at the same address", counter);
            // The agent tries again; by then the old one is out of the registry.
            return;
        }
        if let Some(problem) = self.full() {
            return self.warn(format!(
                "dropping registration of agent at {from}: {problem}"
            ));
        }
        let id = format!("{}-S{}", self.state.master_info.id, self.book.next_agent);
        self.book.next_agent += 1;
        message.agent.id = Some(agent_id(&id));
        self.book.registering.insert(from.clone());
        self.info(format!(
            "registering agent at {from} ({}) as {id}",
            message.agent.hostname
        ));
        let operation = Operation {
            r#type: Some(operation::Type::AdmitAgent as i32),
            agent_info: Some(message.agent.clone()),
            ..Operation::default()
        };
        let admission = Box::new(Admission {
            from: from.clone(),
            message,
        });
        self.effects.push(Effect::Registrar(
            Box::new(operation),
            Pending::Admit(admission),
        ));
    }

    /// Why no more agents are let in, if that is so.
    pub(super) fn full(&self) -> Option<String> {
        let coming = self.book.registering.len() + self.book.reregistering.len();
        let known = self.state.agents.size() + coming;
        let most = self.options.max_agents;
        (known >= most).then(|| format!("there are {known} agents, and no more than {most} may be"))
    }

    pub(super) fn admitted(&mut self, admission: Admission, mutated: bool) {
        let Admission { from, message } = admission;
        self.book.registering.remove(&from);
        let id = message
            .agent
            .id
            .as_ref()
            .map(|id| id.value.clone())
            .unwrap_or_default();
        if !mutated {
            return self.warn(format!("agent {id} at {from} is in the registry already"));
        }
        self.count("master/slave_registrations");
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
        let agent = self.new_agent(&arrival);
        self.info(format!(
            "agent {id} at {from} registered with {}",
            agent.total
        ));
        self.add_agent(agent, Vec::new());
        self.acknowledge_registration(&id);
        self.ping_due(&id);
    }

    fn acknowledge_registration(&mut self, id: &str) {
        let message = AgentRegistered {
            agent_id: agent_id(id),
            connection: Some(self.connection()),
        };
        self.tell_agent(id, ToAgent::Registered(message));
    }

    /// What agents are told about their connection: after how much silence the master is lost.
    pub(super) fn connection(&self) -> MasterAgentConnection {
        let total: Duration =
            self.options.agent_ping_timeout * self.options.max_agent_ping_timeouts;
        MasterAgentConnection {
            total_ping_timeout_seconds: Some(total.as_secs_f64()),
        }
    }

    /// An agent with nothing running yet.
    pub(super) fn new_agent(&self, arrival: &Arrival<'_>) -> Agent {
        Agent {
            id: arrival
                .info
                .id
                .as_ref()
                .map(|id| id.value.clone())
                .unwrap_or_default(),
            info: Arc::new(arrival.info.clone()),
            pid: arrival.from.clone(),
            version: arrival.version.to_owned(),
            capabilities: Arc::new(arrival.capabilities.to_vec()),
            incarnation: 0,
            registered_at: self.now,
            reregistered_at: None,
            connected: true,
            active: true,
            total: super::amounts::trusted(&arrival.info.resources),
            oversubscribed: Resources::default(),
            resource_version: arrival.resource_version.clone(),
            tasks: Set::new_sync(),
            executors: Set::new_sync(),
            used: Map::new_sync(),
            offers: Set::new_sync(),
            doubtful: Map::new_sync(),
            killed: Set::new_sync(),
        }
    }

    /// Puts an agent into the books, tells the allocator, watches and pings it.
    pub(super) fn add_agent(
        &mut self,
        mut agent: Agent,
        used: Vec<tepui_protocol::tepui::allocator::Use>,
    ) {
        let id = agent.id.clone();
        agent.incarnation = self.book.next_incarnation;
        self.book.next_incarnation += 1;
        self.effects.push(Effect::Link(agent.pid.clone()));
        self.book.agent_of.insert(agent.pid.clone(), id.clone());
        self.tell_allocator(super::ToAllocator::AddAgent(
            tepui_protocol::tepui::allocator::AddAgent {
                agent_info: (*agent.info).clone(),
                capabilities: (*agent.capabilities).clone(),
                total: agent.total.to_proto(),
                used,
                incarnation: Some(agent.incarnation),
                active: Some(agent.active),
            },
        ));
        self.changed = true;
        self.state.agents.insert_mut(id, Arc::new(agent));
    }

    /// Tells an agent that is not in the books to end.
    pub(super) fn shut_down_agent(&mut self, pid: &Pid, why: &str) {
        self.warn(format!("telling agent at {pid} to shut down: {why}"));
        let message = ToAgent::Shutdown(Shutdown {
            message: Some(why.to_owned()),
        });
        self.effects
            .push(Effect::Agent(pid.clone(), Box::new(message)));
    }
}
