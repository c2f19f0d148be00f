//! Files and folders made in a sandbox from names that a stranger chose. Every path is looked up
//! by the kernel beneath the sandbox: whatever links lie in it, no name leads out of it.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, open, openat, openat2};
use nix::sys::stat::{Mode, fchmod, mkdirat};
use nix::unistd::{UnlinkatFlags, linkat, symlinkat, unlinkat};

/// A sandbox, open.
pub(super) struct Sandbox(OwnedFd);

impl Sandbox {
    pub(super) fn open(path: &Path) -> io::Result<Sandbox> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Sandbox(open(path, flags, Mode::empty())?))
    }

    fn beneath(&self, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
        let how = OpenHow::new()
            .flags(flags | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        openat2(&self.0, path, how)
    }

    /// The folder at `path`, made with all above it where it is not there.
    pub(super) fn folder(&self, path: &Path) -> io::Result<OwnedFd> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let mut folder = self.0.try_clone()?;
        let mut walked = PathBuf::new();
        for name in path {
            walked.push(name);
            folder = match self.beneath(&walked, flags) {
                Err(Errno::ENOENT) => {
                    mkdirat(&folder, name, Mode::from_bits_truncate(0o755))?;
                    self.beneath(&walked, flags)?
                }
                found => found?,
            };
        }
        Ok(folder)
    }

    /// The folder that holds `path`, and the name in it, which is free: what was there, except a
    /// folder, is gone.
    fn place<'a>(&self, path: &'a Path) -> io::Result<(OwnedFd, &'a OsStr)> {
        let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
        let name = path.file_name().ok_or_else(invalid)?;
        let folder = self.folder(path.parent().unwrap_or(Path::new("")))?;
        match unlinkat(&folder, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok((folder, name)),
            Err(error) => Err(error.into()),
        }
    }

    /// A new file in the place of whatever was there.
    pub(super) fn create(&self, path: &Path) -> io::Result<File> {
        let (folder, name) = self.place(path)?;
        let flags =
            OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = openat(folder, name, flags, Mode::from_bits_truncate(0o644))?;
        Ok(File::from(file))
    }

    /// Opens a file for reading.
    pub(super) fn read(&self, path: &Path) -> io::Result<File> {
        Ok(File::from(self.beneath(path, OFlag::O_RDONLY)?))
    }

    /// A symbolic link, wherever it leads: nothing here follows it out of the sandbox.
    pub(super) fn symlink(&self, target: &Path, path: &Path) -> io::Result<()> {
        let (folder, name) = self.place(path)?;
        Ok(symlinkat(target, folder, name)?)
    }

    /// Another name for a file that is in the sandbox.
    pub(super) fn hard_link(&self, existing: &Path, path: &Path) -> io::Result<()> {
        let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
        let existing_name = existing.file_name().ok_or_else(invalid)?;
        let from = self.folder(existing.parent().unwrap_or(Path::new("")))?;
        let (folder, name) = self.place(path)?;
        // Without AT_SYMLINK_FOLLOW: of a link it is the link that gets another name.
        let linked = linkat(
            from.as_fd(),
            existing_name,
            folder.as_fd(),
            name,
            AtFlags::empty(),
        );
        Ok(linked?)
    }
}

/// Permissions of an open file; never more than these nine bits.
pub(super) fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    Ok(fchmod(file, Mode::from_bits_truncate(mode & 0o777))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_link_does_not_lead_out() {
        let (outside, inside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(outside.path().join("kept"), "kept").unwrap();
        let sandbox = Sandbox::open(inside.path()).unwrap();
        let kept = outside.path().join("kept");
        sandbox.symlink(outside.path(), Path::new("out")).unwrap();
        sandbox.symlink(&kept, Path::new("file")).unwrap();
        sandbox
            .symlink(Path::new("../.."), Path::new("up"))
            .unwrap();
        for path in ["out/new", "up/new", "out/kept"] {
            let error = sandbox.create(Path::new(path)).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(Errno::EXDEV as i32), "{path}");
        }
        assert!(sandbox.read(Path::new("file")).is_err());
        assert!(
            sandbox
                .hard_link(Path::new("out/kept"), Path::new("x"))
                .is_err()
        );
        // The link itself is replaced, not what it leads to.
        sandbox
            .create(Path::new("file"))
            .unwrap()
            .write_all(b"new")
            .unwrap();
        assert_eq!(std::fs::read(&kept).unwrap(), b"kept");
        assert_eq!(std::fs::read(inside.path().join("file")).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_within_is_followed() {
        let inside = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::open(inside.path()).unwrap();
        sandbox.folder(Path::new("lib64/deep")).unwrap();
        sandbox
            .symlink(Path::new("lib64"), Path::new("lib"))
            .unwrap();
        sandbox.create(Path::new("lib/deep/x")).unwrap();
        assert!(inside.path().join("lib64/deep/x").exists());
    }
}
