//! How a single value is written in JSON and in MessagePack, for the fields where serde's own way
//! is not Mesos': numbers, doubles, enums, bytes; and what may be absent or null.
//!
//! The generated types name these in their `#[serde(with = ..)]`: a holder ([`Required`],
//! [`Optional`], [`Repeated`]) of a [`Form`]. JSON is what serde calls human readable.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::shape::{EnumShape, Enumeration};

/// What was read for a field.
pub(crate) enum Reading<V> {
    /// A value.
    Value(V),
    /// Null: as if the field were absent.
    Null,
    /// The name or number of an enum value that the schema does not know.
    Unknown(String),
}

/// How a kind of value is written and read.
pub(crate) trait Form {
    /// The type of the field in Rust.
    type Value;

    /// Writes one value.
    fn write<S: Serializer>(value: &Self::Value, serializer: S) -> Result<S::Ok, S::Error>;

    /// Reads one value.
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Reading<Self::Value>, D::Error>;
}

/// A value and its form, for where serde asks for a type.
struct Written<'a, F: Form>(&'a F::Value);

impl<F: Form> Serialize for Written<'_, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        F::write(self.0, serializer)
    }
}

struct Read<F: Form>(Reading<F::Value>);

impl<'de, F: Form> Deserialize<'de> for Read<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        F::read(deserializer).map(Read)
    }
}

/// A required field. An unknown enum value is an error.
pub(crate) struct Required<F>(PhantomData<F>);

impl<F: Form> Required<F> {
    pub(crate) fn serialize<S: Serializer>(value: &F::Value, to: S) -> Result<S::Ok, S::Error> {
        F::write(value, to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<F::Value, D::Error> {
        match F::read(from)? {
            Reading::Value(value) => Ok(value),
            Reading::Null => Err(D::Error::invalid_type(Unexpected::Unit, &"a value")),
            Reading::Unknown(what) => Err(D::Error::custom(what)),
        }
    }
}

/// An optional field. An unknown enum value is as if the field were absent.
pub(crate) struct Optional<F>(PhantomData<F>);

impl<F: Form> Optional<F> {
    pub(crate) fn serialize<S: Serializer>(
        value: &Option<F::Value>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => F::write(value, to),
            None => to.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<F::Value>, D::Error> {
        match F::read(from)? {
            Reading::Value(value) => Ok(Some(value)),
            Reading::Null | Reading::Unknown(_) => Ok(None),
        }
    }
}

/// A repeated field. Unknown enum values are dropped.
pub(crate) struct Repeated<F>(PhantomData<F>);

impl<F: Form> Repeated<F> {
    pub(crate) fn serialize<S: Serializer>(values: &[F::Value], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(values.iter().map(Written::<F>))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<F::Value>, D::Error> {
        let read: Vec<Read<F>> = list(from)?;
        let mut values = Vec::with_capacity(read.len());
        for Read(reading) in read {
            match reading {
                Reading::Value(value) => values.push(value),
                Reading::Unknown(_) => {}
                Reading::Null => {
                    return Err(D::Error::invalid_type(
                        Unexpected::Unit,
                        &"a value in a list",
                    ));
                }
            }
        }
        Ok(values)
    }
}

/// Reads a list; null is the empty one.
pub(crate) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    Ok(Option::<Vec<T>>::deserialize(from)?.unwrap_or_default())
}

/// Reads a map; null is the empty one.
pub(crate) fn map<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<BTreeMap<String, T>, D::Error> {
    Ok(Option::<BTreeMap<String, T>>::deserialize(from)?.unwrap_or_default())
}

/// What a number, or a text with a number in it, was read as.
#[derive(Clone, Copy)]
enum Numeric {
    Unsigned(u64),
    Signed(i64),
    Double(f64),
}

struct NumericVisitor;

impl Visitor<'_> for NumericVisitor {
    type Value = Reading<Numeric>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Reading::Value(Numeric::Unsigned(value)))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Reading::Value(Numeric::Signed(value)))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Reading::Value(Numeric::Double(value)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        let numeric = match (text.parse(), text.parse(), text.parse()) {
            (Ok(value), _, _) => Numeric::Unsigned(value),
            (_, Ok(value), _) => Numeric::Signed(value),
            (_, _, Ok(value)) => Numeric::Double(value),
            _ => return Err(E::invalid_value(Unexpected::Str(text), &self)),
        };
        Ok(Reading::Value(numeric))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Reading::Null)
    }
}

/// An integer type of the schema.
pub(crate) trait Integer: Serialize + TryFrom<u64> + TryFrom<i64> {
    /// What an error calls it.
    const EXPECTED: &'static str;
}

impl Integer for i32 {
    const EXPECTED: &'static str = "a signed number of 32 bits";
}

impl Integer for u32 {
    const EXPECTED: &'static str = "an unsigned number of 32 bits";
}

impl Integer for i64 {
    const EXPECTED: &'static str = "a signed number of 64 bits";
}

impl Integer for u64 {
    const EXPECTED: &'static str = "an unsigned number of 64 bits";
}

/// An integer: a number in JSON, also where it has 64 bits; read from a text as well.
pub(crate) struct Number<T>(PhantomData<T>);

impl<T: Integer> Form for Number<T> {
    type Value = T;

    fn write<S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        value.serialize(to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Reading<T>, D::Error> {
        let (number, seen) = match from.deserialize_any(NumericVisitor)? {
            Reading::Value(Numeric::Unsigned(n)) => (T::try_from(n).ok(), Unexpected::Unsigned(n)),
            Reading::Value(Numeric::Signed(n)) => (T::try_from(n).ok(), Unexpected::Signed(n)),
            Reading::Value(Numeric::Double(n)) => (
                whole(n).and_then(|n| T::try_from(n).ok()),
                Unexpected::Float(n),
            ),
            Reading::Null => return Ok(Reading::Null),
            Reading::Unknown(what) => return Ok(Reading::Unknown(what)),
        };
        number
            .map(Reading::Value)
            .ok_or_else(|| D::Error::invalid_value(seen, &T::EXPECTED))
    }
}

/// A double that is a whole number, such as `1e9`. Above 2^53 it no longer says which number was
/// meant.
fn whole(number: f64) -> Option<i64> {
    const LIMIT: f64 = 9_007_199_254_740_992.0;
    let is_whole = number.fract() == 0.0 && number.abs() <= LIMIT;
    #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
    is_whole.then_some(number as i64)
}

/// A double. JSON has no number for `NaN` and the infinities: they are texts there.
pub(crate) struct Double;

impl Form for Double {
    type Value = f64;

    fn write<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        if value.is_finite() || !to.is_human_readable() {
            to.serialize_f64(*value)
        } else if value.is_nan() {
            to.serialize_str("NaN")
        } else {
            to.serialize_str(if *value > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            })
        }
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Reading<f64>, D::Error> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a double holds what a double can hold"
        )]
        Ok(match from.deserialize_any(NumericVisitor)? {
            Reading::Value(Numeric::Unsigned(number)) => Reading::Value(number as f64),
            Reading::Value(Numeric::Signed(number)) => Reading::Value(number as f64),
            Reading::Value(Numeric::Double(number)) => Reading::Value(number),
            Reading::Null => Reading::Null,
            Reading::Unknown(what) => Reading::Unknown(what),
        })
    }
}

/// An enum: its name in JSON (a number is understood), its number in MessagePack.
pub(crate) struct Named<E>(PhantomData<E>);

impl<E: Enumeration> Form for Named<E> {
    type Value = i32;

    fn write<S: Serializer>(value: &i32, to: S) -> Result<S::Ok, S::Error> {
        write_enum(E::SHAPE, *value, to)
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Reading<i32>, D::Error> {
        from.deserialize_any(EnumVisitor(E::SHAPE))
    }
}

fn write_enum<S: Serializer>(shape: &EnumShape, value: i32, to: S) -> Result<S::Ok, S::Error> {
    match shape.name_of(value) {
        Some(name) if to.is_human_readable() => to.serialize_str(name),
        _ => to.serialize_i32(value),
    }
}

struct EnumVisitor(&'static EnumShape);

impl EnumVisitor {
    fn number(&self, number: Option<i32>, seen: impl fmt::Display) -> Reading<i32> {
        match number.filter(|number| self.0.name_of(*number).is_some()) {
            Some(number) => Reading::Value(number),
            None => Reading::Unknown(format!("unknown value {seen} of enum {}", self.0.name)),
        }
    }
}

impl Visitor<'_> for EnumVisitor {
    type Value = Reading<i32>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value of enum {}", self.0.name)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(self.number(i32::try_from(value).ok(), value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(self.number(i32::try_from(value).ok(), value))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.number(self.0.number_of(name), name))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Reading::Null)
    }
}

/// Bytes: base64 in JSON, themselves in MessagePack.
pub(crate) struct Raw;

impl Form for Raw {
    type Value = Bytes;

    fn write<S: Serializer>(value: &Bytes, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() {
            to.serialize_str(&STANDARD.encode(value))
        } else {
            to.serialize_bytes(value)
        }
    }

    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Reading<Bytes>, D::Error> {
        let is_text = from.is_human_readable();
        from.deserialize_any(RawVisitor { is_text })
    }
}

struct RawVisitor {
    is_text: bool,
}

impl Visitor<'_> for RawVisitor {
    type Value = Reading<Bytes>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_text {
            "bytes in base64"
        } else {
            "bytes"
        })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        if !self.is_text {
            return Err(E::invalid_type(Unexpected::Str(text), &self));
        }
        let bytes = STANDARD
            .decode(text)
            .map_err(|_| E::invalid_value(Unexpected::Str(text), &self))?;
        Ok(Reading::Value(Bytes::from(bytes)))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(Reading::Value(Bytes::copy_from_slice(bytes)))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Reading::Null)
    }
}
