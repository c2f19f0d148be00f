//! Where a process is reached: `ip:port` of its node, and `id@ip:port` of the process itself.
//!
//! Not here: who listens there (`node`), and how one gets there (`transport`).

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::mailbox::CachedMailbox;

/// The address of a node: what it listens on, or what it advertises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// The IP address.
    pub ip: IpAddr,
    /// The TCP port.
    pub port: u16,
}

impl Address {
    /// The address `0.0.0.0:0`, at which nobody is.
    pub const NOWHERE: Address = Address {
        ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        port: 0,
    };

    /// An address from its two parts.
    #[must_use]
    pub const fn new(ip: IpAddr, port: u16) -> Address {
        Address { ip, port }
    }
}

impl Hash for Address {
    /// In as few steps as its parts fit in.
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.ip {
            IpAddr::V4(ip) => {
                state.write_u64(u64::from(u32::from(ip)) << 16 | u64::from(self.port));
            }
            IpAddr::V6(ip) => {
                state.write_u128(ip.into());
                state.write_u16(self.port);
            }
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.ip, self.port)
    }
}

impl From<SocketAddr> for Address {
    fn from(socket: SocketAddr) -> Address {
        Address {
            ip: socket.ip(),
            port: socket.port(),
        }
    }
}

impl From<Address> for SocketAddr {
    fn from(address: Address) -> SocketAddr {
        SocketAddr::new(address.ip, address.port)
    }
}

/// Why a text is no address or no PID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// A PID needs an `@` between its id and its address.
    #[error("no '@' in PID '{text}'")]
    NoId {
        /// What was given.
        text: String,
    },
    /// An address needs a port after its last colon.
    #[error("no port in address '{text}'")]
    NoPort {
        /// What was given.
        text: String,
    },
    /// The port is no number from 0 to 65535.
    #[error("bad port in address '{text}'")]
    BadPort {
        /// What was given.
        text: String,
    },
    /// The host is no IP address; names are not resolved here.
    #[error("bad IP in address '{text}'")]
    BadIp {
        /// What was given.
        text: String,
    },
}

impl FromStr for Address {
    type Err = AddressError;

    /// Host and port part at the last colon, so that an unbracketed IPv6 address is understood.
    fn from_str(text: &str) -> Result<Address, AddressError> {
        let (host, port) = text.rsplit_once(':').ok_or_else(|| AddressError::NoPort {
            text: text.to_owned(),
        })?;
        let port = port.parse().map_err(|_error| AddressError::BadPort {
            text: text.to_owned(),
        })?;
        let host = host
            .strip_prefix('[')
            .and_then(|h| h.strip_suffix(']'))
            .unwrap_or(host);
        let ip = host.parse().map_err(|_error| AddressError::BadIp {
            text: text.to_owned(),
        })?;
        Ok(Address { ip, port })
    }
}

/// The name of a process: `id@ip:port`. Cheap to clone.
///
/// It remembers the mailbox which it led to the last time, so that a message inside a node does
/// not look the id up again.
#[derive(Clone)]
pub struct Pid(Arc<Inner>);

struct Inner {
    id: Box<str>,
    address: Address,
    pub(crate) cached: OnceLock<CachedMailbox>,
}

impl Pid {
    /// The PID of the process `id` on the node at `address`.
    #[must_use]
    pub fn new(id: &str, address: Address) -> Pid {
        Pid(Arc::new(Inner {
            id: id.into(),
            address,
            cached: OnceLock::new(),
        }))
    }

    /// The PID `@0.0.0.0:0` of no process, as libprocess' empty UPID.
    #[must_use]
    pub fn nobody() -> Pid {
        Pid::new("", Address::NOWHERE)
    }

    /// Whether this is nobody's PID.
    #[must_use]
    pub fn is_nobody(&self) -> bool {
        self.0.id.is_empty() && self.0.address == Address::NOWHERE
    }

    /// The process' id, unique on its node.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// The address of the process' node.
    #[must_use]
    pub fn address(&self) -> Address {
        self.0.address
    }

    /// The place where the mailbox behind this PID is remembered.
    pub(crate) fn cached(&self) -> &OnceLock<CachedMailbox> {
        &self.0.cached
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.0.id, self.0.address)
    }
}

impl fmt::Debug for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Pid {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Pid, AddressError> {
        let (id, address) = text.split_once('@').ok_or_else(|| AddressError::NoId {
            text: text.to_owned(),
        })?;
        Ok(Pid::new(id, address.parse()?))
    }
}

impl PartialEq for Pid {
    fn eq(&self, other: &Pid) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.address == other.0.address && self.0.id == other.0.id)
    }
}

impl Eq for Pid {}

impl Ord for Pid {
    fn cmp(&self, other: &Pid) -> Ordering {
        self.0
            .id
            .cmp(&other.0.id)
            .then_with(|| self.0.address.cmp(&other.0.address))
    }
}

impl PartialOrd for Pid {
    fn partial_cmp(&self, other: &Pid) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Pid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
        self.0.address.hash(state);
    }
}

impl Serialize for Pid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pid, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_is_its_text() {
        let pid: Pid = "slave(1)@10.0.0.7:5051".parse().unwrap();
        assert_eq!(pid.id(), "slave(1)");
        assert_eq!(pid.address().to_string(), "10.0.0.7:5051");
        assert_eq!(pid.to_string(), "slave(1)@10.0.0.7:5051");
        assert_eq!(
            serde_json::to_string(&pid).unwrap(),
            "\"slave(1)@10.0.0.7:5051\""
        );
        assert_eq!(
            serde_json::from_str::<Pid>("\"slave(1)@10.0.0.7:5051\"").unwrap(),
            pid
        );
    }

    #[test]
    fn nobody_is_the_empty_pid() {
        assert_eq!(Pid::nobody().to_string(), "@0.0.0.0:0");
        assert!("@0.0.0.0:0".parse::<Pid>().unwrap().is_nobody());
        assert!(!"x@0.0.0.0:0".parse::<Pid>().unwrap().is_nobody());
    }

    #[test]
    fn both_writings_of_an_ipv6_address_are_understood() {
        let plain: Pid = "a@::1:5050".parse().unwrap();
        let bracketed: Pid = "a@[::1]:5050".parse().unwrap();
        assert_eq!(plain, bracketed);
        assert_eq!(plain.to_string(), "a@::1:5050");
    }

    #[test]
    fn bad_text_is_an_error_that_names_it() {
        let error = |text: &str| text.parse::<Pid>().unwrap_err().to_string();
        assert_eq!(error("master"), "no '@' in PID 'master'");
        assert_eq!(error("master@1.2.3.4"), "no port in address '1.2.3.4'");
        assert_eq!(
            error("master@1.2.3.4:70000"),
            "bad port in address '1.2.3.4:70000'"
        );
        assert_eq!(
            error("master@localhost:5050"),
            "bad IP in address 'localhost:5050'"
        );
    }

    #[test]
    fn pids_are_ordered_by_id_first() {
        let a: Pid = "a@10.0.0.2:1".parse().unwrap();
        let b: Pid = "b@10.0.0.1:1".parse().unwrap();
        assert!(a < b);
        assert_eq!(a, Pid::new("a", a.address()));
    }
}
