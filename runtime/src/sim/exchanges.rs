//! HTTP exchanges on the simulated network: each is a connection of its own, from a client to a
//! server, with packets under way in both directions. Pure: time and chance come in, and what is to
//! happen later goes out as [`Due`]s.
//!
//! ```text
//! open --way blocked--> stalled: packets wait, as TCP sends them again
//!   |                      |--freed before the detection time--> open, what waited arrives
//!   |                      \--detection time passed--> broken
//!   |--ended by either side-> over
//!   \--cut, nobody there, host gone--> broken: what is on its way is lost, both sides are told
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::wires::{Arrival, Way, Wires};
use crate::address::Address;
use crate::clock::Time;

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// What is to happen at a later time, by the world's alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Call [`Exchanges::arrive`].
    Arrive(Time, u64, Direction),
    /// Call [`Exchanges::time_out`].
    TimeOut(Time, u64),
}

struct Lane<P> {
    last_arrival: Time,
    /// Packets under way, and when they arrive.
    flying: VecDeque<(Time, P)>,
}

struct Exchange<P> {
    client: (Address, u64),
    /// Without a number where nobody listened when it began.
    server: (Address, Option<u64>),
    up: Lane<P>,
    down: Lane<P>,
}

/// All exchanges, by number. Numbers are never used twice.
pub(super) struct Exchanges<P> {
    exchanges: BTreeMap<u64, Exchange<P>>,
    next: u64,
}

impl<P> Exchange<P> {
    /// From where to where its packets of a direction go.
    const fn way(&self, direction: Direction) -> Way {
        match direction {
            Direction::Up => (self.client.0, self.server.0),
            Direction::Down => (self.server.0, self.client.0),
        }
    }

    const fn lane(&mut self, direction: Direction) -> &mut Lane<P> {
        match direction {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        }
    }

    /// Whether it runs over a way, in either direction.
    fn runs_over(&self, way: Way) -> bool {
        self.way(Direction::Up) == way || self.way(Direction::Down) == way
    }
}

impl<P> Lane<P> {
    fn new(now: Time) -> Lane<P> {
        Lane {
            last_arrival: now,
            flying: VecDeque::new(),
        }
    }

    /// Strictly later than the packet before it: the order of alarms of one time is no order.
    fn next_arrival(&mut self, now: Time, latency: Duration) -> Time {
        self.last_arrival = (now + latency).max(self.last_arrival + Duration::from_nanos(1));
        self.last_arrival
    }
}

impl<P> Exchanges<P> {
    pub(super) const fn new() -> Exchanges<P> {
        Exchanges {
            exchanges: BTreeMap::new(),
            next: 1,
        }
    }

    /// Begins an exchange of a client, its host's number with it.
    pub(super) fn begin<W>(
        &mut self,
        now: Time,
        client: (Address, u64),
        server: Address,
        wires: &Wires<W>,
        latency: Duration,
    ) -> (u64, Option<Due>) {
        let number = self.next;
        self.next += 1;
        let peer = wires.host(server);
        let exchange = Exchange {
            client,
            server: (server, peer),
            up: Lane::new(now),
            down: Lane::new(now),
        };
        self.exchanges.insert(number, exchange);
        let silence = wires.is_blocked((client.0, server)) || wires.is_silent(server);
        let due = if silence {
            Some(Due::TimeOut(now + wires.weather.detection, number))
        } else if peer.is_none() {
            Some(Due::TimeOut(now + latency + latency, number))
        } else {
            None
        };
        (number, due)
    }

    /// From where to where the packets of a direction go, while the exchange is not over.
    pub(super) fn way(&self, number: u64, direction: Direction) -> Option<Way> {
        Some(self.exchanges.get(&number)?.way(direction))
    }

    /// As [`Exchanges::way`], if the host that sends in the direction is up.
    pub(super) fn way_of_sender<W>(
        &self,
        number: u64,
        direction: Direction,
        wires: &Wires<W>,
    ) -> Option<Way> {
        let exchange = self.exchanges.get(&number)?;
        let (address, host) = match direction {
            Direction::Up => (exchange.client.0, Some(exchange.client.1)),
            Direction::Down => exchange.server,
        };
        (host.is_some() && wires.host(address) == host).then(|| exchange.way(direction))
    }

    /// The host that takes what goes in a direction, as it was when the exchange began.
    fn receiver(&self, number: u64, direction: Direction) -> Option<(Address, Option<u64>)> {
        let exchange = self.exchanges.get(&number)?;
        Some(match direction {
            Direction::Up => exchange.server,
            Direction::Down => (exchange.client.0, Some(exchange.client.1)),
        })
    }

    /// The number of the server's host.
    pub(super) fn server(&self, number: u64) -> Option<u64> {
        self.exchanges.get(&number)?.server.1
    }

    /// Sends a packet; nothing if the exchange is over.
    pub(super) fn send(
        &mut self,
        now: Time,
        number: u64,
        direction: Direction,
        packet: P,
        latency: Duration,
    ) -> Option<Due> {
        let lane = self.exchanges.get_mut(&number)?.lane(direction);
        let at = lane.next_arrival(now, latency);
        lane.flying.push_back((at, packet));
        Some(Due::Arrive(at, number, direction))
    }

    /// The first packet of a direction is at its end, if it is due and the way is free.
    pub(super) fn arrive<W>(
        &mut self,
        now: Time,
        number: u64,
        direction: Direction,
        wires: &Wires<W>,
    ) -> Arrival<P> {
        let Some((address, expected)) = self.receiver(number, direction) else {
            return Arrival::Nothing;
        };
        let Some(exchange) = self.exchanges.get_mut(&number) else {
            return Arrival::Nothing;
        };
        let blocked = wires.is_blocked_one_way(exchange.way(direction));
        let flying = &mut exchange.lane(direction).flying;
        // What is not due was sent out again when its way was freed, and left an alarm behind.
        if blocked || flying.front().is_none_or(|(at, _)| *at > now) {
            return Arrival::Nothing;
        }
        let packet = flying.pop_front();
        match wires.host(address) {
            None => Arrival::Nothing,
            host if host == expected => {
                packet.map_or(Arrival::Nothing, |(_, it)| Arrival::Here(it))
            }
            Some(_) => Arrival::Reset,
        }
    }

    /// The detection time of an exchange has passed: whether it is to break.
    pub(super) fn time_out<W>(&self, number: u64, wires: &Wires<W>) -> bool {
        let Some(exchange) = self.exchanges.get(&number) else {
            return false;
        };
        let (server, client) = (exchange.server, exchange.client);
        let reached = server.1.is_some()
            && wires.host(server.0) == server.1
            && wires.host(client.0) == Some(client.1);
        !reached || wires.is_blocked(exchange.way(Direction::Up))
    }

    /// An exchange is over; false if it was before.
    pub(super) fn end(&mut self, number: u64) -> bool {
        self.exchanges.remove(&number).is_some()
    }

    /// A way was blocked: what breaks, unless it is free again by then.
    pub(super) fn block(&self, at: Time, way: Way) -> Vec<Due> {
        let affected = |(number, exchange): (&u64, &Exchange<P>)| {
            exchange.runs_over(way).then_some(Due::TimeOut(at, *number))
        };
        self.exchanges.iter().filter_map(affected).collect()
    }

    /// A way was freed; what waited sets out again.
    pub(super) fn free(&mut self, now: Time, way: Way, latency: Duration) -> Vec<Due> {
        let mut due = Vec::new();
        for (&number, exchange) in &mut self.exchanges {
            for direction in [Direction::Up, Direction::Down] {
                if exchange.way(direction) != way {
                    continue;
                }
                let lane = exchange.lane(direction);
                lane.last_arrival = now;
                let waiting = std::mem::take(&mut lane.flying);
                for (_, packet) in waiting {
                    let at = lane.next_arrival(now, latency);
                    lane.flying.push_back((at, packet));
                    due.push(Due::Arrive(at, number, direction));
                }
            }
        }
        due
    }

    /// A host goes: the exchanges it served, which are over there at once, and those it began.
    pub(super) fn of_host(&self, host: u64) -> (Vec<u64>, Vec<u64>) {
        let having = |has: fn(&Exchange<P>, u64) -> bool| {
            let found = self.exchanges.iter().filter(|(_, it)| has(it, host));
            found.map(|(number, _)| *number).collect()
        };
        (
            having(|exchange, host| exchange.server.1 == Some(host)),
            having(|exchange, host| exchange.client.1 == host),
        )
    }

    /// The exchanges that a client's address has with a server's.
    pub(super) fn between(&self, way: Way) -> Vec<u64> {
        let found = self
            .exchanges
            .iter()
            .filter(|(_, exchange)| exchange.way(Direction::Up) == way);
        found.map(|(number, _)| *number).collect()
    }
}
