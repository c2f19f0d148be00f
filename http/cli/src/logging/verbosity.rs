//! How much is logged, changed while the command runs. As the subscriber itself, it is one for the OS
//! process.

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering},
};

use tepui_api::Verbosity;
use tracing_subscriber::{EnvFilter, reload};

use super::filter;

/// Puts another filter in front of one of the places where lines go.
pub(super) type Change = Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>;

struct Kept {
    /// The level that was given, as text.
    original: String,
    raised: AtomicU32,
    changes: Vec<Change>,
}

static KEPT: OnceLock<Kept> = OnceLock::new();

/// Keeps what is needed to change the level that was given.
pub(super) fn keep(original: &str, changes: Vec<Change>) {
    // Logging is set up once; where it was already, that stays.
    let _ = KEPT.set(Kept {
        original: original.to_owned(),
        raised: AtomicU32::new(0),
        changes,
    });
}

/// What changes the level, once logging was set up.
pub(crate) fn verbosity() -> Option<Verbosity> {
    KEPT.get().map(|_| Verbosity { level, set })
}

fn level() -> u32 {
    KEPT.get()
        .map_or(0, |kept| kept.raised.load(Ordering::Relaxed))
}

fn set(level: u32) {
    let Some(kept) = KEPT.get() else { return };
    let text = match level {
        0 => kept.original.as_str(),
        1 | 2 => "debug",
        _ => "trace",
    };
    kept.raised.store(level, Ordering::Relaxed);
    for change in &kept.changes {
        let changed = filter(text).map_err(|problem| problem.to_string());
        let changed = changed.and_then(|it| change(it).map_err(|problem| problem.to_string()));
        if let Err(problem) = changed {
            tracing::warn!(level, problem, "the level of the log was not changed");
        }
    }
}
