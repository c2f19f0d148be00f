//! The environment that an executor sees, variable by variable as Mesos sets it.
//!
//! Not here: MESOS_SANDBOX inside a container with a file system of its own (the containerizer
//! knows where that is).

use std::collections::BTreeMap;
use std::time::Duration;

use tepui_protocol::mesos::v1::environment::{Variable, variable};
use tepui_protocol::mesos::v1::{Environment, FrameworkInfo};
use tepui_runtime::Pid;

use super::executor::Executor;
use crate::checkpoint::Run;
use crate::options::AgentOptions;

/// Where programs are looked for if nobody says (stout's `os::host_default_path`).
pub(super) const DEFAULT_PATH: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What an executor sees in its environment, later ones in place of earlier: LIBPROCESS_IP, what
/// the agent was told to hand down (or has itself), Mesos' own variables, those of the command.
#[must_use]
pub(super) fn environment(
    options: &AgentOptions,
    myself: &Pid,
    framework: &FrameworkInfo,
    executor: &Executor,
    run: Run<'_>,
) -> Environment {
    let mut variables = base(options);
    let directory = executor.directory.display().to_string();
    let flag = |set: bool| if set { "1" } else { "0" }.to_owned();
    let mut set = |name: &str, value: String| variables.insert(name.to_owned(), value);
    set("LIBPROCESS_PORT", "0".to_owned());
    set("MESOS_FRAMEWORK_ID", run.framework.to_owned());
    set("MESOS_EXECUTOR_ID", run.executor.to_owned());
    set("MESOS_DIRECTORY", directory.clone());
    set("MESOS_SANDBOX", directory);
    set("MESOS_SLAVE_ID", run.agent.to_owned());
    set("MESOS_SLAVE_PID", myself.to_string());
    set("MESOS_AGENT_ENDPOINT", myself.address().to_string());
    set("MESOS_CHECKPOINT", flag(framework.checkpoint()));
    // The executor of command tasks speaks nothing but the HTTP API; to others the variable says
    // what Mesos' default is.
    set("MESOS_HTTP_COMMAND_EXECUTOR", flag(executor.generated));
    let grace = duration_text(shutdown_grace(executor, options));
    set("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", grace);
    if framework.checkpoint() {
        let timeout = duration_text(options.recovery_timeout);
        set("MESOS_RECOVERY_TIMEOUT", timeout);
        let backoff = duration_text(options.executor_reregistration_timeout);
        set("MESOS_SUBSCRIPTION_BACKOFF_MAX", backoff);
    }
    let command = executor.info.command.as_ref();
    let own = command.and_then(|command| command.environment.as_ref());
    for variable in own.iter().flat_map(|environment| &environment.variables) {
        set(&variable.name, variable.value().to_owned());
    }
    let variables = variables.into_iter().map(|(name, value)| Variable {
        name,
        value: Some(value),
        r#type: Some(variable::Type::Value as i32),
        ..Variable::default()
    });
    Environment {
        variables: variables.collect(),
    }
}

/// What is there before Mesos' own variables. Those the operator names are taken as they are; of
/// the agent's own environment what is meant for the agent is left out.
fn base(options: &AgentOptions) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::new();
    if let Some(ip) = &options.libprocess_ip {
        variables.insert("LIBPROCESS_IP".to_owned(), ip.clone());
    }
    match &options.executor_environment_variables {
        Some(given) => variables.extend(given.clone()),
        None => {
            let own = options.executor_environment.iter();
            let own = own.filter(|(name, _)| {
                !name.starts_with("LIBPROCESS_") && !name.starts_with("MESOS_")
            });
            variables.extend(own.map(|(name, value)| (name.clone(), value.clone())));
        }
    }
    variables
        .entry("PATH".to_owned())
        .or_insert_with(|| DEFAULT_PATH.to_owned());
    variables
}

/// How long an executor has between SHUTDOWN and the end of its container: its own word, else the
/// agent's.
#[must_use]
pub(super) fn shutdown_grace(executor: &Executor, options: &AgentOptions) -> Duration {
    let own = executor.info.shutdown_grace_period.as_ref();
    own.and_then(|grace| u64::try_from(grace.nanoseconds).ok())
        .map_or(options.executor_shutdown_grace_period, Duration::from_nanos)
}

/// A duration as Mesos writes it: in the largest unit that is not above it, as `5secs` or
/// `1.5mins`.
#[must_use]
pub(super) fn duration_text(duration: Duration) -> String {
    const UNITS: &[(u128, &str)] = &[
        (7 * 24 * 3600 * 1_000_000_000, "weeks"),
        (24 * 3600 * 1_000_000_000, "days"),
        (3600 * 1_000_000_000, "hrs"),
        (60 * 1_000_000_000, "mins"),
        (1_000_000_000, "secs"),
        (1_000_000, "ms"),
        (1_000, "us"),
    ];
    let nanos = duration.as_nanos();
    match UNITS.iter().find(|(unit, _)| nanos >= *unit) {
        None => format!("{nanos}ns"),
        Some((unit, name)) if nanos.is_multiple_of(*unit) => format!("{}{name}", nanos / unit),
        Some((unit, name)) => {
            let unit = Duration::from_nanos(u64::try_from(*unit).unwrap_or(u64::MAX));
            format!("{}{name}", duration.as_secs_f64() / unit.as_secs_f64())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_mesos_does() {
        for (duration, text) in [
            (Duration::from_secs(5), "5secs"),
            (Duration::from_secs(900), "15mins"),
            (Duration::from_secs(90), "1.5mins"),
            (Duration::from_millis(1500), "1.5secs"),
            (Duration::from_secs(14 * 24 * 3600), "2weeks"),
            (Duration::from_nanos(7), "7ns"),
        ] {
            assert_eq!(duration_text(duration), text);
        }
    }
}
