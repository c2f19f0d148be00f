//! Where a task would run, as an offer tells it: the agent, its machine, its attributes.
//!
//! Not here: what the offer has (`matcher`), what is wanted of the place (`constraint`).

use std::collections::BTreeMap;
use std::fmt;

use tepui_protocol::mesos::v1::scheduler::attribute_constraint::{self, selector};
use tepui_protocol::mesos::v1::{Attribute, Offer, value};
use tepui_protocol::resources::{Range, Scalar};

/// What is looked at in a [`Site`]. The first three and attributes are what Mesos' offer
/// constraints select; an agent's id is known to schedulers alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Selector {
    /// The hostname that the agent told.
    Hostname,
    /// The region of its fault domain.
    Region,
    /// The zone of its fault domain.
    Zone,
    /// The agent itself.
    Agent,
    /// The attribute of this name.
    Attribute(String),
}

impl Selector {
    /// As an offer constraint has it; `None` for [`Selector::Agent`].
    #[must_use]
    pub fn to_proto(&self) -> Option<attribute_constraint::Selector> {
        let mut selected = attribute_constraint::Selector::default();
        let pseudo = match self {
            Selector::Hostname => selector::PseudoattributeType::Hostname,
            Selector::Region => selector::PseudoattributeType::Region,
            Selector::Zone => selector::PseudoattributeType::Zone,
            Selector::Attribute(name) => {
                selected.attribute_name = Some(name.clone());
                return Some(selected);
            }
            Selector::Agent => return None,
        };
        selected.pseudoattribute_type = Some(pseudo as i32);
        Some(selected)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selector::Hostname => f.write_str("hostname"),
            Selector::Region => f.write_str("region"),
            Selector::Zone => f.write_str("zone"),
            Selector::Agent => f.write_str("agent"),
            Selector::Attribute(name) => write!(f, "attribute {name}"),
        }
    }
}

/// A place for tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Site {
    /// The agent's id.
    pub agent: String,
    hostname: Option<String>,
    region: Option<String>,
    zone: Option<String>,
    /// Values of attributes in their text form; one name may have several.
    attributes: BTreeMap<String, Vec<String>>,
}

impl Site {
    /// The agent of an offer.
    #[must_use]
    pub fn of(offer: &Offer) -> Site {
        let fault = offer
            .domain
            .as_ref()
            .and_then(|it| it.fault_domain.as_ref());
        let mut attributes: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for attribute in &offer.attributes {
            let values = attributes.entry(attribute.name.clone()).or_default();
            values.push(text(attribute));
        }
        Site {
            agent: offer.agent_id.value.clone(),
            hostname: Some(offer.hostname.clone()).filter(|name| !name.is_empty()),
            region: fault.map(|fault| fault.region.name.clone()),
            zone: fault.map(|fault| fault.zone.name.clone()),
            attributes,
        }
    }

    /// An agent of which only the id is known, such as from an update of a task.
    #[must_use]
    pub fn unseen(agent: impl Into<String>) -> Site {
        Site {
            agent: agent.into(),
            ..Site::default()
        }
    }

    /// What it has there; none where it has no such thing.
    #[must_use]
    pub fn values(&self, selector: &Selector) -> Vec<&str> {
        match selector {
            Selector::Hostname => self.hostname.as_deref().into_iter().collect(),
            Selector::Region => self.region.as_deref().into_iter().collect(),
            Selector::Zone => self.zone.as_deref().into_iter().collect(),
            Selector::Agent => vec![&self.agent],
            Selector::Attribute(name) => {
                let values = self.attributes.get(name);
                values.into_iter().flatten().map(String::as_str).collect()
            }
        }
    }

    /// The first it has there: what a master looks at.
    pub(crate) fn first(&self, selector: &Selector) -> Option<&str> {
        self.values(selector).first().copied()
    }
}

/// An attribute's value as `--attributes` would have it.
fn text(attribute: &Attribute) -> String {
    match attribute.r#type() {
        value::Type::Text => attribute.text.as_ref().map(|it| it.value.clone()),
        value::Type::Scalar => attribute.scalar.as_ref().map(|scalar| {
            let exact = Scalar::rounded(scalar.value);
            exact.map_or_else(|| scalar.value.to_string(), |exact| exact.to_string())
        }),
        value::Type::Ranges => attribute.ranges.as_ref().map(|ranges| {
            let ranges = ranges.range.iter().map(|range| Range {
                begin: range.begin,
                end: range.end,
            });
            let ranges: Vec<String> = ranges
                .map(|it| format!("{}-{}", it.begin, it.end))
                .collect();
            format!("[{}]", ranges.join(","))
        }),
        value::Type::Set => attribute
            .set
            .as_ref()
            .map(|set| format!("{{{}}}", set.item.join(","))),
    }
    .unwrap_or_default()
}
