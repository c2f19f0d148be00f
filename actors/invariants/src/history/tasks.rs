//! Tasks: started once, ended once, killed only by who may.

use std::collections::{BTreeMap, BTreeSet};

use tepui_protocol::mesos::v1::TaskState;

use super::{Found, is_terminal};
use crate::{
    ALL_OR_NONE, FINAL_IS_FINAL, FORMER_SELF, Fact, HEARS_ITS_OWN, KILLED_BY_ITS_OWN,
    RECONCILED_AS_ACKNOWLEDGED, STARTED_ONCE, TaskKey,
};

/// What a framework was told of a task.
struct Word<'a> {
    uuid: Option<&'a [u8]>,
    state: TaskState,
    reconciled: bool,
}

#[derive(Clone, Debug)]
struct Group {
    tasks: BTreeSet<TaskKey>,
    one_fate: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Tasks {
    started: BTreeSet<TaskKey>,
    /// The first end that an executor or agent made and its framework was told.
    ended: BTreeMap<TaskKey, TaskState>,
    /// The updates that a framework was told, by uuid.
    heard: BTreeMap<TaskKey, BTreeMap<Vec<u8>, TaskState>>,
    /// Ends that their framework acknowledged.
    ends: BTreeMap<TaskKey, TaskState>,
    /// Tasks that run or ran, as their framework acknowledged.
    ran: BTreeSet<TaskKey>,
    kill_asked: BTreeSet<TaskKey>,
    /// The group of each task that was launched in one.
    groups: BTreeMap<TaskKey, Group>,
    /// Tasks that end because another of their group failed.
    doomed: BTreeSet<TaskKey>,
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
                    || self.doomed.contains(task)
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
                reconciled,
            } => {
                let word = Word {
                    uuid: uuid.as_deref(),
                    state: *state,
                    reconciled: *reconciled,
                };
                self.told(to, task, &word, found);
            }
            Fact::Heard { to, framework } if to != framework => {
                let detail = format!("a message of an executor of {framework} reached {to}");
                found.add(&HEARS_ITS_OWN, detail);
            }
            Fact::Grouped { tasks, one_fate } => self.grouped(tasks, *one_fate),
            Fact::GroupStarted { tasks } => self.group_started(tasks, found),
            Fact::Failed { task } => self.failed(task),
            Fact::Acknowledged { task, uuid } => self.acknowledged(task, uuid),
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

    fn grouped(&mut self, tasks: &[TaskKey], one_fate: bool) {
        let all: BTreeSet<TaskKey> = tasks.iter().cloned().collect();
        for task in tasks {
            let tasks = all.clone();
            self.groups.insert(task.clone(), Group { tasks, one_fate });
        }
    }

    fn group_started(&self, tasks: &[TaskKey], found: &mut Found) {
        let given: BTreeSet<TaskKey> = tasks.iter().cloned().collect();
        let group = tasks.first().and_then(|task| self.groups.get(task));
        let missing = group.and_then(|group| group.tasks.difference(&given).next());
        if let Some(task) = missing {
            let of = given.len();
            let detail = format!("task {task} is not among the {of} that were given");
            found.add(&ALL_OR_NONE, detail);
        }
    }

    fn failed(&mut self, task: &TaskKey) {
        let group = self.groups.get(task);
        if let Some(group) = group.filter(|group| group.one_fate) {
            let others = group.tasks.iter().filter(|other| *other != task);
            self.doomed.extend(others.cloned());
        }
    }

    fn acknowledged(&mut self, task: &TaskKey, uuid: &[u8]) {
        let heard = self.heard.get(task).and_then(|heard| heard.get(uuid));
        match heard {
            Some(end) if is_terminal(*end) => {
                self.ends.entry(task.clone()).or_insert(*end);
            }
            Some(TaskState::TaskRunning | TaskState::TaskKilling) => {
                self.ran.insert(task.clone());
            }
            _ => {}
        }
    }

    fn told(&mut self, to: &str, task: &TaskKey, word: &Word<'_>, found: &mut Found) {
        let Word { uuid, state, .. } = *word;
        if to != task.framework {
            found.add(&HEARS_ITS_OWN, format!("an update of {task} reached {to}"));
            return;
        }
        if uuid.is_none() && !self.spoken_of.contains(task) {
            let detail = format!("an update of {task}, which it neither launched nor asked about");
            found.add(&HEARS_ITS_OWN, detail);
        }
        if word.reconciled {
            return self.reconciled(task, state, found);
        }
        // What was heard before its end may be said again; its place in the order is another
        // rule's.
        let repeated = uuid.is_some_and(|uuid| {
            let heard = self.heard.entry(task.clone()).or_default();
            heard.insert(uuid.to_vec(), state).is_some()
        });
        match (self.ended.get(task), uuid) {
            (Some(end), Some(_))
                if !repeated && *end != state && (is_terminal(state) || !may_return(*end)) =>
            {
                let detail = format!("task {task} was {end:?} and is told to be {state:?}");
                found.add(&FINAL_IS_FINAL, detail);
            }
            (Some(end), None) if is_alive(state) && self.ends.contains_key(task) => {
                let detail = format!("task {task} ended as {end:?}, and is said to be {state:?}");
                found.add(&FINAL_IS_FINAL, detail);
            }
            (None, Some(_)) if is_terminal(state) => {
                self.ended.insert(task.clone(), state);
            }
            _ => {}
        }
    }

    /// A master answers with what it last told, which is no less than what was acknowledged; or,
    /// where it has forgotten the task, with what it knows of the agent.
    fn reconciled(&self, task: &TaskKey, state: TaskState, found: &mut Found) {
        let contradicted = match self.ends.get(task) {
            Some(end) if *end != state && !is_forgotten(state) => format!("as {end:?}"),
            None if self.ran.contains(task) && is_yet_to_run(state) => "as running".to_owned(),
            _ => return,
        };
        let detail =
            format!("task {task} was acknowledged {contradicted}, and is said to be {state:?}");
        found.add(&RECONCILED_AS_ACKNOWLEDGED, detail);
    }
}

/// Whether a state says that the task is there and has not ended.
fn is_alive(state: TaskState) -> bool {
    let unknown = matches!(state, TaskState::TaskUnknown | TaskState::TaskUnreachable);
    !is_terminal(state) && !unknown
}

/// Whether a task that was said to have ended so may be there after all: nobody has seen it end,
/// it was not to be found.
fn may_return(end: TaskState) -> bool {
    matches!(
        end,
        TaskState::TaskLost
            | TaskState::TaskDropped
            | TaskState::TaskGone
            | TaskState::TaskGoneByOperator
    )
}

/// Whether a master says so of a task that it does not have.
fn is_forgotten(state: TaskState) -> bool {
    let unknown = matches!(state, TaskState::TaskUnknown | TaskState::TaskUnreachable);
    unknown || may_return(state)
}

fn is_yet_to_run(state: TaskState) -> bool {
    matches!(state, TaskState::TaskStaging | TaskState::TaskStarting)
}
