//! What the agent tells the `contain` role, and what that role tells back.
//! Both sides of the pipe are this one binary; nobody else reads it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Everything one container is started from. It travels through a pipe, never as arguments,
/// which anyone on the host could read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LaunchDescription {
    /// `<runtime_dir>/containers/<container id>`: receives `status`.
    pub(crate) runtime_directory: PathBuf,
    /// Working directory of the command; stdout and stderr are appended to files in it.
    pub(crate) sandbox: PathBuf,
    /// The folder on the way to the sandbox from which on everything is the user's: no link below it
    /// leads anywhere.
    pub(crate) sandbox_root: PathBuf,
    /// That it began to run is marked in the runtime directory.
    pub(crate) marks_start: bool,
    /// Files of cgroups which the container joins by writing "0".
    pub(crate) cgroups: Vec<PathBuf>,
    pub(crate) namespaces: Namespaces,
    /// A /dev/shm of its own, in its own mount namespace.
    pub(crate) shm: Option<Shm>,
    /// Value of `/proc/self/oom_score_adj`.
    pub(crate) oom_score_adj: Option<i32>,
    /// Absent: as the agent runs.
    pub(crate) user: Option<String>,
    /// Soft limit of open files that the agent had before it raised its own; absent: as it is.
    pub(crate) file_limit: Option<u64>,
    /// Resource limits set before the command starts.
    pub(crate) rlimits: Vec<Rlimit>,
    /// What is executed.
    pub(crate) program: Program,
    /// The complete environment of the command.
    pub(crate) environment: Vec<(String, String)>,
}

/// What `contain` is told to fork. Two pipes come with it, and after them a descriptor of each
/// namespace that is entered, in the order of the fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    /// Namespaces of its own.
    pub(crate) namespaces: Namespaces,
    /// Those of the container it is nested in.
    pub(crate) enters: Namespaces,
}

/// What `contain` says to an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// Pid of the init on the host, or why there is none.
    pub(crate) init: Result<i32, String>,
    /// A child that was needed on the way, and that nobody else reaps.
    pub(crate) courier: Option<i32>,
}

/// Which namespaces a container has of its own, or enters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Namespaces {
    /// Its init is pid 1, and with that all of it dies.
    pub(crate) pid: bool,
    /// System V and POSIX message queues, semaphores and shared memory.
    pub(crate) ipc: bool,
    /// Mounts; needed by whatever else is mounted for it.
    pub(crate) mount: bool,
}

/// A file system in memory for POSIX shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shm {
    /// Most of it in bytes; `None` is the kernel's default, half of the memory.
    pub(crate) size: Option<u64>,
}

/// What is fetched into a sandbox before its command starts, told to the `fetch` role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FetchDescription {
    pub(crate) sandbox: PathBuf,
    /// Absent: as the agent runs.
    pub(crate) user: Option<String>,
    pub(crate) uris: Vec<Uri>,
    /// Mesos' --frameworks_home: where relative paths begin.
    pub(crate) frameworks_home: Option<PathBuf>,
    /// Mesos' --fetcher_stall_timeout, in milliseconds: a transfer that brings nothing for so long
    /// is given up.
    pub(crate) stall_timeout_ms: u64,
}

/// One URI of a command, with Mesos' defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Uri {
    pub(crate) value: String,
    pub(crate) executable: bool,
    pub(crate) extract: bool,
    pub(crate) cache: bool,
    pub(crate) output_file: Option<String>,
}

/// The one line by which the `fetch` role ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum FetchReport {
    /// Everything is in the sandbox.
    Fetched,
    /// The first URI that could not be fetched, or why none was tried.
    Failed { error: String },
}

/// One resource limit, in the kernel's numbers; `None` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rlimit {
    pub(crate) resource: u32,
    pub(crate) soft: Option<u64>,
    pub(crate) hard: Option<u64>,
}

/// What the container's first process after its init is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Program {
    /// A program of the host; without a slash searched in the sandbox, then in PATH.
    Executable {
        path: String,
        /// Complete argv, the first included.
        arguments: Vec<String>,
    },
    /// This binary itself, in another role: arguments after the program's name.
    Myself { arguments: Vec<String> },
}

/// What a container's init tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Report {
    /// The init is set up and waits for the word.
    Ready,
    /// The container cannot be made; whoever says so is about to exit.
    Failed { error: String },
}

/// The word: what the agent writes behind the description when the command may start.
pub(crate) const WORD: u8 = b'!';

/// W_EXITCODE(1, 0): what Mesos' launcher leaves as status where the command never started.
pub(crate) const STATUS_NOT_STARTED: i32 = 1 << 8;

/// W_EXITCODE(0, SIGKILL): what a container's status is where none was written.
pub(crate) const STATUS_KILLED: i32 = 9;
