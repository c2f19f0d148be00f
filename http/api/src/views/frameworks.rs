//! `/frameworks`, of one framework where `framework_id` names it.

use std::sync::Arc;

use serde::{Serialize, Serializer, ser::SerializeMap};
use tepui_master::{Published, Snapshot};
use tepui_runtime::http::Handler;

use super::{NOTHING, Wanted, framework::FrameworkView, rendered, to_json};

pub(crate) fn frameworks(published: &Arc<Published>) -> Handler {
    let published = Arc::clone(published);
    rendered(move |request, _| {
        to_json(&FrameworksView {
            snapshot: &published.load(),
            wanted: Wanted::by(request, "framework_id"),
        })
    })
}

struct FrameworksView<'a> {
    snapshot: &'a Snapshot,
    wanted: Wanted<'a>,
}

impl Serialize for FrameworksView<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(3))?;
        write(&mut map, self.snapshot, self.wanted)?;
        map.serialize_entry("unregistered_frameworks", &NOTHING)?;
        map.end()
    }
}

/// Writes the lists of frameworks into the object around them.
pub(crate) fn write<M: SerializeMap>(
    map: &mut M,
    snapshot: &Snapshot,
    wanted: Wanted<'_>,
) -> Result<(), M::Error> {
    let view = |framework| FrameworkView {
        framework,
        snapshot,
    };
    wanted.list(map, "frameworks", || snapshot.frameworks.iter(), view)?;
    let completed = || snapshot.completed_frameworks.iter();
    wanted.list(map, "completed_frameworks", completed, view)
}
