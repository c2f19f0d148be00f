//! Dominant shares: how much of the cluster somebody holds, by the resource they hold most of.

use std::cmp::Ordering;

use super::names::{Amounts, NameId};

/// What all agents have together, as far as it counts for shares.
#[derive(Debug, Default)]
pub(super) struct Totals {
    amounts: Amounts,
    /// Grows with each change, so that who caches a share knows when it is stale.
    version: u64,
}

impl Totals {
    pub(super) fn add(&mut self, id: NameId, thousandths: i64) {
        self.amounts.add(id, thousandths);
        self.version += 1;
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn get(&self, id: NameId) -> i64 {
        self.amounts.get(id)
    }

    pub(super) fn amounts(&self) -> &Amounts {
        &self.amounts
    }
}

/// What one node of a tree (a role, part of a role's path, a framework) holds, and its share.
#[derive(Debug)]
pub(super) struct Shares {
    allocated: Amounts,
    /// How often it was allocated something; never goes down. Breaks ties between equal shares.
    count: u64,
    weight: f64,
    share: f64,
}

impl Shares {
    pub(super) fn new(weight: f64) -> Shares {
        Shares {
            allocated: Amounts::default(),
            count: 0,
            weight,
            share: 0.0,
        }
    }

    pub(super) fn allocated(&mut self, amounts: &[(NameId, i64)], totals: &FairTotals<'_>) {
        self.count += 1;
        for &(id, thousandths) in amounts {
            self.allocated.add(id, thousandths);
        }
        self.refresh(totals);
    }

    pub(super) fn recovered(&mut self, amounts: &[(NameId, i64)], totals: &FairTotals<'_>) {
        for &(id, thousandths) in amounts {
            self.allocated.subtract(id, thousandths);
        }
        self.refresh(totals);
    }

    pub(super) fn set_weight(&mut self, weight: f64, totals: &FairTotals<'_>) {
        self.weight = weight;
        self.refresh(totals);
    }

    /// The greatest part of any resource, divided by the weight.
    pub(super) fn refresh(&mut self, totals: &FairTotals<'_>) {
        let dominant = self
            .allocated
            .iter()
            .map(|(id, held)| {
                let total = totals.of(id);
                if total > 0 {
                    held as f64 / total as f64
                } else {
                    0.0
                }
            })
            .fold(0.0, f64::max);
        self.share = dominant / self.weight;
    }

    pub(super) fn share(&self) -> f64 {
        self.share
    }

    /// The share before the weight: 0 to 1.
    pub(super) fn dominant(&self) -> f64 {
        self.share * self.weight
    }

    pub(super) fn held(&self) -> &Amounts {
        &self.allocated
    }

    /// The order in which offers go out: the smaller share, then the fewer allocations.
    pub(super) fn compare(&self, other: &Shares) -> Ordering {
        self.share
            .total_cmp(&other.share)
            .then(self.count.cmp(&other.count))
    }
}

/// The totals without the names that are left out of fair sharing.
pub(super) struct FairTotals<'a> {
    pub(super) totals: &'a Totals,
    /// By name number.
    pub(super) excluded: &'a [bool],
}

impl FairTotals<'_> {
    fn of(&self, id: NameId) -> i64 {
        if self.excluded.get(id).copied().unwrap_or(false) {
            0
        } else {
            self.totals.get(id)
        }
    }
}
