//! Checks and health checks of command tasks, with real daemons, commands, servers and
//! connections: what a framework is told, and that a task which is ill is killed for it.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tepui_integration::{Cluster, Subscription, command_task, free_port, python};

const HEALTH: &str = "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED";
const CHECK: &str = "REASON_TASK_CHECK_STATUS_UPDATED";

fn stage() -> (Cluster, Subscription) {
    let mut cluster = Cluster::start(&["--allocation_interval=100ms"]);
    cluster.add_agent(&["--resources=cpus:2;mem:1024;disk:0;ports:[]"]);
    let info = json!({"user": "root", "name": "physician"});
    let framework = Subscription::open(cluster.address(), &info);
    (cluster, framework)
}

fn end(cluster: Cluster, mut framework: Subscription) {
    framework.teardown();
    framework.wait_for_end();
    cluster.stop();
}

fn launch(framework: &mut Subscription, command: &str, checks: &Value) {
    let mut task = command_task("patient", command, 0.5, 256.0);
    for (name, value) in checks.as_object().expect("fields") {
        task[name] = value.clone();
    }
    let offer = framework.offer(|_| true);
    framework.launch(&offer, vec![task]);
}

/// A health check that comes at once and often. What fails before it first succeeds is passed over.
fn often(mut check: Value) -> Value {
    check["delay_seconds"] = json!(0);
    check["interval_seconds"] = json!(0.1);
    check["grace_period_seconds"] = json!(50);
    json!({"health_check": check})
}

/// What an update says, in a line.
fn line(status: &Value) -> String {
    let text = |name: &str| status[name].as_str().unwrap_or("-").to_owned();
    let healthy = status
        .get("healthy")
        .map_or("-".to_owned(), Value::to_string);
    format!("{} {} {healthy}", text("state"), text("reason"))
}

/// Every update until one says this, in lines.
fn told(framework: &mut Subscription, last: &str) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let event = framework.wait_for("UPDATE", |_| true);
        let status = &event["update"]["status"];
        framework.acknowledge(status);
        lines.push(line(status));
        let mut words = lines[lines.len() - 1][5..].split(' ');
        let is_over = !["STARTING", "RUNNING"].contains(&words.next().unwrap_or_default());
        if lines.last().is_some_and(|line| line == last) || is_over {
            assert_eq!(lines.last().map(String::as_str), Some(last), "{lines:#?}");
            return lines;
        }
    }
}

/// The only file of this name in a sandbox.
fn in_sandbox(cluster: &Cluster, name: &str) -> PathBuf {
    let mut found = Vec::new();
    find(&cluster.work_dir(0).join("slaves"), name, &mut found);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn find(folder: &Path, name: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        // A link leads to what is found anyhow.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            find(&entry.path(), name, found);
        } else if entry.file_name() == name {
            found.push(entry.path());
        }
    }
}

/// Of the task in the master's `/state`: its health, as its last status has it.
fn shown(cluster: &Cluster) -> Value {
    let url = format!("http://{}/state", cluster.address());
    let output = std::process::Command::new("curl")
        .args(["-sS", &url])
        .output()
        .expect("curl is installed");
    let state: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let task = &state["frameworks"][0]["tasks"][0];
    assert_eq!(task["health_check"]["interval_seconds"], 0.1, "{task:#}");
    let statuses = task["statuses"].as_array().expect("a list");
    statuses.last().expect("a status")["healthy"].clone()
}

/// Runs a task that is well as long as its sandbox has the file `alive`, and sees it killed.
fn sickens(command: &str, check: Value) {
    let (cluster, mut framework) = stage();
    launch(&mut framework, command, &often(check));
    let well = format!("TASK_RUNNING {HEALTH} true");
    let expected = ["TASK_STARTING - -", "TASK_RUNNING - -", &well];
    assert_eq!(told(&mut framework, &well), expected);
    assert_eq!(shown(&cluster), true);
    std::fs::remove_file(in_sandbox(&cluster, "alive")).expect("it is there");
    let ill = format!("TASK_RUNNING {HEALTH} false");
    let expected = [&ill, &ill, &ill, "TASK_KILLED - false"];
    assert_eq!(told(&mut framework, "TASK_KILLED - false"), expected);
    end(cluster, framework);
}

#[test]
fn a_task_whose_command_fails_is_killed() {
    let check = json!({"type": "COMMAND", "command": {
        // Its own variables come before the task's, which it has, too.
        "value": "test -e alive && test $OWN = check && test -n \"$MESOS_SANDBOX\"",
        "environment": {"variables": [{"name": "OWN", "value": "check"}]},
    }});
    sickens("touch alive; export OWN=task; exec sleep 1000", check);
}

#[test]
fn a_task_whose_server_has_an_error_is_killed() {
    let port = free_port();
    let server = format!(
        "exec {} -m http.server {port} --bind 127.0.0.1",
        python().display()
    );
    let check = json!({"type": "HTTP", "http": {"port": port, "path": "/alive"}});
    sickens(&format!("touch alive; {server}"), check);
}

#[test]
fn a_task_whose_port_is_closed_is_killed() {
    let port = free_port();
    let server = format!(
        "{} -m http.server {port} --bind 127.0.0.1",
        python().display()
    );
    let ends = "while [ -e alive ]; do sleep 0.05; done; kill $!; exec sleep 1000";
    let check = json!({"type": "TCP", "tcp": {"port": port}});
    sickens(&format!("touch alive; {server} & {ends}"), check);
}

#[test]
fn a_check_that_hangs_is_a_failure() {
    let (cluster, mut framework) = stage();
    let check = json!({
        "type": "COMMAND", "command": {"value": "sleep 1000; true"},
        "delay_seconds": 0, "timeout_seconds": 0.2, "grace_period_seconds": 0,
        "consecutive_failures": 1,
    });
    launch(
        &mut framework,
        "exec sleep 1000",
        &json!({"health_check": check}),
    );
    let ill = format!("TASK_RUNNING {HEALTH} false");
    let expected = [
        "TASK_STARTING - -",
        "TASK_RUNNING - -",
        &ill,
        "TASK_KILLED - false",
    ];
    assert_eq!(told(&mut framework, "TASK_KILLED - false"), expected);
    end(cluster, framework);
}

#[test]
fn a_check_tells_its_results_and_kills_nobody() {
    let (cluster, mut framework) = stage();
    let check = json!({
        "type": "COMMAND", "command": {"command": {"value": "exit $(cat code)"}},
        "delay_seconds": 0, "interval_seconds": 0.1,
    });
    launch(
        &mut framework,
        "echo 3 > code; exec sleep 1000",
        &json!({"check": check}),
    );
    // At first there is a check, and nothing known of it.
    let nothing = json!({"type": "COMMAND", "command": {}});
    let running = framework.state("patient", "TASK_RUNNING");
    assert_eq!(running["check_status"], nothing, "{running:#}");
    let result =
        |code: i32| move |status: &Value| status["check_status"]["command"]["exit_code"] == code;
    let status = framework.status("patient", result(3));
    assert_eq!(line(&status), format!("TASK_RUNNING {CHECK} -"));
    let code = in_sandbox(&cluster, "code");
    let next = code.with_file_name("next");
    std::fs::write(&next, "7\n").expect("written");
    std::fs::rename(&next, &code).expect("renamed");
    let status = framework.status("patient", result(7));
    assert_eq!(line(&status), format!("TASK_RUNNING {CHECK} -"));
    // What the check says kills nobody; that is the framework's to do.
    framework.kill("patient");
    let killed = framework.state("patient", "TASK_KILLED");
    assert_eq!(line(&killed), "TASK_KILLED - -");
    assert!(result(7)(&killed), "{killed:#}");
    end(cluster, framework);
}
