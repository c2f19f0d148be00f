//! The gateway from outside: what is on the wire, in the real world.

mod scheduler;
mod support;
