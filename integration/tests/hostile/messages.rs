//! libprocess messages from strangers, who claim what they like.

use std::time::Instant;

use serde_json::{Value, json};
use tepui_integration::raw::{Answer, Request, exchange_and_close};

use super::offers::long_task;
use super::{PATIENCE, Rule, Stage, check_refused};

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
        answer: "400",
        check: |stage| {
            for kind in ["text/html", "application/jsonp"] {
                let request = Request::message(CALL, STRANGER, kind, "{}");
                stage.refused(&request, 400, "names no encoding");
            }
        },
    },
    Rule {
        id: "MSG-5",
        sent: "a message whose sender is no address",
        answer: "500",
        check: |stage| {
            for from in [
                "",
                "nobody",
                "a@b",
                "a@127.0.0.1",
                "a@127.0.0.1:99999",
                "@:",
            ] {
                let request = Request::message(CALL, from, JSON, "{}");
                stage.refused(
                    &request,
                    500,
                    "the sender of the message cannot be determined",
                );
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
                stage.refused(&request, 400, "does not send over the network");
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
                check_refused(&answer, 400, "does not take");
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
            // Master, agent and executor serve one message after the other, and this takes longer
            // than the end of a task.
            stage.runs_a_task();
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
        answer: "202 as for every message; they are not admitted, and the master's log says why",
        check: |stage| {
            let cpus = |value: Value| json!([{"name": "cpus", "type": "SCALAR", "scalar": {"value": value}}]);
            let mut register = |name: &str, slave: Value, said: &str| {
                let path = format!("/master/mesos.internal.{name}");
                let body = json!({"slave": slave, "version": "1.11.0"});
                message(stage.cluster.address(), &path, &body);
                let master = &mut stage.cluster.master;
                master.wait_for(said, |line| line.contains(STRANGER) && line.contains(said));
            };
            let register_as_new = "RegisterSlaveMessage";
            for amount in [json!(-5), json!("NaN"), json!("Infinity")] {
                let slave = json!({"hostname": "h", "resources": cpus(amount)});
                register(register_as_new, slave, "invalid resource 'cpus'");
            }
            for name in [register_as_new, "ReregisterSlaveMessage"] {
                let slave = json!({"hostname": "h", "id": {"value": "../../x"}});
                register(name, slave, "contains invalid characters");
            }
            // One that is in order, and has nothing to offer, is admitted behind them.
            register(register_as_new, json!({"hostname": "h"}), "registered with");
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
                let request = format!("{head}{rest}");
                let answer = exchange_and_close(stage.cluster.address(), request.as_bytes());
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
            let start = Instant::now();
            let names = || stage.frameworks("frameworks");
            while names().contains(&"unreachable".to_owned()) {
                assert!(start.elapsed() < PATIENCE, "it stays");
            }
            let gone = stage.frameworks("completed_frameworks");
            assert!(gone.contains(&"unreachable".to_owned()), "{gone:?}");
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
