//! What `/flags` and `/state` say of a command's flags: each that has a value, in the texts that
//! Mesos prints.

use std::{collections::BTreeMap, time::Duration};

use tepui_api::units::{parse_bytes, parse_duration};

use super::{Group, Kind, parse::merge, values::Values};

/// Every flag of `groups` that has a value, and those that the reader of flags knows itself.
pub(crate) fn shown(groups: &[&[Group]], values: &Values) -> BTreeMap<String, String> {
    let kinds: BTreeMap<&str, Kind> = merge(groups)
        .into_iter()
        .map(|flag| (flag.name, flag.kind))
        .collect();
    let known = values.all().filter_map(|(name, text)| {
        let kind = kinds.get(name)?;
        Some((name.to_owned(), print(*kind, text)))
    });
    let asked = ["help", "version"].map(|name| (name.to_owned(), "false".to_owned()));
    known.chain(asked).collect()
}

/// A value in the form in which Mesos prints it, which need not be the one that was given.
fn print(kind: Kind, text: &str) -> String {
    let printed = match kind {
        Kind::Text | Kind::Ip | Kind::Port => None,
        Kind::Path => text.strip_prefix("file://").map(str::to_owned),
        Kind::Boolean => Some(matches!(text, "true" | "1").to_string()),
        Kind::Integer => text.parse::<u64>().ok().map(|number| number.to_string()),
        Kind::Number => text.parse().ok().map(|number| significant(number, 6)),
        Kind::Duration | Kind::Period => parse_duration(text).ok().map(print_duration),
        Kind::Bytes => parse_bytes(text).ok().map(print_bytes),
        Kind::Json => serde_json::from_str::<serde_json::Value>(text)
            .ok()
            .map(|json| json.to_string()),
    };
    printed.unwrap_or_else(|| text.to_owned())
}

const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("secs", 1_000_000_000),
    ("mins", 60_000_000_000),
    ("hrs", 3_600_000_000_000),
    ("days", 86_400_000_000_000),
    ("weeks", 604_800_000_000_000),
];

/// The largest unit that the duration fills; the one below it where only that gives a whole number.
fn print_duration(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos();
    let largest = UNITS
        .iter()
        .rposition(|(_, unit)| nanoseconds >= *unit)
        .unwrap_or(0);
    let whole = |index: &usize| nanoseconds.is_multiple_of(UNITS[*index].1);
    let chosen = [largest, largest.saturating_sub(1)].into_iter().find(whole);
    let (name, unit) = UNITS[chosen.unwrap_or(largest)];
    if chosen.is_some() {
        return format!("{}{name}", nanoseconds / unit);
    }
    let seconds_of_unit = Duration::from_nanos(u64::try_from(unit).unwrap_or(u64::MAX));
    let value = duration.div_duration_f64(seconds_of_unit);
    format!("{}{name}", significant(value, 15))
}

/// The largest unit that divides the size.
fn print_bytes(bytes: u64) -> String {
    let names = ["B", "KB", "MB", "GB", "TB"];
    let mut rest = bytes;
    let mut index = 0;
    while rest > 0 && rest.is_multiple_of(1024) && index + 1 < names.len() {
        rest /= 1024;
        index += 1;
    }
    format!("{rest}{}", names[index])
}

/// A number with so many significant digits at most, and no zeros at its end.
fn significant(number: f64, digits: usize) -> String {
    let whole = format!("{:.0}", number.abs().trunc());
    let before = if whole == "0" { 0 } else { whole.len() };
    let text = format!("{number:.*}", digits.saturating_sub(before));
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::flags;

    #[test]
    fn values_are_printed_as_mesos_prints_them() {
        // Left what was given to Mesos 1.11, right what its /flags said.
        for (kind, given, expected) in [
            (Kind::Duration, "90mins", "90mins"),
            (Kind::Duration, "1.5secs", "1500ms"),
            (Kind::Duration, "36hrs", "36hrs"),
            (Kind::Duration, "3661secs", "1.01694444444444hrs"),
            (Kind::Duration, "1500ms", "1500ms"),
            (Kind::Duration, "14days", "2weeks"),
            (Kind::Duration, "10days", "10days"),
            (Kind::Duration, "1234us", "1234us"),
            (Kind::Duration, "0.25hrs", "15mins"),
            (Kind::Duration, "100hrs", "100hrs"),
            (Kind::Duration, "0ns", "0ns"),
            (Kind::Number, "0.123456789", "0.123457"),
            (Kind::Number, "0.30", "0.3"),
            (Kind::Bytes, "8192B", "8KB"),
            (Kind::Bytes, "1536MB", "1536MB"),
            (Kind::Bytes, "2GB", "2GB"),
            (Kind::Boolean, "1", "true"),
            (Kind::Json, r#"{"A": "b"}"#, r#"{"A":"b"}"#),
            (Kind::Path, "file:///x", "/x"),
            (Kind::Text, "cpus:0.01|mem:32", "cpus:0.01|mem:32"),
        ] {
            assert_eq!(print(kind, given), expected, "{given}");
        }
    }

    #[test]
    fn only_flags_with_a_value_are_shown() {
        const GROUPS: &[Group] = &[(
            "All",
            flags! {
                port: Port = "5050" => does "";
                roles: Text => does "";
                offer_timeout: Duration => does "";
            },
        )];
        let mut values = Values::default();
        values.set_default("port", "5050");
        values.set("offer_timeout", "60secs".to_owned());
        values.set("nobodys", "x".to_owned());
        let shown = shown(&[GROUPS], &values);
        let shown: Vec<_> = shown
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(
            shown,
            [
                ("help", "false"),
                ("offer_timeout", "1mins"),
                ("port", "5050"),
                ("version", "false")
            ]
        );
    }
}
