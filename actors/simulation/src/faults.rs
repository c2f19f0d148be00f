//! What befalls a cluster: faults drawn from a seed, each with its beginning and its end.
//!
//! Not here: carrying them out (`run/weather.rs`).

use std::time::Duration;

use tepui_runtime::Random;

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An agent's host crashes; it comes back with what it had synced.
    AgentCrash {
        /// The agent's number.
        agent: usize,
    },
    /// The OS process of an agent is killed, and its containers with it; the host goes on.
    AgentKill {
        /// The agent's number.
        agent: usize,
    },
    /// An agent's disk breaks off in the middle of a write, and its host crashes soon after.
    TornWrite {
        /// The agent's number.
        agent: usize,
        /// How many more writing calls succeed.
        calls: u64,
    },
    /// An agent is told to end: it ends all that it runs and takes itself off the master's list.
    /// Another takes its place.
    Unregister {
        /// The agent's number.
        agent: usize,
    },
    /// An agent's host crashes, and an operator marks the agent gone; the host comes back.
    MarkGone {
        /// The agent's number.
        agent: usize,
    },
    /// An operator deactivates an agent, and reactivates it.
    Deactivate {
        /// The agent's number.
        agent: usize,
    },
    /// An agent's disk is full.
    DiskFull {
        /// The agent's number.
        agent: usize,
    },
    /// The master's host crashes; a new one comes up at the same place.
    MasterCrash,
    /// A framework's host crashes; it comes back on another, or never before all is quiet.
    FrameworkCrash {
        /// The framework's number.
        framework: usize,
    },
    /// A framework starts a second scheduler while the first is still there.
    FailOver {
        /// The framework's number.
        framework: usize,
    },
    /// A framework ends itself.
    TearDown {
        /// The framework's number.
        framework: usize,
    },
    /// Nothing passes between master and agent.
    Partition {
        /// The agent's number.
        agent: usize,
        /// In which direction.
        blocked: Blocked,
    },
    /// Nothing passes between master and framework.
    FrameworkPartition {
        /// The framework's number.
        framework: usize,
        /// In which direction.
        blocked: Blocked,
    },
    /// The ways between master and agent are slow.
    SlowLink {
        /// The agent's number.
        agent: usize,
        /// At most this long, a tenth at least.
        latency: Duration,
    },
    /// The ways between master and framework are slow.
    FrameworkSlowLink {
        /// The framework's number.
        framework: usize,
        /// At most this long, a tenth at least.
        latency: Duration,
    },
    /// The clock of the host that a framework is on runs faster or slower, and may be put ahead.
    FrameworkDrift {
        /// The framework's number.
        framework: usize,
        /// So many parts of a million faster; slower where it is negative.
        parts_per_million: i32,
        /// So far ahead, at once.
        ahead: Duration,
    },
    /// The clock of an agent's host runs faster or slower, and may be put ahead.
    AgentDrift {
        /// The agent's number.
        agent: usize,
        /// So many parts of a million faster; slower where it is negative.
        parts_per_million: i32,
        /// So far ahead, at once.
        ahead: Duration,
    },
    /// The clock of the master's host runs a little faster or slower.
    MasterDrift {
        /// So many parts of a million faster; slower where it is negative.
        parts_per_million: i32,
    },
    /// Connections break everywhere, so many in a million messages.
    Cuts {
        /// How many.
        per_million: u32,
    },
}

impl Fault {
    /// Under what each kind is counted.
    pub const NAMES: [&str; 19] = [
        "faults: agent crash",
        "faults: agent killed",
        "faults: torn write",
        "faults: agent unregisters",
        "faults: agent marked gone",
        "faults: disk full",
        "faults: master crash",
        "faults: framework crash",
        "faults: framework fails over",
        "faults: teardown",
        "faults: agent partition",
        "faults: framework partition",
        "faults: slow link",
        "faults: slow link of a framework",
        "faults: clock of an agent drifts",
        "faults: clock of a framework drifts",
        "faults: clock of the master drifts",
        "faults: cuts",
        "faults: agent deactivated",
    ];

    /// Under what it is counted.
    #[must_use]
    pub const fn name(self) -> &'static str {
        let kind = match self {
            Fault::AgentCrash { .. } => 0,
            Fault::AgentKill { .. } => 1,
            Fault::TornWrite { .. } => 2,
            Fault::Unregister { .. } => 3,
            Fault::MarkGone { .. } => 4,
            Fault::DiskFull { .. } => 5,
            Fault::MasterCrash => 6,
            Fault::FrameworkCrash { .. } => 7,
            Fault::FailOver { .. } => 8,
            Fault::TearDown { .. } => 9,
            Fault::Partition { .. } => 10,
            Fault::FrameworkPartition { .. } => 11,
            Fault::SlowLink { .. } => 12,
            Fault::FrameworkSlowLink { .. } => 13,
            Fault::AgentDrift { .. } => 14,
            Fault::FrameworkDrift { .. } => 15,
            Fault::MasterDrift { .. } => 16,
            Fault::Cuts { .. } => 17,
            Fault::Deactivate { .. } => 18,
        };
        Fault::NAMES[kind]
    }
}

/// Which direction of a way is blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// From the master.
    FromMaster,
    /// To the master.
    ToMaster,
    /// Both.
    Both,
}

/// A fault and when it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// After so long.
    pub after: Duration,
    /// For so long.
    pub lasts: Duration,
    /// What.
    pub fault: Fault,
}

fn pick(random: &Random, below: usize) -> usize {
    usize::try_from(random.below(below.max(1) as u64)).unwrap_or(0)
}

/// Seconds from short to long: some faults are over before anybody notices, others outlast every
/// timeout.
fn lasts(random: &Random) -> Duration {
    let most = [2_000, 20_000, 100_000, 400_000, 900_000];
    let most = most.get(pick(random, most.len())).copied().unwrap_or(2_000);
    Duration::from_millis(100 + random.below(most))
}

fn blocked(random: &Random) -> Blocked {
    match random.below(4) {
        0 => Blocked::FromMaster,
        1 => Blocked::ToMaster,
        _ => Blocked::Both,
    }
}

/// A clock is wrong by at most so many parts of a million.
fn drift(random: &Random, most: u32) -> i32 {
    let drift = random.below(u64::from(most) * 2 + 1);
    i32::try_from(drift).unwrap_or(0) - i32::try_from(most).unwrap_or(0)
}

/// How slow a link is.
fn slow(random: &Random) -> Duration {
    Duration::from_millis(10 + random.below(5_000))
}

/// By how much a clock is put ahead: mostly not at all.
fn ahead(random: &Random) -> Duration {
    Duration::from_secs(random.below(2) * random.below(120))
}

/// Draws what goes wrong next.
fn fault(random: &Random, agent: usize, framework: usize) -> Fault {
    match random.below(26) {
        0..=1 => Fault::AgentCrash { agent },
        2..=3 => Fault::AgentKill { agent },
        4..=5 => {
            let calls = random.below(40);
            Fault::TornWrite { agent, calls }
        }
        6 => Fault::Unregister { agent },
        7 => Fault::DiskFull { agent },
        8 => Fault::MasterCrash,
        9..=10 => Fault::FrameworkCrash { framework },
        11 => Fault::FailOver { framework },
        12 if random.below(3) == 0 => Fault::TearDown { framework },
        12..=15 => Fault::Partition {
            agent,
            blocked: blocked(random),
        },
        16..=17 => Fault::FrameworkPartition {
            framework,
            blocked: blocked(random),
        },
        18 => Fault::SlowLink {
            agent,
            latency: slow(random),
        },
        19 => Fault::FrameworkSlowLink {
            framework,
            latency: slow(random),
        },
        20 => Fault::AgentDrift {
            agent,
            parts_per_million: drift(random, 100_000),
            ahead: ahead(random),
        },
        21 => Fault::FrameworkDrift {
            framework,
            parts_per_million: drift(random, 100_000),
            ahead: ahead(random),
        },
        22 => Fault::MasterDrift {
            parts_per_million: drift(random, 1_000),
        },
        23 => Fault::MarkGone { agent },
        24 => Fault::Deactivate { agent },
        _ => {
            let per_million = u32::try_from(random.below(20_000)).unwrap_or(0);
            Fault::Cuts { per_million }
        }
    }
}

/// Draws the faults of a run, in the order of their beginning.
#[must_use]
pub fn plan(
    random: &Random,
    agents: usize,
    frameworks: usize,
    length: Duration,
    an_hour: u32,
) -> Vec<Planned> {
    let millis = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
    let count = millis.saturating_mul(u64::from(an_hour)) / 3_600_000;
    let mut planned: Vec<Planned> = Vec::new();
    for _ in 0..count {
        let after = Duration::from_millis(random.below(millis.max(1)));
        let (agent, framework) = (pick(random, agents), pick(random, frameworks));
        let fault = fault(random, agent, framework);
        let lasts = lasts(random);
        planned.push(Planned {
            after,
            lasts,
            fault,
        });
    }
    planned.sort_by_key(|planned| planned.after);
    planned
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_kind_of_fault_is_drawn_in_its_order_of_time() {
        let hour = Duration::from_secs(3600);
        let planned = plan(&Random::from_number(3), 3, 4, hour, 1000);
        assert_eq!(planned.len(), 1000);
        assert!(planned.is_sorted_by_key(|planned| planned.after));
        let drawn: BTreeSet<&str> = planned.iter().map(|it| it.fault.name()).collect();
        assert_eq!(drawn, BTreeSet::from(Fault::NAMES));
    }
}
