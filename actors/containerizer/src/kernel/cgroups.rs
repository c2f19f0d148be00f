//! The cgroups of one container: made, limited, asked, emptied and removed, in whatever mixture of
//! hierarchies the host has. Only what lies below our own root is ever touched.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::libc;
use serde::{Deserialize, Serialize};

use crate::kernel::hierarchies::{Hierarchies, Version};
use crate::kernel::sys;
use crate::limits::{Limits, Setting};

/// Folder inside a container's cgroup of version 2 that holds its processes, as in Mesos: a cgroup
/// that gives controllers to others may hold none itself.
const LEAF: &str = "leaf";

/// Folder inside a container's cgroup that holds those of the containers nested in it, as in Mesos.
const NESTED: &str = "mesos";

/// One container's cgroups, one for each hierarchy in use.
#[derive(Clone, Debug)]
pub(crate) struct ContainerCgroups {
    all: Vec<ContainerCgroup>,
}

/// One of them.
#[derive(Clone, Debug)]
pub(crate) struct ContainerCgroup {
    pub(crate) version: Version,
    controllers: Vec<&'static str>,
    path: PathBuf,
}

/// Why a container's memory ended it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OutOfMemory {
    /// Most memory it ever used, in bytes, where the kernel tells.
    pub(crate) max_usage: Option<u64>,
    /// Its limit in bytes.
    pub(crate) limit: Option<u64>,
    /// Contents of memory.stat.
    pub(crate) statistics: String,
}

impl ContainerCgroups {
    /// Where the cgroups of `container_id` are or would be.
    pub(crate) fn of(hierarchies: &Hierarchies, root: &Path, container_id: &str) -> Self {
        let own = container_id.replace('.', &format!("/{NESTED}/"));
        let all = hierarchies.iter().map(|hierarchy| ContainerCgroup {
            version: hierarchy.version,
            controllers: hierarchy.controllers.clone(),
            path: hierarchy.mount_point.join(root).join(&own),
        });
        Self { all: all.collect() }
    }

    /// Only what its processes are held together by, without any controller: all that a container
    /// has which shares its parent's cgroups.
    pub(crate) fn only_freezer(mut self) -> Self {
        self.all.retain(|cgroup| cgroup.has("freezer"));
        for cgroup in &mut self.all {
            cgroup.controllers = vec!["freezer"];
        }
        self
    }

    /// The others.
    pub(crate) fn without_freezer(mut self) -> Self {
        self.all.retain(|cgroup| !cgroup.has("freezer"));
        self
    }

    /// The cgroup that counts the memory of `container_id`, in which this process runs. None where
    /// it does not: then it is in somebody else's, of which nothing is to be concluded.
    pub(crate) fn of_this_process(container_id: &str) -> Option<Self> {
        let hierarchies = Hierarchies::discover().ok()?;
        let hierarchy = hierarchies.iter().find(|one| one.has("memory"))?;
        let own = procfs::process::Process::myself().ok()?.cgroups().ok()?;
        let own = own.0.into_iter().find(|own| match hierarchy.version {
            Version::V1 => own
                .controllers
                .iter()
                .any(|controller| controller == "memory"),
            Version::V2 => own.hierarchy == 0,
        })?;
        let path = Path::new(&own.pathname);
        let path = path.strip_prefix("/").unwrap_or(path);
        // In version 2 processes are in the leaf, and the limits on the folder around it.
        let path = match hierarchy.version {
            Version::V2 if path.ends_with(LEAF) => path.parent().unwrap_or(path),
            _ => path,
        };
        if path.file_name()? != container_id {
            return None;
        }
        Some(Self {
            all: vec![ContainerCgroup {
                version: hierarchy.version,
                controllers: hierarchy.controllers.clone(),
                path: hierarchy.mount_point.join(path),
            }],
        })
    }

    /// Makes and limits them. They must not be there yet: what is, is another's, and is left
    /// alone; after an error nothing is left of what was made.
    pub(crate) fn create(&self, limits: &Limits) -> Result<(), String> {
        for (made, cgroup) in self.all.iter().enumerate() {
            if let Err(error) = cgroup.create() {
                let own = Self {
                    all: self.all[..made].to_vec(),
                };
                let _ = own.remove();
                let path = cgroup.path.display();
                return Err(format!("failed to create cgroup '{path}': {error}"));
            }
        }
        self.write(limits, true)
            .inspect_err(|_| drop(self.remove()))
    }

    /// Sets other limits; a hard limit of memory grows and never shrinks.
    pub(crate) fn update(&self, limits: &Limits) -> Result<(), String> {
        self.write(limits, false)
    }

    fn write(&self, limits: &Limits, first: bool) -> Result<(), String> {
        for cgroup in &self.all {
            let settings = match cgroup.version {
                Version::V1 => limits.version1(first),
                Version::V2 => limits.version2(),
            };
            for setting in settings {
                // A container of an agent that isolated less has fewer cgroups.
                if cgroup.has(setting.controller) && (first || cgroup.path.exists()) {
                    cgroup.set(&setting, first).map_err(|error| {
                        let Setting { file, value, .. } = &setting;
                        let path = cgroup.path.join(file);
                        format!("failed to write '{value}' to '{}': {error}", path.display())
                    })?;
                }
            }
        }
        Ok(())
    }

    /// The files by which a process with one thread joins.
    pub(crate) fn join_files(&self) -> Vec<PathBuf> {
        let file = |cgroup: &ContainerCgroup| match cgroup.version {
            // `tasks` moves one thread and needs no lock over all thread groups of the host.
            Version::V1 => cgroup.path.join("tasks"),
            Version::V2 => cgroup.path.join(LEAF).join("cgroup.procs"),
        };
        self.all.iter().map(file).collect()
    }

    /// Every process in any of them, nested ones included.
    pub(crate) fn processes(&self) -> BTreeSet<i32> {
        self.all
            .iter()
            .flat_map(|cgroup| processes_below(&cgroup.path))
            .collect()
    }

    /// Sends SIGKILL to all processes, frozen while that is done so that none is missed. Returns
    /// whether there were any.
    pub(crate) fn kill(&self) -> bool {
        // Nobody is there who could fork: what is to come only came from here.
        if self.processes().is_empty() {
            return false;
        }
        for cgroup in &self.all {
            match cgroup.version {
                Version::V1 if cgroup.has("freezer") => {
                    for path in below(&cgroup.path) {
                        let _ = fs::write(path.join("freezer.state"), "FROZEN");
                    }
                }
                // Before Linux 5.14 this file is not there and the signals below do it.
                Version::V2 => drop(fs::write(cgroup.path.join("cgroup.kill"), "1")),
                Version::V1 => {}
            }
        }
        let pidfds: Vec<(i32, OwnedFd)> = self
            .processes()
            .into_iter()
            .filter_map(|pid| Some((pid, sys::pidfd_open(pid).ok()?)))
            .collect();
        // A pid read before may have come back elsewhere before it was opened; one that is still
        // a member now was the same process all the time it was open.
        let members = self.processes();
        for (pid, pidfd) in &pidfds {
            if members.contains(pid) {
                let _ = sys::pidfd_send_signal(pidfd.as_fd(), libc::SIGKILL);
            }
        }
        self.thaw();
        !members.is_empty()
    }

    /// Lets frozen processes go on: a frozen one does not even die.
    pub(crate) fn thaw(&self) {
        for cgroup in self.all.iter().filter(|cgroup| cgroup.has("freezer")) {
            for path in below(&cgroup.path) {
                let (file, value) = match cgroup.version {
                    Version::V1 => ("freezer.state", "THAWED"),
                    Version::V2 => ("cgroup.freeze", "0"),
                };
                let _ = fs::write(path.join(file), value);
            }
        }
    }

    /// Removes all of them, nested ones first. What is not there is no error.
    pub(crate) fn remove(&self) -> Result<(), String> {
        for cgroup in &self.all {
            for path in below(&cgroup.path).into_iter().rev() {
                match fs::remove_dir(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(format!("failed to remove '{}': {error}", path.display()));
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Asks whether the kernel killed anything in them because they were at their limit. It counts
    /// before it kills, so that whoever learns of the death finds the count.
    pub(crate) fn out_of_memory(&self) -> Option<OutOfMemory> {
        self.with("memory")?.out_of_memory()
    }

    /// The one with a controller.
    pub(crate) fn with(&self, controller: &str) -> Option<&ContainerCgroup> {
        self.all.iter().find(|cgroup| cgroup.has(controller))
    }

    /// Where the kernel tells of an out-of-memory event: the cgroup and its version.
    pub(crate) fn memory(&self) -> Option<(Version, &Path)> {
        let memory = self.with("memory")?;
        Some((memory.version, &memory.path))
    }
}

impl ContainerCgroup {
    fn has(&self, controller: &str) -> bool {
        self.controllers.contains(&controller)
    }

    fn create(&self) -> io::Result<()> {
        let parent = self.path.parent().unwrap_or(&self.path);
        // Our root may vanish between two calls, with the last container of another's end.
        for attempt in 0.. {
            fs::create_dir_all(parent)?;
            match fs::create_dir(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && attempt < 10 => {}
                Err(error) => return Err(error),
                Ok(()) => break,
            }
        }
        // Ours from here on, so that nothing of it stays.
        self.furnish().inspect_err(|_| {
            let _ = fs::remove_dir(self.path.join(LEAF));
            let _ = fs::remove_dir(&self.path);
        })
    }

    fn furnish(&self) -> io::Result<()> {
        if self.version == Version::V2 {
            let wanted: Vec<String> = self
                .controllers
                .iter()
                .filter(|controller| !matches!(**controller, "freezer" | "cpuacct"))
                .map(|controller| format!("+{controller}"))
                .collect();
            if !wanted.is_empty() {
                self.enable_along_the_path(&wanted.join(" "))?;
            }
            fs::create_dir(self.path.join(LEAF))?;
        }
        Ok(())
    }

    /// Controllers of version 2 are given from each folder to those in it, from the mount down.
    fn enable_along_the_path(&self, wanted: &str) -> io::Result<()> {
        let mut ancestors: Vec<&Path> = self.path.ancestors().skip(1).collect();
        ancestors.retain(|path| path.join("cgroup.subtree_control").exists());
        for path in ancestors.into_iter().rev() {
            fs::write(path.join("cgroup.subtree_control"), wanted)?;
        }
        Ok(())
    }

    fn set(&self, setting: &Setting, first: bool) -> io::Result<()> {
        let path = self.path.join(setting.file);
        if setting.grow_only && !first {
            let limit = |text: &str| text.trim().parse::<u64>().unwrap_or(u64::MAX);
            // "-1" and "max" are no numbers: no limit at all.
            if limit(&setting.value) <= limit(&fs::read_to_string(&path)?) {
                return Ok(());
            }
        }
        fs::write(path, &setting.value)
    }

    pub(crate) fn read(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.path.join(file)).ok()
    }

    fn out_of_memory(&self) -> Option<OutOfMemory> {
        // A kill alone may come from want of memory on the whole host: it is the container's own
        // where its limit was reached, too.
        let (kills, reached) = match self.version {
            Version::V1 => {
                let kills = field(&self.read("memory.oom_control")?, "oom_kill")?;
                let failed = ["memory.failcnt", "memory.memsw.failcnt"];
                let failed = failed
                    .iter()
                    .filter_map(|file| self.number(file))
                    .any(|count| count > 0);
                (kills, failed)
            }
            Version::V2 => {
                let events = self.read("memory.events")?;
                // They are those of all below it, too, and what is nested in it may have reached a
                // limit of its own. Before Linux 5.2 that is not told.
                let own = self.read("memory.events.local");
                let reached = field(own.as_deref().unwrap_or(&events), "oom");
                let reached = reached.is_some_and(|count| count > 0);
                (field(&events, "oom_kill")?, reached)
            }
        };
        (kills > 0 && reached).then(|| self.figures())
    }

    pub(crate) fn number(&self, file: &str) -> Option<u64> {
        self.read(file)?.trim().parse().ok()
    }

    fn figures(&self) -> OutOfMemory {
        let (max_usage, limit) = match self.version {
            Version::V1 => ("memory.max_usage_in_bytes", "memory.limit_in_bytes"),
            Version::V2 => ("memory.peak", "memory.max"),
        };
        OutOfMemory {
            max_usage: self.number(max_usage),
            limit: self.number(limit),
            statistics: self.read("memory.stat").unwrap_or_default(),
        }
    }
}

/// Every container id that has a cgroup below our root, in any hierarchy.
pub(crate) fn containers_below(hierarchies: &Hierarchies, root: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for hierarchy in hierarchies.iter() {
        containers_in(&hierarchy.mount_point.join(root), "", &mut found);
    }
    found
}

/// Ids of the containers in a folder, each with what is before it.
fn containers_in(folder: &Path, before: &str, found: &mut BTreeSet<String>) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        // A dot parts ids and is in none: what has one is not ours.
        if let Ok(name) = entry.file_name().into_string()
            && !name.contains('.')
        {
            let id = format!("{before}{name}");
            containers_in(&entry.path().join(NESTED), &format!("{id}."), found);
            found.insert(id);
        }
    }
}

/// Removes our root from every hierarchy where nothing is left in it. Of a root with several
/// components only the last is removed: the others may be somebody else's.
pub(crate) fn remove_root(hierarchies: &Hierarchies, root: &Path) {
    for hierarchy in hierarchies.iter() {
        // Fails where it is not empty, which is what is wanted.
        let _ = fs::remove_dir(hierarchy.mount_point.join(root));
    }
}

/// Folders from `path` downward, parents before children; nothing where it is not there.
fn below(path: &Path) -> Vec<PathBuf> {
    let mut found = vec![path.to_owned()];
    let mut next = 0;
    while let Some(path) = found.get(next) {
        next += 1;
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let folders: Vec<PathBuf> = folders.map(|entry| entry.path()).collect();
        found.extend(folders);
    }
    found
}

fn processes_below(path: &Path) -> Vec<i32> {
    let read = |path: PathBuf| fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    let texts: Vec<String> = below(path).into_iter().map(read).collect();
    // 0 stands for a process of another pid namespace, which cannot be named from here.
    let pids = texts
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(|line| line.parse().ok());
    pids.filter(|pid| *pid > 0).collect()
}

/// A number from lines of "name value".
pub(crate) fn field(text: &str, name: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";
        assert_eq!(field(text, "oom_kill"), Some(3));
        assert_eq!(field(text, "oom"), None);
    }
}
