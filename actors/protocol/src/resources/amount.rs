//! How much of a resource: a scalar, ranges of numbers, or a set of names.
//! What the resource *is* (name, role, disk, ...) is a `Kind`.

use std::collections::BTreeSet;
use std::fmt;

use super::ranges::{Range, Ranges};
use super::scalar::Scalar;
use crate::mesos::v1::{Resource, value};

/// How much of a resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Amount {
    /// An amount that can be cut anywhere: cpus, mem, disk, gpus.
    Scalar(Scalar),
    /// Numbers: ports.
    Ranges(Ranges),
    /// Names.
    Set(BTreeSet<String>),
}

impl Amount {
    /// The type that a `Resource` message names for such an amount.
    #[must_use]
    pub fn value_type(&self) -> value::Type {
        match self {
            Amount::Scalar(_) => value::Type::Scalar,
            Amount::Ranges(_) => value::Type::Ranges,
            Amount::Set(_) => value::Type::Set,
        }
    }

    /// Whether it is nothing at all. A scalar below nothing is empty too.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Amount::Scalar(scalar) => *scalar <= Scalar::ZERO,
            Amount::Ranges(ranges) => ranges.is_empty(),
            Amount::Set(items) => items.is_empty(),
        }
    }

    /// The scalar, where this is one.
    #[must_use]
    pub fn scalar(&self) -> Option<Scalar> {
        match self {
            Amount::Scalar(scalar) => Some(*scalar),
            _ => None,
        }
    }

    /// Whether `other` could be taken out of this. Never true between different types.
    #[must_use]
    pub fn contains(&self, other: &Amount) -> bool {
        match (self, other) {
            (Amount::Scalar(mine), Amount::Scalar(theirs)) => mine >= theirs,
            (Amount::Ranges(mine), Amount::Ranges(theirs)) => mine.contains(theirs),
            (Amount::Set(mine), Amount::Set(theirs)) => mine.is_superset(theirs),
            _ => false,
        }
    }

    /// Adds `other`; nothing happens between different types.
    pub fn add(&mut self, other: &Amount) {
        match (self, other) {
            (Amount::Scalar(mine), Amount::Scalar(theirs)) => *mine += *theirs,
            (Amount::Ranges(mine), Amount::Ranges(theirs)) => *mine = mine.union(theirs),
            (Amount::Set(mine), Amount::Set(theirs)) => mine.extend(theirs.iter().cloned()),
            _ => {}
        }
    }

    /// Takes away what is there of `other`: the result is never below nothing.
    pub fn subtract(&mut self, other: &Amount) {
        match (self, other) {
            (Amount::Scalar(mine), Amount::Scalar(theirs)) => *mine = mine.minus_floored(*theirs),
            (Amount::Ranges(mine), Amount::Ranges(theirs)) => *mine = mine.difference(theirs),
            (Amount::Set(mine), Amount::Set(theirs)) => mine.retain(|item| !theirs.contains(item)),
            _ => {}
        }
    }

    /// What both have.
    #[must_use]
    pub fn intersection(&self, other: &Amount) -> Amount {
        let mut rest = self.clone();
        rest.subtract(other);
        let mut common = self.clone();
        common.subtract(&rest);
        common
    }

    /// Writes the amount into the value fields of `resource`, and its type.
    pub fn write_to(&self, resource: &mut Resource) {
        resource.set_type(self.value_type());
        (resource.scalar, resource.ranges, resource.set) = (None, None, None);
        match self {
            Amount::Scalar(scalar) => {
                resource.scalar = Some(value::Scalar {
                    value: scalar.to_f64(),
                });
            }
            Amount::Ranges(ranges) => {
                let range = |range: &Range| value::Range {
                    begin: range.begin,
                    end: range.end,
                };
                resource.ranges = Some(value::Ranges {
                    range: ranges.as_slice().iter().map(range).collect(),
                });
            }
            Amount::Set(items) => {
                resource.set = Some(value::Set {
                    item: items.iter().cloned().collect(),
                });
            }
        }
    }
}

/// `12.5`, `[1-5, 8-8]`, `{a, b}`, as Mesos prints them.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Amount::Scalar(scalar) => scalar.fmt(f),
            Amount::Ranges(ranges) => ranges.fmt(f),
            Amount::Set(items) => {
                let items: Vec<&str> = items.iter().map(String::as_str).collect();
                write!(f, "{{{}}}", items.join(", "))
            }
        }
    }
}
