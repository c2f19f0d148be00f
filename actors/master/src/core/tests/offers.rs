//! What becomes of allocations, and how offers end without being accepted.

use std::time::Duration;

use tepui_protocol::mesos::v1::framework_info::capability::Type as Capability;
use tepui_protocol::mesos::v1::scheduler::call;
use tepui_protocol::mesos::v1::scheduler::event;
use tepui_protocol::mesos::v1::{self, AgentId, Filters, FrameworkId, OfferId};
use tepui_protocol::resources::parse_text;
use tepui_protocol::tepui::allocator::Allocation;

use super::bench::{Bench, framework_info, resources};
use crate::MasterOptions;
use crate::core::Input;

fn allocation(framework: &str, agent: &str, role: &str, text: &str) -> Allocation {
    Allocation {
        framework_id: FrameworkId {
            value: framework.into(),
        },
        role: role.into(),
        agent_id: AgentId {
            value: agent.into(),
        },
        resources: resources(text).allocate(role).to_proto(),
        incarnation: None,
    }
}

fn take_offers(bench: &mut Bench, from: &str) -> Vec<v1::Offer> {
    let offers = bench
        .take_events(from)
        .into_iter()
        .filter_map(|event| event.offers);
    offers.flat_map(|offers| offers.offers).collect()
}

fn decline(bench: &mut Bench, from: &str, id: &str, offer: &str, seconds: Option<f64>) {
    let mut call = Bench::of(id, call::Type::Decline);
    call.decline = Some(call::Decline {
        offer_ids: vec![OfferId {
            value: offer.into(),
        }],
        filters: seconds.map(|seconds| Filters {
            refuse_seconds: Some(seconds),
        }),
    });
    bench.call(from, call);
}

#[test]
fn an_offer_says_where_and_what() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let agent = bench.agent("slave(1)", "cpus:4;mem:1024");
    bench.give(Input::Allocations(vec![allocation(
        &id,
        &agent,
        "*",
        "cpus:4;mem:1024",
    )]));
    let offers = take_offers(&mut bench, "a");
    let offer = &offers[0];
    assert_eq!(offer.id.value, "m-O0");
    assert_eq!(
        (&offer.framework_id.value, &offer.agent_id.value),
        (&id, &agent)
    );
    assert_eq!(offer.hostname, "host");
    let url = offer.url.as_ref().unwrap();
    assert_eq!((url.scheme.as_str(), url.path()), ("http", "/slave(1)"));
    assert_eq!((url.address.ip(), url.address.port), ("10.0.0.1", 5051));
    // Without MULTI_ROLE and RESERVATION_REFINEMENT: no allocation info, `role` set.
    assert!(offer.allocation_info.is_none());
    let shown: Vec<_> = offer
        .resources
        .iter()
        .map(|r| {
            (
                r.name.as_str(),
                r.role.as_deref(),
                r.allocation_info.is_some(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [("cpus", Some("*"), false), ("mem", Some("*"), false)]
    );
}

#[test]
fn a_framework_that_knows_roles_and_stacks_gets_them() {
    let mut bench = Bench::new();
    let mut info = framework_info(&[Capability::MultiRole, Capability::ReservationRefinement]);
    info.roles = vec!["x".into()];
    let id = bench.subscribe("a", info);
    let agent = bench.agent("s", "cpus(x):4;mem:1024");
    let mut allocation = allocation(&id, &agent, "x", "mem:1024");
    allocation.resources.extend(
        parse_text("cpus(x):4", "*")
            .unwrap()
            .allocate("x")
            .to_proto(),
    );
    bench.give(Input::Allocations(vec![allocation]));
    let offers = take_offers(&mut bench, "a");
    assert_eq!(offers[0].allocation_info.as_ref().unwrap().role(), "x");
    for resource in &offers[0].resources {
        assert_eq!(resource.role, None);
        assert_eq!(resource.allocation_info.as_ref().unwrap().role(), "x");
        assert_eq!(
            resource.reservations.len(),
            usize::from(resource.name == "cpus")
        );
    }
}

#[test]
fn a_reservation_is_downgraded_for_who_does_not_know_stacks() {
    let mut bench = Bench::new();
    let id = bench.subscribe(
        "a",
        v1::FrameworkInfo {
            role: Some("x".into()),
            ..framework_info(&[])
        },
    );
    let agent = bench.agent("s", "cpus(x):4");
    let mut allocation = allocation(&id, &agent, "x", "");
    allocation.resources = parse_text("cpus(x):4", "*")
        .unwrap()
        .allocate("x")
        .to_proto();
    bench.give(Input::Allocations(vec![allocation]));
    let offers = take_offers(&mut bench, "a");
    let resource = &offers[0].resources[0];
    assert_eq!((resource.role(), resource.reservations.len()), ("x", 0));
}

#[test]
fn grants_of_one_framework_role_and_agent_are_one_offer_and_one_event_is_all() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let first = bench.agent("s", "cpus:4;mem:1024");
    let second = bench.agent("t", "cpus:4;mem:1024");
    bench.give(Input::Allocations(vec![
        allocation(&id, &first, "*", "cpus:4"),
        allocation(&id, &second, "*", "cpus:4"),
        allocation(&id, &first, "*", "mem:1024"),
    ]));
    let events = bench.take_events("a");
    assert_eq!(events.len(), 1);
    let offers = &events[0].offers.as_ref().unwrap().offers;
    let shown: Vec<_> = offers
        .iter()
        .map(|o| (o.agent_id.value.as_str(), o.resources.len()))
        .collect();
    assert_eq!(shown, [(first.as_str(), 2), (second.as_str(), 1)]);
}

#[test]
fn declined_resources_return_with_the_filter() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let agent = bench.agent("s", "cpus:4");
    for (seconds, told) in [(Some(60.0), 60.0), (None, 5.0), (Some(0.0), 0.0)] {
        let offers = bench.offer(&id, &agent, "cpus:4");
        bench.take_recovered();
        decline(&mut bench, "a", &id, &offers[0], seconds);
        assert_eq!(bench.take_recovered(), [("cpus:4".to_owned(), Some(told))]);
    }
}

#[test]
fn an_offer_is_declined_once_and_only_by_its_own_framework() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let other = bench.framework("b");
    let agent = bench.agent("s", "cpus:4");
    let offers = bench.offer(&id, &agent, "cpus:4");
    bench.take_recovered();
    decline(&mut bench, "b", &other, &offers[0], None);
    assert!(bench.take_recovered().is_empty());
    decline(&mut bench, "a", &id, &offers[0], None);
    decline(&mut bench, "a", &id, &offers[0], None);
    assert_eq!(bench.take_recovered().len(), 1);
}

#[test]
fn an_offer_that_is_not_answered_is_rescinded_after_offer_timeout() {
    let options = MasterOptions {
        offer_timeout: Some(Duration::from_secs(30)),
        ..MasterOptions::default()
    };
    let mut bench = Bench::with(options);
    let id = bench.framework("a");
    let agent = bench.agent("s", "cpus:4");
    let offers = bench.offer(&id, &agent, "cpus:4");
    bench.take_recovered();
    bench.pass(Duration::from_secs(29));
    assert!(bench.take_events("a").is_empty());
    bench.pass(Duration::from_secs(1));
    let events = bench.take_events("a");
    assert_eq!(events[0].r#type(), event::Type::Rescind);
    assert_eq!(
        events[0].rescind.as_ref().unwrap().offer_id.value,
        offers[0]
    );
    assert_eq!(bench.take_recovered(), [("cpus:4".to_owned(), None)]);
}

#[test]
fn without_offer_timeout_an_offer_stays() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let agent = bench.agent("s", "cpus:4");
    bench.offer(&id, &agent, "cpus:4");
    bench.take_events("a");
    bench.pass(Duration::from_secs(24 * 3600));
    assert!(bench.take_events("a").is_empty());
}

#[test]
fn what_does_not_fit_an_agent_is_not_offered() {
    let mut bench = Bench::new();
    let id = bench.framework("a");
    let agent = bench.agent("s", "cpus:4");
    bench.offer(&id, &agent, "cpus:3");
    bench.take_recovered();
    assert!(bench.offer(&id, &agent, "cpus:2").is_empty());
    assert_eq!(bench.take_recovered(), [("cpus:2".to_owned(), None)]);
    assert_eq!(bench.offer(&id, &agent, "cpus:1").len(), 1);
}
