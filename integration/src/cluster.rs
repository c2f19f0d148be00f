//! A master and agents as daemons of their own, in a folder that goes with the test.

use std::ffi::OsString;
use std::path::Path;

use nix::sys::signal::Signal;

use crate::Daemon;

/// How long the last containers may take to go.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// A running cluster.
#[derive(Debug)]
pub struct Cluster {
    /// The master's process.
    pub master: Daemon,
    /// The agents' processes, in the order of their start.
    pub agents: Vec<Daemon>,
    address: String,
    folder: tempfile::TempDir,
}

impl Cluster {
    /// Starts a master alone, with these flags besides those that every test needs.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub fn start(flags: &[&str]) -> Cluster {
        let folder = tempfile::tempdir().expect("a temporary folder");
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
            address,
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
        let folder = self.folder.path().join(format!("agent-{number}"));
        let mut arguments: Vec<OsString> = vec!["agent".into(), "--port=0".into()];
        arguments.push(format!("--master={}", self.address).into());
        arguments.push(flag("work_dir", &folder.join("work")));
        arguments.push(flag("runtime_dir", &folder.join("run")));
        let root = format!("tepui-test-{}-{number}", std::process::id());
        arguments.push(format!("--cgroups_root={root}").into());
        arguments.extend(flags.iter().map(OsString::from));
        let mut agent = Daemon::start(&arguments);
        agent.wait_for("registration", |line| line.contains("registered"));
        self.agents.push(agent);
        self.agents.last_mut().expect("just pushed")
    }

    /// Where an agent keeps its work folder.
    pub fn work_dir(&self, agent: usize) -> std::path::PathBuf {
        self.folder
            .path()
            .join(format!("agent-{agent}"))
            .join("work")
    }

    /// Waits until no agent has a container: one that outlived its agent would outlive the test.
    fn wait_until_empty(&self) {
        for number in 0..self.agents.len() {
            let run = self
                .folder
                .path()
                .join(format!("agent-{number}"))
                .join("run/containers");
            let start = std::time::Instant::now();
            while std::fs::read_dir(&run).is_ok_and(|mut entries| entries.next().is_some()) {
                assert!(
                    start.elapsed() < PATIENCE,
                    "agent {number} still has containers"
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
