//! What a FrameworkInfo must be to be let in. Not here: whether its id was removed before.

use std::collections::BTreeSet;

use tepui_protocol::mesos::v1::framework_info::capability::Type as Capability;
use tepui_protocol::mesos::v1::scheduler::OfferConstraints;
use tepui_protocol::mesos::v1::{FrameworkInfo, OfferFilters};
use tepui_protocol::{ids, roles};

use crate::MasterOptions;
use crate::snapshot::{Framework, framework_can, framework_roles};

/// The greatest failover timeout: Mesos' `Duration` holds 2^63 nanoseconds.
const MAX_TIMEOUT_SECONDS: f64 = 9_223_372_036.854_775;

/// Whether a framework may subscribe so.
///
/// # Errors
/// Why not, as the ERROR event says it.
pub fn framework(
    id: Option<&str>,
    info: &FrameworkInfo,
    suppressed: &[String],
    constraints: Option<&OfferConstraints>,
    options: &MasterOptions,
) -> Result<(), String> {
    named_roles(info)?;
    if let Some(id) = id {
        ids::validate(id).map_err(|problem| format!("Framework ID is invalid: {problem}"))?;
    }
    failover_timeout(info.failover_timeout())?;
    for (role, filters) in &info.offer_filters {
        offer_filters(role, filters)?;
    }
    if info.user == "root" && !options.root_submissions {
        return Err(
            "User 'root' is not allowed to run frameworks without --root_submissions set"
                .to_owned(),
        );
    }
    let own = framework_roles(info);
    if let Some(allowed) = &options.roles
        && let Some(role) = own
            .iter()
            .find(|role| *role != "*" && !allowed.contains(*role))
    {
        return Err(format!(
            "Roles '{role}' are not present in the master's --roles"
        ));
    }
    if let Some(role) = suppressed.iter().find(|role| !own.contains(*role)) {
        return Err(format!(
            "Suppressed role '{role}' is not contained in the list of roles"
        ));
    }
    if constraints.is_some_and(|constraints| !constraints.role_constraints.is_empty()) {
        return Err("Offer constraints are not valid: offer_constraints is not supported".into());
    }
    Ok(())
}

fn named_roles(info: &FrameworkInfo) -> Result<(), String> {
    if framework_can(info, Capability::MultiRole) {
        if info.role.is_some() {
            return Err(
                "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE \
                        capable"
                    .to_owned(),
            );
        }
        let mut seen = BTreeSet::new();
        if let Some(role) = info.roles.iter().find(|role| !seen.insert(role.as_str())) {
            return Err(format!(
                "'FrameworkInfo.roles' contains duplicate items: '{role}'"
            ));
        }
    } else if !info.roles.is_empty() {
        return Err(
            "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE \
                    capable"
                .to_owned(),
        );
    }
    let field = if info.role.is_some() { "role" } else { "roles" };
    for role in framework_roles(info) {
        roles::validate(&role).map_err(|problem| {
            format!("'FrameworkInfo.{field}' contains invalid role: {problem}")
        })?;
    }
    Ok(())
}

fn failover_timeout(seconds: f64) -> Result<(), String> {
    if seconds.is_finite() && seconds.abs() < MAX_TIMEOUT_SECONDS {
        return Ok(());
    }
    Err(format!(
        "The framework failover_timeout ({seconds}) is invalid: it is out of the range of a \
         duration of 64 bit nanoseconds"
    ))
}

fn offer_filters(role: &str, filters: &OfferFilters) -> Result<(), String> {
    let Some(minimum) = &filters.min_allocatable_resources else {
        return Ok(());
    };
    for set in &minimum.quantities {
        let invalid = |problem: String| {
            Err(format!(
                "Invalid resource quantity set for role '{role}' in \
                 OfferFilters.MinAllocatableResources: {problem}"
            ))
        };
        if set.quantities.is_empty() {
            return invalid("it is empty".to_owned());
        }
        for (name, quantity) in &set.quantities {
            if !quantity.value.is_finite() || quantity.value < 0.0 {
                return invalid(format!("'{name}' is {}", quantity.value));
            }
        }
    }
    Ok(())
}

/// Why a framework that comes back with another principal is refused.
#[must_use]
pub fn principal_changed(framework: &Framework, info: &FrameworkInfo) -> String {
    let named = |principal: Option<&str>| principal.unwrap_or("<NONE>").to_owned();
    format!(
        "Changing framework's principal is not allowed: it was '{}' and would be '{}'",
        named(framework.principal()),
        named(info.principal.as_deref())
    )
}
