//! Agents as the master shows them, and `/slaves`.

use std::sync::Arc;

use serde::{Serialize, Serializer, ser::SerializeMap};
use tepui_master::{Published, Snapshot, snapshot::Agent};
use tepui_protocol::{
    mesos::v1::{AgentInfo, agent_info::capability},
    resources::Resources,
};
use tepui_runtime::http::Handler;

use super::{
    Wanted,
    attributes::Attributes,
    rendered,
    resources::{Full, Reserved, ReservedFull, Summary},
    to_json,
};

/// Mesos' default of `AgentInfo.port`.
const DEFAULT_PORT: i32 = 5051;

/// `/slaves`, of one agent where `slave_id` names it.
pub(crate) fn agents(published: &Arc<Published>) -> Handler {
    let published = Arc::clone(published);
    rendered(move |request, _| {
        to_json(&AgentsView {
            snapshot: &published.load(),
            wanted: Wanted::by(request, "slave_id"),
        })
    })
}

struct AgentsView<'a> {
    snapshot: &'a Snapshot,
    wanted: Wanted<'a>,
}

impl Serialize for AgentsView<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(2))?;
        let snapshot = self.snapshot;
        let view = |agent| AgentView {
            agent,
            snapshot,
            full: true,
        };
        let agents = || snapshot.agents.iter();
        self.wanted.list(&mut map, "slaves", agents, view)?;
        let recovered = || snapshot.recovered_agents.iter();
        self.wanted
            .list(&mut map, "recovered_slaves", recovered, Recovered)?;
        map.end()
    }
}

/// A registered agent.
pub(crate) struct AgentView<'a> {
    pub(crate) agent: &'a Agent,
    /// What the agent is looked at in.
    pub(crate) snapshot: &'a Snapshot,
    /// Whether each of its resources is shown too, which only `/slaves` does.
    pub(crate) full: bool,
}

impl AgentView<'_> {
    /// Writes the agent's keys into the object around them.
    pub(crate) fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let agent = self.agent;
        let used: Resources = sum(agent.used.values().map(Arc::as_ref));
        let offered = self.offered();
        write_info(map, &agent.id, &agent.info)?;
        map.serialize_entry("pid", &agent.pid.to_string())?;
        map.serialize_entry("registered_time", &agent.registered_at.as_secs_f64())?;
        if let Some(at) = agent.reregistered_at {
            map.serialize_entry("reregistered_time", &at.as_secs_f64())?;
        }
        let unreserved = agent.total.unreserved();
        map.serialize_entry("resources", &Summary::of(&agent.total))?;
        map.serialize_entry("used_resources", &Summary::of(&used))?;
        map.serialize_entry("offered_resources", &Summary::of(&offered))?;
        map.serialize_entry("reserved_resources", &Reserved(&agent.total))?;
        map.serialize_entry("unreserved_resources", &Summary::of(&unreserved))?;
        map.serialize_entry("active", &agent.active)?;
        let deactivated = self.snapshot.deactivated_agents.contains(&agent.id);
        map.serialize_entry("deactivated", &deactivated)?;
        map.serialize_entry("version", &agent.version)?;
        let kinds = agent.capabilities.iter().filter_map(|has| has.r#type);
        let names = kinds.filter_map(|kind| capability::Type::try_from(kind).ok());
        let names: Vec<&str> = names.map(|kind| kind.as_str_name()).collect();
        map.serialize_entry("capabilities", &names)?;
        if self.full {
            map.serialize_entry("reserved_resources_full", &ReservedFull(&agent.total))?;
            map.serialize_entry("unreserved_resources_full", &Full(&unreserved))?;
            map.serialize_entry("used_resources_full", &Full(&used))?;
            map.serialize_entry("offered_resources_full", &Full(&offered))?;
        }
        Ok(())
    }

    fn offered(&self) -> Resources {
        let offers = self.agent.offers.iter();
        let offers = offers.filter_map(|id| self.snapshot.offers.get(id));
        sum(offers.map(|offer| &offer.resources))
    }
}

impl Serialize for AgentView<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        self.write(&mut map)?;
        map.end()
    }
}

/// An agent of the registry that has not come back since this master leads.
pub(crate) struct Recovered<'a>(pub(crate) &'a AgentInfo);

impl Serialize for Recovered<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        let id = self.0.id.as_ref().map_or("", |id| id.value.as_str());
        write_info(&mut map, id, self.0)?;
        map.end()
    }
}

fn write_info<M: SerializeMap>(map: &mut M, id: &str, info: &AgentInfo) -> Result<(), M::Error> {
    map.serialize_entry("id", id)?;
    map.serialize_entry("hostname", &info.hostname)?;
    map.serialize_entry("port", &info.port.unwrap_or(DEFAULT_PORT))?;
    map.serialize_entry("attributes", &Attributes(&info.attributes))?;
    if let Some(domain) = &info.domain {
        map.serialize_entry("domain", domain)?;
    }
    Ok(())
}

/// All of these together.
pub(crate) fn sum<'a>(parts: impl Iterator<Item = &'a Resources>) -> Resources {
    let mut sum = Resources::new();
    for part in parts {
        sum += part;
    }
    sum
}
