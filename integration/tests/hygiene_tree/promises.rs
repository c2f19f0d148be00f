//! The README's table of promises: each names the test or bench that guards it, and that guard is
//! there.
//!
//! Not here: the promises' truth, which is what the guards are for.

use crate::hygiene_tree::Tree;

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
        for guard in guards {
            let (path, function) = match guard.split_once("::") {
                Some((path, function)) => (path, Some(function)),
                None => (guard, None),
            };
            let known = path.ends_with(".rs") || path.ends_with(".py") || path.ends_with("/");
            if !known || !tree.exists(path) {
                faults.push(format!("`{words}`: no file {path}"));
            } else if let Some(function) = function
                && !tree.text(path).contains(&format!("fn {function}("))
            {
                faults.push(format!("`{words}`: no function {function} in {path}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
