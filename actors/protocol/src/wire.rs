//! The grammar of protobuf bytes: keys, numbers, lengths, and what is wrong with them.
//!
//! Not here: what any field means (`walk`, `repair`).

use crate::fault::Fault;

/// How deep messages may be nested; `prost` has the same limit.
pub(crate) const MAX_DEPTH: usize = 100;

/// What is said of messages nested too deep.
pub(crate) fn too_deep() -> Fault {
    Fault::new(format!("messages nested more than {MAX_DEPTH} deep"))
}

/// Wire types.
pub(crate) const VARINT: u8 = 0;
pub(crate) const FIXED64: u8 = 1;
pub(crate) const LENGTH: u8 = 2;
const GROUP: u8 = 3;
const END_GROUP: u8 = 4;
const FIXED32: u8 = 5;

/// The number and wire type before a value.
pub(crate) fn key(rest: &mut &[u8]) -> Result<(u32, u8), Fault> {
    let key = varint(rest)?;
    let number = u32::try_from(key >> 3)
        .ok()
        .filter(|number| (1..1 << 29).contains(number));
    let number = number.ok_or_else(|| Fault::new(format!("bad field key {key}")))?;
    Ok((number, (key & 7) as u8))
}

/// A number of up to 64 bits, seven in a byte.
pub(crate) fn varint(rest: &mut &[u8]) -> Result<u64, Fault> {
    let mut value = 0_u64;
    for (index, byte) in rest.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            if index == 9 && *byte > 1 {
                break;
            }
            *rest = &rest[index + 1..];
            return Ok(value);
        }
    }
    Err(Fault::new(if rest.len() < 10 {
        "cut off in a number"
    } else {
        "number over 64 bits"
    }))
}

/// Writes a number as [`varint`] reads it.
pub(crate) fn put_varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

/// The next `length` bytes.
pub(crate) fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], Fault> {
    let (taken, after) = rest.split_at_checked(length).ok_or_else(|| {
        Fault::new(format!(
            "cut off: {length} bytes announced, {} there",
            rest.len()
        ))
    })?;
    *rest = after;
    Ok(taken)
}

/// The bytes behind their length.
pub(crate) fn delimited<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Fault> {
    let length = varint(rest)?;
    take(rest, usize::try_from(length).unwrap_or(usize::MAX))
}

/// Passes over the value of a field that the schema does not know.
pub(crate) fn skip(rest: &mut &[u8], number: u32, wire: u8, depth: usize) -> Result<(), Fault> {
    match wire {
        VARINT => varint(rest).map(|_| ()),
        FIXED64 => take(rest, 8).map(|_| ()),
        LENGTH => delimited(rest).map(|_| ()),
        FIXED32 => take(rest, 4).map(|_| ()),
        GROUP => loop {
            if depth >= MAX_DEPTH {
                return Err(too_deep());
            }
            match key(rest)? {
                (inner, END_GROUP) if inner == number => return Ok(()),
                (inner, wire) => skip(rest, inner, wire, depth + 1)?,
            }
        },
        _ => Err(Fault::new(format!(
            "wire type {wire} of field {number} is none"
        ))),
    }
}
