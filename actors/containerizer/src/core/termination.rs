//! What a container's end is called: an exit, a kill, or want of memory.
//! Who is told, and when, is decided beside it.

use crate::launch::STATUS_KILLED;

/// Figures of a container that ran out of memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Most memory it ever used, in bytes, where the kernel tells.
    pub(crate) max_usage: Option<u64>,
    /// Its limit in bytes.
    pub(crate) limit: Option<u64>,
    /// The kernel's statistics, as text.
    pub(crate) statistics: String,
}

/// What a launcher knows when it has removed a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    /// Raw wait status; a death by SIGKILL where none was written.
    pub(crate) status: i32,
    /// Whether the kernel killed anything in it for want of memory.
    pub(crate) out_of_memory: Option<Figures>,
    /// What could not be removed.
    pub(crate) error: Option<String>,
}

/// What the observer is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Termination {
    pub(crate) status: i32,
    /// The limit that ended it: a message and, in whole megabytes, the memory.
    pub(crate) memory: Option<(String, u64)>,
    pub(crate) error: Option<String>,
}

impl Termination {
    /// Names the end. `noticed` are the figures of an out-of-memory event that was seen while the
    /// container ran.
    pub(crate) fn of(ending: Ending, noticed: Option<Figures>) -> Termination {
        let Ending {
            status,
            out_of_memory,
            error,
        } = ending;
        // A death by signal 9 that the kernel's out-of-memory killer may have sent is not told
        // before its count was asked: else the reason would be a matter of luck.
        let killed = status & 0x7f == STATUS_KILLED;
        let figures = noticed.or(out_of_memory.filter(|_| killed));
        Termination {
            status,
            memory: figures.map(|figures| figures.describe()),
            error,
        }
    }
}

impl Figures {
    /// Mesos' words for a container that exceeded its memory, and the memory in megabytes.
    pub(crate) fn describe(&self) -> (String, u64) {
        let megabytes = |bytes: Option<u64>| bytes.unwrap_or_default() >> 20;
        let (limit, used) = (
            megabytes(self.limit),
            megabytes(self.max_usage.or(self.limit)),
        );
        let message = format!(
            "Memory limit exceeded: Requested: {limit}MB Maximum Used: {used}MB\n\n\
             MEMORY STATISTICS: \n{}",
            self.statistics
        );
        (message, used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> Figures {
        Figures {
            max_usage: Some(65 << 20),
            limit: Some(64 << 20),
            statistics: "rss 1\n".into(),
        }
    }

    fn ending(status: i32) -> Ending {
        Ending {
            status,
            out_of_memory: Some(figures()),
            error: None,
        }
    }

    #[test]
    fn a_death_by_signal_9_is_want_of_memory_where_the_kernel_counted_one() {
        let message = "Memory limit exceeded: Requested: 64MB Maximum Used: 65MB\n\n\
                       MEMORY STATISTICS: \nrss 1\n";
        let expected = Some((message.to_owned(), 65));
        assert_eq!(Termination::of(ending(9), None).memory, expected);
        assert_eq!(Termination::of(ending(9 | 0x80), None).memory, expected);
        let ending = Ending {
            out_of_memory: None,
            ..ending(9)
        };
        assert_eq!(Termination::of(ending, None).memory, None);
    }

    #[test]
    fn another_end_is_what_it_is_unless_the_event_was_seen() {
        assert_eq!(Termination::of(ending(0), None).memory, None);
        assert_eq!(Termination::of(ending(15), None).memory, None);
        assert!(Termination::of(ending(0), Some(figures())).memory.is_some());
    }
}
