//! Why a command ends with exit status 1.

use std::{io, path::PathBuf};

use crate::{flags::FlagError, logging::LoggingError};

/// Why a command could not do what it is for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A flag; shown with the usage.
    #[error(transparent)]
    Flag(#[from] FlagError),
    /// Logging could not be set up.
    #[error(transparent)]
    Logging(#[from] LoggingError),
    /// The world of the runtime could not be made.
    #[error(transparent)]
    World(#[from] tepui_runtime::WorldError),
    /// A node could not listen.
    #[error(transparent)]
    Node(#[from] tepui_runtime::NodeError),
    /// Signals cannot be watched.
    #[error("cannot watch signals: {0}")]
    Signals(#[source] io::Error),
    /// A folder is not to be had.
    #[error("cannot use the folder '{}': {source}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// This machine could not be asked what it has.
    #[error("cannot find out what this machine has: {0}")]
    Host(#[source] nix::Error),
    /// The agent ended by itself.
    #[error("the agent cannot go on: {0}")]
    Agent(String),
    /// Something could not be started.
    #[error("cannot start {what}: {problem}")]
    Start {
        /// What.
        what: &'static str,
        /// Why.
        problem: String,
    },
}
