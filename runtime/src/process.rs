//! What an author writes: a process, the messages it declares, and the handle to call into it.
//!
//! Not here: what it may do while it serves an event (`context`), and the actor around it (`shell`).

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::Serialize;

use crate::address::Pid;
use crate::context::Context;
use crate::mailbox::{Event, Mailbox};
use tepui_message::{CodecError, Encoding, Message, OutboundMessage};

/// A process: state that one event at a time may change.
///
/// A panic in any of these ends this process alone: it is logged and counted, and whoever is
/// linked to it is told by `exited`.
pub trait Process: Sized + Send + 'static {
    /// Names the messages it takes: `declaration.message::<M>()`, where `Self: Handle<M>`.
    fn declare(declaration: &mut Declaration<Self>);

    /// Called first, before any event.
    fn initialize(&mut self, ctx: &mut Context<'_, Self>) {
        let _ = ctx;
    }

    /// A process it is linked to ended, or the connection to its node broke. The link is over.
    fn exited(&mut self, pid: &Pid, ctx: &mut Context<'_, Self>) {
        let _ = (pid, ctx);
    }

    /// Called last, while the terminate event is served. Nothing is delivered any more.
    fn finalize(&mut self, ctx: &mut Context<'_, Self>) {
        let _ = ctx;
    }
}

/// How a process serves a message of one type.
pub trait Handle<M: Message>: Process {
    /// Serves the message; `ctx.sender()` sent it.
    fn handle(&mut self, message: M, ctx: &mut Context<'_, Self>);
}

type Serve<P> = fn(&mut P, Box<dyn OutboundMessage>, &mut Context<'_, P>);
/// A message and how it is served.
type Servable<P> = (Box<dyn OutboundMessage>, Serve<P>);
type Decode = fn(Encoding, &[u8]) -> Result<Box<dyn OutboundMessage>, CodecError>;

/// The messages that a process takes.
pub struct Declaration<P: Process> {
    handlers: FxHashMap<TypeId, Serve<P>>,
    by_name: FxHashMap<&'static str, (Decode, Serve<P>)>,
}

impl<P: Process> Declaration<P> {
    /// The declaration of a type of process.
    pub(crate) fn of_process() -> Declaration<P> {
        let mut declaration = Declaration {
            handlers: FxHashMap::default(),
            by_name: FxHashMap::default(),
        };
        P::declare(&mut declaration);
        declaration
    }

    /// The process takes messages of type `M`, from its own node and by name from others. Of two
    /// types with one name the first is what a message from elsewhere becomes.
    pub fn message<M: Message>(&mut self) -> &mut Declaration<P>
    where
        P: Handle<M>,
    {
        self.handlers.insert(TypeId::of::<M>(), serve::<P, M>);
        self.by_name
            .entry(M::NAME)
            .or_insert((decode::<M>, serve::<P, M>));
        self
    }

    /// The process takes messages of type `M` from its own node alone: a sender on another node is
    /// refused as if the name were not declared. For what only trusted company may ask.
    pub fn inward<M: Message>(&mut self) -> &mut Declaration<P>
    where
        P: Handle<M>,
    {
        self.handlers.insert(TypeId::of::<M>(), serve::<P, M>);
        self
    }

    /// How a message is served, by its type.
    pub(crate) fn handler(&self, message: &dyn OutboundMessage) -> Option<Serve<P>> {
        let message: &dyn Any = message;
        self.handlers.get(&message.type_id()).copied()
    }

    /// The message which another type of the same name becomes for this process.
    pub(crate) fn translate(
        &self,
        message: &dyn OutboundMessage,
    ) -> Option<Result<Servable<P>, CodecError>> {
        let (decode, serve) = self.by_name.get(message.name())?;
        let encoding = *message.encodings().first()?;
        let body = message.encode(encoding);
        Some(body.and_then(|body| Ok((decode(encoding, &body)?, *serve))))
    }

    /// Whether a message of a name is declared for senders on other nodes.
    pub(crate) fn takes(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// Reads a body as the message of a name, `None` if no such message is declared.
    pub(crate) fn decode(
        &self,
        name: &str,
        encoding: Encoding,
        body: &[u8],
    ) -> Option<Result<Box<dyn OutboundMessage>, CodecError>> {
        self.by_name
            .get(name)
            .map(|(decode, _)| decode(encoding, body))
    }
}

fn serve<P: Handle<M>, M: Message>(
    process: &mut P,
    message: Box<dyn OutboundMessage>,
    ctx: &mut Context<'_, P>,
) {
    let message: Box<dyn Any> = message;
    if let Ok(message) = message.downcast::<M>() {
        process.handle(*message, ctx);
    }
}

/// Reads a body as a message of type `M`.
pub(crate) fn decode<M: Message>(
    encoding: Encoding,
    body: &[u8],
) -> Result<Box<dyn OutboundMessage>, CodecError> {
    Ok(Box::new(M::decode(encoding, body)?))
}

/// How a process gets its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Id {
    /// Just this id, such as `master`.
    Chosen(String),
    /// The prefix and the next number on the node, from 1: `scheduler(1)`.
    Prefix(String),
}

impl Id {
    /// Just this id.
    #[must_use]
    pub fn chosen(id: impl Into<String>) -> Id {
        Id::Chosen(id.into())
    }

    /// The next id of a prefix.
    #[must_use]
    pub fn prefix(prefix: impl Into<String>) -> Id {
        Id::Prefix(prefix.into())
    }
}

/// Why a process was not started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpawnError {
    /// A process of this id runs on the node.
    #[error("process id '{id}' is taken")]
    Duplicate {
        /// The id.
        id: String,
    },
    /// The node is shut down.
    #[error("node {node} is shut down")]
    Down {
        /// The node's name.
        node: String,
    },
}

/// When a termination takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terminate {
    /// Before what is queued, which is dropped (libprocess' `inject`).
    Now,
    /// Behind what is queued.
    Queued,
}

/// How many events wait in a mailbox, by type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EventCounts {
    /// Messages.
    pub messages: u64,
    /// Calls into the process: dispatches, timers, answers to asks, results of blocking work.
    pub dispatches: u64,
    /// Ends of processes that this one is linked to.
    pub exited: u64,
    /// Terminations.
    pub terminate: u64,
}

/// A process of a node, as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProcessInfo {
    /// Its PID.
    pub pid: Pid,
    /// The events that wait for it.
    pub events: EventCounts,
}

/// A handle to a process of the same node whose type is known. It never crosses the network.
pub struct ProcessRef<P: Process> {
    pub(crate) pid: Pid,
    pub(crate) mailbox: Arc<Mailbox<P>>,
}

impl<P: Process> ProcessRef<P> {
    /// The process' PID.
    #[must_use]
    pub fn pid(&self) -> &Pid {
        &self.pid
    }

    /// Queues a call into the process, behind what is queued; dropped if the process is gone.
    pub fn dispatch(&self, call: impl FnOnce(&mut P, &mut Context<'_, P>) + Send + 'static) {
        let _closed = self.mailbox.push(Event::Dispatch(Box::new(call)));
    }
}

impl<P: Process> Clone for ProcessRef<P> {
    fn clone(&self) -> ProcessRef<P> {
        ProcessRef {
            pid: self.pid.clone(),
            mailbox: Arc::clone(&self.mailbox),
        }
    }
}

impl<P: Process> fmt::Debug for ProcessRef<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProcessRef({})", self.pid)
    }
}
