//! One open stream of events: each is encoded, framed as a RecordIO record and handed to the
//! connection. Knows nothing of who speaks on it.

use bytes::Bytes;
use tepui_protocol::recordio;
use tepui_runtime::{
    CodecError, Encoding, Message,
    http::{BodyError, BodyWriter},
};

/// Why a stream is over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StreamEnd {
    /// The client is gone.
    #[error("the client closed the stream")]
    Closed,
    /// The client does not read: so many bytes were waiting for it.
    #[error("the client does not read its stream ({queued_bytes} bytes waiting)")]
    Stuck {
        /// Bytes that the client had not taken.
        queued_bytes: usize,
    },
    /// An event could not be written in the stream's encoding.
    #[error("an event cannot be encoded: {0}")]
    Encode(#[from] CodecError),
}

/// The writing end of a stream of events in one encoding.
#[derive(Debug)]
pub(crate) struct EventStream {
    writer: BodyWriter,
    encoding: Encoding,
}

impl EventStream {
    pub(crate) fn new(writer: BodyWriter, encoding: Encoding) -> Self {
        Self { writer, encoding }
    }

    /// Appends one event.
    pub(crate) fn write<M: Message>(&self, event: &M) -> Result<(), StreamEnd> {
        let record: Bytes = event.encode(self.encoding)?;
        self.writer
            .write(recordio::encode(&record))
            .map_err(|problem| match problem {
                BodyError::Full => StreamEnd::Stuck {
                    queued_bytes: self.writer.queued_bytes(),
                },
                BodyError::Closed | BodyError::Aborted => StreamEnd::Closed,
            })
    }

    /// Runs `callback` when the client goes away.
    pub(crate) fn on_closed(&self, callback: impl FnOnce() + Send + 'static) {
        self.writer.on_closed(Box::new(callback));
    }

    /// Cuts the client's connection: a stuck client shall not take the rest for a whole stream.
    pub(crate) fn abort(self) {
        self.writer.abort();
    }
}
