//! Parts of a [`Resources`] and questions about it: by role, reservation, allocation and name.

use std::collections::{BTreeMap, BTreeSet};

use super::amount::Amount;
use super::bag::{Entry, Resources};
use super::kind::Kind;
use super::quantities::Quantities;
use super::ranges::Ranges;
use super::scalar::Scalar;
use crate::mesos::v1::resource::ReservationInfo;

impl Resources {
    /// The entries that `keep` agrees to.
    #[must_use]
    pub fn filter(&self, mut keep: impl FnMut(&Entry) -> bool) -> Resources {
        self.iter().filter(|entry| keep(entry)).cloned().collect()
    }

    /// The same amounts with each kind changed by `change`; what becomes equal is merged.
    #[must_use]
    pub fn map_kinds(&self, mut change: impl FnMut(&Kind) -> Kind) -> Resources {
        self.iter()
            .map(|entry| Entry {
                kind: change(&entry.kind),
                ..entry.clone()
            })
            .collect()
    }

    /// What is reserved to exactly `role` (the role of the last reservation counts).
    #[must_use]
    pub fn reserved_to(&self, role: &str) -> Resources {
        self.filter(|entry| entry.kind.reservation_role() == Some(role))
    }

    /// All that is reserved, to whomever.
    #[must_use]
    pub fn reserved(&self) -> Resources {
        self.filter(|entry| !entry.kind.reservations().is_empty())
    }

    /// What is reserved, by the role it is reserved to.
    #[must_use]
    pub fn reservations(&self) -> BTreeMap<String, Resources> {
        self.group(|kind| kind.reservation_role())
    }

    /// What is reserved to nobody.
    #[must_use]
    pub fn unreserved(&self) -> Resources {
        self.filter(|entry| entry.kind.reservations().is_empty())
    }

    /// What `role` may be offered: unreserved, or reserved to it or to an ancestor of it.
    #[must_use]
    pub fn allocatable_to(&self, role: &str) -> Resources {
        self.filter(|entry| entry.kind.is_allocatable_to(role))
    }

    /// What is allocated to exactly `role`.
    #[must_use]
    pub fn allocated_to(&self, role: &str) -> Resources {
        self.filter(|entry| entry.kind.allocation_role() == Some(role))
    }

    /// What is allocated, by role.
    #[must_use]
    pub fn allocations(&self) -> BTreeMap<String, Resources> {
        self.group(|kind| kind.allocation_role())
    }

    fn group(&self, role: impl Fn(&Kind) -> Option<&str>) -> BTreeMap<String, Resources> {
        let mut groups: BTreeMap<String, Resources> = BTreeMap::new();
        for entry in self {
            if let Some(role) = role(&entry.kind) {
                groups
                    .entry(role.to_owned())
                    .or_default()
                    .add_entry(entry.clone());
            }
        }
        groups
    }

    /// What may be taken back at any time.
    #[must_use]
    pub fn revocable(&self) -> Resources {
        self.filter(|entry| entry.kind.is_revocable())
    }

    /// What is not taken back.
    #[must_use]
    pub fn non_revocable(&self) -> Resources {
        self.filter(|entry| !entry.kind.is_revocable())
    }

    /// What several tasks may hold at once.
    #[must_use]
    pub fn shared(&self) -> Resources {
        self.filter(|entry| entry.kind.is_shared())
    }

    /// What one task at a time holds.
    #[must_use]
    pub fn non_shared(&self) -> Resources {
        self.filter(|entry| !entry.kind.is_shared())
    }

    /// The persistent volumes.
    #[must_use]
    pub fn persistent_volumes(&self) -> Resources {
        self.filter(|entry| entry.kind.persistence_id().is_some())
    }

    /// The scalars.
    #[must_use]
    pub fn scalars(&self) -> Resources {
        self.filter(|entry| entry.amount.scalar().is_some())
    }

    /// All resources of that name.
    #[must_use]
    pub fn named(&self, name: &str) -> Resources {
        self.filter(|entry| entry.kind.name() == name)
    }

    /// The names, each once.
    #[must_use]
    pub fn names(&self) -> BTreeSet<&str> {
        self.iter().map(|entry| entry.kind.name()).collect()
    }

    /// The sum of the scalars of that name, whatever role or disk they belong to; a shared one
    /// counts once. Zero where there is none.
    #[must_use]
    pub fn scalar(&self, name: &str) -> Scalar {
        self.iter()
            .filter(|entry| entry.kind.name() == name)
            .map(|entry| entry.quantity().unwrap_or_default())
            .sum()
    }

    /// All numbers of that name.
    #[must_use]
    pub fn ranges(&self, name: &str) -> Ranges {
        self.iter()
            .filter(|entry| entry.kind.name() == name)
            .fold(Ranges::new(), |all, entry| match &entry.amount {
                Amount::Ranges(ranges) => all.union(ranges),
                _ => all,
            })
    }

    /// The sums of all scalars by name; a shared resource counts once.
    #[must_use]
    pub fn quantities(&self) -> Quantities {
        let mut quantities = Quantities::new();
        for entry in self {
            if let Some(quantity) = entry.quantity() {
                quantities.add(entry.kind.name(), quantity);
            }
        }
        quantities
    }

    /// The same without reservations: what the agent has, whoever it is kept for.
    #[must_use]
    pub fn flatten(&self) -> Resources {
        self.map_kinds(Kind::unreserved)
    }

    /// The same, all of it allocated to `role`, whatever it was allocated to before.
    #[must_use]
    pub fn allocate(&self, role: &str) -> Resources {
        self.map_kinds(|kind| kind.allocated(role))
    }

    /// The same, allocated to nobody.
    #[must_use]
    pub fn unallocate(&self) -> Resources {
        self.map_kinds(Kind::unallocated)
    }

    /// The same with `reservation` on top of each stack.
    #[must_use]
    pub fn push_reservation(&self, reservation: &ReservationInfo) -> Resources {
        self.map_kinds(|kind| kind.reserved(reservation.clone()))
    }

    /// The same with the last reservation taken off each stack.
    #[must_use]
    pub fn pop_reservation(&self) -> Resources {
        self.map_kinds(Kind::popped)
    }

    /// A persistence id that two volumes of one role carry, which no agent can have.
    #[must_use]
    pub fn repeated_persistence_id(&self) -> Option<&str> {
        let mut seen = BTreeSet::new();
        self.iter().find_map(|entry| {
            let id = entry.kind.persistence_id()?;
            let fresh = seen.insert((entry.kind.reservation_role(), id));
            let single = entry.count == 1 || entry.kind.is_shared();
            (!(fresh && single)).then_some(id)
        })
    }

    /// A name that comes both revocable and not, which no task may ask for.
    #[must_use]
    pub fn partly_revocable_name(&self) -> Option<&str> {
        self.iter()
            .filter(|entry| entry.kind.is_revocable())
            .map(|entry| entry.kind.name())
            .find(|name| {
                self.iter()
                    .any(|other| other.kind.name() == *name && !other.kind.is_revocable())
            })
    }
}

impl Entry {
    /// The scalar that this entry counts for in sums: as many times as it is there, but a shared
    /// one once. `None` for ranges and sets.
    #[must_use]
    pub fn quantity(&self) -> Option<Scalar> {
        let scalar = self.amount.scalar()?;
        let times = if self.kind.is_shared() {
            1
        } else {
            i64::from(self.count)
        };
        Some(Scalar::from_thousandths(
            scalar.thousandths().saturating_mul(times),
        ))
    }
}
