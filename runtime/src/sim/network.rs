//! The simulated network: carries messages between the nodes of a simulated world.
//!
//! Messages pass through the same entrance of the node as over TCP; some go through the real codec,
//! the others as they are, which is far cheaper and the same to who takes them. Which ones, how long
//! they take, and what breaks, follows from the world's seed.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use rustc_hash::FxHashMap;

use super::http::Http;
use super::wires::{Arrival, Effect, Way, Weather, Wires};
use crate::address::{Address, Pid};
use crate::ask::Hop;
use crate::node::{Node, NodeError, NodeOptions, WeakNode};
use crate::random::Random;
use crate::transport::{Binding, Outgoings, Refusal, Transport};
use crate::world::World;
use tepui_message::{CodecError, Encoding, OutboundMessage};

/// The first port given to a node that asks for any.
const FIRST_PORT: u16 = 20_000;

/// From 0.1 to 1 ms between hosts, 15 s of silence until a connection is given up, no cuts.
const CALM: Weather = Weather {
    min_latency: Duration::from_micros(100),
    max_latency: Duration::from_millis(1),
    detection: Duration::from_secs(15),
    cuts_per_million: 0,
};

/// A message on its way.
pub(super) struct Packet {
    from: Pid,
    to: Pid,
    encoding: Encoding,
    cargo: Cargo,
}

enum Cargo {
    /// Written by its codec, to be read by it.
    Written(&'static str, Bytes),
    /// A copy.
    Copied(Box<dyn OutboundMessage>),
}

pub(super) struct Inner {
    pub(super) wires: Mutex<Wires<Packet>>,
    pub(super) http: Mutex<Http>,
    /// One message in so many goes through its codec.
    codec_one_in: u32,
    /// The node of each host, by the host's number.
    nodes: Mutex<FxHashMap<u64, WeakNode>>,
    pub(super) random: Random,
    next_port: Mutex<u16>,
    delivered: AtomicU64,
    /// Messages that were handed to their codec.
    written: AtomicU64,
    unreadable: Mutex<Unreadable>,
}

/// Messages that their own codec could not write, or not read back.
#[derive(Default)]
struct Unreadable {
    count: u64,
    /// The first of them, and what was wrong.
    first: Option<String>,
}

/// The network of a simulated world. Clones are the same network.
#[derive(Clone)]
pub struct Network(pub(super) Arc<Inner>);

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network")
            .field("delivered", &self.delivered())
            .finish_non_exhaustive()
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Network {
    pub(crate) fn new(random: Random, codec_one_in: u32) -> Network {
        Network(Arc::new(Inner {
            codec_one_in: codec_one_in.max(1),
            wires: Mutex::new(Wires::new(CALM)),
            http: Mutex::default(),
            nodes: Mutex::default(),
            random,
            next_port: Mutex::new(FIRST_PORT),
            delivered: AtomicU64::new(0),
            written: AtomicU64::new(0),
            unreadable: Mutex::default(),
        }))
    }

    /// How many messages have arrived so far, taken or refused.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.0.delivered.load(Ordering::Relaxed)
    }

    /// How many messages were written by their codec so far, in place of being copied.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.0.written.load(Ordering::Relaxed)
    }

    /// How many of these could not be written, or were not read back by who they were for: a codec
    /// is broken, since what its own side sends is always well-formed.
    #[must_use]
    pub fn unreadable(&self) -> u64 {
        locked(&self.0.unreadable).count
    }

    /// What was wrong with the first of these.
    #[must_use]
    pub fn first_unreadable(&self) -> Option<String> {
        locked(&self.0.unreadable).first.clone()
    }

    fn was_unreadable(&self, problem: &CodecError) {
        let mut unreadable = locked(&self.0.unreadable);
        unreadable.count += 1;
        if unreadable.first.is_none() {
            unreadable.first = Some(problem.to_string());
        }
    }

    /// From here on a message takes from `min` to `max`, each duration as likely. Messages of one
    /// node to another keep their order.
    pub fn set_latency(&self, min: Duration, max: Duration) {
        let mut wires = locked(&self.0.wires);
        (wires.weather.min_latency, wires.weather.max_latency) = (min, max.max(min));
    }

    /// From here on a message from one node to another takes from `min` to `max`, whatever holds
    /// elsewhere.
    pub fn set_latency_between(&self, from: &Node, to: &Node, min: Duration, max: Duration) {
        let way = (from.address(), to.address());
        locked(&self.0.wires).slow.insert(way, (min, max.max(min)));
    }

    /// The way from one node to another is as slow as others again.
    pub fn clear_latency_between(&self, from: &Node, to: &Node) {
        let way = (from.address(), to.address());
        locked(&self.0.wires).slow.remove(&way);
    }

    /// How long a connection lives on when the other side is silent: partitioned or crashed.
    pub fn set_detection(&self, detection: Duration) {
        locked(&self.0.wires).weather.detection = detection;
    }

    /// From here on so many of a million messages break their connection instead of arriving.
    pub fn set_cuts_per_million(&self, cuts: u32) {
        locked(&self.0.wires).weather.cuts_per_million = cuts;
    }

    /// Breaks the connections from a node to another at once: what is under way is lost, what is
    /// linked over it is told, and so are both sides of the requests that the one sent to the
    /// other. The next message connects anew.
    pub fn cut(&self, from: &Node, to: &Node) {
        let way = (from.address(), to.address());
        let effect = locked(&self.0.wires).break_off(from.world().now(), way);
        self.carry_out(from.world(), effect);
        self.cut_requests(way);
    }

    /// Nothing gets from one node to the other, until healed; the other direction is free, but
    /// the connections of both break after the detection time.
    pub fn block(&self, from: &Node, to: &Node) {
        let now = from.world().now();
        let way = (from.address(), to.address());
        let effects = locked(&self.0.wires).block(now, way);
        self.carry_out(from.world(), effects);
        self.block_requests(from.world(), way);
    }

    /// Nothing gets from any node of one side to any of the other, either way, until healed.
    pub fn partition(&self, one: &[&Node], other: &[&Node]) {
        for here in one {
            for there in other {
                self.block(here, there);
                self.block(there, here);
            }
        }
    }

    /// Frees the ways between two nodes.
    pub fn heal(&self, one: &Node, other: &Node) {
        let ways = [
            (one.address(), other.address()),
            (other.address(), one.address()),
        ];
        self.free(one.world(), &ways);
    }

    /// Frees the way from one node to another; the other direction stays as it is.
    pub fn unblock(&self, from: &Node, to: &Node) {
        self.free(from.world(), &[(from.address(), to.address())]);
    }

    /// Frees all ways.
    pub fn heal_all(&self, world: &World) {
        let ways = locked(&self.0.wires).blocked();
        self.free(world, &ways);
    }

    fn free(&self, world: &World, ways: &[Way]) {
        for &way in ways {
            let effects = {
                let mut wires = locked(&self.0.wires);
                let latency = wires.latency(way, |n| self.0.random.below(n));
                wires.free(world.now(), way, latency)
            };
            self.carry_out(world, effects);
            self.free_requests(world, way);
        }
    }

    /// Binds a node to an address of this network.
    ///
    /// # Errors
    /// Another node has the address.
    pub(crate) fn bind(
        &self,
        world: &World,
        options: &NodeOptions,
    ) -> Result<Box<dyn Binding>, NodeError> {
        let (ip, port) = (options.ip, options.port);
        let taken = |port| NodeError::Bind {
            ip,
            port,
            source: std::io::Error::from(std::io::ErrorKind::AddrInUse),
        };
        let (address, host) = match port {
            0 => self.any_port(ip).ok_or_else(|| taken(0))?,
            port => {
                let address = Address::new(ip, port);
                let host = locked(&self.0.wires).listen(address);
                (address, host.ok_or_else(|| taken(port))?)
            }
        };
        let (network, world) = (self.clone(), world.clone());
        Ok(Box::new(SimulatedBinding {
            network,
            world,
            address,
            host,
        }))
    }

    /// Listens at the next free port, in a circle.
    fn any_port(&self, ip: IpAddr) -> Option<(Address, u64)> {
        let mut next = locked(&self.0.next_port);
        for _ in FIRST_PORT..=u16::MAX {
            let address = Address::new(ip, *next);
            *next = next.checked_add(1).unwrap_or(FIRST_PORT);
            if let Some(host) = locked(&self.0.wires).listen(address) {
                return Some((address, host));
            }
        }
        None
    }

    pub(super) fn node(&self, host: u64) -> Option<Node> {
        locked(&self.0.nodes).get(&host)?.upgrade()
    }

    /// Sets the world's alarms for what is to happen.
    fn carry_out(&self, world: &World, effects: impl IntoIterator<Item = Effect>) {
        for effect in effects {
            let (network, then) = (self.clone(), world.clone());
            let at = match &effect {
                Effect::Arrive { at, .. }
                | Effect::TimeOut { at, .. }
                | Effect::Disconnect { at, .. } => *at,
            };
            world.set_alarm(at, Box::new(move || network.happen(&then, effect)));
        }
    }

    fn happen(&self, world: &World, effect: Effect) {
        match effect {
            Effect::Arrive { way, epoch, .. } => self.arrive(world, way, epoch),
            Effect::TimeOut { way, epoch, .. } => {
                let broken = locked(&self.0.wires).time_out(world.now(), way, epoch);
                self.carry_out(world, broken);
            }
            Effect::Disconnect { way, host, .. } => {
                if let Some(node) = self.node(host) {
                    node.disconnected(way.1);
                }
            }
        }
    }

    fn arrive(&self, world: &World, way: Way, epoch: u64) {
        let arrived = locked(&self.0.wires).arrive(world.now(), way, epoch);
        let (host, packet) = match arrived {
            Arrival::Here(arrived) => arrived,
            Arrival::Nothing => return,
            Arrival::Reset => {
                let at = world.now() + self.way_back(way);
                let effect = locked(&self.0.wires).break_off(at, way);
                return self.carry_out(world, effect);
            }
        };
        self.0.delivered.fetch_add(1, Ordering::Relaxed);
        let Packet {
            from,
            to,
            encoding,
            cargo,
        } = packet;
        let Some(node) = self.node(host) else {
            return;
        };
        let taken = match cargo {
            Cargo::Written(name, body) => {
                node.deliver_encoded(to.id(), name, encoding, &body, &from)
            }
            Cargo::Copied(message) => node.deliver_copied(to.id(), message, encoding, &from),
        };
        if let Err(refusal) = taken {
            if let Refusal::Decode(problem) = &refusal {
                self.was_unreadable(problem);
            }
            let (status, reason) = (refusal.status(), refusal.to_string());
            let network = self.clone();
            // The refusal goes back on the same connection, if that is still there.
            let tell = move || network.refused(way, epoch, &from, status, &reason);
            world.set_alarm(world.now() + self.way_back(way), Box::new(tell));
        }
    }

    /// How long an answer takes to what was sent on a way.
    fn way_back(&self, (from, to): Way) -> Duration {
        locked(&self.0.wires).latency((to, from), |n| self.0.random.below(n))
    }

    fn refused(&self, way: Way, epoch: u64, from: &Pid, status: u16, reason: &str) {
        let sender = {
            let wires = locked(&self.0.wires);
            if wires.is_same(way, epoch) {
                wires.host(way.0)
            } else {
                None
            }
        };
        if let Some(node) = sender.and_then(|host| self.node(host)) {
            node.refused(from, Hop::Node(way.1), status, reason);
        }
    }
}

/// An address of the network that was taken for a node.
struct SimulatedBinding {
    network: Network,
    world: World,
    address: Address,
    host: u64,
}

impl Binding for SimulatedBinding {
    fn address(&self) -> Address {
        self.address
    }

    fn start(self: Box<Self>, node: &Node) -> Arc<dyn Transport> {
        let Self {
            network,
            world,
            address,
            host,
        } = *self;
        locked(&network.0.nodes).insert(host, node.downgrade());
        Arc::new(SimulatedTransport {
            network,
            world,
            address,
            host,
        })
    }
}

/// The transport of one node.
struct SimulatedTransport {
    network: Network,
    world: World,
    address: Address,
    host: u64,
}

impl SimulatedTransport {
    fn is_up(&self, wires: &Wires<Packet>) -> bool {
        wires.host(self.address) == Some(self.host)
    }

    fn leave(&self, crashed: bool) {
        let effects = {
            let mut wires = locked(&self.network.0.wires);
            if !self.is_up(&wires) {
                return;
            }
            wires.leave(self.world.now(), self.address, crashed)
        };
        locked(&self.network.0.nodes).remove(&self.host);
        self.network.carry_out(&self.world, effects);
        self.network.leave_requests(&self.world, self.host, crashed);
    }
}

impl Transport for SimulatedTransport {
    fn send(&self, from: &Pid, to: &Pid, message: &dyn OutboundMessage, encoding: Encoding) {
        let random = &self.network.0.random;
        let one_in = u64::from(self.network.0.codec_one_in);
        let cargo = if one_in > 1 && random.below(one_in) > 0 {
            Cargo::Copied(message.duplicate())
        } else {
            self.network.0.written.fetch_add(1, Ordering::Relaxed);
            match message.encode(encoding) {
                Ok(body) => Cargo::Written(message.name(), body),
                Err(problem) => {
                    self.network.was_unreadable(&problem);
                    if let Some(node) = self.network.node(self.host) {
                        node.refused(from, Hop::Local, 400, &problem.to_string());
                    }
                    return;
                }
            }
        };
        let way = (self.address, to.address());
        let packet = Packet {
            from: from.clone(),
            to: to.clone(),
            encoding,
            cargo,
        };
        let now = self.world.now();
        let effects = {
            let mut wires = locked(&self.network.0.wires);
            if !self.is_up(&wires) {
                return;
            }
            let latency = wires.latency(way, |n| random.below(n));
            let cuts = u64::from(wires.weather.cuts_per_million);
            if cuts > 0 && random.below(1_000_000) < cuts {
                let connected = wires.connect(now, way, self.host, latency);
                [connected, wires.break_off(now, way)]
            } else {
                wires.carry(now, way, self.host, packet, latency)
            }
        };
        self.network
            .carry_out(&self.world, effects.into_iter().flatten());
    }

    fn link(&self, to: Address) {
        let effect = {
            let mut wires = locked(&self.network.0.wires);
            if !self.is_up(&wires) {
                return;
            }
            let way = (self.address, to);
            let latency = wires.latency(way, |n| self.network.0.random.below(n));
            wires.connect(self.world.now(), way, self.host, latency)
        };
        self.network.carry_out(&self.world, effect);
    }

    /// Nothing waits for this network.
    fn outgoings(&self, _to: Address) -> Outgoings {
        Outgoings::default()
    }

    fn shutdown(&self) -> BoxFuture<'static, ()> {
        self.leave(false);
        Box::pin(std::future::ready(()))
    }

    fn crash(&self, host: bool) {
        self.leave(host);
    }
}
