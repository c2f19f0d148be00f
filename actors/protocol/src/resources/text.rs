//! The two forms of the `--resources` flag: text (`cpus(role):12.5;ports:[1-5,8-8];zone:{a,b}`)
//! and a JSON array of `Resource`; and the text form back again.

use std::collections::BTreeMap;

use super::amount::Amount;
use super::bag::{Entry, Resources};
use super::error::ResourceError;
use super::scalar::Scalar;
use super::validate::validate;
use super::value_text::{self, ValueText};
use crate::mesos::v1::resource::{ReservationInfo, reservation_info};
use crate::mesos::v1::{Resource, value};

/// Reads either form: an array in brackets is JSON, all else is text. What names no role belongs
/// to `default_role`.
///
/// # Errors
/// What cannot be read or is not valid; what only exists at run time (persistent volumes,
/// revocable resources, dynamic reservations); one name with two types.
pub fn parse(text: &str, default_role: &str) -> Result<Resources, ResourceError> {
    if text.trim_start().starts_with('[') {
        parse_json(text, default_role)
    } else {
        parse_text(text, default_role)
    }
}

/// Reads the text form.
///
/// # Errors
/// As [`parse`].
pub fn parse_text(text: &str, default_role: &str) -> Result<Resources, ResourceError> {
    let mut resources = Vec::new();
    for token in text.split(';').filter(|token| !token.trim().is_empty()) {
        resources.push(parse_token(token.trim(), default_role)?);
    }
    given_by_operator(&resources)
}

/// Reads a JSON array of `Resource`.
///
/// # Errors
/// As [`parse`].
pub fn parse_json(text: &str, default_role: &str) -> Result<Resources, ResourceError> {
    let json = |path: String, problem: String| ResourceError::Json { path, problem };
    let mut document = serde_json::Deserializer::from_str(text);
    let mut resources: Vec<Resource> = serde_path_to_error::deserialize(&mut document)
        .map_err(|error| json(error.path().to_string(), error.inner().to_string()))?;
    document
        .end()
        .map_err(|error| json("end".to_owned(), error.to_string()))?;
    for resource in &mut resources {
        if resource.role.is_none() && resource.reservations.is_empty() {
            resource.role = Some(default_role.to_owned());
        }
    }
    given_by_operator(&resources)
}

fn parse_token(token: &str, default_role: &str) -> Result<Resource, ResourceError> {
    let wrong = |problem: &str| ResourceError::text(token, problem);
    let (name, text) = token
        .split_once(':')
        .ok_or_else(|| wrong("expected 'name:value'"))?;
    if text.contains(':') {
        return Err(wrong("unexpected second ':'"));
    }
    let (name, role) = match name.split_once('(') {
        None if name.contains(')') => return Err(wrong("')' without '('")),
        None => (name, default_role),
        Some((name, rest)) => {
            let role = rest
                .trim_end()
                .strip_suffix(')')
                .ok_or_else(|| wrong("'(' without ')'"))?;
            (name, role)
        }
    };
    let mut resource = Resource {
        name: name.trim().to_owned(),
        ..Resource::default()
    };
    let role = role.trim();
    if role != "*" {
        let mut reservation = ReservationInfo {
            role: Some(role.to_owned()),
            ..ReservationInfo::default()
        };
        reservation.set_type(reservation_info::Type::Static);
        resource.reservations.push(reservation);
    }
    let value = value_text::parse(text).map_err(|problem| ResourceError::text(token, problem))?;
    match value {
        // The raw number, so that validation still sees what would round to zero.
        ValueText::Scalar(number) => {
            resource.set_type(value::Type::Scalar);
            resource.scalar = Some(value::Scalar { value: number });
        }
        ValueText::Ranges(ranges) => Amount::Ranges(ranges).write_to(&mut resource),
        ValueText::Set(items) => Amount::Set(items).write_to(&mut resource),
        ValueText::Text(_) => {
            return Err(wrong(
                "expected a number that is not negative, '[a-b,...]' or '{a,b}'",
            ));
        }
    }
    Ok(resource)
}

/// The rules for what an operator may state.
fn given_by_operator(resources: &[Resource]) -> Result<Resources, ResourceError> {
    let mut types: BTreeMap<&str, value::Type> = BTreeMap::new();
    let mut all = Resources::new();
    for resource in resources {
        let refused =
            |field: &str, problem: &str| Err(ResourceError::field(&resource.name, field, problem));
        validate(resource)?;
        if *types.entry(&resource.name).or_insert(resource.r#type()) != resource.r#type() {
            return refused("type", "differs from that of another resource of this name");
        }
        if resource
            .disk
            .as_ref()
            .is_some_and(|disk| disk.persistence.is_some())
        {
            return refused(
                "disk.persistence",
                "a persistent volume cannot be given by a flag",
            );
        }
        if resource.revocable.is_some() {
            return refused(
                "revocable",
                "a revocable resource cannot be given by a flag",
            );
        }
        all.add_proto(resource)?;
        let dynamic =
            |reservation: &ReservationInfo| reservation.r#type() == reservation_info::Type::Dynamic;
        if resource.reservation.is_some() || resource.reservations.iter().any(dynamic) {
            return refused(
                "reservations.type",
                "a DYNAMIC one cannot be given by a flag",
            );
        }
    }
    Ok(all)
}

impl Resources {
    /// The text form, which [`parse_text`] with the default role `*` reads back as the same.
    ///
    /// # Errors
    /// Where a resource has what the text form has no words for: a dynamic or refined
    /// reservation, a disk source or volume, an allocation, a provider, or it is revocable.
    pub fn to_text(&self) -> Result<String, ResourceError> {
        let tokens: Result<Vec<String>, ResourceError> = self.iter().map(entry_text).collect();
        Ok(tokens?.join(";"))
    }
}

fn entry_text(entry: &Entry) -> Result<String, ResourceError> {
    let kind = &entry.kind;
    let problem = if kind.disk().is_some() {
        Some("it has disk information")
    } else if kind.is_revocable() {
        Some("it is revocable")
    } else if kind.is_dynamically_reserved() || kind.has_refined_reservations() {
        Some("its reservation was made at run time")
    } else if kind.allocation_role().is_some() {
        Some("it is allocated")
    } else if kind.provider_id().is_some() {
        Some("it belongs to a resource provider")
    } else if kind.name().contains([';', ':', '(', ')']) || kind.name() != kind.name().trim() {
        Some("its name would not be read back")
    } else {
        match &entry.amount {
            Amount::Set(items) if items.iter().any(|item| !is_plain(item)) => {
                Some("an item of the set would not be read back")
            }
            Amount::Scalar(amount) if Scalar::rounded(amount.to_f64()) != Some(*amount) => {
                Some("the amount is too large")
            }
            _ => None,
        }
    };
    if let Some(problem) = problem {
        return Err(ResourceError::Inexpressible {
            name: kind.name().to_owned(),
            form: "as text",
            problem,
        });
    }
    let role = kind
        .reservation_role()
        .map_or_else(String::new, |role| format!("({role})"));
    let amount = entry.amount.to_string().replace(' ', "");
    Ok(format!("{}{role}:{amount}", kind.name()))
}

/// Whether an item of a set survives being written and read.
fn is_plain(item: &str) -> bool {
    !item.is_empty() && !item.contains([' ', '\n', ',', ';', ':', '(', ')', '[', ']', '{', '}'])
}
