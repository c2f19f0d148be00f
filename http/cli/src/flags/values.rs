//! The values of a command's flags, after they were checked against their kinds.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use tepui_api::units::{parse_bytes, parse_duration};

use super::{Flag, Kind};

/// The value of each flag that has one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Values {
    texts: BTreeMap<&'static str, String>,
    /// Those that are not defaults.
    given: BTreeSet<&'static str>,
    /// Lines for the log, such as the use of a deprecated name.
    pub(crate) warnings: Vec<String>,
}

impl Values {
    /// Sets a value that [`check`] let through.
    pub(crate) fn set(&mut self, name: &'static str, text: String) {
        self.texts.insert(name, text);
        self.given.insert(name);
    }

    /// Sets what the environment of the command decides where nothing is given, such as a
    /// default that hangs on the user.
    pub(crate) fn fall_back(&mut self, name: &'static str, text: &str) {
        self.texts.entry(name).or_insert_with(|| text.to_owned());
    }

    /// Sets what holds where nothing is given.
    pub(crate) fn set_default(&mut self, name: &'static str, text: &str) {
        self.texts.insert(name, text.to_owned());
    }

    /// The value as it was given, or the default.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str)
    }

    /// Whether the value is not a default.
    pub(crate) fn is_given(&self, name: &str) -> bool {
        self.given.contains(name)
    }

    /// A path; `file://` in front is taken off.
    pub(crate) fn path(&self, name: &str) -> Option<PathBuf> {
        self.text(name)
            .map(|text| PathBuf::from(text.strip_prefix("file://").unwrap_or(text)))
    }

    /// JSON; [`check`] let it through.
    pub(crate) fn json(&self, name: &str) -> Option<serde_json::Value> {
        self.text(name)
            .and_then(|text| serde_json::from_str(text).ok())
    }

    /// Every flag that has a value, as it was given or by default.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.texts.iter().map(|(name, text)| (*name, text.as_str()))
    }

    /// A boolean; `false` without a value.
    pub(crate) fn boolean(&self, name: &str) -> bool {
        matches!(self.text(name), Some("true" | "1"))
    }

    /// A duration.
    pub(crate) fn duration(&self, name: &str) -> Option<Duration> {
        self.text(name).and_then(|text| parse_duration(text).ok())
    }

    /// A number of bytes.
    pub(crate) fn bytes(&self, name: &str) -> Option<u64> {
        self.text(name).and_then(|text| parse_bytes(text).ok())
    }

    /// A number, an address, or whatever else reads itself from text.
    pub(crate) fn parsed<T: FromStr>(&self, name: &str) -> Option<T> {
        self.text(name).and_then(|text| text.parse().ok())
    }
}

/// What was given, as on a command line.
impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.given.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(
                f,
                "{space}--{name}={:?}",
                self.text(name).unwrap_or_default()
            )?;
        }
        Ok(())
    }
}

/// Whether a text is a value of the flag's kind; the error is a sentence.
pub(crate) fn check(flag: &Flag, text: &str) -> Result<(), String> {
    let failed = |problem: String| Err(format!("Failed to load value '{text}': {problem}"));
    match flag.kind {
        Kind::Text | Kind::Path => Ok(()),
        Kind::Json => serde_json::from_str::<serde_json::Value>(text)
            .map(drop)
            .or_else(|problem| failed(format!("it is not JSON: {problem}"))),
        Kind::Boolean if matches!(text, "true" | "false" | "1" | "0") => Ok(()),
        Kind::Boolean => failed("Expecting a boolean (e.g., true or false)".to_owned()),
        Kind::Integer => text
            .parse::<u64>()
            .map(drop)
            .or_else(|_| failed(no_number(text))),
        Kind::Number => text
            .parse::<f64>()
            .map(drop)
            .or_else(|_| failed(no_number(text))),
        Kind::Duration => parse_duration(text).map(drop).or_else(failed),
        Kind::Period => match parse_duration(text) {
            Ok(period) if period < Duration::from_millis(1) => {
                failed("expected at least 1ms".to_owned())
            }
            Ok(_) => Ok(()),
            Err(problem) => failed(problem),
        },
        Kind::Bytes => parse_bytes(text).map(drop).or_else(failed),
        Kind::Ip => text
            .parse::<IpAddr>()
            .map(drop)
            .or_else(|_| failed("it is not an IP address".to_owned())),
        Kind::Port => text
            .parse::<u16>()
            .map(drop)
            .or_else(|_| failed("a port is a number of at most 65535".to_owned())),
    }
}

/// Whether two texts are the same value of the flag's kind.
pub(crate) fn same(flag: &Flag, one: &str, other: &str) -> bool {
    let boolean = |text: &str| matches!(text, "true" | "1");
    match flag.kind {
        Kind::Boolean => boolean(one) == boolean(other),
        Kind::Duration | Kind::Period => parse_duration(one) == parse_duration(other),
        Kind::Bytes => parse_bytes(one) == parse_bytes(other),
        Kind::Integer | Kind::Number | Kind::Port => one.parse::<f64>() == other.parse::<f64>(),
        Kind::Text | Kind::Path | Kind::Ip | Kind::Json => one == other,
    }
}

fn no_number(text: &str) -> String {
    format!("Failed to convert '{text}' to number")
}
