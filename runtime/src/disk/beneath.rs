//! Reading below a folder that no path leads out of, whatever those who write in it do meanwhile;
//! and making and moving folders there, where no link is followed at all.
//!
//! A path is walked part by part. Each part is looked at before it is entered and never followed
//! by the system: a symbolic link is read and walked like a path, `..` goes back to the folder
//! that was come from, and above the root there is nothing. What is opened is the very thing that
//! was looked at, and only files and folders are: a pipe would wait, a device would act.
//!
//! The walk is the same for both disks, which are [`Tree`]s. Not here: who may read what.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::clock::Time;

/// As Linux' bound on the links of one path.
const LINKS: usize = 40;

/// The largest number of names that a listing gives.
pub(crate) const LISTED: usize = 100_000;

/// What is known of something in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Type and permissions, as `st_mode`.
    pub mode: u32,
    /// The number of its hard links.
    pub links: u64,
    /// The name of its owner; the number, where it has none.
    pub user: String,
    /// The name of its group; the number, where it has none.
    pub group: String,
    /// Its length in bytes.
    pub len: u64,
    /// When its content changed last.
    pub modified: Time,
}

/// A file that was opened for reading. It may grow, shrink or be removed meanwhile.
pub trait OpenFile: Send + fmt::Debug {
    /// Its length now, in bytes.
    ///
    /// # Errors
    /// As the file system's.
    fn len(&self) -> io::Result<u64>;

    /// Whether there is nothing in it.
    ///
    /// # Errors
    /// As the file system's.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// At most `length` bytes from `offset`; less only at its end.
    ///
    /// # Errors
    /// As the file system's.
    fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>>;
}

/// Something that can be walked part by part.
pub(crate) trait Tree {
    /// A thing in the tree, held so that it stays the same thing.
    type Thing;

    /// What `name` in a folder is, without following it.
    fn child(&self, folder: &Self::Thing, name: &OsStr) -> io::Result<Self::Thing>;

    /// Where a symbolic link leads to; `None` for what is no link.
    fn link(&self, thing: &Self::Thing) -> io::Result<Option<PathBuf>>;

    /// Whether it is a folder.
    fn is_folder(&self, thing: &Self::Thing) -> bool;
}

/// Goes from `root` to `path`, and follows links, also at the end. `place` is where the root is
/// on the disk, without links in it: a link to what lies below it by its full path stays inside.
pub(crate) fn walk<T: Tree>(
    tree: &T,
    root: T::Thing,
    place: &Path,
    path: &Path,
) -> io::Result<T::Thing> {
    let mut left: Vec<OsString> = Vec::new();
    queue(&mut left, path, place)?;
    // The folders on the way; the root is the first, and is never left.
    let mut way: Vec<T::Thing> = vec![root];
    let mut links = 0;
    while let Some(part) = left.pop() {
        if part == ROOT {
            way.truncate(1);
            continue;
        }
        if part == ".." {
            if way.len() == 1 {
                return Err(outside());
            }
            way.pop();
            continue;
        }
        let Some(folder) = way.last().filter(|thing| tree.is_folder(thing)) else {
            return Err(io::ErrorKind::NotADirectory.into());
        };
        let thing = tree.child(folder, &part)?;
        match tree.link(&thing)? {
            None => way.push(thing),
            Some(target) => {
                links += 1;
                if links > LINKS {
                    return Err(io::Error::other("too many levels of symbolic links"));
                }
                queue(&mut left, &target, place)?;
            }
        }
    }
    way.pop().ok_or_else(outside)
}

/// Stands for the root among the parts of a path; no name is like it.
const ROOT: &str = "/";

/// Puts the parts of a path on the stack of what is to be walked, the first on top.
fn queue(left: &mut Vec<OsString>, path: &Path, place: &Path) -> io::Result<()> {
    let mut parts: Vec<OsString> = Vec::new();
    let below = if path.is_absolute() {
        parts.push(ROOT.into());
        path.strip_prefix(place).map_err(|_| outside())?
    } else {
        path
    };
    for part in below.components() {
        match part {
            Component::Normal(name) => parts.push(name.to_owned()),
            Component::ParentDir => parts.push("..".into()),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return Err(outside()),
        }
    }
    left.extend(parts.into_iter().rev());
    Ok(())
}

/// The names in a path that goes only down.
pub(crate) fn names(path: &Path) -> io::Result<Vec<&OsStr>> {
    let names = path.components().map(|part| match part {
        Component::Normal(name) => Ok(name),
        _ => Err(outside()),
    });
    names.collect()
}

/// The error for a path that leads out.
pub(crate) fn outside() -> io::Error {
    io::Error::new(
        io::ErrorKind::PermissionDenied,
        "it leads out of its folder",
    )
}

/// The error for what is neither file nor folder.
pub(crate) fn special() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "it is neither a file nor a folder",
    )
}

/// The error for a folder with more names than are listed.
pub(crate) fn crowded() -> io::Error {
    io::Error::new(
        io::ErrorKind::FileTooLarge,
        format!("the folder has more than {LISTED} entries"),
    )
}
