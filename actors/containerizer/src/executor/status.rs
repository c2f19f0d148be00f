//! Wait statuses in Mesos' words.

use nix::libc;

/// Mesos' WSTRINGIFY: "exited with status 3", "terminated with signal Killed".
pub(crate) fn describe(status: i32) -> String {
    let signal = status & 0x7f;
    if signal == 0 {
        return format!("exited with status {}", (status >> 8) & 0xff);
    }
    let dumped = if status & 0x80 == 0 {
        ""
    } else {
        " (core dumped)"
    };
    format!("terminated with signal {}{dumped}", signal_name(signal))
}

/// The exit status of a process that exited; none of one that a signal ended.
pub(crate) fn exit_code(status: i32) -> Option<i32> {
    (status & 0x7f == 0).then_some((status >> 8) & 0xff)
}

/// What strsignal(3) calls a signal.
fn signal_name(signal: i32) -> String {
    let name = match signal {
        libc::SIGHUP => "Hangup",
        libc::SIGINT => "Interrupt",
        libc::SIGQUIT => "Quit",
        libc::SIGILL => "Illegal instruction",
        libc::SIGTRAP => "Trace/breakpoint trap",
        libc::SIGABRT => "Aborted",
        libc::SIGBUS => "Bus error",
        libc::SIGFPE => "Floating point exception",
        libc::SIGKILL => "Killed",
        libc::SIGUSR1 => "User defined signal 1",
        libc::SIGSEGV => "Segmentation fault",
        libc::SIGUSR2 => "User defined signal 2",
        libc::SIGPIPE => "Broken pipe",
        libc::SIGALRM => "Alarm clock",
        libc::SIGTERM => "Terminated",
        libc::SIGSTKFLT => "Stack fault",
        libc::SIGXCPU => "CPU time limit exceeded",
        libc::SIGXFSZ => "File size limit exceeded",
        libc::SIGVTALRM => "Virtual timer expired",
        libc::SIGPROF => "Profiling timer expired",
        libc::SIGIO => "I/O possible",
        libc::SIGPWR => "Power failure",
        libc::SIGSYS => "Bad system call",
        34..=64 => return format!("Real-time signal {}", signal - 34),
        _ => return format!("Unknown signal {signal}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_exits_has_an_exit_code() {
        for (status, expected) in [
            (0, Some(0)),
            (3 << 8, Some(3)),
            (9, None),
            (11 | 0x80, None),
        ] {
            assert_eq!(exit_code(status), expected);
        }
    }

    #[test]
    fn statuses_are_told_in_mesos_words() {
        for (status, expected) in [
            (0, "exited with status 0"),
            (3 << 8, "exited with status 3"),
            (255 << 8, "exited with status 255"),
            (9, "terminated with signal Killed"),
            (15, "terminated with signal Terminated"),
            (
                11 | 0x80,
                "terminated with signal Segmentation fault (core dumped)",
            ),
            (35, "terminated with signal Real-time signal 1"),
        ] {
            assert_eq!(describe(status), expected);
        }
    }
}
