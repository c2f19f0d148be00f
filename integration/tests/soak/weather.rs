//! What is done to the cluster: schedulers are killed, agents stopped and continued, agents cut off
//! and let back. How, whom and how long is drawn.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tepui_integration::Dice;

use crate::cluster::Cluster;
use crate::frameworks::Frameworks;

/// Between two faults, in milliseconds.
const PACE: std::ops::Range<u64> = 700..2_500;
/// Agents that are away at a time.
const AWAY_MAX: usize = 4;
/// Shorter than it takes for an agent to be unreachable, in milliseconds.
const SHORT: std::ops::Range<u64> = 200..1_500;
/// Longer than that.
const LONG: std::ops::Range<u64> = 6_000..9_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Away {
    Stopped,
    CutOff,
}

/// The faults that are, and the next.
pub struct Weather {
    dice: Dice,
    next: Instant,
    away: Vec<(usize, Away, Instant)>,
    /// How often agents were stopped and cut off.
    pub stops: usize,
    pub cuts: usize,
}

impl Weather {
    pub fn new(seed: u64) -> Weather {
        Weather {
            dice: Dice::new(seed),
            next: Instant::now(),
            away: Vec::new(),
            stops: 0,
            cuts: 0,
        }
    }

    /// Ends what is to end, and begins what is to begin.
    pub fn pass(&mut self, cluster: &Cluster, frameworks: &mut Frameworks) {
        let now = Instant::now();
        self.clear(cluster, |until| until <= now);
        if now < self.next {
            return;
        }
        self.next = now + self.drawn(PACE);
        if self.dice.percent(35) {
            let number = self.dice.between(0, frameworks.len() as u64) as usize;
            let away = self.drawn(0..3_000);
            return frameworks.kill(number, away);
        }
        let agent = self.dice.between(0, cluster.agents.len() as u64) as usize;
        if self.away.len() == AWAY_MAX || self.away.iter().any(|(other, ..)| *other == agent) {
            return;
        }
        let long = self.dice.percent(40);
        let until = now + self.drawn(if long { LONG } else { SHORT });
        let how = if self.dice.percent(50) {
            cluster.agents[agent].signal(Signal::SIGSTOP);
            self.stops += 1;
            Away::Stopped
        } else {
            cluster.network.set_reachable(agent, false);
            self.cuts += 1;
            Away::CutOff
        };
        self.away.push((agent, how, until));
    }

    fn drawn(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.dice.between(range.start, range.end))
    }

    /// Ends every fault.
    pub fn end(&mut self, cluster: &Cluster) {
        self.clear(cluster, |_| true);
    }

    fn clear(&mut self, cluster: &Cluster, is_over: impl Fn(Instant) -> bool) {
        self.away.retain(|(agent, how, until)| {
            if is_over(*until) {
                match how {
                    Away::Stopped => cluster.agents[*agent].signal(Signal::SIGCONT),
                    Away::CutOff => cluster.network.set_reachable(*agent, true),
                }
            }
            !is_over(*until)
        });
    }
}
