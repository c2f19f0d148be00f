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
    /// When a simulation holds a cluster to it.
    pub checked: Checked,
    /// Which processes assert it of their own book, in a debug build.
    pub asserted_by: &'static [&'static str],
}

/// When a simulation holds a cluster to a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Checked {
    /// After each message that says anything about it.
    AsItHappens,
    /// Whenever the books are compared: twice a virtual minute, and once all is quiet.
    AtAnyTime,
    /// When nothing moves any more.
    OnceQuiet,
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Checked::AsItHappens => "as it happens",
            Checked::AtAnyTime => "at any time",
            Checked::OnceQuiet => "once quiet",
        })
    }
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
    ($($name:ident $id:literal $sentence:literal $checked:ident $(by $by:literal)*;)*) => {
        $(
            #[doc = $sentence]
            pub const $name: Invariant = Invariant {
                id: $id,
                sentence: $sentence,
                checked: Checked::$checked,
                asserted_by: &[$($by),*],
            };
        )*

        /// Every rule there is.
        pub const ALL: &[&Invariant] = &[$(&$name),*];
    };
}

invariants! {
    OFFER_ID_ONCE "offer-id-once"
        "No two offers ever have the same id."
        AsItHappens;
    OFFER_USED_ONCE "offer-used-once"
        "A task that reaches an agent was launched on offers of that framework which were not used, declined or rescinded before."
        AsItHappens;
    WANTED_WHERE_OFFERED "wanted-where-offered"
        "No offer is made in a role that its framework has suppressed or given up, nor of a deactivated agent."
        AsItHappens;
    HEARS_ITS_OWN "hears-its-own"
        "A framework hears of its own offers, tasks and executors, and of nobody else's."
        AsItHappens;
    STARTED_ONCE "started-once"
        "A task is given to its executor no more than once."
        AsItHappens;
    FORMER_SELF "former-self"
        "No agent acts on a message that was meant for its former self."
        AsItHappens;
    ONE_LIFE "one-life"
        "An agent id whose agent was removed for good never comes back, and is one agent's alone."
        AsItHappens;
    ONE_UPDATE_AT_A_TIME "one-update-at-a-time"
        "An agent sends the next update of a task only when the one before is acknowledged."
        AsItHappens by "agent";
    ACKNOWLEDGED_IS_SILENT "acknowledged-is-silent"
        "An update whose acknowledgement the agent has recorded is never sent again."
        AsItHappens;
    UPDATES_IN_ORDER "updates-in-order"
        "A framework is told the updates of a task in the order in which they were made; only repeats go back."
        AsItHappens;
    FINAL_IS_FINAL "final-is-final"
        "After a terminal update that an executor made, its framework is told no other state of that task."
        AsItHappens;
    RECONCILED_AS_ACKNOWLEDGED "reconciled-as-acknowledged"
        "No reconciliation contradicts what was acknowledged: a task that ended has that end or is not known any more, and one that ran is not yet to start."
        AsItHappens;
    KILLED_BY_ITS_OWN "killed-by-its-own"
        "A task is killed only if its framework asked for it or ended, its agent was told to end, or another of its group failed."
        AsItHappens;
    ALL_OR_NONE "all-or-none"
        "The tasks of a group are given to their executor all at once."
        AsItHappens;
    TORN_DOWN_FOR_A_REASON "torn-down-for-a-reason"
        "A framework is removed only when it asked for it, or was away for its failover timeout."
        AsItHappens;
    IN_ONE_PLACE "in-one-place"
        "Each resource of an agent is in one place at a time: what is offered and what is used never exceed what there is, and no port is there twice."
        AtAnyTime by "master" by "allocator";
    UNREACHABLE_IS_AWAY "unreachable-is-away"
        "No task is unreachable whose agent is registered."
        AtAnyTime;
    BOOKS_AGREE "books-agree"
        "Master and allocator have written down the same use of every agent; once quiet, so have agent and frameworks."
        AtAnyTime;
    CONTAINER_RESOURCES "container-resources"
        "A container has the cpus and the memory of its executor and of its tasks that have not ended, no more and no less."
        AtAnyTime;
    READS_BACK "reads-back"
        "Every message between nodes is read back from what its codec wrote."
        AtAnyTime;
    IS_REGISTERED "is-registered"
        "Once quiet, the agents that are registered are those that are up, each under the id that it has."
        OnceQuiet;
    CONTAINERS_AGREE "containers-agree"
        "Once quiet, the containers that run on an agent are those of its executors."
        OnceQuiet;
    IS_SUBSCRIBED "is-subscribed"
        "Once quiet, every framework whose scheduler wants it is subscribed, unless it was torn down."
        OnceQuiet;
    ONE_FATE "one-fate"
        "Once quiet, none of a default executor's group runs of which one failed or was killed."
        OnceQuiet;
    ENDS_OR_RUNS "ends-or-runs"
        "Once quiet, every launched task still runs, or its framework was told its end."
        OnceQuiet;
    NOTHING_FOR_THE_DEAD "nothing-for-the-dead"
        "Once quiet, no task and no executor runs for a framework that was torn down."
        OnceQuiet;
    NOTHING_WAITS "nothing-waits"
        "Once quiet, no update of a framework that acknowledges waits for its acknowledgement."
        OnceQuiet;
    FREE_IS_OFFERED "free-is-offered"
        "Once quiet, what is free is offered to who wants it and has no filter on it."
        OnceQuiet;
    FAIR "fair"
        "Once quiet, frameworks that want more have shares that differ by no more than one task's size."
        OnceQuiet;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_for_people_has_every_rule_and_no_other() {
        let readme = include_str!("../README.md").lines();
        let rows: Vec<&str> = readme.filter(|line| line.starts_with("| `")).collect();
        let rules = ALL.iter().map(|rule| {
            let Invariant {
                id,
                sentence,
                checked,
                asserted_by,
            } = rule;
            let by = asserted_by.join(", ");
            format!("| `{id}` | {sentence} | {checked} | {by} |").replace("|  |", "| |")
        });
        assert_eq!(rows, rules.collect::<Vec<String>>());
    }

    /// The code that holds to a rule names it.
    #[test]
    fn each_rule_is_checked_where_the_table_says() {
        let history = [
            include_str!("history/agents.rs"),
            include_str!("history/frameworks.rs"),
            include_str!("history/offers.rs"),
            include_str!("history/tasks.rs"),
            include_str!("history/updates.rs"),
            include_str!("history/wishes.rs"),
        ];
        let processes = [
            ("master", include_str!("../../master/src/core/offers.rs")),
            (
                "allocator",
                include_str!("../../allocator/src/core/uses.rs"),
            ),
            ("agent", include_str!("../../agent/src/core/mod.rs")),
        ];
        for rule in ALL {
            let name = rule.id.to_uppercase().replace('-', "_");
            let happens = history
                .iter()
                .any(|text| text.contains(&format!("&{name},")));
            assert_eq!(happens, rule.checked == Checked::AsItHappens, "{name}");
            let compared = include_str!("books.rs").contains(&format!("&{name},"));
            assert_eq!(compared, !happens, "{name}");
            let predicate = format!("= {}(", rule.id.replace('-', "_"));
            let asserts = |(who, text): &(&'static str, &str)| {
                let asserts = text.contains(&predicate) && text.contains("debug_assert!(broken");
                asserts.then_some(*who)
            };
            let by: Vec<&str> = processes.iter().filter_map(asserts).collect();
            assert_eq!(by, rule.asserted_by, "{name}");
        }
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
