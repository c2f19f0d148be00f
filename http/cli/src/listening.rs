//! Where a node listens, and what it calls itself: the flags `--ip`, `--port`, `--advertise_*` and
//! `--hostname`.

use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs as _};

use tepui_runtime::{Address, NodeOptions};

use crate::flags::{FlagError, Values};

/// What the flags say of a node.
#[derive(Debug, Clone)]
pub(crate) struct Listening {
    pub(crate) node: NodeOptions,
    /// The name that others are told.
    pub(crate) hostname: String,
    /// What the operator should know.
    pub(crate) warning: String,
}

impl Listening {
    /// Reads the flags of a node called `name`.
    pub(crate) fn of(values: &Values, name: &str) -> Result<Self, FlagError> {
        let port = parse_port(values, "port")?.unwrap_or(0);
        let given: Option<IpAddr> = values.parsed("ip");
        let ip = given.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let advertise = advertised(values, ip, port)?;
        let warning = if given.is_none() {
            "listens on loopback only, so that nothing on other machines can reach it: --ip says \
             otherwise"
        } else if ip.is_loopback() {
            ""
        } else {
            "listens beyond this machine, and whoever can connect may run tasks: there is no \
             authentication"
        };
        let reached = advertise.map_or(ip, |address| address.ip);
        Ok(Self {
            node: NodeOptions {
                name: name.to_owned(),
                ip,
                port,
                advertise,
                ..NodeOptions::default()
            },
            hostname: hostname(values, reached),
            warning: warning.to_owned(),
        })
    }
}

fn advertised(values: &Values, ip: IpAddr, port: u16) -> Result<Option<Address>, FlagError> {
    let advertise_ip: Option<IpAddr> = values.parsed("advertise_ip");
    let advertise_port = parse_port(values, "advertise_port")?;
    if advertise_port.is_some() && advertise_ip.is_none() {
        let problem = "--advertise_port needs --advertise_ip".to_owned();
        return Err(FlagError::Combination(problem));
    }
    match advertise_ip {
        Some(address) => match advertise_port.unwrap_or(port) {
            0 => Err(FlagError::Combination(
                "--port=0 needs --advertise_port".to_owned(),
            )),
            port => Ok(Some(Address::new(address, port))),
        },
        None if ip.is_unspecified() => {
            let own = own_address().ok_or_else(|| {
                FlagError::Combination(format!(
                    "--ip={ip} needs --advertise_ip: this machine's name has no address"
                ))
            })?;
            Ok(Some(Address::new(own, port)))
        }
        None => Ok(None),
    }
}

fn parse_port(values: &Values, name: &'static str) -> Result<Option<u16>, FlagError> {
    let problem = |text: &str| format!("Failed to load value '{text}': a port is at most 65535");
    values
        .text(name)
        .map(|text| {
            text.parse().map_err(|_| FlagError::BadValue {
                name,
                problem: problem(text),
            })
        })
        .transpose()
}

/// The machine's own name, or nothing where it has none that is text.
fn machine_name() -> Option<String> {
    nix::unistd::gethostname()
        .ok()?
        .into_string()
        .ok()
        .filter(|name| !name.is_empty())
}

/// The first IPv4 address of the machine's name, as libprocess finds what to advertise.
fn own_address() -> Option<IpAddr> {
    resolve(&machine_name()?, 0).ok().map(|address| address.ip)
}

/// The address of a host by name or number.
///
/// # Errors
///
/// A sentence that names the host.
pub(crate) fn resolve(host: &str, port: u16) -> Result<Address, String> {
    let found = (host, port)
        .to_socket_addrs()
        .map_err(|problem| format!("cannot find the address of '{host}': {problem}"))?;
    found
        .map(Address::from)
        .find(|address| address.ip.is_ipv4())
        .ok_or_else(|| format!("'{host}' has no IPv4 address"))
}

fn hostname(values: &Values, ip: IpAddr) -> String {
    if let Some(name) = values.text("hostname") {
        return name.to_owned();
    }
    if !values.boolean("hostname_lookup") {
        return ip.to_string();
    }
    if ip.is_loopback() {
        return "localhost".to_owned();
    }
    machine_name().unwrap_or_else(|| ip.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listening(pairs: &[(&'static str, &str)]) -> Result<Listening, String> {
        let mut values = Values::default();
        values.set("hostname_lookup", "true".to_owned());
        values.set("port", "5050".to_owned());
        for (name, text) in pairs {
            values.set(name, (*text).to_owned());
        }
        Listening::of(&values, "master").map_err(|problem| problem.to_string())
    }

    #[test]
    fn without_an_address_it_is_loopback_and_says_so() {
        let found = listening(&[]).unwrap();
        assert_eq!(
            (found.node.ip, found.node.port),
            (IpAddr::V4(Ipv4Addr::LOCALHOST), 5050)
        );
        assert_eq!(
            (found.node.advertise, found.hostname.as_str()),
            (None, "localhost")
        );
        assert!(found.warning.contains("loopback only"));
        assert_eq!(listening(&[("ip", "127.0.0.1")]).unwrap().warning, "");
        assert!(
            listening(&[("ip", "10.1.2.3")])
                .unwrap()
                .warning
                .contains("authentication")
        );
    }

    #[test]
    fn what_is_advertised_is_told_to_others() {
        let flags = [
            ("ip", "127.0.0.1"),
            ("advertise_ip", "10.0.0.9"),
            ("advertise_port", "80"),
        ];
        let found = listening(&flags).unwrap();
        assert_eq!(found.node.advertise.unwrap().to_string(), "10.0.0.9:80");
        let found = listening(&[("advertise_ip", "10.0.0.9"), ("hostname", "me")]).unwrap();
        assert_eq!(found.node.advertise.unwrap().to_string(), "10.0.0.9:5050");
        assert_eq!(found.hostname, "me");
        let found = listening(&[("ip", "10.1.2.3"), ("hostname_lookup", "false")]).unwrap();
        assert_eq!(found.hostname, "10.1.2.3");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let problem = listening(&[("advertise_port", "80")]).unwrap_err();
        assert_eq!(problem, "--advertise_port needs --advertise_ip");
        let problem = listening(&[("advertise_ip", "10.0.0.9"), ("port", "0")]).unwrap_err();
        assert_eq!(problem, "--port=0 needs --advertise_port");
        assert!(
            listening(&[("port", "70000")])
                .unwrap_err()
                .contains("at most 65535")
        );
        assert!(listening(&[("advertise_ip", "1.2.3.4"), ("advertise_port", "70000")]).is_err());
    }

    #[test]
    fn hosts_are_found_by_name_and_number() {
        assert_eq!(
            resolve("127.0.0.1", 5050).unwrap().to_string(),
            "127.0.0.1:5050"
        );
        assert_eq!(resolve("localhost", 1).unwrap().to_string(), "127.0.0.1:1");
        assert!(
            resolve("no such host", 1)
                .unwrap_err()
                .contains("no such host")
        );
    }
}
