//! What is wanted of a place: predicates on one site, and how tasks of a group are spread.
//!
//! Not here: resources (`matcher`), and what is merely preferred (`delay`).

use std::collections::BTreeMap;

use tepui_protocol::mesos::v1::scheduler::attribute_constraint::{self, predicate};
use tepui_protocol::mesos::v1::scheduler::offer_constraints::{RoleConstraints, role_constraints};
use tepui_protocol::mesos::v1::scheduler::{AttributeConstraint, OfferConstraints};

use crate::site::{Selector, Site};

/// Something that a site must be. Of an attribute that is there several times the first counts,
/// as for the master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Constraint {
    /// It has it, whatever its value.
    Has(Selector),
    /// It does not have it.
    Lacks(Selector),
    /// It has it with this value (in the text form of `--attributes`).
    Is(Selector, String),
    /// It does not have it, or with another value.
    IsNot(Selector, String),
}

impl Constraint {
    /// Whether the site is so.
    #[must_use]
    pub fn admits(&self, site: &Site) -> bool {
        match self {
            Constraint::Has(selector) => !site.values(selector).is_empty(),
            Constraint::Lacks(selector) => site.values(selector).is_empty(),
            Constraint::Is(selector, value) => site.first(selector) == Some(value.as_str()),
            Constraint::IsNot(selector, value) => site.first(selector) != Some(value.as_str()),
        }
    }

    /// As an offer constraint, with which the master does not even offer what does not serve;
    /// `None` for what offer constraints cannot say.
    #[must_use]
    pub fn to_proto(&self) -> Option<AttributeConstraint> {
        let mut predicate = attribute_constraint::Predicate::default();
        let selector = match self {
            Constraint::Has(selector) => {
                predicate.exists = Some(predicate::Exists {});
                selector
            }
            Constraint::Lacks(selector) => {
                predicate.not_exists = Some(predicate::NotExists {});
                selector
            }
            Constraint::Is(selector, value) => {
                let value = value.clone();
                predicate.text_equals = Some(predicate::TextEquals { value });
                selector
            }
            Constraint::IsNot(selector, value) => {
                let value = value.clone();
                predicate.text_not_equals = Some(predicate::TextNotEquals { value });
                selector
            }
        };
        Some(AttributeConstraint {
            selector: selector.to_proto()?,
            predicate,
        })
    }
}

/// Offer constraints by which `role` is offered agents that fulfill all of `constraints`; those
/// that cannot be said so are left to the scheduler, and if that is all of them, nothing is said
/// (a master refuses a group of none). Goes into `Options::offer_constraints`.
#[must_use]
pub fn offer_constraints<'a>(
    role: &str,
    constraints: impl IntoIterator<Item = &'a Constraint>,
) -> OfferConstraints {
    let attribute_constraints: Vec<AttributeConstraint> = constraints
        .into_iter()
        .filter_map(Constraint::to_proto)
        .collect();
    if attribute_constraints.is_empty() {
        return OfferConstraints::default();
    }
    let group = role_constraints::Group {
        attribute_constraints,
    };
    let role_constraints = RoleConstraints {
        groups: vec![group],
    };
    OfferConstraints {
        role_constraints: BTreeMap::from([(role.to_owned(), role_constraints)]),
    }
}

/// At most so many tasks of one group where [`Selector`] has the same value; a site that has no
/// value there takes none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spread {
    /// The group's name.
    pub group: String,
    /// Where they are told apart.
    pub per: Selector,
    /// How many may be together, at least 1.
    pub at_most: usize,
}

/// Which task of which group runs where: what [`Spread`] is judged by. The scheduler adds what
/// it launches and removes what has ended.
#[derive(Debug, Clone, Default)]
pub struct Places {
    tasks: BTreeMap<String, (String, Site)>,
}

impl Places {
    /// Task `id` of `group` is at `site`.
    pub fn add(&mut self, id: &str, group: &str, site: Site) {
        self.tasks.insert(id.to_owned(), (group.to_owned(), site));
    }

    /// The task is over.
    pub fn remove(&mut self, id: &str) {
        self.tasks.remove(id);
    }

    /// An offer shows more of an agent than was known when its tasks were added.
    pub fn seen(&mut self, site: &Site) {
        for (_, known) in self.tasks.values_mut() {
            if known.agent == site.agent && known != site {
                *known = site.clone();
            }
        }
    }

    /// Whether one more task may go to `site`.
    #[must_use]
    pub fn admits(&self, spread: &Spread, site: &Site) -> bool {
        let values = site.values(&spread.per);
        let together = |(group, other): &&(String, Site)| {
            *group == spread.group
                && other
                    .values(&spread.per)
                    .iter()
                    .any(|it| values.contains(it))
        };
        !values.is_empty() && self.tasks.values().filter(together).count() < spread.at_most
    }
}

#[cfg(test)]
mod tests {
    use tepui_protocol::mesos::v1::{AgentId, Attribute, Offer, value};

    use super::*;

    fn offer(agent: &str, host: &str, attributes: &[(&str, &str)]) -> Offer {
        let attribute = |&(name, text): &(&str, &str)| Attribute {
            name: name.to_owned(),
            r#type: value::Type::Text as i32,
            text: Some(value::Text {
                value: text.to_owned(),
            }),
            ..Attribute::default()
        };
        Offer {
            agent_id: AgentId {
                value: agent.to_owned(),
            },
            hostname: host.to_owned(),
            attributes: attributes.iter().map(attribute).collect(),
            ..Offer::default()
        }
    }

    #[test]
    fn each_predicate_holds_where_it_says() {
        let rack = Selector::Attribute("rack".to_owned());
        let (one, none) = (
            offer("S0", "a", &[("rack", "r1"), ("rack", "r2")]),
            offer("S1", "b", &[]),
        );
        let (one, none) = (Site::of(&one), Site::of(&none));
        let (r1, r2) = ("r1".to_owned(), "r2".to_owned());
        for (constraint, expected) in [
            (Constraint::Has(rack.clone()), (true, false)),
            (Constraint::Lacks(rack.clone()), (false, true)),
            (Constraint::Is(rack.clone(), r1.clone()), (true, false)),
            (Constraint::IsNot(rack.clone(), r1), (false, true)),
            // The first counts.
            (Constraint::Is(rack.clone(), r2.clone()), (false, false)),
            (Constraint::IsNot(rack, r2), (true, true)),
            (
                Constraint::Is(Selector::Hostname, "b".to_owned()),
                (false, true),
            ),
            (
                Constraint::Is(Selector::Agent, "S0".to_owned()),
                (true, false),
            ),
            (Constraint::Has(Selector::Zone), (false, false)),
        ] {
            let seen = (constraint.admits(&one), constraint.admits(&none));
            assert_eq!(seen, expected, "{constraint:?}");
        }
    }

    #[test]
    fn what_the_master_can_judge_goes_to_it() {
        let wanted = [
            Constraint::Is(Selector::Attribute("rack".to_owned()), "r1".to_owned()),
            Constraint::Is(Selector::Agent, "S0".to_owned()),
        ];
        let told = offer_constraints("web", &wanted);
        let groups = &told.role_constraints["web"].groups;
        assert_eq!(groups.len(), 1);
        let told = &groups[0].attribute_constraints;
        assert_eq!(told.len(), 1, "an agent's id is no attribute");
        assert_eq!(Some(&told[0]), wanted[0].to_proto().as_ref());
    }

    #[test]
    fn where_the_master_can_judge_nothing_it_is_told_nothing() {
        let wanted = [Constraint::Is(Selector::Agent, "S0".to_owned())];
        for wanted in [&wanted[..], &[]] {
            let told = offer_constraints("web", wanted);
            assert_eq!(
                told,
                OfferConstraints::default(),
                "an empty group is invalid"
            );
        }
    }

    #[test]
    fn a_group_is_spread_also_over_agents_that_were_only_heard_of() {
        let spread = Spread {
            group: "web".to_owned(),
            per: Selector::Hostname,
            at_most: 1,
        };
        let (a, same, b) = (
            offer("S0", "a", &[]),
            offer("S1", "a", &[]),
            offer("S2", "b", &[]),
        );
        let (a, same, b) = (Site::of(&a), Site::of(&same), Site::of(&b));
        let mut places = Places::default();
        places.add("web.1", "web", Site::unseen("S0"));
        places.add("db.1", "db", b.clone());
        assert!(
            places.admits(&spread, &same),
            "where S0 is, is not known yet"
        );
        places.seen(&a);
        assert!(!places.admits(&spread, &same));
        assert!(places.admits(&spread, &b), "another group does not matter");
        places.remove("web.1");
        assert!(places.admits(&spread, &same));
        assert!(!places.admits(&spread, &Site::unseen("S9")));
    }
}
