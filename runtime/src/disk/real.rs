//! The disk of the machine.

mod beneath;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::fcntl::{Flock, FlockArg};
use nix::sys::statvfs::statvfs;
use nix::unistd::{Gid, Uid, User, chown};

use crate::Time;

use super::{Disk, FileInfo, Lock, OpenFile, Stat, about, held};

/// Between two tries to take a lock.
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// The disk of the machine.
#[derive(Debug, Default)]
pub(crate) struct RealDisk {
    /// Tells the temporary files of this OS process apart.
    temporary: AtomicU64,
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = parent(path);
    File::open(parent)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| about(parent, error))
}

impl RealDisk {
    /// A name beside `path` that no other writer uses.
    fn beside(&self, path: &Path) -> PathBuf {
        let number = self.temporary.fetch_add(1, Ordering::Relaxed);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        parent(path).join(format!(".{name}.{}-{number}.tmp", std::process::id()))
    }

    /// Makes something under a temporary name, then gives it the name it is meant for. Not synced.
    fn replace(&self, path: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
        let temporary = self.beside(path);
        let done = make(&temporary).and_then(|()| fs::rename(&temporary, path));
        if done.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        done.map_err(|error| about(path, error))
    }
}

/// Whose `path` is to be.
fn ids_of(path: &Path, user: &str) -> io::Result<(Uid, Gid)> {
    // Root is the same everywhere, and a question to the user database opens files.
    if user == "root" {
        return Ok((Uid::from_raw(0), Gid::from_raw(0)));
    }
    let found = User::from_name(user).map_err(|errno| about(path, errno.into()))?;
    let found = found.ok_or_else(|| {
        let text = format!("{}: no user '{user}'", path.display());
        io::Error::new(io::ErrorKind::NotFound, text)
    })?;
    Ok((found.uid, found.gid))
}

impl Disk for RealDisk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path).map_err(|error| about(path, error))
    }

    fn read_at(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let read = || {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(offset))?;
            let mut bytes = Vec::new();
            file.take(length as u64).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        read().map_err(|error| about(path, error))
    }

    fn write_atomic(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.replace(path, |temporary| {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(temporary)?;
            file.write_all(bytes)?;
            file.sync_all()
        })?;
        sync_parent(path)
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let file = OpenOptions::new().append(true).create(true).open(path);
        file.and_then(|mut file| file.write_all(bytes))
            .map_err(|error| about(path, error))
    }

    fn append_synced(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let append = || {
            let made = !path.exists();
            let mut file = OpenOptions::new().append(true).create(true).open(path)?;
            file.write_all(bytes)?;
            file.sync_data()?;
            Ok(made)
        };
        if append().map_err(|error| about(path, error))? {
            sync_parent(path)?;
        }
        Ok(())
    }

    fn truncate(&self, path: &Path, length: u64) -> io::Result<()> {
        let cut = || {
            let file = OpenOptions::new().write(true).open(path)?;
            file.set_len(length)?;
            file.sync_all()
        };
        cut().map_err(|error| about(path, error))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let missing: Vec<&Path> = path
            .ancestors()
            .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
            .collect();
        fs::create_dir_all(path).map_err(|error| about(path, error))?;
        missing.into_iter().try_for_each(sync_parent)
    }

    fn create_dir_all_unsynced(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path).map_err(|error| about(path, error))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to).map_err(|error| about(from, error))?;
        sync_parent(to)?;
        if parent(from) == parent(to) {
            Ok(())
        } else {
            sync_parent(from)
        }
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path).map_err(|error| about(path, error))?;
        sync_parent(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path).map_err(|error| about(path, error))?;
        sync_parent(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let list = || {
            let mut names = Vec::new();
            for entry in fs::read_dir(path)? {
                if let Ok(name) = entry?.file_name().into_string() {
                    names.push(name);
                }
            }
            names.sort();
            Ok(names)
        };
        list().map_err(|error| about(path, error))
    }

    fn exists(&self, path: &Path) -> bool {
        path.symlink_metadata().is_ok()
    }

    fn metadata(&self, path: &Path) -> io::Result<FileInfo> {
        let metadata = path
            .symlink_metadata()
            .map_err(|error| about(path, error))?;
        Ok(FileInfo {
            len: metadata.len(),
            is_dir: metadata.is_dir(),
            is_symlink: metadata.is_symlink(),
        })
    }

    fn symlink(&self, target: &Path, link: &Path) -> io::Result<()> {
        self.symlink_unsynced(target, link)?;
        sync_parent(link)
    }

    fn symlink_unsynced(&self, target: &Path, link: &Path) -> io::Result<()> {
        self.replace(link, |temporary| {
            std::os::unix::fs::symlink(target, temporary)
        })
    }

    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        fs::read_link(path).map_err(|error| about(path, error))
    }

    fn lock_exclusive(&self, path: &Path, note: &str) -> io::Result<Lock> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path).map_err(|error| about(path, error))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut file) => {
                let write = |file: &mut File| {
                    file.set_len(0)?;
                    file.write_all(note.as_bytes())?;
                    file.sync_all()
                };
                write(&mut file).map_err(|error| about(path, error))?;
                Ok(Lock::new(file))
            }
            Err((mut file, nix::errno::Errno::EWOULDBLOCK)) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                Err(held(path, holder.trim()))
            }
            Err((_, errno)) => Err(about(path, errno.into())),
        }
    }

    fn lock_patiently(&self, path: &Path, note: &str, patience: Duration) -> io::Result<Lock> {
        let began = Instant::now();
        loop {
            match self.lock_exclusive(path, note) {
                Err(error)
                    if error.kind() == io::ErrorKind::WouldBlock && began.elapsed() < patience =>
                {
                    // The kernel tells nobody that a lock is free again, but who waits without end.
                    std::thread::park_timeout(LOCK_PAUSE);
                }
                done => return done,
            }
        }
    }

    fn modified(&self, path: &Path) -> io::Result<Time> {
        let modified = || {
            let modified = path.symlink_metadata()?.modified()?;
            let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
            Ok(Time::EPOCH + since)
        };
        modified().map_err(|error| about(path, error))
    }

    fn touch(&self, path: &Path) -> io::Result<()> {
        File::open(path)
            .and_then(|file| file.set_modified(SystemTime::now()))
            .map_err(|error| about(path, error))
    }

    fn usage(&self, path: &Path) -> io::Result<f64> {
        let found = statvfs(path).map_err(|errno| about(path, errno.into()))?;
        let (all, free) = (found.blocks(), found.blocks_free());
        // A share needs no more digits than a double has.
        Ok(if all == 0 {
            0.0
        } else {
            all.saturating_sub(free) as f64 / all as f64
        })
    }

    fn own(&self, path: &Path, user: &str) -> io::Result<()> {
        let (user, group) = ids_of(path, user)?;
        chown(path, Some(user), Some(group)).map_err(|errno| about(path, errno.into()))
    }

    fn open_beneath(&self, root: &Path, path: &Path) -> io::Result<Box<dyn OpenFile>> {
        beneath::open_beneath(root, path).map_err(|error| about(path, error))
    }

    fn list_beneath(&self, root: &Path, path: &Path) -> io::Result<Vec<(String, Stat)>> {
        beneath::list_beneath(root, path).map_err(|error| about(path, error))
    }

    fn create_dir_beneath(&self, root: &Path, path: &Path, user: Option<&str>) -> io::Result<()> {
        let owner = user.map(|user| ids_of(path, user)).transpose()?;
        let made = beneath::create_dir_beneath(root, path, owner);
        made.map_err(|error| about(&root.join(path), error))
    }

    fn rename_beneath(&self, root: &Path, path: &Path, to: &Path) -> io::Result<()> {
        let moved = beneath::rename_beneath(root, path, to);
        moved.map_err(|error| about(&root.join(path), error))
    }
}
