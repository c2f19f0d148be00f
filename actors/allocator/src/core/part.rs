//! A part of one resource of an agent: an amount that can be cut, or a number of whole pieces.

use tepui_protocol::mesos::v1::value;
use tepui_protocol::resources::{Amount, Kind, Scalar};

/// How much of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Of what can be cut.
    Amount(Amount),
    /// Of indivisible disks and shared volumes: this many of them.
    Count(u32),
}

impl Part {
    /// Nothing, in the form that `kind` calls for.
    pub(super) fn nothing(kind: &Kind) -> Part {
        if kind.is_counted() {
            return Part::Count(0);
        }
        Part::Amount(match kind.value_type() {
            value::Type::Ranges => Amount::Ranges(tepui_protocol::resources::Ranges::new()),
            value::Type::Set => Amount::Set(std::collections::BTreeSet::new()),
            value::Type::Scalar | value::Type::Text => Amount::Scalar(Scalar::ZERO),
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Part::Amount(amount) => amount.is_empty(),
            Part::Count(count) => *count == 0,
        }
    }

    pub(super) fn contains(&self, other: &Part) -> bool {
        match (self, other) {
            (Part::Amount(mine), Part::Amount(theirs)) => mine.contains(theirs),
            (Part::Count(mine), Part::Count(theirs)) => mine >= theirs,
            _ => false,
        }
    }

    pub(super) fn add(&mut self, other: &Part) {
        match (self, other) {
            (Part::Amount(mine), Part::Amount(theirs)) => mine.add(theirs),
            (Part::Count(mine), Part::Count(theirs)) => *mine = mine.saturating_add(*theirs),
            _ => {}
        }
    }

    /// Down to nothing.
    pub(super) fn subtract(&mut self, other: &Part) {
        match (self, other) {
            (Part::Amount(mine), Part::Amount(theirs)) => mine.subtract(theirs),
            (Part::Count(mine), Part::Count(theirs)) => *mine = mine.saturating_sub(*theirs),
            _ => {}
        }
    }

    pub(super) fn intersection(&self, other: &Part) -> Part {
        match (self, other) {
            (Part::Amount(mine), Part::Amount(theirs)) => Part::Amount(mine.intersection(theirs)),
            (Part::Count(mine), Part::Count(theirs)) => Part::Count(*mine.min(theirs)),
            _ => self.clone(),
        }
    }
}
