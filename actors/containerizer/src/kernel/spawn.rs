//! Starts the `contain` role and speaks with it over its two pipes.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};

use crate::launch::{LaunchDescription, Report, WORD};

/// A container whose init waits for the word. Dropped without it, the init exits.
pub(crate) struct Waiting {
    /// Pid of the init, our child.
    pub(crate) pid: i32,
    word: ChildStdin,
}

impl Waiting {
    /// Lets the command start.
    pub(crate) fn release(mut self) -> Result<(), String> {
        let written = self
            .word
            .write_all(&[WORD])
            .and_then(|()| self.word.flush());
        written.map_err(|error| format!("failed to synchronize with the container's init: {error}"))
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

/// Runs `binary contain` until the container's init waits for the word. Blocks for some
/// milliseconds.
pub(crate) fn spawn(binary: &Path, description: &LaunchDescription) -> Result<Waiting, SpawnError> {
    let mut line = serde_json::to_vec(description)
        .map_err(|error| format!("failed to write the launch description: {error}"))?;
    line.push(b'\n');
    let mut child = Command::new(binary)
        .arg("contain")
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // A group of its own: a Ctrl-C at the agent's terminal is not meant for it.
        .process_group(0)
        .spawn()
        .map_err(|error| format!("failed to execute '{} contain': {error}", binary.display()))?;
    let (word, reports) = (child.stdin.take(), child.stdout.take());
    let (Some(mut word), Some(reports)) = (word, reports) else {
        return Err("the pipes of 'contain' are missing".to_owned().into());
    };
    let written = word.write_all(&line).and_then(|()| word.flush());
    let outcome = read_reports(BufReader::new(reports));
    // It has forked or failed, and exits by itself.
    let exited = child
        .wait()
        .map_err(|error| format!("failed to reap 'contain': {error}"));
    let (pid, outcome) = outcome;
    let failed = |error| SpawnError { pid, error };
    outcome.map_err(failed)?;
    written.map_err(|error| failed(format!("failed to write to 'contain': {error}")))?;
    exited.map_err(failed)?;
    match pid {
        Some(pid) => Ok(Waiting { pid, word }),
        None => Err(failed(
            "'contain' said nothing of the container's init".to_owned(),
        )),
    }
}

/// Reads until the init is ready or something failed.
fn read_reports(mut reports: impl BufRead) -> (Option<i32>, Result<(), String>) {
    let mut pid = None;
    let mut ready = false;
    // "Forked" comes from one process and "Ready" from another: their order is not fixed.
    while !ready || pid.is_none() {
        let mut line = String::new();
        match reports.read_line(&mut line) {
            Ok(0) => {
                return (
                    pid,
                    Err("'contain' ended before the container was ready".to_owned()),
                );
            }
            Err(error) => return (pid, Err(format!("failed to read from 'contain': {error}"))),
            Ok(_) => {}
        }
        match serde_json::from_str(&line) {
            Ok(Report::Forked { pid: forked }) => pid = Some(forked),
            Ok(Report::Ready) => ready = true,
            Ok(Report::Failed { error }) => {
                // The init may have failed before its maker could name it.
                if pid.is_none() {
                    pid = late_pid(&mut reports);
                }
                return (pid, Err(error));
            }
            Err(error) => return (pid, Err(format!("bad report from 'contain': {error}"))),
        }
    }
    (pid, Ok(()))
}

fn late_pid(reports: &mut impl BufRead) -> Option<i32> {
    let mut line = String::new();
    while reports.read_line(&mut line).ok()? > 0 {
        if let Ok(Report::Forked { pid }) = serde_json::from_str(&line) {
            return Some(pid);
        }
        line.clear();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_may_come_in_any_order() {
        let text = "\"Ready\"\n{\"Forked\":{\"pid\":7}}\n";
        assert_eq!(read_reports(text.as_bytes()), (Some(7), Ok(())));
    }

    #[test]
    fn a_failure_names_the_init_that_is_to_be_reaped() {
        let text = "{\"Failed\":{\"error\":\"no such user 'x'\"}}\n{\"Forked\":{\"pid\":7}}\n";
        let expected = (Some(7), Err("no such user 'x'".to_owned()));
        assert_eq!(read_reports(text.as_bytes()), expected);
    }

    #[test]
    fn an_early_end_is_an_error() {
        let (pid, outcome) = read_reports(&b"{\"Forked\":{\"pid\":7}}\n"[..]);
        assert_eq!(pid, Some(7));
        assert_eq!(
            outcome.unwrap_err(),
            "'contain' ended before the container was ready"
        );
    }
}
