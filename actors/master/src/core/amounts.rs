//! Resources between messages and books: which form goes where.
//!
//! In the books reservations are stacks and what is held carries its role of allocation.
//! Not here: the algebra itself (`tepui_protocol::resources`).

use tepui_protocol::mesos::v1::Resource;
use tepui_protocol::mesos::v1::framework_info::capability::Type as Capability;
use tepui_protocol::mesos::v1::resource::AllocationInfo;
use tepui_protocol::resources::{Resources, downgrade, upgrade};

use crate::snapshot::Framework;

/// Resources that were validated when they came in, or that the allocator made.
/// One that is invalid nevertheless counts as nothing.
pub(super) fn trusted(resources: &[Resource]) -> Resources {
    let mut sum = Resources::default();
    for resource in resources {
        // What is invalid cannot be in the books; leaving it out keeps them consistent.
        let _ignored = sum.add_proto(resource);
    }
    sum
}

/// The resources of an offer as its framework understands them.
pub(super) fn for_framework(resources: &Resources, framework: &Framework) -> Vec<Resource> {
    let mut list = resources.to_proto();
    for resource in &mut list {
        if !framework.can(Capability::MultiRole) {
            resource.allocation_info = None;
        }
    }
    if !framework.can(Capability::ReservationRefinement) {
        // The allocator offers no refined reservations to such a framework.
        list.retain_mut(|resource| downgrade(resource).is_ok());
    }
    list
}

/// Resources of a task as the books want them: with reservation stacks, and the offer's role
/// where the framework left the role of allocation out, as one without MULTI_ROLE does.
pub(super) fn adjust(resources: &mut [Resource], role: &str) {
    for resource in resources {
        upgrade(resource);
        resource
            .allocation_info
            .get_or_insert_with(|| AllocationInfo {
                role: Some(role.to_owned()),
            });
    }
}
