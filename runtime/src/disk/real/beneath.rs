//! Reading, making and moving below a folder of the file system. Every thing on the way is held by a descriptor, so
//! that what is opened in the end is what was looked at, however names change meanwhile.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, open, openat, readlinkat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, mkdirat};
use nix::unistd::{Gid, Group, Uid, User, fchown};

use super::super::beneath::{LISTED, OpenFile, Stat, Tree, crowded, names, outside, special, walk};
use crate::clock::Time;

/// A descriptor that stands for a thing and cannot be read from.
struct Held {
    fd: OwnedFd,
    stat: FileStat,
}

impl Held {
    fn of(fd: OwnedFd) -> io::Result<Held> {
        let stat = fstat(&fd)?;
        Ok(Held { fd, stat })
    }

    fn kind(&self) -> SFlag {
        SFlag::from_bits_truncate(self.stat.st_mode & SFlag::S_IFMT.bits())
    }

    /// Opens the thing itself, by whatever name it has now.
    fn reopen(&self, flags: OFlag) -> io::Result<OwnedFd> {
        let path = format!("/proc/self/fd/{}", self.fd.as_raw_fd());
        let flags = flags | OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        Ok(open(path.as_str(), flags, Mode::empty())?)
    }
}

struct Files;

impl Tree for Files {
    type Thing = Held;

    fn child(&self, folder: &Held, name: &OsStr) -> io::Result<Held> {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Held::of(openat(&folder.fd, name, flags, Mode::empty())?)
    }

    fn link(&self, thing: &Held) -> io::Result<Option<PathBuf>> {
        if thing.kind() != SFlag::S_IFLNK {
            return Ok(None);
        }
        Ok(Some(readlinkat(thing.fd.as_fd(), "")?.into()))
    }

    fn is_folder(&self, thing: &Held) -> bool {
        thing.kind() == SFlag::S_IFDIR
    }
}

/// The root and what it is called without links.
fn root(path: &Path) -> io::Result<(Held, PathBuf)> {
    let held = Held::of(open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?)?;
    let place = std::fs::read_link(format!("/proc/self/fd/{}", held.fd.as_raw_fd()))?;
    Ok((held, place))
}

fn find(root_path: &Path, path: &Path) -> io::Result<Held> {
    let (root, place) = root(root_path)?;
    walk(&Files, root, &place, path)
}

/// Opens the file at `path` below `root`.
pub(super) fn open_beneath(root: &Path, path: &Path) -> io::Result<Box<dyn OpenFile>> {
    let held = find(root, path)?;
    match held.kind() {
        SFlag::S_IFREG => Ok(Box::new(Opened(held.reopen(OFlag::O_NOCTTY)?.into()))),
        SFlag::S_IFDIR => Err(io::ErrorKind::IsADirectory.into()),
        _ => Err(special()),
    }
}

/// What is in the folder at `path` below `root`, sorted by name. Of a link that stays inside it is
/// told what it leads to, of another only that it is a link.
pub(super) fn list_beneath(root_path: &Path, path: &Path) -> io::Result<Vec<(String, Stat)>> {
    let held = find(root_path, path)?;
    if held.kind() != SFlag::S_IFDIR {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    let mut found = Vec::new();
    for entry in Dir::from_fd(held.reopen(OFlag::O_DIRECTORY)?)?.iter() {
        let name = entry?.file_name().to_owned();
        let Ok(name) = name.into_string() else {
            continue;
        };
        if name == "." || name == ".." {
            continue;
        }
        if found.len() == LISTED {
            return Err(crowded());
        }
        found.push(name);
    }
    found.sort();
    let mut owners = Owners::default();
    let mut listed = Vec::with_capacity(found.len());
    for name in found {
        match Files.child(&held, name.as_ref()) {
            Ok(thing) => {
                let target = (thing.kind() == SFlag::S_IFLNK)
                    .then(|| find(root_path, &path.join(&name)).ok())
                    .flatten();
                let stat = owners.stat(&target.unwrap_or(thing).stat);
                listed.push((name, stat));
            }
            // It was removed since.
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => {}
            Err(other) => return Err(other),
        }
    }
    Ok(listed)
}

/// The folder `name` in a folder, if it is one and no link.
fn enter(folder: &OwnedFd, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    match openat(folder, name, flags, Mode::empty()) {
        Err(Errno::ELOOP) => Err(io::ErrorKind::NotADirectory.into()),
        other => Ok(other?),
    }
}

fn trusted(root: &Path) -> io::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    Ok(open(root, flags, Mode::empty())?)
}

/// Makes the folder at `path` below `root`, and gives it away.
pub(super) fn create_dir_beneath(
    root: &Path,
    path: &Path,
    owner: Option<(Uid, Gid)>,
) -> io::Result<()> {
    let mut folder = trusted(root)?;
    for name in names(path)? {
        match mkdirat(&folder, name, Mode::from_bits_truncate(0o777)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        folder = enter(&folder, name)?;
    }
    if let Some((user, group)) = owner {
        fchown(&folder, Some(user), Some(group))?;
    }
    Ok(())
}

/// Moves what is at `path` below `root`.
pub(super) fn rename_beneath(root: &Path, path: &Path, to: &Path) -> io::Result<()> {
    let mut above = names(path)?;
    let name = above.pop().ok_or_else(outside)?;
    let mut folder = trusted(root)?;
    for part in above {
        folder = enter(&folder, part)?;
    }
    Ok(renameat(&folder, name, AT_FDCWD, to)?)
}

/// Names of users and groups, each looked up once for a listing.
#[derive(Default)]
struct Owners {
    users: Vec<(u32, String)>,
    groups: Vec<(u32, String)>,
}

impl Owners {
    fn stat(&mut self, stat: &FileStat) -> Stat {
        let user = |id| {
            let known = User::from_uid(Uid::from_raw(id)).ok().flatten();
            known.map(|user| user.name)
        };
        let group = |id| {
            let known = Group::from_gid(Gid::from_raw(id)).ok().flatten();
            known.map(|group| group.name)
        };
        let seconds = u64::try_from(stat.st_mtime).unwrap_or(0);
        let nanoseconds = u64::try_from(stat.st_mtime_nsec).unwrap_or(0);
        Stat {
            mode: stat.st_mode,
            links: stat.st_nlink,
            user: name_of(&mut self.users, stat.st_uid, user),
            group: name_of(&mut self.groups, stat.st_gid, group),
            len: u64::try_from(stat.st_size).unwrap_or(0),
            modified: Time::from_nanos(seconds * 1_000_000_000 + nanoseconds),
        }
    }
}

fn name_of(
    known: &mut Vec<(u32, String)>,
    id: u32,
    look_up: impl Fn(u32) -> Option<String>,
) -> String {
    if let Some((_, name)) = known.iter().find(|(other, _)| *other == id) {
        return name.clone();
    }
    let name = look_up(id).unwrap_or_else(|| id.to_string());
    known.push((id, name.clone()));
    name
}

#[derive(Debug)]
struct Opened(File);

impl OpenFile for Opened {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        let mut read = 0;
        while read < length {
            match self.0.read_at(&mut bytes[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) if error.raw_os_error() == Some(Errno::EINTR as i32) => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(read);
        Ok(bytes)
    }
}
