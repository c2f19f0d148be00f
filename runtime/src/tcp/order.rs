//! Keeps the order between two nodes when a connection breaks and the next one takes over.
//!
//! What was sent on the old connection may still wait in this node's socket when the first
//! message of the new one arrives. To deliver it then would turn the order round, so it is
//! dropped instead: delivery is at most once, and order is kept. A node tells its connections
//! apart by [`Serial`]; of a peer that sends none (Mesos' libprocess, curl) each connection
//! stands for itself.

use std::sync::{Arc, Mutex, PoisonError};

use indexmap::IndexMap;

use super::wire::Serial;
use crate::address::Address;

/// So many nodes are remembered; beyond it those that have no connection are forgotten. A
/// cluster of Mesos' size has some ten thousand.
const MAX_NODES: usize = 65_536;

/// The newest connection of each node that was heard from.
#[derive(Default)]
pub(super) struct Fences(Mutex<IndexMap<Address, Arc<Fence>>>);

/// The newest connection of one node.
#[derive(Default)]
pub(super) struct Fence(Mutex<Option<Place>>);

/// A connection's place among those of its node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) serial: Serial,
    /// Counts the connections that this node accepted.
    pub(super) accepted: u64,
}

impl Place {
    /// Within one life of the node its own count decides. Of two lives at one address the second
    /// connected later; their start times do not decide, since clocks are set back.
    fn is_before(self, other: Place) -> bool {
        if self.serial.node == other.serial.node {
            self.serial.number < other.serial.number
        } else {
            self.accepted < other.accepted
        }
    }
}

impl Fences {
    /// The fence of the node at `address`.
    pub(super) fn of(&self, address: Address) -> Arc<Fence> {
        let mut fences = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if fences.len() >= MAX_NODES && !fences.contains_key(&address) {
            fences.retain(|_, fence| Arc::strong_count(fence) > 1);
        }
        Arc::clone(fences.entry(address).or_default())
    }
}

impl Fence {
    /// Runs `deliver` for a message of the connection at `place`, unless a newer connection of
    /// the same node has delivered before; then `None`. Two never deliver at once.
    pub(super) fn pass<T>(&self, place: Place, deliver: impl FnOnce() -> T) -> Option<T> {
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.is_some_and(|newest| place.is_before(newest)) {
            return None;
        }
        *newest = Some(place);
        Some(deliver())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(node: u64, number: u64, accepted: u64) -> Place {
        Place {
            serial: Serial { node, number },
            accepted,
        }
    }

    #[test]
    fn an_older_connection_delivers_nothing_once_a_newer_one_has() {
        let fences = Fences::default();
        let address: Address = "10.0.0.1:5050".parse().unwrap();
        let (old, new) = (fences.of(address), fences.of(address));
        assert_eq!(old.pass(place(5, 1, 4), || "a"), Some("a"));
        assert_eq!(
            new.pass(place(5, 2, 3), || "b"),
            Some("b"),
            "accepted out of order"
        );
        assert_eq!(old.pass(place(5, 1, 4), || "late"), None);
        assert_eq!(new.pass(place(5, 2, 3), || "c"), Some("c"));
    }

    #[test]
    fn a_node_that_starts_again_goes_on_even_if_its_clock_was_set_back() {
        let fence = Fence::default();
        assert_eq!(fence.pass(place(9, 7, 1), || ()), Some(()));
        assert_eq!(fence.pass(place(5, 1, 2), || ()), Some(()));
        assert_eq!(fence.pass(place(9, 7, 1), || ()), None);
    }

    #[test]
    fn nodes_without_a_connection_are_forgotten_beyond_the_bound() {
        let fences = Fences::default();
        let kept = fences.of("10.0.0.1:1".parse().unwrap());
        kept.pass(place(1, 7, 1), || ());
        for number in 0..MAX_NODES {
            let ip = std::net::Ipv4Addr::from(u32::try_from(number).unwrap());
            fences.of(Address::new(ip.into(), 9));
        }
        assert!(fences.0.lock().unwrap().len() <= 2);
        let same = fences.of("10.0.0.1:1".parse().unwrap());
        assert_eq!(
            same.pass(place(1, 6, 1), || ()),
            None,
            "what has a connection is remembered"
        );
    }
}
