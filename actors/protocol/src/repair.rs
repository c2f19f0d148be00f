//! Copies of protobuf bytes with something put right: without enum values that the schema does
//! not know, or with map entries written out.
//!
//! Not here: whether the bytes are well-formed, which `walk` has found, or `prost` has seen to.

use crate::shape::{FieldShape, Kind, MessageShape};
use crate::walk::is_known;
use crate::wire::{FIXED64, LENGTH, VARINT, delimited, key, put_varint, skip, varint};

/// A copy of bytes that `walk` found well-formed, without the enum values that the schema does
/// not know.
pub(crate) fn without_unknown_enums(shape: &'static MessageShape, bytes: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while !rest.is_empty() {
        let start = rest;
        let Ok((number, wire)) = key(&mut rest) else {
            break;
        };
        let field = shape.field(number);
        match (field.map(|field| &field.kind), wire) {
            (Some(Kind::Enum(values)), VARINT) => {
                if varint(&mut rest).is_ok_and(|number| is_known(values, number)) {
                    kept.extend_from_slice(&start[..start.len() - rest.len()]);
                }
            }
            (Some(Kind::Enum(values)), LENGTH) => {
                let mut packed = delimited(&mut rest).unwrap_or_default();
                while let Ok(value) = varint(&mut packed) {
                    if is_known(values, value) {
                        put_varint(&mut kept, u64::from(number) << 3);
                        put_varint(&mut kept, value);
                    }
                }
            }
            (Some(Kind::Message(inner)), LENGTH) => {
                let body = delimited(&mut rest).unwrap_or_default();
                let body = without_unknown_enums(inner, body);
                put_delimited(&mut kept, number, &body);
            }
            _ => {
                if skip(&mut rest, number, wire, 0).is_err() {
                    break;
                }
                kept.extend_from_slice(&start[..start.len() - rest.len()]);
            }
        }
    }
    kept
}

/// Whether every entry of every map has its key and its value in the bytes.
///
/// `prost` leaves out what equals the default, and then Mesos' reader misses the required field of
/// a value such as the scalar 0.
pub(crate) fn has_whole_maps(shape: &'static MessageShape, bytes: &[u8]) -> bool {
    let mut present = 0_u8;
    let mut rest = bytes;
    while let Ok((number, wire)) = key(&mut rest) {
        present |= u8::from(number == 1) | u8::from(number == 2) << 1;
        match shape.field(number).map(|field| &field.kind) {
            Some(Kind::Message(inner)) if inner.has_maps && wire == LENGTH => {
                if !has_whole_maps(inner, delimited(&mut rest).unwrap_or_default()) {
                    return false;
                }
            }
            _ => {
                if skip(&mut rest, number, wire, 0).is_err() {
                    break;
                }
            }
        }
    }
    !shape.is_map_entry || present == 0b11
}

/// A copy with the keys and values that [`has_whole_maps`] misses.
pub(crate) fn with_whole_maps(shape: &'static MessageShape, bytes: &[u8]) -> Vec<u8> {
    let mut whole = Vec::with_capacity(bytes.len() + 16);
    let mut entry = [None, None];
    let mut rest = bytes;
    while !rest.is_empty() {
        let start = rest;
        let Ok((number, wire)) = key(&mut rest) else {
            break;
        };
        let at = whole.len();
        match shape.field(number).map(|field| &field.kind) {
            Some(Kind::Message(inner)) if inner.has_maps && wire == LENGTH => {
                let body = with_whole_maps(inner, delimited(&mut rest).unwrap_or_default());
                put_delimited(&mut whole, number, &body);
            }
            _ => {
                if skip(&mut rest, number, wire, 0).is_err() {
                    break;
                }
                whole.extend_from_slice(&start[..start.len() - rest.len()]);
            }
        }
        if shape.is_map_entry && (1..=2).contains(&number) {
            entry[number as usize - 1] = Some(whole[at..].to_vec());
        }
    }
    if !shape.is_map_entry {
        return whole;
    }
    let mut written = Vec::new();
    for (part, field) in entry.into_iter().zip(shape.fields) {
        match part {
            Some(part) => written.extend_from_slice(&part),
            None => put_default(&mut written, field),
        }
    }
    written
}

fn put_delimited(to: &mut Vec<u8>, number: u32, body: &[u8]) {
    put_varint(to, u64::from(number) << 3 | u64::from(LENGTH));
    put_varint(to, body.len() as u64);
    to.extend_from_slice(body);
}

/// Writes a field with its type's default: of a message that is its required fields.
fn put_default(to: &mut Vec<u8>, field: &FieldShape) {
    let key = |wire: u8| u64::from(field.number) << 3 | u64::from(wire);
    match &field.kind {
        Kind::Varint => {
            put_varint(to, key(VARINT));
            put_varint(to, 0);
        }
        Kind::Enum(shape) => {
            put_varint(to, key(VARINT));
            let first = shape.values.first().map_or(0, |(number, _)| *number);
            put_varint(to, i64::from(first).cast_unsigned());
        }
        Kind::Fixed64 => {
            put_varint(to, key(FIXED64));
            to.extend_from_slice(&[0; 8]);
        }
        Kind::Text | Kind::Bytes => put_delimited(to, field.number, &[]),
        Kind::Message(inner) => {
            let mut body = Vec::new();
            for field in inner.fields.iter().filter(|field| field.bit != 0) {
                put_default(&mut body, field);
            }
            put_delimited(to, field.number, &body);
        }
    }
}
