//! `/version`.

use std::sync::Arc;

use tepui_runtime::http::Handler;

use super::{build::BUILD, json};

pub(crate) fn version() -> Handler {
    Arc::new(|request, _| Box::pin(async move { json(&request, &*BUILD) }))
}
