//! Pid 1 of a container: it mounts, starts the one command, reaps whatever is left to it, passes
//! signals on, and leaves the command's wait status behind in a file that survives the agent.
//! Outside of a pid namespace (the posix launcher) it is a child subreaper instead.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::ExitCode;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sys::stat::Mode;

use crate::kernel::command::{self, Identity};
use crate::kernel::sys::{self, Fork, ForkOptions};
use crate::kernel::tree;
use crate::launch::{LaunchDescription, STATUS_NOT_STARTED};

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
    pub(crate) fn prepare(description: &LaunchDescription) -> Result<Init, String> {
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
        let stdout = open_output(&description.sandbox.join("stdout"), identity.as_ref())?;
        let stderr = open_output(&description.sandbox.join("stderr"), identity.as_ref())?;
        if description.namespaces.mount {
            mount_own(description)?;
        }
        if let Some(score) = description.oom_score_adj {
            std::fs::write("/proc/self/oom_score_adj", score.to_string())
                .map_err(|error| format!("failed to set oom_score_adj to {score}: {error}"))?;
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

/// Opens a file of the sandbox for appending. A link there is not followed: we are root still,
/// and the sandbox belongs to the user.
fn open_output(path: &Path, identity: Option<&Identity>) -> Result<File, String> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = File::options();
    options
        .append(true)
        .create(true)
        .mode(0o644)
        .custom_flags(libc::O_NOFOLLOW);
    let file = options
        .open(path)
        .map_err(|error| at("open", path, error))?;
    if let Some(identity) = identity {
        nix::unistd::fchown(&file, Some(identity.uid), Some(identity.gid))
            .map_err(|error| at("change the owner of", path, error.into()))?;
    }
    Ok(file)
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
