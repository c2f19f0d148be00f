//! The log of allocations: each decision with its reason, one JSON object a line.
//!
//! Lines gather in memory and are appended to the file off the actor's thread, one write at a
//! time. What does not fit the buffer while a write lasts is left out, counted, and told of in a
//! line of its own. A refusal that is the same as the last one for that framework, role and agent
//! is not written again.

use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHasher};
use serde::Serialize;
use tepui_runtime::Time;

use crate::core::{Decision, Observer, Reason};

/// How many bytes wait at most: some ten thousand decisions.
const MOST_WAITING: usize = 4 << 20;

/// How many last refusals are remembered; beyond it all are forgotten, and written once more.
const MOST_REMEMBERED: usize = 1 << 18;

/// The lines that are not on disk yet.
pub(crate) struct AllocationLog {
    pub(crate) path: PathBuf,
    waiting: Vec<u8>,
    /// Whether a write is under way.
    writing: bool,
    left_out: u64,
    /// The last refusal, by framework, role and agent; all as hashes.
    last: FxHashMap<u64, u64>,
}

#[derive(Serialize)]
struct Line<'a> {
    /// Seconds since the Unix epoch.
    time: f64,
    batch: bool,
    framework: &'a str,
    role: &'a str,
    agent: &'a str,
    #[serde(flatten)]
    outcome: Outcome<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Outcome<'a> {
    Granted {
        granted: String,
        role_share: f64,
        share: f64,
    },
    Withheld {
        #[serde(flatten)]
        reason: &'a Reason,
        why: String,
    },
}

impl AllocationLog {
    pub(crate) fn new(path: PathBuf) -> AllocationLog {
        AllocationLog {
            path,
            waiting: Vec::new(),
            writing: false,
            left_out: 0,
            last: FxHashMap::default(),
        }
    }

    /// The listener for one run.
    pub(crate) fn listen(&mut self, now: Time, batch: bool) -> Listener<'_> {
        Listener {
            log: self,
            time: now.as_secs_f64(),
            batch,
        }
    }

    /// What is to be appended now; nothing while a write is under way.
    pub(crate) fn take(&mut self) -> Option<Vec<u8>> {
        if self.writing || self.waiting.is_empty() {
            return None;
        }
        self.writing = true;
        Some(std::mem::take(&mut self.waiting))
    }

    /// The write ended.
    pub(crate) fn written(&mut self) {
        self.writing = false;
        if self.left_out > 0 {
            let line = format!("{{\"left_out\":{}}}\n", std::mem::take(&mut self.left_out));
            self.waiting.splice(0..0, line.into_bytes());
        }
    }

    /// All that waits, whatever is under way: for the end.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.waiting)
    }

    fn write(&mut self, line: &Line<'_>) {
        if self.waiting.len() >= MOST_WAITING {
            self.left_out += 1;
            return;
        }
        // Plain structs with names as keys always become JSON.
        if serde_json::to_writer(&mut self.waiting, line).is_ok() {
            self.waiting.push(b'\n');
        }
    }

    /// Whether the refusal differs from the last one for the three.
    fn is_news(&mut self, three: (&Arc<str>, &Arc<str>, &Arc<str>), reason: &Reason) -> bool {
        if self.last.len() >= MOST_REMEMBERED {
            self.last.clear();
        }
        let refusal = hash(format!("{reason:?}"));
        self.last.insert(hash(three), refusal) != Some(refusal)
    }
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = FxHasher::default();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Writes down the decisions of one run.
pub(crate) struct Listener<'a> {
    log: &'a mut AllocationLog,
    time: f64,
    batch: bool,
}

impl Observer for Listener<'_> {
    fn wants_reasons(&self) -> bool {
        true
    }

    fn decided(&mut self, decision: Decision<'_>) {
        let (time, batch) = (self.time, self.batch);
        match decision {
            Decision::Granted {
                grant,
                role_share,
                share,
            } => {
                self.log
                    .last
                    .remove(&hash((&grant.framework, &grant.role, &grant.agent)));
                self.log.write(&Line {
                    time,
                    batch,
                    framework: &grant.framework,
                    role: &grant.role,
                    agent: &grant.agent,
                    outcome: Outcome::Granted {
                        granted: grant.unallocated().to_string(),
                        role_share,
                        share,
                    },
                });
            }
            Decision::Withheld {
                framework,
                role,
                agent,
                reason,
            } => {
                if self.log.is_news((framework, role, agent), &reason) {
                    let why = reason.to_string();
                    let outcome = Outcome::Withheld {
                        reason: &reason,
                        why,
                    };
                    self.log.write(&Line {
                        time,
                        batch,
                        framework,
                        role,
                        agent,
                        outcome,
                    });
                }
            }
        }
    }
}
