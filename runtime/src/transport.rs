//! The seam between a node and what carries messages to other nodes.
//!
//! The node encodes nothing and knows no socket: it hands a message, its PIDs and the encoding to
//! its [`Transport`]. The transport hands what arrives to [`Node::deliver_encoded`], what was
//! refused to [`Node::refused`], and a broken connection to [`Node::disconnected`].
//!
//! ```text
//! Node::start -> world binds -> Binding (the address is known) -> Node made -> Binding::start
//! send:    Context::send -> Node -> Transport::send            (never blocks, keeps the order)
//! receive: connection -> Node::deliver_encoded -> 202 | 404 | 400 as Refusal::status says
//! ask:     `from` is `__ask__(N)@ip:port`; a reply is delivered to that id as any message;
//!          an answer other than 202 to a message whose sender is an ask -> Node::refused
//! break:   connection lost or not made -> Node::disconnected(address)
//! ```

use std::sync::Arc;

use futures_core::future::BoxFuture;

use crate::address::{Address, Pid};
use crate::node::Node;
use tepui_message::{CodecError, Encoding, OutboundMessage};

/// Carries messages to other nodes. One per node.
pub(crate) trait Transport: Send + Sync {
    /// Takes a message for a process of another node. Never blocks; what one process sends to
    /// another arrives in the order of the calls, at most once. A message that cannot be encoded
    /// or carried is dropped, counted, and, if `from` is an ask, told to [`Node::refused`].
    fn send(&self, from: &Pid, to: &Pid, message: &dyn OutboundMessage, encoding: Encoding);

    /// Makes sure that there is a connection to a node and keeps it. When it breaks, or cannot be
    /// made, the transport calls [`Node::disconnected`] once, and the link is over.
    fn link(&self, to: Address);

    /// Begins to serve what comes, where the node was started held.
    fn open(&self) {}

    /// The state of the queue towards another node.
    fn outgoings(&self, to: Address) -> Outgoings;

    /// Stops listening, sends what is queued as far as that goes quickly, and closes everything.
    fn shutdown(&self) -> BoxFuture<'static, ()>;

    /// Vanishes at once, as the whole node does in a crash of the simulated world: with its `host`,
    /// which is silent from then on, or alone, and then the host's kernel closes its connections.
    fn crash(&self, host: bool);
}

/// A place to listen at, taken before its node exists.
pub(crate) trait Binding: Send {
    /// The address which the node has: the advertised one, else that of the socket.
    fn address(&self) -> Address;

    /// Begins to serve the node. The transport should keep a [`crate::node::WeakNode`].
    fn start(self: Box<Self>, node: &Node) -> Arc<dyn Transport>;
}

/// What waits to be sent to one other node, for whoever paces itself by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outgoings {
    /// Bytes not yet handed to the operating system.
    pub queued_bytes: usize,
    /// Messages queued on the present connection so far.
    pub queued: u64,
    /// Of these, so many were answered by the other node.
    pub answered: u64,
}

/// Why a message that came from outside is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The node has no process of this id.
    #[error("no process '{id}'")]
    NoSuchProcess {
        /// The id that was asked for.
        id: String,
    },
    /// The process does not declare a message of this name.
    #[error("process '{id}' does not take '{name}'")]
    UnknownName {
        /// The process' id.
        id: String,
        /// The message's name.
        name: String,
    },
    /// The message came over a connection, yet names this very node as its sender.
    #[error("'{from}' is on this node and does not send over the network")]
    Impostor {
        /// The sender that was claimed.
        from: Pid,
    },
    /// The body is not the message that its name says.
    #[error(transparent)]
    Decode(#[from] CodecError),
}

impl Refusal {
    /// The HTTP status that tells the sender.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Refusal::NoSuchProcess { .. } => 404,
            Refusal::UnknownName { .. } | Refusal::Impostor { .. } | Refusal::Decode(_) => 400,
        }
    }
}
