//! The operator's whitelist of agents: a file that is read again and again.
//!
//! Where it cannot be read, what was read last counts, and at first nobody: an operator who names a
//! whitelist wants the others kept out. (Mesos lets everybody in until it could be read once.)

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Mesos' `WHITELIST_WATCH_INTERVAL`.
pub(crate) const WATCH_INTERVAL: Duration = Duration::from_secs(5);

/// The most bytes that are taken for a whitelist.
const LARGEST: usize = 16 * 1024 * 1024;

/// What is known of the file.
#[derive(Debug)]
pub(crate) struct Whitelist {
    pub(crate) path: PathBuf,
    hostnames: Option<BTreeSet<String>>,
    /// The problem that was said last, so that it is said once.
    said: Option<String>,
}

impl Whitelist {
    pub(crate) fn new(path: PathBuf) -> Whitelist {
        Whitelist {
            path,
            hostnames: None,
            said: None,
        }
    }

    /// Takes what reading the file came to; gives back the hostnames where they changed.
    pub(crate) fn read(&mut self, content: io::Result<Vec<u8>>) -> Option<BTreeSet<String>> {
        let hostnames = content
            .map_err(|error| error.to_string())
            .and_then(|bytes| parse(&bytes));
        match hostnames {
            Ok(hostnames) => {
                self.said = None;
                if self.hostnames.as_ref() == Some(&hostnames) {
                    return None;
                }
                tracing::info!(path = %self.path.display(), hosts = hostnames.len(), "whitelist read");
                self.hostnames = Some(hostnames.clone());
                Some(hostnames)
            }
            Err(problem) => {
                if self.said.as_ref() != Some(&problem) {
                    tracing::warn!(path = %self.path.display(), problem, "whitelist not read");
                    self.said = Some(problem);
                }
                None
            }
        }
    }
}

fn parse(bytes: &[u8]) -> Result<BTreeSet<String>, String> {
    if bytes.len() > LARGEST {
        return Err(format!(
            "{} bytes, and no more than {LARGEST} may be",
            bytes.len()
        ));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(lines.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_was_read_last_counts_until_something_else_is() {
        let mut whitelist = Whitelist::new(PathBuf::from("/w"));
        let gone = || Err(io::Error::from(io::ErrorKind::NotFound));
        assert_eq!(whitelist.read(gone()), None);
        let first = whitelist.read(Ok(b"a\n b \n\n".to_vec()));
        assert_eq!(first, Some(set(&["a", "b"])));
        assert_eq!(whitelist.read(Ok(b"b\na\n".to_vec())), None);
        assert_eq!(whitelist.read(gone()), None);
        assert_eq!(whitelist.read(Ok(b"\xff".to_vec())), None);
        assert_eq!(whitelist.read(Ok(Vec::new())), Some(set(&[])));
    }
}
