//! `tepui agent`: an agent until SIGINT or SIGTERM; its executors go on without it. On SIGUSR1 it
//! leaves its master, and ends with all it runs.

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode, time::Duration};

use futures_util::future::{Either, select};
use tepui_agent::{AgentOptions, checkpoint::Paths};
use tepui_containerizer::{
    Isolation,
    linux::{LauncherKind, LinuxOptions},
};
use tepui_protocol::attributes;
use tepui_runtime::Pid;
use tracing::{info, warn};

use crate::{
    cluster::{self, AgentPlan},
    command::Command,
    failure::Failure,
    flags::{AGENT, FlagError, Values},
    host::Host,
    listening::{self, Listening},
    master,
    signals::{Signal, Signals},
};

/// The command.
pub(crate) const COMMAND: Command = Command {
    name: "agent",
    summary: "Run an agent: the one that runs tasks on this machine.",
    groups: &[AGENT],
    environment: true,
    run,
};

fn run(values: &Values) -> Result<ExitCode, Failure> {
    let listening = Listening::of(values, "agent")?;
    let master = listening::master_pid(values)?;
    listening.check_reachable_from(master.address())?;
    let work_dir = values
        .path("work_dir")
        .ok_or(FlagError::Required { name: "work_dir" })?;
    let work_dir = cluster::absolute(&work_dir)?;
    let world = cluster::world(values)?;
    let mut signals = Signals::watch_for_agent(&world).map_err(Failure::Signals)?;
    // The agent takes this lock itself; asked for here so that the answer to a second daemon is
    // who the first is, not that its port is taken.
    let who = cluster::who("agent", listening.node.port);
    drop(cluster::lock(
        &world,
        &work_dir,
        &lock_file(&work_dir),
        &who,
    )?);
    let plan = plan(values, listening.clone(), master, work_dir, 0, COMMAND.name)?;
    let running = cluster::start_agent(&world, plan)?;
    if !listening.warning.is_empty() {
        warn!("the agent {}", listening.warning);
    }
    info!(pid = %running.agent.pid, "the agent is up");
    let ended = running.node.wait(&running.agent.pid);
    let signal = world.block_on(async {
        let mut ended = std::pin::pin!(ended);
        loop {
            let next = std::pin::pin!(signals.next());
            match select(next, &mut ended).await {
                Either::Left((Signal::Leave, _)) => {
                    info!("the agent leaves its master, and ends what it runs");
                    running.agent.unregister("SIGUSR1");
                }
                Either::Left((signal, _)) => break Some(signal),
                Either::Right(_) => break None,
            }
        }
    });
    let problem = match signal {
        Some(signal) => {
            info!(%signal, "the agent ends; its executors go on");
            None
        }
        None => match running.agent.ended() {
            Some(Ok(why)) => {
                info!(why, "the agent ended");
                None
            }
            Some(Err(problem)) => Some(problem),
            None => Some("it ended without a reason".to_owned()),
        },
    };
    world.block_on(running.node.shutdown());
    match problem {
        Some(problem) => Err(Failure::Agent(problem)),
        None => Ok(ExitCode::SUCCESS),
    }
}

fn lock_file(work_dir: &std::path::Path) -> String {
    let path = Paths::new(work_dir).lock();
    path.strip_prefix(work_dir)
        .unwrap_or(&path)
        .to_string_lossy()
        .into_owned()
}

/// What the flags say of an agent; `number` tells several on one machine apart, `command` is the
/// one whose log is shown.
///
/// # Errors
///
/// The flag whose value cannot be, or that this machine cannot be asked what it has.
pub(crate) fn plan(
    values: &Values,
    listening: Listening,
    master: Pid,
    work_dir: PathBuf,
    number: usize,
    command: &str,
) -> Result<AgentPlan, Failure> {
    let bad = |name, problem: String| FlagError::BadValue { name, problem };
    let role = values.text("default_role").unwrap_or("*");
    tepui_protocol::roles::validate(role)
        .map_err(|problem| bad("default_role", problem.to_string()))?;
    let host = Host::detect(existing(&work_dir)).map_err(Failure::Host)?;
    let resources = host
        .resources(values.text("resources").unwrap_or_default(), role)
        .map_err(|problem| bad("resources", problem.to_string()))?;
    let attributes = attributes::parse(values.text("attributes").unwrap_or_default())
        .map_err(|problem| bad("attributes", problem.to_string()))?;
    let reregistration = values.duration("executor_reregistration_timeout");
    if reregistration.is_some_and(|timeout| timeout.as_secs() > 15) {
        let problem = "expected at most 15secs".to_owned();
        return Err(bad("executor_reregistration_timeout", problem).into());
    }
    let headroom: f64 = values.parsed("gc_disk_headroom").unwrap_or(0.1);
    if !(0.0..=1.0).contains(&headroom) {
        return Err(bad("gc_disk_headroom", "expected 0 to 1".to_owned()).into());
    }
    environment_of_executors(values)
        .map_err(|problem| bad("executor_environment_variables", problem))?;
    let containers = containers(values, &work_dir, number)?;
    let mut known = values.clone();
    if let Some(isolation) = &containers.isolation {
        let names: Vec<&str> = isolation.names().collect();
        known.fall_back("isolation", &names.join(","));
    }
    known.fall_back("launcher", launcher_name(containers.launcher));
    known.fall_back("runtime_dir", &containers.runtime_dir.to_string_lossy());
    Ok(AgentPlan {
        node: listening.node,
        master,
        work_dir,
        hostname: listening.hostname,
        resources,
        attributes,
        domain: master::domain(values)?,
        containers,
        api: cluster::api_options(&[AGENT], &known, command),
        adjust,
        values: values.clone(),
    })
}

/// The nearest folder above, or the path itself, that exists: its file system is the disk.
fn existing(path: &std::path::Path) -> &std::path::Path {
    path.ancestors()
        .find(|folder| folder.exists())
        .unwrap_or(std::path::Path::new("/"))
}

fn adjust(options: &mut AgentOptions, values: &Values) {
    let set = |name, option: &mut Duration| {
        if let Some(duration) = values.duration(name) {
            *option = duration;
        }
    };
    options.switch_user = values.boolean("switch_user");
    set(
        "registration_backoff_factor",
        &mut options.registration_backoff_factor,
    );
    set(
        "executor_registration_timeout",
        &mut options.executor_registration_timeout,
    );
    set(
        "executor_reregistration_timeout",
        &mut options.executor_reregistration_timeout,
    );
    set(
        "executor_shutdown_grace_period",
        &mut options.executor_shutdown_grace_period,
    );
    set("recovery_timeout", &mut options.recovery_timeout);
    set("gc_delay", &mut options.gc_delay);
    set("disk_watch_interval", &mut options.disk_watch_interval);
    if let Some(headroom) = values.parsed("gc_disk_headroom") {
        options.gc_disk_headroom = headroom;
    }
    if let Some(count) = values.parsed("max_completed_executors_per_framework") {
        options.max_completed_executors_per_framework = count;
    }
    options.executor_environment_variables = environment_of_executors(values).unwrap_or_default();
    options.libprocess_ip = values
        .text("ip")
        .map(str::to_owned)
        .or_else(|| options.executor_environment.get("LIBPROCESS_IP").cloned());
}

/// What executors' environment begins with, where the operator says; the error is a sentence.
fn environment_of_executors(values: &Values) -> Result<Option<BTreeMap<String, String>>, String> {
    let Some(json) = values.json("executor_environment_variables") else {
        return Ok(None);
    };
    serde_json::from_value(json)
        .map(Some)
        .map_err(|problem| format!("expected an object of texts: {problem}"))
}

fn launcher_name(launcher: Option<LauncherKind>) -> &'static str {
    match launcher {
        Some(LauncherKind::Posix) => "posix",
        Some(LauncherKind::Linux) | None => "linux",
    }
}

fn containers(
    values: &Values,
    work_dir: &std::path::Path,
    number: usize,
) -> Result<LinuxOptions, FlagError> {
    let root = nix::unistd::geteuid().is_root();
    let launcher = match values.text("launcher") {
        None if root => LauncherKind::Linux,
        None | Some("posix") => LauncherKind::Posix,
        Some("linux") if root => LauncherKind::Linux,
        Some("linux") => {
            let problem = "the linux launcher needs root".to_owned();
            return Err(FlagError::BadValue {
                name: "launcher",
                problem,
            });
        }
        Some(other) => {
            let problem = format!("'{other}' is neither linux nor posix");
            return Err(FlagError::BadValue {
                name: "launcher",
                problem,
            });
        }
    };
    let isolation = match values.text("isolation") {
        None => Isolation::default_of(launcher),
        Some(text) => Isolation::parse(text, launcher).map_err(|problem| FlagError::BadValue {
            name: "isolation",
            problem,
        })?,
    };
    let defaults = LinuxOptions::default();
    let runtime_dir = match values.path("runtime_dir") {
        Some(path) => path,
        None if root && number == 0 => defaults.runtime_dir.clone(),
        None => work_dir.join("run"),
    };
    let mut cgroups_root = values
        .path("cgroups_root")
        .unwrap_or(defaults.cgroups_root.clone());
    if number > 0 {
        let name = cgroups_root.to_string_lossy().into_owned();
        cgroups_root = PathBuf::from(format!("{name}-{number}"));
    }
    let time = |name, default| values.duration(name).unwrap_or(default);
    let home = values.path("frameworks_home");
    Ok(LinuxOptions {
        runtime_dir,
        cgroups_root,
        launcher: Some(launcher),
        isolation: Some(isolation),
        cgroups_destroy_timeout: time("cgroups_destroy_timeout", defaults.cgroups_destroy_timeout),
        cgroups_enable_cfs: values.boolean("cgroups_enable_cfs"),
        cgroups_limit_swap: values.boolean("cgroups_limit_swap"),
        cgroups_cpu_enable_pids_and_tids_count: values
            .boolean("cgroups_cpu_enable_pids_and_tids_count"),
        revocable_cpu_low_priority: values
            .text("revocable_cpu_low_priority")
            .map_or(defaults.revocable_cpu_low_priority, |_| {
                values.boolean("revocable_cpu_low_priority")
            }),
        pids_max: match values.parsed("cgroups_pids_max") {
            Some(0) => None,
            Some(most) => Some(most),
            None => defaults.pids_max,
        },
        fetcher_stall_timeout: time("fetcher_stall_timeout", defaults.fetcher_stall_timeout),
        frameworks_home: home.filter(|path| !path.as_os_str().is_empty()),
        default_container_shm_size: values.bytes("default_container_shm_size"),
        disallow_sharing_agent_ipc_namespace: values
            .boolean("disallow_sharing_agent_ipc_namespace"),
        disallow_sharing_agent_pid_namespace: values
            .boolean("disallow_sharing_agent_pid_namespace"),
        ..defaults
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&'static str, &str)]) -> Values {
        let mut values = Values::default();
        for (name, text) in pairs {
            values.set(name, (*text).to_owned());
        }
        values
    }

    #[test]
    fn bad_values_are_refused_by_flag() {
        let work_dir = PathBuf::from("/tmp/work");
        for (flag, text) in [
            ("resources", "cpus"),
            ("attributes", "x:{a}"),
            ("default_role", "a b"),
            ("executor_reregistration_timeout", "16secs"),
            ("launcher", "docker"),
            ("isolation", "docker/runtime"),
            ("isolation", "posix/cpu,network/cni"),
            ("domain", "{}x"),
            ("gc_disk_headroom", "1.1"),
            ("executor_environment_variables", "{\"A\":1}"),
        ] {
            let listening = Listening::of(&values(&[("port", "0")]), "agent").unwrap();
            let master = "master@127.0.0.1:5050".parse().unwrap();
            let plan = plan(
                &values(&[(flag, text)]),
                listening,
                master,
                work_dir.clone(),
                0,
                "agent",
            );
            let problem = plan.err().unwrap().to_string();
            assert!(problem.contains(&format!("'{flag}'")), "{problem}");
        }
    }
}
