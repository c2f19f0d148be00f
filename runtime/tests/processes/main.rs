//! The runtime through its public surface. What should hold in both worlds is written once and run
//! in both.

#[cfg(test)]
mod asks;
#[cfg(test)]
mod beneath;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod support;
#[cfg(test)]
mod timers;
