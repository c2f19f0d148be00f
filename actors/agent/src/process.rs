//! The process `slave(1)`: gives messages to the core and carries its effects out.
//!
//! ```text
//!   message, timer, answer ──► Core::handle ──► effects ──► outbox
//!                                                            │ all writes in it: one blocking job
//!                                                            ▼
//!                                               the rest, in order, once that job is done
//! ```
//!
//! So many updates share a sync, and nobody hears of what is not on the disk. Not here: any
//! decision (`core`).

mod carry;
mod handlers;
mod metrics;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use tepui_protocol::tepui::containerizer::Launched;
use tepui_runtime::{Context, Disk, Id, Lock, Node, Pid, ProcessRef, SpawnError};

use self::metrics::AgentMetrics;
use crate::checkpoint::{self, Paths, Write, WriteError};
use crate::core::{Core, Effect, Input, Sandbox, Turn};
use crate::options::AgentOptions;
use crate::snapshot::{Snapshot, SnapshotCell};

/// The id of an agent's process, as Mesos'.
pub const AGENT_ID: &str = "slave(1)";

/// How an agent ended, once it has: what it was asked to do, or why it could not go on.
type Ended = Arc<OnceLock<Result<String, String>>>;

/// Why an agent does not start.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Another agent runs on this work_dir.
    #[error("work_dir '{}' is in use: {holder}", work_dir.display())]
    InUse {
        /// The folder.
        work_dir: PathBuf,
        /// Who holds it.
        holder: String,
    },
    /// The work_dir cannot be used.
    #[error("cannot use work_dir '{}': {source}", work_dir.display())]
    WorkDir {
        /// The folder.
        work_dir: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// The node already has an agent, or is down.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}

/// A running agent.
#[derive(Clone)]
pub struct Agent {
    /// Its PID, `slave(1)@ip:port`.
    pub pid: Pid,
    /// Its state as readers see it.
    pub snapshot: SnapshotCell,
    process: ProcessRef<AgentProcess>,
    ended: Ended,
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent")
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

impl Agent {
    /// How the agent ended: `None` while it runs; `Err` says why it could not go on.
    #[must_use]
    pub fn ended(&self) -> Option<Result<String, String>> {
        self.ended.get().cloned()
    }

    /// Ends everything the agent runs, takes it off the master's list, and ends the agent: what
    /// Mesos' agent does on SIGUSR1.
    pub fn unregister(&self, why: &str) {
        let why = why.to_owned();
        self.process
            .dispatch(move |agent, ctx| agent.feed(Input::Unregister(why), ctx));
    }
}

/// Starts an agent on `node`; it registers with its master as soon as it has recovered.
///
/// # Errors
/// [`AgentError`]; above all, that another agent runs on the work_dir.
pub fn spawn(node: &Node, options: AgentOptions) -> Result<Agent, AgentError> {
    let pid = node.pid_of(AGENT_ID);
    let paths = Paths::new(&options.work_dir);
    let disk = node.disk();
    let work_dir = || options.work_dir.clone();
    disk.create_dir_all(&paths.meta())
        .map_err(|source| AgentError::WorkDir {
            work_dir: work_dir(),
            source,
        })?;
    let lock = disk
        .lock_exclusive(&paths.lock(), &format!("agent {pid}"))
        .map_err(|source| {
            if source.kind() == io::ErrorKind::WouldBlock {
                AgentError::InUse {
                    work_dir: work_dir(),
                    holder: source.to_string(),
                }
            } else {
                AgentError::WorkDir {
                    work_dir: work_dir(),
                    source,
                }
            }
        })?;
    let random = node.random().clone();
    let mut random = move || random.u64();
    let mut turn = Turn {
        now: node.clock().now(),
        random: &mut random,
    };
    let core = Core::new(options.clone(), pid.clone(), &mut turn);
    let first = Snapshot::first(&core, pid.clone(), options.master.clone());
    let snapshot: SnapshotCell = Arc::new(ArcSwap::from_pointee(first));
    let ended = Ended::default();
    let process = AgentProcess {
        core,
        paths,
        containerizer: options.containerizer.clone(),
        launch_deadline: options.executor_registration_timeout * 2,
        outbox: VecDeque::new(),
        writing: false,
        snapshot: Arc::clone(&snapshot),
        metrics: AgentMetrics::new(node.metrics(), &snapshot, node.clock()),
        ended: Arc::clone(&ended),
        _lock: lock,
    };
    let process = node.spawn(Id::Chosen(AGENT_ID.to_owned()), process)?;
    Ok(Agent {
        pid,
        snapshot,
        process,
        ended,
    })
}

/// The actor around the core.
pub(crate) struct AgentProcess {
    core: Core,
    paths: Paths,
    containerizer: Pid,
    launch_deadline: std::time::Duration,
    outbox: VecDeque<Effect>,
    /// A blocking job is under way.
    writing: bool,
    snapshot: SnapshotCell,
    metrics: AgentMetrics,
    ended: Ended,
    _lock: Lock,
}

impl AgentProcess {
    /// Gives the core an input, and carries out what it asks for.
    fn feed(&mut self, input: Input, ctx: &mut Context<'_, Self>) {
        let mut random = || ctx.random();
        let mut turn = Turn {
            now: ctx.now(),
            random: &mut random,
        };
        let effects = self.core.handle(input, &mut turn);
        for effect in effects {
            if effect.is_prompt() {
                self.carry(effect, ctx);
            } else {
                self.outbox.push_back(effect);
            }
        }
        self.publish();
        self.pump(ctx);
    }

    fn publish(&mut self) {
        let changed = self.core.take_changed();
        let before = self.snapshot.load();
        let same = before.state == self.core.state()
            && before.open == self.core.is_open()
            && before.frameworks.len() == self.core.frameworks().len();
        if !(same && changed.is_empty()) {
            let next = before.next(&self.core, &changed);
            self.snapshot.store(Arc::new(next));
        }
    }

    /// Carries out the outbox as far as it may be; what has to be on the disk before goes there.
    fn pump(&mut self, ctx: &mut Context<'_, Self>) {
        if self.writing {
            return;
        }
        while let Some(effect) = self.outbox.pop_front() {
            if is_job(&effect) {
                self.outbox.push_front(effect);
                self.write(ctx);
                return;
            }
            self.carry(effect, ctx);
        }
    }

    /// Takes all writes out of the outbox into one blocking job.
    fn write(&mut self, ctx: &mut Context<'_, Self>) {
        let effects = std::mem::take(&mut self.outbox);
        let (jobs, rest): (Vec<Effect>, VecDeque<Effect>) = split(effects);
        let behind = rest.len();
        self.outbox = rest;
        self.writing = true;
        let disk = ctx.disk();
        ctx.blocking(
            move || do_jobs(&*disk, jobs),
            move |agent, done, ctx| agent.written(behind, done, ctx),
        );
    }

    /// The disk has it: the effects that waited behind are carried out.
    fn written(
        &mut self,
        behind: usize,
        done: Result<BTreeMap<String, String>, WriteError>,
        ctx: &mut Context<'_, Self>,
    ) {
        self.writing = false;
        let failed = match done {
            Ok(failed) => failed,
            Err(error) => {
                self.end(Err(error.to_string()), ctx);
                return;
            }
        };
        let rest = self.outbox.split_off(behind.min(self.outbox.len()));
        let released = std::mem::replace(&mut self.outbox, rest);
        let mut answers = Vec::new();
        for effect in released {
            match effect {
                Effect::Launch(launch) if failed.contains_key(&launch.container_id.value) => {
                    let id = launch.container_id.value.clone();
                    let error = failed.get(&id).cloned();
                    let launched = Launched {
                        container_id: launch.container_id,
                        pid: None,
                        error,
                    };
                    answers.push(Input::Launched(id, Ok(launched)));
                }
                effect => self.carry(effect, ctx),
            }
        }
        for answer in answers {
            self.feed(answer, ctx);
        }
        self.pump(ctx);
    }

    /// The agent is over.
    fn end(&mut self, how: Result<String, String>, ctx: &mut Context<'_, Self>) {
        match &how {
            Ok(why) => tracing::info!(agent = %ctx.pid(), why, "agent ends"),
            Err(why) => tracing::error!(agent = %ctx.pid(), why, "agent cannot go on"),
        }
        self.outbox.clear();
        let _first_wins = self.ended.set(how);
        ctx.terminate();
    }
}

fn is_job(effect: &Effect) -> bool {
    matches!(effect, Effect::Disk(_) | Effect::Sandbox(_))
}

fn split(effects: VecDeque<Effect>) -> (Vec<Effect>, VecDeque<Effect>) {
    let mut jobs = Vec::new();
    let mut rest = VecDeque::new();
    for effect in effects {
        if is_job(&effect) {
            jobs.push(effect);
        } else {
            rest.push_back(effect);
        }
    }
    (jobs, rest)
}

/// Runs on a blocking thread. Gives the containers whose sandbox could not be made, and why.
fn do_jobs(disk: &dyn Disk, jobs: Vec<Effect>) -> Result<BTreeMap<String, String>, WriteError> {
    let mut failed = BTreeMap::new();
    let mut writes: Vec<Write> = Vec::new();
    for job in jobs {
        match job {
            Effect::Disk(write) => writes.push(write),
            Effect::Sandbox(sandbox) => {
                if let Err(error) = make(disk, &sandbox) {
                    let path = sandbox.directory.display();
                    let error = format!("cannot make sandbox '{path}': {error}");
                    failed.insert(sandbox.container, error);
                }
            }
            _ => {}
        }
    }
    checkpoint::write(disk, writes)?;
    Ok(failed)
}

fn make(disk: &dyn Disk, sandbox: &Sandbox) -> io::Result<()> {
    disk.create_dir_all(&sandbox.directory)?;
    if let Some(owner) = &sandbox.owner {
        disk.own(&sandbox.directory, owner)?;
    }
    disk.symlink(&sandbox.directory, &sandbox.latest)
}
