//! What each operation does to the registry. Plain functions; whether the outcome is durable is
//! the core's business.
//!
//! | operation | changes the registry if |
//! |---|---|
//! | ADMIT_AGENT | the agent is not admitted |
//! | UPDATE_AGENT | it is admitted, with another info |
//! | REMOVE_AGENT | it is admitted |
//! | MARK_AGENT_UNREACHABLE | it is admitted |
//! | MARK_AGENT_REACHABLE | it is not admitted, whether it is on the unreachable list or not |
//! | MARK_AGENT_GONE | it is not on the gone list |
//! | DEACTIVATE_AGENT | it is admitted or unreachable, and not deactivated |
//! | REACTIVATE_AGENT | it is admitted or unreachable, and deactivated |
//! | PRUNE | one of the entries is there |
//! | UPDATE_WEIGHTS | a weight differs |

use tepui_protocol::mesos::internal::{Registry, registry};
use tepui_protocol::mesos::v1::{AgentId, AgentInfo, TimeInfo, WeightInfo};
use tepui_protocol::tepui::registrar::Operation;
use tepui_protocol::tepui::registrar::operation::Type;

/// Applies an operation, and says whether the registry changed.
///
/// # Errors
/// The operation lacks a part that its type needs; nothing is changed.
pub fn apply(registry: &mut Registry, operation: &Operation) -> Result<bool, String> {
    let kind = operation.r#type();
    let lacks = |part: &str| format!("operation {} lacks '{part}'", kind.as_str_name());
    let info = || {
        operation
            .agent_info
            .clone()
            .ok_or_else(|| lacks("agent_info"))
    };
    let time = || operation.time.ok_or_else(|| lacks("time"));
    let id = || operation.agent_id.clone().ok_or_else(|| lacks("agent_id"));
    match kind {
        Type::Unknown => Err("operation of an unknown type".to_owned()),
        Type::AdmitAgent => Ok(admit(registry, info()?)),
        Type::UpdateAgent => Ok(update(registry, info()?)),
        Type::RemoveAgent => Ok(take(registry, info()?.id.as_ref()).is_some()),
        Type::MarkAgentUnreachable => Ok(mark_unreachable(registry, &info()?, time()?)),
        Type::MarkAgentReachable => Ok(mark_reachable(registry, info()?)),
        Type::MarkAgentGone => Ok(mark_gone(registry, id()?, time()?)),
        Type::DeactivateAgent => Ok(set_deactivated(registry, &id()?, true)),
        Type::ReactivateAgent => Ok(set_deactivated(registry, &id()?, false)),
        Type::Prune => Ok(prune(registry, &operation.unreachable, &operation.gone)),
        Type::UpdateWeights => Ok(update_weights(registry, &operation.weights)),
    }
}

fn is_admitted(registry: &Registry, id: Option<&AgentId>) -> bool {
    let mut agents = registry.agents.iter().flat_map(|agents| &agents.agents);
    agents.any(|agent| agent.info.id.as_ref() == id)
}

fn admit(registry: &mut Registry, info: AgentInfo) -> bool {
    if is_admitted(registry, info.id.as_ref()) {
        return false;
    }
    let agent = registry::Agent {
        info,
        ..registry::Agent::default()
    };
    registry.agents.get_or_insert_default().agents.push(agent);
    true
}

fn update(registry: &mut Registry, info: AgentInfo) -> bool {
    let agents = &mut registry.agents.get_or_insert_default().agents;
    match agents.iter_mut().find(|agent| agent.info.id == info.id) {
        Some(agent) if agent.info != info => {
            agent.info = info;
            true
        }
        _ => false,
    }
}

/// Takes an admitted agent out.
fn take(registry: &mut Registry, id: Option<&AgentId>) -> Option<registry::Agent> {
    let agents = &mut registry.agents.as_mut()?.agents;
    let at = agents
        .iter()
        .position(|agent| agent.info.id.as_ref() == id)?;
    Some(agents.remove(at))
}

fn take_unreachable(registry: &mut Registry, id: &AgentId) -> Option<registry::UnreachableAgent> {
    let agents = &mut registry.unreachable.as_mut()?.agents;
    let at = agents.iter().position(|agent| agent.id == *id)?;
    Some(agents.remove(at))
}

fn mark_unreachable(registry: &mut Registry, info: &AgentInfo, timestamp: TimeInfo) -> bool {
    let Some(id) = info.id.clone() else {
        return false;
    };
    let Some(agent) = take(registry, Some(&id)) else {
        return false;
    };
    let unreachable = registry::UnreachableAgent {
        id,
        timestamp,
        drain_info: agent.drain_info,
        deactivated: agent.deactivated,
    };
    registry
        .unreachable
        .get_or_insert_default()
        .agents
        .push(unreachable);
    true
}

fn mark_reachable(registry: &mut Registry, info: AgentInfo) -> bool {
    let Some(id) = info.id.clone() else {
        return false;
    };
    let was = take_unreachable(registry, &id);
    if is_admitted(registry, Some(&id)) {
        return was.is_some();
    }
    let agent = registry::Agent {
        info,
        drain_info: was.as_ref().and_then(|was| was.drain_info),
        deactivated: was.and_then(|was| was.deactivated),
    };
    registry.agents.get_or_insert_default().agents.push(agent);
    true
}

fn mark_gone(registry: &mut Registry, id: AgentId, timestamp: TimeInfo) -> bool {
    let gone = &mut registry.gone.get_or_insert_default().agents;
    if gone.iter().any(|agent| agent.id == id) {
        return false;
    }
    gone.push(registry::GoneAgent {
        id: id.clone(),
        timestamp,
    });
    take(registry, Some(&id));
    take_unreachable(registry, &id);
    true
}

/// Writes down whether an agent may be offered, where it is admitted or unreachable.
fn set_deactivated(registry: &mut Registry, id: &AgentId, deactivated: bool) -> bool {
    let admitted = registry.agents.iter_mut().flat_map(|list| &mut list.agents);
    let unreachable = registry
        .unreachable
        .iter_mut()
        .flat_map(|list| &mut list.agents);
    let admitted = admitted
        .filter(|agent| agent.info.id.as_ref() == Some(id))
        .map(|agent| &mut agent.deactivated);
    let unreachable = unreachable
        .filter(|agent| agent.id == *id)
        .map(|agent| &mut agent.deactivated);
    let mut changed = false;
    for known in admitted.chain(unreachable) {
        if known.unwrap_or_default() != deactivated {
            *known = deactivated.then_some(true);
            changed = true;
        }
    }
    changed
}

fn prune(registry: &mut Registry, unreachable: &[AgentId], gone: &[AgentId]) -> bool {
    let mut changed = false;
    if let Some(list) = &mut registry.unreachable {
        let before = list.agents.len();
        list.agents.retain(|agent| !unreachable.contains(&agent.id));
        changed |= list.agents.len() != before;
    }
    if let Some(list) = &mut registry.gone {
        let before = list.agents.len();
        list.agents.retain(|agent| !gone.contains(&agent.id));
        changed |= list.agents.len() != before;
    }
    changed
}

fn update_weights(registry: &mut Registry, weights: &[WeightInfo]) -> bool {
    let mut changed = false;
    for weight in weights {
        let known = registry
            .weights
            .iter_mut()
            .find(|known| known.info.role == weight.role);
        match known {
            Some(known) if known.info == *weight => continue,
            Some(known) => known.info = weight.clone(),
            None => registry.weights.push(registry::Weight {
                info: weight.clone(),
            }),
        }
        changed = true;
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(id: &str) -> AgentInfo {
        AgentInfo {
            id: Some(AgentId { value: id.into() }),
            hostname: "h".into(),
            ..AgentInfo::default()
        }
    }

    fn of(kind: Type, id: &str) -> Operation {
        Operation {
            r#type: Some(kind as i32),
            agent_info: Some(info(id)),
            agent_id: Some(AgentId { value: id.into() }),
            time: Some(TimeInfo { nanoseconds: 7 }),
            ..Operation::default()
        }
    }

    fn admitted(registry: &Registry) -> Vec<&str> {
        let agents = registry.agents.iter().flat_map(|agents| &agents.agents);
        agents
            .map(|agent| agent.info.id.as_ref().unwrap().value.as_str())
            .collect()
    }

    #[test]
    fn an_agent_is_admitted_once_and_removed_once() {
        let mut registry = Registry::default();
        assert_eq!(apply(&mut registry, &of(Type::AdmitAgent, "a")), Ok(true));
        assert_eq!(apply(&mut registry, &of(Type::AdmitAgent, "a")), Ok(false));
        assert_eq!(apply(&mut registry, &of(Type::AdmitAgent, "b")), Ok(true));
        assert_eq!(admitted(&registry), ["a", "b"]);
        assert_eq!(apply(&mut registry, &of(Type::RemoveAgent, "a")), Ok(true));
        assert_eq!(apply(&mut registry, &of(Type::RemoveAgent, "a")), Ok(false));
        assert_eq!(admitted(&registry), ["b"]);
    }

    #[test]
    fn an_update_counts_only_if_it_differs() {
        let mut registry = Registry::default();
        assert_eq!(apply(&mut registry, &of(Type::UpdateAgent, "a")), Ok(false));
        apply(&mut registry, &of(Type::AdmitAgent, "a")).unwrap();
        assert_eq!(apply(&mut registry, &of(Type::UpdateAgent, "a")), Ok(false));
        let mut other = of(Type::UpdateAgent, "a");
        other.agent_info.as_mut().unwrap().hostname = "other".into();
        assert_eq!(apply(&mut registry, &other), Ok(true));
    }

    #[test]
    fn unreachable_and_back() {
        let mut registry = Registry::default();
        assert_eq!(
            apply(&mut registry, &of(Type::MarkAgentUnreachable, "a")),
            Ok(false)
        );
        apply(&mut registry, &of(Type::AdmitAgent, "a")).unwrap();
        assert_eq!(
            apply(&mut registry, &of(Type::MarkAgentUnreachable, "a")),
            Ok(true)
        );
        assert!(admitted(&registry).is_empty());
        let unreachable = &registry.unreachable.as_ref().unwrap().agents;
        assert_eq!(
            (unreachable.len(), unreachable[0].timestamp.nanoseconds),
            (1, 7)
        );
        assert_eq!(
            apply(&mut registry, &of(Type::MarkAgentReachable, "a")),
            Ok(true)
        );
        assert_eq!(
            apply(&mut registry, &of(Type::MarkAgentReachable, "a")),
            Ok(false)
        );
        assert_eq!(admitted(&registry), ["a"]);
        assert!(registry.unreachable.as_ref().unwrap().agents.is_empty());
        // An id that the registry never heard of is let in as well.
        assert_eq!(
            apply(&mut registry, &of(Type::MarkAgentReachable, "stranger")),
            Ok(true)
        );
        assert_eq!(admitted(&registry), ["a", "stranger"]);
    }

    #[test]
    fn gone_is_for_good_until_pruned() {
        let mut registry = Registry::default();
        apply(&mut registry, &of(Type::AdmitAgent, "a")).unwrap();
        assert_eq!(
            apply(&mut registry, &of(Type::MarkAgentGone, "a")),
            Ok(true)
        );
        assert_eq!(
            apply(&mut registry, &of(Type::MarkAgentGone, "a")),
            Ok(false)
        );
        assert!(admitted(&registry).is_empty());
        let prune = Operation {
            r#type: Some(Type::Prune as i32),
            gone: vec![AgentId { value: "a".into() }],
            ..Operation::default()
        };
        assert_eq!(apply(&mut registry, &prune), Ok(true));
        assert_eq!(apply(&mut registry, &prune), Ok(false));
    }

    #[test]
    fn an_agent_stays_deactivated_until_it_is_reactivated() {
        let mut registry = Registry::default();
        let mut give = |kind| apply(&mut registry, &of(kind, "a"));
        assert_eq!(give(Type::DeactivateAgent), Ok(false));
        give(Type::AdmitAgent).unwrap();
        assert_eq!(give(Type::ReactivateAgent), Ok(false));
        assert_eq!(give(Type::DeactivateAgent), Ok(true));
        assert_eq!(give(Type::DeactivateAgent), Ok(false));
        give(Type::MarkAgentUnreachable).unwrap();
        assert_eq!(give(Type::DeactivateAgent), Ok(false));
        give(Type::MarkAgentReachable).unwrap();
        assert_eq!(give(Type::DeactivateAgent), Ok(false));
        assert_eq!(give(Type::ReactivateAgent), Ok(true));
        assert_eq!(give(Type::ReactivateAgent), Ok(false));
        give(Type::MarkAgentUnreachable).unwrap();
        assert_eq!(give(Type::DeactivateAgent), Ok(true));
        assert_eq!(give(Type::ReactivateAgent), Ok(true));
        let agents = registry.unreachable.unwrap().agents;
        assert_eq!(agents[0].deactivated, None);
    }

    #[test]
    fn weights_are_replaced_by_role() {
        let mut registry = Registry::default();
        let weight = |weight| Operation {
            r#type: Some(Type::UpdateWeights as i32),
            weights: vec![WeightInfo {
                weight,
                role: Some("r".into()),
            }],
            ..Operation::default()
        };
        assert_eq!(apply(&mut registry, &weight(2.0)), Ok(true));
        assert_eq!(apply(&mut registry, &weight(2.0)), Ok(false));
        assert_eq!(apply(&mut registry, &weight(3.0)), Ok(true));
        assert_eq!(registry.weights.len(), 1);
    }

    #[test]
    fn a_part_that_is_missing_is_named() {
        let mut registry = Registry::default();
        let mut operation = of(Type::MarkAgentUnreachable, "a");
        operation.time = None;
        assert_eq!(
            apply(&mut registry, &operation),
            Err("operation MARK_AGENT_UNREACHABLE lacks 'time'".to_owned())
        );
    }
}
