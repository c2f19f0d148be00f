//! The examples of `tepui-framework` as their readers would start them: processes of their own,
//! against a master and an agent that are processes too.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use tepui_integration::{Cluster, tepui};

const AGENT: &str = "--resources=cpus:1;mem:512;disk:0;ports:[]";

/// An example's binary, which `cargo test --workspace` builds.
fn example(name: &str) -> PathBuf {
    let example = tepui().with_file_name("examples").join(name);
    assert!(
        example.exists(),
        "{} is not built: run integration/test",
        example.display()
    );
    example
}

#[test]
fn a_batch_runs_each_line_of_its_input() {
    let mut cluster = Cluster::start(&[]);
    cluster.add_agent(&[AGENT]);
    let mut batch = Command::new(example("batch"))
        .arg(cluster.address())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut jobs = batch.stdin.take().unwrap();
    jobs.write_all(b"echo one\n\necho two\nsleep 0.1\nfalse\n")
        .unwrap();
    drop(jobs);
    let output = batch.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "one job fails: {said}");
    for job in ["job-1 finished", "job-2 finished", "job-3 finished"] {
        assert_eq!(said.matches(job).count(), 1, "{said}");
    }
    assert_eq!(
        said.matches("job-4 failed, tried again").count(),
        2,
        "{said}"
    );
    assert_eq!(said.matches("job-4 failed, given up").count(), 1, "{said}");
    assert!(said.ends_with("3 finished, 1 failed\n"), "{said}");
    cluster.stop();
}

/// A keeper, and what it says.
struct Keeper {
    process: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Keeper {
    fn start(cluster: &Cluster, state: &Path, instances: u32, version: &str) -> Keeper {
        let mut process = Command::new(example("keeper"))
            .arg(cluster.address())
            .arg(state)
            .args(["web", &instances.to_string(), version, "exec sleep 1000"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Keeper { process, lines }
    }

    /// Reads until each of `expected` was said so often; what else is said passes.
    fn hears(&mut self, expected: &[(&str, &str, usize)]) {
        let mut counts = vec![0; expected.len()];
        while expected
            .iter()
            .zip(&counts)
            .any(|((_, _, wanted), seen)| seen < wanted)
        {
            let line = self.lines.next();
            let line = line.unwrap_or_else(|| panic!("it ended: {counts:?} of {expected:?}"));
            let line = line.unwrap();
            for ((begin, end, _), count) in expected.iter().zip(&mut counts) {
                *count += usize::from(line.starts_with(begin) && line.ends_with(end));
            }
        }
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[test]
fn a_killed_keeper_is_succeeded_by_one_of_another_version() {
    let mut cluster = Cluster::start(&[]);
    cluster.add_agent(&[AGENT]);
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("web.id");
    let mut first = Keeper::start(&cluster, &state, 2, "v1");
    first.hears(&[("web.v1.", "TASK_RUNNING", 2)]);
    first.kill();
    let id = std::fs::read_to_string(&state).unwrap();
    let mut second = Keeper::start(&cluster, &state, 2, "v2");
    second.hears(&[
        ("web.v2.", "TASK_RUNNING", 2),
        ("web.v1.", "TASK_KILLED", 2),
    ]);
    second.kill();
    let mut last = Keeper::start(&cluster, &state, 0, "v2");
    last.hears(&[("web is over", "", 1)]);
    assert!(last.process.wait().unwrap().success());
    assert_eq!(
        std::fs::read_to_string(&state).unwrap(),
        id,
        "one framework"
    );
    cluster.stop();
}
