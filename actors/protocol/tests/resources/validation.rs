//! Each rule for a single resource, broken once; the message names the field.

use tepui_protocol::mesos::v1::resource::disk_info::{Source, source};
use tepui_protocol::mesos::v1::resource::{DiskInfo, ReservationInfo, reservation_info};
use tepui_protocol::mesos::v1::{Resource, value};
use tepui_protocol::resources::{Resources, validate};

use super::{disk, dynamic, persistent, ranges, reservation, reserved, scalar, shared};

fn with(mut resource: Resource, change: impl FnOnce(&mut Resource)) -> Resource {
    change(&mut resource);
    resource
}

fn cpus(change: impl FnOnce(&mut Resource)) -> Resource {
    with(scalar("cpus", 1.0), change)
}

#[track_caller]
fn refused(resource: &Resource, expected: &str) {
    let error = validate(resource).unwrap_err().to_string();
    assert!(
        error.contains(expected),
        "expected '{expected}' in: {error}"
    );
    assert!(Resources::from_proto([resource]).is_err());
}

#[test]
fn names_and_types() {
    refused(&cpus(|r| r.name.clear()), "name: must not be empty");
    refused(&cpus(|r| r.r#type = 99), "type: 99");
    refused(
        &cpus(|r| r.set_type(value::Type::Text)),
        "scalar: must not be set for type TEXT",
    );
    refused(&cpus(|r| r.scalar = None), "scalar: must be set");
    refused(
        &cpus(|r| r.set = Some(value::Set::default())),
        "set: must not be set",
    );
    let text = with(cpus(|r| r.scalar = None), |r| r.set_type(value::Type::Text));
    refused(&text, "cannot be of type TEXT");
}

#[test]
fn amounts() {
    for value in [-1.0, 0.0004, -0.0001, f64::NAN, f64::INFINITY, 1e300] {
        refused(&scalar("cpus", value), "'cpus': scalar.value: ");
    }
    refused(&scalar("gpus", 0.5), "gpus come in whole numbers");
    for value in [0.0, -0.0, 0.0005, 1e12] {
        validate(&scalar("cpus", value)).unwrap();
    }
    refused(
        &ranges("ports", &[(5, 4)]),
        "ranges.range: begin > end in 5-4",
    );
    refused(&ranges("ports", &[(5, 9), (1, 5)]), "1-5 and 5-9 overlap");
    validate(&ranges("ports", &[(5, 9), (1, 4)])).unwrap();
    let twice = cpus(|r| {
        r.scalar = None;
        r.set_type(value::Type::Set);
        r.set = Some(value::Set {
            item: vec!["a".to_owned(), "b".to_owned(), "a".to_owned()],
        });
    });
    refused(&twice, "set.item: 'a' is there twice");
}

#[test]
fn disks_and_sharing() {
    refused(
        &cpus(|r| r.disk = Some(DiskInfo::default())),
        "disk: must not be set",
    );
    let mut unknown = disk(1.0, source::Type::Path, "/a");
    let source = unknown.disk.as_mut().unwrap().source.as_mut().unwrap();
    *source = Source {
        r#type: source::Type::Unknown as i32,
        ..Source::default()
    };
    refused(&unknown, "disk.source.type: is not known");
    let raw = with(disk(1.0, source::Type::Raw, "id"), |r| {
        let source = r.disk.as_mut().unwrap().source.as_mut().unwrap();
        source.mount = Some(source::Mount::default());
    });
    refused(&raw, "disk.source.mount: must not be set for type RAW");
    let block = with(disk(1.0, source::Type::Block, "id"), |r| {
        r.disk.as_mut().unwrap().source.as_mut().unwrap().path = Some(source::Path::default());
    });
    refused(&block, "disk.source.path: must not be set for type BLOCK");
    refused(
        &shared(scalar("cpus", 1.0)),
        "shared: only persistent volumes",
    );
    refused(
        &shared(disk(1.0, source::Type::Path, "/a")),
        "shared: only persistent volumes",
    );
    validate(&shared(persistent(1.0, "id"))).unwrap();
}

#[test]
fn reservations_of_the_older_format() {
    refused(&cpus(|r| r.role = Some("a//b".to_owned())), "role: ");
    refused(
        &cpus(|r| r.reservation = Some(ReservationInfo::default())),
        "cannot be dynamically",
    );
    let typed = cpus(|r| {
        r.role = Some("web".to_owned());
        r.reservation = Some(dynamic("web"));
    });
    refused(&typed, "reservation.type: must not be set");
    let named = with(typed, |r| r.reservation.as_mut().unwrap().r#type = None);
    refused(&named, "reservation.role: must not be set");
}

#[test]
fn reservation_stacks() {
    let stack = |stack: &[ReservationInfo]| reserved(scalar("cpus", 1.0), stack);
    let untyped = ReservationInfo {
        role: Some("a".to_owned()),
        ..Default::default()
    };
    refused(&stack(&[untyped]), "reservations.type: must be set");
    let roleless = ReservationInfo {
        role: None,
        ..dynamic("a")
    };
    refused(&stack(&[roleless]), "reservations.role: must be set");
    refused(&stack(&[dynamic("*")]), "role \"*\" cannot be reserved");
    refused(&stack(&[dynamic("-a")]), "reservations.role: ");
    refused(
        &stack(&[dynamic("a"), dynamic("b/c")]),
        "role 'b/c' is not a refinement of 'a'",
    );
    refused(&stack(&[dynamic("a"), dynamic("a")]), "is not a refinement");
    refused(
        &stack(&[dynamic("a"), dynamic("ab")]),
        "is not a refinement",
    );
    let fixed = |role| reservation(reservation_info::Type::Static, role);
    refused(&stack(&[dynamic("a"), fixed("a/b")]), "cannot be STATIC");
    validate(&stack(&[fixed("a"), dynamic("a/b"), dynamic("a/b/c")])).unwrap();
}

#[test]
fn both_formats_must_agree() {
    let one = |kind, change: fn(&mut Resource)| {
        with(
            reserved(scalar("cpus", 1.0), &[reservation(kind, "web")]),
            change,
        )
    };
    let fixed = reservation_info::Type::Static;
    let made = reservation_info::Type::Dynamic;
    refused(
        &one(fixed, |r| r.role = Some("eng".to_owned())),
        "role: 'eng' does not match",
    );
    refused(
        &one(fixed, |r| r.reservation = Some(ReservationInfo::default())),
        "beside a STATIC reservation",
    );
    refused(
        &one(made, |r| r.role = Some("web".to_owned())),
        "role: must be set together",
    );
    refused(
        &one(made, |r| r.reservation = Some(ReservationInfo::default())),
        "reservation: must be set together",
    );
    let principal = one(made, |r| {
        r.role = Some("web".to_owned());
        let principal = Some("ops".to_owned());
        r.reservation = Some(ReservationInfo {
            principal,
            ..ReservationInfo::default()
        });
    });
    refused(&principal, "reservation.principal: does not match");
    let two = |change: fn(&mut Resource)| {
        with(
            reserved(scalar("cpus", 1.0), &[dynamic("a"), dynamic("a/b")]),
            change,
        )
    };
    refused(
        &two(|r| r.role = Some("a/b".to_owned())),
        "role: must not be set beside",
    );
    refused(
        &two(|r| r.reservation = Some(ReservationInfo::default())),
        "reservation: must not be set beside",
    );
}
