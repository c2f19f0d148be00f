//! Writes the tables of `src/shape.rs` for every message and enum, their implementations of
//! `Message`, and the registry by which tests reach every type by its name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};

use crate::names::{self, EnumAt, MessageAt};
use crate::rename::WireNames;

/// Rust text.
pub(crate) struct Shapes {
    /// Included by `src/shape.rs`.
    pub(crate) tables: String,
    /// Included by tests: one `entry` for each message.
    pub(crate) registry: String,
}

/// The static's name of each message, map entry and enum.
type Statics = BTreeMap<String, String>;

/// Builds the text.
///
/// # Errors
/// A message with more required fields than a mask holds.
pub(crate) fn shapes(set: &FileDescriptorSet, wire_names: &WireNames) -> Result<Shapes, String> {
    let (messages, enums) = names::all(set);
    let mut statics = Statics::new();
    for (index, at) in enums.iter().enumerate() {
        statics.insert(at.name.clone(), format!("ENUM_{index}"));
    }
    for (index, at) in messages.iter().enumerate() {
        statics.insert(at.name.clone(), format!("MESSAGE_{index}"));
        for inner in at
            .message
            .nested_type
            .iter()
            .filter(|inner| names::is_map_entry(inner))
        {
            let entry = format!("MESSAGE_{index}_{}", inner.name().to_uppercase());
            statics.insert(format!("{}.{}", at.name, inner.name()), entry);
        }
    }
    let mapped = with_maps(&messages);
    let (mut tables, mut registry) = (String::new(), String::from("[\n"));
    for at in &enums {
        enum_shape(&mut tables, at, &statics, wire_names);
    }
    for at in &messages {
        let wire = wire_names.of_type(&at.name);
        let path = names::rust_path(&at.name);
        let table = &statics[&at.name];
        message_shape(
            &mut tables,
            &at.name,
            at.message,
            &statics,
            &mapped,
            wire_names,
        )?;
        for inner in at
            .message
            .nested_type
            .iter()
            .filter(|inner| names::is_map_entry(inner))
        {
            let name = format!("{}.{}", at.name, inner.name());
            message_shape(&mut tables, &name, inner, &statics, &mapped, wire_names)?;
        }
        put(
            &mut tables,
            format_args!("crate::message::message!(crate::{path}, {wire:?}, {table});\n"),
        );
        if is_plain_id(at) {
            put(
                &mut tables,
                format_args!("crate::ids::plain_id!(crate::{path});\n"),
            );
        }
        put(
            &mut registry,
            format_args!("    entry::<tepui_protocol::{path}>(),\n"),
        );
    }
    registry.push_str("]\n");
    Ok(Shapes { tables, registry })
}

fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = text.write_fmt(what);
}

/// The messages that are, or somewhere hold, an entry of a map.
fn with_maps(messages: &[MessageAt<'_>]) -> BTreeSet<String> {
    let mut mapped = BTreeSet::new();
    for at in messages {
        for inner in at
            .message
            .nested_type
            .iter()
            .filter(|inner| names::is_map_entry(inner))
        {
            mapped.insert(format!("{}.{}", at.name, inner.name()));
        }
    }
    loop {
        let before = mapped.len();
        for at in messages {
            if at
                .message
                .field
                .iter()
                .any(|field| mapped.contains(field.type_name()))
            {
                mapped.insert(at.name.clone());
            }
        }
        if mapped.len() == before {
            return mapped;
        }
    }
}

/// An id that is nothing but a text.
fn is_plain_id(at: &MessageAt<'_>) -> bool {
    match at.message.field.as_slice() {
        [only] => {
            at.name.ends_with("ID") && only.name() == "value" && only.r#type() == Type::String
        }
        _ => false,
    }
}

fn enum_shape(tables: &mut String, at: &EnumAt<'_>, statics: &Statics, wire_names: &WireNames) {
    let values: Vec<String> = at
        .values
        .value
        .iter()
        .map(|v| format!("({}, {:?})", v.number(), v.name()))
        .collect();
    put(
        tables,
        format_args!(
            "static {table}: EnumShape = EnumShape {{ name: {wire:?}, values: &[{values}] }};\n\
             impl crate::shape::Enumeration for crate::{path} {{ \
             const SHAPE: &'static EnumShape = &{table}; }}\n",
            table = statics[&at.name],
            wire = wire_names.of_type(&at.name),
            values = values.join(", "),
            path = names::rust_path(&at.name),
        ),
    );
}

fn message_shape(
    tables: &mut String,
    name: &str,
    message: &DescriptorProto,
    statics: &Statics,
    mapped: &BTreeSet<String>,
    wire_names: &WireNames,
) -> Result<(), String> {
    let mut fields: Vec<&FieldDescriptorProto> = message.field.iter().collect();
    fields.sort_by_key(|field| field.number());
    let mut required = 0_u32;
    let mut rows = String::new();
    for field in fields {
        let bit = if field.label() == Label::Required {
            required += 1;
            1_u64
                .checked_shl(required - 1)
                .ok_or(format!("{name}: too many required fields"))?
        } else if names::is_map_entry(message) && field.number() == 2 {
            1
        } else {
            0
        };
        put(
            &mut rows,
            format_args!(
                "    FieldShape {{ number: {}, name: {:?}, bit: {bit}, repeated: {}, kind: {} }},\n",
                field.number(),
                wire_names.of_field(name, field.name()),
                field.label() == Label::Repeated,
                kind(field, statics)?,
            ),
        );
    }
    let mask = if required == 0 {
        0
    } else {
        u64::MAX >> (64 - required)
    };
    put(
        tables,
        format_args!(
            "static {}: MessageShape = MessageShape {{ name: {:?}, required: {mask}, \
             is_map_entry: {}, has_maps: {}, fields: &[\n{rows}] }};\n",
            statics[name],
            wire_names.of_type(name),
            names::is_map_entry(message),
            mapped.contains(name),
        ),
    );
    Ok(())
}

fn kind(field: &FieldDescriptorProto, statics: &Statics) -> Result<String, String> {
    Ok(match field.r#type() {
        Type::Bool | Type::Int32 | Type::Uint32 | Type::Int64 | Type::Uint64 => {
            "Kind::Varint".into()
        }
        Type::Double => "Kind::Fixed64".into(),
        Type::String => "Kind::Text".into(),
        Type::Bytes => "Kind::Bytes".into(),
        Type::Enum => format!("Kind::Enum(&{})", statics[field.type_name()]),
        Type::Message => format!("Kind::Message(&{})", statics[field.type_name()]),
        other => {
            return Err(format!(
                "{}: no shape for a field of {other:?}",
                field.name()
            ));
        }
    })
}
