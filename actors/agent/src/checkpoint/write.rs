//! Carries out changes of the disk, in order; runs on a blocking thread.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use bytes::BytesMut;
use tepui_runtime::Disk;

use super::Write;

/// Which change of the disk failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {source}")]
pub struct WriteError {
    /// The file, folder or link.
    pub path: PathBuf,
    /// What the disk said; it names the path, too.
    pub source: io::Error,
}

/// What became of the writes that belong together.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Those that are not done since the disk is full, or since they have to follow one that is
    /// not done; in order. What hangs on any of them has to wait.
    pub remaining: Vec<Write>,
    /// What the disk said to the first of them, where it was asked.
    pub full: Option<String>,
}

/// Does batches of writes in order; when it returns, all but what remains is synced.
///
/// Appends to one file that follow each other become one, with one sync. Below a folder in
/// `blocked` nothing is written. Where the disk is full, the rest of that batch and whatever
/// later goes below the folder of what was not written, remain: so no file exists without those
/// that lead to it, and a file's records stay in order.
///
/// # Errors
/// [`WriteError`] of the first that fails for another reason than space; those after it are not
/// done.
pub fn write(
    disk: &dyn Disk,
    batches: Vec<Vec<Write>>,
    blocked: &mut BTreeSet<PathBuf>,
) -> Result<Vec<Outcome>, WriteError> {
    let mut outcomes: Vec<Outcome> = Vec::new();
    outcomes.resize_with(batches.len(), Outcome::default);
    for joint in joined(batches) {
        let path = joint.write.path();
        let stopped = |(batch, _): &(usize, Write)| !outcomes[*batch].remaining.is_empty();
        let waits = joint.parts.iter().any(stopped)
            || path.ancestors().any(|folder| blocked.contains(folder));
        let error = if waits {
            None
        } else {
            match one(disk, &joint.write) {
                Ok(()) => continue,
                Err(error) if is_full(&error.source) => Some(error.to_string()),
                Err(error) => return Err(error),
            }
        };
        blocked.insert(path.parent().unwrap_or(path).to_owned());
        for (batch, write) in joint.parts {
            let outcome = &mut outcomes[batch];
            outcome.remaining.push(write);
            if outcome.full.is_none() {
                outcome.full.clone_from(&error);
            }
        }
    }
    Ok(outcomes)
}

/// Whether the disk has no room, or none for this user.
fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// One write, and what it was made of, with the numbers of the batches.
struct Joint {
    write: Write,
    parts: Vec<(usize, Write)>,
}

fn joined(batches: Vec<Vec<Write>>) -> Vec<Joint> {
    let mut joined: Vec<Joint> = Vec::new();
    for (number, batch) in batches.into_iter().enumerate() {
        for write in batch {
            let last = joined.last_mut();
            if let Write::Append { path, body } = &write
                && let Some(Joint {
                    write:
                        Write::Append {
                            path: last,
                            body: bytes,
                        },
                    parts,
                }) = last
                && last == path
            {
                let mut both = BytesMut::with_capacity(bytes.len() + body.len());
                both.extend_from_slice(bytes);
                both.extend_from_slice(body);
                *bytes = both.freeze();
                parts.push((number, write));
            } else {
                joined.push(Joint {
                    write: write.clone(),
                    parts: vec![(number, write)],
                });
            }
        }
    }
    joined
}

fn one(disk: &dyn Disk, write: &Write) -> Result<(), WriteError> {
    let (path, result) = match write {
        Write::Folder { path } => (path, disk.create_dir_all(path)),
        Write::File { path, body } => (
            path,
            parent(disk, path).and_then(|()| disk.write_atomic(path, body)),
        ),
        Write::Append { path, body } => (path, append(disk, path, body)),
        Write::Cut { path, length } => (path, disk.truncate(path, *length)),
        Write::Behind { path } => (path, Ok(())),
        Write::Touch { path } => {
            // A time that is too old is a small loss.
            if let Err(error) = disk.touch(path)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(%error, "cannot touch");
            }
            (path, Ok(()))
        }
        Write::Remove { path } => {
            let gone = disk.remove_file(path).or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            });
            (path, gone)
        }
        Write::Link { target, link } => (
            link,
            parent(disk, link).and_then(|()| disk.symlink(target, link)),
        ),
    };
    result.map_err(|source| WriteError {
        path: path.clone(),
        source,
    })
}

/// Adds to a file; where the disk is full, nothing of it is left behind.
fn append(disk: &dyn Disk, path: &Path, body: &[u8]) -> io::Result<()> {
    parent(disk, path)?;
    let before = disk.metadata(path).map_or(0, |info| info.len);
    disk.append_synced(path, body).or_else(|error| {
        if is_full(&error) && disk.exists(path) {
            // A later append must not follow a torn record.
            disk.truncate(path, before)?;
        }
        Err(error)
    })
}

fn parent(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !disk.exists(folder) => disk.create_dir_all(folder),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn appends_to_one_file_become_one() {
        let append = |path: &str, body: &'static str| Write::Append {
            path: PathBuf::from(path),
            body: Bytes::from_static(body.as_bytes()),
        };
        let batches = vec![
            vec![append("a", "1"), append("a", "2")],
            vec![append("a", "3"), append("b", "4")],
            vec![append("a", "5")],
        ];
        let joined = joined(batches);
        let writes: Vec<&Write> = joined.iter().map(|joint| &joint.write).collect();
        let expected = [append("a", "123"), append("b", "4"), append("a", "5")];
        assert_eq!(writes, expected.iter().collect::<Vec<_>>());
        let batches: Vec<usize> = joined[0].parts.iter().map(|(batch, _)| *batch).collect();
        assert_eq!(batches, [0, 0, 1]);
    }
}
