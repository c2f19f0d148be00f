//! What an operator may choose about the gateway.

/// Bounds of the HTTP APIs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiOptions {
    /// Streams open at once per API; one more SUBSCRIBE is answered 503.
    pub max_streams: usize,
    /// Bytes that may wait for one stream's client before the stream is cut as stuck. Must hold
    /// the largest single event, which for a scheduler is one OFFERS of the whole cluster.
    pub stream_buffer_bytes: usize,
}

impl Default for ApiOptions {
    fn default() -> Self {
        // 64 MiB hold the offers of some fifty thousand agents, or a scheduler's ordinary
        // traffic while it is paused in a debugger.
        Self {
            max_streams: 10_000,
            stream_buffer_bytes: 64 << 20,
        }
    }
}
