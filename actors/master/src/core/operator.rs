//! What an operator asks for: TEARDOWN, MARK_AGENT_GONE, DEACTIVATE_AGENT, REACTIVATE_AGENT.
//! Each is answered once it is done; those that change the registry, once that is written.
//!
//! A deactivated agent is registered and runs what it runs, but none of it is offered. That is in
//! the registry: it stays so while the agent is unreachable, comes back, or another master leads.
//!
//! Not here: what it means to be gone (`gone`), and who may ask (the gateway).

use tepui_protocol::mesos::v1::master::Call;
use tepui_protocol::mesos::v1::master::call::Type;
use tepui_protocol::tepui::allocator as to_allocator;
use tepui_protocol::tepui::operator::Operated;
use tepui_protocol::tepui::registrar::{Operation, operation};
use tepui_runtime::Pid;

use super::agents::agent_id;
use super::{Effect, MasterCore, Pending, ToAllocator};

/// Whether the master does this call of an operator. The gateway answers 501 to those that are
/// neither done here nor by itself.
#[must_use]
pub fn operates(call: Type) -> bool {
    matches!(
        call,
        Type::Teardown | Type::MarkAgentGone | Type::DeactivateAgent | Type::ReactivateAgent
    )
}

/// An answer that is not 200, with its status.
pub(crate) type Refusal = (u32, String);

impl MasterCore {
    pub(super) fn operator(&mut self, asker: &Pid, call: &Call) {
        let outcome = if self.state.recovered {
            self.operate(asker, call)
        } else {
            Err((503, "Master has not finished recovery".to_owned()))
        };
        match outcome {
            Ok(true) => self.operated(asker, Ok(())),
            // Answered when the registrar has.
            Ok(false) => {}
            Err(refusal) => self.operated(asker, Err(refusal)),
        }
    }

    /// Begins; whether it is done already.
    fn operate(&mut self, asker: &Pid, call: &Call) -> Result<bool, Refusal> {
        let lacks = |part: &str| (400, format!("Expecting '{part}' to be present"));
        match call.r#type() {
            Type::Teardown => {
                let part = call.teardown.as_ref().ok_or_else(|| lacks("teardown"))?;
                self.tear_down_by_operator(&part.framework_id.value)
            }
            Type::MarkAgentGone => {
                let part = call.mark_agent_gone.as_ref();
                let part = part.ok_or_else(|| lacks("mark_agent_gone"))?;
                self.mark_gone(asker, &part.agent_id.value)
            }
            Type::DeactivateAgent => {
                let part = call.deactivate_agent.as_ref();
                let part = part.ok_or_else(|| lacks("deactivate_agent"))?;
                self.deactivate_by_operator(asker, &part.agent_id.value)
            }
            Type::ReactivateAgent => {
                let part = call.reactivate_agent.as_ref();
                let part = part.ok_or_else(|| lacks("reactivate_agent"))?;
                self.reactivate_by_operator(asker, &part.agent_id.value)
            }
            other => Err((501, format!("{} is not offered", other.as_str_name()))),
        }
    }

    pub(super) fn operated(&mut self, asker: &Pid, outcome: Result<(), Refusal>) {
        let (status, problem) = match outcome {
            Ok(()) => (200, None),
            Err((status, problem)) => (status, Some(problem)),
        };
        if let Some(problem) = &problem {
            self.warn(format!("an operator's call is refused: {problem}"));
        }
        let answer = Operated { status, problem };
        self.effects.push(Effect::Answer(asker.clone(), answer));
    }

    fn tear_down_by_operator(&mut self, id: &str) -> Result<bool, Refusal> {
        if self.state.framework(id).is_none() {
            return Err((400, "No framework found with specified ID".to_owned()));
        }
        self.info(format!("an operator tears framework {id} down"));
        self.teardown(id);
        Ok(true)
    }

    fn deactivate_by_operator(&mut self, asker: &Pid, id: &str) -> Result<bool, Refusal> {
        self.known_and_not_going(id)?;
        self.info(format!("an operator deactivates agent {id}"));
        let pending = Pending::Deactivate {
            agent_id: id.to_owned(),
            asker: asker.clone(),
        };
        self.change_registry(operation::Type::DeactivateAgent, id, pending);
        Ok(false)
    }

    pub(super) fn deactivated(&mut self, asker: &Pid, id: &str) {
        if !self.is_in_registry(id) {
            return self.operated(asker, Err(vanished()));
        }
        self.changed = true;
        self.state.deactivated_agents.insert_mut(id.to_owned());
        self.deactivate_agent(id);
        self.info(format!("agent {id} is deactivated"));
        self.operated(asker, Ok(()));
    }

    fn reactivate_by_operator(&mut self, asker: &Pid, id: &str) -> Result<bool, Refusal> {
        if !self.state.deactivated_agents.contains(id) {
            return Err((400, "Agent is not deactivated".to_owned()));
        }
        self.known_and_not_going(id)?;
        self.info(format!("an operator reactivates agent {id}"));
        let pending = Pending::Reactivate {
            agent_id: id.to_owned(),
            asker: asker.clone(),
        };
        self.change_registry(operation::Type::ReactivateAgent, id, pending);
        Ok(false)
    }

    pub(super) fn reactivated(&mut self, asker: &Pid, id: &str) {
        self.changed = true;
        self.state.deactivated_agents.remove_mut(id);
        let Some(agent) = self.agent_mut(id) else {
            // It may be offered when it is back.
            return self.operated(asker, Err(vanished()));
        };
        let offered = agent.connected && !agent.active;
        agent.active = agent.connected;
        if offered {
            self.tell_allocator(ToAllocator::ActivateAgent(to_allocator::ActivateAgent {
                agent_id: agent_id(id),
            }));
        }
        self.info(format!("agent {id} is reactivated"));
        self.operated(asker, Ok(()));
    }

    /// Whether an agent that is there may be offered, as far as operators are concerned.
    pub(super) fn may_be_active(&self, id: &str) -> bool {
        !self.state.deactivated_agents.contains(id)
    }

    /// Whether an agent is registered, not back yet, or unreachable.
    pub(super) fn is_in_registry(&self, id: &str) -> bool {
        self.state.agents.contains_key(id)
            || self.state.recovered_agents.contains_key(id)
            || self.state.unreachable_agents.contains_key(id)
    }

    fn known_and_not_going(&self, id: &str) -> Result<(), Refusal> {
        if !self.is_in_registry(id) {
            return Err((400, "Unknown agent".to_owned()));
        }
        if self.book.marking_gone.contains(id) {
            return Err((409, "Agent is currently being marked gone".to_owned()));
        }
        Ok(())
    }

    fn change_registry(&mut self, kind: operation::Type, id: &str, pending: Pending) {
        let operation = Operation {
            r#type: Some(kind as i32),
            agent_id: Some(agent_id(id)),
            ..Operation::default()
        };
        self.effects
            .push(Effect::Registrar(Box::new(operation), pending));
    }
}

/// The agent left the registry, or is not registered, while the registrar was at it.
fn vanished() -> Refusal {
    (409, "Agent removed while processing the call".to_owned())
}
