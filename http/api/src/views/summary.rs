//! `/state-summary`: agents and frameworks with counts of their tasks in place of the tasks.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Serialize, Serializer, ser::SerializeMap};
use tepui_master::{
    Published, Snapshot,
    snapshot::{Agent, Framework},
};
use tepui_protocol::mesos::v1::Task;
use tepui_runtime::http::Handler;

use super::{
    Each, agents::AgentView, flags::Flags, framework::FrameworkView, shared::everything,
    task::Counts, to_json,
};

pub(crate) fn summary(published: &Arc<Published>, flags: &Flags) -> Handler {
    let (published, flags) = (Arc::clone(published), Arc::clone(flags));
    everything(move || {
        let snapshot = published.load();
        to_json(&SummaryView {
            tallies: Tallies::of(&snapshot),
            snapshot: &snapshot,
            cluster: flags.get("cluster").map(String::as_str),
        })
    })
}

/// What is counted of the tasks of one agent or framework.
#[derive(Default)]
struct Tally<'a> {
    counts: Counts,
    /// Ids of the frameworks of an agent's tasks, or of the agents of a framework's.
    others: BTreeSet<&'a str>,
}

/// The tasks of all registered frameworks, ended ones among them, counted in one pass.
#[derive(Default)]
struct Tallies<'a> {
    by_agent: BTreeMap<&'a str, Tally<'a>>,
    by_framework: BTreeMap<&'a str, Tally<'a>>,
}

impl<'a> Tallies<'a> {
    fn of(snapshot: &'a Snapshot) -> Self {
        let mut tallies = Self::default();
        for framework in snapshot.frameworks.values() {
            for task in tasks(framework) {
                let (agent_id, state) = (task.agent_id.value.as_str(), task.state());
                let tally = tallies.by_agent.entry(agent_id).or_default();
                tally.counts.add(state);
                tally.others.insert(&framework.id);
                let tally = tallies.by_framework.entry(&framework.id).or_default();
                tally.counts.add(state);
                tally.others.insert(agent_id);
            }
        }
        tallies
    }
}

/// All tasks that a framework is known to have or to have had.
pub(crate) fn tasks(framework: &Framework) -> impl Iterator<Item = &Arc<Task>> {
    let unreachable = framework.unreachable_tasks.iter().map(|(_, task)| task);
    let completed = framework.completed_tasks.iter().map(|(_, task)| task);
    framework.tasks.values().chain(unreachable).chain(completed)
}

struct SummaryView<'a> {
    snapshot: &'a Snapshot,
    tallies: Tallies<'a>,
    cluster: Option<&'a str>,
}

impl Serialize for SummaryView<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("hostname", self.snapshot.master_info.hostname())?;
        if let Some(cluster) = self.cluster {
            map.serialize_entry("cluster", cluster)?;
        }
        let agents = || {
            self.snapshot
                .agents
                .values()
                .map(|agent| AgentSummary { agent, view: self })
        };
        map.serialize_entry("slaves", &Each(agents))?;
        let frameworks = || {
            let frameworks = self.snapshot.frameworks.values();
            frameworks.map(|framework| FrameworkSummary {
                framework,
                view: self,
            })
        };
        map.serialize_entry("frameworks", &Each(frameworks))?;
        map.end()
    }
}

struct AgentSummary<'a> {
    agent: &'a Agent,
    view: &'a SummaryView<'a>,
}

impl Serialize for AgentSummary<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        let view = AgentView {
            agent: self.agent,
            snapshot: self.view.snapshot,
            full: false,
        };
        view.write(&mut map)?;
        let tally = self.view.tallies.by_agent.get(self.agent.id.as_str());
        write_tally(&mut map, tally, "framework_ids")?;
        map.end()
    }
}

struct FrameworkSummary<'a> {
    framework: &'a Framework,
    view: &'a SummaryView<'a>,
}

impl Serialize for FrameworkSummary<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        let view = FrameworkView {
            framework: self.framework,
            snapshot: self.view.snapshot,
        };
        view.write_summary(&mut map, &view.offered())?;
        let tallies = &self.view.tallies.by_framework;
        write_tally(
            &mut map,
            tallies.get(self.framework.id.as_str()),
            "slave_ids",
        )?;
        map.end()
    }
}

fn write_tally<M: SerializeMap>(
    map: &mut M,
    tally: Option<&Tally<'_>>,
    others: &str,
) -> Result<(), M::Error> {
    let none = Tally::default();
    let tally = tally.unwrap_or(&none);
    tally.counts.write(map)?;
    map.serialize_entry(others, &tally.others)
}
