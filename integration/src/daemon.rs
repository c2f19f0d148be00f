//! A real `tepui` process that a test started: its log is read line by line, and it is ended
//! with the test. It is not a supervisor: a daemon that dies is the test's business.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a test waits for a line before it fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// One line that a daemon printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Printed on its standard output.
    Out(String),
    /// Printed on its standard error.
    Err(String),
}

impl Line {
    /// The text without the stream.
    pub fn text(&self) -> &str {
        match self {
            Line::Out(text) | Line::Err(text) => text,
        }
    }
}

/// A running `tepui` process.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    lines: Receiver<Line>,
    seen: Vec<Line>,
}

impl Daemon {
    /// Starts `tepui` with these arguments, without the environment's flags.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn start<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> Daemon {
        let mut command = Command::new(crate::tepui());
        command.args(arguments);
        Daemon::spawn(command)
    }

    /// Starts a command of the test's own making; it reads nothing.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn spawn(command: Command) -> Daemon {
        Daemon::spawn_reading(command, Stdio::null())
    }

    /// As [`Daemon::spawn`], with what it reads.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    pub fn spawn_reading(mut command: Command, input: impl Into<Stdio>) -> Daemon {
        for (name, _) in std::env::vars() {
            if name.starts_with("MESOS_") || name.starts_with("TEPUI_") {
                command.env_remove(name);
            }
        }
        let mut child = command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
        let (sender, lines) = channel();
        if let Some(stdout) = child.stdout.take() {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    let _ = sender.send(Line::Out(line));
                }
            });
        }
        if let Some(stderr) = child.stderr.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    let _ = sender.send(Line::Err(line));
                }
            });
        }
        Daemon {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Waits for the first line, printed already or later, for which `wanted` is true.
    ///
    /// # Panics
    ///
    /// When no such line comes within a minute, or the process ends without it.
    pub fn wait_for(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let (mut looked, deadline) = (0, Instant::now() + PATIENCE);
        loop {
            if let Some(line) = self.seen[looked..].iter().find(|line| wanted(line.text())) {
                return line.text().to_owned();
            }
            looked = self.seen.len();
            let more = self.read_line(what, deadline);
            assert!(more, "it ended without {what}:\n{}", self.log());
        }
    }

    /// Waits until so many lines, printed already or later, are as `wanted` says.
    ///
    /// # Panics
    ///
    /// When they do not come within a minute, or the process ends without them.
    pub fn wait_for_lines(&mut self, what: &str, count: usize, wanted: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while self.seen.iter().filter(|line| wanted(line.text())).count() < count {
            let more = self.read_line(what, deadline);
            assert!(more, "it ended without {what}:\n{}", self.log());
        }
    }

    /// Everything printed until now, for messages of failed tests.
    pub fn log(&self) -> String {
        self.seen.iter().map(|line| format!("{line:?}\n")).collect()
    }

    /// Every line that it has printed until now.
    pub fn lines(&mut self) -> &[Line] {
        self.seen.extend(self.lines.try_iter());
        &self.seen
    }

    /// Sends a signal.
    ///
    /// # Panics
    ///
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap_or_else(|error| panic!("{signal} not sent: {error}"));
    }

    /// Kills it and waits for its end.
    ///
    /// # Panics
    ///
    /// When the process is gone.
    pub fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.child.wait().expect("our child");
    }

    /// Waits for its end and gives its status and all it printed.
    ///
    /// # Panics
    ///
    /// When it does not end within a minute, or the status cannot be read.
    pub fn finish(mut self) -> (ExitStatus, Vec<Line>) {
        let deadline = Instant::now() + PATIENCE;
        while self.read_line("its end", deadline) {}
        let status = self
            .child
            .wait()
            .unwrap_or_else(|error| panic!("not waited for: {error}"));
        (status, std::mem::take(&mut self.seen))
    }

    /// Reads one more line; false where there is none any more. Panics at the deadline.
    fn read_line(&mut self, what: &str, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(left) {
            Ok(line) => self.seen.push(line),
            Err(RecvTimeoutError::Timeout) => panic!("no {what} in time:\n{}", self.log()),
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        true
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
