//! The executor API on the wire. The agent is a small one that does what a test needs; whether a
//! call may be made is decided by the real agent's rule.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
    mpsc,
};

use tepui_agent::core::call::{Standing, validate_executor_call};
use tepui_api::{AgentView, ApiOptions, executor_routes};
use tepui_protocol::mesos::v1::{
    ExecutorId, FrameworkId,
    executor::{Call, Event, call, event},
};
use tepui_runtime::{
    Context, Declaration, Encoding, Handle, Id, Message as _, Node, NodeOptions, Pid, Process,
    RealOptions, World,
};

use crate::support::{Reply, request};

const PATH: &str = "/slave(1)/api/v1/executor";
const JSON: [(&str, &str); 1] = [("Content-Type", "application/json")];

/// Subscribes the executor `e` of the framework `f`, and refuses `bad`.
struct SmallAgent {
    heard: mpsc::Sender<(call::Type, Pid)>,
    subscribed: Arc<AtomicBool>,
}

impl Process for SmallAgent {
    fn declare(declaration: &mut Declaration<Self>) {
        declaration.message::<Call>();
    }
}

impl Handle<Call> for SmallAgent {
    fn handle(&mut self, call: Call, ctx: &mut Context<'_, Self>) {
        let from = ctx.sender().clone();
        let kind = call.r#type();
        if kind == call::Type::Subscribe && call.executor_id.value == "bad" {
            let error = event::Error {
                message: "no".to_owned(),
            };
            let event = Event {
                error: Some(error),
                ..event(event::Type::Error)
            };
            ctx.send(&from, event);
        } else if kind == call::Type::Subscribe {
            self.subscribed.store(true, Ordering::Release);
            ctx.send(&from, event(event::Type::Subscribed));
        }
        self.heard.send((kind, from)).unwrap();
    }
}

fn event(kind: event::Type) -> Event {
    Event {
        r#type: Some(kind.into()),
        ..Event::default()
    }
}

struct Stage {
    node: Node,
    heard: mpsc::Receiver<(call::Type, Pid)>,
    open: Arc<AtomicBool>,
}

impl Stage {
    fn new() -> Self {
        let world = World::real(RealOptions::default()).unwrap();
        let node = Node::start(&world, NodeOptions::default()).unwrap();
        let (sender, heard) = mpsc::channel();
        let (open, subscribed) = (
            Arc::new(AtomicBool::new(true)),
            Arc::<AtomicBool>::default(),
        );
        let agent = SmallAgent {
            heard: sender,
            subscribed: Arc::clone(&subscribed),
        };
        let agent = node.spawn(Id::chosen("slave(1)"), agent).unwrap();
        let standing = move |framework: &str, executor: &str| match (framework, executor) {
            ("f", "e") if subscribed.load(Ordering::Acquire) => Standing::Subscribed,
            ("f", "e" | "bad") => Standing::NotSubscribed,
            ("f", _) => Standing::NoExecutor,
            _ => Standing::NoFramework,
        };
        let (is_open, asked) = (Arc::clone(&open), Arc::clone(&open));
        let view = AgentView {
            validate: Arc::new(move |call| {
                validate_executor_call(call, asked.load(Ordering::Acquire), &standing)
            }),
            open: Arc::new(move || is_open.load(Ordering::Acquire)),
        };
        executor_routes(&node, agent.pid(), view, ApiOptions::default());
        Self { node, heard, open }
    }

    fn post(&self, headers: &[(&str, &str)], body: &str) -> Reply {
        request(self.node.address(), "POST", PATH, headers, body.as_bytes())
    }

    /// A call of the executor `executor` of the framework `framework`, and what is in it besides.
    fn call(&self, kind: &str, framework: &str, executor: &str, part: &str) -> Reply {
        let ids = format!(
            r#""framework_id":{{"value":"{framework}"}},"executor_id":{{"value":"{executor}"}}"#
        );
        self.post(&JSON, &format!(r#"{{"type":"{kind}",{ids}{part}}}"#))
    }

    fn next(&self) -> (call::Type, Pid) {
        self.heard
            .recv_timeout(std::time::Duration::from_secs(20))
            .unwrap()
    }
}

fn said(mut reply: Reply) -> (u16, String) {
    (reply.status, reply.text())
}

const SUBSCRIBE: &str = r#","subscribe":{}"#;
const MESSAGE: &str = r#","message":{"data":"aGk="}"#;

#[test]
fn calls_are_checked_before_the_agent_hears_of_them() {
    let stage = Stage::new();
    let unknown = |text: &str| (400, text.to_owned());
    let reply = stage.call("SUBSCRIBE", "other", "e", SUBSCRIBE);
    assert_eq!(said(reply), unknown("Framework cannot be found"));
    let reply = stage.call("SUBSCRIBE", "f", "other", SUBSCRIBE);
    assert_eq!(said(reply), unknown("Executor cannot be found"));
    let reply = stage.call("MESSAGE", "f", "e", MESSAGE);
    assert_eq!(said(reply), (403, "Executor is not subscribed".to_owned()));
    let (status, text) = said(stage.call("SUBSCRIBE", "f", "e", ""));
    assert_eq!(status, 400);
    assert!(
        text.ends_with("Expecting 'subscribe' to be present"),
        "{text}"
    );
    let (status, text) = said(stage.post(&JSON, r#"{"type":"SUBSCRIBE"}"#));
    assert_eq!(status, 400);
    assert!(text.contains("executor_id"), "the path is named: {text}");
    let mut get = request(stage.node.address(), "GET", PATH, &[], b"");
    assert_eq!((get.status, get.header("allow")), (405, Some("POST")));
    assert!(get.text().starts_with("405 Method Not Allowed"));
    assert_eq!(
        said(stage.call("HEARTBEAT", "other", "e", "")),
        (202, String::new())
    );
    assert!(stage.heard.try_recv().is_err());
}

#[test]
fn an_executor_is_a_pid_to_the_agent() {
    let stage = Stage::new();
    let mut stream = stage.call("SUBSCRIBE", "f", "e", SUBSCRIBE);
    assert_eq!(
        (stream.status, stream.header("mesos-stream-id")),
        (200, None)
    );
    assert_eq!(stream.json(), serde_json::json!({"type": "SUBSCRIBED"}));
    let pid = stage.node.pid_of("http-executor(1)");
    assert_eq!(stage.next(), (call::Type::Subscribe, pid.clone()));
    assert_eq!(stage.call("MESSAGE", "f", "e", MESSAGE).status, 202);
    assert_eq!(stage.next(), (call::Type::Message, pid));
}

#[test]
fn an_executor_may_speak_protobuf() {
    let stage = Stage::new();
    let call = Call {
        framework_id: FrameworkId {
            value: "f".to_owned(),
        },
        executor_id: ExecutorId {
            value: "e".to_owned(),
        },
        r#type: Some(call::Type::Subscribe.into()),
        subscribe: Some(call::Subscribe::default()),
        ..Call::default()
    };
    let body = call.encode(Encoding::Protobuf).unwrap();
    let headers = [
        ("Content-Type", "application/x-protobuf"),
        ("Accept", "application/x-protobuf"),
    ];
    let mut stream = request(stage.node.address(), "POST", PATH, &headers, &body);
    let kind = stream.header("content-type");
    assert_eq!((stream.status, kind), (200, Some("application/x-protobuf")));
    let record = stream.record().unwrap();
    let subscribed = Event::decode(Encoding::Protobuf, &record).unwrap();
    assert_eq!(subscribed, event(event::Type::Subscribed));
    assert_eq!(stage.next().0, call::Type::Subscribe);
    let mut refused = request(stage.node.address(), "POST", PATH, &headers, b"\xff");
    let text = refused.text();
    assert_eq!(refused.status, 400);
    assert!(
        text.starts_with("Failed to parse body into Call protobuf: "),
        "{text}"
    );
}

#[test]
fn what_is_accepted_counts_for_a_stream_only() {
    let stage = Stage::new();
    let html = [JSON[0], ("Accept", "text/html")];
    let ids = r#""framework_id":{"value":"f"},"executor_id":{"value":"e"}"#;
    let reply = stage.post(
        &html,
        &format!(r#"{{"type":"SUBSCRIBE",{ids}{SUBSCRIBE}}}"#),
    );
    let text = "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'";
    assert_eq!(said(reply), (406, text.to_owned()));
    let mut stream = stage.call("SUBSCRIBE", "f", "e", SUBSCRIBE);
    assert_eq!(stream.json(), serde_json::json!({"type": "SUBSCRIBED"}));
    let reply = stage.post(&html, &format!(r#"{{"type":"MESSAGE",{ids}{MESSAGE}}}"#));
    assert_eq!(said(reply), (202, String::new()));
}

#[test]
fn a_refused_executor_is_told_and_its_stream_ends() {
    let stage = Stage::new();
    let mut stream = stage.call("SUBSCRIBE", "f", "bad", SUBSCRIBE);
    let expected = serde_json::json!({"type": "ERROR", "error": {"message": "no"}});
    assert_eq!(stream.json(), expected);
    assert_eq!(stream.record(), None);
}

#[test]
fn before_the_agent_recovered_nobody_is_served() {
    let stage = Stage::new();
    stage.open.store(false, Ordering::Release);
    let expected = (503, "Agent has not finished recovery".to_owned());
    assert_eq!(said(stage.call("SUBSCRIBE", "f", "e", SUBSCRIBE)), expected);
    assert_eq!(said(stage.post(&[], "")), expected);
}
