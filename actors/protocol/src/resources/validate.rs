//! The rules that a single `mesos.v1.Resource` has to keep, each named by the field that breaks
//! it. Rules about several resources together are with whoever asks for them.

use std::collections::BTreeSet;

use super::error::ResourceError;
use super::scalar::Scalar;
use crate::mesos::v1::resource::disk_info::source;
use crate::mesos::v1::resource::{ReservationInfo, reservation_info};
use crate::mesos::v1::{Resource, value};
use crate::roles;

/// A field and what is wrong with it.
type Broken = (&'static str, String);

/// Checks one resource, in any of the reservation formats. Amounts of exactly zero are valid
/// (and dropped later); what rounds to zero is not.
///
/// # Errors
/// The first rule that is broken.
pub fn validate(resource: &Resource) -> Result<(), ResourceError> {
    name(resource)
        .and_then(|()| amount(resource))
        .and_then(|()| disk(resource))
        .and_then(|()| reservations(resource))
        .and_then(|()| shared(resource))
        .map_err(|(field, problem)| ResourceError::field(&resource.name, field, problem))
}

fn broken<T>(field: &'static str, problem: impl Into<String>) -> Result<T, Broken> {
    Err((field, problem.into()))
}

fn name(resource: &Resource) -> Result<(), Broken> {
    if resource.name.is_empty() {
        return broken("name", "must not be empty");
    }
    Ok(())
}

fn amount(resource: &Resource) -> Result<(), Broken> {
    let Ok(value_type) = value::Type::try_from(resource.r#type) else {
        return broken("type", format!("{} is no type of values", resource.r#type));
    };
    for (field, present, allowed) in [
        (
            "scalar",
            resource.scalar.is_some(),
            value_type == value::Type::Scalar,
        ),
        (
            "ranges",
            resource.ranges.is_some(),
            value_type == value::Type::Ranges,
        ),
        (
            "set",
            resource.set.is_some(),
            value_type == value::Type::Set,
        ),
    ] {
        if present && !allowed {
            return broken(
                field,
                format!("must not be set for type {}", value_type.as_str_name()),
            );
        }
        if allowed && !present {
            return broken(
                field,
                format!("must be set for type {}", value_type.as_str_name()),
            );
        }
    }
    match value_type {
        value::Type::Scalar => scalar(resource),
        value::Type::Ranges => ranges(resource),
        value::Type::Set => set(resource),
        value::Type::Text => broken("type", "a resource cannot be of type TEXT"),
    }
}

fn scalar(resource: &Resource) -> Result<(), Broken> {
    const FIELD: &str = "scalar.value";
    let value = resource.scalar.as_ref().map_or(0.0, |scalar| scalar.value);
    if value == 0.0 {
        return Ok(());
    }
    match Scalar::rounded(value) {
        None => broken(FIELD, format!("{value} is no usable amount")),
        Some(amount) if amount <= Scalar::ZERO => {
            broken(FIELD, format!("value <= 0 ({value} in thousandths)"))
        }
        Some(_) => match resource.name.as_str() {
            "gpus" if value.fract() != 0.0 => {
                broken(FIELD, format!("gpus come in whole numbers, not {value}"))
            }
            _ => Ok(()),
        },
    }
}

fn ranges(resource: &Resource) -> Result<(), Broken> {
    const FIELD: &str = "ranges.range";
    let mut sorted: Vec<(u64, u64)> = resource
        .ranges
        .iter()
        .flat_map(|ranges| &ranges.range)
        .map(|range| (range.begin, range.end))
        .collect();
    if let Some((begin, end)) = sorted.iter().find(|(begin, end)| begin > end) {
        return broken(FIELD, format!("begin > end in {begin}-{end}"));
    }
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[1].0 <= pair[0].1) {
        None => Ok(()),
        Some(pair) => broken(
            FIELD,
            format!(
                "{}-{} and {}-{} overlap",
                pair[0].0, pair[0].1, pair[1].0, pair[1].1
            ),
        ),
    }
}

fn set(resource: &Resource) -> Result<(), Broken> {
    let mut seen = BTreeSet::new();
    let items = resource.set.iter().flat_map(|set| &set.item);
    match items.into_iter().find(|item| !seen.insert(*item)) {
        None => Ok(()),
        Some(twice) => broken("set.item", format!("'{twice}' is there twice")),
    }
}

fn disk(resource: &Resource) -> Result<(), Broken> {
    let Some(disk) = &resource.disk else {
        return Ok(());
    };
    if resource.name != "disk" {
        return broken(
            "disk",
            "must not be set for a resource of another name than 'disk'",
        );
    }
    let Some(source) = &disk.source else {
        return Ok(());
    };
    match source.r#type() {
        source::Type::Path | source::Type::Mount => Ok(()),
        source::Type::Unknown => broken("disk.source.type", "is not known"),
        source::Type::Block | source::Type::Raw => {
            let name = source.r#type().as_str_name();
            if source.mount.is_some() {
                return broken(
                    "disk.source.mount",
                    format!("must not be set for type {name}"),
                );
            }
            if source.path.is_some() {
                return broken(
                    "disk.source.path",
                    format!("must not be set for type {name}"),
                );
            }
            Ok(())
        }
    }
}

fn reservations(resource: &Resource) -> Result<(), Broken> {
    match resource.reservations.as_slice() {
        [] => older_reservation(resource),
        [single] => {
            reservation(single)?;
            both_formats_agree(resource, single)
        }
        stack => {
            stack.iter().try_for_each(reservation)?;
            refinement(stack)?;
            if resource.role.is_some() {
                return broken(
                    "role",
                    "must not be set beside more than one of 'reservations'",
                );
            }
            if resource.reservation.is_some() {
                return broken(
                    "reservation",
                    "must not be set beside more than one reservation",
                );
            }
            Ok(())
        }
    }
}

fn older_reservation(resource: &Resource) -> Result<(), Broken> {
    let role = resource.role();
    roles::validate(role).map_err(|error| ("role", error.to_string()))?;
    let Some(reservation) = &resource.reservation else {
        return Ok(());
    };
    if reservation.r#type.is_some() {
        return broken("reservation.type", "must not be set beside 'role'");
    }
    if reservation.role.is_some() {
        return broken("reservation.role", "must not be set beside 'role'");
    }
    if role == "*" {
        return broken("reservation", "role \"*\" cannot be dynamically reserved");
    }
    Ok(())
}

fn reservation(reservation: &ReservationInfo) -> Result<(), Broken> {
    if reservation.r#type.is_none() {
        return broken("reservations.type", "must be set");
    }
    if reservation.r#type() == reservation_info::Type::Unknown {
        return broken("reservations.type", "is not known");
    }
    let Some(role) = &reservation.role else {
        return broken("reservations.role", "must be set");
    };
    roles::validate(role).map_err(|error| ("reservations.role", error.to_string()))?;
    if role == "*" {
        return broken("reservations.role", "role \"*\" cannot be reserved");
    }
    Ok(())
}

fn refinement(stack: &[ReservationInfo]) -> Result<(), Broken> {
    for pair in stack.windows(2) {
        if pair[1].r#type() == reservation_info::Type::Static {
            return broken(
                "reservations.type",
                "a refined reservation cannot be STATIC",
            );
        }
        if !roles::is_below(pair[1].role(), pair[0].role()) {
            let (role, parent) = (pair[1].role(), pair[0].role());
            return broken(
                "reservations.role",
                format!("role '{role}' is not a refinement of '{parent}'"),
            );
        }
    }
    Ok(())
}

/// The older fields may be set beside a stack of one, if they say the same.
fn both_formats_agree(resource: &Resource, single: &ReservationInfo) -> Result<(), Broken> {
    if let Some(role) = &resource.role
        && role != single.role()
    {
        let reserved = single.role();
        return broken(
            "role",
            format!("'{role}' does not match 'reservations.role' '{reserved}'"),
        );
    }
    if single.r#type() == reservation_info::Type::Static {
        return match &resource.reservation {
            None => Ok(()),
            Some(_) => broken("reservation", "must not be set beside a STATIC reservation"),
        };
    }
    let Some(older) = &resource.reservation else {
        return match &resource.role {
            None => Ok(()),
            Some(_) => broken(
                "role",
                "must be set together with 'reservation', or neither",
            ),
        };
    };
    if resource.role.is_none() {
        return broken(
            "reservation",
            "must be set together with 'role', or neither",
        );
    }
    if older.principal() != single.principal() {
        return broken(
            "reservation.principal",
            "does not match that of 'reservations'",
        );
    }
    if older.labels != single.labels {
        return broken("reservation.labels", "do not match those of 'reservations'");
    }
    Ok(())
}

fn shared(resource: &Resource) -> Result<(), Broken> {
    if resource.shared.is_none() {
        return Ok(());
    }
    if resource
        .disk
        .as_ref()
        .is_none_or(|disk| disk.persistence.is_none())
    {
        return broken("shared", "only persistent volumes can be shared");
    }
    Ok(())
}
