//! What frameworks and tasks say of themselves: roles, labels, discovery; and calls that change
//! nothing.

use tepui_protocol::mesos::v1::framework_info::capability::Type as Capability;
use tepui_protocol::mesos::v1::scheduler::call;
use tepui_protocol::mesos::v1::{
    DiscoveryInfo, FrameworkInfo, Label, Labels, OfferFilters, discovery_info, offer_filters, value,
};

use super::bench::{Bench, command_task, framework_info};
use crate::core::{ToAgent, ToAllocator};

fn labels(key: &str) -> Option<Labels> {
    Some(Labels {
        labels: vec![Label {
            key: key.into(),
            value: Some("v".into()),
        }],
    })
}

#[test]
fn labels_and_discovery_of_a_task_reach_its_agent_and_its_readers() {
    let mut bench = Bench::new();
    let info = FrameworkInfo {
        labels: labels("framework"),
        ..framework_info(&[])
    };
    let id = bench.subscribe("a", info);
    let agent = bench.agent("s", "cpus:4;mem:1024");
    let mut task = command_task("t", &agent, "cpus:1;mem:64");
    task.labels = labels("task");
    task.discovery = Some(DiscoveryInfo {
        visibility: discovery_info::Visibility::Cluster as i32,
        name: Some("d".into()),
        labels: labels("discovery"),
        ..DiscoveryInfo::default()
    });
    let offers = bench.offer(&id, &agent, "cpus:1;mem:64");
    bench.take_agent_messages("s");
    bench.launch("a", &id, &offers[0], task.clone());
    let sent = bench.take_agent_messages("s");
    let [ToAgent::Run(run)] = &sent[..] else {
        panic!("{sent:?}")
    };
    assert_eq!(
        (&run.task.labels, &run.task.discovery),
        (&task.labels, &task.discovery)
    );
    assert_eq!(run.framework.labels, labels("framework"));
    let snapshot = bench.core.snapshot();
    let framework = snapshot.framework(&id).unwrap();
    let kept = framework.tasks.get("t").unwrap();
    assert_eq!(
        (&kept.labels, &kept.discovery),
        (&task.labels, &task.discovery)
    );
    assert_eq!(framework.info.labels, labels("framework"));
}

#[test]
fn a_framework_of_no_roles_is_subscribed_and_has_nothing_to_be_offered() {
    let mut bench = Bench::new();
    let id = bench.subscribe("a", framework_info(&[Capability::MultiRole]));
    let [ToAllocator::AddFramework(added)] = &bench.to_allocator[..] else {
        panic!("{:?}", bench.to_allocator)
    };
    assert!(added.active && added.framework_info.roles.is_empty());
    let framework = bench.core.snapshot().framework(&id).unwrap().clone();
    assert!(framework.roles().is_empty() && framework.active);
    // Without MULTI_ROLE a framework that names no role has the role of everybody.
    let other = bench.framework("b");
    let roles = bench.core.snapshot().framework(&other).unwrap().roles();
    assert_eq!(roles.into_iter().collect::<Vec<_>>(), ["*"]);
}

#[test]
fn a_request_is_counted_and_changes_nothing() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    bench.agent("s", "cpus:4");
    bench.to_allocator.clear();
    bench.core.take_changed();
    let mut call = Bench::of(&id, call::Type::Request);
    call.request = Some(call::Request {
        requests: vec![tepui_protocol::mesos::v1::Request::default()],
    });
    bench.call("a", call);
    assert!(bench.take_events("a").is_empty() && bench.to_allocator.is_empty());
    assert!(!bench.core.take_changed());
    assert_eq!(bench.count("master/messages_resource_request"), 1);
}

#[test]
fn the_least_offer_of_a_role_reaches_the_allocator() {
    let mut bench = Bench::new();
    let least = value::Scalar { value: 2.0 };
    let set = offer_filters::ResourceQuantities {
        quantities: [("cpus".to_owned(), least)].into(),
    };
    let filters = OfferFilters {
        min_allocatable_resources: Some(offer_filters::MinAllocatableResources {
            quantities: vec![set],
        }),
    };
    let info = FrameworkInfo {
        roles: vec!["x".into(), "y".into()],
        offer_filters: [("x".to_owned(), filters)].into(),
        ..framework_info(&[Capability::MultiRole])
    };
    bench.subscribe("a", info.clone());
    let [ToAllocator::AddFramework(added)] = &bench.to_allocator[..] else {
        panic!("{:?}", bench.to_allocator)
    };
    assert_eq!(added.framework_info.offer_filters, info.offer_filters);
}
