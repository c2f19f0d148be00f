//! Calls to an agent's executor API from who is no executor of it.

use serde_json::{Value, json};
use tepui_integration::raw::{Answer, Request};

use super::{Rule, Stage, check_refused};

/// The rules of this file.
pub const RULES: &[Rule] = &[
    Rule {
        id: "EXEC-1",
        sent: "a wrong method, no type, another type, no JSON or a record of RecordIO, whole or truncated",
        answer: "405, 400, 415, 400",
        check: |stage| {
            let agent = stage.cluster.agent_address(0);
            let path = "/api/v1/executor";
            let answer = Request::new("GET", path).send(&agent);
            assert_eq!(answer.status, 405, "{answer:?}");
            let answer = Request::new("POST", path).with_body("{}").send(&agent);
            check_refused(&answer, 400, "Content-Type");
            let answer = Request::post(path, "application/recordio", "2\n{}").send(&agent);
            check_refused(&answer, 415, "");
            for body in ["", "2\n{", "3\n{}\n", "100\n{\"type\":", "5\n{}", "12"] {
                let answer = Request::post(path, "application/json", body).send(&agent);
                check_refused(&answer, 400, "JSON");
            }
        },
    },
    Rule {
        id: "EXEC-2",
        sent: "a call without ids, or of a framework or executor that the agent does not have",
        answer: "400",
        check: |stage| {
            let framework = json!({"value": stage.framework.framework_id()});
            let executor = json!({"value": "nobody"});
            let nobody = json!({"value": "nobody"});
            let subscribe = json!({"unacknowledged_tasks": [], "unacknowledged_updates": []});
            for (call, said) in [
                (
                    json!({"type": "SUBSCRIBE", "subscribe": subscribe}),
                    "executor_id",
                ),
                (
                    json!({"type": "SUBSCRIBE", "subscribe": subscribe, "framework_id": framework}),
                    "executor_id",
                ),
                (
                    json!({"type": "SUBSCRIBE", "subscribe": subscribe, "executor_id": executor}),
                    "framework_id",
                ),
                (
                    json!({"type": "SUBSCRIBE", "subscribe": subscribe, "framework_id": framework,
                        "executor_id": executor}),
                    "cannot be found",
                ),
                (
                    json!({"type": "MESSAGE", "message": {"data": "AAAA"}, "framework_id": nobody,
                        "executor_id": executor}),
                    "cannot be found",
                ),
            ] {
                check_refused(&send(stage, &call), 400, said);
            }
        },
    },
    Rule {
        id: "EXEC-3",
        sent: "an update of a task's state by an executor that is not there, in the master's name, or without a uuid",
        answer: "400 or 403; the task goes on",
        check: |stage| {
            let name = stage.name();
            let offer = stage.framework.offer(|_| true);
            let task = super::offers::long_task(&name);
            stage.framework.launch(&offer, vec![task]);
            stage.framework.state(&name, "TASK_RUNNING");
            let status = |source: &str| {
                json!({
                    "task_id": {"value": name}, "state": "TASK_FINISHED", "source": source,
                    "uuid": "AAAAAAAAQACAAAAAAAAAAA==",
                })
            };
            let id = json!({"value": stage.framework.framework_id()});
            for (executor, status) in [
                ("nobody", status("SOURCE_EXECUTOR")),
                (name.as_str(), status("SOURCE_MASTER")),
                (
                    name.as_str(),
                    json!({"task_id": {"value": name}, "state": "TASK_FINISHED"}),
                ),
            ] {
                let call = json!({
                    "type": "UPDATE", "framework_id": id, "executor_id": {"value": executor},
                    "update": {"status": status},
                });
                let answer = send(stage, &call);
                assert!([400, 403].contains(&answer.status), "{answer:?}");
            }
            stage.framework.kill(&name);
            stage.framework.state(&name, "TASK_KILLED");
        },
    },
    Rule {
        id: "EXEC-4",
        sent: "protobuf in which a container id has 20,000 parents",
        answer: "400, and no stack overflows",
        check: |stage| {
            let mut container = field(1, b"c");
            for _ in 0..20_000 {
                container = [field(1, b"c"), field(2, &container)].concat();
            }
            // ContainerStatus.container_id, TaskStatus.container_status, Update.status.
            let status = field(13, &field(4, &container));
            let update = field(5, &field(1, &status));
            let ids = [field(1, &field(1, b"e")), field(2, &field(1, b"f"))].concat();
            let call = [ids, vec![0x18, 2], update].concat();
            let request = Request::post("/api/v1/executor", "application/x-protobuf", call);
            let answer = request.send(&stage.cluster.agent_address(0));
            check_refused(&answer, 400, "");
        },
    },
];

fn send(stage: &Stage, call: &Value) -> Answer {
    let body = call.to_string().into_bytes();
    let request = Request::post("/api/v1/executor", "application/json", body);
    request.send(&stage.cluster.agent_address(0))
}

/// A field of protobuf that holds bytes.
fn field(number: usize, bytes: &[u8]) -> Vec<u8> {
    let mut field = Vec::with_capacity(bytes.len() + 6);
    for mut value in [number << 3 | 2, bytes.len()] {
        while value >= 0x80 {
            field.push(value as u8 | 0x80);
            value >>= 7;
        }
        field.push(value as u8);
    }
    field.extend_from_slice(bytes);
    field
}
