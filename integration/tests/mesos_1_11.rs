//! Puts a real master and agent into the situations in which Apache Mesos 1.11 was recorded, and
//! holds what they answer against the recordings in `mesos-1.11/`, by the scripts that made them.
//! What differs has to be in `DIFFERENCES.md`. The metrics have a table of their own, in the
//! gateway's crate.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tepui_api::metric_keys::{self, STATISTICS, State};
use tepui_integration::{Cluster, top};
use tepui_protocol::mesos::v1::TaskState;

/// The flags with which Mesos was recorded, as far as they show.
const DOMAIN: &str = r#"--domain={"fault_domain":{"region":{"name":"here"},"zone":{"name":"a"}}}"#;
const MASTER: &[&str] = &[
    "--hostname=localhost",
    "--cluster=recorded",
    DOMAIN,
    "--agent_ping_timeout=1secs",
    "--max_agent_ping_timeouts=3",
];
const AGENT: &[&str] = &[
    "--hostname=localhost",
    DOMAIN,
    "--resources=cpus:8;mem:4096;disk:10000;ports:[31000-32000];cpus(front):1;mem(front):128",
    "--attributes=rack:r1;level:3;zones:[1-3]",
    "--cgroups_enable_cfs=true",
    "--executor_shutdown_grace_period=1secs",
];

fn recordings() -> PathBuf {
    top().join("integration/mesos-1.11")
}

/// Runs a script of the recordings' folder; gives what it printed, and fails if it does.
fn run(script: &str, arguments: &[&str]) {
    let python = std::env::var_os("TEPUI_PYTHON").unwrap_or_else(|| "python3".into());
    let output = Command::new(python)
        // Compiled modules would lie in the tree.
        .arg("-B")
        .arg(recordings().join(script))
        .args(arguments)
        .output()
        .expect("python3 is installed");
    assert!(
        output.status.success(),
        "{script}: {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Records a cluster by a script and compares, with the table's rows under that heading.
fn record(script: &str, what: &str, recorded: &str, new: &Path) {
    let mut cluster = Cluster::start(MASTER);
    cluster.add_agent(AGENT);
    let new = new.to_str().expect("a path in text");
    run(script, &[cluster.address(), new]);
    cluster.stop();
    let table = top().join("integration/DIFFERENCES.md");
    let recorded = recordings().join(recorded);
    let paths = [table.to_str(), recorded.to_str()].map(|path| path.expect("a path in text"));
    run("compare.py", &[paths[0], what, paths[1], new]);
}

#[test]
fn every_call_is_answered_as_mesos_does() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    record(
        "calls.py",
        "calls",
        "calls.json",
        &folder.path().join("calls.json"),
    );
}

#[test]
fn views_have_every_key_of_mesos_and_metrics_are_as_their_table_says() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    record("views.py", "views", "views", folder.path());
    check_states(folder.path());
    let shown = ["master", "agent"]
        .map(|node| metrics(&folder.path().join(format!("{node}-metrics-snapshot.json"))));
    check_counts(&shown[0]);
    let [master, agent] = shown.map(|metrics| metrics.into_keys().collect::<BTreeSet<String>>());
    let mut faults = Vec::new();
    for key in master
        .union(&agent)
        .filter(|key| !metric_keys::is_ours(key))
    {
        match metric_keys::find(key) {
            Some(State::Served | State::Zero(_)) => {}
            state => faults.push(format!("{key} is served and its state is {state:?}")),
        }
    }
    for (pattern, state) in metric_keys::keys() {
        if !matches!(state, State::Served | State::Zero(_)) || comes_by_chance(&pattern) {
            continue;
        }
        let keys = if of_agent(&pattern) { &agent } else { &master };
        if !keys.iter().any(|key| metric_keys::matches(&pattern, key)) {
            faults.push(format!("{pattern} is said to be served and is not"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_metric_of_mesos_is_accounted_for() {
    let path = recordings().join("metrics.tsv");
    let text = std::fs::read_to_string(&path).expect("the list of metrics");
    let listed: BTreeSet<String> = text
        .lines()
        .filter_map(|line| Some(line.split_once('\t')?.0.to_owned()))
        .collect();
    let known: BTreeSet<String> = metric_keys::keys().map(|(key, _)| key).collect();
    let unknown: Vec<&String> = listed.symmetric_difference(&known).collect();
    assert!(unknown.is_empty(), "in one of the lists only: {unknown:#?}");
    let recorded = metrics(&recordings().join("views/master-metrics-snapshot.json"));
    assert!(recorded.len() > 300, "{} keys", recorded.len());
    let strange: Vec<&String> = recorded
        .keys()
        .filter(|key| metric_keys::find(key).is_none())
        .collect();
    assert!(
        strange.is_empty(),
        "Mesos served, and no table has: {strange:#?}"
    );
}

/// Holds the lists and states in which the master shows tasks against those of Mesos, which have
/// every state that a task can have.
fn check_states(new: &Path) {
    let recorded = task_states(&recordings().join("views"));
    let states: BTreeSet<&str> = recorded.values().map(String::as_str).collect();
    let every: BTreeSet<&str> = (0..)
        .map_while(|number| TaskState::try_from(number).ok())
        .filter(|state| *state != TaskState::TaskUnknown)
        .map(|state| state.as_str_name())
        .collect();
    assert_eq!(states, every, "the states of recorded tasks");
    assert_eq!(task_states(new), recorded);
}

/// The state of each task of a recorded `/master/frameworks`, by framework, name and list.
fn task_states(folder: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(folder.join("master-frameworks.json")).expect("a recording");
    let recorded: Value = serde_json::from_str(&text).expect("JSON");
    let array = |value: &Value| value.as_array().expect("a list").clone();
    let mut states = BTreeMap::new();
    for frameworks in ["frameworks", "completed_frameworks"] {
        for framework in array(&recorded["body"][frameworks]) {
            for list in ["tasks", "unreachable_tasks", "completed_tasks"] {
                for task in array(&framework[list]) {
                    let [name, id, state] = [&framework["name"], &task["id"], &task["state"]]
                        .map(|value| value.as_str().expect("a text"));
                    states.insert(format!("{name}: {id} in {list}"), state.to_owned());
                }
            }
        }
    }
    states
}

/// Holds what the master counted of frameworks against what Mesos counted of the same ones. How
/// often resources are offered again is a matter of time, and heartbeats are not counted.
fn check_counts(shown: &BTreeMap<String, f64>) {
    let by_time = |what: &str| {
        matches!(what, "events" | "events/offers" | "events/heartbeat")
            || what.starts_with("offers/")
            || what.starts_with("roles/")
    };
    let recorded = metrics(&recordings().join("views/master-metrics-snapshot.json"));
    let mut compared = 0;
    for name in ["away", "gone", "holder", "lost"] {
        let prefix = format!("master/frameworks/{name}/<framework {name}>/");
        for (key, value) in recorded.range(prefix.clone()..) {
            let Some(what) = key.strip_prefix(&prefix) else {
                break;
            };
            if !by_time(what) {
                assert_eq!(shown.get(key), Some(value), "{key}");
                compared += 1;
            }
        }
    }
    assert!(compared > 100, "{compared} metrics were compared");
}

/// A recorded `/metrics/snapshot`.
fn metrics(path: &Path) -> BTreeMap<String, f64> {
    let text = std::fs::read_to_string(path).expect("a recording");
    let recorded: Value = serde_json::from_str(&text).expect("JSON");
    serde_json::from_value(recorded["body"].clone()).expect("numbers by key")
}

fn of_agent(key: &str) -> bool {
    let starts = [
        "slave/",
        "containerizer/",
        "gc/",
        "resource_provider_manager/",
    ];
    starts.iter().any(|start| key.starts_with(start))
}

/// Statistics are there from the second value on, and no task of the situation is lost for these
/// two reasons, which the list has as examples.
fn comes_by_chance(key: &str) -> bool {
    let statistic = key.rsplit('/').next().unwrap_or_default();
    STATISTICS.contains(&statistic) || key.starts_with("master/task_lost/")
}
