//! What the agent tells an executor through its environment, in Mesos' names.
//! It only reads values handed to it, so that both bodies of the executor can use it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

/// The settings of one executor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) framework_id: String,
    pub(crate) executor_id: String,
    /// PID of the agent.
    pub(crate) agent_pid: String,
    /// ip:port of the agent.
    pub(crate) agent_endpoint: String,
    /// The address that the agent was told to have.
    pub(crate) ip: Option<String>,
    /// The sandbox, as the executor's own container sees it.
    pub(crate) sandbox: Option<String>,
    /// Whether the executor outlives a lost agent.
    pub(crate) checkpoint: bool,
    pub(crate) shutdown_grace_period: Duration,
    /// How long an executor waits for its agent to come back.
    pub(crate) recovery_timeout: Duration,
    /// Longest pause before it subscribes again.
    pub(crate) subscription_backoff_max: Duration,
    /// Bearer token for the executor API.
    pub(crate) authentication_token: Option<String>,
}

impl Settings {
    /// Reads the environment of a process; variables that are no text are none of Mesos'.
    ///
    /// # Errors
    /// As of [`Settings::from_environment`].
    pub(crate) fn from_process(
        environment: &BTreeMap<OsString, OsString>,
    ) -> Result<Settings, String> {
        let text = |text: &OsString| text.clone().into_string().ok();
        let variables: BTreeMap<String, String> = environment
            .iter()
            .filter_map(|(name, value)| Some((text(name)?, text(value)?)))
            .collect();
        Settings::from_environment(&variables)
    }

    /// Reads an environment.
    ///
    /// # Errors
    /// Names the variable that is missing or has no sense.
    pub(crate) fn from_environment(
        environment: &BTreeMap<String, String>,
    ) -> Result<Settings, String> {
        let text = |name: &str| {
            let value = environment.get(name).cloned();
            value.ok_or_else(|| format!("environment variable {name} is not set"))
        };
        let duration = |name: &str, default: Duration| match environment.get(name) {
            None => Ok(default),
            Some(value) => {
                parse_duration(value).ok_or_else(|| format!("{name}: '{value}' is no duration"))
            }
        };
        let recovery_timeout = duration("MESOS_RECOVERY_TIMEOUT", Duration::from_secs(15 * 60))?;
        let backoff = duration("MESOS_SUBSCRIPTION_BACKOFF_MAX", Duration::from_secs(2))?;
        let grace = duration(
            "MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD",
            Duration::from_secs(5),
        )?;
        Ok(Settings {
            framework_id: text("MESOS_FRAMEWORK_ID")?,
            executor_id: text("MESOS_EXECUTOR_ID")?,
            agent_pid: text("MESOS_SLAVE_PID")?,
            agent_endpoint: text("MESOS_AGENT_ENDPOINT")?,
            ip: environment.get("LIBPROCESS_IP").cloned(),
            sandbox: environment.get("MESOS_SANDBOX").cloned(),
            checkpoint: environment
                .get("MESOS_CHECKPOINT")
                .is_some_and(|value| value == "1"),
            shutdown_grace_period: grace,
            recovery_timeout,
            subscription_backoff_max: backoff,
            authentication_token: environment
                .get("MESOS_EXECUTOR_AUTHENTICATION_TOKEN")
                .cloned(),
        })
    }
}

/// A duration as Mesos writes it: a number and a unit, as `15mins` or `1.5secs`.
fn parse_duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, f64); 8] = [
        ("ns", 1e-9),
        ("us", 1e-6),
        ("ms", 1e-3),
        ("secs", 1.0),
        ("mins", 60.0),
        ("hrs", 3600.0),
        ("days", 86_400.0),
        ("weeks", 604_800.0),
    ];
    let split = text.find(|letter: char| letter.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(split);
    let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit)?;
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_mesos_own() {
        for (text, expected) in [
            ("15mins", Some(Duration::from_secs(900))),
            ("1.5secs", Some(Duration::from_millis(1500))),
            ("2weeks", Some(Duration::from_secs(1_209_600))),
            ("7ns", Some(Duration::from_nanos(7))),
            ("5", None),
            ("-5secs", None),
            ("secs", None),
            ("5 fortnights", None),
        ] {
            assert_eq!(parse_duration(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut environment = BTreeMap::new();
        for name in ["MESOS_FRAMEWORK_ID", "MESOS_EXECUTOR_ID", "MESOS_SLAVE_PID"] {
            let error = Settings::from_environment(&environment).unwrap_err();
            assert_eq!(error, format!("environment variable {name} is not set"));
            environment.insert(name.to_owned(), "x".to_owned());
        }
        environment.insert(
            "MESOS_AGENT_ENDPOINT".to_owned(),
            "127.0.0.1:5051".to_owned(),
        );
        let settings = Settings::from_environment(&environment).unwrap();
        assert!(!settings.checkpoint);
        assert_eq!(settings.shutdown_grace_period, Duration::from_secs(5));
        environment.insert("MESOS_RECOVERY_TIMEOUT".to_owned(), "soon".to_owned());
        let error = Settings::from_environment(&environment).unwrap_err();
        assert_eq!(error, "MESOS_RECOVERY_TIMEOUT: 'soon' is no duration");
    }
}
