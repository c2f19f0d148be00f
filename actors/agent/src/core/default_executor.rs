//! The command of Mesos' default executor, which runs each task of its groups in a container of its
//! own: the agent gives it, since an ExecutorInfo of type DEFAULT has none.
//!
//! Not here: the executor itself (a role of the binary, in `containerizer`).

use std::path::Path;

use tepui_protocol::mesos::v1::CommandInfo;

/// What runs in the container of an executor of type DEFAULT. It is neither checkpointed nor told
/// to the master, as in Mesos.
#[must_use]
pub(super) fn command(binary: &Path) -> CommandInfo {
    CommandInfo {
        shell: Some(false),
        value: Some(binary.display().to_string()),
        arguments: vec!["tepui".to_owned(), "default-executor".to_owned()],
        ..CommandInfo::default()
    }
}
