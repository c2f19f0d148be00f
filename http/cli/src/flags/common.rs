//! Flags that several commands share: logging, and where to listen.

use super::{Flag, flags};

/// Mesos' logging flags. `help` and `version` are known to the reader of flags itself.
pub(crate) const LOGGING: &[Flag] = flags! {
    logging_level: Text = "INFO" =>
        does "Log from this level on: INFO, WARNING or ERROR; or a filter such as \
            info,tepui_master=debug";
    quiet: Boolean = "false" => does "Log nothing to stderr";
    log_dir: Path => does "Log into a file in this folder also";
    logbufsecs: Integer = "0" =>
        does "How many seconds a line may be held back; each is written at once";
    external_log_file: Path => does "Show this file, which another program writes, as the log";
    initialize_driver_logging: Boolean = "true" =>
        refuses "the drivers' own logging" but takes "false";
};

/// Where a node listens and what it calls itself.
pub(crate) const LISTENING: &[Flag] = flags! {
    ip: Ip => does "Listen on this address; without it on loopback only";
    ip_discovery_command: Text => does "A command that prints the address to listen on";
    advertise_ip: Ip => does "The address that others are told";
    advertise_port: Port => does "The port that others are told";
    hostname: Text => does "The name that others are told";
    hostname_lookup: Boolean = "true" =>
        does "Without --hostname use the name of the address, not the address";
    firewall_rules: Json =>
        does "Endpoints that are not served: \
            {\"disabled_endpoints\":{\"paths\":[\"/master/state\"]}}";
};

/// What libprocess takes from the environment only, by the variables' whole names.
pub(crate) const LIBPROCESS: &[Flag] = flags! {
    LIBPROCESS_REQUIRE_PEER_ADDRESS_IP_MATCH: Boolean = "false" =>
        does "Refuse messages whose sender has another address than the connection";
    LIBPROCESS_NUM_WORKER_THREADS: Integer => does "How many threads run processes";
    LIBPROCESS_SSL_ENABLED: Boolean = "false" => refuses "TLS";
    SSL_ENABLED: Boolean = "false" => refuses "TLS";
    LIBPROCESS_ENABLE_PROFILER: Boolean = "false" => refuses "profiling";
    LIBPROCESS_MEMORY_PROFILING: Boolean = "false" => refuses "memory profiling";
    LIBPROCESS_METRICS_SNAPSHOT_ENDPOINT_RATE_LIMIT: Text = "" =>
        refuses "a limit to the rate of metrics" but takes "2/1secs";
};
