//! What a containerizer of a real host is started with: Mesos' agent flags as values.
//! Reading flags is the command line's.

use std::path::PathBuf;
use std::time::Duration;

use crate::isolation::Isolation;

/// How containers are made on this host. The names are those of Mesos' flags.
#[derive(Clone, Debug)]
pub struct LinuxOptions {
    /// Where running containers are remembered; not shared with another agent.
    pub runtime_dir: PathBuf,
    /// Name of our cgroup below the root of each hierarchy; not shared with another agent: every
    /// container below it that is not the agent's own is destroyed at start.
    pub cgroups_root: PathBuf,
    /// `None`: linux for root, posix for others.
    pub launcher: Option<LauncherKind>,
    /// How long a destroy may take before it is given up.
    pub cgroups_destroy_timeout: Duration,
    /// A request for cpus is a hard limit, too.
    pub cgroups_enable_cfs: bool,
    /// The hard limit of memory counts swap, too; a host that cannot do that is refused.
    pub cgroups_limit_swap: bool,
    /// Statistics tell how many processes and threads there are.
    pub cgroups_cpu_enable_pids_and_tids_count: bool,
    /// Revocable cpus weigh a hundredth of others.
    pub revocable_cpu_low_priority: bool,
    /// What containers are isolated in; `None` is [`Isolation::default_of`] the launcher.
    pub isolation: Option<Isolation>,
    /// Most processes and threads of one container; `None` is no limit.
    pub pids_max: Option<u64>,
    /// A transfer of the fetcher that brings nothing for so long is given up.
    pub fetcher_stall_timeout: Duration,
    /// Where relative paths of URIs begin; without it they are refused.
    pub frameworks_home: Option<PathBuf>,
    /// Size in bytes of a private /dev/shm where the task names none; `None` is the kernel's
    /// default, half of the memory.
    pub default_container_shm_size: Option<u64>,
    /// No container may share the agent's IPC namespace.
    pub disallow_sharing_agent_ipc_namespace: bool,
    /// No container may share the agent's pid namespace.
    pub disallow_sharing_agent_pid_namespace: bool,
    /// The binary with the roles `contain`, `executor` and `fetch`.
    pub binary: PathBuf,
}

/// Mesos' --launcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LauncherKind {
    /// Namespaces and cgroups; root is needed.
    Linux,
    /// Sessions and process groups only: processes may escape, and limits are not enforced.
    Posix,
}

impl Default for LinuxOptions {
    fn default() -> Self {
        Self {
            runtime_dir: PathBuf::from("/var/run/mesos"),
            cgroups_root: PathBuf::from("mesos"),
            launcher: None,
            cgroups_destroy_timeout: Duration::from_secs(60),
            cgroups_enable_cfs: false,
            cgroups_limit_swap: false,
            cgroups_cpu_enable_pids_and_tids_count: false,
            revocable_cpu_low_priority: true,
            isolation: None,
            pids_max: Some(4096),
            fetcher_stall_timeout: Duration::from_secs(60),
            frameworks_home: None,
            default_container_shm_size: None,
            disallow_sharing_agent_ipc_namespace: false,
            disallow_sharing_agent_pid_namespace: false,
            binary: PathBuf::from("/proc/self/exe"),
        }
    }
}
