//! The `tepui` binary from outside: real processes, their output, their exit status, their port.

#[cfg(test)]
mod daemons;
#[cfg(test)]
mod effects;
#[cfg(test)]
mod execute;
#[cfg(test)]
mod flags;
#[cfg(test)]
mod run;
#[cfg(test)]
mod simulate;
#[cfg(test)]
mod support;
#[cfg(test)]
mod why;
