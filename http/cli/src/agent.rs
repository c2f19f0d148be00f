//! `tepui agent`: an agent until SIGINT or SIGTERM; its executors go on without it.

use std::path::PathBuf;

use tepui_agent::{AgentOptions, checkpoint::Paths};
use tepui_containerizer::linux::{LauncherKind, LinuxOptions};
use tepui_protocol::attributes;
use tepui_runtime::{Address, Pid, RealOptions, World};
use tracing::{info, warn};

use crate::{
    cluster::{self, AgentPlan},
    command::Command,
    failure::Failure,
    flags::{AGENT, FlagError, LISTENING, LOGGING, Values},
    host::Host,
    listening::{self, Listening},
    master,
    signals::Signals,
};

/// The command.
pub(crate) const COMMAND: Command = Command {
    name: "agent",
    summary: "Run an agent: the one that runs tasks on this machine.",
    groups: &[
        ("The agent", AGENT),
        ("Listening", LISTENING),
        ("Logging", LOGGING),
    ],
    run,
};

fn run(values: &Values) -> Result<(), Failure> {
    let listening = Listening::of(values, "agent")?;
    let master = master_pid(values)?;
    let work_dir = values
        .path("work_dir")
        .ok_or(FlagError::Required { name: "work_dir" })?;
    let work_dir = cluster::absolute(&work_dir)?;
    let world = World::real(RealOptions::default())?;
    let mut signals = Signals::watch(&world).map_err(Failure::Signals)?;
    // The agent takes this lock itself; asked for here so that the answer to a second daemon is
    // who the first is, not that its port is taken.
    let who = cluster::who("agent", listening.node.port);
    drop(cluster::lock(
        &world,
        &work_dir,
        &lock_file(&work_dir),
        &who,
    )?);
    let plan = plan(values, listening.clone(), master, work_dir, 0)?;
    let running = cluster::start_agent(&world, plan)?;
    if !listening.warning.is_empty() {
        warn!("the agent {}", listening.warning);
    }
    info!(pid = %running.agent.pid, "the agent is up");
    let ended = running.node.wait(&running.agent.pid);
    let signal = world.block_on(async {
        let (next, ended) = (std::pin::pin!(signals.next()), std::pin::pin!(ended));
        match futures_util::future::select(next, ended).await {
            futures_util::future::Either::Left((signal, _)) => Some(signal),
            futures_util::future::Either::Right(_) => None,
        }
    });
    match signal {
        Some(signal) => info!(%signal, "the agent ends; its executors go on"),
        None => match running.agent.ended() {
            Some(Ok(why)) => info!(why, "the agent ended"),
            Some(Err(problem)) => {
                return Err(Failure::Start {
                    what: "to go on",
                    problem,
                });
            }
            None => {
                let problem = "it ended without a reason".to_owned();
                return Err(Failure::Start {
                    what: "to go on",
                    problem,
                });
            }
        },
    }
    world.block_on(running.node.shutdown());
    Ok(())
}

fn lock_file(work_dir: &std::path::Path) -> String {
    let path = Paths::new(work_dir).lock();
    path.strip_prefix(work_dir)
        .unwrap_or(&path)
        .to_string_lossy()
        .into_owned()
}

/// `host:port` or `master@host:port`.
fn master_pid(values: &Values) -> Result<Pid, FlagError> {
    let name = "master";
    let text = values
        .text(name)
        .ok_or(FlagError::Required { name })?
        .trim();
    if text.starts_with("zk://") {
        let feature = "finding the master by ZooKeeper";
        return Err(FlagError::NotOffered {
            name,
            feature,
            value: text.to_owned(),
        });
    }
    let bad = |problem: String| FlagError::BadValue { name, problem };
    let address = text.strip_prefix("master@").unwrap_or(text);
    let (host, port) = address.rsplit_once(':').unwrap_or((address, "5050"));
    let port: u16 = port
        .parse()
        .map_err(|_| bad(format!("'{text}' is not host:port")))?;
    let address: Address = listening::resolve(host, port).map_err(bad)?;
    Ok(Pid::new("master", address))
}

/// What the flags say of an agent; `number` tells several on one machine apart.
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
    let containers = containers(values, &work_dir, number)?;
    Ok(AgentPlan {
        node: listening.node,
        master,
        work_dir,
        hostname: listening.hostname,
        resources,
        attributes,
        domain: master::domain(values)?,
        containers,
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
    let set = |name, option: &mut std::time::Duration| {
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
    isolation(values.text("isolation"), launcher)?;
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
    Ok(LinuxOptions {
        runtime_dir,
        cgroups_root,
        launcher: Some(launcher),
        cgroups_destroy_timeout: values
            .duration("cgroups_destroy_timeout")
            .unwrap_or(defaults.cgroups_destroy_timeout),
        cgroups_enable_cfs: values.boolean("cgroups_enable_cfs"),
        ..defaults
    })
}

/// What the launchers isolate, by the names of Mesos' isolators. All of a launcher's are always in
/// force.
const POSIX: [&str; 3] = ["posix/cpu", "posix/mem", "filesystem/posix"];
const LINUX: [&str; 6] = [
    "cgroups/cpu",
    "cgroups/mem",
    "cgroups/pids",
    "namespaces/pid",
    "namespaces/ipc",
    "filesystem/linux",
];

fn isolation(given: Option<&str>, launcher: LauncherKind) -> Result<(), FlagError> {
    for name in given
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|it| !it.is_empty())
    {
        let linux = launcher == LauncherKind::Linux && LINUX.contains(&name);
        if !POSIX.contains(&name) && !linux {
            return Err(FlagError::BadValue {
                name: "isolation",
                problem: format!(
                    "'{name}' is not offered; there are {} and, with the linux launcher, {}",
                    POSIX.join(", "),
                    LINUX.join(", ")
                ),
            });
        }
    }
    Ok(())
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
    fn the_master_is_named_by_address() {
        let pid = |text: &str| master_pid(&values(&[("master", text)])).map(|pid| pid.to_string());
        assert_eq!(pid("127.0.0.1:6000").unwrap(), "master@127.0.0.1:6000");
        assert_eq!(
            pid("master@127.0.0.1:6000\n").unwrap(),
            "master@127.0.0.1:6000"
        );
        assert_eq!(pid("127.0.0.1").unwrap(), "master@127.0.0.1:5050");
        assert!(
            pid("zk://h:1/mesos")
                .unwrap_err()
                .to_string()
                .contains("ZooKeeper")
        );
        assert!(
            pid("127.0.0.1:x")
                .unwrap_err()
                .to_string()
                .contains("not host:port")
        );
        let missing = master_pid(&values(&[])).unwrap_err().to_string();
        assert_eq!(
            missing,
            "Flag 'master' is required, but it was not provided"
        );
    }

    #[test]
    fn isolators_are_those_of_the_launcher() {
        assert_eq!(isolation(None, LauncherKind::Posix), Ok(()));
        assert_eq!(
            isolation(Some("posix/cpu,posix/mem"), LauncherKind::Linux),
            Ok(())
        );
        assert_eq!(
            isolation(Some("cgroups/cpu, namespaces/pid"), LauncherKind::Linux),
            Ok(())
        );
        for (names, launcher) in [
            ("cgroups/cpu", LauncherKind::Posix),
            ("docker/runtime", LauncherKind::Linux),
            ("posix/cpu,network/cni", LauncherKind::Linux),
        ] {
            let problem = isolation(Some(names), launcher).unwrap_err().to_string();
            assert!(
                problem.starts_with("Failed to load flag 'isolation'"),
                "{problem}"
            );
        }
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
            ("domain", "{"),
        ] {
            let listening = Listening::of(&values(&[("port", "0")]), "agent").unwrap();
            let master = "master@127.0.0.1:5050".parse().unwrap();
            let plan = plan(
                &values(&[(flag, text)]),
                listening,
                master,
                work_dir.clone(),
                0,
            );
            let problem = plan.err().unwrap().to_string();
            assert!(problem.contains(&format!("'{flag}'")), "{problem}");
        }
    }
}
