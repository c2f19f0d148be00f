//! Who each framework is at present, and what it has launched and was told.

use std::collections::{BTreeMap, BTreeSet};

use tepui_invariants::Fact;
use tepui_invariants::books::{FrameworkBook, TaskBook};
use tepui_protocol::mesos::v1::{ExecutorInfo, FrameworkInfo, TaskInfo};
use tepui_protocol::resources::Resources;
use tepui_runtime::Pid;

use crate::framework::{is_default, is_over};
use crate::wishes::{named_roles, roles};

/// The frameworks that were ever subscribed.
#[derive(Debug, Default)]
pub(super) struct Frameworks {
    /// Ids by PID: of whoever subscribed from there last.
    ids: BTreeMap<Pid, String>,
    /// What SUBSCRIBEs said that are not answered yet, by PID.
    asked: BTreeMap<Pid, FrameworkInfo>,
    known: BTreeMap<String, Framework>,
}

/// A framework.
#[derive(Debug, Default)]
struct Framework {
    /// From where it is connected, by what the master told it.
    present: Option<Pid>,
    /// How long it may be away, in seconds, and whether agents keep its tasks over a crash.
    failover_timeout: f64,
    checkpoint: bool,
    /// What the master has told its allocator of it last, and the roles that it suppressed.
    info: FrameworkInfo,
    suppressed: BTreeSet<String>,
    /// Tasks by executor and agent; a command task's executor is named as the task.
    executors: BTreeMap<(String, String), Vec<String>>,
    /// The group of each task that was launched in one.
    groups: BTreeMap<String, Vec<String>>,
    book: FrameworkBook,
    /// Uuids that it was told, to know repeats by.
    heard: BTreeSet<Vec<u8>>,
    /// Tasks whose end it was told by their agent: what a master says of them later, it does not
    /// heed.
    ended: BTreeSet<String>,
}

impl Framework {
    fn wanted(&self) -> BTreeSet<String> {
        let own = roles(&self.info).into_iter();
        own.filter(|role| !self.suppressed.contains(role)).collect()
    }
}

impl Frameworks {
    /// The framework that subscribed from a PID.
    pub(super) fn id_of(&self, pid: &Pid) -> Option<&str> {
        self.ids.get(pid).map(String::as_str)
    }

    /// Whether a PID is the framework's present one.
    pub(super) fn is_present(&self, id: &str, pid: &Pid) -> bool {
        let known = self.known.get(id);
        known.is_some_and(|known| known.present.as_ref() == Some(pid))
    }

    /// A SUBSCRIBE reached the master.
    pub(super) fn asks(&mut self, pid: &Pid, info: &FrameworkInfo) {
        self.asked.insert(pid.clone(), info.clone());
    }

    /// The master sent SUBSCRIBED; whether it said it before to the same scheduler, which did not
    /// hear it and so asked again without an id.
    pub(super) fn subscribed(&mut self, pid: &Pid, id: &str) -> bool {
        self.ids.insert(pid.clone(), id.to_owned());
        let info = self.asked.remove(pid);
        let known = self.known.entry(id.to_owned()).or_default();
        let repeated = known.present.as_ref() == Some(pid);
        let repeated = repeated && info.as_ref().is_none_or(|info| info.id.is_none());
        known.present = Some(pid.clone());
        if let Some(info) = info {
            known.failover_timeout = info.failover_timeout();
            known.checkpoint = info.checkpoint();
        }
        repeated
    }

    /// The master took what a framework says of itself, in SUBSCRIBE or UPDATE_FRAMEWORK; in which
    /// roles it wants offers now.
    pub(super) fn takes(
        &mut self,
        id: &str,
        info: &FrameworkInfo,
        suppressed: &[String],
    ) -> BTreeSet<String> {
        let known = self.known.entry(id.to_owned()).or_default();
        known.failover_timeout = info.failover_timeout();
        known.info = info.clone();
        known.suppressed = suppressed.iter().cloned().collect();
        known.wanted()
    }

    /// Whether a framework has asked to be subscribed, and was not answered yet.
    pub(super) fn is_asking(&self, id: &str) -> bool {
        let mut asked = self.asked.values();
        asked.any(|info| info.id.as_ref().is_some_and(|asked| asked.value == id))
    }

    /// A SUPPRESS or a REVIVE reached the master, of these roles, or of all if it names none; in
    /// which the framework wants offers now.
    pub(super) fn suppresses(
        &mut self,
        id: &str,
        named: &[String],
        suppresses: bool,
    ) -> BTreeSet<String> {
        let known = self.known.entry(id.to_owned()).or_default();
        let meant = named_roles(&known.info, named.iter());
        match suppresses {
            true => known.suppressed.extend(meant),
            false => known.suppressed.retain(|role| !meant.contains(role)),
        }
        known.wanted()
    }

    /// The role of an offer to a framework that names none: it has just one.
    pub(super) fn role_of(&self, id: &str) -> String {
        let known = self.known.get(id);
        let role = known.and_then(|known| roles(&known.info).into_iter().next());
        role.unwrap_or_default()
    }

    /// The connection of a PID ended: the framework that was connected by it, and for how many
    /// nanoseconds it may be away.
    pub(super) fn exited(&mut self, pid: &Pid) -> Option<(String, u64)> {
        let id = self.ids.get(pid)?;
        let known = self.known.get_mut(id)?;
        if known.present.as_ref() != Some(pid) {
            return None;
        }
        known.present = None;
        let away = std::time::Duration::try_from_secs_f64(known.failover_timeout);
        let away = away.unwrap_or_default().as_nanos();
        Some((id.clone(), u64::try_from(away).unwrap_or(u64::MAX)))
    }

    /// Nobody is connected, and nobody knows any more who was removed: as in Mesos, there is no
    /// registry of frameworks, and one whose tasks an agent still runs is there again.
    pub(super) fn master_crashed(&mut self) {
        self.asked.clear();
        for known in self.known.values_mut() {
            known.present = None;
            known.book.over = false;
        }
    }

    /// A task in a LAUNCH, or in a group, that reached the master.
    pub(super) fn launches(
        &mut self,
        id: &str,
        task: &TaskInfo,
        executor: Option<&ExecutorInfo>,
        group: &[String],
    ) {
        let Some(known) = self.known.get_mut(id) else {
            return;
        };
        let name = executor.map_or(&task.task_id.value, |own| &own.executor_id.value);
        let key = (name.clone(), task.agent_id.value.clone());
        let tasks = known.executors.entry(key).or_default();
        tasks.push(task.task_id.value.clone());
        if !group.is_empty() {
            let group = group.to_vec();
            known.groups.insert(task.task_id.value.clone(), group);
        }
        let book = TaskBook {
            agent: task.agent_id.value.clone(),
            resources: Resources::from_proto(&task.resources).unwrap_or_default(),
            told: None,
            group: executor
                .filter(|executor| is_default(executor))
                .and_then(|_| group.first().cloned()),
        };
        known
            .book
            .tasks
            .entry(task.task_id.value.clone())
            .or_insert(book);
    }

    /// Whether agents keep the framework's tasks over a crash.
    pub(super) fn is_checkpointed(&self, id: &str) -> bool {
        self.known.get(id).is_some_and(|known| known.checkpoint)
    }

    /// The tasks of an executor on an agent.
    pub(super) fn tasks_of(&self, id: &str, executor: &str, agent: &str) -> &[String] {
        let key = (executor.to_owned(), agent.to_owned());
        let known = self.known.get(id);
        known
            .and_then(|known| known.executors.get(&key))
            .map_or(&[], Vec::as_slice)
    }

    /// How many others are in a task's group, where that group is a default executor's.
    pub(super) fn fellows(&self, id: &str, task: &str) -> usize {
        let known = self.known.get(id);
        let book = known.and_then(|known| known.book.tasks.get(task));
        let grouped = book.is_some_and(|book| book.group.is_some());
        let group = grouped.then(|| self.group_of(id, task).len());
        group.unwrap_or(0).saturating_sub(1)
    }

    /// The tasks of the group that a task is in.
    pub(super) fn group_of(&self, id: &str, task: &str) -> &[String] {
        let known = self.known.get(id);
        known
            .and_then(|known| known.groups.get(task))
            .map_or(&[], Vec::as_slice)
    }

    /// Whether a framework was told by an agent that a task has ended.
    pub(super) fn has_ended(&self, id: &str, task: &str) -> bool {
        let known = self.known.get(id);
        known.is_some_and(|known| known.ended.contains(task))
    }

    pub(super) fn happened(&mut self, fact: &Fact) {
        match fact {
            Fact::Told {
                to,
                task,
                uuid,
                state,
                ..
            } => {
                let Some(known) = self.known.get_mut(to) else {
                    return;
                };
                let repeated = uuid
                    .as_ref()
                    .is_some_and(|uuid| !known.heard.insert(uuid.clone()));
                let heeded = uuid.is_some() || !known.ended.contains(&task.task);
                if let Some(book) = known.book.tasks.get_mut(&task.task)
                    && !repeated
                    && heeded
                {
                    book.told = Some(*state);
                }
                if uuid.is_some() && is_over(*state) {
                    known.ended.insert(task.task.clone());
                }
            }
            Fact::Removed { framework, .. } => {
                let known = self.known.entry(framework.clone()).or_default();
                known.present = None;
                known.book.over = true;
            }
            _ => {}
        }
    }

    /// What each framework has launched and was told. Who is not connected acknowledges nothing.
    pub(super) fn books(&self) -> BTreeMap<String, FrameworkBook> {
        let book = |known: &Framework| FrameworkBook {
            acknowledges: known.present.is_some(),
            ..known.book.clone()
        };
        let known = self.known.iter();
        known.map(|(id, known)| (id.clone(), book(known))).collect()
    }
}
