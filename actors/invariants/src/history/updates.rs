//! Status updates: one at a time from the agent, in order to the framework, silent once
//! acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use super::Found;
use crate::{
    ACKNOWLEDGED_IS_SILENT, Fact, ONE_UPDATE_AT_A_TIME, TaskKey, UPDATES_IN_ORDER, Violation,
};

/// [`ONE_UPDATE_AT_A_TIME`] for an update that is sent, where `oldest` is the first that is not
/// acknowledged: an agent's own book suffices, so that it can assert this.
#[must_use]
pub fn one_update_at_a_time(
    task: &TaskKey,
    sent: &[u8],
    oldest: Option<&[u8]>,
) -> Option<Violation> {
    oldest.filter(|oldest| *oldest != sent).map(|_| Violation {
        invariant: &ONE_UPDATE_AT_A_TIME,
        detail: format!("an update of {task}, with one before it not acknowledged"),
    })
}

/// What the agent knows of an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Acknowledged {
    No,
    /// It was told, but could not write it down, or has crashed since.
    Perhaps,
    Yes,
}

#[derive(Clone, Debug, Default)]
struct Stream {
    agent: String,
    /// In the order in which they were first sent.
    sent: Vec<(Vec<u8>, Acknowledged)>,
    /// The furthest place in `sent` that the framework was told, and all it was told.
    furthest: usize,
    told: BTreeSet<Vec<u8>>,
    /// It was not checkpointed, and its agent has crashed since: it began anew.
    forgotten: bool,
}

impl Stream {
    fn place(&self, uuid: &[u8]) -> Option<usize> {
        self.sent.iter().position(|(sent, _)| sent == uuid)
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Updates {
    streams: BTreeMap<TaskKey, Stream>,
    /// Tasks whose updates are checkpointed.
    durable: BTreeSet<TaskKey>,
    /// Tasks that their agent never had.
    strays: BTreeSet<TaskKey>,
}

impl Updates {
    pub(super) fn see(&mut self, fact: &Fact, found: &mut Found) {
        match fact {
            Fact::Forwarded {
                task,
                agent,
                uuid,
                had,
                ..
            } => {
                if !had {
                    self.strays.insert(task.clone());
                }
                self.forwarded(task, agent, uuid, found);
            }
            Fact::Recorded {
                task,
                uuid,
                durable,
            } => {
                let stream = self.streams.get_mut(task);
                let sent = stream.and_then(|it| it.sent.iter_mut().find(|it| it.0 == *uuid));
                if let Some((_, acknowledged)) = sent {
                    *acknowledged = match durable {
                        true => Acknowledged::Yes,
                        false => Acknowledged::Perhaps,
                    };
                }
            }
            Fact::Told {
                task,
                uuid: Some(uuid),
                ..
            } => self.told(task, uuid, found),
            Fact::TaskSent {
                task,
                durable: true,
            } => {
                self.durable.insert(task.clone());
            }
            Fact::AgentCrashed { agent } => self.crashed(agent),
            _ => {}
        }
    }

    /// What an agent has told was on its disk before. So was each acknowledgement but the last:
    /// that of an update after which it sent no other.
    fn crashed(&mut self, agent: &str) {
        for (task, stream) in &mut self.streams {
            if stream.agent != agent {
                continue;
            }
            if !self.durable.contains(task) || self.strays.contains(task) {
                stream.forgotten = true;
            } else if let Some((_, acknowledged @ Acknowledged::Yes)) = stream.sent.last_mut() {
                *acknowledged = Acknowledged::Perhaps;
            }
        }
    }

    fn forwarded(&mut self, task: &TaskKey, agent: &str, uuid: &[u8], found: &mut Found) {
        let stream = self.streams.entry(task.clone()).or_default();
        stream.agent = agent.to_owned();
        let place = stream.place(uuid);
        let which = place.unwrap_or(stream.sent.len());
        let mut earlier = stream.sent.iter().take(which);
        let oldest = earlier.find(|(_, it)| *it == Acknowledged::No);
        let oldest = oldest.filter(|_| !stream.forgotten);
        let oldest = oldest.map(|(uuid, _)| uuid.as_slice());
        if let Some(mut broken) = one_update_at_a_time(task, uuid, oldest) {
            broken.detail = format!("update {} on {agent}: {}", which + 1, broken.detail);
            found.0.push(broken);
        }
        // It goes on, so it knows that those before are acknowledged.
        for (_, acknowledged) in stream.sent.iter_mut().take(which) {
            if *acknowledged == Acknowledged::Perhaps {
                *acknowledged = Acknowledged::Yes;
            }
        }
        match place.and_then(|place| stream.sent.get_mut(place)) {
            None => stream.sent.push((uuid.to_vec(), Acknowledged::No)),
            Some((_, Acknowledged::Yes)) => {
                let detail = format!("update {} of {task} on {agent}", which + 1);
                found.add(&ACKNOWLEDGED_IS_SILENT, detail);
            }
            // It has lost the acknowledgement, and waits for it again.
            Some((_, acknowledged)) => *acknowledged = Acknowledged::No,
        }
    }

    fn told(&mut self, task: &TaskKey, uuid: &[u8], found: &mut Found) {
        let Some(stream) = self.streams.get_mut(task) else {
            let detail = format!("an update of {task} that no agent sent");
            return found.add(&UPDATES_IN_ORDER, detail);
        };
        let Some(place) = stream.place(uuid) else {
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
