//! The end of a container: everything of it is killed, waited for and removed, within a bounded
//! time. Whatever is already gone is no error, so that it may be done again after a crash.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::{Id, WaitPidFlag, waitid};

use crate::kernel::cgroups::{ContainerCgroups, OutOfMemory};
use crate::kernel::identity::ProcessIdentity;
use crate::kernel::sys;
use crate::kernel::tree;

/// The kernel tears a namespace down in a few milliseconds; asking again sooner helps nobody.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// Ends what runs in `cgroups` and below `init`, and removes the cgroups.
///
/// # Errors
/// What was still there when `timeout` was over.
pub(crate) fn destroy_linux(
    init: Option<&ProcessIdentity>,
    cgroups: &ContainerCgroups,
    timeout: Duration,
) -> Result<Option<OutOfMemory>, String> {
    let deadline = Instant::now() + timeout;
    let mut pause = Pause::until(deadline);
    let pidfd = init.and_then(ProcessIdentity::open);
    if let Some(pidfd) = &pidfd {
        // With its init the kernel kills all of a pid namespace, except what is frozen.
        let _ = sys::pidfd_send_signal(pidfd.as_fd(), libc::SIGKILL);
        cgroups.thaw();
        wait_for_exit(pidfd.as_fd(), Instant::now() + Duration::from_millis(500));
    }
    while cgroups.kill() {
        if !pause.once() {
            let left = cgroups.processes();
            return Err(format!(
                "failed to kill all processes in the container: {left:?} remain"
            ));
        }
    }
    if let (Some(init), Some(pidfd)) = (init, &pidfd) {
        wait_until_reaped(init, pidfd, &mut pause)?;
    }
    // Asked when nothing runs any more, so that no kill comes after the count.
    let out_of_memory = cgroups.out_of_memory();
    while let Err(error) = cgroups.remove() {
        if !pause.once() {
            return Err(error);
        }
        cgroups.kill();
    }
    Ok(out_of_memory)
}

/// Ends a container without cgroups and namespaces: its init and all that is found to be its kin.
///
/// # Errors
/// The init was still there when `timeout` was over.
pub(crate) fn destroy_posix(
    init: Option<&ProcessIdentity>,
    timeout: Duration,
) -> Result<(), String> {
    let Some(init) = init else { return Ok(()) };
    let Some(pidfd) = init.open() else {
        return Ok(());
    };
    tree::kill_tree(init.pid);
    wait_until_reaped(init, &pidfd, &mut Pause::until(Instant::now() + timeout))
}

/// Waits until the process is dead. False where the time was over first.
fn wait_for_exit(pidfd: BorrowedFd<'_>, deadline: Instant) -> bool {
    loop {
        let left = deadline
            .saturating_duration_since(Instant::now())
            .as_millis();
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut descriptors = [PollFd::new(pidfd, PollFlags::POLLIN)];
        match poll(&mut descriptors, timeout) {
            Err(Errno::EINTR) => {}
            Ok(0) | Err(_) => return false,
            Ok(_) => return true,
        }
    }
}

/// Waits until nothing of the process is left in /proc, reaping it where it is our child.
fn wait_until_reaped(
    init: &ProcessIdentity,
    pidfd: &OwnedFd,
    pause: &mut Pause,
) -> Result<(), String> {
    if !wait_for_exit(pidfd.as_fd(), pause.deadline) {
        return Err(format!("the container's init {} does not die", init.pid));
    }
    reap(pidfd.as_fd());
    // A child of an agent before us is reaped by the host's init, soon.
    while init.exists() {
        if !pause.once() {
            return Err(format!("the container's init {} is not reaped", init.pid));
        }
    }
    Ok(())
}

/// Reaps a dead child. Not our child, or reaped already: nothing happens.
pub(crate) fn reap(pidfd: BorrowedFd<'_>) {
    while waitid(
        Id::PIDFd(pidfd),
        WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG,
    ) == Err(Errno::EINTR)
    {}
}

/// Short waits that grow, up to a deadline.
struct Pause {
    deadline: Instant,
    next: Duration,
}

impl Pause {
    fn until(deadline: Instant) -> Pause {
        Pause {
            deadline,
            next: PAUSE_MIN,
        }
    }

    /// Waits a little. False where the deadline has passed.
    fn once(&mut self) -> bool {
        if Instant::now() >= self.deadline {
            return false;
        }
        std::thread::sleep(self.next);
        self.next = (self.next * 2).min(PAUSE_MAX);
        true
    }
}
