//! What can be seen of containers on a host: processes, cgroups, mounts. Other programs may run on
//! the host meanwhile; only what cannot be theirs is looked at.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What is there at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remains {
    /// Pid and `stat` of each process that can be a container's: it is in another pid namespace
    /// than this one, wherever on the host, or in a cgroup below the root, or runs this program.
    processes: BTreeSet<String>,
    /// All cgroups of every hierarchy.
    cgroups: BTreeSet<PathBuf>,
    /// The table of mounts.
    mounts: String,
}

impl Remains {
    /// Looks at the host; `root` is the cgroups root of the test.
    pub(crate) fn look(root: &str) -> Remains {
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("a table of mounts");
        Remains {
            processes: processes(root),
            cgroups: cgroups(),
            mounts,
        }
    }

    /// Looks until it is as expected, or a while has passed: orphans of a killed agent are reaped
    /// by the host's init when it comes to it.
    pub(crate) fn settled(root: &str, expected: &Remains) -> Remains {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let remains = Remains::look(root);
            if remains == *expected || Instant::now() > deadline {
                return remains;
            }
            std::thread::yield_now();
        }
    }
}

/// Mount points of all cgroup hierarchies.
pub(crate) fn cgroup_mounts() -> Vec<PathBuf> {
    let table = fs::read_to_string("/proc/self/mountinfo").expect("a table of mounts");
    let lines = table.lines().filter(|line| line.contains(" - cgroup"));
    lines
        .filter_map(|line| line.split(' ').nth(4))
        .map(PathBuf::from)
        .collect()
}

fn processes(root: &str) -> BTreeSet<String> {
    let binary = fs::read_link("/proc/self/exe").expect("this program");
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
        let ours = fs::read_link(path.join("exe")).is_ok_and(|exe| exe == binary);
        if in_ours || elsewhere || ours {
            found.insert(format!("{pid} {}", text("stat")));
        }
    }
    found
}

fn cgroups() -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for mount in cgroup_mounts() {
        collect(&mount, &mut found);
    }
    found
}

fn collect(path: &Path, found: &mut BTreeSet<PathBuf>) {
    found.insert(path.to_owned());
    for folder in folders(path) {
        collect(&folder, found);
    }
}

fn folders(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.map(|entry| entry.path()).collect()
}
