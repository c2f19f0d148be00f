//! The gateway from outside: what is on the wire, in the real world.

#[cfg(test)]
mod agent_operator;
#[cfg(test)]
mod cluster;
#[cfg(test)]
mod executor;
#[cfg(test)]
mod files;
#[cfg(test)]
mod help;
#[cfg(test)]
mod operator;
#[cfg(test)]
mod scheduler;
#[cfg(test)]
mod signposts;
#[cfg(test)]
mod support;
#[cfg(test)]
mod views;
