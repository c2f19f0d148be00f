//! Reads flags by Mesos' rules. Pure: the command line, the environment and the reading of files
//! come in as values.
//!
//! - `--name=value`; booleans also `--name` and `--no-name`. Names are lower-cased.
//! - `--` ends the flags. What does not begin with `--` is ignored, with a warning.
//! - A flag given twice, or together with its older name, is an error; so is an unknown one.
//! - `TEPUI_NAME` and `MESOS_NAME` in the environment: the command line wins over both, `TEPUI_`
//!   over `MESOS_`. Names that no flag has are ignored there, of `TEPUI_` with a warning.
//! - `LIBPROCESS_IP` and its like: what libprocess itself takes from the environment, after all else.
//! - A value `file:///path` stands for that file's content, except where the flag is a path. JSON
//!   may also be given as the absolute path of a file, with a warning.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
};

use super::{
    Flag, Group, Kind, LIBPROCESS, Support,
    values::{self, Values},
};

/// Why flags were not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FlagError {
    #[error("Failed to load unknown flag '{name}'")]
    Unknown { name: String },
    #[error("Flag '{name}' is already loaded via {first}")]
    Twice { name: &'static str, first: String },
    #[error("Failed to load boolean flag '{name}' via 'no-{name}' with value '{value}'")]
    NegatedWithValue { name: String, value: String },
    #[error("Failed to load non-boolean flag '{name}' via 'no-{name}'")]
    NegatedNonBoolean { name: String },
    #[error("Failed to load non-boolean flag '{name}': Missing value")]
    MissingValue { name: String },
    #[error("Failed to load flag '{name}': {problem}")]
    BadValue { name: &'static str, problem: String },
    #[error("Flag '{name}': Tepui does not offer {feature}, so that '{value}' cannot be honored")]
    NotOffered {
        name: &'static str,
        feature: &'static str,
        value: String,
    },
    #[error("Flag '{name}' is required, but it was not provided")]
    Required { name: &'static str },
    #[error("{0}")]
    Combination(String),
}

/// Where flags come from.
pub(crate) struct Sources<'a> {
    /// The arguments behind the command's name.
    pub(crate) arguments: &'a [String],
    /// The environment.
    pub(crate) environment: &'a BTreeMap<String, String>,
    /// Reads a file as text.
    pub(crate) read: &'a dyn Fn(&Path) -> io::Result<String>,
}

/// What the user asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// `--help`.
    Help,
    /// `--version`.
    Version,
    /// The flags' values.
    Values(Values),
}

/// One value on its way in.
struct Given {
    text: String,
    /// `command line`, or the name of the variable.
    origin: String,
    /// Under the older name.
    deprecated: bool,
}

/// Reads the flags of `groups`.
pub(crate) fn parse(groups: &[&[Group]], sources: &Sources<'_>) -> Result<Parsed, FlagError> {
    let flags = merge(groups);
    let mut values = Values::default();
    let mut given = match command_line(&flags, sources.arguments, &mut values.warnings)? {
        CommandLine::Help => return Ok(Parsed::Help),
        CommandLine::Version => return Ok(Parsed::Version),
        CommandLine::Given(given) => given,
    };
    let warnings = &mut values.warnings;
    environment(&flags, sources.environment, &mut given, warnings)?;
    libprocess(&flags, sources.environment, &mut given, &mut values)?;
    for flag in flags {
        let Some(value) = given.remove(flag.name) else {
            if let Some(default) = flag.default {
                values.set_default(flag.name, default);
            }
            continue;
        };
        if value.deprecated {
            values.warnings.push(format!(
                "flag '{}' is deprecated: use '{}'",
                flag.alias.unwrap_or_default(),
                flag.name
            ));
        }
        let text = from_file(flag, value.text, sources.read, &mut values.warnings)?;
        let bad = |problem| FlagError::BadValue {
            name: flag.name,
            problem,
        };
        values::check(flag, &text).map_err(bad)?;
        offered(flag, &text)?;
        values.set(flag.name, text);
    }
    Ok(Parsed::Values(values))
}

/// The flags of all groups; of several with one name the first.
pub(super) fn merge(groups: &[&[Group]]) -> Vec<&'static Flag> {
    let mut seen = BTreeSet::new();
    let all = groups
        .iter()
        .flat_map(|part| part.iter())
        .flat_map(|(_, flags)| flags.iter());
    all.filter(|flag| seen.insert(flag.name)).collect()
}

enum CommandLine {
    Help,
    Version,
    Given(BTreeMap<&'static str, Given>),
}

fn command_line(
    flags: &[&Flag],
    arguments: &[String],
    warnings: &mut Vec<String>,
) -> Result<CommandLine, FlagError> {
    let mut given: BTreeMap<&'static str, Given> = BTreeMap::new();
    for argument in arguments {
        if argument == "--" {
            break;
        }
        let Some(body) = argument.strip_prefix("--") else {
            warnings.push(format!("ignored the argument '{argument}'"));
            continue;
        };
        let (name, value) = match body.split_once('=') {
            Some((name, value)) => (name.to_lowercase(), Some(value)),
            None => (body.to_lowercase(), None),
        };
        match name.as_str() {
            "help" => return Ok(CommandLine::Help),
            "version" => return Ok(CommandLine::Version),
            _ => {}
        }
        let (flag, deprecated, text) = resolve(flags, &name, value)?;
        let origin = "command line".to_owned();
        if let Some(first) = given.insert(
            flag.name,
            Given {
                text,
                origin,
                deprecated,
            },
        ) {
            return Err(FlagError::Twice {
                name: flag.name,
                first: first.origin,
            });
        }
    }
    Ok(CommandLine::Given(given))
}

/// The flag that an argument names, whether by its older name, and the value it is given.
fn resolve<'a>(
    flags: &[&'a Flag],
    name: &str,
    value: Option<&str>,
) -> Result<(&'a Flag, bool, String), FlagError> {
    if let Some((flag, deprecated)) = find(flags, name) {
        let text = match value {
            Some(value) => value.to_owned(),
            None if flag.kind == Kind::Boolean => "true".to_owned(),
            None => {
                return Err(FlagError::MissingValue {
                    name: name.to_owned(),
                });
            }
        };
        return Ok((flag, deprecated, text));
    }
    let unknown = || FlagError::Unknown {
        name: name.to_owned(),
    };
    let positive = name.strip_prefix("no-").ok_or_else(unknown)?;
    let (flag, deprecated) = find(flags, positive).ok_or_else(unknown)?;
    let name = positive.to_owned();
    match value {
        _ if flag.kind != Kind::Boolean => Err(FlagError::NegatedNonBoolean { name }),
        Some(value) => Err(FlagError::NegatedWithValue {
            name,
            value: value.to_owned(),
        }),
        None => Ok((flag, deprecated, "false".to_owned())),
    }
}

fn find<'a>(flags: &[&'a Flag], name: &str) -> Option<(&'a Flag, bool)> {
    flags.iter().find_map(|flag| {
        let deprecated = flag.alias == Some(name);
        (deprecated || flag.name == name).then_some((*flag, deprecated))
    })
}

/// Adds what only the environment says.
fn environment(
    flags: &[&Flag],
    environment: &BTreeMap<String, String>,
    given: &mut BTreeMap<&'static str, Given>,
    warnings: &mut Vec<String>,
) -> Result<(), FlagError> {
    for prefix in ["TEPUI_", "MESOS_"] {
        let mut found: BTreeMap<&'static str, Given> = BTreeMap::new();
        for (variable, text) in environment {
            let Some(name) = variable.strip_prefix(prefix) else {
                continue;
            };
            let Some((flag, deprecated)) = find(flags, &name.to_lowercase()) else {
                if prefix == "TEPUI_" {
                    warnings.push(format!("ignored {variable}: this command has no such flag"));
                }
                continue;
            };
            let value = Given {
                text: text.clone(),
                origin: variable.clone(),
                deprecated,
            };
            if let Some(first) = found.insert(flag.name, value) {
                return Err(FlagError::Twice {
                    name: flag.name,
                    first: first.origin,
                });
            }
        }
        for (name, value) in found {
            given.entry(name).or_insert(value);
        }
    }
    Ok(())
}

/// Flags that libprocess itself takes from the environment, where nothing else says them.
const OF_LIBPROCESS: [&str; 3] = ["ip", "advertise_ip", "advertise_port"];

/// Adds what libprocess itself takes from the environment.
fn libprocess(
    flags: &[&Flag],
    environment: &BTreeMap<String, String>,
    given: &mut BTreeMap<&'static str, Given>,
    values: &mut Values,
) -> Result<(), FlagError> {
    for name in OF_LIBPROCESS {
        let origin = format!("LIBPROCESS_{}", name.to_uppercase());
        if let (Some((flag, _)), Some(text)) = (find(flags, name), environment.get(&origin)) {
            let text = text.clone();
            given.entry(flag.name).or_insert(Given {
                text,
                origin,
                deprecated: false,
            });
        }
    }
    // The address of another command is no address of this one.
    if given.contains_key("ip_discovery_command")
        && given
            .get("ip")
            .is_some_and(|ip| ip.origin == "LIBPROCESS_IP")
    {
        given.remove("ip");
    }
    for flag in LIBPROCESS {
        if let Some(text) = environment.get(flag.name) {
            let bad = |problem| FlagError::BadValue {
                name: flag.name,
                problem,
            };
            values::check(flag, text).map_err(bad)?;
            offered(flag, text)?;
            values.set(flag.name, text.clone());
        }
    }
    Ok(())
}

fn from_file(
    flag: &Flag,
    text: String,
    read: &dyn Fn(&Path) -> io::Result<String>,
    warnings: &mut Vec<String>,
) -> Result<String, FlagError> {
    let path = match text.strip_prefix("file://") {
        Some(_) if flag.kind == Kind::Path => return Ok(text),
        Some(path) => path,
        None if flag.kind == Kind::Json && text.starts_with('/') => {
            warnings.push(format!(
                "flag '{}': a path without 'file://' in front of it is deprecated",
                flag.name
            ));
            &text
        }
        None => return Ok(text),
    };
    read(Path::new(path))
        .map(|content| content.trim_end().to_owned())
        .map_err(|problem| FlagError::BadValue {
            name: flag.name,
            problem: format!("Error reading file '{path}': {problem}"),
        })
}

fn offered(flag: &Flag, text: &str) -> Result<(), FlagError> {
    let Support::Refused { feature, harmless } = flag.support else {
        return Ok(());
    };
    let mut taken = flag.default.iter().chain(harmless);
    if taken.any(|value| values::same(flag, value, text)) {
        return Ok(());
    }
    Err(FlagError::NotOffered {
        name: flag.name,
        feature,
        value: text.to_owned(),
    })
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
