//! The flags of `tepui local`: how many agents and where; all others go to master and agents.

use super::{Flag, flags};

/// The flags of `tepui local` itself.
pub(crate) const LOCAL: &[Flag] = flags! {
    num_agents | num_slaves: Integer = "1" => does "How many agents";
    port: Port = "5050" => does "The master's port; each agent gets a free one";
    work_dir: Path = "/tmp/mesos/work" => does "Where master and agents keep their state";
};
