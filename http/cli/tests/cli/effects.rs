//! What flags of master and agent do, as it is seen from outside.

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    daemons::{Framework, RESOURCES, agent_command, master, read, start_agent},
    support::{Running, finish, request, tepui, wait_until},
};

fn get(address: &str, path: &str) -> Value {
    let ask = || request(address, "GET", path, "", "");
    let mut reply = ask();
    // So a daemon answers until it has recovered.
    while reply.status == 503 {
        reply = ask();
    }
    assert_eq!(reply.status, 200, "{path}");
    serde_json::from_str(&reply.body()).unwrap()
}

fn end(daemon: Running) {
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.end().0.code(), Some(0));
}

/// Ends an agent once none of its containers is left: they would go on without it.
pub(crate) fn end_agent(agent: Running, place: &str) {
    wait_until("the end of all containers", || {
        get(place, "/containers") == json!([])
    });
    end(agent);
}

#[test]
fn flags_and_state_say_how_the_daemon_was_started() {
    let folder = TempDir::new().unwrap();
    let (_master, address) = master(&["--cluster=here", "--offer_timeout=3600secs"]);
    let flags = &get(&address, "/flags")["flags"];
    assert_eq!(
        (&flags["cluster"], &flags["offer_timeout"]),
        (&json!("here"), &json!("1hrs"))
    );
    assert_eq!(
        (&flags["quiet"], &flags["acls"]),
        (&json!("false"), &Value::Null)
    );
    let state = get(&address, "/master/state");
    assert_eq!(
        (&state["cluster"], &state["flags"]),
        (&json!("here"), flags)
    );
    let mut command = agent_command(&address, "0", &folder, "said");
    command.args([
        "--attributes=rack:7;os:x",
        "--default_role=web",
        "--hostname=h.example",
    ]);
    command.arg("--resources=cpus:3;mem(db):64;disk:0;ports:[]");
    let (agent, place) = start_agent(command);
    let state = get(&place, "/state");
    assert_eq!(state["hostname"], "h.example");
    assert_eq!(state["attributes"], json!({"rack": 7.0, "os": "x"}));
    assert_eq!(state["reserved_resources"]["web"]["cpus"], 3.0);
    assert_eq!(state["reserved_resources"]["db"]["mem"], 64.0);
    let flags = &get(&place, "/slave(1)/flags")["flags"];
    assert_eq!(flags, &state["flags"]);
    assert_eq!(flags["gc_delay"], "1weeks");
    assert!(
        !flags["launcher"].is_null() && !flags["isolation"].is_null(),
        "{flags}"
    );
    end(agent);
}

#[test]
fn a_disabled_endpoint_is_forbidden() {
    let rules = r#"--firewall_rules={"disabled_endpoints":{"paths":["/master/state"]}}"#;
    let (_master, address) = master(&[rules]);
    for path in ["/master/state", "/state"] {
        let reply = request(&address, "GET", path, "", "");
        assert_eq!(reply.status, 403, "{path}");
        assert!(
            reply
                .body()
                .contains("Endpoint '/master/state' is disabled"),
            "{path}"
        );
    }
    assert_eq!(
        request(&address, "GET", "/master/flags", "", "").status,
        200
    );
}

#[test]
fn the_log_shown_is_the_one_that_is_written() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().to_string_lossy().into_owned();
    let log = |address: &str| {
        // Whoever reaches the master reaches its files.
        let reply = request(address, "GET", "/files/download?path=/master/log", "", "");
        assert_eq!(reply.status, 200);
        reply.body()
    };
    let (running, address) = master(&[&format!("--log_dir={path}")]);
    wait_until("the log", || log(&address).contains("starting the master"));
    end(running);
    let written = folder.path().join("tepui-master.INFO");
    let (_running, address) = master(&[&format!("--external_log_file={}", written.display())]);
    assert_eq!(log(&address), read(&written));
}

#[test]
fn what_is_kept_and_counted_is_as_the_flags_say() {
    let folder = TempDir::new().unwrap();
    let (_master, address) = master(&[
        "--max_completed_tasks_per_framework=1",
        "--no-publish_per_framework_metrics",
    ]);
    let mut command = agent_command(&address, "0", &folder, "kept");
    command.args([RESOURCES, "--max_completed_executors_per_framework=1"]);
    let (agent, place) = start_agent(command);
    let mut framework = Framework::subscribe(&address);
    let agent_id = framework.launch("long", "sleep 8788");
    framework.until("TASK_RUNNING");
    let completed = || get(&address, "/frameworks")["frameworks"][0]["completed_tasks"].take();
    let executors = || get(&place, "/state")["frameworks"][0]["completed_executors"].take();
    for task in ["first", "second"] {
        framework.launch(task, "true");
        framework.until("TASK_FINISHED");
        // The acknowledgement is on its way still, and the container ends behind it.
        wait_until("the task", || completed()[0]["id"] == task);
        wait_until("the executor", || executors()[0]["id"] == task);
    }
    assert_eq!(completed().as_array().unwrap().len(), 1);
    assert_eq!(executors().as_array().unwrap().len(), 1);
    let metrics = get(&address, "/metrics/snapshot");
    let own = |key: &&String| key.starts_with("master/frameworks/");
    assert_eq!(metrics.as_object().unwrap().keys().find(own), None);
    let kill = json!({"task_id": {"value": "long"}, "agent_id": agent_id});
    framework.call(json!({"type": "KILL", "kill": kill}));
    framework.until("TASK_KILLED");
    end_agent(agent, &place);
}

#[test]
fn executors_begin_with_the_environment_of_the_flag() {
    let folder = TempDir::new().unwrap();
    let (_master, address) = master(&[]);
    let mut command = agent_command(&address, "0", &folder, "environment");
    command.args([
        RESOURCES,
        r#"--executor_environment_variables={"A":"b","PATH":"/bin"}"#,
    ]);
    command.env("OWN", "of the agent");
    let (agent, place) = start_agent(command);
    let (status, stdout, stderr) = finish(tepui(&[
        "execute",
        &format!("--master={address}"),
        "--name=environment",
        r#"--command=test "$A$OWN" = b"#,
        "--resources=cpus:0.5;mem:32",
    ]));
    assert_eq!(status, 0, "{stdout}{stderr}");
    end_agent(agent, &place);
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a server from outside, not a part of the system"
)]
fn a_download_from_which_nothing_comes_is_given_up() {
    let folder = TempDir::new().unwrap();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (_master, address) = master(&[]);
    let mut command = agent_command(&address, "0", &folder, "stall");
    command.args([RESOURCES, "--fetcher_stall_timeout=100ms"]);
    let (agent, place) = start_agent(command);
    let uri = format!("http://{}/x", silent.local_addr().unwrap());
    let task = json!({
        "name": "x", "task_id": {"value": "x"}, "command": {"value": "true", "uris": [{"value": uri}]},
        "resources": [{"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.1}},
            {"name": "mem", "type": "SCALAR", "scalar": {"value": 32}}],
    });
    let (status, stdout, stderr) = finish(tepui(&[
        "execute",
        &format!("--master={address}"),
        &format!("--task={task}"),
    ]));
    assert_eq!(status, 1, "{stdout}{stderr}");
    assert!(stdout.contains("TASK_FAILED"), "{stdout}");
    assert!(
        stdout.contains("nothing was transferred for 0.1 seconds"),
        "{stdout}"
    );
    end_agent(agent, &place);
}

#[test]
fn processes_and_threads_are_counted_when_asked_for() {
    let (_master, address) = master(&[]);
    for counted in [true, false] {
        let folder = TempDir::new().unwrap();
        let mut command = agent_command(&address, "0", &folder, "counted");
        let flag = format!("--cgroups_cpu_enable_pids_and_tids_count={counted}");
        command.args([RESOURCES, &flag]);
        let (agent, place) = start_agent(command);
        let mut framework = Framework::subscribe(&address);
        let agent_id = framework.launch("long", "sleep 8790");
        framework.until("TASK_RUNNING");
        let statistics = || get(&place, "/monitor/statistics")[0]["statistics"].take();
        wait_until("memory in use", || {
            statistics()["mem_rss_bytes"].as_u64() > Some(0)
        });
        let statistics = statistics();
        assert_eq!(
            statistics["processes"].as_u64() > Some(0),
            counted,
            "{statistics}"
        );
        assert_eq!(
            statistics["threads"].as_u64() > Some(0),
            counted,
            "{statistics}"
        );
        let kill = json!({"task_id": {"value": "long"}, "agent_id": agent_id});
        framework.call(json!({"type": "KILL", "kill": kill}));
        framework.until("TASK_KILLED");
        end_agent(agent, &place);
    }
}

#[test]
fn the_log_says_more_while_it_is_told_to() {
    let (mut master, address) = master(&[]);
    let ask = |query: &str| {
        let reply = request(&address, "GET", &format!("/logging/toggle{query}"), "", "");
        (reply.status, reply.body())
    };
    let ok = |text: &str| (200, text.to_owned());
    let bad = |text: &str| (400, text.to_owned());
    assert_eq!(ask(""), ok("0\n"));
    for (query, text) in [
        ("?level=1", "Expecting 'duration=value' in query.\n"),
        ("?duration=1secs", "Expecting 'level=value' in query.\n"),
        (
            "?level=x&duration=1secs",
            "Failed to convert 'x' to number.\n",
        ),
        ("?level=-1&duration=1secs", "Invalid level '-1'.\n"),
        ("?level=1&duration=1", "Invalid duration '1'.\n"),
    ] {
        assert_eq!(ask(query), bad(text), "{query}");
    }
    let garbage = || {
        // What is no HTTP is told of at this level only.
        let reply = request(&address, "GET", "/nosuch", "Bad header\r\n", "");
        assert_eq!(reply.status, 400);
    };
    garbage();
    assert_eq!(ask("?level=1&duration=1hrs"), ok(""));
    wait_until("more to be said", || ask("") == ok("1\n"));
    garbage();
    let said = master.until("DEBUG");
    let before = master.said.join("\n");
    assert_eq!(before.matches("DEBUG").count(), 1, "{before}");
    assert!(said.contains("HTTP connection ended"), "{said}");
    // It is taken back when its time is over.
    assert_eq!(ask("?level=2&duration=1ms"), ok(""));
    wait_until("less to be said", || ask("") == ok("0\n"));
    end(master);
}
