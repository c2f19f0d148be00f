//! The gateway's own table of open streams: which adapter speaks for a framework or an executor.
//!
//! It is filled when SUBSCRIBED passes through an adapter, before the client can read it, so that
//! a client's first call after it always finds its stream. Bounded by the number of streams that
//! may be open at once.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tepui_runtime::Pid;

/// How many peers that left are remembered: the master has heard of each within milliseconds.
const LEFT_REMEMBERED: usize = 256;

/// Open streams by the id of the peer that each speaks for. `A` leads to the adapter.
pub(crate) struct Sessions<A> {
    by_peer: Mutex<BTreeMap<String, Session<A>>>,
    left: Mutex<VecDeque<String>>,
    open: Arc<AtomicUsize>,
    limit: usize,
}

/// One subscribed stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session<A> {
    /// The adapter's address: what master or agent know the peer by.
    pub(crate) pid: Pid,
    /// The adapter.
    pub(crate) adapter: A,
    /// What `Mesos-Stream-Id` must say; empty where the API has no such header.
    pub(crate) stream_id: String,
}

/// The right to one open stream, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Admission(Arc<AtomicUsize>);

impl Drop for Admission {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl<A: Clone> Sessions<A> {
    /// An empty table for at most `limit` open streams.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            by_peer: Mutex::default(),
            left: Mutex::default(),
            open: Arc::default(),
            limit,
        }
    }

    /// The right to open one more stream, or `None` where `limit` are open.
    pub(crate) fn admit(&self) -> Option<Admission> {
        let more = |open| (open < self.limit).then_some(open + 1);
        self.open
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more)
            .ok()
            .map(|_| Admission(Arc::clone(&self.open)))
    }

    /// From now on this session speaks for `peer`, in place of an earlier one.
    pub(crate) fn subscribed(&self, peer: &str, session: Session<A>) {
        self.lock().insert(peer.to_owned(), session);
    }

    /// The adapter `pid` is gone; a later session of the same peer stays.
    pub(crate) fn ended(&self, peer: &str, pid: &Pid) {
        let mut table = self.lock();
        if table.get(peer).is_some_and(|session| session.pid == *pid) {
            table.remove(peer);
        }
    }

    /// The peer goes for good by a call that is on its way: no later call of it is taken.
    pub(crate) fn leaves(&self, peer: &str) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if left.len() == LEFT_REMEMBERED {
            left.pop_front();
        }
        left.push_back(peer.to_owned());
        self.lock().remove(peer);
    }

    /// Whether this peer went for good, which may not have been heard of everywhere.
    pub(crate) fn has_left(&self, peer: &str) -> bool {
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.iter().any(|known| known == peer)
    }

    /// The session that speaks for `peer`.
    pub(crate) fn find(&self, peer: &str) -> Option<Session<A>> {
        self.lock().get(peer).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Session<A>>> {
        self.by_peer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(number: u32) -> Session<u32> {
        let pid = format!("http-scheduler({number})@127.0.0.1:5050")
            .parse()
            .unwrap();
        Session {
            pid,
            adapter: number,
            stream_id: format!("s{number}"),
        }
    }

    #[test]
    fn a_later_stream_of_a_peer_outlives_the_end_of_the_earlier() {
        let sessions = Sessions::new(8);
        sessions.subscribed("f", session(1));
        sessions.subscribed("f", session(2));
        sessions.ended("f", &session(1).pid);
        assert_eq!(sessions.find("f"), Some(session(2)));
        sessions.ended("f", &session(2).pid);
        assert_eq!(sessions.find("f"), None);
    }

    #[test]
    fn who_leaves_is_nobody_until_it_is_forgotten() {
        let sessions = Sessions::new(8);
        sessions.subscribed("f", session(1));
        assert!(!sessions.has_left("f"));
        sessions.leaves("f");
        assert_eq!(sessions.find("f"), None);
        assert!(sessions.has_left("f"));
        for number in 0..LEFT_REMEMBERED {
            sessions.leaves(&number.to_string());
        }
        assert!(!sessions.has_left("f"));
        assert!(sessions.has_left("0"));
    }

    #[test]
    fn only_so_many_streams_are_open_at_once() {
        let sessions: Sessions<u32> = Sessions::new(2);
        let (first, second) = (sessions.admit(), sessions.admit());
        assert!(first.is_some() && second.is_some());
        assert!(sessions.admit().is_none());
        drop(first);
        assert!(sessions.admit().is_some());
    }
}
