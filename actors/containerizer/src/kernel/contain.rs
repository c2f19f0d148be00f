//! The role `contain`: it stays with the agent and forks the init of each container, which then obeys
//! one [`LaunchDescription`]. What a container gets is decided by the containerizer.
//!
//! ```text
//! agent            contain              init (pid 1)                    command
//!   | order, 2 pipes  |                    |                              |
//!   |---------------->| clones ----------->|                              |
//!   |   Forked        |                    |                              |
//!   |<----------------|                    |                              |
//!   |   description                        |                              |
//!   |------------------------------------->| joins the cgroups            |
//!   |   Ready                              | own session, mounts          |
//!   |<-------------------------------------| opens stdout, stderr         |
//!   |   word (end of file: the agent died) |                              |
//!   |------------------------------------->| forks ---------------------->| user, limits, exec
//!   |                                      | reaps, writes `status`       |
//! ```
//!
//! An agent has threads and cannot fork; a role that is started anew for each container takes
//! longer than the rest of the launch. The init is a child of the agent, not of `contain`, so that
//! the agent reaps it. `contain` ends with the agent; nothing of a container does once the word was
//! given: executors outlive agents.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

use crate::kernel::init::{self, Init};
use crate::kernel::sys::{self, Fork, ForkOptions};
use crate::launch::{LaunchDescription, Namespaces, Report, WORD};

/// Length of the longest description taken; a command with its environment is far below.
const DESCRIPTION_MAX: u64 = 16 << 20;
/// Length of the longest order.
const ORDER_MAX: usize = 1024;

/// Runs the role `contain`: standard input is the agent's socket. Takes no arguments. It must be
/// called before anything starts a thread.
#[must_use]
pub fn main_contain(_arguments: &[OsString]) -> ExitCode {
    let mut buffer = [0; ORDER_MAX];
    loop {
        let (length, pipes) = match sys::receive(io::stdin().as_fd(), &mut buffer) {
            // The agent is gone, or wants no more containers.
            Ok((0, _)) => return ExitCode::SUCCESS,
            Ok(received) => received,
            Err(error) => {
                eprintln!("contain: standard input is no socket of an agent: {error}");
                return ExitCode::FAILURE;
            }
        };
        let report = match order(&buffer[..length], pipes) {
            Ok(Ordered::Init(pipes)) => return become_init(pipes),
            Ok(Ordered::Forked(pid)) => Report::Forked { pid },
            Err(error) => Report::Failed { error },
        };
        let sent = serde_json::to_vec(&report)
            .map_err(io::Error::from)
            .and_then(|text| sys::send(io::stdin().as_fd(), &text, &[]));
        if sent.is_err() {
            return ExitCode::SUCCESS;
        }
    }
}

/// Who returns from an order.
enum Ordered {
    /// The role itself, with the pid of the new init.
    Forked(i32),
    /// The new init, with its pipes.
    Init([OwnedFd; 2]),
}

/// Forks one init.
fn order(text: &[u8], pipes: Vec<OwnedFd>) -> Result<Ordered, String> {
    let namespaces: Namespaces =
        serde_json::from_slice(text).map_err(|error| format!("bad order: {error}"))?;
    let pipes: [OwnedFd; 2] = pipes
        .try_into()
        .map_err(|_| "bad order: two pipes are needed".to_owned())?;
    let options = ForkOptions {
        namespaces,
        sibling: true,
    };
    match sys::fork(options) {
        Ok(Fork::Parent(pid)) => Ok(Ordered::Forked(pid)),
        Ok(Fork::Child) => Ok(Ordered::Init(pipes)),
        Err(error) => Err(format!("failed to clone the container's init: {error}")),
    }
}

fn become_init(pipes: [OwnedFd; 2]) -> ExitCode {
    for (pipe, standard) in pipes.into_iter().zip(0..) {
        // The role's socket goes with that: it is how the role learns of the agent's end, and a
        // copy here would keep it open.
        if sys::redirect(pipe.as_fd(), standard).is_err() {
            return ExitCode::FAILURE;
        }
    }
    let mut input = BufReader::with_capacity(8192, WordPipe(io::stdin()));
    let description = match read_description(&mut input) {
        Ok(Some(description)) => description,
        // The agent died before it had said anything.
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => return failed(&format!("bad launch description: {error}")),
    };
    for file in &description.cgroups {
        if let Err(error) = std::fs::write(file, "0") {
            return failed(&format!(
                "failed to join cgroup by '{}': {error}",
                file.display()
            ));
        }
    }
    match Init::prepare(&description) {
        Ok(prepared) => {
            report(&Report::Ready);
            if word_given(&mut input) {
                prepared.run(&description)
            } else {
                ExitCode::SUCCESS
            }
        }
        Err(error) => failed(&error),
    }
}

/// Standard input read without std's own buffer.
struct WordPipe(io::Stdin);

impl Read for WordPipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(nix::unistd::read(self.0.as_fd(), buffer)?)
    }
}

/// One line of JSON. It ends with a newline; without one the agent died while writing.
fn read_description(input: &mut impl BufRead) -> io::Result<Option<LaunchDescription>> {
    let mut line = Vec::new();
    input
        .by_ref()
        .take(DESCRIPTION_MAX)
        .read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&line)?))
}

/// Waits for the word. False where the pipe ends before it: the agent died or changed its mind.
fn word_given(input: &mut impl Read) -> bool {
    let mut byte = [0];
    loop {
        match input.read(&mut byte) {
            Ok(1) => return byte[0] == WORD,
            Ok(_) => return false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
    }
}

fn report(report: &Report) {
    let Ok(mut line) = serde_json::to_vec(report) else {
        return;
    };
    line.push(b'\n');
    // Where the agent is gone there is nobody to tell, and the word will not come either.
    let _ = io::stdout()
        .write_all(&line)
        .and_then(|()| io::stdout().flush());
}

fn failed(error: &str) -> ExitCode {
    report(&Report::Failed {
        error: error.to_owned(),
    });
    init::exit_code(crate::launch::STATUS_NOT_STARTED)
}
