//! What stands in for the outside in the simulated world.
//!
//! `network` carries messages between nodes in memory, with latency, partitions and breaks;
//! `wires` is its state. Time and the order of events are the world's.

pub(crate) mod network;
mod wires;

pub use self::network::Network;
