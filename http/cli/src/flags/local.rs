//! The flags of `tepui local`: how many agents and where; all others go to master and agents.

use super::{Flag, Kind};

/// The flags of `tepui local` itself.
pub(crate) const LOCAL: &[Flag] = &[
    Flag::new("num_agents", Kind::Integer, "How many agents")
        .default("1")
        .alias("num_slaves"),
    Flag::new(
        "port",
        Kind::Integer,
        "The master's port; each agent gets a free one",
    )
    .default("5050"),
    Flag::new(
        "work_dir",
        Kind::Path,
        "Where master and agents keep their state",
    )
    .default("/tmp/mesos/work"),
];
