//! The containerizer of real hosts: the linux launcher for root, the posix launcher for others.
//! Every call into the kernel is made on a blocking thread; here is only who calls what.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tepui_protocol::mesos::v1::ContainerId;
use tepui_protocol::tepui::containerizer::{Launch, Update, Updated};
use tepui_runtime::{Context, Id, Node, Pid, ProcessRef, SpawnError};

use crate::core::{Ending, Figures, Found, Input};
use crate::kernel::cgroups::OutOfMemory;
use crate::kernel::launcher::{ContainerSpec, Destroyed, Launcher, LauncherError, LauncherOptions};
use crate::kernel::spawn::Waiting;
use crate::kernel::watcher::{Watch, Watcher};
use crate::limits::Limits;
use crate::process::{Body, Containerizer, ID_PREFIX};
use crate::spec::{self, LimitDefaults};

/// How containers are made on this host. The names are those of Mesos' flags.
#[derive(Clone, Debug)]
pub struct LinuxOptions {
    /// Where running containers are remembered; not shared with another agent.
    pub runtime_dir: PathBuf,
    /// Name of our cgroup below the root of each hierarchy; not shared with another agent: every
    /// container below it that is not the agent's own is destroyed at start.
    pub cgroups_root: PathBuf,
    /// `None`: linux for root, posix for others.
    pub launcher: Option<LauncherKind>,
    /// How long a destroy may take before it is given up.
    pub cgroups_destroy_timeout: Duration,
    /// A request for cpus is a hard limit, too.
    pub cgroups_enable_cfs: bool,
    /// Most processes and threads of one container; `None` is no limit.
    pub pids_max: Option<u64>,
    /// The binary with the roles `contain` and `executor`.
    pub binary: PathBuf,
}

/// Mesos' --launcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LauncherKind {
    /// Namespaces and cgroups; root is needed.
    Linux,
    /// Sessions and process groups only: processes may escape, and limits are not enforced.
    Posix,
}

impl Default for LinuxOptions {
    fn default() -> Self {
        Self {
            runtime_dir: PathBuf::from("/var/run/mesos"),
            cgroups_root: PathBuf::from("mesos"),
            launcher: None,
            cgroups_destroy_timeout: Duration::from_secs(60),
            cgroups_enable_cfs: false,
            pids_max: Some(4096),
            binary: PathBuf::from("/proc/self/exe"),
        }
    }
}

/// Why no containerizer was started.
#[derive(Debug, thiserror::Error)]
pub enum ContainerizerError {
    /// This host cannot run containers so.
    #[error(transparent)]
    Launcher(#[from] LauncherError),
    /// The kernel gave no thread or descriptor to watch with.
    #[error("containers cannot be watched: {0}")]
    Watcher(#[source] std::io::Error),
    /// The node gave no process.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}

/// Starts the process `containerizer(N)`. Looks at the host first: it blocks a little.
///
/// # Errors
/// The host or the node is not fit for it.
pub fn spawn(node: &Node, options: LinuxOptions) -> Result<Pid, ContainerizerError> {
    let kind = options.launcher.unwrap_or_else(|| {
        if nix::unistd::geteuid().is_root() {
            LauncherKind::Linux
        } else {
            LauncherKind::Posix
        }
    });
    if kind == LauncherKind::Posix {
        tracing::warn!("the posix launcher neither isolates containers nor enforces their limits");
    }
    let launcher = Launcher::new(LauncherOptions {
        runtime_dir: options.runtime_dir,
        cgroups_root: (kind == LauncherKind::Linux).then_some(options.cgroups_root),
        binary: options.binary,
        destroy_timeout: options.cgroups_destroy_timeout,
    })?;
    let defaults = LimitDefaults {
        pids_max: options.pids_max,
        enable_cfs: options.cgroups_enable_cfs,
    };
    let body = Kernel {
        launcher: Arc::new(launcher),
        watcher: Arc::new(Watcher::start().map_err(ContainerizerError::Watcher)?),
        defaults,
        waiting: BTreeMap::new(),
        watches: BTreeMap::new(),
    };
    let process = node.spawn(Id::prefix(ID_PREFIX), Containerizer::new(body))?;
    Ok(process.pid().clone())
}

/// The body that calls the kernel.
pub(crate) struct Kernel {
    launcher: Arc<Launcher>,
    watcher: Arc<Watcher>,
    defaults: LimitDefaults,
    /// Containers whose init waits for the word.
    waiting: BTreeMap<String, Waiting>,
    watches: BTreeMap<String, Vec<Watch>>,
}

type Ctx<'a> = Context<'a, Containerizer<Kernel>>;

impl Body for Kernel {
    type Spec = Arc<ContainerSpec>;

    fn spec(&self, launch: &Launch) -> Result<Self::Spec, String> {
        spec::container_spec(launch, self.defaults).map(Arc::new)
    }

    fn limits(&self, update: &Update) -> Limits {
        spec::limits(&update.resources, &update.limits, self.defaults)
    }

    fn prepare(&mut self, id: String, spec: Self::Spec, ctx: &mut Ctx<'_>) {
        let launcher = Arc::clone(&self.launcher);
        ctx.blocking(
            move || launcher.prepare(&spec),
            move |process, result, ctx| process.feed(Input::Prepared { id, result }, ctx),
        );
    }

    fn fork(&mut self, id: String, spec: Self::Spec, ctx: &mut Ctx<'_>) {
        let launcher = Arc::clone(&self.launcher);
        ctx.blocking(
            move || launcher.fork(&spec),
            move |process, waiting, ctx| {
                let result = waiting.map_err(|error| error.error).map(|waiting| {
                    let pid = u32::try_from(waiting.pid).ok();
                    process.body.waiting.insert(id.clone(), waiting);
                    pid
                });
                process.feed(Input::Forked { id, result }, ctx);
            },
        );
    }

    fn release(&mut self, id: &str, _ctx: &mut Ctx<'_>) {
        if let Some(Err(error)) = self.waiting.remove(id).map(Waiting::release) {
            // Its init is dead, which the watcher tells.
            tracing::warn!(container = id, error);
        }
    }

    fn watch(&mut self, id: String, ctx: &mut Ctx<'_>) {
        let (launcher, watcher) = (Arc::clone(&self.launcher), Arc::clone(&self.watcher));
        let (myself, of) = (ctx.myself(), id.clone());
        self.watches.insert(id.clone(), Vec::new());
        ctx.blocking(
            move || watch(&launcher, &watcher, &of, &myself),
            move |process, watches, ctx| match watches {
                Some(watches) => process.body.keep(id, watches),
                // It was gone before it could be watched.
                None => process.feed(Input::Exited { id }, ctx),
            },
        );
    }

    fn update(&mut self, id: String, limits: Limits, asker: Pid, ctx: &mut Ctx<'_>) {
        let (launcher, of) = (Arc::clone(&self.launcher), id.clone());
        ctx.blocking(
            move || launcher.update(&of, &limits),
            move |_, result, ctx| {
                let container_id = ContainerId::top(id);
                ctx.send(
                    &asker,
                    Updated {
                        container_id,
                        error: result.err(),
                    },
                );
            },
        );
    }

    fn destroy(&mut self, id: String, ctx: &mut Ctx<'_>) {
        // An init that still waits sees the end of the pipe.
        self.waiting.remove(&id);
        for watch in self.watches.remove(&id).unwrap_or_default() {
            self.watcher.forget(watch);
        }
        let (launcher, of) = (Arc::clone(&self.launcher), id.clone());
        ctx.blocking(
            move || launcher.destroy(&of),
            move |process, destroyed, ctx| {
                let Destroyed {
                    status,
                    out_of_memory,
                    error,
                } = destroyed;
                let out_of_memory = out_of_memory.map(Figures::from);
                let ending = Ending {
                    status,
                    out_of_memory,
                    error,
                };
                process.feed(Input::Destroyed { id, ending }, ctx);
            },
        );
    }

    fn find(&mut self, ctx: &mut Ctx<'_>) {
        let launcher = Arc::clone(&self.launcher);
        let find = move || {
            let ids = launcher.found()?.into_iter();
            Ok(ids
                .map(|id| Found {
                    alive: launcher.is_alive(&id),
                    id,
                })
                .collect())
        };
        ctx.blocking(find, |process, result, ctx| {
            process.feed(Input::Found { result }, ctx)
        });
    }

    fn exited(&mut self, _pid: &Pid) -> Option<String> {
        None
    }
}

/// Watches a container's init and its memory. None where the init is gone.
fn watch(
    launcher: &Launcher,
    watcher: &Watcher,
    id: &str,
    process: &ProcessRef<Containerizer<Kernel>>,
) -> Option<Vec<Watch>> {
    let pidfd = launcher.init(id)?.open()?;
    let mut watches: Vec<Watch> = watch_memory(launcher, watcher, id, process)
        .into_iter()
        .collect();
    let (process, of) = (process.clone(), id.to_owned());
    let told = move || {
        process.dispatch(move |process, ctx| process.feed(Input::Exited { id: of }, ctx));
    };
    match watcher.exit(pidfd, told) {
        Ok(watch) => watches.push(watch),
        Err(error) => {
            // Unwatched it would never end: it ends now.
            tracing::error!(container = id, %error, "it cannot be watched");
            return None;
        }
    }
    Some(watches)
}

/// Watches a container's memory, where it has any of its own.
fn watch_memory(
    launcher: &Launcher,
    watcher: &Watcher,
    id: &str,
    process: &ProcessRef<Containerizer<Kernel>>,
) -> Option<Watch> {
    let (version, cgroup) = launcher.memory(id)?;
    let (process, of) = (process.clone(), id.to_owned());
    let told = move || process.dispatch(move |process, ctx| memory_event(process, of, ctx));
    let watch = watcher.out_of_memory(version, &cgroup, told);
    watch
        .inspect_err(|error| tracing::warn!(container = id, %error, "memory is not watched"))
        .ok()
}

/// The kernel told that a container's memory is, or may be, used up.
fn memory_event(process: &mut Containerizer<Kernel>, id: String, ctx: &mut Ctx<'_>) {
    let (launcher, watcher) = (
        Arc::clone(&process.body.launcher),
        Arc::clone(&process.body.watcher),
    );
    let (myself, of) = (ctx.myself(), id.clone());
    ctx.blocking(
        move || match launcher.memory_event(&of) {
            Some(out_of_memory) => Ok(out_of_memory),
            None => Err(watch_memory(&launcher, &watcher, &of, &myself)),
        },
        move |process, event, ctx| match event {
            Ok(out_of_memory) => {
                let figures = Figures::from(out_of_memory);
                process.feed(Input::OutOfMemory { id, figures }, ctx);
            }
            // A lesser event; the next one may be the one.
            Err(watch) => process.body.keep(id, watch),
        },
    );
}

impl Kernel {
    /// Keeps what is watched of a container, unless that is being destroyed already.
    fn keep(&mut self, id: String, watches: impl IntoIterator<Item = Watch>) {
        if let Some(kept) = self.watches.get_mut(&id) {
            kept.extend(watches);
        } else {
            watches
                .into_iter()
                .for_each(|watch| self.watcher.forget(watch));
        }
    }
}

impl From<OutOfMemory> for Figures {
    fn from(out_of_memory: OutOfMemory) -> Self {
        let OutOfMemory {
            max_usage,
            limit,
            statistics,
        } = out_of_memory;
        Self {
            max_usage,
            limit,
            statistics,
        }
    }
}
