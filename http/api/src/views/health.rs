//! `/health`: `200` and nothing else, by any method.

use std::sync::Arc;

use tepui_runtime::http::{Handler, Response};

pub(crate) fn health() -> Handler {
    Arc::new(|_, _| Box::pin(async { Response::ok() }))
}
