//! A whole cluster in the simulated world, under faults that follow from a seed.
//!
//! Not here: the world itself (`tepui_runtime`) and the rules that it is held to
//! (`tepui_invariants`).

mod cluster;

pub use cluster::{AgentHost, Cluster, ClusterError, ClusterOptions};
