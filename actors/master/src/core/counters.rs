//! The keys of what the core counts; those with a framework, a principal, a state or a reason in
//! them are made here. Not here: gauges that are read from a snapshot (`metrics`).

use std::time::Duration;

use tepui_protocol::mesos::v1::offer::operation::Type as OperationType;
use tepui_protocol::mesos::v1::scheduler::call::Type as CallType;
use tepui_protocol::mesos::v1::scheduler::{Event, event};
use tepui_protocol::mesos::v1::{TaskState, TaskStatus};

use super::{Counter, Effect, MasterCore, Timer};
use crate::snapshot::Framework;

impl MasterCore {
    pub(super) fn arm(&mut self, timer: Timer, after: Duration) {
        self.effects.push(Effect::Arm(timer, after));
    }

    /// The start of a framework's own keys, if they are published.
    pub(super) fn own_keys(&self, id: &str) -> Option<String> {
        if !self.options.publish_per_framework_metrics {
            return None;
        }
        let framework = self.state.framework(id);
        let completed = || self.state.completed_frameworks.get(id).map(AsRef::as_ref);
        framework.or_else(completed).map(prefix)
    }

    /// Counts `name` and `name/part` of a framework.
    fn count_own(&mut self, id: &str, name: &str, part: &str) {
        let Some(prefix) = self.own_keys(id) else {
            return;
        };
        self.count_made(format!("{prefix}{name}"));
        self.count_made(format!("{prefix}{name}/{}", part.to_ascii_lowercase()));
    }

    pub(super) fn count_call(&mut self, id: &str, kind: CallType) {
        self.count_own(id, "calls", kind.as_str_name());
        let framework = self.state.framework(id);
        if let Some(principal) = framework.and_then(Framework::principal) {
            // Nothing waits between the two: there are no rate limits.
            for key in principal_keys(principal) {
                self.count_made(key);
            }
        }
    }

    pub(super) fn count_event(&mut self, id: &str, event: &Event) {
        let kind: event::Type = event.r#type();
        self.count_own(id, "events", kind.as_str_name());
    }

    /// An operation was applied; as in Mesos each task of a LAUNCH is one.
    pub(super) fn count_operation(&mut self, id: &str, kind: OperationType) {
        self.count_own(id, "operations", kind.as_str_name());
    }

    pub(super) fn count_offers(&mut self, id: &str, what: &str, count: usize) {
        if let Some(prefix) = self.own_keys(id).filter(|_| count > 0) {
            let key = format!("{prefix}offers/{what}");
            let counter = Counter::Made(key, count as u64);
            self.effects.push(Effect::Count(counter));
        }
    }

    pub(super) fn gauge_subscribed(&mut self, id: &str) {
        let subscribed = self.state.framework(id).is_some_and(Framework::connected);
        if let Some(prefix) = self.own_keys(id) {
            if subscribed {
                self.effects.push(Effect::Show {
                    framework: id.to_owned(),
                    prefix: prefix.clone(),
                });
            }
            let value = if subscribed { 1.0 } else { 0.0 };
            self.effects
                .push(Effect::Gauge(format!("{prefix}subscribed"), value));
        }
    }

    /// After a framework said something else of itself: it may have another name, which is part of
    /// its keys, and other roles. `before` is how its keys started.
    pub(super) fn show_metrics_anew(&mut self, id: &str, before: Option<String>) {
        if let Some(before) = before.filter(|before| self.own_keys(id).as_ref() != Some(before)) {
            self.effects.push(Effect::Forget(before));
        }
        self.gauge_subscribed(id);
    }

    /// Forgets the keys of a framework, and of its principal if it was the last that had it.
    pub(super) fn forget_metrics(&mut self, framework: &Framework) {
        self.effects.push(Effect::Forget(prefix(framework)));
        let Some(principal) = framework.principal() else {
            return;
        };
        let present = self.state.frameworks.values();
        let completed = self
            .state
            .completed_frameworks
            .iter()
            .map(|(_, other)| other);
        let mut known = present.chain(completed);
        if known.all(|other| other.principal() != Some(principal)) {
            self.effects
                .extend(principal_keys(principal).map(Effect::Forget));
        }
    }

    /// A task ended.
    pub(super) fn count_ended(&mut self, id: &str, state: TaskState, status: &TaskStatus) {
        self.count_outcome(state, status);
        if let Some(prefix) = self.own_keys(id) {
            let name = state.as_str_name().to_ascii_lowercase();
            self.count_made(format!("{prefix}tasks/terminal/{name}"));
        }
    }

    /// A task ended, or was refused and never was one of its framework's: by state, and by state,
    /// source and reason.
    pub(super) fn count_outcome(&mut self, state: TaskState, status: &TaskStatus) {
        let key = match state {
            TaskState::TaskFinished => "master/tasks_finished",
            TaskState::TaskFailed => "master/tasks_failed",
            TaskState::TaskKilled => "master/tasks_killed",
            TaskState::TaskLost => "master/tasks_lost",
            TaskState::TaskError => "master/tasks_error",
            TaskState::TaskDropped => "master/tasks_dropped",
            TaskState::TaskGone => "master/tasks_gone",
            TaskState::TaskGoneByOperator => "master/tasks_gone_by_operator",
            _ => return,
        };
        self.count(key);
        let name = state.as_str_name().to_ascii_lowercase();
        if status.source.is_some() && status.reason.is_some() {
            let source = old_name(status.source().as_str_name());
            let reason = old_name(status.reason().as_str_name());
            self.count_made(format!("master/{name}/{source}/{reason}"));
        }
    }
}

/// Metric keys are older than the word agent: `source_slave`, `reason_slave_removed`.
fn old_name(name: &str) -> String {
    name.to_ascii_lowercase().replace("agent", "slave")
}

/// So many bytes of what a framework says of itself get into a key: it has some seventy keys, and
/// everyone who asks for the metrics is sent them all.
const MOST_IN_KEY: usize = 256;

/// What came from the frameworks of a principal, and what of it was served.
fn principal_keys(principal: &str) -> [String; 2] {
    let principal = &principal[..principal.floor_char_boundary(MOST_IN_KEY)];
    ["received", "processed"].map(|what| format!("frameworks/{principal}/messages_{what}"))
}

/// `master/frameworks/<name, percent encoded>/<id>/`; of a long name the beginning.
fn prefix(framework: &Framework) -> String {
    let mut name = String::new();
    for byte in framework.info.name.bytes() {
        if name.len() > MOST_IN_KEY - 3 {
            break;
        }
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("master/frameworks/{name}/{}/", framework.id)
}
