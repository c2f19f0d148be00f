//! A task as master and agent show it.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer, ser::SerializeMap};
use tepui_protocol::mesos::v1::{
    ContainerStatus, Labels, NetworkInfo, Resource, Task, TaskState, TaskStatus, value,
};

use super::{Each, resources::Summary};
use crate::defaults;

/// A task.
pub(crate) struct TaskView<'a>(pub(crate) &'a Task);

impl Serialize for TaskView<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let task = self.0;
        let executor = task.executor_id.as_ref().map_or("", |id| id.value.as_str());
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("id", &task.task_id.value)?;
        map.serialize_entry("name", &task.name)?;
        map.serialize_entry("framework_id", &task.framework_id.value)?;
        map.serialize_entry("executor_id", executor)?;
        map.serialize_entry("slave_id", &task.agent_id.value)?;
        map.serialize_entry("state", task.state().as_str_name())?;
        map.serialize_entry("resources", &Summary::of_proto(&task.resources))?;
        if !task.limits.is_empty() {
            map.serialize_entry("limits", &Limits(&task.limits))?;
        }
        if let Some(role) = role(&task.resources) {
            map.serialize_entry("role", role)?;
        }
        map.serialize_entry("statuses", &Each(|| task.statuses.iter().map(StatusView)))?;
        if let Some(user) = &task.user {
            map.serialize_entry("user", user)?;
        }
        if let Some(labels) = &task.labels {
            map.serialize_entry("labels", &LabelsView(labels))?;
        }
        if let Some(discovery) = &task.discovery {
            map.serialize_entry("discovery", discovery)?;
        }
        if let Some(container) = &task.container {
            map.serialize_entry("container", container)?;
        }
        if let Some(health_check) = &task.health_check {
            let mut whole = health_check.clone();
            defaults::health_check(&mut whole);
            map.serialize_entry("health_check", &whole)?;
        }
        map.end()
    }
}

/// The role that resources are allocated to; those of one task or executor are all of one.
pub(crate) fn role(resources: &[Resource]) -> Option<&str> {
    let allocated = resources.first()?.allocation_info.as_ref()?;
    Some(allocated.role())
}

struct StatusView<'a>(&'a TaskStatus);

impl Serialize for StatusView<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let status = self.0;
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("state", status.state().as_str_name())?;
        map.serialize_entry("timestamp", &status.timestamp())?;
        if let Some(labels) = &status.labels {
            map.serialize_entry("labels", &LabelsView(labels))?;
        }
        if let Some(container) = &status.container_status {
            map.serialize_entry("container_status", &ContainerView(container))?;
        }
        if let Some(healthy) = status.healthy {
            map.serialize_entry("healthy", &healthy)?;
        }
        map.end()
    }
}

/// The status of a container, without what only its agent is to know.
struct ContainerView<'a>(&'a ContainerStatus);

impl Serialize for ContainerView<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let status = self.0;
        let mut map = to.serialize_map(None)?;
        if let Some(id) = &status.container_id {
            map.serialize_entry("container_id", id)?;
        }
        if !status.network_infos.is_empty() {
            let networks = || status.network_infos.iter().map(NetworkView);
            map.serialize_entry("network_infos", &Each(networks))?;
        }
        if let Some(cgroups) = &status.cgroup_info {
            map.serialize_entry("cgroup_info", cgroups)?;
        }
        map.end()
    }
}

struct NetworkView<'a>(&'a NetworkInfo);

impl Serialize for NetworkView<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let network = self.0;
        let mut map = to.serialize_map(None)?;
        if !network.groups.is_empty() {
            map.serialize_entry("groups", &network.groups)?;
        }
        if let Some(labels) = &network.labels {
            map.serialize_entry("labels", &LabelsView(labels))?;
        }
        if !network.ip_addresses.is_empty() {
            map.serialize_entry("ip_addresses", &network.ip_addresses)?;
        }
        if let Some(name) = &network.name {
            map.serialize_entry("name", name)?;
        }
        if !network.port_mappings.is_empty() {
            map.serialize_entry("port_mappings", &network.port_mappings)?;
        }
        map.end()
    }
}

/// Labels as an array: the message's list without the message around it.
pub(crate) struct LabelsView<'a>(pub(crate) &'a Labels);

impl Serialize for LabelsView<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(&self.0.labels)
    }
}

/// Limits by name; one without bound is `"Infinity"`, for JSON has no such number.
struct Limits<'a>(&'a BTreeMap<String, value::Scalar>);

impl Serialize for Limits<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.len()))?;
        for (name, limit) in self.0 {
            if limit.value.is_finite() {
                map.serialize_entry(name, &limit.value)?;
            } else {
                map.serialize_entry(name, "Infinity")?;
            }
        }
        map.end()
    }
}

/// How many tasks are in each of the states that `/state-summary` counts.
#[derive(Debug, Default, Clone)]
pub(crate) struct Counts([u64; COUNTED.len()]);

/// Those states, in Mesos' order. The later ones of partition-aware frameworks are not counted.
const COUNTED: [TaskState; 10] = [
    TaskState::TaskStaging,
    TaskState::TaskStarting,
    TaskState::TaskRunning,
    TaskState::TaskKilling,
    TaskState::TaskFinished,
    TaskState::TaskKilled,
    TaskState::TaskFailed,
    TaskState::TaskLost,
    TaskState::TaskError,
    TaskState::TaskUnreachable,
];

impl Counts {
    /// Counts a task in this state.
    pub(crate) fn add(&mut self, state: TaskState) {
        if let Some(at) = COUNTED.iter().position(|counted| *counted == state) {
            self.0[at] += 1;
        }
    }

    /// Writes a key for each state into the object around them.
    pub(crate) fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        for (state, count) in COUNTED.iter().zip(&self.0) {
            map.serialize_entry(state.as_str_name(), count)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_health_check_is_shown_with_its_defaults_and_what_came_of_it() {
        let task = json!({
            "name": "t", "task_id": {"value": "t"}, "framework_id": {"value": "f"},
            "agent_id": {"value": "a"}, "state": "TASK_RUNNING",
            "health_check": {"type": "COMMAND", "command": {"value": "true"}, "delay_seconds": 1.5},
            "statuses": [
                {"task_id": {"value": "t"}, "state": "TASK_STARTING", "timestamp": 1.0},
                {
                    "task_id": {"value": "t"}, "state": "TASK_RUNNING", "timestamp": 2.0,
                    "healthy": false,
                    "check_status": {"type": "COMMAND", "command": {"exit_code": 0}},
                },
            ],
        });
        let task: Task = tepui_protocol::json::from_slice(task.to_string().as_bytes()).unwrap();
        let shown = serde_json::to_value(TaskView(&task)).unwrap();
        let expected = json!({
            "type": "COMMAND", "command": {"value": "true", "shell": true},
            "delay_seconds": 1.5, "interval_seconds": 10.0, "timeout_seconds": 20.0,
            "grace_period_seconds": 10.0, "consecutive_failures": 3,
        });
        assert_eq!(shown["health_check"], expected);
        let expected = json!([
            {"state": "TASK_STARTING", "timestamp": 1.0},
            // Mesos does not show what came of a check that is no health check.
            {"state": "TASK_RUNNING", "timestamp": 2.0, "healthy": false},
        ]);
        assert_eq!(shown["statuses"], expected);
    }
}
