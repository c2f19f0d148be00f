//! The agent's side of the `contain` role: has it fork the init of a container, and speaks with that
//! over its two pipes.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use nix::fcntl::OFlag;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::unistd::pipe2;

use crate::kernel::sys;
use crate::launch::{LaunchDescription, Namespaces, Report, WORD};

/// A container whose init waits for the word. Dropped without it, the init exits.
pub(crate) struct Waiting {
    /// Pid of the init, our child.
    pub(crate) pid: i32,
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

/// Why no container came to be. Its init may exist all the same: `pid` says so.
#[derive(Debug)]
pub(crate) struct SpawnError {
    pub(crate) pid: Option<i32>,
    pub(crate) error: String,
}

impl From<String> for SpawnError {
    fn from(error: String) -> Self {
        Self { pid: None, error }
    }
}

/// The `contain` role that stays with us, started when it is first needed and again where it died.
pub(crate) struct Spawner {
    binary: PathBuf,
    role: Mutex<Option<Role>>,
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
    pub(crate) fn spawn(&self, description: &LaunchDescription) -> Result<Waiting, SpawnError> {
        let mut line = serde_json::to_vec(description)
            .map_err(|error| format!("failed to write the launch description: {error}"))?;
        line.push(b'\n');
        let pipe =
            || pipe2(OFlag::O_CLOEXEC).map_err(|error| format!("failed to make a pipe: {error}"));
        let ((input, word), (reports, output)) = (pipe()?, pipe()?);
        let pid = self.fork(description.namespaces, [input, output])?;
        let failed = |error: String| SpawnError {
            pid: Some(pid),
            error,
        };
        let mut word = File::from(word);
        let written = word.write_all(&line);
        read_report(BufReader::with_capacity(1024, File::from(reports))).map_err(failed)?;
        written
            .map_err(|error| failed(format!("failed to write to the container's init: {error}")))?;
        Ok(Waiting { pid, word })
    }

    /// Has an init forked that has these pipes; they are closed here.
    fn fork(&self, namespaces: Namespaces, pipes: [OwnedFd; 2]) -> Result<i32, String> {
        let mut role = self.role.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = role.as_mut() {
            match running.ask(namespaces, &pipes) {
                Ok(pid) => return pid,
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
        let answer = role.insert(started).ask(namespaces, &pipes);
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

    /// The outer error is the role's end, after which another may do better.
    fn ask(&self, namespaces: Namespaces, pipes: &[OwnedFd; 2]) -> io::Result<Result<i32, String>> {
        let text = serde_json::to_vec(&namespaces)?;
        let pipes = [pipes[0].as_fd(), pipes[1].as_fd()];
        sys::send(self.socket.as_fd(), &text, &pipes)?;
        let mut buffer = [0; 4096];
        let (length, _) = sys::receive(self.socket.as_fd(), &mut buffer)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(match serde_json::from_slice(&buffer[..length])? {
            Report::Forked { pid } => Ok(pid),
            Report::Failed { error } => Err(error),
            Report::Ready => Err("'contain' answered out of turn".to_owned()),
        })
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        // It would end by itself with our end of the socket, which is closed after this only.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads until the init is ready or something failed.
fn read_report(mut reports: impl BufRead) -> Result<(), String> {
    let mut line = String::new();
    match reports.read_line(&mut line) {
        Ok(0) => return Err("the container's init ended before it was ready".to_owned()),
        Err(error) => {
            return Err(format!("failed to read from the container's init: {error}"));
        }
        Ok(_) => {}
    }
    match serde_json::from_str(&line) {
        Ok(Report::Ready) => Ok(()),
        Ok(Report::Failed { error }) => Err(error),
        Ok(Report::Forked { .. }) => Err("the container's init reported out of turn".to_owned()),
        Err(error) => Err(format!("bad report from the container's init: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_in_its_own_words() {
        let text = "{\"Failed\":{\"error\":\"no such user 'x'\"}}\n";
        let expected = Err("no such user 'x'".to_owned());
        assert_eq!(read_report(text.as_bytes()), expected);
        assert_eq!(read_report(&b"\"Ready\"\n"[..]), Ok(()));
    }

    #[test]
    fn an_early_end_is_an_error() {
        let expected = Err("the container's init ended before it was ready".to_owned());
        assert_eq!(read_report(&b""[..]), expected);
    }
}
