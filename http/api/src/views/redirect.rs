//! `/redirect`: sends a browser to the leading master.

use std::sync::Arc;

use tepui_master::{Published, Snapshot};
use tepui_runtime::http::{Handler, Response};

/// A master that leads names itself. As in Mesos the path is not kept, and what is below
/// `/redirect` is not found, so that a link in a page does not lead round in circles.
pub(crate) fn redirect(published: &Arc<Published>) -> Handler {
    let published = Arc::clone(published);
    Arc::new(move |request, _| {
        let found = request.path == "/redirect";
        let location = location(&published.load());
        Box::pin(async move {
            if found {
                Response::status(307).with_header("Location", location)
            } else {
                Response::text(404, "404 Not Found.")
            }
        })
    })
}

fn location(snapshot: &Snapshot) -> String {
    let leader = &snapshot.master_info;
    format!("//{}:{}", leader.hostname(), leader.port)
}
