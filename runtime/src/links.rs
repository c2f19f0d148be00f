//! Who wants to know when which process ends. A link is told once and is over then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::address::{Address, Pid};

#[derive(Default)]
struct State {
    /// node -> process there -> ids of the processes here that are linked to it
    linkers: BTreeMap<Address, BTreeMap<Pid, BTreeSet<Box<str>>>>,
    /// id here -> processes it is linked to
    linkees: BTreeMap<Box<str>, BTreeSet<Pid>>,
}

impl State {
    fn forget(&mut self, linker: &str, linkee: &Pid) {
        if let Some(linkees) = self.linkees.get_mut(linker) {
            linkees.remove(linkee);
            if linkees.is_empty() {
                self.linkees.remove(linker);
            }
        }
    }
}

/// The links of the processes of one node.
#[derive(Default)]
pub(crate) struct Links(Mutex<State>);

impl Links {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Links; true if no other link led to that node.
    pub(crate) fn add(&self, linker: &str, linkee: &Pid) -> bool {
        let mut state = self.lock();
        let at_node = state.linkers.entry(linkee.address()).or_default();
        let first = at_node.is_empty();
        at_node
            .entry(linkee.clone())
            .or_default()
            .insert(linker.into());
        state
            .linkees
            .entry(linker.into())
            .or_default()
            .insert(linkee.clone());
        first
    }

    /// Ends the links to a process, and gives who was linked, in the order of ids.
    pub(crate) fn remove_linkee(&self, linkee: &Pid) -> BTreeSet<Box<str>> {
        let mut state = self.lock();
        let Some(at_node) = state.linkers.get_mut(&linkee.address()) else {
            return BTreeSet::new();
        };
        let linkers = at_node.remove(linkee).unwrap_or_default();
        if at_node.is_empty() {
            state.linkers.remove(&linkee.address());
        }
        for linker in &linkers {
            state.forget(linker, linkee);
        }
        linkers
    }

    /// Ends the links to all processes of a node.
    pub(crate) fn remove_address(&self, address: Address) -> BTreeMap<Pid, BTreeSet<Box<str>>> {
        let mut state = self.lock();
        let at_node = state.linkers.remove(&address).unwrap_or_default();
        for (linkee, linkers) in &at_node {
            for linker in linkers {
                state.forget(linker, linkee);
            }
        }
        at_node
    }

    /// Forgets what a process that ended was linked to.
    pub(crate) fn remove_linker(&self, linker: &str) {
        let mut state = self.lock();
        for linkee in state.linkees.remove(linker).unwrap_or_default() {
            let Some(at_node) = state.linkers.get_mut(&linkee.address()) else {
                continue;
            };
            if let Some(linkers) = at_node.get_mut(&linkee) {
                linkers.remove(linker);
                if linkers.is_empty() {
                    at_node.remove(&linkee);
                }
            }
            if at_node.is_empty() {
                state.linkers.remove(&linkee.address());
            }
        }
    }

    /// Whether any process is linked to one of that node.
    pub(crate) fn reaches(&self, address: Address) -> bool {
        self.lock().linkers.contains_key(&address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_when_both_sides_are_gone() {
        let links = Links::default();
        let a: Pid = "a@10.0.0.1:1".parse().unwrap();
        let b: Pid = "b@10.0.0.1:1".parse().unwrap();
        assert!(links.add("x", &a));
        assert!(!links.add("x", &a));
        assert!(!links.add("y", &b));
        assert_eq!(links.remove_linkee(&a), BTreeSet::from(["x".into()]));
        assert!(links.reaches(a.address()));
        links.remove_linker("y");
        assert!(!links.reaches(a.address()));
        let state = links.lock();
        assert!(state.linkers.is_empty() && state.linkees.is_empty());
    }

    #[test]
    fn a_broken_connection_ends_every_link_over_it() {
        let links = Links::default();
        let a: Pid = "a@10.0.0.1:1".parse().unwrap();
        let c: Pid = "c@10.0.0.2:1".parse().unwrap();
        links.add("x", &a);
        links.add("y", &a);
        links.add("x", &c);
        let ended = links.remove_address(a.address());
        assert_eq!(
            ended,
            BTreeMap::from([(a, BTreeSet::from(["x".into(), "y".into()]))])
        );
        assert!(links.reaches(c.address()));
    }
}
