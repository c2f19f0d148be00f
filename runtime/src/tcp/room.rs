//! Room for connections: so many at a time, and who has to go when it is used up.
//!
//! A connection that has said nothing yet may be anyone's; one that spoke may be a linked peer that
//! is silent for hours. So when all room is taken, the oldest that said nothing makes room for the
//! newest, and where there is none, the newest is refused.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::time::timeout;
use crate::oneshot;

/// A connection that was told to go is gone well within this time.
const LEAVING: Duration = Duration::from_millis(100);

/// The room of one node.
pub(super) struct Room {
    places: Arc<Semaphore>,
    /// The connections that said nothing yet, by number.
    quiet: Mutex<BTreeMap<u64, oneshot::Sender<()>>>,
}

/// A connection's place; given back when dropped.
pub(super) struct Place(#[expect(dead_code, reason = "held")] OwnedSemaphorePermit);

/// A connection is among the quiet ones as long as it holds this.
pub(super) struct Quiet {
    room: Arc<Room>,
    number: u64,
    /// Becomes ready when it has to go.
    pub(super) leave: oneshot::Receiver<()>,
}

impl Room {
    pub(super) fn new(places: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))),
            quiet: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, oneshot::Sender<()>>> {
        self.quiet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a new connection, and whether another had to make room.
    pub(super) async fn place(&self) -> Option<(Place, bool)> {
        let free = Arc::clone(&self.places).try_acquire_owned();
        if let Ok(permit) = free {
            return Some((Place(permit), false));
        }
        if !self.make_room() {
            return None;
        }
        let freed = Arc::clone(&self.places).acquire_owned();
        let permit = timeout(LEAVING, freed).await.ok()?.ok()?;
        Some((Place(permit), true))
    }

    /// Has the oldest quiet connection leave; false if there is none.
    pub(super) fn make_room(&self) -> bool {
        let oldest = self.lock().pop_first();
        let Some((_, leave)) = oldest else {
            return false;
        };
        leave.send(());
        true
    }

    /// Counts a connection among the quiet ones.
    pub(super) fn quiet(self: &Arc<Self>, number: u64) -> Quiet {
        let (told, leave) = oneshot::channel();
        self.lock().insert(number, told);
        Quiet {
            room: Arc::clone(self),
            number,
            leave,
        }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let told = self.room.lock().remove(&self.number);
        drop(told);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn the_oldest_that_said_nothing_goes_first() {
        let room = Arc::new(Room::new(2));
        let mut quiet: Vec<Quiet> = [7, 5, 9].map(|number| room.quiet(number)).into();
        // The one numbered 5 says something.
        quiet.remove(1);
        for expected in [[true, false], [true, true]] {
            assert!(room.make_room());
            let left = [0, 1].map(|at| (&mut quiet[at].leave).now_or_never().is_some());
            // Once ready, a receiver has given its value away.
            let left = [left[0] || expected == [true, true], left[1]];
            assert_eq!(left, expected);
        }
        assert!(!room.make_room(), "those that spoke stay");
    }

    #[test]
    fn a_place_is_free_again_when_it_is_given_back() {
        let room = Arc::new(Room::new(1));
        let (place, made) = room.place().now_or_never().flatten().unwrap();
        assert!(!made);
        assert!(
            room.place().now_or_never().flatten().is_none(),
            "refused at once"
        );
        drop(place);
        assert!(room.place().now_or_never().flatten().is_some());
    }
}
