//! The updates of one task on their way to the master.
//!
//! ```text
//!   update ──► pending ──(head sent, sent again until)──► acknowledged
//!                                                            │ terminal: the stream is over
//! ```
//!
//! Rules (Mesos' task status update manager): only the head is in flight; a duplicate update and
//! an acknowledgement that is not for the head change nothing; the pause between two sendings of
//! one update doubles from 10 seconds to 10 minutes and starts anew with the next update.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use tepui_protocol::mesos::internal::StatusUpdate;
use tepui_protocol::mesos::v1::TaskState;

/// Pause before the second sending of an update.
pub const RETRY_MIN: Duration = Duration::from_secs(10);

/// Longest pause between two sendings.
pub const RETRY_MAX: Duration = Duration::from_secs(10 * 60);

/// Updates of one task that may wait. A framework that never acknowledges while an executor keeps
/// reporting would otherwise fill the agent; terminal updates are taken all the same.
pub const MAX_PENDING: usize = 10_000;

/// Acknowledged uuids that are remembered to know duplicates by.
const MAX_REMEMBERED: usize = 1024;

/// What became of an update that was given to a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// Taken; it is to be stored, and sent if it is the head.
    New,
    /// The stream has it, or had it: the executor may be acknowledged again.
    Duplicate,
    /// The stream has a terminal update already: the first one wins.
    AfterTerminal,
    /// Too many wait: refused, and not to be acknowledged.
    Full,
}

/// What became of an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledged {
    /// It was for the head.
    Head {
        /// The head was the terminal update, so the stream is over.
        terminal: bool,
    },
    /// It was for an update acknowledged before.
    Duplicate,
    /// It is not for the head.
    Unexpected,
}

/// The updates of one task.
#[derive(Debug, Clone)]
pub struct Stream {
    /// Where the stream is checkpointed, if its framework asks for it.
    pub checkpoint: Option<PathBuf>,
    pending: VecDeque<StatusUpdate>,
    remembered: VecDeque<Bytes>,
    /// The uuids of what is pending and what is remembered.
    known: BTreeSet<Bytes>,
    terminal: bool,
    latest: TaskState,
    pause: Duration,
    attempt: u64,
}

impl Stream {
    /// A stream with no updates yet.
    #[must_use]
    pub fn new(checkpoint: Option<PathBuf>) -> Stream {
        Stream {
            checkpoint,
            pending: VecDeque::new(),
            remembered: VecDeque::new(),
            known: BTreeSet::new(),
            terminal: false,
            latest: TaskState::TaskStaging,
            pause: RETRY_MIN,
            attempt: 0,
        }
    }

    /// Takes an update, whose status carries a uuid.
    pub fn update(&mut self, update: StatusUpdate) -> Accepted {
        let uuid = uuid_of(&update);
        if self.knows(&uuid) {
            return Accepted::Duplicate;
        }
        if self.terminal {
            return Accepted::AfterTerminal;
        }
        let state = update.status.state();
        self.terminal = is_terminal(state);
        if !self.terminal && self.pending.len() >= MAX_PENDING {
            return Accepted::Full;
        }
        self.latest = state;
        self.known.insert(uuid);
        self.pending.push_back(update);
        Accepted::New
    }

    /// Whether the update with `uuid` is, or was, in the stream.
    #[must_use]
    pub fn knows(&self, uuid: &Bytes) -> bool {
        self.known.contains(uuid)
    }

    /// Takes an acknowledgement of the update with `uuid`.
    pub fn acknowledge(&mut self, uuid: &Bytes) -> Acknowledged {
        if !self.is_head(uuid) {
            let duplicate = self.remembered.contains(uuid);
            return if duplicate {
                Acknowledged::Duplicate
            } else {
                Acknowledged::Unexpected
            };
        }
        self.pending.pop_front();
        if self.remembered.len() == MAX_REMEMBERED
            && let Some(oldest) = self.remembered.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.remembered.push_back(uuid.clone());
        Acknowledged::Head {
            terminal: self.terminal && self.pending.is_empty(),
        }
    }

    /// The head as it is to be sent: with the newest state of the task beside it.
    #[must_use]
    pub fn head(&self) -> Option<StatusUpdate> {
        let mut head = self.pending.front()?.clone();
        head.latest_state = Some(self.latest as i32);
        Some(head)
    }

    /// Whether the update with `uuid` is the head.
    #[must_use]
    pub fn is_head(&self, uuid: &Bytes) -> bool {
        self.pending.front().map(uuid_of).as_ref() == Some(uuid)
    }

    /// Newest state in the stream.
    #[must_use]
    pub fn latest(&self) -> TaskState {
        self.latest
    }

    /// Whether any update ever was in the stream.
    #[must_use]
    pub fn has_updates(&self) -> bool {
        !self.pending.is_empty() || !self.remembered.is_empty()
    }

    /// Updates that wait for their acknowledgement.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// A new head, or the same one after a pause of sending: the pauses begin anew.
    /// Gives the number of the sending, by which its timer is known, and the pause after it.
    pub fn first_attempt(&mut self) -> (u64, Duration) {
        self.pause = RETRY_MIN;
        self.attempt += 1;
        (self.attempt, self.pause)
    }

    /// The timer of sending `attempt` went off: the next sending, if that is still the last one.
    pub fn next_attempt(&mut self, attempt: u64) -> Option<(u64, Duration)> {
        if attempt != self.attempt || self.pending.is_empty() {
            return None;
        }
        self.pause = (self.pause * 2).min(RETRY_MAX);
        self.attempt += 1;
        Some((self.attempt, self.pause))
    }
}

/// The uuid of an update; every update in a stream has one.
#[must_use]
pub fn uuid_of(update: &StatusUpdate) -> Bytes {
    update
        .uuid
        .clone()
        .or_else(|| update.status.uuid.clone())
        .unwrap_or_default()
}

/// Whether a task in `state` has ended. TASK_UNREACHABLE and TASK_UNKNOWN are no end.
#[must_use]
pub fn is_terminal(state: TaskState) -> bool {
    match state {
        TaskState::TaskFinished
        | TaskState::TaskFailed
        | TaskState::TaskKilled
        | TaskState::TaskError
        | TaskState::TaskLost
        | TaskState::TaskDropped
        | TaskState::TaskGone
        | TaskState::TaskGoneByOperator => true,
        TaskState::TaskStaging
        | TaskState::TaskStarting
        | TaskState::TaskRunning
        | TaskState::TaskKilling
        | TaskState::TaskUnreachable
        | TaskState::TaskUnknown => false,
    }
}
