//! The actor that sends one file to one client: reads a piece, waits until the client has taken
//! it, reads the next.
//!
//! ```text
//!   reading --piece read--> waiting --taken--> reading ... --all sent--> ended
//!      |                       |
//!      +-- disk error          +-- the client leaves, or takes nothing for a minute --> ended
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

/// How long a client may take nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// A file on its way to a client.
pub(super) struct Transfer {
    /// `None` while a piece is being read.
    file: Option<Box<dyn OpenFile>>,
    sent: u64,
    size: u64,
    /// `None` once the transfer is over.
    writer: Option<BodyWriter>,
    /// Rises with each piece: a client that has not taken anything is told by it.
    progress: u64,
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
            progress: 0,
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
        self.progress += 1;
        let (myself, progress) = (ctx.myself(), self.progress);
        writer.on_drained(Box::new(move || myself.dispatch(Self::read)));
        ctx.delay(PATIENCE, move |transfer, ctx| {
            if transfer.progress == progress {
                transfer.cut("the client takes nothing", ctx);
            }
        });
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
        self.read(ctx);
    }
}
