//! What a run says about itself: grants, and why somebody got nothing.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use tepui_protocol::mesos::v1::Resource;
use tepui_protocol::resources::{Amount, Entry, Kind, Quantities, Resources};
use tepui_runtime::Time;

use super::why::{Holder, Holders};

/// One decision for somebody: this much of this agent to this framework in this role.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The framework's id.
    pub framework: Arc<str>,
    /// The role.
    pub role: Arc<str>,
    /// The agent's id.
    pub agent: Arc<str>,
    pub(super) pieces: Vec<(Kind, Amount, u32)>,
}

impl Grant {
    /// What is granted, allocated to the role.
    #[must_use]
    pub fn resources(&self) -> Resources {
        self.entries()
            .map(|entry| Entry {
                kind: entry.kind.allocated(&self.role),
                ..entry
            })
            .collect()
    }

    /// The same as messages.
    #[must_use]
    pub fn to_proto(&self) -> Vec<Resource> {
        self.resources().to_proto()
    }

    /// What is granted, without naming the role.
    #[must_use]
    pub fn unallocated(&self) -> Resources {
        self.entries().collect()
    }

    fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        self.pieces.iter().map(|(kind, amount, count)| Entry {
            kind: kind.clone(),
            amount: amount.clone(),
            count: *count,
        })
    }
}

/// What a framework lacks to be given some resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Capability {
    /// Resources that may be taken back.
    RevocableResources,
    /// Volumes that several tasks use.
    SharedResources,
    /// Reservations that refine others.
    ReservationRefinement,
}

/// The name it has in `FrameworkInfo.Capability`.
impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Capability::RevocableResources => "REVOCABLE_RESOURCES",
            Capability::SharedResources => "SHARED_RESOURCES",
            Capability::ReservationRefinement => "RESERVATION_REFINEMENT",
        })
    }
}

/// Why a framework was not offered anything of an agent in a role.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// The framework is disconnected or was deactivated.
    FrameworkInactive,
    /// The framework is not subscribed to the role.
    NotSubscribed,
    /// The framework asked for no offers in the role.
    Suppressed,
    /// The agent is disconnected, drained or deactivated.
    AgentInactive,
    /// The operator's whitelist does not name the agent's host.
    NotWhitelisted,
    /// All of the agent is offered or in use.
    Held {
        /// By whom; who was given some of it last comes first.
        by: Vec<Holder>,
    },
    /// What is free is reserved for other roles.
    ReservedForOthers,
    /// Somebody whose share is smaller came first and took it.
    Taken {
        /// The framework that took it.
        framework: Arc<str>,
        /// In which role.
        role: Arc<str>,
        /// What was compared, of theirs: a role, or their framework's id within one role.
        theirs: Arc<str>,
        /// Their share (over the weight) when they were chosen.
        their_share: f64,
        /// What was compared, of one's own.
        own: Arc<str>,
        /// One's own share.
        own_share: f64,
    },
    /// The framework's offer constraints in the role keep the agent out.
    Constrained {
        /// Of each group of constraints the first that the agent does not meet.
        unmet: Vec<String>,
    },
    /// What is free is less than any of the least amounts.
    BelowMinimum {
        /// What is free for it.
        free: Quantities,
        /// The least amounts, any of which would do.
        minimum: Vec<Quantities>,
    },
    /// The agent has gpus, and the framework lacks `GPU_RESOURCES`.
    GpuAgent,
    /// The agent is in another region than the master, and the framework lacks `REGION_AWARE`.
    OtherRegion {
        /// The agent's region.
        region: String,
    },
    /// Without what the framework lacks capabilities for, too little is left.
    Incapable {
        /// The capabilities it lacks.
        lacks: Vec<Capability>,
        /// What is left.
        left: Quantities,
    },
    /// The framework has several roles, and the agent cannot tell them apart.
    AgentWithoutMultiRole,
    /// The role is a sub-role, and the agent knows none.
    AgentWithoutHierarchicalRole,
    /// The framework refused all of it.
    Refused {
        /// Until when, in seconds since the Unix epoch.
        #[serde(serialize_with = "seconds")]
        until: Time,
    },
    /// The agent pauses for the framework, whose tasks failed there before they started.
    Paused {
        /// Until when, in seconds since the Unix epoch.
        #[serde(serialize_with = "seconds")]
        until: Time,
    },
    /// The framework has just given it back, and waits for the next batch.
    JustRefused,
    /// Nothing stands against it: it is free and waits for the next run.
    Waiting,
}

fn seconds<S: serde::Serializer>(time: &Time, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

/// One sentence for people.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::FrameworkInactive => f.write_str("the framework is not active"),
            Reason::NotSubscribed => f.write_str("the framework is not subscribed to the role"),
            Reason::Suppressed => f.write_str("the framework suppressed offers for the role"),
            Reason::AgentInactive => f.write_str("the agent is not active"),
            Reason::NotWhitelisted => f.write_str("the whitelist does not name the agent's host"),
            Reason::Held { by } => Holders(by).fmt(f),
            Reason::ReservedForOthers => f.write_str("what is free is reserved for other roles"),
            Reason::Taken {
                framework,
                role,
                theirs,
                their_share,
                own,
                own_share,
            } => write!(
                f,
                "taken by {framework} in role {role}: {theirs} had share {their_share:.3}, \
                 {own} has {own_share:.3}"
            ),
            Reason::Constrained { unmet } => {
                write!(
                    f,
                    "the framework's offer constraints keep the agent out: {}",
                    unmet.join(", or ")
                )
            }
            Reason::BelowMinimum { free, minimum } => {
                write!(
                    f,
                    "only {free} is free, the least is {}",
                    Alternatives(minimum)
                )
            }
            Reason::GpuAgent => {
                f.write_str("the agent has gpus, the framework lacks GPU_RESOURCES")
            }
            Reason::OtherRegion { region } => {
                write!(
                    f,
                    "the agent is in region {region}, the framework lacks REGION_AWARE"
                )
            }
            Reason::Incapable { lacks, left } => {
                let lacks: Vec<String> = lacks.iter().map(Capability::to_string).collect();
                write!(
                    f,
                    "only {left} is left for a framework without {}",
                    lacks.join(", ")
                )
            }
            Reason::AgentWithoutMultiRole => f.write_str("the agent lacks MULTI_ROLE"),
            Reason::AgentWithoutHierarchicalRole => {
                f.write_str("the agent lacks HIERARCHICAL_ROLE")
            }
            Reason::Refused { until } => {
                write!(
                    f,
                    "the framework refused it until {:.3}",
                    until.as_secs_f64()
                )
            }
            Reason::Paused { until } => {
                write!(
                    f,
                    "the agent pauses for the framework until {:.3}: its tasks failed there before \
                     they started",
                    until.as_secs_f64()
                )
            }
            Reason::JustRefused => f.write_str("the framework just refused it"),
            Reason::Waiting => f.write_str("free, waiting for the next run"),
        }
    }
}

struct Alternatives<'a>(&'a [Quantities]);

impl fmt::Display for Alternatives<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(Quantities::to_string).collect();
        f.write_str(&texts.join(" | "))
    }
}

/// A grant that an agent remembers.
#[derive(Clone, Debug, PartialEq)]
pub struct RecentGrant {
    /// When.
    pub at: Time,
    /// To which framework.
    pub framework: Arc<str>,
    /// In which role.
    pub role: Arc<str>,
}

/// What a run decided about one framework, role and agent.
#[derive(Debug)]
pub enum Decision<'a> {
    /// It was given something.
    Granted {
        /// What, to whom, of which agent.
        grant: &'a Grant,
        /// Its role's share (over the weight) before.
        role_share: f64,
        /// Its own share in the role before.
        share: f64,
    },
    /// It was given nothing.
    Withheld {
        /// The framework's id.
        framework: &'a Arc<str>,
        /// The role.
        role: &'a Arc<str>,
        /// The agent's id.
        agent: &'a Arc<str>,
        /// Why.
        reason: Reason,
    },
}

/// Who listens to what a run decides.
pub trait Observer {
    /// Whether it wants to hear of what was withheld; finding the reasons takes time.
    fn wants_reasons(&self) -> bool;

    /// Hears of one decision.
    fn decided(&mut self, decision: Decision<'_>);
}

/// Nobody listens.
impl Observer for () {
    fn wants_reasons(&self) -> bool {
        false
    }

    fn decided(&mut self, _decision: Decision<'_>) {}
}
