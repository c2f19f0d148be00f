//! The containerizer's side of a fetch: starts the `fetch` role, hears how it ended, cuts it short.

use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use nix::libc;

use crate::kernel::sys;
use crate::launch::{FetchDescription, FetchReport};

/// Variables of the agent by which the network is reached; all others stay behind.
const PASSED: [&str; 10] = [
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// One fetch, by which it can be stopped from another thread.
#[derive(Debug, Default)]
pub(crate) struct Fetch(Mutex<State>);

#[derive(Debug, Default)]
enum State {
    #[default]
    NotStarted,
    Running(OwnedFd),
    Stopped,
}

impl Fetch {
    /// Kills the fetch, or keeps it from ever starting.
    pub(crate) fn stop(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let State::Running(pidfd) = &*state {
            let _ = sys::pidfd_send_signal(pidfd.as_fd(), libc::SIGKILL);
        }
        *state = State::Stopped;
    }

    /// Starts `command`, unless the fetch was stopped before.
    fn start(&self, command: &mut Command) -> Result<Child, String> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::Stopped) {
            return Err("it was stopped".to_owned());
        }
        let child = command.spawn().map_err(|error| error.to_string())?;
        let pid = i32::try_from(child.id()).map_err(|error| error.to_string())?;
        // Our child and not reaped: the pid cannot mean another process.
        *state = State::Running(sys::pidfd_open(pid).map_err(|error| error.to_string())?);
        Ok(child)
    }
}

/// Runs `binary fetch` until all URIs are in the sandbox. Blocks as long as that takes.
///
/// # Errors
/// The first URI that could not be fetched and why, or what became of the role.
pub(crate) fn fetch(
    binary: &Path,
    description: &FetchDescription,
    control: &Fetch,
) -> Result<(), String> {
    let mut line = serde_json::to_vec(description).map_err(|error| error.to_string())?;
    line.push(b'\n');
    let passed = PASSED
        .iter()
        .filter_map(|name| Some((name, std::env::var_os(name)?)));
    let mut command = Command::new(binary);
    command
        .arg("fetch")
        .env_clear()
        .envs(passed)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // A group of its own: a Ctrl-C at the agent's terminal is not meant for it.
        .process_group(0);
    let mut child = control
        .start(&mut command)
        .map_err(|error| format!("failed to execute '{} fetch': {error}", binary.display()))?;
    // Kept open until the end: when we die the role sees the end of it, and ends too.
    let mut told = child.stdin.take();
    let written = told.as_mut().map(|told| told.write_all(&line));
    let mut report = String::new();
    let read = child
        .stdout
        .take()
        .map(|reports| BufReader::new(reports).read_line(&mut report));
    let exited = child.wait();
    drop(told);
    if let Some(Ok(_)) = read
        && let Ok(report) = serde_json::from_str(&report)
    {
        return match report {
            FetchReport::Fetched => Ok(()),
            FetchReport::Failed { error } => Err(error),
        };
    }
    let uris: Vec<&str> = description
        .uris
        .iter()
        .map(|uri| uri.value.as_str())
        .collect();
    let uris = uris.join("', '");
    match (written, exited) {
        (_, Ok(status)) if !status.success() => Err(format!("{status}, for '{uris}'")),
        (Some(Err(error)), _) => Err(format!("failed to write to 'fetch': {error}")),
        (_, Err(error)) => Err(format!("failed to reap 'fetch': {error}")),
        _ => Err("'fetch' said nothing".to_owned()),
    }
}
