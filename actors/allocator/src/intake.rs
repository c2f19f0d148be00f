//! From the messages of `tepui.allocator` to what the core takes.
//!
//! The master has validated what comes from outside; what is wrong here all the same is refused
//! with its field, and never a panic.

use std::collections::BTreeMap;

use tepui_protocol::mesos::v1::framework_info::capability::Type as FrameworkCapability;
use tepui_protocol::mesos::v1::scheduler::OfferConstraints;
use tepui_protocol::mesos::v1::{
    AgentId, AgentInfo, DomainInfo, Filters, FrameworkId, FrameworkInfo, OfferFilters, agent_info,
};
use tepui_protocol::resources::{Quantities, ResourceError, Resources};
use tepui_protocol::tepui::allocator;

use crate::core::{
    AgentCapabilities, AgentSpec, AllocatorError, ConstraintError, Constraints,
    FrameworkCapabilities, FrameworkSpec, PatternLimits, Recovery, Use, WhyNot,
};
use crate::pause::PauseResources;

/// A message that cannot be acted upon.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IntakeError {
    #[error("{field} is missing")]
    Missing { field: &'static str },
    #[error(transparent)]
    Resources(#[from] ResourceError),
    #[error(transparent)]
    Constraints(#[from] ConstraintError),
    #[error(transparent)]
    Core(#[from] AllocatorError),
}

pub(crate) fn framework(
    info: &FrameworkInfo,
    suppressed_roles: Vec<String>,
    constraints: Option<&OfferConstraints>,
    patterns: PatternLimits,
) -> Result<FrameworkSpec, IntakeError> {
    let id = info.id.as_ref().ok_or(IntakeError::Missing {
        field: "framework_info.id",
    })?;
    let has = |wanted: FrameworkCapability| {
        info.capabilities
            .iter()
            .any(|capability| capability.r#type() == wanted)
    };
    let capabilities = FrameworkCapabilities {
        revocable_resources: has(FrameworkCapability::RevocableResources),
        shared_resources: has(FrameworkCapability::SharedResources),
        gpu_resources: has(FrameworkCapability::GpuResources),
        multi_role: has(FrameworkCapability::MultiRole),
        reservation_refinement: has(FrameworkCapability::ReservationRefinement),
        region_aware: has(FrameworkCapability::RegionAware),
    };
    let roles = if capabilities.multi_role {
        info.roles.iter().cloned().collect()
    } else {
        [framework_role(info)].into()
    };
    let least = |(role, filters): (&String, &OfferFilters)| {
        let least = filters.min_allocatable_resources.as_ref()?;
        let sets = least
            .quantities
            .iter()
            .map(|set| Quantities::from_proto(&set.quantities));
        Some((role.clone(), sets.collect()))
    };
    let min_allocatable_resources: BTreeMap<String, Vec<Quantities>> =
        info.offer_filters.iter().filter_map(least).collect();
    Ok(FrameworkSpec {
        id: id.value.clone(),
        roles,
        suppressed_roles: suppressed_roles.into_iter().collect(),
        capabilities,
        min_allocatable_resources,
        constraints: match constraints {
            Some(constraints) => Constraints::of_roles(constraints, patterns)?,
            None => BTreeMap::new(),
        },
    })
}

/// The one role of a framework without `MULTI_ROLE`.
fn framework_role(info: &FrameworkInfo) -> String {
    info.role.clone().unwrap_or_else(|| "*".to_owned())
}

pub(crate) fn agent(
    info: AgentInfo,
    capabilities: &[agent_info::Capability],
    total: &[tepui_protocol::mesos::v1::Resource],
) -> Result<AgentSpec, IntakeError> {
    let id = info.id.ok_or(IntakeError::Missing {
        field: "agent_info.id",
    })?;
    let has = |wanted: agent_info::capability::Type| {
        capabilities
            .iter()
            .any(|capability| capability.r#type() == wanted)
    };
    Ok(AgentSpec {
        id: id.value,
        hostname: info.hostname,
        region: info.domain.as_ref().and_then(region),
        zone: info.domain.as_ref().and_then(zone),
        attributes: info.attributes,
        capabilities: AgentCapabilities {
            multi_role: has(agent_info::capability::Type::MultiRole),
            hierarchical_role: has(agent_info::capability::Type::HierarchicalRole),
        },
        total: Resources::from_proto(total)?.unallocate(),
    })
}

/// The name of a domain's region.
fn region(domain: &DomainInfo) -> Option<String> {
    domain
        .fault_domain
        .as_ref()
        .map(|fault_domain| fault_domain.region.name.clone())
}

/// The name of a domain's zone.
fn zone(domain: &DomainInfo) -> Option<String> {
    domain
        .fault_domain
        .as_ref()
        .map(|fault_domain| fault_domain.zone.name.clone())
}

pub(crate) fn used(one: &allocator::Use) -> Result<Use, IntakeError> {
    Ok(Use {
        framework: one.framework_id.value.clone(),
        agent: one.agent_id.value.clone(),
        resources: Resources::from_proto(&one.resources)?,
    })
}

pub(crate) fn all_used(uses: &[allocator::Use]) -> Result<Vec<Use>, IntakeError> {
    uses.iter().map(used).collect()
}

/// The way back: a use as a message.
pub(crate) fn shown(one: &Use) -> allocator::Use {
    allocator::Use {
        framework_id: FrameworkId {
            value: one.framework.clone(),
        },
        agent_id: AgentId {
            value: one.agent.clone(),
        },
        resources: one.resources.to_proto(),
    }
}

/// The way back: a reason as a message. A reason always becomes JSON.
pub(crate) fn explained(one: &WhyNot) -> Option<allocator::WhyNot> {
    let details = serde_json::to_value(&one.reason).ok()?;
    Some(allocator::WhyNot {
        agent_id: AgentId {
            value: one.agent.to_string(),
        },
        role: one.role.to_string(),
        reason: details.get("reason")?.as_str()?.to_owned(),
        sentence: one.reason.to_string(),
        details: details.to_string(),
    })
}

/// The same of an agent that pauses.
pub(crate) fn paused(message: &PauseResources) -> Result<(Use, Recovery), IntakeError> {
    let (freed, _) = recovered(&message.resources)?;
    Ok((freed, Recovery::Paused(message.pause)))
}

pub(crate) fn recovered(
    message: &allocator::RecoverResources,
) -> Result<(Use, Recovery), IntakeError> {
    let freed = Use {
        framework: message.framework_id.value.clone(),
        agent: message.agent_id.value.clone(),
        resources: Resources::from_proto(&message.resources)?,
    };
    let refused = |filters: &Filters| Recovery::refused_for(filters.refuse_seconds());
    Ok((
        freed,
        message.filters.as_ref().map_or(Recovery::Freed, refused),
    ))
}
