//! What master and agent show of a small cluster, word for word: ids and times are put in place of
//! names for them.

use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, Scheduler},
    support::Reply,
};

/// Keys whose values are times, which are numbers with a fraction.
const TIMES: [&str; 6] = [
    "build_time",
    "elected_time",
    "registered_time",
    "start_time",
    "timestamp",
    "unregistered_time",
];

/// Keys that say by whom and when the program was built.
const BUILD: [&str; 6] = [
    "build_date",
    "build_user",
    "git_branch",
    "git_sha",
    "git_tag",
    "tepui_version",
];

/// Puts `T` for each time but 0, and takes out what is another with each build.
fn named(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| !BUILD.contains(&key.as_str()));
            for (key, value) in map {
                if TIMES.contains(&key.as_str()) && value.is_f64() && *value != json!(0.0) {
                    *value = json!("T");
                } else {
                    named(value);
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(named),
        _ => {}
    }
}

struct Stage {
    cluster: Cluster,
    scheduler: Scheduler,
}

impl Stage {
    /// A cluster with one task that runs and one that has ended.
    fn new() -> Self {
        let cluster = Cluster::new();
        let mut scheduler = cluster.scheduler(&json!({
            "name": "fw", "user": "root", "roles": ["web/a"],
            "principal": "p", "failover_timeout": 60.5,
            "labels": {"labels": [{"key": "k", "value": "v"}, {"key": "bare"}]},
            "capabilities": [{"type": "MULTI_ROLE"}, {"type": "PARTITION_AWARE"}],
        }));
        let resources = |cpus: f64| {
            json!([
                {"name": "cpus", "type": "SCALAR", "scalar": {"value": cpus}},
                {"name": "mem", "type": "SCALAR", "scalar": {"value": 32.0}},
            ])
        };
        scheduler.launch(&json!([
            {
                "name": "first", "task_id": {"value": "t1"}, "resources": resources(0.5),
                "command": {"value": "exit 0"},
            },
            {
                "name": "second", "task_id": {"value": "t2"}, "resources": resources(1.5),
                "command": {"value": "sleep 10000", "user": "root"},
                "labels": {"labels": [{"key": "color", "value": "red"}]},
                "discovery": {"visibility": "CLUSTER", "name": "d"},
            },
        ]));
        // What t1 frees is not to be offered again while the views are looked at.
        scheduler.call("SUPPRESS", &json!({}));
        scheduler.until(&[("t1", "TASK_FINISHED"), ("t2", "TASK_RUNNING")]);
        let stage = Self { cluster, scheduler };
        stage.settled();
        stage
    }

    /// Waits until both have heard of the last acknowledgements.
    fn settled(&self) {
        let known = |view: &Value, list: &str| view[list].as_array().map_or(0, Vec::len);
        loop {
            let master = self.parsed(self.cluster.get("/frameworks"));
            let agent = self.parsed(self.cluster.get_agent("/state"));
            let framework = &agent["frameworks"][0];
            if known(&master["frameworks"][0], "completed_tasks") == 1
                && known(framework, "completed_executors") == 1
            {
                return;
            }
        }
    }

    fn parsed(&self, mut reply: Reply) -> Value {
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("content-type"), Some("application/json"));
        self.read(&reply.text())
    }

    /// Text of an answer as JSON, with names for ids.
    fn read(&self, text: &str) -> Value {
        let snapshot = self.cluster.agent.snapshot.load();
        let info = &self.cluster.master.snapshot().master_info;
        let mut names = vec![
            (info.id.clone(), "M"),
            (info.pid().to_owned(), "master@A"),
            (self.cluster.agent.pid.to_string(), "slave(1)@B"),
            (self.cluster.work_dir.path().display().to_string(), "/W"),
        ];
        let present = snapshot.executors.values().map(std::sync::Arc::clone);
        let ended = snapshot.frameworks.values();
        let ended = ended.flat_map(|framework| framework.completed_executors.clone());
        for executor in present.chain(ended) {
            let name = match executor.info.executor_id.value.as_str() {
                "t1" => "C1",
                _ => "C2",
            };
            names.push((executor.container.clone(), name));
        }
        let mut text = text.to_owned();
        for (id, name) in names {
            text = text.replace(&id, name);
        }
        let mut value = serde_json::from_str(&text).unwrap();
        named(&mut value);
        value
    }

    fn master(&self, path: &str) -> Value {
        self.parsed(self.cluster.get(path))
    }

    fn agent(&self, path: &str) -> Value {
        self.parsed(self.cluster.get_agent(path))
    }
}

fn amounts(cpus: f64, mem: f64, disk: f64) -> Value {
    json!({"cpus": cpus, "disk": disk, "gpus": 0.0, "mem": mem})
}

fn total() -> Value {
    let mut total = amounts(4.0, 1024.0, 2048.0);
    total["ports"] = json!("[1-9]");
    total
}

/// A status as Mesos' endpoints show it.
fn status(state: &str, container: &str) -> Value {
    json!({
        "state": state,
        "timestamp": "T",
        "container_status": {
            "container_id": {"value": container},
            "network_infos": [{"ip_addresses": [{"protocol": "IPv4", "ip_address": "127.0.0.1"}]}],
        },
    })
}

fn first_task() -> Value {
    let states = ["TASK_STARTING", "TASK_RUNNING", "TASK_FINISHED"];
    json!({
        "id": "t1", "name": "first", "framework_id": "M-0000", "executor_id": "",
        "slave_id": "M-S0", "state": "TASK_FINISHED", "resources": amounts(0.5, 32.0, 0.0),
        "role": "web/a", "statuses": states.map(|state| status(state, "C1")),
    })
}

fn second_task() -> Value {
    let states = ["TASK_STARTING", "TASK_RUNNING"];
    json!({
        "id": "t2", "name": "second", "framework_id": "M-0000", "executor_id": "",
        "slave_id": "M-S0", "state": "TASK_RUNNING", "resources": amounts(1.5, 32.0, 0.0),
        "role": "web/a", "statuses": states.map(|state| status(state, "C2")),
        "user": "root", "labels": [{"key": "color", "value": "red"}],
        "discovery": {"visibility": "CLUSTER", "name": "d"},
    })
}

const CAPABILITIES: [&str; 4] = [
    "MULTI_ROLE",
    "HIERARCHICAL_ROLE",
    "RESERVATION_REFINEMENT",
    "TASK_RESOURCE_LIMITS",
];

fn agent(stage: &Stage) -> Value {
    json!({
        "id": "M-S0", "hostname": "host", "port": stage.cluster.agent.pid.address().port,
        "attributes": {"rack": "r1", "slots": 2.0}, "pid": "slave(1)@B",
        "registered_time": "T", "resources": total(),
        "used_resources": amounts(1.5, 32.0, 0.0),
        "offered_resources": amounts(0.0, 0.0, 0.0),
        "reserved_resources": {}, "unreserved_resources": total(),
        "active": true, "deactivated": false, "version": "1.12.0",
        "capabilities": CAPABILITIES,
    })
}

/// What every view of the framework has.
fn framework_summary() -> Value {
    json!({
        "id": "M-0000", "name": "fw", "used_resources": amounts(1.5, 32.0, 0.0),
        "offered_resources": amounts(0.0, 0.0, 0.0),
        "capabilities": ["MULTI_ROLE", "PARTITION_AWARE"], "hostname": "", "webui_url": "",
        "active": true, "connected": true, "recovered": false,
    })
}

fn framework() -> Value {
    let more = json!({
        "user": "root", "failover_timeout": 60.5, "checkpoint": false,
        "registered_time": "T", "unregistered_time": 0.0, "principal": "p",
        "resources": amounts(1.5, 32.0, 0.0), "roles": ["web/a"],
        "tasks": [second_task()], "unreachable_tasks": [], "completed_tasks": [first_task()],
        "offers": [], "executors": [],
        "labels": [{"key": "k", "value": "v"}, {"key": "bare"}], "offer_constraints": {},
    });
    together(framework_summary(), &more)
}

fn together(mut left: Value, right: &Value) -> Value {
    let (all, more) = (left.as_object_mut().unwrap(), right.as_object().unwrap());
    all.extend(more.clone());
    left
}

#[test]
fn the_master_shows_all_of_its_state() {
    let stage = Stage::new();
    let info = &stage.cluster.master.snapshot().master_info;
    let expected = json!({
        "version": "1.12.0", "build_time": "T", "start_time": "T", "elected_time": "T",
        "id": "M", "pid": "master@A", "hostname": "127.0.0.1",
        "capabilities": ["AGENT_UPDATE"],
        "activated_slaves": 1.0, "deactivated_slaves": 0.0, "unreachable_slaves": 0.0,
        "leader": "master@A",
        "leader_info": {
            "id": "M", "pid": "master@A", "port": info.port, "hostname": "127.0.0.1",
        },
        "cluster": "c", "flags": {"cluster": "c", "quiet": "false"},
        "slaves": [agent(&stage)], "recovered_slaves": [],
        "frameworks": [framework()], "completed_frameworks": [],
        "orphan_tasks": [], "unregistered_frameworks": [],
    });
    assert_eq!(stage.master("/state"), expected);
    let expected = json!({
        "frameworks": [framework()],
        "completed_frameworks": [],
        "unregistered_frameworks": [],
    });
    assert_eq!(stage.master("/frameworks"), expected);
    assert_eq!(
        stage.master("/frameworks?framework_id=zz")["frameworks"],
        json!([])
    );
}

#[test]
fn the_summary_counts_tasks() {
    let stage = Stage::new();
    let counts = json!({
        "TASK_STAGING": 0, "TASK_STARTING": 0, "TASK_RUNNING": 1, "TASK_KILLING": 0,
        "TASK_FINISHED": 1, "TASK_KILLED": 0, "TASK_FAILED": 0, "TASK_LOST": 0,
        "TASK_ERROR": 0, "TASK_UNREACHABLE": 0,
    });
    let on_agent = together(counts.clone(), &json!({"framework_ids": ["M-0000"]}));
    let of_framework = together(counts, &json!({"slave_ids": ["M-S0"]}));
    let expected = json!({
        "hostname": "127.0.0.1", "cluster": "c",
        "slaves": [together(agent(&stage), &on_agent)],
        "frameworks": [together(framework_summary(), &of_framework)],
    });
    assert_eq!(stage.master("/state-summary"), expected);
}

#[test]
fn agents_are_shown_with_each_of_their_resources() {
    let stage = Stage::new();
    let scalar = |name: &str, value: f64| {
        json!({
            "name": name, "type": "SCALAR", "scalar": {"value": value}, "role": "*",
        })
    };
    let used = |name, value| {
        let allocated = json!({"allocation_info": {"role": "web/a"}});
        together(scalar(name, value), &allocated)
    };
    let more = json!({
        "reserved_resources_full": {},
        "unreserved_resources_full": [
            scalar("cpus", 4.0), scalar("mem", 1024.0), scalar("disk", 2048.0),
            {
                "name": "ports", "type": "RANGES", "role": "*",
                "ranges": {"range": [{"begin": 1, "end": 9}]},
            },
        ],
        "used_resources_full": [used("cpus", 1.5), used("mem", 32.0)],
        "offered_resources_full": [],
    });
    let expected = json!({
        "slaves": [together(agent(&stage), &more)],
        "recovered_slaves": [],
    });
    assert_eq!(stage.master("/slaves"), expected);
    assert_eq!(
        stage.master("/slaves?slave_id=M-S0")["slaves"],
        json!([]),
        "M is a name of ours"
    );
    let id = format!("{}-S0", stage.cluster.master.snapshot().master_info.id);
    assert_eq!(stage.master(&format!("/slaves?slave_id={id}")), expected);
}

#[test]
fn tasks_are_shown_in_order_and_in_pages() {
    let stage = Stage::new();
    let ids = |query: &str| {
        let tasks = stage.master(&format!("/tasks{query}"));
        let tasks = tasks["tasks"].as_array().unwrap().clone();
        let ids = tasks
            .iter()
            .map(|task| task["id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    let mut both = ids("?order=asc");
    assert_eq!(both.len(), 2);
    assert_eq!(ids("?order=asc&limit=1"), both[..1]);
    assert_eq!(ids("?order=asc&limit=1&offset=1"), both[1..]);
    assert_eq!(ids("?limit=0"), Vec::<String>::new());
    assert_eq!(ids("?offset=2"), Vec::<String>::new());
    both.reverse();
    assert_eq!(ids(""), both, "the newest comes first");
    assert_eq!(ids("?task_id=t2"), ["t2"]);
    assert_eq!(ids("?framework_id=zz"), Vec::<String>::new());
    assert_eq!(
        stage.master("/tasks?task_id=t1"),
        json!({"tasks": [first_task()]})
    );
    let mut refused = stage.cluster.get("/tasks?limit=-1");
    let text = "Invalid limit '-1': expected a number that is not negative.\n";
    assert_eq!((refused.status, refused.text().as_str()), (400, text));
}

#[test]
fn an_offer_is_shown_at_its_framework_its_agent_and_its_role() {
    let cluster = Cluster::new();
    let mut scheduler = cluster.scheduler(&json!({"name": "fw", "user": "root"}));
    let offers = scheduler.event("OFFERS");
    let offer = &offers["offers"][0];
    let get = |path: &str| -> Value { serde_json::from_str(&cluster.get(path).text()).unwrap() };
    let framework = &get("/frameworks")["frameworks"][0];
    let expected = json!([{
        "id": offer["id"]["value"], "framework_id": scheduler.id,
        "allocation_info": {"role": "*"}, "slave_id": offer["agent_id"]["value"],
        "resources": total(),
    }]);
    assert_eq!(framework["offers"], expected);
    assert_eq!(framework["offered_resources"], total());
    assert_eq!(framework["resources"], total());
    assert_eq!(framework["used_resources"], amounts(0.0, 0.0, 0.0));
    let agent = &get("/slaves")["slaves"][0];
    assert_eq!(agent["offered_resources"], total());
    assert_eq!(agent["offered_resources_full"].as_array().unwrap().len(), 4);
    let role = &get("/roles")["roles"][0];
    let held = json!({"cpus": 4.0, "disk": 2048.0, "mem": 1024.0, "ports": 9.0});
    assert_eq!((&role["offered"], &role["resources"]), (&held, &held));
    assert_eq!(
        (&role["allocated"], &role["quota"]["consumed"]),
        (&json!({}), &json!({}))
    );
}

#[test]
fn roles_are_known_with_those_above_them() {
    let stage = Stage::new();
    let role = |name: &str, held: Value, frameworks: &[&str]| {
        json!({
            "name": name, "weight": 1.0,
            "quota": {"role": name, "guarantee": {}, "limit": {}, "consumed": held},
            "resources": held, "allocated": held, "offered": {}, "reserved": {},
            "frameworks": frameworks,
        })
    };
    let held = json!({"cpus": 1.5, "mem": 32.0});
    let expected = json!({"roles": [
        role("*", json!({}), &[]),
        role("web", held.clone(), &[]),
        role("web/a", held, &["M-0000"]),
    ]});
    assert_eq!(stage.master("/roles"), expected);
}

#[test]
fn a_framework_that_is_torn_down_is_shown_as_completed() {
    let stage = Stage::new();
    stage.scheduler.call("TEARDOWN", &Value::Null);
    let state = loop {
        let state = stage.master("/state");
        if state["frameworks"] == json!([]) {
            break state;
        }
    };
    let framework = &state["completed_frameworks"][0];
    assert_eq!(framework["unregistered_time"], "T");
    assert_eq!(
        (&framework["active"], &framework["connected"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(framework["tasks"], json!([]));
    let ended = framework["completed_tasks"].as_array().unwrap();
    let ended: Vec<_> = ended
        .iter()
        .map(|task| (&task["id"], &task["state"]))
        .collect();
    assert_eq!(
        ended,
        [
            (&json!("t1"), &json!("TASK_FINISHED")),
            (&json!("t2"), &json!("TASK_KILLED")),
        ]
    );
    let tasks = stage.master("/tasks");
    assert_eq!(tasks["tasks"].as_array().unwrap().len(), 2);
}

#[test]
fn both_show_what_a_framework_says_of_itself_by_now() {
    let stage = Stage::new();
    let info = json!({
        "id": {"value": stage.scheduler.id}, "name": "fw", "user": "root", "hostname": "else",
        "roles": ["web/a"], "principal": "p", "failover_timeout": 60.5,
        "capabilities": [{"type": "MULTI_ROLE"}, {"type": "PARTITION_AWARE"}],
    });
    let part = json!({"framework_info": info, "suppressed_roles": ["web/a"]});
    let answer = stage.scheduler.answer("UPDATE_FRAMEWORK", &part);
    assert_eq!(answer, (200, String::new()));
    let framework = stage.master("/frameworks")["frameworks"][0].take();
    assert_eq!(framework["hostname"], "else");
    assert_eq!(framework.get("labels"), None, "they are not said any more");
    // The agent hears of it from the master.
    while stage.agent("/state")["frameworks"][0]["hostname"] != "else" {}
}

#[test]
fn the_state_says_what_a_failover_timeout_of_0_means() {
    let cluster = Cluster::new();
    let scheduler = cluster.scheduler(&json!({"name": "fw", "user": "root"}));
    let mut reply = cluster.get("/frameworks");
    let frameworks: Value = serde_json::from_str(&reply.text()).unwrap();
    let framework = &frameworks["frameworks"][0];
    assert_eq!(framework["id"], scheduler.id.as_str());
    assert_eq!(framework["failover_timeout"], 0.0);
    let note = framework["tepui_failover_note"].as_str().unwrap();
    assert!(note.starts_with("failover_timeout is 0: "), "{note}");
    assert_eq!(framework["role"], "*");
    assert_eq!(framework.get("roles"), None);
}

#[test]
fn the_agent_shows_all_of_its_state() {
    let stage = Stage::new();
    let mut state = stage.agent("/state");
    let executor = |task: &Value, container: &str, cpus: f64, mem: f64| {
        let id = task["id"].as_str().unwrap();
        let folder = format!("/W/agent/slaves/M-S0/frameworks/M-0000/executors/{id}/runs");
        json!({
            "id": id, "source": id, "container": container,
            "directory": format!("{folder}/{container}"),
            "resources": amounts(cpus, mem, 0.0), "role": "web/a",
            "queued_tasks": [],
        })
    };
    let framework = state["frameworks"][0].take();
    let present = framework["executors"][0].as_object().unwrap().clone();
    let ended = framework["completed_executors"][0]
        .as_object()
        .unwrap()
        .clone();
    let shown = |mut executor: serde_json::Map<String, Value>, tasks: &str, other: &str| {
        let name = executor.remove("name").unwrap();
        assert!(
            name.as_str().unwrap().starts_with("Command Executor"),
            "{name}"
        );
        assert_eq!(executor.remove(other), Some(json!([])));
        (executor.remove(tasks).unwrap(), Value::Object(executor))
    };
    let (tasks, mut present) = shown(present, "tasks", "completed_tasks");
    let labels = present.as_object_mut().unwrap().remove("labels").unwrap();
    assert_eq!(labels, second_task()["labels"], "they are its task's");
    assert_eq!(tasks, json!([second_task()]));
    assert_eq!(present, executor(&second_task(), "C2", 1.6, 64.0));
    let (tasks, ended) = shown(ended, "completed_tasks", "tasks");
    assert_eq!(tasks[0]["state"], "TASK_FINISHED");
    assert_eq!(tasks[0]["statuses"], first_task()["statuses"]);
    assert_eq!(ended, executor(&first_task(), "C1", 0.1, 32.0));
    let expected = json!({
        "version": "1.12.0", "build_time": "T", "start_time": "T", "id": "M-S0",
        "pid": "slave(1)@B", "hostname": "host", "capabilities": CAPABILITIES,
        "resources": total(), "reserved_resources": {}, "unreserved_resources": total(),
        "reserved_resources_full": {}, "reserved_resources_allocated": {},
        "unreserved_resources_allocated": amounts(1.6, 64.0, 0.0), "resource_providers": [],
        "attributes": {"rack": "r1", "slots": 2.0}, "master_hostname": "127.0.0.1",
        "flags": {"cluster": "c", "quiet": "false"}, "frameworks": [null],
        "completed_frameworks": [],
    });
    let state = state.as_object_mut().unwrap();
    let full = state.remove("unreserved_resources_full").unwrap();
    assert_eq!(
        full,
        stage.master("/slaves")["slaves"][0]["unreserved_resources_full"]
    );
    assert_eq!(Value::Object(state.clone()), expected);
}

#[test]
fn the_agent_shows_its_containers_and_what_they_use() {
    let stage = Stage::new();
    let containers = stage.agent("/containers");
    let container = &containers[0];
    assert_eq!(containers.as_array().unwrap().len(), 1);
    assert_eq!(container["container_id"], "C2");
    assert_eq!(container["executor_id"], "t2");
    assert_eq!(container["framework_id"], "M-0000");
    assert_eq!(container["source"], "t2");
    assert_eq!(container["status"]["container_id"]["value"], "C2");
    assert_eq!(container["statistics"]["timestamp"], "T");
    assert_eq!(stage.agent("/containers?container_id=zz"), json!([]));
    let statistics = stage.agent("/monitor/statistics");
    let mut expected = containers.clone();
    let expected = expected[0].as_object_mut().unwrap();
    expected.remove("container_id");
    expected.remove("status");
    assert_eq!(statistics, json!([expected]));
}

#[test]
fn each_view_has_mesos_forms_of_its_path() {
    let stage = Stage::new();
    let master = &stage.cluster;
    let views = "state state-summary slaves frameworks tasks roles flags";
    for view in views.split(' ') {
        let plain = stage.master(&format!("/{view}"));
        for path in [
            format!("/master/{view}"),
            format!("/master/{view}/"),
            format!("/{view}/"),
            format!("/{view}.json"),
            format!("/master/{view}.json"),
        ] {
            assert_eq!(stage.master(&path), plain, "{path}");
        }
        let mut script = master.get(&format!("/{view}?jsonp=f"));
        assert_eq!(script.header("content-type"), Some("text/javascript"));
        let script = script.text();
        let inner = script
            .strip_prefix("f(")
            .and_then(|rest| rest.strip_suffix(')'));
        assert_eq!(stage.read(inner.unwrap()), plain, "{view}");
    }
    for view in ["state", "flags", "containers", "monitor/statistics"] {
        let plain = stage.agent(&format!("/{view}"));
        for path in [
            format!("/slave(1)/{view}"),
            format!("/slave%281%29/{view}/"),
            format!("/{view}.json"),
        ] {
            // The use of resources rises.
            let shown = stage.agent(&path);
            assert_eq!(shown.is_array(), plain.is_array(), "{path}");
            if view != "monitor/statistics" && view != "containers" {
                assert_eq!(shown, plain, "{path}");
            }
        }
    }
    assert_eq!(master.get("/master/nothing").status, 404);
    assert_eq!(master.get_agent("/slave(1)/tasks").status, 404);
}
