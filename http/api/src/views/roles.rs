//! `/roles`: the roles that are known, and what each has.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Serialize, Serializer, ser::SerializeMap};
use tepui_master::{Published, Snapshot};
use tepui_protocol::resources::{Amount, Entry, Quantities, Resources, Scalar};
use tepui_runtime::http::Handler;

use super::{Each, EachKey, resources::Amounts, shared::everything, to_json};

/// The weight of a role that none is set for.
const DEFAULT_WEIGHT: f64 = 1.0;

pub(crate) fn roles(published: &Arc<Published>) -> Handler {
    let published = Arc::clone(published);
    everything(move || to_json(&RolesView(&Roles::of(&published.load()))))
}

/// What is counted of a role and the roles below it.
#[derive(Debug, Default)]
struct Role {
    weight: Option<f64>,
    allocated: Quantities,
    offered: Quantities,
    reserved: Quantities,
    /// What counts against a quota: reservations, used or not, and what is allocated of the rest.
    consumed: Quantities,
    /// Ids of the frameworks that are subscribed to it or use something in it.
    frameworks: BTreeSet<String>,
}

/// The known roles: `*`, those that may be subscribed to where that is limited, those with a
/// weight, a framework, a reservation or an allocation, and all above one of them.
#[derive(Debug, Default)]
struct Roles(BTreeMap<String, Role>);

impl Roles {
    fn of(snapshot: &Snapshot) -> Self {
        let mut roles = Self::default();
        roles.role("*");
        for role in snapshot.whitelist.iter().flat_map(|list| list.iter()) {
            roles.role(role);
        }
        for (role, weight) in snapshot.weights.iter() {
            roles.role(role).weight = Some(*weight);
        }
        for framework in snapshot.frameworks.values() {
            let using = framework.used.allocations().into_keys();
            for role in framework.roles().into_iter().chain(using) {
                roles.role(&role).frameworks.insert(framework.id.clone());
            }
        }
        for agent in snapshot.agents.values() {
            roles.reserved(&agent.total);
            for used in agent.used.values() {
                roles.allocated(used);
            }
        }
        for offer in snapshot.offers.values() {
            for entry in &offer.resources {
                let role = entry.kind.allocation_role();
                roles.count(role, entry, |role| &mut role.offered);
            }
        }
        roles
    }

    fn reserved(&mut self, total: &Resources) {
        for entry in total {
            let role = entry.kind.reservation_role();
            self.count(role, entry, |role| &mut role.reserved);
            self.count(role, entry, |role| &mut role.consumed);
        }
    }

    fn allocated(&mut self, used: &Resources) {
        for entry in used {
            let role = entry.kind.allocation_role();
            self.count(role, entry, |role| &mut role.allocated);
            if entry.kind.reservations().is_empty() && !entry.kind.is_revocable() {
                self.count(role, entry, |role| &mut role.consumed);
            }
        }
    }

    /// Adds an entry to one of the counts of a role and of each role above it.
    fn count(
        &mut self,
        role: Option<&str>,
        entry: &Entry,
        which: impl Fn(&mut Role) -> &mut Quantities,
    ) {
        let Some(role) = role else { return };
        let quantity = quantity(entry);
        for above in lineage(role) {
            which(self.role(above)).add(entry.kind.name(), quantity);
        }
    }

    /// The role, which is known from now on, as are those above it.
    fn role(&mut self, name: &str) -> &mut Role {
        for above in lineage(name) {
            if !self.0.contains_key(above) {
                self.0.insert(above.to_owned(), Role::default());
            }
        }
        self.0.entry(name.to_owned()).or_default()
    }
}

/// What an entry counts for: ranges and sets as many as they have numbers and names.
fn quantity(entry: &Entry) -> Scalar {
    let units = |count: u64| Scalar::from_units(i64::try_from(count).unwrap_or(i64::MAX));
    match &entry.amount {
        Amount::Scalar(_) => entry.quantity().unwrap_or_default(),
        Amount::Ranges(ranges) => units(ranges.count()),
        Amount::Set(names) => units(names.len() as u64),
    }
}

/// The roles above a role from the top down, and itself: `a`, `a/b` of `a/b`.
fn lineage(role: &str) -> impl Iterator<Item = &str> {
    let above = role.match_indices('/').map(|(at, _)| &role[..at]);
    above.chain(std::iter::once(role))
}

struct RolesView<'a>(&'a Roles);

impl Serialize for RolesView<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(1))?;
        let roles = || {
            let roles = self.0.0.iter();
            roles.map(|(name, role)| RoleView { name, role })
        };
        map.serialize_entry("roles", &Each(roles))?;
        map.end()
    }
}

struct RoleView<'a> {
    name: &'a str,
    role: &'a Role,
}

impl Serialize for RoleView<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let role = self.role;
        let mut held = role.allocated.clone();
        for (name, amount) in role.offered.iter() {
            held.add(name, amount);
        }
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("name", self.name)?;
        map.serialize_entry("weight", &role.weight.unwrap_or(DEFAULT_WEIGHT))?;
        map.serialize_entry("quota", &QuotaView(self))?;
        map.serialize_entry("resources", &Amounts(&held))?;
        map.serialize_entry("allocated", &Amounts(&role.allocated))?;
        map.serialize_entry("offered", &Amounts(&role.offered))?;
        map.serialize_entry("reserved", &Amounts(&role.reserved))?;
        map.serialize_entry("frameworks", &role.frameworks)?;
        map.end()
    }
}

/// No quota can be set: nothing is guaranteed, nothing limited.
struct QuotaView<'a>(&'a RoleView<'a>);

impl Serialize for QuotaView<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let none = EachKey(std::iter::empty::<(&str, f64)>);
        let mut map = to.serialize_map(Some(4))?;
        map.serialize_entry("role", self.0.name)?;
        map.serialize_entry("guarantee", &none)?;
        map.serialize_entry("limit", &none)?;
        map.serialize_entry("consumed", &Amounts(&self.0.role.consumed))?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roles_above_a_role_are_its_prefixes() {
        let of = |role| lineage(role).collect::<Vec<_>>();
        assert_eq!(of("*"), ["*"]);
        assert_eq!(of("a"), ["a"]);
        assert_eq!(of("a/b/c"), ["a", "a/b", "a/b/c"]);
    }
}
