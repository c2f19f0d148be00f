//! Who each agent is at present, and which of its updates wait for their acknowledgement.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tepui_invariants::{Fact, TaskKey};
use tepui_runtime::{Pid, Time};

/// How long after there is room again an agent may still have to write what waited for it.
const CATCHES_UP: Duration = Duration::from_secs(120);

/// The agents that were registered.
#[derive(Debug, Default)]
pub(super) struct Agents {
    /// Ids by PID: of the agent that a master last admitted there, as far as the agent was told.
    ids: BTreeMap<Pid, String>,
    /// The last update that was sent of each task and is not acknowledged, by agent.
    waiting: BTreeMap<String, BTreeMap<TaskKey, Vec<u8>>>,
    /// Frameworks whose end an agent was told and of which it was given nothing since: it keeps no
    /// update of theirs.
    ended: BTreeMap<String, BTreeSet<String>>,
    /// Whose executor speaks from a PID.
    executors: BTreeMap<Pid, String>,
    /// Whose task an update is of, by its uuid.
    owners: BTreeMap<Vec<u8>, String>,
    /// Where nothing can be written, or could not until lately: until when that counts.
    full: BTreeMap<Pid, Option<Time>>,
    /// Containers whose limits are being changed. Those that end with their host meanwhile stay: no
    /// other has their ids.
    changing: BTreeSet<String>,
}

impl Agents {
    /// The agent at `pid` was told that it is registered as `id`.
    pub(super) fn registered(&mut self, pid: &Pid, id: &str) {
        self.ids.insert(pid.clone(), id.to_owned());
    }

    /// The id of the agent at a PID.
    pub(super) fn id_of(&self, pid: &Pid) -> Option<&str> {
        self.ids.get(pid).map(String::as_str)
    }

    /// The agent at `pid` was told that a framework is over.
    pub(super) fn told_end(&mut self, pid: &Pid, framework: &str) {
        let Some(id) = self.ids.get(pid) else {
            return;
        };
        if let Some(waiting) = self.waiting.get_mut(id) {
            waiting.retain(|task, _| task.framework != framework);
        }
        let ended = self.ended.entry(id.clone()).or_default();
        ended.insert(framework.to_owned());
    }

    /// The agent at `pid` was given a task of a framework.
    pub(super) fn given(&mut self, pid: &Pid, framework: &str) {
        let ended = self.ids.get(pid).and_then(|id| self.ended.get_mut(id));
        if let Some(ended) = ended {
            ended.remove(framework);
        }
    }

    /// An executor of a framework called from a PID.
    pub(super) fn executor_speaks(&mut self, pid: &Pid, framework: &str) {
        if self
            .executors
            .get(pid)
            .is_none_or(|known| known != framework)
        {
            self.executors.insert(pid.clone(), framework.to_owned());
        }
    }

    /// The framework whose executor speaks from a PID.
    pub(super) fn framework_of(&self, executor: &Pid) -> Option<&str> {
        self.executors.get(executor).map(String::as_str)
    }

    /// The framework of whose task an agent has sent an update of that uuid.
    pub(super) fn owner_of(&self, uuid: &[u8]) -> Option<&str> {
        self.owners.get(uuid).map(String::as_str)
    }

    /// A container's limits are to be changed, or have been.
    pub(super) fn changes_limits(&mut self, container: &str, begins: bool) {
        match begins {
            true => self.changing.insert(container.to_owned()),
            false => self.changing.remove(container),
        };
    }

    /// Whether nobody is changing a container's limits.
    pub(super) fn keeps_limits(&self, container: &str) -> bool {
        !self.changing.contains(container)
    }

    pub(super) fn disk_is_full(&mut self, pid: Pid, full: bool, at: Time) {
        let until = (!full).then(|| at + CATCHES_UP);
        self.full.insert(pid, until);
    }

    /// Whether the agent at a PID writes at once what it has to.
    pub(super) fn writes(&self, pid: &Pid, now: Time) -> bool {
        match self.full.get(pid) {
            None => true,
            Some(until) => until.is_some_and(|until| until <= now),
        }
    }

    pub(super) fn happened(&mut self, fact: &Fact) {
        match fact {
            Fact::Forwarded {
                task, agent, uuid, ..
            } => {
                self.owners.insert(uuid.clone(), task.framework.clone());
                let ended = self.ended.get(agent);
                if ended.is_none_or(|ended| !ended.contains(&task.framework)) {
                    let waiting = self.waiting.entry(agent.clone()).or_default();
                    waiting.insert(task.clone(), uuid.clone());
                }
            }
            Fact::Recorded { task, uuid, .. } => {
                for waiting in self.waiting.values_mut() {
                    if waiting.get(task) == Some(uuid) {
                        waiting.remove(task);
                    }
                }
            }
            // Its agents drop what they kept for it; one that did not hear of its end sends again.
            Fact::Removed { framework, .. } => {
                for waiting in self.waiting.values_mut() {
                    waiting.retain(|task, _| task.framework != *framework);
                }
            }
            Fact::AgentCrashed { agent } | Fact::AgentEnding { agent } => {
                // What it kept is sent again.
                self.waiting.remove(agent);
                self.ended.remove(agent);
            }
            _ => {}
        }
    }

    /// The tasks with an update that waits for its acknowledgement.
    pub(super) fn waiting(&self, agent: &str) -> BTreeSet<TaskKey> {
        let waiting = self.waiting.get(agent).into_iter();
        waiting.flat_map(|tasks| tasks.keys().cloned()).collect()
    }
}
