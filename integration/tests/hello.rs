//! The scheduler that the README shows, as its reader would start it: the example's own process
//! against a master and an agent that are processes too.

use std::path::PathBuf;
use std::process::Command;

use tepui_integration::{Cluster, tepui, top};

/// The example's binary, which `cargo test --workspace` builds.
fn example() -> PathBuf {
    let example = tepui().with_file_name("examples").join("hello");
    assert!(
        example.exists(),
        "{} is not built: run integration/test",
        example.display()
    );
    example
}

#[test]
fn the_example_runs_its_task_to_the_end() {
    let mut cluster = Cluster::start(&[]);
    cluster.add_agent(&["--resources=cpus:1;mem:512;disk:0;ports:[]"]);
    let output = Command::new(example())
        .arg(cluster.address())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    let states: Vec<&str> = said
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(
        states,
        ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"],
        "{said}"
    );
    cluster.stop();
}

#[test]
fn the_readme_shows_the_example_as_it_is() {
    let readme = std::fs::read_to_string(top().join("README.md")).unwrap();
    let (_, rest) = readme
        .split_once("```rust\n")
        .expect("the README shows Rust");
    let (shown, _) = rest.split_once("```").expect("the code ends");
    let path = top().join("actors/framework/examples/hello.rs");
    let example = std::fs::read_to_string(path).unwrap();
    assert!(shown.lines().count() > 10);
    assert!(
        example.contains(shown),
        "the README shows something else than the example"
    );
}
