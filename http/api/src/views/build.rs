//! What this program is and when it was built, as `/version` and both `/state`s say it.

use std::sync::LazyLock;

use serde::{Serialize, ser::SerializeMap};

/// The version of Mesos that the APIs are compatible with, which `/version`, MasterInfo and agents
/// report.
pub const MESOS_VERSION: &str = "1.12.0";

/// Our own version.
pub const TEPUI_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Mesos' `build` namespace.
#[derive(Debug)]
pub(crate) struct Build {
    git_sha: Option<&'static str>,
    git_branch: Option<&'static str>,
    git_tag: Option<&'static str>,
    build_date: String,
    build_time: f64,
    build_user: &'static str,
}

/// Of this program.
pub(crate) static BUILD: LazyLock<Build> = LazyLock::new(|| Build::of(build_seconds()));

impl Build {
    fn of(seconds: u32) -> Self {
        Self {
            git_sha: option_env!("TEPUI_GIT_SHA"),
            git_branch: option_env!("TEPUI_GIT_BRANCH"),
            git_tag: option_env!("TEPUI_GIT_TAG"),
            build_date: date(seconds),
            build_time: f64::from(seconds),
            build_user: env!("TEPUI_BUILD_USER"),
        }
    }

    /// Writes the keys into the object around them. Where the program was not built from a
    /// repository, those about one are left out, as in Mesos.
    pub(crate) fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("version", MESOS_VERSION)?;
        let repository = [
            ("git_sha", self.git_sha),
            ("git_branch", self.git_branch),
            ("git_tag", self.git_tag),
        ];
        for (key, value) in repository {
            if let Some(value) = value {
                map.serialize_entry(key, value)?;
            }
        }
        map.serialize_entry("build_date", &self.build_date)?;
        map.serialize_entry("build_time", &self.build_time)?;
        map.serialize_entry("build_user", self.build_user)?;
        map.serialize_entry("tepui_version", TEPUI_VERSION)
    }
}

impl Serialize for Build {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        self.write(&mut map)?;
        map.end()
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
    fn the_build_script_said_when() {
        assert!(build_seconds() > 1_700_000_000);
        let value = serde_json::to_value(&*BUILD).unwrap();
        assert_eq!(value["version"], "1.12.0");
        for key in ["build_date", "build_user"] {
            assert_ne!(value[key].as_str().unwrap(), "", "{key}");
        }
        assert!(value["build_time"].is_f64());
    }
}
