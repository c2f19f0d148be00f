//! The JSON and the MessagePack that a message should have, written by other means than the
//! crate's: straight from the descriptor.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, ReflectMessage as _, Value};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use tepui_message::Encoding;

/// A message as it should be written.
pub(crate) struct Tree<'a>(pub(crate) &'a DynamicMessage);

impl Tree<'_> {
    /// The bytes, in any of the encodings.
    pub(crate) fn bytes(&self, encoding: Encoding) -> Vec<u8> {
        match encoding {
            Encoding::Json => serde_json::to_vec(self).unwrap(),
            Encoding::MessagePack => rmp_serde::to_vec_named(self).unwrap(),
            Encoding::Protobuf => prost_reflect::prost::Message::encode_to_vec(self.0),
        }
    }
}

impl Serialize for Tree<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let message = self.0;
        let descriptor = message.descriptor();
        let mut present: Vec<FieldDescriptor> = Vec::new();
        for field in &descriptor.descriptor_proto().field {
            let field = descriptor.get_field_by_name(field.name()).unwrap();
            let implicit = !field.supports_presence() && !field.is_list() && !field.is_map();
            if message.has_field(&field) || implicit {
                present.push(field);
            }
        }
        let mut map = to.serialize_map(Some(present.len()))?;
        for field in present {
            let value = message.get_field(&field);
            map.serialize_entry(field.name(), &Branch(&field.kind(), &value))?;
        }
        map.end()
    }
}

struct Branch<'a>(&'a Kind, &'a Value);

impl Serialize for Branch<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let text = to.is_human_readable();
        match (self.1, self.0) {
            (Value::Bool(value), _) => to.serialize_bool(*value),
            (Value::I32(value), _) => to.serialize_i32(*value),
            (Value::I64(value), _) => to.serialize_i64(*value),
            (Value::U32(value), _) => to.serialize_u32(*value),
            (Value::U64(value), _) => to.serialize_u64(*value),
            (Value::F64(value), _) if text && value.is_nan() => to.serialize_str("NaN"),
            (Value::F64(value), _) if text && value.is_infinite() => {
                to.serialize_str(if *value > 0.0 {
                    "Infinity"
                } else {
                    "-Infinity"
                })
            }
            (Value::F64(value), _) => to.serialize_f64(*value),
            (Value::String(value), _) => to.serialize_str(value),
            (Value::Bytes(value), _) if text => to.serialize_str(&STANDARD.encode(value)),
            (Value::Bytes(value), _) => to.serialize_bytes(value),
            (Value::EnumNumber(number), Kind::Enum(values)) if text => {
                to.serialize_str(values.get_value(*number).unwrap().name())
            }
            (Value::EnumNumber(number), _) => to.serialize_i32(*number),
            (Value::Message(message), _) => Tree(message).serialize(to),
            (Value::List(list), kind) => to.collect_seq(list.iter().map(|one| Branch(kind, one))),
            (Value::Map(entries), Kind::Message(entry)) => {
                let kind = entry.map_entry_value_field().kind();
                let mut sorted: Vec<(&str, &Value)> = Vec::new();
                for (key, value) in entries {
                    let MapKey::String(key) = key else {
                        panic!("a key that is no text")
                    };
                    sorted.push((key, value));
                }
                sorted.sort_by_key(|(key, _)| *key);
                to.collect_map(
                    sorted
                        .into_iter()
                        .map(|(key, value)| (key, Branch(&kind, value))),
                )
            }
            (value, kind) => panic!("the schema has no {value:?} of {kind:?}"),
        }
    }
}
