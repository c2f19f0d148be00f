//! The text form of offer constraints: `rack:r1,@zone~east-.*|!gpu`.
//!
//! Groups stand between `|`, constraints of a group between `,`. A constraint is an attribute's name,
//! or `@hostname`, `@region`, `@zone`, and what is said of it: `NAME` exists, `!NAME` does not,
//! `NAME:TEXT` equals, `NAME!:TEXT` does not, `NAME~REGEX` matches, `NAME!~REGEX` does not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tepui_allocator::core::{Constraints, PatternLimits};
use tepui_protocol::mesos::v1::scheduler::attribute_constraint::predicate::{
    Exists, NotExists, TextEquals, TextMatches, TextNotEquals, TextNotMatches,
};
use tepui_protocol::mesos::v1::scheduler::attribute_constraint::selector::PseudoattributeType;
use tepui_protocol::mesos::v1::scheduler::attribute_constraint::{Predicate, Selector};
use tepui_protocol::mesos::v1::scheduler::offer_constraints::RoleConstraints;
use tepui_protocol::mesos::v1::scheduler::offer_constraints::role_constraints::Group;
use tepui_protocol::mesos::v1::scheduler::{AttributeConstraint, OfferConstraints};

/// The same constraints for each of the roles; `any` for none.
pub(crate) fn read(
    text: &str,
    roles: &BTreeSet<String>,
) -> Result<BTreeMap<String, Arc<Constraints>>, String> {
    if text == "any" {
        return Ok(BTreeMap::new());
    }
    let group = |text: &str| {
        let constraints = text.split(',').map(constraint).collect::<Result<_, _>>()?;
        Ok(Group {
            attribute_constraints: constraints,
        })
    };
    let groups = text.split('|').map(group).collect::<Result<_, String>>()?;
    let all = RoleConstraints { groups };
    let roles = roles.iter().map(|role| (role.clone(), all.clone()));
    let constraints = OfferConstraints {
        role_constraints: roles.collect(),
    };
    Constraints::of_roles(&constraints, PatternLimits::default()).map_err(|e| e.to_string())
}

fn constraint(text: &str) -> Result<AttributeConstraint, String> {
    let (negated, text) = match text.strip_prefix('!') {
        Some(name) => (true, name),
        None => (false, text),
    };
    let (name, said) = match text.find(['!', ':', '~']) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let sign = if said.starts_with('!') { 2 } else { 1 };
    let (sign, said) = match said.char_indices().nth(sign) {
        Some((at, _)) => said.split_at(at),
        None if said.is_empty() => ("", ""),
        None => return Err(format!("'{text}' lacks a text")),
    };
    let said = said.to_owned();
    let mut predicate = Predicate::default();
    match (negated, sign) {
        (true, "") => predicate.not_exists = Some(NotExists {}),
        (false, "") => predicate.exists = Some(Exists {}),
        (false, ":") => predicate.text_equals = Some(TextEquals { value: said }),
        (false, "!:") => predicate.text_not_equals = Some(TextNotEquals { value: said }),
        (false, "~") => predicate.text_matches = Some(TextMatches { regex: said }),
        (false, "!~") => predicate.text_not_matches = Some(TextNotMatches { regex: said }),
        _ => return Err(format!("'{text}' is no constraint")),
    }
    let pseudoattribute = |kind: PseudoattributeType| Selector {
        pseudoattribute_type: Some(kind as i32),
        attribute_name: None,
    };
    let selector = match name {
        "@hostname" => pseudoattribute(PseudoattributeType::Hostname),
        "@region" => pseudoattribute(PseudoattributeType::Region),
        "@zone" => pseudoattribute(PseudoattributeType::Zone),
        name if name.starts_with('@') => return Err(format!("'{name}' is no pseudoattribute")),
        name => Selector {
            pseudoattribute_type: None,
            attribute_name: Some(name.to_owned()),
        },
    };
    Ok(AttributeConstraint {
        selector,
        predicate,
    })
}
