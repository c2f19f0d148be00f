//! Whether a call of the scheduler API is complete in itself. Pure, and in Mesos' words and order;
//! what hangs on the master's state is not looked at here.

use tepui_protocol::mesos::v1::{master, scheduler};

use crate::checks::Refusal;

/// Checks that a scheduler's call has what its type needs.
///
/// # Errors
///
/// [`Refusal::BadRequest`] that names what is missing or wrong.
pub fn scheduler_call(call: &scheduler::Call) -> Result<(), Refusal> {
    scheduler_problem(call).map_or(Ok(()), |problem| {
        Err(Refusal::BadRequest(format!(
            "Failed to validate scheduler::Call: {problem}"
        )))
    })
}

fn scheduler_problem(call: &scheduler::Call) -> Option<String> {
    use scheduler::call::Type;

    if call.r#type.is_none() {
        return missing("type");
    }
    let kind = call.r#type();
    if kind == Type::Subscribe {
        let Some(subscribe) = &call.subscribe else {
            return missing("subscribe");
        };
        let same = subscribe.framework_info.id == call.framework_id;
        return differs(same, "subscribe.framework_info.id");
    }
    if call.framework_id.is_none() {
        return missing("framework_id");
    }
    let (present, field) = match kind {
        Type::Accept => (call.accept.is_some(), "accept"),
        Type::Decline => (call.decline.is_some(), "decline"),
        Type::AcceptInverseOffers => (
            call.accept_inverse_offers.is_some(),
            "accept_inverse_offers",
        ),
        Type::DeclineInverseOffers => (
            call.decline_inverse_offers.is_some(),
            "decline_inverse_offers",
        ),
        Type::Kill => (call.kill.is_some(), "kill"),
        Type::Shutdown => (call.shutdown.is_some(), "shutdown"),
        Type::Acknowledge => (call.acknowledge.is_some(), "acknowledge"),
        Type::AcknowledgeOperationStatus => (
            call.acknowledge_operation_status.is_some(),
            "acknowledge_operation_status",
        ),
        Type::Reconcile => (call.reconcile.is_some(), "reconcile"),
        Type::ReconcileOperations => (call.reconcile_operations.is_some(), "reconcile_operations"),
        Type::Message => (call.message.is_some(), "message"),
        Type::Request => (call.request.is_some(), "request"),
        Type::UpdateFramework => (call.update_framework.is_some(), "update_framework"),
        Type::Unknown | Type::Subscribe | Type::Teardown | Type::Revive | Type::Suppress => {
            (true, "")
        }
    };
    if !present {
        return missing(field);
    }
    scheduler_contents(call)
}

/// Checks that an operator's call has what its type needs, where that type is served.
///
/// # Errors
///
/// [`Refusal::BadRequest`] that names what is missing.
pub fn operator_call(call: &master::Call) -> Result<(), Refusal> {
    use master::call::Type;

    let (present, field) = match call.r#type() {
        _ if call.r#type.is_none() => (false, "type"),
        Type::Teardown => (call.teardown.is_some(), "teardown"),
        Type::MarkAgentGone => (call.mark_agent_gone.is_some(), "mark_agent_gone"),
        Type::DeactivateAgent => (call.deactivate_agent.is_some(), "deactivate_agent"),
        Type::ReactivateAgent => (call.reactivate_agent.is_some(), "reactivate_agent"),
        _ => (true, ""),
    };
    if present {
        return Ok(());
    }
    Err(Refusal::BadRequest(format!(
        "Failed to validate master::Call: Expecting '{field}' to be present"
    )))
}

/// What is inside the part that the call's type needs, once that is known to be there.
fn scheduler_contents(call: &scheduler::Call) -> Option<String> {
    use scheduler::call::Type;

    match call.r#type() {
        Type::Acknowledge => bad_uuid(&call.acknowledge.as_ref()?.uuid),
        Type::AcknowledgeOperationStatus => {
            let acknowledge = call.acknowledge_operation_status.as_ref()?;
            let no_agent = || acknowledge.agent_id.is_none().then(|| missing("agent_id"));
            bad_uuid(&acknowledge.uuid).or_else(|| no_agent().flatten())
        }
        Type::UpdateFramework => {
            let update = call.update_framework.as_ref()?;
            let same = update.framework_info.id == call.framework_id;
            differs(same, "update_framework.framework_info.id")
        }
        _ => None,
    }
}

fn missing(field: &str) -> Option<String> {
    Some(format!("Expecting '{field}' to be present"))
}

fn differs(same: bool, other: &str) -> Option<String> {
    (!same).then(|| format!("'framework_id' differs from '{other}'"))
}

/// A status update's uuid is the 16 bytes themselves. As Mesos, only the versions of RFC 4122 are
/// taken; the version is in the upper half of the seventh byte.
fn bad_uuid(uuid: &[u8]) -> Option<String> {
    let valid = uuid.len() == 16 && (1..=5).contains(&(uuid[6] >> 4));
    (!valid).then(|| "Not a valid UUID".to_owned())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tepui_protocol::mesos::v1::{
        AgentId, FrameworkId, FrameworkInfo, TaskId,
        scheduler::{
            Call,
            call::{self, Type},
        },
    };

    use super::*;

    fn framework(value: &str) -> Option<FrameworkId> {
        Some(FrameworkId {
            value: value.to_owned(),
        })
    }

    fn call(kind: Type) -> Call {
        Call {
            framework_id: framework("f"),
            r#type: Some(kind.into()),
            ..Call::default()
        }
    }

    fn subscribe(outer: Option<FrameworkId>, inner: Option<FrameworkId>) -> Call {
        let framework_info = FrameworkInfo {
            id: inner,
            ..FrameworkInfo::default()
        };
        let subscribe = call::Subscribe {
            framework_info,
            ..call::Subscribe::default()
        };
        let bare = call(Type::Subscribe);
        Call {
            framework_id: outer,
            subscribe: Some(subscribe),
            ..bare
        }
    }

    fn problem(call: &Call) -> Option<String> {
        let text = scheduler_call(call).err()?.to_string();
        Some(
            text.strip_prefix("Failed to validate scheduler::Call: ")
                .unwrap()
                .to_owned(),
        )
    }

    #[test]
    fn each_type_needs_the_part_named_after_it() {
        let without_part = [
            Type::Unknown,
            Type::Subscribe,
            Type::Teardown,
            Type::Revive,
            Type::Suppress,
        ];
        let mut checked = 0;
        for kind in (0..=64).filter_map(|number| Type::try_from(number).ok()) {
            checked += 1;
            let part = kind.as_str_name().to_lowercase();
            let missing = format!("Expecting '{part}' to be present");
            let expected = (!without_part.contains(&kind)).then_some(missing);
            if kind != Type::Subscribe {
                assert_eq!(problem(&call(kind)), expected, "{part}");
                let nameless = Call {
                    framework_id: None,
                    ..call(kind)
                };
                let missing = "Expecting 'framework_id' to be present".to_owned();
                assert_eq!(problem(&nameless), Some(missing), "{part}");
            }
        }
        assert_eq!(checked, 18, "every type of the schema");
        let missing = Some("Expecting 'type' to be present".to_owned());
        assert_eq!(problem(&Call::default()), missing);
        let missing = Some("Expecting 'subscribe' to be present".to_owned());
        assert_eq!(problem(&call(Type::Subscribe)), missing);
    }

    #[test]
    fn who_subscribes_is_who_the_framework_is() {
        assert_eq!(problem(&subscribe(None, None)), None);
        assert_eq!(problem(&subscribe(framework("a"), framework("a"))), None);
        let differs = "'framework_id' differs from 'subscribe.framework_info.id'".to_owned();
        for (outer, inner) in [
            (framework("a"), None),
            (None, framework("a")),
            (framework("a"), framework("b")),
        ] {
            assert_eq!(problem(&subscribe(outer, inner)), Some(differs.clone()));
        }
    }

    #[test]
    fn an_acknowledged_uuid_has_16_bytes_and_a_version() {
        let acknowledge = |uuid: &[u8]| {
            let acknowledge = call::Acknowledge {
                agent_id: AgentId {
                    value: "a".to_owned(),
                },
                task_id: TaskId {
                    value: "t".to_owned(),
                },
                uuid: Bytes::copy_from_slice(uuid),
            };
            Call {
                acknowledge: Some(acknowledge),
                ..call(Type::Acknowledge)
            }
        };
        let bad = Some("Not a valid UUID");
        for length in [0, 15, 17, 36] {
            assert_eq!(problem(&acknowledge(&[0x44; 36][..length])).as_deref(), bad);
        }
        for version in 0..16 {
            let expected = bad.filter(|_| !(1..=5).contains(&version));
            let found = problem(&acknowledge(&[version << 4; 16]));
            assert_eq!(found.as_deref(), expected, "version {version}");
        }
    }
}
