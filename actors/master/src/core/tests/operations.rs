//! RECONCILE_OPERATIONS by its rules; what is said of operations and inverse offers that are not
//! there is taken and changes nothing.

use std::time::Duration;

use tepui_protocol::mesos::internal::{Registry, registry};
use tepui_protocol::mesos::v1::scheduler::call::{self, reconcile_operations};
use tepui_protocol::mesos::v1::{
    AgentId, OfferId, OperationId, OperationState, OperationStatus, ResourceProviderId, TimeInfo,
};

use super::bench::{Bench, pid, registry_of, uuid};
use crate::MasterOptions;

fn id(value: &str) -> OperationId {
    OperationId {
        value: value.to_owned(),
    }
}

/// What a framework is told of operations on these agents.
fn reconcile(bench: &mut Bench, framework: &str, agents: &[Option<&str>]) -> Vec<OperationStatus> {
    let operations = agents.iter().map(|agent| reconcile_operations::Operation {
        operation_id: id("op"),
        agent_id: agent.map(|value| AgentId {
            value: value.to_owned(),
        }),
        resource_provider_id: None,
    });
    let mut call = Bench::of(framework, call::Type::ReconcileOperations);
    call.reconcile_operations = Some(call::ReconcileOperations {
        operations: operations.collect(),
    });
    bench.call("a", call);
    let events = bench.take_events("a").into_iter();
    let told = events.map(|event| event.update_operation_status.unwrap().status);
    told.collect()
}

/// Asserts how one operation is answered for.
fn answered(bench: &mut Bench, framework: &str, agent: Option<&str>, state: &str, message: &str) {
    let expected = OperationStatus {
        operation_id: Some(id("op")),
        state: OperationState::from_str_name(state).unwrap() as i32,
        message: Some(format!("Reconciliation: {message}")),
        agent_id: agent.map(|value| AgentId {
            value: value.to_owned(),
        }),
        ..OperationStatus::default()
    };
    assert_eq!(reconcile(bench, framework, &[agent]), [expected]);
}

#[test]
fn an_operation_that_nobody_knows() {
    let mut bench = Bench::new();
    let framework = bench.framework("a");
    let agent = bench.agent("s", "cpus:4");
    let message = "Operation is unknown and no 'agent_id' was provided";
    answered(&mut bench, &framework, None, "OPERATION_UNKNOWN", message);
    let message = "Operation is unknown";
    answered(
        &mut bench,
        &framework,
        Some(&agent),
        "OPERATION_UNKNOWN",
        message,
    );
    let message = "Both operation and agent are unknown";
    answered(
        &mut bench,
        &framework,
        Some("m-S9"),
        "OPERATION_UNKNOWN",
        message,
    );
}

#[test]
fn one_of_an_agent_that_is_not_back_is_recovering() {
    let mut bench = Bench::recovering(MasterOptions::default(), registry_of(&["old-S0"]));
    let framework = bench.framework("a");
    let message = "Agent is recovered but has not re-registered";
    answered(
        &mut bench,
        &framework,
        Some("old-S0"),
        "OPERATION_RECOVERING",
        message,
    );
    let message = "Operation is unknown and no 'agent_id' was provided";
    answered(&mut bench, &framework, None, "OPERATION_UNKNOWN", message);
}

#[test]
fn one_of_an_unreachable_agent_is_unreachable() {
    let mut bench = Bench::new();
    let framework = bench.framework("a");
    let agent = bench.agent("s", "cpus:4");
    bench.silent.insert(pid("s"));
    bench.pass(Duration::from_secs(120));
    bench.take_events("a");
    let message = "Agent is unreachable";
    answered(
        &mut bench,
        &framework,
        Some(&agent),
        "OPERATION_UNREACHABLE",
        message,
    );
}

#[test]
fn one_of_an_agent_that_is_gone_is_gone() {
    let gone = registry::GoneAgent {
        id: AgentId {
            value: "old-S0".into(),
        },
        timestamp: TimeInfo { nanoseconds: 5 },
    };
    let registry = Registry {
        gone: Some(registry::GoneAgents { agents: vec![gone] }),
        ..Registry::default()
    };
    let mut bench = Bench::recovering(MasterOptions::default(), registry);
    let framework = bench.framework("a");
    let message = "Agent marked gone by operator";
    answered(
        &mut bench,
        &framework,
        Some("old-S0"),
        "OPERATION_GONE_BY_OPERATOR",
        message,
    );
}

#[test]
fn each_is_answered_for_and_of_all_there_are_none() {
    let mut bench = Bench::new();
    let framework = bench.framework("a");
    let told = reconcile(&mut bench, &framework, &[None, Some("m-S9"), None]);
    assert_eq!(told.len(), 3);
    assert_eq!(reconcile(&mut bench, &framework, &[]), []);
    let mut call = Bench::of(&framework, call::Type::ReconcileOperations);
    let provider = Some(ResourceProviderId {
        value: "p".to_owned(),
    });
    let operation = reconcile_operations::Operation {
        operation_id: id("op"),
        agent_id: None,
        resource_provider_id: provider.clone(),
    };
    call.reconcile_operations = Some(call::ReconcileOperations {
        operations: vec![operation],
    });
    bench.call("a", call);
    let [event] = &bench.take_events("a")[..] else {
        panic!("one answer");
    };
    let status = &event.update_operation_status.as_ref().unwrap().status;
    assert_eq!(status.resource_provider_id, provider);
}

#[test]
fn what_is_said_of_nothing_is_taken_and_changes_nothing() {
    let mut bench = Bench::new();
    let framework = bench.framework("a");
    let agent = bench.agent("s", "cpus:4");
    let offers = bench.offer(&framework, &agent, "cpus:4");
    bench.take_events("a");
    let named = vec![OfferId {
        value: offers[0].clone(),
    }];
    let mut accept = Bench::of(&framework, call::Type::AcceptInverseOffers);
    accept.accept_inverse_offers = Some(call::AcceptInverseOffers {
        inverse_offer_ids: named.clone(),
        filters: None,
    });
    let mut decline = Bench::of(&framework, call::Type::DeclineInverseOffers);
    decline.decline_inverse_offers = Some(call::DeclineInverseOffers {
        inverse_offer_ids: named,
        filters: None,
    });
    let mut acknowledge = Bench::of(&framework, call::Type::AcknowledgeOperationStatus);
    acknowledge.acknowledge_operation_status = Some(call::AcknowledgeOperationStatus {
        agent_id: Some(AgentId { value: agent }),
        resource_provider_id: None,
        uuid: uuid(1).into(),
        operation_id: id("op"),
    });
    for call in [accept, decline, acknowledge] {
        bench.warnings.clear();
        bench.call("a", call);
        assert!(
            bench.warnings[0].starts_with("ignoring "),
            "{:?}",
            bench.warnings
        );
        assert_eq!(bench.take_events("a"), []);
    }
    let counted = "master/invalid_operation_status_update_acknowledgements";
    assert_eq!(bench.count(counted), 1);
    assert_eq!(bench.count("tepui/master/unsupported_calls"), 0);
    let snapshot = bench.core.snapshot();
    assert_eq!(snapshot.offers.size(), 1, "an offer is no inverse offer");
}
