//! The flags of `tepui simulate`.

use super::{Group, flags};

/// The flags of `tepui simulate` by their purpose.
pub(crate) const SIMULATE: &[Group] = &[
    (
        "What is run",
        flags! {
            seed: Integer = "0" => does "The seed from which all of a run follows";
            seeds: Text => does "Many runs, as many at once as there are cores: A..B without B";
            agents: Integer = "4" => does "How many agents the cluster has";
            frameworks: Integer = "5" => does "How many frameworks it has";
            hours: Number = "0.5" => does "Virtual hours of work and faults, before all is quiet";
            faults: Integer = "40" => does "How many faults an hour";
        },
    ),
    (
        "What is shown",
        flags! {
            trace: Boolean = "false" =>
                does "Print every delivery and every packet of HTTP (virtual time, from, to, name, \
                    hash of its body) and, each virtual minute, the cluster at a glance";
            logging_level: Text = "OFF" =>
                does "Log from this level on: INFO, WARNING or ERROR; or a filter such as \
                    info,tepui_master=debug";
        },
    ),
];
