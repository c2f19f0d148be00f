//! Flags as Mesos' programs take them: a declarative table per command, filled from the command
//! line and the environment.
//!
//! Every flag that Mesos has is in a table, also those whose feature is not offered: they are
//! refused by name with a reason, unless they only ask for what happens anyway. Here are the types
//! and the form of a table; `parse.rs` reads, `help.rs` prints, `show.rs` tells others what was
//! read, `values.rs` knows the kinds. The other files are the tables.

mod agent;
mod common;
mod execute;
mod help;
mod local;
mod master;
mod parse;
mod show;
mod simulate;
mod values;

pub(crate) use self::{
    agent::AGENT,
    common::{LIBPROCESS, LISTENING, LOGGING},
    execute::EXECUTE,
    help::usage,
    local::LOCAL,
    master::MASTER,
    parse::{FlagError, Parsed, Sources, parse},
    show::shown,
    simulate::SIMULATE,
    values::Values,
};

#[cfg(test)]
mod table_tests;

/// Flags with one purpose, and its title in the help.
pub(crate) type Group = (&'static str, &'static [Flag]);

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
    /// A duration after which something is done again: not less than a millisecond.
    Period,
    /// `4KB`.
    Bytes,
    /// An IP address.
    Ip,
    /// A port number.
    Port,
    /// JSON; an absolute path names a file with it, which is deprecated.
    Json,
}

impl Kind {
    /// How help shows the value.
    fn placeholder(self) -> &'static str {
        match self {
            Self::Text => "VALUE",
            Self::Path => "PATH",
            Self::Boolean => "true|false",
            Self::Integer | Self::Number => "N",
            Self::Duration | Self::Period => "DURATION",
            Self::Bytes => "BYTES",
            Self::Ip => "IP",
            Self::Port => "PORT",
            Self::Json => "JSON",
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

/// A table of flags, a row for each:
///
/// ```text
/// name | older_name: Kind = "default" => does "what it is for";
/// name: Kind => refuses "what is not offered" but takes "a harmless value";
/// ```
macro_rules! flags {
    ($($name:ident $(| $alias:ident)?: $kind:ident $(= $default:literal)? => $state:ident
        $text:literal $(but takes $($harmless:literal)+)?;)*) => {
        &[$($crate::flags::Flag {
            name: stringify!($name),
            alias: flags!(@optional $(stringify!($alias))?),
            kind: $crate::flags::Kind::$kind,
            default: flags!(@optional $($default)?),
            support: flags!(@support $state $text [$($($harmless),+)?]),
            help: flags!(@help $state $text),
        }),*]
    };
    (@optional) => { None };
    (@optional $value:expr) => { Some($value) };
    (@support does $help:literal []) => { $crate::flags::Support::Honoured };
    (@support refuses $feature:literal [$($harmless:literal),*]) => {
        $crate::flags::Support::Refused { feature: $feature, harmless: &[$($harmless),*] }
    };
    (@help does $help:literal) => { $help };
    (@help refuses $feature:literal) => { "" };
}
use flags;
