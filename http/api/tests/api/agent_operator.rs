//! What executors and operators ask of an agent, on the wire: statuses and bodies as Mesos 1.11 has
//! them. What is done, and which words refuse it, is tested with the agent's core.

use std::net::TcpStream;

use serde_json::{Value, json};
use tepui_protocol::mesos::v1::agent::{Call, Response, call};
use tepui_runtime::{Encoding, Message as _};

use crate::cluster::{Cluster, Scheduler};
use crate::support::{Reply, request, send};

const API: &str = "/slave(1)/api/v1";
const JSON: (&str, &str) = ("Content-Type", "application/json");
const PROTOBUF: [(&str, &str); 2] = [
    ("Content-Type", "application/x-protobuf"),
    ("Accept", "application/x-protobuf"),
];

/// An agent on which an executor of a framework's own runs.
struct Stage {
    cluster: Cluster,
    /// The id of the executor's container.
    root: String,
    /// The executor's sandbox.
    sandbox: String,
    _scheduler: Scheduler,
}

impl Stage {
    fn new() -> Stage {
        let cluster = Cluster::new();
        let mut scheduler = cluster.scheduler(&json!({"user": "root", "name": "f"}));
        scheduler.launch(&json!([{
            "name": "t", "task_id": {"value": "t"}, "agent_id": {"value": ""},
            "executor": {
                "executor_id": {"value": "e"}, "type": "CUSTOM",
                "command": {"value": "sleep 1000"},
            },
            "resources": [
                {"name": "cpus", "type": "SCALAR", "scalar": {"value": 1}},
                {"name": "mem", "type": "SCALAR", "scalar": {"value": 64}},
            ],
        }]));
        let executor = loop {
            let state: Value = serde_json::from_slice(&cluster.get_agent("/state").body()).unwrap();
            let executor = &state["frameworks"][0]["executors"][0];
            if !executor.is_null() {
                break executor.clone();
            }
        };
        let text = |key: &str| executor[key].as_str().unwrap().to_owned();
        let stage = Stage {
            root: text("container"),
            sandbox: text("directory"),
            cluster,
            _scheduler: scheduler,
        };
        // Its container is being launched.
        while stage.ask(&stage.launch("probe", "exit 0")).0 == 400 {}
        stage
    }

    fn send(&self, call: &Value) -> TcpStream {
        let body = call.to_string();
        let address = self.cluster.nodes()[1].address();
        send(address, "POST", API, &[JSON], body.as_bytes())
    }

    fn post(&self, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        request(
            self.cluster.nodes()[1].address(),
            "POST",
            API,
            headers,
            body,
        )
    }

    fn ask(&self, call: &Value) -> (u16, String) {
        let mut reply = self.post(&[JSON], call.to_string().as_bytes());
        (reply.status, reply.text())
    }

    fn id(&self, name: &str) -> Value {
        json!({"value": name, "parent": {"value": self.root}})
    }

    fn about(&self, kind: &str, name: &str) -> Value {
        let mut call = json!({"type": kind});
        call[kind.to_lowercase()] = json!({"container_id": self.id(name)});
        call
    }

    fn launch(&self, name: &str, command: &str) -> Value {
        let mut call = self.about("LAUNCH_CONTAINER", name);
        call["launch_container"]["command"] = json!({"value": command});
        call
    }

    fn has(&self, path: &str) -> bool {
        let path = format!("{}/{path}", self.sandbox);
        let disk = self.cluster.nodes()[1].disk();
        disk.exists(std::path::Path::new(&path))
    }

    /// The calls that are under way.
    fn under_way(&self) -> usize {
        let processes = self.cluster.nodes()[1].processes();
        let calls = processes
            .iter()
            .filter(|process| process.pid.id().starts_with("agent-call("));
        calls.count()
    }
}

#[test]
fn a_container_in_an_executors_is_launched_waited_for_killed_and_removed() {
    let stage = Stage::new();
    let done = (200, String::new());
    assert_eq!(stage.ask(&stage.launch("n", "sleep 1000")), done);
    assert!(stage.has("containers/n"));
    let already = (202, String::new());
    assert_eq!(stage.ask(&stage.launch("n", "sleep 1000")), already);
    let waiting = stage.send(&stage.about("WAIT_CONTAINER", "n"));
    let remove = stage.about("REMOVE_CONTAINER", "n");
    let alive = (500, "Nested container has not terminated yet".to_owned());
    assert_eq!(stage.ask(&remove), alive);
    let mut kill = stage.about("KILL_CONTAINER", "n");
    kill["kill_container"]["signal"] = json!(15);
    assert_eq!(stage.ask(&kill), done);
    let mut reply = Reply::read(waiting);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let expected = r#"{"type":"WAIT_CONTAINER","wait_container":{"exit_status":15}}"#;
    assert_eq!((reply.status, reply.text().as_str()), (200, expected));
    assert_eq!(stage.ask(&kill).0, 404);
    assert_eq!(stage.ask(&remove), done);
    assert!(!stage.has("containers/n"));
    assert_eq!(stage.ask(&stage.about("WAIT_CONTAINER", "n")).0, 404);

    // In Mesos' older forms, and in protobuf.
    let older = |kind: &str| stage.about(kind, "m");
    let mut launch = older("LAUNCH_NESTED_CONTAINER");
    launch["launch_nested_container"]["command"] = json!({"value": "exit 3"});
    assert_eq!(stage.ask(&launch), done);
    let wait: Value = older("WAIT_NESTED_CONTAINER");
    let call = Call::decode(Encoding::Json, wait.to_string().as_bytes()).unwrap();
    assert_eq!(call.r#type(), call::Type::WaitNestedContainer);
    let mut reply = stage.post(&PROTOBUF, &call.encode(Encoding::Protobuf).unwrap());
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("application/x-protobuf"));
    let answer = Response::decode(Encoding::Protobuf, &reply.body()).unwrap();
    let end = answer.wait_nested_container.unwrap();
    assert_eq!(end.exit_status, Some(3 << 8));
    assert_eq!(stage.ask(&older("KILL_NESTED_CONTAINER")).0, 404);
    assert_eq!(stage.ask(&older("REMOVE_NESTED_CONTAINER")), done);
    assert_eq!(stage.under_way(), 0);
}

#[test]
fn a_call_is_checked_as_those_of_the_master() {
    let stage = Stage::new();
    let address = stage.cluster.nodes()[1].address();
    let mut reply = request(address, "GET", API, &[], b"");
    assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")));
    reply.text();
    let call = stage.about("KILL_CONTAINER", "nope").to_string();
    let statuses = [
        (&[][..], 400),
        (&[("Content-Type", "text/plain")], 415),
        (&[JSON, ("Accept", "text/html")], 406),
        (&[JSON], 404),
    ];
    for (headers, status) in statuses {
        let reply = stage.post(headers, call.as_bytes());
        assert_eq!(reply.status, status, "{headers:?}");
    }
    assert_eq!(stage.post(&[JSON], b"{").status, 400);
    let lacks = "Failed to validate agent::Call: Expecting 'wait_container' to be present";
    let answer = stage.ask(&json!({"type": "WAIT_CONTAINER"}));
    assert_eq!(answer, (400, lacks.to_owned()));
    for kind in ["GET_STATE", "ATTACH_CONTAINER_OUTPUT", "PRUNE_IMAGES"] {
        let refused = (501, format!("{kind} is not offered"));
        assert_eq!(stage.ask(&json!({"type": kind})), refused);
    }
    let unknown = (501, "501 Not Implemented.".to_owned());
    assert_eq!(stage.ask(&json!({"type": "UNKNOWN"})), unknown);
    let other = request(address, "POST", "/slave(1)/api/v1/other", &[JSON], b"");
    assert_eq!(other.status, 404);
    // The path without the process' id is the agent's, too.
    let short = request(address, "POST", "/api/v1", &[JSON], call.as_bytes());
    assert_eq!(short.status, 404);
}

#[test]
fn who_does_not_wait_any_more_is_forgotten() {
    let stage = Stage::new();
    assert_eq!(stage.ask(&stage.launch("n", "sleep 1000")).0, 200);
    let wait = stage.about("WAIT_CONTAINER", "n");
    let first = stage.send(&wait);
    let second = stage.send(&wait);
    // A look at it takes its time, in which others get on.
    let look = || {
        assert_eq!(stage.cluster.get_agent("/health").status, 200);
        stage.under_way()
    };
    while look() < 2 {}
    drop(first);
    while look() > 1 {}
    assert_eq!(stage.ask(&stage.about("KILL_CONTAINER", "n")).0, 200);
    assert_eq!(Reply::read(second).status, 200);
}

#[test]
fn containers_in_an_executors_are_not_shown_as_executors() {
    let stage = Stage::new();
    assert_eq!(stage.ask(&stage.launch("n", "sleep 1000")).0, 200);
    let shown: Value =
        serde_json::from_slice(&stage.cluster.get_agent("/containers").body()).unwrap();
    let shown = shown.as_array().unwrap();
    let ids: Vec<&str> = shown
        .iter()
        .map(|entry| entry["container_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, [stage.root.as_str()]);
}

#[test]
fn an_executor_of_type_default_is_shown_as_by_mesos() {
    let cluster = Cluster::new();
    let mut scheduler = cluster.scheduler(&json!({"user": "root", "name": "f"}));
    let offers = scheduler.event("OFFERS");
    let offer = &offers["offers"][0];
    let resources = |cpus: f64| {
        json!([
            {"name": "cpus", "type": "SCALAR", "scalar": {"value": cpus},
             "allocation_info": {"role": "*"}},
            {"name": "mem", "type": "SCALAR", "scalar": {"value": 32},
             "allocation_info": {"role": "*"}},
            {"name": "disk", "type": "SCALAR", "scalar": {"value": 1},
             "allocation_info": {"role": "*"}},
        ])
    };
    let task = |id: &str| {
        json!({
            "name": id, "task_id": {"value": id}, "agent_id": offer["agent_id"],
            "command": {"value": "sleep 1000"}, "resources": resources(1.0),
        })
    };
    let executor = json!({
        "type": "DEFAULT", "executor_id": {"value": "e"}, "resources": resources(0.5),
        "framework_id": {"value": scheduler.id},
    });
    let group = json!({"executor": executor, "task_group": {"tasks": [task("a"), task("b")]}});
    let part = json!({
        "offer_ids": [offer["id"]],
        "operations": [{"type": "LAUNCH_GROUP", "launch_group": group}],
    });
    scheduler.call("ACCEPT", &part);
    scheduler.until(&[("a", "TASK_RUNNING"), ("b", "TASK_RUNNING")]);
    let read = |mut reply: Reply| -> Value { serde_json::from_slice(&reply.body()).unwrap() };

    let state = read(cluster.get_agent("/state"));
    let shown = &state["frameworks"][0]["executors"][0];
    let keys: Vec<&String> = shown.as_object().unwrap().keys().collect();
    let mut expected = [
        "id",
        "name",
        "source",
        "container",
        "directory",
        "resources",
        "role",
        "type",
        "tasks",
        "queued_tasks",
        "completed_tasks",
    ];
    expected.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!(
        (&shown["type"], &shown["source"], &shown["name"]),
        (&json!("DEFAULT"), &json!(""), &json!(""))
    );
    assert_eq!(shown["resources"]["cpus"], 2.5);
    let status = &shown["tasks"][0]["statuses"][1]["container_status"]["container_id"];
    assert_eq!(status["parent"]["value"], shown["container"]);

    let state = read(cluster.get("/state"));
    let of_master = &state["frameworks"][0]["executors"][0];
    assert_eq!(of_master["type"], "DEFAULT");
    assert_eq!(of_master["command"], json!({"argv": [], "uris": []}));
    let entries = read(cluster.get_agent("/containers"));
    let ids: Vec<&Value> = entries
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["container_id"])
        .collect();
    assert_eq!(ids, [&shown["container"]]);
}
