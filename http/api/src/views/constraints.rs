//! `/allocator/offer_constraints_debug`: which agents the offer constraints of each framework
//! exclude, by role, and the roles in which it wants no offers at all.

use std::{collections::BTreeMap, collections::BTreeSet, sync::Arc};

use serde::Serialize;
use tepui_master::Published;
use tepui_runtime::http::Handler;

use super::{rendered, to_json};

#[derive(Serialize)]
struct View<'a> {
    frameworks: BTreeMap<&'a str, Excluded<'a>>,
}

#[derive(Serialize)]
struct Excluded<'a> {
    suppressed_roles: &'a BTreeSet<String>,
    excluded_by_attribute_constraints: BTreeMap<String, Vec<String>>,
}

pub(crate) fn offer_constraints(published: &Arc<Published>) -> Handler {
    let published = Arc::clone(published);
    rendered(move |_, _| {
        let snapshot = published.load();
        let frameworks = snapshot.frameworks.values().map(|framework| {
            let agents = snapshot.agents.values().map(|agent| &*agent.info);
            let excluded = Excluded {
                suppressed_roles: &framework.suppressed_roles,
                excluded_by_attribute_constraints: framework.excluded(agents),
            };
            (framework.id.as_str(), excluded)
        });
        let frameworks = frameworks.collect();
        to_json(&View { frameworks })
    })
}
