//! `POST /api/v1/scheduler`: the scheduler API of the master.
//!
//! SUBSCRIBE opens a stream and spawns its adapter (`http_scheduler.rs`); every other call is
//! checked and handed to the adapter of its framework's stream. `202` means received, no more; the
//! `200` of UPDATE_FRAMEWORK says that it is done.

use std::sync::Arc;

use tepui_protocol::mesos::v1::scheduler::{Call, call};
use tepui_protocol::tepui::operator::Operated;
use tepui_runtime::{
    AskError, Encoding, Id, Node, Pid,
    http::{Handler, Request, Response, body_channel},
};

use crate::{
    checks::{self, Refusal},
    http_scheduler::{HttpScheduler, SchedulerSessions},
    operator,
    options::ApiOptions,
    stream::EventStream,
    validate,
};

/// What the master knows of a framework, as far as the gateway must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Framework {
    /// No such framework.
    Unknown,
    /// Known, and without a connection.
    Disconnected,
    /// Connected as this PID.
    Connected(Pid),
}

/// Asks the master's latest snapshot for a framework.
pub type FindFramework = Arc<dyn Fn(&str) -> Framework + Send + Sync>;

/// Gives the master an UPDATE_FRAMEWORK of the first PID, and has the second one answered with an
/// `Operated` when it is done.
pub type UpdateFramework = Arc<dyn Fn(Pid, Call, Pid) + Send + Sync>;

/// What the gateway asks of a master without a message to it.
#[derive(Clone)]
pub struct MasterView {
    /// Whether the master has read its registry; before that nobody is served.
    pub recovered: Arc<dyn Fn() -> bool + Send + Sync>,
    /// How a framework stands.
    pub find: FindFramework,
    /// Whether calls of a type are offered; the others are answered 501.
    pub supported: fn(call::Type) -> bool,
    /// How an UPDATE_FRAMEWORK reaches it: that call alone is answered when it is done.
    pub update: UpdateFramework,
}

/// The scheduler API of one master.
pub(crate) struct SchedulerApi {
    pub(crate) master: Pid,
    pub(crate) view: MasterView,
    pub(crate) options: ApiOptions,
    pub(crate) sessions: Arc<SchedulerSessions>,
}

impl SchedulerApi {
    pub(crate) fn handler(self) -> Handler {
        let api = Arc::new(self);
        Arc::new(move |request, node| {
            let api = Arc::clone(&api);
            Box::pin(async move {
                let answer = api.answer(&request, &node).await;
                answer.unwrap_or_else(Response::from)
            })
        })
    }

    async fn answer(&self, request: &Request, node: &Node) -> Result<Response, Refusal> {
        if !(self.view.recovered)() {
            let problem = "Master has not finished recovery".to_owned();
            return Err(Refusal::Unavailable(problem));
        }
        checks::method(request, &["POST"])?;
        let encoding = checks::content_type(&request.headers)?;
        let call: Call = checks::decode("Call", encoding, &request.body)?;
        validate::scheduler_call(&call)?;
        let stream_id = request.headers.get("Mesos-Stream-Id");
        match call.r#type() {
            call::Type::Subscribe => {
                let encoding = checks::accept(&request.headers)?;
                if stream_id.is_some() {
                    return Err(bad(
                        "Subscribe calls should not include the 'Mesos-Stream-Id' header",
                    ));
                }
                self.subscribe(call, encoding, node)
            }
            call::Type::ReconcileOperations => {
                checks::accept(&request.headers)?;
                self.call(call, stream_id, node).await
            }
            _ => self.call(call, stream_id, node).await,
        }
    }

    fn subscribe(&self, call: Call, encoding: Encoding, node: &Node) -> Result<Response, Refusal> {
        let admission = self.sessions.admit().ok_or_else(|| {
            node.metrics()
                .counter("http/scheduler_streams_refused")
                .increment(1);
            Refusal::Unavailable(format!(
                "{} streams are open already",
                self.options.max_streams
            ))
        })?;
        let (writer, reader) = body_channel(self.options.stream_buffer_bytes);
        let stream_id = node.random().uuid().to_string();
        let adapter = HttpScheduler::new(
            self.master.clone(),
            Arc::clone(&self.sessions),
            stream_id.clone(),
            call,
            EventStream::new(writer, encoding),
            admission,
            Arc::clone(&self.view.update),
        );
        node.spawn(Id::prefix("http-scheduler"), adapter)
            .map_err(|problem| Refusal::Unavailable(problem.to_string()))?;
        Ok(Response::stream(200, encoding.content_type(), reader)
            .with_header("Mesos-Stream-Id", stream_id))
    }

    /// Every call but SUBSCRIBE. The order of the checks is Mesos'.
    async fn call(
        &self,
        call: Call,
        stream_id: Option<&str>,
        node: &Node,
    ) -> Result<Response, Refusal> {
        let framework_id = call
            .framework_id
            .as_ref()
            .map(|id| id.value.clone())
            .unwrap_or_default();
        let Some(session) = self.sessions.find(&framework_id) else {
            return Err(match (self.view.find)(&framework_id) {
                Framework::Unknown => bad("Framework cannot be found"),
                _ if self.sessions.has_left(&framework_id) => bad("Framework cannot be found"),
                Framework::Connected(pid) if !is_adapter(&pid) => {
                    Refusal::Forbidden("Framework is not connected via HTTP".to_owned())
                }
                _ => Refusal::Forbidden("Framework is not subscribed".to_owned()),
            });
        };
        let Some(stream_id) = stream_id else {
            return Err(bad(
                "All non-subscribe calls should include the 'Mesos-Stream-Id' header",
            ));
        };
        if stream_id != session.stream_id {
            return Err(Refusal::BadRequest(format!(
                "The stream ID '{stream_id}' included in this request didn't match the stream ID \
                 currently associated with framework ID {framework_id}"
            )));
        }
        let kind = call.r#type();
        if !(self.view.supported)(kind) {
            return Err(Refusal::NotImplemented(format!(
                "{} is not offered",
                kind.as_str_name()
            )));
        }
        if kind == call::Type::UpdateFramework {
            return update_framework(session.pid, call, node).await;
        }
        if kind == call::Type::Teardown {
            self.sessions.leaves(&framework_id);
        }
        session
            .adapter
            .dispatch(move |adapter, ctx| adapter.forward(call, ctx));
        Ok(Response::accepted())
    }
}

/// The call that is answered when it is done. It goes by the adapter, behind the calls before it.
async fn update_framework(adapter: Pid, call: Call, node: &Node) -> Result<Response, Refusal> {
    let answer = node.ask(&adapter, call, operator::PATIENCE).await;
    let answer: Operated = answer.map_err(|problem| match problem {
        AskError::Exited | AskError::Refused { .. } => {
            Refusal::Forbidden("Framework is not subscribed".to_owned())
        }
        other => Refusal::Unavailable(format!("the master: {other}")),
    })?;
    operator::outcome(answer)?;
    Ok(Response::ok())
}

/// Whether a framework's PID is one of our adapters, whose stream may just have ended.
pub(crate) fn is_adapter(pid: &Pid) -> bool {
    pid.id().starts_with("http-scheduler(")
}

fn bad(text: &str) -> Refusal {
    Refusal::BadRequest(text.to_owned())
}
