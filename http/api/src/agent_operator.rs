//! What an operator, or an executor for its tasks, asks of an agent: `POST /api/v1` on it.
//!
//! Of the agent's operator API the calls are served that are about containers in an executor's:
//! to launch one, to wait for its end, to kill it, to remove what is left of it, each in both of
//! Mesos' forms. Each other call is answered 501 by its name.
//!
//! ```text
//!   waiting ──(the agent answers)──► the answer of the request ──► ended
//!      └──(the client goes away, or the agent does)──────────────► ended
//! ```
//!
//! A call is an actor for as long as it is under way, and the agent knows it by its PID: so the
//! agent learns of a client that does not wait any more.

use std::{sync::Arc, time::Duration};

use tepui_agent::core::agent_call::{AgentCallError, validate_agent_call};
use tepui_protocol::{
    mesos::v1::agent::{Call, Response as Answer, call::Type},
    tepui::operator::{AgentOperated, OperateAgent},
};
use tepui_runtime::{
    AskError, Context, Declaration, Encoding, Handle, Id, Message as _, Node, Pid, Process,
    ProcessRef,
    http::{Handler, Request, Response},
};

use crate::{
    checks::{self, Refusal},
    operator::refusal,
    sessions::{Admission, Sessions},
};

/// A container may run for as long as it likes; who waits for longer asks again.
const PATIENCE: Duration = Duration::from_secs(365 * 24 * 3600);

/// The entrance to one agent for operators and executors.
pub(crate) struct AgentOperators {
    pub(crate) agent: Pid,
    /// Whether the agent has read its checkpoints; before that nobody is served.
    pub(crate) recovered: Arc<dyn Fn() -> bool + Send + Sync>,
    /// How many calls are under way, but for those that wait for an end.
    pub(crate) calls: Sessions<()>,
    /// How many wait: however many they are, what they wait for can still be killed.
    pub(crate) waits: Sessions<()>,
}

impl AgentOperators {
    /// `POST /api/v1`.
    pub(crate) fn handler(self) -> Handler {
        let operators = Arc::new(self);
        Arc::new(move |request, node| {
            let operators = Arc::clone(&operators);
            Box::pin(async move {
                let answer = operators.call(&request, &node).await;
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
        let valid = validate_agent_call(&call);
        // What is wrong in itself is told first, as by Mesos.
        let wrong = |problem: AgentCallError| refusal(problem.status().into(), problem.to_string());
        if let Err(problem @ AgentCallError::Invalid(_)) = valid {
            return Err(wrong(problem));
        }
        let encoding = checks::accept(&request.headers)?;
        valid.map_err(wrong)?;
        let answer = self.operate(call, node).await?;
        rendered(answer, encoding)
    }

    async fn operate(&self, call: Call, node: &Node) -> Result<AgentOperated, Refusal> {
        let sessions = match call.r#type() {
            Type::WaitContainer | Type::WaitNestedContainer => &self.waits,
            _ => &self.calls,
        };
        let admission = sessions
            .admit()
            .ok_or_else(|| Refusal::Unavailable("too many calls are under way".to_owned()))?;
        let process = UnderWay {
            agent: self.agent.clone(),
            asker: None,
            _admission: admission,
        };
        let process = node
            .spawn(Id::prefix("agent-call"), process)
            .map_err(|problem| Refusal::Unavailable(problem.to_string()))?;
        // Ended with the request, however that ends.
        let client = Client(process);
        let question = OperateAgent { call };
        node.ask(client.0.pid(), question, PATIENCE)
            .await
            .map_err(|problem| match problem {
                AskError::Exited => Refusal::Unavailable("the agent is gone".to_owned()),
                problem => Refusal::Unavailable(format!("the agent: {problem}")),
            })
    }
}

fn rendered(answer: AgentOperated, encoding: Encoding) -> Result<Response, Refusal> {
    let AgentOperated {
        status,
        problem,
        response,
    } = answer;
    match (status, response) {
        (200, Some(response)) => Ok(with_body(&response, encoding)?),
        (200, None) => Ok(Response::ok()),
        (202, _) => Ok(Response::accepted()),
        (status, _) => Err(refusal(status, problem.unwrap_or_default())),
    }
}

fn with_body(answer: &Answer, encoding: Encoding) -> Result<Response, Refusal> {
    let body = answer
        .encode(encoding)
        .map_err(|problem| Refusal::Internal(problem.to_string()))?;
    Ok(Response::bytes(200, encoding.content_type(), body))
}

/// The request of a client, which may be given up at any moment.
struct Client(ProcessRef<UnderWay>);

impl Drop for Client {
    fn drop(&mut self) {
        self.0.dispatch(|_, ctx| ctx.terminate());
    }
}

/// A call that the agent has not answered.
struct UnderWay {
    agent: Pid,
    /// Where the answer goes.
    asker: Option<Pid>,
    _admission: Admission,
}

impl Process for UnderWay {
    fn declare(declaration: &mut Declaration<Self>) {
        declaration
            .inward::<OperateAgent>()
            .inward::<AgentOperated>();
    }

    fn exited(&mut self, pid: &Pid, ctx: &mut Context<'_, Self>) {
        if *pid == self.agent {
            ctx.terminate();
        }
    }
}

impl Handle<OperateAgent> for UnderWay {
    fn handle(&mut self, question: OperateAgent, ctx: &mut Context<'_, Self>) {
        self.asker = Some(ctx.sender().clone());
        ctx.link(&self.agent);
        ctx.send(&self.agent, question);
    }
}

impl Handle<AgentOperated> for UnderWay {
    fn handle(&mut self, answer: AgentOperated, ctx: &mut Context<'_, Self>) {
        if *ctx.sender() == self.agent
            && let Some(asker) = self.asker.take()
        {
            ctx.send(&asker, answer);
            ctx.terminate();
        }
    }
}

const UNREADY: &str = "Agent has not finished recovery";

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tepui_runtime::{NodeOptions, SimOptions, World};

    use super::*;

    #[test]
    fn before_the_agent_recovered_nobody_is_served() {
        let simulation = World::simulated(SimOptions::default());
        let node = Node::start(simulation.world(), NodeOptions::default()).unwrap();
        let operators = AgentOperators {
            agent: node.pid_of("slave(1)"),
            recovered: Arc::new(|| false),
            calls: Sessions::new(1),
            waits: Sessions::new(1),
        };
        let handler = operators.handler();
        for method in ["POST", "GET"] {
            let request = Request::new(method, "/api/v1");
            let response = handler(request, node.clone()).now_or_never();
            assert_eq!(response.expect("at once").status, 503, "{method}");
        }
    }

    /// Hears all, and answers nothing.
    struct Silent;

    impl Process for Silent {
        fn declare(declaration: &mut Declaration<Self>) {
            declaration.inward::<OperateAgent>();
        }
    }

    impl Handle<OperateAgent> for Silent {
        fn handle(&mut self, _: OperateAgent, _: &mut Context<'_, Self>) {}
    }

    #[test]
    fn who_waits_keeps_no_one_from_killing() {
        let mut simulation = World::simulated(SimOptions::default());
        let node = Node::start(simulation.world(), NodeOptions::default()).unwrap();
        let agent = node.spawn(Id::chosen("slave(1)"), Silent).unwrap();
        let operators = AgentOperators {
            agent: agent.pid().clone(),
            recovered: Arc::new(|| true),
            calls: Sessions::new(1),
            waits: Sessions::new(1),
        };
        let handler = operators.handler();
        let mut ask = |kind: &str| {
            let part = kind.to_lowercase();
            let id = r#"{"value":"n","parent":{"value":"r"}}"#;
            let body = format!(r#"{{"type":"{kind}","{part}":{{"container_id":{id}}}}}"#);
            let mut request = Request::new("POST", "/api/v1");
            request.headers = [("Content-Type", "application/json")].into_iter().collect();
            request.body = body.into();
            let mut answer = handler(request, node.clone());
            let status = (&mut answer).now_or_never().map(|answer| answer.status);
            simulation.run_for(Duration::from_secs(1));
            (answer, status)
        };
        let (first, status) = ask("WAIT_CONTAINER");
        assert_eq!(status, None, "it waits");
        assert_eq!(ask("WAIT_CONTAINER").1, Some(503));
        let (kill, status) = ask("KILL_CONTAINER");
        assert_eq!(status, None, "it is passed on");
        assert_eq!(ask("REMOVE_CONTAINER").1, Some(503));
        // Who goes away makes room.
        drop((first, kill));
        assert_eq!(ask("REMOVE_CONTAINER").1, Some(503), "in a moment");
        assert_eq!(ask("REMOVE_CONTAINER").1, None);
        assert_eq!(ask("WAIT_NESTED_CONTAINER").1, None);
    }
}
