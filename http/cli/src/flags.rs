//! Flags as Mesos' programs take them: a declarative table per command, filled from the command
//! line and the environment.
//!
//! Every flag that Mesos has is in a table, also those whose feature is not offered: they are
//! refused by name with a reason, unless they only ask for what happens anyway. Here are the types;
//! `parse.rs` reads, `help.rs` prints, the other files are the tables.

mod agent;
mod common;
mod help;
mod local;
mod master;
mod parse;
mod values;

pub(crate) use self::{
    agent::AGENT,
    common::{LISTENING, LOGGING},
    help::usage,
    local::LOCAL,
    master::MASTER,
    parse::{FlagError, Parsed, Sources, parse},
    values::Values,
};

/// What a flag's value must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Anything.
    Text,
    /// A file or folder; `file://` names it instead of standing for its content.
    Path,
    /// `true`, `false`, `1`, `0`; the only kind that `--name` and `--no-name` serve.
    Boolean,
    /// A whole number, not negative.
    Integer,
    /// A number.
    Number,
    /// `1.5hrs`.
    Duration,
    /// `4KB`.
    Bytes,
    /// An IP address.
    Ip,
}

impl Kind {
    /// How help shows the value.
    fn placeholder(self) -> &'static str {
        match self {
            Self::Text => "VALUE",
            Self::Path => "PATH",
            Self::Boolean => "true|false",
            Self::Integer | Self::Number => "N",
            Self::Duration => "DURATION",
            Self::Bytes => "BYTES",
            Self::Ip => "IP",
        }
    }
}

/// Whether a flag does something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Support {
    /// It does what it says.
    Honoured,
    /// The feature behind it is not offered; only the default and these values are taken.
    Refused {
        /// What is not offered.
        feature: &'static str,
        /// Values besides the default that change nothing here.
        harmless: &'static [&'static str],
    },
}

/// One flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flag {
    /// Mesos' name for it.
    pub(crate) name: &'static str,
    /// The older name that still works, with a warning.
    pub(crate) alias: Option<&'static str>,
    pub(crate) kind: Kind,
    /// The value it has when it is not given; `None` where that is no value.
    pub(crate) default: Option<&'static str>,
    pub(crate) support: Support,
    /// One sentence; empty for a refused flag.
    pub(crate) help: &'static str,
}

impl Flag {
    const fn new(name: &'static str, kind: Kind, help: &'static str) -> Self {
        Self {
            name,
            alias: None,
            kind,
            default: None,
            support: Support::Honoured,
            help,
        }
    }

    const fn refused(name: &'static str, kind: Kind, feature: &'static str) -> Self {
        let support = Support::Refused {
            feature,
            harmless: &[],
        };
        Self {
            name,
            alias: None,
            kind,
            default: None,
            support,
            help: "",
        }
    }

    const fn default(mut self, value: &'static str) -> Self {
        self.default = Some(value);
        self
    }

    const fn alias(mut self, name: &'static str) -> Self {
        self.alias = Some(name);
        self
    }

    const fn harmless(mut self, values: &'static [&'static str]) -> Self {
        if let Support::Refused { feature, .. } = self.support {
            self.support = Support::Refused {
                feature,
                harmless: values,
            };
        }
        self
    }
}
