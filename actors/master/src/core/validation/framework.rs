//! What a FrameworkInfo must be to be let in. Not here: whether its id was removed before.

use std::collections::BTreeSet;

use tepui_allocator::Constraints;
use tepui_protocol::ids;
use tepui_protocol::mesos::v1::framework_info::capability::Type as Capability;
use tepui_protocol::mesos::v1::scheduler::OfferConstraints;
use tepui_protocol::mesos::v1::scheduler::call::UpdateFramework;
use tepui_protocol::mesos::v1::{FrameworkInfo, OfferFilters};
use tepui_protocol::roles::{self, RoleError};

use super::bounds;
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
    constraints: &OfferConstraints,
    options: &MasterOptions,
) -> Result<(), String> {
    known(info)?;
    if let Some(id) = id {
        ids::validate(id).map_err(|problem| problem.to_string())?;
    }
    failover_timeout(info.failover_timeout())?;
    info.offer_filters.values().try_for_each(offer_filters)?;
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
    offer_constraints(&own, constraints, options)
        .map_err(|problem| format!("Offer constraints are not valid: {problem}"))
}

/// Whether offer constraints are some, and for roles that the framework has.
fn offer_constraints(
    roles: &BTreeSet<String>,
    constraints: &OfferConstraints,
    options: &MasterOptions,
) -> Result<(), String> {
    let of = &constraints.role_constraints;
    if let Some(role) = of.keys().find(|role| !roles.contains(*role)) {
        return Err(format!(
            "Offer constraints specify a role '{role}' to which the framework is not subscribed"
        ));
    }
    Constraints::of_roles(constraints, options.allocator.decisions.patterns)
        .map_err(|problem| problem.to_string())?;
    Ok(())
}

/// Whether a framework may be known, also one that an agent tells of: its size and its roles.
///
/// # Errors
/// Why not.
pub fn known(info: &FrameworkInfo) -> Result<(), String> {
    bounds::within(info)?;
    named_roles(info)
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
        let twice = info.roles.iter().filter(|role| !seen.insert(role.as_str()));
        let twice: BTreeSet<&str> = twice.map(String::as_str).collect();
        if !twice.is_empty() {
            let twice: Vec<&str> = twice.into_iter().collect();
            return Err(format!(
                "'FrameworkInfo.roles' contains duplicate items: {{ {} }}",
                twice.join(", ")
            ));
        }
    } else if !info.roles.is_empty() {
        return Err(
            "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE \
                    capable"
                .to_owned(),
        );
    }
    let field = if info.role.is_some() {
        "'FrameworkInfo.role' is not a valid role"
    } else {
        "'FrameworkInfo.roles' contains invalid role"
    };
    let roles = framework_roles(info);
    if roles.len() > bounds::ROLES {
        return Err(format!(
            "'FrameworkInfo.roles' has {} roles, and no more than {} may be",
            roles.len(),
            bounds::ROLES
        ));
    }
    roles
        .iter()
        .try_for_each(|role| valid_role(role).map_err(|problem| format!("{field}: {problem}")))
}

/// Whether a text is a role that may be had here.
///
/// # Errors
/// Why not, in Mesos' words where it has some.
pub(super) fn valid_role(role: &str) -> Result<(), String> {
    bounds::role(role)?;
    roles::validate(role).map_err(|problem| role_words(&problem))
}

/// Mesos' words for a text that is no role.
pub(super) fn role_words(problem: &RoleError) -> String {
    match problem {
        RoleError::Empty => "Role names cannot be the empty string".to_owned(),
        RoleError::StartsWithSlash { role } => format!("Role '{role}' cannot start with a slash"),
        RoleError::EndsWithSlash { role } => format!("Role '{role}' cannot end with a slash"),
        RoleError::AdjacentSlashes { role } => {
            format!("Role '{role}' cannot contain two adjacent slashes")
        }
        RoleError::ReservedPart { role, part } => {
            format!("Role '{role}' cannot include '{part}' as a component")
        }
        RoleError::StartsWithDash { part, .. } => {
            format!("Role component '{part}' is invalid because it starts with a dash")
        }
        RoleError::InvalidCharacters { part, .. } => {
            format!(
                "Role component '{part}' is invalid because it contains backspace or whitespace"
            )
        }
    }
}

fn failover_timeout(seconds: f64) -> Result<(), String> {
    if seconds.is_finite() && seconds.abs() < MAX_TIMEOUT_SECONDS {
        return Ok(());
    }
    Err(format!(
        "The framework failover_timeout ({}) is invalid",
        as_cpp(seconds)
    ))
}

/// A number as C++ streams write it: six significant digits.
pub(super) fn as_cpp(number: f64) -> String {
    if !number.is_finite() {
        return number.to_string().to_lowercase();
    }
    let scientific = format!("{number:.5e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let trimmed = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if (-4..6).contains(&exponent) {
        let decimals = usize::try_from(5 - exponent).unwrap_or_default();
        return trimmed(&format!("{number:.decimals$}"));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trimmed(digits), exponent.abs())
}

fn offer_filters(filters: &OfferFilters) -> Result<(), String> {
    let Some(minimum) = &filters.min_allocatable_resources else {
        return Ok(());
    };
    for set in &minimum.quantities {
        if set.quantities.is_empty() {
            return Err("Resource quantities must contain at least one quantity".to_owned());
        }
        for (name, quantity) in &set.quantities {
            let problem = if quantity.value < 0.0 {
                "Negative values not supported"
            } else if !quantity.value.is_finite() {
                "Infinite values not supported"
            } else {
                continue;
            };
            return Err(format!("Invalid resource quantity for '{name}': {problem}"));
        }
    }
    Ok(())
}

/// Whether a framework may change so: Mesos' checks of UPDATE_FRAMEWORK, in its order and words.
///
/// # Errors
/// Why not.
pub fn update(
    framework: &Framework,
    update: &UpdateFramework,
    options: &MasterOptions,
) -> Result<(), String> {
    let (old, new) = (&*framework.info, &update.framework_info);
    self::framework(
        Some(&framework.id),
        new,
        &update.suppressed_roles,
        &OfferConstraints::default(),
        options,
    )
    .map_err(|problem| format!("Supplied FrameworkInfo is not valid: {problem}"))?;
    if let Some(constraints) = &update.offer_constraints {
        offer_constraints(&framework_roles(new), constraints, options).map_err(|problem| {
            format!("'UpdateFramework.offer_constraints' are not valid: {problem}")
        })?;
    }
    let kept = |field: &str, old: &str, new: &str| {
        format!(
            "Updating 'FrameworkInfo.{field}' is unsupported; attempted to update from '{old}' to \
             '{new}'"
        )
    };
    let problem = if old.principal != new.principal {
        PRINCIPAL_CHANGED.to_owned()
    } else if old.user != new.user {
        kept("user", &old.user, &new.user)
    } else if old.checkpoint() != new.checkpoint() {
        let [old, new] = [old, new].map(|info| info.checkpoint().to_string());
        kept("checkpoint", &old, &new)
    } else {
        return Ok(());
    };
    Err(format!("FrameworkInfo update is not valid: {problem}"))
}

/// Why a framework that comes back with another principal is refused, in Mesos' words.
pub(in crate::core) const PRINCIPAL_CHANGED: &str =
    "Changing framework's principal is not allowed.";

#[cfg(test)]
mod tests {
    use super::as_cpp;

    #[test]
    fn numbers_are_written_as_mesos_writes_them() {
        for (number, text) in [
            (1e10, "1e+10"),
            (9.3e9, "9.3e+09"),
            (123_456_789_012.0, "1.23457e+11"),
            (-1e300, "-1e+300"),
            (0.5, "0.5"),
            (123_456.0, "123456"),
            (1_234_567.0, "1.23457e+06"),
            (0.000_012, "1.2e-05"),
            (f64::NAN, "nan"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(as_cpp(number), text);
        }
    }
}
