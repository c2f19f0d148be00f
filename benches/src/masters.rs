//! The masters that are compared: ours, started here as `tepui local` in one OS process with its
//! agents, and a real Mesos that somebody started, by its address.

use std::time::{Duration, Instant};

use tepui_integration::Daemon;

use crate::http::try_get;

/// Addresses of real Mesos masters with their agents in one OS process, `ip:port[,ip:port...]`.
const MESOS: &str = "TEPUI_BENCH_MESOS";

const PATIENCE: Duration = Duration::from_secs(60);

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

/// Ours, and the real one if an address of one with so many agents is given.
pub fn masters(agents: usize, flags: &[&str]) -> Vec<Master> {
    let mut masters = vec![ours(agents, flags)];
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
    let found = addresses.find(|address| active(address) == agents);
    found.map(str::to_owned)
}

/// `tepui local` with so many agents, all registered.
pub fn ours(agents: usize, flags: &[&str]) -> Master {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut arguments = vec![
        "local".to_owned(),
        "--port=0".to_owned(),
        format!("--num_agents={agents}"),
        format!("--work_dir={}", folder.path().display()),
        format!("--cgroups_root=tepui-bench-{}", std::process::id()),
        "--registration_backoff_factor=10ms".to_owned(),
    ];
    arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
    let mut daemon = Daemon::start(&arguments);
    let line = daemon.wait_for("the master's address", |line| line.contains("master@"));
    let (_, rest) = line.split_once("master@").expect("just found");
    let is_address = |c: &char| c.is_ascii_digit() || ".:".contains(*c);
    let address: String = rest.chars().take_while(is_address).collect();
    let started = Instant::now();
    while active(&address) < agents {
        assert!(started.elapsed() < PATIENCE, "the agents register");
        std::thread::sleep(Duration::from_millis(20));
    }
    Master {
        name: "tepui",
        address,
        daemon: Some(daemon),
        _folder: Some(folder),
    }
}

/// How many agents a master has; none while it comes up.
fn active(address: &str) -> usize {
    let Ok(snapshot) = try_get(address, "/metrics/snapshot") else {
        return 0;
    };
    let snapshot: serde_json::Value = serde_json::from_slice(&snapshot).expect("JSON");
    snapshot["master/slaves_active"]
        .as_f64()
        .unwrap_or_default() as usize
}
