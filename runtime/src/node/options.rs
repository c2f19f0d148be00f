//! How a node is started, and why it is not.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use crate::address::Address;
use crate::tcp::Limits;

/// How a node is started.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// What its messages in logs and its disk in the simulated world go by; empty: `node(N)`.
    pub name: String,
    /// The IP address to listen on.
    pub ip: IpAddr,
    /// The port to listen on, 0 for any that is free.
    pub port: u16,
    /// The address under which others reach it, if that is not the one it listens on.
    pub advertise: Option<Address>,
    /// The largest body of a message or request that is taken, in bytes.
    pub max_body_bytes: usize,
    /// The largest sum of bytes that wait to be sent to one other node.
    pub max_outgoing_bytes: usize,
    /// Whether a message is refused whose sender's IP address is not the peer's
    /// (libprocess' `require_peer_address_ip_match`).
    pub require_peer_address_ip_match: bool,
    /// Whether it offers, takes and uses the framed form of messages; without it, all go in
    /// libprocess' form, also between nodes that have both. The simulated network has neither.
    pub frames: bool,
    /// Endpoints that are answered 403, by their whole paths, such as `/master/state`; a path whose
    /// first part is no process means the delegate's (Mesos' `--firewall_rules`).
    pub disabled_endpoints: BTreeSet<String>,
    /// What bounds its connections; the simulated network has none of these bounds.
    pub limits: Limits,
    /// The length of a mailbox at which it is reported by a warning and a metric.
    pub mailbox_mark: usize,
    /// Whether it is held until [`Node::open`]: it listens, and whoever connects waits until then,
    /// so that nobody finds a node whose processes and routes are not there yet. In the simulated
    /// world nothing comes between the start of a node and what is done next.
    ///
    /// [`Node::open`]: crate::Node::open
    pub held: bool,
}

impl Default for NodeOptions {
    /// Any free port on loopback, bodies up to 64 MiB, 64 MiB waiting for each other node, and
    /// mailboxes reported from 100,000 events on.
    fn default() -> NodeOptions {
        NodeOptions {
            name: String::new(),
            ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            advertise: None,
            max_body_bytes: 64 << 20,
            max_outgoing_bytes: 64 << 20,
            require_peer_address_ip_match: false,
            frames: true,
            disabled_endpoints: BTreeSet::new(),
            limits: Limits::default(),
            mailbox_mark: 100_000,
            held: false,
        }
    }
}

/// Why a node was not started.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {ip}:{port}: {source}")]
    Bind {
        /// The IP address.
        ip: IpAddr,
        /// The port.
        port: u16,
        /// What the system says.
        source: std::io::Error,
    },
}
