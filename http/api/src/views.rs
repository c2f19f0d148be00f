//! Small views that every node shows: `/health`, `/version`, `/metrics/snapshot`. What they say is
//! the node's own; the cluster's state is shown elsewhere.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;
use tepui_runtime::{
    Node,
    http::{Handler, Request, Response},
};

use crate::{checks::Refusal, units::parse_duration};

/// The version of Mesos that the APIs are compatible with, which `/version`, MasterInfo and agents
/// report.
pub const MESOS_VERSION: &str = "1.12.0";

/// Our own version.
pub const TEPUI_VERSION: &str = env!("CARGO_PKG_VERSION");

/// `/health`: `200` and nothing else, by any method.
pub(crate) fn health() -> Handler {
    Arc::new(|_, _| Box::pin(async { Response::ok() }))
}

/// `/version`.
pub(crate) fn version() -> Handler {
    Arc::new(|request, _| Box::pin(async move { json(&request, &Version::of(build_seconds())) }))
}

/// `/metrics/snapshot`: every metric of the node and its value. `timeout` is read and checked as
/// Mesos does; every value is at hand, so none is left out for it.
pub(crate) fn metrics() -> Handler {
    Arc::new(|request, node| {
        Box::pin(async move {
            snapshot(&request, &node).map_or_else(Response::from, |values| json(&request, &values))
        })
    })
}

fn snapshot(request: &Request, node: &Node) -> Result<BTreeMap<String, f64>, Refusal> {
    if let Some(timeout) = request.query.get("timeout") {
        parse_duration(timeout).map_err(|problem| {
            Refusal::BadRequest(format!("Invalid timeout '{timeout}': {problem}.\n"))
        })?;
    }
    Ok(node.metrics().snapshot())
}

#[derive(Debug, Serialize, PartialEq)]
struct Version {
    build_date: String,
    build_time: f64,
    build_user: &'static str,
    version: &'static str,
    tepui_version: &'static str,
}

impl Version {
    fn of(build_seconds: u32) -> Self {
        Self {
            build_date: date(build_seconds),
            build_time: f64::from(build_seconds),
            build_user: env!("TEPUI_BUILD_USER"),
            version: MESOS_VERSION,
            tepui_version: TEPUI_VERSION,
        }
    }
}

/// When this crate was built, in seconds since the epoch; the build script says it.
fn build_seconds() -> u32 {
    env!("TEPUI_BUILD_TIME").parse().unwrap_or(0)
}

/// `2026-11-22 06:18:06 UTC`.
fn date(seconds: u32) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    // Days are counted from 1 March 0000, so that a leap day ends its year.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = era * 400 + year_of_era + u32::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// A value as JSON, or as a call of the function that `jsonp` names.
fn json<T: Serialize>(request: &Request, value: &T) -> Response {
    let Some(function) = request.query.get("jsonp") else {
        return Response::json(value);
    };
    match serde_json::to_string(value) {
        Ok(text) => Response::bytes(200, "text/javascript", format!("{function}({text})")),
        Err(problem) => Response::text(500, problem.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_written_as_mesos_does() {
        let cases = [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (951_868_799, "2000-02-29 23:59:59 UTC"),
            (951_868_800, "2000-03-01 00:00:00 UTC"),
            (1_704_067_199, "2023-12-31 23:59:59 UTC"),
            (1_795_328_286, "2026-11-22 06:18:06 UTC"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(date(seconds), expected);
        }
    }

    #[test]
    fn the_version_has_mesos_keys_and_ours() {
        let value = serde_json::to_value(Version::of(0)).unwrap();
        let keys: Vec<&str> = value
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(
            keys,
            [
                "build_date",
                "build_time",
                "build_user",
                "tepui_version",
                "version"
            ]
        );
        assert_eq!(value["version"], "1.12.0");
        assert!(
            build_seconds() > 1_700_000_000,
            "the build script said when"
        );
    }
}
