//! What the checks of a task must be: Mesos' `validation::checkInfo` and `healthCheck`, in their
//! order and words. Not here: what of them the command executor can do (`fields`).

use tepui_protocol::mesos::v1::{CheckInfo, CommandInfo, HealthCheck, check_info, health_check};

use super::command::environment_variables;

/// Whether a task's `check` is complete.
///
/// # Errors
/// What it lacks.
pub(super) fn check(check: &CheckInfo) -> Result<(), String> {
    if check.r#type.is_none() {
        return Err("CheckInfo must specify 'type'".to_owned());
    }
    match check.r#type() {
        check_info::Type::Command => {
            let part = check.command.as_ref();
            let part = part.ok_or("Expecting 'command' to be set for COMMAND check")?;
            command(&part.command, "Command check", "Check's")?;
        }
        check_info::Type::Http => {
            let part = check.http.as_ref();
            let part = part.ok_or("Expecting 'http' to be set for HTTP check")?;
            path(part.path.as_deref(), "HTTP check")?;
        }
        check_info::Type::Tcp if check.tcp.is_none() => {
            return Err("Expecting 'tcp' to be set for TCP check".to_owned());
        }
        check_info::Type::Tcp => {}
        check_info::Type::Unknown => {
            return Err("'UNKNOWN' is not a valid check type".to_owned());
        }
    }
    not_negative(&[
        ("delay_seconds", check.delay_seconds),
        ("interval_seconds", check.interval_seconds),
        ("timeout_seconds", check.timeout_seconds),
    ])
}

/// Whether a task's `health_check` is complete. Its type has been inferred where it was not set.
///
/// # Errors
/// What it lacks.
pub(super) fn health_check(check: &HealthCheck) -> Result<(), String> {
    if check.r#type.is_none() {
        return Err("HealthCheck must specify 'type'".to_owned());
    }
    match check.r#type() {
        health_check::Type::Command => {
            let part = check.command.as_ref();
            let part = part.ok_or("Expecting 'command' to be set for COMMAND health check")?;
            command(part, "Command health check", "Health check's")?;
        }
        health_check::Type::Http => {
            let part = check.http.as_ref();
            let part = part.ok_or("Expecting 'http' to be set for HTTP health check")?;
            if let Some(scheme) = part
                .scheme
                .as_deref()
                .filter(|s| !["http", "https"].contains(s))
            {
                return Err(format!("Unsupported HTTP health check scheme: '{scheme}'"));
            }
            path(part.path.as_deref(), "HTTP health check")?;
        }
        health_check::Type::Tcp if check.tcp.is_none() => {
            return Err("Expecting 'tcp' to be set for TCP health check".to_owned());
        }
        health_check::Type::Tcp => {}
        health_check::Type::Unknown => {
            return Err("'UNKNOWN' is not a valid health check type".to_owned());
        }
    }
    not_negative(&[
        ("delay_seconds", check.delay_seconds),
        ("grace_period_seconds", check.grace_period_seconds),
        ("interval_seconds", check.interval_seconds),
        ("timeout_seconds", check.timeout_seconds),
    ])
}

fn command(command: &CommandInfo, what: &str, whose: &str) -> Result<(), String> {
    if command.value.is_none() {
        let part = if command.shell() {
            "shell command"
        } else {
            "executable path"
        };
        return Err(format!("{what} must contain '{part}'"));
    }
    environment_variables(command.environment.as_ref())
        .map_err(|problem| format!("{whose} `CommandInfo` is invalid: {problem}"))
}

fn path(path: Option<&str>, what: &str) -> Result<(), String> {
    match path {
        Some(path) if !path.starts_with('/') => {
            Err(format!("The path '{path}' of {what} must start with '/'"))
        }
        _ => Ok(()),
    }
}

fn not_negative(fields: &[(&str, Option<f64>)]) -> Result<(), String> {
    let negative = |(_, seconds): &&(&str, Option<f64>)| {
        // What is no number is not non-negative either.
        seconds.is_some_and(|s| s.is_nan() || s < 0.0)
    };
    match fields.iter().find(negative) {
        Some((name, _)) => Err(format!("Expecting '{name}' to be non-negative")),
        None => Ok(()),
    }
}
