//! The gateway from outside: what is on the wire, in the real world.

#[cfg(test)]
mod executor;
#[cfg(test)]
mod scheduler;
#[cfg(test)]
mod support;
