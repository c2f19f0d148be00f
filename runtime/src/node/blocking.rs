//! Work that blocks, for who is no process: handlers of HTTP requests render and read files so.
//! A process uses `Context::blocking`, whose result comes back as an event of its own.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Node;
use crate::oneshot;

impl Node {
    /// Does `work` where blocking is allowed: in the real world on a thread of a bounded pool, in
    /// the simulated one at once. `None` if the work panicked, or the world ended before it.
    pub fn blocking<T: Send + 'static, F: FnOnce() -> T + Send + 'static>(
        &self,
        work: F,
    ) -> impl Future<Output = Option<T>> + Send + 'static + use<T, F> {
        let (sender, receiver) = oneshot::channel();
        self.world().blocking(Box::new(move || {
            // Also in the simulated world, whose thread is that of the caller.
            match catch_unwind(AssertUnwindSafe(work)) {
                Ok(value) => sender.send(value),
                Err(_) => tracing::error!("blocking work panicked"),
            }
        }));
        receiver
    }
}
