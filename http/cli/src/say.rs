//! Words for who runs a command, on stdout and on stderr. Whoever closed them wants to hear no
//! more: that is no error, and the command goes on. The log (`logging.rs`) and the output of tasks
//! (`run/pump.rs`) have ways of their own.

use std::{
    fmt::Display,
    io::{self, Write},
};

/// Prints a line on stdout.
pub(crate) fn out(line: impl Display) {
    let _nobody_reads = writeln!(io::stdout().lock(), "{line}");
}

/// Prints a line on stderr.
pub(crate) fn err(line: impl Display) {
    let _nobody_reads = writeln!(io::stderr().lock(), "{line}");
}

/// Prints whole lines on stdout, as they are.
pub(crate) fn text(lines: &str) {
    let _nobody_reads = io::stdout().lock().write_all(lines.as_bytes());
}
