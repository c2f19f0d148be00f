//! What the simulated world remembers of a run: a hash over what was delivered, by which two runs
//! are compared, and the last lines as text.
//!
//! Writing every body down would cost more than all else in the world, so the hash takes in the
//! body of one message in so many: what differs in the others soon differs in these, in their
//! time, or in who speaks to whom. Packets of HTTP are bytes already, and hashed whole.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::hash::Hasher;

use bytes::Bytes;
use rustc_hash::FxHasher;

use crate::address::Pid;
use crate::clock::Time;
use tepui_message::{Encoding, OutboundMessage};

/// The body of one delivered message in so many is hashed.
const BODY_ONE_IN: u64 = 10;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// A process sent it; it may be lost on its way.
    Sent,
    /// Its receiver is about to serve it.
    Delivered,
    /// No message: the receiver is about to be told that the other is gone.
    Exited,
    /// No message: a packet of an HTTP exchange has come from one end of it to the other.
    Packet,
}

/// A packet of an HTTP exchange.
#[derive(Clone, Copy, Debug)]
pub struct HttpPacket<'a> {
    /// What it is: `POST /path`, `HTTP 200`, `HTTP piece` and `HTTP end` of a stream, `HTTP read`
    /// as the client has read of one, `HTTP closed` as it has gone away.
    pub name: &'a str,
    /// The bytes of the body that it carries.
    pub body: &'a [u8],
}

/// A message, an exit or a packet of HTTP that passes by.
#[derive(Clone, Copy, Debug)]
pub struct Passage<'a> {
    /// The virtual time.
    pub at: Time,
    /// What became of it.
    pub stage: Stage,
    /// Who sent it, or is gone. An end of an HTTP exchange is called `http(<number>)`.
    pub from: &'a Pid,
    /// Who it is for.
    pub to: &'a Pid,
    /// The message, if it is one.
    pub message: Option<&'a dyn OutboundMessage>,
    /// The packet, if it is one.
    pub packet: Option<HttpPacket<'a>>,
}

impl<'a> Passage<'a> {
    /// The message, if it is of this type.
    #[must_use]
    pub fn message_as<M: 'static>(&self) -> Option<&'a M> {
        let any: &'a dyn std::any::Any = self.message?;
        any.downcast_ref()
    }

    /// The message's name, the packet's, or `exited`.
    #[must_use]
    pub fn name(&self) -> &'a str {
        match (self.message, self.packet) {
            (Some(message), _) => message.name(),
            (None, Some(packet)) => packet.name,
            (None, None) => "exited",
        }
    }

    /// A hash of its body, in the shortest encoding that it has.
    #[must_use]
    pub fn body_hash(&self) -> u64 {
        let mut hasher = FxHasher::default();
        match self.packet {
            Some(packet) => field(&mut hasher, packet.body),
            None => field(&mut hasher, &self.body()),
        }
        hasher.finish()
    }

    fn body(&self) -> Bytes {
        let written = self.message.and_then(|message| {
            let encodings = message.encodings();
            let encoding = match encodings.contains(&Encoding::Protobuf) {
                true => Encoding::Protobuf,
                false => *encodings.first()?,
            };
            message.encode(encoding).ok()
        });
        written.unwrap_or_default()
    }
}

impl fmt::Display for Passage<'_> {
    /// One line: time, from, to, name, hash of the body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Passage { at, from, to, .. } = self;
        write!(f, "{at} {from} -> {to} {}", self.name())?;
        if self.stage != Stage::Exited {
            write!(f, " {:016x}", self.body_hash())?;
        }
        Ok(())
    }
}

/// A field with its length, so that two fields never read as one.
fn field(hasher: &mut FxHasher, bytes: &[u8]) {
    hasher.write_usize(bytes.len());
    hasher.write(bytes);
}

/// A delivery that is kept, to be written out when somebody asks.
struct Kept {
    at: Time,
    from: Pid,
    to: Pid,
    name: Cow<'static, str>,
}

/// The trace of a run.
pub(crate) struct Trace {
    hasher: FxHasher,
    deliveries: u64,
    lines: VecDeque<Kept>,
    limit: usize,
}

impl Trace {
    pub(crate) fn new(limit: usize) -> Trace {
        Trace {
            hasher: FxHasher::default(),
            deliveries: 0,
            lines: VecDeque::new(),
            limit,
        }
    }

    /// Takes in a delivery, an exit, or a packet, which is not counted.
    pub(crate) fn add(&mut self, passage: &Passage<'_>) {
        let hasher = &mut self.hasher;
        hasher.write_u64(passage.at.as_nanos());
        for pid in [passage.from, passage.to] {
            field(hasher, pid.id().as_bytes());
            match pid.address().ip {
                std::net::IpAddr::V4(ip) => field(hasher, &ip.octets()),
                std::net::IpAddr::V6(ip) => field(hasher, &ip.octets()),
            }
            hasher.write_u16(pid.address().port);
        }
        field(hasher, passage.name().as_bytes());
        if let Some(packet) = passage.packet {
            field(hasher, packet.body);
        } else {
            if self.deliveries.is_multiple_of(BODY_ONE_IN) {
                field(hasher, &passage.body());
            }
            self.deliveries += 1;
        }
        if self.limit > 0 {
            if self.lines.len() == self.limit {
                self.lines.pop_front();
            }
            self.lines.push_back(Kept {
                at: passage.at,
                from: passage.from.clone(),
                to: passage.to.clone(),
                name: match passage.message {
                    Some(message) => Cow::Borrowed(message.name()),
                    None => Cow::Owned(passage.name().to_owned()),
                },
            });
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hasher.finish()
    }

    pub(crate) fn deliveries(&self) -> u64 {
        self.deliveries
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |kept: &Kept| {
            let Kept { at, from, to, name } = kept;
            format!("{at} {from} -> {to} {name}")
        };
        self.lines.iter().map(line).collect()
    }
}
