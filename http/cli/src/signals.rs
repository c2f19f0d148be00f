//! SIGINT and SIGTERM as something to wait for, and SIGUSR1 for agents.

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
    /// SIGUSR1, by which an agent is told to leave its master.
    Leave,
}

impl Signal {
    /// The exit status of a command that ends because of it: 128 and the signal's number.
    pub(crate) fn exit_status(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
            Self::Leave => 138,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
            Self::Leave => "SIGUSR1",
        })
    }
}

/// The signals, in the order in which they come.
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
        Self::watch_these(world, Watched::new)
    }

    /// The same, with the signal by which an agent is told to leave.
    ///
    /// # Errors
    ///
    /// As above.
    pub(crate) fn watch_for_agent(world: &World) -> io::Result<Self> {
        Self::watch_these(world, Watched::with_leave)
    }

    fn watch_these(world: &World, watched: fn() -> io::Result<Watched>) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel(WAITING);
        let (ready, watching) = oneshot::channel();
        world.spawn(async move {
            match watched() {
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
    leave: Option<unix::Signal>,
}

impl Watched {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: unix::signal(SignalKind::interrupt())?,
            terminate: unix::signal(SignalKind::terminate())?,
            leave: None,
        })
    }

    fn with_leave() -> io::Result<Self> {
        Ok(Self {
            leave: Some(unix::signal(SignalKind::user_defined1())?),
            ..Self::new()?
        })
    }

    async fn next(&mut self) -> Signal {
        std::future::poll_fn(|cx| {
            if self.interrupt.poll_recv(cx).is_ready() {
                return Poll::Ready(Signal::Interrupt);
            }
            if self.terminate.poll_recv(cx).is_ready() {
                return Poll::Ready(Signal::Terminate);
            }
            match &mut self.leave {
                Some(leave) => leave.poll_recv(cx).map(|_| Signal::Leave),
                None => Poll::Pending,
            }
        })
        .await
    }
}
