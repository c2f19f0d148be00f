//! An agent pauses for a framework whose task failed there before it started.
//!
//! What is free is offered at once, so that an agent that launches nothing (its disk is full, say)
//! would draw hundreds of tasks a second from a framework that tries again. With Mesos it draws
//! one, since its allocator waits for the next `--allocation_interval`; so does this pause.
//!
//! Not here: filters, which are the framework's own wish (the allocator).

use std::collections::BTreeMap;
use std::time::Duration;

use tepui_protocol::mesos::v1::{Filters, TaskState};
use tepui_runtime::Time;

use super::{MasterCore, is_terminal};

/// Until when, by the ids of framework and agent.
#[derive(Debug, Default)]
pub(super) struct Pauses(BTreeMap<(String, String), Time>);

/// Whether a task that goes from `old` to `new` has failed before it started.
fn is_false_start(old: TaskState, new: TaskState) -> bool {
    let wanted = matches!(new, TaskState::TaskFinished | TaskState::TaskKilled);
    old == TaskState::TaskStaging && is_terminal(new) && !wanted
}

impl MasterCore {
    fn pause(&self) -> Duration {
        self.options.allocator.decisions.allocation_interval
    }

    /// A task of a framework on an agent goes from one state to another.
    pub(super) fn pause_after(
        &mut self,
        framework: &str,
        agent: &str,
        old: TaskState,
        new: TaskState,
    ) {
        if !is_false_start(old, new) {
            return;
        }
        let (now, until) = (self.now, self.now + self.pause());
        let pauses = &mut self.book.pauses.0;
        // Those that are over would stay for ever.
        pauses.retain(|_, until| *until > now);
        pauses.insert((framework.to_owned(), agent.to_owned()), until);
    }

    /// The filter with which an agent's resources go back to the allocator, where the agent pauses
    /// for that framework.
    pub(super) fn pausing(&self, framework: &str, agent: &str) -> Option<Filters> {
        let pauses = &self.book.pauses.0;
        if pauses.is_empty() {
            return None;
        }
        let until = pauses.get(&(framework.to_owned(), agent.to_owned()))?;
        (*until > self.now).then(|| Filters {
            refuse_seconds: Some((*until - self.now).as_secs_f64()),
        })
    }
}
