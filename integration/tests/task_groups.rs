//! Groups of tasks with the default executor, each in a container of its own within their
//! executor's, with real daemons: what a framework is told of them, what they share, how they end.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tepui_integration::{
    Cluster, Subscription, command_task, folders, free_port, get, python, scalar, states,
};

const HEALTH: &str = "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED";
const PATIENCE: Duration = Duration::from_secs(30);

fn stage() -> (Cluster, Subscription) {
    let mut cluster = Cluster::start(&["--allocation_interval=100ms"]);
    cluster.add_agent(&["--resources=cpus:4;mem:4096;disk:1000;ports:[]"]);
    let capabilities = json!([{"type": "PARTITION_AWARE"}, {"type": "TASK_KILLING_STATE"}]);
    let info = json!({"user": "root", "name": "together", "capabilities": capabilities});
    let framework = Subscription::open(cluster.address(), &info);
    (cluster, framework)
}

fn end(cluster: Cluster, mut framework: Subscription) {
    framework.teardown();
    framework.wait_for_end();
    cluster.stop();
}

fn task(id: &str, command: &str) -> Value {
    command_task(id, command, 0.1, 32.0)
}

fn with(mut task: Value, field: &str, value: Value) -> Value {
    task[field] = value;
    task
}

fn nanoseconds(time: Duration) -> Value {
    json!({"nanoseconds": u64::try_from(time.as_nanos()).expect("a short time")})
}

/// Launches a group on the next offer, with the executor `pod`.
fn launch(framework: &mut Subscription, tasks: Vec<Value>) {
    let executor = framework.default_executor("pod", 0.1, 64.0);
    let enough = |offer: &Value, name, least| scalar(offer, name) >= least;
    let offer = framework.offer(|offer| {
        enough(offer, "cpus", 1.0) && enough(offer, "mem", 512.0) && enough(offer, "disk", 10.0)
    });
    framework.launch_group(&offer, &executor, tasks);
}

/// Waits for the word that the executor ended, and that its resources are back.
fn executor_ends(framework: &mut Subscription) -> Value {
    let failure = framework.failure("pod");
    framework.offer(|offer| scalar(offer, "cpus") == 4.0 && scalar(offer, "disk") == 1000.0);
    failure["status"].clone()
}

/// The only file of this name in a sandbox.
fn in_sandbox(cluster: &Cluster, name: &str) -> Option<PathBuf> {
    fn find(folder: &Path, name: &str) -> Option<PathBuf> {
        let file = folder.join(name);
        let found = file.exists().then_some(file);
        found.or_else(|| folders(folder).iter().find_map(|inner| find(inner, name)))
    }
    find(&cluster.work_dir(0).join("slaves"), name)
}

fn wait_for_file(cluster: &Cluster, name: &str) -> PathBuf {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(file) = in_sandbox(cluster, name) {
            return file;
        }
        assert!(Instant::now() < deadline, "there is no file {name}");
        std::thread::yield_now();
    }
}

#[test]
fn tasks_of_a_group_share_a_host_and_have_sandboxes_of_their_own() {
    let (cluster, mut framework) = stage();
    let port = free_port();
    // What is not as it should be is the exit's status.
    let server = format!(
        "echo hello > greeting; exec {} -m http.server {port} --bind 127.0.0.1",
        python().display()
    );
    let visitor = format!(
        "test $PWD = $MESOS_SANDBOX || exit 10
         test \"$MESOS_ALLOCATION_ROLE\" = '*' || exit 11
         test -n \"$MESOS_CONTAINER_IP\" || exit 12
         ours='PATH PWD OWN MESOS_SANDBOX MESOS_ALLOCATION_ROLE MESOS_CONTAINER_IP _ SHLVL'
         for name in $(env | cut -d= -f1); do
             case \" $ours \" in *\" $name \"*) ;; *) exit 13 ;; esac
         done
         test ! -e greeting || exit 14
         until grep -qs hello ../../tasks/server/greeting; do sleep 0.05; done
         until curl -sf http://127.0.0.1:{port}/greeting > fetched; do sleep 0.05; done
         test $(cat fetched) = hello || exit 16
         test $OWN = yes || exit 17
         test $(ls -d /proc/[0-9]* | wc -l) -lt 6 || exit 18"
    );
    let mut visitor = task("visitor", &visitor);
    let own = json!({"variables": [{"name": "OWN", "value": "yes"}]});
    visitor["command"]["environment"] = own;
    launch(&mut framework, vec![task("server", &server), visitor]);
    let told = framework.told_until(&["server", "visitor"], |state| {
        ["TASK_RUNNING", "TASK_FINISHED", "TASK_FAILED"].contains(&state)
    });
    let mut visits = told["visitor"].clone();
    if states(&visits).last() != Some(&"TASK_FINISHED") {
        let more = framework.told_until_over(&["visitor"]);
        visits.extend(more["visitor"].clone());
    }
    let expected = ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"];
    assert_eq!(states(&visits), expected, "{visits:#?}");
    let message = "Command exited with status 0";
    assert_eq!(visits[2]["message"], message);
    for status in &visits {
        assert_eq!(status["source"], "SOURCE_EXECUTOR", "{status:#}");
        assert_eq!(status["executor_id"]["value"], "pod");
        assert!(status.get("reason").is_none(), "{status:#}");
    }
    // Each has a container of its own, in that of their executor.
    let id = |status: &Value| status["container_status"]["container_id"].clone();
    let (visited, served) = (id(&visits[0]), id(&told["server"][0]));
    assert!(visited["value"].is_string(), "{visited}");
    assert_ne!(visited["value"], served["value"]);
    assert_eq!(visited["parent"], served["parent"]);
    assert_eq!(id(&visits[2]), visited);
    shown(&cluster, &served);

    framework.kill("server");
    let told = framework.told_until_over(&["server"]);
    let killed = told["server"].last().expect("an update");
    assert_eq!(killed["state"], "TASK_KILLED", "{killed:#}");
    assert_eq!(
        killed["message"],
        "Command terminated with signal Terminated"
    );
    assert_eq!(executor_ends(&mut framework), 0);
    end(cluster, framework);
}

/// What master and agent show while the task of this container runs.
fn shown(cluster: &Cluster, id: &Value) {
    let state = get(cluster.address(), "/state");
    let executor = &state["frameworks"][0]["executors"][0];
    assert_eq!(executor["type"], "DEFAULT", "{executor:#}");
    assert_eq!(executor["command"], json!({"argv": [], "uris": []}));
    let agent = cluster.agent_address(0);
    let state = get(&agent, "/state");
    let executor = &state["frameworks"][0]["executors"][0];
    assert_eq!(executor["type"], "DEFAULT", "{executor:#}");
    assert_eq!(executor["container"], id["parent"]["value"]);
    let ids = |path: &str| {
        let containers = get(&agent, path);
        let containers = containers.as_array().cloned().expect("a list");
        let ids = containers
            .iter()
            .map(|it| it["status"]["container_id"].clone());
        ids.collect::<Vec<Value>>()
    };
    assert_eq!(ids("/containers"), [id["parent"].clone()]);
}

#[test]
fn a_task_that_fails_ends_its_group_and_one_that_finishes_does_not() {
    let (cluster, mut framework) = stage();
    let long = "exec sleep 1000";
    launch(&mut framework, vec![task("a", "exit 0"), task("b", long)]);
    let told = framework.told_until_over(&["a"]);
    assert_eq!(states(&told["a"])[2], "TASK_FINISHED", "{told:#?}");
    // Another group of the same executor.
    launch(&mut framework, vec![task("c", "exit 3"), task("d", long)]);
    let told = framework.told_until_over(&["c", "d"]);
    let failed = told["c"].last().expect("an update");
    assert_eq!(failed["state"], "TASK_FAILED", "{failed:#}");
    assert_eq!(failed["message"], "Command exited with status 3");
    let expected = [
        "TASK_STARTING",
        "TASK_RUNNING",
        "TASK_KILLING",
        "TASK_KILLED",
    ];
    assert_eq!(states(&told["d"]), expected, "{told:#?}");
    assert!(!told.contains_key("b"), "{told:#?}");
    let parent = |status: &Value| status["container_status"]["container_id"]["parent"].clone();
    let dead = parent(&told["d"][3]);

    framework.kill("b");
    let told = framework.told_until_over(&["b"]);
    let killed = told["b"].last().expect("an update");
    assert_eq!(killed["state"], "TASK_KILLED", "{told:#?}");
    assert_eq!(parent(killed), dead, "it is one executor");
    assert_eq!(executor_ends(&mut framework), 0);
    end(cluster, framework);
}

#[test]
fn a_kill_waits_its_grace_and_a_second_one_is_not_heard() {
    const GRACE: Duration = Duration::from_secs(2);
    let (cluster, mut framework) = stage();
    let deaf = "trap '' TERM; echo > deaf; while :; do sleep 1000; done";
    let polite = "trap 'exit 0' TERM; echo > polite; while :; do sleep 0.05; done";
    let policy = |grace: Duration| json!({"grace_period": nanoseconds(grace)});
    // What the kill says comes before what the task says.
    let stubborn = with(task("deaf", deaf), "kill_policy", policy(Duration::ZERO));
    launch(&mut framework, vec![stubborn, task("polite", polite)]);
    framework.told_until_running(&["deaf", "polite"]);
    wait_for_file(&cluster, "deaf");
    wait_for_file(&cluster, "polite");
    let kill = |grace: Duration| {
        let kill = json!({"task_id": {"value": "deaf"}, "kill_policy": policy(grace)});
        json!({"type": "KILL", "kill": kill})
    };
    let asked = Instant::now();
    assert_eq!(framework.call(kill(GRACE)), 202);
    framework.told_until(&["deaf"], |state| state == "TASK_KILLING");
    assert_eq!(framework.call(kill(Duration::ZERO)), 202);
    let told = framework.told_until_over(&["deaf", "polite"]);
    let took = asked.elapsed();
    assert!(took >= GRACE, "killed after {took:?}");
    assert_eq!(states(&told["deaf"]), ["TASK_KILLED"], "{told:#?}");
    assert_eq!(
        told["deaf"][0]["message"],
        "Command terminated with signal Killed"
    );
    // The rest of the group follows; who is killed is TASK_KILLED, however it ends.
    assert_eq!(states(&told["polite"]), ["TASK_KILLING", "TASK_KILLED"]);
    assert_eq!(told["polite"][1]["message"], "Command exited with status 0");
    assert_eq!(executor_ends(&mut framework), 0);
    end(cluster, framework);
}

/// A health check that comes at once and often. What fails before it first succeeds is passed over.
fn often(mut check: Value) -> Value {
    check["delay_seconds"] = json!(0);
    check["interval_seconds"] = json!(0.1);
    check["grace_period_seconds"] = json!(50);
    check
}

fn is_healthy(status: &Value) -> bool {
    status["reason"] == HEALTH && status["healthy"] == true
}

#[test]
fn a_task_that_is_ill_is_killed_and_its_group_with_it() {
    let (cluster, mut framework) = stage();
    let port = free_port();
    let server = format!(
        "touch served; exec {} -m http.server {port} --bind 127.0.0.1",
        python().display()
    );
    // It runs in the task's sandbox, with its environment, among its processes.
    let command = json!({
        "value": "test -e alive && test $OWN = task && grep -qa 'sleep.123456[7]' /proc/*/cmdline",
    });
    let by_command = often(json!({"type": "COMMAND", "command": command}));
    let http = json!({"port": port, "path": "/served"});
    let by_http = often(json!({"type": "HTTP", "http": http}));
    let mut patient = task("patient", "touch alive; sleep 1234567 & wait");
    patient["command"]["environment"] = json!({"variables": [{"name": "OWN", "value": "task"}]});
    let patient = with(patient, "health_check", by_command);
    let server = with(task("server", &server), "health_check", by_http);
    launch(&mut framework, vec![patient, server]);
    let mut left = vec!["patient", "server"];
    while !left.is_empty() {
        let status = framework.wait_for("UPDATE", |_| true)["update"]["status"].clone();
        framework.acknowledge(&status);
        left.retain(|task| status["task_id"]["value"] != *task || !is_healthy(&status));
        assert_ne!(status["healthy"], false, "{status:#}");
    }
    let alive = in_sandbox(&cluster, "alive").expect("it is there");
    std::fs::remove_file(alive).expect("it is there");
    let told = framework.told_until_over(&["patient", "server"]);
    let ill = told["patient"].iter().filter(|it| it["reason"] == HEALTH);
    assert_eq!(ill.count(), 3, "{told:#?}");
    let killed = told["patient"].last().expect("an update");
    assert_eq!(killed["state"], "TASK_KILLED", "{killed:#}");
    assert_eq!(killed["healthy"], false, "{killed:#}");
    assert_eq!(states(&told["server"]), ["TASK_KILLING", "TASK_KILLED"]);
    assert_eq!(executor_ends(&mut framework), 0);
    end(cluster, framework);
}

#[test]
fn a_check_tells_its_results_and_kills_nobody() {
    let (cluster, mut framework) = stage();
    let command = json!({"command": {"value": "exit $(cat code)"}});
    let check = json!({
        "type": "COMMAND", "command": command, "delay_seconds": 0, "interval_seconds": 0.1,
    });
    let checked = with(
        task("checked", "echo 3 > code; exec sleep 1000"),
        "check",
        check,
    );
    let port = free_port();
    let tcp = json!({
        "type": "TCP", "tcp": {"port": port}, "delay_seconds": 0, "interval_seconds": 0.1,
    });
    let closed = with(task("closed", "exec sleep 1000"), "check", tcp);
    launch(&mut framework, vec![checked, closed]);
    let first = framework.status("checked", |_| true);
    let nothing = json!({"type": "COMMAND", "command": {}});
    assert_eq!(first["check_status"], nothing, "{first:#}");
    let result =
        |code: i32| move |status: &Value| status["check_status"]["command"]["exit_code"] == code;
    let status = framework.status("checked", result(3));
    assert_eq!(status["reason"], "REASON_TASK_CHECK_STATUS_UPDATED");
    let code = in_sandbox(&cluster, "code").expect("it is there");
    let next = code.with_file_name("next");
    std::fs::write(&next, "7\n").expect("written");
    std::fs::rename(&next, &code).expect("renamed");
    framework.status("checked", result(7));
    framework.kill("checked");
    let told = framework.told_until_over(&["checked", "closed"]);
    assert_eq!(states(&told["closed"]).last(), Some(&"TASK_KILLED"));
    assert_eq!(executor_ends(&mut framework), 0);
    end(cluster, framework);
}

#[test]
fn a_task_that_takes_too_long_fails_and_its_group_is_killed() {
    const MOST: Duration = Duration::from_millis(500);
    let (cluster, mut framework) = stage();
    let deaf = "trap '' TERM; while :; do sleep 1000; done";
    let long = with(task("long", deaf), "max_completion_time", nanoseconds(MOST));
    launch(&mut framework, vec![long, task("mate", "exec sleep 1000")]);
    let told = framework.told_until_over(&["long", "mate"]);
    let failed = told["long"].last().expect("an update");
    let expected = ["TASK_STARTING", "TASK_RUNNING", "TASK_FAILED"];
    assert_eq!(states(&told["long"]), expected, "{told:#?}");
    assert_eq!(failed["reason"], "REASON_MAX_COMPLETION_TIME_REACHED");
    assert_eq!(failed["message"], "Command terminated with signal Killed");
    assert_eq!(states(&told["mate"])[2..], ["TASK_KILLING", "TASK_KILLED"]);
    assert_eq!(executor_ends(&mut framework), 0);
    end(cluster, framework);
}

#[test]
fn a_container_that_cannot_be_launched_fails_its_task_and_ends_its_group_only() {
    let (cluster, mut framework) = stage();
    launch(&mut framework, vec![task("other", "exec sleep 1000")]);
    framework.told_until_running(&["other"]);
    let mut bad = task("bad", "exit 0");
    bad["command"]["uris"] = json!([{"value": "/no/such/file"}]);
    launch(&mut framework, vec![bad, task("mate", "exec sleep 1000")]);
    let told = framework.told_until_over(&["bad", "mate"]);
    assert_eq!(
        states(&told["bad"]),
        ["TASK_STARTING", "TASK_FAILED"],
        "{told:#?}"
    );
    let message = told["bad"][1]["message"].as_str().unwrap_or_default();
    assert!(message.contains("/no/such/file"), "{message}");
    assert_eq!(
        states(&told["mate"]).last(),
        Some(&"TASK_KILLED"),
        "{told:#?}"
    );
    assert!(!told.contains_key("other"), "{told:#?}");
    // The executor goes on, and takes another group.
    launch(&mut framework, vec![task("later", "exit 0")]);
    let told = framework.told_until_over(&["later"]);
    assert_eq!(
        states(&told["later"]).last(),
        Some(&"TASK_FINISHED"),
        "{told:#?}"
    );
    framework.kill("other");
    framework.told_until_over(&["other"]);
    assert_eq!(executor_ends(&mut framework), 0);
    end(cluster, framework);
}

#[test]
fn a_group_killed_in_its_launch_is_killed_whole() {
    let (cluster, mut framework) = stage();
    let tasks = ["a", "b"].map(|id| task(id, "exec sleep 1000"));
    launch(&mut framework, tasks.into());
    framework.kill("a");
    let told = framework.told_until_over(&["a", "b"]);
    for task in ["a", "b"] {
        let status = told[task].last().expect("an update");
        assert_eq!(status["state"], "TASK_KILLED", "{told:#?}");
    }
    framework.offer(|offer| scalar(offer, "cpus") == 4.0);
    end(cluster, framework);
}

#[test]
fn a_task_has_what_its_command_and_container_ask_for() {
    let (cluster, mut framework) = stage();
    let given = cluster.work_dir(0).join("given");
    std::fs::write(&given, "hello\n").expect("written");
    let mut owned = task(
        "owned",
        "test $(id -un) = nobody || exit 10
         test $(cat given) = hello || exit 11
         touch own && test -O own || exit 12
         ! grep -qsa 765432[1] /proc/[0-9]*/cmdline || exit 13",
    );
    owned["command"]["user"] = json!("nobody");
    owned["command"]["uris"] = json!([{"value": given.display().to_string()}]);
    // Among the processes of its executor, where those of the others are seen.
    let mut nosy = task(
        "nosy",
        "until grep -qsa 765432[1] /proc/[0-9]*/cmdline; do sleep 0.05; done
         test $(ulimit -n) = 77 || exit 10",
    );
    let rlimits = json!([{"type": "RLMT_NOFILE", "soft": 77, "hard": 77}]);
    nosy["container"] = json!({
        "type": "MESOS",
        "linux_info": {"share_pid_namespace": true},
        "rlimit_info": {"rlimits": rlimits},
    });
    let seen = task("seen", "sleep 7654321; true");
    launch(&mut framework, vec![owned, nosy, seen]);
    let told = framework.told_until_over(&["owned", "nosy"]);
    for task in ["owned", "nosy"] {
        let status = told[task].last().expect("an update");
        assert_eq!(status["state"], "TASK_FINISHED", "{status:#}");
    }
    framework.kill("seen");
    framework.told_until_over(&["seen"]);
    assert_eq!(executor_ends(&mut framework), 0);
    end(cluster, framework);
}
