//! Offer constraints: on which agents a framework wants offers in a role.
//!
//! Any of a role's groups must be met, and of a group every constraint. A constraint selects an
//! attribute of the agent (the first of that name), or its hostname, region or zone, and says
//! something about it:
//!
//! | | not there | not of type TEXT | else |
//! |---|---|---|---|
//! | exists | no | yes | yes |
//! | not_exists | yes | no | no |
//! | text_equals | no | yes | if it is this text |
//! | text_not_equals | yes | yes | if it is another |
//! | text_matches | no | yes | if all of it matches |
//! | text_not_matches | yes | yes | if it does not |
//!
//! Not here: what a regular expression may be (`pattern`).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tepui_protocol::mesos::v1::scheduler::attribute_constraint::selector::PseudoattributeType;
use tepui_protocol::mesos::v1::scheduler::attribute_constraint::{self as proto};
use tepui_protocol::mesos::v1::scheduler::offer_constraints::RoleConstraints;
use tepui_protocol::mesos::v1::scheduler::{AttributeConstraint, OfferConstraints};
use tepui_protocol::mesos::v1::value;

use super::inputs::AgentSpec;
use super::pattern::{Pattern, PatternError, PatternLimits};

/// What makes constraints invalid, in Mesos' words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConstraintError {
    /// A role that names no group.
    #[error(
        "'OfferConstraints::role_constraints' has an empty 'RoleConstraints::groups' for role \
         {role}"
    )]
    NoGroups {
        /// The role.
        role: String,
    },
    /// A group without a constraint.
    #[error(
        "'OfferConstraints::RoleConstraints::groups' for role {role} contains an empty \
         RoleConstraints::Group"
    )]
    EmptyGroup {
        /// The role.
        role: String,
    },
    /// A constraint that is none.
    #[error("A role {role} has an invalid 'AttributeConstraint': {problem}")]
    Constraint {
        /// The role.
        role: String,
        /// What is wrong with it.
        #[source]
        problem: AttributeProblem,
    },
}

/// What is wrong with one constraint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttributeProblem {
    /// It does not say of what.
    #[error(
        "Exactly one of 'AttributeConstraint::Selector::name' or \
         'AttributeConstraint::Selector::pseudoattribute_type' must be set"
    )]
    NoSelector,
    /// There is no such pseudoattribute.
    #[error("Unknown pseudoattribute type")]
    UnknownPseudoattribute,
    /// It says nothing.
    #[error("Unknown predicate type")]
    NoPredicate,
    /// It says several things at once.
    #[error("'AttributeConstraint::Predicate' must not have more than one predicate")]
    SeveralPredicates,
    /// Its regular expression may not be.
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

/// The constraints of a framework in one role.
#[derive(Clone, Debug)]
pub struct Constraints {
    groups: Vec<Vec<Constraint>>,
    /// As they came.
    source: RoleConstraints,
}

impl PartialEq for Constraints {
    fn eq(&self, other: &Constraints) -> bool {
        self.source == other.source
    }
}

impl Constraints {
    /// Reads the constraints of all roles.
    ///
    /// # Errors
    /// The first that is invalid.
    pub fn of_roles(
        constraints: &OfferConstraints,
        limits: PatternLimits,
    ) -> Result<BTreeMap<String, Arc<Constraints>>, ConstraintError> {
        constraints
            .role_constraints
            .iter()
            .map(|(role, source)| Ok((role.clone(), Arc::new(of_role(role, source, limits)?))))
            .collect()
    }

    /// Whether an agent meets them.
    #[must_use]
    pub fn admit(&self, agent: &AgentSpec) -> bool {
        self.groups
            .iter()
            .any(|group| group.iter().all(|constraint| constraint.holds(agent)))
    }

    /// Of each group the first constraint that the agent does not meet; nothing, if it meets a
    /// whole group.
    #[must_use]
    pub fn unmet(&self, agent: &AgentSpec) -> Vec<String> {
        let first = |group: &Vec<Constraint>| {
            let unmet = group.iter().find(|constraint| !constraint.holds(agent));
            unmet.map(Constraint::to_string)
        };
        let unmet: Option<Vec<String>> = self.groups.iter().map(first).collect();
        unmet.unwrap_or_default()
    }
}

fn of_role(
    role: &str,
    source: &RoleConstraints,
    limits: PatternLimits,
) -> Result<Constraints, ConstraintError> {
    let role = || role.to_owned();
    if source.groups.is_empty() {
        return Err(ConstraintError::NoGroups { role: role() });
    }
    let mut groups = Vec::with_capacity(source.groups.len());
    for group in &source.groups {
        if group.attribute_constraints.is_empty() {
            return Err(ConstraintError::EmptyGroup { role: role() });
        }
        let constraints = group.attribute_constraints.iter();
        let constraints = constraints.map(|constraint| Constraint::read(constraint, limits));
        let constraints = constraints.collect::<Result<_, _>>();
        groups.push(constraints.map_err(|problem| ConstraintError::Constraint {
            role: role(),
            problem,
        })?);
    }
    Ok(Constraints {
        groups,
        source: source.clone(),
    })
}

#[derive(Clone, Debug)]
struct Constraint {
    selector: Selector,
    predicate: Predicate,
}

#[derive(Clone, Debug)]
enum Selector {
    Attribute(String),
    Hostname,
    Region,
    Zone,
}

#[derive(Clone, Debug)]
enum Predicate {
    Exists,
    NotExists,
    Equals(String),
    NotEquals(String),
    Matches(Pattern),
    NotMatches(Pattern),
}

/// What a selector finds at an agent.
enum Found<'a> {
    Nothing,
    Text(&'a str),
    NoText,
}

impl Constraint {
    fn read(
        source: &AttributeConstraint,
        limits: PatternLimits,
    ) -> Result<Constraint, AttributeProblem> {
        Ok(Constraint {
            selector: Selector::read(&source.selector)?,
            predicate: Predicate::read(&source.predicate, limits)?,
        })
    }

    fn holds(&self, agent: &AgentSpec) -> bool {
        match (&self.predicate, self.selector.find(agent)) {
            (Predicate::Exists, found) => !matches!(found, Found::Nothing),
            (Predicate::NotExists, found) => matches!(found, Found::Nothing),
            (_, Found::NoText) => true,
            (Predicate::Equals(_) | Predicate::Matches(_), Found::Nothing) => false,
            (Predicate::NotEquals(_) | Predicate::NotMatches(_), Found::Nothing) => true,
            (Predicate::Equals(text), Found::Text(found)) => text == found,
            (Predicate::NotEquals(text), Found::Text(found)) => text != found,
            (Predicate::Matches(pattern), Found::Text(found)) => pattern.matches(found),
            (Predicate::NotMatches(pattern), Found::Text(found)) => !pattern.matches(found),
        }
    }
}

impl Predicate {
    fn read(
        source: &proto::Predicate,
        limits: PatternLimits,
    ) -> Result<Predicate, AttributeProblem> {
        let pattern = |text: &str| Pattern::new(text, limits).map_err(AttributeProblem::from);
        let matches = source.text_matches.as_ref();
        let matches = matches.map(|text| pattern(&text.regex)).transpose()?;
        let differs = source.text_not_matches.as_ref();
        let differs = differs.map(|text| pattern(&text.regex)).transpose()?;
        let equals = source.text_equals.as_ref();
        let not_equals = source.text_not_equals.as_ref();
        let said = [
            source.exists.map(|_| Predicate::Exists),
            source.not_exists.map(|_| Predicate::NotExists),
            equals.map(|text| Predicate::Equals(text.value.clone())),
            not_equals.map(|text| Predicate::NotEquals(text.value.clone())),
            matches.map(Predicate::Matches),
            differs.map(Predicate::NotMatches),
        ];
        let mut said = said.into_iter().flatten();
        match (said.next(), said.next()) {
            (Some(predicate), None) => Ok(predicate),
            (Some(_), Some(_)) => Err(AttributeProblem::SeveralPredicates),
            (None, _) => Err(AttributeProblem::NoPredicate),
        }
    }
}

impl Selector {
    fn read(source: &proto::Selector) -> Result<Selector, AttributeProblem> {
        match (&source.attribute_name, source.pseudoattribute_type) {
            (Some(name), None) => Ok(Selector::Attribute(name.clone())),
            (None, Some(kind)) => match PseudoattributeType::try_from(kind) {
                Ok(PseudoattributeType::Hostname) => Ok(Selector::Hostname),
                Ok(PseudoattributeType::Region) => Ok(Selector::Region),
                Ok(PseudoattributeType::Zone) => Ok(Selector::Zone),
                Ok(PseudoattributeType::Unknown) | Err(_) => {
                    Err(AttributeProblem::UnknownPseudoattribute)
                }
            },
            _ => Err(AttributeProblem::NoSelector),
        }
    }

    fn find<'a>(&self, agent: &'a AgentSpec) -> Found<'a> {
        let text = |text: &'a Option<String>| text.as_deref().map_or(Found::Nothing, Found::Text);
        match self {
            Selector::Hostname => Found::Text(&agent.hostname),
            Selector::Region => text(&agent.region),
            Selector::Zone => text(&agent.zone),
            Selector::Attribute(name) => {
                let attribute = agent.attributes.iter().find(|known| known.name == *name);
                match attribute.map(|known| (known.r#type(), &known.text)) {
                    None => Found::Nothing,
                    Some((value::Type::Text, Some(text))) => Found::Text(&text.value),
                    Some(_) => Found::NoText,
                }
            }
        }
    }
}

/// What must be, for people.
impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.selector {
            Selector::Attribute(name) => write!(f, "attribute '{name}'")?,
            Selector::Hostname => f.write_str("the hostname")?,
            Selector::Region => f.write_str("the region")?,
            Selector::Zone => f.write_str("the zone")?,
        }
        match &self.predicate {
            Predicate::Exists => f.write_str(" must be there"),
            Predicate::NotExists => f.write_str(" must not be there"),
            Predicate::Equals(text) => write!(f, " must be '{text}'"),
            Predicate::NotEquals(text) => write!(f, " must not be '{text}'"),
            Predicate::Matches(pattern) => write!(f, " must match '{}'", pattern.text()),
            Predicate::NotMatches(pattern) => write!(f, " must not match '{}'", pattern.text()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tepui_protocol::attributes;

    use super::super::inputs::AgentCapabilities;
    use super::*;

    fn agent(text: &str) -> AgentSpec {
        AgentSpec {
            id: "a".into(),
            hostname: "node-7.example.com".into(),
            region: Some("east".into()),
            zone: Some("east-2".into()),
            attributes: attributes::parse(text).unwrap(),
            capabilities: AgentCapabilities {
                multi_role: true,
                hierarchical_role: true,
            },
            total: tepui_protocol::resources::Resources::new(),
        }
    }

    /// The constraints of role `r`, from the JSON of its groups.
    fn read(groups: &str) -> Result<Arc<Constraints>, ConstraintError> {
        let text = format!(r#"{{"role_constraints":{{"r":{{"groups":{groups}}}}}}}"#);
        let constraints = tepui_protocol::json::from_slice(text.as_bytes()).unwrap();
        let mut roles = Constraints::of_roles(&constraints, PatternLimits::default())?;
        Ok(roles.remove("r").unwrap())
    }

    fn one(selector: &str, predicate: &str) -> Arc<Constraints> {
        let constraint = format!(r#"{{"selector":{selector},"predicate":{predicate}}}"#);
        read(&format!(r#"[{{"attribute_constraints":[{constraint}]}}]"#)).unwrap()
    }

    const PREDICATES: [&str; 6] = [
        r#"{"exists":{}}"#,
        r#"{"not_exists":{}}"#,
        r#"{"text_equals":{"value":"r1"}}"#,
        r#"{"text_not_equals":{"value":"r1"}}"#,
        r#"{"text_matches":{"regex":"r[0-9]"}}"#,
        r#"{"text_not_matches":{"regex":"r[0-9]"}}"#,
    ];

    #[test]
    fn each_predicate_of_what_is_there_and_what_is_not() {
        let cases = [
            ("", [false, true, false, true, false, true]),
            ("rack:7", [true, false, true, true, true, true]),
            ("rack:[1-3]", [true, false, true, true, true, true]),
            ("rack:r1", [true, false, true, false, true, false]),
            ("rack:r2", [true, false, false, true, true, false]),
            ("rack:r10", [true, false, false, true, false, true]),
            // The first of a name counts.
            ("rack:r2;rack:r1", [true, false, false, true, true, false]),
            ("Rack:r1", [false, true, false, true, false, true]),
        ];
        for (attributes, expected) in cases {
            let agent = agent(attributes);
            for (predicate, expected) in PREDICATES.iter().zip(expected) {
                let constraints = one(r#"{"attribute_name":"rack"}"#, predicate);
                assert_eq!(
                    constraints.admit(&agent),
                    expected,
                    "{attributes} {predicate}"
                );
                assert_eq!(constraints.unmet(&agent).is_empty(), expected);
            }
        }
    }

    #[test]
    fn hostname_region_and_zone_can_be_selected() {
        let mut agent = agent("");
        let holds = |agent: &AgentSpec, kind: &str, predicate: &str| {
            let selector = format!(r#"{{"pseudoattribute_type":"{kind}"}}"#);
            one(&selector, predicate).admit(agent)
        };
        let equals = |text: &str| format!(r#"{{"text_equals":{{"value":"{text}"}}}}"#);
        assert!(holds(&agent, "HOSTNAME", &equals("node-7.example.com")));
        assert!(!holds(&agent, "HOSTNAME", PREDICATES[1]));
        assert!(holds(&agent, "REGION", &equals("east")));
        assert!(holds(&agent, "ZONE", &equals("east-2")));
        assert!(!holds(&agent, "ZONE", &equals("east")));
        (agent.region, agent.zone) = (None, None);
        for kind in ["REGION", "ZONE"] {
            assert!(holds(&agent, kind, PREDICATES[1]) && !holds(&agent, kind, PREDICATES[0]));
        }
    }

    #[test]
    fn any_group_is_enough_and_all_of_it_must_hold() {
        let constraint = |name: &str, value: &str| {
            format!(
                r#"{{"selector":{{"attribute_name":"{name}"}},"predicate":{{"text_equals":{{"value":"{value}"}}}}}}"#
            )
        };
        let group = |constraints: &[String]| {
            format!(r#"{{"attribute_constraints":[{}]}}"#, constraints.join(","))
        };
        let constraints = read(&format!(
            "[{},{}]",
            group(&[constraint("rack", "r1"), constraint("os", "debian")]),
            group(&[constraint("rack", "r9")])
        ))
        .unwrap();
        assert!(constraints.admit(&agent("rack:r1;os:debian")));
        assert!(constraints.admit(&agent("rack:r9;os:centos")));
        let other = agent("rack:r1;os:centos");
        assert!(!constraints.admit(&other));
        assert_eq!(
            constraints.unmet(&other),
            [
                "attribute 'os' must be 'debian'",
                "attribute 'rack' must be 'r9'"
            ]
        );
    }

    #[test]
    fn what_says_nothing_is_invalid() {
        let error = |groups: &str| read(groups).unwrap_err().to_string();
        assert_eq!(
            error("[]"),
            "'OfferConstraints::role_constraints' has an empty 'RoleConstraints::groups' for role r"
        );
        assert_eq!(
            error("[{}]"),
            "'OfferConstraints::RoleConstraints::groups' for role r contains an empty \
             RoleConstraints::Group"
        );
        let of = |selector: &str, predicate: &str| {
            error(&format!(
                r#"[{{"attribute_constraints":[{{"selector":{selector},"predicate":{predicate}}}]}}]"#
            ))
        };
        assert!(of("{}", PREDICATES[0]).contains("must be set"));
        assert_eq!(
            of(r#"{"pseudoattribute_type":"UNKNOWN"}"#, PREDICATES[0]),
            "A role r has an invalid 'AttributeConstraint': Unknown pseudoattribute type"
        );
        assert_eq!(
            of(r#"{"attribute_name":"rack"}"#, "{}"),
            "A role r has an invalid 'AttributeConstraint': Unknown predicate type"
        );
        let name = r#"{"attribute_name":"rack"}"#;
        assert!(of(name, r#"{"exists":{},"not_exists":{}}"#).contains("more than one"));
        let both = r#"{"attribute_name":"rack","pseudoattribute_type":"ZONE"}"#;
        assert!(of(both, PREDICATES[0]).contains("must be set"));
        assert!(of(name, r#"{"text_matches":{"regex":"("}}"#).contains("'('"));
        assert!(of(name, r#"{"text_not_matches":{"regex":"[a"}}"#).contains("'[a'"));
    }
}
