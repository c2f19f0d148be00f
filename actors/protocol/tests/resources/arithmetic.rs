//! Amounts and how they add up: fixed point, ranges, sets, pieces that are counted.

use tepui_protocol::mesos::v1::resource::disk_info::source;
use tepui_protocol::mesos::v1::{Volume, volume};
use tepui_protocol::resources::{Range, Ranges, Resources, Scalar};

use super::{disk, dynamic, labels, of, persistent, reserved, scalar, shared, text};

#[test]
fn scalars_are_thousandths_rounded_to_the_nearest() {
    let rounded = |value: f64| Scalar::rounded(value).map(Scalar::thousandths);
    assert_eq!(rounded(0.0004), Some(0));
    assert_eq!(rounded(0.0005), Some(1));
    assert_eq!(rounded(0.0015), Some(2));
    assert_eq!(rounded(-0.0005), Some(-1));
    assert_eq!(rounded(1.0 / 3.0), Some(333));
    assert_eq!(rounded(f64::NAN), None);
    assert_eq!(rounded(f64::INFINITY), None);
    assert_eq!(rounded(2e12), Some(2_000_000_000_000_000));
    assert_eq!(rounded(2.1e12), None);
}

#[test]
fn ten_tenths_are_one() {
    let mut sum = Resources::new();
    for _ in 0..10 {
        sum += text("cpus:0.1");
    }
    assert_eq!(sum, text("cpus:1"));
    assert_eq!(sum.to_proto()[0].scalar.as_ref().unwrap().value, 1.0);
    // In floating point this would be 0.30000000000000004.
    assert_eq!(text("cpus:0.1;cpus:0.2").scalar("cpus").to_f64(), 0.3);
}

#[test]
fn scalars_print_no_more_digits_than_needed() {
    let print = |thousandths| Scalar::from_thousandths(thousandths).to_string();
    assert_eq!(print(12_500), "12.5");
    assert_eq!(print(4000), "4");
    assert_eq!(print(1), "0.001");
    assert_eq!(print(-1500), "-1.5");
    assert_eq!(print(0), "0");
}

#[test]
fn scalars_saturate() {
    let most = Scalar::from_thousandths(i64::MAX);
    assert_eq!(most + Scalar::from_units(1), most);
    assert_eq!(
        Scalar::from_units(1).minus_floored(Scalar::from_units(2)),
        Scalar::ZERO
    );
}

#[test]
fn ranges_coalesce_where_they_touch() {
    let ranges: Ranges = [(8, 9), (1, 3), (4, 5), (2, 2)].into_iter().collect();
    assert_eq!(
        ranges.as_slice(),
        [Range { begin: 1, end: 5 }, Range { begin: 8, end: 9 }]
    );
    assert_eq!(ranges.to_string(), "[1-5, 8-9]");
    assert_eq!(ranges.count(), 7);
    let all: Ranges = [(0, u64::MAX), (5, u64::MAX)].into_iter().collect();
    assert_eq!(
        all.as_slice(),
        [Range {
            begin: 0,
            end: u64::MAX
        }]
    );
    assert_eq!(all.count(), u64::MAX);
    assert!(all.difference(&all).is_empty());
}

#[test]
fn ranges_are_cut() {
    let cut = |from: &[(u64, u64)], by: &[(u64, u64)]| {
        let from: Ranges = from.iter().copied().collect();
        from.difference(&by.iter().copied().collect()).to_string()
    };
    assert_eq!(cut(&[(1, 10)], &[(3, 4), (10, 20)]), "[1-2, 5-9]");
    assert_eq!(cut(&[(1, 10)], &[(1, 10)]), "[]");
    assert_eq!(cut(&[(1, 10)], &[(11, 12)]), "[1-10]");
    assert_eq!(cut(&[(5, 6), (8, 9)], &[(0, 5), (9, 9)]), "[6-6, 8-8]");
    assert_eq!(cut(&[(0, u64::MAX)], &[(7, u64::MAX)]), "[0-6]");
}

#[test]
fn what_is_not_there_cannot_be_taken_away() {
    assert_eq!(
        text("cpus:1;ports:[1-5]") - text("cpus:3;mem:5;ports:[4-9]"),
        text("ports:[1-3]")
    );
    // A set loses what it has of the other, though it does not contain the other.
    assert_eq!(text("zone:{a,b}") - text("zone:{b,c}"), text("zone:{a}"));
    assert!(!text("zone:{a,b}").contains(&text("zone:{b,c}")));
}

#[test]
fn nothing_is_dropped() {
    assert!(text("cpus:0").is_empty());
    assert!(text("ports:[];zone:{}").is_empty());
    assert!((text("cpus:1") - text("cpus:1")).is_empty());
    assert_eq!(text("cpus:1") + text("mem:0"), text("cpus:1"));
}

#[test]
fn equality_is_that_of_multisets() {
    assert_eq!(text("cpus:1;mem:2"), text("mem:2;cpus:0.5;cpus:0.5"));
    assert_ne!(text("cpus:1;mem:2"), text("cpus:1"));
    assert_ne!(text("cpus(a):1"), text("cpus(b):1"));
}

#[test]
fn labels_compare_without_order_and_volumes_do_not_count() {
    let with = |pairs: &[(&str, &str)]| {
        let mut reservation = dynamic("web");
        reservation.labels = Some(labels(pairs));
        of(&[reserved(scalar("cpus", 1.0), &[reservation])])
    };
    assert_eq!(
        with(&[("a", "1"), ("b", "2")]),
        with(&[("b", "2"), ("a", "1")])
    );
    assert_ne!(with(&[("a", "1")]), with(&[("a", "2")]));

    let mounted = |path: &str| {
        let mut volume = Volume {
            container_path: path.to_owned(),
            ..Volume::default()
        };
        volume.set_mode(volume::Mode::Rw);
        let mut resource = persistent(10.0, "id");
        resource.disk.as_mut().unwrap().volume = Some(volume);
        of(&[resource])
    };
    assert_eq!(mounted("data"), mounted("elsewhere"));
    assert!((mounted("data") - mounted("elsewhere")).is_empty());
}

#[test]
fn a_principal_makes_another_reservation() {
    let by = |principal: Option<&str>| {
        let mut reservation = dynamic("web");
        reservation.principal = principal.map(str::to_owned);
        of(&[reserved(scalar("cpus", 1.0), &[reservation])])
    };
    assert_ne!(by(Some("ops")), by(None));
    assert_eq!((by(Some("ops")) + by(Some("dev"))).len(), 2);
}

#[test]
fn mount_and_block_disks_are_taken_whole_or_not_at_all() {
    for kind in [source::Type::Mount, source::Type::Block, source::Type::Raw] {
        let whole = of(&[disk(100.0, kind, "/mnt/a")]);
        let half = of(&[disk(50.0, kind, "/mnt/a")]);
        assert!(!whole.contains(&half), "{kind:?}");
        assert_eq!(&whole - &half, whole);
        let two = &whole + &half;
        assert_eq!(two.len(), 2, "{kind:?} disks are not poured together");
        assert_eq!(&two - &half, whole);
    }
    let path = of(&[disk(100.0, source::Type::Path, "/mnt/a")]);
    assert!(path.contains(&of(&[disk(40.0, source::Type::Path, "/mnt/a")])));
    assert!(!path.contains(&of(&[disk(40.0, source::Type::Path, "/mnt/b")])));
}

#[test]
fn raw_disks_without_id_pour_together() {
    let raw = |megabytes| {
        let mut resource = disk(megabytes, source::Type::Raw, "");
        resource.disk.as_mut().unwrap().source.as_mut().unwrap().id = None;
        of(&[resource])
    };
    assert_eq!(raw(1.0) + raw(2.0), raw(3.0));
}

#[test]
fn persistent_volumes_are_whole() {
    let volume = of(&[persistent(100.0, "id1")]);
    assert!(!volume.contains(&of(&[persistent(50.0, "id1")])));
    assert_eq!((&volume + &of(&[persistent(100.0, "id2")])).len(), 2);
    assert!((&volume - &volume).is_empty());
}

#[test]
fn shared_resources_are_counted() {
    let volume = of(&[shared(persistent(100.0, "id1"))]);
    let two = &volume + &volume;
    assert_eq!(two.len(), 1);
    assert_eq!(two.iter().next().unwrap().count, 2);
    assert!(two.contains(&volume) && !volume.contains(&two));
    assert_eq!(&two - &volume, volume);
    assert_eq!(
        two.scalar("disk").to_f64(),
        100.0,
        "there is one volume, however many use it"
    );
    assert_eq!(two.to_proto().len(), 2, "no user is lost on the wire");
    assert_eq!(of(&two.to_proto()), two);
    assert_ne!(volume, of(&[persistent(100.0, "id1")]));

    let mut used = volume.clone();
    used.add_sharing(&volume);
    assert_eq!(used, volume);
}

#[test]
fn what_both_have() {
    let both = text("cpus:2;mem:5;ports:[1-9]").intersection(&text("cpus:3;ports:[5-20];gpus:1"));
    assert_eq!(both, text("cpus:2;ports:[5-9]"));
}
