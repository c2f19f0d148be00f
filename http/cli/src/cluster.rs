//! Putting the parts of a cluster together: one constructor for a master and one for an agent,
//! which the daemons, `tepui local` and `tepui run` all use.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tepui_agent::{Agent, AgentOptions};
use tepui_api::ApiOptions;
use tepui_containerizer::linux::{self, LinuxOptions};
use tepui_master::{Master, MasterOptions};
use tepui_protocol::{mesos::v1::Attribute, mesos::v1::DomainInfo, resources::Resources};
use tepui_runtime::{Lock, Node, NodeOptions, Pid, RealOptions, Terminate, World};

use crate::{
    command,
    failure::Failure,
    flags::{self, FlagError, Group, Values},
    logging::{self, Logging},
};

/// How long a folder's lock is waited for: long enough for a child of a killed daemon to let go.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);

/// The world of a daemon.
///
/// # Errors
///
/// [`Failure::World`].
pub(crate) fn world(values: &Values) -> Result<World, Failure> {
    let defaults = RealOptions::default();
    let threads = values.parsed("LIBPROCESS_NUM_WORKER_THREADS");
    Ok(World::real(RealOptions {
        arbiters: threads.map_or(defaults.arbiters, |threads: usize| threads.clamp(1, 1024)),
        ..defaults
    })?)
}

/// A master and the node it runs on.
pub(crate) struct RunningMaster {
    pub(crate) node: Node,
    pub(crate) master: Master,
}

impl RunningMaster {
    /// Where agents and frameworks reach it.
    pub(crate) fn pid(&self) -> &Pid {
        self.master.pid()
    }

    /// Ends the master, then its node: without its registrar a master would abort.
    pub(crate) fn stop(&self, world: &World) {
        self.node.terminate(self.pid(), Terminate::Now);
        world.block_on(self.node.wait(self.pid()));
        world.block_on(self.node.shutdown());
    }
}

/// Starts a master on a node of its own, with its HTTP API; nobody who connects finds the one
/// without the other.
///
/// # Errors
///
/// [`Failure::Node`], [`Failure::Start`], or [`Failure::Flag`] where the allocation log cannot be
/// written.
pub(crate) fn start_master(
    world: &World,
    node: NodeOptions,
    options: MasterOptions,
    api: ApiOptions,
) -> Result<RunningMaster, Failure> {
    if let Some(path) = &options.allocator.allocation_log {
        // Written from now on, and off the allocator's thread: this is when it can be refused.
        world.disk("").append(path, &[]).map_err(|problem| {
            let problem = format!("cannot write it: {problem}");
            let name = "allocation_log";
            FlagError::BadValue { name, problem }
        })?;
    }
    let node = Node::start(world, NodeOptions { held: true, ..node })?;
    let master = tepui_master::spawn(&node, options).map_err(|problem| Failure::Start {
        what: "the master",
        problem: problem.to_string(),
    })?;
    tepui_api::master_routes(&node, &master, api);
    node.open();
    Ok(RunningMaster { node, master })
}

/// What an agent is started with.
pub(crate) struct AgentPlan {
    pub(crate) node: NodeOptions,
    pub(crate) master: Pid,
    pub(crate) work_dir: PathBuf,
    pub(crate) hostname: String,
    pub(crate) resources: Resources,
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) domain: Option<DomainInfo>,
    pub(crate) containers: LinuxOptions,
    pub(crate) api: ApiOptions,
    /// What further options the operator chose; the rest is filled in from the above.
    pub(crate) adjust: fn(&mut AgentOptions, &Values),
    pub(crate) values: Values,
}

/// An agent and the node it runs on.
pub(crate) struct RunningAgent {
    pub(crate) node: Node,
    pub(crate) agent: Agent,
}

/// Starts an agent with its containerizer on a node of its own, with its HTTP API.
///
/// # Errors
///
/// [`Failure::Node`], or [`Failure::Start`] with what could not be started.
pub(crate) fn start_agent(world: &World, plan: AgentPlan) -> Result<RunningAgent, Failure> {
    let held = NodeOptions {
        held: true,
        ..plan.node
    };
    let node = Node::start(world, held)?;
    let failed = |what| move |problem: String| Failure::Start { what, problem };
    let containerizer = linux::spawn(&node, plan.containers)
        .map_err(|problem| failed("the containerizer")(problem.to_string()))?;
    let mut options = AgentOptions::new(plan.master, plan.work_dir, containerizer);
    options.hostname = plan.hostname;
    options.resources = plan.resources.to_proto();
    options.attributes = plan.attributes;
    options.domain = plan.domain;
    options.executor_environment = command::environment();
    options.executor_binary = std::env::current_exe()
        .map_err(|problem| failed("the executors' binary")(problem.to_string()))?;
    options.boot_id = boot_id(&node);
    (plan.adjust)(&mut options, &plan.values);
    let agent = tepui_agent::spawn(&node, options)
        .map_err(|problem| failed("the agent")(problem.to_string()))?;
    tepui_api::agent_routes(&node, &agent, plan.api);
    node.open();
    Ok(RunningAgent { node, agent })
}

/// What a daemon called `command` shows of itself: its flags and its log.
pub(crate) fn api_options(groups: &[&[Group]], values: &Values, command: &str) -> ApiOptions {
    ApiOptions {
        flags: Arc::new(flags::shown(groups, values)),
        log_file: values
            .path("external_log_file")
            .or_else(|| Logging::of(values, command).file),
        verbosity: logging::verbosity(),
        ..ApiOptions::default()
    }
}

/// What the kernel calls this boot, where it says.
fn boot_id(node: &Node) -> Option<String> {
    let text = node
        .disk()
        .read(Path::new("/proc/sys/kernel/random/boot_id"))
        .ok()?;
    Some(String::from_utf8(text).ok()?.trim().to_owned())
}

/// Takes a folder for one daemon, and says in it who that is.
///
/// # Errors
///
/// [`Failure::Folder`]; where another daemon has it, with what that one says of itself.
pub(crate) fn lock(world: &World, folder: &Path, file: &str, who: &str) -> Result<Lock, Failure> {
    let failed = |source: io::Error| Failure::Folder {
        path: folder.to_owned(),
        source,
    };
    let disk = world.disk("");
    let path = folder.join(file);
    disk.create_dir_all(path.parent().unwrap_or(folder))
        .map_err(failed)?;
    let lock = disk.lock_patiently(&path, who, LOCK_PATIENCE);
    lock.map_err(failed)
}

/// What a daemon says of itself in its lock.
pub(crate) fn who(command: &str, port: u16) -> String {
    format!(
        "tepui {command} with pid {} on port {port}",
        std::process::id()
    )
}

/// A path made absolute from the present folder.
///
/// # Errors
///
/// [`Failure::Folder`] where the present folder is gone.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|source| Failure::Folder {
        path: path.to_owned(),
        source,
    })
}
