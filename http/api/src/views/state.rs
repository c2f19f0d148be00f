//! `/state` of a master: all of it.

use std::sync::Arc;

use serde::{Serialize, Serializer, ser::SerializeMap};
use tepui_master::{Published, Snapshot};
use tepui_protocol::mesos::v1::{DomainInfo, MasterInfo, master_info::capability};
use tepui_runtime::http::Handler;

use super::{
    Each, NOTHING, Wanted,
    agents::{AgentView, Recovered},
    build::BUILD,
    flags::{self, Flags},
    frameworks,
    shared::everything,
    to_json,
};

pub(crate) fn state(published: &Arc<Published>, flags: &Flags) -> Handler {
    let (published, flags) = (Arc::clone(published), Arc::clone(flags));
    everything(move || {
        to_json(&StateView {
            snapshot: &published.load(),
            flags: &flags,
        })
    })
}

struct StateView<'a> {
    snapshot: &'a Snapshot,
    flags: &'a Flags,
}

impl Serialize for StateView<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let snapshot = self.snapshot;
        let mut map = to.serialize_map(None)?;
        BUILD.write(&mut map)?;
        self.write_master(&mut map)?;
        let own = ["cluster", "log_dir", "external_log_file"];
        flags::write(&mut map, self.flags, &own)?;
        let agents = || {
            snapshot.agents.values().map(|agent| AgentView {
                agent,
                snapshot,
                full: false,
            })
        };
        map.serialize_entry("slaves", &Each(agents))?;
        let recovered = || {
            snapshot
                .recovered_agents
                .values()
                .map(|info| Recovered(info))
        };
        map.serialize_entry("recovered_slaves", &Each(recovered))?;
        frameworks::write(&mut map, snapshot, Wanted::ALL)?;
        map.serialize_entry("orphan_tasks", &NOTHING)?;
        map.serialize_entry("unregistered_frameworks", &NOTHING)?;
        map.end()
    }
}

impl StateView<'_> {
    fn write_master<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let (snapshot, info) = (self.snapshot, &self.snapshot.master_info);
        map.serialize_entry("start_time", &snapshot.started_at.as_secs_f64())?;
        if let Some(at) = snapshot.elected_at {
            map.serialize_entry("elected_time", &at.as_secs_f64())?;
        }
        map.serialize_entry("id", &info.id)?;
        map.serialize_entry("pid", info.pid())?;
        map.serialize_entry("hostname", info.hostname())?;
        let kinds = info.capabilities.iter().filter_map(|has| has.r#type);
        let kinds = kinds.filter_map(|kind| capability::Type::try_from(kind).ok());
        let names: Vec<&str> = kinds.map(|kind| kind.as_str_name()).collect();
        map.serialize_entry("capabilities", &names)?;
        let active = snapshot
            .agents
            .values()
            .filter(|agent| agent.active)
            .count();
        let inactive = snapshot.agents.size() - active;
        // Mesos shows the values of its gauges here, which are no integers.
        map.serialize_entry("activated_slaves", &(active as f64))?;
        map.serialize_entry("deactivated_slaves", &(inactive as f64))?;
        let unreachable = snapshot.unreachable_agents.size();
        map.serialize_entry("unreachable_slaves", &(unreachable as f64))?;
        if let Some(domain) = &info.domain {
            map.serialize_entry("domain", domain)?;
        }
        if snapshot.elected_at.is_some() {
            map.serialize_entry("leader", info.pid())?;
            map.serialize_entry("leader_info", &Leader::of(info))?;
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Leader<'a> {
    id: &'a str,
    pid: &'a str,
    port: u32,
    hostname: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<&'a DomainInfo>,
}

impl<'a> Leader<'a> {
    fn of(info: &'a MasterInfo) -> Self {
        Leader {
            id: &info.id,
            pid: info.pid(),
            port: info.port,
            hostname: info.hostname(),
            domain: info.domain.as_ref(),
        }
    }
}
