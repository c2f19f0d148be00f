//! JSON with Mesos' conventions: keys as in the schema, enums by name, bytes in base64, 64-bit
//! numbers as numbers (or texts, when read), null as absent, what is unset left out, unknown keys
//! ignored.
//!
//! Not here: the form of a single value (`form`); `/state` and its kin, which are views.

use tepui_message::CodecError;

use crate::fault::Fault;
use crate::message::Schema;
use crate::node::Node;

/// Writes a message as JSON.
///
/// # Errors
/// [`CodecError::Encode`], which no message of the schema gives.
pub fn to_vec<M: Schema>(message: &M) -> Result<Vec<u8>, CodecError> {
    serde_json::to_vec(message).map_err(|error| CodecError::Encode {
        message: M::SHAPE.name.to_owned(),
        problem: error.to_string(),
    })
}

/// Writes a message as JSON text.
///
/// # Errors
/// As [`to_vec`].
pub fn to_string<M: Schema>(message: &M) -> Result<String, CodecError> {
    serde_json::to_string(message).map_err(|error| CodecError::Encode {
        message: M::SHAPE.name.to_owned(),
        problem: error.to_string(),
    })
}

/// Reads a message from JSON.
///
/// # Errors
/// [`CodecError::Decode`] with the path of what is missing or wrong, also for what follows the
/// message or is nested deeper than 128 levels.
pub fn from_slice<M: Schema>(body: &[u8]) -> Result<M, CodecError> {
    let read = parse(body).and_then(|tree| tree.into_message(true));
    read.map_err(|fault| fault.into_error(M::SHAPE.name))
}

fn parse(body: &[u8]) -> Result<Node<'_>, Fault> {
    serde_json::from_slice(body).map_err(|error| Fault::new(error.to_string()))
}
