//! Frameworks: removed only for a reason.

use std::collections::{BTreeMap, BTreeSet};

use super::Found;
use crate::{Fact, TORN_DOWN_FOR_A_REASON};

#[derive(Clone, Copy, Debug)]
enum State {
    Connected,
    /// Away since, and how long it may be.
    Away {
        since: u64,
        timeout: u64,
    },
    /// The master that knew has crashed: it has not come back to the next one.
    Unknown,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Frameworks {
    frameworks: BTreeMap<String, State>,
    teardown_asked: BTreeSet<String>,
}

impl Frameworks {
    pub(super) fn see(&mut self, fact: &Fact, found: &mut Found) {
        match fact {
            Fact::Subscribed { framework, .. } => {
                self.frameworks.insert(framework.clone(), State::Connected);
            }
            Fact::Disconnected {
                framework,
                at,
                failover_timeout,
            } => {
                let state = State::Away {
                    since: *at,
                    timeout: *failover_timeout,
                };
                self.frameworks.insert(framework.clone(), state);
            }
            Fact::TeardownAsked { framework } => {
                self.teardown_asked.insert(framework.clone());
            }
            Fact::Removed { framework, at } => self.removed(framework, *at, found),
            Fact::MasterCrashed => {
                for state in self.frameworks.values_mut() {
                    *state = State::Unknown;
                }
            }
            _ => {}
        }
    }

    fn removed(&mut self, framework: &str, at: u64, found: &mut Found) {
        if self.teardown_asked.contains(framework) {
            return;
        }
        let problem = match self.frameworks.get(framework) {
            Some(State::Connected) => "it is connected and asked for nothing".to_owned(),
            Some(State::Away { since, timeout }) if at.saturating_sub(*since) < least(*timeout) => {
                format!(
                    "it is away for {} of {} s",
                    seconds(at.saturating_sub(*since)),
                    seconds(*timeout)
                )
            }
            Some(State::Unknown) => "it never was at this master, which waits for it".to_owned(),
            Some(State::Away { .. }) | None => return,
        };
        let detail = format!("framework {framework} was removed: {problem}");
        found.add(&TORN_DOWN_FOR_A_REASON, detail);
    }
}

/// The shortest time that can be `timeout` by the master's clock, which may be a little fast.
fn least(timeout: u64) -> u64 {
    timeout - timeout / 100
}

fn seconds(nanos: u64) -> u64 {
    nanos / 1_000_000_000
}
