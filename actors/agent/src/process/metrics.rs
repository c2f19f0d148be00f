//! The agent's counters and gauges, under Mesos' keys.

use std::sync::Arc;

use tepui_protocol::mesos::v1::{Resource, TaskState};
use tepui_runtime::{Clock, Counter, Metrics, Time};

use crate::core::executor::ExecutorState;
use crate::core::{AgentState, Note};
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
    valid_messages: Counter,
    invalid_messages: Counter,
    removals_succeeded: Counter,
    removals_failed: Counter,
    metrics: Metrics,
    clock: Clock,
    started: Time,
    /// Until it looks for its master for the first time.
    recovering: bool,
}

/// What the containerizer on the agent's node counts when it happens, and what never happens here:
/// all have to be there from the start.
const COUNTERS: &[&str] = &[
    "containerizer/fetcher/task_fetches_failed",
    "containerizer/fetcher/task_fetches_succeeded",
    "containerizer/mesos/container_destroy_errors",
    // An error ends the recovery.
    "slave/recovery_errors",
    // There is no QoS controller.
    "slave/executors_preempted",
    // There are no resource providers.
    "resource_provider_manager/events/disconnect",
    "resource_provider_manager/events/subscribe",
];

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
        gauge("slave/executor_directory_max_allowed_age_secs", |s| {
            s.max_sandbox_age.as_secs_f64()
        });
        gauge("gc/path_removals_pending", |s| whole(s.scheduled_removals));
        for key in COUNTERS {
            let _zero = metrics.counter(key);
        }
        metrics.gauge("resource_provider_manager/subscribed", 0.0);
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
            valid_messages: metrics.counter("slave/valid_framework_messages"),
            invalid_messages: metrics.counter("slave/invalid_framework_messages"),
            removals_succeeded: metrics.counter("gc/path_removals_succeeded"),
            removals_failed: metrics.counter("gc/path_removals_failed"),
            metrics: metrics.clone(),
            clock: clock.clone(),
            started,
            recovering: true,
        }
    }

    /// Counts what the agent told.
    pub(super) fn count(&mut self, note: &Note) {
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
            Note::FrameworkMessage(Ok(())) => self.valid_messages.increment(1),
            Note::FrameworkMessage(Err(_)) => self.invalid_messages.increment(1),
            Note::Collected { removed, failed } => {
                self.removals_succeeded.increment(*removed as u64);
                self.removals_failed.increment(failed.len() as u64);
            }
            Note::Agent {
                state: AgentState::Disconnected,
                ..
            } if std::mem::take(&mut self.recovering) => {
                let took = self.clock.now() - self.started;
                self.metrics
                    .gauge("slave/recovery_time_secs", took.as_secs_f64());
            }
            Note::Agent { .. }
            | Note::Framework { .. }
            | Note::Executor { .. }
            | Note::Task { .. }
            | Note::Refused { .. }
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
        let used: Vec<Resource> = used.flat_map(|executor| executor.resources()).collect();
        amount(used.iter(), name, revocable)
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
        // A sum of no floats would be -0.
        .fold(0.0, |sum, scalar| sum + scalar.value)
}

fn tasks(snapshot: &Snapshot, state: TaskState) -> f64 {
    let all = snapshot
        .executors
        .values()
        .flat_map(|executor| executor.tasks.values());
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
