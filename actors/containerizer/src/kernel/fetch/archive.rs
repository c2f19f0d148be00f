//! Archives and compressed files, unpacked into a sandbox. Who made them is not trusted: names stay
//! in the sandbox, devices are refused, and what comes out is bounded.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bzip2::read::MultiBzDecoder;
use flate2::read::MultiGzDecoder;
use lzma_rust2::XzReader;
use tar::EntryType;

use super::role::Progress;
use super::sandbox::{Sandbox, set_mode};
use super::uri::beneath;

/// Most files, folders and links of one archive.
const ENTRIES_MAX: u64 = 1_000_000;
/// Most bytes that may come out of one archive.
const BYTES_MAX: u64 = 64 << 30;

/// File type bits of a mode, and those of a symbolic link.
const TYPE: u32 = 0o170_000;
const TYPE_LINK: u32 = 0o120_000;
/// Longest target of a link in a zip archive.
const LINK_MAX: u64 = 4096;

/// What one archive may still bring.
struct Budget<'a> {
    entries: u64,
    bytes: u64,
    progress: &'a Progress,
}

impl Budget<'_> {
    fn entry(&mut self) -> Result<(), String> {
        self.entries = self
            .entries
            .checked_sub(1)
            .ok_or_else(|| format!("it has more than {ENTRIES_MAX} entries"))?;
        self.progress.tick();
        Ok(())
    }

    fn copy(&mut self, from: &mut impl Read, into: &mut impl Write) -> Result<(), String> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let count = match from.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.to_string()),
            };
            self.bytes = self
                .bytes
                .checked_sub(count as u64)
                .ok_or_else(|| format!("more than {BYTES_MAX} bytes come out of it"))?;
            into.write_all(&buffer[..count])
                .map_err(|error| error.to_string())?;
            self.progress.tick();
        }
    }
}

/// Unpacks an archive. What it is, is seen from its first bytes, as libarchive does.
///
/// # Errors
/// The entry that cannot be unpacked, or what is wrong with the archive.
pub(super) fn extract(
    mut file: File,
    sandbox: &Sandbox,
    progress: &Progress,
) -> Result<(), String> {
    let mut magic = [0; 6];
    let length = read_up_to(&mut file, &mut magic).map_err(|error| error.to_string())?;
    file.seek(SeekFrom::Start(0))
        .map_err(|error| error.to_string())?;
    let budget = Budget {
        entries: ENTRIES_MAX,
        bytes: BYTES_MAX,
        progress,
    };
    let input = BufReader::with_capacity(64 << 10, file);
    match &magic[..length] {
        [0x1f, 0x8b, ..] => untar(MultiGzDecoder::new(input), sandbox, budget),
        [b'B', b'Z', b'h', ..] => untar(MultiBzDecoder::new(input), sandbox, budget),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => untar(XzReader::new(input, true), sandbox, budget),
        [b'P', b'K', ..] => unzip(input, sandbox, budget),
        _ => untar(input, sandbox, budget),
    }
}

/// Unpacks one compressed file.
///
/// # Errors
/// What is wrong with it.
pub(super) fn gunzip(file: File, into: &mut File, progress: &Progress) -> Result<(), String> {
    let mut budget = Budget {
        entries: 1,
        bytes: BYTES_MAX,
        progress,
    };
    let mut input = MultiGzDecoder::new(BufReader::with_capacity(64 << 10, file));
    budget.copy(&mut input, into)
}

fn read_up_to(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read(&mut buffer[length..])? {
            0 => break,
            count => length += count,
        }
    }
    Ok(length)
}

fn untar(input: impl Read, sandbox: &Sandbox, mut budget: Budget<'_>) -> Result<(), String> {
    let mut archive = tar::Archive::new(input);
    let entries = archive.entries().map_err(|error| error.to_string())?;
    for entry in entries {
        let mut entry = entry.map_err(|error| error.to_string())?;
        budget.entry()?;
        let kind = entry.header().entry_type();
        // What archivers say of an archive as a whole.
        if kind == EntryType::XGlobalHeader {
            continue;
        }
        let name = entry.path_bytes().into_owned();
        let name = Path::new(std::ffi::OsStr::from_bytes(&name)).to_owned();
        // Many archives begin with the folder they were made in.
        if kind.is_dir()
            && name
                .components()
                .all(|one| one == std::path::Component::CurDir)
        {
            continue;
        }
        untar_entry(&mut entry, &name, sandbox, &mut budget)
            .map_err(|error| format!("entry '{}': {error}", name.display()))?;
    }
    Ok(())
}

fn untar_entry<R: Read>(
    entry: &mut tar::Entry<'_, R>,
    name: &Path,
    sandbox: &Sandbox,
    budget: &mut Budget<'_>,
) -> Result<(), String> {
    let path = beneath(name)?;
    let failed = |error: io::Error| error.to_string();
    let link = || -> Result<std::path::PathBuf, String> {
        let target = entry.link_name_bytes().ok_or("a link without a target")?;
        Ok(Path::new(std::ffi::OsStr::from_bytes(&target)).to_owned())
    };
    match entry.header().entry_type() {
        EntryType::Directory => sandbox.folder(&path).map(drop).map_err(failed),
        EntryType::Symlink => sandbox.symlink(&link()?, &path).map_err(failed),
        EntryType::Link => {
            let existing = beneath(&link()?)?;
            sandbox.hard_link(&existing, &path).map_err(failed)
        }
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            let mode = entry.header().mode().map_err(failed)?;
            let modified = entry.header().mtime().ok();
            let mut file = sandbox.create(&path).map_err(failed)?;
            budget.copy(entry, &mut file)?;
            finish(&file, mode, modified).map_err(failed)
        }
        other => Err(format!("files of the kind {other:?} are not unpacked")),
    }
}

fn finish(file: &File, mode: u32, modified: Option<u64>) -> io::Result<()> {
    set_mode(file, mode)?;
    match modified {
        Some(seconds) => {
            let at: Option<SystemTime> = UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
            at.map_or(Ok(()), |at| file.set_modified(at))
        }
        None => Ok(()),
    }
}

fn unzip(input: impl Read + Seek, sandbox: &Sandbox, mut budget: Budget<'_>) -> Result<(), String> {
    let mut archive = zip::ZipArchive::new(input).map_err(|error| error.to_string())?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(|error| error.to_string())?;
        budget.entry()?;
        let name = entry
            .name()
            .map_err(|error| error.to_string())?
            .into_owned();
        unzip_entry(&mut entry, &name, sandbox, &mut budget)
            .map_err(|error| format!("entry '{name}': {error}"))?;
    }
    Ok(())
}

fn unzip_entry<R: Read>(
    entry: &mut zip::read::ZipFile<'_, R>,
    name: &str,
    sandbox: &Sandbox,
    budget: &mut Budget<'_>,
) -> Result<(), String> {
    let path = beneath(Path::new(name))?;
    let failed = |error: io::Error| error.to_string();
    if entry.is_dir() {
        return sandbox.folder(&path).map(drop).map_err(failed);
    }
    let mode = entry.unix_mode();
    if mode.is_some_and(|mode| mode & TYPE == TYPE_LINK) {
        let mut target = Vec::new();
        budget.copy(&mut entry.take(LINK_MAX), &mut target)?;
        let target = Path::new(std::ffi::OsStr::from_bytes(&target));
        return sandbox.symlink(target, &path).map_err(failed);
    }
    let mut file = sandbox.create(&path).map_err(failed)?;
    budget.copy(entry, &mut file)?;
    finish(&file, mode.unwrap_or(0o644), None).map_err(failed)
}

#[cfg(test)]
mod tests;
