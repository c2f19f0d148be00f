//! `tepui master`, `tepui agent` and `tepui local` as operators start them.

use std::{collections::VecDeque, process::Command};

use crate::support::{Reply, Running, finish, request, runs, tepui, wait_until};
use nix::sys::signal::Signal;
use serde_json::json;
use tempfile::TempDir;

const JSON: &str = "Content-Type: application/json\r\n";
const SCHEDULER: &str = "/api/v1/scheduler";

/// A master on a free port, and where it is reached.
pub(crate) fn master(arguments: &[&str]) -> (Running, String) {
    let mut command = tepui(&["master", "--port=0"]);
    command.args(arguments);
    let mut running = Running::start(command);
    let address = address(&running.until("the master is up"));
    (running, address)
}

/// The command of an agent on a port (0 for any that is free); its folders are in `folder`.
pub(crate) fn agent_command(master: &str, port: &str, folder: &TempDir, cgroup: &str) -> Command {
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    tepui(&[
        "agent",
        &format!("--port={port}"),
        &format!("--master={master}"),
        &format!("--work_dir={}", path("work")),
        &format!("--runtime_dir={}", path("run")),
        &format!("--cgroups_root={cgroup}-{}", std::process::id()),
        "--registration_backoff_factor=10ms",
        // An executor tries again within this time; what it needs then must not be the rest of it.
        "--executor_reregistration_timeout=5secs",
    ])
}

/// What most agents here offer.
pub(crate) const RESOURCES: &str = "--resources=cpus:4;mem:512;disk:100;ports:[31000-31009]";

/// Starts an agent; and where it is reached.
pub(crate) fn start_agent(command: Command) -> (Running, String) {
    let mut running = Running::start(command);
    let address = address(&running.until("the agent is up"));
    (running, address)
}

/// An agent with 4 cpus.
pub(crate) fn agent(master: &str, port: &str, folder: &TempDir, cgroup: &str) -> (Running, String) {
    let mut command = agent_command(master, port, folder, cgroup);
    command.arg(RESOURCES);
    start_agent(command)
}

/// The address in a log line's `pid=id@address`.
fn address(line: &str) -> String {
    let at = line.rsplit_once("pid=").unwrap().1;
    at.split_whitespace()
        .next()
        .unwrap()
        .split_once('@')
        .unwrap()
        .1
        .to_owned()
}

/// A framework on HTTP.
pub(crate) struct Framework {
    master: String,
    events: Reply,
    id: String,
    stream_id: String,
    /// Offers that came while something else was waited for.
    offers: VecDeque<serde_json::Value>,
}

impl Framework {
    pub(crate) fn subscribe(master: &str) -> Self {
        let info = json!({"name": "test", "user": "root", "checkpoint": true});
        let call = json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": info}});
        let subscribe = || request(master, "POST", SCHEDULER, JSON, &call.to_string());
        let mut events = subscribe();
        // So the master answers until it has read its registry.
        while events.status == 503 {
            events = subscribe();
        }
        assert_eq!(events.status, 200);
        let subscribed = events.event();
        let id = subscribed["subscribed"]["framework_id"]["value"]
            .as_str()
            .unwrap()
            .to_owned();
        let stream_id = events.header("mesos-stream-id").unwrap();
        Self {
            master: master.to_owned(),
            events,
            id,
            stream_id,
            offers: VecDeque::new(),
        }
    }

    pub(crate) fn call(&self, mut call: serde_json::Value) {
        call["framework_id"] = json!({"value": self.id});
        let headers = format!("{JSON}Mesos-Stream-Id: {}\r\n", self.stream_id);
        let reply = request(&self.master, "POST", SCHEDULER, &headers, &call.to_string());
        assert_eq!(reply.status, 202);
    }

    fn keep_offers(&mut self, event: &serde_json::Value) {
        if event["type"] == "OFFERS" {
            let offers = event["offers"]["offers"].as_array().unwrap();
            self.offers.extend(offers.iter().cloned());
        }
    }

    /// Launches a command on the next offer; gives the agent's id.
    pub(crate) fn launch(&mut self, task: &str, command: &str) -> serde_json::Value {
        while self.offers.is_empty() {
            let event = self.events.event();
            self.keep_offers(&event);
        }
        let offer = self.offers.pop_front().unwrap();
        let scalar = |name: &str, value: f64| json!({"name": name, "type": "SCALAR", "scalar": {"value": value}});
        let info = json!({
            "name": task, "task_id": {"value": task}, "agent_id": offer["agent_id"],
            "resources": [scalar("cpus", 0.5), scalar("mem", 32.0)],
            "command": {"value": command},
        });
        let launch = json!({"type": "LAUNCH", "launch": {"task_infos": [info]}});
        self.call(json!({"type": "ACCEPT", "accept": {
            "offer_ids": [offer["id"]], "operations": [launch],
            "filters": {"refuse_seconds": 0}}}));
        offer["agent_id"].clone()
    }

    /// Waits for a task's state, acknowledging what comes.
    pub(crate) fn until(&mut self, state: &str) -> serde_json::Value {
        loop {
            let event = self.events.event();
            self.keep_offers(&event);
            if event["type"] != "UPDATE" {
                continue;
            }
            let status = event["update"]["status"].clone();
            if !status["uuid"].is_null() {
                self.call(json!({"type": "ACKNOWLEDGE", "acknowledge": {
                    "agent_id": status["agent_id"], "task_id": status["task_id"],
                    "uuid": status["uuid"]}}));
            }
            if status["state"] == state {
                return status;
            }
            let alive = [
                "TASK_STAGING",
                "TASK_STARTING",
                "TASK_RUNNING",
                "TASK_KILLING",
            ];
            let seen = status["state"].as_str().unwrap();
            assert!(alive.contains(&seen), "waited for {state}: {status}");
        }
    }
}

#[test]
fn a_master_answers_on_its_port_and_ends_on_a_signal() {
    let (master, address) = master(&[]);
    let listening = "listens on loopback only";
    let get = |path: &str| request(&address, "GET", path, "", "");
    assert_eq!(get("/health").status, 200);
    assert_eq!(get("/master/health").status, 200);
    let version: serde_json::Value = serde_json::from_str(&get("/version").body()).unwrap();
    assert_eq!(version["version"], "1.12.0");
    assert_eq!(version["tepui_version"], env!("CARGO_PKG_VERSION"));
    let metrics = get("/metrics/snapshot?timeout=1secs").body();
    let metrics: serde_json::Value = serde_json::from_str(&metrics).unwrap();
    assert_eq!(metrics["master/frameworks_connected"], 0.0);
    let refused = get("/metrics/snapshot?timeout=xx");
    assert_eq!(refused.status, 400);
    let text = "Invalid timeout 'xx': Failed to convert '' to number.\n";
    assert_eq!(refused.body(), text);
    assert_eq!(get("/nosuch").status, 404);
    master.signal(Signal::SIGTERM);
    let (status, _, stderr) = master.end();
    assert_eq!(status.code(), Some(0), "{stderr:?}");
    let stderr = stderr.join("\n");
    assert!(stderr.contains(listening), "{stderr}");
    assert!(!stderr.contains("ERROR"), "{stderr}");
}

#[test]
fn a_task_outlives_its_agent_and_is_killed_by_the_next() {
    let folder = TempDir::new().unwrap();
    let (_master, address) = master(&[]);
    let (first, place) = agent(&address, "0", &folder, "outlives");
    let mut framework = Framework::subscribe(&address);
    let sleep = format!("sleep 87{}", std::process::id());
    let agent_id = framework.launch("long", &format!("exec {sleep}"));
    framework.until("TASK_RUNNING");
    wait_until("the task's process", || runs(&sleep));
    first.signal(Signal::SIGTERM);
    let (status, _, stderr) = first.end();
    assert_eq!(status.code(), Some(0), "{stderr:?}");
    assert!(runs(&sleep), "the task goes on without its agent");
    // Its executor looks for the agent where that was.
    let port = place.rsplit_once(':').unwrap().1;
    let (mut second, _) = agent(&address, port, &folder, "outlives");
    let kill = json!({"task_id": {"value": "long"}, "agent_id": agent_id});
    framework.call(json!({"type": "KILL", "kill": kill}));
    let status = framework.until("TASK_KILLED");
    assert_eq!(status["task_id"]["value"], "long");
    assert!(!runs(&sleep));
    second.until("state=Terminated");
    second.signal(Signal::SIGINT);
    assert_eq!(second.end().0.code(), Some(0));
}

#[test]
fn a_second_daemon_on_a_work_dir_is_told_who_the_first_is() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("master").to_string_lossy().into_owned();
    let (_master, address) = master(&[&format!("--work_dir={path}")]);
    let second = finish(tepui(&[
        "master",
        "--port=0",
        &format!("--work_dir={path}"),
    ]));
    assert_eq!(second.0, 1);
    assert!(
        second.2.contains("is locked by tepui master with pid "),
        "{}",
        second.2
    );
    let (running, first) = agent(&address, "0", &folder, "locked");
    let work_dir = folder.path().join("work").to_string_lossy().into_owned();
    let port = first.split_once(':').unwrap().1;
    let second = finish(tepui(&[
        "agent",
        &format!("--master={address}"),
        &format!("--port={port}"),
        &format!("--work_dir={work_dir}"),
    ]));
    assert_eq!(second.0, 1);
    assert!(
        second
            .2
            .contains(&format!("is locked by agent slave(1)@{first}")),
        "{}",
        second.2
    );
    running.signal(Signal::SIGTERM);
    assert_eq!(running.end().0.code(), Some(0));
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the test looks at the machine, not at a node"
)]
fn a_checkpoint_that_is_none_is_named() {
    let folder = TempDir::new().unwrap();
    let meta = folder.path().join("work/meta");
    std::fs::create_dir_all(&meta).unwrap();
    std::fs::write(meta.join("boot_id"), "garbage").unwrap();
    let command = agent_command("127.0.0.1:1", "0", &folder, "garbage");
    let (status, _, stderr) = finish(command);
    assert_eq!(status, 1, "{stderr}");
    let expected = "tepui agent: the agent cannot go on: checkpoint '";
    let last = stderr.lines().last().unwrap();
    assert!(last.starts_with(expected), "{stderr}");
    assert!(last.contains("boot_id': not a checkpoint"), "{stderr}");
}

#[test]
fn a_local_cluster_has_its_agents() {
    let folder = TempDir::new().unwrap();
    let work_dir = format!("--work_dir={}", folder.path().to_string_lossy());
    let cgroup = format!("--cgroups_root=local-{}", std::process::id());
    let mut local = Running::start(tepui(&[
        "local",
        "--num_slaves=2",
        "--port=0",
        &work_dir,
        &cgroup,
        "--resources=cpus:1;mem:64",
        "--registration_backoff_factor=10ms",
    ]));
    let address = address(&local.until("the master is up"));
    let mut framework = Framework::subscribe(&address);
    let mut agents = std::collections::BTreeSet::new();
    while agents.len() < 2 {
        let offers = framework.events.event_of("OFFERS");
        for offer in offers["offers"]["offers"].as_array().unwrap() {
            agents.insert(offer["agent_id"]["value"].as_str().unwrap().to_owned());
        }
    }
    local.signal(Signal::SIGINT);
    let (status, _, stderr) = local.end();
    assert_eq!(status.code(), Some(0), "{stderr:?}");
}

#[test]
fn the_log_goes_to_a_file_when_asked_for() {
    let folder = TempDir::new().unwrap();
    let log_dir = format!("--log_dir={}", folder.path().to_string_lossy());
    let mut command = tepui(&[
        "master",
        "--port=0",
        "--quiet",
        &log_dir,
        "--logging_level=INFO",
    ]);
    command.env("MESOS_CLUSTER", "here");
    let running = Running::start(command);
    let log = folder.path().join("tepui-master.INFO");
    wait_until("the file", || read(&log).contains("the master is up"));
    running.signal(Signal::SIGTERM);
    let (status, _, stderr) = running.end();
    assert_eq!((status.code(), stderr), (Some(0), Vec::new()));
    assert!(read(&log).contains(r#"cluster="here""#), "{}", read(&log));
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test looks at the machine, not at a node"
)]
pub(crate) fn read(path: &std::path::Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
