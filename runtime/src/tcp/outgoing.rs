//! The connections to other nodes: one for each address, made when something is to be sent.
//!
//! ```text
//! connecting --made--> open --idle and not linked--> closed (nobody is told)
//!     |                  \--break, answer that is no HTTP, queue over its bound--+
//!     \--refused, timed out-------------------------------------------------------+--> broken
//! broken: what was not sent is lost, the node is told once; the next send connects anew
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

use super::wire::{Outgoing, Reply, Serial, put_message};
use crate::{
    address::{Address, Pid},
    ask,
    transport::Outgoings,
};

/// A spent write buffer of up to this size is used again.
const SPARE_BYTES: usize = 1024 * 1024;

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

#[derive(Default)]
struct Queue {
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
    pub(super) fn new(address: Address, serial: Serial, max_queued_bytes: usize) -> Self {
        Self {
            address,
            serial,
            max_queued_bytes,
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
        let first = (queue.queued == 0).then_some(self.serial);
        put_message(&mut queue.bytes, message, first);
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
            let place = queue.answered;
            queue.answered += 1;
            if queue.asks.front().is_some_and(|(asked, _)| *asked == place)
                && let Some((_, from)) = queue.asks.pop_front()
            {
                answered.push((from, reply));
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

/// Every connection to other nodes.
pub(super) struct Peers {
    peers: Mutex<FxHashMap<Address, Arc<Peer>>>,
    /// When the node started.
    started: u64,
    next: AtomicU64,
    max_peers: usize,
    max_queued_bytes: usize,
}

/// The table of connections is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany;

impl Peers {
    pub(super) fn new(started: u64, max_peers: usize, max_queued_bytes: usize) -> Self {
        Self {
            peers: Mutex::default(),
            started,
            next: AtomicU64::new(1),
            max_peers,
            max_queued_bytes,
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
        let peer = Arc::new(Peer::new(address, serial, self.max_queued_bytes));
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
mod tests {
    use std::task::Waker;

    use super::*;
    use tepui_message::Encoding;

    fn peer(max_queued_bytes: usize) -> Peer {
        let serial = Serial { node: 1, number: 1 };
        Peer::new("10.0.0.1:5050".parse().unwrap(), serial, max_queued_bytes)
    }

    fn push(peer: &Peer, from: &str, body: &[u8]) -> Result<(), NotQueued> {
        peer.push(&Outgoing {
            from: &from.parse().unwrap(),
            to: &"master@10.0.0.1:5050".parse().unwrap(),
            name: "x.Y",
            encoding: Encoding::Json,
            body,
        })
    }

    fn work(peer: &Peer) -> Poll<Work> {
        peer.poll_work(&Context::from_waker(Waker::noop()))
    }

    fn reply(status: u16) -> Reply {
        Reply {
            status,
            reason: String::new(),
            last: false,
        }
    }

    #[test]
    fn what_gathers_is_written_at_once() {
        let peer = peer(10_000);
        assert_eq!(work(&peer), Poll::Pending);
        for _ in 0..3 {
            push(&peer, "a@10.0.0.2:1", b"{}").unwrap();
        }
        let Poll::Ready(Work::Write(bytes)) = work(&peer) else {
            panic!("nothing to write")
        };
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert_eq!(text.matches("POST /master/x.Y HTTP/1.1\r\n").count(), 3);
        assert_eq!(
            text.matches("Tepui-Connection: 1.1\r\n").count(),
            1,
            "on the first alone"
        );
        assert_eq!(peer.outgoings().queued_bytes, text.len(), "being written");
        assert_eq!(work(&peer), Poll::Pending);
        let expected = Outgoings {
            queued_bytes: 0,
            queued: 3,
            answered: 0,
        };
        assert_eq!(peer.outgoings(), expected);
    }

    #[test]
    fn a_queue_over_its_bound_closes_the_connection() {
        let peer = peer(600);
        assert_eq!(push(&peer, "a@10.0.0.2:1", &[b'x'; 300]), Ok(()));
        assert_eq!(
            push(&peer, "a@10.0.0.2:1", &[b'x'; 300]),
            Err(NotQueued::Full)
        );
        assert_eq!(push(&peer, "a@10.0.0.2:1", b""), Err(NotQueued::Closed));
        assert!(peer.is_closed());
        assert_eq!(work(&peer), Poll::Ready(Work::Stuck));
        assert_eq!(
            peer.end(),
            Ended {
                unanswered: 1,
                stuck: true
            }
        );
    }

    #[test]
    fn answers_find_their_asks_by_order() {
        let peer = peer(10_000);
        for from in [
            "a@10.0.0.2:1",
            "__ask__(1)@10.0.0.2:1",
            "a@10.0.0.2:1",
            "__ask__(2)@10.0.0.2:1",
        ] {
            push(&peer, from, b"").unwrap();
        }
        let answered = peer.answered(vec![reply(202), reply(404), reply(404)]);
        assert_eq!(
            answered,
            [("__ask__(1)@10.0.0.2:1".parse().unwrap(), reply(404))]
        );
        let answered = peer.answered(vec![reply(202)]);
        assert_eq!(
            answered,
            [("__ask__(2)@10.0.0.2:1".parse().unwrap(), reply(202))]
        );
        assert_eq!(
            peer.answered(vec![reply(202)]),
            [],
            "more answers than messages"
        );
    }

    #[test]
    fn an_idle_connection_closes_unless_somebody_is_linked() {
        let linked = peer(10_000);
        assert!(!linked.close_if_idle(|| true));
        assert_eq!(push(&linked, "a@10.0.0.2:1", b""), Ok(()));
        assert!(
            !linked.close_if_idle(|| false),
            "there is something to write"
        );
        let idle = peer(10_000);
        assert!(idle.close_if_idle(|| false));
        assert_eq!(push(&idle, "a@10.0.0.2:1", b""), Err(NotQueued::Closed));
    }

    #[test]
    fn a_finishing_connection_ends_behind_what_is_queued() {
        let peer = peer(10_000);
        push(&peer, "a@10.0.0.2:1", b"").unwrap();
        peer.finish();
        assert!(matches!(work(&peer), Poll::Ready(Work::Write(_))));
        assert_eq!(work(&peer), Poll::Ready(Work::Finish));
        assert_eq!(push(&peer, "a@10.0.0.2:1", b""), Err(NotQueued::Closed));
    }

    #[test]
    fn the_table_has_a_bound_and_a_new_connection_a_higher_number() {
        let peers = Peers::new(7, 1, 10_000);
        let address: Address = "10.0.0.1:1".parse().unwrap();
        let (first, new) = peers.get(address).unwrap();
        assert!(new);
        assert!(!peers.get(address).unwrap().1);
        assert_eq!(
            peers.get("10.0.0.1:2".parse().unwrap()).err(),
            Some(TooMany)
        );
        peers.remove(&first);
        let (second, new) = peers.get(address).unwrap();
        assert!(new && second.serial > first.serial);
        peers.remove(&first);
        assert!(
            !peers.get(address).unwrap().1,
            "only the one that is over is removed"
        );
    }
}
