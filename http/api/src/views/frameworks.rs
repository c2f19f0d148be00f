//! `/frameworks`, of one framework where `framework_id` names it.

use std::sync::Arc;

use serde::{Serialize, Serializer, ser::SerializeMap};
use tepui_master::{Published, Snapshot};
use tepui_runtime::http::Handler;

use super::{Each, NOTHING, framework::FrameworkView, rendered, to_json};

pub(crate) fn frameworks(published: &Arc<Published>) -> Handler {
    let published = Arc::clone(published);
    rendered(move |request, _| {
        to_json(&FrameworksView {
            snapshot: &published.load(),
            only: request.query.get("framework_id").map(String::as_str),
        })
    })
}

struct FrameworksView<'a> {
    snapshot: &'a Snapshot,
    only: Option<&'a str>,
}

impl Serialize for FrameworksView<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(3))?;
        write(&mut map, self.snapshot, self.only)?;
        map.serialize_entry("unregistered_frameworks", &NOTHING)?;
        map.end()
    }
}

/// Writes the lists of frameworks into the object around them.
pub(crate) fn write<M: SerializeMap>(
    map: &mut M,
    snapshot: &Snapshot,
    only: Option<&str>,
) -> Result<(), M::Error> {
    let wanted = |id: &str| only.is_none_or(|only| only == id);
    let registered = || {
        let frameworks = snapshot.frameworks.values();
        frameworks
            .filter(|framework| wanted(&framework.id))
            .map(|framework| FrameworkView {
                framework,
                snapshot,
            })
    };
    map.serialize_entry("frameworks", &Each(registered))?;
    let completed = || {
        let frameworks = snapshot.completed_frameworks.iter();
        frameworks
            .filter(|(id, _)| wanted(id))
            .map(|(_, framework)| FrameworkView {
                framework,
                snapshot,
            })
    };
    map.serialize_entry("completed_frameworks", &Each(completed))
}
