//! Flags that several commands share: logging, and where to listen.

use super::{Flag, Kind};

/// Mesos' logging flags. `help` and `version` are known to the reader of flags itself.
pub(crate) const LOGGING: &[Flag] = &[
    Flag::new(
        "logging_level",
        Kind::Text,
        "Log at this level and above: INFO, WARNING or ERROR; \
        or a filter such as info,tepui_master=debug",
    )
    .default("INFO"),
    Flag::new("quiet", Kind::Boolean, "Log nothing to stderr").default("false"),
    Flag::new("log_dir", Kind::Path, "Log into a file in this folder also"),
    Flag::refused(
        "external_log_file",
        Kind::Path,
        "showing another program's log",
    ),
    Flag::refused(
        "initialize_driver_logging",
        Kind::Boolean,
        "the drivers' logging",
    )
    .default("true")
    .harmless(&["false"]),
    Flag::refused("logbufsecs", Kind::Integer, "buffering of logs").default("0"),
];

/// Where a node listens and what it calls itself.
pub(crate) const LISTENING: &[Flag] = &[
    Flag::new(
        "ip",
        Kind::Ip,
        "Listen on this address; without it on loopback only",
    ),
    Flag::new("advertise_ip", Kind::Ip, "The address that others are told"),
    Flag::new(
        "advertise_port",
        Kind::Integer,
        "The port that others are told",
    ),
    Flag::new("hostname", Kind::Text, "The name that others are told"),
    Flag::new(
        "hostname_lookup",
        Kind::Boolean,
        "Without --hostname use the machine's name, not the \
        address",
    )
    .default("true"),
    Flag::refused(
        "ip_discovery_command",
        Kind::Text,
        "a command that finds the address",
    ),
];
