//! A streamed response body: a bounded channel of bytes from a handler to its client.
//!
//! ```text
//!   open --writer dropped--> ending --all read--> ended
//!    |                          |
//!    +------- reader dropped ---+--> closed   (on_closed runs, writes answer Closed)
//!    +------- writer aborts --------> broken  (the client's connection is cut)
//! ```
//!
//! A writer never waits: a client that does not read fills the channel, and the writer learns so
//! by [`BodyError::Full`].

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use futures_core::Stream;

/// Why bytes were not taken, or why a stream broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The client went away.
    #[error("the client closed the stream")]
    Closed,
    /// The client reads too slowly: the bytes do not fit, none were taken.
    #[error("the stream is full: its client does not read fast enough")]
    Full,
    /// The writer broke the stream off.
    #[error("the stream was broken off")]
    Aborted,
}

type Callback = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    chunks: VecDeque<Bytes>,
    queued_bytes: usize,
    capacity_bytes: usize,
    writer_gone: bool,
    reader_gone: bool,
    aborted: bool,
    waker: Option<Waker>,
    on_closed: Vec<Callback>,
    on_abort: Option<Callback>,
    on_drained: Option<Callback>,
}

#[derive(Default)]
struct Shared(Mutex<State>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The handler's end of a streamed body. Dropping it ends the stream once all was read.
pub struct BodyWriter(Arc<Shared>);

/// The client's end of a streamed body: a [`Stream`] of chunks.
pub struct BodyReader {
    shared: Arc<Shared>,
    length: Option<u64>,
}

/// A channel that holds at most `capacity_bytes` not yet taken by the connection.
pub fn body_channel(capacity_bytes: usize) -> (BodyWriter, BodyReader) {
    let shared = Arc::new(Shared(Mutex::new(State {
        capacity_bytes,
        ..State::default()
    })));
    let reader = BodyReader {
        shared: Arc::clone(&shared),
        length: None,
    };
    (BodyWriter(shared), reader)
}

impl BodyWriter {
    /// Appends a chunk; an empty one is no chunk.
    ///
    /// # Errors
    ///
    /// [`BodyError::Closed`] once the client is gone; [`BodyError::Full`] where the chunk would
    /// exceed the capacity (one larger than the whole capacity never fits).
    pub fn write(&self, chunk: Bytes) -> Result<(), BodyError> {
        let mut state = self.0.lock();
        if state.reader_gone {
            return Err(BodyError::Closed);
        }
        if chunk.is_empty() {
            return Ok(());
        }
        if state.queued_bytes.saturating_add(chunk.len()) > state.capacity_bytes {
            return Err(BodyError::Full);
        }
        state.queued_bytes += chunk.len();
        state.chunks.push_back(chunk);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// Runs `callback` when the client goes away before the end of the stream; at once if it
    /// already has. Several may be set. They run on the connection's thread and must be short.
    pub fn on_closed(&self, callback: Box<dyn FnOnce() + Send>) {
        let mut state = self.0.lock();
        if state.reader_gone {
            drop(state);
            callback();
        } else {
            state.on_closed.push(callback);
        }
    }

    /// Runs `callback` once the connection has taken all that is queued; at once if nothing is. In
    /// place of one that was set before and has not run. Never runs if the client goes away first.
    pub fn on_drained(&self, callback: Box<dyn FnOnce() + Send>) {
        let mut state = self.0.lock();
        if state.reader_gone {
            return;
        }
        if state.chunks.is_empty() {
            drop(state);
            callback();
        } else {
            state.on_drained = Some(callback);
        }
    }

    /// Whether the client is gone.
    pub fn is_closed(&self) -> bool {
        self.0.lock().reader_gone
    }

    /// Bytes that the connection has not taken yet.
    pub fn queued_bytes(&self) -> usize {
        self.0.lock().queued_bytes
    }

    /// Breaks the stream off: what is queued is dropped and the client's connection is cut, so
    /// that the client cannot take it for a complete answer. For a client that does not read.
    pub fn abort(self) {
        let mut state = self.0.lock();
        state.aborted = true;
        state.chunks.clear();
        state.queued_bytes = 0;
        let (waker, on_abort) = (state.waker.take(), state.on_abort.take());
        drop(state);
        if let Some(on_abort) = on_abort {
            on_abort();
        }
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for BodyWriter {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.writer_gone = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl BodyReader {
    /// The same stream, of which it is known that it has `bytes`: the client is told so instead of
    /// getting it chunked. A writer that ends it early must abort it.
    #[must_use]
    pub fn sized(mut self, bytes: u64) -> Self {
        self.length = Some(bytes);
        self
    }

    /// How long the whole stream is, where that is known.
    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }

    /// Runs `callback` when the writer aborts, also while nobody polls the stream.
    pub(crate) fn on_abort(&self, callback: Box<dyn FnOnce() + Send>) {
        let mut state = self.shared.lock();
        if state.aborted {
            drop(state);
            callback();
        } else {
            state.on_abort = Some(callback);
        }
    }
}

impl Stream for BodyReader {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.shared.lock();
        if state.aborted {
            return Poll::Ready(Some(Err(BodyError::Aborted)));
        }
        if let Some(chunk) = state.chunks.pop_front() {
            state.queued_bytes -= chunk.len();
            let drained = state.chunks.is_empty();
            let on_drained = state.on_drained.take_if(|_| drained);
            drop(state);
            if let Some(on_drained) = on_drained {
                on_drained();
            }
            return Poll::Ready(Some(Ok(chunk)));
        }
        if state.writer_gone {
            return Poll::Ready(None);
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for BodyReader {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let complete = state.writer_gone && state.chunks.is_empty() && !state.aborted;
        state.reader_gone = true;
        state.chunks.clear();
        state.queued_bytes = 0;
        let callbacks = std::mem::take(&mut state.on_closed);
        let on_drained = state.on_drained.take();
        drop(state);
        drop(on_drained);
        if !complete {
            callbacks.into_iter().for_each(|callback| callback());
        }
    }
}

impl fmt::Debug for BodyWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyWriter")
            .field("queued_bytes", &self.queued_bytes())
            .finish()
    }
}

impl fmt::Debug for BodyReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyReader")
            .field("queued_bytes", &self.shared.lock().queued_bytes)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::{FutureExt as _, StreamExt as _};

    use super::*;

    fn counter() -> (Arc<AtomicU32>, Box<dyn FnOnce() + Send>) {
        let count = Arc::new(AtomicU32::new(0));
        let other = Arc::clone(&count);
        (
            count,
            Box::new(move || {
                other.fetch_add(1, Ordering::Relaxed);
            }),
        )
    }

    #[test]
    fn a_full_channel_takes_nothing_until_the_client_reads() {
        let (writer, mut reader) = body_channel(8);
        assert_eq!(writer.write(Bytes::from_static(b"12345")), Ok(()));
        assert_eq!(
            writer.write(Bytes::from_static(b"6789")),
            Err(BodyError::Full)
        );
        assert_eq!(writer.write(Bytes::from_static(b"678")), Ok(()));
        assert_eq!(writer.queued_bytes(), 8);
        let first = reader.next().now_or_never();
        assert_eq!(first, Some(Some(Ok(Bytes::from_static(b"12345")))));
        assert_eq!(writer.write(Bytes::from_static(b"6789")), Ok(()));
        assert_eq!(
            writer.write(Bytes::from_static(b"123456789")),
            Err(BodyError::Full)
        );
    }

    #[test]
    fn dropping_the_writer_ends_the_stream_after_what_is_queued() {
        let (writer, mut reader) = body_channel(8);
        let (closed, callback) = counter();
        writer.on_closed(callback);
        writer.write(Bytes::from_static(b"last")).unwrap();
        drop(writer);
        let rest = reader.next().now_or_never();
        assert_eq!(rest, Some(Some(Ok(Bytes::from_static(b"last")))));
        assert_eq!(reader.next().now_or_never(), Some(None));
        drop(reader);
        assert_eq!(closed.load(Ordering::Relaxed), 0, "the stream was complete");
    }

    #[test]
    fn a_client_that_leaves_is_told_to_the_writer_once() {
        let (writer, reader) = body_channel(8);
        let (closed, callback) = counter();
        writer.on_closed(callback);
        drop(reader);
        assert_eq!(closed.load(Ordering::Relaxed), 1);
        assert_eq!(
            writer.write(Bytes::from_static(b"x")),
            Err(BodyError::Closed)
        );
        let (late, callback) = counter();
        writer.on_closed(callback);
        assert_eq!(
            late.load(Ordering::Relaxed),
            1,
            "set after the client left: at once"
        );
        drop(writer);
        assert_eq!(closed.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_writer_hears_when_all_was_taken() {
        let (writer, mut reader) = body_channel(8);
        let (at_once, callback) = counter();
        writer.on_drained(callback);
        assert_eq!(at_once.load(Ordering::Relaxed), 1, "nothing is queued");
        writer.write(Bytes::from_static(b"ab")).unwrap();
        writer.write(Bytes::from_static(b"cd")).unwrap();
        let (drained, callback) = counter();
        writer.on_drained(callback);
        assert!(reader.next().now_or_never().is_some());
        assert_eq!(drained.load(Ordering::Relaxed), 0, "one chunk is left");
        assert!(reader.next().now_or_never().is_some());
        assert_eq!(drained.load(Ordering::Relaxed), 1);
        writer.write(Bytes::from_static(b"ef")).unwrap();
        let (never, callback) = counter();
        writer.on_drained(callback);
        drop(reader);
        assert_eq!(never.load(Ordering::Relaxed), 0, "the client left");
    }

    #[test]
    fn an_aborted_stream_is_an_error_and_drops_what_was_queued() {
        let (writer, mut reader) = body_channel(8);
        let (aborted, callback) = counter();
        reader.on_abort(callback);
        writer.write(Bytes::from_static(b"half")).unwrap();
        writer.abort();
        assert_eq!(aborted.load(Ordering::Relaxed), 1);
        assert_eq!(
            reader.next().now_or_never(),
            Some(Some(Err(BodyError::Aborted)))
        );
    }
}
