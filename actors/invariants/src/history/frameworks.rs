//! Frameworks: removed only for a reason.

use std::collections::{BTreeMap, BTreeSet};

use super::Found;
use crate::{Fact, TORN_DOWN_FOR_A_REASON};

#[derive(Clone, Copy, Debug)]
enum State {
    Connected,
    /// Away since, and until when it may be.
    Away {
        since: u64,
        until: u64,
    },
    /// The master that knew has crashed.
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
            Fact::Subscribed { framework } => {
                self.frameworks.insert(framework.clone(), State::Connected);
            }
            Fact::Disconnected {
                framework,
                at,
                failover_timeout,
            } => {
                let state = State::Away {
                    since: *at,
                    until: at.saturating_add(*failover_timeout),
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
            Some(State::Away { since, until }) if at < *until => format!(
                "it is away for {} of {} s",
                seconds(at.saturating_sub(*since)),
                seconds(until.saturating_sub(*since))
            ),
            _ => return,
        };
        let detail = format!("framework {framework} was removed: {problem}");
        found.add(&TORN_DOWN_FOR_A_REASON, detail);
    }
}

fn seconds(nanos: u64) -> u64 {
    nanos / 1_000_000_000
}
