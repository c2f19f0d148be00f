//! Processes, addresses and typed messages, in the real and the simulated world.
//!
//! A [`Process`] is an actor with an address, [`Pid`]. It declares which [`Message`] types it takes
//! and serves one event at a time, with a [`Context`] through which it reaches everything outside of
//! itself: other processes, time, chance, disk, metrics. Processes live on a [`Node`], nodes in a
//! [`World`], and neither the one nor the other can be told from within.
//!
//! ```
//! use tepui_runtime::{
//!     Context, Declaration, Handle, Id, Node, NodeOptions, Process, SimOptions, World, serde_message,
//! };
//!
//! #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
//! struct Ping(u32);
//! serde_message!(Ping, "example.Ping");
//!
//! struct Echo;
//!
//! impl Process for Echo {
//!     fn declare(declaration: &mut Declaration<Echo>) {
//!         declaration.message::<Ping>();
//!     }
//! }
//!
//! impl Handle<Ping> for Echo {
//!     fn handle(&mut self, ping: Ping, ctx: &mut Context<'_, Echo>) {
//!         ctx.reply(Ping(ping.0 + 1));
//!     }
//! }
//!
//! let mut simulation = World::simulated(SimOptions::default());
//! let node = Node::start(simulation.world(), NodeOptions::default())?;
//! let echo = node.spawn(Id::prefix("echo"), Echo)?;
//! assert_eq!(echo.pid().id(), "echo(1)");
//! let answer = node.ask::<Ping, Ping>(echo.pid(), Ping(1), std::time::Duration::from_secs(1));
//! assert_eq!(simulation.block_on(answer)?.0, 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod activity;
mod address;
mod ask;
mod clock;
mod context;
mod credit;
mod disk;
pub mod http;
mod links;
mod mailbox;
mod metrics;
mod node;
mod oneshot;
mod process;
mod random;
mod shell;
mod sim;
mod tcp;
mod transport;
mod world;

pub use bytes::Bytes;
pub use tepui_message::{CodecError, Encoding, Message, OutboundMessage, serde_message};
pub use uuid::Uuid;

pub use crate::address::{Address, AddressError, Pid};
pub use crate::ask::{AskError, Hop};
pub use crate::clock::{Clock, Time, TimerKey};
pub use crate::context::{Context, Timer};
pub use crate::disk::{Disk, FileInfo, Lock, OpenFile, Stat};
pub use crate::http::{
    Body, BodyError, BodyReader, BodyWriter, Handler, Headers, Method, Request, Response,
    body_channel,
};
pub use crate::metrics::{Counter, Metrics};
pub use crate::node::{Node, NodeError, NodeOptions, WeakNode};
pub use crate::process::{
    Declaration, EventCounts, Handle, Id, Process, ProcessInfo, ProcessRef, SpawnError, Terminate,
};
pub use crate::random::Random;
pub use crate::sim::{HttpError, Network};
pub use crate::tcp::Limits;
pub use crate::transport::{Outgoings, Refusal};
pub use crate::world::{
    HttpPacket, Passage, RealOptions, SimOptions, Simulation, Stage, World, WorldError,
};
