//! The reservation formats and the ways between them.

use tepui_protocol::mesos::v1::Resource;
use tepui_protocol::mesos::v1::resource::{ReservationInfo, reservation_info};
use tepui_protocol::resources::{downgrade, to_endpoint, upgrade};

use super::{dynamic, labels, of, reservation, reserved, scalar, text};

fn older(role: &str, reservation: Option<ReservationInfo>) -> Resource {
    Resource {
        role: Some(role.to_owned()),
        reservation,
        ..scalar("cpus", 1.0)
    }
}

fn by_ops() -> ReservationInfo {
    ReservationInfo {
        principal: Some("ops".to_owned()),
        labels: Some(labels(&[("k", "v")])),
        ..ReservationInfo::default()
    }
}

#[test]
fn the_older_format_comes_in_as_a_stack() {
    assert_eq!(of(&[older("*", None)]), text("cpus:1"));
    assert_eq!(of(&[older("web", None)]), text("cpus(web):1"));
    let at_run_time = ReservationInfo {
        role: Some("web".to_owned()),
        ..by_ops()
    };
    let mut stacked = at_run_time;
    stacked.set_type(reservation_info::Type::Dynamic);
    let expected = of(&[reserved(scalar("cpus", 1.0), &[stacked])]);
    assert_eq!(of(&[older("web", Some(by_ops()))]), expected);
}

#[test]
fn both_formats_at_once_come_in_as_one() {
    let both = Resource {
        role: Some("web".to_owned()),
        ..text("cpus(web):1").to_proto()[0].clone()
    };
    assert_eq!(of(&[both]), text("cpus(web):1"));
}

#[test]
fn there_and_back() {
    for original in [
        older("*", None),
        older("web", None),
        older("web", Some(by_ops())),
    ] {
        let mut resource = original.clone();
        upgrade(&mut resource);
        assert!(resource.role.is_none() && resource.reservation.is_none());
        downgrade(&mut resource).unwrap();
        assert_eq!(resource, original);
    }
}

#[test]
fn refined_reservations_cannot_be_said_in_the_older_format() {
    let refined = reserved(scalar("cpus", 1.0), &[dynamic("a"), dynamic("a/b")]);
    let before = refined.clone();
    let mut resource = refined.clone();
    assert!(
        downgrade(&mut resource)
            .unwrap_err()
            .to_string()
            .contains("refines")
    );
    assert_eq!(resource, before);
    assert!(of(&[refined]).to_older_proto().is_err());
}

#[test]
fn endpoints_see_both_formats_where_the_older_one_suffices() {
    let mut fixed = reserved(
        scalar("cpus", 1.0),
        &[reservation(reservation_info::Type::Static, "web")],
    );
    to_endpoint(&mut fixed);
    assert_eq!(
        (fixed.role.as_deref(), &fixed.reservation),
        (Some("web"), &None)
    );
    assert_eq!(fixed.reservations.len(), 1);

    let mut plain = scalar("cpus", 1.0);
    to_endpoint(&mut plain);
    assert_eq!(plain.role.as_deref(), Some("*"));

    let mut refined = reserved(scalar("cpus", 1.0), &[dynamic("a"), dynamic("a/b")]);
    let before = refined.clone();
    to_endpoint(&mut refined);
    assert_eq!(refined, before);

    let endpoint = of(&[older("web", Some(by_ops()))]).to_endpoint_proto();
    assert_eq!(endpoint[0].reservation, Some(by_ops()));
}
