//! What a container's end is called: an exit, a kill, or want of memory.
//! Who is told, and when, is decided beside it.

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
    /// Its init never got the word, as far as is known: its command did not run.
    pub(crate) never_ran: bool,
}

/// A container exceeded its memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exceeded {
    /// Mesos' words, with the figures.
    pub(crate) message: String,
    /// The most it used.
    pub(crate) megabytes: u64,
}

/// What the observer is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Termination {
    pub(crate) status: i32,
    /// The limit that ended it.
    pub(crate) memory: Option<Exceeded>,
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
            never_ran: _,
        } = ending;
        // Whatever the command says of itself: a shell turns the death of its child into an exit
        // status of its own, and may be faster than the event. One fact decides, so that the
        // reason is no matter of luck: whether the kernel has killed.
        let figures = noticed.or(out_of_memory);
        Termination {
            status,
            memory: figures.map(|figures| figures.describe()),
            error,
        }
    }
}

impl Figures {
    /// Mesos' words for a container that exceeded its memory.
    pub(crate) fn describe(&self) -> Exceeded {
        let limit = self.limit.unwrap_or_default();
        let used = self.max_usage.unwrap_or(limit);
        Exceeded {
            message: format!(
                "Memory limit exceeded: Requested: {} Maximum Used: {}\n\n\
                 MEMORY STATISTICS: \n{}",
                bytes(limit),
                bytes(used),
                self.statistics
            ),
            megabytes: used >> 20,
        }
    }
}

/// Mesos' text of an amount: in the largest unit in which it is a whole number.
fn bytes(amount: u64) -> String {
    let mut amount = amount;
    for unit in ["B", "KB", "MB", "GB"] {
        if amount == 0 || !amount.is_multiple_of(1024) {
            return format!("{amount}{unit}");
        }
        amount /= 1024;
    }
    format!("{amount}TB")
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
            never_ran: false,
        }
    }

    #[test]
    fn any_end_is_want_of_memory_where_the_kernel_killed_for_it() {
        let message = "Memory limit exceeded: Requested: 64MB Maximum Used: 65MB\n\n\
                       MEMORY STATISTICS: \nrss 1\n";
        let expected = Some(Exceeded {
            message: message.to_owned(),
            megabytes: 65,
        });
        // Killed, killed with a core, what a shell says of a killed child, and what it hides.
        for status in [9, 9 | 0x80, 137 << 8, 0] {
            assert_eq!(Termination::of(ending(status), None).memory, expected);
        }
    }

    #[test]
    fn no_kill_is_no_want_of_memory_unless_the_event_was_seen() {
        let ending = Ending {
            out_of_memory: None,
            ..ending(9)
        };
        assert_eq!(Termination::of(ending.clone(), None).memory, None);
        assert!(Termination::of(ending, Some(figures())).memory.is_some());
    }

    #[test]
    fn amounts_are_told_in_the_largest_whole_unit() {
        let amounts = [0, 1023, 1024, 96 << 20, (96 << 20) + 4096, 1 << 30, 3 << 40];
        let texts = ["0B", "1023B", "1KB", "96MB", "98308KB", "1GB", "3TB"];
        assert_eq!(amounts.map(bytes), texts);
    }
}
