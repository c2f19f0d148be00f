//! How much a connection may have waiting in mailboxes before it stops reading.
//!
//! Mailboxes have no bound of their own: what is sent inside a node is never dropped. So the bound
//! is at the entrance: each message from outside holds a piece of its connection's credit until
//! it was served.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

/// What a connection may have waiting, in bytes: some twenty thousand small messages.
const LIMIT_BYTES: usize = 8 << 20;

/// What a message costs beside its body.
const MESSAGE_BYTES: usize = 384;

/// The credit of one connection.
#[derive(Default)]
pub(crate) struct Account {
    out: AtomicUsize,
    reader: AtomicWaker,
}

/// The piece that one message holds; given back when it is dropped.
pub(crate) struct Credit {
    account: Arc<Account>,
    bytes: usize,
}

impl Account {
    /// Takes credit for a message with such a body. It may exceed the limit by one batch: the
    /// connection waits before it reads the next.
    pub(crate) fn take(self: &Arc<Self>, body_bytes: usize) -> Credit {
        let bytes = MESSAGE_BYTES + body_bytes;
        self.out.fetch_add(bytes, Ordering::AcqRel);
        Credit {
            account: Arc::clone(self),
            bytes,
        }
    }

    /// Becomes ready when the connection may read on.
    pub(crate) fn poll_available(&self, cx: &Context<'_>) -> Poll<()> {
        if self.is_available() {
            return Poll::Ready(());
        }
        self.reader.register(cx.waker());
        // What was given back between the look and the register woke nobody.
        if self.is_available() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    fn is_available(&self) -> bool {
        self.out.load(Ordering::Acquire) < LIMIT_BYTES
    }
}

impl Drop for Credit {
    fn drop(&mut self) {
        let before = self.account.out.fetch_sub(self.bytes, Ordering::AcqRel);
        if before >= LIMIT_BYTES && before - self.bytes < LIMIT_BYTES {
            self.account.reader.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::task::{Wake, Waker};

    use super::*;

    #[derive(Default)]
    struct Flag(AtomicBool);

    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Release);
        }
    }

    #[test]
    fn a_connection_waits_until_what_it_brought_was_served() {
        let account = Arc::new(Account::default());
        let flag = Arc::new(Flag::default());
        let waker = Waker::from(Arc::clone(&flag));
        let cx = Context::from_waker(&waker);
        let small = account.take(10);
        assert_eq!(account.poll_available(&cx), Poll::Ready(()));
        let big = account.take(LIMIT_BYTES);
        assert_eq!(account.poll_available(&cx), Poll::Pending);
        drop(small);
        assert!(!flag.0.load(Ordering::Acquire), "still over the limit");
        drop(big);
        assert!(flag.0.load(Ordering::Acquire));
        assert_eq!(account.poll_available(&cx), Poll::Ready(()));
        assert_eq!(account.out.load(Ordering::Acquire), 0);
    }
}
