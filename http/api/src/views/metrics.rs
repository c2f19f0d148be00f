//! `/metrics/snapshot`: every metric of the node and its value.

use std::{collections::BTreeMap, sync::Arc};

use tepui_runtime::{
    Node,
    http::{Handler, Request, Response},
};

use super::json;
use crate::{checks::Refusal, units::parse_duration};

/// `timeout` is read and checked as Mesos does; every value is at hand, so that none is left out
/// for it.
pub(crate) fn metrics() -> Handler {
    Arc::new(|request, node| {
        Box::pin(async move {
            snapshot(&request, &node).map_or_else(Response::from, |values| json(&request, &values))
        })
    })
}

fn snapshot(request: &Request, node: &Node) -> Result<BTreeMap<String, f64>, Refusal> {
    if let Some(timeout) = request.query.get("timeout") {
        parse_duration(timeout).map_err(|problem| {
            Refusal::BadRequest(format!("Invalid timeout '{timeout}': {problem}.\n"))
        })?;
    }
    Ok(node.metrics().snapshot())
}
