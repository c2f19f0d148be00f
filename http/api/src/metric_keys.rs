//! Every metric key of Mesos and what has become of it here: served, or why not. For dashboards
//! and alarms that were written for Mesos, and for tests that hold the nodes to it.
//! Not here: the metrics themselves, which master, agent and their helpers keep.

mod table;

/// What has become of a metric of Mesos.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is served, and what it says is measured. Some are there from their first event on only:
    /// those of a framework, a role or a state, and times of which there is none yet.
    Served,
    /// It is served and always zero, which is the truth: what it counts cannot happen, and why.
    Zero(&'static str),
    /// It is not served: it comes with a feature that is not there.
    Later(&'static str),
    /// It is not served and will not be, and why.
    Never(&'static str),
}

/// What a key of a timer can have after its own name, from two values in its window on.
pub const STATISTICS: [&str; 9] = [
    "count", "max", "min", "p50", "p90", "p95", "p99", "p999", "p9999",
];

/// How keys begin that are ours and not Mesos'.
const OURS: &[&str] = &["allocator/tepui/", "http/", "runtime/", "tepui/"];

/// All keys of Mesos and what has become of each. Parts of keys that differ are in braces:
/// `allocator/mesos/roles/{role}/shares/dominant`.
pub fn keys() -> impl Iterator<Item = (String, State)> {
    table::TABLE.iter().flat_map(|(state, keys)| {
        keys.iter()
            .flat_map(|key| match key.strip_suffix("{statistic}") {
                None => vec![((*key).to_owned(), *state)],
                Some(timer) => STATISTICS
                    .iter()
                    .map(|statistic| (format!("{timer}{statistic}"), *state))
                    .collect(),
            })
    })
}

/// What has become of a key as a node shows it, without braces; None for one that Mesos has not.
#[must_use]
pub fn find(key: &str) -> Option<State> {
    keys()
        .find(|(pattern, _)| matches(pattern, key))
        .map(|(_, state)| state)
}

/// Whether a key is ours and not Mesos'.
#[must_use]
pub fn is_ours(key: &str) -> bool {
    OURS.iter().any(|start| key.starts_with(start))
}

/// Whether a key is of that pattern, in which braces stand for any text: Mesos has a role without
/// a name, the root of all.
#[must_use]
pub fn matches(pattern: &str, key: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('{') else {
        return pattern == key;
    };
    let (Some(key), Some((_, rest))) = (key.strip_prefix(start), rest.split_once('}')) else {
        return false;
    };
    let mut ends = key.char_indices().map(|(at, _)| at).chain([key.len()]);
    ends.any(|end| matches(rest, &key[end..]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_key_is_there_twice_and_each_says_why() {
        let mut seen = BTreeSet::new();
        for (key, state) in keys() {
            assert!(seen.insert(key.clone()), "{key} is there twice");
            assert!(!is_ours(&key), "{key} is Mesos'");
            let (State::Zero(why) | State::Later(why) | State::Never(why)) = state else {
                continue;
            };
            assert!(!why.is_empty(), "{key} has no reason");
        }
    }

    #[test]
    fn braces_stand_for_any_text() {
        let pattern = "allocator/mesos/roles/{role}/shares/dominant";
        assert!(matches(
            pattern,
            "allocator/mesos/roles/a/b/shares/dominant"
        ));
        assert!(matches(pattern, "allocator/mesos/roles//shares/dominant"));
        assert!(!matches(
            pattern,
            "allocator/mesos/roles/a/shares/dominant/x"
        ));
        assert!(matches("a/{x}.{y}/c", "a/b.c.d/c"));
        assert!(!matches("a/{x}.{y}/c", "a/bc/c"));
    }

    #[test]
    fn a_key_is_found_by_what_a_node_shows() {
        assert_eq!(find("master/uptime_secs"), Some(State::Served));
        assert_eq!(
            find("allocator/mesos/allocation_run_ms/p999"),
            Some(State::Served)
        );
        assert!(matches!(
            find("registrar/log/recovered"),
            Some(State::Later(_))
        ));
        assert_eq!(find("master/uptime"), None);
    }
}
