//! `/files/browse`: what is in a folder.

use std::{io, sync::Arc};

use serde::Serialize;
use tepui_runtime::{Node, http::Handler};

use super::{Attached, path_of, refusal, resolve};
use crate::{checks::Refusal, views};

pub(super) fn browse(attached: &Arc<dyn Attached>) -> Handler {
    let attached = Arc::clone(attached);
    views::rendered(move |request, node| {
        let path = path_of(request)?;
        views::to_json(&entries(&*attached, node, path)?)
    })
}

/// One entry of a folder.
#[derive(Debug, Serialize)]
struct Entry {
    path: String,
    mode: String,
    nlink: u64,
    uid: String,
    gid: String,
    size: u64,
    /// In seconds since the epoch, whole ones as in Mesos.
    mtime: f64,
}

fn entries(attached: &dyn Attached, node: &Node, path: &str) -> Result<Vec<Entry>, Refusal> {
    let place = resolve(attached, path)?;
    let listed = match node.disk().list_beneath(&place.root, &place.rest) {
        Ok(listed) => listed,
        // As in Mesos: there is nothing in a file.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(Vec::new()),
        Err(error) => return Err(refusal(path, &error)),
    };
    let folder = path.trim_end_matches('/');
    let entries = listed.into_iter().map(|(name, stat)| Entry {
        path: format!("{folder}/{name}"),
        mode: mode(stat.mode),
        nlink: stat.links,
        mtime: stat.modified.as_secs_f64().floor(),
        size: stat.len,
        uid: stat.user,
        gid: stat.group,
    });
    Ok(entries.collect())
}

/// As `ls -l` writes it: `-rw-r--r--`.
fn mode(mode: u32) -> String {
    let kind = match mode & 0o170_000 {
        0o040_000 => 'd',
        0o120_000 => 'l',
        0o020_000 => 'c',
        0o060_000 => 'b',
        0o010_000 => 'p',
        0o140_000 => 's',
        _ => '-',
    };
    let bits = (0..9).map(|bit| {
        let set = mode & (0o400 >> bit) != 0;
        if set { ['r', 'w', 'x'][bit % 3] } else { '-' }
    });
    std::iter::once(kind).chain(bits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_written_as_by_ls() {
        let cases = [
            (0o100_644, "-rw-r--r--"),
            (0o040_755, "drwxr-xr-x"),
            (0o120_777, "lrwxrwxrwx"),
            (0o010_600, "prw-------"),
            (0o020_000, "c---------"),
            (0o140_421, "sr---w---x"),
        ];
        for (bits, expected) in cases {
            assert_eq!(mode(bits), expected);
        }
    }
}
