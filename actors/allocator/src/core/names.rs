//! Names of scalar resources as small numbers, and amounts by these numbers, in thousandths.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustc_hash::FxHashMap;

/// The number of a name.
pub(super) type NameId = usize;

/// The names that any agent, or any minimum, speaks of. A name nobody speaks of any more gives
/// its number back, so that names cannot pile up.
#[derive(Debug, Default)]
pub(super) struct Names {
    ids: FxHashMap<Arc<str>, NameId>,
    entries: Vec<(Arc<str>, u32)>,
    free: Vec<NameId>,
    /// The names that do not count for shares, and by number whether it is one of them.
    excluded_names: BTreeSet<String>,
    excluded: Vec<bool>,
}

impl Names {
    pub(super) fn excluding(excluded_names: BTreeSet<String>) -> Names {
        Names {
            excluded_names,
            ..Names::default()
        }
    }

    /// The number of `name`; it is kept until as many `release` as `acquire` were called.
    pub(super) fn acquire(&mut self, name: &str) -> NameId {
        if let Some(&id) = self.ids.get(name) {
            self.entries[id].1 += 1;
            return id;
        }
        let name: Arc<str> = Arc::from(name);
        let id = match self.free.pop() {
            Some(id) => {
                self.entries[id] = (Arc::clone(&name), 1);
                id
            }
            None => {
                self.entries.push((Arc::clone(&name), 1));
                self.entries.len() - 1
            }
        };
        self.excluded.resize(self.entries.len(), false);
        self.excluded[id] = self.excluded_names.contains(&*name);
        self.ids.insert(name, id);
        id
    }

    pub(super) fn release(&mut self, id: NameId) {
        let (name, uses) = &mut self.entries[id];
        *uses = uses.saturating_sub(1);
        if *uses == 0 {
            self.ids.remove(name);
            self.free.push(id);
        }
    }

    /// By number, whether the name does not count for shares.
    pub(super) fn excluded(&self) -> &[bool] {
        &self.excluded
    }

    pub(super) fn text(&self, id: NameId) -> &Arc<str> {
        &self.entries[id].0
    }
}

/// Amounts by name number, in thousandths.
#[derive(Clone, Debug, Default)]
pub(super) struct Amounts(Vec<i64>);

impl Amounts {
    pub(super) fn get(&self, id: NameId) -> i64 {
        self.0.get(id).copied().unwrap_or(0)
    }

    pub(super) fn add(&mut self, id: NameId, thousandths: i64) {
        if id >= self.0.len() {
            self.0.resize(id + 1, 0);
        }
        self.0[id] = self.0[id].saturating_add(thousandths);
    }

    pub(super) fn subtract(&mut self, id: NameId, thousandths: i64) {
        self.add(id, thousandths.saturating_neg());
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (NameId, i64)> + '_ {
        self.0.iter().copied().enumerate()
    }
}
