//! Where log lines go: stderr, and a file where `--log_dir` names a folder. The process-wide
//! subscriber is set here, once, by the binary; libraries only emit.

mod lines;
mod verbosity;

use std::{
    fs::{File, OpenOptions},
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
};

use tracing_subscriber::{
    EnvFilter, Layer as _, filter::LevelFilter, fmt, layer::SubscriberExt as _, reload,
    util::SubscriberInitExt as _,
};

pub(crate) use self::verbosity::verbosity;
use self::{lines::Lines, verbosity::Change};
use crate::flags::Values;

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoggingError {
    /// The level is none.
    #[error(
        "Failed to load flag 'logging_level': '{text}' is neither INFO, WARNING, ERROR nor a filter: {problem}"
    )]
    Level {
        /// What was given.
        text: String,
        /// Why it is no filter.
        problem: String,
    },
    /// The file cannot be written.
    #[error("cannot write the log file '{}': {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The kernel gave no thread.
    #[error("cannot start the thread that writes the log: {0}")]
    Thread(#[source] io::Error),
}

/// Writes out what waits of the log when it is dropped: to be held until the command ends.
#[must_use]
pub(crate) struct Logged(Vec<Lines>);

impl Drop for Logged {
    fn drop(&mut self) {
        self.0.iter().for_each(Lines::close);
    }
}

/// What to log, and where.
#[derive(Debug)]
pub(crate) struct Logging<'a> {
    /// `INFO`, `WARNING`, `ERROR`, or a filter of the `tracing` crates.
    pub(crate) level: &'a str,
    /// Nothing to stderr.
    pub(crate) quiet: bool,
    /// A file to log into besides.
    pub(crate) file: Option<PathBuf>,
}

impl<'a> Logging<'a> {
    /// What the logging flags say; the file is `<log_dir>/tepui-<command>.INFO`.
    pub(crate) fn of(values: &'a Values, command: &str) -> Self {
        Self {
            level: values.text("logging_level").unwrap_or("INFO"),
            quiet: values.boolean("quiet"),
            file: values
                .path("log_dir")
                .map(|folder| folder.join(format!("tepui-{command}.INFO"))),
        }
    }

    /// Sets the subscriber of this OS process. To be called once.
    pub(crate) fn start(&self) -> Result<Logged, LoggingError> {
        let mut all = Vec::new();
        let mut changes: Vec<Change> = Vec::new();
        let stderr = (!self.quiet).then(|| {
            let lines = Lines::start(io::stderr()).map_err(LoggingError::Thread)?;
            all.push(lines.clone());
            let (filter, handle) = reload::Layer::new(filter(self.level)?);
            changes.push(Box::new(move |filter| handle.reload(filter)));
            Ok(fmt::layer()
                .with_ansi(io::stderr().is_terminal())
                .with_writer(move || lines.clone())
                .with_filter(filter))
        });
        let stderr = stderr.transpose()?;
        let file = self.file.as_deref().map(|path| {
            let lines = Lines::start(open(path)?).map_err(LoggingError::Thread)?;
            all.push(lines.clone());
            let (filter, handle) = reload::Layer::new(filter(self.level)?);
            changes.push(Box::new(move |filter| handle.reload(filter)));
            Ok(fmt::layer()
                .with_ansi(false)
                .with_writer(move || lines.clone())
                .with_filter(filter))
        });
        let file = file.transpose()?;
        verbosity::keep(self.level, changes);
        flush_before_panics(all.clone());
        tracing_subscriber::registry()
            .with(stderr)
            .with(file)
            .try_init()
            .unwrap_or_else(|problem| tracing::warn!(%problem, "logging was set up already"));
        Ok(Logged(all))
    }
}

/// A panic may end the process, and its own words are behind what was logged before it.
fn flush_before_panics(all: Vec<Lines>) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        all.iter().for_each(Lines::write_out);
        before(panic);
    }));
}

fn filter(level: &str) -> Result<EnvFilter, LoggingError> {
    let directives = match level.to_ascii_uppercase().as_str() {
        "INFO" => "info",
        "WARNING" => "warn",
        "ERROR" => "error",
        _ => level,
    };
    let bad = |problem: String| LoggingError::Level {
        text: level.to_owned(),
        problem,
    };
    // A word alone would be the name of a module, and all others would fall silent.
    let mut words = directives.split(',').map(str::trim);
    let known = |word: &str| !word.is_empty() && word.parse::<LevelFilter>().is_ok();
    let stray = words.find(|word| !word.contains(['=', '[']) && !known(word));
    if let Some(word) = stray {
        return Err(bad(format!("'{word}' is no level")));
    }
    EnvFilter::try_new(directives).map_err(|problem| bad(problem.to_string()))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the log is the command's own, not a node's disk"
)]
fn open(path: &Path) -> Result<File, LoggingError> {
    let failed = |source| LoggingError::File {
        path: path.to_owned(),
        source,
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_mesos_names_or_filters() {
        for (level, expected) in [
            ("INFO", "info"),
            ("warning", "warn"),
            ("ERROR", "error"),
            ("info,tepui_master=debug", "tepui_master=debug,info"),
        ] {
            assert_eq!(filter(level).unwrap().to_string(), expected);
        }
        for level in ["info,=x=", "verbose", "", "info,tepui_master"] {
            let problem = filter(level).unwrap_err().to_string();
            assert!(problem.contains("logging_level"), "{level}: {problem}");
        }
    }
}
