//! Durations and sizes as Mesos writes them: `1.5hrs`, `10secs`, `4KB`.

use std::time::Duration;

/// Reads a duration: a number with a unit of `ns`, `us`, `ms`, `secs`, `mins`, `hrs`, `days` or
/// `weeks`; fractions are allowed. Mesos' rule, which has no sign and no bare number.
///
/// # Errors
///
/// A sentence that says what is wrong, in Mesos' words.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    if unit.is_empty() {
        return Err(format!("Invalid duration '{text}'"));
    }
    let number: f64 = parse_number(number)?;
    let (_, nanoseconds) = DURATION_UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(|| format!("Unknown duration unit '{unit}'"))?;
    let total = number * nanoseconds;
    // Mesos counts nanoseconds in a signed 64-bit integer.
    if total > 9.2e18 {
        return Err(format!("the duration '{text}' is longer than 292 years"));
    }
    Ok(Duration::from_secs_f64(total / 1e9))
}

/// Reads a number of bytes: a whole number with a unit of `B`, `KB`, `MB`, `GB` or `TB`, which are
/// powers of 1024.
///
/// # Errors
///
/// A sentence that says what is wrong, in Mesos' words.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    if unit.is_empty() {
        return Err(format!("Invalid bytes '{text}'"));
    }
    if number.contains('.') {
        return Err(format!("Fractional bytes '{text}'"));
    }
    let number: u64 = parse_number(number)?;
    let (_, shift) = BYTE_UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(|| format!("Unknown bytes unit '{unit}'"))?;
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| format!("'{text}' is over 16 EB"))
}

const DURATION_UNITS: [(&str, f64); 8] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("ms", 1e6),
    ("secs", 1e9),
    ("mins", 6e10),
    ("hrs", 3.6e12),
    ("days", 8.64e13),
    ("weeks", 6.048e14),
];

const BYTE_UNITS: [(&str, u32); 5] = [("B", 0), ("KB", 10), ("MB", 20), ("GB", 30), ("TB", 40)];

/// The leading digits and points, and the rest.
fn split(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    text.split_at(end)
}

fn parse_number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("Failed to convert '{text}' to number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        let cases = [
            ("1ns", Duration::from_nanos(1)),
            ("2us", Duration::from_micros(2)),
            ("5ms", Duration::from_millis(5)),
            ("15secs", Duration::from_secs(15)),
            ("0.5secs", Duration::from_millis(500)),
            ("2mins", Duration::from_secs(120)),
            ("1.5hrs", Duration::from_secs(5400)),
            ("2weeks", Duration::from_secs(1_209_600)),
            ("0ns", Duration::ZERO),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_duration(text), Ok(expected), "{text}");
        }
        let refused = [
            ("", "Invalid duration ''"),
            ("10", "Invalid duration '10'"),
            ("xx", "Failed to convert '' to number"),
            ("-1secs", "Failed to convert '' to number"),
            ("1.2.3secs", "Failed to convert '1.2.3' to number"),
            ("1s", "Unknown duration unit 's'"),
            ("1000weekss", "Unknown duration unit 'weekss'"),
            (
                "20000weeks",
                "the duration '20000weeks' is longer than 292 years",
            ),
        ];
        for (text, expected) in refused {
            assert_eq!(parse_duration(text), Err(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        let cases = [
            ("4096B", 4096),
            ("4KB", 4096),
            ("10MB", 10 << 20),
            ("2GB", 2 << 30),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_bytes(text), Ok(expected), "{text}");
        }
        let refused = [
            ("12", "Invalid bytes '12'"),
            ("1.5GB", "Fractional bytes '1.5GB'"),
            ("1PB", "Unknown bytes unit 'PB'"),
            ("KB", "Failed to convert '' to number"),
            ("99999999999TB", "'99999999999TB' is over 16 EB"),
        ];
        for (text, expected) in refused {
            assert_eq!(parse_bytes(text), Err(expected.to_owned()), "{text}");
        }
    }
}
