//! The containerizer of real hosts: the linux launcher for root, the posix launcher for others.
//! Every call into the kernel is made on a blocking thread; here is only who calls what.

use std::collections::BTreeMap;
use std::sync::Arc;

use tepui_protocol::tepui::containerizer::{Inspected, Launch, Update, inspected};
use tepui_runtime::{Context, Id, Node, Pid, SpawnError};

use crate::core::{Ending, Figures, Found, Input};
use crate::isolation::Isolation;
use crate::kernel::cgroups::OutOfMemory;
use crate::kernel::fetch::process::Fetch;
use crate::kernel::launcher::{ContainerSpec, Destroyed, Launcher, LauncherError, LauncherOptions};
use crate::kernel::spawn::Waiting;
use crate::kernel::usage::Wanted;
use crate::kernel::watcher::{Watch, Watcher};
use crate::limits::Limits;
use crate::process::{Body, Containerizer, ID_PREFIX, updated};
use crate::spec::{self, Defaults};

mod options;
mod watch;

pub use options::{LauncherKind, LinuxOptions};

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
    let isolation = options
        .isolation
        .unwrap_or_else(|| Isolation::default_of(kind));
    if kind == LauncherKind::Posix {
        tracing::warn!("the posix launcher neither isolates containers nor enforces their limits");
    }
    let launcher = Launcher::new(LauncherOptions {
        runtime_dir: options.runtime_dir,
        cgroups_root: (kind == LauncherKind::Linux).then_some(options.cgroups_root),
        controllers: isolation.controllers(),
        limit_swap: options.cgroups_limit_swap && kind == LauncherKind::Linux,
        usage: Wanted::of(&isolation, options.cgroups_cpu_enable_pids_and_tids_count),
        file_limit: node.world().file_limit_before(),
        binary: options.binary,
        destroy_timeout: options.cgroups_destroy_timeout,
    })?;
    let defaults = Defaults {
        pids_max: options.pids_max,
        enable_cfs: options.cgroups_enable_cfs,
        limit_swap: options.cgroups_limit_swap,
        low_priority: options.revocable_cpu_low_priority,
        isolation,
        stall_timeout: options.fetcher_stall_timeout,
        frameworks_home: options.frameworks_home,
        shm_size: options.default_container_shm_size,
        no_agent_ipc: options.disallow_sharing_agent_ipc_namespace,
        no_agent_pid: options.disallow_sharing_agent_pid_namespace,
    };
    let body = Kernel {
        launcher: Arc::new(launcher),
        watcher: Arc::new(Watcher::start().map_err(ContainerizerError::Watcher)?),
        defaults,
        waiting: BTreeMap::new(),
        fetches: BTreeMap::new(),
        watches: BTreeMap::new(),
        updates: BTreeMap::new(),
    };
    let process = node.spawn(Id::prefix(ID_PREFIX), Containerizer::new(body))?;
    Ok(process.pid().clone())
}

/// The body that calls the kernel.
pub(crate) struct Kernel {
    launcher: Arc<Launcher>,
    watcher: Arc<Watcher>,
    defaults: Defaults,
    /// Containers whose init waits for the word.
    waiting: BTreeMap<String, Waiting>,
    fetches: BTreeMap<String, Arc<Fetch>>,
    watches: BTreeMap<String, Vec<Watch>>,
    /// Containers whose limits are being set, with what is to be set next: one after another, or
    /// they would write over each other.
    updates: BTreeMap<String, Option<NewLimits>>,
}

/// Limits to be set, and who is told. Of several that wait only the newest matter.
struct NewLimits {
    limits: Limits,
    askers: Vec<Pid>,
}

impl Kernel {
    fn set_limits(&self, id: String, new: NewLimits, ctx: &mut Ctx<'_>) {
        let (launcher, of) = (Arc::clone(&self.launcher), id.clone());
        let NewLimits { limits, askers } = new;
        ctx.blocking(
            move || {
                let result = launcher.update(&of, &limits);
                (result, launcher.out_of_memory(&of))
            },
            move |process, (result, out_of_memory), ctx| {
                let figures = out_of_memory.map(Figures::from);
                for asker in askers {
                    let memory = figures.as_ref().map(Figures::describe);
                    let error = result.as_ref().err().cloned();
                    ctx.send(&asker, updated(id.clone(), error, memory));
                }
                if let Some(Some(next)) = process.body.updates.remove(&id) {
                    process.body.updates.insert(id.clone(), None);
                    process.body.set_limits(id.clone(), next, ctx);
                }
                if let Some(figures) = figures {
                    process.feed(Input::OutOfMemory { id, figures }, ctx);
                }
            },
        );
    }
}

type Ctx<'a> = Context<'a, Containerizer<Kernel>>;

impl Body for Kernel {
    type Spec = Arc<ContainerSpec>;

    fn spec(&self, launch: &Launch) -> Result<Self::Spec, String> {
        spec::container_spec(launch, &self.defaults).map(Arc::new)
    }

    fn limits(&self, update: &Update) -> Limits {
        spec::limits(&update.resources, &update.limits, &self.defaults)
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
                    let pid = u32::try_from(waiting.init.pid).ok();
                    process.body.waiting.insert(id.clone(), waiting);
                    pid
                });
                process.feed(Input::Forked { id, result }, ctx);
            },
        );
    }

    fn fetches(spec: &Self::Spec) -> bool {
        spec.fetch.is_some()
    }

    fn fetch(&mut self, id: String, spec: Self::Spec, ctx: &mut Ctx<'_>) {
        let (launcher, control) = (Arc::clone(&self.launcher), Arc::new(Fetch::default()));
        self.fetches.insert(id.clone(), Arc::clone(&control));
        ctx.blocking(
            move || launcher.fetch(&spec, &control),
            move |process, result, ctx| {
                process.body.fetches.remove(&id);
                let succeeded = if result.is_ok() {
                    "succeeded"
                } else {
                    "failed"
                };
                ctx.metrics()
                    .counter(&format!("containerizer/fetcher/task_fetches_{succeeded}"))
                    .increment(1);
                process.feed(Input::Fetched { id, result }, ctx);
            },
        );
    }

    fn stop_fetch(&mut self, id: &str) {
        if let Some(fetch) = self.fetches.get(id) {
            fetch.stop();
        }
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
            move || watch::watch(&launcher, &watcher, &of, &myself),
            move |process, watches, ctx| match watches {
                Some(watches) => process.body.keep(id, watches),
                // It was gone before it could be watched.
                None => process.feed(Input::Exited { id }, ctx),
            },
        );
    }

    fn update(&mut self, id: String, limits: Limits, asker: Pid, ctx: &mut Ctx<'_>) {
        if let Some(next) = self.updates.get_mut(&id) {
            let next = next.get_or_insert_with(|| NewLimits {
                limits: limits.clone(),
                askers: Vec::new(),
            });
            next.limits = limits;
            next.askers.push(asker);
            return;
        }
        self.updates.insert(id.clone(), None);
        let askers = vec![asker];
        self.set_limits(id, NewLimits { limits, askers }, ctx);
    }

    fn inspect(&mut self, to: Pid, mut containers: Vec<inspected::Container>, ctx: &mut Ctx<'_>) {
        let launcher = Arc::clone(&self.launcher);
        let timestamp = ctx.now().as_secs_f64();
        let inspect = move || {
            let running = || containers.iter().filter(|one| one.error.is_none());
            let ids: Vec<String> = running().map(|one| one.container_id.to_string()).collect();
            let found = launcher.inspect(&ids, timestamp);
            let running = containers.iter_mut().filter(|one| one.error.is_none());
            for (container, found) in running.zip(found) {
                match found {
                    Some((statistics, status)) => {
                        container.statistics = Some(statistics);
                        container.status = Some(status);
                    }
                    None => container.error = Some("Container is being destroyed".to_owned()),
                }
            }
            containers
        };
        ctx.blocking(inspect, move |_, containers, ctx| {
            ctx.send(&to, Inspected { containers });
        });
    }

    fn destroy(&mut self, id: String, remember: bool, ctx: &mut Ctx<'_>) {
        // An init that still waits sees the end of the pipe.
        self.waiting.remove(&id);
        for watch in self.watches.remove(&id).unwrap_or_default() {
            self.watcher.forget(watch);
        }
        let (launcher, of) = (Arc::clone(&self.launcher), id.clone());
        ctx.blocking(
            move || launcher.destroy(&of, remember),
            move |process, destroyed, ctx| {
                let Destroyed {
                    status,
                    out_of_memory,
                    error,
                    never_ran,
                } = destroyed;
                let out_of_memory = out_of_memory.map(Figures::from);
                let ending = Ending {
                    status,
                    out_of_memory,
                    error,
                    never_ran,
                };
                process.feed(Input::Destroyed { id, ending }, ctx);
            },
        );
    }

    fn forget(&mut self, id: String, ctx: &mut Ctx<'_>) {
        let (launcher, of) = (Arc::clone(&self.launcher), id.clone());
        ctx.blocking(
            move || launcher.forget(&of),
            move |process, result, ctx| {
                if let Err(error) = &result {
                    tracing::warn!(container = id, error, "it is not forgotten");
                }
                process.feed(Input::Forgotten { id, result }, ctx);
            },
        );
    }

    fn signal(&mut self, id: &str, signal: i32, ctx: &mut Ctx<'_>) {
        let (launcher, of) = (Arc::clone(&self.launcher), id.to_owned());
        let id = of.clone();
        ctx.blocking(
            move || launcher.signal(&of, signal),
            move |_, result, _| {
                if let Err(error) = result {
                    tracing::warn!(container = id, signal, error, "it was not signaled");
                }
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
