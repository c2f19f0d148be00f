//! What the simulated world remembers of a run: a hash over every delivered message, by which two
//! runs are compared, and the last lines as text.

use std::collections::VecDeque;
use std::hash::Hasher;

use rustc_hash::FxHasher;

use crate::address::Pid;
use crate::clock::Time;

/// The trace of a run.
pub(crate) struct Trace {
    hasher: FxHasher,
    deliveries: u64,
    lines: VecDeque<String>,
    limit: usize,
}

impl Trace {
    pub(crate) fn new(limit: usize) -> Trace {
        Trace {
            hasher: FxHasher::default(),
            deliveries: 0,
            lines: VecDeque::new(),
            limit,
        }
    }

    pub(crate) fn add(&mut self, now: Time, from: &Pid, to: &Pid, name: &str, body: &[u8]) {
        self.deliveries += 1;
        self.hasher.write_u64(now.as_nanos());
        for pid in [from, to] {
            self.field(pid.id().as_bytes());
            match pid.address().ip {
                std::net::IpAddr::V4(ip) => self.field(&ip.octets()),
                std::net::IpAddr::V6(ip) => self.field(&ip.octets()),
            }
            self.hasher.write_u16(pid.address().port);
        }
        self.field(name.as_bytes());
        self.field(body);
        if self.limit > 0 {
            if self.lines.len() == self.limit {
                self.lines.pop_front();
            }
            let bytes = body.len();
            self.lines
                .push_back(format!("{now} {from} -> {to} {name} ({bytes} bytes)"));
        }
    }

    /// A field with its length, so that two fields never read as one.
    fn field(&mut self, bytes: &[u8]) {
        self.hasher.write_usize(bytes.len());
        self.hasher.write(bytes);
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hasher.finish()
    }

    pub(crate) fn deliveries(&self) -> u64 {
        self.deliveries
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.iter().cloned().collect()
    }
}
