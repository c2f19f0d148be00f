//! A whole cluster in the simulated world, under faults that follow from a seed.
//!
//! Not here: the world itself (`tepui_runtime`) and the rules that it is held to
//! (`tepui_invariants`).

mod cluster;
mod crew;
mod faults;
mod framework;
mod http_client;
pub mod kit;
mod observer;
mod run;
mod temperament;
mod wishes;

pub use cluster::{AgentHost, Cluster, ClusterError, ClusterOptions};
pub use faults::{Blocked, Fault, Planned, plan};
pub use http_client::{HttpFramework, spawn_http};
pub use observer::Observer;
pub use run::{Outcome, RunOptions, Watch, run, run_watched};
pub use temperament::Temperament;
