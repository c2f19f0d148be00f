//! The gateway: HTTP in, typed messages out.
//!
//! A node's routes below `master` and `slave(1)`: the scheduler API, the executor API, the views of
//! the state, sandbox files, metrics. Each open stream of events is represented by an actor, so
//! that master and agent know frameworks and executors by PID only. Knows HTTP's rules; decides
//! nothing about the cluster.
//!
//! Read `routes.rs` first, then `scheduler.rs` and `views/state.rs`.

pub mod checks;
mod executor;
mod files;
mod http_executor;
mod http_scheduler;
pub mod metric_keys;
mod options;
mod routes;
mod scheduler;
mod sessions;
mod stream;
pub mod units;
pub mod validate;
mod views;

pub use self::{
    executor::{AgentView, ValidateExecutorCall},
    options::ApiOptions,
    routes::{agent_routes, executor_routes, master_routes, scheduler_routes},
    scheduler::{CheckCall, FindFramework, Framework, MasterView},
    views::{MESOS_VERSION, TEPUI_VERSION},
};
