//! The master and the agents of the soak, each agent in a namespace of its own, and what can be
//! seen of them from outside: their views, what they hold of the machine, what they leave.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use serde_json::Value;
use tepui_integration::raw::Request;
use tepui_integration::{Daemon, Line, Sweep, cgroup_mounts, folders};

use crate::network::{Network, PREFIX, address};

/// The master's address.
pub const MASTER: &str = "10.0.0.1:5050";
/// What each agent has.
pub const CPUS: u64 = 2_500;
pub const MEM: u64 = 1_024;

/// The running daemons.
pub struct Cluster {
    pub master: Daemon,
    pub agents: Vec<Daemon>,
    /// Behind the daemons, so that a failed test ends what they left.
    _sweep: Sweep,
    pub network: Network,
    folder: tempfile::TempDir,
}

impl Cluster {
    /// Starts a master and so many agents, and waits until all are registered.
    pub fn start(agents: usize) -> Cluster {
        let network = Network::new(agents);
        network.enter_hub();
        let prefix = format!("{PREFIX}{}-", std::process::id());
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir();
        let folder = folder.expect("a temporary folder");
        let work_dir = folder.path().join("master");
        let mut master = Daemon::start(&[
            "master",
            "--ip=10.0.0.1",
            "--port=5050",
            "--hostname=10.0.0.1",
            "--registry=in_memory",
            &format!("--work_dir={}", work_dir.display()),
            // An agent is unreachable after three seconds of silence.
            "--agent_ping_timeout=1secs",
            "--max_agent_ping_timeouts=3",
            // What is kept of the past is bounded, and reaches its bounds soon.
            "--max_completed_frameworks=5",
            "--max_completed_tasks_per_framework=10",
            "--max_unreachable_tasks_per_framework=10",
        ]);
        master.wait_for("the master's address", |line| line.contains("master@"));
        let mut cluster = Cluster {
            master,
            agents: Vec::new(),
            _sweep: Sweep::default(),
            network,
            folder,
        };
        for agent in 0..agents {
            cluster._sweep.add(cluster.cgroups_root(agent));
            let daemon = cluster.start_agent(agent);
            cluster.agents.push(daemon);
        }
        for agent in &mut cluster.agents {
            agent.wait_for("registration", |line| line.contains("registered"));
        }
        cluster
    }

    fn start_agent(&self, agent: usize) -> Daemon {
        let folder = self.folder.path().join(format!("agent-{agent}"));
        let address = address(agent);
        let arguments = [
            "agent".to_owned(),
            format!("--ip={address}"),
            "--port=5051".to_owned(),
            format!("--hostname={address}"),
            format!("--master={MASTER}"),
            format!("--work_dir={}", folder.join("work").display()),
            format!("--runtime_dir={}", folder.join("run").display()),
            format!("--cgroups_root={}", self.cgroups_root(agent)),
            format!(
                "--resources=cpus:{};mem:{MEM};disk:64;ports:[]",
                CPUS as f64 / 1000.0
            ),
            "--registration_backoff_factor=100ms".to_owned(),
            "--executor_shutdown_grace_period=2secs".to_owned(),
            "--gc_delay=5secs".to_owned(),
            "--max_completed_executors_per_framework=1".to_owned(),
        ];
        self.network
            .within_agent(agent, || Daemon::start(&arguments))
    }

    fn cgroups_root(&self, agent: usize) -> String {
        let name = self.folder.path().file_name().unwrap_or_default();
        format!("{}-{agent}", name.to_string_lossy())
    }

    /// What the master shows at a path.
    pub fn view(&self, path: &str) -> Value {
        let answer = Request::new("GET", path)
            .with("Connection", "close")
            .send(MASTER);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).expect("a view is JSON")
    }

    /// What an agent shows at a path.
    pub fn agent_view(&self, agent: usize, path: &str) -> Value {
        let request = Request::new("GET", path).with("Connection", "close");
        let at = format!("{}:5051", address(agent));
        let answer = request.send(&at);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).expect("a view is JSON")
    }

    /// The lines of the master's log, and of an agent's all.
    pub fn lines_of(
        &mut self,
        agent: Option<usize>,
        wanted: impl Fn(&str) -> bool,
    ) -> Vec<(&'static str, String)> {
        let texts = |daemon: &mut Daemon| -> Vec<String> {
            let lines = daemon.lines().iter().map(|line| line.text().to_owned());
            lines.collect()
        };
        let mut found = Vec::new();
        let lines = texts(&mut self.master).into_iter();
        found.extend(
            lines
                .filter(|line| wanted(line))
                .map(|line| ("master", line)),
        );
        if let Some(agent) = agent {
            let lines = texts(&mut self.agents[agent]).into_iter();
            found.extend(lines.map(|line| ("agent", line)));
        }
        found
    }

    /// Every daemon, and what it is called.
    pub fn daemons(&self) -> impl Iterator<Item = (String, &Daemon)> {
        let agents = self.agents.iter().enumerate();
        let agents = agents.map(|(number, agent)| (format!("agent {number}"), agent));
        std::iter::once(("master".to_owned(), &self.master)).chain(agents)
    }

    /// What is left of containers, tasks and schedulers; nothing once all have ended.
    pub fn leftovers(&self) -> Vec<String> {
        let mut left = Vec::new();
        let own = std::process::id().cast_signed();
        let daemons: Vec<i32> = self
            .daemons()
            .map(|(_, daemon)| daemon.pid().as_raw())
            .collect();
        for (pid, name) in self.network.processes() {
            if pid != own && !daemons.contains(&pid) && !is_resident(pid, &daemons) {
                left.push(format!("process {pid} {name}"));
            }
        }
        for agent in 0..self.agents.len() {
            let containers = self
                .folder
                .path()
                .join(format!("agent-{agent}/run/containers"));
            left.extend(
                folders(&containers)
                    .iter()
                    .map(|path| path.display().to_string()),
            );
            left.extend(self.cgroups(agent));
            left.extend(streams(
                &format!("agent {agent}"),
                &self.agent_view(agent, "/__processes__"),
            ));
        }
        left.extend(streams("the master", &self.view("/__processes__")));
        left.extend(self.mounts());
        left
    }

    /// The containers' cgroups of an agent.
    fn cgroups(&self, agent: usize) -> Vec<String> {
        let tops = cgroup_mounts().into_iter();
        let tops = tops.map(|mount| mount.join(self.cgroups_root(agent)));
        tops.flat_map(|top| folders(&top))
            .map(|path| path.display().to_string())
            .collect()
    }

    fn mounts(&self) -> Vec<String> {
        let table = fs::read_to_string("/proc/self/mountinfo").expect("a table of mounts");
        let folder = self.folder.path().to_string_lossy().into_owned();
        let ours = table.lines().filter(|line| line.contains(&folder));
        ours.map(|line| format!("mount {line}")).collect()
    }

    /// Ends agents and master, which have to end well and leave nothing.
    pub fn stop(self) {
        let Cluster {
            master,
            agents,
            _sweep,
            network,
            folder,
        } = self;
        for daemon in agents.into_iter().chain([master]) {
            daemon.signal(Signal::SIGTERM);
            let (status, lines) = daemon.finish();
            assert!(status.success(), "{status}: {lines:#?}");
            let panics: Vec<&Line> = lines
                .iter()
                .filter(|it| it.text().contains("panicked"))
                .collect();
            assert!(panics.is_empty(), "{panics:#?}");
        }
        let own = std::process::id().cast_signed();
        let left: Vec<_> = network
            .processes()
            .into_iter()
            .filter(|(pid, _)| *pid != own)
            .collect();
        assert!(left.is_empty(), "left by the daemons: {left:?}");
        let name = folder
            .path()
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let tops = cgroup_mounts()
            .into_iter()
            .flat_map(|mount| folders(&mount));
        let left: Vec<PathBuf> = tops
            .filter(|path| {
                path.file_name()
                    .is_some_and(|it| it.to_string_lossy().starts_with(&name))
            })
            .collect();
        assert!(left.is_empty(), "left by the agents: {left:?}");
    }
}

/// Whether a process is what an agent keeps to fork the inits of its containers, which are that
/// one's children.
fn is_resident(pid: i32, daemons: &[i32]) -> bool {
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let stat = read("stat");
    let parent = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
    parent.is_some_and(|parent| daemons.contains(&parent))
        && read("cmdline").split('\0').nth(1) == Some("contain")
}

/// The processes of a node that stand for an open stream.
fn streams(of: &str, processes: &Value) -> Vec<String> {
    let ids = processes
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|it| it["id"].as_str());
    let ours = ids.filter(|id| id.starts_with("http-"));
    ours.map(|id| format!("{id} of {of}")).collect()
}

/// The open descriptors of a process.
pub fn descriptors(daemon: &Daemon) -> Vec<PathBuf> {
    let folder = Path::new("/proc").join(daemon.pid().to_string()).join("fd");
    let entries = fs::read_dir(folder).expect("it runs").flatten();
    entries
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .collect()
}

/// The anonymous memory that a process has, in KiB.
pub fn memory(daemon: &Daemon) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).expect("it runs");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.expect("the kernel says it")
}

/// How many arenas of the C library a process has besides the first. Each has addresses of 64 MiB
/// kept for it, most of which nobody may touch yet.
pub fn further_arenas(daemon: &Daemon) -> usize {
    let maps = fs::read_to_string(format!("/proc/{}/maps", daemon.pid())).expect("it runs");
    let is_kept = |line: &&str| {
        let number = |text: &str| u64::from_str_radix(text, 16).expect("an address");
        let mut words = line.split_whitespace();
        let addresses = words.next().and_then(|range| range.split_once('-'));
        let size = addresses.map_or(0, |(from, to)| number(to) - number(from));
        words.next() == Some("---p") && (32 << 20..64 << 20).contains(&size)
    };
    maps.lines().filter(is_kept).count()
}
