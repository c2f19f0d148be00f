//! `/why`: why a framework is offered nothing of each agent, and why a task is not running.
//!
//! With `task_id` it is about the tasks of that id, of one framework where `framework_id` names
//! it; without, about the framework. The reasons for offers are the allocator's own, at the moment
//! of the question. Mesos has nothing like it.

mod framework;
mod task;

use std::sync::Arc;
use std::time::Duration;

use tepui_master::Master;
use tepui_protocol::{
    mesos::v1::FrameworkId,
    tepui::allocator::{Explain, Explained},
};
use tepui_runtime::{
    Node,
    http::{Handler, Request, Response},
};

use crate::{checks::Refusal, views};

/// How long the allocator may take to answer; a run over a large cluster may be under way.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn why(master: &Master) -> Handler {
    let master = master.clone();
    Arc::new(move |request, node| {
        let master = master.clone();
        Box::pin(async move {
            let answer = answer(&request, &node, &master).await;
            answer.unwrap_or_else(Response::from)
        })
    })
}

async fn answer(request: &Request, node: &Node, master: &Master) -> Result<Response, Refusal> {
    let id = |key: &str| request.query.get(key).map(String::as_str);
    let snapshot = master.snapshot();
    if let Some(task_id) = id("task_id") {
        let answer = task::tasks(&snapshot, id("framework_id"), task_id)?;
        return Ok(views::json(request, &answer));
    }
    let Some(framework_id) = id("framework_id") else {
        let problem = "Expecting 'framework_id' or 'task_id' in the query.\n";
        return Err(Refusal::BadRequest(problem.to_owned()));
    };
    if snapshot.framework(framework_id).is_none() {
        return framework::absent(&snapshot, framework_id)
            .map(|answer| views::json(request, &answer));
    }
    let question = Explain {
        framework_id: FrameworkId {
            value: framework_id.to_owned(),
        },
    };
    let reasons: Explained = node
        .ask(master.pid(), question, PATIENCE)
        .await
        .map_err(|problem| Refusal::Unavailable(format!("the allocator: {problem}\n")))?;
    // Taken after the answer, so that what was offered meanwhile is seen.
    let answer = framework::framework(&master.snapshot(), framework_id, reasons.reasons);
    Ok(views::json(request, &answer))
}
