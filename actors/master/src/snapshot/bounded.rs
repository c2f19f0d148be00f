//! A persistent map that holds a limited number of entries and forgets the oldest.
//! Not here: least-recently-*used* order; reading an entry does not keep it.

use std::sync::Arc;

use rpds::RedBlackTreeMapSync;

/// At most `limit` entries, oldest first.
#[derive(Clone, Debug)]
pub struct Bounded<K: Ord + Clone, V> {
    limit: usize,
    next: u64,
    order: RedBlackTreeMapSync<u64, K>,
    entries: RedBlackTreeMapSync<K, (u64, Arc<V>)>,
}

impl<K: Ord + Clone, V> Bounded<K, V> {
    /// An empty map; with a limit of 0 it stays empty.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Bounded {
            limit,
            next: 0,
            order: RedBlackTreeMapSync::new_sync(),
            entries: RedBlackTreeMapSync::new_sync(),
        }
    }

    /// Adds an entry as the newest, and gives back the one that had to go for it.
    pub(crate) fn insert(&mut self, key: K, value: Arc<V>) -> Option<(K, Arc<V>)> {
        if self.limit == 0 {
            return Some((key, value));
        }
        let replaced = self.remove(&key).map(|old| (key.clone(), old));
        self.order.insert_mut(self.next, key.clone());
        self.entries.insert_mut(key, (self.next, value));
        self.next += 1;
        if self.entries.size() > self.limit {
            let oldest = self.order.first().map(|(_, key)| key.clone())?;
            return self.remove(&oldest).map(|value| (oldest, value));
        }
        replaced
    }

    /// Takes an entry out.
    pub(crate) fn remove<Q>(&mut self, key: &Q) -> Option<Arc<V>>
    where
        K: std::borrow::Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let (number, value) = self.entries.get(key).cloned()?;
        self.order.remove_mut(&number);
        self.entries.remove_mut(key);
        Some(value)
    }

    /// The entry of `key`.
    #[must_use]
    pub fn get<Q>(&self, key: &Q) -> Option<&Arc<V>>
    where
        K: std::borrow::Borrow<Q>,
        Q: Ord + ?Sized,
    {
        self.entries.get(key).map(|(_, value)| value)
    }

    /// Whether there is an entry of `key`.
    #[must_use]
    pub fn contains<Q>(&self, key: &Q) -> bool
    where
        K: std::borrow::Borrow<Q>,
        Q: Ord + ?Sized,
    {
        self.entries.contains_key(key)
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.size()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &Arc<V>)> {
        self.order
            .values()
            .filter_map(|key| self.get(key).map(|value| (key, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_first() {
        let mut map = Bounded::new(2);
        assert!(map.insert("a", Arc::new(1)).is_none());
        assert!(map.insert("b", Arc::new(2)).is_none());
        assert_eq!(map.insert("c", Arc::new(3)), Some(("a", Arc::new(1))));
        let left: Vec<(&str, i32)> = map.iter().map(|(k, v)| (*k, **v)).collect();
        assert_eq!(left, [("b", 2), ("c", 3)]);
    }

    #[test]
    fn an_entry_given_again_is_the_newest() {
        let mut map = Bounded::new(2);
        map.insert("a", Arc::new(1));
        map.insert("b", Arc::new(2));
        assert_eq!(map.insert("a", Arc::new(4)), Some(("a", Arc::new(1))));
        map.insert("c", Arc::new(3));
        let left: Vec<(&str, i32)> = map.iter().map(|(k, v)| (*k, **v)).collect();
        assert_eq!(left, [("a", 4), ("c", 3)]);
        assert_eq!(map.remove("a"), Some(Arc::new(4)));
        assert_eq!(map.len(), 1);
    }

    #[test]
    fn a_limit_of_zero_holds_nothing() {
        let mut map = Bounded::new(0);
        assert_eq!(map.insert("a", Arc::new(1)), Some(("a", Arc::new(1))));
        assert!(map.is_empty());
    }
}
