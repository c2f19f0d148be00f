//! The language spoken between the parts of a cluster: one schema, three encodings.
//!
//! What is here: the messages of `proto/` as Rust types ([`mesos`], [`tepui`]), each a
//! [`tepui_message::Message`] in MessagePack, JSON and protobuf; the rules for ids and roles; and
//! RecordIO. What is not: what any message makes anyone do.

pub mod attributes;
pub mod ids;
pub mod json;
pub mod message;
pub mod msgpack;
pub mod protobuf;
pub mod recordio;
pub mod resources;
pub mod roles;
pub mod shape;

mod fault;
mod form;
mod node;
mod repair;
mod walk;
mod wire;

#[expect(
    missing_docs,
    reason = "generated from proto/, where each file says what its messages are"
)]
mod schema {
    include!(concat!(env!("OUT_DIR"), "/schema.rs"));
}

pub use message::Schema;
pub use schema::{google, mesos, tepui};
