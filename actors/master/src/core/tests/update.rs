//! UPDATE_FRAMEWORK: what may change and what not, in the words of Mesos 1.11, and who hears of it.

use tepui_protocol::mesos::v1::FrameworkInfo;
use tepui_protocol::mesos::v1::framework_info::capability::Type as Capability;
use tepui_protocol::mesos::v1::scheduler::call::{self, UpdateFramework};
use tepui_protocol::mesos::v1::scheduler::{OfferConstraints, event, offer_constraints};

use super::bench::{Bench, framework_info};
use crate::MasterOptions;
use crate::core::{ToAgent, ToAllocator, validation};

fn info(roles: &[&str]) -> FrameworkInfo {
    FrameworkInfo {
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        ..framework_info(&[Capability::MultiRole])
    }
}

fn update(bench: &mut Bench, id: &str, update: UpdateFramework) {
    let mut call = Bench::of(id, call::Type::UpdateFramework);
    call.update_framework = Some(update);
    bench.call("a", call);
}

fn known(bench: &Bench, id: &str) -> FrameworkInfo {
    (*bench.core.snapshot().framework(id).unwrap().info).clone()
}

#[test]
fn what_must_not_change() {
    let mut bench = Bench::new();
    let id = bench.subscribe("a", info(&["x", "y"]));
    let own = known(&bench, &id);
    let with = |change: &dyn Fn(&mut UpdateFramework)| {
        let mut update = UpdateFramework {
            framework_info: own.clone(),
            ..UpdateFramework::default()
        };
        change(&mut update);
        update
    };
    let cases: [(UpdateFramework, &str); 6] = [
        (
            with(&|update| update.framework_info.roles = vec!["/x".into()]),
            "Supplied FrameworkInfo is not valid: 'FrameworkInfo.roles' contains invalid role: \
             Role '/x' cannot start with a slash",
        ),
        (
            with(&|update| update.suppressed_roles = vec!["z".into()]),
            "Supplied FrameworkInfo is not valid: Suppressed role 'z' is not contained in the \
             list of roles",
        ),
        (
            with(&|update| {
                update.framework_info.principal = Some("p".into());
                update.framework_info.user = "other".into();
            }),
            "FrameworkInfo update is not valid: Changing framework's principal is not allowed.",
        ),
        (
            with(&|update| {
                update.framework_info.user = "other".into();
                update.framework_info.checkpoint = Some(false);
            }),
            "FrameworkInfo update is not valid: Updating 'FrameworkInfo.user' is unsupported; \
             attempted to update from 'u' to 'other'",
        ),
        (
            with(&|update| update.framework_info.checkpoint = None),
            "FrameworkInfo update is not valid: Updating 'FrameworkInfo.checkpoint' is \
             unsupported; attempted to update from 'true' to 'false'",
        ),
        (
            with(&|update| {
                let constraints = offer_constraints::RoleConstraints::default();
                update.offer_constraints = Some(OfferConstraints {
                    role_constraints: [("x".to_owned(), constraints)].into(),
                });
            }),
            "'UpdateFramework.offer_constraints' are not valid: 'OfferConstraints::role_constraints' \
             has an empty 'RoleConstraints::groups' for role x",
        ),
    ];
    for (wrong, words) in cases {
        let snapshot = bench.core.snapshot();
        let framework = snapshot.framework(&id).unwrap();
        let answer = validation::update(framework, &wrong, &MasterOptions::default());
        assert_eq!(answer, Err(words.to_owned()));
        update(&mut bench, &id, wrong);
        assert_eq!(known(&bench, &id), own);
    }
    let mut call = Bench::of(&id, call::Type::UpdateFramework);
    call.update_framework = Some(UpdateFramework {
        framework_info: info(&["x"]),
        ..UpdateFramework::default()
    });
    assert_eq!(
        validation::call(&call),
        Err("'framework_id' differs from 'update_framework.framework_info.id'".to_owned())
    );
}

#[test]
fn agents_allocator_and_offers_follow() {
    let mut bench = Bench::new();
    let id = bench.subscribe("a", info(&["x", "y"]));
    let agent = bench.agent("s", "cpus:4;mem:1024");
    let left = bench.offer_in(&id, &agent, "x", "cpus:1").remove(0);
    let kept = bench.offer_in(&id, &agent, "y", "cpus:1").remove(0);
    bench.take_events("a");
    bench.take_agent_messages("s");
    bench.to_allocator.clear();
    let mut changed = known(&bench, &id);
    changed.roles = vec!["y".into(), "z".into()];
    changed.name = "renamed".into();
    changed.failover_timeout = None;
    let call = || UpdateFramework {
        framework_info: changed.clone(),
        suppressed_roles: vec!["z".into()],
        ..UpdateFramework::default()
    };
    update(&mut bench, &id, call());
    let events = bench.take_events("a");
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].r#type(), event::Type::Rescind);
    assert_eq!(events[0].rescind.as_ref().unwrap().offer_id.value, left);
    let snapshot = bench.core.snapshot();
    let framework = snapshot.framework(&id).unwrap();
    assert!(snapshot.offers.contains_key(&kept) && framework.active);
    assert_eq!(*framework.info, changed);
    assert!(framework.suppressed_roles.contains("z"));
    assert_eq!(framework.reregistered_at, None);
    // It asks for no time to come back now, and is told what that means.
    assert_eq!(bench.warnings.len(), 1);
    let messages = bench.take_agent_messages("s");
    assert!(
        matches!(&messages[..], [ToAgent::UpdateFramework(m)] if m.framework_info.as_ref() == Some(&changed)),
        "{messages:?}"
    );
    assert!(bench.to_allocator.iter().any(|message| matches!(
        message,
        ToAllocator::UpdateFramework(m)
            if m.framework_info == changed && m.suppressed_roles == ["z"]
    )));
    // Agents hear nothing where nothing changed.
    update(&mut bench, &id, call());
    assert!(bench.take_agent_messages("s").is_empty());
}
