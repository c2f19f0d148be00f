//! `tepui execute`: one task, or one group of tasks, on a cluster that runs already. Mesos'
//! `mesos-execute`: a framework on the v1 scheduler API that launches it on the first offer in which
//! it fits, prints what is said of it, and ends with it.
//!
//! `plan.rs` reads the flags, `core.rs` decides, `process.rs` carries out, `client.rs` speaks HTTP.

mod client;
mod core;
mod plan;
mod process;

use std::process::ExitCode;

use tepui_runtime::{Id, Node, NodeOptions, RealOptions, World};
use tokio::sync::oneshot;

#[cfg(test)]
pub(crate) use self::plan::plan;
use self::{client::Client, core::Core, process::Execute};
use crate::{
    command::Command,
    failure::Failure,
    flags::{EXECUTE, Values},
};

/// The command.
pub(crate) const COMMAND: Command = Command {
    name: "execute",
    summary: "Run a task or a group of tasks on a cluster; the exit status is 0 if all have finished.",
    groups: &[EXECUTE],
    environment: false,
    run,
};

fn run(values: &Values) -> Result<ExitCode, Failure> {
    let plan = plan::plan(values)?;
    let failed = |problem: tepui_runtime::SpawnError| Failure::Start {
        what: "the scheduler",
        problem: problem.to_string(),
    };
    let world = World::real(RealOptions {
        arbiters: 1,
        blocking_threads: 4,
    })?;
    // It listens on loopback, with nothing to be found there: all goes over its own connections.
    let node = Node::start(
        &world,
        NodeOptions {
            name: "execute".to_owned(),
            ..NodeOptions::default()
        },
    )?;
    let (done, is_done) = oneshot::channel();
    let client = Client::new(plan.master, plan.encoding);
    let core = Core::new(plan.framework, plan.work, plan.kill_after);
    node.spawn(Id::chosen("execute"), Execute::new(core, client, done))
        .map_err(failed)?;
    let success = world.block_on(is_done).unwrap_or(false);
    world.block_on(node.shutdown());
    Ok(if success {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
