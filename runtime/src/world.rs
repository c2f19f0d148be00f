//! The world in which nodes live: it polls processes, keeps time, gives chance and disks, and lets
//! nodes bind.
//!
//! Two bodies, one seam: `real` with arbiters on threads, a timer thread and sockets, `simulated`
//! with one thread, virtual time and a network in memory. Processes cannot tell which.

pub(crate) mod blocking;
pub(crate) mod files;
pub(crate) mod real;
pub(crate) mod simulated;
mod trace;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures_core::future::BoxFuture;

pub use self::real::RealOptions;
pub use self::simulated::{SimOptions, Simulation};
pub use self::trace::{HttpPacket, Passage, Stage};
use crate::address::Pid;
use crate::clock::{Rate, Time};
use crate::disk::Disk;
use crate::node::{Node, NodeError, NodeOptions};
use crate::random::Random;
use crate::transport::Binding;
use tepui_message::OutboundMessage;

/// A future that stays on the thread it was made on.
pub(crate) type LocalFuture = Pin<Box<dyn Future<Output = ()>>>;

/// Makes a future on the thread that will poll it.
pub(crate) type Starter = Box<dyn FnOnce() -> LocalFuture + Send>;

/// Names an alarm of the world, to cancel it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Alarm {
    at: Time,
    number: u64,
}

/// What a world does for its nodes.
pub(crate) trait Worldly: Send + Sync {
    fn now(&self) -> Time;
    fn start(&self, starter: Starter);
    fn set_alarm(&self, at: Time, ring: Box<dyn FnOnce() + Send>) -> Alarm;
    fn cancel_alarm(&self, alarm: Alarm);
    fn blocking(&self, work: Box<dyn FnOnce() + Send>);
    fn random(&self) -> &Random;
    fn disk(&self, node: &str) -> Arc<dyn Disk>;
    /// How the clock of a node runs when it starts.
    fn rate(&self, _node: &str) -> Rate {
        Rate::default()
    }
    fn bind(&self, world: &World, options: &NodeOptions) -> Result<Box<dyn Binding>, NodeError>;
    /// The name of a node that was given none.
    fn name_node(&self) -> String;
    /// Hears of messages that are sent and delivered, and of exits that are told; `traces` says
    /// whether it listens.
    fn passage(&self, stage: Stage, from: &Pid, to: &Pid, message: Option<&dyn OutboundMessage>);
    /// Hears of a packet of HTTP that has come from one end of an exchange to the other.
    fn packet(&self, _from: &Pid, _to: &Pid, _packet: HttpPacket<'_>) {}
    fn traces(&self) -> bool;
    /// The node vanishes: its disk loses what is not synced.
    fn crashed(&self, node: &str);
    /// The node's OS process is gone, and its disk is as the kernel has it: nobody holds its locks.
    fn killed(&self, node: &str);
    /// A node was started.
    fn started(&self, node: &Node);
    fn is_simulated(&self) -> bool;
    fn file_limit_before(&self) -> Option<u64> {
        None
    }
    fn interrupted(&self) -> BoxFuture<'static, ()>;
    fn block_on(&self, future: Pin<&mut dyn Future<Output = ()>>);
}

/// Why a world cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// A thread or its runtime could not be started.
    #[error("cannot start a thread of the world: {0}")]
    Thread(#[source] std::io::Error),
    /// The kernel gives no random numbers.
    #[error("cannot read the kernel's random numbers: {0}")]
    Chance(#[source] std::io::Error),
}

/// The world in which nodes live. Clones are the same world.
#[derive(Clone)]
pub struct World(Arc<dyn Worldly>);

impl World {
    pub(crate) fn from_body(body: Arc<dyn Worldly>) -> World {
        World(body)
    }

    /// The real world: threads, the kernel's time, sockets.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn real(options: RealOptions) -> Result<World, WorldError> {
        real::start(options)
    }

    /// A simulated world, in which the same seed gives the same run.
    #[must_use]
    pub fn simulated(options: SimOptions) -> Simulation {
        Simulation::new(options)
    }

    /// The world's time; that of a node is [`crate::Node::clock`]'s.
    #[must_use]
    pub fn now(&self) -> Time {
        self.0.now()
    }

    /// The soft limit of open files (`RLIMIT_NOFILE`) that the OS process had before this world
    /// raised it to the hard one; `None` if it did not. For programs that are started from here.
    #[must_use]
    pub fn file_limit_before(&self) -> Option<u64> {
        self.0.file_limit_before()
    }

    /// Whether time is virtual here.
    #[must_use]
    pub fn is_simulated(&self) -> bool {
        self.0.is_simulated()
    }

    /// Polls a future on one of the world's threads until it is done.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.start(Box::new(move || Box::pin(future)));
    }

    /// Makes a future on one of the world's threads, and polls it there until it is done.
    pub(crate) fn start(&self, starter: Starter) {
        self.0.start(starter);
    }

    /// Polls a future on the calling thread until it is done, for the main function of a program.
    ///
    /// # Panics
    /// In the simulated world: there it is [`Simulation::block_on`] that makes time run.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        let mut result = None;
        {
            let slot = &mut result;
            let mut wrapped = std::pin::pin!(async move { *slot = Some(future.await) });
            self.0.block_on(wrapped.as_mut());
        }
        #[expect(
            clippy::expect_used,
            reason = "block_on returns once the future is done"
        )]
        result.expect("the future that filled this is done")
    }

    /// Becomes ready at the next SIGINT or SIGTERM to the OS process; never in the simulated world.
    pub fn interrupted(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.0.interrupted()
    }

    /// Calls `ring` once at `at` by the world's time. It must be short and must not block.
    pub(crate) fn set_alarm(&self, at: Time, ring: Box<dyn FnOnce() + Send>) -> Alarm {
        self.0.set_alarm(at, ring)
    }

    /// Forgets an alarm that has not rung.
    pub(crate) fn cancel_alarm(&self, alarm: Alarm) {
        self.0.cancel_alarm(alarm);
    }

    /// Does work where blocking is allowed: on a thread of a bounded pool, or at once.
    pub(crate) fn blocking(&self, work: Box<dyn FnOnce() + Send>) {
        self.0.blocking(work);
    }

    /// The world's random source, from which those of the nodes are seeded.
    pub(crate) fn random(&self) -> &Random {
        self.0.random()
    }

    /// The disk of the node of this name, for what is done before the node is started.
    #[must_use]
    pub fn disk(&self, node: &str) -> Arc<dyn Disk> {
        self.0.disk(node)
    }

    pub(crate) fn bind(&self, options: &NodeOptions) -> Result<Box<dyn Binding>, NodeError> {
        self.0.bind(self, options)
    }

    pub(crate) fn name_node(&self) -> String {
        self.0.name_node()
    }

    pub(crate) fn sent(&self, from: &Pid, to: &Pid, message: &dyn OutboundMessage) {
        self.0.passage(Stage::Sent, from, to, Some(message));
    }

    pub(crate) fn delivered(&self, from: &Pid, to: &Pid, message: &dyn OutboundMessage) {
        self.0.passage(Stage::Delivered, from, to, Some(message));
    }

    pub(crate) fn exited(&self, from: &Pid, to: &Pid) {
        self.0.passage(Stage::Exited, from, to, None);
    }

    pub(crate) fn packet(&self, from: &Pid, to: &Pid, packet: HttpPacket<'_>) {
        self.0.packet(from, to, packet);
    }

    pub(crate) fn traces(&self) -> bool {
        self.0.traces()
    }

    pub(crate) fn rate(&self, node: &str) -> Rate {
        self.0.rate(node)
    }

    pub(crate) fn started(&self, node: &Node) {
        self.0.started(node);
    }

    pub(crate) fn crashed(&self, node: &str) {
        self.0.crashed(node);
    }

    pub(crate) fn killed(&self, node: &str) {
        self.0.killed(node);
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_simulated() {
            "World(simulated)"
        } else {
            "World(real)"
        })
    }
}
