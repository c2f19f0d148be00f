//! What measurements share: repeated runs, their median and spread, and the machine they ran on.
//! It asserts nothing about speed: figures are read, not tested.

pub mod agents;
pub mod http;
pub mod masters;

use std::fmt;
use std::time::{Duration, Instant};

/// How often each contender runs; the median is what is reported.
pub const RUNS: usize = 5;

/// One thing measured: the figures of its runs.
#[derive(Clone, Debug)]
pub struct Figures {
    /// What was measured.
    pub name: String,
    /// What the numbers count.
    pub unit: &'static str,
    /// One figure a run.
    pub runs: Vec<f64>,
}

impl Figures {
    /// The middle one of all runs.
    pub fn median(&self) -> f64 {
        median(&self.runs)
    }
}

/// The middle one of all values.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The value that so many percent of all are not above.
pub fn percentile(values: &[f64], percent: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (sorted.len() as f64 * percent / 100.0).ceil() as usize;
    sorted.get(place.max(1) - 1).copied().unwrap_or(f64::NAN)
}

impl fmt::Display for Figures {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let low = self.runs.iter().copied().fold(f64::INFINITY, f64::min);
        let high = self.runs.iter().copied().fold(0.0, f64::max);
        let precision = if high < 1.0 { 3 } else { 1 };
        write!(
            out,
            "{:<44} {:>14.precision$} {} (from {low:.precision$} to {high:.precision$}, {} runs)",
            self.name,
            self.median(),
            self.unit,
            self.runs.len()
        )
    }
}

/// Lets contenders take turns, [`RUNS`] times each, so that a slow minute of the machine
/// falls on all of them, and prints each one's median.
pub fn compare(title: &str, contenders: &mut [Contender<'_>]) -> Vec<Figures> {
    println!("{title}\n  on {}", machine());
    let mut figures: Vec<Figures> = contenders
        .iter()
        .map(|one| Figures {
            name: one.name.to_owned(),
            unit: one.unit,
            runs: Vec::new(),
        })
        .collect();
    for _ in 0..RUNS {
        for (one, figures) in contenders.iter_mut().zip(&mut figures) {
            figures.runs.push((one.run)());
        }
    }
    for figures in &figures {
        println!("  {figures}");
    }
    figures
}

/// Something that can be measured once.
pub struct Contender<'a> {
    /// What it is.
    pub name: &'a str,
    /// What its figure counts.
    pub unit: &'static str,
    /// Runs it once and gives the figure.
    pub run: Box<dyn FnMut() -> f64 + 'a>,
}

impl fmt::Debug for Contender<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Contender({})", self.name)
    }
}

/// How many of `count` happened a second, when `work` does them all.
pub fn per_second(count: u64, work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    count as f64 / start.elapsed().as_secs_f64()
}

/// How long `work` takes, in milliseconds.
pub fn milliseconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    Duration::as_secs_f64(&start.elapsed()) * 1000.0
}

/// Processor, cores, memory and kernel of this machine in one line.
pub fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model)
        .to_owned();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let memory: u64 = read("/proc/meminfo")
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.trim().split(' ').next()?.parse().ok())
        .unwrap_or(0);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!(
        "{model}, {cores} cores, {} GiB, Linux {}",
        memory / (1 << 20),
        kernel.trim()
    )
}
