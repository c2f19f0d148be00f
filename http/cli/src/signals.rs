//! SIGINT and SIGTERM as something to wait for.

use std::{fmt, io, task::Poll};

use tepui_runtime::World;
use tokio::{
    signal::unix::{self, SignalKind},
    sync::{mpsc, oneshot},
};

/// The signals that end a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// What `kill` sends.
    Terminate,
}

impl Signal {
    /// The exit status of a command that ends because of it: 128 and the signal's number.
    pub(crate) fn exit_status(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        })
    }
}

/// Both signals, in the order in which they come.
pub(crate) struct Signals(mpsc::Receiver<Signal>);

/// Signals that wait to be looked at; more of them would say nothing new.
const WAITING: usize = 8;

impl Signals {
    /// Once this returns, the signals no longer end the process by themselves.
    ///
    /// # Errors
    ///
    /// The kernel's, where signals cannot be watched.
    pub(crate) fn watch(world: &World) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel(WAITING);
        let (ready, watching) = oneshot::channel();
        world.spawn(async move {
            match Watched::new() {
                Ok(mut watched) => {
                    let _gone = ready.send(Ok(()));
                    while sender.send(watched.next().await).await.is_ok() {}
                }
                Err(problem) => {
                    let _gone = ready.send(Err(problem));
                }
            }
        });
        let gone = |_| io::Error::other("the watcher of signals ended");
        world.block_on(watching).map_err(gone)??;
        Ok(Self(receiver))
    }

    /// The next of the signals.
    pub(crate) async fn next(&mut self) -> Signal {
        match self.0.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }
}

struct Watched {
    interrupt: unix::Signal,
    terminate: unix::Signal,
}

impl Watched {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: unix::signal(SignalKind::interrupt())?,
            terminate: unix::signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Signal {
        std::future::poll_fn(|cx| {
            if self.interrupt.poll_recv(cx).is_ready() {
                return Poll::Ready(Signal::Interrupt);
            }
            self.terminate.poll_recv(cx).map(|_| Signal::Terminate)
        })
        .await
    }
}
