//! `/metrics/prometheus`: the metrics of the node as Prometheus reads them. Ours; Mesos has none.

use std::sync::Arc;

use tepui_runtime::http::{Handler, Response};

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(crate) fn prometheus() -> Handler {
    Arc::new(|_, node| {
        Box::pin(async move {
            let metrics = node.metrics().clone();
            match node.blocking(move || metrics.prometheus()).await {
                Some(text) => Response::bytes(200, TEXT, text),
                None => Response::text(500, "the metrics could not be rendered"),
            }
        })
    })
}
