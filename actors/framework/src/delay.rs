//! Delay scheduling: who wants to be near its data waits a little for it, then takes what there
//! is (Zaharia et al., EuroSys 2010, the second algorithm there).
//!
//! ```text
//!   Near ──(passed over for `near`)──► Rack ──(for `rack` more)──► Anywhere
//!     ▲                                  │                            │
//!     └───────(launched near)────────────┴──(launched in the rack: Rack)
//! ```
//!
//! One [`Delay`] belongs to one job. The clock runs only while the job is passed over: resources
//! were there, but not where it wants to be. Not here: needs (`constraint`), which never give in.

use std::collections::BTreeSet;
use std::time::Duration;

use tepui_runtime::Time;

use crate::site::{Selector, Site};

/// How near a place is to what a job prefers; nearer is smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Locality {
    /// One of the preferred places themselves.
    #[default]
    Near,
    /// In a rack with one.
    Rack,
    /// Somewhere.
    Anywhere,
}

/// Where a job wants to be.
#[derive(Debug, Clone, Default)]
pub struct Preference {
    near: BTreeSet<(Selector, String)>,
    racks: BTreeSet<(Selector, String)>,
}

impl Preference {
    /// Sites that have one of these values (such as hostnames) are near.
    #[must_use]
    pub fn near(mut self, per: &Selector, values: impl IntoIterator<Item = String>) -> Preference {
        self.near
            .extend(values.into_iter().map(|value| (per.clone(), value)));
        self
    }

    /// Sites that have one of these values (such as a `rack` attribute's) are in the rack.
    #[must_use]
    pub fn rack(mut self, per: &Selector, values: impl IntoIterator<Item = String>) -> Preference {
        self.racks
            .extend(values.into_iter().map(|value| (per.clone(), value)));
        self
    }

    /// How near a site is. To who prefers nothing, all are near.
    #[must_use]
    pub fn locality(&self, site: &Site) -> Locality {
        let among = |set: &BTreeSet<(Selector, String)>| {
            set.iter()
                .any(|(per, value)| site.values(per).contains(&value.as_str()))
        };
        if (self.near.is_empty() && self.racks.is_empty()) || among(&self.near) {
            Locality::Near
        } else if among(&self.racks) {
            Locality::Rack
        } else {
            Locality::Anywhere
        }
    }
}

/// How long a job waits at each level.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a place that is near.
    pub near: Duration,
    /// After that, for one in the rack.
    pub rack: Duration,
}

impl Default for Patience {
    /// What the paper found enough for tasks of some ten seconds: 5 s at each level.
    fn default() -> Patience {
        let level = Duration::from_secs(5);
        Patience {
            near: level,
            rack: level,
        }
    }
}

/// One job's waiting.
#[derive(Debug, Clone, Default)]
pub struct Delay {
    patience: Patience,
    level: Locality,
    /// Since when it is passed over at this level.
    since: Option<Time>,
}

impl Delay {
    /// A job that has not waited yet.
    #[must_use]
    pub fn new(patience: Patience) -> Delay {
        Delay {
            patience,
            ..Delay::default()
        }
    }

    /// How far from what it prefers the job may go now.
    pub fn level(&mut self, now: Time) -> Locality {
        while let (Some(since), Some(wait)) = (self.since, self.wait()) {
            if now.since(since) < wait {
                break;
            }
            self.level = if self.level == Locality::Near {
                Locality::Rack
            } else {
                Locality::Anywhere
            };
            self.since = Some(since + wait);
        }
        self.level
    }

    /// Resources were there, and the job took none, since they were too far away. Says after
    /// which time it would take more: ask for a wake then, and revive.
    pub fn passed_over(&mut self, now: Time) -> Option<Duration> {
        self.level(now);
        let since = *self.since.get_or_insert(now);
        let wait = self.wait()?;
        Some(wait.saturating_sub(now.since(since)))
    }

    /// A task of the job was launched so near: it waits anew, at that level.
    pub fn launched(&mut self, at: Locality) {
        self.level = at;
        self.since = None;
    }

    /// How long the present level lasts; the last one for ever.
    fn wait(&self) -> Option<Duration> {
        match self.level {
            Locality::Near => Some(self.patience.near),
            Locality::Rack => Some(self.patience.rack),
            Locality::Anywhere => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Time {
        Time::from_secs_f64(seconds)
    }

    #[test]
    fn a_job_gives_in_level_by_level_once_it_is_passed_over() {
        let mut delay = Delay::new(Patience {
            near: Duration::from_secs(3),
            rack: Duration::from_secs(4),
        });
        assert_eq!(
            delay.level(at(100.0)),
            Locality::Near,
            "nothing was offered yet"
        );
        assert_eq!(delay.passed_over(at(100.0)), Some(Duration::from_secs(3)));
        assert_eq!(delay.passed_over(at(102.0)), Some(Duration::from_secs(1)));
        assert_eq!(delay.level(at(102.9)), Locality::Near);
        assert_eq!(delay.level(at(103.0)), Locality::Rack);
        assert_eq!(delay.passed_over(at(104.0)), Some(Duration::from_secs(3)));
        assert_eq!(delay.level(at(107.0)), Locality::Anywhere);
        assert_eq!(
            delay.passed_over(at(108.0)),
            None,
            "it waits for nothing any more"
        );
    }

    #[test]
    fn a_launch_sets_the_level_back_to_where_it_was() {
        let mut delay = Delay::new(Patience::default());
        delay.passed_over(at(0.0));
        assert_eq!(delay.level(at(60.0)), Locality::Anywhere);
        delay.launched(Locality::Rack);
        assert_eq!(delay.level(at(61.0)), Locality::Rack);
        delay.launched(Locality::Near);
        assert_eq!(delay.level(at(62.0)), Locality::Near);
    }

    #[test]
    fn what_is_near_is_told_by_the_site() {
        let rack = Selector::Attribute("rack".to_owned());
        let near = Preference::default()
            .near(&Selector::Agent, ["S0".to_owned()])
            .rack(&rack, ["r1".to_owned()]);
        assert_eq!(near.locality(&Site::unseen("S0")), Locality::Near);
        assert_eq!(near.locality(&Site::unseen("S1")), Locality::Anywhere);
        let none = Preference::default();
        assert_eq!(none.locality(&Site::unseen("S1")), Locality::Near);
    }
}
