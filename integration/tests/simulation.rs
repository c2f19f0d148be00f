//! Whole clusters in the simulated world, under seeded faults, held to every invariant: three hundred
//! seeds that are others with each change of the sources, and all that ever broke one. And a seed
//! is the same, byte for byte, wherever it runs.
//!
//! What fails says the command that runs it again.

use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;

use tepui_integration::top;
use tepui_simulation::{Fault, Outcome, RunOptions, run};
use walkdir::WalkDir;

/// Seeds that ever broke an invariant: a line each, what is run as words, and what it was.
const RECORDED: &str = include_str!("../seeds.txt");

/// How many seeds are run that were not run before the last change.
const FRESH: u64 = 300;

/// What has to happen in the fresh seeds somewhere, beside faults of each kind. Of the states of a
/// task there are missing those that only others than this master and these agents say.
const HAPPENS: [&str; 47] = [
    "TASK_DROPPED",
    "TASK_ERROR",
    "TASK_FAILED",
    "TASK_FINISHED",
    "TASK_GONE",
    "TASK_GONE_BY_OPERATOR",
    "TASK_KILLED",
    "TASK_KILLING",
    "TASK_LOST",
    "TASK_RUNNING",
    "TASK_STARTING",
    "TASK_UNKNOWN",
    "TASK_UNREACHABLE",
    "accepts",
    "agent crashes",
    "agents reregistered",
    "agents told to end",
    "agents unregistered",
    "answers of executors",
    "calls of nobody, or malformed",
    "declines",
    "distance: one country, 1 to 50 ms",
    "distance: one room, 0.1 to 1 ms",
    "distance: the world, 20 to 300 ms",
    "errands of agents",
    "executors shut down",
    "exits told to the master",
    "frameworks removed",
    "groups for default executors",
    "groups for default executors again",
    "groups that end as one fails",
    "kills asked",
    "launched groups",
    "master crashes",
    "nonsense calls",
    "reconciliations",
    "requests",
    "rescinds",
    "revivals of one role",
    "subscriptions with offer constraints",
    "subscriptions with suppressed roles",
    "suppressions of one role",
    "task groups sent to agents",
    "tasks of default executors killed",
    "tasks of groups out of memory",
    "teardowns",
    "updates of frameworks",
];

/// After so many seeds that fail no others are run.
const ENOUGH: usize = 10;

/// Runs clusters on all cores. What was broken in each is an error, with the command that shows it.
fn run_all(runs: impl Iterator<Item = RunOptions> + Send) -> Result<Vec<Outcome>, String> {
    let runs = Mutex::new(runs);
    let done = Mutex::new((Vec::new(), Vec::new()));
    let work = || {
        loop {
            // The lock is not held while one runs.
            let next = runs.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(options) = next else { return };
            let outcome = run(options).expect("a cluster");
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            let broken = outcome.violations.iter();
            let lines: Vec<String> = broken.map(|(at, it)| format!("  {at} {it}\n")).collect();
            if !lines.is_empty() {
                let lines = lines.concat();
                done.1
                    .push(format!("{lines}Again: {}\n", options.command()));
            }
            done.0.push(outcome);
            if done.1.len() == ENOUGH {
                return;
            }
        }
    };
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(work);
        }
    });
    let (outcomes, broken) = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    if broken.is_empty() {
        Ok(outcomes)
    } else {
        Err(broken.concat())
    }
}

/// Where the fresh seeds begin: another place with each change of what they try, and the same for
/// everybody who has these sources, so that what fails once fails until it is mended.
fn first_seed() -> u64 {
    let sources = ["runtime", "actors", "http"].map(|folder| top().join(folder));
    let files = sources.iter().flat_map(|folder| {
        let files = WalkDir::new(folder).sort_by_file_name().into_iter();
        files.map(|entry| entry.expect("a folder of the sources").into_path())
    });
    let sources = files.filter(|path| path.extension().is_some_and(|it| it == "rs"));
    // FNV-1a, which is the same everywhere.
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for path in sources {
        for byte in std::fs::read(path).expect("a source") {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    // Short enough to be typed, and never two blocks that overlap.
    (hash >> 24) * 1000
}

#[test]
fn fresh_seeds_break_no_invariant() {
    let first = first_seed();
    let outcomes = run_all((first..first + FRESH).map(RunOptions::quick));
    let outcomes = outcomes.unwrap_or_else(|broken| panic!("\n{broken}"));
    assert_eq!(outcomes.len() as u64, FRESH);
    let sum = |what: &str| {
        let number = |outcome: &Outcome| outcome.numbers.get(what).copied().unwrap_or(0);
        outcomes.iter().map(number).sum::<u64>()
    };
    // Enough happens to them that the rules say something.
    for (what, least) in [
        ("tasks started", 20 * FRESH),
        ("offers", 50 * FRESH),
        ("acknowledgements recorded", 20 * FRESH),
        ("faults: agent crash", FRESH * 2 / 5),
        ("faults: agent partition", FRESH / 2),
        ("messages through their codec", 100 * FRESH),
    ] {
        assert!(sum(what) >= least, "{what}: only {}", sum(what));
    }
    let missing: Vec<&str> = HAPPENS.iter().chain(&Fault::NAMES).copied().collect();
    let missing: Vec<&str> = missing.into_iter().filter(|what| sum(what) == 0).collect();
    assert!(missing.is_empty(), "it never happens: {missing:?}");
    assert_eq!(sum("messages not read back"), 0);
    let whole = |outcome: &Outcome| outcome.not_reached.is_empty();
    assert!(outcomes.iter().all(whole), "each run is held to each rule");
    let mut hashes: Vec<u64> = outcomes.iter().map(|outcome| outcome.hash).collect();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len() as u64, FRESH, "no two seeds are the same run");
}

#[test]
fn recorded_seeds_break_none_any_more() {
    let lines = RECORDED.lines().filter(|line| !line.starts_with('#'));
    let options = lines.map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [seed, agents, frameworks, hours, faults, _, ..] = words[..] else {
            panic!("five numbers, and what it was: {line}")
        };
        RunOptions {
            seed: seed.parse().expect(line),
            agents: agents.parse().expect(line),
            frameworks: frameworks.parse().expect(line),
            hours: hours.parse().expect(line),
            faults: faults.parse().expect(line),
            ..RunOptions::default()
        }
    });
    let outcomes = run_all(options).unwrap_or_else(|broken| panic!("\n{broken}"));
    let recorded = RECORDED.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(outcomes.len(), recorded.count());
}

/// What `tepui simulate --trace` prints of a seed, below a launcher, in a folder, with a variable
/// in its environment.
fn trace(launcher: &[&str], folder: &str, noise: &str) -> Vec<u8> {
    let tepui = tepui_integration::tepui();
    let program = tepui.to_str().expect("a path");
    let words: Vec<&str> = launcher.iter().copied().chain([program]).collect();
    let output = Command::new(words[0])
        .args(&words[1..])
        .args(["simulate", "--trace", "--seed=2", "--agents=3"])
        .args(["--frameworks=6", "--hours=0.1", "--faults=80"])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("NOISE", noise)
        .current_dir(folder)
        .output()
        .expect("tepui simulate");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    output.stdout
}

#[test]
fn a_simulated_cluster_is_the_same_byte_for_byte_in_another_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().to_str().expect("a path");
    let one = trace(&[], "/", "");
    let text = String::from_utf8_lossy(&one);
    assert!(text.contains("seed 2: hash ") && text.len() > 100_000);
    assert!(text.contains(" HTTP piece "), "the gateway is in it");
    // Where memory lies is drawn anew for each process, if the kernel does so.
    let drawn = std::fs::read_to_string("/proc/sys/kernel/randomize_va_space");
    if drawn.is_ok_and(|drawn| drawn.trim() == "0") {
        println!("not shown here: that it is the same wherever memory lies (no ASLR)");
    }
    let other = trace(&[], folder, &"noise".repeat(1000));
    assert!(one == other, "the traces of one seed differ");
    // And lies in the same place always below this, where that is allowed.
    let fixed = ["setarch", "-R"];
    let allowed = Command::new(fixed[0]).args([fixed[1], "true"]).output();
    if allowed.is_ok_and(|output| output.status.success()) {
        assert!(
            one == trace(&fixed, "/tmp", "x"),
            "they differ without ASLR"
        );
    }
}
