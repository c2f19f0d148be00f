//! How a type of the schema becomes a [`tepui_message::Message`] in three encodings.
//!
//! Not here: the encodings themselves (`json`, `msgpack`, `protobuf`).

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tepui_message::{CodecError, Encoding};

use crate::shape::MessageShape;
use crate::{json, msgpack, protobuf};

/// The encodings of every message of the schema; MessagePack is preferred between Tepui's nodes.
pub const ENCODINGS: &[Encoding] = &[Encoding::MessagePack, Encoding::Json, Encoding::Protobuf];

/// A message of the schema.
pub trait Schema: prost::Message + Default + Serialize + DeserializeOwned {
    /// What it looks like on the wire.
    const SHAPE: &'static MessageShape;
}

/// Writes a message.
///
/// # Errors
/// [`CodecError::Encode`].
pub fn encode<M: Schema>(message: &M, encoding: Encoding) -> Result<Bytes, CodecError> {
    match encoding {
        Encoding::MessagePack => msgpack::to_vec(message).map(Bytes::from),
        Encoding::Json => json::to_vec(message).map(Bytes::from),
        Encoding::Protobuf => Ok(protobuf::encode(message)),
    }
}

/// Reads a message.
///
/// # Errors
/// [`CodecError::Decode`] with the path of what is missing or wrong.
pub fn decode<M: Schema>(encoding: Encoding, body: &[u8]) -> Result<M, CodecError> {
    match encoding {
        Encoding::MessagePack => msgpack::from_slice(body),
        Encoding::Json => json::from_slice(body),
        Encoding::Protobuf => protobuf::decode(body),
    }
}

macro_rules! message {
    ($type:ty, $name:literal, $shape:ident) => {
        impl crate::message::Schema for $type {
            const SHAPE: &'static MessageShape = &$shape;
        }

        impl tepui_message::Message for $type {
            const NAME: &'static str = $name;
            const ENCODINGS: &'static [tepui_message::Encoding] = crate::message::ENCODINGS;

            fn encode(
                &self,
                encoding: tepui_message::Encoding,
            ) -> Result<bytes::Bytes, tepui_message::CodecError> {
                crate::message::encode(self, encoding)
            }

            fn decode(
                encoding: tepui_message::Encoding,
                body: &[u8],
            ) -> Result<Self, tepui_message::CodecError> {
                crate::message::decode(encoding, body)
            }
        }
    };
}
pub(crate) use message;
