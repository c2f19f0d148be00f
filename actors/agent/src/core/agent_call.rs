//! Whether a call of the agent's operator API may be taken, and what it asks for: the checks of
//! Mesos' agent, in its words and order.
//!
//! The gateway asks before it passes a call on; the core asks again, since an executor that is an
//! actor comes without a gateway.

use std::collections::BTreeMap;

use tepui_containerizer::unsupported_task_fields;
use tepui_protocol::ids;
use tepui_protocol::mesos::v1::agent::{Call, call};
use tepui_protocol::mesos::v1::value::Scalar;
use tepui_protocol::mesos::v1::{
    CommandInfo, ContainerId, ContainerInfo, Resource, TaskInfo, container_info,
};
use tepui_protocol::resources::Resources;

/// The longest id of a container, in bytes: beside it a name has to hold a little more.
const MAX_ID_LENGTH: usize = 242;

/// Why a call is not taken. [`AgentCallError::status`] is what HTTP answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentCallError {
    /// The call lacks something, or has something wrong.
    #[error("Failed to validate agent::Call: {0}")]
    Invalid(String),
    /// It asks for something of a container that cannot be done here.
    #[error("{0}")]
    Unsupported(String),
    /// The call's type is not known to this version.
    #[error("501 Not Implemented.")]
    UnknownType,
    /// The call is known by name and not offered.
    #[error("{0} not offered")]
    NotOffered(String),
}

impl AgentCallError {
    /// The HTTP status by which it is answered.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            AgentCallError::Invalid(_) | AgentCallError::Unsupported(_) => 400,
            AgentCallError::UnknownType | AgentCallError::NotOffered(_) => 501,
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Request {
    Launch(Box<Wanted>),
    Wait {
        id: ContainerId,
        nested_form: bool,
    },
    Kill {
        id: ContainerId,
        signal: Option<i32>,
    },
    Remove(ContainerId),
}

/// A nested container that is to be launched.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    pub(super) id: ContainerId,
    pub(super) command: CommandInfo,
    pub(super) container: Option<ContainerInfo>,
    pub(super) resources: Vec<Resource>,
    pub(super) limits: BTreeMap<String, Scalar>,
}

/// Checks a call as far as that can be done without knowing what runs.
///
/// # Errors
/// [`AgentCallError`] with the first check that fails.
pub fn validate_agent_call(call: &Call) -> Result<(), AgentCallError> {
    request(call.clone()).map(|_| ())
}

/// The same, and what the call asks for.
pub(super) fn request(call: Call) -> Result<Request, AgentCallError> {
    use call::Type;

    let Some(kind) = call.r#type else {
        return invalid("Expecting 'type' to be present");
    };
    let kind = Type::try_from(kind).unwrap_or(Type::Unknown);
    let name = kind.as_str_name().to_lowercase();
    match kind {
        Type::Unknown => Err(AgentCallError::UnknownType),
        Type::LaunchContainer => launch(&name, present(&name, call.launch_container)?),
        Type::LaunchNestedContainer => {
            let part = present(&name, call.launch_nested_container)?;
            let part = call::LaunchContainer {
                container_id: part.container_id,
                command: part.command,
                container: part.container,
                ..call::LaunchContainer::default()
            };
            launch(&name, part)
        }
        Type::WaitContainer => {
            let id = present(&name, call.wait_container)?.container_id;
            Ok(Request::Wait {
                id: nested(&name, id)?,
                nested_form: false,
            })
        }
        Type::WaitNestedContainer => {
            let id = present(&name, call.wait_nested_container)?.container_id;
            Ok(Request::Wait {
                id: nested(&name, id)?,
                nested_form: true,
            })
        }
        Type::KillContainer => {
            let part = present(&name, call.kill_container)?;
            Ok(Request::Kill {
                id: nested(&name, part.container_id)?,
                signal: part.signal,
            })
        }
        Type::KillNestedContainer => {
            let part = present(&name, call.kill_nested_container)?;
            Ok(Request::Kill {
                id: nested(&name, part.container_id)?,
                signal: part.signal,
            })
        }
        Type::RemoveContainer => {
            let id = present(&name, call.remove_container)?.container_id;
            Ok(Request::Remove(nested(&name, id)?))
        }
        Type::RemoveNestedContainer => {
            let id = present(&name, call.remove_nested_container)?.container_id;
            Ok(Request::Remove(nested(&name, id)?))
        }
        other => Err(AgentCallError::NotOffered(format!(
            "{} is",
            other.as_str_name()
        ))),
    }
}

fn invalid<T>(problem: impl Into<String>) -> Result<T, AgentCallError> {
    Err(AgentCallError::Invalid(problem.into()))
}

fn present<T>(name: &str, part: Option<T>) -> Result<T, AgentCallError> {
    match part {
        Some(part) => Ok(part),
        None => invalid(format!("Expecting '{name}' to be present")),
    }
}

/// The id, if it is one of a nested container.
fn nested(name: &str, id: ContainerId) -> Result<ContainerId, AgentCallError> {
    if let Some(problem) = wrong_id(&id) {
        return invalid(format!("'{name}.container_id' is invalid: {problem}"));
    }
    match &id.parent {
        Some(_) => Ok(id),
        None if name.contains("nested") => invalid(format!(
            "Expecting '{name}.container_id.parent' to be present"
        )),
        None => Err(AgentCallError::NotOffered(format!(
            "{} of a container without container_id.parent, a standalone one, is",
            name.to_uppercase()
        ))),
    }
}

/// Mesos' rule for the ids of containers.
fn wrong_id(id: &ContainerId) -> Option<String> {
    let ContainerId { value, parent } = id;
    if let Err(problem) = ids::validate(value) {
        return Some(problem.to_string());
    }
    if value.len() > MAX_ID_LENGTH {
        let words = format!("exceeds the maximum length ({MAX_ID_LENGTH})");
        return Some(format!("'ContainerID.value' '{value}' {words}"));
    }
    if value.contains(['.', ' ']) {
        return Some(format!(
            "'ContainerID.value' '{value}' contains invalid characters"
        ));
    }
    let problem = wrong_id(parent.as_deref()?)?;
    Some(format!("'ContainerID.parent' is invalid: {problem}"))
}

fn launch(name: &str, part: call::LaunchContainer) -> Result<Request, AgentCallError> {
    let id = nested(name, part.container_id)?;
    let linux = part
        .container
        .as_ref()
        .and_then(|container| container.linux_info.as_ref());
    let shares = linux.is_none_or(|linux| linux.share_cgroups());
    let deep = id
        .parent
        .as_ref()
        .is_some_and(|parent| parent.parent.is_some());
    let wrong = match (deep, shares) {
        (true, _) if !part.resources.is_empty() => Some(
            "containers nested at the second level or greater cannot specify resources".to_owned(),
        ),
        (true, _) if !part.limits.is_empty() => Some(
            "containers nested at the second level or greater cannot specify resource limits"
                .to_owned(),
        ),
        (true, false) => Some(
            "containers nested at the second level or greater cannot set 'share_cgroups' to \
             'false'"
                .to_owned(),
        ),
        (_, true) if !part.limits.is_empty() => {
            Some("resource limits need 'share_cgroups' to be 'false'".to_owned())
        }
        _ => match Resources::from_proto(&part.resources) {
            Ok(_) => None,
            Err(problem) => Some(format!("resources: {problem}")),
        },
    };
    if let Some(wrong) = wrong {
        return invalid(format!("'{name}' is invalid: {wrong}"));
    }
    let Some(command) = part.command else {
        return invalid(format!("Expecting '{name}.command' to be present"));
    };
    if part
        .container
        .as_ref()
        .is_some_and(|container| container.r#type() != container_info::Type::Mesos)
    {
        let words = "The provided ContainerInfo is not supported";
        return Err(AgentCallError::Unsupported(words.to_owned()));
    }
    let wanted = Wanted {
        id,
        command,
        container: part.container,
        resources: part.resources,
        limits: part.limits,
    };
    unsupported(name, &wanted)?;
    Ok(Request::Launch(Box::new(wanted)))
}

/// Names the fields that cannot be honoured.
fn unsupported(name: &str, wanted: &Wanted) -> Result<(), AgentCallError> {
    let like = TaskInfo {
        command: Some(wanted.command.clone()),
        container: wanted.container.clone(),
        limits: wanted.limits.clone(),
        ..TaskInfo::default()
    };
    let fields = unsupported_task_fields(&like);
    if fields.is_empty() {
        return Ok(());
    }
    let separator = format!(", {name}.");
    Err(AgentCallError::Unsupported(format!(
        "this agent cannot honour {name}.{}",
        fields.join(&separator)
    )))
}
