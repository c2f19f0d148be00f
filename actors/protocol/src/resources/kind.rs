//! What a resource is, apart from how much of it: name, type, reservations, allocation, disk,
//! revocability, sharedness, provider. Two resources can be added when their kinds are equal.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use prost::Message as _;

use super::amount::Amount;
use super::plain::Plain;
use crate::mesos::v1::resource::disk_info::source;
use crate::mesos::v1::resource::{AllocationInfo, DiskInfo, ReservationInfo, reservation_info};
use crate::mesos::v1::{Labels, Resource, value};
use crate::roles;

/// What a resource is. Cheap to clone and to compare.
///
/// Equality is Mesos': labels compare without order; of a disk the source and the persistence id
/// count, while its `volume` (how it will be used) and the persistence principal do not.
#[derive(Clone)]
pub struct Kind(Arc<Data>);

struct Data {
    /// The encoded template without what equality ignores.
    key: Vec<u8>,
    /// The resource without its amount, in the format with a reservation stack.
    template: Resource,
}

impl Kind {
    /// The kind of `resource`, whose amount is ignored. It is not plain, and has to be in the format with a
    /// reservation stack already (see `format::upgrade`).
    #[must_use]
    pub(super) fn of(resource: &Resource) -> Kind {
        let mut template = resource.clone();
        (template.scalar, template.ranges, template.set) = (None, None, None);
        Kind::from_template(template)
    }

    /// Plain `name`, unreserved.
    #[must_use]
    pub fn named(name: &str, value_type: value::Type) -> Kind {
        let plain = Plain {
            name,
            value_type: value_type as i32,
            allocation: None,
        };
        plain.kind()
    }

    /// The resource without its amount.
    pub(super) fn template(&self) -> &Resource {
        &self.0.template
    }

    pub(super) fn from_template(template: Resource) -> Kind {
        let mut canonical = template.clone();
        for reservation in &mut canonical.reservations {
            sort_labels(reservation.labels.as_mut());
        }
        if let Some(disk) = &mut canonical.disk {
            disk.volume = None;
            if let Some(persistence) = &mut disk.persistence {
                persistence.principal = None;
            }
            sort_labels(
                disk.source
                    .as_mut()
                    .and_then(|source| source.metadata.as_mut()),
            );
        }
        Kind(Arc::new(Data {
            key: canonical.encode_to_vec(),
            template,
        }))
    }

    /// `cpus`, `mem`, ...
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.template.name
    }

    /// Scalar, ranges or set.
    #[must_use]
    pub fn value_type(&self) -> value::Type {
        self.0.template.r#type()
    }

    /// The reservation stack, the outermost role first.
    #[must_use]
    pub fn reservations(&self) -> &[ReservationInfo] {
        &self.0.template.reservations
    }

    /// The role it is reserved to: that of the last reservation.
    #[must_use]
    pub fn reservation_role(&self) -> Option<&str> {
        self.reservations().last().map(ReservationInfo::role)
    }

    /// Whether the last reservation was made at run time and not by the agent's flags.
    #[must_use]
    pub fn is_dynamically_reserved(&self) -> bool {
        self.reservations()
            .last()
            .is_some_and(|last| last.r#type() == reservation_info::Type::Dynamic)
    }

    /// Whether its reservation refines another one.
    #[must_use]
    pub fn has_refined_reservations(&self) -> bool {
        self.reservations().len() > 1
    }

    /// The role it is allocated to, if it is.
    #[must_use]
    pub fn allocation_role(&self) -> Option<&str> {
        self.0
            .template
            .allocation_info
            .as_ref()
            .map(AllocationInfo::role)
    }

    /// Its disk information, if any.
    #[must_use]
    pub fn disk(&self) -> Option<&DiskInfo> {
        self.0.template.disk.as_ref()
    }

    /// The persistence id, if it is a persistent volume.
    #[must_use]
    pub fn persistence_id(&self) -> Option<&str> {
        Some(&self.disk()?.persistence.as_ref()?.id)
    }

    /// The id of the resource provider it comes from; the agent's own have none.
    #[must_use]
    pub fn provider_id(&self) -> Option<&str> {
        self.0
            .template
            .provider_id
            .as_ref()
            .map(|id| id.value.as_str())
    }

    /// Whether it may be taken back at any time.
    #[must_use]
    pub fn is_revocable(&self) -> bool {
        self.0.template.revocable.is_some()
    }

    /// Whether several tasks may hold it at once.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.0.template.shared.is_some()
    }

    /// Whether it can only be handed on as a whole: persistent volumes, `MOUNT` and `BLOCK`
    /// disks, and `RAW` ones that have an id.
    #[must_use]
    pub fn is_indivisible(&self) -> bool {
        let Some(disk) = self.disk() else {
            return false;
        };
        disk.persistence.is_some()
            || disk
                .source
                .as_ref()
                .is_some_and(|source| match source.r#type() {
                    source::Type::Mount | source::Type::Block => true,
                    source::Type::Raw => source.id.is_some(),
                    source::Type::Path | source::Type::Unknown => false,
                })
    }

    /// Whether equal ones are counted instead of being poured together.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        self.is_shared() || self.is_indivisible()
    }

    /// Whether `role` may be offered it: it is unreserved, or reserved to `role` or to an
    /// ancestor of `role`.
    #[must_use]
    pub fn is_allocatable_to(&self, role: &str) -> bool {
        self.reservation_role()
            .is_none_or(|reserved| reserved == role || roles::is_below(role, reserved))
    }

    /// The same, allocated to `role`.
    #[must_use]
    pub fn allocated(&self, role: &str) -> Kind {
        if let Some(plain) = Plain::of(&self.0.template) {
            let allocation = Some(Some(role));
            return Plain {
                allocation,
                ..plain
            }
            .kind();
        }
        self.changed(|template| {
            template.allocation_info = Some(AllocationInfo {
                role: Some(role.to_owned()),
            });
        })
    }

    /// The same, allocated to nobody.
    #[must_use]
    pub fn unallocated(&self) -> Kind {
        if self.0.template.allocation_info.is_none() {
            return self.clone();
        }
        if let Some(plain) = Plain::of(&self.0.template) {
            let allocation = None;
            return Plain {
                allocation,
                ..plain
            }
            .kind();
        }
        self.changed(|template| template.allocation_info = None)
    }

    /// The same, reserved to nobody.
    #[must_use]
    pub fn unreserved(&self) -> Kind {
        if self.reservations().is_empty() {
            return self.clone();
        }
        self.changed(|template| template.reservations.clear())
    }

    /// The same with `reservation` on top of its stack.
    #[must_use]
    pub fn reserved(&self, reservation: ReservationInfo) -> Kind {
        self.changed(|template| template.reservations.push(reservation))
    }

    /// The same without the last reservation of its stack.
    #[must_use]
    pub fn popped(&self) -> Kind {
        self.changed(|template| {
            template.reservations.pop();
        })
    }

    fn changed(&self, change: impl FnOnce(&mut Resource)) -> Kind {
        let mut template = self.0.template.clone();
        change(&mut template);
        Kind::from_template(template)
    }

    /// The message for `amount` of this kind.
    #[must_use]
    pub fn to_proto(&self, amount: &Amount) -> Resource {
        let mut resource = self.0.template.clone();
        amount.write_to(&mut resource);
        resource
    }
}

fn sort_labels(labels: Option<&mut Labels>) {
    if let Some(labels) = labels {
        labels
            .labels
            .sort_by(|a, b| (&a.key, &a.value).cmp(&(&b.key, &b.value)));
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Kind) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.key == other.0.key
    }
}

impl Eq for Kind {}

impl PartialOrd for Kind {
    fn partial_cmp(&self, other: &Kind) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Kind {
    fn cmp(&self, other: &Kind) -> Ordering {
        self.0.key.cmp(&other.0.key)
    }
}

impl Hash for Kind {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.key.hash(state);
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kind({self})")
    }
}
