//! Removal of what nobody uses any more. A folder is first moved aside, which is one stroke and
//! frees its place; then all that lies there is removed, however long that takes.
//!
//! Only what lies below the work_dir's `slaves` and `meta/slaves` is moved, and nothing through a
//! link or with something mounted in it.

use std::io;
use std::path::{Component, Path, PathBuf};

use tepui_runtime::{Context, Disk};

use super::AgentProcess;
use crate::checkpoint::Paths;
use crate::core::{Input, Note};

/// What is mounted where, as Linux tells.
const MOUNTS: &str = "/proc/self/mountinfo";

/// Links that are followed in a work_dir's own path.
const MAX_LINKS: usize = 40;

impl AgentProcess {
    /// Folders were moved aside, but for those of which `failed` tells: all that is there goes.
    pub(super) fn sweep(&mut self, failed: Vec<String>, ctx: &mut Context<'_, Self>) {
        self.note_collected(0, failed, ctx);
        if self.sweeping {
            self.sweep_again = true;
            return;
        }
        self.sweeping = true;
        let disk = ctx.disk();
        let aside = self.paths.removed();
        ctx.blocking(
            move || remove_all(&*disk, &aside),
            |agent, (removed, failed), ctx| {
                agent.sweeping = false;
                agent.note_collected(removed, failed, ctx);
                if std::mem::take(&mut agent.sweep_again) {
                    agent.sweep(Vec::new(), ctx);
                }
            },
        );
    }

    fn note_collected(&mut self, removed: usize, failed: Vec<String>, ctx: &mut Context<'_, Self>) {
        if removed > 0 || !failed.is_empty() {
            let note = Note::Collected { removed, failed };
            self.carry(crate::core::Effect::Note(note), ctx);
        }
    }

    /// Looks how full the disk is.
    pub(super) fn measure(&mut self, ctx: &mut Context<'_, Self>) {
        let disk = ctx.disk();
        let work_dir = self.paths.work_dir().to_owned();
        ctx.blocking(
            move || disk.usage(&work_dir).map_err(|error| error.to_string()),
            |agent, usage, ctx| agent.feed(Input::DiskUsage(usage), ctx),
        );
    }
}

/// Moves `folder` to `aside`. One that is not there is passed over.
pub(super) fn move_aside(
    disk: &dyn Disk,
    paths: &Paths,
    folder: &Path,
    aside: &Path,
) -> Result<(), String> {
    let failed = |why: &str| Err(format!("cannot remove '{}': {why}", folder.display()));
    let Ok(inner) = folder.strip_prefix(paths.work_dir()) else {
        return failed("it is not in the work_dir");
    };
    let below = inner.strip_prefix("meta").unwrap_or(inner);
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    if below
        .strip_prefix("slaves")
        .map_or(0, |it| it.components().count())
        == 0
        || !inner.components().all(plain)
    {
        return failed("it is no folder of an agent");
    }
    let mut path = paths.work_dir().to_owned();
    for part in inner.components() {
        path.push(part);
        match disk.metadata(&path) {
            Ok(info) if info.is_symlink => {
                return failed(&format!("'{}' is a link", path.display()));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return failed(&error.to_string()),
        }
    }
    if let Some(mount) = mount_in(disk, &resolved(disk, folder)) {
        return failed(&format!("something is mounted at '{}'", mount.display()));
    }
    let moved = disk
        .create_dir_all(&paths.removed())
        .and_then(|()| disk.rename(folder, aside));
    moved.or_else(|error| failed(&error.to_string()))
}

/// Moves the sandbox at `path` below that of its executor, `root`, to `aside`: whoever owns `root`
/// may put links there at any time. One that is not there is passed over.
pub(super) fn move_nested(
    disk: &dyn Disk,
    paths: &Paths,
    root: &Path,
    path: &Path,
    aside: &Path,
) -> Result<(), String> {
    let failed = |why: &str| {
        let folder = root.join(path);
        Err(format!("cannot remove '{}': {why}", folder.display()))
    };
    if let Some(mount) = mount_in(disk, &resolved(disk, root).join(path)) {
        return failed(&format!("something is mounted at '{}'", mount.display()));
    }
    let moved = disk
        .create_dir_all(&paths.removed())
        .and_then(|()| disk.rename_beneath(root, path, aside));
    match moved {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        moved => moved.or_else(|error| failed(&error.to_string())),
    }
}

/// Removes all that was moved aside. Gives how many folders, and what could not be removed.
fn remove_all(disk: &dyn Disk, aside: &Path) -> (usize, Vec<String>) {
    let mut removed = 0;
    let mut failed = Vec::new();
    for name in disk.list(aside).unwrap_or_default() {
        match disk.remove_dir_all(&aside.join(name)) {
            Ok(()) => removed += 1,
            Err(error) => failed.push(format!("cannot remove: {error}")),
        }
    }
    (removed, failed)
}

/// A mount point in a folder or at it. Where there is no list of mounts, nothing is mounted.
fn mount_in(disk: &dyn Disk, folder: &Path) -> Option<PathBuf> {
    let list = disk.read(Path::new(MOUNTS)).ok()?;
    String::from_utf8_lossy(&list)
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|point| PathBuf::from(unescaped(point)))
        .find(|point| point.starts_with(folder))
}

/// The kernel writes blanks and such as a backslash and three octal digits.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let code = after.get(..3).filter(|_| *first == b'\\');
        let code = code.and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The path without links, as the kernel's list of mounts has it.
fn resolved(disk: &dyn Disk, path: &Path) -> PathBuf {
    let mut done = PathBuf::new();
    let mut left: Vec<PathBuf> = path
        .components()
        .rev()
        .map(|c| PathBuf::from(c.as_os_str()))
        .collect();
    let mut links = 0;
    while let Some(part) = left.pop() {
        if part == Path::new("..") {
            done.pop();
            continue;
        }
        done.push(&part);
        if let Ok(target) = disk.read_link(&done) {
            links += 1;
            if links > MAX_LINKS {
                return path.to_owned();
            }
            done.pop();
            left.extend(
                target
                    .components()
                    .rev()
                    .map(|c| PathBuf::from(c.as_os_str())),
            );
        }
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_read_as_the_kernel_writes_them() {
        assert_eq!(unescaped("/a\\040b\\134c"), "/a b\\c");
        assert_eq!(unescaped("/plain"), "/plain");
        assert_eq!(unescaped("/odd\\09"), "/odd\\09");
    }
}
