//! What a framework says of itself and of the offers it wants when it subscribes: as its calls have
//! changed it. A master takes what a SUBSCRIBE leaves out as withdrawn.
//!
//! Not here: what a framework wants, and when it changes its mind (`framework/wishes.rs`).

use std::collections::BTreeSet;

use tepui_protocol::mesos::v1::FrameworkInfo;
use tepui_protocol::mesos::v1::framework_info::capability::Type as Capability;
use tepui_protocol::mesos::v1::scheduler::Call;
use tepui_protocol::mesos::v1::scheduler::call::{Subscribe, Type};

/// Changes the words of the next SUBSCRIBE by a call.
pub(crate) fn heed(words: &mut Subscribe, call: &Call) {
    match call.r#type() {
        Type::UpdateFramework => {
            if let Some(update) = call.update_framework.clone() {
                let id = words.framework_info.id.take();
                words.framework_info = FrameworkInfo {
                    id,
                    ..update.framework_info
                };
                words.suppressed_roles = update.suppressed_roles;
                words.offer_constraints = update.offer_constraints;
            }
        }
        Type::Suppress => {
            let named = call.suppress.iter().flat_map(|it| &it.roles);
            let more = named_roles(&words.framework_info, named);
            let own = words.suppressed_roles.drain(..).chain(more);
            words.suppressed_roles = own.collect::<BTreeSet<_>>().into_iter().collect();
        }
        Type::Revive => {
            let named = call.revive.iter().flat_map(|it| &it.roles);
            let revived = named_roles(&words.framework_info, named);
            let suppressed = &mut words.suppressed_roles;
            suppressed.retain(|role| !revived.contains(role));
        }
        _ => {}
    }
}

/// The roles that a SUPPRESS or a REVIVE is about: those named, or all if none is. A master drops
/// a call that names one that the framework has not.
pub(crate) fn named_roles<'a>(
    info: &FrameworkInfo,
    named: impl Iterator<Item = &'a String>,
) -> BTreeSet<String> {
    let own = roles(info);
    let named: BTreeSet<String> = named.cloned().collect();
    match named.is_empty() {
        true => own,
        false if named.is_subset(&own) => named,
        false => BTreeSet::new(),
    }
}

/// Whether a framework may have several roles.
pub(crate) fn has_many_roles(info: &FrameworkInfo) -> bool {
    let mut capabilities = info.capabilities.iter();
    capabilities.any(|it| it.r#type() == Capability::MultiRole)
}

/// A framework's roles.
pub(crate) fn roles(info: &FrameworkInfo) -> BTreeSet<String> {
    if has_many_roles(info) {
        return info.roles.iter().cloned().collect();
    }
    BTreeSet::from([info.role.clone().unwrap_or_else(|| "*".to_owned())])
}

#[cfg(test)]
mod tests {
    use tepui_framework::Driver;
    use tepui_protocol::mesos::v1::framework_info;
    use tepui_protocol::mesos::v1::scheduler::OfferConstraints;
    use tepui_runtime::Time;

    use super::*;

    fn heeded(words: &mut Subscribe, work: impl FnOnce(&mut Driver<'_>)) -> Vec<String> {
        let mut driver = Driver::new(None, Time::default());
        work(&mut driver);
        for call in driver.finish().calls {
            heed(words, &call);
        }
        words.suppressed_roles.clone()
    }

    #[test]
    fn what_a_call_changes_is_said_at_the_next_subscription() {
        let info = |roles: &[&str]| FrameworkInfo {
            roles: roles.iter().map(|&role| role.to_owned()).collect(),
            capabilities: vec![framework_info::Capability {
                r#type: Some(Capability::MultiRole as i32),
            }],
            ..FrameworkInfo::default()
        };
        let named = |role: &str| vec![role.to_owned()];
        let mut words = Subscribe {
            framework_info: info(&["a", "b"]),
            ..Subscribe::default()
        };
        assert_eq!(heeded(&mut words, |it| it.suppress(named("b"))), ["b"]);
        assert_eq!(heeded(&mut words, |it| it.suppress(named("c"))), ["b"]);
        assert_eq!(heeded(&mut words, |it| it.suppress(vec![])), ["a", "b"]);
        assert_eq!(heeded(&mut words, |it| it.revive(named("a"))), ["b"]);
        let id = Some(tepui_protocol::mesos::v1::FrameworkId { value: "f".into() });
        words.framework_info.id.clone_from(&id);
        let constraints = Some(OfferConstraints::default());
        let none = heeded(&mut words, |it| {
            it.update_framework(info(&["c"]), vec![], constraints.clone());
        });
        assert_eq!(none, [""; 0]);
        assert_eq!(roles(&words.framework_info), BTreeSet::from(["c".into()]));
        assert_eq!(words.framework_info.id, id, "as the master gave it");
        assert_eq!(words.offer_constraints, constraints);
        assert_eq!(heeded(&mut words, |it| it.suppress(vec![])), ["c"]);
        assert_eq!(heeded(&mut words, |it| it.revive(vec![])), [""; 0]);
    }
}
