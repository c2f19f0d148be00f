//! `/files/browse`, `/files/read`, `/files/download`, `/files/debug`: sandboxes and the log.
//!
//! A client names a virtual path; what it lies below decides which folder of the host is looked
//! into, and nothing leads out of that folder: the disk itself refuses it, whatever the task does
//! with links meanwhile. Disk work is done where blocking is allowed.

mod attached;
mod browse;
mod download;
mod mime;
mod read;
mod transfer;

use std::{io, path::PathBuf, sync::Arc};

use tepui_runtime::{
    Node,
    http::{Handler, Request},
};

pub(crate) use self::attached::{AgentFiles, Attached, MasterFiles};
use crate::{checks::Refusal, views};

/// Serves `/files/...` on a node, of what is `attached`.
pub(crate) fn routes(node: &Node, attached: Arc<dyn Attached>) {
    node.route("files", "/browse", browse::browse(&attached));
    node.route("files", "/read", read::read(&attached));
    node.route("files", "/download", download::download(&attached));
    node.route("files", "/debug", debug(&attached));
}

/// The virtual paths and what they stand for.
fn debug(attached: &Arc<dyn Attached>) -> Handler {
    let attached = Arc::clone(attached);
    views::rendered(move |_, _| views::to_json(&attached.all()))
}

/// Where on the host a virtual path leads to.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    /// The attached file or folder.
    root: PathBuf,
    /// What follows it, without `..`.
    rest: PathBuf,
}

/// Finds the longest attached path that `path` lies below.
fn resolve(attached: &dyn Attached, path: &str) -> Result<Place, Refusal> {
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    if parts
        .iter()
        .any(|part| *part == ".." || part.contains('\0'))
    {
        return Err(inaccessible(path));
    }
    let found = path.starts_with('/').then(|| {
        (1..=parts.len()).rev().find_map(|count| {
            let (above, below) = parts.split_at(count);
            let root = attached.find(&format!("/{}", above.join("/")))?;
            Some(Place {
                root,
                rest: below.iter().collect(),
            })
        })
    });
    // Mesos' answer has no words.
    found
        .flatten()
        .ok_or_else(|| Refusal::NotFound(String::new()))
}

/// The path that a request asks for.
fn path_of(request: &Request) -> Result<&str, Refusal> {
    match request.query.get("path") {
        Some(path) if !path.is_empty() => Ok(path),
        _ => Err(Refusal::BadRequest(
            "Expecting 'path=value' in query.\n".to_owned(),
        )),
    }
}

fn inaccessible(path: &str) -> Refusal {
    Refusal::BadRequest(format!("'{path}' is inaccessible.\n"))
}

/// What a client is told of an error of the disk.
fn refusal(path: &str, error: &io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename => {
            Refusal::NotFound(String::new())
        }
        io::ErrorKind::PermissionDenied => inaccessible(path),
        io::ErrorKind::InvalidInput => {
            Refusal::BadRequest(format!("'{path}' is neither a file nor a folder.\n"))
        }
        io::ErrorKind::FileTooLarge => {
            Refusal::BadRequest(format!("'{path}' has too many entries to list.\n"))
        }
        _ => Refusal::Internal(format!("Failed to open file at '{path}': {error}.\n")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    struct Two;

    impl Attached for Two {
        fn find(&self, path: &str) -> Option<PathBuf> {
            self.all().remove(path)
        }

        fn all(&self) -> BTreeMap<String, PathBuf> {
            [("/a/b", "/host/ab"), ("/a/b/c", "/host/abc")]
                .map(|(path, root)| (path.to_owned(), PathBuf::from(root)))
                .into()
        }
    }

    fn place(root: &str, rest: &str) -> Result<Place, (u16, String)> {
        let (root, rest) = (PathBuf::from(root), PathBuf::from(rest));
        Ok(Place { root, rest })
    }

    fn resolved(path: &str) -> Result<Place, (u16, String)> {
        resolve(&Two, path).map_err(|refusal| (refusal.status(), refusal.to_string()))
    }

    #[test]
    fn the_longest_attached_path_counts() {
        assert_eq!(resolved("/a/b"), place("/host/ab", ""));
        assert_eq!(resolved("/a/b/d/e"), place("/host/ab", "d/e"));
        assert_eq!(resolved("/a/b/c/d"), place("/host/abc", "d"));
        assert_eq!(resolved("//a///b/./x/"), place("/host/ab", "x"));
    }

    #[test]
    fn what_is_attached_nowhere_is_not_found() {
        for path in ["/", "/a", "/a/bc", "a/b", "/b", "."] {
            assert_eq!(resolved(path), Err((404, String::new())), "{path}");
        }
    }

    #[test]
    fn a_path_that_goes_up_is_refused_wherever_it_leads() {
        for path in ["/a/b/..", "/a/b/../b", "/a/b/x/../y", "..", "/a/b/\0x"] {
            let text = format!("'{path}' is inaccessible.\n");
            assert_eq!(resolved(path), Err((400, text)));
        }
    }
}
