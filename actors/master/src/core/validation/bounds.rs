//! How large may be what the master keeps of others: ours, as Mesos knows no such bounds. They lie
//! far above what is of use, and keep one sender from filling the memory.
//! Not here: how many there may be of each (`options`).

use tepui_protocol::Schema;
use tepui_protocol::mesos::v1::{AgentInfo, ExecutorInfo, FrameworkInfo, Task};

/// The bytes that a FrameworkInfo may have, as protobuf.
pub const FRAMEWORK_INFO: usize = 256 * 1024;

/// The bytes that an AgentInfo may have.
pub const AGENT_INFO: usize = 1024 * 1024;

/// The bytes of what is kept of a task: neither its command nor its `data`.
pub const TASK: usize = 64 * 1024;

/// The bytes that an ExecutorInfo may have, its `data` included.
pub const EXECUTOR_INFO: usize = 1024 * 1024;

/// The bytes that the name of a role may have: the allocator keeps a node for each part of it.
pub const ROLE: usize = 1024;

/// The roles that a framework may have.
pub const ROLES: usize = 1000;

/// Whether a role's name is short enough.
///
/// # Errors
/// How long it is, and how long it may be.
pub(super) fn role(name: &str) -> Result<(), String> {
    let size = name.len();
    if size <= ROLE {
        return Ok(());
    }
    let shown: String = name.chars().take(32).collect();
    Err(format!(
        "Role '{shown}...' has {size} bytes, and no more than {ROLE} may be"
    ))
}

/// Something that has a bound.
pub(super) trait Bounded: Schema {
    /// What people call it.
    const WHAT: &'static str;
    /// The most bytes it may have.
    const MOST: usize;
}

impl Bounded for FrameworkInfo {
    const WHAT: &'static str = "FrameworkInfo";
    const MOST: usize = FRAMEWORK_INFO;
}

impl Bounded for AgentInfo {
    const WHAT: &'static str = "AgentInfo";
    const MOST: usize = AGENT_INFO;
}

impl Bounded for Task {
    const WHAT: &'static str = "Task without its command and data";
    const MOST: usize = TASK;
}

impl Bounded for ExecutorInfo {
    const WHAT: &'static str = "ExecutorInfo";
    const MOST: usize = EXECUTOR_INFO;
}

/// Whether something is small enough to be kept.
///
/// # Errors
/// How large it is, and how large it may be.
pub(super) fn within<M: Bounded>(message: &M) -> Result<(), String> {
    let size = message.encoded_len();
    if size <= M::MOST {
        return Ok(());
    }
    Err(format!(
        "{} has {size} bytes, and no more than {} may be",
        M::WHAT,
        M::MOST
    ))
}
