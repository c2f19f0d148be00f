//! Kinds without reservations, disks and the like: nearly all that there are. Each is made once
//! on a thread and shared, for making one costs more than most of what is done with it.

use std::cell::RefCell;

use super::kind::Kind;
use crate::mesos::v1::Resource;
use crate::mesos::v1::resource::AllocationInfo;

/// How many a thread remembers. Of two that fall to one place the later has it.
const PLACES: usize = 512;

thread_local! {
    static MADE: RefCell<Vec<Option<Kind>>> = const { RefCell::new(Vec::new()) };
}

/// All that a plain kind is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plain<'a> {
    pub(super) name: &'a str,
    /// As in the message.
    pub(super) value_type: i32,
    /// The AllocationInfo, and the role in it.
    pub(super) allocation: Option<Option<&'a str>>,
}

impl<'a> Plain<'a> {
    /// What `resource` is apart from its amount, if it is plain. The role `*` is none.
    pub(super) fn of(resource: &'a Resource) -> Option<Plain<'a>> {
        let Resource {
            provider_id,
            name,
            r#type: value_type,
            scalar: _,
            ranges: _,
            set: _,
            role,
            allocation_info,
            reservation,
            reservations,
            disk,
            revocable,
            shared,
        } = resource;
        let is_plain = provider_id.is_none()
            && role.as_deref().is_none_or(|role| role == "*")
            && reservation.is_none()
            && reservations.is_empty()
            && disk.is_none()
            && revocable.is_none()
            && shared.is_none();
        let allocation = allocation_info.as_ref().map(|info| info.role.as_deref());
        is_plain.then_some(Plain {
            name,
            value_type: *value_type,
            allocation,
        })
    }

    /// The kind.
    pub(super) fn kind(self) -> Kind {
        let place = self.place();
        let found = MADE.try_with(|made| {
            let made = made.borrow();
            let kind = made.get(place)?.as_ref()?;
            (Plain::of(kind.template()) == Some(self)).then(|| kind.clone())
        });
        if let Ok(Some(kind)) = found {
            return kind;
        }
        let kind = Kind::from_template(self.template());
        // A thread that ends has forgotten already.
        let _ending = MADE.try_with(|made| {
            let mut made = made.borrow_mut();
            made.resize(PLACES, None);
            made[place] = Some(kind.clone());
        });
        kind
    }

    fn template(self) -> Resource {
        let role = |role: Option<&str>| AllocationInfo {
            role: role.map(str::to_owned),
        };
        Resource {
            name: self.name.to_owned(),
            r#type: self.value_type,
            allocation_info: self.allocation.map(role),
            ..Resource::default()
        }
    }

    /// Where it is remembered: FNV-1a.
    fn place(self) -> usize {
        let role = self.allocation.flatten().unwrap_or_default();
        let bytes = self.name.bytes().chain([0]).chain(role.bytes());
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        usize::try_from(hash % PLACES as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesos::v1::resource::{DiskInfo, ReservationInfo, RevocableInfo, SharedInfo};
    use crate::mesos::v1::{ResourceProviderId, value};

    fn cpus() -> Resource {
        Resource {
            name: "cpus".to_owned(),
            r#type: value::Type::Scalar as i32,
            ..Resource::default()
        }
    }

    #[test]
    fn whatever_more_a_resource_has_makes_it_not_plain() {
        let plain = Resource {
            role: Some("*".to_owned()),
            scalar: Some(value::Scalar { value: 1.0 }),
            allocation_info: Some(AllocationInfo::default()),
            ..cpus()
        };
        assert!(Plain::of(&plain).is_some());
        let more: [fn(&mut Resource); 7] = [
            |it| it.provider_id = Some(ResourceProviderId::default()),
            |it| it.role = Some("web".to_owned()),
            |it| it.reservation = Some(ReservationInfo::default()),
            |it| it.reservations.push(ReservationInfo::default()),
            |it| it.disk = Some(DiskInfo::default()),
            |it| it.revocable = Some(RevocableInfo::default()),
            |it| it.shared = Some(SharedInfo::default()),
        ];
        for add in more {
            let mut other = cpus();
            add(&mut other);
            assert!(Plain::of(&other).is_none(), "{other:?}");
        }
    }

    #[test]
    fn kinds_that_share_a_place_stay_apart() {
        let names: Vec<String> = (0..2 * PLACES).map(|n| format!("resource-{n}")).collect();
        let kind = |name| Plain {
            name,
            value_type: value::Type::Scalar as i32,
            allocation: None,
        };
        let first: Vec<Kind> = names
            .iter()
            .map(|name| kind(name.as_str()).kind())
            .collect();
        for (name, first) in names.iter().zip(&first) {
            assert_eq!((first.name(), first), (name.as_str(), &kind(name).kind()));
        }
    }

    #[test]
    fn type_and_allocation_tell_kinds_apart() {
        let of = |value_type: value::Type, allocation| Plain {
            name: "x",
            value_type: value_type as i32,
            allocation,
        };
        let all = [
            of(value::Type::Scalar, None),
            of(value::Type::Ranges, None),
            of(value::Type::Scalar, Some(None)),
            of(value::Type::Scalar, Some(Some("web"))),
            of(value::Type::Scalar, Some(Some("db"))),
        ];
        for (at, one) in all.iter().enumerate() {
            for (other_at, other) in all.iter().enumerate() {
                assert_eq!(one.kind() == other.kind(), at == other_at);
            }
            assert_eq!(Plain::of(one.kind().template()), Some(*one));
        }
    }
}
