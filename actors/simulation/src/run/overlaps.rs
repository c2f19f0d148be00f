//! What befalls the same thing more than once at a time, such as two partitions of one way: it ends
//! when the last of them does.

use std::collections::BTreeMap;

/// Of each thing, how strongly whatever befalls it at present does so; the same strength may be
/// there twice.
#[derive(Debug)]
pub(super) struct Overlaps<K, S>(BTreeMap<K, Vec<S>>);

impl<K, S> Default for Overlaps<K, S> {
    fn default() -> Self {
        Overlaps(BTreeMap::new())
    }
}

impl<K: Ord, S: Ord + Copy> Overlaps<K, S> {
    /// Something more befalls a thing; the strongest of all that do.
    pub(super) fn begin(&mut self, thing: K, strength: S) -> S {
        let present = self.0.entry(thing).or_default();
        present.push(strength);
        present.iter().copied().max().unwrap_or(strength)
    }

    /// One of them is over; the strongest of those that go on, if there are any.
    pub(super) fn end(&mut self, thing: &K, strength: S) -> Option<S> {
        let present = self.0.get_mut(thing)?;
        if let Some(at) = present.iter().position(|it| *it == strength) {
            present.swap_remove(at);
        }
        let strongest = present.iter().copied().max();
        if strongest.is_none() {
            self.0.remove(thing);
        }
        strongest
    }

    /// Whether anything befalls it.
    pub(super) fn has(&self, thing: &K) -> bool {
        self.0.contains_key(thing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_over_when_the_last_is_and_the_strongest_of_them_counts() {
        let mut overlaps = Overlaps::default();
        assert_eq!(overlaps.begin("way", 5), 5);
        assert_eq!(overlaps.begin("way", 3), 5);
        assert_eq!(overlaps.begin("way", 5), 5);
        assert_eq!(overlaps.begin("other", 1), 1);
        assert_eq!(overlaps.end(&"way", 5), Some(5), "the other 5 goes on");
        assert_eq!(overlaps.end(&"way", 5), Some(3));
        assert!(overlaps.has(&"way"));
        assert_eq!(overlaps.end(&"way", 3), None);
        assert_eq!(
            (overlaps.has(&"way"), overlaps.has(&"other")),
            (false, true)
        );
        assert_eq!(overlaps.end(&"way", 3), None, "nothing was there");
    }
}
