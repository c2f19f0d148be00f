//! Runs the conformance suite of `integration/conformance/` against a master and agents, and holds
//! its list of rules against the table in `integration/README.md`. What the rules say is there.

use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use tepui_integration::{Cluster, run_script, top};

/// Twice what it takes on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(240);

fn folder() -> PathBuf {
    top().join("integration/conformance")
}

/// Runs the suite to its end, and gives what it printed.
fn suite(arguments: &[&str]) -> Output {
    run("conformance.py", arguments)
}

fn run(script: &str, arguments: &[&str]) -> Output {
    run_script(&folder().join(script), arguments, PATIENCE)
}

fn text(printed: &[u8]) -> String {
    String::from_utf8_lossy(printed).into_owned()
}

#[test]
fn every_rule_holds_in_both_encodings_but_those_that_wait_for_a_feature() {
    let mut cluster = Cluster::start(&["--allocation_interval=100ms"]);
    for _ in 0..2 {
        cluster.add_agent(&["--resources=cpus:4;mem:2048;disk:1000;ports:[31000-32000]"]);
    }
    let suite = suite(&[cluster.address(), "--against=tepui"]);
    // Whether checks notice what a proxy changes.
    let crooked = run("crooked.py", &[cluster.address()]);
    for output in [suite, crooked] {
        let (said, errors) = (text(&output.stdout), text(&output.stderr));
        assert!(
            output.status.success(),
            "{}\n{said}\n{errors}",
            output.status
        );
    }
    cluster.stop();
}

#[test]
fn offers_time_out_as_the_flag_says() {
    let mut cluster = Cluster::start(&["--allocation_interval=100ms", "--offer_timeout=3secs"]);
    cluster.add_agent(&["--resources=cpus:1;mem:128;disk:0;ports:[]"]);
    let arguments = [cluster.address(), "--offer_timeout=3", "--rule=OFFER-12"];
    let output = suite(&arguments);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", text(&output.stderr));
    assert!(said.contains("1 rules, 2 checks"), "{said}");
    cluster.stop();
}

#[test]
fn the_readme_lists_each_rule_with_its_check() {
    let output = suite(&["--list"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let listed = text(&output.stdout);
    assert!(listed.lines().count() > 200, "{listed}");
    let readme = std::fs::read_to_string(top().join("integration/README.md")).expect("a text");
    let table: Vec<&str> = readme
        .lines()
        .skip_while(|line| !line.starts_with("| rule |"))
        .take_while(|line| line.starts_with('|'))
        .collect();
    for (number, (in_readme, in_suite)) in table.iter().zip(listed.lines()).enumerate() {
        assert_eq!(*in_readme, in_suite, "row {number} of the table");
    }
    assert_eq!(table.len(), listed.lines().count());
}

#[test]
fn a_difference_that_is_none_is_a_fault() {
    let output = suite(&["127.0.0.1:1", "--against=nobody"]);
    assert!(!output.status.success(), "{}", text(&output.stdout));
    let mut cluster = Cluster::start(&[]);
    cluster.add_agent(&["--resources=cpus:1;mem:128;disk:0;ports:[]"]);
    // On this path no Apache Mesos of one process answers, and Tepui does.
    let output = suite(&[cluster.address(), "--against=mesos-1.11", "--rule=REQ-18"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("REQ-18 in protobuf: holds, though"), "{said}");
    cluster.stop();
}
