//! What always holds in a cluster: each rule named once, with an id, a sentence, and a plain
//! predicate over plain facts and books.
//!
//! Two kinds: [`History`] is fed with every [`Fact`] in the order in which it happened and says at
//! once what breaks a rule; [`books`] compares what master, allocator, agents and frameworks have
//! written down, at any time or once the cluster is quiet.
//!
//! Not here: where facts and books come from (the simulation's observer, a master's or an agent's
//! own state), and what is done about a rule that is broken.

use std::fmt;

pub mod books;
mod fact;
mod history;
mod planted;

pub use fact::{Fact, TaskKey};
pub use history::{History, one_update_at_a_time};
pub use planted::{Planted, PlantedBug};

/// A rule that no cluster may ever break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Invariant {
    /// Its stable name, in kebab case.
    pub id: &'static str,
    /// What holds, in one sentence.
    pub sentence: &'static str,
}

/// A rule that was found broken, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule.
    pub invariant: &'static Invariant,
    /// What breaks it: ids and amounts.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant.id, self.detail)
    }
}

macro_rules! invariants {
    ($($name:ident $id:literal $sentence:literal)*) => {
        $(
            #[doc = $sentence]
            pub const $name: Invariant = Invariant { id: $id, sentence: $sentence };
        )*

        /// Every rule there is.
        pub const ALL: &[&Invariant] = &[$(&$name),*];
    };
}

invariants! {
    OFFER_ID_ONCE "offer-id-once"
        "No two offers ever have the same id."
    OFFER_USED_ONCE "offer-used-once"
        "A task that reaches an agent was launched on offers of that framework which were not used, declined or rescinded before."
    HEARS_ITS_OWN "hears-its-own"
        "A framework hears of its own offers and tasks, and of nobody else's."
    STARTED_ONCE "started-once"
        "A task is given to its executor no more than once."
    FORMER_SELF "former-self"
        "No agent acts on a message that was meant for its former self."
    ONE_LIFE "one-life"
        "An agent id whose agent was removed for good never comes back, and is one agent's alone."
    ONE_UPDATE_AT_A_TIME "one-update-at-a-time"
        "An agent sends the next update of a task only when the one before is acknowledged."
    ACKNOWLEDGED_IS_SILENT "acknowledged-is-silent"
        "An update whose acknowledgement the agent has recorded is never sent again."
    UPDATES_IN_ORDER "updates-in-order"
        "A framework is told the updates of a task in the order in which they were made; only repeats go back."
    FINAL_IS_FINAL "final-is-final"
        "After a terminal update that an executor made, its framework is told no other state of that task, and no reconciliation says that an acknowledged end is none."
    KILLED_BY_ITS_OWN "killed-by-its-own"
        "A task is killed only if its framework asked for it or ended, or its agent was told to end."
    TORN_DOWN_FOR_A_REASON "torn-down-for-a-reason"
        "A framework is removed only when it asked for it, or was away for its failover timeout."
    IN_ONE_PLACE "in-one-place"
        "Each resource of an agent is in one place at a time: what is offered and what is used never exceed what there is."
    UNREACHABLE_IS_AWAY "unreachable-is-away"
        "No task is unreachable whose agent is registered."
    BOOKS_AGREE "books-agree"
        "Master and allocator have written down the same use of every agent; once quiet, so have agent and frameworks."
    CONTAINERS_AGREE "containers-agree"
        "Once quiet, the containers that run on an agent are those of its executors."
    IS_SUBSCRIBED "is-subscribed"
        "Once quiet, every framework whose scheduler wants it is subscribed, unless it was torn down."
    ENDS_OR_RUNS "ends-or-runs"
        "Once quiet, every launched task still runs, or its framework was told its end."
    NOTHING_FOR_THE_DEAD "nothing-for-the-dead"
        "Once quiet, no task runs for a framework that was torn down."
    NOTHING_WAITS "nothing-waits"
        "Once quiet, no update of a framework that acknowledges waits for its acknowledgement."
    FREE_IS_OFFERED "free-is-offered"
        "Once quiet, what is free is offered to who wants it and has no filter on it."
    FAIR "fair"
        "Once quiet, frameworks that want more have shares that differ by no more than one task's size."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_for_people_has_every_rule_and_no_other() {
        let readme = include_str!("../README.md").lines();
        let rows: Vec<&str> = readme.filter(|line| line.starts_with("| `")).collect();
        let rules = ALL
            .iter()
            .map(|rule| format!("| `{}` | {} |", rule.id, rule.sentence));
        assert_eq!(rows, rules.collect::<Vec<String>>());
    }

    #[test]
    fn ids_are_unique_and_sentences_whole() {
        let mut ids: Vec<&str> = ALL.iter().map(|rule| rule.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), ALL.len());
        for rule in ALL {
            assert!(rule.sentence.ends_with('.'), "{}", rule.id);
            assert!(rule.id.chars().all(|c| c == '-' || c.is_ascii_lowercase()));
        }
    }
}
