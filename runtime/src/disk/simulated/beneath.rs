//! Reading, making and moving below a folder of the simulated disk.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::super::Disk as _;
use super::super::beneath::{OpenFile, Stat, Tree, names, outside, walk};
use super::{Entry, SimulatedDisk, State, error, not_a_folder};
use crate::clock::Time;

/// Type and permissions as files have them that nobody changed.
const FILE: u32 = 0o100_644;
const FOLDER: u32 = 0o040_755;
const LINK: u32 = 0o120_777;

impl Tree for State {
    type Thing = PathBuf;

    fn child(&self, folder: &PathBuf, name: &OsStr) -> io::Result<PathBuf> {
        let path = folder.join(name);
        if self.entries.contains_key(&path) {
            Ok(path)
        } else {
            Err(error(io::ErrorKind::NotFound))
        }
    }

    fn link(&self, thing: &PathBuf) -> io::Result<Option<PathBuf>> {
        match self.entries.get(thing) {
            Some(Entry::Link(target)) => Ok(Some(target.clone())),
            _ => Ok(None),
        }
    }

    fn is_folder(&self, thing: &PathBuf) -> bool {
        State::is_folder(self, thing)
    }
}

impl State {
    fn find(&self, root: &Path, path: &Path) -> io::Result<PathBuf> {
        let root = self.resolve(root, true)?;
        if !self.is_folder(&root) && !self.entries.contains_key(&root) {
            return Err(error(io::ErrorKind::NotFound));
        }
        walk(self, root.clone(), &root, path)
    }

    fn stat(&self, path: &Path) -> Stat {
        let (mode, len) = match self.entries.get(path) {
            Some(Entry::File(bytes)) => (FILE, bytes.len()),
            Some(Entry::Link(target)) => (LINK, target.as_os_str().len()),
            Some(Entry::Folder) | None => (FOLDER, 0),
        };
        let owner = self.owners.get(path);
        let owner = owner.map_or("root", String::as_str);
        Stat {
            mode,
            links: 1,
            user: owner.to_owned(),
            group: owner.to_owned(),
            len: len as u64,
            modified: Time::from_nanos(0),
        }
    }
}

impl State {
    /// The place of `path` below `root`, with no link above it.
    pub(super) fn plain(&self, root: &Path, path: &Path) -> io::Result<PathBuf> {
        let mut place = self.resolve(root, true)?;
        let names = names(path)?;
        if names.is_empty() {
            return Err(outside());
        }
        for name in names {
            if !self.is_folder(&place) {
                return Err(not_a_folder());
            }
            place.push(name);
        }
        Ok(place)
    }

    /// Whose it is from now on.
    pub(super) fn give(&mut self, place: PathBuf, user: &str) -> io::Result<()> {
        // A user name has no blanks; all others are known here.
        if user.is_empty() || user.contains(char::is_whitespace) {
            let text = format!("no user '{user}'");
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        self.owners.insert(place, user.to_owned());
        Ok(())
    }
}

impl SimulatedDisk {
    pub(super) fn made(&self, root: &Path, path: &Path, user: Option<&str>) -> io::Result<()> {
        if !self.exists(&root.join(path)) {
            self.room(path)?;
        }
        self.all_or_nothing(path, |state| {
            let mut place = state.resolve(root, true)?;
            for name in names(path)? {
                place.push(name);
                match state.entries.get(&place) {
                    Some(Entry::Folder) => {}
                    Some(_) => return Err(not_a_folder()),
                    None => state.entries.insert(place.clone(), Entry::Folder),
                }
            }
            match user {
                Some(user) => state.give(place, user),
                None => Ok(()),
            }
        })
    }

    pub(super) fn opened(&self, root: &Path, path: &Path) -> io::Result<Box<dyn OpenFile>> {
        let place = self.look(path, |state| {
            let place = state.find(root, path)?;
            match state.entries.get(&place) {
                Some(Entry::File(_)) => Ok(place),
                _ => Err(error(io::ErrorKind::IsADirectory)),
            }
        })?;
        Ok(Box::new(Opened {
            state: Arc::clone(&self.state),
            place,
        }))
    }

    pub(super) fn listed(&self, root: &Path, path: &Path) -> io::Result<Vec<(String, Stat)>> {
        self.look(path, |state| {
            let folder = state.find(root, path)?;
            if !state.is_folder(&folder) {
                return Err(not_a_folder());
            }
            let mut listed = Vec::new();
            for below in state.below(&folder) {
                let name = below.file_name().and_then(OsStr::to_str);
                let (Some(name), true) = (name, below.parent() == Some(&folder)) else {
                    continue;
                };
                let target = state.find(root, &path.join(name)).unwrap_or(below.clone());
                listed.push((name.to_owned(), state.stat(&target)));
            }
            listed.sort_by(|left, right| left.0.cmp(&right.0));
            Ok(listed)
        })
    }
}

/// A file by its name: one that is replaced meanwhile is read as what replaced it.
struct Opened {
    state: Arc<Mutex<State>>,
    place: PathBuf,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Opened({})", self.place.display())
    }
}

impl Opened {
    fn bytes<T>(&self, look: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.entries.get(&self.place) {
            Some(Entry::File(bytes)) => Ok(look(bytes)),
            _ => Err(error(io::ErrorKind::NotFound)),
        }
    }
}

impl OpenFile for Opened {
    fn len(&self) -> io::Result<u64> {
        self.bytes(|bytes| bytes.len() as u64)
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.bytes(|bytes| {
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            let start = start.min(bytes.len());
            let end = start.saturating_add(length).min(bytes.len());
            bytes[start..end].to_vec()
        })
    }
}
