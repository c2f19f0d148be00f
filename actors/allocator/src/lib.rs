//! Who is offered what, and when, and why not.
//!
//! The decisions are in [`core`], plain and synchronous. Around it stands one process,
//! [`AllocatorProcess`], which serves one master: it is told of frameworks, agents and resources
//! by the messages of `tepui.allocator` and [`PauseResources`], and answers with `Allocations` alone.

pub mod core;

mod excluded;
mod intake;
mod log;
mod options;
mod pause;
mod process;
mod publish;
mod whitelist;

pub use core::{
    AllocatorError, ConstraintError, Constraints, Options, PatternError, PatternLimits, Reason,
};
pub use excluded::excluded;
pub use options::{AllocatorOptions, OptionsError, parse_min_allocatable_resources, parse_weights};
pub use pause::PauseResources;
pub use process::{ALLOCATOR_ID_PREFIX, AllocatorProcess, spawn};
