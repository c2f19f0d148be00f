//! Bugs are planted into a simulated cluster, one at a time, and each is found: by one of the rules
//! that this crate's README names for it, not by a panic, within the first seeds of those that are
//! run as a test. Without a bug the same seed breaks nothing. With `--nocapture` it prints the
//! table as it is now.
//!
//! A build of its own: `cargo test --workspace --features tepui-simulation/planted-bugs --test
//! planted_bugs`. Not here: seeds without a bug (`integration/tests/simulation.rs`).

#![cfg(test)]

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use tepui_invariants::{Planted, PlantedBug};
use tepui_simulation::{RunOptions, run};

/// A bug has to be found by a seed below this.
const SEEDS: u64 = 20;

/// The bugs in words, in the order of the table.
const BUGS: [(PlantedBug, &str); 15] = [
    (
        PlantedBug::AcknowledgementDropped,
        "an acknowledgement is dropped",
    ),
    (
        PlantedBug::LostResourcesKept,
        "resources of a lost task are not recovered",
    ),
    (PlantedBug::OfferIdReused, "an offer id is reused"),
    (
        PlantedBug::OperationTwice,
        "an operation is applied twice after a retry",
    ),
    (
        PlantedBug::UpdatePastUnacknowledged,
        "updates are sent past an unacknowledged one",
    ),
    (
        PlantedBug::TasksForgotten,
        "a re-registered agent's tasks are forgotten",
    ),
    (
        PlantedBug::StaleAgentAccepted,
        "a stale agent is accepted under its old id",
    ),
    (PlantedBug::FilterOutlives, "a filter outlives its time"),
    (
        PlantedBug::RescindedHonored,
        "a rescinded offer is still honored",
    ),
    (
        PlantedBug::FailoverTimerKept,
        "a disconnected framework's failover timer is not cancelled",
    ),
    (
        PlantedBug::AcknowledgedUnsynced,
        "a checkpoint is acknowledged before it is synced",
    ),
    (
        PlantedBug::KillReachesAnother,
        "a framework's kill reaches another's task of the same id",
    ),
    (PlantedBug::SharesIgnored, "shares are ignored"),
    (
        PlantedBug::LimitsKept,
        "a container keeps its limits when a task is added or ends",
    ),
    (
        PlantedBug::GroupGoesOn,
        "the others of a group go on when one of it fails",
    ),
];

/// The rules that a run breaks, up to the moment of the first.
fn broken(seed: u64, planted: Planted) -> BTreeSet<&'static str> {
    let options = RunOptions {
        planted,
        stop_when_broken: true,
        ..RunOptions::quick(seed)
    };
    let outcome = run(options).unwrap();
    let violations = outcome.violations.iter();
    violations.map(|(_, found)| found.invariant.id).collect()
}

/// The first seed that breaks a rule with the bug, and which.
fn hunt(bug: PlantedBug) -> Option<(u64, BTreeSet<&'static str>)> {
    (0..SEEDS).find_map(|seed| {
        let rules = broken(seed, Planted::bug(bug));
        (!rules.is_empty()).then_some((seed, rules))
    })
}

/// Does `work` for each of `of`, on as many threads as there are cores, and gives the answers in
/// their order.
fn each<T: Sync, R: Send>(of: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = Mutex::new(0..of.len());
    let answers = Mutex::new(Vec::new());
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let worker = || {
        loop {
            let Some(at) = next.lock().unwrap().next() else {
                return;
            };
            let answer = work(&of[at]);
            answers.lock().unwrap().push((at, answer));
        }
    };
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(worker);
        }
    });
    let mut answers = answers.into_inner().unwrap();
    answers.sort_by_key(|(at, _)| *at);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// What the README's table says of a bug.
#[expect(
    clippy::disallowed_methods,
    reason = "the table is read on the real disk, by a test"
)]
fn row(number: usize, words: &str) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let start = format!("| {number} | {words} | ");
    let row = readme.lines().find(|line| line.starts_with(&start));
    row.unwrap_or("no row of the table").to_owned()
}

static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

#[test]
fn each_planted_bug_is_found_by_a_rule_that_the_table_names() {
    assert_eq!(BUGS.map(|(bug, _)| bug), PlantedBug::ALL);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.lock().unwrap().push(panic.to_string());
        before(panic);
    }));
    let all = each(&BUGS, |(bug, _)| hunt(*bug));
    let seeds: BTreeSet<u64> = all.iter().flatten().map(|(seed, _)| *seed).collect();
    let seeds: Vec<u64> = seeds.into_iter().collect();
    let clean = each(&seeds, |seed| broken(*seed, Planted::NONE));
    // Else a test that fails from here on is counted as a panic of a bug's.
    drop(std::panic::take_hook());
    let mut faults: Vec<String> = PANICS.lock().unwrap().drain(..).collect();
    for (number, ((_, words), found)) in BUGS.iter().zip(&all).enumerate() {
        let number = number + 1;
        let Some((seed, rules)) = found else {
            faults.push(format!("({number}) {words}: not found by {SEEDS} seeds"));
            continue;
        };
        let rules: Vec<String> = rules.iter().map(|rule| format!("`{rule}`")).collect();
        let (seeds, found_by) = (seed + 1, rules.join(", "));
        println!("| {number} | {words} | {found_by} | {seeds} |");
        let row = row(number, words);
        if !rules.iter().any(|rule| row.contains(rule.as_str())) {
            faults.push(format!(
                "({number}) {words}: found by {found_by}, not as {row}"
            ));
        }
    }
    for (seed, rules) in seeds.iter().zip(clean) {
        if !rules.is_empty() {
            faults.push(format!("seed {seed} breaks {rules:?} without a bug"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Nothing in the workspace turns the feature on, so that neither a daemon nor any other test can
/// have a bug by it.
#[test]
fn no_daemon_can_be_told_to_have_a_bug() {
    let tree = |more: &[&str]| {
        let output = Command::new(env!("CARGO"))
            .args(["tree", "--offline", "--workspace", "--format={p} {f}"])
            .args(more)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let features = |more: &[&str]| -> BTreeSet<bool> {
        let tree = tree(more);
        let invariants = tree.lines().filter(|it| it.contains("tepui-invariants v"));
        invariants.map(|it| it.contains("planted-bugs")).collect()
    };
    let planted = features(&["--features=tepui-simulation/planted-bugs"]);
    assert_eq!(planted, BTreeSet::from([true]));
    assert_eq!(features(&[]), BTreeSet::from([false]));
}
