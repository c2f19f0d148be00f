//! Which agents offer constraints keep out of a framework's offers, for people to see.
//! What keeps them out of a run is the same judgement (`core/constraints.rs`).

use std::collections::BTreeMap;

use tepui_protocol::mesos::v1::AgentInfo;
use tepui_protocol::mesos::v1::scheduler::OfferConstraints;

use crate::core::{Constraints, PatternLimits};
use crate::intake;

/// The ids of the agents that the constraints of each role exclude, in the order of `agents`. A
/// role without constraints is not there, and what is no constraint excludes nobody: frameworks
/// with such are refused.
#[must_use]
pub fn excluded<'a>(
    constraints: &OfferConstraints,
    agents: impl IntoIterator<Item = &'a AgentInfo>,
) -> BTreeMap<String, Vec<String>> {
    // They were found to be small enough when the framework came with them.
    let limits = PatternLimits {
        max_memory: usize::MAX,
        max_program: usize::MAX,
    };
    let roles = Constraints::of_roles(constraints, limits).unwrap_or_default();
    let mut excluded: BTreeMap<String, Vec<String>> = roles
        .keys()
        .map(|role| (role.clone(), Vec::new()))
        .collect();
    for agent in agents {
        let Ok(spec) = intake::agent(agent.clone(), &[], &[]) else {
            continue;
        };
        for (role, constraints) in &roles {
            if !constraints.admit(&spec)
                && let Some(ids) = excluded.get_mut(role)
            {
                ids.push(spec.id.clone());
            }
        }
    }
    excluded
}

#[cfg(test)]
mod tests {
    use tepui_protocol::attributes;
    use tepui_protocol::mesos::v1::AgentId;

    use super::*;

    fn agent(id: &str, text: &str) -> AgentInfo {
        AgentInfo {
            hostname: id.to_owned(),
            attributes: attributes::parse(text).unwrap(),
            id: Some(AgentId { value: id.into() }),
            ..AgentInfo::default()
        }
    }

    #[test]
    fn agents_are_excluded_by_role() {
        let wants = |role: &str, rack: &str| {
            format!(
                r#""{role}":{{"groups":[{{"attribute_constraints":[{{
                "selector":{{"attribute_name":"rack"}},
                "predicate":{{"text_matches":{{"regex":"{rack}"}}}}}}]}}]}}"#
            )
        };
        // Longer than the flags' defaults would let through.
        let long = "r1|".repeat(200) + "r2";
        let text = format!(
            r#"{{"role_constraints":{{{},{}}}}}"#,
            wants("x", "r1"),
            wants("y", &long)
        );
        let constraints = tepui_protocol::json::from_slice(text.as_bytes()).unwrap();
        let agents = [agent("a", "rack:r1"), agent("b", "rack:r2"), agent("c", "")];
        let found = excluded(&constraints, &agents);
        let found: Vec<(&str, Vec<&str>)> = found
            .iter()
            .map(|(role, ids)| (role.as_str(), ids.iter().map(String::as_str).collect()))
            .collect();
        assert_eq!(found, [("x", vec!["b", "c"]), ("y", vec!["c"])]);
        assert!(excluded(&OfferConstraints::default(), &agents).is_empty());
    }
}
