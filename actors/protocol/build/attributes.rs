//! The pass that gives every field its serde attributes: its exact wire name, whether it may be
//! absent, and which form of `src/form.rs` reads and writes it.

use prost_build::Config;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};

use crate::names::{self, MessageAt};
use crate::rename::WireNames;

/// Adds the attributes of all messages and fields to `config`.
///
/// # Errors
/// A field of a kind that no form is there for.
pub(crate) fn apply(
    config: &mut Config,
    set: &FileDescriptorSet,
    wire_names: &WireNames,
) -> Result<(), String> {
    let (messages, _) = names::all(set);
    config.message_attribute(".", "#[derive(::serde::Serialize, ::serde::Deserialize)]");
    for at in &messages {
        if at.name.ends_with("ID") {
            let more = if at
                .message
                .field
                .iter()
                .any(|field| field.type_name() == at.name)
            {
                "#[derive(Eq, Hash, PartialOrd, Ord)]"
            } else {
                "#[derive(PartialOrd, Ord)]"
            };
            config.message_attribute(&at.name, more);
        }
        for field in &at.message.field {
            let attribute = attribute(at, field, wire_names)
                .map_err(|problem| format!("{}.{}: {problem}", at.name, field.name()))?;
            if !attribute.is_empty() {
                config.field_attribute(format!("{}.{}", at.name, field.name()), attribute);
            }
        }
    }
    Ok(())
}

/// The one `#[serde(..)]` of a field; empty where serde's own ways are right.
fn attribute(
    at: &MessageAt<'_>,
    field: &FieldDescriptorProto,
    wire_names: &WireNames,
) -> Result<String, String> {
    let mut parts = Vec::new();
    let wire_name = wire_names.of_field(&at.name, field.name());
    if names::rust_field(field.name()) != wire_name {
        parts.push(format!("rename = \"{wire_name}\""));
    }
    let form = form(field)?;
    match cardinality(at.message, field) {
        Cardinality::Map => {
            parts.push("default".to_owned());
            parts.push(
                "skip_serializing_if = \"::std::collections::BTreeMap::is_empty\"".to_owned(),
            );
            parts.push("deserialize_with = \"crate::form::map\"".to_owned());
        }
        Cardinality::Repeated => {
            parts.push("default".to_owned());
            parts.push("skip_serializing_if = \"::std::vec::Vec::is_empty\"".to_owned());
            parts.push(match form {
                None => "deserialize_with = \"crate::form::list\"".to_owned(),
                Some(form) => with("Repeated", &form),
            });
        }
        Cardinality::Optional => {
            parts.push("skip_serializing_if = \"::std::option::Option::is_none\"".to_owned());
            if let Some(form) = form {
                parts.push("default".to_owned());
                parts.push(with("Optional", &form));
            }
        }
        Cardinality::Required => {
            if let Some(form) = form {
                parts.push(with("Required", &form));
            }
        }
        Cardinality::Implicit => {
            parts.push("default".to_owned());
            if let Some(form) = form {
                parts.push(with("Required", &form));
            }
        }
    }
    if parts.is_empty() {
        Ok(String::new())
    } else {
        Ok(format!("#[serde({})]", parts.join(", ")))
    }
}

enum Cardinality {
    Required,
    Optional,
    Repeated,
    Map,
    /// A field of `google.protobuf`: absent means zero.
    Implicit,
}

fn cardinality(message: &DescriptorProto, field: &FieldDescriptorProto) -> Cardinality {
    let entry = |inner: &DescriptorProto| {
        names::is_map_entry(inner) && field.type_name().ends_with(&format!(".{}", inner.name()))
    };
    match field.label() {
        Label::Required => Cardinality::Required,
        Label::Repeated if message.nested_type.iter().any(entry) => Cardinality::Map,
        Label::Repeated => Cardinality::Repeated,
        Label::Optional if message.name() == "Duration" => Cardinality::Implicit,
        Label::Optional => Cardinality::Optional,
    }
}

fn with(holder: &str, form: &str) -> String {
    format!("with = \"crate::form::{holder}::<{form}>\"")
}

/// The form of a field's values; none where serde's own is right.
fn form(field: &FieldDescriptorProto) -> Result<Option<String>, String> {
    let form = match field.r#type() {
        Type::String | Type::Bool | Type::Message => return Ok(None),
        Type::Int32 => "crate::form::Number::<i32>".to_owned(),
        Type::Uint32 => "crate::form::Number::<u32>".to_owned(),
        Type::Int64 => "crate::form::Number::<i64>".to_owned(),
        Type::Uint64 => "crate::form::Number::<u64>".to_owned(),
        Type::Double => "crate::form::Double".to_owned(),
        Type::Bytes => "crate::form::Raw".to_owned(),
        Type::Enum => {
            format!(
                "crate::form::Named::<crate::{}>",
                names::rust_path(field.type_name())
            )
        }
        other => return Err(format!("no form for a field of {other:?}")),
    };
    Ok(Some(form))
}
