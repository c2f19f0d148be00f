//! A network of the test's own: a namespace for the master and the schedulers, one for each agent,
//! and a bridge between them. Nothing of the host's network is touched. An agent is cut off by
//! taking the bridge's end of its cable down: packets are lost, and nobody is told.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tepui_integration::{Sweep, cgroup_mounts, folders};

/// Where named namespaces are mounted.
const FOLDER: &str = "/run/netns";
/// What every name of the test begins with; the id of its process follows, and another hyphen.
pub const PREFIX: &str = "tepui-soak-";

/// The namespaces, which are removed with it.
pub struct Network {
    agents: usize,
}

impl Network {
    /// Makes it, and takes away what tests that were killed have left.
    ///
    /// # Panics
    ///
    /// When it cannot be made, as without root.
    pub fn new(agents: usize) -> Network {
        remove_those_of_the_dead();
        let network = Network { agents };
        ip(&["netns", "add", &hub()]);
        in_hub(&["link", "set", "lo", "up"]);
        in_hub(&["link", "add", "bridge", "type", "bridge"]);
        in_hub(&["addr", "add", "10.0.0.1/24", "dev", "bridge"]);
        in_hub(&["link", "set", "bridge", "up"]);
        for agent in 0..agents {
            let (space, cable) = (space(agent), cable(agent));
            ip(&["netns", "add", &space]);
            in_hub(&[
                "link", "add", &cable, "type", "veth", "peer", "name", "cable", "netns", &space,
            ]);
            in_hub(&["link", "set", &cable, "master", "bridge"]);
            in_hub(&["link", "set", &cable, "up"]);
            let address = format!("{}/24", address(agent));
            ip(&["-n", &space, "link", "set", "lo", "up"]);
            ip(&["-n", &space, "addr", "add", &address, "dev", "cable"]);
            ip(&["-n", &space, "link", "set", "cable", "up"]);
        }
        network
    }

    /// Has this thread, and what it starts, in the master's namespace from now on.
    ///
    /// # Panics
    ///
    /// When it cannot.
    pub fn enter_hub(&self) {
        enter(&hub());
    }

    /// Runs something in an agent's namespace.
    ///
    /// # Panics
    ///
    /// When it cannot, or panics itself.
    pub fn within_agent<T: Send>(&self, agent: usize, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                enter(&space(agent));
                work()
            });
            thread.join().expect("it was done")
        })
    }

    /// Cuts an agent off, or lets it back.
    ///
    /// # Panics
    ///
    /// When there is no such agent.
    pub fn set_reachable(&self, agent: usize, reachable: bool) {
        let state = if reachable { "up" } else { "down" };
        in_hub(&["link", "set", &cable(agent), state]);
    }

    /// The processes in any of its namespaces, by id and name.
    pub fn processes(&self) -> Vec<(i32, String)> {
        use std::os::unix::fs::MetadataExt as _;
        let of_name = |name: String| std::fs::metadata(format!("{FOLDER}/{name}")).ok();
        let names = (0..self.agents).map(space).chain([hub()]);
        let ours: Vec<u64> = names.filter_map(of_name).map(|found| found.ino()).collect();
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse() else {
                continue;
            };
            let space = std::fs::metadata(entry.path().join("ns/net"));
            if space.is_ok_and(|space| ours.contains(&space.ino())) {
                let name = std::fs::read_to_string(entry.path().join("comm"));
                found.push((pid, name.unwrap_or_default().trim().to_owned()));
            }
        }
        found
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in (0..self.agents).map(space).chain([hub()]) {
            remove(&name);
        }
    }
}

/// An agent's address.
pub fn address(agent: usize) -> String {
    format!("10.0.0.{}", 10 + agent)
}

fn hub() -> String {
    format!("{PREFIX}{}-hub", std::process::id())
}

fn space(agent: usize) -> String {
    format!("{PREFIX}{}-{agent}", std::process::id())
}

fn cable(agent: usize) -> String {
    format!("agent{agent}")
}

fn in_hub(arguments: &[&str]) {
    let hub = hub();
    ip(&[&["-n", hub.as_str()], arguments].concat());
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output();
    let output = output.expect("ip can be run: integration/test installs it");
    assert!(
        output.status.success(),
        "ip {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Removes a namespace, if it is there.
fn remove(name: &str) {
    let _ = Command::new("ip").args(["netns", "del", name]).output();
}

fn enter(name: &str) {
    let file = File::open(format!("{FOLDER}/{name}")).expect("the namespace is there");
    setns(file, CloneFlags::CLONE_NEWNET).expect("root may enter it");
}

/// Whether a name was given by a test that was killed.
fn is_of_the_dead(name: &str) -> bool {
    let rest = name.strip_prefix(PREFIX);
    let owner = rest.and_then(|rest| rest.split('-').next());
    owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists())
}

/// Ends what runs in the namespaces and cgroups of tests that were killed, and removes them.
fn remove_those_of_the_dead() {
    let mut sweep = Sweep::default();
    for mount in cgroup_mounts() {
        let names = folders(&mount);
        let names = names.iter().filter_map(|path| path.file_name()?.to_str());
        let dead = names.filter(|name| is_of_the_dead(name));
        dead.for_each(|name| sweep.add(name.to_owned()));
    }
    for entry in std::fs::read_dir(FOLDER).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_of_the_dead(&name) {
            let pids = Command::new("ip").args(["netns", "pids", &name]).output();
            let pids = pids.map(|output| output.stdout).unwrap_or_default();
            for pid in String::from_utf8_lossy(&pids).lines() {
                if let Ok(pid) = pid.trim().parse() {
                    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                }
            }
            remove(&name);
        }
    }
}
