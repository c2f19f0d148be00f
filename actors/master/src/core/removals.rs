//! Agents that are to be given up, one after the other: with `agent_removal_rate_limit` no two of
//! them become unreachable closer together than it says, so that a fault of the network does not
//! cost the whole cluster at once. Until its turn comes an agent may still be back.
//!
//! Not here: what it means to be unreachable (`agents`).

use std::collections::VecDeque;

use tepui_runtime::Time;

use super::{MasterCore, Timer};

/// Those that wait for their turn.
#[derive(Debug, Default)]
pub(super) struct Removals {
    /// Ids, and why, as told to frameworks.
    queue: VecDeque<(String, String)>,
    /// When the next may go.
    free_at: Option<Time>,
}

impl MasterCore {
    /// Has an agent marked unreachable, as soon as the limit lets it.
    pub(super) fn give_up(&mut self, id: &str, why: &str) {
        let waits = self
            .book
            .removals
            .queue
            .iter()
            .any(|(other, _)| other == id);
        if waits || !self.can_be_given_up(id) {
            return;
        }
        self.count("master/slave_unreachable_scheduled");
        if self.options.agent_removal_rate_limit.is_none() {
            return self.mark_unreachable(id, why);
        }
        self.book
            .removals
            .queue
            .push_back((id.to_owned(), why.to_owned()));
        self.next_removal();
    }

    /// Whether an agent is registered or of the registry, and not about to leave it.
    fn can_be_given_up(&self, id: &str) -> bool {
        let known =
            self.state.agents.contains_key(id) || self.state.recovered_agents.contains_key(id);
        known && !self.is_leaving(id)
    }

    /// Gives the next one up, if its time has come; else comes back then.
    pub(super) fn next_removal(&mut self) {
        let Some(interval) = self.options.agent_removal_rate_limit else {
            return;
        };
        while let Some((id, why)) = self.book.removals.queue.pop_front() {
            if !self.can_be_given_up(&id) {
                continue;
            }
            if let Some(free_at) = self.book.removals.free_at.filter(|at| *at > self.now) {
                self.info(format!(
                    "agent {id} is to be marked unreachable, but not before {:.3} because of \
                     agent_removal_rate_limit: {why}",
                    free_at.as_secs_f64()
                ));
                self.book.removals.queue.push_front((id, why));
                return self.arm(Timer::Removal, free_at.since(self.now));
            }
            self.book.removals.free_at = Some(self.now + interval);
            self.mark_unreachable(&id, &why);
        }
    }

    /// An agent gives a sign of life: it is not given up.
    pub(super) fn keep(&mut self, id: &str) {
        let queue = &mut self.book.removals.queue;
        let before = queue.len();
        queue.retain(|(other, _)| other != id);
        if queue.len() < before {
            self.count("master/slave_unreachable_canceled");
            self.info(format!(
                "agent {id} is not to be marked unreachable any more"
            ));
        }
    }
}
