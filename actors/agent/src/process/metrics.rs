//! The agent's counters and gauges, under Mesos' keys.

use std::sync::Arc;

use tepui_protocol::mesos::v1::{Resource, TaskState};
use tepui_runtime::{Clock, Counter, Metrics};

use crate::core::Note;
use crate::core::executor::ExecutorState;
use crate::snapshot::{Snapshot, SnapshotCell};

/// Counters that the agent increments; gauges are read from its snapshot.
pub(super) struct AgentMetrics {
    finished: Counter,
    failed: Counter,
    killed: Counter,
    lost: Counter,
    gone: Counter,
    executors_terminated: Counter,
    valid_updates: Counter,
    invalid_updates: Counter,
    launch_errors: Counter,
}

impl AgentMetrics {
    /// Registers all of them.
    pub(super) fn new(metrics: &Metrics, snapshot: &SnapshotCell, clock: &Clock) -> AgentMetrics {
        let started = clock.now();
        let ticking = clock.clone();
        metrics.pull_gauge("slave/uptime_secs", move || {
            (ticking.now() - started).as_secs_f64()
        });
        let gauge = |key: &str, read: fn(&Snapshot) -> f64| {
            let snapshot = Arc::clone(snapshot);
            metrics.pull_gauge(key, move || read(&snapshot.load()));
        };
        gauge("slave/registered", |s| {
            if s.is_registered() { 1.0 } else { 0.0 }
        });
        gauge("slave/frameworks_active", |s| whole(s.frameworks.size()));
        gauge("slave/tasks_staging", |s| tasks(s, TaskState::TaskStaging));
        gauge("slave/tasks_starting", |s| {
            tasks(s, TaskState::TaskStarting)
        });
        gauge("slave/tasks_running", |s| tasks(s, TaskState::TaskRunning));
        gauge("slave/tasks_killing", |s| tasks(s, TaskState::TaskKilling));
        gauge("slave/executors_registering", |s| {
            executors(s, ExecutorState::Registering)
        });
        gauge("slave/executors_running", |s| {
            executors(s, ExecutorState::Running)
        });
        gauge("slave/executors_terminating", |s| {
            executors(s, ExecutorState::Terminating)
        });
        for name in ["cpus", "gpus", "mem", "disk"] {
            resource(metrics, snapshot, name, false);
            resource(metrics, snapshot, name, true);
        }
        AgentMetrics {
            finished: metrics.counter("slave/tasks_finished"),
            failed: metrics.counter("slave/tasks_failed"),
            killed: metrics.counter("slave/tasks_killed"),
            lost: metrics.counter("slave/tasks_lost"),
            gone: metrics.counter("slave/tasks_gone"),
            executors_terminated: metrics.counter("slave/executors_terminated"),
            valid_updates: metrics.counter("slave/valid_status_updates"),
            invalid_updates: metrics.counter("slave/invalid_status_updates"),
            launch_errors: metrics.counter("slave/container_launch_errors"),
        }
    }

    /// Counts what the agent told.
    pub(super) fn count(&self, note: &Note) {
        match note {
            Note::Task {
                state: TaskState::TaskFinished,
                ..
            } => self.finished.increment(1),
            Note::Task {
                state: TaskState::TaskFailed,
                ..
            } => self.failed.increment(1),
            Note::Task {
                state: TaskState::TaskKilled,
                ..
            } => self.killed.increment(1),
            Note::Task {
                state: TaskState::TaskLost,
                ..
            } => self.lost.increment(1),
            Note::Task {
                state: TaskState::TaskGone,
                ..
            } => self.gone.increment(1),
            Note::Executor {
                state: ExecutorState::Terminated,
                ..
            } => {
                self.executors_terminated.increment(1);
            }
            Note::ValidUpdate => self.valid_updates.increment(1),
            Note::Refused { update: true, .. } => self.invalid_updates.increment(1),
            Note::LaunchFailed { .. } => self.launch_errors.increment(1),
            Note::Agent { .. }
            | Note::Framework { .. }
            | Note::Executor { .. }
            | Note::Task { .. }
            | Note::Refused { .. }
            | Note::FrameworkMessage(_)
            | Note::Collected { .. }
            | Note::Info(_) => {}
        }
    }
}

/// `slave/NAME_total`, `_used` and `_percent`, of revocable resources or of the others.
fn resource(metrics: &Metrics, snapshot: &SnapshotCell, name: &'static str, revocable: bool) {
    let key = |what: &str| {
        format!(
            "slave/{name}_{}{what}",
            if revocable { "revocable_" } else { "" }
        )
    };
    let total = move |s: &Snapshot| amount(s.info.resources.iter(), name, revocable);
    let used = move |s: &Snapshot| {
        let used = s
            .executors
            .values()
            .filter(|e| e.state != ExecutorState::Terminated);
        amount(
            used.flat_map(|executor| &executor.resources),
            name,
            revocable,
        )
    };
    let gauge = |key: String, read: Box<dyn Fn(&Snapshot) -> f64 + Send + Sync>| {
        let snapshot = Arc::clone(snapshot);
        metrics.pull_gauge(&key, move || read(&snapshot.load()));
    };
    gauge(key("total"), Box::new(total));
    gauge(key("used"), Box::new(used));
    gauge(
        key("percent"),
        Box::new(move |s| match total(s) {
            total if total > 0.0 => used(s) / total,
            _ => 0.0,
        }),
    );
}

fn amount<'a>(resources: impl Iterator<Item = &'a Resource>, name: &str, revocable: bool) -> f64 {
    resources
        .filter(|resource| resource.name == name && resource.revocable.is_some() == revocable)
        .filter_map(|resource| resource.scalar.as_ref())
        .map(|scalar| scalar.value)
        .sum()
}

fn tasks(snapshot: &Snapshot, state: TaskState) -> f64 {
    let all = snapshot
        .executors
        .values()
        .flat_map(|executor| &executor.tasks);
    whole(all.filter(|task| task.task.state() == state).count())
}

fn executors(snapshot: &Snapshot, state: ExecutorState) -> f64 {
    whole(
        snapshot
            .executors
            .values()
            .filter(|executor| executor.state == state)
            .count(),
    )
}

/// A count as metrics show it.
fn whole(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}
