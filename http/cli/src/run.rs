//! `tepui run COMMAND`: a whole cluster in this process and in a temporary folder, for as long as
//! the command's tasks run. When it ends, nothing of it is left: no container, no process, no
//! folder.
//!
//! `core.rs` decides, `scheduler.rs` is the framework, `pump.rs` writes, here all is put together.

mod args;
mod core;
mod folder;
mod output;
mod pump;
mod scheduler;

use std::{path::Path, process::ExitCode, sync::Arc, time::Duration};

use futures_util::future::{Either, select};
use tepui_api::ApiOptions;
use tepui_framework::Framework;
use tepui_master::MasterOptions;
use tepui_protocol::{
    mesos::v1::{
        FrameworkId, FrameworkInfo, TaskStatus, framework_info::Capability,
        framework_info::capability,
    },
    resources::Resources,
};
use tepui_runtime::{Id, Node, NodeOptions, ProcessRef, RealOptions, World};
use tokio::sync::oneshot;

pub(crate) use self::core::{is_terminal, take};
use self::{
    args::Args,
    core::{Job, Run},
    folder::Folder,
    pump::Pump,
    scheduler::{FindSandbox, RunScheduler},
};
use crate::{
    agent,
    cluster::{self, RunningAgent, RunningMaster},
    command,
    failure::Failure,
    flags::Values,
    host,
    listening::Listening,
    logging::Logging,
    say,
    signals::Signals,
};

/// Reads the arguments and runs the command.
pub(crate) fn main(arguments: &[String]) -> ExitCode {
    let args: Args = match command::arguments("tepui run", arguments) {
        Ok(args) => args,
        Err(status) => return status,
    };
    match run(&args) {
        Ok(status) => ExitCode::from(status),
        Err(problem) => {
            say::err(format_args!("tepui run: {problem}"));
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<u8, Failure> {
    let bad = |problem: String| Failure::Start {
        what: "the run",
        problem,
    };
    args.check().map_err(bad)?;
    let (needs, command) = (
        args.needs().map_err(bad)?,
        args.command_info().map_err(bad)?,
    );
    let _logged = Logging {
        level: &args.logging_level,
        quiet: args.quiet,
        file: args
            .log_dir
            .as_ref()
            .map(|folder| folder.join("tepui-run.INFO")),
    }
    .start()?;
    let world = World::real(RealOptions::default())?;
    let folder = Folder::new(&world, args.keep)?;
    let signals = Signals::watch(&world).map_err(Failure::Signals)?;
    let job = Job {
        name: args.name.clone(),
        command,
        resources: needs,
        instances: usize::from(args.instances),
    };
    let mut cluster = Cluster::start(&world)?;
    let result = cluster
        .add_agents(&world, &folder, args, &job.resources)
        .and_then(|()| drive(&world, &cluster, job, args, signals));
    cluster.stop(&world);
    folder.close(&world, args.quiet);
    result
}

/// A master and agents, each on a node of its own in this process.
struct Cluster {
    master: RunningMaster,
    agents: Vec<RunningAgent>,
}

impl Cluster {
    /// A cluster without agents.
    fn start(world: &World) -> Result<Self, Failure> {
        let options = MasterOptions {
            hostname: Some("localhost".to_owned()),
            ..MasterOptions::default()
        };
        let node = NodeOptions {
            name: "master".to_owned(),
            ..NodeOptions::default()
        };
        let master = cluster::start_master(world, node, options, ApiOptions::default())?;
        Ok(Self {
            master,
            agents: Vec::new(),
        })
    }

    /// Starts the agents, if what each has is enough for an instance.
    fn add_agents(
        &mut self,
        world: &World,
        run: &Folder,
        args: &Args,
        needs: &Resources,
    ) -> Result<(), Failure> {
        if !nix::unistd::geteuid().is_root() && !args.quiet {
            say::err("tepui: without root, tasks are neither isolated nor held to their resources");
        }
        for number in 1..=usize::from(args.agents) {
            let folder = run.agent(number);
            let listening = Listening {
                node: NodeOptions {
                    name: format!("agent-{number}"),
                    ..NodeOptions::default()
                },
                hostname: "localhost".to_owned(),
                warning: String::new(),
            };
            let values = agent_values(&folder, run.cgroup());
            let master = self.master.pid().clone();
            let plan = agent::plan(
                &values,
                listening,
                master,
                folder.join("work"),
                number,
                "run",
            )?;
            check_fits(&plan.resources, needs)?;
            self.agents.push(cluster::start_agent(world, plan)?);
        }
        Ok(())
    }

    /// Ends everything the agents run, then the agents and the master.
    fn stop(&self, world: &World) {
        for running in &self.agents {
            running.agent.unregister("the run is over");
        }
        for running in &self.agents {
            world.block_on(running.node.wait(&running.agent.pid));
            world.block_on(running.node.shutdown());
        }
        self.master.stop(world);
    }

    /// Finds sandboxes by what the agents know of their executors.
    fn find_sandbox(&self) -> FindSandbox {
        let snapshots: Vec<_> = self
            .agents
            .iter()
            .map(|running| Arc::clone(&running.agent.snapshot))
            .collect();
        Arc::new(move |framework_id: &FrameworkId, status: &TaskStatus| {
            // The executor of a command has its task's id.
            let key = (framework_id.value.clone(), status.task_id.value.clone());
            let find = |snapshot: &tepui_agent::SnapshotCell| {
                Some(snapshot.load().executors.get(&key)?.directory.clone())
            };
            snapshots.iter().find_map(find)
        })
    }
}

fn check_fits(offered: &Resources, needs: &Resources) -> Result<(), Failure> {
    if self::core::take(offered, needs).is_some() {
        return Ok(());
    }
    let text = |resources: &Resources| resources.to_text().unwrap_or_default();
    let problem = format!(
        "an instance needs {}, and an agent here has {}",
        text(needs),
        text(offered)
    );
    let what = "the run";
    Err(Failure::Start { what, problem })
}

/// The flags of a run's agents, where they are not the defaults: a cgroup of their own, and hardly
/// a wait before registering, since nobody else registers.
fn agent_values(folder: &Path, cgroup: String) -> Values {
    let mut values = Values::default();
    values.set(
        "runtime_dir",
        folder.join("run").to_string_lossy().into_owned(),
    );
    values.set("cgroups_root", cgroup);
    values.set("registration_backoff_factor", "10ms".to_owned());
    values.set("switch_user", "true".to_owned());
    values
}

/// A second signal that comes later than this is meant: the user does not want to wait for the
/// tasks. One that comes sooner is the same one, sent to the process and to its group.
const IMPATIENT: Duration = Duration::from_millis(500);

/// Runs the job until it is over, and gives the exit status.
fn drive(
    world: &World,
    cluster: &Cluster,
    job: Job,
    args: &Args,
    mut signals: Signals,
) -> Result<u8, Failure> {
    let node = &cluster.master.node;
    let failed = |what| {
        move |problem: tepui_runtime::SpawnError| Failure::Start {
            what,
            problem: problem.to_string(),
        }
    };
    let (broken, stdout_broken) = oneshot::channel();
    let pump = Pump::new(job.instances, args.quiet, broken);
    let pump = node
        .spawn(Id::chosen("pump"), pump)
        .map_err(failed("the output"))?;
    let (done, mut is_done) = oneshot::channel();
    let scheduler = RunScheduler::new(Run::new(job), pump.clone(), cluster.find_sandbox(), done);
    let info = framework_info(args);
    let framework = tepui_framework::spawn(node, cluster.master.pid().clone(), info, scheduler)
        .map_err(failed("the scheduler"))?;
    watch_agents(world, cluster, &framework);
    watch_stdout(world, stdout_broken, &framework);
    let mut interrupted = None;
    let status = loop {
        let next = world.block_on(async {
            match select(std::pin::pin!(signals.next()), &mut is_done).await {
                Either::Left((signal, _)) => Either::Left(signal),
                Either::Right((status, _)) => Either::Right(status.unwrap_or(1)),
            }
        });
        match next {
            Either::Right(status) => break status,
            Either::Left(signal) if interrupted.is_some_and(|at| world.now() - at > IMPATIENT) => {
                break signal.exit_status();
            }
            Either::Left(signal) => {
                interrupted.get_or_insert(world.now());
                let status = signal.exit_status();
                framework.call(move |scheduler, driver| scheduler.interrupt(driver, status));
            }
        }
    };
    framework.call(|_, driver| driver.teardown());
    world.block_on(node.wait(framework.pid()));
    drain(world, node, &pump);
    Ok(status)
}

fn framework_info(args: &Args) -> FrameworkInfo {
    let user = args.user.clone().unwrap_or_else(host::current_user);
    let multi_role = Capability {
        r#type: Some(capability::Type::MultiRole.into()),
    };
    let partition_aware = Capability {
        r#type: Some(capability::Type::PartitionAware.into()),
    };
    FrameworkInfo {
        name: args.name.clone(),
        user,
        roles: vec![args.role.clone()],
        capabilities: vec![multi_role, partition_aware],
        ..FrameworkInfo::default()
    }
}

/// An agent that ends by itself ends the run.
fn watch_agents(world: &World, cluster: &Cluster, framework: &Framework<RunScheduler>) {
    for running in &cluster.agents {
        let ended = running.node.wait(&running.agent.pid);
        let (agent, framework) = (running.agent.clone(), framework.clone());
        world.spawn(async move {
            ended.await;
            let why = match agent.ended() {
                Some(Ok(why) | Err(why)) => why,
                None => "no reason known".to_owned(),
            };
            framework.call(move |scheduler, driver| {
                scheduler.fail(driver, &format!("an agent ended: {why}"));
            });
        });
    }
}

/// Nobody reads the output any more: the run ends as a program does that SIGPIPE ends.
fn watch_stdout(world: &World, broken: oneshot::Receiver<()>, framework: &Framework<RunScheduler>) {
    const SIGPIPE_STATUS: u8 = 141;
    let framework = framework.clone();
    world.spawn(async move {
        if broken.await.is_ok() {
            framework.call(|scheduler, driver| scheduler.interrupt(driver, SIGPIPE_STATUS));
        }
    });
}

/// Writes what is left of the output.
fn drain(world: &World, node: &Node, pump: &ProcessRef<Pump>) {
    let (told, drained) = oneshot::channel();
    pump.dispatch(move |pump, ctx| pump.finish(told, ctx));
    // It fails only where the pump is gone, and then nothing more can be written.
    let _gone = world.block_on(drained);
    world.block_on(node.wait(pump.pid()));
}
