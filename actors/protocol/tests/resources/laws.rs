//! Laws that hold for any resources.

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use tepui_protocol::mesos::v1::resource::disk_info::source;
use tepui_protocol::mesos::v1::{Resource, value};
use tepui_protocol::resources::{Ranges, Resources, Scalar, parse_text};

use super::{disk, dynamic, of, persistent, ranges, reserved, revocable, scalar, shared};

/// Few names, roles and sizes, so that collections overlap often.
fn resource() -> impl Strategy<Value = Resource> {
    let amount = (1u32..4000).prop_map(|thousandths| f64::from(thousandths) / 1000.0);
    let plain = prop_oneof![
        4 => (prop_oneof![Just("cpus"), Just("mem"), Just("disk")], amount)
            .prop_map(|(name, amount)| scalar(name, amount)),
        2 => vec((0u64..30, 0u64..5), 1..4).prop_map(|pairs| {
            let all: Ranges =
                pairs.into_iter().map(|(begin, length)| (begin, begin + length)).collect();
            let pairs: Vec<_> = all.as_slice().iter().map(|r| (r.begin, r.end)).collect();
            ranges("ports", &pairs)
        }),
        2 => btree_set("[a-d]", 1..4).prop_map(|items| {
            let mut resource = Resource { name: "zone".to_owned(), ..Resource::default() };
            resource.set_type(value::Type::Set);
            resource.set = Some(value::Set { item: items.into_iter().collect() });
            resource
        }),
    ];
    let roled = (plain, 0..5u8).prop_map(|(resource, how)| match how {
        0 => reserved(resource, &[dynamic("a")]),
        1 => reserved(resource, &[dynamic("a"), dynamic("a/b")]),
        2 => revocable(resource),
        _ => resource,
    });
    let size = prop_oneof![Just(10.0), Just(20.0)];
    let id = prop_oneof![Just("x"), Just("y")];
    prop_oneof![
        6 => roled,
        1 => (size.clone(), id.clone()).prop_map(|(s, id)| disk(s, source::Type::Mount, id)),
        1 => (size.clone(), id.clone()).prop_map(|(s, id)| disk(s, source::Type::Path, id)),
        1 => (size.clone(), id.clone()).prop_map(|(s, id)| persistent(s, id)),
        1 => (size, id).prop_map(|(s, id)| shared(persistent(s, id))),
    ]
}

/// Ranges and sets of one kind do not overlap within one collection: as on any agent, nothing is
/// there twice.
fn collection() -> impl Strategy<Value = Resources> {
    vec(resource(), 0..8).prop_map(|all| {
        let mut collection = Resources::new();
        for resource in all {
            collection.add_proto(&resource).unwrap();
        }
        collection
    })
}

/// Without what cannot be added twice.
fn scalars() -> impl Strategy<Value = Resources> {
    collection().prop_map(|all| all.scalars())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    #[test]
    fn adding_and_taking_away_again_changes_nothing(a in scalars(), b in scalars()) {
        prop_assert_eq!((&a + &b) - &b, a);
    }

    #[test]
    fn so_it_is_with_ranges_and_sets_that_are_apart(a in collection(), b in collection()) {
        let b = &b - &a.intersection(&b);
        prop_assert_eq!((&a + &b) - &b, a);
    }

    #[test]
    fn addition_is_commutative_and_associative(
        a in collection(), b in collection(), c in collection()
    ) {
        prop_assert_eq!(&a + &b, &b + &a);
        prop_assert_eq!((&a + &b) + &c, &a + &(&b + &c));
    }

    #[test]
    fn a_sum_contains_its_parts(a in collection(), b in collection()) {
        let sum = &a + &b;
        prop_assert!(sum.contains(&a) && sum.contains(&b));
        prop_assert!(a.contains(&Resources::new()));
        prop_assert!(a.contains(&a));
    }

    #[test]
    fn containing_both_ways_is_equality(a in collection(), b in collection()) {
        prop_assert_eq!(a.contains(&b) && b.contains(&a), a == b);
    }

    #[test]
    fn what_is_contained_can_be_taken_and_put_back(a in collection(), b in collection()) {
        if a.contains(&b) {
            prop_assert_eq!((&a - &b) + &b, a);
        } else {
            prop_assert!(!(&a - &b).contains(&a) || a.intersection(&b).is_empty());
        }
    }

    #[test]
    fn a_difference_is_what_is_left_beside_the_common_part(a in collection(), b in collection()) {
        let common = a.intersection(&b);
        prop_assert!(a.contains(&common));
        prop_assert_eq!((&a - &b) + &common, a);
    }

    #[test]
    fn views_are_parts(a in collection()) {
        prop_assert_eq!(a.reserved() + a.unreserved(), a.clone());
        prop_assert_eq!(a.revocable() + a.non_revocable(), a.clone());
        prop_assert_eq!(a.shared() + a.non_shared(), a.clone());
        prop_assert_eq!(a.reservations().into_values().sum::<Resources>(), a.reserved());
        prop_assert!(a.contains(&a.allocatable_to("a")));
        prop_assert_eq!(a.allocate("r").unallocate(), a.clone());
        prop_assert_eq!(a.allocate("r").quantities(), a.quantities());
    }

    #[test]
    fn messages_lose_nothing(a in collection()) {
        prop_assert_eq!(of(&a.to_proto()), a.clone());
        prop_assert_eq!(of(&a.to_endpoint_proto()), a.clone());
        if let Ok(older) = a.to_older_proto() {
            prop_assert_eq!(of(&older), a.clone());
        }
        let json = serde_json::to_string(&a.to_proto()).unwrap();
        let back: Vec<Resource> = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(of(&back), a);
    }

    #[test]
    fn text_is_read_back_as_the_same(a in collection()) {
        let plain = a.filter(|entry| {
            !entry.kind.is_revocable()
                && entry.kind.disk().is_none()
                && entry.kind.reservations().is_empty()
        });
        let text = plain.to_text().unwrap();
        prop_assert_eq!(parse_text(&text, "*").unwrap(), plain, "{}", text);
    }

    #[test]
    fn ranges_coalesce(pairs in vec((0u64..200, 0u64..20), 0..20)) {
        let pairs: Vec<(u64, u64)> = pairs.into_iter().map(|(b, n)| (b, b + n)).collect();
        let ranges: Ranges = pairs.iter().copied().collect();
        for pair in ranges.as_slice().windows(2) {
            prop_assert!(pair[0].end + 1 < pair[1].begin, "{}", ranges);
        }
        for number in 0..230 {
            let among = pairs.iter().any(|(begin, end)| (*begin..=*end).contains(&number));
            prop_assert_eq!(ranges.has(number), among);
        }
    }

    #[test]
    fn ranges_are_sets_of_numbers(
        a in vec((0u64..60, 0u64..9), 0..8), b in vec((0u64..60, 0u64..9), 0..8)
    ) {
        let of = |pairs: Vec<(u64, u64)>| -> Ranges {
            pairs.into_iter().map(|(begin, n)| (begin, begin + n)).collect()
        };
        let (a, b) = (of(a), of(b));
        for n in 0..80 {
            prop_assert_eq!(a.union(&b).has(n), a.has(n) || b.has(n));
            prop_assert_eq!(a.difference(&b).has(n), a.has(n) && !b.has(n));
            prop_assert_eq!(a.intersection(&b).has(n), a.has(n) && b.has(n));
        }
        prop_assert_eq!(a.contains(&b), b.difference(&a).is_empty());
    }

    #[test]
    fn scalars_survive_floating_point(thousandths in -2_000_000_000_000_000i64..=2_000_000_000_000_000) {
        let scalar = Scalar::from_thousandths(thousandths);
        prop_assert_eq!(Scalar::rounded(scalar.to_f64()), Some(scalar));
        prop_assert_eq!(scalar.to_string().parse::<f64>().unwrap(), scalar.to_f64());
    }
}
