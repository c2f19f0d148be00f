//! The README's table of promises: each names the test or bench that guards it, and that guard is
//! there.
//!
//! Not here: the promises' truth, which is what the guards are for.

use crate::hygiene_tree::{Tree, has_test};

/// A row of the table: what is promised, and the guards, as `path` or `path::function`.
struct Promise<'a> {
    words: &'a str,
    guards: Vec<&'a str>,
}

fn promises(readme: &str) -> Vec<Promise<'_>> {
    readme
        .lines()
        .skip_while(|line| *line != "## Promises")
        .skip(1)
        .take_while(|line| !line.starts_with("## "))
        .filter(|line| line.starts_with('|') && !line.starts_with("|---"))
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let guards = cells.last().copied().unwrap_or_default();
            Promise {
                words: cells[0],
                // Between backticks is every second piece.
                guards: guards.split('`').skip(1).step_by(2).collect(),
            }
        })
        .collect()
}

/// Whether a file is a test that is a program of its own, as its package declares.
fn is_program(tree: &Tree, path: &str) -> bool {
    let Some((package, name)) = path.split_once("/tests/") else {
        return false;
    };
    let (manifest, name) = (
        format!("{package}/Cargo.toml"),
        name.trim_end_matches(".rs"),
    );
    let declared = tree.exists(&manifest)
        && tree.text(&manifest).split("\n[").any(|table| {
            let has = |wanted: &str| table.lines().any(|line| line == wanted);
            has("[test]]") && has(&format!("name = \"{name}\"")) && has("harness = false")
        });
    declared && has_main(tree.text(path))
}

fn has_main(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("fn main()"))
}

/// Whether a file, as a whole, can fail: it has tests, is one, or is a bench.
fn can_fail(tree: &Tree, path: &str) -> bool {
    let text = tree.text(path);
    if path.starts_with("benches/benches/") {
        return has_main(text);
    }
    text.lines().any(|line| line.trim() == "#[test]") || is_program(tree, path)
}

/// What is wrong with a guard.
fn fault(tree: &Tree, guard: &str) -> Option<String> {
    let (path, function) = match guard.split_once("::") {
        Some((path, function)) => (path, Some(function)),
        None => (guard, None),
    };
    if !tree.exists(path) {
        return Some(format!("no file {path}"));
    }
    let mut inside = tree.rust().filter(|source| source.path.starts_with(path));
    match function {
        Some(name) if path.ends_with(".rs") && has_test(tree.text(path), name) => None,
        Some(name) => Some(format!("no test {name} in {path}")),
        None if path.ends_with('/') && inside.any(|source| can_fail(tree, &source.path)) => None,
        None if path.ends_with(".rs") && can_fail(tree, path) => None,
        None => Some(format!("no test or bench in {path}")),
    }
}

#[test]
fn every_promise_has_a_guard_that_exists() {
    let tree = Tree::read();
    let table = promises(tree.text("README.md"));
    assert!(table.len() >= 15, "only {} promises", table.len());
    let mut faults = Vec::new();
    for Promise { words, guards } in table {
        if guards.is_empty() {
            faults.push(format!("`{words}` names no guard"));
        }
        let wrong = guards.iter().filter_map(|guard| fault(&tree, guard));
        faults.extend(wrong.map(|problem| format!("`{words}`: {problem}")));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_guard_can_be_none() {
    let tree = Tree::read();
    let own = "integration/tests/hygiene_tree/promises.rs";
    for (guard, problem) in [
        (&*format!("{own}::a_guard_can_be_none"), None),
        (&format!("{own}::fault"), Some("no test fault")),
        (&format!("{own}::a_guard_can"), Some("no test a_guard_can")),
        (&format!("{own}::Promise"), Some("no test Promise")),
        (own, None),
        ("integration/nowhere.rs", Some("no file")),
        // No test in it; and nothing but them.
        ("integration/src/stream.rs", Some("no test or bench")),
        ("integration/src/", Some("no test or bench")),
        ("integration/tests/", None),
        // A program of its own, and one of its modules.
        ("integration/tests/soak.rs", None),
        ("integration/tests/soak/kind.rs", Some("no test or bench")),
        ("benches/benches/offers.rs", None),
        ("benches/src/agents.rs", Some("no test or bench")),
        ("integration/test", Some("no test or bench")),
        ("integration/python/streams.py", Some("no test or bench")),
        (
            "integration/conformance/rules/accept.py::unknown",
            Some("no test unknown"),
        ),
    ] {
        let found = fault(&tree, guard);
        match problem {
            None => assert_eq!(found, None),
            Some(problem) => {
                let found = found.unwrap_or_else(|| panic!("{guard} is no guard"));
                assert!(found.contains(problem), "{guard}: {found}");
            }
        }
    }
}
