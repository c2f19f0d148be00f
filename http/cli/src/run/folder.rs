//! Where the cluster of `tepui run` keeps its files, and the removal of what a run left that was
//! killed.
//!
//! A run holds a lock in its folder for as long as it lives; the kernel gives the lock back when
//! the run dies, in whichever way. So the next run knows a folder that nobody will remove, and
//! removes it, with the containers and cgroups that belong to it. A folder that its user wants to
//! keep has no lock file.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tepui_containerizer::linux::{self, LinuxOptions};
use tepui_protocol::tepui::containerizer::{Recover, Recovered};
use tepui_runtime::{Disk, Lock, Node, NodeOptions, World};

use crate::{cluster, failure::Failure, say};

/// How the folders' names begin. Until the lock is held it is the other one: nobody cleans that.
const PREFIX: &str = "tepui-run-";
const STARTING: &str = "tepui-starting-";
const LOCK: &str = "lock";
/// How long containers that a dead run left may take to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// The folder of one run.
pub(crate) struct Folder {
    path: PathBuf,
    keep: bool,
    lock: Lock,
}

impl Folder {
    /// Removes what dead runs left, and makes a folder.
    ///
    /// # Errors
    ///
    /// [`Failure::Folder`].
    pub(crate) fn new(world: &World, keep: bool) -> Result<Self, Failure> {
        let temporary = std::env::temp_dir();
        clean(world, &temporary);
        let failed = |source| Failure::Folder {
            path: temporary.clone(),
            source,
        };
        let starting = tempfile::Builder::new()
            .prefix(STARTING)
            .tempdir_in(&temporary)
            .map_err(failed)?;
        let who = format!("tepui run with pid {}", std::process::id());
        let lock = cluster::lock(world, starting.path(), LOCK, &who)?;
        let name = starting.path().file_name().unwrap_or_default();
        let own = name.to_string_lossy().replacen(STARTING, PREFIX, 1);
        let path = temporary.join(own);
        rename(starting.path(), &path).map_err(failed)?;
        // It is not there any more, under that name.
        let _moved = starting.keep();
        Ok(Self { path, keep, lock })
    }

    /// The folder of one of its agents.
    pub(crate) fn agent(&self, number: usize) -> PathBuf {
        self.path.join(format!("agent-{number}"))
    }

    /// What the names of its agents' cgroups begin with.
    pub(crate) fn cgroup(&self) -> String {
        cgroup(&self.path)
    }

    /// Removes it, or says where it is.
    pub(crate) fn close(self, world: &World, quiet: bool) {
        let disk = world.disk("");
        let done = if self.keep {
            disk.remove_file(&self.path.join(LOCK))
        } else {
            disk.remove_dir_all(&self.path)
        };
        drop(self.lock);
        let path = self.path.display();
        match done {
            Ok(()) if self.keep && !quiet => {
                say::err(format_args!("tepui: everything is kept in {path}"));
            }
            Ok(()) => {}
            Err(problem) => {
                say::err(format_args!("tepui: the folder {path} stays: {problem}"));
            }
        }
    }
}

fn cgroup(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

#[expect(
    clippy::disallowed_methods,
    reason = "an empty folder gets its name; nothing of it has to outlive a crash"
)]
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)
}

/// Removes what dead runs of this user left in a folder. What cannot be removed is left to the
/// next.
fn clean(world: &World, temporary: &Path) {
    let disk = world.disk("");
    for name in disk.list(temporary).unwrap_or_default() {
        let path = temporary.join(&name);
        let is_a_run = name.starts_with(PREFIX) && is_own(&path);
        if !is_a_run || !disk.exists(&path.join(LOCK)) {
            continue;
        }
        let who = format!("tepui run with pid {}, which cleans up", std::process::id());
        let Ok(lock) = disk.lock_exclusive(&path.join(LOCK), &who) else {
            continue;
        };
        tracing::info!(path = %path.display(), "removing what a dead run left");
        match end_containers(world, &*disk, &path).and_then(|()| {
            let removed = disk.remove_dir_all(&path);
            removed.map_err(|problem| problem.to_string())
        }) {
            Ok(()) => {}
            Err(problem) => tracing::warn!(path = %path.display(), problem, "a dead run stays"),
        }
        drop(lock);
    }
}

/// Whether it is a folder of this user, and no link: others may write to the same place.
fn is_own(path: &Path) -> bool {
    use nix::sys::stat::{SFlag, lstat};
    lstat(path).is_ok_and(|found| {
        let kind = SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT;
        kind == SFlag::S_IFDIR && found.st_uid == nix::unistd::geteuid().as_raw()
    })
}

/// Ends all containers of a run's agents, and removes their cgroups: a containerizer that is told
/// of none that should be there does that.
fn end_containers(world: &World, disk: &dyn Disk, run: &Path) -> Result<(), String> {
    let numbers = disk
        .list(run)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|name| name.strip_prefix("agent-")?.parse::<usize>().ok());
    for number in numbers {
        let node = Node::start(world, NodeOptions::default()).map_err(|it| it.to_string())?;
        let options = LinuxOptions {
            runtime_dir: run.join(format!("agent-{number}")).join("run"),
            cgroups_root: PathBuf::from(format!("{}-{number}", cgroup(run))),
            ..LinuxOptions::default()
        };
        let containerizer = linux::spawn(&node, options).map_err(|it| it.to_string())?;
        let recover = Recover {
            containers: Vec::new(),
            observer: None,
        };
        let asked = node.ask::<Recover, Recovered>(&containerizer, recover, PATIENCE);
        let answer = world.block_on(asked);
        world.block_on(node.shutdown());
        match answer {
            Ok(Recovered { error: None, .. }) => {}
            Ok(Recovered { error, .. }) => return Err(error.unwrap_or_default()),
            Err(problem) => return Err(problem.to_string()),
        }
    }
    Ok(())
}
