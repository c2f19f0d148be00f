//! `tepui simulate`: whole clusters in the simulated world, each from a seed, under faults, held to
//! the invariants.
//!
//! Not here: the cluster, its frameworks and faults (`tepui_simulation`), and the invariants
//! (`tepui_invariants`).

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{self, BufWriter, Stdout, Write as _},
    ops::Range,
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use tepui_invariants::Invariant;
use tepui_runtime::{Passage, Stage, Time};
use tepui_simulation::{ClusterError, Outcome, RunOptions, Watch, run, run_watched};

use crate::{
    command::Command,
    failure::Failure,
    flags::{FlagError, SIMULATE, Values},
    say,
};

/// The command.
pub(crate) const COMMAND: Command = Command {
    name: "simulate",
    summary: "Run a whole cluster in a simulated world, under faults that follow from a seed, and\n\
              hold it to the invariants. The exit status is 0 if none was broken.",
    groups: &[SIMULATE],
    environment: false,
    run: simulate,
};

/// How often the progress of many runs is told.
const PROGRESS: Duration = Duration::from_secs(5);

/// Of a run's broken invariants so many are shown.
const SHOWN: usize = 20;

/// What the flags ask for.
#[derive(Debug)]
pub(crate) struct Plan {
    options: RunOptions,
    /// Many runs, in place of the one of `options`.
    seeds: Option<Range<u64>>,
    trace: bool,
}

fn simulate(values: &Values) -> Result<ExitCode, Failure> {
    let plan = plan(values)?;
    let holds = match plan.seeds {
        Some(seeds) => many(plan.options, seeds)?,
        None => {
            let outcome = if plan.trace {
                run_watched(plan.options, Tracer::new())
            } else {
                run(plan.options)
            };
            let outcome = outcome.map_err(failed)?;
            say::text(&report(plan.options, &outcome));
            !is_broken(&outcome)
        }
    };
    Ok(status(holds))
}

fn is_broken(outcome: &Outcome) -> bool {
    !outcome.violations.is_empty()
}

/// What a shell is told.
fn status(holds: bool) -> ExitCode {
    if holds {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn failed(problem: ClusterError) -> Failure {
    Failure::Start {
        what: "the simulated cluster",
        problem: problem.to_string(),
    }
}

fn bad(name: &'static str, problem: impl Into<String>) -> Failure {
    let problem = problem.into();
    FlagError::BadValue { name, problem }.into()
}

/// Reads what is to be run.
pub(crate) fn plan(values: &Values) -> Result<Plan, Failure> {
    let size = |name: &'static str, range: Range<u64>| {
        let size: u64 = values.parsed(name).unwrap_or_default();
        if !range.contains(&size) {
            let (least, most) = (range.start, range.end - 1);
            return Err(bad(name, format!("expected from {least} to {most}")));
        }
        Ok(size)
    };
    let hours: f64 = values.parsed("hours").unwrap_or_default();
    if !(0.0..=700.0).contains(&hours) {
        return Err(bad("hours", "expected from 0 to 700"));
    }
    let count = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
    let options = RunOptions {
        seed: values.parsed("seed").unwrap_or_default(),
        agents: count(size("agents", 1..10_001)?),
        frameworks: count(size("frameworks", 1..1_001)?),
        hours,
        faults: u32::try_from(size("faults", 0..100_001)?).unwrap_or(u32::MAX),
        ..RunOptions::default()
    };
    Ok(Plan {
        options,
        seeds: seeds(values)?,
        trace: values.boolean("trace"),
    })
}

/// `A..B`, where it is given.
fn seeds(values: &Values) -> Result<Option<Range<u64>>, Failure> {
    let Some(text) = values.text("seeds") else {
        return Ok(None);
    };
    let expected = || bad("seeds", format!("expected A..B instead of '{text}'"));
    let (from, to) = text.split_once("..").ok_or_else(expected)?;
    let number = |text: &str| text.trim().parse::<u64>().map_err(|_| expected());
    let seeds = number(from)?..number(to)?;
    if seeds.is_empty() {
        return Err(bad("seeds", format!("there is no seed in '{text}'")));
    }
    if values.is_given("seed") || values.boolean("trace") {
        let problem = "Flag 'seeds' goes with neither 'seed' nor 'trace'";
        return Err(FlagError::Combination(problem.to_owned()).into());
    }
    Ok(Some(seeds))
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What a run gave, in lines.
fn report(options: RunOptions, outcome: &Outcome) -> String {
    let mut text = format!("seed {}: hash {:016x}\n", options.seed, outcome.hash);
    let time = ("seconds of virtual time", outcome.time.as_secs());
    let numbers = outcome
        .numbers
        .iter()
        .map(|(what, number)| (*what, *number));
    for (what, number) in [time, ("deliveries", outcome.deliveries)]
        .into_iter()
        .chain(numbers)
    {
        let _infallible = writeln!(text, "  {:>12}  {what}", grouped(number));
    }
    for (what, rules) in [
        ("checked", &outcome.checked),
        ("not reached", &outcome.not_reached),
    ] {
        if !rules.is_empty() {
            let rule = |rule: &&'static Invariant| rule.id;
            let ids: Vec<&str> = rules.iter().map(rule).collect();
            let (count, ids) = (ids.len(), ids.join(", "));
            let _infallible = writeln!(text, "{count} invariants {what}: {ids}");
        }
    }
    text + &complaint(options, outcome)
}

/// What was broken, and how to see it again; empty if nothing was.
fn complaint(options: RunOptions, outcome: &Outcome) -> String {
    let broken = &outcome.violations;
    let mut text = String::new();
    if broken.is_empty() {
        return text;
    }
    let _infallible = writeln!(text, "seed {}: {} broken", options.seed, broken.len());
    let mut explained = Vec::new();
    for (at, violation) in broken.iter().take(SHOWN) {
        let _infallible = writeln!(text, "  {at} {violation}");
        let sentence = violation.invariant.sentence;
        if !explained.contains(&sentence) {
            explained.push(sentence);
            let _infallible = writeln!(text, "    {sentence}");
        }
    }
    let _infallible = writeln!(text, "Again: {}", options.command());
    text
}

/// What one of many runs gave.
type Done = (u64, Result<Outcome, ClusterError>);

/// Runs all seeds, as many at once as there are cores; whether the invariants hold in all.
fn many(options: RunOptions, seeds: Range<u64>) -> Result<bool, Failure> {
    let (sender, receiver) = channel();
    let left = Mutex::new(seeds.clone());
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let wanted = usize::try_from(seeds.end - seeds.start).unwrap_or(usize::MAX);
    // A world stays on its thread, and worlds share nothing.
    thread::scope(|scope| {
        for _ in 0..cores.min(wanted) {
            let sender = sender.clone();
            scope.spawn(|| run_some(options, &left, sender));
        }
        drop(sender);
        Progress::new(options, seeds).follow(receiver)
    })
}

/// Runs seeds until none is left, or nobody wants to know any more.
fn run_some(options: RunOptions, left: &Mutex<Range<u64>>, sender: Sender<Done>) {
    let next = || left.lock().unwrap_or_else(PoisonError::into_inner).next();
    while let Some(seed) = next() {
        if sender
            .send((seed, run(RunOptions { seed, ..options })))
            .is_err()
        {
            return;
        }
    }
}

/// How far many runs are.
struct Progress {
    options: RunOptions,
    /// Seeds whose outcome was not told yet.
    untold: Range<u64>,
    all: u64,
    done: u64,
    broken: u64,
    /// Outcomes that came before that of an earlier seed.
    early: BTreeMap<u64, Outcome>,
    deliveries: u64,
    virtual_time: Duration,
    started: Instant,
}

impl Progress {
    #[expect(
        clippy::disallowed_methods,
        reason = "how long the simulation takes is told in real time"
    )]
    fn new(options: RunOptions, seeds: Range<u64>) -> Progress {
        Progress {
            options,
            all: seeds.end - seeds.start,
            untold: seeds,
            done: 0,
            broken: 0,
            early: BTreeMap::new(),
            deliveries: 0,
            virtual_time: Duration::ZERO,
            started: Instant::now(),
        }
    }

    /// Tells of the outcomes as they come, those that broke something in the order of their seeds.
    /// No more runs begin after one that could not be made.
    fn follow(mut self, outcomes: Receiver<Done>) -> Result<bool, Failure> {
        let mut next = PROGRESS;
        loop {
            match outcomes.recv_timeout(next.saturating_sub(self.started.elapsed())) {
                Ok((seed, outcome)) => self.take(seed, outcome.map_err(failed)?),
                Err(RecvTimeoutError::Timeout) => {
                    next = self.started.elapsed() + PROGRESS;
                    say::err(self.line(self.started.elapsed()));
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        say::text(&self.summary(self.started.elapsed()));
        Ok(self.broken == 0)
    }

    fn take(&mut self, seed: u64, outcome: Outcome) {
        self.done += 1;
        self.deliveries += outcome.deliveries;
        self.virtual_time += outcome.time;
        self.broken += u64::from(is_broken(&outcome));
        self.early.insert(seed, outcome);
        while let Some(outcome) = self.early.remove(&self.untold.start) {
            let seed = self.untold.start;
            self.untold.start += 1;
            let options = RunOptions {
                seed,
                ..self.options
            };
            say::text(&complaint(options, &outcome));
        }
    }

    /// How far it is after so long, and how long it will still take.
    fn line(&self, after: Duration) -> String {
        let Progress {
            all, done, broken, ..
        } = self;
        let estimate = match done {
            0 => "no estimate yet".to_owned(),
            done => {
                let left = after.as_secs_f64() / *done as f64 * (all - done) as f64;
                format!("about {left:.0} s left")
            }
        };
        format!("{done} of {all} seeds, {broken} broken, {estimate}")
    }

    fn summary(&self, took: Duration) -> String {
        let seconds = took.as_secs_f64().max(1e-9);
        format!(
            "{} seeds in {seconds:.1} s: {} broken; {} deliveries ({} a second), {:.0} virtual \
             seconds a second\n",
            self.done,
            self.broken,
            grouped(self.deliveries),
            grouped((self.deliveries as f64 / seconds) as u64),
            self.virtual_time.as_secs_f64() / seconds,
        )
    }
}

/// Prints what happens.
struct Tracer {
    out: BufWriter<Stdout>,
    closed: bool,
}

impl Tracer {
    fn new() -> Tracer {
        Tracer {
            out: BufWriter::new(io::stdout()),
            closed: false,
        }
    }

    /// Once nobody reads any more, nothing is written.
    fn line(&mut self, line: impl std::fmt::Display) {
        if !self.closed {
            self.closed = writeln!(self.out, "{line}").is_err();
        }
    }
}

impl Watch for Tracer {
    fn passage(&mut self, passage: &Passage<'_>) {
        if passage.stage != Stage::Sent {
            self.line(passage);
        }
    }

    fn glance(&mut self, at: Time, cluster: &str) {
        self.line(format_args!("{at} -- {cluster}"));
    }
}

#[cfg(test)]
mod tests {
    use tepui_invariants::{ALL, Violation};

    use super::*;
    use crate::flags::{Parsed, Sources, parse};

    fn outcome(broken: usize) -> Outcome {
        let violation = |number: usize| {
            let invariant = ALL[number % 2];
            let detail = format!("case {number}");
            (Time::from_nanos(0), Violation { invariant, detail })
        };
        Outcome {
            hash: 0xab,
            time: Duration::from_secs(1234),
            deliveries: 5_678_901,
            numbers: BTreeMap::from([("offers", 7)]),
            checked: ALL[2..].to_vec(),
            not_reached: ALL[..2].to_vec(),
            violations: (0..broken).map(violation).collect(),
        }
    }

    #[test]
    fn a_report_has_the_hash_the_numbers_and_the_invariants() {
        let options = RunOptions::quick(9);
        let text = report(options, &outcome(0));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "seed 9: hash 00000000000000ab");
        assert_eq!(lines[1], "         1,234  seconds of virtual time");
        assert_eq!(lines[2], "     5,678,901  deliveries");
        assert_eq!(lines[3], "             7  offers");
        let checked = format!("{} invariants checked: {},", ALL.len() - 2, ALL[2].id);
        assert!(lines[4].starts_with(&checked), "{text}");
        let not = format!("2 invariants not reached: {}, {}", ALL[0].id, ALL[1].id);
        assert_eq!(lines[5..], [not]);
        let (checked, not_reached) = (ALL.to_vec(), Vec::new());
        let whole = Outcome {
            checked,
            not_reached,
            ..outcome(0)
        };
        assert!(!report(options, &whole).contains("not reached"));
    }

    #[test]
    fn what_was_broken_is_explained_once_with_the_command_that_shows_it_again() {
        let options = RunOptions::quick(9);
        let text = report(options, &outcome(SHOWN + 5));
        assert!(text.contains("seed 9: 25 broken\n"), "{text}");
        assert!(text.contains("case 19") && !text.contains("case 20"));
        assert_eq!(text.matches(ALL[0].sentence).count(), 1);
        let last = text.lines().last().unwrap();
        assert_eq!(
            last,
            "Again: tepui simulate --seed=9 --agents=3 --frameworks=4 --hours=0.1 --faults=80"
        );
        assert_eq!(complaint(options, &outcome(0)), "");
    }

    #[test]
    fn the_command_that_is_shown_runs_the_same_again() {
        let sizes = [
            RunOptions::default(),
            RunOptions::quick(u64::MAX),
            RunOptions {
                seed: 12_345,
                agents: 10_000,
                frameworks: 1,
                hours: 1.0 / 3.0,
                faults: 0,
                ..RunOptions::default()
            },
            RunOptions {
                agents: 1,
                frameworks: 1000,
                hours: 700.0,
                faults: 100_000,
                ..RunOptions::default()
            },
        ];
        for options in sizes {
            let command = options.command();
            let words = command.strip_prefix("tepui simulate ").unwrap();
            let arguments: Vec<String> = words.split(' ').map(str::to_owned).collect();
            let sources = Sources {
                arguments: &arguments,
                environment: &BTreeMap::new(),
                read: &|_| Err(io::ErrorKind::NotFound.into()),
            };
            let Parsed::Values(values) = parse(&[SIMULATE], &sources).unwrap() else {
                panic!("{command} is no run")
            };
            let again = plan(&values).unwrap();
            assert_eq!(again.options, options, "{command}");
            assert!(again.seeds.is_none() && !again.trace);
        }
    }

    /// Whether runs hold of which so many rules are broken each.
    fn holds(broken: &[usize]) -> bool {
        let (sender, receiver) = channel();
        for (seed, broken) in (0..).zip(broken) {
            sender.send((seed, Ok(outcome(*broken)))).unwrap();
        }
        drop(sender);
        let progress = Progress::new(RunOptions::default(), 0..broken.len() as u64);
        progress.follow(receiver).unwrap()
    }

    #[test]
    fn the_exit_status_is_zero_only_where_nothing_was_broken() {
        let said = |holds| format!("{:?}", status(holds));
        assert_eq!(said(holds(&[0, 0, 0])), format!("{:?}", ExitCode::SUCCESS));
        assert_eq!(said(holds(&[0, 1, 0])), format!("{:?}", ExitCode::FAILURE));
        assert_eq!(said(holds(&[3])), format!("{:?}", ExitCode::FAILURE));
        assert!(!is_broken(&outcome(0)) && is_broken(&outcome(1)));
    }

    #[test]
    fn progress_says_how_long_it_will_take() {
        let mut progress = Progress::new(RunOptions::default(), 10..14);
        assert_eq!(
            progress.line(Duration::from_secs(5)),
            "0 of 4 seeds, 0 broken, no estimate yet"
        );
        progress.take(11, outcome(0));
        progress.take(12, outcome(1));
        assert_eq!(progress.early.len(), 2, "seed 10 is told first");
        progress.take(10, outcome(0));
        assert_eq!((progress.early.len(), progress.untold.clone()), (0, 13..14));
        assert_eq!(
            progress.line(Duration::from_secs(30)),
            "3 of 4 seeds, 1 broken, about 10 s left"
        );
        let summary = progress.summary(Duration::from_secs(3));
        assert_eq!(
            summary,
            "3 seeds in 3.0 s: 1 broken; 17,036,703 deliveries (5,678,901 a second), 1234 virtual \
             seconds a second\n"
        );
    }
}
