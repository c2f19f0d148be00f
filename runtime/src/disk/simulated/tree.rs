//! A map by resolved paths. Comparing paths part by part costs more than all else that a disk in
//! memory does, so the keys are their bytes.

use std::collections::{BTreeMap, btree_map};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// What hangs on each of some absolute paths without links, `.`, `..` and trailing slashes.
pub(super) struct Tree<T>(BTreeMap<Vec<u8>, T>);

impl<T> Default for Tree<T> {
    fn default() -> Tree<T> {
        Tree(BTreeMap::new())
    }
}

fn key(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

fn path(key: Vec<u8>) -> PathBuf {
    PathBuf::from(OsString::from_vec(key))
}

impl<T> Tree<T> {
    pub(super) fn get(&self, path: &Path) -> Option<&T> {
        self.0.get(key(path))
    }

    pub(super) fn get_mut(&mut self, path: &Path) -> Option<&mut T> {
        self.0.get_mut(key(path))
    }

    pub(super) fn contains_key(&self, path: &Path) -> bool {
        self.0.contains_key(key(path))
    }

    pub(super) fn insert(&mut self, path: PathBuf, value: T) {
        self.0.insert(path.into_os_string().into_vec(), value);
    }

    pub(super) fn entry(&mut self, path: PathBuf) -> btree_map::Entry<'_, Vec<u8>, T> {
        self.0.entry(path.into_os_string().into_vec())
    }

    pub(super) fn remove(&mut self, path: &Path) -> Option<T> {
        self.0.remove(key(path))
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// All, folders before what is in them.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (PathBuf, T)> + use<T> {
        let all = std::mem::take(&mut self.0).into_iter();
        all.map(|(key, value)| (path(key), value))
    }

    /// The paths below a folder, without itself, folders before what is in them.
    pub(super) fn below(&self, folder: &Path) -> Vec<PathBuf> {
        let mut first = key(folder).to_vec();
        if first.last() != Some(&b'/') {
            first.push(b'/');
        }
        let after = self.0.range(first.clone()..);
        after
            .map(|(key, _)| key)
            .take_while(|key| key.starts_with(&first))
            .filter(|key| **key != first)
            .map(|key| path(key.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_below_a_folder_is_in_it_alone() {
        let mut tree = Tree::default();
        for path in ["/a", "/a-b", "/a-b/c", "/a/x", "/a/x/y", "/a0"] {
            tree.insert(PathBuf::from(path), ());
        }
        let below = |folder: &str| tree.below(Path::new(folder));
        assert_eq!(below("/a"), [Path::new("/a/x"), Path::new("/a/x/y")]);
        assert_eq!(below("/a0"), [] as [&Path; 0]);
        assert_eq!(below("/").len(), 6);
    }
}
