//! Whether anything goes on in a node: the count of mailboxes that are not idle, and who waits for
//! it to reach zero. Also the mark over which a mailbox is reported.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::metrics::Counter;
use crate::oneshot;

/// What goes on in one node.
pub(crate) struct Activity {
    busy: AtomicUsize,
    waiters: Mutex<Vec<oneshot::Sender<()>>>,
    /// The length over which a mailbox is reported once, until it is down to half of it.
    pub(crate) mark: usize,
    marks_passed: Counter,
}

impl Activity {
    pub(crate) fn new(mark: usize, marks_passed: Counter) -> Activity {
        Activity {
            busy: AtomicUsize::new(0),
            waiters: Mutex::default(),
            mark,
            marks_passed,
        }
    }

    /// A mailbox is no longer idle.
    pub(crate) fn begin(&self) {
        self.busy.fetch_add(1, Ordering::AcqRel);
    }

    /// A mailbox became idle, or is gone.
    pub(crate) fn end(&self) {
        if self.busy.fetch_sub(1, Ordering::AcqRel) == 1 {
            // Dropping the senders wakes the waiters; they look again for themselves.
            drop(std::mem::take(
                &mut *self.waiters.lock().unwrap_or_else(PoisonError::into_inner),
            ));
        }
    }

    /// Whether all mailboxes are idle.
    pub(crate) fn is_idle(&self) -> bool {
        self.busy.load(Ordering::Acquire) == 0
    }

    /// Becomes ready once all mailboxes were idle at one moment.
    pub(crate) async fn idle(&self) {
        while !self.is_idle() {
            let (sender, receiver) = oneshot::channel();
            self.waiters
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(sender);
            // Between the look and the push the last one may have ended.
            if self.is_idle() {
                return;
            }
            receiver.await;
        }
    }

    /// Reports a mailbox that grew over the mark.
    pub(crate) fn over_mark(&self, id: &str, length: usize) {
        self.marks_passed.increment(1);
        tracing::warn!(
            process = id,
            length,
            mark = self.mark,
            "mailbox is over its mark"
        );
    }
}
