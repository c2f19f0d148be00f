//! Questions and their answers. A question that waits has an entry here, not a process: its sender
//! is `__ask__(N)@ip:port`, and what is sent to that PID completes it.
//!
//! ```text
//! waiting --answer--> completed          a later answer is dropped and counted
//!         --deadline, refusal, end of the asked--> completed with the reason
//! ```

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::address::{Address, Pid};
use crate::clock::TimerKey;
use crate::process;
use tepui_message::{CodecError, Encoding, Message, OutboundMessage};

/// Where a message was refused on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hop {
    /// The asker's own node.
    Local,
    /// The connection to a node: it could not be made, or its queue is full.
    Connection(Address),
    /// The other node.
    Node(Address),
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hop::Local => f.write_str("this node"),
            Hop::Connection(address) => write!(f, "the connection to {address}"),
            Hop::Node(address) => write!(f, "node {address}"),
        }
    }
}

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// No answer came in time; whether the question was served is not known.
    #[error("no answer before the deadline")]
    Deadline,
    /// The question was not taken.
    #[error("refused by {by} with status {status}: {reason}")]
    Refused {
        /// Where.
        by: Hop,
        /// The HTTP status that says why: 404, 400, 503.
        status: u16,
        /// Why, in words.
        reason: String,
    },
    /// The asked process ended, or the connection to its node broke, before an answer came.
    #[error("the process ended, or the connection to it broke")]
    Exited,
    /// The answer is a message of another name.
    #[error("answered with an unexpected '{name}'")]
    Unexpected {
        /// The name of that message.
        name: String,
    },
    /// The answer does not decode, or the question does not encode.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The asker's own node was shut down.
    #[error("the asking node is shut down")]
    Down,
}

/// What completes a question.
pub(crate) type Complete = Box<dyn FnOnce(Result<Box<dyn OutboundMessage>, AskError>) + Send>;

type Decode = fn(Encoding, &[u8]) -> Result<Box<dyn OutboundMessage>, CodecError>;

pub(crate) struct Entry {
    to: Pid,
    complete: Complete,
    answer: &'static str,
    decode: Decode,
    pub(crate) timer: TimerKey,
}

impl Entry {
    pub(crate) fn complete(self, answer: Result<Box<dyn OutboundMessage>, AskError>) {
        (self.complete)(answer);
    }
}

#[derive(Default)]
struct State {
    next: u64,
    waiting: BTreeMap<u64, Entry>,
    by_target: BTreeMap<Pid, BTreeSet<u64>>,
}

impl State {
    fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.waiting.remove(&number)?;
        if let Some(numbers) = self.by_target.get_mut(&entry.to) {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.by_target.remove(&entry.to);
            }
        }
        Some(entry)
    }
}

/// The questions of a node that wait for an answer.
#[derive(Default)]
pub(crate) struct Asks(Mutex<State>);

const PREFIX: &str = "__ask__(";

/// The number of the question which an id stands for.
pub(crate) fn number_of(id: &str) -> Option<u64> {
    id.strip_prefix(PREFIX)?.strip_suffix(')')?.parse().ok()
}

impl Asks {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a question, and gives its number; `deadline` sets the timer that ends it.
    pub(crate) fn enter<R: Message>(
        &self,
        to: &Pid,
        complete: Complete,
        deadline: impl FnOnce(u64) -> TimerKey,
    ) -> u64 {
        let mut state = self.lock();
        state.next += 1;
        let number = state.next;
        let timer = deadline(number);
        let decode = process::decode::<R>;
        let entry = Entry {
            to: to.clone(),
            complete,
            answer: R::NAME,
            decode,
            timer,
        };
        state.waiting.insert(number, entry);
        state
            .by_target
            .entry(to.clone())
            .or_default()
            .insert(number);
        number
    }

    /// Takes a question out.
    pub(crate) fn remove(&self, number: u64) -> Option<Entry> {
        self.lock().remove(number)
    }

    /// Takes out what waits for a process that ended.
    pub(crate) fn remove_target(&self, to: &Pid) -> Vec<Entry> {
        let mut state = self.lock();
        let numbers = state.by_target.remove(to).unwrap_or_default();
        numbers
            .into_iter()
            .filter_map(|number| state.waiting.remove(&number))
            .collect()
    }

    /// Takes out what waits for processes of a node that cannot be reached.
    pub(crate) fn remove_address(&self, address: Address) -> Vec<Entry> {
        let targets: Vec<Pid> = {
            let state = self.lock();
            state
                .by_target
                .keys()
                .filter(|pid| pid.address() == address)
                .cloned()
                .collect()
        };
        targets
            .iter()
            .flat_map(|pid| self.remove_target(pid))
            .collect()
    }

    /// Takes out everything.
    pub(crate) fn clear(&self) -> Vec<Entry> {
        let mut state = self.lock();
        state.by_target.clear();
        std::mem::take(&mut state.waiting).into_values().collect()
    }

    /// Whether a question to another node than `own` waits for its answer.
    pub(crate) fn awaits_from_elsewhere(&self, number: u64, own: Address) -> bool {
        let state = self.lock();
        let entry = state.waiting.get(&number);
        entry.is_some_and(|entry| entry.to.address() != own)
    }

    /// Reads an answer that came encoded, `None` if nothing waits for it from another node than
    /// `own`. The body under an unexpected name is not looked at. Which other node answers is not
    /// looked at either: one that is behind another address names its own.
    pub(crate) fn decode(
        &self,
        number: u64,
        name: &str,
        encoding: Encoding,
        body: &[u8],
        own: Address,
    ) -> Option<Result<Box<dyn OutboundMessage>, AskError>> {
        let (decode, answer) = {
            let state = self.lock();
            let entry = state.waiting.get(&number)?;
            if entry.to.address() == own {
                return None;
            }
            (entry.decode, entry.answer)
        };
        if name == answer {
            Some(decode(encoding, body).map_err(AskError::Codec))
        } else {
            Some(Err(AskError::Unexpected {
                name: name.to_owned(),
            }))
        }
    }
}

/// The answer as the type that was asked for; another type of the same name is translated.
pub(crate) fn answer_as<R: Message>(
    answer: Result<Box<dyn OutboundMessage>, AskError>,
) -> Result<R, AskError> {
    let answer = answer?;
    let any: &dyn Any = &*answer;
    if any.is::<R>() {
        let any: Box<dyn Any> = answer;
        return match any.downcast::<R>() {
            Ok(message) => Ok(*message),
            Err(_) => Err(AskError::Unexpected {
                name: R::NAME.to_owned(),
            }),
        };
    }
    match answer.encodings().first() {
        Some(&encoding) if answer.name() == R::NAME => {
            Ok(R::decode(encoding, &answer.encode(encoding)?)?)
        }
        _ => Err(AskError::Unexpected {
            name: answer.name().to_owned(),
        }),
    }
}
