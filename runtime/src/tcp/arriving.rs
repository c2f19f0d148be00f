//! Room for bodies that are still arriving: so many bytes over all connections of a node.
//!
//! A body is bounded, and so is the number of connections; the two together are more memory than a
//! machine has. The first bytes of each body do not count, so that whoever fills the room with large
//! bodies does not keep the small ones out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So much of each body does not count.
const FREE_BYTES: usize = 16 << 10;

/// The room of one node.
pub(super) struct Arriving {
    held: AtomicUsize,
    most: usize,
}

impl Arriving {
    pub(super) fn new(most: usize) -> Self {
        Self {
            held: AtomicUsize::new(0),
            most,
        }
    }
}

/// What one connection has of the room; given back when dropped.
pub(super) struct Share {
    arriving: Arc<Arriving>,
    bytes: usize,
}

impl Share {
    /// Nothing yet.
    pub(super) fn of(arriving: &Arc<Arriving>) -> Self {
        Self {
            arriving: Arc::clone(arriving),
            bytes: 0,
        }
    }

    /// Holds so many bytes in all, in place of those before; false where there is no room for
    /// them, and then those before are held.
    #[must_use]
    pub(super) fn hold(&mut self, bytes: usize) -> bool {
        let wanted = bytes.saturating_sub(FREE_BYTES);
        if wanted == self.bytes {
            return true;
        }
        if wanted < self.bytes {
            let back = self.bytes - wanted;
            self.arriving.held.fetch_sub(back, Ordering::AcqRel);
        } else {
            let more = wanted - self.bytes;
            let before = self.arriving.held.fetch_add(more, Ordering::AcqRel);
            if before + more > self.arriving.most {
                self.arriving.held.fetch_sub(more, Ordering::AcqRel);
                return false;
            }
        }
        self.bytes = wanted;
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.arriving.held.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_not_held_and_what_goes_makes_room() {
        let arriving = Arc::new(Arriving::new(100));
        let (mut one, mut other) = (Share::of(&arriving), Share::of(&arriving));
        assert!(one.hold(FREE_BYTES + 60));
        assert!(!other.hold(FREE_BYTES + 41));
        assert!(other.hold(FREE_BYTES), "the first bytes are free");
        assert!(other.hold(FREE_BYTES + 40));
        assert!(!one.hold(FREE_BYTES + 61));
        drop(other);
        assert!(one.hold(FREE_BYTES + 100));
        assert!(one.hold(0));
        assert_eq!(arriving.held.load(Ordering::Acquire), 0);
    }
}
