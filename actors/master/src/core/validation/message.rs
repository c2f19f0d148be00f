//! What an agent must say of itself to be let in: Mesos' `registerSlave` and `reregisterSlave`
//! validations. One that does not is not answered; it tries again. Not here: who is in already.

use tepui_protocol::ids;
use tepui_protocol::mesos::internal::ReregisterAgent;
use tepui_protocol::mesos::v1::{AgentInfo, Resource};
use tepui_protocol::resources::Resources;

use super::bounds;
use super::framework::valid_role;
use crate::MasterOptions;

/// The oldest agents that are let in: Mesos' `MINIMUM_AGENT_VERSION`, 1.0.0.
const MINIMUM_MAJOR: u64 = 1;

/// Whether an agent may register so.
///
/// # Errors
/// Why not, for the log.
pub fn registration(
    info: &AgentInfo,
    checkpointed: &[Resource],
    version: Option<&str>,
    options: &MasterOptions,
) -> Result<(), String> {
    let version = version.unwrap_or_default();
    let major = version
        .split('.')
        .next()
        .and_then(|major| major.parse::<u64>().ok());
    match major {
        None => return Err(format!("failed to parse version '{version}'")),
        Some(major) if major < MINIMUM_MAJOR => {
            return Err(format!("version {version} is older than 1.0.0"));
        }
        Some(_) => {}
    }
    bounds::within(info)?;
    if let Some(id) = &info.id {
        ids::validate(&id.value).map_err(|problem| format!("agent id: {problem}"))?;
    }
    let total = Resources::from_proto(&info.resources).map_err(|problem| problem.to_string())?;
    if let Some(entry) = total
        .iter()
        .find(|entry| entry.kind.allocation_role().is_some())
    {
        return Err(format!("resource '{}' is allocated", entry.kind.name()));
    }
    if let Some(id) = total.repeated_persistence_id() {
        return Err(format!("persistence id '{id}' is there twice"));
    }
    if !checkpointed.is_empty() {
        return Err("checkpointed_resources are not supported".to_owned());
    }
    match (&info.domain, &options.domain) {
        (Some(_), None) => Err("the agent has a domain and the master has none".to_owned()),
        (None, _) if options.require_agent_domain => {
            Err("the agent has no domain, and require_agent_domain is set".to_owned())
        }
        _ => Ok(()),
    }
}

/// Whether what an agent says to run may be counted: each resource is allocated to a role.
///
/// # Errors
/// Which is not.
pub fn running(message: &ReregisterAgent) -> Result<(), String> {
    let tasks = message.tasks.iter();
    let tasks = tasks.map(|task| ("task", &task.task_id.value, &task.resources));
    let executors = message.executor_infos.iter();
    let executors = executors.map(|one| ("executor", &one.executor_id.value, &one.resources));
    for (what, id, resources) in tasks.chain(executors) {
        for resource in resources {
            let role = resource
                .allocation_info
                .as_ref()
                .and_then(|info| info.role.as_ref());
            let role =
                role.ok_or_else(|| format!("a resource of {what} '{id}' is not allocated"))?;
            valid_role(role).map_err(|problem| format!("{what} '{id}': {problem}"))?;
        }
    }
    Ok(())
}
