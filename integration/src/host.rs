//! What can be seen of containers on a host: processes, cgroups, mounts. Other programs may run on
//! the host meanwhile; only what cannot be theirs is looked at.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long orphans may wait for the host's init to reap them.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is there at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remains {
    /// Each process that can be a container's, by pid, name and when it started: it is in another
    /// pid namespace than this one, wherever on the host, or in a cgroup below the root, or runs
    /// the program.
    processes: BTreeSet<String>,
    /// The cgroups right below the top of every hierarchy. What is within those of other programs
    /// is theirs, and comes and goes.
    cgroups: BTreeSet<PathBuf>,
    /// The table of mounts.
    mounts: String,
}

impl Remains {
    /// Looks at the host. `root` is a part of the name of the test's cgroups, `program` the binary
    /// that runs its agents and the inside of its containers.
    ///
    /// # Panics
    ///
    /// When the host cannot be looked at.
    pub fn look(root: &str, program: &Path) -> Remains {
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("a table of mounts");
        Remains {
            processes: processes(root, program),
            cgroups: cgroups(),
            mounts,
        }
    }

    /// What is there now and was not in `before`, and mounts that differ.
    fn since(&self, before: &Remains) -> Vec<String> {
        let processes = self.processes.difference(&before.processes).cloned();
        let cgroups = self.cgroups.difference(&before.cgroups);
        let mut new: Vec<String> = processes
            .chain(cgroups.map(|path| path.display().to_string()))
            .collect();
        if self.mounts != before.mounts {
            new.push(format!(
                "mounts are\n{}and were\n{}",
                self.mounts, before.mounts
            ));
        }
        new
    }

    /// What is left since `before`: looks until nothing is, or a while has passed, since orphans
    /// of a killed agent are reaped by the host's init when it comes to it.
    pub fn left_since(root: &str, program: &Path, before: &Remains) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = Remains::look(root, program).since(before);
            if left.is_empty() || Instant::now() > deadline {
                return left;
            }
            std::thread::yield_now();
        }
    }
}

/// Mount points of all cgroup hierarchies.
///
/// # Panics
///
/// When the table of mounts cannot be read.
pub fn cgroup_mounts() -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").expect("a table of mounts");
    let lines = table.lines().filter(|line| line.contains(" - cgroup"));
    lines
        .filter_map(|line| line.split(' ').nth(4))
        .map(PathBuf::from)
        .collect()
}

fn processes(root: &str, program: &Path) -> BTreeSet<String> {
    let program = fs::canonicalize(program).expect("the program");
    let own = std::process::id().to_string();
    let namespace = fs::read_link("/proc/self/ns/pid").expect("a pid namespace");
    let mut found = BTreeSet::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let (path, pid) = (
            entry.path(),
            entry.file_name().to_string_lossy().into_owned(),
        );
        if pid == own || !pid.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let text = |file: &str| fs::read_to_string(path.join(file)).unwrap_or_default();
        let in_ours = text("cgroup").contains(root);
        let elsewhere = fs::read_link(path.join("ns/pid")).is_ok_and(|other| other != namespace);
        let ours = fs::read_link(path.join("exe")).is_ok_and(|exe| exe == program);
        if in_ours || elsewhere || ours {
            let stat = text("stat");
            let (name, rest) = stat.rsplit_once(") ").unwrap_or_default();
            // Its 22nd field, the 20th behind the name: proc_pid_stat(5).
            let start = rest.split(' ').nth(19).unwrap_or_default();
            found.insert(format!("{name}) started at {start}"));
        }
    }
    found
}

fn cgroups() -> BTreeSet<PathBuf> {
    cgroup_mounts()
        .iter()
        .flat_map(|mount| folders(mount))
        .collect()
}

/// Ends what is in the cgroups of a test that failed; a test that passed left none.
#[derive(Debug, Default)]
pub struct Sweep {
    roots: Vec<String>,
}

impl Sweep {
    /// Has another cgroup swept, by its name at the top of each hierarchy.
    pub fn add(&mut self, root: String) {
        self.roots.push(root);
    }
}

impl Drop for Sweep {
    fn drop(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        let mounts = cgroup_mounts();
        for root in &self.roots {
            let tops = || mounts.iter().map(|mount| mount.join(root));
            while tops().any(|top| top.exists()) && Instant::now() < deadline {
                tops().for_each(|top| sweep(&top));
            }
        }
    }
}

/// Kills whatever is in a cgroup and removes it, as far as that is possible at once.
fn sweep(cgroup: &Path) {
    folders(cgroup).iter().for_each(|inner| sweep(inner));
    let processes = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    for pid in processes.lines().filter_map(|pid| pid.parse().ok()) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    let _ = fs::remove_dir(cgroup);
}

/// The folders right below one.
pub fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.map(|entry| entry.path()).collect()
}
