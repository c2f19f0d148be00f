//! The containers in an executor's own: those that it had the agent launch for it, as Mesos'
//! default executor does for each of its tasks.
//!
//! ```text
//!   LAUNCHING ──(launched)──► RUNNING ──(containerizer: terminated)──► ENDED ──► removed
//!       └──────(launch failed)──────────────────────────────────────────────────────┘
//!   any ──(the executor's container has ended)──► forgotten
//! ```
//!
//! Not here: what is asked of them and by whom (`operate`), and their processes (the
//! containerizer).

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

use tepui_protocol::mesos::v1::ContainerId;
use tepui_protocol::tepui::containerizer::Terminated;
use tepui_runtime::Pid;

use super::effect::Effect;

/// Nested containers of one executor that have not ended. Mesos has no bound.
pub const MAX_LIVE: usize = 1000;

/// Nested containers of one executor that have ended and are remembered; of more the oldest that
/// was told to anyone is forgotten, and where none was, no more are launched. Mesos remembers all
/// until their executor's container ends.
pub const MAX_ENDED: usize = 1000;

/// Questions that wait for the end of one container.
pub const MAX_WAITING: usize = 64;

/// Where a nested container is.
#[derive(Debug, Clone, PartialEq)]
pub enum NestedState {
    /// The containerizer was asked to launch it, for this asker.
    Launching(Pid),
    /// It runs.
    Running,
    /// It has ended, so.
    Ended(Box<Terminated>),
}

/// Who waits for a container's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiter {
    /// Where the answer goes.
    pub asker: Pid,
    /// The question was Mesos' older form, and its answer has another name.
    pub nested_form: bool,
}

impl Waiter {
    /// Whether its end is told, so that it can be forgotten then. What stands for a question has
    /// no end that anyone tells.
    #[must_use]
    pub fn is_linked(&self) -> bool {
        !self.asker.id().starts_with("__ask__")
    }
}

/// A container in an executor's.
#[derive(Debug, Clone, PartialEq)]
pub struct Nested {
    /// Its id, with those around it.
    pub id: ContainerId,
    /// The user that it runs as, where that is known.
    pub user: Option<String>,
    /// Where it is.
    pub state: NestedState,
    /// Pid of its init on the host, where known.
    pub pid: Option<u32>,
    /// Who waits for its end.
    pub waiters: Vec<Waiter>,
    /// Somebody was told its end.
    pub told: bool,
}

impl Nested {
    /// A container without waiters.
    #[must_use]
    pub fn new(id: ContainerId, user: Option<String>, state: NestedState) -> Nested {
        Nested {
            id,
            user,
            state,
            pid: None,
            waiters: Vec::new(),
            told: false,
        }
    }

    fn is_live(&self) -> bool {
        !matches!(self.state, NestedState::Ended(_))
    }
}

/// All nested containers of one executor, at any depth.
#[derive(Debug, Clone, Default)]
pub struct Nest {
    /// By their whole id as text.
    containers: BTreeMap<String, Nested>,
    /// Those that ended, oldest first.
    ended: VecDeque<ContainerId>,
    /// What is to be done for those that came before the executor's own container was launched
    /// for good: the executor may run before the word of that has come.
    held: Vec<(ContainerId, [Effect; 2])>,
}

impl Nest {
    /// The container with this id.
    #[must_use]
    pub fn get(&self, id: &ContainerId) -> Option<&Nested> {
        self.containers.get(&id.to_string())
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, id: &ContainerId) -> Option<&mut Nested> {
        self.containers.get_mut(&id.to_string())
    }

    /// How many have not ended.
    #[must_use]
    pub fn live(&self) -> usize {
        self.containers.len() - self.ended.len()
    }

    /// Adds one, in place of one with the same id.
    pub fn insert(&mut self, nested: Nested) {
        self.ended.retain(|ended| *ended != nested.id);
        if !nested.is_live() {
            self.ended.push_back(nested.id.clone());
        }
        self.containers.insert(nested.id.to_string(), nested);
    }

    /// Keeps what is to be done to launch one.
    pub fn hold(&mut self, id: &ContainerId, launch: [Effect; 2]) {
        self.held.push((id.clone(), launch));
    }

    /// What was kept for all, in its order.
    pub fn release(&mut self) -> Vec<Effect> {
        let held = std::mem::take(&mut self.held).into_iter();
        held.flat_map(|(_, launch)| launch).collect()
    }

    /// Gives up the launch of one that was kept, if it is.
    pub fn give_up(&mut self, id: &ContainerId) -> Option<Nested> {
        let place = self.held.iter().position(|(held, _)| held == id)?;
        self.held.remove(place);
        self.take(id)
    }

    /// Takes out one whose launch has failed.
    pub fn take(&mut self, id: &ContainerId) -> Option<Nested> {
        self.ended.retain(|ended| ended != id);
        self.containers.remove(&id.to_string())
    }

    /// One has ended: gives who waited for it. One that was not known is remembered, too.
    pub fn end(&mut self, terminated: Terminated) -> Vec<Waiter> {
        let id = terminated.container_id.clone();
        let known = self.take(&id);
        let user = known.as_ref().and_then(|known| known.user.clone());
        let waiters = known.map(|known| known.waiters).unwrap_or_default();
        let state = NestedState::Ended(Box::new(terminated));
        let mut nested = Nested::new(id, user, state);
        nested.told = !waiters.is_empty();
        self.insert(nested);
        waiters
    }

    /// Forgets one that has ended, and what was in it: gives their ids, the innermost first.
    pub fn remove(&mut self, id: &ContainerId) -> Vec<ContainerId> {
        let mut removed: Vec<ContainerId> = self
            .containers
            .values()
            .filter(|nested| id.holds(&nested.id) && !nested.is_live())
            .map(|nested| nested.id.clone())
            .collect();
        removed.reverse();
        for id in &removed {
            self.take(id);
        }
        removed
    }

    /// How many have ended of which nobody was told.
    #[must_use]
    pub fn untold(&self) -> usize {
        let ended = self.ended.iter().filter_map(|id| self.get(id));
        ended.filter(|nested| !nested.told).count()
    }

    /// Forgets the oldest of those that ended and were told, where there are too many.
    pub fn forget_oldest(&mut self) -> Vec<ContainerId> {
        let mut forgotten = Vec::new();
        while self.ended.len() > MAX_ENDED {
            let is_told = |id: &&ContainerId| self.get(id).is_some_and(|nested| nested.told);
            let Some(oldest) = self.ended.iter().find(is_told).cloned() else {
                break;
            };
            forgotten.extend(self.remove(&oldest));
        }
        forgotten
    }

    /// This asker is gone: it waits for nothing any more.
    pub fn forget_asker(&mut self, asker: &Pid) {
        for nested in self.containers.values_mut() {
            nested.waiters.retain(|waiter| waiter.asker != *asker);
        }
    }

    /// Forgets all; gives those that had not ended.
    pub fn clear(&mut self) -> Vec<Nested> {
        self.ended.clear();
        self.held.clear();
        let all = std::mem::take(&mut self.containers).into_values();
        all.filter(Nested::is_live).collect()
    }
}

/// Where the sandbox of a nested container is, below that of its executor: Mesos' layout.
#[must_use]
pub fn sandbox(id: &ContainerId) -> PathBuf {
    match &id.parent {
        None => PathBuf::new(),
        Some(parent) => sandbox(parent).join("containers").join(&id.value),
    }
}
