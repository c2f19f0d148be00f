//! The command executor: the executor that comes with the agent and runs one task's command.
//! The pure core decides; beside it are its two bodies: the role `executor` of the binary (its own
//! process in the container, speaking HTTP to the agent) and the actor of the simulated world.

pub(crate) mod core;
pub(crate) mod http;
pub(crate) mod probe;
pub(crate) mod role;
pub(crate) mod script;
pub(crate) mod settings;
pub(crate) mod simulated;
pub(crate) mod status;
pub(crate) mod task;
