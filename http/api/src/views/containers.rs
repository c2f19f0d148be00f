//! `/containers` and `/monitor/statistics` of an agent: its executors' containers, how they stand
//! and what they use. The figures are the containerizer's, asked for all containers at once.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tepui_agent::{
    ExecutorView, Snapshot, SnapshotCell,
    core::{AgentState, executor::ExecutorState},
};
use tepui_protocol::{
    mesos::v1::{ContainerStatus, ResourceStatistics},
    tepui::containerizer::{Inspect, Inspected, inspected},
};
use tepui_runtime::{
    Node, Time,
    http::{Handler, Response},
};

use super::json;
use crate::checks::Refusal;

/// How long the containerizer may take; reading cgroups takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(15);

/// For how long an answer of the containerizer serves those who ask next. Mesos, too, looks twice
/// a second at most, and lets everyone wait instead; each figure carries its time.
const FRESH: Duration = Duration::from_millis(500);

/// What the containerizer says, by container, and the last that it said.
#[derive(Default)]
pub(crate) struct Inspector(Mutex<Option<(Time, Arc<Found>)>>);

/// `/containers`, of one where `container_id` names it.
pub(crate) fn containers(snapshot: &SnapshotCell, inspector: &Arc<Inspector>) -> Handler {
    let (cell, inspector) = (Arc::clone(snapshot), Arc::clone(inspector));
    Arc::new(move |request, node| {
        let (snapshot, inspector) = (cell.load_full(), Arc::clone(&inspector));
        Box::pin(async move {
            let only = request.query.get("container_id").map(String::as_str);
            match inspector.ask(&snapshot, &node).await {
                Ok(found) => json(&request, &entries(&snapshot, only, &found, true)),
                Err(refusal) => refusal.into(),
            }
        })
    })
}

/// `/monitor/statistics`.
pub(crate) fn statistics(snapshot: &SnapshotCell, inspector: &Arc<Inspector>) -> Handler {
    let (cell, inspector) = (Arc::clone(snapshot), Arc::clone(inspector));
    Arc::new(move |request, node| {
        let (snapshot, inspector) = (cell.load_full(), Arc::clone(&inspector));
        Box::pin(async move {
            match inspector.ask(&snapshot, &node).await {
                Ok(found) => json(&request, &entries(&snapshot, None, &found, false)),
                Err(refusal) => Response::from(refusal),
            }
        })
    })
}

/// What the containerizer says, by container.
type Found = BTreeMap<String, inspected::Container>;

impl Inspector {
    async fn ask(&self, snapshot: &Snapshot, node: &Node) -> Result<Arc<Found>, Refusal> {
        if snapshot.state == AgentState::Recovering {
            let problem = "Agent has not finished recovery".to_owned();
            return Err(Refusal::Unavailable(problem));
        }
        if running(snapshot, None).next().is_none() {
            return Ok(Arc::default());
        }
        let now = node.clock().now();
        if let Some((at, found)) = &*self.last()
            && now.since(*at) < FRESH
        {
            return Ok(Arc::clone(found));
        }
        let containerizer = &snapshot.origin.containerizer;
        let answer = node.ask::<Inspect, Inspected>(containerizer, Inspect::default(), PATIENCE);
        let inspected = answer.await.map_err(|problem| {
            Refusal::Internal(format!("The containerizer does not answer: {problem}"))
        })?;
        let containers = inspected.containers.into_iter();
        // Those in an executor's are found by their whole ids, which are no executor's.
        let found: Found = containers
            .map(|container| (container.container_id.to_string(), container))
            .collect();
        let found = Arc::new(found);
        *self.last() = Some((node.clock().now(), Arc::clone(&found)));
        Ok(found)
    }

    fn last(&self) -> MutexGuard<'_, Option<(Time, Arc<Found>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The executors whose containers run, or the one in that container.
fn running<'a>(
    snapshot: &'a Snapshot,
    only: Option<&'a str>,
) -> impl Iterator<Item = (&'a str, &'a ExecutorView)> {
    snapshot
        .executors
        .iter()
        .filter(move |(_, view)| {
            view.state != ExecutorState::Terminated
                && only.is_none_or(|only| only == view.container)
        })
        .map(|((framework, _), view)| (framework.as_str(), view.as_ref()))
}

#[derive(Serialize)]
struct Entry<'a> {
    framework_id: &'a str,
    executor_id: &'a str,
    executor_name: &'a str,
    source: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    container_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    statistics: Option<&'a ResourceStatistics>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a ContainerStatus>,
}

fn entries<'a>(
    snapshot: &'a Snapshot,
    only: Option<&'a str>,
    found: &'a Found,
    whole: bool,
) -> Vec<Entry<'a>> {
    let entry = |(framework, view): (&'a str, &'a ExecutorView)| {
        // One that is being launched or has just ended is left out of what is said of it.
        let known = found.get(&view.container);
        Entry {
            framework_id: framework,
            executor_id: &view.info.executor_id.value,
            executor_name: view.info.name(),
            source: view.info.source(),
            container_id: whole.then_some(view.container.as_str()),
            statistics: known.and_then(|known| known.statistics.as_ref()),
            status: known
                .filter(|_| whole)
                .and_then(|known| known.status.as_ref()),
        }
    };
    running(snapshot, only).map(entry).collect()
}
