//! The agent as a process, in the simulated world.

#[cfg(test)]
mod cluster;
#[cfg(test)]
mod custom;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod groups;
#[cfg(test)]
mod parked;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod snapshots;
