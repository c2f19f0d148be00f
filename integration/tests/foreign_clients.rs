//! Clients that someone else wrote, or that are written with someone else's tools: curl for JSON,
//! Python's protobuf with what protoc makes of the schema, a libprocess peer in MessagePack,
//! pymesos, avmesos, mentos. What they check of the answers is in `integration/python/`.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tepui_integration::raw::Request;
use tepui_integration::{
    Cluster, Daemon, Subscription, command_task, python, run_script, scalar, top,
};

const PATIENCE: Duration = Duration::from_secs(120);

/// Runs one of the programs in `integration/python/` to its end, and gives what it printed.
fn run(script: &str, arguments: &[&str]) -> String {
    let path = top().join("integration/python").join(script);
    let output = run_script(&path, arguments, PATIENCE);
    assert!(
        output.status.success(),
        "{script}: {}\n{}",
        output.status,
        said(&output)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr]
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .join("\n")
}

/// A master with one agent of 2 cpus and 1 GB.
fn cluster() -> Cluster {
    let mut cluster = Cluster::start(&[]);
    cluster.add_agent(&["--resources=cpus:2;mem:1024;disk:0;ports:[]"]);
    cluster
}

#[test]
fn a_protobuf_client_goes_through_a_session() {
    let cluster = cluster();
    let schema = top().join("actors/protocol/proto");
    let schema = schema.to_str().expect("a text");
    let said = run("protobuf_session.py", &[schema, cluster.address()]);
    assert_eq!(said.lines().last(), Some("torn down"), "{said}");
    cluster.stop();
}

#[test]
fn a_libprocess_peer_in_messagepack_is_answered_at_its_own_address() {
    let cluster = cluster();
    let said = run("messagepack_peer.py", &[cluster.address()]);
    assert_eq!(said.lines().last(), Some("torn down"), "{said}");
    cluster.stop();
}

/// A framework that knows how its tasks stand when they are out of reach, and may come back.
fn info(name: &str) -> Value {
    json!({
        "user": "root",
        "name": name,
        "failover_timeout": 600,
        "roles": ["*"],
        "capabilities": [{"type": "MULTI_ROLE"}, {"type": "PARTITION_AWARE"}],
    })
}

/// Asks how tasks are (all, without any) and gives so many answers, by task.
fn reconcile(framework: &mut Subscription, tasks: &[&str], answers: usize) -> Vec<String> {
    let tasks: Vec<Value> = tasks
        .iter()
        .map(|task| json!({"task_id": {"value": task}}))
        .collect();
    let call = json!({"type": "RECONCILE", "reconcile": {"tasks": tasks}});
    assert_eq!(framework.call(call), 202);
    let mut found = Vec::new();
    while found.len() < answers {
        let event = framework.wait_for("UPDATE", |_| true);
        let status = &event["update"]["status"];
        assert_eq!(status.get("uuid"), None, "{status:#}");
        assert_eq!(status["source"], "SOURCE_MASTER", "{status:#}");
        assert_eq!(status["reason"], "REASON_RECONCILIATION", "{status:#}");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (task, state) = (text(&status["task_id"]["value"]), text(&status["state"]));
        found.push(format!("{task} {state}"));
    }
    found.sort();
    found
}

/// Waits until the master has seen that its only framework is away.
fn wait_for_disconnection(cluster: &Cluster) {
    let start = Instant::now();
    loop {
        let answer = Request::new("GET", "/frameworks").send(cluster.address());
        let body: Value = serde_json::from_str(&answer.body).expect("JSON");
        if body["frameworks"][0]["connected"] == false {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "it is connected: {body:#}");
    }
}

#[test]
fn curl_goes_through_a_session_in_json() {
    let cluster = cluster();
    let mut first = Subscription::open(cluster.address(), &info("by curl"));
    let offer = first.offer(|_| true);
    assert_eq!(offer["framework_id"]["value"], first.framework_id());
    assert_eq!(
        (scalar(&offer, "cpus"), scalar(&offer, "mem")),
        (2.0, 1024.0)
    );
    let tasks = ["one", "two"].map(|name| command_task(name, "exec sleep 1000", 0.1, 32.0));
    first.launch(&offer, tasks.into());
    let mut waiting = vec!["one", "two"];
    while !waiting.is_empty() {
        let event = first.wait_for("UPDATE", |_| true);
        let status = &event["update"]["status"];
        first.acknowledge(status);
        if status["state"] == "TASK_RUNNING" {
            waiting.retain(|name| status["task_id"]["value"] != *name);
        }
    }
    first.kill("one");
    let killed = first.state("one", "TASK_KILLED");
    assert_eq!(killed["source"], "SOURCE_EXECUTOR", "{killed:#}");
    assert_eq!(
        reconcile(&mut first, &["two", "nobody"], 2),
        ["nobody TASK_UNKNOWN", "two TASK_RUNNING"]
    );
    assert_eq!(reconcile(&mut first, &[], 1), ["two TASK_RUNNING"]);

    // The stream breaks; the framework comes back with its id and finds its task.
    let mut again = info("by curl");
    again["id"] = json!({"value": first.framework_id()});
    drop(first);
    wait_for_disconnection(&cluster);
    let mut second = Subscription::open(cluster.address(), &again);
    assert_eq!(second.framework_id(), again["id"]["value"]);
    assert_eq!(reconcile(&mut second, &[], 1), ["two TASK_RUNNING"]);

    // Another instance takes over while the stream is open: that one is told, and closed.
    let mut third = Subscription::open(cluster.address(), &again);
    assert_ne!(third.stream_id(), second.stream_id());
    let last = second.wait_for_end().pop().expect("an event");
    assert_eq!(last["type"], "ERROR", "{last:#}");
    assert_eq!(last["error"]["message"], "Framework failed over");
    assert_eq!(second.call(json!({"type": "REVIVE"})), 400);
    assert_eq!(reconcile(&mut third, &[], 1), ["two TASK_RUNNING"]);
    third.kill("two");
    third.state("two", "TASK_KILLED");
    third.teardown();
    third.wait_for_end();
    assert_eq!(third.call(json!({"type": "REVIVE"})), 400);
    cluster.stop();
}

#[test]
fn pymesos_runs_tasks_though_it_is_a_bad_correspondent() {
    let mut cluster = Cluster::start(&[]);
    for _ in 0..3 {
        cluster.add_agent(&["--resources=cpus:2;mem:1024;disk:0;ports:[]"]);
    }
    let said = run(
        "pymesos_scheduler.py",
        &[cluster.address(), "3", "50", "15"],
    );
    let last = said.lines().last().unwrap_or_default();
    let seen: Value = serde_json::from_str(last).unwrap_or_else(|_| panic!("{said}"));
    let count = |name: &str| seen[name].as_u64().unwrap_or_default();
    assert_eq!(count("breaks") + count("failovers"), 10, "{seen}");
    assert_eq!(count("reregistered"), 10, "{seen}");
    // Three of each of the 35 tasks with a command, two of the others.
    assert_eq!(count("updates"), 35 * 3 + 15 * 2, "{seen}");
    assert_eq!(count("withheld"), count("updates") / 5, "{seen}");
    assert!(count("retries") >= count("withheld"), "{seen}");
    assert_eq!(count("executors_lost"), 3, "{seen}");
    cluster.stop();
}

/// A cluster with one agent, where what is free is offered soon.
fn quick_cluster() -> Cluster {
    let mut cluster = Cluster::start(&["--allocation_interval=200ms"]);
    cluster.add_agent(&[
        "--resources=cpus:2;mem:1024;disk:0;ports:[]",
        "--executor_shutdown_grace_period=1secs",
    ]);
    cluster
}

/// What a task of a custom executor has written to its standard error, wherever its sandbox is.
fn stderr_of_executors(cluster: &Cluster) -> String {
    let files = walkdir::WalkDir::new(cluster.work_dir(0)).into_iter();
    files
        .flatten()
        .filter(|entry| entry.file_name() == "stderr")
        .filter_map(|entry| std::fs::read_to_string(entry.path()).ok())
        .collect()
}

#[test]
fn pymesos_goes_through_a_session_of_two_roles() {
    let cluster = quick_cluster();
    let said = run("pymesos_session.py", &[cluster.address()]);
    let last = said.lines().last().unwrap_or_default();
    assert!(last.starts_with("torn down"), "{said}");
    cluster.stop();
}

#[test]
fn pymesos_runs_groups_with_the_default_executor() {
    let mut cluster = Cluster::start(&["--allocation_interval=100ms"]);
    cluster.add_agent(&["--resources=cpus:1;mem:512;disk:100;ports:[]"]);
    let said = run("pymesos_groups.py", &[cluster.address()]);
    assert_eq!(said.lines().last(), Some("a group failed"), "{said}");
    cluster.stop();
}

#[test]
fn mentos_runs_its_example_and_makes_its_calls() {
    let cluster = quick_cluster();
    let said = run("mentos_scheduler.py", &[cluster.address()]);
    assert_eq!(said.lines().last(), Some("torn down"), "{said}");
    let stderr = stderr_of_executors(&cluster);
    assert!(stderr.contains("Hello from mentos!"), "{stderr}");
    cluster.stop();
}

#[test]
fn avmesos_makes_all_its_calls() {
    let cluster = quick_cluster();
    let said = run("avmesos_scheduler.py", &[cluster.address()]);
    let last = said.lines().last().unwrap_or_default();
    assert!(last.starts_with("torn down"), "{said}");
    cluster.stop();
}

#[test]
fn the_sample_of_avmesos_runs_unchanged_until_its_image_is_refused_by_name() {
    let cluster = quick_cluster();
    let mut command = Command::new(python());
    command
        .arg(top().join("integration/python/avmesos_sample.py"))
        .arg(cluster.address());
    let mut sample = Daemon::spawn(command);
    let refused = "'message': 'Task uses fields that are not supported: container.mesos.image'";
    // It handles an event when the next one comes, at the latest with a heartbeat.
    sample.wait_for("the task's end", |line| line.contains(refused));
    sample.signal(nix::sys::signal::Signal::SIGINT);
    let (status, lines) = sample.finish();
    assert!(status.success(), "{status}: {lines:#?}");
    cluster.stop();
}
