//! Which process a pid means: pids come back, a pid with its start time does not.

use std::os::fd::OwnedFd;

use serde::{Deserialize, Serialize};

use crate::kernel::sys;

/// One process of one boot of this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessIdentity {
    pub(crate) pid: i32,
    /// Clock ticks since boot, as in `/proc/<pid>/stat`.
    pub(crate) start_time: u64,
    /// `/proc/sys/kernel/random/boot_id` at that time.
    pub(crate) boot_id: String,
}

impl ProcessIdentity {
    /// The process that has this pid now.
    pub(crate) fn of(pid: i32) -> Option<ProcessIdentity> {
        Some(ProcessIdentity {
            pid,
            start_time: start_time(pid)?,
            boot_id: boot_id()?,
        })
    }

    /// Whether it is still there, be it as a zombie.
    pub(crate) fn exists(&self) -> bool {
        boot_id().is_some_and(|boot_id| boot_id == self.boot_id)
            && start_time(self.pid) == Some(self.start_time)
    }

    /// Whether it still runs: a zombie does not.
    pub(crate) fn runs(&self) -> bool {
        let stat = procfs::process::Process::new(self.pid).and_then(|process| process.stat());
        self.exists() && stat.is_ok_and(|stat| !matches!(stat.state, 'Z' | 'X'))
    }

    /// A descriptor of this very process; none where it is gone.
    pub(crate) fn open(&self) -> Option<OwnedFd> {
        // Opened first and compared then: what is open cannot change its meaning any more.
        let pidfd = sys::pidfd_open(self.pid).ok()?;
        self.exists().then_some(pidfd)
    }

    /// A descriptor of the first child it has: of an init, the command. What it has adopted comes
    /// after that.
    pub(crate) fn open_first_child(&self) -> Option<OwnedFd> {
        let list = format!("/proc/{0}/task/{0}/children", self.pid);
        let child = std::fs::read_to_string(list).ok()?;
        let child = child.split_whitespace().next()?.parse().ok()?;
        // Opened first and looked at then, as above.
        let pidfd = sys::pidfd_open(child).ok()?;
        let process = procfs::process::Process::new(child).ok()?;
        let is_child = process.stat().ok()?.ppid == self.pid && self.exists();
        is_child.then_some(pidfd)
    }
}

fn start_time(pid: i32) -> Option<u64> {
    Some(
        procfs::process::Process::new(pid)
            .ok()?
            .stat()
            .ok()?
            .starttime,
    )
}

fn boot_id() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned())
}
