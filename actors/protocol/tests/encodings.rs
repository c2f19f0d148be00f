//! Every type of the schema through every encoding and every pair of encodings, by random messages
//! drawn from the descriptors, against bytes that were written by other means.

#![cfg(test)]

#[path = "support/draw.rs"]
mod draw;
#[path = "support/registry.rs"]
mod registry;
#[path = "support/tree.rs"]
mod tree;

use std::collections::{BTreeMap, BTreeSet};

use draw::{Dice, draw};
use prost_reflect::{DynamicMessage, Kind, MessageDescriptor, ReflectMessage as _, Value};
use registry::{ALL, Transcode};
use tepui_message::Encoding;
use tree::Tree;

/// How many types the schema has. Who adds one changes this too.
const TYPES: usize = 503;

/// How many messages of each are drawn.
const ROUNDS: usize = 100;

#[test]
fn the_registry_has_every_type_of_the_descriptors() {
    let described: BTreeSet<String> = registry::pool()
        .all_messages()
        .filter(|message| !message.is_map_entry())
        .map(|message| message.full_name().to_owned())
        .collect();
    let registered: BTreeSet<String> = registry::types()
        .keys()
        .map(|name| (*name).into())
        .collect();
    assert_eq!(registered, described);
    assert_eq!(registered.len(), TYPES);
}

/// What of a field the drawn messages had.
#[derive(Default)]
struct Seen {
    set: bool,
    unset: bool,
    lengths: BTreeSet<usize>,
    values: BTreeSet<i32>,
}

/// Draws all messages of one type and takes each through all encodings.
fn round_trips(descriptor: &MessageDescriptor, transcode: Transcode) {
    let name = descriptor.full_name();
    let mut dice = Dice::new(7, name);
    let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
    for round in 0..ROUNDS {
        let message = draw(descriptor, round, &mut dice);
        note(&message, &mut seen);
        let expected = ALL.map(|encoding| Tree(&message).bytes(encoding));
        let mut protobuf = None;
        for (encoding, body) in ALL.into_iter().zip(&expected) {
            let [msgpack, json, bytes] = transcode(encoding, body)
                .unwrap_or_else(|error| panic!("{name}, round {round}, {encoding}: {error}"));
            let text = String::from_utf8_lossy;
            assert_eq!(
                text(&json),
                text(&expected[1]),
                "{name}, round {round}, {encoding} to JSON"
            );
            assert_eq!(
                msgpack, expected[0],
                "{name}, round {round}, {encoding} to MessagePack"
            );
            // The order of a map's entries is the crate's own, so the first answer is compared as
            // a message, the others byte for byte with the first.
            let first = protobuf.get_or_insert_with(|| bytes.clone());
            assert_eq!(
                bytes, *first,
                "{name}, round {round}, {encoding} to protobuf"
            );
        }
        let bytes = protobuf.unwrap();
        let read = DynamicMessage::decode(descriptor.clone(), bytes).unwrap();
        assert_eq!(
            Tree(&read).bytes(Encoding::MessagePack),
            expected[0],
            "{name}, round {round}"
        );
    }
    check(descriptor, &seen);
}

fn note(message: &DynamicMessage, seen: &mut BTreeMap<String, Seen>) {
    for field in message.descriptor().fields() {
        let seen = seen.entry(field.name().to_owned()).or_default();
        let is_set = message.has_field(&field);
        seen.set |= is_set;
        seen.unset |= !is_set;
        match &*message.get_field(&field) {
            Value::List(values) => {
                seen.lengths.insert(values.len());
                seen.values
                    .extend(values.iter().filter_map(Value::as_enum_number));
            }
            Value::Map(entries) => {
                seen.lengths.insert(entries.len());
            }
            Value::EnumNumber(number) if is_set => {
                seen.values.insert(*number);
            }
            _ => {}
        }
    }
}

fn check(descriptor: &MessageDescriptor, seen: &BTreeMap<String, Seen>) {
    for field in descriptor.fields() {
        let seen = &seen[field.name()];
        let name = field.full_name();
        assert!(seen.set, "{name} was never set");
        assert!(seen.unset || field.is_required(), "{name} was always set");
        if field.is_list() || field.is_map() {
            assert_eq!(seen.lengths, BTreeSet::from([0, 1, 3]), "lengths of {name}");
        }
        if let Kind::Enum(values) = field.kind() {
            let all: BTreeSet<i32> = values.values().map(|value| value.number()).collect();
            assert_eq!(seen.values, all, "values of {name}");
        }
    }
}

/// Takes the types of every second name, so that two threads share the work.
fn half(parity: usize) {
    let pool = registry::pool();
    for (name, transcode) in registry::types().into_iter().skip(parity).step_by(2) {
        round_trips(&pool.get_message_by_name(name).unwrap(), transcode);
    }
}

#[test]
fn every_second_type_goes_through_every_pair_of_encodings() {
    half(0);
}

#[test]
fn every_other_type_goes_through_every_pair_of_encodings() {
    half(1);
}
