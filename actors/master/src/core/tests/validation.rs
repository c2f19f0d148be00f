//! What a task must be, in the words of its TASK_ERROR; and what a call must have.

use tepui_protocol::mesos::v1::environment::{Variable, variable};
use tepui_protocol::mesos::v1::scheduler::{Call, call};
use tepui_protocol::mesos::v1::{
    CommandInfo, DurationInfo, Environment, ExecutorInfo, FrameworkId, HealthCheck, KillPolicy,
    TaskInfo, TaskState, value,
};

use super::bench::{Bench, command_task, launch, protos};
use crate::core::validation;

/// What the framework hears when it launches `task` on an offer of 4 cpus and 1024 MB.
fn answer(change: impl FnOnce(&mut TaskInfo)) -> Option<String> {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let agent = bench.agent("s", "cpus:4;mem:1024");
    bench.run("a", &id, &agent, "taken");
    let offers = bench.offer(&id, &agent, "cpus:3;mem:900");
    bench.take_events("a");
    let mut task = command_task("t", &agent, "cpus:1;mem:64");
    change(&mut task);
    bench.accept("a", &id, &[&offers[0]], vec![launch(vec![task])], None);
    let statuses = bench.take_statuses("a");
    let status = statuses.first()?;
    assert_eq!(status.state(), TaskState::TaskError);
    Some(status.message().to_owned())
}

fn variable(kind: variable::Type, value: Option<&str>) -> Variable {
    Variable {
        name: "V".into(),
        r#type: Some(kind as i32),
        value: value.map(str::to_owned),
        ..Variable::default()
    }
}

#[test]
fn a_plain_task_is_launched() {
    assert_eq!(answer(|_| {}), None);
}

#[test]
fn ids_are_checked() {
    let long = "x".repeat(256);
    for id in ["", ".", "..", "a/b", "a\\b", "a\nb", &long] {
        let message = answer(|task| task.task_id.value = id.to_owned()).unwrap();
        assert!(message.starts_with("Task ID is invalid: "), "{message}");
    }
    let taken = answer(|task| task.task_id.value = "taken".into());
    assert_eq!(taken.as_deref(), Some("Task has duplicate ID: taken"));
    let elsewhere = answer(|task| task.agent_id.value = "m-S9".into());
    assert_eq!(
        elsewhere.as_deref(),
        Some("Task uses invalid agent m-S9 while agent m-S0 is expected")
    );
}

#[test]
fn what_is_not_supported_is_named() {
    let executor = answer(|task| {
        task.command = None;
        task.executor = Some(ExecutorInfo::default());
    });
    assert_eq!(
        executor.as_deref(),
        Some("Task uses fields that are not supported: executor")
    );
    let health = answer(|task| task.health_check = Some(HealthCheck::default()));
    assert_eq!(
        health.as_deref(),
        Some("Task uses fields that are not supported: health_check")
    );
}

#[test]
fn times_are_not_negative() {
    let negative = DurationInfo { nanoseconds: -1 };
    let policy = answer(|task| {
        task.kill_policy = Some(KillPolicy {
            grace_period: Some(negative),
        });
    });
    assert_eq!(
        policy.as_deref(),
        Some("Task's 'kill_policy.grace_period' must be non-negative")
    );
    let time = answer(|task| task.max_completion_time = Some(negative));
    assert_eq!(
        time.as_deref(),
        Some("Task's `max_completion_time` must be non-negative")
    );
}

#[test]
fn resources_are_checked() {
    let starts = |change: &dyn Fn(&mut TaskInfo), expected: &str| {
        let message = answer(|task| change(task)).unwrap_or_default();
        assert!(message.starts_with(expected), "{message}");
    };
    starts(&|task| task.resources.clear(), "Task uses no resources");
    starts(
        &|task| task.resources[0].scalar.as_mut().unwrap().value = 0.0004,
        "Task uses invalid resources: ",
    );
    starts(
        &|task| task.resources[0].scalar.as_mut().unwrap().value = -1.0,
        "Task uses invalid resources: ",
    );
    starts(
        &|task| task.resources = protos("cpus:4"),
        "Task uses more resources ",
    );
    starts(
        &|task| task.resources = protos("gpus:1"),
        "Task uses more resources ",
    );
    starts(
        &|task| {
            let mut revocable = protos("cpus:1").remove(0);
            revocable.revocable = Some(Default::default());
            task.resources.push(revocable);
        },
        "Cannot use both revocable and non-revocable 'cpus' at the same time",
    );
    starts(
        &|task| {
            task.resources[0].allocation_info =
                Some(tepui_protocol::mesos::v1::resource::AllocationInfo {
                    role: Some("other".into()),
                });
        },
        "The resources have multiple allocation roles ('*', 'other')",
    );
}

#[test]
fn a_command_is_complete() {
    let with = |command: CommandInfo| answer(|task| task.command = Some(command));
    assert_eq!(
        with(CommandInfo::default()).as_deref(),
        Some("Task's `CommandInfo` is invalid: Shell command is not specified")
    );
    assert_eq!(
        answer(|task| task.command = None).as_deref(),
        Some("Task should have at least one (but not both) of CommandInfo or ExecutorInfo present")
    );
    let variables = |variable| CommandInfo {
        value: Some("true".into()),
        environment: Some(Environment {
            variables: vec![variable],
        }),
        ..CommandInfo::default()
    };
    assert_eq!(
        with(variables(variable(variable::Type::Value, None))).as_deref(),
        Some(
            "Task's `CommandInfo` is invalid: Environment variable 'V' of type 'VALUE' must have \
             a value set"
        )
    );
    assert_eq!(
        with(variables(variable(variable::Type::Value, Some("v")))),
        None
    );
    let secret = with(variables(variable(variable::Type::Secret, None))).unwrap();
    assert!(
        secret.contains("command.environment.variables[0].type"),
        "{secret}"
    );
}

#[test]
fn limits_are_for_what_is_requested_and_not_below_it() {
    let with = |name: &str, value: f64| {
        answer(|task| {
            task.limits = [(name.to_owned(), value::Scalar { value })].into();
        })
    };
    assert_eq!(with("cpus", 1.0), None);
    assert_eq!(with("mem", f64::INFINITY), None);
    assert_eq!(
        with("cpus", 0.5).as_deref(),
        Some("The limit 0.5 of cpus is less than its request 1")
    );
    assert!(with("disk", 1.0).is_some());
    let unrequested = answer(|task| {
        task.resources = protos("mem:64");
        task.limits = [("cpus".to_owned(), value::Scalar { value: 1.0 })].into();
    });
    assert_eq!(
        unrequested.as_deref(),
        Some("When a limit is set on a resource, the request must also be set: cpus")
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
    assert_eq!(check(&short), "Not a valid UUID: 0 bytes instead of 16");
    let mut differs = call(Some(call::Type::Subscribe), id);
    differs.subscribe = Some(call::Subscribe::default());
    assert_eq!(
        check(&differs),
        "'framework_id' differs from 'subscribe.framework_info.id'"
    );
}
