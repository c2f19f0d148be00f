//! Calls about operations whose outcome is told, and about inverse offers. The master has neither:
//! no operation is ever under way, and nothing is asked back. What is said of them is taken, and
//! answered as Mesos answers for what it does not know.
//!
//! RECONCILE_OPERATIONS, for each operation, by Mesos' rules in this order:
//!
//! - no agent is named: OPERATION_UNKNOWN;
//! - its agent is not back since the master came up: OPERATION_RECOVERING;
//! - its agent is registered: OPERATION_UNKNOWN;
//! - its agent is unreachable: OPERATION_UNREACHABLE;
//! - its agent was marked gone: OPERATION_GONE_BY_OPERATOR;
//! - else OPERATION_UNKNOWN.
//!
//! Not here: operations in an ACCEPT (`accept`).

use tepui_protocol::mesos::v1::scheduler::call::{
    AcknowledgeOperationStatus, ReconcileOperations, reconcile_operations,
};
use tepui_protocol::mesos::v1::scheduler::{Event, event};
use tepui_protocol::mesos::v1::{OfferId, OperationState, OperationStatus};

use super::MasterCore;

/// An event that tells of an operation and need not be acknowledged.
pub(super) fn told(status: OperationStatus) -> Event {
    Event {
        r#type: Some(event::Type::UpdateOperationStatus as i32),
        update_operation_status: Some(event::UpdateOperationStatus { status }),
        ..Event::default()
    }
}

impl MasterCore {
    /// Answers for each operation that is named; of all operations there are none.
    pub(super) fn reconcile_operations(&mut self, id: &str, asked: ReconcileOperations) {
        self.info(format!(
            "framework {id} reconciles {} operations",
            asked.operations.len()
        ));
        for operation in asked.operations {
            let status = self.reconciled_operation(operation);
            self.event(id, told(status));
        }
    }

    fn reconciled_operation(&self, asked: reconcile_operations::Operation) -> OperationStatus {
        let state = &self.state;
        let (found, message) = match asked.agent_id.as_ref().map(|id| id.value.as_str()) {
            None => (
                OperationState::OperationUnknown,
                "Operation is unknown and no 'agent_id' was provided",
            ),
            Some(agent) if state.recovered_agents.contains_key(agent) => (
                OperationState::OperationRecovering,
                "Agent is recovered but has not re-registered",
            ),
            Some(agent) if state.agents.contains_key(agent) => {
                (OperationState::OperationUnknown, "Operation is unknown")
            }
            Some(agent) if state.unreachable_agents.contains_key(agent) => {
                (OperationState::OperationUnreachable, "Agent is unreachable")
            }
            Some(agent) if state.gone_agents.contains_key(agent) => (
                OperationState::OperationGoneByOperator,
                "Agent marked gone by operator",
            ),
            Some(_) => (
                OperationState::OperationUnknown,
                "Both operation and agent are unknown",
            ),
        };
        OperationStatus {
            operation_id: Some(asked.operation_id),
            state: found as i32,
            message: Some(format!("Reconciliation: {message}")),
            agent_id: asked.agent_id,
            resource_provider_id: asked.resource_provider_id,
            ..OperationStatus::default()
        }
    }

    /// Of no update that was ever sent.
    pub(super) fn acknowledge_operation(&mut self, id: &str, of: &AcknowledgeOperationStatus) {
        self.count("master/invalid_operation_status_update_acknowledgements");
        self.warn(format!(
            "ignoring acknowledgement of operation {} by framework {id}: the operation is unknown",
            of.operation_id.value
        ));
    }

    /// Of none that was ever made.
    pub(super) fn answer_inverse_offers(&mut self, id: &str, answer: &str, offers: &[OfferId]) {
        if let Some(first) = offers.first() {
            self.warn(format!(
                "ignoring {answer} of {} inverse offers by framework {id}, of which the first is \
                 {}: they are no longer valid",
                offers.len(),
                first.value
            ));
        }
    }
}
