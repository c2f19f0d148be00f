//! Attributes of agents: the text form of the `--attributes` flag
//! (`rack:2;zone:[1-3];os:centos`), the JSON form, validation, and whether a changed set of
//! attributes may replace another.
//!
//! What frameworks demand of attributes (offer constraints) is not decided here.

use std::fmt;

use crate::mesos::v1::{Attribute, value};
use crate::resources::value_text::{self, ValueText};
use crate::resources::{Amount, Range, Ranges, Scalar};

/// Attributes that cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttributeError {
    /// A piece of text that is no attribute.
    #[error("cannot read attribute '{token}': {problem}")]
    Text {
        /// The piece between two `;`.
        token: String,
        /// What is wrong with it.
        problem: String,
    },
    /// JSON that is no array of attributes.
    #[error("cannot read attributes as JSON: {path}: {problem}")]
    Json {
        /// Where in the document.
        path: String,
        /// What is wrong there.
        problem: String,
    },
    /// A field of a message that breaks a rule.
    #[error("invalid attribute '{name}': {field}: {problem}")]
    Field {
        /// The attribute's name, as far as it has one.
        name: String,
        /// The field of `mesos.v1.Attribute`.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// Reads either form: an array in brackets is JSON, all else is text.
///
/// # Errors
/// What cannot be read, and sets, which attributes cannot be.
pub fn parse(text: &str) -> Result<Vec<Attribute>, AttributeError> {
    if text.trim_start().starts_with('[') {
        parse_json(text)
    } else {
        parse_text(text)
    }
}

/// Reads `name:value` pairs between `;` or line ends. A value that is a number is a scalar,
/// `[a-b]` are ranges, all else is text; blanks within a value are deleted, as Mesos does.
///
/// # Errors
/// As [`parse`].
pub fn parse_text(text: &str) -> Result<Vec<Attribute>, AttributeError> {
    text.split([';', '\n'])
        .filter(|token| !token.trim().is_empty())
        .map(parse_token)
        .collect()
}

/// Reads a JSON array of `Attribute`.
///
/// # Errors
/// As [`parse`].
pub fn parse_json(text: &str) -> Result<Vec<Attribute>, AttributeError> {
    let json = |path: String, problem: String| AttributeError::Json { path, problem };
    let mut document = serde_json::Deserializer::from_str(text);
    let attributes: Vec<Attribute> = serde_path_to_error::deserialize(&mut document)
        .map_err(|error| json(error.path().to_string(), error.inner().to_string()))?;
    document
        .end()
        .map_err(|error| json("end".to_owned(), error.to_string()))?;
    attributes.iter().try_for_each(validate)?;
    Ok(attributes)
}

fn parse_token(token: &str) -> Result<Attribute, AttributeError> {
    let wrong = |problem: String| AttributeError::Text {
        token: token.trim().to_owned(),
        problem,
    };
    let (name, text) = token
        .split_once(':')
        .filter(|(name, text)| !name.trim().is_empty() && !text.is_empty())
        .ok_or_else(|| wrong("expected 'name:value'".to_owned()))?;
    let mut attribute = Attribute {
        name: name.trim().to_owned(),
        ..Attribute::default()
    };
    match value_text::parse(text).map_err(wrong)? {
        ValueText::Scalar(number) => {
            attribute.set_type(value::Type::Scalar);
            attribute.scalar = Some(value::Scalar { value: number });
        }
        ValueText::Ranges(ranges) => {
            attribute.set_type(value::Type::Ranges);
            attribute.ranges = Some(ranges_message(&ranges));
        }
        ValueText::Text(text) => {
            attribute.set_type(value::Type::Text);
            attribute.text = Some(value::Text { value: text });
        }
        ValueText::Set(_) => return Err(wrong("an attribute cannot be a set".to_owned())),
    }
    Ok(attribute)
}

fn ranges_message(ranges: &Ranges) -> value::Ranges {
    let range = |range: &Range| value::Range {
        begin: range.begin,
        end: range.end,
    };
    value::Ranges {
        range: ranges.as_slice().iter().map(range).collect(),
    }
}

/// Checks one attribute: a name, and the value that its type calls for.
///
/// # Errors
/// The first rule that is broken. Sets are refused, as Mesos has them only for resources.
pub fn validate(attribute: &Attribute) -> Result<(), AttributeError> {
    let broken = |field, problem| {
        Err(AttributeError::Field {
            name: attribute.name.clone(),
            field,
            problem,
        })
    };
    if attribute.name.is_empty() {
        return broken("name", "must not be empty");
    }
    match value::Type::try_from(attribute.r#type) {
        Ok(value::Type::Scalar) if attribute.scalar.is_none() => broken("scalar", "must be set"),
        Ok(value::Type::Ranges) if attribute.ranges.is_none() => broken("ranges", "must be set"),
        Ok(value::Type::Text) if attribute.text.is_none() => broken("text", "must be set"),
        Ok(value::Type::Set) => broken("set", "an attribute cannot be a set"),
        Ok(_) => Ok(()),
        Err(_) => broken("type", "is no type of values"),
    }
}

/// Whether two lists say the same, whatever their order.
#[must_use]
pub fn equal(left: &[Attribute], right: &[Attribute]) -> bool {
    let within = |one: &[Attribute], other: &[Attribute]| {
        one.iter()
            .all(|attribute| other.iter().any(|that| same(attribute, that)))
    };
    left.len() == right.len() && within(left, right) && within(right, left)
}

/// Whether `new` keeps all that `old` said: every attribute is still there with its type, scalars
/// and texts unchanged, ranges at least as wide. It may say more.
#[must_use]
pub fn extends(old: &[Attribute], new: &[Attribute]) -> bool {
    old.iter().all(|before| {
        new.iter().any(|after| {
            same(before, after)
                || (before.name == after.name
                    && before.r#type == after.r#type
                    && before.r#type() == value::Type::Ranges
                    && ranges_of(after).contains(&ranges_of(before)))
        })
    })
}

fn same(left: &Attribute, right: &Attribute) -> bool {
    if left.name != right.name || left.r#type != right.r#type {
        return false;
    }
    match left.r#type() {
        value::Type::Scalar => scalar_of(left) == scalar_of(right),
        value::Type::Ranges => ranges_of(left) == ranges_of(right),
        value::Type::Text => left.text == right.text,
        value::Type::Set => left.set == right.set,
    }
}

fn scalar_of(attribute: &Attribute) -> Option<Scalar> {
    Scalar::rounded(attribute.scalar.as_ref()?.value)
}

fn ranges_of(attribute: &Attribute) -> Ranges {
    let ranges = attribute.ranges.iter().flat_map(|ranges| &ranges.range);
    ranges.map(|range| (range.begin, range.end)).collect()
}

/// Prints an attribute as its value alone: `2`, `[1-3]`, `centos`, as the endpoints show it.
pub struct ValueDisplay<'a>(pub &'a Attribute);

impl fmt::Display for ValueDisplay<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.r#type() {
            value::Type::Scalar => Amount::Scalar(scalar_of(self.0).unwrap_or_default()).fmt(f),
            value::Type::Ranges => ranges_of(self.0).fmt(f),
            value::Type::Set => {
                let items = self
                    .0
                    .set
                    .iter()
                    .flat_map(|set| set.item.iter().cloned())
                    .collect();
                Amount::Set(items).fmt(f)
            }
            value::Type::Text => {
                f.write_str(self.0.text.as_ref().map_or("", |text| text.value.as_str()))
            }
        }
    }
}

/// The text form, which [`parse_text`] reads back: `rack:2;zone:[1-3];os:centos`.
#[must_use]
pub fn to_text(attributes: &[Attribute]) -> String {
    let tokens = attributes.iter().map(|attribute| {
        let value = ValueDisplay(attribute).to_string();
        let value = if attribute.r#type() == value::Type::Ranges {
            value.replace(' ', "")
        } else {
            value
        };
        format!("{}:{value}", attribute.name)
    });
    tokens.collect::<Vec<_>>().join(";")
}
