//! What a run of a cluster has seen: every message that passes becomes facts, the facts are held
//! to the rules, and what happened is counted.
//!
//! ```text
//!   Passage ──(passages)──► Fact … ──► History ──► Violation …
//!      │                     ▲
//!      └──► frameworks, agents: who is who at present, and what each has been told
//! ```
//!
//! An observer changes nothing: with it or without it, a run is the same. Not here: the rules
//! themselves (`tepui_invariants`).

mod agents;
mod books;
mod errands;
mod frameworks;
mod groups;
mod passages;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tepui_invariants::{Fact, History, Violation};
use tepui_runtime::{Passage, Pid, Time};

use self::agents::Agents;
use self::errands::Errands;
use self::frameworks::Frameworks;
use crate::cluster::Cluster;

/// Violations that are kept; of the others there is only the count.
const MAX_VIOLATIONS: usize = 100;

/// Watches a cluster. Its clones watch together.
#[derive(Clone)]
pub struct Observer(Arc<Mutex<Seen>>);

/// All that was seen.
struct Seen {
    master: Pid,
    history: History,
    frameworks: Frameworks,
    agents: Agents,
    errands: Errands,
    violations: Vec<(Time, Violation)>,
    numbers: BTreeMap<&'static str, u64>,
    /// When the last passage was.
    now: Time,
}

impl Observer {
    /// Watches a cluster from now on; best before anything has run in it.
    pub fn attach(cluster: &mut Cluster) -> Observer {
        Observer::attach_with(cluster, |_| {})
    }

    /// The same; `also` is called for each passage before the observer looks at it.
    pub fn attach_with(
        cluster: &mut Cluster,
        mut also: impl FnMut(&Passage<'_>) + Send + 'static,
    ) -> Observer {
        let seen = Seen {
            master: cluster.master_pid(),
            history: History::new(),
            frameworks: Frameworks::default(),
            agents: Agents::default(),
            errands: Errands::default(),
            violations: Vec::new(),
            numbers: BTreeMap::new(),
            now: cluster.simulation.now(),
        };
        let observer = Observer(Arc::new(Mutex::new(seen)));
        let tapped = Arc::clone(&observer.0);
        cluster.simulation.tap(move |passage| {
            also(passage);
            let mut seen = tapped.lock().unwrap_or_else(PoisonError::into_inner);
            seen.passage(passage);
        });
        cluster.watch(observer.clone());
        observer
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rules that were broken by what happened, and when; the first hundred of them.
    #[must_use]
    pub fn violations(&self) -> Vec<(Time, Violation)> {
        self.seen().violations.clone()
    }

    /// Whether any was.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        !self.seen().violations.is_empty()
    }

    /// What happened, in numbers.
    #[must_use]
    pub fn numbers(&self) -> BTreeMap<&'static str, u64> {
        self.seen().numbers.clone()
    }

    /// Counts something that the observer cannot see itself, such as a fault.
    pub fn count(&self, what: &'static str) {
        self.seen().count(what, 1);
    }

    /// The host at an agent's PID crashes, or its agent has ended; `own` is the id that the agent
    /// went by, if it had one. It may have been told another, and ended for that.
    pub(crate) fn agent_crashed(&self, pid: &Pid, own: &str, at: Time) {
        let mut seen = self.seen();
        seen.count("agent crashes", 1);
        seen.errands.crashed(pid);
        if !own.is_empty() {
            seen.agents.registered(pid, own);
            let agent = own.to_owned();
            seen.happened(at, &Fact::AgentCrashed { agent });
        }
    }

    /// The master has taken it that an agent is gone for good.
    pub(crate) fn marked_gone(&self, agent: String, at: Time) {
        self.seen().happened(at, &Fact::Gone { agent });
    }

    /// The master has taken it that nothing of an agent is offered any more.
    pub(crate) fn deactivated(&self, agent: String, at: Time) {
        self.seen().happened(at, &Fact::Deactivated { agent });
    }

    /// The master is about to be told that an agent may be offered again.
    pub(crate) fn reactivated(&self, agent: String, at: Time) {
        self.seen().happened(at, &Fact::Reactivated { agent });
    }

    /// The disk of the agent at a PID becomes full, or is so no more.
    pub(crate) fn disk_is_full(&self, pid: Pid, full: bool, at: Time) {
        self.seen().agents.disk_is_full(pid, full, at);
    }

    /// The master's host crashes.
    pub(crate) fn master_crashed(&self, at: Time) {
        let mut seen = self.seen();
        seen.count("master crashes", 1);
        seen.frameworks.master_crashed();
        seen.happened(at, &Fact::MasterCrashed);
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = self.seen();
        f.debug_struct("Observer")
            .field("numbers", &seen.numbers)
            .field("violations", &seen.violations)
            .finish_non_exhaustive()
    }
}

impl Seen {
    fn passage(&mut self, passage: &Passage<'_>) {
        self.now = passage.at;
        for fact in self.facts(passage) {
            self.happened(passage.at, &fact);
        }
    }

    fn happened(&mut self, at: Time, fact: &Fact) {
        self.frameworks.happened(fact);
        self.agents.happened(fact);
        for violation in self.history.see(fact) {
            self.count("violations", 1);
            if self.violations.len() < MAX_VIOLATIONS {
                self.violations.push((at, violation));
            }
        }
    }

    fn count(&mut self, what: &'static str, more: usize) {
        *self.numbers.entry(what).or_insert(0) += more as u64;
    }
}

#[cfg(test)]
mod tests;
