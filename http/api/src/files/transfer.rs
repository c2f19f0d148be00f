//! The actor that sends one file to one client: reads a piece, waits until the client has taken
//! it, reads the next.
//!
//! ```text
//!   reading --piece read--> waiting --taken--> reading ... --all sent--> ended
//!      |                       |
//!      +-- disk error          +-- the client leaves, or takes nothing for a while --> ended
//! ```
//!
//! What the file grows by meanwhile is not sent. Where it shrinks, or cannot be read on, the
//! connection is cut, so that the client does not take a part for the whole.

use std::{io, time::Duration};

use tepui_runtime::{
    Bytes, Context, Declaration, OpenFile, Process,
    http::{BodyError, BodyWriter},
};

use crate::sessions::Admission;

/// After how long it is looked whether the client has taken anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A file on its way to a client.
pub(super) struct Transfer {
    /// `None` while a piece is being read.
    file: Option<Box<dyn OpenFile>>,
    sent: u64,
    size: u64,
    /// `None` once the transfer is over.
    writer: Option<BodyWriter>,
    /// What had been sent when the client was last looked at.
    seen: u64,
    _admission: Admission,
}

impl Transfer {
    /// How many bytes are read at once, and may wait for the client.
    pub(super) const PIECE: usize = 256 * 1024;

    pub(super) fn new(
        file: Box<dyn OpenFile>,
        size: u64,
        writer: BodyWriter,
        admission: Admission,
    ) -> Self {
        Self {
            file: Some(file),
            sent: 0,
            size,
            writer: Some(writer),
            seen: 0,
            _admission: admission,
        }
    }

    fn read(&mut self, ctx: &mut Context<'_, Self>) {
        let left = self.size - self.sent;
        if left == 0 {
            self.writer = None;
            return ctx.terminate();
        }
        let Some(file) = self.file.take() else { return };
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(Self::PIECE);
        let offset = self.sent;
        ctx.blocking(
            move || {
                let read = file.read_at(offset, length);
                (file, read)
            },
            |transfer, (file, read), ctx| {
                transfer.file = Some(file);
                transfer.write(read, ctx);
            },
        );
    }

    fn write(&mut self, read: io::Result<Vec<u8>>, ctx: &mut Context<'_, Self>) {
        let Some(writer) = &self.writer else { return };
        let bytes = match read {
            Ok(bytes) if !bytes.is_empty() => bytes,
            Ok(_) => return self.cut("the file became shorter", ctx),
            Err(error) => return self.cut(&error.to_string(), ctx),
        };
        let count = bytes.len() as u64;
        match writer.write(Bytes::from(bytes)) {
            Ok(()) => {}
            Err(BodyError::Closed) => return ctx.terminate(),
            Err(problem) => return self.cut(&problem.to_string(), ctx),
        }
        self.sent += count;
        let myself = ctx.myself();
        writer.on_drained(Box::new(move || myself.dispatch(Self::read)));
    }

    /// Cuts a client off that has taken nothing since the last time.
    fn look(&mut self, ctx: &mut Context<'_, Self>) {
        if self.sent == self.seen {
            return self.cut("the client takes nothing", ctx);
        }
        self.seen = self.sent;
    }

    fn cut(&mut self, reason: &str, ctx: &mut Context<'_, Self>) {
        tracing::warn!(pid = %ctx.pid(), reason, "cutting a download");
        if let Some(writer) = self.writer.take() {
            writer.abort();
        }
        ctx.terminate();
    }
}

impl Process for Transfer {
    fn declare(_declaration: &mut Declaration<Self>) {}

    fn initialize(&mut self, ctx: &mut Context<'_, Self>) {
        if let Some(writer) = &self.writer {
            let myself = ctx.myself();
            writer.on_closed(Box::new(move || {
                myself.dispatch(|_, ctx| ctx.terminate());
            }));
        }
        ctx.every(PATIENCE, Self::look);
        self.read(ctx);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use futures_util::{FutureExt as _, StreamExt as _};
    use tepui_runtime::{
        BodyReader, Id, Node, NodeOptions, SimOptions, Simulation, World, body_channel,
    };

    use super::*;
    use crate::sessions::Sessions;

    const SIZE: usize = 3 * Transfer::PIECE + 5;

    struct Stage {
        simulation: Simulation,
        node: Node,
        sessions: Sessions<()>,
        reader: Option<BodyReader>,
    }

    impl Stage {
        fn new() -> Self {
            let simulation = World::simulated(SimOptions::default());
            let node = Node::start(simulation.world(), NodeOptions::default()).unwrap();
            let path = Path::new("/file");
            node.disk().write_atomic(path, &[7; SIZE]).unwrap();
            let file = node.disk().open_beneath(path, Path::new("")).unwrap();
            let (sessions, (writer, reader)) = (Sessions::new(1), body_channel(Transfer::PIECE));
            let admission = sessions.admit().unwrap();
            let transfer = Transfer::new(file, SIZE as u64, writer, admission);
            node.spawn(Id::prefix("download"), transfer).unwrap();
            Self {
                simulation,
                node,
                sessions,
                reader: Some(reader),
            }
        }

        fn run(&mut self, seconds: u64) {
            self.simulation.run_for(Duration::from_secs(seconds));
        }

        /// What the client gets when it reads once: `None` at the end.
        fn next(&mut self) -> Option<Result<usize, BodyError>> {
            self.run(1);
            let next = self.reader.as_mut()?.next().now_or_never();
            next.unwrap().map(|chunk| chunk.map(|bytes| bytes.len()))
        }

        /// Whether the transfer is over, and its place free for another.
        fn is_over(&self) -> bool {
            self.sessions.admit().is_some()
        }
    }

    #[test]
    fn a_piece_is_read_when_the_one_before_is_taken() {
        let mut stage = Stage::new();
        for _ in 0..3 {
            stage.run(30);
            assert_eq!(stage.next(), Some(Ok(Transfer::PIECE)));
        }
        assert_eq!(stage.next(), Some(Ok(5)));
        assert_eq!(stage.next(), None);
        assert!(stage.is_over());
    }

    #[test]
    fn a_client_that_takes_nothing_is_cut() {
        let mut stage = Stage::new();
        stage.run(59);
        assert!(!stage.is_over());
        stage.run(62);
        assert!(stage.is_over());
        assert_eq!(stage.next(), Some(Err(BodyError::Aborted)));
    }

    #[test]
    fn a_client_that_leaves_ends_the_transfer() {
        let mut stage = Stage::new();
        stage.run(1);
        stage.reader = None;
        stage.run(1);
        assert!(stage.is_over());
    }

    #[test]
    fn a_file_that_shrinks_is_not_taken_for_a_whole_one() {
        let mut stage = Stage::new();
        assert_eq!(stage.next(), Some(Ok(Transfer::PIECE)));
        stage.run(1);
        let disk = stage.node.disk();
        disk.write_atomic(Path::new("/file"), b"less").unwrap();
        assert_eq!(stage.next(), Some(Ok(Transfer::PIECE)), "that one was read");
        assert_eq!(stage.next(), Some(Err(BodyError::Aborted)));
    }
}
