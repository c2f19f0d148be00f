//! What became of each task that was ever launched, by what schedulers said. It outlives them.

use std::collections::BTreeMap;

use crate::kind::{KINDS, Kind};

/// Whether nothing more happens to a task, as far as its scheduler can know. Of one that is lost
/// with its agent it may still be told that it runs.
pub fn is_over(state: &str) -> bool {
    const ALIVE: [&str; 5] = [
        "TASK_STAGING",
        "TASK_STARTING",
        "TASK_RUNNING",
        "TASK_KILLING",
        "TASK_UNREACHABLE",
    ];
    !ALIVE.contains(&state)
}

/// Whether a task never has another state.
fn is_final(state: &str) -> bool {
    ["TASK_FINISHED", "TASK_FAILED", "TASK_KILLED", "TASK_ERROR"].contains(&state)
}

struct Entry {
    kind: &'static Kind,
    agent: String,
    /// The newest state; empty before the first update.
    state: String,
    message: String,
    /// The newest state of those that were acknowledged. What a master tells by itself may be ahead
    /// of these: they come in order, it tells the latest.
    acknowledged: String,
}

impl Entry {
    /// Whether another update may come. The first one is always due: a scheduler that is killed
    /// before it launches what it said it would is told that there is no such task, once it asks.
    fn is_open(&self) -> bool {
        self.state.is_empty() || !is_over(&self.state)
    }
}

/// The tasks of all frameworks.
#[derive(Default)]
pub struct Ledger {
    tasks: BTreeMap<String, Entry>,
    /// How often each state was told.
    pub told: BTreeMap<String, usize>,
    faults: Vec<String>,
}

impl Ledger {
    /// A task is about to be launched.
    pub fn launch(&mut self, id: &str, agent: &str, kind: &str) {
        let entry = Entry {
            kind: Kind::of(kind),
            agent: agent.to_owned(),
            state: String::new(),
            message: String::new(),
            acknowledged: String::new(),
        };
        if self.tasks.insert(id.to_owned(), entry).is_some() {
            self.faults.push(format!("{id} is launched twice"));
        }
    }

    /// An update came.
    pub fn update(&mut self, id: &str, state: &str, is_acknowledged: bool, message: &str) {
        *self.told.entry(state.to_owned()).or_default() += 1;
        let Some(entry) = self.tasks.get_mut(id) else {
            self.faults
                .push(format!("{id} is {state} and was never launched"));
            return;
        };
        let before = &entry.acknowledged;
        if is_acknowledged && is_final(before) && before != state {
            let fault = format!("{id} ({}) was {before} and is {state}", entry.kind.name);
            self.faults.push(fault);
        }
        if is_acknowledged {
            state.clone_into(&mut entry.acknowledged);
        }
        state.clone_into(&mut entry.state);
        message.clone_into(&mut entry.message);
    }

    /// The tasks of a framework of which another update may come, with their agents and kinds.
    pub fn open<'a>(
        &'a self,
        framework: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str, &'a str)> {
        let own = move |id: &str| {
            id.strip_prefix(framework)
                .is_some_and(|rest| rest.starts_with('.'))
        };
        self.tasks
            .iter()
            .filter(move |(id, entry)| own(id) && entry.is_open())
            .map(|(id, entry)| (id.as_str(), entry.agent.as_str(), entry.kind.name))
    }

    /// What is known of a task.
    pub fn entry(&self, id: &str) -> String {
        let Some(entry) = self.tasks.get(id) else {
            return format!("{id} was never launched");
        };
        let Entry {
            kind,
            agent,
            state,
            message,
            acknowledged,
        } = entry;
        format!(
            "{id} ({}) on {agent} is {state:?} ({message}), acknowledged {acknowledged:?}",
            kind.name
        )
    }

    /// How many tasks there were.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// How many tasks of each kind ended in each state.
    pub fn ends(&self) -> BTreeMap<(&'static str, &str), usize> {
        let mut ends = BTreeMap::new();
        for entry in self.tasks.values() {
            *ends
                .entry((entry.kind.name, entry.state.as_str()))
                .or_default() += 1;
        }
        ends
    }

    /// What is wrong once all schedulers are at rest.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.faults.clone();
        for (id, entry) in &self.tasks {
            let state = entry.state.as_str();
            if entry.is_open() {
                faults.push(format!("{id} ({}) is left as {state:?}", entry.kind.name));
            } else if !entry.kind.may_end(state) {
                let (kind, message) = (entry.kind.name, &entry.message);
                faults.push(format!("{id} ({kind}) has ended as {state}: {message}"));
            }
        }
        let ends = self.ends();
        for kind in KINDS
            .iter()
            .filter(|kind| !ends.contains_key(&(kind.name, kind.end)))
        {
            faults.push(format!("no task that {} ended as {}", kind.name, kind.end));
        }
        faults
    }
}
