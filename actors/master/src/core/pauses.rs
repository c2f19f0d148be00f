//! An agent pauses for a framework whose tasks fail there, one after the other, before they start.
//!
//! What is free is offered at once, so that an agent that launches nothing (its disk is full, say)
//! would draw hundreds of tasks a second from a framework that tries again. With Mesos it draws
//! one offer's worth, since its allocator waits for the next `--allocation_interval`; here it draws
//! a few of them until it pauses for the rest of the interval.
//!
//! Not here: filters, which are the framework's own wish (the allocator).

use std::collections::BTreeMap;
use std::time::Duration;

use tepui_protocol::mesos::v1::TaskState;
use tepui_runtime::Time;

use super::{MasterCore, is_terminal};

/// So many tasks may fail within an interval before the agent pauses.
const FALSE_STARTS_MAX: u32 = 3;

/// What failed before it started, by the ids of framework and agent.
#[derive(Debug, Default)]
pub(super) struct Pauses(BTreeMap<(String, String), FalseStarts>);

/// So many since the interval began that lasts until then.
#[derive(Debug)]
struct FalseStarts {
    count: u32,
    until: Time,
}

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
        pauses.retain(|_, starts| starts.until > now);
        let key = (framework.to_owned(), agent.to_owned());
        let starts = pauses.entry(key);
        starts.or_insert(FalseStarts { count: 0, until }).count += 1;
    }

    /// For how long the agent still pauses for that framework, where it does.
    pub(super) fn pausing(&self, framework: &str, agent: &str) -> Option<Duration> {
        let pauses = &self.book.pauses.0;
        if pauses.is_empty() {
            return None;
        }
        let starts = pauses.get(&(framework.to_owned(), agent.to_owned()))?;
        let pauses = starts.count > FALSE_STARTS_MAX && starts.until > self.now;
        pauses.then(|| starts.until - self.now)
    }
}
