//! The allocator's metrics, under Mesos' names.

use std::collections::BTreeSet;
use std::time::Duration;

use tepui_runtime::{Counter, Metrics, Node, Pid, Time};

use crate::core::{Allocator, Run};

/// Gauges are set in each batch, and between batches no more often than this.
const LEAST_BETWEEN: Duration = Duration::from_millis(100);

/// The resources that have gauges of their own, also when no agent has them.
const RESOURCES: [&str; 3] = ["cpus", "mem", "disk"];

pub(crate) struct Published {
    runs: Counter,
    foreign: Counter,
    at: Option<Time>,
    /// The roles that gauges were set for, to take them away with the role.
    shares: BTreeSet<String>,
    filters: BTreeSet<String>,
}

impl Published {
    pub(crate) fn new(metrics: &Metrics) -> Published {
        Published {
            runs: metrics.counter("allocator/mesos/allocation_runs"),
            foreign: metrics.counter("allocator/tepui/foreign_messages"),
            at: None,
            shares: BTreeSet::new(),
            filters: BTreeSet::new(),
        }
    }

    /// The length of the allocator's queue, read when a snapshot is taken.
    pub(crate) fn watch_queue(node: &Node, pid: &Pid) {
        for name in [
            "allocator/mesos/event_queue_dispatches",
            "allocator/event_queue_dispatches",
        ] {
            let (node, pid) = (node.downgrade(), pid.clone());
            node_gauge(&node, name, move |node| {
                let mine = node
                    .processes()
                    .into_iter()
                    .find(|process| process.pid == pid);
                mine.map_or(0.0, |mine| {
                    (mine.events.messages + mine.events.dispatches) as f64
                })
            });
        }
    }

    /// A message came from somebody else than the master.
    pub(crate) fn foreign(&self) {
        self.foreign.increment(1);
    }

    pub(crate) fn run(&mut self, metrics: &Metrics, run: &Run, took: Duration) {
        self.runs.increment(1);
        let milliseconds = |duration: Duration| duration.as_secs_f64() * 1000.0;
        metrics
            .timer("allocator/mesos/allocation_run_ms")
            .record(milliseconds(took));
        metrics
            .timer("allocator/mesos/allocation_run_latency_ms")
            .record(milliseconds(run.waited));
    }

    pub(crate) fn gauges(&mut self, metrics: &Metrics, core: &Allocator, now: Time, batch: bool) {
        if !batch && self.at.is_some_and(|at| now.since(at) < LEAST_BETWEEN) {
            return;
        }
        self.at = Some(now);
        let (total, held) = (core.total(), core.offered_or_allocated());
        for name in RESOURCES {
            let key = |what: &str| format!("allocator/mesos/resources/{name}/{what}");
            metrics.gauge(&key("total"), total.get(name).to_f64());
            metrics.gauge(&key("offered_or_allocated"), held.get(name).to_f64());
        }
        let former = std::mem::take(&mut self.shares);
        for (role, share) in core.dominant_shares() {
            metrics.gauge(
                &format!("allocator/mesos/roles/{role}/shares/dominant"),
                share,
            );
            self.shares.insert(role.to_owned());
        }
        for gone in former.difference(&self.shares) {
            metrics.remove(&format!("allocator/mesos/roles/{gone}/shares/dominant"));
        }
        let former = std::mem::take(&mut self.filters);
        for (role, count) in core.refusals_by_role() {
            let key = format!("allocator/mesos/offer_filters/roles/{role}/active");
            metrics.gauge(&key, count as f64);
            self.filters.insert(role.to_string());
        }
        for gone in former.difference(&self.filters) {
            metrics.remove(&format!(
                "allocator/mesos/offer_filters/roles/{gone}/active"
            ));
        }
    }
}

fn node_gauge(
    node: &tepui_runtime::WeakNode,
    name: &str,
    read: impl Fn(&Node) -> f64 + Send + Sync + 'static,
) {
    let Some(alive) = node.upgrade() else { return };
    let node = node.clone();
    alive.metrics().pull_gauge(name, move || {
        node.upgrade().map_or(f64::NAN, |node| read(&node))
    });
}
