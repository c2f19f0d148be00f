//! The rules about what happens, one fact after the other.

mod agents;
mod frameworks;
mod offers;
mod tasks;
mod updates;
mod wishes;

pub use self::updates::one_update_at_a_time;
use crate::{Fact, Invariant, Violation};

/// What has happened so far, as far as the rules need it.
#[derive(Clone, Debug, Default)]
pub struct History {
    agents: agents::Agents,
    frameworks: frameworks::Frameworks,
    offers: offers::Offers,
    tasks: tasks::Tasks,
    updates: updates::Updates,
    wishes: wishes::Wishes,
}

impl History {
    /// Nothing has happened.
    #[must_use]
    pub fn new() -> History {
        History::default()
    }

    /// Takes what happened next; what rules it breaks.
    pub fn see(&mut self, fact: &Fact) -> Vec<Violation> {
        let mut found = Found::default();
        self.offers.see(fact, &mut found);
        self.wishes.see(fact, &mut found);
        self.tasks.see(fact, &mut found);
        self.updates.see(fact, &mut found);
        self.frameworks.see(fact, &mut found);
        self.agents.see(fact, &mut found);
        found.0
    }
}

/// The violations found.
#[derive(Default)]
struct Found(Vec<Violation>);

impl Found {
    fn add(&mut self, invariant: &'static Invariant, detail: String) {
        self.0.push(Violation { invariant, detail });
    }
}

/// Whether a task in this state has ended.
pub(crate) fn is_terminal(state: tepui_protocol::mesos::v1::TaskState) -> bool {
    use tepui_protocol::mesos::v1::TaskState as State;
    matches!(
        state,
        State::TaskFinished
            | State::TaskFailed
            | State::TaskKilled
            | State::TaskError
            | State::TaskLost
            | State::TaskDropped
            | State::TaskGone
            | State::TaskGoneByOperator
    )
}

#[cfg(test)]
#[path = "history/tests.rs"]
mod tests;
