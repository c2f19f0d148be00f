//! The disk as processes use it: whole files, written so that a crash leaves the old or the new.
//!
//! Two bodies: `real` is the file system, `simulated` keeps for every node what is synced and what
//! is not, and a crash drops the latter. All calls block; a process makes them in
//! `Context::blocking`. Not here: what files there are, and what is in them.

mod beneath;
pub(crate) mod real;
pub(crate) mod simulated;

use std::any::Any;
use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;

pub use self::beneath::{OpenFile, Stat};
use crate::Time;

/// What is known of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// Its length in bytes.
    pub len: u64,
    /// Whether it is a folder.
    pub is_dir: bool,
    /// Whether it is a symbolic link (which is not followed).
    pub is_symlink: bool,
}

/// A lock on a file, until it is dropped or its holder dies.
pub struct Lock(#[expect(dead_code, reason = "held for its drop")] Box<dyn Any + Send + Sync>);

impl Lock {
    pub(crate) fn new(held: impl Any + Send + Sync) -> Lock {
        Lock(Box::new(held))
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lock")
    }
}

/// A node's disk. Errors name the path they are about.
pub trait Disk: Send + Sync + fmt::Debug {
    /// The whole of a file.
    ///
    /// # Errors
    /// As the file system's.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// At most `length` bytes of a file from `offset`; less only at its end.
    ///
    /// # Errors
    /// As the file system's.
    fn read_at(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>>;

    /// Makes a file have just these bytes. When it returns they are synced under that name; a
    /// crash before leaves what was there. The folder must exist.
    ///
    /// # Errors
    /// As the file system's; the old content is still there then.
    fn write_atomic(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// Adds to the end of a file, which is made if there is none. It is not synced: a crash may
    /// leave any part of it. For what nobody relies on, such as logs.
    ///
    /// # Errors
    /// As the file system's.
    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// Adds to the end of a file, which is made if there is none, and syncs it. A crash before it
    /// returns may leave a part of the bytes.
    ///
    /// # Errors
    /// As the file system's; a part of the bytes may be there then.
    fn append_synced(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// Cuts a file to a length and syncs it.
    ///
    /// # Errors
    /// As the file system's.
    fn truncate(&self, path: &Path, length: u64) -> io::Result<()>;

    /// Makes a folder and those above it, and syncs what it made.
    ///
    /// # Errors
    /// As the file system's.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Makes a folder and those above it, unsynced: after a crash of the host they may be gone. For
    /// what nobody looks for then, such as the sandbox of a container that died with it. The
    /// simulated disk has no folder that is not synced.
    ///
    /// # Errors
    /// As the file system's.
    fn create_dir_all_unsynced(&self, path: &Path) -> io::Result<()> {
        self.create_dir_all(path)
    }

    /// Renames a file or folder, in place of what is there, and syncs the folders.
    ///
    /// # Errors
    /// As the file system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file or a link, and syncs the folder.
    ///
    /// # Errors
    /// As the file system's.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a folder with all that is in it. Links in it are not followed.
    ///
    /// # Errors
    /// As the file system's.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;

    /// The names in a folder, sorted. A name that is no UTF-8 is left out.
    ///
    /// # Errors
    /// As the file system's.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;

    /// Whether there is something at a path; what cannot be looked at is not there.
    fn exists(&self, path: &Path) -> bool;

    /// What is known of a path, without following a link at its end.
    ///
    /// # Errors
    /// As the file system's.
    fn metadata(&self, path: &Path) -> io::Result<FileInfo>;

    /// Makes `link` a symbolic link to `target`, in place of a link that is there, at one stroke.
    ///
    /// # Errors
    /// As the file system's.
    fn symlink(&self, target: &Path, link: &Path) -> io::Result<()>;

    /// As [`Disk::symlink`], unsynced: after a crash of the host the link of before may be there,
    /// or none.
    ///
    /// # Errors
    /// As the file system's.
    fn symlink_unsynced(&self, target: &Path, link: &Path) -> io::Result<()> {
        self.symlink(target, link)
    }

    /// Where a symbolic link leads to.
    ///
    /// # Errors
    /// As the file system's.
    fn read_link(&self, path: &Path) -> io::Result<std::path::PathBuf>;

    /// Locks a file, which is made if there is none, and writes `note` (who holds it) into it.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] with the holder's note if it is locked.
    fn lock_exclusive(&self, path: &Path, note: &str) -> io::Result<Lock>;

    /// As [`Disk::lock_exclusive`], and waits up to `patience` for a holder to let go. A daemon
    /// that was killed while it started a child leaves its lock to that child until the child has
    /// become another program; whoever starts the next daemon may well be sooner. In the simulated
    /// world nobody lets go while another waits, and so nobody waits.
    ///
    /// # Errors
    /// As those of [`Disk::lock_exclusive`].
    fn lock_patiently(&self, path: &Path, note: &str, patience: Duration) -> io::Result<Lock> {
        let _ = patience;
        self.lock_exclusive(path, note)
    }

    /// When a file or folder last changed: its bytes, or the names in it. A link is not followed.
    ///
    /// # Errors
    /// As the file system's.
    fn modified(&self, path: &Path) -> io::Result<Time>;

    /// Makes now the time of the last change of a file or folder.
    ///
    /// # Errors
    /// As the file system's.
    fn touch(&self, path: &Path) -> io::Result<()>;

    /// The part of the file system of a path that is used, 0 to 1.
    ///
    /// # Errors
    /// As the file system's.
    fn usage(&self, path: &Path) -> io::Result<f64>;

    /// Gives a file or folder (not what is in it) to a user and the user's group.
    ///
    /// # Errors
    /// As the file system's; [`io::ErrorKind::NotFound`] for a user that is not known.
    fn own(&self, path: &Path, user: &str) -> io::Result<()>;

    /// Opens the file at `path` below `root` for reading, or `root` itself if the path is empty.
    /// No part of the path leads out of `root`: neither `..` nor a link, also not one that is made
    /// at the same time. `root` itself is trusted.
    ///
    /// # Errors
    /// [`io::ErrorKind::PermissionDenied`] for a path that leads out,
    /// [`io::ErrorKind::IsADirectory`] for a folder, [`io::ErrorKind::InvalidInput`] for what is
    /// neither file nor folder; else as the file system's.
    fn open_beneath(&self, root: &Path, path: &Path) -> io::Result<Box<dyn OpenFile>>;

    /// The names in the folder at `path` below `root`, sorted, and what is known of each: of a
    /// link that stays below `root` of what it leads to. A name that is no UTF-8 is left out.
    ///
    /// # Errors
    /// As [`Disk::open_beneath`]; [`io::ErrorKind::NotADirectory`] for what is no folder,
    /// [`io::ErrorKind::FileTooLarge`] for one with too many names.
    fn list_beneath(&self, root: &Path, path: &Path) -> io::Result<Vec<(String, Stat)>>;

    /// Makes the folder at `path` below `root`, with those above it, and gives it to `user`, where
    /// one is named. No part of the path may be a link, nor become one at the same time: what is
    /// made and given away is below `root`, whoever writes there. `root` itself is trusted. Not
    /// synced.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotADirectory`] for a part that is a link or a file,
    /// [`io::ErrorKind::PermissionDenied`] for a path that leads out,
    /// [`io::ErrorKind::NotFound`] for a user that is not known; else as the file system's.
    fn create_dir_beneath(&self, root: &Path, path: &Path, user: Option<&str>) -> io::Result<()>;

    /// Gives what is at `path` below `root` the path `to`, which is trusted as `root` is. Of the
    /// folders above it none may be a link, nor become one at the same time.
    ///
    /// # Errors
    /// As [`Disk::create_dir_beneath`].
    fn rename_beneath(&self, root: &Path, path: &Path, to: &Path) -> io::Result<()>;
}

/// The error with the path it is about.
pub(crate) fn about(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// The error for a lock that another holds.
pub(crate) fn held(path: &Path, note: &str) -> io::Error {
    let holder = if note.is_empty() {
        "another process"
    } else {
        note
    };
    let text = format!("{} is locked by {holder}", path.display());
    io::Error::new(io::ErrorKind::WouldBlock, text)
}
