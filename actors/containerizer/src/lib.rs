//! How a task is isolated: launchers, limits, and the executors that come with the agent.
//!
//! [`linux::spawn`] starts the process `containerizer(N)` of a real host and [`simulated::spawn`]
//! that of the simulated world; both take the messages `tepui.containerizer.*` and have one core.
//! [`main_contain`], [`main_executor`] and [`main_default_executor`] are the roles in which the one
//! binary runs inside containers: they are called before anything else is started.
//!
//! Not here: which task runs where, what a framework is told, and sandboxes. An agent knows that.

pub mod linux;
pub mod simulated;

mod core;
mod executor;
mod isolation;
mod kernel;
mod launch;
mod limits;
mod process;
mod spec;
mod unsupported;

pub use executor::group::role::main_default_executor;
pub use executor::role::main_executor;
pub use isolation::Isolation;
pub use kernel::contain::main_contain;
pub use kernel::fetch::role::main_fetch;
pub use kernel::launcher::LauncherError;
pub use kernel::sys::share_arenas;
pub use unsupported::{unsupported_executor_fields, unsupported_fields, unsupported_task_fields};
