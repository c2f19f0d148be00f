//! Bounds on how long sockets may take. Real sockets live on the kernel's time, whatever a node's
//! clock says; nothing that a process can observe hangs on these but a broken connection.

use std::{future::Future, time::Duration};

use tokio::time::{Instant, Sleep, Timeout, error::Elapsed};

/// Becomes ready after a duration.
#[expect(
    clippy::disallowed_methods,
    reason = "sockets live on the kernel's time"
)]
pub(super) fn sleep(duration: Duration) -> Sleep {
    tokio::time::sleep(duration)
}

/// Gives a future so long.
#[expect(
    clippy::disallowed_methods,
    reason = "sockets live on the kernel's time"
)]
pub(super) fn timeout<F: Future>(duration: Duration, future: F) -> Timeout<F> {
    tokio::time::timeout(duration, future)
}

/// Gives a future until a point in time.
pub(super) async fn timeout_at<F: Future>(
    deadline: Instant,
    future: F,
) -> Result<F::Output, Elapsed> {
    tokio::time::timeout_at(deadline, future).await
}
