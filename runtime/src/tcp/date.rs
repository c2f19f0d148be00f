//! The text of the `Date` header, written anew once a second at most.

use std::time::{SystemTime, UNIX_EPOCH};

/// The current date as HTTP writes it.
#[derive(Default)]
pub(super) struct DateText {
    second: u64,
    text: String,
}

impl DateText {
    /// Brings the text up to date.
    pub(super) fn refresh(&mut self) {
        let now = SystemTime::now();
        let second = now
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        if second != self.second || self.text.is_empty() {
            self.second = second;
            self.text = httpdate::fmt_http_date(now);
        }
    }

    /// The text as of the last refresh.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}
