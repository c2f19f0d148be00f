//! The walk over protobuf bytes before `prost` decodes them: well-formed, not nested too deep, no
//! required field missing, no enum value that the schema does not know.
//!
//! It allocates nothing unless something is wrong. Not here: whether texts are UTF-8, which the
//! decoder asks.

use crate::fault::{Fault, Step};
use crate::shape::{EnumShape, FieldShape, Kind, MessageShape};
use crate::wire::{
    FIXED64, LENGTH, MAX_DEPTH, VARINT, delimited, key, skip, take, too_deep, varint,
};

/// Whether all enum values are those of the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Enums {
    /// They are.
    Known,
    /// Some are not; see `repair`.
    Unknown,
}

/// Checks the bytes of a message.
///
/// # Errors
/// The first thing that is wrong.
pub(crate) fn check(shape: &'static MessageShape, bytes: &[u8]) -> Result<Enums, Fault> {
    let mut enums = Enums::Known;
    walk(shape, bytes, 0, &mut enums)?;
    Ok(enums)
}

fn walk(
    shape: &'static MessageShape,
    bytes: &[u8],
    depth: usize,
    enums: &mut Enums,
) -> Result<(), Fault> {
    if depth > MAX_DEPTH {
        return Err(too_deep());
    }
    let mut present = 0;
    let mut rest = bytes;
    while !rest.is_empty() {
        let start = rest;
        let (number, wire) = key(&mut rest)?;
        let Some(field) = shape.field(number) else {
            skip(&mut rest, number, wire, depth)?;
            continue;
        };
        let known = value(field, wire, &mut rest, depth, enums);
        let known = known.or_else(|fault| {
            let before = &bytes[..bytes.len() - start.len()];
            merged(field, fault, before, start, depth, enums)
        });
        match known {
            Ok(true) => present |= field.bit,
            Ok(false) if field.bit == 0 => *enums = Enums::Unknown,
            Ok(false) => {
                return Err(Fault::new(unknown_value(field)).within_field(field.name));
            }
            Err(fault) => return Err(placed(fault, shape, field, bytes, start)),
        }
    }
    let missing = shape.required & !present;
    if missing != 0 {
        let field = shape.fields.iter().find(|field| field.bit & missing != 0);
        let name = field.map_or("", |field| field.name);
        return Err(Fault::missing().within_field(name));
    }
    absent_value(shape, present, depth)
}

/// An absent value of a map's entry stands for the default, which a message with required fields
/// does not have.
fn absent_value(shape: &'static MessageShape, present: u64, depth: usize) -> Result<(), Fault> {
    match shape.field(2) {
        Some(field) if shape.is_map_entry && present & field.bit == 0 => match &field.kind {
            Kind::Message(inner) => walk(inner, &[], depth + 1, &mut Enums::Known),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Walks one value. Says whether it is one that the schema knows, which only that of an enum may
/// not be.
fn value(
    field: &'static FieldShape,
    wire: u8,
    rest: &mut &[u8],
    depth: usize,
    enums: &mut Enums,
) -> Result<bool, Fault> {
    match (&field.kind, wire) {
        (Kind::Varint, VARINT) => varint(rest).map(|_| true),
        (Kind::Enum(shape), VARINT) => Ok(is_known(shape, varint(rest)?)),
        (Kind::Fixed64, FIXED64) => take(rest, 8).map(|_| true),
        (Kind::Text | Kind::Bytes, LENGTH) => delimited(rest).map(|_| true),
        (Kind::Message(inner), LENGTH) => {
            walk(inner, delimited(rest)?, depth + 1, enums)?;
            Ok(true)
        }
        (Kind::Varint | Kind::Fixed64, LENGTH) if field.repeated => delimited(rest).map(|_| true),
        (Kind::Enum(shape), LENGTH) if field.repeated => {
            let mut packed = delimited(rest)?;
            let mut known = true;
            while !packed.is_empty() {
                known &= is_known(shape, varint(&mut packed)?);
            }
            Ok(known)
        }
        _ => Err(Fault::new(format!(
            "wire type {wire} does not fit this field"
        ))),
    }
}

/// A message that occurs more than once in a field that is not repeated is merged, so what one
/// occurrence lacks another may have.
fn merged(
    field: &'static FieldShape,
    fault: Fault,
    before: &[u8],
    from: &[u8],
    depth: usize,
    enums: &mut Enums,
) -> Result<bool, Fault> {
    let Kind::Message(inner) = &field.kind else {
        return Err(fault);
    };
    if field.repeated || !fault.is_missing() {
        return Err(fault);
    }
    let mut whole = Vec::new();
    let mut times = 0;
    for part in [before, from] {
        let mut rest = part;
        while !rest.is_empty() {
            let (number, wire) = key(&mut rest)?;
            if number == field.number && wire == LENGTH {
                whole.extend_from_slice(delimited(&mut rest)?);
                times += 1;
            } else {
                skip(&mut rest, number, wire, depth)?;
            }
        }
    }
    if times < 2 {
        return Err(fault);
    }
    walk(inner, &whole, depth + 1, enums).map(|()| true)
}

/// The fault as seen from the message: with the field, and its index or key where it has one.
fn placed(
    fault: Fault,
    shape: &MessageShape,
    field: &FieldShape,
    bytes: &[u8],
    at: &[u8],
) -> Fault {
    if shape.is_map_entry {
        return fault;
    }
    if !field.repeated {
        return fault.within_field(field.name);
    }
    if let Kind::Message(inner) = &field.kind
        && inner.is_map_entry
    {
        let mut rest = at;
        let entry = key(&mut rest)
            .and_then(|_| delimited(&mut rest))
            .unwrap_or_default();
        let key = String::from_utf8_lossy(map_key(entry));
        return fault.within_field(&key).within_field(field.name);
    }
    let mut index = 0;
    let mut rest = &bytes[..bytes.len() - at.len()];
    while let Ok((number, wire)) = key(&mut rest) {
        index += usize::from(number == field.number);
        if skip(&mut rest, number, wire, 0).is_err() {
            break;
        }
    }
    fault.within(Step::Index(index)).within_field(field.name)
}

/// The key of a map's entry, whose keys are texts.
fn map_key(entry: &[u8]) -> &[u8] {
    let mut rest = entry;
    while let Ok((number, wire)) = key(&mut rest) {
        if number == 1 && wire == LENGTH {
            return delimited(&mut rest).unwrap_or_default();
        }
        if skip(&mut rest, number, wire, 0).is_err() {
            break;
        }
    }
    &[]
}

fn unknown_value(field: &FieldShape) -> String {
    match &field.kind {
        Kind::Enum(shape) => format!("unknown value of enum {}", shape.name),
        _ => "unknown value".to_owned(),
    }
}

pub(crate) fn is_known(shape: &EnumShape, value: u64) -> bool {
    // Negative numbers come as 64 bits with the sign in all that is above.
    #[expect(
        clippy::cast_possible_wrap,
        reason = "that is how an enum's number is coded"
    )]
    let number = i32::try_from(value as i64);
    number.is_ok_and(|number| shape.name_of(number).is_some())
}
