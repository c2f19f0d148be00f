//! Real `tepui` processes, their output line by line, and requests to them.

use std::{
    io::{BufRead as _, BufReader, Read, Write as _},
    net::TcpStream,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use nix::{sys::signal::Signal, unistd::Pid};

/// Far longer than anything here takes; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A `tepui` command, without flags from the environment of the test.
pub(crate) fn tepui(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tepui"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MESOS_")
            || name.to_string_lossy().starts_with("TEPUI_")
        {
            command.env_remove(name);
        }
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Waits until something is so that no event tells.
#[expect(
    clippy::disallowed_methods,
    reason = "the test looks at processes from outside, in real time"
)]
pub(crate) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not in time");
        thread::yield_now();
    }
}

/// Runs to the end: exit status, stdout, stderr. What does not end is killed, and fails the test.
#[expect(
    clippy::disallowed_methods,
    reason = "the test's own thread, outside of any node"
)]
pub(crate) fn finish(mut command: Command) -> (i32, String, String) {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let pid = Pid::from_raw(child.id().try_into().unwrap());
    let (over, is_over) = channel::<()>();
    let watch = thread::spawn(move || {
        if is_over.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            nix::sys::signal::kill(pid, Signal::SIGKILL).unwrap();
        }
    });
    let output = child.wait_with_output().unwrap();
    drop(over);
    watch.join().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    let status = output.status.code();
    let status = status.unwrap_or_else(|| panic!("{command:?} was killed: {stdout}{stderr}"));
    (status, stdout, stderr)
}

/// Runs to the end without anybody who reads its stdout: exit status and stderr.
pub(crate) fn finish_unread(mut command: Command) -> (i32, String) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut running = Running::spawn(command.stdout(writer).stderr(Stdio::piped()));
    let (status, said) = running.wait();
    (status.code().unwrap(), said.join("\n"))
}

/// A running process; killed with the test.
pub(crate) struct Running {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    /// What was read of stderr so far.
    pub(crate) said: Vec<String>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        Self::spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let nothing = || channel().1;
        Self {
            stdout: child.stdout.take().map_or_else(nothing, lines),
            stderr: child.stderr.take().map_or_else(nothing, lines),
            child,
            said: Vec::new(),
        }
    }

    /// Reads stderr up to a line that holds `text`, and gives that line.
    pub(crate) fn until(&mut self, text: &str) -> String {
        while let Some(line) = self.next_said(text) {
            if line.contains(text) {
                return line;
            }
        }
        panic!("it ended without '{text}':\n{}", self.said.join("\n"));
    }

    /// The next line of stderr, and `None` at its end.
    fn next_said(&mut self, awaited: &str) -> Option<String> {
        match self.stderr.recv_timeout(PATIENCE) {
            Ok(line) => {
                self.said.push(line.clone());
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!("waited for '{awaited}':\n{}", self.said.join("\n"))
            }
        }
    }

    /// The next line of stdout.
    pub(crate) fn line(&mut self) -> String {
        self.stdout.recv_timeout(PATIENCE).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        nix::sys::signal::kill(self.pid(), signal).unwrap();
    }

    /// Waits for the end: the status, what is left of stdout, and all of stderr.
    pub(crate) fn end(mut self) -> (ExitStatus, Vec<String>, Vec<String>) {
        let (status, said) = self.wait();
        (status, self.stdout.iter().collect(), said)
    }

    /// Waits for the end: the status, and all of stderr.
    fn wait(&mut self) -> (ExitStatus, Vec<String>) {
        while self.next_said("its end").is_some() {}
        let status = self.child.wait().unwrap();
        (status, std::mem::take(&mut self.said))
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may be over already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test's own thread, outside of any node"
)]
fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Whether a process whose command line begins with `command` runs on this machine.
pub(crate) fn runs(command: &str) -> bool {
    let mut all = command_lines().into_iter();
    all.any(|command_line| command_line.starts_with(command))
}

/// The command lines of all processes.
#[expect(
    clippy::disallowed_methods,
    reason = "the test looks at the machine, not at a node"
)]
fn command_lines() -> Vec<String> {
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let bytes = std::fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&bytes).replace('\0', " "))
    };
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(read)
        .collect()
}

/// A request on a connection of its own; the response is read as far as it is there.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    reader: BufReader<TcpStream>,
    /// What was read of a stream and not taken.
    read: String,
}

#[expect(
    clippy::disallowed_methods,
    reason = "a client from outside, not a part of the system"
)]
pub(crate) fn request(address: &str, method: &str, path: &str, headers: &str, body: &str) -> Reply {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = body.len();
    write!(
        socket,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut reader = BufReader::new(socket);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(
            reader.read_line(&mut head).unwrap() > 0,
            "the head is cut: {head}"
        );
    }
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Reply {
        status,
        head: head.to_lowercase(),
        reader,
        read: String::new(),
    }
}

impl Reply {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let line = self
            .head
            .lines()
            .find(|line| line.starts_with(&format!("{name}:")))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    }

    /// The whole body.
    pub(crate) fn body(mut self) -> String {
        let mut body = Vec::new();
        match self.header("content-length") {
            Some(length) => {
                body.resize(length.parse().unwrap(), 0);
                self.reader.read_exact(&mut body).unwrap();
            }
            None => while self.chunk(&mut body) {},
        }
        String::from_utf8(body).unwrap()
    }

    /// Reads a chunk; false at the end of the body.
    fn chunk(&mut self, body: &mut Vec<u8>) -> bool {
        let mut size = String::new();
        self.reader.read_line(&mut size).unwrap();
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let mut chunk = vec![0; size + 2];
        self.reader.read_exact(&mut chunk).unwrap();
        body.extend_from_slice(&chunk[..size]);
        size > 0
    }

    /// The next event of a stream; chunks may hold parts of records and several of them.
    pub(crate) fn event(&mut self) -> serde_json::Value {
        loop {
            if let Some((length, rest)) = self.read.split_once('\n')
                && let length = length.parse::<usize>().unwrap()
                && rest.len() >= length
            {
                let event = serde_json::from_str(&rest[..length]).unwrap();
                self.read = rest[length..].to_owned();
                return event;
            }
            let mut chunk = Vec::new();
            assert!(self.chunk(&mut chunk), "the stream ended");
            self.read += std::str::from_utf8(&chunk).unwrap();
        }
    }

    /// The next event of a type, heartbeats and whatever else left out.
    pub(crate) fn event_of(&mut self, kind: &str) -> serde_json::Value {
        loop {
            let event = self.event();
            if event["type"] == kind {
                return event;
            }
        }
    }
}
