//! Protocol buffers with Mesos' field numbers.
//!
//! `prost` neither asks for required fields nor closes enums, so the bytes are walked first, by
//! the tables of `shape`.

use std::borrow::Cow;

use bytes::Bytes;
use tepui_message::CodecError;

use crate::fault::Fault;
use crate::message::Schema;
use crate::{repair, walk};

/// Writes a message as protocol buffers.
pub fn encode<M: Schema>(message: &M) -> Bytes {
    let bytes = message.encode_to_vec();
    if M::SHAPE.has_maps && !repair::has_whole_maps(M::SHAPE, &bytes) {
        return Bytes::from(repair::with_whole_maps(M::SHAPE, &bytes));
    }
    Bytes::from(bytes)
}

/// Reads a message from protocol buffers.
///
/// An enum number that the schema does not know is dropped where the field is optional or
/// repeated, as Mesos' own reader drops it.
///
/// # Errors
/// [`CodecError::Decode`] with the path of the required field that is missing, or of what is
/// malformed or nested deeper than 100 messages.
pub fn decode<M: Schema>(body: &[u8]) -> Result<M, CodecError> {
    let failed = |fault: Fault| fault.into_error(M::SHAPE.name);
    let found = walk::check(M::SHAPE, body).map_err(failed)?;
    let body = match found {
        walk::Enums::Known => Cow::Borrowed(body),
        walk::Enums::Unknown => Cow::Owned(repair::without_unknown_enums(M::SHAPE, body)),
    };
    M::decode(&*body).map_err(|error| failed(Fault::new(error.to_string())))
}
