//! From a request to the answer of whoever has the route: the same for every listener.
//!
//! Not here: how a request came and how its answer travels.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;

use super::{Request, Response, Unanswered};
use crate::node::Node;

/// Answers a request whose path is that of the URL, not percent-decoded and without the query.
/// Dropped unfinished, the handler is dropped.
pub(crate) async fn answer(node: &Node, mut request: Request) -> Response {
    let resolved = match node
        .routes()
        .resolve(&request.path, |id| node.has_process(id))
    {
        Ok(resolved) => resolved,
        Err(Unanswered::Unknown) => return Response::text(404, "404 Not Found."),
        Err(Unanswered::Disabled(path)) => {
            return Response::text(403, format!("Endpoint '{path}' is disabled"));
        }
    };
    request.path = resolved.path;
    let (handler, at) = (resolved.handler, node.clone());
    let handled = AssertUnwindSafe(async move { handler(request, at).await });
    handled.catch_unwind().await.unwrap_or_else(|_panic| {
        tracing::error!(id = resolved.id, "a handler of HTTP requests panicked");
        Response::text(500, "the handler of this request failed")
    })
}
