//! A framework's own metrics, `master/frameworks/<name>/<id>/...`: all of them are there from its
//! subscription on, as in Mesos. Not here: what is counted when (`core/counters.rs`), and when
//! they are forgotten.

use std::sync::Arc;

use tepui_protocol::mesos::v1::TaskState;
use tepui_runtime::Metrics;

use crate::published::Published;
use crate::snapshot::Framework;

/// Counters, each with those of its kinds.
const COUNTERS: &[(&str, &[&str])] = &[
    (
        "calls",
        &[
            "subscribe",
            "teardown",
            "accept",
            "decline",
            "accept_inverse_offers",
            "decline_inverse_offers",
            "revive",
            "suppress",
            "kill",
            "shutdown",
            "acknowledge",
            "acknowledge_operation_status",
            "reconcile",
            "reconcile_operations",
            "message",
            "request",
            "update_framework",
        ],
    ),
    (
        "events",
        &[
            "subscribed",
            "offers",
            "inverse_offers",
            "rescind",
            "rescind_inverse_offer",
            "update",
            "update_operation_status",
            "message",
            "failure",
            "error",
        ],
    ),
    (
        "operations",
        &[
            "launch",
            "launch_group",
            "reserve",
            "unreserve",
            "create",
            "destroy",
            "grow_volume",
            "shrink_volume",
            "create_disk",
            "destroy_disk",
        ],
    ),
];

/// Counters that have no sum.
const SINGLE: &[&str] = &[
    "offers/sent",
    "offers/accepted",
    "offers/declined",
    "offers/rescinded",
    "tasks/terminal/task_finished",
    "tasks/terminal/task_failed",
    "tasks/terminal/task_killed",
    "tasks/terminal/task_error",
    "tasks/terminal/task_lost",
    "tasks/terminal/task_dropped",
    "tasks/terminal/task_gone",
    "tasks/terminal/task_gone_by_operator",
];

/// States of tasks that did not end.
const ACTIVE: &[TaskState] = &[
    TaskState::TaskStaging,
    TaskState::TaskStarting,
    TaskState::TaskRunning,
    TaskState::TaskKilling,
    TaskState::TaskUnreachable,
    TaskState::TaskUnknown,
];

/// Shows all metrics of the framework `id`; those that are shown keep their values.
pub(crate) fn show_framework(
    metrics: &Metrics,
    published: &Arc<Published>,
    id: &str,
    prefix: &str,
) {
    // Looked up to be there; the core's effects count by key.
    let show = |key: &str| {
        let _zero = metrics.counter(&format!("{prefix}{key}"));
    };
    for (sum, kinds) in COUNTERS {
        show(sum);
        kinds.iter().for_each(|kind| show(&format!("{sum}/{kind}")));
    }
    SINGLE.iter().for_each(|key| show(key));
    let gauge = |key: &str, read: Box<dyn Fn(&Framework) -> f64 + Send + Sync>, gone: f64| {
        let (published, id) = (Arc::clone(published), id.to_owned());
        metrics.pull_gauge(&format!("{prefix}{key}"), move || {
            published.load().framework(&id).map_or(gone, &read)
        });
    };
    for state in ACTIVE.iter().copied() {
        let key = state.as_str_name().to_ascii_lowercase();
        let count = Box::new(move |framework: &Framework| in_state(framework, state) as f64);
        gauge(&format!("tasks/active/{key}"), count, 0.0);
    }
    // The roles may be others than before.
    metrics.remove(&format!("{prefix}roles/"));
    let roles = published.load().framework(id).map(Framework::roles);
    for role in roles.unwrap_or_default() {
        let key = format!("roles/{role}/suppressed");
        let suppressed = Box::new(move |framework: &Framework| {
            f64::from(u8::from(framework.suppressed_roles.contains(&role)))
        });
        // A framework that ended has no role that could be suppressed: no number, no metric.
        gauge(&key, suppressed, f64::NAN);
    }
}

fn in_state(framework: &Framework, state: TaskState) -> usize {
    if state == TaskState::TaskUnreachable {
        return framework.unreachable_tasks.len();
    }
    let tasks = framework.tasks.values();
    tasks.filter(|task| task.state() == state).count()
}
