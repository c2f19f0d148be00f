//! The state of the simulated network: hosts, connections, and what is on its way. Pure: time and
//! chance come in, and what is to happen later goes out as [`Effect`]s.
//!
//! ```text
//! open --way blocked--> stalled: packets wait, as TCP sends them again
//!   |                     |--healed before the detection time--> open, what waited arrives
//!   |                     \--detection time passed--> broken
//!   \--cut, refused, host gone--> broken: what is on its way is lost, the sender is told
//! ```
//!
//! A connection goes one way, from a node to an address; what the two nodes say to each other
//! travels on two. Its packets arrive in the order in which they were sent.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use rustc_hash::FxHashMap;

use crate::address::Address;
use crate::clock::Time;

/// From where to where.
pub(super) type Way = (Address, Address);

/// What is to happen at a later time, by the world's alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Call [`Wires::arrive`].
    Arrive { at: Time, way: Way, epoch: u64 },
    /// Call [`Wires::time_out`].
    TimeOut { at: Time, way: Way, epoch: u64 },
    /// Tell the node at the beginning of the way that its connection broke.
    Disconnect { at: Time, way: Way, host: u64 },
}

/// What became of the first packet under way.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrival<P> {
    /// It is there.
    Here(P),
    /// It is not due, waits for a way to be free, or fell on deaf ears.
    Nothing,
    /// The host that it was for is another now, and resets the connection.
    Reset,
}

/// What the network does to messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weather {
    /// A packet takes at least this long.
    pub(super) min_latency: Duration,
    /// And at most this long.
    pub(super) max_latency: Duration,
    /// Silence for so long breaks a connection: a partition, or a host that crashed.
    pub(super) detection: Duration,
    /// Of a million messages so many break their connection instead of arriving.
    pub(super) cuts_per_million: u32,
}

struct Connection<P> {
    /// Tells this connection from earlier ones on the same way.
    epoch: u64,
    /// The host at the beginning of the way that made it.
    maker: u64,
    /// The host at the end that it was made to; `None` where nobody listens.
    peer: Option<u64>,
    last_arrival: Time,
    /// Packets under way, and when they arrive.
    flying: VecDeque<(Time, P)>,
    /// Packets that wait for the way to be free again.
    waiting: VecDeque<P>,
}

/// Hosts, connections, and blocked ways; `P` is what travels.
pub(super) struct Wires<P> {
    pub(super) weather: Weather,
    /// Ways that are slower or faster than others: the least and the greatest latency.
    pub(super) slow: BTreeMap<Way, (Duration, Duration)>,
    /// Address -> the number of the host that listens there. Numbers are never used twice.
    hosts: FxHashMap<Address, u64>,
    /// Addresses whose host crashed: silent, where one that shut down refuses.
    silent: BTreeSet<Address>,
    connections: FxHashMap<Way, Connection<P>>,
    blocked: BTreeSet<Way>,
    next_host: u64,
    next_epoch: u64,
}

impl<P> Wires<P> {
    pub(super) fn new(weather: Weather) -> Wires<P> {
        Wires {
            weather,
            slow: BTreeMap::new(),
            hosts: FxHashMap::default(),
            silent: BTreeSet::new(),
            connections: FxHashMap::default(),
            blocked: BTreeSet::new(),
            next_host: 1,
            next_epoch: 1,
        }
    }

    /// Enters a host; `None` if another listens at the address.
    pub(super) fn listen(&mut self, address: Address) -> Option<u64> {
        if self.hosts.contains_key(&address) {
            return None;
        }
        let host = self.next_host;
        self.next_host += 1;
        self.hosts.insert(address, host);
        self.silent.remove(&address);
        Some(host)
    }

    /// The host that listens at an address.
    pub(super) fn host(&self, address: Address) -> Option<u64> {
        self.hosts.get(&address).copied()
    }

    /// How long a packet takes on a way, from a drawn number.
    pub(super) fn latency(&self, way: Way, draw: impl FnOnce(u64) -> u64) -> Duration {
        let everywhere = (self.weather.min_latency, self.weather.max_latency);
        let (min_latency, max_latency) = self.slow.get(&way).copied().unwrap_or(everywhere);
        let spread = max_latency.saturating_sub(min_latency).as_nanos();
        let spread = u64::try_from(spread).unwrap_or(u64::MAX - 1);
        min_latency + Duration::from_nanos(draw(spread + 1))
    }

    /// Whether nothing gets through a way.
    pub(super) fn is_blocked_one_way(&self, way: Way) -> bool {
        self.blocked.contains(&way)
    }

    /// Whether the host of an address crashed and no other took its place.
    pub(super) fn is_silent(&self, address: Address) -> bool {
        self.silent.contains(&address)
    }

    /// Whether data or what acknowledges it does not get through.
    pub(super) fn is_blocked(&self, (from, to): Way) -> bool {
        self.blocked.contains(&(from, to)) || self.blocked.contains(&(to, from))
    }

    /// Makes sure that there is a connection; what follows from making it.
    pub(super) fn connect(
        &mut self,
        now: Time,
        way: Way,
        maker: u64,
        latency: Duration,
    ) -> Option<Effect> {
        if self
            .connections
            .get(&way)
            .is_some_and(|connection| connection.maker == maker)
        {
            return None;
        }
        let epoch = self.next_epoch;
        self.next_epoch += 1;
        let peer = self.host(way.1);
        let connection = Connection {
            epoch,
            maker,
            peer,
            last_arrival: now,
            flying: VecDeque::new(),
            waiting: VecDeque::new(),
        };
        self.connections.insert(way, connection);
        if self.is_blocked(way) || self.silent.contains(&way.1) {
            Some(Effect::TimeOut {
                at: now + self.weather.detection,
                way,
                epoch,
            })
        } else if peer.is_none() {
            Some(Effect::TimeOut {
                at: now + latency + latency,
                way,
                epoch,
            })
        } else {
            None
        }
    }

    /// Sends a packet on the connection that [`Wires::connect`] made.
    pub(super) fn send(
        &mut self,
        now: Time,
        way: Way,
        packet: P,
        latency: Duration,
    ) -> Option<Effect> {
        let blocked = self.blocked.contains(&way);
        let connection = self.connections.get_mut(&way)?;
        if blocked || connection.peer.is_none() {
            connection.waiting.push_back(packet);
            return None;
        }
        Some(connection.fly(now, way, packet, latency))
    }

    /// Sends a packet on the connection that there is, or that this makes; what follows from both.
    pub(super) fn carry(
        &mut self,
        now: Time,
        way: Way,
        maker: u64,
        packet: P,
        latency: Duration,
    ) -> [Option<Effect>; 2] {
        if self.blocked.is_empty()
            && let Some(connection) = self.connections.get_mut(&way)
            && connection.maker == maker
            && connection.peer.is_some()
        {
            return [None, Some(connection.fly(now, way, packet, latency))];
        }
        let connected = self.connect(now, way, maker, latency);
        [connected, self.send(now, way, packet, latency)]
    }

    /// A packet is at its end: the host that takes it, and the packet. Nothing if the connection
    /// broke meanwhile.
    pub(super) fn arrive(&mut self, now: Time, way: Way, epoch: u64) -> Arrival<(u64, P)> {
        let connection = self.connections.get_mut(&way);
        let Some(connection) = connection.filter(|found| found.epoch == epoch) else {
            return Arrival::Nothing;
        };
        // A block takes what is under way back, and leaves its alarm behind.
        let due = connection.flying.front().is_some_and(|(at, _)| *at <= now);
        let packet = due.then(|| connection.flying.pop_front()).flatten();
        let Some((_, packet)) = packet else {
            return Arrival::Nothing;
        };
        match self.hosts.get(&way.1) {
            Some(&host) if connection.peer == Some(host) => Arrival::Here((host, packet)),
            // A host that crashed says nothing.
            None => Arrival::Nothing,
            Some(_) => Arrival::Reset,
        }
    }

    /// The detection time of a connection has passed: it breaks, unless the way is free again.
    pub(super) fn time_out(&mut self, now: Time, way: Way, epoch: u64) -> Option<Effect> {
        let connection = self
            .connections
            .get(&way)
            .filter(|found| found.epoch == epoch)?;
        let reached = connection.peer.is_some() && connection.peer == self.host(way.1);
        if reached && !self.is_blocked(way) {
            return None;
        }
        self.break_off(now, way)
    }

    /// Breaks a connection: what is under way is lost, and its maker is told at `at`.
    pub(super) fn break_off(&mut self, at: Time, way: Way) -> Option<Effect> {
        let connection = self.connections.remove(&way)?;
        Some(Effect::Disconnect {
            at,
            way,
            host: connection.maker,
        })
    }

    /// Whether a connection still is what it was when something was sent on it.
    pub(super) fn is_same(&self, way: Way, epoch: u64) -> bool {
        self.connections
            .get(&way)
            .is_some_and(|connection| connection.epoch == epoch)
    }

    /// Blocks a way. Connections in either direction break after the detection time: data or
    /// its acknowledgement does not get through.
    pub(super) fn block(&mut self, now: Time, way: Way) -> Vec<Effect> {
        if !self.blocked.insert(way) {
            return Vec::new();
        }
        if let Some(connection) = self.connections.get_mut(&way) {
            let flying = std::mem::take(&mut connection.flying);
            connection
                .waiting
                .extend(flying.into_iter().map(|(_, packet)| packet));
        }
        let at = now + self.weather.detection;
        [way, (way.1, way.0)]
            .into_iter()
            .filter_map(|way| {
                let epoch = self.connections.get(&way)?.epoch;
                Some(Effect::TimeOut { at, way, epoch })
            })
            .collect()
    }

    /// Frees a way; what waited sets out again.
    pub(super) fn free(&mut self, now: Time, way: Way, latency: Duration) -> Vec<Effect> {
        self.blocked.remove(&way);
        let Some(connection) = self.connections.get_mut(&way) else {
            return Vec::new();
        };
        let waiting = std::mem::take(&mut connection.waiting);
        waiting
            .into_iter()
            .map(|packet| connection.fly(now, way, packet, latency))
            .collect()
    }

    /// All blocked ways.
    pub(super) fn blocked(&self) -> Vec<Way> {
        self.blocked.iter().copied().collect()
    }

    /// A host goes: shut down it closes its connections, crashed it falls silent.
    pub(super) fn leave(&mut self, now: Time, address: Address, crashed: bool) -> Vec<Effect> {
        if self.hosts.remove(&address).is_none() {
            return Vec::new();
        }
        let Weather {
            max_latency,
            detection,
            ..
        } = self.weather;
        let at = now + if crashed { detection } else { max_latency };
        if crashed {
            self.silent.insert(address);
        }
        let to_it = |(way, connection): (&Way, &Connection<P>)| {
            (way.1 == address).then_some((*way, connection.epoch))
        };
        let mut over: Vec<(Way, u64)> = self.connections.iter().filter_map(to_it).collect();
        // A hash map's order is none.
        over.sort_unstable();
        let over = over.into_iter();
        over.map(|(way, epoch)| Effect::TimeOut { at, way, epoch })
            .collect()
    }
}

impl<P> Connection<P> {
    fn fly(&mut self, now: Time, way: Way, packet: P, latency: Duration) -> Effect {
        // Strictly later than the packet before it: the order of alarms of one time is no order.
        self.last_arrival = (now + latency).max(self.last_arrival + Duration::from_nanos(1));
        self.flying.push_back((self.last_arrival, packet));
        Effect::Arrive {
            at: self.last_arrival,
            way,
            epoch: self.epoch,
        }
    }
}

#[cfg(test)]
#[path = "wires_tests.rs"]
mod tests;
