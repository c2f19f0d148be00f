//! What an operator asks of the master: `POST /api/v1`, the operator API, and `POST /teardown`.
//!
//! Of the operator API the calls are served that change agents and frameworks: TEARDOWN,
//! MARK_AGENT_GONE, DEACTIVATE_AGENT and REACTIVATE_AGENT. Each other one is answered 501 by its
//! name. They go to the master as questions, and are answered when it has done what was asked for.

use std::{sync::Arc, time::Duration};

use tepui_protocol::{
    mesos::v1::{
        FrameworkId,
        master::{Call, call},
    },
    tepui::operator::{Operate, Operated},
};
use tepui_runtime::{
    Node, Pid,
    http::{Handler, Request, Response, parse_query},
};

use crate::{
    checks::{self, Refusal},
    http_scheduler::SchedulerSessions,
    validate,
};

/// How long the master may take; it has a limit of its own for its registry.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// The operators' entrance to one master.
pub(crate) struct Operators {
    pub(crate) master: Pid,
    /// Whether the master has read its registry; before that nobody is served.
    pub(crate) recovered: Arc<dyn Fn() -> bool + Send + Sync>,
    /// The streams of frameworks: one that is torn down has none.
    pub(crate) sessions: Arc<SchedulerSessions>,
}

impl Operators {
    /// `POST /api/v1`.
    pub(crate) fn api(self: &Arc<Self>) -> Handler {
        let operators = Arc::clone(self);
        Arc::new(move |request, node| {
            let operators = Arc::clone(&operators);
            Box::pin(async move {
                let answer = operators.call(&request, &node).await;
                answer.unwrap_or_else(Response::from)
            })
        })
    }

    /// `POST /teardown`, with `frameworkId=...` as its body.
    pub(crate) fn teardown(self: &Arc<Self>) -> Handler {
        let operators = Arc::clone(self);
        Arc::new(move |request, node| {
            let operators = Arc::clone(&operators);
            Box::pin(async move {
                let answer = operators.tear_down(&request, &node).await;
                answer.unwrap_or_else(Response::from)
            })
        })
    }

    async fn call(&self, request: &Request, node: &Node) -> Result<Response, Refusal> {
        if !matches!(request.path.as_str(), "/api/v1" | "/api/v1/") {
            return Err(Refusal::NotFound(String::new()));
        }
        if !(self.recovered)() {
            return Err(Refusal::Unavailable(UNREADY.to_owned()));
        }
        checks::method(request, &["POST"])?;
        let encoding = checks::content_type(&request.headers)?;
        let call: Call = checks::decode("Call", encoding, &request.body)?;
        validate::operator_call(&call)?;
        checks::accept(&request.headers)?;
        let kind = call.r#type();
        if !tepui_master::operates(kind) {
            return Err(Refusal::NotImplemented(format!(
                "{} is not offered",
                kind.as_str_name()
            )));
        }
        self.operate(call, node).await
    }

    async fn tear_down(&self, request: &Request, node: &Node) -> Result<Response, Refusal> {
        checks::method(request, &["POST"])?;
        let body = std::str::from_utf8(&request.body)
            .map_err(|_| bad("Unable to decode query string: it is not UTF-8"))?;
        let query = parse_query(body.trim_end());
        let id = query
            .get("frameworkId")
            .cloned()
            .ok_or_else(|| bad("Missing 'frameworkId' query parameter in the request body"))?;
        let call = Call {
            r#type: Some(call::Type::Teardown.into()),
            teardown: Some(call::Teardown {
                framework_id: FrameworkId { value: id },
            }),
            ..Call::default()
        };
        self.operate(call, node).await
    }

    async fn operate(&self, call: Call, node: &Node) -> Result<Response, Refusal> {
        let torn_down = call.teardown.as_ref();
        let torn_down = torn_down.filter(|_| call.r#type() == call::Type::Teardown);
        let torn_down = torn_down.map(|part| part.framework_id.value.clone());
        let question = Operate { call };
        let answer: Operated = node
            .ask(&self.master, question, PATIENCE)
            .await
            .map_err(|problem| Refusal::Unavailable(format!("the master: {problem}")))?;
        outcome(answer)?;
        // The framework is not told; its stream just ends.
        if let Some(session) = torn_down.and_then(|id| self.sessions.find(&id)) {
            session
                .adapter
                .dispatch(|adapter, ctx| adapter.torn_down(ctx));
        }
        Ok(Response::ok())
    }
}

/// What the master answered, as HTTP has it.
pub(crate) fn outcome(answer: Operated) -> Result<(), Refusal> {
    match answer.status {
        200 => Ok(()),
        status => Err(refusal(status, answer.problem.unwrap_or_default())),
    }
}

/// What a process has refused with a status of HTTP.
pub(crate) fn refusal(status: u32, problem: String) -> Refusal {
    match status {
        400 => Refusal::BadRequest(problem),
        403 => Refusal::Forbidden(problem),
        404 => Refusal::NotFound(problem),
        409 => Refusal::Conflict(problem),
        501 => Refusal::NotImplemented(problem),
        503 => Refusal::Unavailable(problem),
        _ => Refusal::Internal(problem),
    }
}

const UNREADY: &str = "Master has not finished recovery";

fn bad(text: &str) -> Refusal {
    Refusal::BadRequest(text.to_owned())
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tepui_runtime::{NodeOptions, SimOptions, World};

    use super::*;

    #[test]
    fn before_the_master_recovered_operators_are_not_served() {
        let simulation = World::simulated(SimOptions::default());
        let node = Node::start(simulation.world(), NodeOptions::default()).unwrap();
        let operators = Arc::new(Operators {
            master: node.pid_of("master"),
            recovered: Arc::new(|| false),
            sessions: Arc::new(SchedulerSessions::new(1)),
        });
        for method in ["POST", "GET"] {
            let request = Request::new(method, "/api/v1");
            let response = (operators.api())(request, node.clone()).now_or_never();
            assert_eq!(response.expect("at once").status, 503, "{method}");
        }
    }
}
