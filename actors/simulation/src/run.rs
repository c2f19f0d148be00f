//! One seed: a busy cluster under faults, then quiet, in which it must come to rest in bounded
//! virtual time.
//!
//! ```text
//! busy for --hours, with faults --> all is healed and started, frameworks want nothing new -->
//! the books agree, twice in a row (or too late: what still differs is a violation) -->
//! frameworks that want all there is share it --> each gives some up, one by one, and what gets
//! free goes to whoever has least --> the books agree, and the shares are fair
//! ```

mod glance;
mod overlaps;
mod weather;
mod workload;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tepui_containerizer::simulated::{SimulatedOptions, Trouble};
use tepui_invariants::{ALL, Checked, FAIR, Invariant, Planted, Violation, books};
use tepui_master::MasterOptions;
use tepui_runtime::{Passage, Random, SimOptions, Time};

use self::glance::glance;
use self::weather::Weather;
use self::workload::Workload;
use crate::cluster::{Cluster, ClusterError, ClusterOptions};
use crate::crew;
use crate::faults;
use crate::observer::Observer;

/// How often a busy framework is given a moment.
const MOMENT: Duration = Duration::from_secs(1);

/// How often the books are compared while there is work.
const LOOK_EVERY: u32 = 30;

/// A quiet cluster must be at rest within this: the longest pause between two attempts of an
/// agent to have an update acknowledged is ten minutes, agents that the registry knows are waited
/// for ten minutes, and there may be one after the other.
const REST_WITHIN: Duration = Duration::from_secs(45 * 60);

/// The books of a quiet cluster are compared that often.
const REST: Duration = Duration::from_secs(45);

/// Each of those who share what there is gives a task up so often, whatever it has. What gets free
/// one by one is the poorest's: once whoever had too much has given that up, each has been served
/// last when it was the poorest, and so no two differ by more than a task. An allocator that
/// looks at anything else gives it all to somebody.
const GIVES_UP: usize = 7;

/// What was given up is somebody's after this, and no offer is under way any more: longer than an
/// offer takes to everybody who refuses it, on slow links, and than a refusal of what would do.
const TURN: Duration = Duration::from_secs(15);

/// All must be at rest again within this.
const SHARED_WITHIN: Duration = Duration::from_secs(15 * 60);

/// How often there is a glance at the cluster.
const GLANCE_EVERY: Duration = Duration::from_secs(60);

/// What is run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunOptions {
    /// From what all follows.
    pub seed: u64,
    /// How many agents.
    pub agents: usize,
    /// How many frameworks.
    pub frameworks: usize,
    /// For how many virtual hours there are work and faults.
    pub hours: f64,
    /// How many faults an hour.
    pub faults: u32,
    /// A bug that the cluster is to have, in a test build.
    pub planted: Planted,
    /// It ends once a rule is broken.
    pub stop_when_broken: bool,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            seed: 0,
            agents: 4,
            frameworks: 5,
            hours: 0.5,
            faults: 40,
            planted: Planted::NONE,
            stop_when_broken: false,
        }
    }
}

impl RunOptions {
    /// A small cluster with many faults, of which hundreds are run as a test: more happens to it
    /// than to a large one in the same time.
    #[must_use]
    pub fn quick(seed: u64) -> RunOptions {
        RunOptions {
            seed,
            agents: 3,
            frameworks: 4,
            hours: 0.1,
            faults: 80,
            ..RunOptions::default()
        }
    }

    /// The command that runs this.
    #[must_use]
    pub fn command(&self) -> String {
        let RunOptions {
            seed,
            agents,
            frameworks,
            hours,
            faults,
            ..
        } = self;
        format!(
            "tepui simulate --seed={seed} --agents={agents} --frameworks={frameworks} \
             --hours={hours} --faults={faults}"
        )
    }
}

/// What a run gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The hash of all deliveries.
    pub hash: u64,
    /// How much virtual time passed.
    pub time: Duration,
    /// How many messages and exits were delivered.
    pub deliveries: u64,
    /// What happened, in numbers.
    pub numbers: BTreeMap<&'static str, u64>,
    /// The rules that it was held to.
    pub checked: Vec<&'static Invariant>,
    /// Those that it was not held to, since it ended before it came to that.
    pub not_reached: Vec<&'static Invariant>,
    /// What rules were broken, and when.
    pub violations: Vec<(Time, Violation)>,
}

/// Sees what happens in a run.
pub trait Watch: Send + 'static {
    /// A message was sent or delivered, or an exit is told.
    fn passage(&mut self, passage: &Passage<'_>);

    /// The cluster at a glance, each virtual minute.
    fn glance(&mut self, at: Time, cluster: &str);
}

/// Runs one seed.
///
/// # Errors
/// The cluster could not be made.
pub fn run(options: RunOptions) -> Result<Outcome, ClusterError> {
    let mut cluster = cluster(options)?;
    let observer = Observer::attach(&mut cluster);
    go(options, cluster, observer, |_, _| {})
}

/// The same; `watch` sees what happens.
///
/// # Errors
/// The cluster could not be made.
pub fn run_watched(options: RunOptions, watch: impl Watch) -> Result<Outcome, ClusterError> {
    let mut cluster = cluster(options)?;
    let watch = Arc::new(Mutex::new(watch));
    let watching = Arc::clone(&watch);
    let observer = Observer::attach_with(&mut cluster, move |passage| {
        let mut watch = watching.lock().unwrap_or_else(PoisonError::into_inner);
        watch.passage(passage);
    });
    go(options, cluster, observer, move |at, cluster| {
        let mut watch = watch.lock().unwrap_or_else(PoisonError::into_inner);
        watch.glance(at, &glance(cluster));
    })
}

/// How far the hosts of a run are from each other: in what words, and how long a message takes at
/// least and at most.
fn distance(seed: u64) -> (&'static str, Duration, Duration) {
    let (what, least, most) = match Random::from_number(seed ^ 0xd1_57).below(3) {
        0 => ("distance: one room, 0.1 to 1 ms", 100, 1_000),
        1 => ("distance: one country, 1 to 50 ms", 1_000, 50_000),
        _ => ("distance: the world, 20 to 300 ms", 20_000, 300_000),
    };
    let micros = Duration::from_micros;
    (what, micros(least), micros(most))
}

fn cluster(options: RunOptions) -> Result<Cluster, ClusterError> {
    let random = Random::from_number(options.seed ^ 0xc1_05_7e);
    let offer_timeout = match random.below(4) {
        0 => Some(Duration::from_secs(20)),
        1 => Some(Duration::from_secs(60)),
        _ => None,
    };
    let limited = random.below(4) == 0;
    let mut master = MasterOptions {
        offer_timeout,
        agent_removal_rate_limit: limited.then_some(Duration::from_secs(60)),
        ..MasterOptions::default()
    };
    master.allocator.decisions.weights = workload::weights();
    let one_in = |least: u64| u32::try_from(least + random.below(3 * least)).unwrap_or(0);
    let trouble = Trouble {
        fails: one_in(20),
        slow: one_in(6),
        hangs: one_in(40),
        dies: one_in(20),
    };
    let cluster = Cluster::new(ClusterOptions {
        world: SimOptions {
            seed: options.seed,
            trace_lines: 0,
            ..SimOptions::default()
        },
        agents: options.agents,
        planted: options.planted,
        master,
        containers: SimulatedOptions {
            trouble,
            players: crew::players(),
            ..SimulatedOptions::default()
        },
        ..ClusterOptions::default()
    })?;
    let (_, least, most) = distance(options.seed);
    cluster.simulation.network().set_latency(least, most);
    Ok(cluster)
}

fn go(
    options: RunOptions,
    mut cluster: Cluster,
    observer: Observer,
    look: impl FnMut(Time, &Cluster) + 'static,
) -> Result<Outcome, ClusterError> {
    let random = Random::from_number(options.seed ^ 0x7e_9f_1a);
    let length = Duration::try_from_secs_f64(options.hours * 3600.0).unwrap_or_default();
    let planned = faults::plan(
        &random,
        options.agents,
        options.frameworks,
        length,
        options.faults,
    );
    let started = cluster.simulation.now();
    let workload = Workload::start(&mut cluster, options.frameworks, &random)?;
    let mut run = Run {
        options,
        cluster,
        observer,
        workload,
        weather: Weather::new(planned, started, random),
        found: Vec::new(),
        reached: Reached::default(),
        stirred: false,
        look: Box::new(look),
        next_look: started,
    };
    run.busy(started + length)?;
    if !run.is_over() {
        run.quiet()?;
    }
    Ok(run.outcome(started))
}

/// Has a glance at the cluster.
type Look = Box<dyn FnMut(Time, &Cluster)>;

/// How far a run has come.
#[derive(Clone, Copy, Debug, Default)]
struct Reached {
    /// The books were compared.
    compared: bool,
    /// They were when all was to be quiet.
    quiet: bool,
    /// They were when all had been shared.
    shared: bool,
}

impl Reached {
    /// Whether a run that came so far was held to a rule.
    fn checks(self, rule: &Invariant) -> bool {
        match rule.checked {
            Checked::AsItHappens => true,
            Checked::AtAnyTime => self.compared,
            Checked::OnceQuiet if rule.id == FAIR.id => self.shared,
            Checked::OnceQuiet => self.quiet,
        }
    }
}

struct Run {
    options: RunOptions,
    cluster: Cluster,
    observer: Observer,
    workload: Workload,
    weather: Weather,
    /// Broken rules of the books.
    found: Vec<(Time, Violation)>,
    reached: Reached,
    /// Who shares what there is has given up what was to be given up.
    stirred: bool,
    look: Look,
    next_look: Time,
}

impl Run {
    /// Work and faults until then.
    fn busy(&mut self, until: Time) -> Result<(), ClusterError> {
        let mut moments = 0_u32;
        while self.cluster.simulation.now() < until && !self.is_over() {
            self.moment(MOMENT)?;
            moments += 1;
            if moments.is_multiple_of(LOOK_EVERY) {
                let books = self.observer.books(&mut self.cluster);
                self.reached.compared = true;
                self.add(books::at_any_time(&books));
            }
        }
        Ok(())
    }

    fn moment(&mut self, length: Duration) -> Result<(), ClusterError> {
        let until = self.cluster.simulation.now() + length;
        while let Some(at) = self.weather.next(until) {
            self.cluster.simulation.run_until(at);
            self.weather
                .happen(&mut self.cluster, &mut self.workload, &self.observer)?;
        }
        self.cluster.simulation.run_until(until);
        if until >= self.next_look {
            self.next_look = until + GLANCE_EVERY;
            (self.look)(until, &self.cluster);
        }
        self.weather.supervise(&mut self.cluster)?;
        self.workload.tick(&mut self.cluster)
    }

    /// Whether there is no need to go on.
    fn is_over(&self) -> bool {
        let broken = || !self.found.is_empty() || self.observer.is_broken();
        self.options.stop_when_broken && broken()
    }

    /// Nothing new is wanted and all faults are mended: the cluster has to come to rest. Then what
    /// there is is shared.
    fn quiet(&mut self) -> Result<(), ClusterError> {
        self.weather
            .clear(&mut self.cluster, &mut self.workload, &self.observer)?;
        self.workload.calm();
        if !self.rest(REST_WITHIN, 2)? {
            return Ok(());
        }
        self.workload.share_out(&mut self.cluster)?;
        self.pass(TURN)?;
        for giver in self.workload.givers(GIVES_UP) {
            self.workload.give_up_one(giver);
            self.pass(TURN)?;
        }
        self.stirred = true;
        self.rest(SHARED_WITHIN, 1)?;
        Ok(())
    }

    fn pass(&mut self, length: Duration) -> Result<(), ClusterError> {
        let until = self.cluster.simulation.now() + length;
        while self.cluster.simulation.now() < until && !self.is_over() {
            self.moment(5 * MOMENT)?;
        }
        Ok(())
    }

    /// Whether the cluster is at rest within that time, so many looks in a row; what is wrong then
    /// is found.
    fn rest(&mut self, within: Duration, looks: u32) -> Result<bool, ClusterError> {
        let end = self.cluster.simulation.now() + within;
        let mut calm = 0;
        while !self.is_over() {
            self.pass(REST)?;
            let wrong = self.wrong()?;
            calm = if wrong.is_empty() { calm + 1 } else { 0 };
            if calm == looks {
                return Ok(true);
            }
            if self.cluster.simulation.now() > end {
                self.add(wrong);
                break;
            }
        }
        Ok(false)
    }

    /// What is wrong, and still is a moment later: what an offer held that has just ended is
    /// offered again at once, but not in the same instant.
    fn wrong(&mut self) -> Result<Vec<Violation>, ClusterError> {
        let before = self.compare();
        if before.is_empty() {
            return Ok(before);
        }
        self.moment(3 * MOMENT)?;
        let mut after = self.compare();
        after.retain(|it| before.iter().any(|was| was.invariant == it.invariant));
        Ok(after)
    }

    fn compare(&mut self) -> Vec<Violation> {
        self.reached.compared = true;
        self.reached.quiet = true;
        self.reached.shared = self.stirred;
        let own = self.workload.books();
        let books = self.observer.books_with(&mut self.cluster, own);
        books::once_quiet(&books)
    }

    fn add(&mut self, violations: Vec<Violation>) {
        let now = self.cluster.simulation.now();
        self.found
            .extend(violations.into_iter().map(|found| (now, found)));
    }

    fn outcome(self, started: Time) -> Outcome {
        let mut violations = self.observer.violations();
        violations.extend(self.found);
        violations.sort_by_key(|(at, _)| *at);
        let mut numbers = self.observer.numbers();
        self.workload.count(&mut numbers);
        let simulation = &self.cluster.simulation;
        let network = simulation.network();
        numbers.insert("messages through their codec", network.written());
        numbers.insert("messages not read back", network.unreadable());
        numbers.insert(distance(self.options.seed).0, 1);
        let (checked, not_reached) = ALL.iter().partition(|rule| self.reached.checks(rule));
        Outcome {
            hash: simulation.trace_hash(),
            time: simulation.now().since(started),
            deliveries: simulation.deliveries(),
            numbers,
            checked,
            not_reached,
            violations,
        }
    }
}
