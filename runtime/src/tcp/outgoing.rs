//! The connections to other nodes: one for each address, made when something is to be sent.
//!
//! ```text
//! connecting --made--> open --idle and not linked--> closed (nobody is told)
//!     |                  \--break, answer that is no HTTP, queue over its bound--+
//!     \--refused, timed out-------------------------------------------------------+--> broken
//! broken: what was not sent is lost, the node is told once; the next send connects anew
//!
//! http --an answer offers frames--> offered --the next message, behind a preface--> framed
//! ```
//!
//! A sender appends bytes to the queue and goes on; a task writes whatever has gathered since its
//! last write. Answers are read as they come and never waited for: Mesos' older libprocess sends
//! none.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use bytes::BytesMut;
use rustc_hash::FxHashMap;

use super::wire::{Outgoing, Reply, Serial, frame, put_message};
use crate::{
    address::{Address, Pid},
    ask,
    transport::Outgoings,
};

/// A spent write buffer of up to this size is used again.
const SPARE_BYTES: usize = 64 * 1024;

/// So many asks whose answer did not come yet are remembered for each connection. Beyond it the
/// oldest is forgotten: should it be refused, its asker learns so by its deadline.
const MAX_ASKS: usize = 65_536;

/// Why a message was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotQueued {
    /// The connection is over; there may be a new one.
    Closed,
    /// The peer does not read as fast as it is sent to; the connection is being closed.
    Full,
    /// The message's names are longer than any peer takes.
    TooLong,
}

/// What a connection's task is to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Write these bytes.
    Write(BytesMut),
    /// Everything is written and the connection shall end.
    Finish,
    /// The queue is over its bound.
    Stuck,
}

/// The form in which messages are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Form {
    /// That of libprocess, until the peer says that it has ours.
    #[default]
    Http,
    /// The peer has ours: the next message is written behind a preface.
    Offered,
    Framed,
}

#[derive(Default)]
struct Queue {
    form: Form,
    bytes: BytesMut,
    /// Bytes that are being written.
    writing: usize,
    spare: BytesMut,
    /// Messages queued so far, and answered so far.
    queued: u64,
    answered: u64,
    /// The asks among those not yet answered, by their place.
    asks: VecDeque<(u64, Pid)>,
    closed: bool,
    stuck: bool,
    finishing: bool,
    /// Wakes the task that waits for work.
    waker: Option<Waker>,
    /// Wakes the task amid a write, when the queue passes its bound.
    stuck_waker: Option<Waker>,
}

/// The connection to one address.
pub(super) struct Peer {
    pub(super) address: Address,
    serial: Serial,
    max_queued_bytes: usize,
    /// Whether the peer's offer of frames is taken.
    frames: bool,
    queue: Mutex<Queue>,
}

/// What was going on when a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ended {
    /// Messages that were not written whole, or whose arrival is not known.
    pub(super) unanswered: u64,
    pub(super) stuck: bool,
}

impl Peer {
    fn new(address: Address, serial: Serial, rules: PeerRules) -> Self {
        Self {
            address,
            serial,
            max_queued_bytes: rules.max_queued_bytes,
            frames: rules.frames,
            queue: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a message.
    pub(super) fn push(&self, message: &Outgoing<'_>) -> Result<(), NotQueued> {
        let mut queue = self.lock();
        if queue.closed {
            return Err(NotQueued::Closed);
        }
        let size = queue.bytes.len().saturating_add(queue.writing);
        if size.saturating_add(message.body.len()) > self.max_queued_bytes {
            queue.closed = true;
            queue.stuck = true;
            let waker = queue.stuck_waker.take();
            wake(queue);
            if let Some(waker) = waker {
                waker.wake();
            }
            return Err(NotQueued::Full);
        }
        if queue.form == Form::Http {
            let first = (queue.queued == 0).then_some(self.serial);
            put_message(&mut queue.bytes, message, first);
        } else {
            let Queue { form, bytes, .. } = &mut *queue;
            let start = bytes.len();
            if *form == Form::Offered {
                frame::put_preface(bytes, self.serial);
            }
            if let Err(frame::TooLong) = frame::put_message(bytes, message) {
                bytes.truncate(start);
                return Err(NotQueued::TooLong);
            }
            *form = Form::Framed;
        }
        if ask::number_of(message.from.id()).is_some() {
            if queue.asks.len() >= MAX_ASKS {
                queue.asks.pop_front();
            }
            let place = queue.queued;
            queue.asks.push_back((place, message.from.clone()));
        }
        queue.queued += 1;
        wake(queue);
        Ok(())
    }

    /// Whether the connection is over for all who send.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Lets the connection end once everything is written.
    pub(super) fn finish(&self) {
        let mut queue = self.lock();
        queue.finishing = true;
        wake(queue);
    }

    /// Closes the connection if it has nothing to do and nobody is linked. Whoever links enters
    /// the link first and looks at [`Peer::is_closed`] then, so that no link is missed.
    pub(super) fn close_if_idle(&self, is_linked: impl FnOnce() -> bool) -> bool {
        let mut queue = self.lock();
        let idle = queue.bytes.is_empty() && queue.writing == 0 && !is_linked();
        queue.closed |= idle;
        idle
    }

    /// The next bytes to write. What was handed out before counts as written.
    pub(super) fn poll_work(&self, cx: &Context<'_>) -> Poll<Work> {
        let mut queue = self.lock();
        queue.writing = 0;
        if queue.stuck {
            return Poll::Ready(Work::Stuck);
        }
        if queue.bytes.is_empty() {
            if queue.finishing {
                queue.closed = true;
                return Poll::Ready(Work::Finish);
            }
            queue.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let spare = std::mem::take(&mut queue.spare);
        let bytes = std::mem::replace(&mut queue.bytes, spare);
        queue.writing = bytes.len();
        Poll::Ready(Work::Write(bytes))
    }

    /// Becomes ready when the queue passes its bound while a write waits for the peer.
    pub(super) fn poll_stuck(&self, cx: &Context<'_>) -> Poll<()> {
        let mut queue = self.lock();
        if queue.stuck {
            return Poll::Ready(());
        }
        queue.stuck_waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Gives a written buffer back for the next bytes.
    pub(super) fn reuse(&self, mut bytes: BytesMut) {
        if bytes.capacity() <= SPARE_BYTES {
            bytes.clear();
            self.lock().spare = bytes;
        }
    }

    /// Matches answers with messages, in order; the asks among them, each with its answer.
    pub(super) fn answered(&self, replies: Vec<Reply>) -> Vec<(Pid, Reply)> {
        let mut queue = self.lock();
        let mut answered = Vec::new();
        for reply in replies {
            if self.frames && reply.frames && queue.form == Form::Http {
                queue.form = Form::Offered;
            }
            // No more answers are counted than there were messages.
            let next = queue.answered.saturating_add(u64::from(reply.count));
            queue.answered = next.min(queue.queued);
            while queue.asks.front().is_some_and(|(asked, _)| *asked < next)
                && let Some((_, from)) = queue.asks.pop_front()
            {
                answered.push((from, reply.clone()));
            }
        }
        answered
    }

    /// Ends the connection for all who send.
    pub(super) fn end(&self) -> Ended {
        let mut queue = self.lock();
        queue.closed = true;
        queue.bytes = BytesMut::new();
        queue.spare = BytesMut::new();
        queue.asks.clear();
        let unanswered = queue.queued.saturating_sub(queue.answered);
        Ended {
            unanswered,
            stuck: queue.stuck,
        }
    }

    fn outgoings(&self) -> Outgoings {
        let queue = self.lock();
        Outgoings {
            queued_bytes: queue.bytes.len() + queue.writing,
            queued: queue.queued,
            answered: queue.answered,
        }
    }
}

/// Wakes the connection's task, outside of the lock.
fn wake(mut queue: MutexGuard<'_, Queue>) {
    let waker = queue.waker.take();
    drop(queue);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// What holds for every connection to another node.
#[derive(Clone, Copy, Debug)]
pub(super) struct PeerRules {
    /// Bytes that may wait to be sent.
    pub(super) max_queued_bytes: usize,
    /// Whether a peer's offer of frames is taken.
    pub(super) frames: bool,
}

/// Every connection to other nodes.
pub(super) struct Peers {
    peers: Mutex<FxHashMap<Address, Arc<Peer>>>,
    /// When the node started.
    started: u64,
    next: AtomicU64,
    max_peers: usize,
    rules: PeerRules,
}

/// The table of connections is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany;

impl Peers {
    pub(super) fn new(started: u64, max_peers: usize, rules: PeerRules) -> Self {
        Self {
            peers: Mutex::default(),
            started,
            next: AtomicU64::new(1),
            max_peers,
            rules,
        }
    }

    fn lock(&self) -> MutexGuard<'_, FxHashMap<Address, Arc<Peer>>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection to an address; `true` if it is new and its task is to be started.
    pub(super) fn get(&self, address: Address) -> Result<(Arc<Peer>, bool), TooMany> {
        let mut peers = self.lock();
        if let Some(peer) = peers.get(&address) {
            return Ok((Arc::clone(peer), false));
        }
        if peers.len() >= self.max_peers {
            return Err(TooMany);
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let serial = Serial {
            node: self.started,
            number,
        };
        let peer = Arc::new(Peer::new(address, serial, self.rules));
        peers.insert(address, Arc::clone(&peer));
        Ok((peer, true))
    }

    /// Takes a connection that is over out of the table, unless another is in its place.
    pub(super) fn remove(&self, peer: &Arc<Peer>) {
        let mut peers = self.lock();
        if peers
            .get(&peer.address)
            .is_some_and(|present| Arc::ptr_eq(present, peer))
        {
            peers.remove(&peer.address);
        }
    }

    /// All connections.
    pub(super) fn all(&self) -> Vec<Arc<Peer>> {
        self.lock().values().cloned().collect()
    }

    /// The state of the queue towards an address.
    pub(super) fn outgoings(&self, address: Address) -> Outgoings {
        let peer = self.lock().get(&address).cloned();
        peer.map(|peer| peer.outgoings()).unwrap_or_default()
    }
}

#[cfg(test)]
#[path = "outgoing_tests.rs"]
mod tests;
