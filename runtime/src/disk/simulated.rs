//! A disk in memory that knows what is synced, for a node of the simulated world.
//!
//! A crash takes what was only appended: of it chance leaves a part, as on a disk whose writes go
//! on in the background. Every other call syncs before it returns. A crash *within* such a call is
//! what [`SimulatedDisk::break_after`] sets up: the call does the part of its work that chance
//! leaves and fails, and so does every later call until the node has crashed and comes back.

mod beneath;
mod tree;

use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::tree::Tree;
use super::{Disk, FileInfo, Lock, OpenFile, Stat, about, held};
use crate::clock::{Rate, Time};
use crate::random::Random;

/// As Linux' bound on the links of one path.
const LINKS: usize = 40;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    File(Vec<u8>),
    Folder,
    Link(PathBuf),
}

#[derive(Default)]
struct State {
    entries: Tree<Entry>,
    /// File -> the length that is synced, `None` if not even its name is.
    unsynced: Tree<Option<usize>>,
    owners: Tree<String>,
    /// When each entry last changed.
    changed: Tree<Time>,
    /// The part that is used, 0 to 1; at 1 nothing can be added.
    usage: f64,
    /// path -> note and number of the holder
    locks: Tree<(String, u64)>,
    next_lock: u64,
    /// Writing calls that are still done before one breaks off.
    fuse: Option<u64>,
    broken: bool,
    /// How the clock runs that entries' times are by.
    rate: Rate,
}

/// The disk of one simulated node.
pub(crate) struct SimulatedDisk {
    state: Arc<Mutex<State>>,
    random: Random,
    /// The world's time in nanoseconds since the Unix epoch.
    now: Arc<AtomicU64>,
}

fn error(kind: io::ErrorKind) -> io::Error {
    io::Error::from(kind)
}

fn not_a_folder() -> io::Error {
    error(io::ErrorKind::NotADirectory)
}

impl State {
    /// The path without links, `.` and `..`; the last part need not exist, and is not followed if
    /// it is a link unless `follow` says so. Relative paths begin at the root.
    fn resolve(&self, path: &Path, follow: bool) -> io::Result<PathBuf> {
        let mut links = 0;
        let mut done = PathBuf::from("/");
        let mut left: Vec<PathBuf> = path
            .components()
            .rev()
            .map(|c| c.as_os_str().into())
            .collect();
        while let Some(part) = left.pop() {
            match part.components().next() {
                Some(Component::Normal(_)) => done.push(&part),
                Some(Component::ParentDir) => {
                    done.pop();
                }
                Some(Component::RootDir) => done = PathBuf::from("/"),
                _ => {}
            }
            match self.entries.get(&done) {
                Some(Entry::Link(target)) if follow || !left.is_empty() => {
                    links += 1;
                    if links > LINKS {
                        return Err(io::Error::other("too many levels of symbolic links"));
                    }
                    done.pop();
                    left.extend(
                        target
                            .components()
                            .rev()
                            .map(|c| PathBuf::from(c.as_os_str())),
                    );
                }
                Some(Entry::File(_)) if !left.is_empty() => return Err(not_a_folder()),
                None if !left.is_empty() && done != Path::new("/") => {
                    return Err(error(io::ErrorKind::NotFound));
                }
                _ => {}
            }
        }
        Ok(done)
    }

    fn file(&self, path: &Path) -> io::Result<&Vec<u8>> {
        match self.entries.get(&self.resolve(path, true)?) {
            Some(Entry::File(bytes)) => Ok(bytes),
            Some(_) => Err(error(io::ErrorKind::IsADirectory)),
            None => Err(error(io::ErrorKind::NotFound)),
        }
    }

    fn is_folder(&self, path: &Path) -> bool {
        path == Path::new("/") || self.entries.get(path) == Some(&Entry::Folder)
    }

    /// The resolved path of what is to be made, whose folder must exist.
    fn place(&self, path: &Path, follow: bool) -> io::Result<PathBuf> {
        let place = self.resolve(path, follow)?;
        match place.parent() {
            Some(parent) if self.is_folder(parent) => Ok(place),
            _ => Err(error(io::ErrorKind::NotFound)),
        }
    }

    /// What is below a folder, without itself.
    fn below(&self, folder: &Path) -> Vec<PathBuf> {
        self.entries.below(folder)
    }

    fn append(&mut self, path: &Path, bytes: &[u8], synced: bool) -> io::Result<()> {
        let place = self.place(path, true)?;
        let had = match self.entries.get(&place) {
            Some(Entry::File(old)) => Some(old.len()),
            Some(_) => return Err(error(io::ErrorKind::IsADirectory)),
            None => None,
        };
        if synced {
            self.unsynced.remove(&place);
        } else {
            self.unsynced.entry(place.clone()).or_insert(had);
        }
        if let Entry::File(file) = self.entries.entry(place).or_insert(Entry::File(Vec::new())) {
            file.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn remove(&mut self, path: &Path) {
        self.entries.remove(path);
        self.unsynced.remove(path);
        self.owners.remove(path);
        self.changed.remove(path);
    }

    /// The entry at a path has changed, and its folder if it is new there.
    fn mark(&mut self, path: &Path, now: Time) {
        let Ok(place) = self.resolve(path, false) else {
            return;
        };
        if !self.entries.contains_key(&place) {
            // It was removed.
            if let Some(folder) = place.parent() {
                self.changed.insert(folder.to_owned(), now);
            }
            return;
        }
        for entry in place.ancestors().skip(1) {
            let new = !self.changed.contains_key(&place);
            let known = self.changed.contains_key(entry);
            if !known || (new && Some(entry) == place.parent()) {
                self.changed.insert(entry.to_owned(), now);
            }
        }
        self.changed.insert(place, now);
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (self.place(from, false)?, self.place(to, false)?);
        let entry = self
            .entries
            .get(&from)
            .ok_or_else(|| error(io::ErrorKind::NotFound))?;
        if from == to {
            return Ok(());
        }
        if *entry == Entry::Folder && (to.starts_with(&from) || !self.below(&to).is_empty()) {
            return Err(error(io::ErrorKind::DirectoryNotEmpty));
        }
        for old in [self.below(&from), vec![from.clone()]].concat() {
            let new = match old.strip_prefix(&from) {
                Ok(rest) if rest.as_os_str().is_empty() => to.clone(),
                Ok(rest) => to.join(rest),
                Err(_) => continue,
            };
            self.remove(&new);
            if let Some(entry) = self.entries.remove(&old) {
                self.entries.insert(new.clone(), entry);
            }
            if let Some(mark) = self.unsynced.remove(&old) {
                self.unsynced.insert(new.clone(), mark);
            }
            if let Some(owner) = self.owners.remove(&old) {
                self.owners.insert(new.clone(), owner);
            }
            if let Some(changed) = self.changed.remove(&old) {
                self.changed.insert(new, changed);
            }
        }
        Ok(())
    }
}

impl SimulatedDisk {
    pub(crate) fn new(random: Random, now: Arc<AtomicU64>) -> SimulatedDisk {
        SimulatedDisk {
            state: Arc::default(),
            random,
            now,
        }
    }

    /// The time of the host's clock, when the world's is `now`.
    fn now(&self, state: &State) -> Time {
        let world = Time::from_nanos(self.now.load(Ordering::Acquire));
        state.rate.clock_at(world)
    }

    /// The host's clock runs otherwise from here on.
    pub(crate) fn set_rate(&self, rate: Rate) {
        self.lock().rate = rate;
    }

    /// Whether it broke off, and is gone until the node has crashed.
    pub(crate) fn is_broken(&self) -> bool {
        self.lock().broken
    }

    /// How full the disk says to be, 0 to 1; at 1 whatever adds to it fails.
    pub(crate) fn set_usage(&self, usage: f64) {
        self.lock().usage = usage;
    }

    /// Fails where nothing can be added.
    fn room(&self, path: &Path) -> io::Result<()> {
        if self.lock().usage < 1.0 {
            return Ok(());
        }
        Err(about(path, error(io::ErrorKind::StorageFull)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does that many more writing calls; the next one breaks off.
    pub(crate) fn break_after(&self, calls: u64) {
        self.lock().fuse = Some(calls);
    }

    /// Loses what is not synced, but for the part that chance leaves; locks are free again.
    pub(crate) fn crash(&self) {
        let mut state = self.lock();
        for (path, synced) in state.unsynced.drain() {
            let Some(Entry::File(bytes)) = state.entries.get_mut(&path) else {
                continue;
            };
            let kept = synced.unwrap_or(0);
            let tail = bytes.len().saturating_sub(kept) as u64;
            let left = usize::try_from(self.random.below(tail + 1)).unwrap_or(0);
            bytes.truncate(kept + left);
            if synced.is_none() && left == 0 {
                state.remove(&path);
            }
        }
        state.locks.clear();
        state.fuse = None;
        state.broken = false;
    }

    /// Nobody holds a lock any more: their holder was killed.
    pub(crate) fn free_locks(&self) {
        self.lock().locks.clear();
    }

    /// Makes a change, unless the disk breaks: then `part` may do what a crash would leave of it.
    fn change<T>(
        &self,
        path: &Path,
        change: impl FnOnce(&mut State) -> io::Result<T>,
        part: impl FnOnce(&mut State, &Random) -> io::Result<()>,
    ) -> io::Result<T> {
        let mut state = self.lock();
        let broken = || about(path, io::Error::other("the disk is gone"));
        if state.broken {
            return Err(broken());
        }
        match &mut state.fuse {
            Some(0) => {
                state.broken = true;
                let _ = part(&mut state, &self.random);
                return Err(broken());
            }
            Some(left) => *left -= 1,
            None => {}
        }
        let done = change(&mut state).map_err(|error| about(path, error))?;
        let now = self.now(&state);
        state.mark(path, now);
        Ok(done)
    }

    /// A change that a crash leaves undone or done, as chance has it.
    fn all_or_nothing(
        &self,
        path: &Path,
        change: impl Fn(&mut State) -> io::Result<()>,
    ) -> io::Result<()> {
        self.change(path, &change, |state, random| {
            if random.below(2) == 0 {
                Ok(())
            } else {
                change(state)
            }
        })
    }

    fn look<T>(&self, path: &Path, look: impl FnOnce(&State) -> io::Result<T>) -> io::Result<T> {
        let state = self.lock();
        if state.broken {
            return Err(about(path, io::Error::other("the disk is gone")));
        }
        look(&state).map_err(|error| about(path, error))
    }
}

impl Disk for SimulatedDisk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.look(path, |state| state.file(path).cloned())
    }

    fn read_at(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.look(path, |state| {
            let bytes = state.file(path)?;
            let start = usize::try_from(offset)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            let end = start.saturating_add(length).min(bytes.len());
            Ok(bytes[start..end].to_vec())
        })
    }

    fn write_atomic(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.room(path)?;
        self.all_or_nothing(path, |state| {
            let place = state.place(path, false)?;
            if state.entries.get(&place) == Some(&Entry::Folder) {
                return Err(error(io::ErrorKind::IsADirectory));
            }
            state.remove(&place);
            state.entries.insert(place, Entry::File(bytes.to_vec()));
            Ok(())
        })
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.room(path)?;
        let append = |state: &mut State| state.append(path, bytes, false);
        self.change(path, append, |_, _| Ok(()))
    }

    fn append_synced(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let part = |state: &mut State, random: &Random| {
            let part = usize::try_from(random.below(bytes.len() as u64 + 1)).unwrap_or(0);
            state.append(path, &bytes[..part], true)
        };
        if let Err(full) = self.room(path) {
            // What fits is written.
            let _ = part(&mut self.lock(), &self.random);
            return Err(full);
        }
        let append = |state: &mut State| state.append(path, bytes, true);
        self.change(path, append, part)
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        self.all_or_nothing(path, |state| {
            state.file(path)?;
            let place = state.resolve(path, true)?;
            state.unsynced.remove(&place);
            if let Some(Entry::File(bytes)) = state.entries.get_mut(&place) {
                bytes.resize(usize::try_from(length).unwrap_or(usize::MAX), 0);
            }
            Ok(())
        })
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        if !self.exists(path) {
            self.room(path)?;
        }
        self.all_or_nothing(path, |state| {
            let mut folder = PathBuf::from("/");
            for part in path.components() {
                folder.push(part);
                let place = state.resolve(&folder, true)?;
                match state.entries.get(&place) {
                    Some(Entry::Folder) => {}
                    Some(_) => return Err(not_a_folder()),
                    None if place == Path::new("/") => {}
                    None => {
                        state.entries.insert(place, Entry::Folder);
                    }
                }
            }
            Ok(())
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.all_or_nothing(from, |state| state.rename(from, to))?;
        if let Some(folder) = to.parent() {
            let mut state = self.lock();
            let now = self.now(&state);
            state.changed.insert(folder.to_owned(), now);
        }
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.all_or_nothing(path, |state| {
            let place = state.resolve(path, false)?;
            match state.entries.get(&place) {
                Some(Entry::Folder) => Err(error(io::ErrorKind::IsADirectory)),
                Some(_) => {
                    state.remove(&place);
                    Ok(())
                }
                None => Err(error(io::ErrorKind::NotFound)),
            }
        })
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let remove = |state: &mut State, random: Option<&Random>| {
            let place = state.resolve(path, false)?;
            if state.entries.get(&place) != Some(&Entry::Folder) {
                let there = state.entries.contains_key(&place);
                return Err(if there {
                    not_a_folder()
                } else {
                    error(io::ErrorKind::NotFound)
                });
            }
            let mut below = state.below(&place);
            // A crash leaves the upper part of what was there: the leaves go first.
            let kept = random.map_or(0, |random| random.below(below.len() as u64 + 1));
            let kept = usize::try_from(kept).unwrap_or(0);
            for path in below.split_off(kept) {
                state.remove(&path);
            }
            if random.is_none() {
                state.remove(&place);
            }
            Ok(())
        };
        let whole = |state: &mut State| remove(state, None);
        self.change(path, whole, |state, random| remove(state, Some(random)))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        self.look(path, |state| {
            let folder = state.resolve(path, true)?;
            if !state.is_folder(&folder) {
                let there = state.entries.contains_key(&folder);
                return Err(if there {
                    not_a_folder()
                } else {
                    error(io::ErrorKind::NotFound)
                });
            }
            let below = state.below(&folder);
            let children = below
                .iter()
                .filter(|path| path.parent() == Some(folder.as_path()));
            let names = children.filter_map(|path| path.file_name()?.to_str().map(str::to_owned));
            let mut names: Vec<String> = names.collect();
            names.sort();
            Ok(names)
        })
    }

    fn exists(&self, path: &Path) -> bool {
        self.metadata(path).is_ok()
    }

    fn metadata(&self, path: &Path) -> io::Result<FileInfo> {
        self.look(path, |state| {
            let place = state.resolve(path, false)?;
            let info = |len: usize, is_dir, is_symlink| {
                Ok(FileInfo {
                    len: len as u64,
                    is_dir,
                    is_symlink,
                })
            };
            match state.entries.get(&place) {
                Some(Entry::File(bytes)) => info(bytes.len(), false, false),
                Some(Entry::Link(target)) => info(target.as_os_str().len(), false, true),
                Some(Entry::Folder) => info(0, true, false),
                None if place == Path::new("/") => info(0, true, false),
                None => Err(error(io::ErrorKind::NotFound)),
            }
        })
    }

    fn symlink(&self, target: &Path, link: &Path) -> io::Result<()> {
        self.room(link)?;
        self.all_or_nothing(link, |state| {
            let place = state.place(link, false)?;
            if state.entries.get(&place) == Some(&Entry::Folder) {
                return Err(error(io::ErrorKind::IsADirectory));
            }
            state.remove(&place);
            state
                .entries
                .insert(place, Entry::Link(target.to_path_buf()));
            Ok(())
        })
    }

    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        self.look(path, |state| {
            match state.entries.get(&state.resolve(path, false)?) {
                Some(Entry::Link(target)) => Ok(target.clone()),
                Some(_) => Err(error(io::ErrorKind::InvalidInput)),
                None => Err(error(io::ErrorKind::NotFound)),
            }
        })
    }

    fn lock_exclusive(&self, path: &Path, note: &str) -> io::Result<Lock> {
        struct Held {
            state: Arc<Mutex<State>>,
            path: PathBuf,
            number: u64,
        }
        impl Drop for Held {
            fn drop(&mut self) {
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                // After a crash the lock may be another's.
                if state
                    .locks
                    .get(&self.path)
                    .is_some_and(|(_, number)| *number == self.number)
                {
                    state.locks.remove(&self.path);
                }
            }
        }
        let place = self.look(path, |state| state.place(path, true))?;
        if let Some((holder, _)) = self.lock().locks.get(&place) {
            return Err(held(path, holder));
        }
        self.write_atomic(&place, note.as_bytes())?;
        let mut state = self.lock();
        let number = state.next_lock;
        state.next_lock += 1;
        state.locks.insert(place.clone(), (note.to_owned(), number));
        drop(state);
        Ok(Lock::new(Held {
            state: Arc::clone(&self.state),
            path: place,
            number,
        }))
    }

    fn modified(&self, path: &Path) -> io::Result<Time> {
        self.look(path, |state| {
            let place = state.resolve(path, false)?;
            if place != Path::new("/") && !state.entries.contains_key(&place) {
                return Err(error(io::ErrorKind::NotFound));
            }
            Ok(state.changed.get(&place).copied().unwrap_or_default())
        })
    }

    fn touch(&self, path: &Path) -> io::Result<()> {
        self.all_or_nothing(path, |state| {
            let place = state.resolve(path, true)?;
            let there = place == Path::new("/") || state.entries.contains_key(&place);
            there
                .then_some(())
                .ok_or_else(|| error(io::ErrorKind::NotFound))
        })
    }

    fn usage(&self, path: &Path) -> io::Result<f64> {
        self.look(path, |state| Ok(state.usage))
    }

    fn own(&self, path: &Path, user: &str) -> io::Result<()> {
        self.all_or_nothing(path, |state| {
            let place = state.resolve(path, true)?;
            if !state.entries.contains_key(&place) {
                return Err(error(io::ErrorKind::NotFound));
            }
            state.give(place, user)
        })
    }

    fn open_beneath(&self, root: &Path, path: &Path) -> io::Result<Box<dyn OpenFile>> {
        self.opened(root, path)
    }

    fn list_beneath(&self, root: &Path, path: &Path) -> io::Result<Vec<(String, Stat)>> {
        self.listed(root, path)
    }

    fn create_dir_beneath(&self, root: &Path, path: &Path, user: Option<&str>) -> io::Result<()> {
        self.made(root, path, user)
    }

    fn rename_beneath(&self, root: &Path, path: &Path, to: &Path) -> io::Result<()> {
        let from = self.look(path, |state| state.plain(root, path))?;
        self.rename(&from, to)
    }
}

impl fmt::Debug for SimulatedDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimulatedDisk")
    }
}
