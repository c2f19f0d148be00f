//! The gateway: HTTP in, typed messages out.
//!
//! A node's routes below `master` and `slave(1)`: the scheduler API, the executor API, the APIs of
//! operators, the views of the state, sandbox files, metrics. Each open stream of events, and each
//! call that waits, is represented by an actor, so that master and agent know whom they serve by
//! PID only. Knows HTTP's rules; decides nothing about the cluster.
//!
//! Read `routes.rs` first, then `scheduler.rs` and `views/state.rs`.

mod agent_operator;
pub mod checks;
mod defaults;
mod executor;
mod files;
mod help;
mod http_executor;
mod http_scheduler;
pub mod metric_keys;
mod operator;
mod options;
mod routes;
mod scheduler;
mod sessions;
mod stream;
pub mod units;
pub mod validate;
mod views;
mod why;

pub use self::{
    executor::{AgentView, ValidateExecutorCall},
    options::{ApiOptions, Verbosity},
    routes::{agent_routes, executor_routes, master_routes, scheduler_routes},
    scheduler::{FindFramework, Framework, MasterView, UpdateFramework},
    views::{MESOS_VERSION, TEPUI_VERSION},
};
