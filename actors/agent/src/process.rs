//! The process `slave(1)`: gives messages to the core and carries its effects out.
//!
//! ```text
//!   message, timer, answer ──► Core::handle ──► effects ──► outbox ◄──────────────┐
//!                                                            │ all writes in it:   │ 5 s later
//!                                                            │ one blocking job    │
//!                                                            ▼                     │
//!                  the rest, in order, once that job is done ┴─ the disk is full ──┴─► parked
//! ```
//!
//! So many updates share a sync, and nobody hears of what is not on the disk. Not here: any
//! decision (`core`).

mod carry;
mod handlers;
mod jobs;
mod metrics;
mod sweep;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use tepui_invariants::{Planted, PlantedBug};
use tepui_protocol::tepui::containerizer::Launched;
use tepui_runtime::{Context, Id, Lock, Node, Pid, ProcessRef, SpawnError};

use self::metrics::AgentMetrics;
use crate::checkpoint::{Paths, Write, WriteError};
use crate::core::{Core, Effect, Input, Outbound, Turn};
use crate::options::AgentOptions;
use crate::snapshot::{Origin, Snapshot, SnapshotCell};

/// The id of an agent's process, as Mesos'.
pub const AGENT_ID: &str = "slave(1)";

/// Pause before what found no room on the disk is written again.
const DISK_RETRY: Duration = Duration::from_secs(5);

/// Inputs whose writes may wait for room on the disk; with more an agent cannot go on.
const MAX_PARKED: usize = 50_000;

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
    let origin = Origin {
        pid: pid.clone(),
        master: options.master.clone(),
        containerizer: options.containerizer.clone(),
        work_dir: options.work_dir.clone(),
        started_at: node.clock().now(),
    };
    let containerizer = options.containerizer.clone();
    let launch_deadline = options.executor_registration_timeout * 2;
    let planted = options.planted;
    let core = Core::new(options, pid.clone(), &mut turn);
    let first = Snapshot::first(&core, origin);
    let snapshot: SnapshotCell = Arc::new(ArcSwap::from_pointee(first));
    let ended = Ended::default();
    let process = AgentProcess {
        core,
        paths,
        containerizer,
        launch_deadline,
        outbox: VecDeque::new(),
        writing: false,
        parked: VecDeque::new(),
        blocked: BTreeSet::new(),
        kept_waiting: BTreeSet::new(),
        retry: false,
        retrying: false,
        sweeping: false,
        sweep_again: false,
        snapshot: Arc::clone(&snapshot),
        metrics: AgentMetrics::new(node.metrics(), &snapshot, node.clock()),
        ended: Arc::clone(&ended),
        planted,
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
    launch_deadline: Duration,
    /// What the core asked for, one batch for each input.
    outbox: VecDeque<Vec<Effect>>,
    /// A blocking job is under way.
    writing: bool,
    /// Batches that wait for room on the disk.
    parked: VecDeque<Vec<Effect>>,
    /// Folders below which nothing is written before what is parked.
    blocked: BTreeSet<PathBuf>,
    /// Executors that are told something by what is parked: what comes later is told later.
    kept_waiting: BTreeSet<Pid>,
    /// What is parked is to be tried again.
    retry: bool,
    /// A timer will say so.
    retrying: bool,
    /// Folders are being removed.
    sweeping: bool,
    /// More was moved aside meanwhile.
    sweep_again: bool,
    snapshot: SnapshotCell,
    metrics: AgentMetrics,
    ended: Ended,
    planted: Planted,
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
        let (prompt, batch): (Vec<Effect>, Vec<Effect>) =
            effects.into_iter().partition(Effect::is_prompt);
        for effect in prompt {
            self.carry(effect, ctx);
        }
        let batch = match self.planted.has(PlantedBug::AcknowledgedUnsynced) {
            true => Self::without_appends(batch, ctx),
            false => batch,
        };
        if !batch.is_empty() {
            self.outbox.push_back(batch);
        }
        self.publish();
        self.pump(ctx);
    }

    /// The bug of a log that is written now and then: who hangs on it does not wait.
    fn without_appends(batch: Vec<Effect>, ctx: &Context<'_, Self>) -> Vec<Effect> {
        let is_append = |effect: &Effect| matches!(effect, Effect::Disk(Write::Append { .. }));
        let (late, batch): (Vec<Effect>, Vec<Effect>) = batch.into_iter().partition(is_append);
        ctx.delay(Duration::from_secs(30), |agent, ctx| {
            agent.outbox.push_back(late);
            agent.pump(ctx);
        });
        batch
    }

    fn publish(&mut self) {
        let changed = self.core.take_changed();
        let before = self.snapshot.load();
        let same = before.state == self.core.state()
            && before.open == self.core.is_open()
            && before.frameworks.size() == self.core.frameworks().len()
            && before.scheduled_removals == self.core.scheduled_removals()
            && before.max_sandbox_age == self.core.max_sandbox_age();
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
        if self.retry {
            self.retry = false;
            self.blocked.clear();
            self.kept_waiting.clear();
            let mut parked = std::mem::take(&mut self.parked);
            parked.append(&mut self.outbox);
            self.outbox = parked;
        }
        while let Some(batch) = self.outbox.pop_front() {
            if batch.iter().any(jobs::is_job) {
                self.outbox.push_front(batch);
                self.write(ctx);
                return;
            }
            self.carry_or_park(batch, jobs::Done::default(), ctx);
        }
    }

    /// Carries a batch out of which all is written, unless it would overtake what is parked.
    fn carry_or_park(&mut self, batch: Vec<Effect>, done: jobs::Done, ctx: &mut Context<'_, Self>) {
        let overtakes = |pid| self.kept_waiting.contains(pid);
        if !done.remaining.is_empty() || executors(&batch).any(overtakes) {
            self.park(batch, done, ctx);
            return;
        }
        for effect in batch {
            self.carry(effect, ctx);
        }
    }

    /// Has all writes in the outbox done by one blocking job.
    fn write(&mut self, ctx: &mut Context<'_, Self>) {
        let batches = std::mem::take(&mut self.outbox);
        let (jobs, rest): (Vec<Vec<Effect>>, Vec<Vec<Effect>>) = batches
            .into_iter()
            .map(|batch| batch.into_iter().partition(jobs::is_job))
            .unzip();
        self.writing = true;
        let disk = ctx.disk();
        let paths = self.paths.clone();
        let blocked = self.blocked.clone();
        let name = ctx.uuid();
        ctx.blocking(
            move || jobs::run(&*disk, &paths, jobs, blocked, name),
            move |agent, done, ctx| agent.written(rest, done, ctx),
        );
    }

    /// The disk has it, or some of it: the effects behind what it has are carried out.
    fn written(
        &mut self,
        batches: Vec<Vec<Effect>>,
        done: Result<jobs::Report, WriteError>,
        ctx: &mut Context<'_, Self>,
    ) {
        self.writing = false;
        let report = match done {
            Ok(report) => report,
            Err(error) => {
                self.end(Err(error.to_string()), ctx);
                return;
            }
        };
        self.blocked = report.blocked;
        let full = report.done.iter().find_map(|done| done.full.clone());
        let mut answers = Vec::new();
        let retrying = self.retrying;
        for (mut batch, done) in batches.into_iter().zip(report.done) {
            if !done.failed.is_empty() {
                batch.retain(|effect| !fails(effect, &done.failed, &mut answers));
            }
            self.carry_or_park(batch, done, ctx);
        }
        if let Some(error) = full {
            let waiting = jobs::told_by(self.parked.iter().flatten());
            tracing::error!(
                error,
                waiting,
                "the disk is full: neither acknowledged nor forwarded until it is written"
            );
        }
        if let Some(collected) = report.collected {
            self.sweep(collected, ctx);
        }
        if self.retrying && !retrying {
            self.feed(Input::DiskFull, ctx);
        }
        for answer in answers {
            self.feed(answer, ctx);
        }
        self.pump(ctx);
    }

    /// The disk is full: what is not written is tried again, and what hangs on it waits.
    fn park(&mut self, batch: Vec<Effect>, done: jobs::Done, ctx: &mut Context<'_, Self>) {
        if let Some(Effect::Exit(how)) = batch.iter().find(|it| matches!(it, Effect::Exit(_))) {
            self.end(how.clone(), ctx);
            return;
        }
        self.kept_waiting.extend(executors(&batch).cloned());
        let writes = done.remaining.into_iter().map(Effect::Disk);
        self.parked.push_back(writes.chain(batch).collect());
        if self.parked.len() > MAX_PARKED {
            let why = "the disk is full, and too much waits for it".to_owned();
            self.end(Err(why), ctx);
        } else if !self.retrying {
            self.retrying = true;
            ctx.delay(DISK_RETRY, |agent, ctx| {
                agent.retrying = false;
                agent.retry = true;
                agent.pump(ctx);
            });
        }
    }

    /// The agent is over.
    fn end(&mut self, how: Result<String, String>, ctx: &mut Context<'_, Self>) {
        match &how {
            Ok(why) => tracing::info!(agent = %ctx.pid(), why, "agent ends"),
            Err(why) => tracing::error!(agent = %ctx.pid(), why, "agent cannot go on"),
        }
        self.outbox.clear();
        self.parked.clear();
        let _first_wins = self.ended.set(how);
        ctx.terminate();
    }
}

/// The executors that these effects tell something.
fn executors(batch: &[Effect]) -> impl Iterator<Item = &Pid> {
    batch.iter().filter_map(|effect| match effect {
        Effect::Send(to, Outbound::Event(_)) => Some(to),
        _ => None,
    })
}

/// Whether the effect is the launch of a container whose launch has failed already; its answer
/// is noted then.
fn fails(effect: &Effect, failed: &BTreeMap<String, String>, answers: &mut Vec<Input>) -> bool {
    let Effect::Launch(launch) = effect else {
        return false;
    };
    let id = &launch.container_id;
    let Some(error) = failed.get(&id.to_string()) else {
        return false;
    };
    let launched = Launched {
        container_id: launch.container_id.clone(),
        pid: None,
        error: Some(error.clone()),
    };
    answers.push(Input::Launched(id.clone(), Ok(launched)));
    true
}
