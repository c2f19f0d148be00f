//! What operators ask for, on the wire: statuses and texts as Mesos 1.11 has them, and what
//! frameworks hear of it.

use serde_json::{Value, json};
use tepui_protocol::mesos::v1::AgentId;
use tepui_protocol::mesos::v1::master::{Call, call};
use tepui_runtime::{Encoding, Message as _};

use crate::cluster::Cluster;
use crate::support::request;

const API: &str = "/master/api/v1";
const JSON: (&str, &str) = ("Content-Type", "application/json");

fn post(cluster: &Cluster, path: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, String) {
    let mut reply = request(cluster.master_address(), "POST", path, headers, body);
    (reply.status, reply.text())
}

fn ask(cluster: &Cluster, call: &Value) -> (u16, String) {
    post(cluster, API, &[JSON], call.to_string().as_bytes())
}

fn about(kind: &str, agent: &Value) -> Value {
    let mut call = json!({"type": kind});
    call[kind.to_lowercase()] = json!({"agent_id": agent});
    call
}

fn framework() -> Value {
    json!({
        "user": "root", "name": "f", "failover_timeout": 60, "checkpoint": true,
        "capabilities": [{"type": "PARTITION_AWARE"}],
    })
}

fn slave(cluster: &Cluster) -> Value {
    let body = cluster.get("/slaves").body();
    let mut agents: Value = serde_json::from_slice(&body).unwrap();
    agents["slaves"][0].take()
}

#[test]
fn an_agent_is_deactivated_reactivated_and_gone() {
    let cluster = Cluster::new();
    let mut scheduler = cluster.scheduler(&framework());
    let task = json!({
        "name": "t", "task_id": {"value": "t"}, "agent_id": {"value": ""},
        "command": {"value": "sleep 1000"},
        "resources": [
            {"name": "cpus", "type": "SCALAR", "scalar": {"value": 1}},
            {"name": "mem", "type": "SCALAR", "scalar": {"value": 64}},
        ],
    });
    scheduler.launch(&json!([task]));
    scheduler.until(&[("t", "TASK_RUNNING")]);
    scheduler.call("REVIVE", &json!({}));
    let offers = scheduler.event("OFFERS");
    let agent = offers["offers"][0]["agent_id"].clone();

    let done = (200, String::new());
    assert_eq!(ask(&cluster, &about("DEACTIVATE_AGENT", &agent)), done);
    let rescinded = scheduler.event("RESCIND");
    assert_eq!(rescinded["offer_id"], offers["offers"][0]["id"]);
    let shown = slave(&cluster);
    assert_eq!(shown["deactivated"], true);
    assert_eq!(shown["active"], false);

    // In protobuf, too.
    let agent_id = AgentId {
        value: agent["value"].as_str().unwrap().to_owned(),
    };
    let call = Call {
        r#type: Some(call::Type::ReactivateAgent.into()),
        reactivate_agent: Some(call::ReactivateAgent { agent_id }),
        ..Call::default()
    };
    let body = call.encode(Encoding::Protobuf).unwrap();
    let protobuf = [
        ("Content-Type", "application/x-protobuf"),
        ("Accept", "application/x-protobuf"),
    ];
    assert_eq!(post(&cluster, API, &protobuf, &body), done);
    let again = (400, "Agent is not deactivated".to_owned());
    assert_eq!(post(&cluster, API, &protobuf, &body), again);
    assert_eq!(scheduler.event("OFFERS")["offers"][0]["agent_id"], agent);
    let shown = slave(&cluster);
    assert_eq!(shown["deactivated"], false);
    assert_eq!(shown["active"], true);

    assert_eq!(ask(&cluster, &about("MARK_AGENT_GONE", &agent)), done);
    let status = scheduler.event("UPDATE")["status"].take();
    assert_eq!(status["state"], "TASK_GONE_BY_OPERATOR");
    assert_eq!(status["reason"], "REASON_AGENT_REMOVED_BY_OPERATOR");
    assert_eq!(status["message"], "Agent has been marked gone");
    assert_eq!(scheduler.event("FAILURE")["agent_id"], agent);
    assert_eq!(ask(&cluster, &about("MARK_AGENT_GONE", &agent)), done);
    let unknown = (400, "Unknown agent".to_owned());
    assert_eq!(ask(&cluster, &about("DEACTIVATE_AGENT", &agent)), unknown);
    let part = json!({"tasks": [{"task_id": {"value": "t"}, "agent_id": agent}]});
    scheduler.call("RECONCILE", &part);
    let status = scheduler.event("UPDATE")["status"].take();
    assert_eq!(status["state"], "TASK_GONE_BY_OPERATOR");
    assert_eq!(status["message"], "Reconciliation: Task is gone");
}

#[test]
fn a_call_is_checked_as_every_other() {
    let cluster = Cluster::new();
    let mut reply = request(cluster.master_address(), "GET", API, &[], b"");
    assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")));
    reply.text();
    let gone = about("MARK_AGENT_GONE", &json!({"value": "nope"})).to_string();
    let body = gone.as_bytes();
    let text = |problem: &str| problem.to_owned();
    let accept = ("Accept", "text/html");
    let cases = [
        (&[][..], 400, "Expecting 'Content-Type' to be present"),
        (
            &[("Content-Type", "text/plain")],
            415,
            "Expecting 'Content-Type' of application/json or application/x-protobuf",
        ),
        (
            &[JSON, accept],
            406,
            "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'",
        ),
        (&[JSON], 404, "Agent 'nope' not found"),
    ];
    for (headers, status, problem) in cases {
        assert_eq!(
            post(&cluster, API, headers, body),
            (status, text(problem)),
            "{headers:?}"
        );
    }
    let lacks = |part: &str| {
        let problem = format!("Failed to validate master::Call: Expecting '{part}' to be present");
        (400, problem)
    };
    assert_eq!(ask(&cluster, &json!({})), lacks("type"));
    for part in [
        "teardown",
        "mark_agent_gone",
        "deactivate_agent",
        "reactivate_agent",
    ] {
        let call = json!({"type": part.to_uppercase()});
        assert_eq!(ask(&cluster, &call), lacks(part));
    }
    for kind in ["UNKNOWN", "GET_STATE", "DRAIN_AGENT"] {
        let (status, problem) = ask(&cluster, &json!({"type": kind}));
        assert_eq!((status, problem), (501, format!("{kind} is not offered")));
    }
    let nobody = json!({"value": "nope"});
    let unknown = (400, text("Unknown agent"));
    assert_eq!(ask(&cluster, &about("DEACTIVATE_AGENT", &nobody)), unknown);
    let not = (400, text("Agent is not deactivated"));
    assert_eq!(ask(&cluster, &about("REACTIVATE_AGENT", &nobody)), not);
    assert_eq!(post(&cluster, "/master/api/v1/other", &[JSON], body).0, 404);
}

#[test]
fn a_framework_that_an_operator_tears_down_loses_its_stream() {
    let cluster = Cluster::new();
    let by_endpoint = cluster.scheduler(&framework());
    let by_call = cluster.scheduler(&framework());
    let teardown = |id: &str| format!("frameworkId={}", id.replace('-', "%2D"));
    let path = "/master/teardown";
    let form = |body: &str| post(&cluster, path, &[], body.as_bytes());
    let done = (200, String::new());
    let unknown = (400, "No framework found with specified ID".to_owned());
    let missing = (
        400,
        "Missing 'frameworkId' query parameter in the request body".to_owned(),
    );
    for (body, answer) in [
        ("", &missing),
        ("x=1", &missing),
        ("frameworkId=", &unknown),
        ("frameworkId=nope", &unknown),
        (&teardown(&by_endpoint.id), &done),
        (&teardown(&by_endpoint.id), &unknown),
    ] {
        assert_eq!(&form(body), answer, "{body}");
    }
    let mut get = request(cluster.master_address(), "GET", path, &[], b"");
    assert_eq!((get.status, get.header("allow")), (405, Some("POST")));
    get.text();
    let call = |id: &str| json!({"type": "TEARDOWN", "teardown": {"framework_id": {"value": id}}});
    assert_eq!(ask(&cluster, &call(&by_call.id)), done);
    assert_eq!(ask(&cluster, &call(&by_call.id)), unknown);
    for mut scheduler in [by_endpoint, by_call] {
        // No ERROR comes before the end.
        assert_eq!(scheduler.rest(&["OFFERS", "HEARTBEAT", "RESCIND"]), 0);
        assert_eq!(scheduler.answer("SUPPRESS", &json!({})).0, 400);
    }
}
