//! What the master refuses, and the words it refuses it with: Mesos' own where they are known.
//!
//! Everything here looks and answers; nothing changes. Not here: whether offers are still valid
//! (`accept`), and what an agent can isolate (`containerizer`).

mod bounds;
mod checks;
mod command;
mod executor;
pub mod fields;
mod framework;
mod group;
mod message;
mod resources;
mod task;

use tepui_protocol::mesos::v1::scheduler::Call;
use tepui_protocol::mesos::v1::scheduler::call::Type;

pub use self::bounds::{AGENT_INFO, EXECUTOR_INFO, FRAMEWORK_INFO, ROLE, ROLES, TASK};
pub use self::executor::scanty;
pub(in crate::core) use self::framework::PRINCIPAL_CHANGED;
pub use self::framework::{framework, known, update};
pub use self::group::group;
pub use self::message::{registration, running};
pub use self::resources::of_launch;
pub use self::task::{Launch, Taken, task};

/// Mesos' `validation::scheduler::call::validate`: whether a call has the parts of its type.
///
/// # Errors
/// What is missing, in the words of Mesos' 400 answers.
pub fn call(call: &Call) -> Result<(), String> {
    if call.r#type.is_none() {
        return Err("Expecting 'type' to be present".into());
    }
    if call.r#type() == Type::Subscribe {
        let Some(subscribe) = &call.subscribe else {
            return Err("Expecting 'subscribe' to be present".into());
        };
        if subscribe.framework_info.id != call.framework_id {
            return Err("'framework_id' differs from 'subscribe.framework_info.id'".into());
        }
        return Ok(());
    }
    if call.framework_id.is_none() {
        return Err("Expecting 'framework_id' to be present".into());
    }
    let (part, present) = match call.r#type() {
        Type::Accept => ("accept", call.accept.is_some()),
        Type::Decline => ("decline", call.decline.is_some()),
        Type::AcceptInverseOffers => (
            "accept_inverse_offers",
            call.accept_inverse_offers.is_some(),
        ),
        Type::DeclineInverseOffers => (
            "decline_inverse_offers",
            call.decline_inverse_offers.is_some(),
        ),
        Type::Kill => ("kill", call.kill.is_some()),
        Type::Shutdown => ("shutdown", call.shutdown.is_some()),
        Type::Acknowledge => ("acknowledge", call.acknowledge.is_some()),
        Type::AcknowledgeOperationStatus => (
            "acknowledge_operation_status",
            call.acknowledge_operation_status.is_some(),
        ),
        Type::Reconcile => ("reconcile", call.reconcile.is_some()),
        Type::ReconcileOperations => ("reconcile_operations", call.reconcile_operations.is_some()),
        Type::Message => ("message", call.message.is_some()),
        Type::Request => ("request", call.request.is_some()),
        Type::UpdateFramework => ("update_framework", call.update_framework.is_some()),
        Type::Unknown | Type::Subscribe | Type::Teardown | Type::Revive | Type::Suppress => {
            return Ok(());
        }
    };
    if !present {
        return Err(format!("Expecting '{part}' to be present"));
    }
    if let Some(update) = call
        .update_framework
        .as_ref()
        .filter(|_| part == "update_framework")
        && update.framework_info.id != call.framework_id
    {
        return Err("'framework_id' differs from 'update_framework.framework_info.id'".into());
    }
    match (
        call.r#type(),
        &call.acknowledge,
        &call.acknowledge_operation_status,
    ) {
        (Type::Acknowledge, Some(acknowledge), _) if !is_uuid(&acknowledge.uuid) => {
            Err("Not a valid UUID".into())
        }
        (Type::AcknowledgeOperationStatus, _, Some(acknowledge)) => {
            if !is_uuid(&acknowledge.uuid) {
                return Err("Not a valid UUID".into());
            }
            match acknowledge.agent_id {
                Some(_) => Ok(()),
                None => Err("Expecting 'agent_id' to be present".into()),
            }
        }
        _ => Ok(()),
    }
}

/// Mesos' `UUID::fromBytes`: 16 bytes, of one of the versions 1 to 5.
fn is_uuid(bytes: &[u8]) -> bool {
    bytes.len() == 16 && (1..=5).contains(&(bytes[6] >> 4))
}
