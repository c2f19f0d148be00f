//! Pid 1 of a container: it mounts, starts the one command, reaps whatever is left to it, passes
//! signals on, and leaves the command's wait status behind in a file that survives the agent.
//! Outside of a pid namespace (the posix launcher) it is a child subreaper instead.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, OpenHow, ResolveFlag, fcntl, openat, openat2, renameat};
use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::Mode;

use crate::kernel::command::{self, Identity};
use crate::kernel::runtime_dir::STARTED;
use crate::kernel::sys::{self, Fork, ForkOptions};
use crate::kernel::tree;
use crate::launch::{LaunchDescription, Namespaces, STATUS_NOT_STARTED};

/// Namespaces that an init gets into by itself. It is in its pid namespace from the start.
#[derive(Debug, Default)]
pub(crate) struct Entrance {
    /// Those of the container around it.
    pub(crate) ipc: Option<OwnedFd>,
    pub(crate) mount: Option<OwnedFd>,
    /// What it then gets of its own.
    pub(crate) unshare: Namespaces,
}

impl Entrance {
    fn go_through(self) -> Result<(), String> {
        for (namespace, kind, name) in [
            (self.ipc, CloneFlags::CLONE_NEWIPC, "IPC"),
            (self.mount, CloneFlags::CLONE_NEWNS, "mount"),
        ] {
            if let Some(namespace) = namespace {
                setns(namespace, kind).map_err(|error| {
                    format!("failed to enter the parent's {name} namespace: {error}")
                })?;
            }
        }
        let mut own = CloneFlags::empty();
        own.set(CloneFlags::CLONE_NEWIPC, self.unshare.ipc);
        own.set(CloneFlags::CLONE_NEWNS, self.unshare.mount);
        unshare(own).map_err(|error| format!("failed to make namespaces: {error}"))
    }
}

/// An init that has all it needs and waits for the word.
pub(crate) struct Init {
    /// The runtime directory, held open: the command shares our mount namespace and may mount
    /// over its path.
    runtime_directory: OwnedFd,
    stdout: File,
    stderr: File,
    null: File,
    identity: Option<Identity>,
}

impl Init {
    /// Makes the new process an init: session, mounts, open files.
    pub(crate) fn prepare(
        description: &LaunchDescription,
        entrance: Entrance,
    ) -> Result<Init, String> {
        sys::block_signals();
        nix::unistd::setsid().map_err(|error| format!("failed to make a session: {error}"))?;
        let identity = description
            .user
            .as_deref()
            .map(Identity::to_become)
            .transpose()?;
        let directory = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let runtime_directory =
            nix::fcntl::open(&description.runtime_directory, directory, Mode::empty())
                .map_err(|error| at("open", &description.runtime_directory, error.into()))?;
        let null = File::options().read(true).write(true).open("/dev/null");
        let null = null.map_err(|error| at("open", Path::new("/dev/null"), error))?;
        let sandbox = open_sandbox(description)?;
        let open = |name: &str| {
            open_output(&sandbox, name, identity.as_ref())
                .map_err(|error| at("open", &description.sandbox.join(name), error))
        };
        let (stdout, stderr) = (open("stdout")?, open("stderr")?);
        if let Some(score) = description.oom_score_adj {
            std::fs::write("/proc/self/oom_score_adj", score.to_string())
                .map_err(|error| format!("failed to set oom_score_adj to {score}: {error}"))?;
        }
        // All paths of ours are opened: from here on they are the container's.
        entrance.go_through()?;
        if description.namespaces.mount {
            mount_own(description)?;
        }
        if !description.namespaces.pid {
            nix::sys::prctl::set_child_subreaper(true)
                .map_err(|error| format!("failed to become a subreaper: {error}"))?;
        }
        Ok(Init {
            runtime_directory,
            stdout,
            stderr,
            null,
            identity,
        })
    }

    /// Starts the command and stays until it has ended.
    pub(crate) fn run(self, description: &LaunchDescription) -> ExitCode {
        if description.marks_start
            && let Err(error) = touch(&self.runtime_directory, STARTED)
        {
            let _ = writeln!(&self.stderr, "Failed to checkpoint the start: {error}");
            self.write_status(STATUS_NOT_STARTED);
            return exit_code(STATUS_NOT_STARTED);
        }
        let command = match sys::fork(ForkOptions::default()) {
            Ok(Fork::Child) => {
                let outputs = [self.null.as_fd(), self.stdout.as_fd(), self.stderr.as_fd()];
                let error = command::execute(description, self.identity.as_ref(), outputs);
                let _ = writeln!(&self.stderr, "Failed to start the command: {error}");
                return exit_code(STATUS_NOT_STARTED);
            }
            Ok(Fork::Parent(pid)) => pid,
            Err(error) => {
                let _ = writeln!(&self.stderr, "Failed to fork the command: {error}");
                self.write_status(STATUS_NOT_STARTED);
                return exit_code(STATUS_NOT_STARTED);
            }
        };
        // The pipes to the agent end here; nothing of the agent is held from now on.
        for standard in 0..=2 {
            let _ = sys::redirect(self.null.as_fd(), standard);
        }
        let _ = nix::unistd::chdir("/");
        let Self {
            runtime_directory,
            stdout,
            stderr,
            ..
        } = self;
        drop((stdout, stderr));
        let status = supervise(command);
        if !description.namespaces.pid {
            // In a pid namespace the kernel does this when we exit.
            tree::kill_descendants_of_this_process();
        }
        if let Err(error) = write_status(&runtime_directory, status) {
            let _ = writeln!(io::stderr(), "{error}");
        }
        exit_code(status)
    }

    fn write_status(&self, status: i32) {
        let _ = write_status(&self.runtime_directory, status);
    }
}

/// Reaps and passes signals on until the command has ended; gives its raw wait status.
fn supervise(command: i32) -> i32 {
    loop {
        while let Some((pid, status)) = sys::reap_any() {
            if pid == command {
                return status;
            }
        }
        match sys::next_signal() {
            Ok(signal) if signal != libc::SIGCHLD => {
                // A command that is just ending needs no signal any more.
                let _ = sys::kill(command, signal);
            }
            _ => {}
        }
    }
}

/// Mounts made from here on stay here; /proc shows the new pid namespace, and /dev/shm is private
/// as the new ipc namespace is. Mounts of the host still come in: with propagation cut, they would
/// stay busy on the host.
fn mount_own(description: &LaunchDescription) -> Result<(), String> {
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none)
        .map_err(|error| format!("failed to make '/' a slave mount: {error}"))?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    if description.namespaces.pid {
        mount(Some("proc"), "/proc", Some("proc"), flags, none)
            .map_err(|error| format!("failed to mount /proc: {error}"))?;
    }
    if let Some(shm) = description.shm {
        let mut data = "mode=1777".to_owned();
        if let Some(size) = shm.size {
            data.push_str(&format!(",size={size}"));
        }
        match mount(
            Some("tmpfs"),
            "/dev/shm",
            Some("tmpfs"),
            flags,
            Some(data.as_str()),
        ) {
            // A host without it has no shared memory that could be seen.
            Err(Errno::ENOENT) if shm.size.is_none() => {}
            mounted => {
                mounted.map_err(|error| format!("failed to mount /dev/shm: {error}"))?;
            }
        }
    }
    Ok(())
}

/// Opens the sandbox. What is the user's on the way to it may have been replaced by a link.
fn open_sandbox(description: &LaunchDescription) -> Result<OwnedFd, String> {
    let root = &description.sandbox_root;
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let opened = nix::fcntl::open(root, flags, Mode::empty());
    let opened = opened.map_err(|error| at("open", root, error.into()))?;
    let below = description.sandbox.strip_prefix(root);
    let below = below.unwrap_or(&description.sandbox);
    if below.as_os_str().is_empty() {
        return Ok(opened);
    }
    let how = OpenHow::new()
        .flags(flags)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
    openat2(opened, below, how)
        .map_err(|error| at("open the sandbox", &description.sandbox, error.into()))
}

/// Opens a file of the sandbox for appending. We are root still, and the sandbox belongs to the
/// user: no link is followed, no pipe is waited for, and what has another name elsewhere is not
/// given away.
fn open_output(sandbox: &OwnedFd, name: &str, identity: Option<&Identity>) -> io::Result<File> {
    let flags = OFlag::O_WRONLY
        | OFlag::O_APPEND
        | OFlag::O_CREAT
        | OFlag::O_NOFOLLOW
        | OFlag::O_NONBLOCK
        | OFlag::O_NOCTTY
        | OFlag::O_CLOEXEC;
    let file = openat(sandbox, name, flags, Mode::from_bits_truncate(0o644))?;
    let file = File::from(file);
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.nlink() != 1 {
        return Err(io::Error::other("it is no file of this sandbox alone"));
    }
    fcntl(&file, FcntlArg::F_SETFL(OFlag::O_APPEND))?;
    if let Some(identity) = identity {
        nix::unistd::fchown(&file, Some(identity.uid), Some(identity.gid))?;
    }
    Ok(file)
}

/// Makes an empty file.
fn touch(folder: &OwnedFd, name: &str) -> nix::Result<()> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_CLOEXEC;
    openat(folder, name, flags, Mode::from_bits_truncate(0o644)).map(drop)
}

/// Writes `status` as Mesos does, as decimal text, but never half of it: the agent may be reading.
fn write_status(runtime_directory: &OwnedFd, status: i32) -> nix::Result<()> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_TRUNC | OFlag::O_CLOEXEC;
    let temporary = openat(
        runtime_directory,
        "status.new",
        flags,
        Mode::from_bits_truncate(0o644),
    )?;
    let _ = nix::unistd::write(&temporary, status.to_string().as_bytes())?;
    renameat(runtime_directory, "status.new", runtime_directory, "status")
}

/// What a shell would say of a wait status: the exit status, or 128 and the signal.
pub(crate) fn exit_code(status: i32) -> ExitCode {
    let signal = status & 0x7f;
    let code = if signal == 0 {
        (status >> 8) & 0xff
    } else {
        128 + signal
    };
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}

fn at(doing: &str, path: &Path, error: io::Error) -> String {
    format!("failed to {doing} '{}': {error}", path.display())
}
