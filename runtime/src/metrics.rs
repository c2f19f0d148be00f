//! The metrics of a node: counters, gauges and timers under Mesos' names.
//!
//! Each node has its own; there is no global recorder. The values live here; what speaks
//! Prometheus gets them when it asks. Which keys there are is the business of who sets them.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use metrics::{Key, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

/// How many values of a timer are kept for its statistics, as Mesos' time series keeps.
const WINDOW: usize = 1000;

type Pull = Arc<dyn Fn() -> f64 + Send + Sync>;

#[derive(Clone)]
enum Metric {
    Counter(Counter),
    Gauge(Arc<AtomicU64>),
    Pull(Pull),
    Timer(Timer),
}

/// A number that only rises.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds to it.
    pub fn increment(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    /// Its value.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Default)]
struct Recorded {
    last: Option<f64>,
    count: u64,
    window: VecDeque<f64>,
}

/// Durations in milliseconds, with their statistics over the last 1000.
#[derive(Clone, Default)]
pub struct Timer {
    recorded: Arc<Mutex<Recorded>>,
    exported: Option<(metrics::Histogram, PrometheusHandle)>,
}

impl Timer {
    /// Adds a duration in milliseconds.
    pub fn record(&self, milliseconds: f64) {
        let mut recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        recorded.last = Some(milliseconds);
        recorded.count += 1;
        if recorded.window.len() == WINDOW {
            recorded.window.pop_front();
        }
        recorded.window.push_back(milliseconds);
        let tidy = recorded.count.is_multiple_of(WINDOW as u64);
        drop(recorded);
        if let Some((histogram, exporter)) = &self.exported {
            histogram.record(milliseconds);
            // A histogram keeps each value until somebody asks for it, if ever.
            if tidy {
                exporter.run_upkeep();
            }
        }
    }

    /// Mesos' keys of a timer: the last value under the name itself, and, from two values on,
    /// statistics with percentiles by linear interpolation.
    fn snapshot(&self, name: &str, into: &mut BTreeMap<String, f64>) {
        let recorded = self.recorded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = recorded.last {
            into.insert(name.to_owned(), last);
        }
        if recorded.window.len() < 2 {
            return;
        }
        into.insert(format!("{name}/count"), whole(recorded.count));
        let mut sorted: Vec<f64> = recorded.window.iter().copied().collect();
        drop(recorded);
        sorted.sort_by(f64::total_cmp);
        into.insert(format!("{name}/min"), sorted[0]);
        into.insert(format!("{name}/max"), sorted[sorted.len() - 1]);
        for (key, permyriad) in [
            ("p50", 5000),
            ("p90", 9000),
            ("p95", 9500),
            ("p99", 9900),
            ("p999", 9990),
            ("p9999", 9999),
        ] {
            into.insert(format!("{name}/{key}"), percentile(&sorted, permyriad));
        }
    }
}

/// The value below which that many of 10,000 values lie.
fn percentile(sorted: &[f64], permyriad: usize) -> f64 {
    let position = permyriad * (sorted.len() - 1);
    let (index, rest) = (position / 10_000, position % 10_000);
    let low = sorted[index];
    let high = sorted.get(index + 1).copied().unwrap_or(low);
    low + (high - low) * (whole(rest as u64) / 10_000.0)
}

/// A count as metrics show it; beyond 2^53 the last digits are lost.
fn whole(count: u64) -> f64 {
    count as f64
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Timer")
    }
}

struct Inner {
    metrics: RwLock<BTreeMap<String, Metric>>,
    recorder: PrometheusRecorder,
}

/// The metrics of one node. Clones are the same metrics.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

const METADATA: Metadata<'static> = Metadata::new("tepui", Level::INFO, None);

impl Metrics {
    pub(crate) fn new() -> Metrics {
        let recorder = PrometheusBuilder::new().build_recorder();
        Metrics(Arc::new(Inner {
            metrics: RwLock::default(),
            recorder,
        }))
    }

    /// The metric of a name, made if there is none; one of another kind is replaced.
    fn entry<T>(
        &self,
        name: &str,
        is: impl Fn(&Metric) -> Option<T>,
        make: impl FnOnce() -> Metric,
    ) -> Option<T> {
        let known = self
            .0
            .metrics
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = known.get(name).and_then(&is) {
            return Some(found);
        }
        drop(known);
        let mut all = self
            .0
            .metrics
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = all.get(name).and_then(&is) {
            return Some(found);
        }
        let made = make();
        let found = is(&made);
        all.insert(name.to_owned(), made);
        found
    }

    /// The counter of a name, from 0. Keep it: looking it up costs more than counting.
    #[must_use]
    pub fn counter(&self, name: &str) -> Counter {
        let is = |metric: &Metric| match metric {
            Metric::Counter(counter) => Some(counter.clone()),
            _ => None,
        };
        self.entry(name, is, || Metric::Counter(Counter::default()))
            .unwrap_or_default()
    }

    /// Sets a gauge.
    pub fn gauge(&self, name: &str, value: f64) {
        let is = |metric: &Metric| match metric {
            Metric::Gauge(gauge) => Some(Arc::clone(gauge)),
            _ => None,
        };
        if let Some(gauge) = self.entry(name, is, || Metric::Gauge(Arc::default())) {
            gauge.store(value.to_bits(), Ordering::Relaxed);
        }
    }

    /// A gauge that is read when a snapshot is taken. `read` must be quick and must not come back
    /// to the metrics. A value that is no number is left out of snapshots.
    pub fn pull_gauge(&self, name: &str, read: impl Fn() -> f64 + Send + Sync + 'static) {
        let mut all = self
            .0
            .metrics
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        all.insert(name.to_owned(), Metric::Pull(Arc::new(read)));
    }

    /// The timer of a name, which by custom ends in `_ms`.
    #[must_use]
    pub fn timer(&self, name: &str) -> Timer {
        let is = |metric: &Metric| match metric {
            Metric::Timer(timer) => Some(timer.clone()),
            _ => None,
        };
        let make = || {
            let key = Key::from_name(name.to_owned());
            let histogram = self.0.recorder.register_histogram(&key, &METADATA);
            Metric::Timer(Timer {
                recorded: Arc::default(),
                exported: Some((histogram, self.0.recorder.handle())),
            })
        };
        self.entry(name, is, make).unwrap_or_default()
    }

    /// Removes a metric, or all whose name begins with `prefix` when it ends in `/`.
    pub fn remove(&self, prefix: &str) {
        let mut all = self
            .0
            .metrics
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if prefix.ends_with('/') {
            all.retain(|name, _| !name.starts_with(prefix));
        } else {
            all.remove(prefix);
        }
    }

    fn all(&self) -> Vec<(String, Metric)> {
        let all = self
            .0
            .metrics
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        all.iter()
            .map(|(name, metric)| (name.clone(), metric.clone()))
            .collect()
    }

    /// All values, by name.
    #[must_use]
    pub fn snapshot(&self) -> BTreeMap<String, f64> {
        let mut snapshot = BTreeMap::new();
        for (name, metric) in self.all() {
            match metric {
                Metric::Counter(counter) => {
                    snapshot.insert(name, whole(counter.value()));
                }
                Metric::Gauge(gauge) => {
                    snapshot.insert(name, f64::from_bits(gauge.load(Ordering::Relaxed)));
                }
                Metric::Pull(read) => {
                    let value = read();
                    if value.is_finite() {
                        snapshot.insert(name, value);
                    }
                }
                Metric::Timer(timer) => timer.snapshot(&name, &mut snapshot),
            }
        }
        snapshot
    }

    /// All values in Prometheus' text format.
    #[must_use]
    pub fn prometheus(&self) -> String {
        for (name, metric) in self.all() {
            let key = Key::from_name(name);
            let recorder = &self.0.recorder;
            match metric {
                Metric::Counter(counter) => {
                    recorder
                        .register_counter(&key, &METADATA)
                        .absolute(counter.value());
                }
                Metric::Gauge(gauge) => {
                    let value = f64::from_bits(gauge.load(Ordering::Relaxed));
                    recorder.register_gauge(&key, &METADATA).set(value);
                }
                Metric::Pull(read) => recorder.register_gauge(&key, &METADATA).set(read()),
                Metric::Timer(_) => {}
            }
        }
        self.0.recorder.handle().render()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_has_every_value_by_name() {
        let metrics = Metrics::new();
        metrics.counter("master/tasks_finished").increment(2);
        metrics.counter("master/tasks_finished").increment(1);
        metrics.gauge("master/elected", 1.0);
        metrics.pull_gauge("system/load_1min", || 0.5);
        metrics.pull_gauge("system/broken", || f64::NAN);
        let expected = [
            ("master/elected", 1.0),
            ("master/tasks_finished", 3.0),
            ("system/load_1min", 0.5),
        ];
        let expected: BTreeMap<String, f64> = expected
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        assert_eq!(metrics.snapshot(), expected);
        metrics.remove("system/");
        assert_eq!(metrics.snapshot().len(), 2);
    }

    #[test]
    fn a_timer_has_statistics_from_two_values_on() {
        let metrics = Metrics::new();
        let timer = metrics.timer("allocation_run_ms");
        timer.record(4.0);
        assert_eq!(metrics.snapshot().len(), 1);
        timer.record(2.0);
        let snapshot = metrics.snapshot();
        assert_eq!(snapshot["allocation_run_ms"], 2.0);
        assert_eq!(snapshot["allocation_run_ms/count"], 2.0);
        assert_eq!(snapshot["allocation_run_ms/min"], 2.0);
        assert_eq!(snapshot["allocation_run_ms/max"], 4.0);
        assert_eq!(snapshot["allocation_run_ms/p50"], 3.0);
    }

    #[test]
    fn two_nodes_count_apart_also_for_prometheus() {
        let (a, b) = (Metrics::new(), Metrics::new());
        a.counter("master/tasks_finished").increment(1);
        assert!(
            a.prometheus().contains("master_tasks_finished 1"),
            "{}",
            a.prometheus()
        );
        assert!(!b.prometheus().contains("master_tasks_finished"));
    }
}
