//! Where the master's last snapshot lies for readers on any thread.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::snapshot::Snapshot;

/// The place: one writer, any number of readers, none of whom waits.
#[derive(Debug)]
pub struct Published(ArcSwap<Snapshot>);

impl Published {
    pub(crate) fn new(snapshot: Snapshot) -> Published {
        Published(ArcSwap::from_pointee(snapshot))
    }

    /// The state as of the last change.
    #[must_use]
    pub fn load(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }

    pub(crate) fn store(&self, snapshot: Snapshot) {
        self.0.store(Arc::new(snapshot));
    }
}
