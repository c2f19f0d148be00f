//! Log lines on their way out: who logs appends to a buffer and goes on, and a thread writes what
//! has gathered within a millisecond. A busy master logs thousands of lines a second, and a call
//! into the kernel for each costs more than all else that is done about it.
//!
//! No line is lost where the process ends in order or by a panic: [`Lines::close`] and the panic
//! hook write what waits. Where the reader is stuck, whoever logs waits, as without the buffer.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long lines gather.
const GATHER: Duration = Duration::from_millis(1);

/// With so many bytes waiting, whoever logs writes them out first.
const MOST_WAITING: usize = 1 << 20;

/// Bytes that the kernel takes whole into a pipe that others write into as well (`PIPE_BUF`).
const AT_ONCE: usize = 4096;

/// Where lines go. Clones are the same.
#[derive(Clone)]
pub(crate) struct Lines(Arc<Shared>);

struct Shared {
    waiting: Mutex<Waiting>,
    added: Condvar,
    /// Taken before `waiting` by whoever writes, so that lines keep their order.
    to: Mutex<Box<dyn Write + Send>>,
}

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    /// The thread waits to be told of a line.
    asleep: bool,
    /// Lines are not kept any more.
    closed: bool,
}

impl Lines {
    /// Lines that are written to `to`; starts the thread.
    #[expect(
        clippy::disallowed_methods,
        reason = "the log is the command's own, and is there before any world"
    )]
    pub(crate) fn start(to: impl Write + Send + 'static) -> io::Result<Lines> {
        let lines = Lines(Arc::new(Shared {
            waiting: Mutex::default(),
            added: Condvar::new(),
            to: Mutex::new(Box::new(to)),
        }));
        let shared = Arc::clone(&lines.0);
        std::thread::Builder::new()
            .name("tepui-log".to_owned())
            .stack_size(64 << 10)
            .spawn(move || shared.run())?;
        Ok(lines)
    }

    /// Writes what waits.
    pub(crate) fn write_out(&self) {
        self.0.write_out();
    }

    /// Writes what waits; what comes later is written at once.
    pub(crate) fn close(&self) {
        self.0.lock().closed = true;
        self.write_out();
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.0.lock();
        waiting.bytes.extend_from_slice(line);
        if waiting.closed || waiting.bytes.len() > MOST_WAITING {
            drop(waiting);
            self.write_out();
        } else if std::mem::take(&mut waiting.asleep) {
            drop(waiting);
            self.0.added.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread.
    fn run(&self) {
        loop {
            let mut waiting = self.lock();
            while waiting.bytes.is_empty() {
                waiting.asleep = true;
                let told = self.added.wait(waiting);
                waiting = told.unwrap_or_else(PoisonError::into_inner);
            }
            waiting.asleep = false;
            // Nobody tells of more while this waits.
            drop(self.added.wait_timeout(waiting, GATHER));
            self.write_out();
        }
    }

    fn write_out(&self) {
        let mut to = self.to.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = std::mem::take(&mut self.lock().bytes);
        for piece in pieces(&bytes) {
            // There is nobody to tell.
            let _ = to.write_all(piece);
        }
        let _ = to.flush();
    }
}

/// Whole lines, as many at once as do not mix with those of other processes.
fn pieces(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let newline = |byte: &u8| *byte == b'\n';
        let end = match bytes.get(..AT_ONCE) {
            None => bytes.len(),
            Some(start) => match start.iter().rposition(newline) {
                Some(last) => last + 1,
                None => bytes
                    .iter()
                    .position(newline)
                    .map_or(bytes.len(), |at| at + 1),
            },
        };
        let (piece, rest) = bytes.split_at(end);
        bytes = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was written, write by write.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<Vec<u8>>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().push(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_of_all_threads_come_whole_in_order_and_many_at_once() {
        let written = Written::default();
        let lines = Lines::start(written.clone()).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let mut lines = lines.clone();
                scope.spawn(move || {
                    for number in 0..1000 {
                        lines
                            .write_all(format!("{thread} {number:0100}\n").as_bytes())
                            .unwrap();
                    }
                });
            }
        });
        lines.close();
        let written = written.0.lock().unwrap();
        assert!(
            written.len() < 1000,
            "{} writes of 4000 lines",
            written.len()
        );
        assert!(written.iter().all(|piece| piece.ends_with(b"\n")));
        let text = String::from_utf8(written.concat()).unwrap();
        for thread in 0..4 {
            let prefix = format!("{thread} ");
            let of_thread = text.lines().filter_map(|line| line.strip_prefix(&prefix));
            let numbers: Vec<u32> = of_thread.map(|number| number.parse().unwrap()).collect();
            assert!(numbers.into_iter().eq(0..1000), "thread {thread}");
        }
    }

    #[test]
    fn after_the_end_lines_are_written_at_once() {
        let written = Written::default();
        let mut lines = Lines::start(written.clone()).unwrap();
        lines.write_all(b"before\n").unwrap();
        lines.close();
        lines.write_all(b"after\n").unwrap();
        assert_eq!(written.0.lock().unwrap().concat(), b"before\nafter\n");
    }

    #[test]
    fn pieces_end_with_lines_and_a_long_line_is_one_piece() {
        let long = "x".repeat(2 * AT_ONCE) + "\n";
        let short = "y".repeat(1500) + "\n";
        let text = [&*long, &short, &short, &short, "rest"].concat();
        let lengths: Vec<usize> = pieces(text.as_bytes()).map(<[u8]>::len).collect();
        assert_eq!(lengths, [2 * AT_ONCE + 1, 3002, 1501 + 4]);
    }
}
