//! The scheduler that the README shows, as its reader would start it: the example's own process
//! against a master and an agent that are processes too.

use std::process::Command;

use tepui_integration::{Cluster, Daemon, Line, example, top};

#[test]
fn the_example_runs_its_task_to_the_end() {
    let mut cluster = Cluster::start(&[]);
    cluster.add_agent(&["--resources=cpus:1;mem:512;disk:0;ports:[]"]);
    let mut hello = Command::new(example("hello"));
    hello.arg(cluster.address());
    let (status, said) = Daemon::spawn(hello).finish();
    assert!(status.success(), "{said:#?}");
    let printed = said.iter().filter_map(|line| match line {
        Line::Out(text) => text.split(' ').next(),
        Line::Err(_) => None,
    });
    let states: Vec<&str> = printed.collect();
    assert_eq!(
        states,
        ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"],
        "{said:#?}"
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
