//! What a framework says of itself and of the offers it wants: as it began, and as its calls have
//! changed it since. Each SUBSCRIBE says it anew, for a master takes what is left out of it as
//! withdrawn (and one that took over has never heard of it).
//!
//! Not here: what the scheduler makes of it.

use std::collections::BTreeSet;

use tepui_protocol::mesos::v1::framework_info::capability::Type as Capability;
use tepui_protocol::mesos::v1::scheduler::{Call, OfferConstraints, call};
use tepui_protocol::mesos::v1::{FrameworkId, FrameworkInfo};

/// What the next SUBSCRIBE says.
#[derive(Debug, Clone)]
pub(crate) struct Wishes {
    /// Has an id once the master gave one.
    pub(crate) info: FrameworkInfo,
    pub(crate) suppressed_roles: Vec<String>,
    pub(crate) offer_constraints: Option<OfferConstraints>,
}

impl Wishes {
    /// The call.
    pub(crate) fn subscribe(&self) -> Call {
        let subscribe = call::Subscribe {
            framework_info: self.info.clone(),
            suppressed_roles: self.suppressed_roles.clone(),
            offer_constraints: self.offer_constraints.clone(),
        };
        Call {
            framework_id: self.info.id.clone(),
            r#type: Some(call::Type::Subscribe as i32),
            subscribe: Some(subscribe),
            ..Call::default()
        }
    }

    /// The master gave an id.
    pub(crate) fn named(&mut self, id: FrameworkId) {
        self.info.id = Some(id);
    }

    /// Remembers what a call changes; gives whether it is such a call.
    pub(crate) fn heed(&mut self, call: &Call) -> bool {
        match call.r#type() {
            call::Type::UpdateFramework => {
                if let Some(update) = &call.update_framework {
                    let id = self.info.id.take();
                    self.info.clone_from(&update.framework_info);
                    self.info.id = id;
                    self.suppressed_roles.clone_from(&update.suppressed_roles);
                    self.offer_constraints.clone_from(&update.offer_constraints);
                }
            }
            call::Type::Suppress => {
                let named = call.suppress.as_ref().map(|suppress| &suppress.roles);
                for role in self.named_roles(named) {
                    if !self.suppressed_roles.contains(&role) {
                        self.suppressed_roles.push(role);
                    }
                }
            }
            call::Type::Revive => {
                let named = call.revive.as_ref().map(|revive| &revive.roles);
                let revived = self.named_roles(named);
                self.suppressed_roles.retain(|role| !revived.contains(role));
            }
            _ => return false,
        }
        true
    }

    /// The roles that a SUPPRESS or a REVIVE is about: those named, or all if none is. The master
    /// drops a call that names one of which the framework is not, so that it changes nothing.
    fn named_roles(&self, named: Option<&Vec<String>>) -> BTreeSet<String> {
        let own = self.roles();
        let named: BTreeSet<String> = named.into_iter().flatten().cloned().collect();
        if named.is_empty() {
            own
        } else if named.is_subset(&own) {
            named
        } else {
            BTreeSet::new()
        }
    }

    fn roles(&self) -> BTreeSet<String> {
        let mut capabilities = self.info.capabilities.iter();
        if capabilities.any(|it| it.r#type() == Capability::MultiRole) {
            return self.info.roles.iter().cloned().collect();
        }
        let role = self.info.role.clone();
        BTreeSet::from([role.unwrap_or_else(|| "*".to_owned())])
    }
}

#[cfg(test)]
mod tests {
    use tepui_protocol::mesos::v1::framework_info;
    use tepui_runtime::Time;

    use super::*;
    use crate::Driver;

    fn heeded(wishes: &mut Wishes, work: impl FnOnce(&mut Driver<'_>)) -> Vec<String> {
        let mut driver = Driver::new(wishes.info.id.as_ref(), Time::default());
        work(&mut driver);
        let calls = driver.finish().calls;
        for call in calls {
            wishes.heed(&call);
        }
        wishes.suppressed_roles.clone()
    }

    #[test]
    fn roles_are_suppressed_and_revived_as_the_master_has_it() {
        let capability = framework_info::Capability {
            r#type: Some(Capability::MultiRole as i32),
        };
        let mut wishes = Wishes {
            info: FrameworkInfo {
                roles: vec!["a".to_owned(), "b".to_owned()],
                capabilities: vec![capability],
                ..FrameworkInfo::default()
            },
            suppressed_roles: vec!["b".to_owned()],
            offer_constraints: None,
        };
        let roles = |names: &[&str]| -> Vec<String> {
            let names = names.iter();
            names.map(|&name| name.to_owned()).collect()
        };
        let of = heeded(&mut wishes, |driver| driver.revive(roles(&["b"])));
        assert_eq!(of, roles(&[]));
        let of = heeded(&mut wishes, |driver| driver.suppress(vec![]));
        assert_eq!(of, roles(&["a", "b"]), "all of them");
        let of = heeded(&mut wishes, |driver| driver.revive(roles(&["a", "c"])));
        assert_eq!(of, roles(&["a", "b"]), "c is not its role: dropped");
        let of = heeded(&mut wishes, |driver| driver.revive(roles(&["a"])));
        assert_eq!(of, roles(&["b"]));
        let of = heeded(&mut wishes, |driver| driver.suppress(roles(&["b"])));
        assert_eq!(of, roles(&["b"]), "once");
        let of = heeded(&mut wishes, |driver| driver.revive(vec![]));
        assert_eq!(of, roles(&[]));

        wishes.info = FrameworkInfo::default();
        let of = heeded(&mut wishes, |driver| driver.suppress(vec![]));
        assert_eq!(of, roles(&["*"]), "who names no role is of the default one");
    }
}
