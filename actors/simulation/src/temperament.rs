//! What frameworks are like: how long they think, what they take, whether they acknowledge, what
//! becomes of them when they are away.
//!
//! Not here: the scheduler that acts so (`framework.rs`).

use std::time::Duration;

use tepui_protocol::mesos::v1::FrameworkInfo;
use tepui_protocol::mesos::v1::framework_info::{Capability, capability};
use tepui_runtime::Random;

/// A way to behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Temperament {
    /// Fills every offer with tasks at once.
    Greedy,
    /// Takes one task of an offer that is large enough, on half of the agents; refuses all else
    /// for a long time.
    Picky,
    /// Holds offers for minutes before it answers.
    Hoarding,
    /// Answers and acknowledges late.
    Slow,
    /// Never acknowledges.
    Mute,
    /// Goes away and comes back often, within its failover timeout or after it.
    Failing,
    /// Uses offers twice or those of others, kills others' tasks, repeats ids, asks for what never
    /// was.
    Nonsense,
    /// Wants all there is, one task of each offer, all of one size. Only when all else is quiet.
    Sharing,
}

/// How a framework acknowledges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acknowledges {
    AtOnce,
    Late,
    Never,
}

impl Temperament {
    /// All of a busy cluster.
    pub const ALL: [Temperament; 7] = [
        Temperament::Greedy,
        Temperament::Picky,
        Temperament::Hoarding,
        Temperament::Slow,
        Temperament::Mute,
        Temperament::Failing,
        Temperament::Nonsense,
    ];

    /// Its name, in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Temperament::Greedy => "greedy",
            Temperament::Picky => "picky",
            Temperament::Hoarding => "hoarding",
            Temperament::Slow => "slow",
            Temperament::Mute => "mute",
            Temperament::Failing => "failing",
            Temperament::Nonsense => "nonsense",
            Temperament::Sharing => "sharing",
        }
    }

    pub(crate) fn acknowledges(self) -> Acknowledges {
        match self {
            Temperament::Mute => Acknowledges::Never,
            Temperament::Slow => Acknowledges::Late,
            _ => Acknowledges::AtOnce,
        }
    }

    /// How long an offer waits for its answer.
    pub(crate) fn thinks(self, random: &Random) -> Duration {
        match self {
            Temperament::Hoarding => Duration::from_secs(60 + random.below(300)),
            Temperament::Slow => Duration::from_secs(1 + random.below(20)),
            Temperament::Nonsense => Duration::from_secs(random.below(15)),
            _ => Duration::ZERO,
        }
    }

    /// How many tasks it has at once, and how many it launches on one offer.
    pub(crate) fn appetite(self) -> (usize, usize) {
        match self {
            Temperament::Greedy => (24, 8),
            Temperament::Picky | Temperament::Mute => (6, 1),
            Temperament::Sharing => (usize::MAX, 1),
            _ => (10, 3),
        }
    }

    /// For how long it refuses what it does not take.
    pub(crate) fn refuses(self, random: &Random) -> Duration {
        match self {
            Temperament::Picky => Duration::from_secs(60 + random.below(600)),
            Temperament::Greedy => Duration::from_secs(1),
            Temperament::Sharing => Duration::from_secs(10),
            _ => Duration::from_secs(random.below(30)),
        }
    }

    /// What it subscribes with: by chance partition-aware, checkpointing, in several roles, told
    /// of kills, and with a failover timeout of nothing, of little, or of a week.
    pub(crate) fn info(self, number: usize, random: &Random) -> FrameworkInfo {
        let mut capabilities = Vec::new();
        let mut may = |kind: capability::Type, one_in: u64| {
            let has = random.below(one_in) == 0;
            if has {
                let r#type = Some(kind as i32);
                capabilities.push(Capability { r#type });
            }
            has
        };
        may(capability::Type::PartitionAware, 2);
        may(capability::Type::TaskKillingState, 3);
        let many = self != Temperament::Sharing && may(capability::Type::MultiRole, 2);
        let mut roles = vec![format!("role-{}", random.below(3))];
        if many && random.below(2) == 0 {
            roles.push(format!("team/part-{}", random.below(2)));
        }
        let timeout = match (self, random.below(3)) {
            (Temperament::Failing, 0) => 0.0,
            (Temperament::Failing, 1) => 20.0,
            (_, 0) => 60.0,
            _ => 604_800.0,
        };
        FrameworkInfo {
            user: "nobody".to_owned(),
            name: format!("{}-{number}", self.name()),
            checkpoint: Some(random.below(3) > 0),
            failover_timeout: Some(timeout),
            role: (!many).then(|| roles[0].clone()),
            roles: if many { roles } else { Vec::new() },
            capabilities,
            ..FrameworkInfo::default()
        }
    }
}
