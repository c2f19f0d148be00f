//! A framework as the master shows it.

use serde::{Serialize, Serializer, ser::SerializeMap};
use tepui_master::{
    Snapshot,
    snapshot::{Connection, Framework, Offer},
};
use tepui_protocol::{
    mesos::v1::framework_info::capability::{self, Type as Capability},
    resources::Resources,
};

use super::{
    Each,
    agents::sum,
    executor::ExecutorOnAgent,
    offer::OfferView,
    resources::Summary,
    task::{LabelsView, TaskView},
};
use crate::scheduler::is_adapter;

/// A framework and what it is looked at in.
pub(crate) struct FrameworkView<'a> {
    pub(crate) framework: &'a Framework,
    pub(crate) snapshot: &'a Snapshot,
}

impl<'a> FrameworkView<'a> {
    /// Writes the keys that every view of a framework has.
    pub(crate) fn write_summary<M: SerializeMap>(
        &self,
        map: &mut M,
        offered: &Resources,
    ) -> Result<(), M::Error> {
        let (framework, info) = (self.framework, &self.framework.info);
        map.serialize_entry("id", &framework.id)?;
        map.serialize_entry("name", &info.name)?;
        // A framework on HTTP has no PID of its own.
        if let Some(pid) = framework.pid().filter(|pid| !is_adapter(pid)) {
            map.serialize_entry("pid", &pid.to_string())?;
        }
        map.serialize_entry("used_resources", &Summary::of(&framework.used))?;
        map.serialize_entry("offered_resources", &Summary::of(offered))?;
        let kinds = info.capabilities.iter().filter_map(|has| has.r#type);
        let kinds = kinds.filter_map(|kind| capability::Type::try_from(kind).ok());
        let names: Vec<&str> = kinds.map(|kind| kind.as_str_name()).collect();
        map.serialize_entry("capabilities", &names)?;
        map.serialize_entry("hostname", info.hostname())?;
        map.serialize_entry("webui_url", info.webui_url())?;
        map.serialize_entry("active", &framework.active)?;
        map.serialize_entry("connected", &framework.connected())?;
        let recovered = framework.connection == Connection::Recovered;
        map.serialize_entry("recovered", &recovered)
    }

    /// The framework's outstanding offers.
    pub(crate) fn offers(&self) -> impl Iterator<Item = &'a Offer> + use<'a> {
        let snapshot = self.snapshot;
        let ids = self.framework.offers.iter();
        ids.filter_map(|id| snapshot.offers.get(id).map(std::sync::Arc::as_ref))
    }

    /// The sum of what is offered to it.
    pub(crate) fn offered(&self) -> Resources {
        sum(self.offers().map(|offer| &offer.resources))
    }

    fn write_times<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let framework = self.framework;
        let unregistered = framework.unregistered_at.map_or(0.0, |at| at.as_secs_f64());
        map.serialize_entry("registered_time", &framework.registered_at.as_secs_f64())?;
        map.serialize_entry("unregistered_time", &unregistered)
    }

    fn write_tasks<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let framework = self.framework;
        let tasks = || framework.tasks.values().map(|task| TaskView(task));
        map.serialize_entry("tasks", &Each(tasks))?;
        let unreachable = framework.unreachable_tasks.iter();
        let unreachable: Vec<_> = unreachable.map(|(_, task)| TaskView(task)).collect();
        map.serialize_entry("unreachable_tasks", &unreachable)?;
        let completed = framework.completed_tasks.iter();
        let completed: Vec<_> = completed.map(|(_, task)| TaskView(task)).collect();
        map.serialize_entry("completed_tasks", &completed)
    }
}

impl Serialize for FrameworkView<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let (framework, info) = (self.framework, &self.framework.info);
        let offered = self.offered();
        let mut map = to.serialize_map(None)?;
        self.write_summary(&mut map, &offered)?;
        map.serialize_entry("user", &info.user)?;
        map.serialize_entry("failover_timeout", &info.failover_timeout())?;
        // Ours: what the default of 0 means surprises.
        if let Some(note) = framework.failover_note() {
            map.serialize_entry("tepui_failover_note", note)?;
        }
        map.serialize_entry("checkpoint", &info.checkpoint())?;
        self.write_times(&mut map)?;
        if let Some(principal) = &info.principal {
            map.serialize_entry("principal", principal)?;
        }
        let all = sum([&framework.used, &offered].into_iter());
        map.serialize_entry("resources", &Summary::of(&all))?;
        if let Some(at) = framework.reregistered_at {
            map.serialize_entry("reregistered_time", &at.as_secs_f64())?;
        }
        if framework.can(Capability::MultiRole) {
            map.serialize_entry("roles", &info.roles)?;
        } else {
            map.serialize_entry("role", info.role())?;
        }
        self.write_tasks(&mut map)?;
        map.serialize_entry("offers", &Each(|| self.offers().map(OfferView)))?;
        let executors = || {
            let executors = framework.executors.iter();
            executors.map(|((agent_id, _), info)| ExecutorOnAgent { info, agent_id })
        };
        map.serialize_entry("executors", &Each(executors))?;
        if let Some(labels) = &info.labels {
            map.serialize_entry("labels", &LabelsView(labels))?;
        }
        map.serialize_entry("offer_constraints", &*framework.offer_constraints)?;
        map.end()
    }
}
