//! One open stream of events: each is encoded, framed as a RecordIO record and handed to the
//! connection. Knows nothing of who speaks on it.

use std::cell::Cell;

use bytes::Bytes;
use serde::Serialize;
use tepui_protocol::recordio;
use tepui_runtime::{
    CodecError, Encoding, Message,
    http::{BodyError, BodyWriter},
};

/// Room for the length in front of a record.
const FRONT: usize = 21;

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
    /// About how long the longest of the last events was: with a hundred offers it is long, and to
    /// make room for it bit by bit takes as long as to write it.
    longest: Cell<usize>,
}

impl EventStream {
    pub(crate) fn new(writer: BodyWriter, encoding: Encoding) -> Self {
        let longest = Cell::new(0);
        Self {
            writer,
            encoding,
            longest,
        }
    }

    /// In which its records are written.
    pub(crate) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Appends one event.
    pub(crate) fn write<M: Message + Serialize>(&self, event: &M) -> Result<(), StreamEnd> {
        let record = match self.encoding {
            Encoding::Json => self.json(event)?,
            other => recordio::encode(&event.encode(other)?),
        };
        self.writer.write(record).map_err(|problem| match problem {
            BodyError::Full => StreamEnd::Stuck {
                queued_bytes: self.writer.queued_bytes(),
            },
            BodyError::Closed | BodyError::Aborted => StreamEnd::Closed,
        })
    }

    /// A record in JSON, written where it stays; the length in front of it is known last.
    fn json<M: Message + Serialize>(&self, event: &M) -> Result<Bytes, CodecError> {
        let longest = self.longest.get();
        let mut record = Vec::with_capacity(FRONT + longest.max(256));
        record.resize(FRONT, 0);
        serde_json::to_writer(&mut record, event).map_err(|error| CodecError::Encode {
            message: M::NAME.to_owned(),
            problem: error.to_string(),
        })?;
        let length = record.len() - FRONT;
        self.longest.set(length.max(longest - longest / 4));
        if record.capacity() > 2 * record.len() {
            record.shrink_to_fit();
        }
        let front = format!("{length}\n");
        let start = FRONT - front.len();
        record[start..FRONT].copy_from_slice(front.as_bytes());
        Ok(Bytes::from(record).slice(start..))
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
