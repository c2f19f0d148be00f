//! The parts of a task: its command, container, checks and executor.

use serde_json::{Value, json};

use super::{answer, check, executor, passes, scalar, with};

#[test]
fn a_command_or_an_executor() {
    let one = "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present";
    let mut both = executor(json!({}));
    both["command"] = json!({"value": "true"});
    let variable = |variable: Value| json!({"command": {"value": "true", "environment": {"variables": [variable]}}});
    check(&[
        (json!({"command": null}), one),
        (both, one),
        (
            variable(json!({"name": "V"})),
            "Task's `CommandInfo` is invalid: Environment variable 'V' of type 'VALUE' must have a \
             value set",
        ),
        (
            variable(json!({"name": "V", "type": "SECRET"})),
            "Task's `CommandInfo` is invalid: Environment variable 'V' of type 'SECRET' must have \
             a secret set",
        ),
        (
            variable(
                json!({"name": "V", "type": "VALUE", "value": "x", "secret": {
                    "type": "VALUE", "value": {"data": "eA=="}
                }}),
            ),
            "Task's `CommandInfo` is invalid: Environment variable 'V' of type 'VALUE' must not \
             have a secret set",
        ),
        (
            variable(json!({"name": "V", "type": "UNKNOWN", "value": "x"})),
            "Task's `CommandInfo` is invalid: Environment variable of type 'UNKNOWN' is not \
             allowed",
        ),
        // Ours, as are the next two: in Mesos such a task fails at its executor.
        (
            variable(json!({"name": "V", "value": "a\0b"})),
            "Task's `CommandInfo` is invalid: Environment variable 'V' contains a null byte",
        ),
        (
            json!({"command": {}}),
            "Task's `CommandInfo` is invalid: Shell command is not specified",
        ),
        (
            json!({"command": {"shell": false}}),
            "Task's `CommandInfo` is invalid: neither `value` nor `arguments` is set",
        ),
    ]);
    passes(&variable(json!({"name": "V", "value": "v"})));
}

#[test]
fn a_container_is_complete() {
    let volume = |source: Value| {
        let mut volume = json!({"mode": "RW", "container_path": "a"});
        if !source.is_null() {
            volume["source"] = source;
        }
        json!({"container": {"type": "MESOS", "volumes": [volume]}})
    };
    check(&[
        (
            json!({"container": {"type": "DOCKER"}}),
            "Task's `ContainerInfo` is invalid: DockerInfo 'docker' is not set for DOCKER typed \
             ContainerInfo",
        ),
        (
            volume(json!(null)),
            "Task's `ContainerInfo` is invalid: Invalid volume: Only one of them should be set: \
             'host_path', 'image' and 'source'",
        ),
        (
            volume(json!({"type": "SANDBOX_PATH"})),
            "Task's `ContainerInfo` is invalid: Invalid volume: 'source.sandbox_path' is not set \
             for SANDBOX_PATH volume",
        ),
        (
            volume(json!({"type": "UNKNOWN"})),
            "Task's `ContainerInfo` is invalid: Invalid volume: 'source.type' is unknown",
        ),
        (
            json!({"container": {"type": "MESOS", "linux_info": {"share_cgroups": false}}}),
            "Only tasks in a task group may have 'share_cgroups' set to 'false'",
        ),
    ]);
    passes(&json!({"container": {"type": "MESOS"}}));
}

#[test]
fn checks_are_complete() {
    let case = |check: Value, problem: &'static str| (json!({"check": check}), problem);
    let tcp = |field: &str| json!({"type": "TCP", "tcp": {"port": 80}, field: -1});
    let cases = [
        case(json!({}), "CheckInfo must specify 'type'"),
        case(
            json!({"type": "UNKNOWN"}),
            "'UNKNOWN' is not a valid check type",
        ),
        case(
            json!({"type": "COMMAND"}),
            "Expecting 'command' to be set for COMMAND check",
        ),
        case(
            json!({"type": "HTTP"}),
            "Expecting 'http' to be set for HTTP check",
        ),
        case(
            json!({"type": "TCP"}),
            "Expecting 'tcp' to be set for TCP check",
        ),
        case(
            json!({"type": "COMMAND", "command": {"command": {}}}),
            "Command check must contain 'shell command'",
        ),
        case(
            json!({"type": "COMMAND", "command": {"command": {
                "value": "x", "environment": {"variables": [{"name": "V"}]}
            }}}),
            "Check's `CommandInfo` is invalid: Environment variable 'V' of type 'VALUE' must have \
             a value set",
        ),
        case(
            json!({"type": "HTTP", "http": {"port": 80, "path": "x"}}),
            "The path 'x' of HTTP check must start with '/'",
        ),
        case(
            tcp("delay_seconds"),
            "Expecting 'delay_seconds' to be non-negative",
        ),
        case(
            tcp("interval_seconds"),
            "Expecting 'interval_seconds' to be non-negative",
        ),
        case(
            tcp("timeout_seconds"),
            "Expecting 'timeout_seconds' to be non-negative",
        ),
    ];
    for (changes, problem) in cases {
        let expected = format!("Task uses invalid check: {problem}");
        assert_eq!(answer(&changes), Some(expected));
    }
}

#[test]
fn the_checks_of_a_framework_s_own_executor_are_passed_on() {
    let checks = json!({
        "health_check": {"type": "HTTP", "http": {"port": 80, "statuses": [204]}},
        "check": {"type": "COMMAND", "command": {"command": {"value": "x", "user": "who"}}},
    });
    let expected = "Task uses fields that are not supported: check.command.command.user, \
                    health_check.http.statuses";
    assert_eq!(answer(&checks).as_deref(), Some(expected));
    let mut own = executor(json!({}));
    for (name, value) in checks.as_object().unwrap() {
        own[name] = value.clone();
    }
    passes(&own);
    // They are complete all the same.
    own["check"] = json!({"type": "COMMAND"});
    let expected = "Task uses invalid check: Expecting 'command' to be set for COMMAND check";
    assert_eq!(answer(&own).as_deref(), Some(expected));
}

#[test]
fn health_checks_are_complete() {
    let case = |check: Value, problem: &'static str| (json!({"health_check": check}), problem);
    let tcp = |field: &str| json!({"type": "TCP", "tcp": {"port": 80}, field: -1});
    let http =
        |field: &str, value: &str| json!({"type": "HTTP", "http": {"port": 80, field: value}});
    let cases = [
        case(json!({}), "HealthCheck must specify 'type'"),
        case(
            json!({"command": {"value": "x"}, "http": {"port": 1}}),
            "HealthCheck must specify 'type'",
        ),
        case(
            json!({"type": "UNKNOWN"}),
            "'UNKNOWN' is not a valid health check type",
        ),
        case(
            json!({"type": "COMMAND"}),
            "Expecting 'command' to be set for COMMAND health check",
        ),
        case(
            json!({"type": "HTTP"}),
            "Expecting 'http' to be set for HTTP health check",
        ),
        case(
            json!({"type": "TCP"}),
            "Expecting 'tcp' to be set for TCP health check",
        ),
        // The type is inferred.
        case(
            json!({"command": {}}),
            "Command health check must contain 'shell command'",
        ),
        case(
            http("scheme", "ftp"),
            "Unsupported HTTP health check scheme: 'ftp'",
        ),
        case(
            http("path", "x"),
            "The path 'x' of HTTP health check must start with '/'",
        ),
        case(
            tcp("delay_seconds"),
            "Expecting 'delay_seconds' to be non-negative",
        ),
        case(
            tcp("grace_period_seconds"),
            "Expecting 'grace_period_seconds' to be non-negative",
        ),
        case(
            tcp("interval_seconds"),
            "Expecting 'interval_seconds' to be non-negative",
        ),
        case(
            tcp("timeout_seconds"),
            "Expecting 'timeout_seconds' to be non-negative",
        ),
    ];
    for (changes, problem) in cases {
        let expected = format!("Task uses invalid health check: {problem}");
        assert_eq!(answer(&changes), Some(expected));
    }
}

#[test]
fn an_executor_is_complete() {
    let spec = |changes: Value| executor(changes);
    check(&[
        (
            spec(json!({"executor_id": {"value": ""}})),
            "ID must not be empty",
        ),
        (
            spec(json!({"executor_id": {"value": "a/b"}})),
            "'a/b' contains invalid characters",
        ),
        (
            spec(json!({"framework_id": {"value": "x"}})),
            "ExecutorInfo has an invalid FrameworkID (Actual: x vs Expected: m-0000)",
        ),
        (
            spec(json!({"type": "DEFAULT"})),
            "'ExecutorInfo.command' must not be set for 'DEFAULT' executor",
        ),
        (
            spec(json!({"type": "DEFAULT", "command": null})),
            "'ExecutorInfo.type' must be 'CUSTOM'",
        ),
        (
            spec(json!({"type": "CUSTOM", "command": null})),
            "'ExecutorInfo.command' must be set for 'CUSTOM' executor",
        ),
        (
            spec(json!({"type": "UNKNOWN"})),
            "'ExecutorInfo.type' must be 'CUSTOM'",
        ),
        (
            spec(json!({"command": null})),
            "'ExecutorInfo.command' must be set",
        ),
        (
            spec(json!({"shutdown_grace_period": {"nanoseconds": -1}})),
            "ExecutorInfo's 'shutdown_grace_period' must be non-negative",
        ),
        (
            spec(json!({"resources": [scalar("cpus", -1.0)]})),
            "Resource 'cpus:-1' is invalid: Invalid scalar resource: value <= 0",
        ),
        (
            spec(json!({"resources": [scalar("cpus", 64.0)]})),
            "Total resources cpus(allocated: *):65; mem(allocated: *):64 required by task and its \
             executor is more than available cpus(allocated: *):3; mem(allocated: *):900",
        ),
        (
            spec(json!({"resources": [
                with("cpus", 0.1, "revocable", json!({})), scalar("cpus", 0.1)
            ]})),
            "Executor mixes revocable and non-revocable resources: Cannot use both revocable and \
             non-revocable 'cpus' at the same time",
        ),
        (
            spec(json!({"resources": [with("cpus", 0.1, "revocable", json!({}))]})),
            "Task and its executor mix revocable and non-revocable resources: Cannot use both \
             revocable and non-revocable 'cpus' at the same time",
        ),
        (
            spec(json!({"command": {
                "value": "true", "environment": {"variables": [{"name": "V"}]}
            }})),
            "Executor's `CommandInfo` is invalid: Environment variable 'V' of type 'VALUE' must \
             have a value set",
        ),
        (
            spec(json!({"container": {"type": "DOCKER"}})),
            "Executor's `ContainerInfo` is invalid: DockerInfo 'docker' is not set for DOCKER \
             typed ContainerInfo",
        ),
    ]);
    passes(&spec(json!({"type": "CUSTOM", "resources": []})));
}
