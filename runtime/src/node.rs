//! A node: an address with processes, a clock, a random source, a disk and metrics of its own.
//!
//! A node is a value: one OS process may hold many, and nothing of theirs is shared but the world.
//! Messages inside it are handed over; messages to other nodes go through its transport.

mod blocking;
mod lifecycle;
mod messages;
mod options;
mod system;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, Weak};

use indexmap::IndexMap;

pub use self::options::{NodeError, NodeOptions};
use crate::activity::Activity;
use crate::address::{Address, Pid};
use crate::ask::Asks;
use crate::clock::Clock;
use crate::disk::Disk;
use crate::http::{Handler, Routes};
use crate::links::Links;
use crate::mailbox::AnyMailbox;
use crate::metrics::{Counter, Metrics};
use crate::oneshot;
use crate::process::ProcessInfo;
use crate::random::Random;
use crate::transport::{Outgoings, Transport};
use crate::world::World;
use tepui_message::Encoding;

/// What a node counts of messages that nobody served.
pub(crate) struct Counters {
    /// To a process that is not there.
    pub(crate) no_process: Counter,
    /// To nobody.
    pub(crate) nobody: Counter,
    /// To a process that does not declare them.
    pub(crate) undeclared: Counter,
    pub(crate) impostors: Counter,
    /// Answers to a question that does not wait any more.
    pub(crate) late: Counter,
    /// Processes that panicked.
    pub(crate) panics: Counter,
}

struct Inner {
    name: String,
    address: Address,
    nobody: Pid,
    world: World,
    clock: Clock,
    random: Random,
    disk: Arc<dyn Disk>,
    metrics: Metrics,
    counters: Counters,
    activity: Arc<Activity>,
    transport: OnceLock<Arc<dyn Transport>>,
    processes: RwLock<BTreeMap<Arc<str>, Arc<dyn AnyMailbox>>>,
    /// Ids in the order in which they were spawned.
    spawned: Mutex<IndexMap<Arc<str>, ()>>,
    prefixes: Mutex<BTreeMap<String, u64>>,
    waiting: Mutex<BTreeMap<Arc<str>, Vec<oneshot::Sender<()>>>>,
    links: Links,
    asks: Asks,
    routes: Routes,
    /// The encoding in which another node spoke last, where it is not MessagePack.
    peers: Mutex<IndexMap<Address, Encoding>>,
    down: AtomicBool,
}

/// A node. Clones are the same node.
#[derive(Clone)]
pub struct Node(Arc<Inner>);

/// A node, if it is still there: for what the node itself owns.
#[derive(Clone)]
pub struct WeakNode(Weak<Inner>);

impl WeakNode {
    /// The node, if it is still there.
    #[must_use]
    pub fn upgrade(&self) -> Option<Node> {
        self.0.upgrade().map(Node)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Node {
    /// Binds and starts a node without processes.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub fn start(world: &World, options: NodeOptions) -> Result<Node, NodeError> {
        let mut options = options;
        if options.name.is_empty() {
            options.name = world.name_node();
        }
        let binding = world.bind(&options)?;
        let metrics = Metrics::new();
        let counters = Counters {
            no_process: metrics.counter("runtime/messages_dropped/no_process"),
            nobody: metrics.counter("runtime/messages_dropped/nobody"),
            undeclared: metrics.counter("runtime/messages_dropped/undeclared"),
            impostors: metrics.counter("runtime/messages_dropped/impostor"),
            late: metrics.counter("runtime/messages_dropped/late_answer"),
            panics: metrics.counter("runtime/processes_panicked"),
        };
        let marks = metrics.counter("runtime/mailbox_marks_passed");
        let node = Node(Arc::new(Inner {
            address: binding.address(),
            nobody: Pid::nobody(),
            world: world.clone(),
            clock: Clock::new(world.clone(), world.rate(&options.name)),
            random: Random::from_seed(world.random().seed()),
            disk: world.disk(&options.name),
            name: options.name,
            metrics,
            counters,
            activity: Arc::new(Activity::new(options.mailbox_mark, marks)),
            transport: OnceLock::new(),
            processes: RwLock::default(),
            spawned: Mutex::default(),
            prefixes: Mutex::default(),
            waiting: Mutex::default(),
            links: Links::default(),
            asks: Asks::default(),
            routes: Routes::default(),
            peers: Mutex::default(),
            down: AtomicBool::new(false),
        }));
        node.0.routes.disable(options.disabled_endpoints);
        system::install(&node);
        let transport = binding.start(&node);
        let _ = node.0.transport.set(transport);
        world.started(&node);
        Ok(node)
    }

    /// Begins to serve those who connected to a node that was [held](NodeOptions::held), and all
    /// that come after them.
    pub fn open(&self) {
        if let Some(transport) = self.0.transport.get() {
            transport.open();
        }
    }

    /// The name given at its start.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The address under which others reach it.
    #[must_use]
    pub fn address(&self) -> Address {
        self.0.address
    }

    /// The PID of a process of this node, whether it exists or not.
    #[must_use]
    pub fn pid_of(&self, id: &str) -> Pid {
        Pid::new(id, self.0.address)
    }

    /// The world it lives in.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.0.world
    }

    /// Its clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Its random source.
    #[must_use]
    pub fn random(&self) -> &Random {
        &self.0.random
    }

    /// Its disk. It blocks.
    #[must_use]
    pub fn disk(&self) -> Arc<dyn Disk> {
        Arc::clone(&self.0.disk)
    }

    /// Its metrics.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// For what the node owns and which must not keep it alive.
    #[must_use]
    pub fn downgrade(&self) -> WeakNode {
        WeakNode(Arc::downgrade(&self.0))
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    pub(crate) fn nobody(&self) -> &Pid {
        &self.0.nobody
    }

    pub(crate) fn routes(&self) -> &Routes {
        &self.0.routes
    }

    /// Whether the node was shut down or crashed.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.0.down.load(Ordering::Acquire)
    }

    /// What waits to be sent to another node, to pace oneself by.
    #[must_use]
    pub fn outgoings(&self, to: Address) -> Outgoings {
        self.0
            .transport
            .get()
            .map(|transport| transport.outgoings(to))
            .unwrap_or_default()
    }

    /// Has HTTP requests for `/id/path` and what is below it answered by `handler`; the longest
    /// path that fits wins. The routes of a process vanish with it.
    pub fn route(&self, id: &str, path: &str, handler: Handler) {
        self.0.routes.add(id, path, handler);
    }

    /// Ids and paths of all routes, sorted; the paths without slashes at their ends.
    #[must_use]
    pub fn route_list(&self) -> Vec<(String, String)> {
        self.0.routes.all()
    }

    /// Has paths whose first part is no process answered by `id`: `/state` is `/master/state`.
    pub fn delegate(&self, id: &str) {
        self.0.routes.delegate(id);
    }

    /// The processes, by id.
    #[must_use]
    pub fn processes(&self) -> Vec<ProcessInfo> {
        let processes = self
            .0
            .processes
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        processes
            .iter()
            .map(|(id, mailbox)| ProcessInfo {
                pid: self.pid_of(id),
                events: mailbox.counts(),
            })
            .collect()
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({} at {})", self.0.name, self.0.address)
    }
}

impl fmt::Debug for WeakNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakNode")
    }
}
