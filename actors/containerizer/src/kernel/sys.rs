//! The system calls that neither std nor nix offers in a safe form, each behind a safe function.
//! All `unsafe` of this crate is in this file; it decides nothing.
#![expect(
    unsafe_code,
    reason = "system calls without a safe wrapper, each with its proof"
)]

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

use crate::launch::Namespaces;

/// Who returns from [`fork`].
pub(crate) enum Fork {
    /// The caller, with the pid of the new process as the caller's pid namespace counts it.
    Parent(i32),
    /// The new process.
    Child,
}

/// What the new process of [`fork`] gets of its own.
#[derive(Clone, Copy, Default)]
pub(crate) struct ForkOptions {
    /// Namespaces of its own: with `pid` the new process is pid 1.
    pub(crate) namespaces: Namespaces,
    /// The new process becomes a child of the caller's parent, which then reaps it.
    pub(crate) sibling: bool,
}

/// fork(2), with namespaces by clone(2).
///
/// # Errors
/// The kernel's, or `InvalidInput` where the caller has more than one thread.
pub(crate) fn fork(options: ForkOptions) -> io::Result<Fork> {
    // A copy of a process with threads may hold their locks for ever.
    if has_threads() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "this process has threads",
        ));
    }
    let mut flags = libc::SIGCHLD;
    let Namespaces { pid, ipc, mount } = options.namespaces;
    for (wanted, flag) in [
        (pid, libc::CLONE_NEWPID),
        (ipc, libc::CLONE_NEWIPC),
        (mount, libc::CLONE_NEWNS),
    ] {
        if wanted {
            flags |= flag;
        }
    }
    if options.sibling {
        flags |= libc::CLONE_PARENT;
    }
    let pid = if flags == libc::SIGCHLD {
        // SAFETY: one thread was seen above, so that no lock of another thread is copied.
        libc::c_long::from(unsafe { libc::fork() })
    } else {
        // SAFETY: without CLONE_VM and with no new stack this is fork(2): the child runs on its
        // own copy of the memory, and all pointer arguments are null. One thread was seen above.
        unsafe {
            libc::syscall(
                libc::SYS_clone,
                libc::c_long::from(flags),
                0_usize,
                0_usize,
                0_usize,
                0_usize,
            )
        }
    };
    match pid {
        0 => Ok(Fork::Child),
        pid if pid > 0 => Ok(Fork::Parent(i32::try_from(pid).map_err(io::Error::other)?)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether this process has more than one thread.
fn has_threads() -> bool {
    // SAFETY: no pointers; for a process with one thread this changes nothing, and for another
    // one it is an error.
    if unsafe { libc::unshare(libc::CLONE_THREAD) } == 0 {
        return false;
    }
    // Where the call is forbidden the list of threads tells, at twenty times the price.
    Errno::last() == Errno::EINVAL
        || std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() > 1)
}

/// A descriptor of a process that cannot come to mean another one.
///
/// # Errors
/// The kernel's; `NotFound`-like ESRCH where there is no such process.
pub(crate) fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: no pointers; the result is checked before it is owned.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given this descriptor to us and to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends a signal to the process of a pidfd.
///
/// # Errors
/// The kernel's; ESRCH where the process has been reaped.
pub(crate) fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: a null siginfo is allowed and means what kill(2) would send.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Sends one packet with descriptors over a socket.
///
/// # Errors
/// The kernel's; `BrokenPipe` where nobody is at the other end.
pub(crate) fn send(socket: BorrowedFd<'_>, text: &[u8], with: &[BorrowedFd<'_>]) -> io::Result<()> {
    let numbers: Vec<RawFd> = with.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let rights: &[ControlMessage<'_>] = if with.is_empty() { &[] } else { &rights };
    let parts = [io::IoSlice::new(text)];
    let flags = MsgFlags::MSG_NOSIGNAL;
    sendmsg::<()>(socket.as_raw_fd(), &parts, rights, flags, None)?;
    Ok(())
}

/// Receives one packet with its descriptors: how long it is, 0 where the other end is closed.
///
/// # Errors
/// The kernel's.
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = nix::cmsg_space!([RawFd; 8]);
    let mut parts = [io::IoSliceMut::new(buffer)];
    let received = loop {
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        match recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags) {
            Err(Errno::EINTR) => {}
            received => break received?,
        }
    };
    let mut descriptors = Vec::new();
    for message in received.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = message {
            // SAFETY: the kernel has just given these descriptors to us and to nobody else.
            let owned = |number| unsafe { OwnedFd::from_raw_fd(number) };
            descriptors.extend(numbers.into_iter().map(owned));
        }
    }
    Ok((received.bytes, descriptors))
}

/// Receives one packet and who sent it, as our pid namespace counts it; none where that is not told,
/// which has to be asked for by SO_PASSCRED before it is sent.
///
/// # Errors
/// The kernel's.
pub(crate) fn receive_from(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> io::Result<(usize, Option<i32>)> {
    let mut space = nix::cmsg_space!(libc::ucred);
    let mut parts = [io::IoSliceMut::new(buffer)];
    let received = loop {
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        match recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags) {
            Err(Errno::EINTR) => {}
            received => break received?,
        }
    };
    let sender = received.cmsgs()?.find_map(|message| match message {
        ControlMessageOwned::ScmCredentials(credentials) => Some(credentials.pid()),
        _ => None,
    });
    Ok((received.bytes, sender))
}

/// Reaps one dead child, if there is one: its pid and its raw wait status. nix' form loses the
/// status of a death by a real-time signal.
pub(crate) fn reap_any() -> Option<(i32, i32)> {
    let mut status = 0;
    // SAFETY: `status` is a valid place for one int while the call lasts.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
    (pid > 0).then_some((pid, status))
}

/// Sends any signal, also a real-time one, to a process or, with a negative pid, to a group.
///
/// # Errors
/// The kernel's.
pub(crate) fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: no pointers.
    if unsafe { libc::kill(pid, signal) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Blocks every signal for this thread.
pub(crate) fn block_signals() {
    // SAFETY: `all` is initialised by sigfillset before it is read; the old mask is not asked for.
    unsafe {
        let mut all = std::mem::zeroed::<libc::sigset_t>();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut());
    }
}

/// Takes the next pending signal, all of them being blocked; waits for one.
///
/// # Errors
/// The kernel's; EINTR where a stop and continue came between.
pub(crate) fn next_signal() -> io::Result<i32> {
    // SAFETY: `all` is initialised by sigfillset before it is read; no siginfo is asked for.
    let signal = unsafe {
        let mut all = std::mem::zeroed::<libc::sigset_t>();
        libc::sigfillset(&raw mut all);
        libc::sigwaitinfo(&raw const all, std::ptr::null_mut())
    };
    if signal > 0 {
        Ok(signal)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// No signal blocked, and every one with its default action, as a new program expects it.
pub(crate) fn default_signals() {
    for signal in 1..=64 {
        // SAFETY: SIG_DFL is no handler; the kernel refuses what may not be set.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: `none` is initialised by sigemptyset before it is read.
    unsafe {
        let mut none = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Makes descriptors from `first` upward close at exec.
pub(crate) fn close_at_exec_from(first: u32) {
    // SAFETY: CLOEXEC closes nothing now, so that no owner loses its descriptor.
    unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
}

/// Closes descriptors from `first` upward. Whoever owns one of them must not run again.
pub(crate) fn close_from(first: u32) {
    // SAFETY: the callers never return, so that no owner uses or closes its descriptor later.
    unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
}

/// Writing to a pipe or socket that nobody reads is an error from now on, and no signal, as in
/// every program that std has started.
pub(crate) fn ignore_broken_pipes() {
    // SAFETY: SIG_IGN is no handler.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// Shows other arguments of this process in `/proc/<pid>/cmdline`, as far as there is room.
pub(crate) fn show_arguments(arguments: &[&str]) {
    let Some((start, end)) = place_of_arguments() else {
        return;
    };
    let mut text: Vec<u8> = Vec::new();
    for argument in arguments {
        text.extend_from_slice(argument.as_bytes());
        text.push(0);
    }
    text.resize(end - start, 0);
    let place = std::ptr::with_exposed_provenance_mut::<u8>(start);
    // SAFETY: the kernel says that the arguments lie there, on the stack of the first thread, and
    // that is this one. `main` has copied them, and nobody reads them any more.
    unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), place, text.len()) };
}

/// Where the kernel finds the arguments of this process.
fn place_of_arguments() -> Option<(usize, usize)> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program may have blanks and brackets in it; the third field is behind it.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(48 - 3);
    let (start, end) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    (start > 0 && start < end).then_some((start, end))
}

/// Makes `target` (0, 1 or 2) refer to what `source` refers to.
///
/// # Errors
/// The kernel's.
pub(crate) fn redirect(source: BorrowedFd<'_>, target: i32) -> io::Result<()> {
    // SAFETY: only the standard descriptors are replaced, which nobody owns as an OwnedFd.
    let result = unsafe { libc::dup2(source.as_raw_fd(), target) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    if source.as_raw_fd() == target {
        // dup2 onto itself keeps close-on-exec.
        // SAFETY: no pointers.
        unsafe { libc::fcntl(target, libc::F_SETFD, 0) };
    }
    Ok(())
}

/// execve(2); returns only with an error.
///
/// # Errors
/// The kernel's.
pub(crate) fn exec(
    path: &CStr,
    arguments: &[CString],
    environment: &[CString],
) -> io::Result<Infallible> {
    match nix::unistd::execve(path, arguments, environment) {
        Ok(never) => match never {},
        Err(errno) => Err(errno.into()),
    }
}

/// Sets one resource limit of this process; `None` is no limit.
///
/// # Errors
/// The kernel's.
pub(crate) fn set_rlimit(resource: u32, soft: Option<u64>, hard: Option<u64>) -> io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: soft.unwrap_or(libc::RLIM_INFINITY),
        rlim_max: hard.unwrap_or(libc::RLIM_INFINITY),
    };
    // SAFETY: `limit` is valid for the length of the call.
    let result = unsafe { libc::setrlimit(resource, &raw const limit) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Has a command start in a session of its own.
pub(crate) fn in_own_session(command: &mut std::process::Command) {
    use std::os::unix::process::CommandExt;
    let set_session = || {
        // SAFETY: no pointers; async-signal-safe, as all between fork and exec must be.
        if unsafe { libc::setsid() } < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    };
    // SAFETY: the closure calls setsid(2) and reads errno, and nothing else.
    unsafe { command.pre_exec(set_session) };
}

/// Has this process' threads share as many of the C library's arenas as there are processors.
///
/// By itself glibc has one for almost every thread. What is remembered of the past is put between
/// what is freed at once, on each of a daemon's threads, and what one arena has free is of no use to
/// the others: a daemon of ten threads would hold several times what it uses. `MALLOC_ARENA_MAX` in
/// the environment is another number of arenas. Where the C library is not glibc nothing is done.
pub fn share_arenas() {
    #[cfg(target_env = "gnu")]
    if std::env::var_os("MALLOC_ARENA_MAX").is_none() {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let arenas = i32::try_from(processors.max(2)).unwrap_or(i32::MAX);
        // SAFETY: it takes two numbers and touches no memory of ours.
        unsafe { libc::mallopt(libc::M_ARENA_MAX, arenas) };
    }
}
