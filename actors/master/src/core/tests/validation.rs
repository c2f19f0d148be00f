//! What a task must be, in the words of its TASK_ERROR; and what a call must have.
//!
//! The words are what Apache Mesos 1.11 answers to the same task, except where `ours` says so.

mod parts;

use serde_json::{Value, json};
use tepui_protocol::mesos::v1::scheduler::{Call, call};
use tepui_protocol::mesos::v1::{FrameworkId, TaskInfo, TaskState};

use super::bench::{Bench, command_task, launch, uuid};
use crate::core::validation;

/// The plain task on agent `m-S0`, with fields replaced, or taken away where they are null.
fn task(changes: &Value) -> TaskInfo {
    let mut task = json!({
        "name": "t",
        "task_id": {"value": "t"},
        "agent_id": {"value": "m-S0"},
        "resources": [scalar("cpus", 1.0), scalar("mem", 64.0)],
        "command": {"value": "true"},
    });
    for (field, value) in changes.as_object().unwrap() {
        task[field] = value.clone();
    }
    task.as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    let text = serde_json::to_vec(&task).unwrap();
    tepui_protocol::json::from_slice(&text).unwrap()
}

fn scalar(name: &str, value: f64) -> Value {
    json!({"name": name, "type": "SCALAR", "scalar": {"value": value}})
}

/// A scalar with one more field.
fn with(name: &str, value: f64, field: &str, more: Value) -> Value {
    let mut scalar = scalar(name, value);
    scalar[field] = more;
    scalar
}

/// A task with an executor instead of a command.
fn executor(changes: Value) -> Value {
    let mut executor = json!({
        "executor_id": {"value": "e"},
        "command": {"value": "true"},
        "resources": [scalar("cpus", 0.1), scalar("mem", 32.0)],
    });
    for (field, value) in changes.as_object().unwrap() {
        executor[field] = value.clone();
    }
    executor
        .as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    json!({"command": null, "executor": executor})
}

/// What the framework hears when it launches the task on an offer of 3 cpus and 900 MB.
fn answer(changes: &Value) -> Option<String> {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let agent = bench.agent("s", "cpus:4;mem:1024");
    bench.run("a", &id, &agent, "taken");
    let offers = bench.offer(&id, &agent, "cpus:3;mem:900");
    bench.take_events("a");
    bench.launch("a", &id, &offers[0], task(changes));
    let statuses = bench.take_statuses("a");
    let status = statuses.first()?;
    assert_eq!(status.state(), TaskState::TaskError);
    Some(status.message().to_owned())
}

fn check(cases: &[(Value, &str)]) {
    for (changes, expected) in cases {
        assert_eq!(answer(changes).as_deref(), Some(*expected), "{changes}");
    }
}

fn passes(changes: &Value) {
    assert_eq!(answer(changes), None, "{changes}");
}

#[test]
fn a_plain_task_is_launched() {
    passes(&json!({}));
    passes(&executor(json!({})));
}

#[test]
fn ids_are_checked() {
    let id = |id: &str| json!({"task_id": {"value": id}});
    check(&[
        (id(""), "ID must not be empty"),
        (id("."), "'.' is disallowed"),
        (id(".."), "'..' is disallowed"),
        (id("a/b"), "'a/b' contains invalid characters"),
        (id("a\\b"), "'a\\b' contains invalid characters"),
        (id("a\nb"), "'a\nb' contains invalid characters"),
        (id("a\0b"), "'a\0b' contains invalid characters"),
        (
            id(&"x".repeat(256)),
            "ID must not be greater than 255 characters",
        ),
        (id("taken"), "Task has duplicate ID: taken"),
        (
            json!({"agent_id": {"value": "x"}}),
            "Task uses invalid agent x while agent m-S0 is expected",
        ),
    ]);
    passes(&id("a b"));
    passes(&id("\u{e9}"));
    passes(&id(&"x".repeat(255)));
}

#[test]
fn times_are_not_negative() {
    let negative = json!({"nanoseconds": -1});
    check(&[
        (
            json!({"kill_policy": {"grace_period": negative}}),
            "Task's 'kill_policy.grace_period' must be non-negative",
        ),
        (
            json!({"max_completion_time": negative}),
            "Task's `max_completion_time` must be non-negative",
        ),
    ]);
}

#[test]
fn each_resource_is_checked() {
    let only = |resource: Value| json!({"resources": [resource]});
    let ranges = |ranges: Value| {
        only(json!({"name": "ports", "type": "RANGES", "ranges": {"range": ranges}}))
    };
    check(&[
        (json!({"resources": []}), "Task uses no resources"),
        (
            only(scalar("cpus", 0.0004)),
            "Resource 'cpus:0' is invalid: Invalid scalar resource: value <= 0",
        ),
        (
            only(scalar("cpus", -1.0)),
            "Resource 'cpus:-1' is invalid: Invalid scalar resource: value <= 0",
        ),
        (
            only(scalar("", 1.0)),
            "Resource ':1' is invalid: Empty resource name",
        ),
        (
            only(json!({"name": "cpus", "type": "SCALAR"})),
            "Resource 'cpus:0' is invalid: Invalid scalar resource",
        ),
        (
            ranges(json!([{"begin": 5, "end": 3}])),
            "Resource 'ports:[5-3]' is invalid: Invalid ranges resource: begin > end",
        ),
        (
            ranges(json!([{"begin": 1, "end": 5}, {"begin": 3, "end": 8}])),
            "Resource 'ports:[1-5, 3-8]' is invalid: Invalid ranges resource: overlapping ranges",
        ),
        (
            only(json!({"name": "s", "type": "SET", "set": {"item": ["a", "a"]}})),
            "Resource 's:{a, a}' is invalid: Invalid set resource: duplicated elements",
        ),
        (
            only(with("cpus", 0.1, "role", json!("/foo"))),
            "Resource 'cpus:0.1' is invalid: Role '/foo' cannot start with a slash",
        ),
        (
            only(with("disk", 1.0, "shared", json!({}))),
            "Resource 'disk<SHARED>:1' is invalid: Only persistent volumes can be shared",
        ),
        (
            only(scalar("gpus", 0.5)),
            "Task uses invalid resources: Invalid 'gpus' resource: The 'gpus' resource must be an \
             unsigned integer",
        ),
        (
            only(scalar("cpus", 1e300)),
            "Resource 'cpus:1e+300' is invalid: Invalid scalar resource: value <= 0",
        ),
        (
            only(with(
                "disk",
                1.0,
                "disk",
                json!({
                    "persistence": {"id": "p"}, "volume": {"container_path": "p", "mode": "RW"}
                }),
            )),
            "Task uses invalid resources: Invalid DiskInfo: Persistent volumes cannot be created \
             from unreserved resources",
        ),
        (
            only(with("disk", 1.0, "disk", json!({}))),
            "Task uses invalid resources: Invalid DiskInfo: DiskInfo is set but empty",
        ),
        // Ours; Mesos 1.11 ends itself.
        (
            only(json!({"name": "cpus", "type": "TEXT"})),
            "Resource 'cpus:text' is invalid: Unsupported resource type: a resource cannot be of \
             type TEXT",
        ),
        // Ours: Mesos launches a task that uses nothing.
        (only(scalar("cpus", 0.0)), "Task uses no resources"),
    ]);
    passes(&json!({"resources": [scalar("cpus", 0.0), scalar("mem", 64.0)]}));
}

#[test]
fn resources_are_checked_together() {
    let x = || json!({"role": "x"});
    check(&[
        (
            json!({"resources": [with("cpus", 0.1, "allocation_info", x()), scalar("mem", 32.0)]}),
            "Invalid task resources: The resources have multiple allocation roles ('*' and 'x') \
             but only one allocation role is allowed",
        ),
        (
            json!({"resources": [
                with("cpus", 0.1, "revocable", json!({})), scalar("cpus", 0.1), scalar("mem", 32.0)
            ]}),
            "Task mixes revocable and non-revocable resources: Cannot use both revocable and \
             non-revocable 'cpus' at the same time",
        ),
        (
            json!({"resources": [with("cpus", 0.1, "allocation_info", x())]}),
            "Total resources cpus(allocated: x):0.1 required by task and its executor is more \
             than available cpus(allocated: *):3; mem(allocated: *):900",
        ),
        (
            json!({"resources": [scalar("cpus", 64.0), scalar("mem", 32.0)]}),
            "Total resources cpus(allocated: *):64; mem(allocated: *):32 required by task and its \
             executor is more than available cpus(allocated: *):3; mem(allocated: *):900",
        ),
        (
            json!({"resources": [with("cpus", 0.1, "revocable", json!({})), scalar("mem", 32.0)]}),
            "Total resources cpus(allocated: *){REV}:0.1; mem(allocated: *):32 required by task \
             and its executor is more than available cpus(allocated: *):3; mem(allocated: *):900",
        ),
        (
            json!({"resources": [with("cpus", 0.1, "role", json!("foo"))]}),
            "Total resources cpus(allocated: *)(reservations: [(STATIC,foo)]):0.1 required by \
             task and its executor is more than available cpus(allocated: *):3; \
             mem(allocated: *):900",
        ),
        (
            json!({"resources": [scalar("cpus", 1.5), scalar("cpus", 2.0)]}),
            "Total resources cpus(allocated: *):3.5 required by task and its executor is more \
             than available cpus(allocated: *):3; mem(allocated: *):900",
        ),
    ]);
}

#[test]
fn one_bad_resource_fails_the_whole_operation() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let agent = bench.agent("s", "cpus:4;mem:1024");
    let offers = bench.offer(&id, &agent, "cpus:4;mem:1024");
    bench.take_events("a");
    let bad = command_task("bad", &agent, "cpus:1");
    let mut bad = vec![command_task("good", &agent, "cpus:1"), bad];
    bad[1].resources[0].scalar.as_mut().unwrap().value = -1.0;
    let other = command_task("other", &agent, "cpus:1");
    let operations = vec![launch(bad), launch(vec![other])];
    bench.accept("a", &id, &[&offers[0]], operations, None);
    let heard = bench.take_statuses("a");
    let heard: Vec<_> = heard
        .iter()
        .map(|s| (s.task_id.value.as_str(), s.message()))
        .collect();
    let words = "Resource 'cpus:-1' is invalid: Invalid scalar resource: value <= 0";
    assert_eq!(heard, [("good", words), ("bad", words)]);
    assert_eq!(bench.state_of(&id, "other"), Some(TaskState::TaskStaging));
}

#[test]
fn limits_are_for_what_is_requested_and_not_below_it() {
    let limit = |name: &str, value: f64| json!({"limits": {name: {"value": value}}});
    let unrequested = |name: &str, left: &str| json!({"limits": {name: {"value": 1}}, "resources": [scalar(left, 64.0)]});
    let only = "Only cpus and mem may be included in a task's resource limits";
    check(&[
        (limit("disk", 1.0), only),
        (limit("gpus", 1.0), only),
        (
            limit("cpus", 0.5),
            "The cpu limit must be greater than or equal to the cpu request",
        ),
        (
            limit("mem", 1.0),
            "The memory limit must be greater than or equal to the memory request",
        ),
        (
            unrequested("cpus", "mem"),
            "When a CPU limit is specified, a CPU request must also be specified",
        ),
        (
            unrequested("mem", "cpus"),
            "When a memory limit is specified, a memory request must also be specified",
        ),
    ]);
    passes(&limit("cpus", 1.0));
    let mut endless = task(&limit("mem", 64.0));
    endless.limits.get_mut("mem").unwrap().value = f64::INFINITY;
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let agent = bench.agent("s", "cpus:4;mem:1024");
    let offers = bench.offer(&id, &agent, "cpus:4;mem:1024");
    bench.launch("a", &id, &offers[0], endless);
    assert_eq!(bench.state_of(&id, "t"), Some(TaskState::TaskStaging));
}

/// Whatever else is wrong, the first of these in Mesos' order is what the framework hears.
#[test]
fn rules_are_tried_in_mesos_order() {
    let negative = json!({"nanoseconds": -1});
    let broken = [
        ("task_id", json!({"value": ""}), "ID must not be empty"),
        (
            "agent_id",
            json!({"value": "x"}),
            "Task uses invalid agent x while agent m-S0 is expected",
        ),
        (
            "kill_policy",
            json!({"grace_period": negative}),
            "Task's 'kill_policy.grace_period' must be non-negative",
        ),
        (
            "max_completion_time",
            negative.clone(),
            "Task's `max_completion_time` must be non-negative",
        ),
        (
            "check",
            json!({}),
            "Task uses invalid check: CheckInfo must specify 'type'",
        ),
        (
            "health_check",
            json!({}),
            "Task uses invalid health check: HealthCheck must specify 'type'",
        ),
        ("resources", json!([]), "Task uses no resources"),
        (
            "container",
            json!({"type": "DOCKER"}),
            "Task's `ContainerInfo` is invalid: DockerInfo 'docker' is not set for DOCKER typed \
             ContainerInfo",
        ),
        (
            "limits",
            json!({"disk": {"value": 1}}),
            "Only cpus and mem may be included in a task's resource limits",
        ),
        (
            "command",
            json!(null),
            "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present",
        ),
    ];
    for first in 0..broken.len() {
        let mut changes = json!({});
        for (field, value, _) in &broken[first..] {
            changes[field] = value.clone();
        }
        assert_eq!(answer(&changes).as_deref(), Some(broken[first].2));
    }
}

#[test]
fn what_is_not_supported_is_named() {
    check(&[
        (
            json!({"health_check": {"type": "HTTP", "http": {"port": 80, "statuses": [204]}}}),
            "Task uses fields that are not supported: health_check.http.statuses",
        ),
        (
            json!({"check": {"type": "TCP", "tcp": {"port": 65536}}}),
            "Task uses fields that are not supported: check.tcp.port",
        ),
    ]);
    let secret = json!({"command": {"value": "true", "environment": {"variables": [
        {"name": "V", "type": "SECRET", "secret": {"type": "VALUE", "value": {"data": "eA=="}}}
    ]}}});
    let message = answer(&secret).unwrap();
    assert!(
        message.contains("command.environment.variables[0].type"),
        "{message}"
    );
}

#[test]
fn a_call_has_the_part_of_its_type() {
    let id = Some(FrameworkId { value: "f".into() });
    let call = |kind: Option<call::Type>, framework_id| Call {
        framework_id,
        r#type: kind.map(|kind| kind as i32),
        ..Call::default()
    };
    let check = |call: &Call| validation::call(call).unwrap_err();
    assert_eq!(check(&call(None, None)), "Expecting 'type' to be present");
    assert_eq!(
        check(&call(Some(call::Type::Subscribe), None)),
        "Expecting 'subscribe' to be present"
    );
    assert_eq!(
        check(&call(Some(call::Type::Accept), None)),
        "Expecting 'framework_id' to be present"
    );
    assert_eq!(
        check(&call(Some(call::Type::Accept), id.clone())),
        "Expecting 'accept' to be present"
    );
    assert_eq!(
        check(&call(Some(call::Type::DeclineInverseOffers), id.clone())),
        "Expecting 'decline_inverse_offers' to be present"
    );
    assert_eq!(
        validation::call(&call(Some(call::Type::Teardown), id.clone())),
        Ok(())
    );
    let mut short = call(Some(call::Type::Acknowledge), id.clone());
    short.acknowledge = Some(call::Acknowledge::default());
    assert_eq!(check(&short), "Not a valid UUID");
    for (uuid, valid) in [
        (uuid(1), true),
        (vec![0; 16], false),
        (vec![0x78; 16], false),
    ] {
        let acknowledge = call::Acknowledge {
            uuid: uuid.into(),
            ..call::Acknowledge::default()
        };
        short.acknowledge = Some(acknowledge);
        assert_eq!(validation::call(&short).is_ok(), valid);
    }
    let mut operation = call(Some(call::Type::AcknowledgeOperationStatus), id.clone());
    let agent = || Some(tepui_protocol::mesos::v1::AgentId::default());
    for (uuid, agent, expected) in [
        (uuid(1), agent(), Ok(())),
        (uuid(1), None, Err("Expecting 'agent_id' to be present")),
        (vec![0; 16], agent(), Err("Not a valid UUID")),
        (vec![1], None, Err("Not a valid UUID")),
    ] {
        let acknowledge = call::AcknowledgeOperationStatus {
            uuid: uuid.into(),
            agent_id: agent,
            ..call::AcknowledgeOperationStatus::default()
        };
        operation.acknowledge_operation_status = Some(acknowledge);
        assert_eq!(
            validation::call(&operation),
            expected.map_err(str::to_owned)
        );
    }
    let mut differs = call(Some(call::Type::Subscribe), id);
    differs.subscribe = Some(call::Subscribe::default());
    assert_eq!(
        check(&differs),
        "'framework_id' differs from 'subscribe.framework_info.id'"
    );
}
