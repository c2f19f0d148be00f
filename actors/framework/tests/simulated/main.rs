//! Schedulers and executors as actors, in the simulated world.

#[cfg(test)]
mod actors;
