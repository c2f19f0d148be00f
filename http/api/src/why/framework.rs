//! Why a framework is offered nothing of each agent: exactly one reason for each agent of which it
//! has no offer.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use tepui_master::{
    Snapshot,
    snapshot::{Agent, Connection, Framework},
};
use tepui_protocol::tepui::allocator::WhyNot;

use crate::checks::Refusal;

/// The answer.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    framework_id: String,
    name: String,
    /// How it is connected.
    state: &'static str,
    roles: Vec<String>,
    agents: Vec<OfAgent>,
}

/// One agent.
#[derive(Debug, Serialize)]
struct OfAgent {
    agent_id: String,
    hostname: String,
    /// The offers of it that the framework has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    offers: Vec<String>,
    #[serde(flatten)]
    reason: Option<Reason>,
}

/// Why there is no offer of it.
#[derive(Debug, Serialize)]
struct Reason {
    /// The role in which the framework is nearest to an offer.
    role: String,
    reason: String,
    why: String,
    details: Value,
}

/// The answer for a framework that was removed.
pub(super) fn absent(snapshot: &Snapshot, id: &str) -> Result<Answer, Refusal> {
    let mut completed = snapshot.completed_frameworks.iter();
    let Some((_, framework)) = completed.find(|(known, _)| *known == id) else {
        return Err(Refusal::NotFound(format!(
            "There is no framework '{id}'.\n"
        )));
    };
    Ok(Answer {
        state: "removed",
        ..of(framework, Vec::new())
    })
}

/// The answer for a framework that the master knows. An agent that came after the allocator was
/// asked is not in it.
pub(super) fn framework(snapshot: &Snapshot, id: &str, reasons: Vec<WhyNot>) -> Answer {
    let mut reasons: BTreeMap<String, WhyNot> = reasons
        .into_iter()
        .map(|reason| (reason.agent_id.value.clone(), reason))
        .collect();
    let agents = snapshot.agents.values();
    let agents = agents.filter_map(|agent| {
        let offers = offers(snapshot, agent, id);
        let reason = match reasons.remove(&agent.id) {
            _ if !offers.is_empty() => None,
            Some(reason) => Some(Reason {
                role: reason.role,
                reason: reason.reason,
                why: reason.sentence,
                details: serde_json::from_str(&reason.details).unwrap_or_default(),
            }),
            None => return None,
        };
        Some(OfAgent {
            agent_id: agent.id.clone(),
            hostname: agent.info.hostname.clone(),
            offers,
            reason,
        })
    });
    let agents = agents.collect();
    match snapshot.framework(id) {
        Some(framework) => of(framework, agents),
        // It was removed while the allocator was asked.
        None => Answer {
            framework_id: id.to_owned(),
            name: String::new(),
            state: "removed",
            roles: Vec::new(),
            agents: Vec::new(),
        },
    }
}

fn of(framework: &Framework, agents: Vec<OfAgent>) -> Answer {
    Answer {
        framework_id: framework.id.clone(),
        name: framework.info.name.clone(),
        state: match framework.connection {
            Connection::Connected(_) => "connected",
            Connection::Disconnected => "disconnected",
            Connection::Recovered => "recovered",
        },
        roles: framework.roles().into_iter().collect(),
        agents,
    }
}

fn offers(snapshot: &Snapshot, agent: &Agent, framework_id: &str) -> Vec<String> {
    let all = agent.offers.iter().filter_map(|id| snapshot.offers.get(id));
    let own = all.filter(|offer| offer.framework_id == framework_id);
    own.map(|offer| offer.id.clone()).collect()
}
