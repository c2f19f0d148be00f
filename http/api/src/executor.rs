//! `POST /api/v1/executor`: the executor API of an agent.
//!
//! SUBSCRIBE opens a stream and spawns its adapter (`http_executor.rs`); every other call is
//! checked and handed to the adapter of its executor's stream. `202` means received, no more.
//! Whether a call may be made is the agent's own rule, asked of its latest snapshot.

use std::sync::Arc;

use tepui_agent::core::call::CallError;
use tepui_protocol::mesos::v1::executor::{Call, call};
use tepui_runtime::{
    Encoding, Id, Node, Pid,
    http::{Handler, Request, Response, body_channel},
};

use crate::{
    checks::{self, Refusal},
    http_executor::{ExecutorSessions, HttpExecutor, peer},
    options::ApiOptions,
    stream::EventStream,
};

/// The agent's rule for whether a call may be made.
pub type ValidateExecutorCall = dyn Fn(&Call) -> Result<(), CallError> + Send + Sync;

/// What the gateway asks of an agent without a message to it.
#[derive(Clone)]
pub struct AgentView {
    /// Whether a call may be made.
    pub validate: Arc<ValidateExecutorCall>,
    /// Whether the agent has recovered so far that executors may subscribe.
    pub open: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// The executor API of one agent.
pub(crate) struct ExecutorApi {
    pub(crate) agent: Pid,
    pub(crate) view: AgentView,
    pub(crate) options: ApiOptions,
    pub(crate) sessions: Arc<ExecutorSessions>,
}

impl ExecutorApi {
    pub(crate) fn handler(self) -> Handler {
        let api = Arc::new(self);
        Arc::new(move |request, node| {
            let api = Arc::clone(&api);
            Box::pin(async move { api.answer(&request, &node).unwrap_or_else(Response::from) })
        })
    }

    fn answer(&self, request: &Request, node: &Node) -> Result<Response, Refusal> {
        if !(self.view.open)() {
            return Err(refusal(&CallError::Recovering));
        }
        checks::method(request, &["POST"])?;
        let encoding = checks::content_type(&request.headers)?;
        let call: Call = checks::decode("Call", encoding, &request.body)?;
        let allowed = (self.view.validate)(&call);
        match (call.r#type(), allowed) {
            (_, Err(problem @ CallError::Invalid(_))) => Err(refusal(&problem)),
            // It only keeps the client's connection busy; Mesos takes it from anyone.
            (call::Type::Heartbeat, _) => Ok(Response::accepted()),
            (call::Type::Subscribe, allowed) => {
                let encoding = checks::accept(&request.headers)?;
                allowed.map_err(|problem| refusal(&problem))?;
                self.subscribe(call, encoding, node)
            }
            (_, allowed) => {
                allowed.map_err(|problem| refusal(&problem))?;
                self.call(call)
            }
        }
    }

    fn subscribe(&self, call: Call, encoding: Encoding, node: &Node) -> Result<Response, Refusal> {
        let admission = self.sessions.admit().ok_or_else(|| {
            node.metrics()
                .counter("http/executor_streams_refused")
                .increment(1);
            Refusal::Unavailable(format!(
                "{} streams are open already",
                self.options.max_streams
            ))
        })?;
        let (writer, reader) = body_channel(self.options.stream_buffer_bytes);
        let stream = EventStream::new(writer, encoding);
        let sessions = Arc::clone(&self.sessions);
        let adapter = HttpExecutor::new(self.agent.clone(), sessions, call, stream, admission);
        node.spawn(Id::prefix("http-executor"), adapter)
            .map_err(|problem| Refusal::Unavailable(problem.to_string()))?;
        Ok(Response::stream(200, encoding.content_type(), reader))
    }

    fn call(&self, call: Call) -> Result<Response, Refusal> {
        let peer = peer(&call.framework_id.value, &call.executor_id.value);
        let session = self
            .sessions
            .find(&peer)
            .ok_or_else(|| refusal(&CallError::NotSubscribed))?;
        session
            .adapter
            .dispatch(move |adapter, ctx| adapter.forward(call, ctx));
        Ok(Response::accepted())
    }
}

fn refusal(problem: &CallError) -> Refusal {
    let text = problem.to_string();
    match problem.status() {
        403 => Refusal::Forbidden(text),
        501 => Refusal::NotImplemented(text),
        503 => Refusal::Unavailable(text),
        _ => Refusal::BadRequest(text),
    }
}
