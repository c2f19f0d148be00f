//! Programs in Python that a test runs to their end. What they check is in them.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::python;

/// Runs a script with these arguments, and gives what it printed. One that is not done in time is
/// killed, which its status says.
///
/// # Panics
///
/// When Python cannot be started.
pub fn run_script(script: &Path, arguments: &[&str], patience: Duration) -> Output {
    let child = Command::new(python())
        // Compiled modules would lie in the tree.
        .arg("-B")
        .arg(script)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Python can be started");
    let pid = Pid::from_raw(child.id().cast_signed());
    let (sender, receiver) = channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    let ended = receiver.recv_timeout(patience).or_else(|_| {
        kill(pid, Signal::SIGKILL).expect("our child");
        receiver.recv()
    });
    ended.expect("it ends").expect("our child")
}
