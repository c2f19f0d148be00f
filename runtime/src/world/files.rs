//! How many files the OS process may have open; every connection is one.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the soft limit of open files to the hard one. Returns the soft limit of before, if it
/// was another: a program that is started later may want it.
pub(crate) fn raise_limit() -> Option<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    if soft >= hard {
        return None;
    }
    match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => Some(soft),
        Err(problem) => {
            tracing::warn!(%problem, soft, hard, "the limit of open files was not raised");
            None
        }
    }
}

/// So many connections leave enough files for everything else: an eighth, and some.
pub(crate) fn room_for_connections() -> usize {
    let soft = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _hard)| soft);
    let soft = usize::try_from(soft).unwrap_or(usize::MAX);
    (soft - soft / 8).saturating_sub(64).max(1)
}
