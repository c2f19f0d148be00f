//! The default executor: the executor that comes with the agent and runs groups of tasks, each task
//! in a container of its own that is nested in the executor's. As the command executor it has a
//! pure core and two bodies: the role `default-executor` of the binary, and the actor of the
//! simulated world.

pub(crate) mod core;
pub(crate) mod role;
pub(crate) mod simulated;
