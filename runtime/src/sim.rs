//! What stands in for the outside in the simulated world.
//!
//! `network` carries messages between nodes in memory, with latency, partitions and breaks;
//! `wires` is its state. `http` carries requests, and `exchanges` is its state. Time and the order of
//! events are the world's.

mod exchanges;
mod http;
pub(crate) mod network;
mod wires;

pub use self::http::HttpError;
pub use self::network::Network;
