//! Bad input from anyone: a clear answer, nothing lost, and the daemons go on. Each rule has an
//! id, and is a row of `HOSTILE.md`; the rules themselves are in `hostile/`.

mod hostile;

use std::collections::BTreeSet;

use hostile::{Stage, executors, http, limits, messages, offers, rules, tasks};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tepui_integration::top;

/// Files that the test and the master may have open each.
const FILES: u64 = 16_384;

#[test]
fn requests_and_subscriptions() {
    Stage::new().check(http::RULES);
}

#[test]
fn offers_and_tasks() {
    Stage::new().check(offers::RULES);
    Stage::new().check(tasks::RULES);
}

#[test]
fn executors_and_messages() {
    Stage::new().check(executors::RULES);
    Stage::new().check(messages::RULES);
}

#[test]
fn limits_of_size_and_time() {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    if soft < FILES {
        // Root may raise the hard limit too; the daemons that are started from here have it.
        setrlimit(Resource::RLIMIT_NOFILE, FILES, hard.max(FILES)).expect("so many open files");
    }
    Stage::new().check(limits::RULES);
}

#[test]
fn the_table_lists_every_rule() {
    let table = std::fs::read_to_string(top().join("integration/HOSTILE.md")).expect("the table");
    let rows: Vec<&str> = table
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains('-') && !line.starts_with("| id"))
        .collect();
    let expected: Vec<String> = rules()
        .iter()
        .map(|rule| format!("| {} | {} | {} |", rule.id, rule.sent, rule.answer))
        .collect();
    assert_eq!(rows, expected, "\n{}", expected.join("\n"));
    let ids: BTreeSet<&str> = rules().iter().map(|rule| rule.id).collect();
    assert_eq!(ids.len(), expected.len(), "an id is there twice");
}
