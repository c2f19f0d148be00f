//! The multiset of resources and its arithmetic. Views are in `views`, messages in `convert`.

use std::ops::{Add, AddAssign, Sub, SubAssign};

use super::amount::Amount;
use super::kind::Kind;

/// One element of [`Resources`]: an amount of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// How much of it, never nothing.
    pub amount: Amount,
    /// How often: for shared resources the number of users, for indivisible ones the number of
    /// equal pieces; 1 for all others, which are poured together instead.
    pub count: u32,
}

impl Entry {
    /// `amount` of `kind`, once.
    #[must_use]
    pub fn new(kind: Kind, amount: Amount) -> Entry {
        Entry {
            kind,
            amount,
            count: 1,
        }
    }

    /// Whether the two would become one in a [`Resources`].
    fn merges_with(&self, other: &Entry) -> bool {
        self.kind == other.kind && (!self.kind.is_counted() || self.amount == other.amount)
    }

    fn contains(&self, other: &Entry) -> bool {
        if self.kind.is_counted() {
            self.count >= other.count
        } else {
            self.amount.contains(&other.amount)
        }
    }
}

/// A multiset of resources.
///
/// Amounts of one kind are held as one entry. Shared resources and indivisible disks are counted:
/// they are added and taken away only as a whole. Nothing empty is ever held, so two collections
/// are equal when each contains the other, whatever the order they were built in.
#[derive(Clone, Debug, Default)]
pub struct Resources {
    entries: Vec<Entry>,
}

impl Resources {
    /// No resources.
    #[must_use]
    pub const fn new() -> Resources {
        Resources {
            entries: Vec::new(),
        }
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The entries, in the order they came in.
    pub fn iter(&self) -> std::slice::Iter<'_, Entry> {
        self.entries.iter()
    }

    /// Adds one entry; what is empty is dropped.
    pub fn add_entry(&mut self, entry: Entry) {
        if entry.amount.is_empty() || entry.count == 0 {
            return;
        }
        match self
            .entries
            .iter_mut()
            .find(|mine| mine.merges_with(&entry))
        {
            Some(mine) if mine.kind.is_counted() => {
                mine.count = mine.count.saturating_add(entry.count);
            }
            Some(mine) => mine.amount.add(&entry.amount),
            None => {
                let count = if entry.kind.is_counted() {
                    entry.count
                } else {
                    1
                };
                self.entries.push(Entry { count, ..entry });
            }
        }
    }

    /// Takes away what is there of `entry`; of an indivisible resource that is all of it or
    /// nothing.
    pub fn subtract_entry(&mut self, entry: &Entry) {
        let Some(at) = self.entries.iter().position(|mine| mine.merges_with(entry)) else {
            return;
        };
        let mine = &mut self.entries[at];
        if mine.kind.is_counted() {
            mine.count = mine.count.saturating_sub(entry.count);
        } else {
            mine.amount.subtract(&entry.amount);
        }
        if mine.count == 0 || mine.amount.is_empty() {
            self.entries.remove(at);
        }
    }

    /// Whether `entry` could be taken out of these.
    #[must_use]
    pub fn contains_entry(&self, entry: &Entry) -> bool {
        self.entries
            .iter()
            .any(|mine| mine.merges_with(entry) && mine.contains(entry))
    }

    /// Whether all of `other` could be taken out of these at once.
    #[must_use]
    pub fn contains(&self, other: &Resources) -> bool {
        // Each entry of `other` meets a different entry of ours, so one at a time is enough.
        other.entries.iter().all(|entry| self.contains_entry(entry))
    }

    /// What both have.
    #[must_use]
    pub fn intersection(&self, other: &Resources) -> Resources {
        self - &(self - other)
    }

    /// Adds what is not there yet of each shared resource only once; all else is added.
    ///
    /// So the use of several tasks that share a volume sums up to one volume.
    pub fn add_sharing(&mut self, other: &Resources) {
        for entry in &other.entries {
            if !(entry.kind.is_shared()
                && self.contains_entry(&Entry {
                    count: 1,
                    ..entry.clone()
                }))
            {
                self.add_entry(entry.clone());
            }
        }
    }
}

impl PartialEq for Resources {
    fn eq(&self, other: &Resources) -> bool {
        self.entries.len() == other.entries.len() && self.contains(other) && other.contains(self)
    }
}

impl Eq for Resources {}

impl FromIterator<Entry> for Resources {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Resources {
        let mut resources = Resources::new();
        for entry in entries {
            resources.add_entry(entry);
        }
        resources
    }
}

impl<'a> IntoIterator for &'a Resources {
    type Item = &'a Entry;
    type IntoIter = std::slice::Iter<'a, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.iter()
    }
}

impl IntoIterator for Resources {
    type Item = Entry;
    type IntoIter = std::vec::IntoIter<Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl AddAssign<&Resources> for Resources {
    fn add_assign(&mut self, other: &Resources) {
        for entry in &other.entries {
            self.add_entry(entry.clone());
        }
    }
}

impl AddAssign for Resources {
    fn add_assign(&mut self, other: Resources) {
        for entry in other {
            self.add_entry(entry);
        }
    }
}

impl SubAssign<&Resources> for Resources {
    fn sub_assign(&mut self, other: &Resources) {
        for entry in &other.entries {
            self.subtract_entry(entry);
        }
    }
}

impl SubAssign for Resources {
    fn sub_assign(&mut self, other: Resources) {
        *self -= &other;
    }
}

impl Add<&Resources> for &Resources {
    type Output = Resources;

    fn add(self, other: &Resources) -> Resources {
        self.clone() + other
    }
}

impl Add<&Resources> for Resources {
    type Output = Resources;

    fn add(mut self, other: &Resources) -> Resources {
        self += other;
        self
    }
}

impl Add for Resources {
    type Output = Resources;

    fn add(mut self, other: Resources) -> Resources {
        self += other;
        self
    }
}

impl Sub<&Resources> for &Resources {
    type Output = Resources;

    fn sub(self, other: &Resources) -> Resources {
        self.clone() - other
    }
}

impl Sub<&Resources> for Resources {
    type Output = Resources;

    fn sub(mut self, other: &Resources) -> Resources {
        self -= other;
        self
    }
}

impl Sub for Resources {
    type Output = Resources;

    fn sub(mut self, other: Resources) -> Resources {
        self -= &other;
        self
    }
}

impl std::iter::Sum for Resources {
    fn sum<I: Iterator<Item = Resources>>(all: I) -> Resources {
        all.fold(Resources::new(), Add::add)
    }
}

impl<'a> std::iter::Sum<&'a Resources> for Resources {
    fn sum<I: Iterator<Item = &'a Resources>>(all: I) -> Resources {
        all.fold(Resources::new(), |sum, resources| sum + resources)
    }
}
