//! The role `contain`: from a fresh process of this binary to a container that waits for the word.
//! It obeys one [`LaunchDescription`]; what a container gets is decided by the containerizer.
//!
//! ```text
//! agent          contain                    init (pid 1)              command
//!   | description |                            |                         |
//!   |------------>| joins the cgroups          |                         |
//!   |   Forked    | clones ------------------->| own session, mounts     |
//!   |<------------| exits                      |                         |
//!   |   Ready                                  |                         |
//!   |<-----------------------------------------| opens stdout, stderr    |
//!   |   word (end of file: the agent is dead)  |                         |
//!   |----------------------------------------->| forks ----------------->| user, limits, exec
//!   |                                          | reaps, writes `status`  |
//! ```
//!
//! The init is a child of the agent, not of `contain`, so that the agent reaps it. Nothing of it
//! dies with the agent once the word was given: executors outlive agents.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;

use crate::kernel::init::{self, Init};
use crate::kernel::sys::{self, Fork, ForkOptions};
use crate::launch::{LaunchDescription, Report, WORD};

/// Length of the longest description taken; a command with its environment is far below.
const DESCRIPTION_MAX: u64 = 16 << 20;

/// Runs the role `contain`: the description is read from standard input, reports go to standard
/// output. Takes no arguments. It must be called before anything starts a thread.
#[must_use]
pub fn main_contain(_arguments: &[OsString]) -> ExitCode {
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
    let options = ForkOptions {
        namespaces: description.namespaces,
        sibling: true,
    };
    match sys::fork(options) {
        Ok(Fork::Parent(pid)) => {
            report(&Report::Forked { pid });
            ExitCode::SUCCESS
        }
        Ok(Fork::Child) => match Init::prepare(&description) {
            Ok(prepared) => {
                report(&Report::Ready);
                if word_given(&mut input) {
                    prepared.run(&description)
                } else {
                    ExitCode::SUCCESS
                }
            }
            Err(error) => failed(&error),
        },
        Err(error) => failed(&format!("failed to clone the container's init: {error}")),
    }
}

/// Standard input read without std's own buffer, which would be copied by the fork.
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
