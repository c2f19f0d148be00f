//! The walk over the schema: every field is set by itself and is taken or named. A field that
//! comes into the schema is in neither list below, and fails the test.

use std::collections::BTreeSet;

use tepui_protocol::protobuf;
use tepui_protocol::shape::{FieldShape, Kind, MessageShape};

use tepui_protocol::mesos::v1::{CheckInfo, HealthCheck};

use super::*;

/// Protobuf of one field, with what its message requires inside.
fn write_field(field: &FieldShape, value: Option<u64>, inner: Option<Vec<u8>>, out: &mut Vec<u8>) {
    let (wire, payload) = match &field.kind {
        Kind::Varint => (0, varint(value.unwrap_or(1))),
        Kind::Enum(shape) => {
            let last = shape.values.last().map_or(0, |(number, _)| *number);
            (0, varint(value.unwrap_or(u64::try_from(last).unwrap())))
        }
        Kind::Fixed64 => (1, 1_f64.to_le_bytes().to_vec()),
        Kind::Text | Kind::Bytes => (2, framed(b"x")),
        Kind::Message(shape) => (
            2,
            framed(&inner.unwrap_or_else(|| write_required(shape, None))),
        ),
    };
    out.extend(varint(u64::from(field.number) << 3 | wire));
    out.extend(payload);
}

fn write_required(shape: &MessageShape, except: Option<u32>) -> Vec<u8> {
    let mut out = Vec::new();
    let required = shape.fields.iter().filter(|field| field.bit != 0);
    for field in required.filter(|field| Some(field.number) != except) {
        write_field(field, None, None, &mut out);
    }
    out
}

fn framed(payload: &[u8]) -> Vec<u8> {
    let mut out = varint(payload.len() as u64);
    out.extend_from_slice(payload);
    out
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value > 0x7f {
        out.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap());
    out
}

/// Every field below `shape` with the bytes of a message that has it: enums once for each value,
/// messages whose fields have rules of their own by those fields.
fn samples(shape: &MessageShape, path: &str, rules: &[(&str, Rule)]) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for field in shape.fields {
        let path = if path.is_empty() {
            field.name.to_owned()
        } else {
            format!("{path}.{}", field.name)
        };
        let mut add = |name: String, value: Option<u64>, inner: Option<Vec<u8>>| {
            let mut bytes = write_required(shape, Some(field.number));
            write_field(field, value, inner, &mut bytes);
            found.push((name, bytes));
        };
        let inside = rules
            .iter()
            .any(|(rule, what)| *rule == path && matches!(what, Rule::Inside));
        match &field.kind {
            Kind::Enum(shape) => {
                for (number, name) in shape.values {
                    add(format!("{path}={name}"), u64::try_from(*number).ok(), None);
                }
            }
            // A map is named by its keys, which the schema does not list.
            Kind::Message(inner) if inside && !inner.is_map_entry => {
                for (path, bytes) in samples(inner, &path, rules) {
                    add(path, None, Some(bytes));
                }
            }
            _ => add(path.clone(), None, None),
        }
    }
    found
}

/// The fields of `M` that are taken, and those that are refused. Whatever is refused is named.
fn sorted<M: Schema>(
    rules: &[(&str, Rule)],
    prefix: &str,
    refused: impl Fn(&M) -> Vec<String>,
) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut taken, mut named) = (BTreeSet::new(), BTreeSet::new());
    for (path, bytes) in samples(M::SHAPE, "", rules) {
        let message: M = protobuf::decode(&bytes).unwrap_or_else(|error| panic!("{path}: {error}"));
        let field = path.split('=').next().unwrap_or_default();
        let found = refused(&message);
        let plain: Vec<String> = found.iter().map(|field| field.replace("[0]", "")).collect();
        if found.is_empty() {
            taken.insert(path);
        } else {
            // An entry of a map is named by its key, which is empty here.
            let name = format!("{prefix}{field}");
            let is_named = plain.contains(&name) || plain.contains(&format!("{name}."));
            assert!(is_named, "{path} is refused as {found:?}");
            named.insert(path);
        }
    }
    (taken, named)
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn every_field_of_a_command_is_taken_or_named() {
    let (taken, named) = sorted::<CommandInfo>(COMMAND, "command.", |command| {
        unsupported_fields(command, None)
    });
    let expected = [
        "arguments",
        "environment.variables.name",
        "environment.variables.type=VALUE",
        "environment.variables.value",
        "shell",
        "uris.cache",
        "uris.executable",
        "uris.extract",
        "uris.output_file",
        "uris.value",
        "user",
        "value",
    ];
    assert_eq!(taken, set(&expected));
    let expected = [
        "environment.variables.secret",
        "environment.variables.type=SECRET",
        "environment.variables.type=UNKNOWN",
    ];
    assert_eq!(named, set(&expected));
}

#[test]
fn every_field_of_a_container_is_taken_or_named() {
    let command = CommandInfo::default();
    let (taken, named) = sorted::<ContainerInfo>(CONTAINER, "container.", |container| {
        unsupported_fields(&command, Some(container))
    });
    let taken: BTreeSet<String> = taken
        .into_iter()
        .filter(|path| !path.contains(".type=RLMT_"))
        .collect();
    let expected = [
        "linux_info.ipc_mode=PRIVATE",
        "linux_info.ipc_mode=SHARE_PARENT",
        "linux_info.share_cgroups",
        "linux_info.share_pid_namespace",
        "linux_info.shm_size",
        "type=MESOS",
    ];
    assert_eq!(taken, set(&expected));
    let expected = [
        "docker",
        "hostname",
        "linux_info.bounding_capabilities",
        "linux_info.capability_info",
        "linux_info.effective_capabilities",
        "linux_info.ipc_mode=UNKNOWN",
        "linux_info.seccomp",
        "mesos.image",
        "network_infos",
        // One without the other is refused; both together are tested below.
        "rlimit_info.rlimits.hard",
        "rlimit_info.rlimits.soft",
        "rlimit_info.rlimits.type=UNKNOWN",
        "tty_info",
        "type=DOCKER",
        "volumes",
    ];
    assert_eq!(named, set(&expected));
}

#[test]
fn every_field_of_a_task_is_taken_or_named() {
    let (taken, named) = sorted::<TaskInfo>(TASK, "", unsupported_task_fields);
    let expected = [
        "agent_id",
        // What is below these has rules of its own.
        "check",
        "command",
        "data",
        "discovery",
        "health_check",
        "kill_policy",
        "labels",
        "max_completion_time",
        "name",
        "resources",
        "task_id",
    ];
    // The sample of a container is one of an executor's too: required fields, no more.
    let expected: BTreeSet<String> = set(&expected)
        .into_iter()
        .chain(set(&["container", "executor"]))
        .collect();
    assert_eq!(taken, expected);
    assert_eq!(named, set(&["limits"]));
}

fn checked(check: Option<CheckInfo>, health_check: Option<HealthCheck>) -> TaskInfo {
    TaskInfo {
        check,
        health_check,
        ..TaskInfo::default()
    }
}

#[test]
fn every_field_of_a_health_check_is_taken_or_named() {
    let (taken, named) = sorted::<HealthCheck>(HEALTH_CHECK, "health_check.", |check| {
        unsupported_task_fields(&checked(None, Some(check.clone())))
    });
    let expected = [
        "command.arguments",
        "command.environment.variables.name",
        "command.environment.variables.type=VALUE",
        "command.environment.variables.value",
        "command.shell",
        "command.value",
        "consecutive_failures",
        "delay_seconds",
        "grace_period_seconds",
        "http.path",
        "http.port",
        "http.protocol=IPv4",
        "http.protocol=IPv6",
        "interval_seconds",
        "tcp.port",
        "tcp.protocol=IPv4",
        "tcp.protocol=IPv6",
        "timeout_seconds",
        "type=COMMAND",
        "type=HTTP",
        "type=TCP",
    ];
    assert_eq!(taken, set(&expected));
    let expected = [
        "command.environment.variables.secret",
        "command.environment.variables.type=SECRET",
        "command.environment.variables.type=UNKNOWN",
        "command.uris",
        "command.user",
        // Another text than http and https.
        "http.scheme",
        // Mesos' executors do not look at it either.
        "http.statuses",
        "type=UNKNOWN",
    ];
    assert_eq!(named, set(&expected));
}

#[test]
fn every_field_of_a_check_is_taken_or_named() {
    let (taken, named) = sorted::<CheckInfo>(CHECK, "check.", |check| {
        unsupported_task_fields(&checked(Some(check.clone()), None))
    });
    let expected = [
        "command.command.arguments",
        "command.command.environment.variables.name",
        "command.command.environment.variables.type=VALUE",
        "command.command.environment.variables.value",
        "command.command.shell",
        "command.command.value",
        "delay_seconds",
        "http.path",
        "http.port",
        "interval_seconds",
        "tcp.port",
        "timeout_seconds",
        "type=COMMAND",
        "type=HTTP",
        "type=TCP",
    ];
    assert_eq!(taken, set(&expected));
    let expected = [
        "command.command.environment.variables.secret",
        "command.command.environment.variables.type=SECRET",
        "command.command.environment.variables.type=UNKNOWN",
        "command.command.uris",
        "command.command.user",
        "type=UNKNOWN",
    ];
    assert_eq!(named, set(&expected));
}

#[test]
fn a_check_has_a_scheme_and_a_port_that_there_are() {
    let task = |http: &str| {
        let text = format!("{{\"type\":\"HTTP\",\"http\":{{{http}}}}}");
        let check = json::from_slice(text.as_bytes()).unwrap();
        unsupported_task_fields(&checked(None, Some(check)))
    };
    assert_eq!(task(r#""scheme":"https","port":65535"#), [""; 0]);
    assert_eq!(task(r#""scheme":"http","port":0"#), [""; 0]);
    let expected = ["health_check.http.port", "health_check.http.scheme"];
    assert_eq!(task(r#""scheme":"ftp","port":65536"#), expected);
}

#[test]
fn the_checks_of_a_framework_s_own_executor_are_its_own_matter() {
    let task = |executor: Option<ExecutorInfo>| {
        let text = br#"{"type":"HTTP","http":{"port":1,"statuses":[204]}}"#;
        let health_check: HealthCheck = json::from_slice(text).unwrap();
        let uris = br#"{"type":"COMMAND","command":{"command":{"uris":[{"value":"x"}]}}}"#;
        let check: CheckInfo = json::from_slice(uris).unwrap();
        unsupported_task_fields(&TaskInfo {
            executor,
            ..checked(Some(check), Some(health_check))
        })
    };
    assert_eq!(task(Some(ExecutorInfo::default())), [""; 0]);
    let default = ExecutorInfo {
        r#type: Some(executor_info::Type::Default as i32),
        ..ExecutorInfo::default()
    };
    let expected = ["check.command.command.uris", "health_check.http.statuses"];
    assert_eq!(task(None), expected);
    assert_eq!(task(Some(default)), expected);
}

#[test]
fn every_field_of_an_executor_is_taken_or_named() {
    let (taken, named) = sorted::<ExecutorInfo>(EXECUTOR, "executor.", unsupported_executor_fields);
    let expected = [
        "command",
        "container",
        "data",
        "discovery",
        "executor_id",
        "framework_id",
        "labels",
        "name",
        "resources",
        "shutdown_grace_period",
        "source",
        "type=CUSTOM",
        "type=DEFAULT",
    ];
    assert_eq!(taken, set(&expected));
    assert_eq!(named, set(&["type=UNKNOWN"]));
}

#[test]
fn a_default_executor_has_no_command_of_its_own() {
    let default = ExecutorInfo {
        r#type: Some(executor_info::Type::Default as i32),
        ..ExecutorInfo::default()
    };
    assert_eq!(unsupported_executor_fields(&default), [""; 0]);
    let wrong = ExecutorInfo {
        command: Some(CommandInfo::default()),
        ..default
    };
    assert_eq!(unsupported_executor_fields(&wrong), ["executor.command"]);
}

#[test]
fn a_resource_limit_has_both_values_or_none() {
    let container = |text: &str| {
        let text = format!("{{\"type\":\"MESOS\",\"rlimit_info\":{{\"rlimits\":[{text}]}}}}");
        let container: ContainerInfo = json::from_slice(text.as_bytes()).unwrap();
        unsupported_fields(&CommandInfo::default(), Some(&container))
    };
    assert_eq!(
        container(r#"{"type":"RLMT_NOFILE","soft":1,"hard":2}"#),
        [""; 0]
    );
    assert_eq!(container(r#"{"type":"RLMT_NOFILE"}"#), [""; 0]);
    let found = container(r#"{"type":"RLMT_NOFILE","soft":1},{"hard":1,"soft":1}"#);
    let expected = [
        "container.rlimit_info.rlimits[0].soft",
        "container.rlimit_info.rlimits[1].type",
    ];
    assert_eq!(found, expected);
}

#[test]
fn only_limits_that_cgroups_have_are_taken() {
    let task = |text: &str| {
        let text = format!(
            "{{\"name\":\"t\",\"task_id\":{{\"value\":\"t\"}},\"agent_id\":{{\"value\":\"a\"}},\
             \"limits\":{{{text}}}}}"
        );
        unsupported_task_fields(&json::from_slice(text.as_bytes()).unwrap())
    };
    assert_eq!(task(r#""cpus":{"value":1},"mem":{"value":1}"#), [""; 0]);
    assert_eq!(task(r#""disk":{"value":1}"#), ["limits.disk"]);
}

#[test]
fn an_infinite_limit_is_taken() {
    let mut task = TaskInfo::default();
    let infinite = tepui_protocol::mesos::v1::value::Scalar {
        value: f64::INFINITY,
    };
    task.limits.insert("mem".to_owned(), infinite);
    assert_eq!(unsupported_task_fields(&task), [""; 0]);
}
