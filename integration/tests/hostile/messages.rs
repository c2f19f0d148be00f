//! libprocess messages from strangers, who claim what they like.

use serde_json::{Value, json};
use tepui_integration::raw::{Answer, Request, exchange};

use super::offers::long_task;
use super::{Rule, Stage, check_refused};

const STRANGER: &str = "stranger(1)@127.0.0.1:9";
const CALL: &str = "/master/mesos.v1.scheduler.Call";
const MSGPACK: &str = "application/msgpack";
const JSON: &str = "application/json";

/// The rules of this file.
pub const RULES: &[Rule] = &[
    Rule {
        id: "MSG-1",
        sent: "a message to a process that is not there",
        answer: "404",
        check: |stage| {
            let request = Request::message("/nobody/x.Y", STRANGER, JSON, "{}");
            stage.refused(&request, 404, "");
        },
    },
    Rule {
        id: "MSG-2",
        sent: "a message of a name that the process does not know",
        answer: "400",
        check: |stage| {
            for path in ["/master/no.such.Message", "/master/", "/master"] {
                let answer =
                    Request::message(path, STRANGER, JSON, "{}").send(stage.cluster.address());
                assert_eq!(answer.status, 400, "{path}: {answer:?}");
            }
        },
    },
    Rule {
        id: "MSG-3",
        sent: "a message whose body is none: cut off, of another type, random, 100,000 levels deep",
        answer: "400",
        check: |stage| {
            let deep = [0x91].repeat(100_000);
            let deep_map = b"\x81\xa1a".repeat(100_000);
            for (kind, body) in [
                (JSON, b"{\"type\":".to_vec()),
                (JSON, b"[".repeat(100_000)),
                (MSGPACK, b"\x81\xa4type\xa9SUBSC".to_vec()),
                (MSGPACK, b"\xdf\xff\xff\xff\xff".to_vec()),
                (MSGPACK, b"\xc6\xff\xff\xff\xff".to_vec()),
                (MSGPACK, deep),
                (MSGPACK, deep_map),
                (MSGPACK, Vec::new()),
                ("application/x-protobuf", vec![0x12, 0xff, 0xff, 0x7f]),
                ("application/x-protobuf", vec![0xff; 64]),
            ] {
                let request = Request::message(CALL, STRANGER, kind, body);
                stage.refused(&request, 400, "");
            }
        },
    },
    Rule {
        id: "MSG-4",
        sent: "a message of a type that is no encoding",
        answer: "400 or 415",
        check: |stage| {
            let answer =
                Request::message(CALL, STRANGER, "text/html", "{}").send(stage.cluster.address());
            assert!([400, 415].contains(&answer.status), "{answer:?}");
        },
    },
    Rule {
        id: "MSG-5",
        sent: "a message whose sender is no address",
        answer: "400 or 500",
        check: |stage| {
            for from in [
                "",
                "nobody",
                "a@b",
                "a@127.0.0.1",
                "a@127.0.0.1:99999",
                "@:",
            ] {
                let answer = Request::message(CALL, from, JSON, "{}").send(stage.cluster.address());
                assert!([400, 500].contains(&answer.status), "{from:?}: {answer:?}");
            }
        },
    },
    Rule {
        id: "MSG-6",
        sent: "a message whose sender claims to be the very node that receives it",
        answer: "400",
        check: |stage| {
            let master = stage.cluster.address().to_owned();
            let teardown = json!({
                "type": "TEARDOWN",
                "framework_id": {"value": stage.framework.framework_id()},
            });
            for id in ["master", "http-scheduler(1)", "registrar(1)"] {
                let from = format!("{id}@{master}");
                let request = Request::message(CALL, &from, JSON, teardown.to_string());
                stage.refused(&request, 400, "");
            }
        },
    },
    Rule {
        id: "MSG-7",
        sent: "a message that is its node's own: for containerizer, registrar, allocator; an operator's",
        answer: "400",
        check: |stage| {
            let (master, agent) = (
                stage.cluster.address().to_owned(),
                stage.cluster.agent_address(0),
            );
            for (address, path) in [
                (&agent, "/containerizer(1)/tepui.containerizer.Launch"),
                (&agent, "/containerizer(1)/tepui.containerizer.Destroy"),
                (&master, "/registrar(1)/tepui.registrar.Apply"),
                (&master, "/master/tepui.operator.Operate"),
                (
                    &master,
                    "/hierarchical-allocator(1)/tepui.allocator.AddAgent",
                ),
            ] {
                let answer = Request::message(path, STRANGER, JSON, "{}").send(address);
                check_refused(&answer, 400, "");
            }
        },
    },
    Rule {
        id: "MSG-8",
        sent: "a call for a framework from a PID that is not the framework's",
        answer: "202 as for every message; it is dropped, and the framework's task runs on",
        check: |stage| {
            let name = running(stage);
            let id = json!({"value": stage.framework.framework_id()});
            for mut call in [
                json!({"type": "KILL", "kill": {"task_id": {"value": name}}}),
                json!({"type": "TEARDOWN"}),
            ] {
                call["framework_id"] = id.clone();
                message(stage.cluster.address(), CALL, &call);
            }
            // The master serves one message after the other.
            let tasks = json!([{"task_id": {"value": name}}]);
            let call = json!({"type": "RECONCILE", "reconcile": {"tasks": tasks}});
            assert_eq!(stage.framework.call(call), 202);
            let status = stage.framework.status(&name, |_| true);
            assert_eq!(status["state"], "TASK_RUNNING", "{status:#}");
            assert_eq!(status["reason"], "REASON_RECONCILIATION", "{status:#}");
            killed(stage, &name);
        },
    },
    Rule {
        id: "MSG-9",
        sent: "orders to an agent from who is not its master: run, kill, shut down",
        answer: "202 as for every message; they are dropped, and the agent's task runs on",
        check: |stage| {
            let name = running(stage);
            let framework = json!({"value": stage.framework.framework_id()});
            let task = json!({"value": name});
            for (order, body) in [
                (
                    "mesos.internal.KillTaskMessage",
                    json!({"framework_id": framework, "task_id": task}),
                ),
                (
                    "mesos.internal.ShutdownFrameworkMessage",
                    json!({"framework_id": framework}),
                ),
                ("mesos.internal.ShutdownMessage", json!({"message": "go"})),
            ] {
                message(
                    &stage.cluster.agent_address(0),
                    &format!("/slave(1)/{order}"),
                    &body,
                );
            }
            // The agent serves one message after the other: it has run a task behind them.
            stage.runs_a_task();
            let tasks = json!([{"task_id": task}]);
            let call = json!({"type": "RECONCILE", "reconcile": {"tasks": tasks}});
            assert_eq!(stage.framework.call(call), 202);
            let status = stage.framework.status(&name, |_| true);
            assert_eq!(status["state"], "TASK_RUNNING", "{status:#}");
            killed(stage, &name);
        },
    },
    Rule {
        id: "MSG-10",
        sent: "agents that register with resources that cannot be, or an id that leads out",
        answer: "400, or no answer to the agent; they are not admitted",
        check: |stage| {
            let scalar = |value: Value| json!([{"name": "cpus", "type": "SCALAR", "scalar": {"value": value}}]);
            for (hostname, resources) in [
                ("h", scalar(json!(-5))),
                ("h", scalar(json!("NaN"))),
                ("h", scalar(json!("Infinity"))),
            ] {
                let slave = json!({"hostname": hostname, "resources": resources});
                let body = json!({"slave": slave, "version": "1.11.0"});
                let path = "/master/mesos.internal.RegisterSlaveMessage";
                let request = Request::message(path, STRANGER, JSON, body.to_string());
                let answer = request.send(stage.cluster.address());
                assert!([202, 400].contains(&answer.status), "{answer:?}");
            }
            // The registry takes one after the other: this one comes behind all those.
            stage
                .cluster
                .add_agent(&["--resources=cpus:1;mem:128;disk:0;ports:[]"]);
            let answer = Request::new("GET", "/slaves").send(stage.cluster.address());
            let body: Value = serde_json::from_str(&answer.body).expect("JSON");
            let agents = body["slaves"].as_array().expect("a list");
            assert_eq!(agents.len(), 2, "{answer:?}");
        },
    },
    Rule {
        id: "MSG-11",
        sent: "a message with two lengths, a length and chunks, a bad chunk, or a bad escape",
        answer: "400 or 413, and the connection is closed",
        check: |stage| {
            let head = format!("POST {CALL} HTTP/1.1\r\nLibprocess-From: {STRANGER}\r\n");
            for rest in [
                "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
                "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
                "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
                "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}\r\n0\r\n\r\n",
                "Transfer-Encoding: gzip\r\n\r\n",
                "Content-Length: 18446744073709551617\r\n\r\n{}",
            ] {
                let answer = exchange(stage.cluster.address(), format!("{head}{rest}").as_bytes());
                let answer = answer.unwrap_or_else(|| panic!("no answer to {rest:?}"));
                assert!([400, 413].contains(&answer.status), "{rest:?}: {answer:?}");
            }
        },
    },
    Rule {
        id: "MSG-12",
        sent: "a subscription from an address at which nobody listens",
        answer: "202; the framework is gone as soon as its address does not answer",
        check: |stage| {
            let call = super::subscribe(super::info("unreachable"));
            let nobody = "ghost@127.0.0.1:1";
            let request = Request::message(CALL, nobody, JSON, call.to_string());
            let answer = request.send(stage.cluster.address());
            assert_eq!(answer.status, 202, "{answer:?}");
            stage
                .cluster
                .master
                .wait_for("the end of the framework", |line| {
                    line.contains(nobody) && line.contains("disconnected")
                });
        },
    },
];

/// Sends a message that is taken, whatever becomes of it.
fn message(address: &str, path: &str, body: &Value) -> Answer {
    let answer = Request::message(path, STRANGER, JSON, body.to_string()).send(address);
    assert_eq!(answer.status, 202, "{path}: {answer:?}");
    answer
}

/// Starts a task that runs long.
fn running(stage: &mut Stage) -> String {
    let name = stage.name();
    let offer = stage.framework.offer(|_| true);
    stage.framework.launch(&offer, vec![long_task(&name)]);
    stage.framework.state(&name, "TASK_RUNNING");
    name
}

fn killed(stage: &mut Stage, name: &str) {
    stage.framework.kill(name);
    stage
        .framework
        .status(name, |status| status["state"] == "TASK_KILLED");
}
