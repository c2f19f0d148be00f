//! MessagePack, as Tepui's nodes write it to each other: maps with the names of the schema, enums
//! as numbers, bytes as they are.
//!
//! Not here: the form of a single value (`form`).

use std::io::ErrorKind;

use rmp_serde::decode::{Error, ReadRefReader};
use serde::de::{Deserialize as _, IgnoredAny};
use tepui_message::CodecError;

use crate::fault::Fault;
use crate::message::Schema;
use crate::node::Node;

/// How deep maps and lists may be nested; as in JSON.
const MAX_DEPTH: usize = 128;

/// Writes a message as MessagePack.
///
/// # Errors
/// [`CodecError::Encode`], which no message of the schema gives.
pub fn to_vec<M: Schema>(message: &M) -> Result<Vec<u8>, CodecError> {
    rmp_serde::to_vec_named(message).map_err(|error| CodecError::Encode {
        message: M::SHAPE.name.to_owned(),
        problem: error.to_string(),
    })
}

/// Reads a message from MessagePack.
///
/// # Errors
/// [`CodecError::Decode`] with the path of what is missing or wrong, also for what follows the
/// message or is nested deeper than 128 levels.
pub fn from_slice<M: Schema>(body: &[u8]) -> Result<M, CodecError> {
    let read = parse(body).and_then(|tree| tree.into_message(false));
    read.map_err(|fault| fault.into_error(M::SHAPE.name))
}

fn parse(body: &[u8]) -> Result<Node<'_>, Fault> {
    let mut reader = rmp_serde::Deserializer::from_read_ref(body);
    reader.set_max_depth(MAX_DEPTH);
    let tree = Node::deserialize(&mut reader).map_err(|error| Fault::new(error.to_string()))?;
    if is_at_end(&mut reader) {
        Ok(tree)
    } else {
        Err(Fault::new("more bytes after the message"))
    }
}

/// Whether nothing is left to read.
fn is_at_end(reader: &mut rmp_serde::Deserializer<ReadRefReader<'_, [u8]>>) -> bool {
    match IgnoredAny::deserialize(reader) {
        Err(Error::InvalidMarkerRead(error)) => error.kind() == ErrorKind::UnexpectedEof,
        _ => false,
    }
}
