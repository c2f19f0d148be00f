//! Which call goes where, and which calls and operations are done at all.
//! Not here: what each call does.

use tepui_protocol::mesos::v1::offer::operation::Type as OperationType;
use tepui_protocol::mesos::v1::scheduler::Call;
use tepui_protocol::mesos::v1::scheduler::call::Type;
use tepui_runtime::Pid;

use super::{MasterCore, validation};

/// Whether the master does this call: each that has a meaning. The gateway answers 501 to the
/// other.
#[must_use]
pub fn supported(call: Type) -> bool {
    match call {
        Type::Subscribe
        | Type::Teardown
        | Type::Accept
        | Type::Decline
        | Type::AcceptInverseOffers
        | Type::DeclineInverseOffers
        | Type::Revive
        | Type::Kill
        | Type::Shutdown
        | Type::Message
        | Type::Acknowledge
        | Type::AcknowledgeOperationStatus
        | Type::Reconcile
        | Type::ReconcileOperations
        | Type::Request
        | Type::UpdateFramework
        | Type::Suppress => true,
        Type::Unknown => false,
    }
}

/// Whether ACCEPT applies this operation. The others are dropped, with an OPERATION_ERROR for
/// those that carry an id.
#[must_use]
pub fn supported_operation(operation: OperationType) -> bool {
    matches!(
        operation,
        OperationType::Launch | OperationType::LaunchGroup
    )
}

/// Mesos' counter of a type of call, where it has one.
fn counter(call: &Call) -> Option<&'static str> {
    Some(match call.r#type() {
        Type::Subscribe if has_id(call) => "master/messages_reregister_framework",
        Type::Subscribe => "master/messages_register_framework",
        Type::Teardown => "master/messages_unregister_framework",
        Type::Decline => "master/messages_decline_offers",
        Type::Revive => "master/messages_revive_offers",
        Type::Suppress => "master/messages_suppress_offers",
        Type::Kill => "master/messages_kill_task",
        Type::Acknowledge => "master/messages_status_update_acknowledgement",
        Type::Reconcile => "master/messages_reconcile_tasks",
        Type::ReconcileOperations => "master/messages_reconcile_operations",
        Type::Message => "master/messages_framework_to_executor",
        Type::Request => "master/messages_resource_request",
        Type::AcknowledgeOperationStatus => {
            "master/messages_operation_status_update_acknowledgement"
        }
        // ACCEPT is counted by its operations.
        Type::Accept
        | Type::Unknown
        | Type::AcceptInverseOffers
        | Type::DeclineInverseOffers
        | Type::Shutdown
        | Type::UpdateFramework => return None,
    })
}

fn has_id(call: &Call) -> bool {
    let info = call
        .subscribe
        .as_ref()
        .map(|subscribe| &subscribe.framework_info);
    info.and_then(|info| info.id.as_ref())
        .is_some_and(|id| !id.value.is_empty())
}

impl MasterCore {
    pub(super) fn call(&mut self, from: &Pid, call: Call) {
        if let Some(counter) = counter(&call) {
            self.count(counter);
        }
        let kind = call.r#type();
        if let Err(problem) = validation::call(&call) {
            return self.drop_call(from, kind, &problem);
        }
        if let (Type::Subscribe, Some(subscribe)) = (kind, call.subscribe) {
            return self.subscribe(from, subscribe);
        }
        let id = call.framework_id.map(|id| id.value).unwrap_or_default();
        let Some(framework) = self.state.framework(&id) else {
            return self.drop_call(from, kind, "framework cannot be found");
        };
        if framework.pid() != Some(from) {
            return self.drop_call(from, kind, "it does not come from the framework's PID");
        }
        self.count_call(&id, kind);
        if !supported(kind) {
            self.count("tepui/master/unsupported_calls");
            return self.drop_call(from, kind, "this call is not supported");
        }
        match kind {
            Type::Teardown => self.teardown(&id),
            Type::Accept => self.accept(&id, call.accept.unwrap_or_default()),
            Type::Decline => self.decline(&id, call.decline.unwrap_or_default()),
            Type::Revive => self.revive(&id, call.revive.unwrap_or_default().roles),
            Type::Suppress => self.suppress(&id, call.suppress.unwrap_or_default().roles),
            Type::Kill => self.kill(&id, call.kill.unwrap_or_default()),
            Type::Shutdown => self.shut_down_executor(&id, call.shutdown.unwrap_or_default()),
            Type::Message => self.message(&id, call.message.unwrap_or_default()),
            Type::Acknowledge => self.acknowledge(&id, call.acknowledge.unwrap_or_default()),
            Type::Reconcile => self.reconcile(&id, &call.reconcile.unwrap_or_default().tasks),
            Type::UpdateFramework => {
                self.update_framework(&id, call.update_framework.unwrap_or_default());
            }
            Type::ReconcileOperations => {
                self.reconcile_operations(&id, call.reconcile_operations.unwrap_or_default());
            }
            Type::AcknowledgeOperationStatus => {
                let acknowledge = call.acknowledge_operation_status.unwrap_or_default();
                self.acknowledge_operation(&id, &acknowledge);
            }
            Type::AcceptInverseOffers => {
                let answer = call.accept_inverse_offers.unwrap_or_default();
                self.answer_inverse_offers(&id, "acceptance", &answer.inverse_offer_ids);
            }
            Type::DeclineInverseOffers => {
                let answer = call.decline_inverse_offers.unwrap_or_default();
                self.answer_inverse_offers(&id, "decline", &answer.inverse_offer_ids);
            }
            // REQUEST asks the allocator, and the hierarchical one takes no requests.
            Type::Request | Type::Subscribe | Type::Unknown => {}
        }
    }

    fn drop_call(&mut self, from: &Pid, kind: Type, problem: &str) {
        self.warn(format!(
            "dropping {} call from {from}: {problem}",
            kind.as_str_name()
        ));
    }

    /// REVIVE: the roles are wanted again, and their filters are gone.
    fn revive(&mut self, framework_id: &str, roles: Vec<String>) {
        let Some(all) = self.roles_named(framework_id, &roles, "REVIVE") else {
            return;
        };
        if let Some(framework) = self.framework_mut(framework_id) {
            let suppressed = std::sync::Arc::make_mut(&mut framework.suppressed_roles);
            suppressed.retain(|role| !all.contains(role));
        }
        self.info(format!(
            "framework {framework_id} revives offers for roles {all:?}"
        ));
        self.allocator_revive(framework_id, roles);
    }

    /// SUPPRESS: no offers for the roles until REVIVE.
    fn suppress(&mut self, framework_id: &str, roles: Vec<String>) {
        let Some(all) = self.roles_named(framework_id, &roles, "SUPPRESS") else {
            return;
        };
        self.info(format!(
            "framework {framework_id} suppresses offers for roles {all:?}"
        ));
        if let Some(framework) = self.framework_mut(framework_id) {
            std::sync::Arc::make_mut(&mut framework.suppressed_roles).extend(all);
        }
        self.allocator_suppress(framework_id, roles);
    }

    /// The roles a call is about: those named, or all of the framework's if none is.
    /// A role that the framework has not drops the call.
    fn roles_named(
        &mut self,
        framework_id: &str,
        named: &[String],
        call: &str,
    ) -> Option<std::collections::BTreeSet<String>> {
        let own = self.state.framework(framework_id)?.roles();
        if named.is_empty() {
            return Some(own);
        }
        if let Some(foreign) = named.iter().find(|role| !own.contains(*role)) {
            self.warn(format!(
                "dropping {call} call of framework {framework_id}: \
                 it is not subscribed to role '{foreign}'"
            ));
            return None;
        }
        Some(named.iter().cloned().collect())
    }
}
