//! A small cluster: a master and an agent of which each has a node, with executors that are actors
//! in place of processes, and a scheduler on HTTP.

use std::{path::Path, sync::Arc};

use serde_json::{Value, json};
use tempfile::TempDir;
use tepui_agent::{Agent, AgentOptions};
use tepui_api::ApiOptions;
use tepui_containerizer::simulated::{self, SimulatedOptions};
use tepui_master::{Master, MasterOptions};
use tepui_protocol::{attributes, resources::parse};
use tepui_runtime::{Address, Node, NodeOptions, RealOptions, World};

use crate::support::{Reply, request};

/// The cluster, until it is dropped.
pub(crate) struct Cluster {
    pub(crate) work_dir: TempDir,
    pub(crate) master: Master,
    pub(crate) agent: Agent,
    master_node: Node,
    agent_node: Node,
    _world: World,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        let world = World::real(RealOptions::default()).unwrap();
        let work_dir = tempfile::tempdir().unwrap();
        let log = work_dir.path().join("log");
        world.disk("").write_atomic(&log, b"one\ntwo\n").unwrap();
        let api = |name: &str| ApiOptions {
            flags: Arc::new(
                [("cluster", name), ("quiet", "false")]
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .into(),
            ),
            log_file: Some(log.clone()),
            ..ApiOptions::default()
        };
        let master_node = Node::start(&world, NodeOptions::default()).unwrap();
        let master = tepui_master::spawn(&master_node, MasterOptions::default()).unwrap();
        tepui_api::master_routes(&master_node, &master, api("c"));
        let agent_node = Node::start(&world, NodeOptions::default()).unwrap();
        let containerizer = simulated::spawn(&agent_node, SimulatedOptions::default()).unwrap();
        let place = work_dir.path().join("agent");
        let mut options = AgentOptions::new(master.pid().clone(), place, containerizer);
        options.hostname = "host".to_owned();
        options.registration_backoff_factor = std::time::Duration::ZERO;
        options.resources = parse("cpus:4;mem:1024;disk:2048;ports:[1-9]", "*")
            .unwrap()
            .to_proto();
        options.attributes = attributes::parse("rack:r1;slots:2").unwrap();
        let agent = tepui_agent::spawn(&agent_node, options).unwrap();
        tepui_api::agent_routes(&agent_node, &agent, api("c"));
        Self {
            work_dir,
            master,
            agent,
            master_node,
            agent_node,
            _world: world,
        }
    }

    /// The nodes of master and agent.
    pub(crate) fn nodes(&self) -> [&Node; 2] {
        [&self.master_node, &self.agent_node]
    }

    /// What a node answers.
    pub(crate) fn get_of(&self, node: &Node, path: &str) -> Reply {
        request(node.address(), "GET", path, &[], b"")
    }

    /// What the master answers.
    pub(crate) fn get(&self, path: &str) -> Reply {
        request(self.master_address(), "GET", path, &[], b"")
    }

    /// What the agent answers.
    pub(crate) fn get_agent(&self, path: &str) -> Reply {
        request(self.agent_node.address(), "GET", path, &[], b"")
    }

    /// Writes a file of the host.
    pub(crate) fn write(&self, path: &Path, bytes: impl AsRef<[u8]>) {
        let disk = self.agent_node.disk();
        disk.write_atomic(path, bytes.as_ref()).unwrap();
    }

    /// Makes a folder of the host.
    pub(crate) fn folder(&self, path: &Path) {
        self.agent_node.disk().create_dir_all(path).unwrap();
    }

    pub(crate) fn master_address(&self) -> Address {
        self.master_node.address()
    }

    /// Subscribes a framework.
    pub(crate) fn scheduler(&self, info: &Value) -> Scheduler {
        Scheduler::new(self.master_address(), info)
    }
}

/// A framework on HTTP.
pub(crate) struct Scheduler {
    master: Address,
    stream: Reply,
    stream_id: String,
    pub(crate) id: String,
}

impl Scheduler {
    fn new(master: Address, info: &Value) -> Self {
        let call = json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": info}});
        let headers = [("Content-Type", "application/json")];
        let body = call.to_string();
        let mut stream = loop {
            let path = "/api/v1/scheduler";
            let stream = request(master, "POST", path, &headers, body.as_bytes());
            // 503 until it has read its registry.
            if stream.status != 503 {
                break stream;
            }
        };
        let stream_id = stream.header("mesos-stream-id").unwrap().to_owned();
        let subscribed = stream.json();
        let id = subscribed["subscribed"]["framework_id"]["value"]
            .as_str()
            .unwrap()
            .to_owned();
        Self {
            master,
            stream,
            stream_id,
            id,
        }
    }

    /// The next event of this type.
    pub(crate) fn event(&mut self, kind: &str) -> Value {
        loop {
            let mut event = self.stream.json();
            if event["type"] == kind {
                return event[kind.to_lowercase()].take();
            }
            assert_ne!(event["type"], "ERROR", "{event}");
        }
    }

    /// Reads until the stream ends; how many events came that are of none of these types.
    pub(crate) fn rest(&mut self, expected: &[&str]) -> usize {
        let mut others = 0;
        while let Some(record) = self.stream.record() {
            let event: Value = serde_json::from_slice(&record).unwrap();
            others += usize::from(!expected.iter().any(|kind| event["type"] == *kind));
        }
        others
    }

    /// Makes a call, which is accepted.
    pub(crate) fn call(&self, kind: &str, part: &Value) {
        assert_eq!(self.answer(kind, part), (202, String::new()));
    }

    /// Makes a call, and gives the status and the text of the answer.
    pub(crate) fn answer(&self, kind: &str, part: &Value) -> (u16, String) {
        let mut call = json!({"type": kind, "framework_id": {"value": self.id}});
        if !part.is_null() {
            call[kind.to_lowercase()] = part.clone();
        }
        let headers = [
            ("Content-Type", "application/json"),
            ("Mesos-Stream-Id", &self.stream_id),
        ];
        let body = call.to_string();
        let path = "/api/v1/scheduler";
        let mut reply = request(self.master, "POST", path, &headers, body.as_bytes());
        (reply.status, reply.text())
    }

    /// Launches tasks on the next offer; their agent is filled in.
    pub(crate) fn launch(&mut self, tasks: &Value) {
        let offers = self.event("OFFERS");
        let offer = &offers["offers"][0];
        let mut tasks = tasks.clone();
        for task in tasks.as_array_mut().unwrap() {
            task["agent_id"] = offer["agent_id"].clone();
        }
        let launch = json!({"type": "LAUNCH", "launch": {"task_infos": tasks}});
        let part = json!({
            "offer_ids": [offer["id"]],
            "operations": [launch],
            "filters": {"refuse_seconds": 3600},
        });
        self.call("ACCEPT", &part);
    }

    /// Reads and acknowledges updates until each of these tasks has been in that state.
    pub(crate) fn until(&mut self, goals: &[(&str, &str)]) {
        let mut left = goals.to_vec();
        while !left.is_empty() {
            let update = self.event("UPDATE");
            let status = &update["status"];
            let part = json!({
                "agent_id": status["agent_id"],
                "task_id": status["task_id"],
                "uuid": status["uuid"],
            });
            self.call("ACKNOWLEDGE", &part);
            left.retain(|(task, state)| {
                status["task_id"]["value"] != *task || status["state"] != *state
            });
        }
    }
}
