//! The cluster in one line.

use std::fmt::Write as _;

use tepui_protocol::mesos::v1::TaskState;

use crate::cluster::Cluster;

const STATES: [TaskState; 6] = [
    TaskState::TaskStaging,
    TaskState::TaskStarting,
    TaskState::TaskRunning,
    TaskState::TaskKilling,
    TaskState::TaskUnreachable,
    TaskState::TaskFinished,
];

/// Who is up, who is known to the master, and how many tasks are in which state.
pub(super) fn glance(cluster: &Cluster) -> String {
    let hosts = cluster.agents();
    let up = hosts.iter().filter(|host| host.up.is_some()).count();
    let mut line = format!("agents: {up} of {} up", hosts.len());
    let Some((_, master)) = cluster.master() else {
        line.push_str("; the master is down");
        return line;
    };
    let snapshot = master.snapshot();
    let connected = snapshot.frameworks.values();
    let connected = connected.filter(|framework| framework.connected()).count();
    let _ = write!(
        line,
        ", {} registered, {} unreachable; frameworks: {connected} of {} connected; offers: {}; tasks:",
        snapshot.agents.size(),
        snapshot.unreachable_agents.size(),
        snapshot.frameworks.size(),
        snapshot.offers.size(),
    );
    for state in STATES {
        let name = state.as_str_name().trim_start_matches("TASK_");
        let count = snapshot.task_counts.get(state);
        let _ = write!(line, " {count} {}", name.to_lowercase());
    }
    line
}
