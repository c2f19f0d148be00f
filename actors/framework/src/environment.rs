//! What an agent tells the executors that it launches: the variables of Mesos' executor
//! environment, as options of an executor.

use std::collections::BTreeMap;
use std::time::Duration;

use tepui_protocol::mesos::v1::{ExecutorId, FrameworkId};
use tepui_runtime::Pid;

/// How long a lost agent is waited for if it does not say (Mesos' RECOVERY_TIMEOUT).
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(15 * 60);

/// Longest pause between two SUBSCRIBEs if the agent does not say; it waits 2 seconds for
/// executors by default.
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Who an executor is, and whom it serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutorOptions {
    /// The agent to subscribe to.
    pub agent: Pid,
    /// The framework that it runs tasks for.
    pub framework_id: FrameworkId,
    /// Its own id.
    pub executor_id: ExecutorId,
    /// How long it waits for a lost agent; `None` where the framework asked for no checkpoints,
    /// so that no agent would know it again.
    pub recovery: Option<Duration>,
    /// Longest pause between two SUBSCRIBEs.
    pub subscription_backoff_max: Duration,
}

/// What an agent's variables lack. An executor that reads this was not launched by an agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
    /// A variable is not there.
    #[error("expecting '{name}' to be set in the environment")]
    Missing {
        /// Its name.
        name: &'static str,
    },
    /// A variable cannot be read.
    #[error("cannot read '{name}' in the environment: {problem}")]
    Bad {
        /// Its name.
        name: &'static str,
        /// What is wrong with its value.
        problem: String,
    },
}

impl ExecutorOptions {
    /// Options of an executor of a framework that asked for checkpoints, with Mesos' defaults.
    #[must_use]
    pub fn new(agent: Pid, framework_id: FrameworkId, executor_id: ExecutorId) -> ExecutorOptions {
        ExecutorOptions {
            agent,
            framework_id,
            executor_id,
            recovery: Some(RECOVERY_TIMEOUT),
            subscription_backoff_max: BACKOFF_MAX,
        }
    }

    /// Reads MESOS_SLAVE_PID, MESOS_FRAMEWORK_ID, MESOS_EXECUTOR_ID, MESOS_CHECKPOINT,
    /// MESOS_RECOVERY_TIMEOUT and MESOS_SUBSCRIPTION_BACKOFF_MAX.
    ///
    /// # Errors
    /// [`EnvironmentError`] for the first that is missing or cannot be read.
    pub fn from_environment(
        variables: &BTreeMap<String, String>,
    ) -> Result<ExecutorOptions, EnvironmentError> {
        let text = |name: &'static str| {
            let value = variables.get(name).filter(|value| !value.is_empty());
            value.ok_or(EnvironmentError::Missing { name })
        };
        let duration = |name: &'static str, default: Duration| match variables.get(name) {
            None => Ok(default),
            Some(text) => parse_duration(text).ok_or_else(|| EnvironmentError::Bad {
                name,
                problem: format!("'{text}' is no duration such as 15mins"),
            }),
        };
        let name = "MESOS_SLAVE_PID";
        let agent = text(name)?
            .parse()
            .map_err(|problem| EnvironmentError::Bad {
                name,
                problem: format!("{problem}"),
            });
        let framework_id = FrameworkId {
            value: text("MESOS_FRAMEWORK_ID")?.clone(),
        };
        let executor_id = ExecutorId {
            value: text("MESOS_EXECUTOR_ID")?.clone(),
        };
        let checkpoint = variables.get("MESOS_CHECKPOINT");
        let recovery = match checkpoint.map(String::as_str) {
            Some("1") => Some(duration("MESOS_RECOVERY_TIMEOUT", RECOVERY_TIMEOUT)?),
            _ => None,
        };
        Ok(ExecutorOptions {
            recovery,
            subscription_backoff_max: duration("MESOS_SUBSCRIPTION_BACKOFF_MAX", BACKOFF_MAX)?,
            ..ExecutorOptions::new(agent?, framework_id, executor_id)
        })
    }
}

/// A duration as Mesos writes it: a number with one of its units.
fn parse_duration(text: &str) -> Option<Duration> {
    let end = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (amount, unit) = text.split_at(end);
    let seconds = match unit {
        "ns" => 1e-9,
        "us" => 1e-6,
        "ms" => 1e-3,
        "secs" => 1.0,
        "mins" => 60.0,
        "hrs" => 3600.0,
        "days" => 24.0 * 3600.0,
        "weeks" => 7.0 * 24.0 * 3600.0,
        _ => return None,
    };
    let amount: f64 = amount.trim().parse().ok()?;
    Duration::try_from_secs_f64(amount * seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(changes: &[(&str, Option<&str>)]) -> BTreeMap<String, String> {
        let mut variables: BTreeMap<String, String> = [
            ("MESOS_SLAVE_PID", "slave(1)@10.0.0.2:5051"),
            ("MESOS_FRAMEWORK_ID", "F"),
            ("MESOS_EXECUTOR_ID", "e"),
            ("MESOS_CHECKPOINT", "1"),
            ("MESOS_RECOVERY_TIMEOUT", "1.5mins"),
            ("MESOS_SUBSCRIPTION_BACKOFF_MAX", "2secs"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        for (name, value) in changes {
            match value {
                Some(value) => variables.insert((*name).to_owned(), (*value).to_owned()),
                None => variables.remove(*name),
            };
        }
        variables
    }

    #[test]
    fn what_the_agent_sets_is_understood() {
        let options = ExecutorOptions::from_environment(&variables(&[])).unwrap();
        assert_eq!(options.agent.to_string(), "slave(1)@10.0.0.2:5051");
        assert_eq!(options.framework_id.value, "F");
        assert_eq!(options.executor_id.value, "e");
        assert_eq!(options.recovery, Some(Duration::from_secs(90)));
        assert_eq!(options.subscription_backoff_max, Duration::from_secs(2));
        let without = variables(&[("MESOS_CHECKPOINT", Some("0"))]);
        let options = ExecutorOptions::from_environment(&without).unwrap();
        assert_eq!(options.recovery, None);
    }

    #[test]
    fn what_is_missing_is_named() {
        for (change, text) in [
            (
                ("MESOS_SLAVE_PID", None),
                "expecting 'MESOS_SLAVE_PID' to be set in the environment",
            ),
            (
                ("MESOS_EXECUTOR_ID", Some("")),
                "expecting 'MESOS_EXECUTOR_ID' to be set in the environment",
            ),
            (
                ("MESOS_RECOVERY_TIMEOUT", Some("soon")),
                "cannot read 'MESOS_RECOVERY_TIMEOUT' in the environment: 'soon' is no duration \
                 such as 15mins",
            ),
        ] {
            let error = ExecutorOptions::from_environment(&variables(&[change])).unwrap_err();
            assert_eq!(error.to_string(), text);
        }
        let bad = variables(&[("MESOS_SLAVE_PID", Some("slave(1)"))]);
        let error = ExecutorOptions::from_environment(&bad).unwrap_err();
        assert!(error.to_string().contains("MESOS_SLAVE_PID"), "{error}");
    }
}
