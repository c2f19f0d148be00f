//! The algebra of resources, through its public surface: exact examples of each rule, and laws
//! that hold for any resources.

#![cfg(test)]

#[cfg(test)]
mod arithmetic;
#[cfg(test)]
mod attributes;
#[cfg(test)]
mod formats;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod text;
#[cfg(test)]
mod validation;
#[cfg(test)]
mod views;

use tepui_protocol::mesos::v1::resource::disk_info::{Persistence, Source, source};
use tepui_protocol::mesos::v1::resource::{
    DiskInfo, ReservationInfo, RevocableInfo, SharedInfo, reservation_info,
};
use tepui_protocol::mesos::v1::{Label, Labels, Resource, value};
use tepui_protocol::resources::{Resources, parse_text};

fn text(text: &str) -> Resources {
    parse_text(text, "*").unwrap()
}

fn of(resources: &[Resource]) -> Resources {
    Resources::from_proto(resources).unwrap()
}

fn scalar(name: &str, value: f64) -> Resource {
    let mut resource = Resource {
        name: name.to_owned(),
        ..Resource::default()
    };
    resource.set_type(value::Type::Scalar);
    resource.scalar = Some(value::Scalar { value });
    resource
}

fn ranges(name: &str, ranges: &[(u64, u64)]) -> Resource {
    let mut resource = Resource {
        name: name.to_owned(),
        ..Resource::default()
    };
    resource.set_type(value::Type::Ranges);
    let range = ranges
        .iter()
        .map(|&(begin, end)| value::Range { begin, end })
        .collect();
    resource.ranges = Some(value::Ranges { range });
    resource
}

fn reservation(kind: reservation_info::Type, role: &str) -> ReservationInfo {
    let mut reservation = ReservationInfo {
        role: Some(role.to_owned()),
        ..Default::default()
    };
    reservation.set_type(kind);
    reservation
}

fn dynamic(role: &str) -> ReservationInfo {
    reservation(reservation_info::Type::Dynamic, role)
}

fn reserved(mut resource: Resource, stack: &[ReservationInfo]) -> Resource {
    resource.reservations = stack.to_vec();
    resource
}

fn disk(megabytes: f64, source_type: source::Type, root: &str) -> Resource {
    let mut from = Source::default();
    from.set_type(source_type);
    match source_type {
        source::Type::Mount => {
            from.mount = Some(source::Mount {
                root: Some(root.to_owned()),
            });
        }
        source::Type::Path => {
            from.path = Some(source::Path {
                root: Some(root.to_owned()),
            })
        }
        _ => from.id = Some(root.to_owned()),
    }
    let mut resource = scalar("disk", megabytes);
    resource.disk = Some(DiskInfo {
        source: Some(from),
        ..DiskInfo::default()
    });
    resource
}

fn persistent(megabytes: f64, id: &str) -> Resource {
    let mut resource = reserved(scalar("disk", megabytes), &[dynamic("web")]);
    let persistence = Some(Persistence {
        id: id.to_owned(),
        principal: None,
    });
    resource.disk = Some(DiskInfo {
        persistence,
        ..DiskInfo::default()
    });
    resource
}

fn shared(mut resource: Resource) -> Resource {
    resource.shared = Some(SharedInfo {});
    resource
}

fn revocable(mut resource: Resource) -> Resource {
    resource.revocable = Some(RevocableInfo {});
    resource
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    let label = |(key, value): &(&str, &str)| Label {
        key: (*key).to_owned(),
        value: Some((*value).to_owned()),
    };
    Labels {
        labels: pairs.iter().map(label).collect(),
    }
}
