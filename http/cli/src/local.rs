//! `tepui local`: a master and agents in one OS process, until SIGINT or SIGTERM. Mesos'
//! `mesos-local`: all flags of master and agent may be given beside its own.

use std::{path::PathBuf, process::ExitCode};

use tracing::{info, warn};

use crate::{
    agent, cluster,
    command::Command,
    failure::Failure,
    flags::{AGENT, FlagError, LOCAL, MASTER, Values},
    listening::Listening,
    master,
    signals::Signals,
};

/// The command. A flag that stands in several tables is taken from the first.
pub(crate) const COMMAND: Command = Command {
    name: "local",
    summary: "Run a master and agents in one process, for trying things out.",
    groups: &[&[("The cluster in one process", LOCAL)], MASTER, AGENT],
    environment: true,
    run,
};

/// More agents in one process than this help nobody.
const MAX_AGENTS: usize = 1000;

fn run(values: &Values) -> Result<ExitCode, Failure> {
    let listening = Listening::of(values, "master")?;
    let count: usize = values.parsed("num_agents").unwrap_or(1);
    if count > MAX_AGENTS {
        let problem = format!("expected at most {MAX_AGENTS}");
        return Err(FlagError::BadValue {
            name: "num_agents",
            problem,
        }
        .into());
    }
    let mut options = master::options(values)?;
    options.hostname = Some(listening.hostname.clone());
    let work_dir = values
        .path("work_dir")
        .unwrap_or_else(|| PathBuf::from("/tmp/mesos/work"));
    let work_dir = cluster::absolute(&work_dir)?;
    let world = cluster::world(values)?;
    let mut signals = Signals::watch(&world).map_err(Failure::Signals)?;
    let who = cluster::who("local", listening.node.port);
    let _lock = cluster::lock(&world, &work_dir, "lock", &who)?;
    let api = cluster::api_options(master::COMMAND.groups, values, COMMAND.name);
    let running = cluster::start_master(&world, listening.node.clone(), options, api)?;
    if !listening.warning.is_empty() {
        warn!("the cluster {}", listening.warning);
    }
    let mut agents = Vec::new();
    for number in 1..=count {
        let folder = work_dir.join("agents").join((number - 1).to_string());
        let mut listening = listening.clone();
        listening.node.name = format!("agent-{number}");
        listening.node.port = 0;
        listening.node.advertise = None;
        let mut values = values.clone();
        values.set(
            "runtime_dir",
            folder.join("run").to_string_lossy().into_owned(),
        );
        let master = running.pid().clone();
        let plan = agent::plan(
            &values,
            listening,
            master,
            folder.join("work"),
            number,
            COMMAND.name,
        )?;
        let agent = cluster::start_agent(&world, plan)?;
        info!(pid = %agent.agent.pid, "agent {number} of {count} is up");
        agents.push(agent);
    }
    let signal = world.block_on(signals.next());
    info!(%signal, "the cluster ends");
    for agent in agents {
        world.block_on(agent.node.shutdown());
    }
    running.stop(&world);
    Ok(ExitCode::SUCCESS)
}
