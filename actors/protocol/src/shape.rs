//! What every message looks like on the wire: generated tables of fields and enum values, by
//! which bytes are checked before they are decoded, and enum values get their names.
//!
//! Not here: the check itself (`walk`).

/// A message: its fields by number.
#[derive(Debug)]
pub struct MessageShape {
    /// Full wire name, such as `mesos.internal.RegisterSlaveMessage`.
    pub name: &'static str,
    /// One bit for each required field, see [`FieldShape::bit`].
    pub required: u64,
    /// Whether this is one entry of a map: field 1 is the key, field 2 the value.
    pub is_map_entry: bool,
    /// Whether it is, or somewhere holds, an entry of a map.
    pub has_maps: bool,
    /// In the order of their numbers.
    pub fields: &'static [FieldShape],
}

impl MessageShape {
    /// The field of a number.
    #[must_use]
    pub fn field(&self, number: u32) -> Option<&'static FieldShape> {
        // Most messages number their fields from 1 without gaps.
        let guess = self.fields.get((number as usize).wrapping_sub(1));
        if let Some(field) = guess.filter(|field| field.number == number) {
            return Some(field);
        }
        let index = self
            .fields
            .binary_search_by_key(&number, |field| field.number)
            .ok()?;
        self.fields.get(index)
    }
}

/// A field of a message.
#[derive(Debug)]
pub struct FieldShape {
    /// The number on the wire.
    pub number: u32,
    /// The name on the wire, which is the JSON key.
    pub name: &'static str,
    /// The field's bit in [`MessageShape::required`]; 0 where it is not required. The value of a map's
    /// entry has a bit too.
    pub bit: u64,
    /// Whether it may occur more than once; true for maps.
    pub repeated: bool,
    /// What its values are.
    pub kind: Kind,
}

/// What the values of a field are.
#[derive(Debug)]
pub enum Kind {
    /// A boolean or an integer.
    Varint,
    /// A double.
    Fixed64,
    /// Text in UTF-8.
    Text,
    /// Bytes.
    Bytes,
    /// One of the values of an enum.
    Enum(&'static EnumShape),
    /// A message, or an entry of a map.
    Message(&'static MessageShape),
}

/// An enum: its values in the order in which Mesos lists them.
#[derive(Debug)]
pub struct EnumShape {
    /// Full wire name, such as `mesos.v1.TaskState`.
    pub name: &'static str,
    /// Numbers and names.
    pub values: &'static [(i32, &'static str)],
}

impl EnumShape {
    /// The name of a number.
    #[must_use]
    pub fn name_of(&self, number: i32) -> Option<&'static str> {
        self.values
            .iter()
            .find(|(known, _)| *known == number)
            .map(|(_, name)| *name)
    }

    /// The number of a name.
    #[must_use]
    pub fn number_of(&self, name: &str) -> Option<i32> {
        self.values
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(number, _)| *number)
    }
}

/// An enum of the schema.
pub trait Enumeration {
    /// Its values.
    const SHAPE: &'static EnumShape;
}

include!(concat!(env!("OUT_DIR"), "/shapes.rs"));
