//! Parts of a collection: by role, reservation, allocation, name.

use tepui_protocol::resources::Quantities;

use super::{dynamic, of, persistent, reserved, revocable, scalar, shared, text};

#[test]
fn by_reservation() {
    let all = text("cpus:1;cpus(a):2;cpus(a/b):3;mem(b):4");
    assert_eq!(all.unreserved(), text("cpus:1"));
    assert_eq!(all.reserved(), text("cpus(a):2;cpus(a/b):3;mem(b):4"));
    assert_eq!(all.reserved_to("a"), text("cpus(a):2"));
    assert_eq!(
        all.reservations().keys().collect::<Vec<_>>(),
        ["a", "a/b", "b"]
    );
    assert_eq!(all.flatten(), text("cpus:6;mem:4"));
}

#[test]
fn a_role_may_be_offered_what_its_ancestors_reserved() {
    let all = text("cpus:1;cpus(a):2;cpus(a/b):3;cpus(ab):4");
    assert_eq!(
        all.allocatable_to("a/b"),
        text("cpus:1;cpus(a):2;cpus(a/b):3")
    );
    assert_eq!(all.allocatable_to("a"), text("cpus:1;cpus(a):2"));
    assert_eq!(all.allocatable_to("*"), text("cpus:1"));
}

#[test]
fn a_refined_reservation_belongs_to_its_last_role() {
    let refined = of(&[reserved(
        scalar("cpus", 1.0),
        &[dynamic("a"), dynamic("a/b")],
    )]);
    assert_eq!(refined.reserved_to("a/b"), refined);
    assert!(refined.reserved_to("a").is_empty());
    assert!(refined.allocatable_to("a").is_empty());
    assert!(
        refined
            .iter()
            .all(|entry| entry.kind.has_refined_reservations())
    );
    let outer = of(&[reserved(scalar("cpus", 1.0), &[dynamic("a")])]);
    assert_eq!(refined.pop_reservation(), outer);
    assert_eq!(outer.push_reservation(&dynamic("a/b")), refined);
}

#[test]
fn allocated_resources_are_apart_from_others() {
    let free = text("cpus:1");
    let web = free.allocate("web");
    assert_ne!(free, web);
    assert!(!free.contains(&web));
    assert_eq!(web.unallocate(), free);
    assert_eq!(
        web.allocate("eng"),
        free.allocate("eng"),
        "allocating again replaces the role"
    );
    let both = &web + &text("cpus:2;mem:1").allocate("eng");
    assert_eq!(
        both.allocated_to("eng"),
        text("cpus:2;mem:1").allocate("eng")
    );
    assert_eq!(
        both.allocations().keys().collect::<Vec<_>>(),
        ["eng", "web"]
    );
    assert_eq!(both.unallocate(), text("cpus:3;mem:1"));
}

#[test]
fn revocable_shared_persistent() {
    let spare = revocable(scalar("cpus", 2.0));
    let volume = persistent(10.0, "id1");
    let common = shared(persistent(20.0, "id2"));
    let all = of(&[
        scalar("cpus", 1.0),
        spare.clone(),
        volume.clone(),
        common.clone(),
    ]);
    assert_eq!(all.revocable(), of(&[spare]));
    assert_eq!(
        all.non_revocable(),
        of(&[scalar("cpus", 1.0), volume.clone(), common.clone()])
    );
    assert_eq!(all.shared(), of(std::slice::from_ref(&common)));
    assert_eq!(all.persistent_volumes(), of(&[volume, common]));
    assert_eq!(all.partly_revocable_name(), Some("cpus"));
    assert_eq!(all.non_revocable().partly_revocable_name(), None);
}

#[test]
fn the_same_persistence_id_twice_is_found() {
    let two = of(&[persistent(10.0, "id1"), persistent(20.0, "id1")]);
    assert_eq!(two.repeated_persistence_id(), Some("id1"));
    let twice = of(&[persistent(10.0, "id1"), persistent(10.0, "id1")]);
    assert_eq!(twice.repeated_persistence_id(), Some("id1"));
    let fine = of(&[persistent(10.0, "id1"), persistent(10.0, "id2")]);
    assert_eq!(fine.repeated_persistence_id(), None);
    let used = of(&[
        shared(persistent(10.0, "id1")),
        shared(persistent(10.0, "id1")),
    ]);
    assert_eq!(used.repeated_persistence_id(), None);
}

#[test]
fn sums_by_name() {
    let all = text("cpus:1;cpus(a):2.5;mem:10;ports:[1-3];ports(a):[7-7];zone:{a}");
    assert_eq!(all.scalar("cpus").to_f64(), 3.5);
    assert!(all.scalar("gpus").is_zero());
    assert_eq!(all.ranges("ports").to_string(), "[1-3, 7-7]");
    assert_eq!(
        all.quantities(),
        Quantities::parse("cpus:3.5;mem:10").unwrap()
    );
    assert_eq!(
        all.names().into_iter().collect::<Vec<_>>(),
        ["cpus", "mem", "ports", "zone"]
    );
    assert_eq!(all.named("cpus"), text("cpus:1;cpus(a):2.5"));
    assert_eq!(all.scalars(), text("cpus:1;cpus(a):2.5;mem:10"));
}

#[test]
fn quantities() {
    let all = Quantities::parse("cpus:0.01; mem:32").unwrap();
    assert_eq!(all.to_string(), "cpus:0.01; mem:32");
    assert_eq!(
        serde_json::to_string(&all).unwrap(),
        r#"{"cpus":0.01,"mem":32.0}"#
    );
    assert!(all.contains(&Quantities::parse("mem:32").unwrap()));
    assert!(!all.contains(&Quantities::parse("mem:32.001").unwrap()));
    assert!(!all.contains(&Quantities::parse("gpus:1").unwrap()));
    assert_eq!(Quantities::new().to_string(), "{}");
    for wrong in ["cpus", "cpus:x", ":1", "cpus:-1", "cpus:NaN"] {
        assert!(Quantities::parse(wrong).is_err(), "{wrong}");
    }
}
