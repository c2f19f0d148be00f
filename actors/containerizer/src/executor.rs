//! The executors that come with the agent. Here the command executor, which runs one task's
//! command; the default executor, of groups of tasks, is in `group`. The pure core decides; beside
//! it are its two bodies: the role `executor` of the binary (its own process in the container,
//! speaking HTTP to the agent) and the actor of the simulated world. What both executors do alike
//! is in `checks`, `post`, `variables` and `line`.

pub(crate) mod checks;
pub(crate) mod core;
pub(crate) mod group;
pub(crate) mod http;
pub(crate) mod line;
pub(crate) mod post;
pub(crate) mod probe;
pub(crate) mod role;
pub(crate) mod script;
pub(crate) mod settings;
pub(crate) mod simulated;
pub(crate) mod status;
pub(crate) mod task;
pub(crate) mod variables;
