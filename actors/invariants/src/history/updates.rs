//! Status updates: one at a time from the agent, in order to the framework, silent once
//! acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use super::Found;
use crate::{ACKNOWLEDGED_IS_SILENT, Fact, ONE_UPDATE_AT_A_TIME, TaskKey, UPDATES_IN_ORDER};

#[derive(Clone, Debug, Default)]
struct Stream {
    agent: String,
    /// In the order in which they were first sent.
    sent: Vec<Vec<u8>>,
    recorded: BTreeSet<Vec<u8>>,
    /// The furthest place in `sent` that the framework was told, and all it was told.
    furthest: usize,
    told: BTreeSet<Vec<u8>>,
    /// Its agent has crashed since: what it had recorded last may be lost.
    crashed: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Updates {
    streams: BTreeMap<TaskKey, Stream>,
}

impl Updates {
    pub(super) fn see(&mut self, fact: &Fact, found: &mut Found) {
        match fact {
            Fact::Forwarded {
                task, agent, uuid, ..
            } => self.forwarded(task, agent, uuid, found),
            Fact::Recorded { task, uuid } => {
                if let Some(stream) = self.streams.get_mut(task) {
                    stream.recorded.insert(uuid.clone());
                }
            }
            Fact::Told {
                task,
                uuid: Some(uuid),
                ..
            } => self.told(task, uuid, found),
            Fact::AgentCrashed { agent } => {
                let lost = self.streams.values_mut();
                for stream in lost.filter(|stream| stream.agent == *agent) {
                    stream.crashed = true;
                }
            }
            _ => {}
        }
    }

    fn forwarded(&mut self, task: &TaskKey, agent: &str, uuid: &[u8], found: &mut Found) {
        let stream = self.streams.entry(task.clone()).or_default();
        stream.agent = agent.to_owned();
        if stream.recorded.contains(uuid) {
            found.add(
                &ACKNOWLEDGED_IS_SILENT,
                format!("an update of {task} on {agent}"),
            );
        }
        let Some(place) = stream.sent.iter().position(|sent| sent == uuid) else {
            let waiting = stream
                .sent
                .iter()
                .find(|sent| !stream.recorded.contains(*sent));
            if waiting.is_some() && !stream.crashed {
                let detail = format!(
                    "update {} of {task} on {agent}, with one before it not acknowledged",
                    stream.sent.len() + 1
                );
                found.add(&ONE_UPDATE_AT_A_TIME, detail);
            }
            stream.sent.push(uuid.to_vec());
            return;
        };
        let earlier = stream.sent[..place].iter();
        if earlier.clone().any(|sent| !stream.recorded.contains(sent)) && !stream.crashed {
            let detail = format!("update {} of {task} on {agent} again", place + 1);
            found.add(&ONE_UPDATE_AT_A_TIME, detail);
        }
    }

    fn told(&mut self, task: &TaskKey, uuid: &[u8], found: &mut Found) {
        let Some(stream) = self.streams.get_mut(task) else {
            let detail = format!("an update of {task} that no agent sent");
            return found.add(&UPDATES_IN_ORDER, detail);
        };
        let Some(place) = stream.sent.iter().position(|sent| sent == uuid) else {
            let detail = format!("an update of {task} that no agent sent");
            return found.add(&UPDATES_IN_ORDER, detail);
        };
        let new = stream.told.insert(uuid.to_vec());
        if new && place < stream.furthest {
            let detail = format!("update {} of {task} behind a later one", place + 1);
            found.add(&UPDATES_IN_ORDER, detail);
        }
        stream.furthest = stream.furthest.max(place);
    }
}
