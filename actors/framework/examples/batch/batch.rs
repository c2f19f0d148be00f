//! The batch runner's scheduler: jobs wait, run somewhere, are tried again where that is of use,
//! and when all are over the framework ends.
//!
//! ```text
//!   waiting ──(offer)──► running ──► finished
//!      ▲                   │ failed, lost
//!      └──(tries left)─────┴──► given up
//! ```
//!
//! Not here: where jobs come from and where lines go (`main`).

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;
use std::time::Duration;

use tepui_framework::{
    Appetite, Delay, Driver, Ledger, Matcher, Needs, Patience, Places, Preference, Scheduler,
    Selector, Standing, Task,
};
use tepui_protocol::mesos::v1::{FrameworkId, MasterInfo, Offer, TaskId, TaskState, TaskStatus};

/// For how long a place is not wanted when no job goes there.
const IDLE: Duration = Duration::from_secs(5);

/// Something to run.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    /// For its task's id.
    pub(crate) name: String,
    /// For a shell.
    pub(crate) command: String,
    /// Hostnames near its data; it waits a little for these.
    pub(crate) hosts: Vec<String>,
}

/// How jobs are run.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Processors of each.
    pub(crate) cpus: f64,
    /// Megabytes of each.
    pub(crate) mem: f64,
    /// How often a job may fail by itself. What is lost with its agent does not count.
    pub(crate) tries: u32,
    /// How long jobs wait for the hosts that they prefer.
    pub(crate) patience: Patience,
}

/// What the runner tells of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// A job is over, or is tried again.
    Line(String),
    /// All jobs are over.
    Over {
        /// So many went well.
        finished: usize,
        /// So many did not.
        failed: usize,
    },
}

#[derive(Debug, Default)]
struct Progress {
    /// Attempts so far, of which the number is in each task's id.
    attempts: u32,
    /// Those that failed by themselves.
    failures: u32,
    /// An attempt may still go well.
    running: bool,
    over: Option<bool>,
}

/// The scheduler.
pub(crate) struct Batch {
    options: Options,
    jobs: Vec<(Job, Progress)>,
    /// Which job a task is an attempt of.
    attempts: BTreeMap<String, usize>,
    ledger: Ledger,
    appetite: Appetite,
    delay: Delay,
    told: Sender<Told>,
}

impl Batch {
    /// A runner of these jobs.
    pub(crate) fn new(jobs: Vec<Job>, options: Options, told: Sender<Told>) -> Batch {
        Batch {
            delay: Delay::new(options.patience),
            options,
            jobs: jobs
                .into_iter()
                .map(|job| (job, Progress::default()))
                .collect(),
            attempts: BTreeMap::new(),
            ledger: Ledger::default(),
            appetite: Appetite::new(["*".to_owned()]),
            told,
        }
    }

    fn tell(&self, told: Told) {
        // Nobody listens any more when the program is on its way out.
        let _ = self.told.send(told);
    }

    fn waiting(&self) -> impl Iterator<Item = usize> + '_ {
        let waits = |progress: &Progress| !progress.running && progress.over.is_none();
        let jobs = self.jobs.iter().enumerate();
        jobs.filter(move |(_, (_, progress))| waits(progress))
            .map(|(index, _)| index)
    }

    /// Offers are wanted as long as a job waits; when all are over, so is the framework.
    fn feed(&mut self, driver: &mut Driver<'_>) {
        if self
            .jobs
            .iter()
            .all(|(_, progress)| progress.over.is_some())
        {
            let finished = self
                .jobs
                .iter()
                .filter(|(_, it)| it.over == Some(true))
                .count();
            let failed = self.jobs.len() - finished;
            self.tell(Told::Over { finished, failed });
            driver.teardown();
            return;
        }
        let hungry = self.waiting().next().is_some();
        self.appetite.set("*", hungry, driver);
    }

    /// An attempt has ended, or nobody knows of it.
    fn ended(&mut self, index: usize, status: &TaskStatus, driver: &mut Driver<'_>) {
        let tries = self.options.tries;
        let Some((job, progress)) = self.jobs.get_mut(index) else {
            return;
        };
        if progress.over.is_some() {
            return;
        }
        progress.running = false;
        let state = status.state();
        let line = match state {
            TaskState::TaskFinished => {
                progress.over = Some(true);
                format!("{} finished", job.name)
            }
            TaskState::TaskFailed | TaskState::TaskKilled | TaskState::TaskError => {
                progress.failures += 1;
                let hopeless = state == TaskState::TaskError || progress.failures >= tries;
                progress.over = hopeless.then_some(false);
                let next = if hopeless { "given up" } else { "tried again" };
                format!("{} failed, {next}: {}", job.name, status.message())
            }
            _ => format!("{} was lost, tried again: {}", job.name, status.message()),
        };
        self.tell(Told::Line(line));
        if self.waiting().next().is_some() {
            self.appetite.more("*", driver);
        }
        self.feed(driver);
    }
}

impl Scheduler for Batch {
    fn subscribed(&mut self, driver: &mut Driver<'_>, _: &FrameworkId, _: Option<&MasterInfo>) {
        self.appetite.subscribed();
        self.ledger.subscribed(driver);
        self.feed(driver);
    }

    fn offers(&mut self, driver: &mut Driver<'_>, offers: Vec<Offer>) {
        let mut matcher = Matcher::new(&offers);
        let level = self.delay.level(driver.now());
        let needs = Needs::of(self.options.cpus, self.options.mem);
        let mut passed_over = false;
        for index in self.waiting().collect::<Vec<_>>() {
            let Some((job, progress)) = self.jobs.get_mut(index) else {
                continue;
            };
            let near = Preference::default().near(&Selector::Hostname, job.hosts.clone());
            let id = format!("{}.{}", job.name, progress.attempts + 1);
            let task = Task::command(&id, &job.command);
            let open = |site: &_| near.locality(site) <= level;
            if let Some(place) = matcher.place(task, &needs, &Places::default(), open) {
                let at = near.locality(&place.site);
                self.ledger.launched(&id, &place.agent_id);
                (progress.attempts, progress.running) = (progress.attempts + 1, true);
                self.attempts.insert(id, index);
                if !job.hosts.is_empty() {
                    self.delay.launched(at);
                }
            } else {
                passed_over |= !job.hosts.is_empty();
            }
        }
        matcher.launch(driver, IDLE);
        if passed_over && let Some(pause) = self.delay.passed_over(driver.now()) {
            driver.wake_after(pause);
        }
        self.feed(driver);
    }

    fn update(&mut self, driver: &mut Driver<'_>, status: TaskStatus) {
        let id = &status.task_id.value;
        let change = self.ledger.update(&status);
        let Some(&index) = self.attempts.get(id) else {
            return;
        };
        if change.now == Standing::Over {
            self.attempts.remove(id);
        }
        let over = self
            .jobs
            .get(index)
            .is_some_and(|(_, progress)| progress.over.is_some());
        let latest = self
            .jobs
            .get(index)
            .is_some_and(|(job, progress)| *id == format!("{}.{}", job.name, progress.attempts));
        match change.now {
            Standing::Alive if over || !latest => {
                // It came back after another attempt took its place.
                let task_id = TaskId { value: id.clone() };
                driver.kill(task_id, status.agent_id.clone(), None);
            }
            Standing::Alive => {}
            // Also a former attempt that came back may be the one that finishes.
            _ if latest || status.state() == TaskState::TaskFinished => {
                self.ended(index, &status, driver);
            }
            _ => {}
        }
    }

    fn wake(&mut self, driver: &mut Driver<'_>) {
        self.ledger.wake(driver);
        if self.waiting().next().is_some() {
            self.appetite.more("*", driver);
        }
    }

    fn error(&mut self, _: &mut Driver<'_>, message: String) {
        let finished = self
            .jobs
            .iter()
            .filter(|(_, it)| it.over == Some(true))
            .count();
        self.tell(Told::Line(format!(
            "the master ends the framework: {message}"
        )));
        let failed = self.jobs.len() - finished;
        self.tell(Told::Over { finished, failed });
    }
}
