//! `/containers` and `/monitor/statistics` of an agent: its executors' containers, how they stand
//! and what they use. The figures are the containerizer's, asked for all containers at once.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::Serialize;
use tepui_agent::{
    ExecutorView, Snapshot, SnapshotCell,
    core::{AgentState, executor::ExecutorState},
};
use tepui_protocol::{
    mesos::v1::{ContainerId, ContainerStatus, ResourceStatistics},
    tepui::containerizer::{Inspect, Inspected, inspected},
};
use tepui_runtime::{
    Node,
    http::{Handler, Response},
};

use super::json;
use crate::checks::Refusal;

/// How long the containerizer may take; reading cgroups takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(15);

/// `/containers`, of one where `container_id` names it.
pub(crate) fn containers(snapshot: &SnapshotCell) -> Handler {
    let cell = Arc::clone(snapshot);
    Arc::new(move |request, node| {
        let snapshot = cell.load_full();
        Box::pin(async move {
            let only = request.query.get("container_id").map(String::as_str);
            match inspect(&snapshot, only, &node).await {
                Ok(found) => json(&request, &entries(&snapshot, only, &found, true)),
                Err(refusal) => refusal.into(),
            }
        })
    })
}

/// `/monitor/statistics`.
pub(crate) fn statistics(snapshot: &SnapshotCell) -> Handler {
    let cell = Arc::clone(snapshot);
    Arc::new(move |request, node| {
        let snapshot = cell.load_full();
        Box::pin(async move {
            match inspect(&snapshot, None, &node).await {
                Ok(found) => json(&request, &entries(&snapshot, None, &found, false)),
                Err(refusal) => Response::from(refusal),
            }
        })
    })
}

/// What the containerizer says, by container.
type Found = BTreeMap<String, inspected::Container>;

async fn inspect(snapshot: &Snapshot, only: Option<&str>, node: &Node) -> Result<Found, Refusal> {
    if snapshot.state == AgentState::Recovering {
        let problem = "Agent has not finished recovery".to_owned();
        return Err(Refusal::Unavailable(problem));
    }
    let ids = running(snapshot, only).map(|(_, view)| ContainerId {
        value: view.container.clone(),
        ..ContainerId::default()
    });
    let question = Inspect {
        container_ids: ids.collect(),
    };
    if question.container_ids.is_empty() {
        return Ok(Found::new());
    }
    let containerizer = &snapshot.origin.containerizer;
    let answer = node.ask::<Inspect, Inspected>(containerizer, question, PATIENCE);
    let inspected = answer.await.map_err(|problem| {
        Refusal::Internal(format!("The containerizer does not answer: {problem}"))
    })?;
    let containers = inspected.containers.into_iter();
    Ok(containers
        .map(|container| (container.container_id.value.clone(), container))
        .collect())
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
