//! One node of a cluster: it registers with the master, runs tasks in containers, and sees to it
//! that every status update arrives.
//!
//! `core` decides, `updates` is the status update manager, `checkpoint` is what survives a
//! restart, `process` is the actor `slave(1)` around them. The containers themselves are the
//! containerizer's, in a crate of its own.

pub mod checkpoint;
pub mod core;
mod options;
mod process;
pub mod snapshot;
pub mod updates;

pub use self::options::AgentOptions;
pub use self::process::{AGENT_ID, Agent, AgentError, spawn};
pub use self::snapshot::{ExecutorView, FrameworkView, Snapshot, SnapshotCell};
