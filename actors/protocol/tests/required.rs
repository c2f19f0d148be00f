//! A required field that is missing is named by its path, in the same words in all encodings;
//! and what is malformed or nested too deep is an error that says where.

#![cfg(test)]

#[path = "support/draw.rs"]
mod draw;
#[path = "support/registry.rs"]
mod registry;
#[path = "support/tree.rs"]
mod tree;

use draw::{Dice, draw};
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage as _, Value,
};
use registry::{ALL, Transcode};
use tepui_message::{Encoding, Message as _};
use tepui_protocol::mesos::v1::{ContainerId, scheduler};
use tree::Tree;

fn plain(descriptor: &MessageDescriptor) -> DynamicMessage {
    draw(descriptor, 0, &mut Dice::new(1, descriptor.full_name()))
}

fn expect_missing(message: &DynamicMessage, transcode: Transcode, path: &str) {
    let name = message.descriptor().full_name().to_owned();
    for encoding in ALL {
        let error = transcode(encoding, &Tree(message).bytes(encoding)).unwrap_err();
        let expected = format!("{name} does not decode: at {path}: missing required field");
        assert_eq!(error.to_string(), expected, "{encoding}");
    }
}

/// A message of the field's type without its first required field, and that field's name.
fn lacking(field: &FieldDescriptor) -> Option<(DynamicMessage, String)> {
    let Kind::Message(mut inner) = field.kind() else {
        return None;
    };
    if field.is_map() {
        match inner.map_entry_value_field().kind() {
            Kind::Message(value) => inner = value,
            _ => return None,
        }
    }
    let required = inner.fields().find(FieldDescriptor::is_required)?;
    let mut message = plain(&inner);
    message.clear_field(&required);
    Some((message, required.name().to_owned()))
}

#[test]
fn a_missing_required_field_is_named_by_its_path_in_all_encodings() {
    let pool = registry::pool();
    let (mut direct, mut nested) = (0, 0);
    for (name, transcode) in registry::types() {
        let descriptor = pool.get_message_by_name(name).unwrap();
        for field in descriptor.fields() {
            if field.is_required() {
                let mut message = plain(&descriptor);
                message.clear_field(&field);
                // Whatever else is missing comes later in the message.
                expect_missing(&message, transcode, field.name());
                direct += 1;
            }
            let Some((bad, missing)) = lacking(&field) else {
                continue;
            };
            let (value, place) = if field.is_map() {
                let key = MapKey::String("cpus".into());
                (Value::Map([(key, Value::Message(bad))].into()), ".cpus")
            } else if field.is_list() {
                let Kind::Message(inner) = field.kind() else {
                    continue;
                };
                let good = || Value::Message(plain(&inner));
                (
                    Value::List(vec![good(), Value::Message(bad), good()]),
                    "[1]",
                )
            } else {
                (Value::Message(bad), "")
            };
            let mut message = plain(&descriptor);
            message.set_field(&field, value);
            expect_missing(
                &message,
                transcode,
                &format!("{}{place}.{missing}", field.name()),
            );
            nested += 1;
        }
    }
    assert!(
        direct > 300 && nested > 400,
        "{direct} direct, {nested} nested"
    );
}

const ACCEPT: &str = r#"{"type":"ACCEPT","framework_id":{"value":"f"},"accept":{"offer_ids":[],
    "operations":[{"type":"LAUNCH","launch":{"task_infos":[{"name":"t","task_id":{"value":"1"}TAIL}]}}]}}"#;

fn accept(tail: &str) -> Result<scheduler::Call, String> {
    let body = ACCEPT.replace("TAIL", tail);
    scheduler::Call::decode(Encoding::Json, body.as_bytes()).map_err(|error| error.to_string())
}

#[test]
fn the_path_of_a_deep_field_is_whole() {
    let expected = "mesos.v1.scheduler.Call does not decode: at \
                    accept.operations[0].launch.task_infos[0].agent_id: missing required field";
    assert_eq!(accept("").unwrap_err(), expected);
    assert_eq!(accept(r#","agent_id":null"#).unwrap_err(), expected);
    let expected = expected.replace("agent_id", "agent_id.value");
    assert_eq!(accept(r#","agent_id":{}"#).unwrap_err(), expected);
    assert_eq!(
        accept(r#","agent_id":{"value":null}"#).unwrap_err(),
        expected
    );
    assert!(accept(r#","agent_id":{"value":"a"}"#).is_ok());
}

/// A container that is nested so deep.
fn nested(levels: usize) -> ContainerId {
    let mut id = ContainerId::top("c");
    for _ in 0..levels {
        id = ContainerId {
            value: "c".into(),
            parent: Some(Box::new(id)),
        };
    }
    id
}

#[test]
fn depth_has_a_limit_in_all_encodings() {
    for encoding in ALL {
        let fits = nested(100);
        assert_eq!(
            ContainerId::decode(encoding, &fits.encode(encoding).unwrap()).unwrap(),
            fits
        );
        let body = nested(300).encode(encoding).unwrap();
        let error = ContainerId::decode(encoding, &body)
            .unwrap_err()
            .to_string();
        let said = match encoding {
            Encoding::Json => "recursion limit exceeded",
            Encoding::MessagePack => "depth limit exceeded",
            Encoding::Protobuf => "messages nested more than 100 deep",
        };
        assert!(error.contains(said), "{error}");
    }
    // A field that nobody knows counts too.
    let deep = format!(
        r#"{{"value":"a","x":{}1{}}}"#,
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    assert!(ContainerId::decode(Encoding::Json, deep.as_bytes()).is_err());
    let mut groups = vec![0x0a, 0x01, b'a'];
    groups.extend(std::iter::repeat_n(0x7b, 10_000));
    assert!(ContainerId::decode(Encoding::Protobuf, &groups).is_err());
}

#[test]
fn whatever_the_bytes_nobody_panics() {
    let pool = registry::pool();
    let mut dice = Dice::new(3, "bytes");
    for (name, transcode) in registry::types() {
        let descriptor = pool.get_message_by_name(name).unwrap();
        let message = draw(&descriptor, 2, &mut dice);
        for encoding in ALL {
            let whole = Tree(&message).bytes(encoding);
            for _ in 0..20 {
                let mut body = whole.clone();
                if !body.is_empty() {
                    let at = dice.below(body.len());
                    body[at] = dice.next() as u8;
                    body.truncate(body.len() - dice.below(body.len().min(3)));
                }
                // Either is right; what was changed may be a text's content.
                let _ = transcode(encoding, &body);
            }
        }
    }
}

#[test]
fn what_is_malformed_is_named_by_its_path() {
    let decode = |bytes: &[u8]| {
        ContainerId::decode(Encoding::Protobuf, bytes)
            .unwrap_err()
            .to_string()
    };
    let start = "mesos.v1.ContainerID does not decode: ";
    // parent { value: 3 bytes announced, 1 there }
    assert_eq!(
        decode(&[0x12, 0x03, 0x0a, 0x03, b'a']),
        format!("{start}at parent.value: cut off: 3 bytes announced, 1 there")
    );
    assert_eq!(
        decode(&[0x08, 0x01]),
        format!("{start}at value: wire type 0 does not fit this field")
    );
    assert_eq!(decode(&[0x80]), format!("{start}cut off in a number"));
    assert_eq!(decode(&[0xff; 11]), format!("{start}number over 64 bits"));
    assert_eq!(decode(&[0x00]), format!("{start}bad field key 0"));
    assert_eq!(
        decode(&[0x7c]),
        format!("{start}wire type 4 of field 15 is none")
    );
    assert!(
        decode(&[0x0a, 0x01, 0xff]).contains("UTF-8"),
        "{}",
        decode(&[0x0a, 0x01, 0xff])
    );
}
