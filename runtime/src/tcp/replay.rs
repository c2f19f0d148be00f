//! A connection as the HTTP server sees it: first what was already read of it, then the socket.
//!
//! Beyond that it ends a connection which the HTTP server would keep: one whose client reads
//! nothing for long, one whose client has gone while bytes for it wait, one that a handler cuts,
//! and one whose client was refused and sends on.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf as _, BytesMut};
use futures_util::task::AtomicWaker;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Sleep,
};

use super::{Limits, time::sleep};
use crate::metrics::Counter;

/// Of what a refused client still sends, so much is read while its answer is on its way.
const MAX_SCRAP_BYTES: usize = 256 * 1024;

/// After so many bytes written in one go the thread's other tasks have their turn, processes among
/// them: a client that reads as fast as it is written to would hold them up for a whole answer.
const TURN_BYTES: usize = 128 * 1024;

/// Cuts a connection from anywhere.
#[derive(Default)]
pub(super) struct Cut {
    done: AtomicBool,
    deaf: AtomicBool,
    waker: AtomicWaker,
}

impl Cut {
    /// Ends the connection without sending what waits.
    pub(super) fn cut(&self) {
        self.done.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Reads nothing more: the answer is the connection's last, whatever the client still sends.
    pub(super) fn deafen(&self) {
        self.deaf.store(true, Ordering::Release);
    }

    fn is_deaf(&self) -> bool {
        self.deaf.load(Ordering::Acquire)
    }

    /// An error once the connection was cut; else `cx` is woken when it is.
    fn check(&self, cx: &Context<'_>) -> io::Result<()> {
        self.waker.register(cx.waker());
        if self.done.load(Ordering::Acquire) {
            return Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "cut by its handler",
            ));
        }
        Ok(())
    }
}

/// The stream.
pub(super) struct Replay {
    front: BytesMut,
    stream: TcpStream,
    cut: std::sync::Arc<Cut>,
    /// The client has sent its last byte.
    ended: bool,
    /// The last answer is being sent, and so much is still read to no avail.
    refused: bool,
    scrap_left: usize,
    /// Bytes written in this turn.
    written: usize,
    linger: Duration,
    /// Runs while a write waits for the client to read.
    stall: Option<Pin<Box<Sleep>>>,
    stall_timeout: Duration,
    stuck: Counter,
}

impl Replay {
    /// `front` is what was read of `stream` before; a write that waits longer than the limits'
    /// `stall_timeout` ends the connection and is counted in `stuck`.
    pub(super) fn new(front: BytesMut, stream: TcpStream, limits: &Limits, stuck: Counter) -> Self {
        let Limits {
            stall_timeout,
            linger,
            ..
        } = *limits;
        Self {
            front,
            stream,
            cut: std::sync::Arc::default(),
            ended: false,
            refused: false,
            scrap_left: MAX_SCRAP_BYTES,
            written: 0,
            linger,
            stall: None,
            stall_timeout,
            stuck,
        }
    }

    /// What cuts this connection.
    pub(super) fn cut(&self) -> std::sync::Arc<Cut> {
        std::sync::Arc::clone(&self.cut)
    }

    /// Bounds how long a write waits.
    fn stalled(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.ended {
            return Poll::Ready(Err(io::Error::from(io::ErrorKind::BrokenPipe)));
        }
        let timeout = self.stall_timeout;
        let stall = self.stall.get_or_insert_with(|| Box::pin(sleep(timeout)));
        if stall.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.stuck.increment(1);
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the client reads nothing",
        )))
    }
}

impl Replay {
    /// Waits for a refused client to close as well: to close with something unread would reset the
    /// connection, and the client might lose the answer.
    fn let_go(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let linger = self.linger;
        let waited = self.stall.get_or_insert_with(|| Box::pin(sleep(linger)));
        if waited.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let mut scrap = [0; 4096];
        while self.scrap_left > 0 {
            let mut scrap = ReadBuf::new(&mut scrap);
            let read = Pin::new(&mut self.stream).poll_read(cx, &mut scrap);
            match (read, scrap.filled().len()) {
                (Poll::Pending, _) => return Poll::Pending,
                (Poll::Ready(Ok(())), count @ 1..) => {
                    self.scrap_left = self.scrap_left.saturating_sub(count);
                }
                (Poll::Ready(_), _) => return Poll::Ready(Ok(())),
            }
        }
        Poll::Pending
    }
}

impl AsyncRead for Replay {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.cut.check(cx)?;
        if self.cut.is_deaf() {
            // Once the refusal is sent, this is the end for the HTTP server.
            return if self.refused {
                Poll::Ready(Ok(()))
            } else {
                Poll::Pending
            };
        }
        if !self.front.is_empty() {
            let here = self.front.len().min(out.remaining());
            out.put_slice(&self.front[..here]);
            self.front.advance(here);
            if self.front.is_empty() {
                self.front = BytesMut::new();
            }
            return Poll::Ready(Ok(()));
        }
        let before = out.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, out);
        if matches!(read, Poll::Ready(Ok(()))) && out.filled().len() == before {
            self.ended = true;
        }
        read
    }
}

impl AsyncWrite for Replay {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.cut.check(cx)?;
        if self.written >= TURN_BYTES {
            self.written = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        let Poll::Ready(written) = written else {
            self.written = 0;
            return self.stalled(cx);
        };
        self.written += written.as_ref().map_or(0, |count| *count);
        self.stall = None;
        if self.cut.is_deaf() && !self.refused {
            self.refused = true;
            // Whoever waits to read learns that this is the end.
            cx.waker().wake_by_ref();
        }
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        if shut.is_pending() || !self.cut.is_deaf() {
            return shut;
        }
        self.let_go(cx)
    }
}
