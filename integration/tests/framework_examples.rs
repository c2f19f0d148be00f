//! The examples of `tepui-framework` as their readers would start them: processes of their own,
//! against a master and an agent that are processes too.

use std::path::Path;
use std::process::Command;

use tepui_integration::{Cluster, Daemon, Line, example};

const AGENT: &str = "--resources=cpus:1;mem:512;disk:0;ports:[]";

#[test]
fn a_batch_runs_each_line_of_its_input() {
    let mut cluster = Cluster::start(&[]);
    cluster.add_agent(&[AGENT]);
    let folder = tempfile::tempdir().unwrap();
    let jobs = folder.path().join("jobs");
    std::fs::write(&jobs, "echo one\n\necho two\nsleep 0.1\nfalse\n").unwrap();
    let mut batch = Command::new(example("batch"));
    batch.arg(cluster.address());
    let batch = Daemon::spawn_reading(batch, std::fs::File::open(&jobs).unwrap());
    let (status, lines) = batch.finish();
    assert_eq!(status.code(), Some(1), "one job fails: {lines:#?}");
    let said: Vec<&str> = lines
        .iter()
        .filter_map(|line| match line {
            Line::Out(text) => Some(text.as_str()),
            Line::Err(_) => None,
        })
        .collect();
    let count = |what: &str| said.iter().filter(|line| line.contains(what)).count();
    for job in ["job-1 finished", "job-2 finished", "job-3 finished"] {
        assert_eq!(count(job), 1, "{said:#?}");
    }
    assert_eq!(count("job-4 failed, tried again"), 2, "{said:#?}");
    assert_eq!(count("job-4 failed, given up"), 1, "{said:#?}");
    assert_eq!(said.last(), Some(&"3 finished, 1 failed"), "{said:#?}");
    cluster.stop();
}

/// Starts a keeper of so many instances.
fn keeper(cluster: &Cluster, state: &Path, instances: u32, version: &str) -> Daemon {
    let mut keeper = Command::new(example("keeper"));
    keeper.arg(cluster.address()).arg(state);
    keeper.args(["web", &instances.to_string(), version, "exec sleep 1000"]);
    Daemon::spawn(keeper)
}

/// Waits until it says of two instances of a version that they are in this state.
fn says_of_both(keeper: &mut Daemon, version: &str, state: &str) {
    let begin = format!("web.{version}.");
    keeper.wait_for_lines(&format!("two {begin} {state}"), 2, |line| {
        line.starts_with(&begin) && line.ends_with(state)
    });
}

#[test]
fn a_killed_keeper_is_succeeded_by_one_of_another_version() {
    let mut cluster = Cluster::start(&[]);
    cluster.add_agent(&[AGENT]);
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("web.id");
    let mut first = keeper(&cluster, &state, 2, "v1");
    says_of_both(&mut first, "v1", "TASK_RUNNING");
    first.kill();
    let id = std::fs::read_to_string(&state).unwrap();
    let mut second = keeper(&cluster, &state, 2, "v2");
    says_of_both(&mut second, "v2", "TASK_RUNNING");
    says_of_both(&mut second, "v1", "TASK_KILLED");
    second.kill();
    let mut last = keeper(&cluster, &state, 0, "v2");
    last.wait_for("that it is over", |line| line.starts_with("web is over"));
    let (status, lines) = last.finish();
    assert!(status.success(), "{lines:#?}");
    assert_eq!(
        std::fs::read_to_string(&state).unwrap(),
        id,
        "one framework"
    );
    cluster.stop();
}
