//! The tables of `TASK_STATES.md`: every state and reason of the schema is in them once, and each
//! is reached by a test that is there and speaks of it, or waits for something, or is never told.

use std::collections::BTreeMap;

use tepui_protocol::mesos::v1::TaskState;
use tepui_protocol::mesos::v1::task_status::Reason;

use crate::hygiene_tree::Tree;

const FILE: &str = "integration/TASK_STATES.md";

/// The rows of the table below a heading: the first cell, and the last.
fn rows<'a>(text: &'a str, heading: &str) -> Vec<(&'a str, &'a str)> {
    let below = text.lines().skip_while(|line| *line != heading).skip(1);
    let table = below.take_while(|line| !line.starts_with("## "));
    let rows = table.filter(|line| line.starts_with('|') && !line.starts_with("|---"));
    rows.skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            (cells[0], cells[cells.len() - 1])
        })
        .collect()
}

/// From `fn name(` to the next test.
fn test<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let from = text.find(&format!("fn {name}("))?;
    let before = text[..from].trim_end();
    let is_test = before.ends_with("#[test]");
    let rest = &text[from..];
    is_test.then(|| rest.split("#[test]").next().unwrap_or(rest))
}

/// What is wrong with the last cell of a row about `name`, which code also calls `others`.
fn fault(tree: &Tree, name: &str, shown: &str, others: &[String]) -> Option<String> {
    let told = ["waits for ", "never told: "];
    if told.iter().any(|start| shown.starts_with(start)) {
        return None;
    }
    let guard = shown.strip_prefix('`').and_then(|it| it.strip_suffix('`'));
    let Some((path, function)) = guard.and_then(|guard| guard.split_once("::")) else {
        return Some(format!("{name} is shown by nothing: '{shown}'"));
    };
    if !tree.exists(path) {
        return Some(format!("{name}: no file {path}"));
    }
    let Some(test) = test(tree.text(path), function) else {
        return Some(format!("{name}: no test {function} in {path}"));
    };
    let speaks = test.contains(name) || others.iter().any(|other| test.contains(other));
    (!speaks).then(|| format!("{name}: {function} does not speak of it"))
}

/// `REASON_TASK_INVALID` as `TaskInvalid`; `TASK_LOST` as `TaskLost`.
fn camel(name: &str) -> String {
    let words = name.trim_start_matches("REASON_").split('_');
    words
        .map(|word| format!("{}{}", &word[..1], word[1..].to_lowercase()))
        .collect()
}

fn check(heading: &str, names: &[&str], others: impl Fn(&str) -> Vec<String>) {
    let tree = Tree::read();
    let rows = rows(tree.text(FILE), heading);
    let mut faults = Vec::new();
    let mut count: BTreeMap<&str, usize> = names.iter().map(|name| (*name, 0)).collect();
    for (name, shown) in rows {
        match count.get_mut(name) {
            Some(count) => *count += 1,
            None => faults.push(format!("{name} is not in the schema")),
        }
        faults.extend(fault(&tree, name, shown, &others(name)));
    }
    let wrong = count.into_iter().filter(|(_, count)| *count != 1);
    faults.extend(wrong.map(|(name, count)| format!("{name} is there {count} times")));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_task_state_is_reached_by_a_test() {
    let states = (0..64).filter_map(|number| TaskState::try_from(number).ok());
    let names: Vec<&str> = states.map(|state| state.as_str_name()).collect();
    assert_eq!(names.len(), 14);
    check("## States", &names, |name| vec![camel(name)]);
}

#[test]
fn every_reason_is_reached_by_a_test_or_waits_for_something() {
    let reasons = (0..128).filter_map(|number| Reason::try_from(number).ok());
    let names: Vec<&str> = reasons.map(|reason| reason.as_str_name()).collect();
    assert_eq!(names.len(), 35);
    // In metric keys agents are slaves.
    let key = |name: &str| name.replace("AGENT", "SLAVE").to_lowercase();
    check("## Reasons", &names, |name| {
        vec![format!("Reason::{}", camel(name)), key(name)]
    });
}
