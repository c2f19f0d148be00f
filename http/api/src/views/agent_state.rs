//! `/state` of an agent: all of it.

use std::sync::Arc;

use serde::{Serialize, Serializer, ser::SerializeMap};
use tepui_agent::{
    ExecutorView, FrameworkView, Snapshot, SnapshotCell,
    core::{
        AgentState, CAPABILITIES,
        executor::{ExecutorState, Phase},
    },
};
use tepui_protocol::{
    mesos::v1::{Resource, TaskInfo, framework_info::capability},
    resources::Resources,
};
use tepui_runtime::http::Handler;

use super::{
    Each, NOTHING,
    attributes::Attributes,
    build::BUILD,
    executor::{CommandView, type_name},
    flags::{self, Flags},
    rendered,
    resources::{Full, Reserved, ReservedFull, Summary},
    task::{LabelsView, TaskView, role},
    to_json,
};
use crate::checks::Refusal;

pub(crate) fn agent_state(snapshot: &SnapshotCell, flags: &Flags) -> Handler {
    let (cell, flags) = (Arc::clone(snapshot), Arc::clone(flags));
    rendered(move |_, _| {
        let snapshot = cell.load_full();
        if snapshot.state == AgentState::Recovering {
            let problem = "Agent has not finished recovery".to_owned();
            return Err(Refusal::Unavailable(problem));
        }
        to_json(&StateView {
            snapshot: &snapshot,
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
        let (origin, info) = (&snapshot.origin, &snapshot.info);
        let mut map = to.serialize_map(None)?;
        BUILD.write(&mut map)?;
        map.serialize_entry("start_time", &origin.started_at.as_secs_f64())?;
        map.serialize_entry("id", snapshot.agent_id())?;
        map.serialize_entry("pid", &origin.pid.to_string())?;
        map.serialize_entry("hostname", &info.hostname)?;
        let capabilities = CAPABILITIES.iter().map(|kind| kind.as_str_name());
        map.serialize_entry("capabilities", &capabilities.collect::<Vec<_>>())?;
        if let Some(domain) = &info.domain {
            map.serialize_entry("domain", domain)?;
        }
        self.write_resources(&mut map)?;
        map.serialize_entry("attributes", &Attributes(&info.attributes))?;
        if snapshot.is_registered() {
            let master = origin.master.address().ip.to_string();
            map.serialize_entry("master_hostname", &master)?;
        }
        flags::write(&mut map, self.flags, &["log_dir", "external_log_file"])?;
        let present = || {
            let frameworks = snapshot.frameworks.values();
            frameworks.map(|framework| FrameworkEntry {
                framework,
                snapshot: Some(snapshot),
            })
        };
        map.serialize_entry("frameworks", &Each(present))?;
        let completed = || {
            let frameworks = snapshot.completed_frameworks.iter();
            frameworks.map(|framework| FrameworkEntry {
                framework,
                snapshot: None,
            })
        };
        map.serialize_entry("completed_frameworks", &Each(completed))?;
        map.end()
    }
}

impl StateView<'_> {
    fn write_resources<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let total = trusted(&self.snapshot.info.resources);
        let unreserved = total.unreserved();
        let executors = self.snapshot.executors.values();
        let alive = executors.filter(|executor| executor.state != ExecutorState::Terminated);
        let mut allocated = Resources::new();
        for executor in alive {
            allocated += &trusted(&executor.resources());
        }
        map.serialize_entry("resources", &Summary::of(&total))?;
        map.serialize_entry("reserved_resources", &Reserved(&total))?;
        map.serialize_entry("unreserved_resources", &Summary::of(&unreserved))?;
        map.serialize_entry("reserved_resources_full", &ReservedFull(&total))?;
        map.serialize_entry("unreserved_resources_full", &Full(&unreserved))?;
        map.serialize_entry("reserved_resources_allocated", &Reserved(&allocated))?;
        let unreserved = allocated.unreserved();
        let unreserved = Summary::of(&unreserved);
        map.serialize_entry("unreserved_resources_allocated", &unreserved)?;
        map.serialize_entry("resource_providers", &NOTHING)
    }
}

/// Resources that were validated when they came in.
fn trusted(resources: &[Resource]) -> Resources {
    Resources::from_proto(resources).unwrap_or_default()
}

struct FrameworkEntry<'a> {
    framework: &'a FrameworkView,
    /// Where its present executors are found; a completed one has none.
    snapshot: Option<&'a Snapshot>,
}

impl Serialize for FrameworkEntry<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let info = &self.framework.info;
        let id = info.id.as_ref().map_or("", |id| id.value.as_str());
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("id", id)?;
        map.serialize_entry("name", &info.name)?;
        map.serialize_entry("user", &info.user)?;
        map.serialize_entry("failover_timeout", &info.failover_timeout())?;
        map.serialize_entry("checkpoint", &info.checkpoint())?;
        map.serialize_entry("hostname", info.hostname())?;
        if let Some(principal) = &info.principal {
            map.serialize_entry("principal", principal)?;
        }
        let multi_role = capability::Type::MultiRole as i32;
        let mut capabilities = info.capabilities.iter();
        if capabilities.any(|has| has.r#type == Some(multi_role)) {
            map.serialize_entry("roles", &info.roles)?;
        } else {
            map.serialize_entry("role", info.role())?;
        }
        let present = || {
            let executors = self.snapshot.map(|snapshot| snapshot.executors_of(id));
            executors
                .into_iter()
                .flatten()
                .map(|view| ExecutorEntry(view))
        };
        map.serialize_entry("executors", &Each(present))?;
        let ended = || {
            let ended = self.framework.completed_executors.iter();
            ended.map(|view| ExecutorEntry(view))
        };
        map.serialize_entry("completed_executors", &Each(ended))?;
        map.end()
    }
}

struct ExecutorEntry<'a>(&'a ExecutorView);

impl Serialize for ExecutorEntry<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let (executor, info) = (self.0, &self.0.info);
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("id", &info.executor_id.value)?;
        map.serialize_entry("name", info.name())?;
        map.serialize_entry("source", info.source())?;
        map.serialize_entry("container", &executor.container)?;
        map.serialize_entry("directory", &executor.directory)?;
        map.serialize_entry("resources", &Summary::of_proto(&executor.resources()))?;
        if let Some(role) = role(&info.resources) {
            map.serialize_entry("role", role)?;
        }
        if let Some(labels) = &info.labels {
            map.serialize_entry("labels", &LabelsView(labels))?;
        }
        // Mesos' agent does not give the executors that it makes itself a type.
        if let Some(name) = type_name(info).filter(|_| !executor.generated) {
            map.serialize_entry("type", name)?;
        }
        let in_phase = |wanted: fn(&Phase) -> bool| {
            let tasks = executor.tasks.values();
            tasks.filter(move |task| wanted(&task.phase))
        };
        let launched = || {
            let tasks = in_phase(|phase| *phase == Phase::Launched);
            tasks.map(|task| TaskView(&task.task))
        };
        map.serialize_entry("tasks", &Each(launched))?;
        let queued = || {
            let tasks = executor.tasks.values();
            tasks.filter_map(|task| match &task.phase {
                Phase::Queued(info) => Some(QueuedTask(info)),
                _ => None,
            })
        };
        map.serialize_entry("queued_tasks", &Each(queued))?;
        // As in Mesos, those that ended and are not acknowledged are among them.
        let ended = || {
            let completed = executor.completed_tasks.iter();
            let terminated = in_phase(|phase| *phase == Phase::Terminated);
            completed.chain(terminated).map(|task| TaskView(&task.task))
        };
        map.serialize_entry("completed_tasks", &Each(ended))?;
        map.end()
    }
}

/// A task that its executor does not have yet.
struct QueuedTask<'a>(&'a TaskInfo);

impl Serialize for QueuedTask<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let task = self.0;
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("id", &task.task_id.value)?;
        map.serialize_entry("name", &task.name)?;
        map.serialize_entry("slave_id", &task.agent_id.value)?;
        map.serialize_entry("resources", &Summary::of_proto(&task.resources))?;
        if let Some(role) = role(&task.resources) {
            map.serialize_entry("role", role)?;
        }
        if let Some(command) = &task.command {
            map.serialize_entry("command", &CommandView(command))?;
        }
        if let Some(executor) = &task.executor {
            map.serialize_entry("executor_id", &executor.executor_id.value)?;
        }
        if let Some(discovery) = &task.discovery {
            map.serialize_entry("discovery", discovery)?;
        }
        map.end()
    }
}
