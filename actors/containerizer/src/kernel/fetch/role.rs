//! The role `fetch`: reads what to fetch, becomes the task's user, and brings one URI after another
//! into the sandbox, whose `stderr` says what was done. It ends with one line on standard output.
//!
//! One thread fetches; the first waits for it, for a transfer that brings nothing any more, and for
//! the agent's death, and ends the process with whichever comes first.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::libc;

use super::archive;
use super::http;
use super::sandbox::{Sandbox, set_mode};
use super::uri::{Extraction, Item, Source};
use crate::kernel::command::Identity;
use crate::kernel::sys;
use crate::launch::{FetchDescription, FetchReport, Uri};

/// Length of the longest description taken.
const DESCRIPTION_MAX: u64 = 16 << 20;
/// Most memory of the role: a hostile archive may ask for more.
const MEMORY_MAX: u64 = 4 << 30;

/// Counts up with every piece that arrives, and knows of what.
#[derive(Debug, Default)]
pub(super) struct Progress(AtomicU64, Mutex<String>);

impl Progress {
    pub(super) fn tick(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn uri(&self) -> std::sync::MutexGuard<'_, String> {
        self.1.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why the role ends.
enum End {
    Done(Result<(), String>),
    AgentDied,
}

/// Runs the role `fetch`: the description is read from standard input, the report goes to standard
/// output. Takes no arguments.
#[must_use]
pub fn main_fetch(_arguments: &[OsString]) -> ExitCode {
    let mut input = BufReader::new(io::stdin());
    let result = match read_description(&mut input) {
        Ok(description) => run(description, input),
        Err(error) => Some(Err(format!("bad description: {error}"))),
    };
    let Some(result) = result else {
        return ExitCode::FAILURE;
    };
    let report = match &result {
        Ok(()) => FetchReport::Fetched,
        Err(error) => FetchReport::Failed {
            error: error.clone(),
        },
    };
    if let Ok(mut line) = serde_json::to_vec(&report) {
        line.push(b'\n');
        // Where the agent is gone nobody waits for it.
        let _ = io::stdout().write_all(&line);
    }
    if result.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn read_description(input: &mut impl BufRead) -> Result<FetchDescription, String> {
    let mut line = Vec::new();
    let read = input
        .by_ref()
        .take(DESCRIPTION_MAX)
        .read_until(b'\n', &mut line);
    read.map_err(|error| error.to_string())?;
    serde_json::from_slice(&line).map_err(|error| error.to_string())
}

/// Fetches everything. None where nobody waits for it any more.
fn run(
    description: FetchDescription,
    input: impl Read + Send + 'static,
) -> Option<Result<(), String>> {
    let stall = Duration::from_millis(description.stall_timeout_ms);
    let progress = Arc::new(Progress::default());
    let (ends, ended) = channel();
    let (worker, counted) = (ends.clone(), Arc::clone(&progress));
    let started = prepare(&description)
        .and_then(|log| thread("fetch", move || work(&description, log, &counted, &worker)))
        .and_then(|()| thread("agent", move || wait_for_end(input, &ends)));
    if let Err(error) = started {
        return Some(Err(error));
    }
    let mut seen = 0;
    loop {
        match ended.recv_timeout(stall) {
            Ok(End::Done(result)) => return Some(result),
            Ok(End::AgentDied) | Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {
                let now = progress.0.load(Ordering::Relaxed);
                if now == seen {
                    let (uri, within) = (progress.uri(), stall.as_secs_f64());
                    let error = format!("'{uri}': nothing was transferred for {within} seconds");
                    return Some(Err(error));
                }
                seen = now;
            }
        }
    }
}

fn thread(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), String> {
    let builder = std::thread::Builder::new().name(name.to_owned());
    let started = builder.spawn(run).map(drop);
    started.map_err(|error| format!("failed to start a thread: {error}"))
}

/// The agent holds the other end as long as it lives and waits.
fn wait_for_end(mut input: impl Read, ends: &Sender<End>) {
    let _ = io::copy(&mut input, &mut io::sink());
    let _ = ends.send(End::AgentDied);
}

/// Becomes the task's user and opens the sandbox's log.
fn prepare(description: &FetchDescription) -> Result<File, String> {
    if let Some(user) = &description.user {
        let identity = Identity::to_become(user)?;
        identity
            .assume()
            .map_err(|error| format!("failed to become user '{user}': {error}"))?;
    }
    let memory = Some(MEMORY_MAX);
    sys::set_rlimit(libc::RLIMIT_AS, memory, memory)
        .map_err(|error| format!("failed to limit the memory of 'fetch': {error}"))?;
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    let path = description.sandbox.join("stderr");
    let mut options = File::options();
    options.append(true).create(true).mode(0o644);
    let log = options.custom_flags(libc::O_NOFOLLOW).open(&path);
    log.map_err(|error| format!("failed to open '{}': {error}", path.display()))
}

fn work(description: &FetchDescription, mut log: File, progress: &Progress, ends: &Sender<End>) {
    let result = fetch_all(description, &mut log, progress);
    if let Err(error) = &result {
        say(&mut log, &format!("Failed to fetch {error}"));
    }
    let _ = ends.send(End::Done(result));
}

/// What cannot be logged is fetched all the same.
fn say(log: &mut File, line: &str) {
    let _ = writeln!(log, "{line}");
}

fn fetch_all(
    description: &FetchDescription,
    log: &mut File,
    progress: &Progress,
) -> Result<(), String> {
    let sandbox = Sandbox::open(&description.sandbox);
    let path = description.sandbox.display();
    let sandbox = sandbox.map_err(|error| format!("into '{path}': {error}"))?;
    for uri in &description.uris {
        progress.uri().clone_from(&uri.value);
        let one = Fetching {
            description,
            sandbox: &sandbox,
            progress,
        };
        one.fetch(uri, log)
            .map_err(|error| format!("'{}': {error}", uri.value))?;
    }
    Ok(())
}

struct Fetching<'a> {
    description: &'a FetchDescription,
    sandbox: &'a Sandbox,
    progress: &'a Progress,
}

impl Fetching<'_> {
    fn fetch(&self, uri: &Uri, log: &mut File) -> Result<(), String> {
        say(log, &format!("Fetching URI '{}'", uri.value));
        if uri.cache {
            let note = "This agent keeps no cache of what is fetched: fetching it anew";
            say(log, note);
        }
        let home = self.description.frameworks_home.as_deref();
        let item = Item::of(uri, home)?;
        let path = self.description.sandbox.join(&item.name);
        let mut file = self
            .sandbox
            .create(&item.name)
            .map_err(|error| format!("failed to create '{}': {error}", path.display()))?;
        let mode = match &item.source {
            Source::File(source) => self.copy(source, &mut file)?,
            Source::Http(url) => {
                let into = format!("Downloading resource from '{url}' to '{}'", path.display());
                say(log, &into);
                http::download(url, &mut file, self.progress)?;
                0o644
            }
        };
        let mode = if item.executable { 0o755 } else { mode };
        set_mode(&file, mode)
            .map_err(|error| format!("failed to chmod '{}': {error}", path.display()))?;
        drop(file);
        if let Some(extraction) = &item.extraction {
            self.extract(&item.name, extraction)
                .map_err(|error| format!("failed to extract '{}': {error}", path.display()))?;
            let into = self.description.sandbox.display();
            say(
                log,
                &format!("Extracted '{}' into '{into}'", path.display()),
            );
        }
        say(
            log,
            &format!("Fetched '{}' to '{}'", uri.value, path.display()),
        );
        Ok(())
    }

    /// Copies a file of the host; gives its permissions.
    fn copy(&self, source: &Path, into: &mut File) -> Result<u32, String> {
        let failed = |error: io::Error| format!("failed to copy '{}': {error}", source.display());
        // A pipe, which would have to be waited for, or a folder is no file to copy.
        let is_file = std::fs::metadata(source).map_err(failed)?.is_file();
        if !is_file {
            return Err(format!("'{}' is not a regular file", source.display()));
        }
        let mut from = File::open(source).map_err(failed)?;
        let mode = from.metadata().map_err(failed)?.permissions().mode();
        let mut buffer = vec![0; 1 << 20];
        loop {
            match from.read(&mut buffer).map_err(failed)? {
                0 => return Ok(mode),
                count => into.write_all(&buffer[..count]).map_err(failed)?,
            }
            self.progress.tick();
        }
    }

    fn extract(&self, name: &Path, extraction: &Extraction) -> Result<(), String> {
        let file = self.sandbox.read(name).map_err(|error| error.to_string())?;
        match extraction {
            Extraction::Archive => archive::extract(file, self.sandbox, self.progress),
            Extraction::Gzip(plain) => {
                let into = self.sandbox.create(plain);
                let mut into = into.map_err(|error| error.to_string())?;
                archive::gunzip(file, &mut into, self.progress)
            }
        }
    }
}
