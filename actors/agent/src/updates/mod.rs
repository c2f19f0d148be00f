//! The status update manager: every task's updates reach the master in order, one at a time,
//! again and again until they are acknowledged, over crashes of the agent where the framework
//! asked for checkpoints.
//!
//! ```text
//!              update                          acknowledgement (of the head)
//!   executor ─────────► stored ──► sent ──► … ──► stored ──► next one sent
//!                          │         ▲  │
//!                          ▼         └──┘ each 10 s, doubling to 10 min
//!                  executor is acknowledged
//! ```
//!
//! Nothing here writes or sends: [`Action`]s say what is to be done, in the order given; an action
//! after [`Action::Append`] may only be done once the record is synced.
//!
//! Not here: which updates are valid (`core::update`).

mod recover;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use tepui_invariants::{Planted, PlantedBug};
use tepui_protocol::mesos::internal::{StatusUpdate, StatusUpdateRecord, status_update_record};
use tepui_protocol::mesos::v1::TaskState;

pub use self::recover::{Replayed, replay};
pub use self::stream::{
    Accepted, Acknowledged, MAX_PENDING, RETRY_MAX, RETRY_MIN, Stream, is_terminal, uuid_of,
};
use crate::checkpoint::record;

/// A stream's name: the ids of framework and task.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamKey {
    /// Framework id.
    pub framework: String,
    /// Task id.
    pub task: String,
}

impl StreamKey {
    /// The stream of `task` of `framework`.
    #[must_use]
    pub fn new(framework: &str, task: &str) -> StreamKey {
        StreamKey {
            framework: framework.to_owned(),
            task: task.to_owned(),
        }
    }
}

/// What the manager asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Append `record` to the file and sync it, before any action that follows.
    Append {
        /// The stream's file.
        path: PathBuf,
        /// A framed record.
        record: Bytes,
    },
    /// Wait until what was appended to the file is synced, before any action that follows.
    Behind {
        /// The stream's file.
        path: PathBuf,
    },
    /// Send the update to the master.
    Forward(StatusUpdate),
    /// Call [`UpdateManager::retry`] with these values after the pause.
    Retry {
        /// The stream.
        key: StreamKey,
        /// The sending that the timer belongs to.
        attempt: u64,
        /// How long to wait.
        after: Duration,
    },
}

/// All streams of an agent.
#[derive(Debug, Clone)]
pub struct UpdateManager {
    streams: BTreeMap<StreamKey, Stream>,
    paused: bool,
    planted: Planted,
}

impl Default for UpdateManager {
    fn default() -> UpdateManager {
        UpdateManager::new()
    }
}

impl UpdateManager {
    /// No streams; sending is paused until [`UpdateManager::resume`].
    #[must_use]
    pub fn new() -> UpdateManager {
        UpdateManager {
            streams: BTreeMap::new(),
            paused: true,
            planted: Planted::NONE,
        }
    }

    /// With a bug, in a test build.
    #[must_use]
    pub fn with(self, planted: Planted) -> UpdateManager {
        UpdateManager { planted, ..self }
    }

    /// Takes over a stream that was read back from its file.
    pub fn adopt(&mut self, key: StreamKey, stream: Stream) {
        self.streams.insert(key, stream);
    }

    /// Takes an update, to be kept in the file `checkpoint` if one is given.
    pub fn update(
        &mut self,
        key: &StreamKey,
        update: StatusUpdate,
        checkpoint: Option<PathBuf>,
    ) -> (Accepted, Vec<Action>) {
        let stream = self
            .streams
            .entry(key.clone())
            .or_insert_with(|| Stream::new(checkpoint));
        let record = StatusUpdateRecord {
            r#type: status_update_record::Type::Update as i32,
            update: Some(update.clone()),
            uuid: None,
        };
        let past = self.planted.has(PlantedBug::UpdatePastUnacknowledged);
        let early = past.then(|| update.clone());
        let accepted = stream.update(update);
        let mut actions = Vec::new();
        if accepted == Accepted::New {
            actions.extend(append(stream, &record));
            if stream.pending() == 1 && !self.paused {
                send_head(key, stream, &mut actions);
            } else if !self.paused {
                actions.extend(early.map(Action::Forward));
            }
        }
        (accepted, actions)
    }

    /// Takes an acknowledgement from the master; `None` where there is no such stream.
    pub fn acknowledge(
        &mut self,
        key: &StreamKey,
        uuid: &Bytes,
    ) -> (Option<Acknowledged>, Vec<Action>) {
        let mut actions = Vec::new();
        let Some(stream) = self.streams.get_mut(key) else {
            return (None, actions);
        };
        let acknowledged = stream.acknowledge(uuid);
        if let Acknowledged::Head { terminal } = acknowledged {
            let record = StatusUpdateRecord {
                r#type: status_update_record::Type::Ack as i32,
                update: None,
                uuid: Some(uuid.clone()),
            };
            actions.extend(append(stream, &record));
            if terminal {
                self.streams.remove(key);
            } else if !self.paused {
                send_head(key, stream, &mut actions);
            }
        }
        (Some(acknowledged), actions)
    }

    /// The pause after sending `attempt` is over.
    pub fn retry(&mut self, key: &StreamKey, attempt: u64) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.paused {
            return actions;
        }
        if let Some(stream) = self.streams.get_mut(key)
            && let Some((attempt, after)) = stream.next_attempt(attempt)
        {
            actions.extend(stream.head().map(Action::Forward));
            actions.push(Action::Retry {
                key: key.clone(),
                attempt,
                after,
            });
        }
        actions
    }

    /// There is no master to send to: updates are stored only.
    pub fn pause(&mut self) {
        self.paused = true;
    }

    /// There is a master again: the head of every stream is sent.
    pub fn resume(&mut self) -> Vec<Action> {
        self.paused = false;
        let mut actions = Vec::new();
        for (key, stream) in &mut self.streams {
            resend_head(key, stream, &mut actions);
        }
        actions
    }

    /// The framework is reachable again: the heads of its streams are sent.
    pub fn resume_framework(&mut self, framework: &str) -> Vec<Action> {
        let mut actions = Vec::new();
        if !self.paused {
            for (key, stream) in &mut self.streams {
                if key.framework == framework {
                    resend_head(key, stream, &mut actions);
                }
            }
        }
        actions
    }

    /// The framework is gone, and with it whoever would acknowledge: its streams are dropped.
    pub fn forget_framework(&mut self, framework: &str) {
        self.streams.retain(|key, _| key.framework != framework);
    }

    /// Whether the update with `uuid` is, or was, in the task's stream.
    #[must_use]
    pub fn knows(&self, key: &StreamKey, uuid: &Bytes) -> bool {
        self.streams
            .get(key)
            .is_some_and(|stream| stream.knows(uuid))
    }

    /// Newest state in the stream of a task.
    #[must_use]
    pub fn latest(&self, key: &StreamKey) -> Option<TaskState> {
        self.streams.get(key).map(Stream::latest)
    }

    /// The update that is in flight, or would be.
    #[must_use]
    pub fn head(&self, key: &StreamKey) -> Option<StatusUpdate> {
        self.streams.get(key).and_then(Stream::head)
    }

    /// Whether the update with `uuid` is the one that is in flight, or would be.
    #[must_use]
    pub fn is_head(&self, key: &StreamKey, uuid: &Bytes) -> bool {
        self.streams
            .get(key)
            .is_some_and(|stream| stream.is_head(uuid))
    }

    /// Whether the task has updates that nobody acknowledged.
    #[must_use]
    pub fn has_pending(&self, key: &StreamKey) -> bool {
        self.streams
            .get(key)
            .is_some_and(|stream| stream.pending() > 0)
    }
}

fn append(stream: &Stream, record: &StatusUpdateRecord) -> Option<Action> {
    let path = stream.checkpoint.clone()?;
    Some(Action::Append {
        path,
        record: record::frame(&record.encode_to_vec()),
    })
}

/// Sends a head that may still be on its way to the disk.
fn resend_head(key: &StreamKey, stream: &mut Stream, actions: &mut Vec<Action>) {
    if stream.pending() > 0
        && let Some(path) = stream.checkpoint.clone()
    {
        actions.push(Action::Behind { path });
    }
    send_head(key, stream, actions);
}

fn send_head(key: &StreamKey, stream: &mut Stream, actions: &mut Vec<Action>) {
    if let Some(head) = stream.head() {
        let (attempt, after) = stream.first_attempt();
        actions.push(Action::Forward(head));
        actions.push(Action::Retry {
            key: key.clone(),
            attempt,
            after,
        });
    }
}
