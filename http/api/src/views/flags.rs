//! `/flags`: the flags of the daemon that have a value, given or by default, as text.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Serialize, ser::SerializeMap};
use tepui_runtime::http::Handler;

use super::json;

/// Flags by name.
pub(crate) type Flags = Arc<BTreeMap<String, String>>;

#[derive(Serialize)]
struct View<'a> {
    flags: &'a BTreeMap<String, String>,
}

pub(crate) fn flags(flags: &Flags) -> Handler {
    let flags = Arc::clone(flags);
    Arc::new(move |request, _| {
        let flags = Arc::clone(&flags);
        Box::pin(async move { json(&request, &View { flags: &flags }) })
    })
}

/// Writes the flags into the object around them, those named in `own` also under a key of their
/// own.
pub(super) fn write<M: SerializeMap>(
    map: &mut M,
    flags: &Flags,
    own: &[&str],
) -> Result<(), M::Error> {
    for name in own {
        if let Some(value) = flags.get(*name) {
            map.serialize_entry(name, value)?;
        }
    }
    map.serialize_entry("flags", &**flags)
}
