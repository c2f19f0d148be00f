//! Every type of the schema by its wire name, as a function that reads one encoding and writes
//! others; and the descriptors to draw messages from.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost_reflect::DescriptorPool;
use tepui_message::{CodecError, Encoding, Message};

/// Reads a body in one encoding and writes what was read in each of the three of [`ALL`].
pub(crate) type Transcode = fn(Encoding, &[u8]) -> Result<[Bytes; 3], CodecError>;

/// The encodings, in the order of a [`Transcode`]'s answer.
pub(crate) const ALL: [Encoding; 3] = [Encoding::MessagePack, Encoding::Json, Encoding::Protobuf];

/// Every type.
pub(crate) fn types() -> BTreeMap<&'static str, Transcode> {
    let entries = include!(concat!(env!("OUT_DIR"), "/registry.rs"));
    entries.into_iter().collect()
}

fn entry<M: Message>() -> (&'static str, Transcode) {
    (M::NAME, transcode::<M>)
}

fn transcode<M: Message>(from: Encoding, body: &[u8]) -> Result<[Bytes; 3], CodecError> {
    let message = M::decode(from, body)?;
    let [first, second, third] = ALL;
    Ok([
        message.encode(first)?,
        message.encode(second)?,
        message.encode(third)?,
    ])
}

/// The descriptors of the schema, with the names of the wire.
pub(crate) const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The descriptors, ready to make messages of.
pub(crate) fn pool() -> DescriptorPool {
    DescriptorPool::decode(DESCRIPTORS).expect("the crate's own descriptors")
}
