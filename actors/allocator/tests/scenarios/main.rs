//! Runs `scenarios/*.txt`: commands in, allocations out. The format is explained in
//! `scenarios/README.md`. With `TEPUI_UPDATE_SCENARIOS=1` the expected output is written anew.

#![cfg(test)]

#[cfg(test)]
mod cluster;
#[cfg(test)]
mod script;
#[cfg(test)]
mod wants;

use std::path::{Path, PathBuf};

use cluster::Cluster;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

#[expect(
    clippy::disallowed_methods,
    reason = "the scenarios are files beside the test"
)]
fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "asked for by the variable")]
fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

#[expect(
    clippy::disallowed_methods,
    reason = "the scenarios are files beside the test"
)]
fn scenarios() -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files
        .filter(|path| path.extension().is_some_and(|end| end == "txt"))
        .collect();
    files.sort();
    files
}

/// The file with its expected output replaced by what comes out now.
fn replay(path: &Path) -> String {
    let mut cluster = Cluster::new();
    let mut written = String::new();
    for block in script::blocks(&read(path)) {
        written.push_str(&block.text);
        let mut output = Vec::new();
        for (line, command) in &block.commands {
            let place = format!("{}:{line}", path.file_name().unwrap().display());
            if let Err(problem) = cluster.command(command, &mut output) {
                panic!("{place}: {command}: {problem}");
            }
        }
        if block.expects || !output.is_empty() {
            written.push_str("----\n");
        }
        for line in output {
            written.push_str(&line);
            written.push('\n');
        }
        written.push_str(&block.after);
    }
    written
}

#[test]
fn scenarios_come_out_as_written() {
    let files = scenarios();
    assert!(files.len() >= 10, "the scenarios are gone");
    let update = std::env::var_os("TEPUI_UPDATE_SCENARIOS").is_some();
    let mut wrong = Vec::new();
    for path in files {
        let (expected, found) = (read(&path), replay(&path));
        if expected == found {
            continue;
        }
        if update {
            write(&path, &found);
            continue;
        }
        let line = expected
            .lines()
            .zip(found.lines())
            .position(|(a, b)| a != b);
        let line = line.unwrap_or_else(|| expected.lines().count().min(found.lines().count()));
        let show = |text: &str| text.lines().nth(line).unwrap_or("(nothing)").to_owned();
        wrong.push(format!(
            "{}:{}\n  expected: {}\n  found:    {}",
            path.display(),
            line + 1,
            show(&expected),
            show(&found)
        ));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_scenario_can_fail() {
    let mut cluster = Cluster::new();
    for wrong in [
        "fly to the moon",
        "agent",
        "agent a1 cpus",
        "framework A",
        "decline A a1",
        "advance soon",
        "why A b c",
        "framework A role=a wants=rack~(",
        "framework A role=a wants=@moon:full",
    ] {
        assert!(cluster.command(wrong, &mut Vec::new()).is_err(), "{wrong}");
    }
}
