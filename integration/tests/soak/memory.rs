//! What the daemons hold of memory, looked at twice: once they have run for three minutes, or for
//! half of a shorter run, and at the end.

use std::time::{Duration, Instant};

use crate::cluster::{Cluster, memory};

/// Looks of so long are one: memory goes up and down with what just happens.
const WINDOW: Duration = Duration::from_secs(30);
/// By so much of a hundred it may have grown behind the third minute of ten, or of more.
const GROWTH_MAX: u64 = 5;
/// The same for shorter runs, in which the past that is kept is still being filled up.
const GROWTH_MAX_EARLY: u64 = 50;
/// By then what a framework leaves of itself is there on almost every agent: see `HURRY`.
const FIRST: Duration = Duration::from_secs(3 * 60);

/// Samples of two windows.
pub struct Memory {
    first: Duration,
    last: Duration,
    growth_max: u64,
    next: Instant,
    samples: [Vec<Sample>; 2],
}

#[derive(Clone, Copy)]
struct Sample {
    master: u64,
    agents: u64,
}

impl Memory {
    /// For a run of so many minutes.
    pub fn new(minutes: u64) -> Memory {
        let whole = Duration::from_secs(minutes * 60);
        Memory {
            first: FIRST.min(whole / 2),
            last: whole,
            growth_max: if minutes < 10 {
                GROWTH_MAX_EARLY
            } else {
                GROWTH_MAX
            },
            next: Instant::now(),
            samples: [Vec::new(), Vec::new()],
        }
    }

    /// Takes a sample, if it is time.
    pub fn look(&mut self, elapsed: Duration, cluster: &Cluster) {
        if Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + Duration::from_secs(1);
        for (end, samples) in [self.first, self.last].into_iter().zip(&mut self.samples) {
            if elapsed <= end && elapsed + WINDOW > end {
                samples.push(Sample {
                    master: memory(&cluster.master),
                    agents: cluster.agents.iter().map(memory).sum(),
                });
            }
        }
    }

    /// What has grown by more than it may.
    pub fn growth(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (who, of) in [
            ("the master", (|it| it.master) as fn(&Sample) -> u64),
            ("the agents", |it| it.agents),
        ] {
            let [first, last] = self.samples.each_ref().map(|samples| {
                let mut all: Vec<u64> = samples.iter().map(of).collect();
                all.sort_unstable();
                all[all.len() / 2]
            });
            let said = format!(
                "{who}: {first} KiB in the seconds to {:?}, {last} KiB to {:?}",
                self.first, self.last
            );
            println!("soak: {said}");
            if last * 100 > first * (100 + self.growth_max) {
                found.push(said);
            }
        }
        found
    }
}
