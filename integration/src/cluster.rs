//! A master and agents as daemons of their own, in a folder that goes with the test.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

use nix::sys::signal::Signal;

use crate::{Daemon, Sweep, folders};

/// How long the last containers may take to go.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// A running cluster.
#[derive(Debug)]
pub struct Cluster {
    /// The master's process.
    pub master: Daemon,
    /// The agents' processes, in the order of their start.
    pub agents: Vec<Daemon>,
    /// What each agent was started with.
    arguments: Vec<Vec<OsString>>,
    address: String,
    /// Behind the daemons, so that a failed test ends what they left.
    sweep: Sweep,
    folder: tempfile::TempDir,
}

impl Cluster {
    /// Starts a master alone, with these flags besides those that every test needs.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub fn start(flags: &[&str]) -> Cluster {
        let folder = tempfile::Builder::new()
            .prefix("tepui-")
            .tempdir()
            .expect("a temporary folder");
        let mut arguments: Vec<OsString> = vec!["master".into(), "--port=0".into()];
        arguments.push("--registry=in_memory".into());
        arguments.push(flag("work_dir", &folder.path().join("master")));
        arguments.extend(flags.iter().map(OsString::from));
        let mut master = Daemon::start(&arguments);
        let line = master.wait_for("the master's address", |line| line.contains("master@"));
        let (_, rest) = line.split_once("master@").expect("just found");
        let address: String = rest
            .chars()
            .take_while(|c| c.is_ascii_digit() || ".:".contains(*c))
            .collect();
        Cluster {
            master,
            agents: Vec::new(),
            arguments: Vec::new(),
            address,
            sweep: Sweep::default(),
            folder,
        }
    }

    /// The master's `ip:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Starts an agent with these flags and waits until the master has registered it.
    ///
    /// # Panics
    ///
    /// When it does not register.
    pub fn add_agent(&mut self, flags: &[&str]) -> &mut Daemon {
        let number = self.agents.len();
        let mut arguments: Vec<OsString> = vec!["agent".into()];
        arguments.push(format!("--port={}", free_port()).into());
        arguments.push(format!("--master={}", self.address).into());
        arguments.push("--registration_backoff_factor=10ms".into());
        arguments.push(flag("work_dir", &self.work_dir(number)));
        arguments.push(flag("runtime_dir", &self.runtime_dir(number)));
        arguments.push(format!("--cgroups_root={}", self.cgroups_root(number)).into());
        arguments.extend(flags.iter().map(OsString::from));
        self.sweep.add(self.cgroups_root(number));
        let mut agent = Daemon::start(&arguments);
        agent.wait_for("registration", |line| line.contains("registered"));
        self.arguments.push(arguments);
        self.agents.push(agent);
        self.agents.last_mut().expect("just pushed")
    }

    /// Kills an agent with SIGKILL; its containers are left to themselves.
    ///
    /// # Panics
    ///
    /// When it is gone already.
    pub fn kill_agent(&mut self, number: usize) {
        self.agents[number].kill();
    }

    /// Starts an agent that was killed again, with its flags and its port.
    ///
    /// # Panics
    ///
    /// When the daemon cannot be started.
    pub fn restart_agent(&mut self, number: usize) -> &mut Daemon {
        self.agents[number] = Daemon::start(&self.arguments[number]);
        &mut self.agents[number]
    }

    /// An agent's `ip:port`.
    pub fn agent_address(&self, agent: usize) -> String {
        let port = self.arguments[agent][1].to_string_lossy();
        format!("127.0.0.1:{}", port.trim_start_matches("--port="))
    }

    /// Where an agent keeps its work folder.
    pub fn work_dir(&self, agent: usize) -> PathBuf {
        self.of_agent(agent).join("work")
    }

    /// Where an agent keeps what it knows of running containers.
    pub fn runtime_dir(&self, agent: usize) -> PathBuf {
        self.of_agent(agent).join("run")
    }

    fn of_agent(&self, agent: usize) -> PathBuf {
        self.folder.path().join(format!("agent-{agent}"))
    }

    /// The name of an agent's cgroup at the top of each hierarchy, different in every cluster.
    pub fn cgroups_root(&self, agent: usize) -> String {
        let name = self.folder.path().file_name().unwrap_or_default();
        format!("{}-{agent}", name.to_string_lossy())
    }

    /// Waits until no agent has a container: one that outlived its agent would outlive the test.
    ///
    /// # Panics
    ///
    /// When one stays for a minute.
    pub fn wait_until_empty(&self) {
        for number in 0..self.agents.len() {
            let containers = self.runtime_dir(number).join("containers");
            let start = std::time::Instant::now();
            while let [first, ..] = folders(&containers).as_slice() {
                assert!(
                    start.elapsed() < PATIENCE,
                    "agent {number} still has {}",
                    first.display()
                );
                std::thread::yield_now();
            }
        }
    }

    /// Waits for the containers to be gone, then ends agents and master by SIGTERM and expects
    /// them to end well.
    ///
    /// # Panics
    ///
    /// When one does not.
    pub fn stop(self) {
        self.wait_until_empty();
        for daemon in self.agents.into_iter().chain([self.master]) {
            daemon.signal(Signal::SIGTERM);
            let (status, lines) = daemon.finish();
            assert!(status.success(), "{status}: {lines:#?}");
        }
    }
}

fn flag(name: &str, path: &Path) -> OsString {
    let mut flag = OsString::from(format!("--{name}="));
    flag.push(path);
    flag
}

/// A port that nobody listens on and that the kernel gives to no outgoing connection, so that an
/// agent that is killed, or a task's server, finds it free again.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = std::process::id() % 10_000;
    loop {
        let port = 10_000 + (start as u16 + NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
