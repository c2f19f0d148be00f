//! How `prost` names in Rust what a descriptor names, and a walk over all messages.

use heck::{ToSnakeCase as _, ToUpperCamelCase as _};
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorSet};

/// One message of the set; map entries are not visited.
pub(crate) struct MessageAt<'a> {
    /// Full name with a leading dot, as fields refer to it.
    pub(crate) name: String,
    /// The descriptor.
    pub(crate) message: &'a DescriptorProto,
}

/// One enum of the set.
pub(crate) struct EnumAt<'a> {
    /// Full name with a leading dot.
    pub(crate) name: String,
    /// The descriptor.
    pub(crate) values: &'a EnumDescriptorProto,
}

/// All messages and enums, outer before inner, in the order of the files.
pub(crate) fn all(set: &FileDescriptorSet) -> (Vec<MessageAt<'_>>, Vec<EnumAt<'_>>) {
    let (mut messages, mut enums) = (Vec::new(), Vec::new());
    for file in &set.file {
        let scope = format!(".{}", file.package());
        for values in &file.enum_type {
            enums.push(EnumAt {
                name: format!("{scope}.{}", values.name()),
                values,
            });
        }
        for message in &file.message_type {
            visit(message, &scope, &mut messages, &mut enums);
        }
    }
    (messages, enums)
}

fn visit<'a>(
    message: &'a DescriptorProto,
    scope: &str,
    messages: &mut Vec<MessageAt<'a>>,
    enums: &mut Vec<EnumAt<'a>>,
) {
    let name = format!("{scope}.{}", message.name());
    messages.push(MessageAt {
        name: name.clone(),
        message,
    });
    for values in &message.enum_type {
        enums.push(EnumAt {
            name: format!("{name}.{}", values.name()),
            values,
        });
    }
    for inner in message
        .nested_type
        .iter()
        .filter(|inner| !is_map_entry(inner))
    {
        visit(inner, &name, messages, enums);
    }
}

/// Whether a nested message is what the compiler made of a `map<>` field.
pub(crate) fn is_map_entry(message: &DescriptorProto) -> bool {
    message
        .options
        .as_ref()
        .is_some_and(|options| options.map_entry())
}

/// The Rust path below the crate's root of a full name with a leading dot:
/// `.mesos.v1.Offer.Operation` is `mesos::v1::offer::Operation`.
pub(crate) fn rust_path(full_name: &str) -> String {
    let mut parts: Vec<&str> = full_name.trim_start_matches('.').split('.').collect();
    let last = parts.pop().unwrap_or_default();
    let mut path: String = parts
        .iter()
        .map(|part| format!("{}::", part.to_snake_case()))
        .collect();
    path.push_str(&last.to_upper_camel_case());
    path
}

/// The Rust name of a field, without the `r#` of a keyword.
pub(crate) fn rust_field(name: &str) -> String {
    name.to_snake_case()
}
