//! Where a node listens, what it calls itself, and where its master is: the flags `--ip`, `--port`,
//! `--advertise_*`, `--hostname` and `--master`.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, ToSocketAddrs as _},
    process::{Command, Stdio},
};

use tepui_runtime::{Address, NodeOptions, Pid};

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
        let given = ip(values)?;
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
                disabled_endpoints: disabled_endpoints(values)?,
                require_peer_address_ip_match: values
                    .boolean("LIBPROCESS_REQUIRE_PEER_ADDRESS_IP_MATCH"),
                ..NodeOptions::default()
            },
            hostname: hostname(values, reached)?,
            warning: warning.to_owned(),
        })
    }

    /// Refuses an address at which only this machine finds the node, when its master is elsewhere.
    ///
    /// # Errors
    ///
    /// A sentence that names the flags that help.
    pub(crate) fn check_reachable_from(&self, master: Address) -> Result<(), FlagError> {
        let own = self.node.advertise.map_or(self.node.ip, |told| told.ip);
        if !own.is_loopback() || master.ip.is_loopback() {
            return Ok(());
        }
        Err(FlagError::Combination(format!(
            "the master at {master} could not reach this agent at {own}, which every machine takes \
             for itself: give the address to listen on with --ip, or one that leads here with \
             --advertise_ip"
        )))
    }
}

/// The address to listen on, where the operator says.
fn ip(values: &Values) -> Result<Option<IpAddr>, FlagError> {
    let name = "ip_discovery_command";
    let Some(command) = values.text(name) else {
        return Ok(values.parsed("ip"));
    };
    if values.text("ip").is_some() {
        let problem = "--ip and --ip_discovery_command exclude each other".to_owned();
        return Err(FlagError::Combination(problem));
    }
    let bad = |problem: String| FlagError::BadValue { name, problem };
    let output = Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|problem| bad(format!("cannot run '{command}': {problem}")))?;
    if !output.status.success() {
        return Err(bad(format!("'{command}' ended with {}", output.status)));
    }
    let printed = String::from_utf8_lossy(&output.stdout);
    let printed = printed.trim();
    let address = printed.parse().map_err(|_| {
        bad(format!(
            "'{command}' printed '{printed}', which is no IP address"
        ))
    })?;
    Ok(Some(address))
}

/// The endpoints that Mesos' firewall rules close.
fn disabled_endpoints(values: &Values) -> Result<BTreeSet<String>, FlagError> {
    let name = "firewall_rules";
    let bad = |problem: String| FlagError::BadValue { name, problem };
    let Some(rules) = values.json(name) else {
        return Ok(BTreeSet::new());
    };
    let form = || bad("expected {\"disabled_endpoints\":{\"paths\":[...]}}".to_owned());
    let only = |json: &serde_json::Value, key: &str| {
        let fields = json.as_object().filter(|fields| fields.len() == 1)?;
        fields.get(key).cloned()
    };
    let paths = only(&rules, "disabled_endpoints").and_then(|rule| only(&rule, "paths"));
    let paths: Vec<String> = paths
        .and_then(|paths| serde_json::from_value(paths).ok())
        .ok_or_else(form)?;
    match paths.iter().find(|path| !path.starts_with('/')) {
        Some(path) => Err(bad(format!("the path '{path}' does not begin with '/'"))),
        None => Ok(paths.into_iter().collect()),
    }
}

/// The master that a flag names: `host:port` or `master@host:port`.
///
/// # Errors
///
/// What is wrong with `--master`.
pub(crate) fn master_pid(values: &Values) -> Result<Pid, FlagError> {
    let name = "master";
    let text = values
        .text(name)
        .ok_or(FlagError::Required { name })?
        .trim();
    if text.starts_with("zk://") {
        let feature = "finding the master by ZooKeeper";
        return Err(FlagError::NotOffered {
            name,
            feature,
            value: text.to_owned(),
        });
    }
    let bad = |problem: String| FlagError::BadValue { name, problem };
    if text.is_empty() {
        let problem = "expected host:port, and nothing is there, or in the file that it names";
        return Err(bad(problem.to_owned()));
    }
    let address = text.strip_prefix("master@").unwrap_or(text);
    let (host, port) = address.rsplit_once(':').unwrap_or((address, "5050"));
    let port: u16 = port
        .parse()
        .map_err(|_| bad(format!("'{text}' is not host:port")))?;
    let address: Address = resolve(host, port).map_err(bad)?;
    Ok(Pid::new("master", address))
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

/// What others are told. Mesos takes an empty name, and then tells frameworks and browsers to go
/// to `//:5050`.
fn hostname(values: &Values, ip: IpAddr) -> Result<String, FlagError> {
    let name = "hostname";
    if let Some(given) = values.text(name) {
        if given.trim().is_empty() {
            let problem = "expected a name: an empty one leads nobody here".to_owned();
            return Err(FlagError::BadValue { name, problem });
        }
        return Ok(given.to_owned());
    }
    if !values.boolean("hostname_lookup") {
        return Ok(ip.to_string());
    }
    if ip.is_loopback() {
        return Ok("localhost".to_owned());
    }
    // The machine's own name is that of the address only where it leads there.
    let leads_here = |name: &String| resolve(name, 0).is_ok_and(|address| address.ip == ip);
    Ok(machine_name()
        .filter(leads_here)
        .unwrap_or_else(|| ip.to_string()))
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
        for empty in ["", " "] {
            let problem = listening(&[("hostname", empty)]).unwrap_err();
            assert!(problem.contains("'hostname': expected a name"), "{problem}");
        }
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
    fn the_master_is_named_by_address() {
        let values = |pairs: &[(&'static str, &str)]| {
            let mut values = Values::default();
            for (name, text) in pairs {
                values.set(name, (*text).to_owned());
            }
            values
        };
        let pid = |text: &str| master_pid(&values(&[("master", text)])).map(|pid| pid.to_string());
        assert_eq!(pid("127.0.0.1:6000").unwrap(), "master@127.0.0.1:6000");
        assert_eq!(
            pid("master@127.0.0.1:6000\n").unwrap(),
            "master@127.0.0.1:6000"
        );
        assert_eq!(pid("127.0.0.1").unwrap(), "master@127.0.0.1:5050");
        assert!(
            pid("zk://h:1/mesos")
                .unwrap_err()
                .to_string()
                .contains("ZooKeeper")
        );
        assert!(
            pid("127.0.0.1:x")
                .unwrap_err()
                .to_string()
                .contains("not host:port")
        );
        for nothing in ["", " \n"] {
            assert_eq!(
                pid(nothing).unwrap_err().to_string(),
                "Failed to load flag 'master': expected host:port, and nothing is there, or in \
                 the file that it names"
            );
        }
        let missing = master_pid(&values(&[])).unwrap_err().to_string();
        assert_eq!(
            missing,
            "Flag 'master' is required, but it was not provided"
        );
    }

    #[test]
    fn firewall_rules_disable_endpoints() {
        let rules = |text: &str| listening(&[("firewall_rules", text)]);
        let found = rules(r#"{"disabled_endpoints":{"paths":["/master/state","/x"]}}"#).unwrap();
        let disabled: Vec<_> = found.node.disabled_endpoints.into_iter().collect();
        assert_eq!(disabled, ["/master/state", "/x"]);
        for (text, expected) in [
            ("{}", "expected {"),
            ("[]", "expected {"),
            (r#"{"other":1}"#, "expected {"),
            (
                r#"{"disabled_endpoints":{"paths":["/x"],"more":1}}"#,
                "expected {",
            ),
            (
                r#"{"disabled_endpoints":{"paths":["x"]}}"#,
                "the path 'x' does not begin with '/'",
            ),
        ] {
            let problem = rules(text).unwrap_err();
            let start = "Failed to load flag 'firewall_rules': ";
            assert!(
                problem.starts_with(&format!("{start}{expected}")),
                "{problem}"
            );
        }
    }

    #[test]
    fn a_command_may_find_the_address() {
        let found = listening(&[("ip_discovery_command", "echo 127.0.0.1 && exit 0")]).unwrap();
        assert_eq!(found.node.ip, IpAddr::V4(Ipv4Addr::LOCALHOST));
        assert_eq!(found.warning, "", "the address was chosen");
        for (command, expected) in [
            ("echo nothing", "printed 'nothing', which is no IP address"),
            ("exit 3", "ended with exit status: 3"),
        ] {
            let problem = listening(&[("ip_discovery_command", command)]).unwrap_err();
            assert!(problem.contains("'ip_discovery_command'"), "{problem}");
            assert!(problem.contains(expected), "{problem}");
        }
        let both = [
            ("ip_discovery_command", "echo 127.0.0.1"),
            ("ip", "127.0.0.1"),
        ];
        let problem = listening(&both).unwrap_err();
        assert_eq!(
            problem,
            "--ip and --ip_discovery_command exclude each other"
        );
    }

    #[test]
    fn an_agent_on_loopback_cannot_serve_a_master_elsewhere() {
        let check = |pairs: &[(&'static str, &str)], master: &str| {
            let listening = listening(pairs).unwrap();
            let result = listening.check_reachable_from(master.parse().unwrap());
            result.map_err(|problem| problem.to_string())
        };
        assert_eq!(check(&[], "127.0.0.1:5050"), Ok(()));
        assert_eq!(check(&[], "127.1.2.3:5050"), Ok(()));
        let there = [("advertise_ip", "10.0.0.9")];
        assert_eq!(check(&there, "10.1.2.3:5050"), Ok(()));
        assert_eq!(check(&[("ip", "10.0.0.9")], "10.1.2.3:5050"), Ok(()));
        for pairs in [
            &[][..],
            &[("ip", "127.0.0.1")],
            &[("advertise_ip", "127.0.0.1")],
        ] {
            let problem = check(pairs, "10.1.2.3:5050").unwrap_err();
            for part in ["10.1.2.3:5050", "127.0.0.1", "--ip", "--advertise_ip"] {
                assert!(problem.contains(part), "{problem}");
            }
        }
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
