//! `tepui execute` against a master and an agent that are processes, too: what the README shows of
//! it, and what it says of work that fails.

use std::path::Path;
use std::process::Command;

use tepui_integration::{Cluster, Daemon, Line, tepui, top};

fn cluster() -> Cluster {
    let mut cluster = Cluster::start(&["--allocation_interval=100ms"]);
    cluster.add_agent(&["--resources=cpus:2;mem:1024;disk:500;ports:[]"]);
    cluster
}

/// Runs a line of a shell in a folder; gives its exit status and what it said.
fn shell(line: &str, folder: &Path) -> (Option<i32>, String) {
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(folder);
    let (status, said) = Daemon::spawn(command).finish();
    let said: Vec<&str> = said.iter().map(Line::text).collect();
    (status.code(), said.join("\n"))
}

/// The parts of the README between such a fence and its end.
fn shown(fence: &str) -> Vec<String> {
    let readme = std::fs::read_to_string(top().join("README.md")).expect("the README");
    let fence = format!("```{fence}\n");
    let parts = readme.split(&fence).skip(1);
    parts
        .filter_map(|part| Some(part.split_once("```")?.0.to_owned()))
        .collect()
}

#[test]
fn what_the_readme_shows_of_it_works() {
    let cluster = cluster();
    let folder = tempfile::tempdir().expect("a folder");
    let pod = shown("json").remove(0);
    std::fs::write(folder.path().join("pod.json"), pod).expect("written");
    let lines: Vec<String> = shown("sh")
        .iter()
        .flat_map(|part| part.lines())
        .filter(|line| line.contains("tepui execute"))
        .map(|line| {
            line.replace("target/release/tepui", &tepui().display().to_string())
                .replace("127.0.0.1:5050", cluster.address())
        })
        .collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    let finished = |said: &str, task: &str| {
        said.contains(&format!(
            "Received status update TASK_FINISHED for task '{task}'"
        ))
    };
    let (status, said) = shell(&lines[0], folder.path());
    assert_eq!(
        (status, finished(&said, "greeting")),
        (Some(0), true),
        "{said}"
    );
    let (status, said) = shell(&lines[1], folder.path());
    let both = finished(&said, "writer") && finished(&said, "reader");
    assert_eq!((status, both), (Some(0), true), "{said}");
    cluster.stop();
}

#[test]
fn work_that_does_not_finish_is_its_failure() {
    let cluster = cluster();
    let folder = tempfile::tempdir().expect("a folder");
    let execute = format!(
        "{} execute --master={}",
        tepui().display(),
        cluster.address()
    );
    let run = |flags: &str| shell(&format!("{execute} {flags}"), folder.path());
    let (status, said) = run("--name=t --command='exit 3'");
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("TASK_FAILED for task 't'"), "{said}");
    let task = |id: &str, command: &str| {
        format!(
            r#"{{"name":"{id}","task_id":{{"value":"{id}"}},"command":{{"value":"{command}"}},
                "resources":[{{"name":"cpus","type":"SCALAR","scalar":{{"value":0.1}}}},
                             {{"name":"mem","type":"SCALAR","scalar":{{"value":32}}}}]}}"#
        )
    };
    let group = |first: &str| {
        let tasks = [task("a", first), task("b", "sleep 1000")];
        format!(r#"--task_group='{{"tasks":[{}]}}'"#, tasks.join(","))
    };
    let (status, said) = run(&group("exit 3"));
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("TASK_FAILED for task 'a'"), "{said}");
    assert!(said.contains("TASK_KILLED for task 'b'"), "{said}");
    let (status, said) = run(&format!("{} --kill_after=100ms", group("sleep 1000")));
    assert_eq!(status, Some(1), "{said}");
    for end in ["TASK_KILLED for task 'a'", "TASK_KILLED for task 'b'"] {
        assert!(said.contains(end), "{said}");
    }
    let (status, said) = run("--task_group='{\"tasks\":[]}'");
    assert_eq!(status, Some(1), "{said}");
    assert!(
        said.contains("task_group") && said.contains("it has no tasks"),
        "{said}"
    );
    cluster.stop();
}
