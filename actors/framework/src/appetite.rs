//! When a framework wants offers: SUPPRESS while it has nothing to launch, REVIVE when it has.
//!
//! ```text
//!   unknown (after SUBSCRIBED) ──► hungry ◄──► full
//! ```
//!
//! A framework that is full costs the master nothing, and who is hungry gets what it would have
//! been offered. Not here: what it wants (`matcher`).

use std::collections::BTreeMap;

use crate::driver::Driver;

/// Which roles of a framework want offers, as far as the master was told.
#[derive(Debug, Clone)]
pub struct Appetite {
    /// `None`: the master has not been told since it subscribed the framework.
    roles: BTreeMap<String, Option<bool>>,
}

impl Appetite {
    /// Of a framework with these roles.
    #[must_use]
    pub fn new(roles: impl IntoIterator<Item = String>) -> Appetite {
        Appetite {
            roles: roles.into_iter().map(|role| (role, None)).collect(),
        }
    }

    /// The framework is subscribed, for the first time or again; a master that took it up anew
    /// knows nothing of what was said before.
    pub fn subscribed(&mut self) {
        for told in self.roles.values_mut() {
            *told = None;
        }
    }

    /// Tells the master whether `role` wants offers, if it does not know.
    pub fn set(&mut self, role: &str, hungry: bool, driver: &mut Driver<'_>) {
        if self.roles.get(role).copied().flatten() == Some(hungry) {
            return;
        }
        self.tell(role, hungry, driver);
    }

    /// There is more to launch for `role`: what it declined before is wanted, too.
    pub fn more(&mut self, role: &str, driver: &mut Driver<'_>) {
        self.tell(role, true, driver);
    }

    /// A role that the framework does not have would be answered by nothing at all.
    fn tell(&mut self, role: &str, hungry: bool, driver: &mut Driver<'_>) {
        let Some(told) = self.roles.get_mut(role) else {
            tracing::warn!(role, "not a role of this framework");
            return;
        };
        *told = Some(hungry);
        let roles = vec![role.to_owned()];
        if hungry {
            driver.revive(roles);
        } else {
            driver.suppress(roles);
        }
    }
}

#[cfg(test)]
mod tests {
    use tepui_protocol::mesos::v1::scheduler::call;
    use tepui_runtime::Time;

    use super::*;

    fn told(work: impl FnOnce(&mut Driver<'_>)) -> Vec<(call::Type, Vec<String>)> {
        let mut driver = Driver::new(None, Time::default());
        work(&mut driver);
        let calls = driver.finish().calls.into_iter();
        calls
            .map(|call| {
                let kind = call.r#type();
                let revive = call.revive.map(|it| it.roles);
                (kind, revive.or(call.suppress.map(|it| it.roles)).unwrap())
            })
            .collect()
    }

    #[test]
    fn the_master_is_told_what_it_does_not_know() {
        let (a, b) = (vec!["a".to_owned()], vec!["b".to_owned()]);
        let mut appetite = Appetite::new(["a".to_owned(), "b".to_owned()]);
        let calls = told(|driver| {
            appetite.set("a", true, driver);
            appetite.set("a", true, driver);
            appetite.set("b", false, driver);
            appetite.set("nobody's", true, driver);
        });
        assert_eq!(
            calls,
            [(call::Type::Revive, a.clone()), (call::Type::Suppress, b)]
        );
        assert_eq!(told(|driver| appetite.set("a", true, driver)), []);
        let again = told(|driver| appetite.more("a", driver));
        assert_eq!(
            again,
            [(call::Type::Revive, a.clone())],
            "filters are lifted"
        );
        appetite.subscribed();
        let again = told(|driver| appetite.set("a", false, driver));
        assert_eq!(
            again,
            [(call::Type::Suppress, a)],
            "a new master knows nothing"
        );
    }
}
