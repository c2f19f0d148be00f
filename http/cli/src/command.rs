//! What every command that takes Mesos' flags does first and last: read the flags or print the
//! usage, set up logging, and turn errors into an exit status.
//!
//! An error is one line: the usage is long, and would push it off the screen.

use std::{collections::BTreeMap, io, path::Path, process::ExitCode};

use crate::{
    Failure, VERSION,
    flags::{self, FlagError, Group, Parsed, Sources, Values},
    logging::Logging,
    say,
};

/// A command with Mesos' flags.
pub(crate) struct Command {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// One line on what it does.
    pub(crate) summary: &'static str,
    /// Its flags, in groups with a title. Of several with one name the first is taken.
    pub(crate) groups: &'static [&'static [Group]],
    /// Whether flags may come from the environment.
    pub(crate) environment: bool,
    /// Runs it until it ends.
    pub(crate) run: fn(&Values) -> Result<ExitCode, Failure>,
}

impl Command {
    /// Reads the flags and runs the command.
    pub(crate) fn main(&self, arguments: &[String]) -> ExitCode {
        let values = match self.load(arguments) {
            Ok(Parsed::Values(values)) => values,
            Ok(Parsed::Help) => {
                say::out(self.usage());
                return ExitCode::SUCCESS;
            }
            Ok(Parsed::Version) => {
                say::out(VERSION);
                return ExitCode::SUCCESS;
            }
            Err(problem) => return self.refuse(&problem),
        };
        match self.start(&values) {
            Ok(status) => status,
            Err(Failure::Flag(problem)) => self.refuse(&problem),
            Err(problem) => {
                say::err(format_args!("tepui {}: {problem}", self.name));
                ExitCode::FAILURE
            }
        }
    }

    fn start(&self, values: &Values) -> Result<ExitCode, Failure> {
        let _logged = Logging::of(values, self.name).start()?;
        for warning in &values.warnings {
            tracing::warn!("{warning}");
        }
        tracing::info!(flags = %values, "{VERSION} {}", self.name);
        (self.run)(values)
    }

    fn load(&self, arguments: &[String]) -> Result<Parsed, FlagError> {
        let environment = if self.environment {
            environment()
        } else {
            BTreeMap::new()
        };
        let sources = Sources {
            arguments,
            environment: &environment,
            read: &read,
        };
        flags::parse(self.groups, &sources)
    }

    fn usage(&self) -> String {
        flags::usage(self.name, self.summary, self.groups, self.environment)
    }

    fn refuse(&self, problem: &FlagError) -> ExitCode {
        let name = self.name;
        say::err(format_args!(
            "tepui {name}: {problem}\nTry 'tepui {name} --help'."
        ));
        ExitCode::FAILURE
    }
}

/// Reads the arguments of a command whose flags are not Mesos'. Help or an error is printed, and
/// the exit status given.
pub(crate) fn arguments<A: clap::Parser>(
    command: &str,
    arguments: &[String],
) -> Result<A, ExitCode> {
    let words = std::iter::once(command).chain(arguments.iter().map(String::as_str));
    A::try_parse_from(words).map_err(|problem| {
        // Help, which is no error, goes to stdout; there is nobody to tell if it cannot.
        let _ = problem.print();
        if problem.use_stderr() {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    })
}

/// The environment, without what is not text.
pub(crate) fn environment() -> BTreeMap<String, String> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

#[expect(
    clippy::disallowed_methods,
    reason = "flags are read before any node has a disk"
)]
fn read(path: &Path) -> io::Result<String> {
    std::fs::read_to_string(path)
}
