//! `tepui simulate`: whole clusters in the simulated world, each from a seed, under faults, held to
//! the invariants.
//!
//! Not here: the cluster, its frameworks and faults (`tepui_simulation`), and the invariants
//! (`tepui_invariants`).

use std::{
    io::{self, Write as _},
    ops::Range,
    process::ExitCode,
    time::{Duration, Instant},
};

use tepui_invariants::ALL;
use tepui_runtime::{Passage, Stage, Time};
use tepui_simulation::{ClusterError, Outcome, RunOptions, Watch, run, run_watched};

use crate::{
    command::Command,
    failure::Failure,
    flags::{FlagError, SIMULATE, Values},
};

/// The command.
pub(crate) const COMMAND: Command = Command {
    name: "simulate",
    summary: "Run a whole cluster in a simulated world, under faults that follow from a seed, and \
              hold it to the invariants. The exit status is 0 if none was broken.",
    groups: &[SIMULATE],
    environment: false,
    run: simulate,
};

/// How often the progress of many runs is told.
const PROGRESS: Duration = Duration::from_secs(5);

fn simulate(values: &Values) -> Result<ExitCode, Failure> {
    let options = options(values)?;
    let broken = match seeds(values)? {
        Some(seeds) => many(options, seeds)?,
        None => {
            let outcome = if values.boolean("trace") {
                run_watched(options, Tracer::default())
            } else {
                run(options)
            };
            let outcome = outcome.map_err(failed)?;
            report(options, &outcome);
            !outcome.violations.is_empty()
        }
    };
    Ok(if broken {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
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

fn options(values: &Values) -> Result<RunOptions, Failure> {
    let size = |name: &'static str, most: u64| {
        let size: u64 = values.parsed(name).unwrap_or_default();
        if size > most {
            return Err(bad(name, format!("expected at most {most}")));
        }
        Ok(size)
    };
    let hours: f64 = values.parsed("hours").unwrap_or_default();
    if !(0.0..=700.0).contains(&hours) {
        return Err(bad("hours", "expected from 0 to 700"));
    }
    let count = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
    Ok(RunOptions {
        seed: values.parsed("seed").unwrap_or_default(),
        agents: count(size("agents", 10_000)?),
        frameworks: count(size("frameworks", 1_000)?),
        hours,
        faults: u32::try_from(size("faults", 100_000)?).unwrap_or(u32::MAX),
        ..RunOptions::default()
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

fn report(options: RunOptions, outcome: &Outcome) {
    println!("seed {}: hash {:016x}", options.seed, outcome.hash);
    println!(
        "  {:>12}  seconds of virtual time",
        grouped(outcome.time.as_secs())
    );
    println!("  {:>12}  deliveries", grouped(outcome.deliveries));
    for (what, number) in &outcome.numbers {
        println!("  {:>12}  {what}", grouped(*number));
    }
    let ids: Vec<&str> = ALL.iter().map(|invariant| invariant.id).collect();
    println!("{} invariants checked: {}", ids.len(), ids.join(", "));
    complain(options, outcome);
}

/// What was broken, and how to see it again.
fn complain(options: RunOptions, outcome: &Outcome) {
    let [(_, first), ..] = outcome.violations.as_slice() else {
        return;
    };
    println!("seed {}: {} broken", options.seed, outcome.violations.len());
    for (at, violation) in outcome.violations.iter().take(20) {
        println!("  {at} {violation}");
    }
    println!("  {}", first.invariant.sentence);
    println!("Again: {}", options.command());
}

/// Runs all seeds; whether any broke an invariant.
#[expect(
    clippy::disallowed_methods,
    reason = "how long the simulation takes is told in real time"
)]
fn many(options: RunOptions, seeds: Range<u64>) -> Result<bool, Failure> {
    let started = Instant::now();
    let (mut told, mut done, mut broken) = (started, 0_u64, 0_u64);
    let (mut deliveries, mut virtual_time) = (0_u64, Duration::ZERO);
    let all = seeds.end.saturating_sub(seeds.start);
    for seed in seeds {
        let options = RunOptions { seed, ..options };
        let outcome = run(options).map_err(failed)?;
        done += 1;
        deliveries += outcome.deliveries;
        virtual_time += outcome.time;
        if !outcome.violations.is_empty() {
            broken += 1;
            complain(options, &outcome);
        }
        if told.elapsed() > PROGRESS {
            told = Instant::now();
            let left = started.elapsed().as_secs_f64() / done as f64 * (all - done) as f64;
            eprintln!("{done} of {all} seeds, {broken} broken, about {left:.0} s left");
        }
    }
    let seconds = started.elapsed().as_secs_f64().max(1e-9);
    println!(
        "{done} seeds in {seconds:.1} s: {broken} broken; {} deliveries ({} a second), {:.0} \
         virtual seconds a second",
        grouped(deliveries),
        grouped((deliveries as f64 / seconds) as u64),
        virtual_time.as_secs_f64() / seconds,
    );
    Ok(broken > 0)
}

/// Prints what happens.
#[derive(Default)]
struct Tracer {
    closed: bool,
}

impl Tracer {
    /// Once nobody reads any more, nothing is written.
    fn line(&mut self, line: impl std::fmt::Display) {
        if !self.closed {
            self.closed = writeln!(io::stdout().lock(), "{line}").is_err();
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
