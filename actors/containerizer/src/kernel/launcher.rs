//! The two launchers behind one face: `linux` (root; namespaces and cgroups) and `posix` (anyone;
//! sessions and process groups only). Every call blocks. When what is called is not decided here.
//!
//! The posix launcher is clearly limited: nothing holds a process that leaves its parents, its
//! session and its group behind; no limit is enforced; every container sees all processes.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use tepui_protocol::mesos::v1::{ContainerId, ContainerStatus, ResourceStatistics};

use crate::kernel::cgroups::{self, ContainerCgroups, OutOfMemory};
use crate::kernel::destroy::{destroy_linux, destroy_posix};
use crate::kernel::fetch::process::{Fetch, fetch};
use crate::kernel::hierarchies::{Hierarchies, Version};
use crate::kernel::identity::ProcessIdentity;
use crate::kernel::runtime_dir::{ContainerConfig, RuntimeDir};
use crate::kernel::spawn::{SpawnError, Spawner, Waiting};
use crate::kernel::usage::{self, Wanted};
use crate::launch::{
    FetchDescription, LaunchDescription, Namespaces, Program, Rlimit, STATUS_KILLED, Shm,
};
use crate::limits::Limits;

/// How containers are made on this host.
#[derive(Clone, Debug)]
pub(crate) struct LauncherOptions {
    /// Mesos' --runtime_dir.
    pub(crate) runtime_dir: PathBuf,
    /// Mesos' --cgroups_root: relative, and of no other agent on this host. `None` chooses the
    /// posix launcher.
    pub(crate) cgroups_root: Option<PathBuf>,
    /// Controllers that containers are put under.
    pub(crate) controllers: Vec<&'static str>,
    /// Whether memory with swap is to be limited, which not every host can.
    pub(crate) limit_swap: bool,
    /// What is told of a container's use.
    pub(crate) usage: Wanted,
    /// Soft limit of open files for commands that ask for none.
    pub(crate) file_limit: Option<u64>,
    /// The binary that has the roles `contain` and `executor`.
    pub(crate) binary: PathBuf,
    /// Mesos' --cgroups_destroy_timeout.
    pub(crate) destroy_timeout: Duration,
}

/// Why this host cannot run containers.
#[derive(Debug, thiserror::Error)]
pub enum LauncherError {
    /// A controller is mounted nowhere.
    #[error("the linux launcher cannot be used: {problem}")]
    Hierarchies {
        /// What is missing.
        problem: String,
    },
    /// The root is no folder name below the hierarchies' own roots.
    #[error("cgroups root '{root}' must be a relative path of plain names")]
    Root {
        /// As it was given.
        root: String,
    },
    /// Another agent owns what is below this root; both would destroy each other's containers.
    #[error("cgroups root '{root}' cannot be taken: {problem} (--cgroups_root names another)")]
    Taken {
        /// As it was given.
        root: String,
        /// The kernel's words.
        problem: String,
    },
    /// Another agent's containers are remembered there; both would destroy each other's.
    #[error("runtime folder '{}' cannot be taken: {problem} (--runtime_dir names another)", path.display())]
    RuntimeDir {
        /// As it was given.
        path: PathBuf,
        /// The kernel's words.
        problem: String,
    },
}

/// How long the kernel may take from the event to the kill, which it counts only then.
const KILL_AFTER_EVENT: Duration = Duration::from_secs(5);

/// Everything one container is made of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ContainerSpec {
    pub(crate) container_id: String,
    pub(crate) program: Program,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) directory: PathBuf,
    pub(crate) user: Option<String>,
    pub(crate) rlimits: Vec<Rlimit>,
    pub(crate) limits: Limits,
    /// The executor that comes with the agent runs in it.
    pub(crate) builtin_executor: bool,
    pub(crate) namespaces: Namespaces,
    pub(crate) shm: Option<Shm>,
    /// None where there is no URI.
    pub(crate) fetch: Option<FetchDescription>,
}

/// What is known of a container after nothing of it is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destroyed {
    /// Raw wait status of its command; a death by SIGKILL where none was written.
    pub(crate) status: i32,
    pub(crate) out_of_memory: Option<OutOfMemory>,
    /// What could not be removed.
    pub(crate) error: Option<String>,
}

/// Makes and ends containers.
pub(crate) struct Launcher {
    binary: PathBuf,
    destroy_timeout: Duration,
    runtime_dir: RuntimeDir,
    usage: Wanted,
    file_limit: Option<u64>,
    spawner: Spawner,
    linux: Option<Linux>,
    /// On the runtime folder; held as long as we run, as that of the cgroups root.
    _lock: Flock<File>,
}

struct Linux {
    /// All there are: a container of an earlier agent may be in any of them.
    hierarchies: Hierarchies,
    /// Those that containers are made in.
    used: Hierarchies,
    root: PathBuf,
    /// Held as long as we run; the kernel gives it back when we die.
    _lock: Flock<File>,
}

impl Launcher {
    /// Looks at the host and takes the cgroups root and the runtime folder.
    pub(crate) fn new(options: LauncherOptions) -> Result<Launcher, LauncherError> {
        let LauncherOptions {
            runtime_dir,
            cgroups_root,
            controllers,
            limit_swap,
            usage,
            file_limit,
            binary,
            destroy_timeout,
        } = options;
        let linux = cgroups_root.map(|root| Linux::take(root, &controllers, limit_swap));
        let linux = linux.transpose()?;
        let lock = take(&runtime_dir).map_err(|problem| LauncherError::RuntimeDir {
            path: runtime_dir.clone(),
            problem,
        })?;
        let runtime_dir = RuntimeDir::new(&runtime_dir);
        Ok(Launcher {
            spawner: Spawner::new(binary.clone()),
            binary,
            destroy_timeout,
            runtime_dir,
            usage,
            file_limit,
            linux,
            _lock: lock,
        })
    }

    /// Makes the container's folder and its cgroups, with their limits; all of it or nothing.
    pub(crate) fn prepare(&self, spec: &ContainerSpec) -> Result<(), String> {
        let config = ContainerConfig {
            version: ContainerConfig::VERSION,
            container_id: spec.container_id.clone(),
            directory: spec.directory.clone(),
            cgroups_root: self.linux.as_ref().map(|linux| linux.root.clone()),
            limits: spec.limits.clone(),
        };
        let created = self.runtime_dir.create(&config);
        created.map_err(|error| format!("failed to create the runtime directory: {error}"))?;
        let Some(cgroups) = self.made(&spec.container_id) else {
            return Ok(());
        };
        cgroups.create(&spec.limits).inspect_err(|_| {
            // Made by us a moment ago, and there is nothing else of the container.
            drop(self.runtime_dir.remove(&spec.container_id));
        })
    }

    /// Starts the container's init, which waits for the word, and remembers it.
    pub(crate) fn fork(&self, spec: &ContainerSpec) -> Result<Waiting, SpawnError> {
        let cgroups = self.made(&spec.container_id);
        let score = cgroups.is_some() && spec.builtin_executor;
        let description = LaunchDescription {
            runtime_directory: self.runtime_dir.of(&spec.container_id),
            sandbox: spec.directory.clone(),
            cgroups: cgroups
                .as_ref()
                .map(ContainerCgroups::join_files)
                .unwrap_or_default(),
            namespaces: spec.namespaces,
            shm: spec.shm,
            oom_score_adj: if score {
                spec.limits.oom_score_adj(usage::host_memory())
            } else {
                None
            },
            user: spec.user.clone(),
            file_limit: self.file_limit,
            rlimits: spec.rlimits.clone(),
            program: spec.program.clone(),
            environment: spec.environment.clone(),
        };
        let waiting = self.spawner.spawn(&description);
        let pid = match &waiting {
            Ok(waiting) => Some(waiting.pid),
            Err(error) => error.pid,
        };
        if let Some(pid) = pid {
            let failed = |error: String| SpawnError {
                pid: Some(pid),
                error,
            };
            // Our child and not reaped: the pid cannot mean another process.
            let init = ProcessIdentity::of(pid)
                .ok_or_else(|| failed(format!("the container's init {pid} is not in /proc")))?;
            self.runtime_dir
                .write_init(&spec.container_id, &init)
                .map_err(|error| failed(format!("failed to checkpoint the pid: {error}")))?;
        }
        waiting
    }

    /// Brings the container's URIs into its sandbox. May take as long as the network lets it;
    /// `control` cuts it short.
    pub(crate) fn fetch(&self, spec: &ContainerSpec, control: &Fetch) -> Result<(), String> {
        let Some(description) = &spec.fetch else {
            return Ok(());
        };
        fetch(&self.binary, description, control).map_err(|error| {
            let id = &spec.container_id;
            format!("Failed to fetch all URIs for container '{id}': {error}")
        })
    }

    /// The remembered init of a container.
    pub(crate) fn init(&self, container_id: &str) -> Option<ProcessIdentity> {
        self.runtime_dir.init(container_id)
    }

    /// Where the kernel tells that a container is out of memory.
    pub(crate) fn memory(&self, container_id: &str) -> Option<(Version, PathBuf)> {
        let cgroups = self.made(container_id)?;
        cgroups
            .memory()
            .map(|(version, path)| (version, path.to_owned()))
    }

    /// What an event of its memory means for a container. None where nothing was killed: version
    /// 2 tells of lesser events, too, and version 1 as it begins to look for somebody to kill,
    /// who may be dying already.
    pub(crate) fn memory_event(&self, container_id: &str) -> Option<OutOfMemory> {
        let cgroups = self.made(container_id)?;
        let (version, path) = cgroups.memory()?;
        let mut waited = Duration::ZERO;
        loop {
            let found = cgroups.out_of_memory();
            let over = version == Version::V2 || waited >= KILL_AFTER_EVENT || !path.exists();
            if found.is_some() || over {
                return found;
            }
            // It comes in microseconds nearly always.
            let pause = (waited / 4).clamp(Duration::from_micros(100), Duration::from_millis(50));
            std::thread::sleep(pause);
            waited += pause;
        }
    }

    /// Whether the kernel has killed in a container for want of memory.
    pub(crate) fn out_of_memory(&self, container_id: &str) -> Option<OutOfMemory> {
        self.made(container_id)?.out_of_memory()
    }

    /// Sets other limits.
    pub(crate) fn update(&self, container_id: &str, limits: &Limits) -> Result<(), String> {
        if let Some(cgroups) = self.made(container_id) {
            cgroups.update(limits)?;
        }
        if let Some(config) = self.runtime_dir.config(container_id) {
            let limits = limits.clone();
            // For statistics only; the limits are in force.
            if let Err(error) = self
                .runtime_dir
                .rewrite(&ContainerConfig { limits, ..config })
            {
                tracing::warn!(container = container_id, %error, "its limits are not remembered");
            }
        }
        Ok(())
    }

    /// What containers use and how they stand, in the same order; none where there is no such.
    pub(crate) fn inspect(
        &self,
        ids: &[String],
        timestamp: f64,
    ) -> Vec<Option<(ResourceStatistics, ContainerStatus)>> {
        let table = usage::Table::read(self.usage);
        let each = ids.iter().map(|id| {
            let init = self.runtime_dir.init(id)?;
            let limits = self.runtime_dir.config(id)?.limits;
            let cgroups = self.made(id);
            let statistics = ResourceStatistics {
                timestamp,
                ..table.of(&init, cgroups.as_ref(), &limits)
            };
            let status = ContainerStatus {
                container_id: Some(ContainerId::top(id)),
                executor_pid: u32::try_from(init.pid).ok(),
                ..ContainerStatus::default()
            };
            Some((statistics, status))
        });
        each.collect()
    }

    /// Ends a container and removes all of it; may be called for one that is half made, half
    /// removed, or never was.
    pub(crate) fn destroy(&self, container_id: &str) -> Destroyed {
        let init = self.runtime_dir.init(container_id);
        let config = self.runtime_dir.config(container_id);
        let cgroups = match config.map(|config| config.cgroups_root) {
            // Made under another root than ours of today.
            Some(Some(root)) => self.cgroups_below(&root, container_id),
            Some(None) => None,
            None => self.cgroups(container_id),
        };
        let ended = match cgroups {
            Some(cgroups) => destroy_linux(init.as_ref(), &cgroups, self.destroy_timeout),
            None => destroy_posix(init.as_ref(), self.destroy_timeout).map(|()| None),
        };
        let status = self
            .runtime_dir
            .status(container_id)
            .unwrap_or(STATUS_KILLED);
        let (out_of_memory, error) = match ended {
            Ok(out_of_memory) => {
                let removed = self.runtime_dir.remove(container_id);
                let error = removed
                    .err()
                    .map(|error| format!("failed to remove the runtime directory: {error}"));
                (out_of_memory, error)
            }
            // Its folder stays, so that the next start tries again.
            Err(error) => (None, Some(error)),
        };
        Destroyed {
            status,
            out_of_memory,
            error,
        }
    }

    /// Every container of which something is left on this host.
    pub(crate) fn found(&self) -> Result<Vec<String>, String> {
        let known = self.runtime_dir.list();
        let mut found =
            known.map_err(|error| format!("failed to read the runtime directory: {error}"))?;
        if let Some(Linux {
            hierarchies, root, ..
        }) = &self.linux
        {
            found.extend(cgroups::containers_below(hierarchies, root));
        }
        found.sort();
        found.dedup();
        Ok(found)
    }

    /// Whether the command of a container has not ended, as far as its init says.
    pub(crate) fn is_alive(&self, container_id: &str) -> bool {
        self.runtime_dir
            .init(container_id)
            .is_some_and(|init| init.runs())
    }

    /// The cgroups that a container of ours has.
    fn made(&self, container_id: &str) -> Option<ContainerCgroups> {
        let linux = self.linux.as_ref()?;
        let (used, root) = (&linux.used, &linux.root);
        Some(ContainerCgroups::of(used, root, container_id))
    }

    /// Every cgroup that a container may have.
    fn cgroups(&self, container_id: &str) -> Option<ContainerCgroups> {
        let linux = self.linux.as_ref()?;
        self.cgroups_below(&linux.root, container_id)
    }

    fn cgroups_below(&self, root: &Path, container_id: &str) -> Option<ContainerCgroups> {
        let linux = self.linux.as_ref()?;
        Some(ContainerCgroups::of(&linux.hierarchies, root, container_id))
    }
}

impl Drop for Linux {
    fn drop(&mut self) {
        cgroups::remove_root(&self.hierarchies, &self.root);
    }
}

impl Linux {
    fn take(root: PathBuf, controllers: &[&str], limit_swap: bool) -> Result<Linux, LauncherError> {
        let plain = |part| matches!(part, std::path::Component::Normal(_));
        if root.as_os_str().is_empty() || !root.components().all(plain) {
            return Err(LauncherError::Root {
                root: root.display().to_string(),
            });
        }
        let failed = |problem| LauncherError::Hierarchies { problem };
        let hierarchies = Hierarchies::discover().map_err(failed)?;
        let used = hierarchies.only(controllers).map_err(failed)?;
        if limit_swap {
            used.can_limit_swap().map_err(failed)?;
        }
        let freezer = used
            .freezer()
            .map(|freezer| freezer.mount_point.join(&root));
        let directory = freezer.ok_or_else(|| failed("no freezer is used".to_owned()))?;
        let taken = |problem: String| LauncherError::Taken {
            root: root.display().to_string(),
            problem,
        };
        let lock = take(&directory).map_err(taken)?;
        Ok(Linux {
            hierarchies,
            used,
            root,
            _lock: lock,
        })
    }
}

/// Makes a folder and takes it for this process alone; says why not.
fn take(directory: &Path) -> Result<Flock<File>, String> {
    std::fs::create_dir_all(directory).map_err(|error| error.to_string())?;
    let directory = File::open(directory).map_err(|error| error.to_string())?;
    Flock::lock(directory, FlockArg::LockExclusiveNonblock)
        .map_err(|(_, _)| "another agent runs with it".to_owned())
}
