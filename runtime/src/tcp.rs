//! The transport of the real world: one TCP port for messages and HTTP, and the connections to
//! other nodes.
//!
//! ```text
//! listener --accepted--> messages (intake, wire) --> Node::deliver_encoded
//!                        HTTP (replay, web)      --> the node's routes
//! Transport::send --> outgoing (a queue of bytes for each address) --> carry (its task)
//! ```
//!
//! First file to read: `listener.rs` for what comes in, `outgoing.rs` for what goes out,
//! `wire.rs` for libprocess' format, `wire/frame.rs` for that between nodes of our own make.

mod arriving;
mod carry;
mod date;
mod gzip;
mod intake;
mod listener;
mod order;
mod outgoing;
mod replay;
mod room;
mod socket;
mod time;
mod web;
mod wire;

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_core::future::BoxFuture;
use futures_util::future::select;
use tokio::sync::{mpsc, watch};

use self::arriving::Arriving;
use self::intake::{IntakeCounters, Receiver};
use self::order::Fences;
use self::outgoing::{NotQueued, Peer, PeerRules, Peers};
use self::room::Room;
use self::wire::Outgoing;
use crate::address::{Address, Pid};
use crate::ask::Hop;
use crate::credit::Credit;
use crate::metrics::{Counter, Metrics};
use crate::node::{Node, NodeError, NodeOptions, WeakNode};
use crate::oneshot;
use crate::transport::{Binding, Outgoings, Refusal, Transport};
use crate::world::{World, files};
use tepui_message::{Encoding, OutboundMessage};

/// What bounds connections and how long they may take. Where they concern HTTP, durations below a
/// second count as a second.
#[derive(Clone, Debug)]
pub struct Limits {
    /// So many connections are accepted at a time, or fewer if the OS process may not have as many
    /// files open, and as many are made to other nodes. When all are taken, the oldest that has
    /// said nothing makes room for the next; else the next is answered 503.
    pub max_connections: usize,
    /// Within this time the head of a request that has begun must arrive, and each further piece
    /// of its body.
    pub head_timeout: Duration,
    /// An HTTP connection without a request is closed after this time.
    pub keep_alive: Duration,
    /// A connection to a node to which nothing is sent and nobody linked is closed after it.
    pub idle_timeout: Duration,
    /// Within this time a connection to a node must be made.
    pub connect_timeout: Duration,
    /// A client that reads nothing for so long while bytes wait for it is cut off.
    pub stall_timeout: Duration,
    /// So long a closing connection waits for the other side to close as well.
    pub linger: Duration,
    /// The most bytes that all bodies together may have which are still arriving; their first
    /// 16 KiB do not count. Who goes beyond is answered 503. Never less than one body may have.
    pub max_arriving_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 20_000,
            head_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(75),
            idle_timeout: Duration::from_secs(300),
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(60),
            linger: Duration::from_secs(1),
            max_arriving_bytes: 256 << 20,
        }
    }
}

/// What the transport counts, below `runtime/`.
struct Counters {
    intake: IntakeCounters,
    /// Connections that were answered 503.
    over_limit: Counter,
    /// Bodies that were answered 503.
    bodies_over_limit: Counter,
    /// Connections that had said nothing when another needed their place.
    made_room: Counter,
    /// Connections in whose place a newer one of the same node came.
    superseded: Counter,
    /// Clients that were cut off because they read nothing.
    streams_stuck: Counter,
    /// Connections to other nodes that broke, and those that did because their queue was full.
    broken: Counter,
    stuck: Counter,
    sent: Counter,
    /// Messages that could not be queued or encoded.
    not_sent: Counter,
    answered: Counter,
    refused_400: Counter,
    refused_404: Counter,
    refused_other: Counter,
}

impl Counters {
    fn new(metrics: &Metrics) -> Self {
        let counter = |name: &str| metrics.counter(&format!("runtime/{name}"));
        Self {
            intake: IntakeCounters {
                received: counter("messages_in"),
                framed: counter("messages_in_framed"),
                refused: counter("messages_in_refused"),
            },
            over_limit: counter("connections_refused"),
            bodies_over_limit: counter("bodies_refused"),
            made_room: counter("connections_idle_closed"),
            superseded: counter("connections_superseded"),
            streams_stuck: counter("connections_in_stuck"),
            broken: counter("connections_out_broken"),
            stuck: counter("connections_out_stuck"),
            sent: counter("messages_out"),
            not_sent: counter("messages_out_dropped"),
            answered: counter("messages_out_answered"),
            refused_400: counter("messages_out_refused/400"),
            refused_404: counter("messages_out_refused/404"),
            refused_other: counter("messages_out_refused/other"),
        }
    }
}

/// What all connections of a node share.
struct Site {
    node: WeakNode,
    limits: Limits,
    max_body_bytes: usize,
    require_peer_ip: bool,
    frames: bool,
    counters: Counters,
    room: Arc<Room>,
    arriving: Arc<Arriving>,
    fences: Arc<Fences>,
    peers: Peers,
    /// Whether connections are accepted.
    open: watch::Sender<bool>,
    stop: watch::Sender<bool>,
    stopping: AtomicBool,
}

impl Site {
    /// Becomes ready when connections may be accepted.
    async fn opened(&self) {
        let mut open = self.open.subscribe();
        // The sender lives in this very value.
        let _ = open.wait_for(|open| *open).await;
    }

    /// Becomes ready when everything is to end at once.
    async fn stopped(&self) {
        let mut stop = self.stop.subscribe();
        // The sender lives in this very value.
        let _ = stop.wait_for(|stopped| *stopped).await;
    }
}

impl Receiver for WeakNode {
    fn deliver(
        &self,
        id: &str,
        name: &str,
        encoding: Encoding,
        body: &[u8],
        from: &Pid,
        credit: Option<Credit>,
    ) -> Result<(), Refusal> {
        match self.upgrade() {
            Some(node) => node.take_in(id, name, encoding, body, from, credit),
            None => Err(Refusal::NoSuchProcess { id: id.to_owned() }),
        }
    }
}

/// A port that is listened on, and not served yet.
struct TcpBinding {
    listener: std::net::TcpListener,
    address: Address,
    options: NodeOptions,
    world: World,
    workers: usize,
}

/// Listens as a node's options say; connections are served on `workers` threads of the world.
///
/// # Errors
/// The address cannot be listened on.
pub(crate) fn bind(
    world: &World,
    options: &NodeOptions,
    workers: usize,
) -> Result<Box<dyn Binding>, NodeError> {
    let NodeOptions { ip, port, .. } = *options;
    let failed = |source| NodeError::Bind { ip, port, source };
    let listener = socket::listener(ip, port).map_err(failed)?;
    let address = match options.advertise {
        Some(address) => address,
        None => Address::from(listener.local_addr().map_err(failed)?),
    };
    let (options, world) = (options.clone(), world.clone());
    Ok(Box::new(TcpBinding {
        listener,
        address,
        options,
        world,
        workers: workers.max(1),
    }))
}

impl Binding for TcpBinding {
    fn address(&self) -> Address {
        self.address
    }

    fn start(self: Box<Self>, node: &Node) -> Arc<dyn Transport> {
        let Self {
            listener,
            options,
            world,
            workers,
            ..
        } = *self;
        let limits = options.limits;
        let places = limits.max_connections.min(files::room_for_connections());
        let started = world.now().as_nanos();
        let peer_rules = PeerRules {
            max_queued_bytes: options.max_outgoing_bytes,
            frames: options.frames,
        };
        let site = Arc::new(Site {
            node: node.downgrade(),
            counters: Counters::new(node.metrics()),
            room: Arc::new(Room::new(places)),
            arriving: Arc::new(Arriving::new(
                limits.max_arriving_bytes.max(options.max_body_bytes),
            )),
            fences: Arc::default(),
            peers: Peers::new(started, limits.max_connections, peer_rules),
            open: watch::Sender::new(!options.held),
            stop: watch::Sender::new(false),
            stopping: AtomicBool::new(false),
            max_body_bytes: options.max_body_bytes,
            require_peer_ip: options.require_peer_address_ip_match,
            frames: options.frames,
            limits,
        });
        let workers = (0..workers)
            .map(|_| {
                let (sender, receiver) = mpsc::unbounded_channel();
                let site = Arc::clone(&site);
                world.start(Box::new(move || Box::pin(listener::work(site, receiver))));
                sender
            })
            .collect();
        let accepting = Arc::clone(&site);
        world.start(Box::new(move || {
            Box::pin(listener::accept(accepting, listener, workers))
        }));
        Arc::new(TcpTransport { site, world })
    }
}

/// The transport of one node.
struct TcpTransport {
    site: Arc<Site>,
    world: World,
}

impl TcpTransport {
    /// Does something with the connection to an address, on a new one if the present is over.
    fn with_peer<T>(
        &self,
        address: Address,
        attempt: impl Fn(&Peer) -> Result<T, NotQueued>,
    ) -> Result<T, NotQueued> {
        loop {
            if self.site.stopping.load(Ordering::Acquire) {
                return Err(NotQueued::Closed);
            }
            let Ok((peer, is_new)) = self.site.peers.get(address) else {
                return Err(NotQueued::Full);
            };
            if is_new {
                self.start(Arc::clone(&peer));
            }
            match attempt(&peer) {
                // Its task will take it out of the table as well; whoever comes first does.
                Err(NotQueued::Closed) => self.site.peers.remove(&peer),
                outcome => return outcome,
            }
        }
    }

    fn start(&self, peer: Arc<Peer>) {
        let site = Arc::clone(&self.site);
        self.world.start(Box::new(move || {
            Box::pin(async move {
                let carrying = carry::carry(Arc::clone(&site), peer);
                select(pin!(carrying), pin!(site.stopped())).await;
            })
        }));
    }

    fn not_sent(&self, from: &Pid, hop: Hop, status: u16, reason: &str) {
        self.site.counters.not_sent.increment(1);
        if let Some(node) = self.site.node.upgrade() {
            node.refused(from, hop, status, reason);
        }
    }
}

impl Transport for TcpTransport {
    fn send(&self, from: &Pid, to: &Pid, message: &dyn OutboundMessage, encoding: Encoding) {
        let body = match message.encode(encoding) {
            Ok(body) => body,
            Err(problem) => {
                tracing::warn!(%to, %problem, "a message was dropped");
                return self.not_sent(from, Hop::Local, 400, &problem.to_string());
            }
        };
        let message = Outgoing {
            from,
            to,
            name: message.name(),
            encoding,
            body: &body,
        };
        match self.with_peer(to.address(), |peer| peer.push(&message)) {
            Ok(()) => self.site.counters.sent.increment(1),
            Err(NotQueued::TooLong) => {
                let reason = "the names of the message and its processes are too long";
                self.not_sent(from, Hop::Local, 431, reason);
            }
            Err(NotQueued::Closed | NotQueued::Full) => {
                let reason = "the connection is full, or the node is ending";
                self.not_sent(from, Hop::Connection(to.address()), 503, reason);
            }
        }
    }

    fn link(&self, to: Address) {
        let keep = |peer: &Peer| {
            if peer.is_closed() {
                Err(NotQueued::Closed)
            } else {
                Ok(())
            }
        };
        if self.with_peer(to, keep).is_err()
            && let Some(node) = self.site.node.upgrade()
        {
            node.disconnected(to);
        }
    }

    fn open(&self) {
        self.site.open.send_replace(true);
    }

    fn outgoings(&self, to: Address) -> Outgoings {
        self.site.peers.outgoings(to)
    }

    fn shutdown(&self) -> BoxFuture<'static, ()> {
        self.site.stopping.store(true, Ordering::Release);
        let site = Arc::clone(&self.site);
        let (done, finished) = oneshot::channel();
        self.world.start(Box::new(move || {
            Box::pin(async move {
                let peers = site.peers.all();
                peers.iter().for_each(|peer| peer.finish());
                let linger = site.limits.linger;
                let emptied = async {
                    while !site.peers.all().is_empty() {
                        time::sleep(Duration::from_millis(1)).await;
                    }
                };
                let _stopped_anyway = time::timeout(linger, emptied).await;
                site.stop.send_replace(true);
                done.send(());
            })
        }));
        Box::pin(async move {
            finished.await;
        })
    }

    fn crash(&self, _host: bool) {
        self.site.stopping.store(true, Ordering::Release);
        self.site.stop.send_replace(true);
    }
}
