//! Tasks: started once, ended once, killed only by who may.

use std::collections::{BTreeMap, BTreeSet};

use tepui_protocol::mesos::v1::TaskState;

use super::{Found, is_terminal};
use crate::{
    FINAL_IS_FINAL, FORMER_SELF, Fact, HEARS_ITS_OWN, KILLED_BY_ITS_OWN, STARTED_ONCE, TaskKey,
};

#[derive(Clone, Debug, Default)]
pub(super) struct Tasks {
    started: BTreeSet<TaskKey>,
    /// Ends that an executor or agent made and their framework was told, with the uuid.
    ended: BTreeMap<TaskKey, (TaskState, Vec<u8>)>,
    /// Ends that their framework acknowledged.
    acknowledged: BTreeSet<TaskKey>,
    kill_asked: BTreeSet<TaskKey>,
    /// What a framework launched, or asked about: of that it may be told.
    spoken_of: BTreeSet<TaskKey>,
    /// Frameworks that asked for their end or were removed.
    over: BTreeSet<String>,
    /// Agents that were told to end.
    ending: BTreeSet<String>,
}

impl Tasks {
    pub(super) fn see(&mut self, fact: &Fact, found: &mut Found) {
        match fact {
            Fact::Started {
                task,
                meant_for,
                agent,
            } => {
                if meant_for != agent {
                    let detail =
                        format!("task {task} for agent {meant_for} was started by {agent}");
                    found.add(&FORMER_SELF, detail);
                }
                if !self.started.insert(task.clone()) {
                    found.add(&STARTED_ONCE, format!("task {task} on agent {agent}"));
                }
            }
            Fact::Acted {
                what,
                meant_for,
                agent,
            } if meant_for != agent => {
                let detail = format!("{what} for agent {meant_for} was done by '{agent}'");
                found.add(&FORMER_SELF, detail);
            }
            Fact::Forwarded {
                task, agent, state, ..
            } if *state == TaskState::TaskKilled => {
                let excused = self.kill_asked.contains(task)
                    || self.over.contains(&task.framework)
                    || self.ending.contains(agent);
                if !excused {
                    found.add(&KILLED_BY_ITS_OWN, format!("task {task} on agent {agent}"));
                }
            }
            Fact::Told {
                to,
                task,
                uuid,
                state,
            } => self.told(to, task, uuid.as_deref(), *state, found),
            Fact::Acknowledged { task, uuid }
                if self.ended.get(task).is_some_and(|(_, end)| end == uuid) =>
            {
                self.acknowledged.insert(task.clone());
            }
            Fact::KillAsked { task } => {
                self.kill_asked.insert(task.clone());
                self.spoken_of.insert(task.clone());
            }
            Fact::Asked { task } => {
                self.spoken_of.insert(task.clone());
            }
            Fact::Answered {
                framework,
                launches,
                ..
            } => {
                let tasks = launches.iter().map(|task| TaskKey::new(framework, task));
                self.spoken_of.extend(tasks);
            }
            Fact::TeardownAsked { framework } | Fact::Removed { framework, .. } => {
                self.over.insert(framework.clone());
            }
            Fact::AgentEnding { agent } => {
                self.ending.insert(agent.clone());
            }
            _ => {}
        }
    }

    fn told(
        &mut self,
        to: &str,
        task: &TaskKey,
        uuid: Option<&[u8]>,
        state: TaskState,
        found: &mut Found,
    ) {
        if to != task.framework {
            found.add(&HEARS_ITS_OWN, format!("an update of {task} reached {to}"));
            return;
        }
        if uuid.is_none() && !self.spoken_of.contains(task) {
            let detail = format!("an update of {task}, which it neither launched nor asked about");
            found.add(&HEARS_ITS_OWN, detail);
        }
        let end = self.ended.get(task);
        match (end, uuid) {
            // A repeat of an earlier update may still be under way; its place in the order is
            // another rule's.
            (Some((end, of)), Some(uuid)) if is_terminal(state) && of != uuid && *end != state => {
                let detail = format!("task {task} was {end:?} and is told to be {state:?}");
                found.add(&FINAL_IS_FINAL, detail);
            }
            (Some((end, _)), None) if is_alive(state) && self.acknowledged.contains(task) => {
                let detail = format!("task {task} ended as {end:?}, and is said to be {state:?}");
                found.add(&FINAL_IS_FINAL, detail);
            }
            (None, Some(uuid)) if is_terminal(state) => {
                self.ended.insert(task.clone(), (state, uuid.to_vec()));
            }
            _ => {}
        }
    }
}

/// Whether a state says that the task is there and has not ended.
fn is_alive(state: TaskState) -> bool {
    let unknown = matches!(state, TaskState::TaskUnknown | TaskState::TaskUnreachable);
    !is_terminal(state) && !unknown
}
