//! The one rule by which Rust names differ from wire names.
//!
//! In the packages of [`OLD_PACKAGES`] "Slave" becomes "Agent" in the names of messages and
//! fields, and top level messages lose the suffix "Message" where nothing else has that name
//! already (`StatusUpdateMessage` keeps it, because there is a `StatusUpdate`).
//! Wire names do not change: field numbers, JSON keys and message names stay Mesos' own.
//!
//! Two more things are dropped, everywhere: `deprecated` marks, since it is for the wire's users
//! and not for ours to avoid those fields; and oneofs, whose members become plain optional fields,
//! which is what they are in all three encodings.

use std::collections::{BTreeMap, BTreeSet};

use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet};

/// Where Mesos still says "slave".
const OLD_PACKAGES: &[&str] = &[
    "mesos.internal",
    "mesos.scheduler",
    "mesos.resource_provider.registry",
];

/// Messages whose Rust name does not follow from the rule: a message says what happened.
const NAMES: &[(&str, &str)] = &[
    ("SlaveRegisteredMessage", "AgentRegistered"),
    ("SlaveReregisteredMessage", "AgentReregistered"),
];

/// What something was called before the rename.
pub(crate) struct WireNames {
    /// Messages and enums: full Rust-side name with a leading dot, to the wire's.
    types: BTreeMap<String, String>,
    /// Fields: full Rust-side name of the message and field, to the wire's field name.
    fields: BTreeMap<String, String>,
}

impl WireNames {
    /// The full wire name, without a leading dot, of a message or enum.
    pub(crate) fn of_type<'a>(&'a self, name: &'a str) -> &'a str {
        self.types
            .get(name)
            .map_or(name, String::as_str)
            .trim_start_matches('.')
    }

    /// The wire name of a field.
    pub(crate) fn of_field<'a>(&'a self, message: &str, field: &'a str) -> &'a str {
        self.fields
            .get(&format!("{message}.{field}"))
            .map_or(field, String::as_str)
    }
}

/// Renames `set` in place, and says what things were called.
pub(crate) fn rename(set: &mut FileDescriptorSet) -> WireNames {
    let mut renamed = BTreeMap::new();
    let mut fields = BTreeMap::new();
    for file in &mut set.file {
        if OLD_PACKAGES.contains(&file.package()) {
            rename_file(file, &mut renamed, &mut fields);
        }
    }
    for file in &mut set.file {
        for message in &mut file.message_type {
            refer(message, &renamed);
        }
        for values in &mut file.enum_type {
            undeprecate(values);
        }
    }
    let types = renamed.into_iter().map(|(old, new)| (new, old)).collect();
    WireNames { types, fields }
}

fn rename_file(
    file: &mut FileDescriptorProto,
    renamed: &mut BTreeMap<String, String>,
    fields: &mut BTreeMap<String, String>,
) {
    let taken: BTreeSet<String> = file
        .message_type
        .iter()
        .map(|message| message.name().to_owned())
        .collect();
    let scope = format!(".{}", file.package());
    for message in &mut file.message_type {
        let new = top_level_name(message.name(), &taken);
        rename_message(message, &new, (&scope, &scope), renamed, fields);
    }
}

/// The Rust name of a top level message.
fn top_level_name(old: &str, taken: &BTreeSet<String>) -> String {
    if let Some((_, new)) = NAMES.iter().find(|(name, _)| *name == old) {
        return (*new).to_owned();
    }
    let short = old
        .strip_suffix("Message")
        .filter(|short| !short.is_empty());
    let short = short.filter(|short| !taken.contains(*short)).unwrap_or(old);
    short.replace("Slave", "Agent")
}

fn rename_message(
    message: &mut DescriptorProto,
    new: &str,
    (old_scope, new_scope): (&str, &str),
    renamed: &mut BTreeMap<String, String>,
    fields: &mut BTreeMap<String, String>,
) {
    let old_name = format!("{old_scope}.{}", message.name());
    let new_name = format!("{new_scope}.{new}");
    message.name = Some(new.to_owned());
    for field in &mut message.field {
        let new_field = field.name().replace("slave", "agent");
        fields.insert(format!("{new_name}.{new_field}"), field.name().to_owned());
        field.name = Some(new_field);
    }
    for inner in &mut message.nested_type {
        let inner_new = inner.name().replace("Slave", "Agent");
        rename_message(inner, &inner_new, (&old_name, &new_name), renamed, fields);
    }
    for inner in &message.enum_type {
        let name = inner.name();
        renamed.insert(format!("{old_name}.{name}"), format!("{new_name}.{name}"));
    }
    renamed.insert(old_name, new_name);
}

/// Points the fields of `message` at the new names, and drops what the module's head says.
fn refer(message: &mut DescriptorProto, renamed: &BTreeMap<String, String>) {
    message.oneof_decl.clear();
    for field in &mut message.field {
        field.oneof_index = None;
        if let Some(options) = &mut field.options {
            options.deprecated = None;
        }
        if let Some(new) = field.type_name.as_ref().and_then(|old| renamed.get(old)) {
            field.type_name = Some(new.clone());
        }
    }
    for values in &mut message.enum_type {
        undeprecate(values);
    }
    for inner in &mut message.nested_type {
        refer(inner, renamed);
    }
}

fn undeprecate(values: &mut EnumDescriptorProto) {
    for value in &mut values.value {
        if let Some(options) = &mut value.options {
            options.deprecated = None;
        }
    }
}
