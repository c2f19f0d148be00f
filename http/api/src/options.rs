//! What an operator may choose about the gateway, and what it is to show of the daemon.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// How much the OS process logs: 0 is as it was started, more is more. It is one for all nodes of
/// the process.
#[derive(Debug, Clone, Copy)]
pub struct Verbosity {
    /// The level now.
    pub level: fn() -> u32,
    /// Changes the level.
    pub set: fn(u32),
}

/// Options of the HTTP APIs of one daemon.
#[derive(Debug, Clone)]
pub struct ApiOptions {
    /// Streams open at once per API; one more SUBSCRIBE is answered 503.
    pub max_streams: usize,
    /// Bytes that may wait for one stream's client before the stream is cut as stuck. Must hold
    /// the largest single event, which for a scheduler is one OFFERS of the whole cluster.
    pub stream_buffer_bytes: usize,
    /// The daemon's flags that have a value, given or by default, as text: what `/flags` and
    /// `/state` show.
    pub flags: Arc<BTreeMap<String, String>>,
    /// The daemon's log, which `/files` shows as `/master/log` or `/slave/log`.
    pub log_file: Option<PathBuf>,
    /// What `/logging/toggle` shows and changes; absent where the log cannot be changed.
    pub verbosity: Option<Verbosity>,
}

impl Default for ApiOptions {
    fn default() -> Self {
        // 64 MiB hold the offers of some fifty thousand agents, or a scheduler's ordinary
        // traffic while it is paused in a debugger.
        Self {
            max_streams: 10_000,
            stream_buffer_bytes: 64 << 20,
            flags: Arc::default(),
            log_file: None,
            verbosity: None,
        }
    }
}
