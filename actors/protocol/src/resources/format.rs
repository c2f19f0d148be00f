//! The three formats in which a message may carry reservations, and the ways between them.
//!
//! - the older one: `role`, and `reservation` where it was made at run time; one level only;
//! - the stack: `reservations`, outermost first; `role` and `reservation` unset. Ours;
//! - the endpoints' one: both, as far as the older one can express it.

use super::error::ResourceError;
use crate::mesos::v1::Resource;
use crate::mesos::v1::resource::{ReservationInfo, reservation_info};

/// Rewrites `resource` into the format with a reservation stack; it must be valid.
pub fn upgrade(resource: &mut Resource) {
    let role = resource.role.take();
    let reservation = resource.reservation.take();
    if !resource.reservations.is_empty() {
        return;
    }
    let Some(role) = role.filter(|role| role != "*") else {
        return;
    };
    let mut stacked = reservation.unwrap_or_else(|| {
        let mut fixed = ReservationInfo::default();
        fixed.set_type(reservation_info::Type::Static);
        fixed
    });
    if stacked.r#type.is_none() {
        stacked.set_type(reservation_info::Type::Dynamic);
    }
    stacked.role = Some(role);
    resource.reservations.push(stacked);
}

/// Rewrites `resource` into the older format, for frameworks that lack the capability
/// `RESERVATION_REFINEMENT`.
///
/// # Errors
/// Where it is reserved on more than one level, which that format has no way to say.
pub fn downgrade(resource: &mut Resource) -> Result<(), ResourceError> {
    if resource.reservations.len() > 1 {
        return Err(ResourceError::Inexpressible {
            name: resource.name.clone(),
            form: "without reservation stack",
            problem: "its reservation refines another one",
        });
    }
    fill_older_fields(resource);
    resource.reservations.clear();
    Ok(())
}

/// Rewrites `resource` into the endpoints' format: the stack stays, and the older fields are
/// filled in where one level is all there is.
pub fn to_endpoint(resource: &mut Resource) {
    if resource.reservations.len() <= 1 {
        fill_older_fields(resource);
    }
}

fn fill_older_fields(resource: &mut Resource) {
    let Some(single) = resource.reservations.first() else {
        resource.role.get_or_insert_with(|| "*".to_owned());
        return;
    };
    resource.role = single.role.clone();
    resource.reservation = match single.r#type() {
        reservation_info::Type::Dynamic => Some(ReservationInfo {
            r#type: None,
            role: None,
            ..single.clone()
        }),
        _ => None,
    };
}
