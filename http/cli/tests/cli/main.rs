//! The `tepui` binary from outside: real processes, their output, their exit status, their port.

mod daemons;
mod run;
mod support;
