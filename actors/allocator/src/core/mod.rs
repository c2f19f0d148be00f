//! What the allocator decides, as plain synchronous Rust: no process, no clock, no disk.
//!
//! An [`Allocator`] is told what happens (a framework comes, an agent goes, an offer is refused),
//! each time with the time it is. [`Allocator::due`] says when a [run](Allocator::run) is wanted;
//! the run gives back [`Grant`]s, and tells an [`Observer`] each decision with its reason.
//!
//! ```text
//! framework comes, revives ---> all agents  --.
//! agent comes, changes     ---> that agent  --+--> run, at once, over those agents
//! offer refused, task ends ---> that agent  --'    (what is freed gathers for `gather`)
//! allocation_interval passes ------------------>  run over all agents: a batch;
//!                                                 refusals whose time has passed end here
//! ```
//!
//! Shares are dominant shares: of the resource that a role (or, within a role, a framework) holds
//! the greatest part of. The smallest share over weight comes first, sub-roles before siblings.
//! What is freed is given out at once, in that order; but who refused it waits for the next batch at
//! least, or two who refuse everything would spin the master. What is left over of an offer that was
//! used, and refused for no time, is not refused: otherwise those who take one task from each offer
//! would take turns, whatever their shares and weights.
//!
//! Inside, frameworks, roles, agents and names are small numbers and scalars are thousandths.

mod agent;
mod agent_events;
mod constraints;
mod explain;
mod filters;
mod framework_events;
mod frameworks;
mod inputs;
mod judge;
mod ledger;
mod names;
mod part;
mod pattern;
mod random;
mod reason;
mod run;
mod shares;
mod slab;
mod state;
mod tree;
mod uses;
mod why;

pub use constraints::{ConstraintError, Constraints};
pub use inputs::{
    AgentCapabilities, AgentSpec, AllocatorError, DEFAULT_REFUSAL, FrameworkCapabilities,
    FrameworkSpec, LONGEST_REFUSAL, Options, Recovery, Use,
};
pub use pattern::{PatternError, PatternLimits};
pub use reason::{Capability, Decision, Grant, Observer, Reason, RecentGrant};
pub use run::{Order, Run};
pub use state::Allocator;
pub use why::{Holder, WhyNot};
