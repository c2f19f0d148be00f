//! What a framework wants to be offered: in which of its roles, and of which agents. Now and then it
//! changes its mind.

use std::collections::BTreeSet;

use tepui_framework::{Constraint, Driver, Selector, offer_constraints};
use tepui_protocol::mesos::v1::scheduler::OfferConstraints;
use tepui_protocol::mesos::v1::scheduler::call::Subscribe;
use tepui_runtime::Random;

use super::Player;
use super::ledger::Memory;
use crate::temperament::Temperament;
use crate::wishes::{has_many_roles, roles};

/// Roles that a framework of several may have for a while.
const ROLES: [&str; 5] = ["role-0", "role-1", "role-2", "team/part-0", "team/part-1"];

/// Agents that may matter: there may be fewer.
const HOSTS: u64 = 3;

/// In one of its roles a framework wants offers of one agent only, or of all others.
fn constraints(role: &str, random: &Random) -> OfferConstraints {
    let host = format!("agent-{}", 1 + random.below(HOSTS));
    let constraint = match random.below(3) {
        0 => Constraint::Is(Selector::Hostname, host),
        _ => Constraint::IsNot(Selector::Hostname, host),
    };
    offer_constraints(role, [&constraint])
}

impl Memory {
    fn a_role(&self) -> Option<String> {
        let own = roles(&self.info);
        let at = usize::try_from(self.random.below(own.len() as u64)).unwrap_or(0);
        own.into_iter().nth(at)
    }

    /// What the first SUBSCRIBE of a new scheduler says: one in four does not want all there is.
    pub(crate) fn words(&mut self) -> Subscribe {
        self.suppressed.clear();
        self.constraints = None;
        let easy = self.quiet || self.temperament == Temperament::Sharing;
        if let Some(role) = self.a_role().filter(|_| !easy)
            && self.random.below(4) == 0
        {
            match self.random.below(2) {
                0 => drop(self.suppressed.insert(role)),
                _ => self.constraints = Some(constraints(&role, &self.random)),
            }
        }
        let mut framework_info = self.info.clone();
        framework_info.id = self.id.clone();
        Subscribe {
            framework_info,
            suppressed_roles: self.suppressed.iter().cloned().collect(),
            offer_constraints: self.constraints.clone(),
        }
    }

    /// One more role, or one less; what it said of that one is said no more.
    fn change_roles(&mut self) {
        let at = usize::try_from(self.random.below(ROLES.len() as u64)).unwrap_or(0);
        let role = ROLES.get(at).copied().unwrap_or("role-0");
        let own = &mut self.info.roles;
        match own.iter().position(|own| own == role) {
            None => own.push(role.to_owned()),
            Some(at) if own.len() > 1 => {
                own.remove(at);
                self.suppressed.remove(role);
                let of_it = |all: &OfferConstraints| all.role_constraints.contains_key(role);
                self.constraints = self.constraints.take().filter(|all| !of_it(all));
            }
            Some(_) => {}
        }
    }

    fn change_constraints(&mut self) {
        self.constraints = match (self.constraints.take(), self.a_role()) {
            (None, Some(role)) => Some(constraints(&role, &self.random)),
            _ => None,
        };
    }

    fn update(&self, driver: &mut Driver<'_>) {
        let suppressed = self.suppressed.iter().cloned().collect();
        let constraints = self.constraints.clone();
        driver.update_framework(self.info.clone(), suppressed, constraints);
    }
}

impl Player {
    /// Now and then it wants no offers, in one of its roles or at all, and later it does again; or
    /// it only clears its filters.
    pub(super) fn suppress_or_revive(&mut self, driver: &mut Driver<'_>) {
        let mut memory = self.ledger.lock();
        let one_in = if memory.suppressed.is_empty() {
            150
        } else {
            30
        };
        if memory.random.below(one_in) > 0 {
            return;
        }
        let one = memory.random.below(2) == 0;
        let one: Option<String> = one.then(|| memory.a_role()).flatten();
        let named: Vec<String> = one.into_iter().collect();
        let meant: BTreeSet<String> = match named.is_empty() {
            true => roles(&memory.info),
            false => named.iter().cloned().collect(),
        };
        if !memory.suppressed.is_empty() || memory.random.below(2) == 0 {
            memory.suppressed.retain(|role| !meant.contains(role));
            driver.revive(named);
        } else {
            memory.suppressed.extend(meant);
            driver.suppress(named);
        }
    }

    /// One act in a hundred: another role, or other agents.
    pub(super) fn may_change_its_mind(&mut self, driver: &mut Driver<'_>) {
        let mut memory = self.ledger.lock();
        if memory.random.below(100) > 0 {
            return;
        }
        if has_many_roles(&memory.info) && memory.random.below(2) == 0 {
            memory.change_roles();
        } else {
            memory.change_constraints();
        }
        memory.update(driver);
    }

    /// It wants offers in all its roles, and of all agents.
    pub(super) fn want_all(&mut self, driver: &mut Driver<'_>) {
        let mut memory = self.ledger.lock();
        memory.constraints = None;
        let suppressed = std::mem::take(&mut memory.suppressed);
        memory.update(driver);
        if !suppressed.is_empty() {
            driver.revive(Vec::new());
        }
    }
}

#[cfg(test)]
mod tests {
    use tepui_protocol::mesos::v1::scheduler::call::Type;
    use tepui_runtime::Time;

    use super::*;
    use crate::framework::Ledger;

    /// A scheduler that acts only by these, a thousand times each.
    #[test]
    fn it_changes_its_mind_and_names_no_role_that_it_has_not() {
        let mut seen: Vec<Type> = Vec::new();
        let (mut at_first, mut of_one) = (0, 0);
        for number in 0..40 {
            let ledger = Ledger::new(Temperament::Greedy, 1, Random::from_number(number));
            let words = ledger.lock().words();
            at_first += usize::from(
                !words.suppressed_roles.is_empty() || words.offer_constraints.is_some(),
            );
            let mut player = Player::new(ledger.clone(), Time::default());
            for _ in 0..1000 {
                let mut driver = Driver::new(None, Time::default());
                let before = roles(&ledger.lock().info);
                player.suppress_or_revive(&mut driver);
                player.may_change_its_mind(&mut driver);
                for call in driver.finish().calls {
                    seen.push(call.r#type());
                    let suppressed = call.suppress.iter().flat_map(|it| &it.roles);
                    let revived = call.revive.iter().flat_map(|it| &it.roles);
                    let named: BTreeSet<String> = suppressed.chain(revived).cloned().collect();
                    assert!(named.is_subset(&before));
                    of_one += named.len();
                    let Some(update) = call.update_framework else {
                        continue;
                    };
                    let own = roles(&update.framework_info);
                    assert!(!own.is_empty());
                    assert!(update.suppressed_roles.iter().all(|it| own.contains(it)));
                    let constrained = update.offer_constraints.unwrap_or_default();
                    let mut constrained = constrained.role_constraints.keys();
                    assert!(constrained.all(|role| own.contains(role)));
                }
            }
            let mut driver = Driver::new(None, Time::default());
            player.want_all(&mut driver);
            let calls = driver.finish().calls;
            let update = calls[0].update_framework.clone().unwrap();
            assert!(update.suppressed_roles.is_empty() && update.offer_constraints.is_none());
            assert!(ledger.lock().suppressed.is_empty());
        }
        assert!((3..=20).contains(&at_first), "{at_first} of 40");
        assert!(of_one > 100, "{of_one}");
        let often = |what: Type| seen.iter().filter(|&&call| call == what).count();
        assert!((200..=700).contains(&often(Type::UpdateFramework)));
        assert!(often(Type::Suppress) > 30 && often(Type::Revive) > 100);
    }
}
