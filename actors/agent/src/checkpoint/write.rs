//! Carries out changes of the disk, in order; runs on a blocking thread.

use std::path::{Path, PathBuf};

use bytes::BytesMut;
use tepui_runtime::Disk;

use super::Write;

/// Which change of the disk failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot write '{}': {source}", path.display())]
pub struct WriteError {
    /// The file, folder or link.
    pub path: PathBuf,
    /// What the disk said.
    pub source: std::io::Error,
}

/// Does `writes` in order; when it returns, all of them are synced.
///
/// Appends to one file that follow each other become one, with one sync.
///
/// # Errors
/// [`WriteError`] of the first that fails; those after it are not done.
pub fn write(disk: &dyn Disk, writes: Vec<Write>) -> Result<(), WriteError> {
    for write in joined(writes) {
        one(disk, &write)?;
    }
    Ok(())
}

fn joined(writes: Vec<Write>) -> Vec<Write> {
    let mut joined: Vec<Write> = Vec::with_capacity(writes.len());
    for write in writes {
        if let Write::Append { path, body } = &write
            && let Some(Write::Append {
                path: last,
                body: bytes,
            }) = joined.last_mut()
            && last == path
        {
            let mut both = BytesMut::with_capacity(bytes.len() + body.len());
            both.extend_from_slice(bytes);
            both.extend_from_slice(body);
            *bytes = both.freeze();
        } else {
            joined.push(write);
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
        Write::Append { path, body } => (
            path,
            parent(disk, path).and_then(|()| disk.append_synced(path, body)),
        ),
        Write::Cut { path, length } => (path, disk.truncate(path, *length)),
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

fn parent(disk: &dyn Disk, path: &Path) -> std::io::Result<()> {
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
        let writes = vec![
            append("a", "1"),
            append("a", "2"),
            append("b", "3"),
            append("a", "4"),
        ];
        assert_eq!(
            joined(writes),
            vec![append("a", "12"), append("b", "3"), append("a", "4")]
        );
    }
}
