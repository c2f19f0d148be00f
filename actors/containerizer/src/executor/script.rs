//! What a command does in the simulated world, taken from its text: how long it runs and how it
//! ends. Only these words have a meaning, between `;`, `&&` and line ends; any other command takes
//! no time and succeeds.
//!
//! ```text
//! start 3        the task is up only after that many seconds; before anything else
//! sleep 1.5      takes that many seconds
//! exit 3         ends with that status
//! false          ends with 1 where it is the last
//! kill -9 $$     ends by that signal
//! exceed 64      ends because it wants more memory than its limit, so many megabytes
//! trap '' TERM   from the start on, SIGTERM is ignored
//! ```

use std::time::Duration;

use nix::libc;

/// A command's course.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Script {
    /// How long it runs.
    pub duration: Duration,
    /// Raw wait status at the end.
    pub status: i32,
    /// It has to be killed with SIGKILL.
    pub ignores_sigterm: bool,
    /// How long it takes until it runs.
    pub start: Duration,
    /// The limit in megabytes that it exceeds at its end.
    pub exceeds: Option<u64>,
}

impl Script {
    /// Reads a command's text; words without a meaning take no time.
    #[must_use]
    pub fn parse(text: &str) -> Script {
        let mut script = Script {
            duration: Duration::ZERO,
            status: 0,
            ignores_sigterm: false,
            start: Duration::ZERO,
            exceeds: None,
        };
        for step in text.replace("&&", ";").split([';', '\n']) {
            let words: Vec<&str> = step.split_whitespace().collect();
            script.status = 0;
            match words.as_slice() {
                ["sleep", seconds] => {
                    let duration = seconds.parse().ok().and_then(from_seconds);
                    script.duration += duration.unwrap_or_default();
                }
                ["start", seconds] => {
                    let start = seconds.parse().ok().and_then(from_seconds);
                    script.start += start.unwrap_or_default();
                }
                ["exceed", megabytes] => {
                    script.status = libc::SIGKILL;
                    script.exceeds = Some(megabytes.parse().unwrap_or_default());
                    return script;
                }
                ["exit", status] => {
                    script.status = (status.parse().unwrap_or(2) & 0xff) << 8;
                    return script;
                }
                ["kill", signal, "$$"] => {
                    let signal = signal.trim_start_matches('-').parse();
                    script.status = signal.unwrap_or(libc::SIGTERM) & 0x7f;
                    return script;
                }
                ["trap", _, "TERM"] => script.ignores_sigterm = true,
                ["false"] => script.status = 1 << 8,
                _ => {}
            }
        }
        script
    }
}

fn from_seconds(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read_from_the_words_it_knows() {
        let script = |text: &str| {
            let Script {
                duration,
                status,
                ignores_sigterm,
                ..
            } = Script::parse(text);
            (duration.as_millis(), status, ignores_sigterm)
        };
        assert_eq!(script("echo hello"), (0, 0, false));
        assert_eq!(script("sleep 3; exit 1"), (3000, 256, false));
        assert_eq!(script("sleep 0.5 && sleep 1\nfalse"), (1500, 256, false));
        assert_eq!(script("false; true"), (0, 0, false));
        assert_eq!(script("trap '' TERM; sleep 10"), (10_000, 0, true));
        assert_eq!(script("sleep 1; kill -9 $$; sleep 5"), (1000, 9, false));
        assert_eq!(script("exit 3; sleep 5"), (0, 768, false));
        assert_eq!(script("sleep 1; exceed 64; sleep 5"), (1000, 9, false));
        let slow = Script::parse("start 2.5; sleep 1; exceed 64");
        assert_eq!(slow.start, Duration::from_millis(2500));
        assert_eq!(slow.exceeds, Some(64));
    }
}
