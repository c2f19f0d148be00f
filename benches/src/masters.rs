//! The masters that are compared: ours, started here as `tepui local` in one OS process with its
//! agents, and a real Mesos that somebody started, by its address.

use std::os::unix::fs::MetadataExt as _;

use tepui_integration::Daemon;
use tepui_runtime::Pid;

use crate::http::try_get;

/// Addresses of real Mesos masters with their agents in one OS process, `ip:port[,ip:port...]`.
const MESOS: &str = "TEPUI_BENCH_MESOS";

/// A master with agents.
#[derive(Debug)]
pub struct Master {
    /// What it is called in the figures.
    pub name: &'static str,
    /// Its `ip:port`.
    pub address: String,
    /// The OS process, if it was started here.
    pub daemon: Option<Daemon>,
    _folder: Option<tempfile::TempDir>,
}

impl Master {
    /// The address of its process.
    pub fn pid(&self) -> Pid {
        Pid::new("master", self.address.parse().expect("an address"))
    }

    /// What a gauge or a counter of its stands at; nothing where it has none of that name.
    pub fn metric(&self, name: &str) -> f64 {
        metric(&self.address, name).unwrap_or_default()
    }

    /// Waits until the allocator has been over all that happened until now: the end of its next
    /// run, of which there is one a second at least.
    pub fn wait_for_allocation(&self) {
        let runs = || self.metric("allocator/mesos/allocation_runs");
        let before = runs();
        while runs() <= before {}
    }

    /// Its OS process.
    pub fn os_pid(&self) -> Option<i32> {
        match &self.daemon {
            Some(daemon) => Some(daemon.pid().as_raw()),
            None => listener(&self.address),
        }
    }
}

/// Ours, and the real one if an address of one with so many agents is given.
pub fn masters(agents: usize, flags: &[&str]) -> Vec<Master> {
    beside(ours(agents, flags), agents)
}

/// Masters that have no agents yet, each an OS process of its own.
pub fn alone(flags: &[&str]) -> Vec<Master> {
    let own = ["master", "--port=0", "--registry=in_memory"];
    let arguments = own.iter().chain(flags).map(|flag| (*flag).to_owned());
    beside(start(arguments.collect()), 0)
}

fn beside(ours: Master, agents: usize) -> Vec<Master> {
    let mut masters = vec![ours];
    match mesos(agents) {
        Some(address) => masters.push(Master {
            name: "Apache Mesos 1.11",
            address,
            daemon: None,
            _folder: None,
        }),
        None => println!("  ({MESOS} names no Mesos with {agents} agents: without it)"),
    }
    masters
}

/// The address of a real Mesos with so many agents, if one is given.
pub fn mesos(agents: usize) -> Option<String> {
    let given = std::env::var(MESOS).ok()?;
    let mut addresses = given.split(',').filter(|address| !address.is_empty());
    let found = addresses.find(|address| active(address) == Some(agents));
    found.map(str::to_owned)
}

/// `tepui local` with so many agents, all registered.
pub fn ours(agents: usize, flags: &[&str]) -> Master {
    let mut arguments = vec![
        "local".to_owned(),
        "--port=0".to_owned(),
        format!("--num_agents={agents}"),
        format!("--cgroups_root=tepui-bench-{}", std::process::id()),
        "--registration_backoff_factor=10ms".to_owned(),
    ];
    arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
    let mut master = start(arguments);
    if let Some(daemon) = &mut master.daemon {
        let is_one =
            |line: &str| line.contains("tepui_master") && line.contains(" registered with ");
        daemon.wait_for_lines("its agents", agents, is_one);
    }
    master
}

/// `tepui` with these arguments and a work folder, listening.
fn start(mut arguments: Vec<String>) -> Master {
    let folder = tempfile::tempdir().expect("a temporary folder");
    arguments.push(format!("--work_dir={}", folder.path().display()));
    let mut daemon = Daemon::start(&arguments);
    let line = daemon.wait_for("the master's address", |line| line.contains("master@"));
    let (_, rest) = line.split_once("master@").expect("just found");
    let is_address = |c: &char| c.is_ascii_digit() || ".:".contains(*c);
    let address: String = rest.chars().take_while(is_address).collect();
    Master {
        name: "tepui",
        address,
        daemon: Some(daemon),
        _folder: Some(folder),
    }
}

/// How many agents a master has, unless it is still coming up.
fn active(address: &str) -> Option<usize> {
    metric(address, "master/slaves_active").map(|agents| agents as usize)
}

fn metric(address: &str, name: &str) -> Option<f64> {
    let snapshot = try_get(address, "/metrics/snapshot").ok()?;
    let snapshot: serde_json::Value = serde_json::from_slice(&snapshot).expect("JSON");
    snapshot[name].as_f64()
}

/// The process that listens on an address of this host.
pub fn listener(address: &str) -> Option<i32> {
    let port: u16 = address.rsplit_once(':')?.1.parse().ok()?;
    let table = std::fs::read_to_string("/proc/net/tcp").ok()?;
    let inode: u64 = table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let here = fields.get(1)?.ends_with(&format!(":{port:04X}")) && *fields.get(3)? == "0A";
        here.then(|| fields.get(9)?.parse().ok())?
    })?;
    let processes = std::fs::read_dir("/proc").ok()?;
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let holds = |pid: &i32| {
        let files = std::fs::read_dir(format!("/proc/{pid}/fd"));
        files.into_iter().flatten().flatten().any(|file| {
            std::fs::metadata(file.path()).is_ok_and(|metadata| metadata.ino() == inode)
        })
    };
    pids.into_iter().find(holds)
}
