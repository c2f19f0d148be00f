//! The master's metrics, under Mesos' keys: counters that are there from the start, and gauges
//! that are read from the snapshot. Not here: what is counted when (`core`).

mod framework;

use std::sync::Arc;

use tepui_protocol::mesos::v1::TaskState;
use tepui_protocol::resources::Resources;
use tepui_runtime::{Node, Pid};

pub(crate) use self::framework::show_framework;
use crate::published::Published;
use crate::snapshot::{Agent, Snapshot};

/// Counters that exist, at zero, before anything happens.
pub(crate) const COUNTERS: &[&str] = &[
    "master/dropped_messages",
    "master/http_cache_hits",
    "master/invalid_executor_to_framework_messages",
    "master/invalid_framework_to_executor_messages",
    "master/invalid_operation_status_update_acknowledgements",
    "master/invalid_operation_status_updates",
    "master/invalid_status_update_acknowledgements",
    "master/invalid_status_updates",
    "master/messages_authenticate",
    "master/messages_deactivate_framework",
    "master/messages_decline_offers",
    "master/messages_executor_to_framework",
    "master/messages_exited_executor",
    "master/messages_framework_to_executor",
    "master/messages_kill_task",
    "master/messages_launch_tasks",
    "master/messages_operation_status_update",
    "master/messages_operation_status_update_acknowledgement",
    "master/messages_reconcile_operations",
    "master/messages_reconcile_tasks",
    "master/messages_register_framework",
    "master/messages_register_slave",
    "master/messages_reregister_framework",
    "master/messages_reregister_slave",
    "master/messages_resource_request",
    "master/messages_revive_offers",
    "master/messages_status_update",
    "master/messages_status_update_acknowledgement",
    "master/messages_suppress_offers",
    "master/messages_unregister_framework",
    "master/messages_unregister_slave",
    "master/messages_update_slave",
    "master/recovery_slave_removals",
    "master/slave_registrations",
    "master/slave_removals",
    "master/slave_removals/reason_registered",
    "master/slave_removals/reason_unhealthy",
    "master/slave_removals/reason_unregistered",
    "master/slave_reregistrations",
    "master/slave_shutdowns_canceled",
    "master/slave_shutdowns_completed",
    "master/slave_shutdowns_scheduled",
    "master/slave_unreachable_canceled",
    "master/slave_unreachable_completed",
    "master/slave_unreachable_scheduled",
    "master/tasks_dropped",
    "master/tasks_error",
    "master/tasks_failed",
    "master/tasks_finished",
    "master/tasks_gone",
    "master/tasks_gone_by_operator",
    "master/tasks_killed",
    "master/tasks_lost",
    "master/valid_executor_to_framework_messages",
    "master/valid_framework_to_executor_messages",
    "master/valid_operation_status_update_acknowledgements",
    "master/valid_operation_status_updates",
    "master/valid_status_update_acknowledgements",
    "master/valid_status_updates",
    "tepui/master/unsupported_calls",
];

/// Counts something in a snapshot.
type Measure = fn(&Snapshot) -> usize;

/// Gauges that count something in the snapshot.
const GAUGES: &[(&str, Measure)] = &[
    ("master/slaves_connected", |s| agents(s, |a| a.connected)),
    ("master/slaves_disconnected", |s| {
        agents(s, |a| !a.connected)
    }),
    ("master/slaves_active", |s| agents(s, |a| a.active)),
    ("master/slaves_inactive", |s| agents(s, |a| !a.active)),
    ("master/slaves_unreachable", |s| s.unreachable_agents.size()),
    ("master/frameworks_connected", |s| {
        s.frameworks.values().filter(|f| f.connected()).count()
    }),
    ("master/frameworks_disconnected", |s| {
        s.frameworks.values().filter(|f| !f.connected()).count()
    }),
    ("master/frameworks_active", |s| {
        s.frameworks.values().filter(|f| f.active).count()
    }),
    ("master/frameworks_inactive", |s| {
        s.frameworks.values().filter(|f| !f.active).count()
    }),
    ("master/outstanding_offers", |s| s.offers.size()),
    ("master/tasks_staging", |s| {
        s.task_counts.get(TaskState::TaskStaging)
    }),
    ("master/tasks_starting", |s| {
        s.task_counts.get(TaskState::TaskStarting)
    }),
    ("master/tasks_running", |s| {
        s.task_counts.get(TaskState::TaskRunning)
    }),
    ("master/tasks_killing", |s| {
        s.task_counts.get(TaskState::TaskKilling)
    }),
    ("master/tasks_unreachable", |s| {
        s.task_counts.get(TaskState::TaskUnreachable)
    }),
    ("master/elected", |s| usize::from(s.recovered)),
];

/// Gauges of what a master of ours never has: operator streams, and requests in its queue, which
/// are answered from the snapshot and do not pass through it.
const NOTHING: &[&str] = &[
    "master/operator_event_stream_subscribers",
    "master/event_queue_http_requests",
];

/// Offer operations that have an outcome of their own; each state has a sum of all besides. None
/// of them is taken, so that all are zero.
const OPERATIONS: [&str; 9] = [
    "",
    "reserve/",
    "unreserve/",
    "create/",
    "destroy/",
    "grow_volume/",
    "shrink_volume/",
    "create_disk/",
    "destroy_disk/",
];

/// States of operations, and whether the metric is a counter.
const OPERATION_STATES: [(&str, bool); 9] = [
    ("total", true),
    ("pending", false),
    ("recovering", false),
    ("unreachable", false),
    ("finished", true),
    ("failed", true),
    ("error", true),
    ("dropped", true),
    ("gone_by_operator", true),
];

/// The resources that have gauges of their own.
const RESOURCES: [&str; 4] = ["cpus", "gpus", "mem", "disk"];

fn agents(snapshot: &Snapshot, is: impl Fn(&Agent) -> bool) -> usize {
    snapshot.agents.values().filter(|agent| is(agent)).count()
}

/// Puts the counters and gauges of the master with that PID onto its node.
pub(crate) fn publish(node: &Node, pid: &Pid, published: &Arc<Published>) {
    let metrics = node.metrics();
    for key in COUNTERS {
        // Looked up to be there; the core's effects count by key.
        let _zero = metrics.counter(key);
    }
    for (key, count) in GAUGES {
        let published = Arc::clone(published);
        metrics.pull_gauge(key, move || count(&published.load()) as f64);
    }
    for key in NOTHING {
        metrics.gauge(key, 0.0);
    }
    for operation in OPERATIONS {
        for (state, counter) in OPERATION_STATES {
            let key = format!("master/operations/{operation}{state}");
            if counter {
                let _zero = metrics.counter(&key);
            } else {
                metrics.gauge(&key, 0.0);
            }
        }
    }
    for name in RESOURCES {
        for revocable in [false, true] {
            resource_gauges(node, published, name, revocable);
        }
    }
    let (clock, snapshot) = (node.clock().clone(), Arc::clone(published));
    metrics.pull_gauge("master/uptime_secs", move || {
        clock.now().since(snapshot.load().started_at).as_secs_f64()
    });
    type Count = fn(&tepui_runtime::EventCounts) -> u64;
    let queues: [(&str, Count); 2] = [
        ("master/event_queue_messages", |events| events.messages),
        ("master/event_queue_dispatches", |events| events.dispatches),
    ];
    for (key, count) in queues {
        let (node, pid) = (node.downgrade(), pid.clone());
        metrics.pull_gauge(key, move || {
            let processes = node
                .upgrade()
                .map(|node| node.processes())
                .unwrap_or_default();
            let mine = processes.into_iter().find(|process| process.pid == pid);
            mine.map_or(0.0, |mine| count(&mine.events) as f64)
        });
    }
}

fn resource_gauges(node: &Node, published: &Arc<Published>, name: &'static str, revocable: bool) {
    let part = move |resources: &Resources| {
        let part = if revocable {
            resources.revocable()
        } else {
            resources.non_revocable()
        };
        part.scalar(name).to_f64()
    };
    let total = move |snapshot: &Snapshot| -> f64 {
        snapshot
            .agents
            .values()
            .map(|agent| part(&agent.total))
            .fold(0.0, |sum, amount| sum + amount)
    };
    let used = move |snapshot: &Snapshot| -> f64 {
        let used = snapshot
            .agents
            .values()
            .flat_map(|agent| agent.used.values());
        // A sum of nothing would be -0.
        used.map(|used| part(used))
            .fold(0.0, |sum, amount| sum + amount)
    };
    let prefix = if revocable {
        format!("master/{name}_revocable")
    } else {
        format!("master/{name}")
    };
    let metrics = node.metrics();
    let snapshot = Arc::clone(published);
    metrics.pull_gauge(&format!("{prefix}_total"), move || total(&snapshot.load()));
    let snapshot = Arc::clone(published);
    metrics.pull_gauge(&format!("{prefix}_used"), move || used(&snapshot.load()));
    let snapshot = Arc::clone(published);
    metrics.pull_gauge(&format!("{prefix}_percent"), move || {
        let snapshot = snapshot.load();
        let total = total(&snapshot);
        if total > 0.0 {
            used(&snapshot) / total
        } else {
            0.0
        }
    });
}
