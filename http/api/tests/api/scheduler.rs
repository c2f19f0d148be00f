//! The scheduler API on the wire: statuses and texts as Mesos 1.11 answers them, the stream, and
//! what the master sees of it. The master is a small one that does what a test needs.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
};

use crate::support::{Reply, request};
use tepui_api::{ApiOptions, Framework, MasterView, scheduler_routes};
use tepui_protocol::mesos::v1::{
    FrameworkId, OfferId,
    scheduler::{Call, Event, call, event},
};
use tepui_protocol::tepui::operator::Operated;
use tepui_runtime::{
    Context, Declaration, Encoding, Handle, Id, Message as _, Node, NodeOptions, Pid, Process,
    RealOptions, World,
};

const PATH: &str = "/master/api/v1/scheduler";

/// What the master was told, in order.
#[derive(Debug, PartialEq)]
enum Heard {
    Call(call::Type, Pid),
    Exited(Pid),
}

/// Subscribes everyone, except who is called `refused`; answers REVIVE with a large event.
struct SmallMaster {
    heard: mpsc::Sender<Heard>,
    frameworks: Frameworks,
    next: usize,
}

type Frameworks = Arc<Mutex<BTreeMap<String, Framework>>>;

impl Process for SmallMaster {
    fn declare(declaration: &mut Declaration<Self>) {
        declaration.message::<Call>();
    }

    fn exited(&mut self, pid: &Pid, _ctx: &mut Context<'_, Self>) {
        for framework in self.frameworks.lock().unwrap().values_mut() {
            if *framework == Framework::Connected(pid.clone()) {
                *framework = Framework::Disconnected;
            }
        }
        self.heard.send(Heard::Exited(pid.clone())).unwrap();
    }
}

impl Handle<Call> for SmallMaster {
    fn handle(&mut self, call: Call, ctx: &mut Context<'_, Self>) {
        let from = ctx.sender().clone();
        self.heard
            .send(Heard::Call(call.r#type(), from.clone()))
            .unwrap();
        match call.r#type() {
            call::Type::Subscribe => {
                let info = call.subscribe.unwrap().framework_info;
                if info.name == "refused" {
                    let error = event::Error {
                        message: "no".to_owned(),
                    };
                    let event = Event {
                        error: Some(error),
                        ..event(event::Type::Error)
                    };
                    return ctx.send(&from, event);
                }
                ctx.link(&from);
                let id = info
                    .id
                    .map_or_else(|| format!("f-{}", self.next), |id| id.value);
                self.next += 1;
                let connected = Framework::Connected(from.clone());
                self.frameworks
                    .lock()
                    .unwrap()
                    .insert(id.clone(), connected);
                let subscribed = event::Subscribed {
                    framework_id: FrameworkId { value: id },
                    ..event::Subscribed::default()
                };
                let event = Event {
                    subscribed: Some(subscribed),
                    ..event(event::Type::Subscribed)
                };
                ctx.send(&from, event);
            }
            call::Type::Revive => {
                let rescind = event::Rescind {
                    offer_id: OfferId {
                        value: "o".repeat(60_000),
                    },
                };
                ctx.send(
                    &from,
                    Event {
                        rescind: Some(rescind),
                        ..event(event::Type::Rescind)
                    },
                );
            }
            _ => {}
        }
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
    heard: mpsc::Receiver<Heard>,
    frameworks: Frameworks,
    recovered: Arc<AtomicBool>,
}

impl Stage {
    fn new(options: ApiOptions) -> Self {
        let world = World::real(RealOptions::default()).unwrap();
        let node = Node::start(&world, NodeOptions::default()).unwrap();
        let (sender, heard) = mpsc::channel();
        let frameworks = Frameworks::default();
        let master = SmallMaster {
            heard: sender,
            frameworks: Arc::clone(&frameworks),
            next: 0,
        };
        let master = node.spawn(Id::chosen("master"), master).unwrap();
        let known = Arc::clone(&frameworks);
        let find = move |id: &str| {
            known
                .lock()
                .unwrap()
                .get(id)
                .cloned()
                .unwrap_or(Framework::Unknown)
        };
        let supported = |kind| kind != call::Type::Request;
        let recovered = Arc::new(AtomicBool::new(true));
        let is_recovered = Arc::clone(&recovered);
        let answering = node.clone();
        let view = MasterView {
            recovered: Arc::new(move || is_recovered.load(Ordering::Acquire)),
            find: Arc::new(find),
            supported,
            update: Arc::new(move |from, call, asker| {
                let update = call.update_framework.unwrap();
                let (status, problem) = match update.framework_info.name.as_str() {
                    "other" => (400, Some("not so".to_owned())),
                    "late" => (403, Some("Framework is not subscribed".to_owned())),
                    _ => (200, None),
                };
                answering.send(&from, &asker, Operated { status, problem });
            }),
        };
        scheduler_routes(&node, master.pid(), view, options);
        Self {
            node,
            heard,
            frameworks,
            recovered,
        }
    }

    fn post(&self, headers: &[(&str, &str)], body: &str) -> Reply {
        request(self.node.address(), "POST", PATH, headers, body.as_bytes())
    }

    fn subscribe(&self) -> (Reply, String, String) {
        let mut stream = self.post(&JSON, SUBSCRIBE);
        assert_eq!(stream.status, 200);
        let stream_id = stream.header("mesos-stream-id").unwrap().to_owned();
        let subscribed = stream.json();
        let id = subscribed["subscribed"]["framework_id"]["value"]
            .as_str()
            .unwrap()
            .to_owned();
        assert_eq!(stream.json(), serde_json::json!({"type": "HEARTBEAT"}));
        (stream, id, stream_id)
    }

    fn call(&self, kind: &str, id: &str, stream_id: Option<&str>) -> Reply {
        let body = format!(r#"{{"type":"{kind}","framework_id":{{"value":"{id}"}}}}"#);
        match stream_id {
            None => self.post(&JSON, &body),
            Some(stream_id) => self.post(&[JSON[0], ("Mesos-Stream-Id", stream_id)], &body),
        }
    }

    fn next(&self) -> Heard {
        self.heard
            .recv_timeout(std::time::Duration::from_secs(20))
            .unwrap()
    }
}

const JSON: [(&str, &str); 1] = [("Content-Type", "application/json")];
const SUBSCRIBE: &str =
    r#"{"type":"SUBSCRIBE","subscribe":{"framework_info":{"name":"x","user":"root"}}}"#;

#[test]
fn wrong_methods_and_types_get_mesos_statuses_and_words() {
    let stage = Stage::new(ApiOptions::default());
    let mut get = request(stage.node.address(), "GET", PATH, &[], b"");
    let text = "405 Method Not Allowed. Expecting one of { 'POST' }, but received 'GET'.";
    assert_eq!(
        (get.status, get.text().as_str(), get.header("allow")),
        (405, text, Some("POST"))
    );
    let type_of = |value| ("Content-Type", value);
    let expect = |headers: &[(&str, &str)], status: u16, text: &str| {
        let mut reply = stage.post(headers, SUBSCRIBE);
        assert_eq!(
            (reply.status, reply.text().as_str()),
            (status, text),
            "{headers:?}"
        );
    };
    expect(&[], 400, "Expecting 'Content-Type' to be present");
    let text = "Expecting 'Content-Type' of application/json or application/x-protobuf";
    expect(&[type_of("text/plain")], 415, text);
    let text = "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'";
    expect(
        &[JSON[0], ("Accept", "text/plain"), ("Mesos-Stream-Id", "x")],
        406,
        text,
    );
    let text = "Subscribe calls should not include the 'Mesos-Stream-Id' header";
    expect(&[JSON[0], ("Mesos-Stream-Id", "x")], 400, text);
}

#[test]
fn before_the_master_recovered_nobody_is_served() {
    let stage = Stage::new(ApiOptions::default());
    stage.recovered.store(false, Ordering::Release);
    let mut reply = stage.post(&JSON, SUBSCRIBE);
    let expected = (503, "Master has not finished recovery".to_owned());
    assert_eq!((reply.status, reply.text()), expected);
    let get = request(stage.node.address(), "GET", PATH, &[], b"");
    assert_eq!(get.status, 503, "this is asked before the method");
}

#[test]
fn wrong_calls_get_mesos_statuses_and_words() {
    let stage = Stage::new(ApiOptions::default());
    let validate = "Failed to validate scheduler::Call: ";
    let outer_id_only = SUBSCRIBE.replacen('{', r#"{"framework_id":{"value":"a"},"#, 1);
    let cases = [
        ("{}", "Expecting 'type' to be present"),
        (r#"{"type":"NOSUCH"}"#, "Expecting 'type' to be present"),
        (
            r#"{"type":"SUBSCRIBE"}"#,
            "Expecting 'subscribe' to be present",
        ),
        (
            r#"{"type":"REVIVE"}"#,
            "Expecting 'framework_id' to be present",
        ),
        (
            &outer_id_only,
            "'framework_id' differs from 'subscribe.framework_info.id'",
        ),
    ];
    for (body, problem) in cases {
        let mut reply = stage.post(&JSON, body);
        assert_eq!(
            (reply.status, reply.text()),
            (400, format!("{validate}{problem}")),
            "{body}"
        );
    }
    let mut reply = stage.call("REVIVE", "zz", None);
    assert_eq!(
        (reply.status, reply.text().as_str()),
        (400, "Framework cannot be found")
    );
    let incomplete = SUBSCRIBE.replace(r#","user":"root""#, "");
    let bodies = [
        (incomplete.as_str(), "subscribe.framework_info"),
        (
            r#"{"type":"DECLINE","decline":{"offer_ids":5}}"#,
            "decline.offer_ids",
        ),
        ("[]", "protobuf: Expecting a JSON object"),
        ("5", "protobuf: Expecting a JSON object"),
    ];
    for (body, path) in bodies {
        let mut reply = stage.post(&JSON, body);
        let text = reply.text();
        assert_eq!(reply.status, 400, "{body}");
        assert!(
            text.starts_with("Failed to convert JSON into Call protobuf: "),
            "{text}"
        );
        assert!(text.contains(path), "the path is named: {text}");
    }
    for body in ["nope", "", r#"{"type":"#, "{} x"] {
        let mut reply = stage.post(&JSON, body);
        let text = reply.text();
        assert_eq!(reply.status, 400, "{body}");
        assert!(
            text.starts_with("Failed to parse body into JSON: "),
            "{text}"
        );
    }
}

#[test]
fn a_stream_carries_subscribed_and_at_once_a_heartbeat() {
    let stage = Stage::new(ApiOptions::default());
    let mut stream = stage.post(&JSON, SUBSCRIBE);
    assert_eq!(stream.status, 200);
    assert_eq!(stream.header("content-type"), Some("application/json"));
    assert_eq!(stream.header("transfer-encoding"), Some("chunked"));
    assert_eq!(stream.header("mesos-stream-id").unwrap().len(), 36);
    let expected = serde_json::json!({"type": "SUBSCRIBED", "subscribed": {
        "framework_id": {"value": "f-0"}, "heartbeat_interval_seconds": 15.0}});
    assert_eq!(stream.json(), expected);
    assert_eq!(stream.json(), serde_json::json!({"type": "HEARTBEAT"}));
}

#[test]
fn a_stream_in_protobuf_is_the_same_in_protobuf() {
    let stage = Stage::new(ApiOptions::default());
    let headers = [JSON[0], ("Accept", "application/x-protobuf")];
    let mut stream = stage.post(&headers, SUBSCRIBE);
    assert_eq!(
        stream.header("content-type"),
        Some("application/x-protobuf")
    );
    let mut next = || Event::decode(Encoding::Protobuf, &stream.record().unwrap()).unwrap();
    let subscribed = next().subscribed.unwrap();
    assert_eq!(subscribed.framework_id.value, "f-0");
    assert_eq!(next().r#type(), event::Type::Heartbeat);
    let call = Call {
        framework_id: Some(subscribed.framework_id),
        r#type: Some(call::Type::Revive.into()),
        ..Call::default()
    };
    let body = call.encode(Encoding::Protobuf).unwrap();
    let stream_id = stream.header("mesos-stream-id").unwrap().to_owned();
    let headers = [
        ("Content-Type", "application/x-protobuf"),
        ("Mesos-Stream-Id", &stream_id),
    ];
    let reply = request(stage.node.address(), "POST", PATH, &headers, &body);
    assert_eq!(reply.status, 202);
}

#[test]
fn calls_reach_the_master_as_the_frameworks_pid() {
    let stage = Stage::new(ApiOptions::default());
    let (mut stream, id, stream_id) = stage.subscribe();
    let Heard::Call(call::Type::Subscribe, pid) = stage.next() else {
        panic!("no SUBSCRIBE")
    };
    assert_eq!(pid, stage.node.pid_of("http-scheduler(1)"));
    let mut reply = stage.call("SUPPRESS", &id, Some(&stream_id));
    assert_eq!((reply.status, reply.text().as_str()), (202, ""));
    assert_eq!(stage.next(), Heard::Call(call::Type::Suppress, pid.clone()));
    assert_eq!(stage.call("REVIVE", &id, Some(&stream_id)).status, 202);
    assert_eq!(
        stream.json()["rescind"]["offer_id"]["value"]
            .as_str()
            .unwrap()
            .len(),
        60_000
    );
}

#[test]
fn calls_need_the_stream_that_is_open_now() {
    let stage = Stage::new(ApiOptions::default());
    let (_stream, id, stream_id) = stage.subscribe();
    let refused = |mut reply: Reply| (reply.status, reply.text());
    let missing = "All non-subscribe calls should include the 'Mesos-Stream-Id' header";
    assert_eq!(
        refused(stage.call("REVIVE", &id, None)),
        (400, missing.to_owned())
    );
    let other = format!(
        "The stream ID 'x' included in this request didn't match the stream ID currently \
         associated with framework ID {id}"
    );
    assert_eq!(refused(stage.call("REVIVE", &id, Some("x"))), (400, other));
    let known = |id: &str, framework| {
        stage
            .frameworks
            .lock()
            .unwrap()
            .insert(id.into(), framework)
    };
    known(
        "by-pid",
        Framework::Connected("scheduler-1@127.0.0.1:9".parse().unwrap()),
    );
    known("gone", Framework::Disconnected);
    let by_pid = (403, "Framework is not connected via HTTP".to_owned());
    assert_eq!(
        refused(stage.call("REVIVE", "by-pid", Some(&stream_id))),
        by_pid
    );
    let gone = (403, "Framework is not subscribed".to_owned());
    assert_eq!(
        refused(stage.call("REVIVE", "gone", Some(&stream_id))),
        gone
    );
}

#[test]
fn a_call_that_is_not_offered_is_named() {
    let stage = Stage::new(ApiOptions::default());
    let (_stream, id, stream_id) = stage.subscribe();
    let headers = [JSON[0], ("Mesos-Stream-Id", &stream_id)];
    let body = format!(
        r#"{{"type":"REQUEST","framework_id":{{"value":"{id}"}},"request":{{"requests":[]}}}}"#
    );
    let mut reply = stage.post(&headers, &body);
    assert_eq!(
        (reply.status, reply.text().as_str()),
        (501, "REQUEST is not offered")
    );
}

#[test]
fn update_framework_is_answered_by_what_it_says() {
    let stage = Stage::new(ApiOptions::default());
    let (_stream, id, stream_id) = stage.subscribe();
    let headers = [JSON[0], ("Mesos-Stream-Id", &stream_id)];
    let answer = |name: &str| {
        let body = format!(
            r#"{{"type":"UPDATE_FRAMEWORK","framework_id":{{"value":"{id}"}},"update_framework":
            {{"framework_info":{{"id":{{"value":"{id}"}},"user":"u","name":"{name}"}}}}}}"#
        );
        let mut reply = stage.post(&headers, &body);
        (reply.status, reply.text())
    };
    assert_eq!(answer("other"), (400, "not so".to_owned()));
    let late = "Framework is not subscribed".to_owned();
    assert_eq!(answer("late"), (403, late));
    assert_eq!(answer("same"), (200, String::new()));
}

#[test]
fn the_master_sees_a_client_that_leaves() {
    let stage = Stage::new(ApiOptions::default());
    let (stream, id, stream_id) = stage.subscribe();
    let Heard::Call(_, pid) = stage.next() else {
        panic!("no SUBSCRIBE")
    };
    drop(stream);
    assert_eq!(stage.next(), Heard::Exited(pid));
    let mut reply = stage.call("REVIVE", &id, Some(&stream_id));
    let expected = (403, "Framework is not subscribed".to_owned());
    assert_eq!((reply.status, reply.text()), expected);
}

#[test]
fn an_error_and_a_teardown_end_the_stream() {
    let stage = Stage::new(ApiOptions::default());
    let mut refused = stage.post(&JSON, &SUBSCRIBE.replace(r#""x""#, r#""refused""#));
    assert_eq!(refused.status, 200);
    let expected = serde_json::json!({"type": "ERROR", "error": {"message": "no"}});
    assert_eq!(refused.json(), expected);
    assert_eq!(refused.record(), None);
    let (mut stream, id, stream_id) = stage.subscribe();
    assert_eq!(stage.call("TEARDOWN", &id, Some(&stream_id)).status, 202);
    assert_eq!(stream.record(), None);
}

#[test]
fn a_later_stream_of_a_framework_takes_over() {
    let stage = Stage::new(ApiOptions::default());
    let (_first, id, old) = stage.subscribe();
    let body = format!(
        r#"{{"type":"SUBSCRIBE","framework_id":{{"value":"{id}"}},"subscribe":{{"framework_info":{{"name":"x","user":"root","id":{{"value":"{id}"}}}}}}}}"#
    );
    let mut second = stage.post(&JSON, &body);
    let new = second.header("mesos-stream-id").unwrap().to_owned();
    assert_eq!(second.json()["subscribed"]["framework_id"]["value"], id);
    assert_eq!(stage.call("SUPPRESS", &id, Some(&old)).status, 400);
    assert_eq!(stage.call("SUPPRESS", &id, Some(&new)).status, 202);
}

#[test]
fn a_client_that_does_not_read_is_cut_and_counted() {
    let options = ApiOptions {
        stream_buffer_bytes: 100_000,
        ..ApiOptions::default()
    };
    let stage = Stage::new(options);
    let (mut stream, id, stream_id) = stage.subscribe();
    let Heard::Call(_, pid) = stage.next() else {
        panic!("no SUBSCRIBE")
    };
    // The kernel's own buffers take a few megabytes before ours fills.
    while stage.call("REVIVE", &id, Some(&stream_id)).status == 202 {}
    while stage.next() != Heard::Exited(pid.clone()) {}
    assert!(stream.is_cut());
    let counted = stage.node.metrics().snapshot()["http/scheduler_streams_stuck"];
    assert!((counted - 1.0).abs() < f64::EPSILON, "{counted}");
}

#[test]
fn only_so_many_streams_are_open_at_once() {
    let stage = Stage::new(ApiOptions {
        max_streams: 1,
        ..ApiOptions::default()
    });
    let first = stage.subscribe();
    let mut second = stage.post(&JSON, SUBSCRIBE);
    assert_eq!(
        (second.status, second.text().as_str()),
        (503, "1 streams are open already")
    );
    let Heard::Call(_, pid) = stage.next() else {
        panic!("no SUBSCRIBE")
    };
    drop(first);
    assert_eq!(stage.next(), Heard::Exited(pid));
}
