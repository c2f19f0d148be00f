//! The master of a cluster: frameworks, agents, offers, tasks, and the registrar.
//!
//! [`core`] decides, in plain Rust: a state, inputs, and the effects it asks for. `process` stands
//! around it and carries them out. [`registrar`] keeps what must survive. [`snapshot`] is what
//! readers see, from one consistent instant.
//!
//! [`spawn`] starts it all on a node, in the daemon, in `tepui local` and in the simulated world.

pub mod core;
mod metrics;
mod options;
mod process;
mod published;
pub mod registrar;
pub mod snapshot;

pub use crate::core::{operates, supported, supported_operation, validation};
pub use crate::options::{MasterOptions, RegistryKind};
pub use crate::process::{MASTER_ID, MESOS_VERSION, Master, MasterError, spawn};
pub use crate::published::Published;
pub use crate::snapshot::Snapshot;
