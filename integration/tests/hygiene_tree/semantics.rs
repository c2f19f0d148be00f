//! The tables of `SEMANTICS.md`: each rule has an id of its own and is shown by tests that are
//! there, or waits for a feature, or says why it cannot come to pass.
//!
//! Not here: whether a test shows what its row says, which is for who reads both.

use std::collections::BTreeSet;

use crate::hygiene_tree::{Tree, has_test};

const FILE: &str = "integration/SEMANTICS.md";
/// Where the rules of the conformance suite are.
const CHECKS: &str = "integration/conformance/rules/";

/// A row: the rule's id, what holds, and what shows it.
struct Rule<'a> {
    id: &'a str,
    words: &'a str,
    shown: &'a str,
}

fn rules(text: &str) -> Vec<Rule<'_>> {
    let rows = text.lines().filter(|line| line.starts_with("| "));
    let cells = rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 3, "three cells are wanted: {line}");
        Rule {
            id: cells[0],
            words: cells[1],
            shown: cells[2],
        }
    });
    cells.filter(|rule| rule.id != "rule").collect()
}

/// Whether a file has a test, or a check of a rule of the conformance suite, of this name.
fn shows(path: &str, text: &str, name: &str) -> bool {
    if !path.starts_with(CHECKS) {
        return path.ends_with(".rs") && has_test(text, name);
    }
    // Its decorators are right above it, each on a line or on several.
    let (start, mut block) = (format!("def {name}("), Vec::new());
    for line in text.lines().map(str::trim) {
        if line.starts_with(&start) {
            let names = block
                .iter()
                .filter_map(|line: &&str| line.strip_prefix('@'));
            let mut names = names.filter_map(|line| line.split_once('('));
            return names.any(|(name, _)| name == "rule" || name.ends_with("_rule"));
        }
        if line.is_empty() {
            block.clear();
        }
        block.push(line);
    }
    false
}

/// What is wrong with one of the guards of a rule.
fn fault(tree: &Tree, guard: &str) -> Option<String> {
    let (path, name) = match guard.split_once("::") {
        Some((path, name)) => (path, Some(name)),
        None => (guard, None),
    };
    if !tree.exists(path) {
        return Some(format!("no file {path}"));
    }
    match name {
        None if path.starts_with("actors/allocator/scenarios/") && path.ends_with(".txt") => None,
        None => Some(format!("{path} is no scenario")),
        Some(name) if shows(path, tree.text(path), name) => None,
        Some(name) => Some(format!("no test {name} in {path}")),
    }
}

#[test]
fn every_rule_is_shown_by_a_test_or_waits_for_something() {
    let tree = Tree::read();
    let mut faults = Vec::new();
    let mut ids = BTreeSet::new();
    let (mut shown, mut waiting) = (0, 0);
    for Rule {
        id,
        words,
        shown: by,
    } in rules(tree.text(FILE))
    {
        if !ids.insert(id) {
            faults.push(format!("{id} is there twice"));
        }
        if words.is_empty() {
            faults.push(format!("{id} says nothing"));
        }
        if ["waits for ", "not here: "]
            .iter()
            .any(|start| by.starts_with(start))
        {
            waiting += 1;
            continue;
        }
        shown += 1;
        // Between backticks is every second piece.
        let guards: Vec<&str> = by.split('`').skip(1).step_by(2).collect();
        if guards.is_empty() {
            faults.push(format!("{id} is shown by nothing: '{by}'"));
        }
        let wrong = guards.iter().filter_map(|guard| fault(&tree, guard));
        faults.extend(wrong.map(|problem| format!("{id}: {problem}")));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(shown > 200 && waiting < 80, "{shown} shown, {waiting} not");
}

#[test]
fn a_row_can_fail() {
    let tree = Tree::read();
    let own = "integration/tests/hygiene_tree/semantics.rs";
    for (guard, problem) in [
        (format!("{own}::a_row_can_fail"), None),
        (format!("{own}::shows"), Some("no test shows")),
        (format!("{own}::no_such"), Some("no test no_such")),
        (own.to_owned(), Some("is no scenario")),
        ("integration/nowhere.rs::x".to_owned(), Some("no file")),
        (format!("{CHECKS}accept.py::unknown"), None),
        (
            format!("{CHECKS}accept.py::dropped"),
            Some("no test dropped"),
        ),
        (
            "integration/conformance/suite.py::same".to_owned(),
            Some("no test same"),
        ),
        ("actors/allocator/scenarios/filters.txt".to_owned(), None),
    ] {
        let found = fault(&tree, &guard);
        match problem {
            None => assert_eq!(found, None),
            Some(problem) => assert!(found.is_some_and(|it| it.contains(problem)), "{guard}"),
        }
    }
}
