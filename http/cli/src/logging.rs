//! Where log lines go: stderr, and a file where `--log_dir` names a folder. The process-wide
//! subscriber is set here, once, by the binary; libraries only emit.

use std::{
    fs::{File, OpenOptions},
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use tracing_subscriber::{
    EnvFilter, Layer as _, filter::LevelFilter, fmt, layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

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
    pub(crate) fn start(&self) -> Result<(), LoggingError> {
        let stderr = (!self.quiet).then(|| {
            Ok(fmt::layer()
                .with_ansi(io::stderr().is_terminal())
                .with_writer(io::stderr)
                .with_filter(filter(self.level)?))
        });
        let file = self.file.as_deref().map(|path| {
            let file = Arc::new(open(path)?);
            Ok(fmt::layer()
                .with_ansi(false)
                .with_writer(file)
                .with_filter(filter(self.level)?))
        });
        tracing_subscriber::registry()
            .with(stderr.transpose()?)
            .with(file.transpose()?)
            .try_init()
            .unwrap_or_else(|problem| tracing::warn!(%problem, "logging was set up already"));
        Ok(())
    }
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
