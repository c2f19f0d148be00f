//! Offer constraints on their way through the master: judged, kept, told to the allocator.
//! What they mean is the allocator's to know.

use tepui_protocol::mesos::v1::FrameworkInfo;
use tepui_protocol::mesos::v1::framework_info::capability::Type as Capability;
use tepui_protocol::mesos::v1::scheduler::OfferConstraints;
use tepui_protocol::mesos::v1::scheduler::call::{self, Subscribe, UpdateFramework};

use super::bench::{Bench, command_task, framework_info};
use crate::MasterOptions;
use crate::core::{ToAgent, ToAllocator, validation};

fn info(roles: &[&str]) -> FrameworkInfo {
    FrameworkInfo {
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        ..framework_info(&[Capability::MultiRole])
    }
}

/// For one role: its agents' attribute `rack` is to match.
fn rack(role: &str, regex: &str) -> OfferConstraints {
    let text = format!(
        r#"{{"role_constraints":{{"{role}":{{"groups":[{{"attribute_constraints":[{{
            "selector":{{"attribute_name":"rack"}},
            "predicate":{{"text_matches":{{"regex":"{regex}"}}}}}}]}}]}}}}}}"#
    );
    tepui_protocol::json::from_slice(text.as_bytes()).unwrap()
}

fn subscribe(info: FrameworkInfo, constraints: OfferConstraints) -> Subscribe {
    Subscribe {
        framework_info: info,
        offer_constraints: Some(constraints),
        ..Subscribe::default()
    }
}

/// The constraints that the allocator was told of last.
fn told(bench: &mut Bench) -> Option<OfferConstraints> {
    let messages = std::mem::take(&mut bench.to_allocator);
    let constraints = messages.into_iter().filter_map(|message| match message {
        ToAllocator::AddFramework(message) => message.offer_constraints,
        ToAllocator::UpdateFramework(message) => message.offer_constraints,
        _ => None,
    });
    constraints.last()
}

fn kept(bench: &Bench, id: &str) -> OfferConstraints {
    let snapshot = bench.core.snapshot();
    (*snapshot.framework(id).unwrap().offer_constraints).clone()
}

#[test]
fn each_subscription_and_update_says_all_constraints_anew() {
    let mut bench = Bench::new();
    bench.subscribe_with("a", subscribe(info(&["x", "y"]), rack("x", "r1")));
    let id = bench.take_events("a")[0].subscribed.clone().unwrap();
    let id = id.framework_id;
    assert_eq!(told(&mut bench), Some(rack("x", "r1")));
    assert_eq!(kept(&bench, &id.value), rack("x", "r1"));

    let own = FrameworkInfo {
        id: Some(id.clone()),
        ..info(&["x", "y"])
    };
    let mut call = Bench::of(&id.value, call::Type::UpdateFramework);
    call.update_framework = Some(UpdateFramework {
        framework_info: own.clone(),
        offer_constraints: Some(rack("y", "r2")),
        ..UpdateFramework::default()
    });
    bench.call("a", call.clone());
    assert_eq!(told(&mut bench), Some(rack("y", "r2")));
    call.update_framework.as_mut().unwrap().offer_constraints = None;
    bench.call("a", call);
    assert_eq!(told(&mut bench), Some(OfferConstraints::default()));

    bench.subscribe_with("b", subscribe(own.clone(), rack("x", "r3")));
    assert_eq!(told(&mut bench), Some(rack("x", "r3")));
    let bare = Subscribe {
        framework_info: own,
        ..Subscribe::default()
    };
    bench.subscribe_with("b", bare);
    assert_eq!(told(&mut bench), Some(OfferConstraints::default()));
    assert_eq!(kept(&bench, &id.value), OfferConstraints::default());
}

#[test]
fn offers_in_hand_outlive_constraints_that_exclude_them() {
    let mut bench = Bench::new();
    let id = bench.subscribe("a", info(&["x"]));
    let agent = bench.agent("s", "cpus:4;mem:1024");
    let offer = bench.offer_in(&id, &agent, "x", "cpus:1;mem:64").remove(0);
    bench.take_events("a");
    let own = (*bench.core.snapshot().framework(&id).unwrap().info).clone();
    let mut call = Bench::of(&id, call::Type::UpdateFramework);
    call.update_framework = Some(UpdateFramework {
        framework_info: own,
        // The agent has no such attribute.
        offer_constraints: Some(rack("x", "r1")),
        ..UpdateFramework::default()
    });
    bench.call("a", call);
    assert_eq!(told(&mut bench), Some(rack("x", "r1")));
    assert!(
        bench.take_events("a").is_empty(),
        "as Mesos 1.11, which rescinds nothing"
    );
    bench.take_agent_messages("s");
    let task = command_task("t", &agent, "cpus:1;mem:64");
    bench.launch("a", &id, &offer, task);
    let sent = bench.take_agent_messages("s");
    assert!(matches!(&sent[..], [ToAgent::Run(_)]), "{sent:?}");
}

#[test]
fn what_is_no_constraint_of_its_own_roles_is_refused() {
    let mut options = MasterOptions::default();
    options.allocator.decisions.patterns.max_program = 20;
    let cases = [
        (
            rack("z", "r1"),
            "Offer constraints are not valid: Offer constraints specify a role 'z' to which the \
             framework is not subscribed",
        ),
        (
            rack("x", "("),
            "Offer constraints are not valid: A role x has an invalid 'AttributeConstraint': \
             Failed to construct regex from pattern '(': unclosed group",
        ),
        (
            rack("x", "rack-of-the-second-floor"),
            "Offer constraints are not valid: A role x has an invalid 'AttributeConstraint': \
             Regex 'rack-of-the-second-floor' is too complex: program size of 28 is larger than \
             maximum of 20 allowed",
        ),
    ];
    for (constraints, words) in cases {
        let mut bench = Bench::with(options.clone());
        bench.subscribe_with("a", subscribe(info(&["x"]), constraints.clone()));
        let events = bench.take_events("a");
        assert_eq!(events[0].error.as_ref().unwrap().message, words);
        let id = bench.subscribe("a", info(&["x"]));
        let snapshot = bench.core.snapshot();
        let framework = snapshot.framework(&id).unwrap();
        let update = UpdateFramework {
            framework_info: (*framework.info).clone(),
            offer_constraints: Some(constraints),
            ..UpdateFramework::default()
        };
        let words = words.replace(
            "Offer constraints are not valid",
            "'UpdateFramework.offer_constraints' are not valid",
        );
        let answer = validation::update(framework, &update, &options);
        assert_eq!(answer, Err(words));
    }
}
