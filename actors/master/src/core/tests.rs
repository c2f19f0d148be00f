//! The rules of the core, one by one, and the property that its books always balance.
//! Everything goes in as inputs and is seen in effects and snapshots.

mod accept;
mod agents;
mod bench;
mod books;
mod bounds;
mod constraints;
mod executors;
mod failover;
mod frameworks;
mod gone;
mod groups;
mod metrics;
mod offers;
mod operations;
mod operator;
mod pauses;
mod reconcile;
mod recovery;
mod removals;
mod returns;
mod rules;
mod says;
mod status;
mod update;
mod validation;
mod walk;
