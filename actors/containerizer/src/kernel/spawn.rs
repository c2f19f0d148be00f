//! The agent's side of the `contain` role: has it fork the init of a container, and speaks with that
//! over its two pipes.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, pipe2};

use crate::kernel::around::Around;
use crate::kernel::identity::ProcessIdentity;
use crate::kernel::sys;
use crate::launch::{Answer, LaunchDescription, Order, Report, WORD};

/// How long an init may take until it waits for the word. It takes a millisecond; on a host that
/// hardly moves, or where somebody holds it up, longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A container whose init waits for the word. Dropped without it, the init exits.
pub(crate) struct Waiting {
    pub(crate) init: ProcessIdentity,
    word: File,
}

impl Waiting {
    /// Lets the command start.
    pub(crate) fn release(mut self) -> Result<(), String> {
        self.word
            .write_all(&[WORD])
            .map_err(|error| format!("failed to synchronize with the container's init: {error}"))
    }
}

/// Why no container came to be. Its init may exist all the same, or have to be reaped.
#[derive(Debug)]
pub(crate) struct SpawnError {
    pub(crate) init: Option<ProcessIdentity>,
    pub(crate) error: String,
}

impl From<String> for SpawnError {
    fn from(error: String) -> Self {
        Self { init: None, error }
    }
}

/// The `contain` role that stays with us, started when it is first needed and again where it died.
pub(crate) struct Spawner {
    binary: PathBuf,
    role: Mutex<Option<Role>>,
}

/// Our ends of the pipes to an init.
struct Pipes {
    word: OwnedFd,
    reports: OwnedFd,
}

struct Role {
    child: Child,
    socket: OwnedFd,
}

impl Spawner {
    pub(crate) fn new(binary: PathBuf) -> Spawner {
        Spawner {
            binary,
            role: Mutex::new(None),
        }
    }

    /// Makes a container's init and sees it through until it waits for the word. Blocks for a
    /// millisecond or two.
    pub(crate) fn spawn(
        &self,
        description: &LaunchDescription,
        around: Around,
    ) -> Result<Waiting, SpawnError> {
        let mut line = serde_json::to_vec(description)
            .map_err(|error| format!("failed to write the launch description: {error}"))?;
        line.push(b'\n');
        let order = Order {
            namespaces: description.namespaces,
            enters: around.enters,
        };
        let (pid, Pipes { word, reports }) = self.fork(order, &around.descriptors)?;
        // One that is our child is not reaped, and no other that lives: it waits for what it shall
        // be. If it is heard of after this, it was still the one that had this pid.
        let init = ProcessIdentity::of(pid)
            .ok_or_else(|| format!("the container's init {pid} is not in /proc"))?;
        let failed = |error: String| SpawnError {
            init: Some(init.clone()),
            error,
        };
        let unheard = |error: String| SpawnError {
            init: (!order.enters.pid).then(|| init.clone()),
            error,
        };
        let mut word = File::from(word);
        let written = word.write_all(&line);
        if !is_readable_within(&reports, PATIENCE) {
            let seconds = PATIENCE.as_secs();
            let error = format!("the container's init is not ready after {seconds} seconds");
            return Err(failed(error));
        }
        read_report(BufReader::with_capacity(1024, File::from(reports)))
            .map_err(unheard)?
            .map_err(failed)?;
        written
            .map_err(|error| failed(format!("failed to write to the container's init: {error}")))?;
        Ok(Waiting { init, word })
    }

    /// Has an init forked that has the other ends of the pipes.
    fn fork(&self, order: Order, around: &[OwnedFd]) -> Result<(i32, Pipes), String> {
        let mut role = self.role.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = role.as_mut() {
            match running.ask(order, around) {
                Ok(forked) => return forked,
                Err(error) => {
                    tracing::warn!(%error, "'contain' is started again");
                    *role = None;
                }
            }
        }
        let started = Role::start(&self.binary).map_err(|error| {
            format!(
                "failed to execute '{} contain': {error}",
                self.binary.display()
            )
        })?;
        let answer = role.insert(started).ask(order, around);
        answer.unwrap_or_else(|error| Err(format!("'contain' does not answer: {error}")))
    }
}

impl Role {
    fn start(binary: &Path) -> io::Result<Role> {
        let (socket, its) = socketpair(
            AddressFamily::Unix,
            SockType::SeqPacket,
            None,
            SockFlag::SOCK_CLOEXEC,
        )?;
        let child = Command::new(binary)
            .arg("contain")
            .env_clear()
            .stdin(Stdio::from(its))
            .stdout(Stdio::null())
            // A group of its own: a Ctrl-C at the agent's terminal is not meant for it.
            .process_group(0)
            .spawn()?;
        Ok(Role { child, socket })
    }

    /// The outer error is the role's end, after which another may do better. An init that it may
    /// have forked all the same ends with these pipes, which are no other's.
    fn ask(&self, order: Order, around: &[OwnedFd]) -> io::Result<Result<(i32, Pipes), String>> {
        let text = serde_json::to_vec(&order)?;
        let ((input, word), (reports, output)) =
            (pipe2(OFlag::O_CLOEXEC)?, pipe2(OFlag::O_CLOEXEC)?);
        let mut descriptors = vec![input.as_fd(), output.as_fd()];
        descriptors.extend(around.iter().map(AsFd::as_fd));
        sys::send(self.socket.as_fd(), &text, &descriptors)?;
        let mut buffer = [0; 4096];
        let (length, _) = sys::receive(self.socket.as_fd(), &mut buffer)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Answer { init, courier } = serde_json::from_slice(&buffer[..length])?;
        if let Some(courier) = courier {
            // It has nothing to do any more but to exit, and somebody in there may have stopped it.
            let _ = sys::kill(courier, libc::SIGKILL);
            let courier = Pid::from_raw(courier);
            while waitpid(courier, None) == Err(Errno::EINTR) {}
        }
        Ok(init.map(|pid| (pid, Pipes { word, reports })))
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        // It would end by itself with our end of the socket, which is closed after this only.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for something to read, or the end.
pub(crate) fn is_readable_within(reports: &OwnedFd, within: Duration) -> bool {
    let deadline = Instant::now() + within;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut descriptors = [PollFd::new(reports.as_fd(), PollFlags::POLLIN)];
        match poll(&mut descriptors, timeout) {
            Err(Errno::EINTR) => {}
            Ok(0) => return false,
            // What is wrong with it the reading tells.
            Ok(_) | Err(_) => return true,
        }
    }
}

/// Reads until the init is ready or something failed: the inner error is its own, the outer one is
/// that nothing was heard of it.
fn read_report(mut reports: impl BufRead) -> Result<Result<(), String>, String> {
    let mut line = String::new();
    match reports.read_line(&mut line) {
        Ok(0) => return Err("the container's init ended before it was ready".to_owned()),
        Err(error) => {
            return Err(format!("failed to read from the container's init: {error}"));
        }
        Ok(_) => {}
    }
    match serde_json::from_str(&line) {
        Ok(Report::Ready) => Ok(Ok(())),
        Ok(Report::Failed { error }) => Ok(Err(error)),
        Err(error) => Err(format!("bad report from the container's init: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_in_its_own_words() {
        let text = "{\"Failed\":{\"error\":\"no such user 'x'\"}}\n";
        let expected = Ok(Err("no such user 'x'".to_owned()));
        assert_eq!(read_report(text.as_bytes()), expected);
        assert_eq!(read_report(&b"\"Ready\"\n"[..]), Ok(Ok(())));
    }

    #[test]
    fn an_init_that_says_nothing_is_not_waited_for_for_ever() {
        let (reports, output) = pipe2(OFlag::O_CLOEXEC).unwrap();
        assert!(!is_readable_within(&reports, Duration::from_millis(5)));
        nix::unistd::write(&output, b"x").unwrap();
        assert!(is_readable_within(&reports, Duration::ZERO));
        let (reports, output) = pipe2(OFlag::O_CLOEXEC).unwrap();
        drop(output);
        assert!(
            is_readable_within(&reports, Duration::from_secs(60)),
            "it ended"
        );
    }

    #[test]
    fn an_early_end_is_an_error() {
        let expected = Err("the container's init ended before it was ready".to_owned());
        assert_eq!(read_report(&b""[..]), expected);
    }
}
