//! The `tepui` command: one binary for everything.
//!
//! The first argument says what this OS process is. `contain`, `executor`, `default-executor` and
//! `fetch` are roles that an agent starts, and they run before anything else is set up; the others
//! are commands for people.
//! Nothing of the cluster is decided here: the commands put the parts together.

mod agent;
mod cluster;
mod command;
mod execute;
mod failure;
mod flags;
mod host;
mod listening;
mod local;
mod logging;
mod master;
mod run;
mod say;
mod signals;
mod simulate;
mod why;

use std::{ffi::OsString, process::ExitCode};

use self::failure::Failure;

/// What `--version` says.
const VERSION: &str = concat!(
    "tepui ",
    env!("CARGO_PKG_VERSION"),
    " (compatible with mesos 1.12.0)"
);

const HELP: &str = "\
Tepui: Apache Mesos' cluster manager, in one binary

Usage: tepui COMMAND [--flag=value ...]

Commands:
  run      run a command as a task, with a cluster that lives as long as it does
  local    run a master and agents in one process
  master   run a master
  agent    run an agent
  execute  run one task on a cluster
  simulate run a simulated cluster under faults
  why      say why a framework has no offers, or why a task is not running
  help     print this, or the help of a command

`tepui COMMAND --help` says more. `tepui --version` prints the version.";

fn main() -> ExitCode {
    tepui_containerizer::share_arenas();
    let mut arguments = std::env::args_os().skip(1);
    let first = arguments.next().unwrap_or_default();
    let rest: Vec<OsString> = arguments.collect();
    match first.to_str() {
        Some("contain") => return tepui_containerizer::main_contain(&rest),
        Some("executor") => return tepui_containerizer::main_executor(&rest),
        Some("default-executor") => return tepui_containerizer::main_default_executor(&rest),
        Some("fetch") => return tepui_containerizer::main_fetch(&rest),
        _ => {}
    }
    let text = |argument: OsString| argument.to_string_lossy().into_owned();
    let rest: Vec<String> = rest.into_iter().map(text).collect();
    dispatch(&text(first), &rest)
}

fn dispatch(command: &str, arguments: &[String]) -> ExitCode {
    match (command, arguments.first()) {
        ("run", _) => run::main(arguments),
        ("local", _) => local::COMMAND.main(arguments),
        ("master", _) => master::COMMAND.main(arguments),
        ("agent", _) => agent::COMMAND.main(arguments),
        ("execute", _) => execute::COMMAND.main(arguments),
        ("simulate", _) => simulate::COMMAND.main(arguments),
        ("why", _) => why::main(arguments),
        ("--version" | "version", _) => {
            say::out(VERSION);
            ExitCode::SUCCESS
        }
        ("help", Some(other)) if other != "help" => dispatch(other, &["--help".to_owned()]),
        ("--help" | "-h" | "help", _) => {
            say::out(HELP);
            ExitCode::SUCCESS
        }
        ("", _) => {
            say::err(HELP);
            ExitCode::FAILURE
        }
        (other, _) => {
            say::err(format_args!(
                "tepui: there is no command '{other}'\n\n{HELP}"
            ));
            ExitCode::FAILURE
        }
    }
}
