//! What an agent keeps on disk, so that its successor on the same work_dir carries on.
//!
//! `record` is the layout of a file, `paths` where each file is, `read` how all of it is read
//! back. Writing is asked for by the core ([`Write`]) and done by [`write()`] in order; the caller
//! tells nobody before it returned.
//!
//! Not here: what is written when (`core`).

mod folder;
pub mod paths;
pub mod read;
pub mod record;
mod write;

use std::path::{Path, PathBuf};

use bytes::Bytes;

pub use self::folder::Folder;
pub use self::paths::{Paths, Run};
pub use self::read::{RecoveredExecutor, RecoveredFramework, RecoveredState, RecoveredTask};
pub use self::write::{Outcome, WriteError, write};

/// One change of the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// A folder with all its parents.
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// A file that is replaced as a whole, and synced.
    File {
        /// The file; its folder is made if need be.
        path: PathBuf,
        /// Its whole content.
        body: Bytes,
    },
    /// Bytes at the end of a file, synced.
    Append {
        /// The file; its folder is made if need be.
        path: PathBuf,
        /// What is added.
        body: Bytes,
    },
    /// A file is cut to a length: its torn tail goes.
    Cut {
        /// The file.
        path: PathBuf,
        /// Bytes to keep.
        length: u64,
    },
    /// Nothing; but what hangs on it waits for what is written to the file before.
    Behind {
        /// The file.
        path: PathBuf,
    },
    /// The time of a folder's last change becomes now, if there is such a folder.
    Touch {
        /// The folder.
        path: PathBuf,
    },
    /// A symlink, in place of one that may be there.
    Link {
        /// Where it points.
        target: PathBuf,
        /// The link.
        link: PathBuf,
    },
    /// A file or symlink that is no more.
    Remove {
        /// The file or link.
        path: PathBuf,
    },
}

/// Why a checkpoint cannot be read back. Each names the file.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The disk refused.
    #[error("cannot read checkpoint '{}': {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the disk said.
        source: std::io::Error,
    },
    /// The bytes are no records.
    #[error("checkpoint '{}': {source}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: record::RecordError,
    },
    /// A record holds another message than it should.
    #[error("checkpoint '{}' does not decode: {source}", path.display())]
    Decode {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        source: prost::DecodeError,
    },
    /// A record lacks what it must have.
    #[error("checkpoint '{}' holds {what}", path.display())]
    Incomplete {
        /// The file.
        path: PathBuf,
        /// What it holds.
        what: &'static str,
    },
}

impl Write {
    /// The file, folder or link that is changed.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Write::Folder { path }
            | Write::File { path, .. }
            | Write::Append { path, .. }
            | Write::Cut { path, .. }
            | Write::Behind { path }
            | Write::Touch { path }
            | Write::Remove { path }
            | Write::Link { link: path, .. } => path,
        }
    }
}
