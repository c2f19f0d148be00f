//! Whether a call of an executor may be taken: the checks of Mesos' executor API, in its order.
//!
//! The gateway asks before it passes a call on, from the agent's snapshot; the core asks again,
//! since an executor that is an actor comes without a gateway.

use tepui_protocol::mesos::v1::executor::{Call, call};
use tepui_protocol::mesos::v1::{CheckStatusInfo, TaskState, TaskStatus, check_info, task_status};

/// How an executor stands with the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The agent does not know its framework.
    NoFramework,
    /// The framework has no such executor here.
    NoExecutor,
    /// It has not subscribed.
    NotSubscribed,
    /// It is or was subscribed.
    Subscribed,
}

/// Why a call is not taken. [`CallError::status`] is what HTTP answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The agent has not read its checkpoints.
    #[error("Agent has not finished recovery")]
    Recovering,
    /// The call lacks something, or has something wrong.
    #[error("Failed to validate Executor::Call: {0}")]
    Invalid(String),
    /// The call's type is not known to this version.
    #[error("501 Not Implemented.")]
    UnknownType,
    /// No such framework on this agent.
    #[error("Framework cannot be found")]
    NoFramework,
    /// No such executor on this agent.
    #[error("Executor cannot be found")]
    NoExecutor,
    /// The call needs a subscription.
    #[error("Executor is not subscribed")]
    NotSubscribed,
}

impl CallError {
    /// The HTTP status by which Mesos answers.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            CallError::Recovering => 503,
            CallError::Invalid(_) | CallError::NoFramework | CallError::NoExecutor => 400,
            CallError::UnknownType => 501,
            CallError::NotSubscribed => 403,
        }
    }
}

/// Checks a call. `open` is whether executors may subscribe by now; `standing` tells how the
/// executor with these ids of framework and executor stands.
///
/// # Errors
/// [`CallError`] with the first check that fails.
pub fn validate_executor_call(
    call: &Call,
    open: bool,
    standing: impl FnOnce(&str, &str) -> Standing,
) -> Result<(), CallError> {
    if !open {
        return Err(CallError::Recovering);
    }
    form(call)?;
    match standing(&call.framework_id.value, &call.executor_id.value) {
        Standing::NoFramework => Err(CallError::NoFramework),
        Standing::NoExecutor => Err(CallError::NoExecutor),
        Standing::NotSubscribed if call.r#type() != call::Type::Subscribe => {
            Err(CallError::NotSubscribed)
        }
        // As Mesos, the last of all.
        _ if call.r#type() == call::Type::Unknown => Err(CallError::UnknownType),
        Standing::NotSubscribed | Standing::Subscribed => Ok(()),
    }
}

/// What can be told from the call alone.
fn form(call: &Call) -> Result<(), CallError> {
    let invalid = |problem: &str| Err(CallError::Invalid(problem.to_owned()));
    let Some(kind) = call.r#type else {
        return invalid("Expecting 'type' to be present");
    };
    match call::Type::try_from(kind).unwrap_or(call::Type::Unknown) {
        call::Type::Unknown | call::Type::Heartbeat => Ok(()),
        call::Type::Subscribe => match &call.subscribe {
            None => invalid("Expecting 'subscribe' to be present"),
            Some(subscribe) => {
                let updates = &subscribe.unacknowledged_updates;
                updates
                    .iter()
                    .try_for_each(|update| status(call, &update.status))
            }
        },
        call::Type::Message => match call.message {
            None => invalid("Expecting 'message' to be present"),
            Some(_) => Ok(()),
        },
        call::Type::Update => match &call.update {
            None => invalid("Expecting 'update' to be present"),
            Some(update) => status(call, &update.status),
        },
    }
}

fn status(call: &Call, status: &TaskStatus) -> Result<(), CallError> {
    let who = || {
        format!(
            "executor {} of framework {}",
            call.executor_id.value, call.framework_id.value
        )
    };
    let problem = if status.uuid.is_none() {
        "Expecting 'uuid' to be present".to_owned()
    } else if status.uuid.as_ref().is_some_and(|uuid| uuid.len() != 16) {
        "Not a valid UUID".to_owned()
    } else if status
        .executor_id
        .as_ref()
        .is_some_and(|id| *id != call.executor_id)
    {
        format!(
            "ExecutorID in Call: {} does not match ExecutorID in TaskStatus: {}",
            call.executor_id.value,
            status
                .executor_id
                .as_ref()
                .map_or("", |id| id.value.as_str())
        )
    } else if status.source != Some(task_status::Source::Executor as i32) {
        format!(
            "Received Call from {} with invalid source, expecting 'SOURCE_EXECUTOR'",
            who()
        )
    } else if TaskState::try_from(status.state).is_err() {
        format!(
            "Received an unknown task state {} from {}",
            status.state,
            who()
        )
    } else if status.state() == TaskState::TaskStaging {
        format!("Received TASK_STAGING from {} which is not allowed", who())
    } else if !crate::checkpoint::Paths::is_segment(&status.task_id.value) {
        format!(
            "Received a status from {} for a task whose id is not valid",
            who()
        )
    } else {
        return match &status.check_status {
            Some(check) => {
                check_status(check).map_err(|problem| CallError::Invalid(problem.to_owned()))
            }
            None => Ok(()),
        };
    };
    Err(CallError::Invalid(problem))
}

fn check_status(check: &CheckStatusInfo) -> Result<(), &'static str> {
    if check.r#type.is_none() {
        return Err("CheckStatusInfo must specify 'type'");
    }
    match check.r#type() {
        check_info::Type::Unknown => Err("'UNKNOWN' is not a valid check's status type"),
        check_info::Type::Command if check.command.is_none() => {
            Err("Expecting 'command' to be set for COMMAND check's status")
        }
        check_info::Type::Http if check.http.is_none() => {
            Err("Expecting 'http' to be set for HTTP check's status")
        }
        check_info::Type::Tcp if check.tcp.is_none() => {
            Err("Expecting 'tcp' to be set for TCP check's status")
        }
        check_info::Type::Command | check_info::Type::Http | check_info::Type::Tcp => Ok(()),
    }
}
