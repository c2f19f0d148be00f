//! The two launchers behind one face: `linux` (root; namespaces and cgroups) and `posix` (anyone;
//! sessions and process groups only). Every call blocks. When what is called is not decided here.
//!
//! The posix launcher is clearly limited: nothing holds a process that leaves its parents, its
//! session and its group behind; no limit is enforced; every container sees all processes.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use nix::libc;
use tepui_protocol::mesos::v1::{ContainerId, ContainerStatus, ResourceStatistics};

use crate::kernel::around::Around;
use crate::kernel::cgroups::{self, ContainerCgroups, OutOfMemory};
use crate::kernel::destroy::{destroy_linux, destroy_posix};
use crate::kernel::fetch::process::{Fetch, fetch};
use crate::kernel::hierarchies::{Hierarchies, Version};
use crate::kernel::identity::ProcessIdentity;
use crate::kernel::runtime_dir::{ContainerConfig, Remembered, RuntimeDir};
use crate::kernel::spawn::{SpawnError, Spawner, Waiting};
use crate::kernel::sys;
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

/// How long an init may take from the word to its command, or from the end of its pipe to its own.
const BEGINS_WITHIN: Duration = Duration::from_secs(2);

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
    /// It is in cgroups of its own; else in its parent's, but for what it is killed by.
    pub(crate) own_cgroups: bool,
    /// It is one task, with or without the executor that comes with the agent.
    pub(crate) is_task: bool,
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
    /// It is nested, and its init never got the word.
    pub(crate) never_ran: bool,
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
            own_cgroups: spec.own_cgroups,
        };
        if self.linux.is_none() && spec.own_cgroups && spec.container_id.contains('.') {
            let needs = "container.linux_info.share_cgroups=false needs the linux launcher";
            return Err(needs.to_owned());
        }
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
        let around = self.around(spec)?;
        let score = self.linux.is_some() && spec.is_task;
        let description = LaunchDescription {
            runtime_directory: self.runtime_dir.of(&spec.container_id),
            sandbox: spec.directory.clone(),
            sandbox_root: self.sandbox_root(spec),
            marks_start: spec.container_id.contains('.'),
            cgroups: self.join_files(&spec.container_id),
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
        let waiting = self.spawner.spawn(&description, around);
        let init = match &waiting {
            Ok(waiting) => Some(&waiting.init),
            Err(error) => error.init.as_ref(),
        };
        if let Some(init) = init {
            let written = self.runtime_dir.write_init(&spec.container_id, init);
            written.map_err(|error| SpawnError {
                init: Some(init.clone()),
                error: format!("failed to checkpoint the pid: {error}"),
            })?;
        }
        waiting
    }

    /// From where on a container's sandbox is in its user's hands: a nested one is in that of the
    /// outermost.
    fn sandbox_root(&self, spec: &ContainerSpec) -> PathBuf {
        let root = spec.container_id.split_once('.').map(|(root, _)| root);
        let root = root.and_then(|root| self.runtime_dir.config(root));
        let root = root.map(|config| config.directory);
        let around = root.filter(|root| spec.directory.starts_with(root));
        around.unwrap_or_else(|| spec.directory.clone())
    }

    /// The namespaces of the container around, for one that is nested.
    fn around(&self, spec: &ContainerSpec) -> Result<Around, String> {
        let Some((parent, _)) = spec.container_id.rsplit_once('.') else {
            return Ok(Around::default());
        };
        let init = self.runtime_dir.init(parent);
        let init = init.ok_or_else(|| format!("the init of container '{parent}' is not known"))?;
        Around::of(&init, spec.namespaces)
    }

    /// The files by which a container's init joins its cgroups, and those that it shares.
    fn join_files(&self, container_id: &str) -> Vec<PathBuf> {
        let Some(own) = self.made(container_id) else {
            return Vec::new();
        };
        let mut files = own.join_files();
        let owner = self.owner(container_id);
        if owner != container_id {
            let shared = self.made(owner).map(ContainerCgroups::without_freezer);
            files.extend(shared.iter().flat_map(ContainerCgroups::join_files));
        }
        files
    }

    /// The container whose cgroups limit this one: itself, or one around it.
    fn owner<'a>(&self, container_id: &'a str) -> &'a str {
        let mut owner = container_id;
        while let Some((parent, _)) = owner.rsplit_once('.') {
            let config = self.runtime_dir.config(owner);
            if config.is_some_and(|config| config.own_cgroups) {
                return owner;
            }
            owner = parent;
        }
        owner
    }

    /// Sends a signal to a container's init, which passes it on to the command.
    pub(crate) fn signal(&self, container_id: &str, signal: i32) -> Result<(), String> {
        let init = self.runtime_dir.init(container_id);
        let pidfd = match signal {
            // These the init cannot pass on: one stops it, the other is its own.
            libc::SIGSTOP | libc::SIGCHLD => init.and_then(|init| init.open_first_child()),
            _ => init.and_then(|init| init.open()),
        };
        // One that has just ended needs no signal any more.
        let Some(pidfd) = pidfd else {
            return Ok(());
        };
        sys::pidfd_send_signal(pidfd.as_fd(), signal).map_err(|error| error.to_string())
    }

    /// Forgets how a nested container ended.
    pub(crate) fn forget(&self, container_id: &str) -> Result<(), String> {
        let removed = self.runtime_dir.remove(container_id);
        removed.map_err(|error| format!("failed to remove the runtime directory: {error}"))
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
                container_id: Some(id.parse().unwrap_or_else(|_| ContainerId::top(id))),
                executor_pid: u32::try_from(init.pid).ok(),
                ..ContainerStatus::default()
            };
            Some((statistics, status))
        });
        each.collect()
    }

    /// Ends a container and removes all of it; may be called for one that is half made, half
    /// removed, or never was. Where `remember` is set its folder stays, with how it ended.
    pub(crate) fn destroy(&self, container_id: &str, remember: bool) -> Destroyed {
        if remember && let Some(remembered) = self.runtime_dir.remembered(container_id) {
            let Remembered {
                status,
                out_of_memory,
            } = remembered;
            return Destroyed {
                status,
                out_of_memory,
                error: None,
                never_ran: false,
            };
        }
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
        let is_nested = container_id.contains('.');
        let never_ran = is_nested && !self.runtime_dir.started(container_id);
        let (out_of_memory, error) = match ended {
            Ok(out_of_memory) => {
                let owner = self.owner(container_id);
                // What killed in the memory it shares killed in it.
                let shared = || {
                    let shares = owner != container_id;
                    shares.then(|| self.out_of_memory(owner)).flatten()
                };
                let out_of_memory = out_of_memory.or_else(shared);
                let remembered = Remembered {
                    status,
                    out_of_memory,
                };
                let error = if remember {
                    let written = self.runtime_dir.remember(container_id, &remembered);
                    written.map_err(|error| format!("failed to checkpoint the end: {error}"))
                } else {
                    self.forget(container_id)
                };
                (remembered.out_of_memory, error.err())
            }
            // Its folder stays, so that the next start tries again.
            Err(error) => (None, Some(error)),
        };
        Destroyed {
            status,
            out_of_memory,
            error,
            never_ran,
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

    /// Whether the command of a container runs, as far as its init says. This is asked for agents
    /// that are gone: an init that has the word begins now, and one that has not sees the end of
    /// its pipe and exits. Which of both is waited for.
    pub(crate) fn is_alive(&self, container_id: &str) -> bool {
        let Some(init) = self.runtime_dir.init(container_id) else {
            return false;
        };
        let has_begun = || !container_id.contains('.') || self.runtime_dir.started(container_id);
        let mut waited = Duration::ZERO;
        while init.runs() && !has_begun() && waited < BEGINS_WITHIN {
            let pause = (waited / 4).clamp(Duration::from_millis(1), Duration::from_millis(50));
            std::thread::sleep(pause);
            waited += pause;
        }
        has_begun() && init.runs()
    }

    /// The cgroups that a container of ours has.
    fn made(&self, container_id: &str) -> Option<ContainerCgroups> {
        let linux = self.linux.as_ref()?;
        let (used, root) = (&linux.used, &linux.root);
        let cgroups = ContainerCgroups::of(used, root, container_id);
        if self.owner(container_id) == container_id {
            Some(cgroups)
        } else {
            Some(cgroups.only_freezer())
        }
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
