//! Trees of processes where no namespace and no cgroup holds them together: a process belongs to
//! a tree by its parents, its session or its process group. A process that leaves all three
//! escapes; that is the known limit of the posix launcher and of a kill by an executor.

use std::collections::BTreeSet;
use std::time::Duration;

use nix::libc;

use crate::kernel::sys;

/// What one process is to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Relation {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    pub(crate) group: i32,
    pub(crate) session: i32,
    /// Dead, only not reaped: it can neither be killed nor fork.
    pub(crate) dead: bool,
}

/// Every process that /proc shows.
pub(crate) fn processes() -> Vec<Relation> {
    let Ok(all) = procfs::process::all_processes() else {
        return Vec::new();
    };
    all.filter_map(|process| Some(Relation::of(&process.ok()?.stat().ok()?)))
        .collect()
}

impl Relation {
    /// What `/proc/<pid>/stat` says of it.
    pub(crate) fn of(stat: &procfs::process::Stat) -> Relation {
        Relation {
            pid: stat.pid,
            parent: stat.ppid,
            group: stat.pgrp,
            session: stat.session,
            dead: matches!(stat.state, 'Z' | 'X'),
        }
    }
}

/// All of `table` that belongs to the tree of `root`, the root included, in the order found:
/// parents before children. As Mesos' killtree, it follows groups and sessions that are led from
/// inside the tree, so that a double fork is found as long as it kept one of them.
pub(crate) fn members(root: i32, table: &[Relation]) -> Vec<i32> {
    let mut found = vec![root];
    let mut seen = BTreeSet::from([root]);
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        next += 1;
        for relation in table {
            let belongs =
                relation.parent == pid || relation.group == pid || relation.session == pid;
            if belongs && relation.pid > 1 && seen.insert(relation.pid) {
                found.push(relation.pid);
            }
        }
    }
    found
}

/// Sends a signal to every process of a tree but its root. Gives how many it reached.
pub(crate) fn signal_descendants(root: i32, signal: i32) -> usize {
    let table = processes();
    let dead: BTreeSet<i32> = table
        .iter()
        .filter(|relation| relation.dead)
        .map(|relation| relation.pid)
        .collect();
    members(root, &table)
        .into_iter()
        .skip(1)
        .filter(|pid| !dead.contains(pid) && sys::kill(*pid, signal).is_ok())
        .count()
}

/// Kills what this process, a subreaper or an init, still has below it. Bounded: who forks faster
/// than /proc can be read wins.
pub(crate) fn kill_descendants_of_this_process() {
    let this = nix::unistd::getpid().as_raw();
    for _ in 0..200 {
        let reached = signal_descendants(this, libc::SIGKILL);
        while sys::reap_any().is_some() {}
        if reached == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Kills a whole tree.
pub(crate) fn kill_tree(root: i32) {
    signal_tree(root, libc::SIGKILL);
}

/// Sends a signal to a whole tree, as Mesos' killtree: stops it from the root down, so that nobody
/// is forked, reparented away or told of another's end while the rest is found; then signals all
/// of it; then lets all of it go on.
pub(crate) fn signal_tree(root: i32, signal: i32) {
    let mut stopped = Vec::new();
    let mut seen = BTreeSet::new();
    for _ in 0..100 {
        let mut grown = false;
        for pid in members(root, &processes()) {
            if seen.insert(pid) && sys::kill(pid, libc::SIGSTOP).is_ok() {
                stopped.push(pid);
                grown = true;
            }
        }
        if !grown {
            break;
        }
    }
    for pid in &stopped {
        let _ = sys::kill(*pid, signal);
    }
    if signal != libc::SIGKILL {
        for pid in stopped {
            let _ = sys::kill(pid, libc::SIGCONT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relation(pid: i32, parent: i32, group: i32, session: i32) -> Relation {
        Relation {
            pid,
            parent,
            group,
            session,
            dead: false,
        }
    }

    #[test]
    fn a_tree_follows_parents_groups_and_sessions() {
        let table = [
            relation(10, 1, 10, 10),
            relation(11, 10, 10, 10),
            relation(12, 11, 12, 12),
            // A double fork: its parent died, its session stayed.
            relation(13, 1, 13, 12),
            // A double fork that kept only the group.
            relation(14, 1, 10, 99),
            relation(20, 1, 20, 20),
        ];
        let mut found = members(10, &table);
        found.sort_unstable();
        assert_eq!(found, [10, 11, 12, 13, 14]);
    }

    #[test]
    fn a_process_without_relations_is_not_of_the_tree() {
        let table = [relation(10, 1, 10, 10), relation(30, 1, 30, 30)];
        assert_eq!(members(10, &table), [10]);
    }
}
