//! Requests to the scheduler API that are refused before anyone asks what they mean, and
//! subscriptions that come to nothing.

use serde_json::{Value, json};
use tepui_integration::raw::{Request, exchange_and_close};

use super::{MOST_HELD, Rule, Stage, info, scheduler, subscribe};

const NOT_JSON: &str = "JSON";
const NOT_PROTOBUF: &str = "Failed to parse body into Call protobuf";

/// The rules of this file.
pub const RULES: &[Rule] = &[
    Rule {
        id: "HTTP-1",
        sent: "a call by GET, PUT, DELETE or a method of one's own",
        answer: "405, `Allow: POST`",
        check: |stage| {
            for method in ["GET", "PUT", "DELETE", "BREW"] {
                let answer =
                    Request::new(method, "/api/v1/scheduler").send(stage.cluster.address());
                assert_eq!(answer.status, 405, "{answer:?}");
                assert_eq!(answer.header("Allow"), Some("POST"), "{answer:?}");
            }
        },
    },
    Rule {
        id: "HTTP-2",
        sent: "a call without `Content-Type`",
        answer: "400",
        check: |stage| {
            let request = Request::new("POST", "/api/v1/scheduler").with_body("{}");
            stage.refused(&request, 400, "Expecting 'Content-Type' to be present");
        },
    },
    Rule {
        id: "HTTP-3",
        sent: "a call of another type: text, form, MessagePack, RecordIO",
        answer: "415",
        check: |stage| {
            for other in [
                "text/plain",
                "application/x-www-form-urlencoded",
                "application/msgpack",
                "application/recordio",
                "",
            ] {
                let request = Request::post("/api/v1/scheduler", other, "{}");
                stage.refused(&request, 415, "Expecting 'Content-Type'");
            }
        },
    },
    Rule {
        id: "HTTP-4",
        sent: "SUBSCRIBE that accepts neither JSON nor protobuf",
        answer: "406",
        check: |stage| {
            let call = subscribe(info("x")).to_string();
            let request = scheduler(call).with("Accept", "text/html");
            stage.refused(&request, 406, "Expecting 'Accept' to allow");
        },
    },
    Rule {
        id: "HTTP-5",
        sent: "a body that is compressed: 100 MB of zeros as gzip",
        answer: "415, and it is not unpacked",
        check: |stage| {
            let bomb = std::process::Command::new("sh")
                .args(["-c", "head -c 100000000 /dev/zero | gzip -1"])
                .output()
                .expect("gzip");
            assert!(bomb.stdout.len() < 1_000_000);
            let before = stage.memory(MOST_HELD);
            let request = scheduler(bomb.stdout).with("Content-Encoding", "gzip");
            stage.refused(&request, 415, "Content-Encoding");
            let taken = stage.memory(MOST_HELD) - before;
            assert!(taken < 50_000_000, "{taken} bytes for it");
        },
    },
    Rule {
        id: "HTTP-6",
        sent: "a body that is no JSON, is cut off, goes on behind its end, or is RecordIO, whole or truncated",
        answer: "400 that says where, or that it is no object",
        check: |stage| {
            for (body, wrong) in [
                ("", "line 1 column 0"),
                ("hello", "line 1 column 1"),
                (r#"{"type": "#, "line 1 column 9"),
                ("{} {}", "line 1 column 4"),
                ("[]", "a JSON object"),
                ("\u{0}", "line 1 column 1"),
                ("3\n{}\n", "line 2 column 1"),
                // A record that is cut off: in its JSON, before its end, and behind its length.
                ("100\n{\"type\":", "line 2 column 1"),
                ("5\n{}", "line 2 column 1"),
                ("12", "a JSON object"),
            ] {
                stage.refused(&scheduler(body), 400, NOT_JSON);
                stage.refused(&scheduler(body), 400, wrong);
            }
        },
    },
    Rule {
        id: "HTTP-7",
        sent: "JSON that is not UTF-8",
        answer: "400",
        check: |stage| {
            let body = b"{\"type\": \"SUBSCRIBE\", \"subscribe\": {\"framework_info\": \
                         {\"user\": \"\xff\xfe\", \"name\": \"x\"}}}";
            stage.refused(&scheduler(*body), 400, NOT_JSON);
        },
    },
    Rule {
        id: "HTTP-8",
        sent: "JSON 200,000 levels deep, in lists, objects, or where a field is not known",
        answer: "400, and no stack overflows",
        check: |stage| {
            let deep = 200_000;
            let inside = format!("{{\"no_such_field\": {}", "[".repeat(deep));
            for body in ["[".repeat(deep), "{\"a\":".repeat(deep), inside] {
                stage.refused(&scheduler(body), 400, NOT_JSON);
            }
        },
    },
    Rule {
        id: "HTTP-9",
        sent: "numbers that are none or do not fit: NaN, Infinity, 1e400, 2^64 for an integer",
        answer: "400",
        check: |stage| {
            for number in ["NaN", "Infinity", "-Infinity", "1e400", "0x10", "1."] {
                let body = subscribe(info("x")).to_string();
                let body = body.replace(
                    "\"name\"",
                    &format!("\"failover_timeout\": {number}, \"name\""),
                );
                stage.refused(&scheduler(body), 400, NOT_JSON);
            }
            let body = r#"{"type": "ACCEPT", "framework_id": {"value": "f"}, "accept": {"operations":
                [{"type": "RESERVE", "reserve": {"resources": [{"name": "ports", "type": "RANGES",
                "ranges": {"range": [{"begin": 0, "end": 18446744073709551616}]}}]}}]}}"#;
            stage.refused(&scheduler(body), 400, NOT_JSON);
        },
    },
    Rule {
        id: "HTTP-10",
        sent: "fields of another JSON type: text for a message, an object for a text",
        answer: "400 that names the field",
        check: |stage| {
            let body = r#"{"type": "SUBSCRIBE", "subscribe": "now"}"#;
            stage.refused(&scheduler(body), 400, "subscribe");
            let body = r#"{"type": "SUBSCRIBE", "subscribe": {"framework_info":
                {"user": {}, "name": "x"}}}"#;
            stage.refused(&scheduler(body), 400, "subscribe.framework_info.user");
        },
    },
    Rule {
        id: "HTTP-11",
        sent: "protobuf that is cut off, has a length beyond its end, or is random",
        answer: "400",
        check: |stage| {
            let cut_off: &[u8] = &[0x08, 0x01, 0x12, 0x7f, 0x0a];
            let endless: &[u8] = &[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
            let random: Vec<u8> = (0..4096_u32)
                .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
                .collect();
            for body in [cut_off, endless, &random] {
                let request = Request::post("/api/v1/scheduler", "application/x-protobuf", body);
                stage.refused(&request, 400, NOT_PROTOBUF);
            }
        },
    },
    Rule {
        id: "HTTP-12",
        sent: "a call without a type, or of a type that Mesos does not have",
        answer: "400",
        check: |stage| {
            for body in [r#"{}"#, r#"{"type": "EXPLODE"}"#] {
                stage.refused(&scheduler(body), 400, "Expecting 'type' to be present");
            }
        },
    },
    Rule {
        id: "HTTP-13",
        sent: "a call without the part that its type needs",
        answer: "400 that names it",
        check: |stage| {
            for part in [
                "subscribe",
                "accept",
                "decline",
                "kill",
                "shutdown",
                "acknowledge",
                "reconcile",
                "message",
                "request",
                "accept_inverse_offers",
                "decline_inverse_offers",
                "acknowledge_operation_status",
                "reconcile_operations",
                "update_framework",
            ] {
                let call = json!({
                    "type": part.to_uppercase(), "framework_id": {"value": "f"},
                });
                let missing = format!("Expecting '{part}' to be present");
                stage.refused(&scheduler(call.to_string()), 400, &missing);
            }
            let body = r#"{"type": "SUBSCRIBE", "subscribe": {"framework_info": {"name": "x"}}}"#;
            stage.refused(&scheduler(body), 400, "user");
        },
    },
    Rule {
        id: "HTTP-14",
        sent: "paths that lead nowhere or out: `/../`, `%2e%2e`, `//`, a bad escape",
        answer: "400 or 404",
        check: |stage| {
            for path in [
                "/nothing",
                "/../../etc/passwd",
                "/%2e%2e/%2e%2e/etc/passwd",
                "//etc/passwd",
                "/master/../../etc/passwd",
                "/%zz",
                "/files/read?path=/etc/passwd",
                "/files/download?path=../../etc/passwd",
                "/files/read?path=/master/log/../../../etc/passwd",
            ] {
                let answer = Request::new("GET", path).send(stage.cluster.address());
                assert!([400, 404].contains(&answer.status), "{path}: {answer:?}");
                assert!(!answer.body.contains("root:"), "{path}: {answer:?}");
            }
        },
    },
    Rule {
        id: "HTTP-15",
        sent: "lines that are no HTTP, and requests with two lengths or a length and chunks",
        answer: "400, and the connection is closed",
        check: |stage| {
            let call = "Content-Type: application/json\r\nContent-Length: 2\r\n";
            for request in [
                "hello\r\n\r\n".to_owned(),
                "GET / HTTP/9.9\r\n\r\n".to_owned(),
                "GET /\u{1} HTTP/1.1\r\nHost: t\r\n\r\n".to_owned(),
                format!(
                    "POST /api/v1/scheduler HTTP/1.1\r\nHost: t\r\n{call}Content-Length: 3\r\n\r\n{{}} "
                ),
                format!(
                    "POST /api/v1/scheduler HTTP/1.1\r\nHost: t\r\n{call}Transfer-Encoding: chunked\r\n\r\n\
                     2\r\n{{}}\r\n0\r\n\r\n"
                ),
                "POST /api/v1/scheduler HTTP/1.1\r\nHost: t\r\nContent-Length: -1\r\n\r\n"
                    .to_owned(),
            ] {
                let answer = exchange_and_close(stage.cluster.address(), request.as_bytes());
                let answer = answer.unwrap_or_else(|| panic!("no answer to {request:?}"));
                assert_eq!(answer.status, 400, "{request:?}: {answer:?}");
            }
        },
    },
    Rule {
        id: "SUB-1",
        sent: "SUBSCRIBE on a stream that is there already",
        answer: "400",
        check: |stage| {
            let request = scheduler(subscribe(info("x")).to_string());
            let request = request.with("Mesos-Stream-Id", stage.framework.stream_id());
            stage.refused(&request, 400, "Subscribe calls should not include");
        },
    },
    Rule {
        id: "SUB-2",
        sent: "SUBSCRIBE whose two framework ids differ",
        answer: "400",
        check: |stage| {
            let mut call = subscribe(info("x"));
            call["framework_id"] = json!({"value": "another"});
            stage.refused(&scheduler(call.to_string()), 400, "differs from");
        },
    },
    Rule {
        id: "SUB-3",
        sent: "SUBSCRIBE with a role or an id that leads out: `../x`, `a/../b`, `.`, blanks",
        answer: "ERROR, and the stream is closed",
        check: |stage| {
            for role in ["../x", "a/../b", ".", "a b", "-a", "/a", "a/", ""] {
                let mut info = info("x");
                info["roles"] = json!([role]);
                info["capabilities"] = json!([{"type": "MULTI_ROLE"}]);
                ends_in_error(stage, info);
            }
            for id in ["../x", "a/b", "..", "a\\b", "a\u{7}"] {
                let mut info = info("x");
                info["id"] = json!({"value": id});
                ends_in_error(stage, info);
            }
        },
    },
    Rule {
        id: "SUB-4",
        sent: "SUBSCRIBE with a failover timeout that is no duration",
        answer: "ERROR, and the stream is closed",
        check: |stage| {
            for timeout in [1e300, 1e10] {
                let mut info = info("x");
                info["failover_timeout"] = json!(timeout);
                ends_in_error(stage, info);
            }
        },
    },
    Rule {
        id: "SUB-5",
        sent: "SUBSCRIBE with the id of a framework that was removed",
        answer: "ERROR, and the stream is closed",
        check: |stage| {
            let gone = stage.subscribe("soon gone");
            gone.teardown();
            let mut info = info("x");
            info["id"] = json!({"value": gone.framework_id()});
            let said = ends_in_error(stage, info);
            assert!(said.contains("Framework has been removed"), "{said}");
        },
    },
    Rule {
        id: "STREAM-1",
        sent: "a call without a stream id",
        answer: "400",
        check: |stage| {
            let id = json!({"value": stage.framework.framework_id()});
            let call = json!({"type": "REVIVE", "framework_id": id});
            let request = scheduler(call.to_string());
            stage.refused(&request, 400, "should include the 'Mesos-Stream-Id' header");
        },
    },
    Rule {
        id: "STREAM-2",
        sent: "a call with the stream id of another framework, or an invented one",
        answer: "400",
        check: |stage| {
            let other = stage.subscribe("another");
            let id = json!({"value": stage.framework.framework_id()});
            let call = json!({"type": "TEARDOWN", "framework_id": id});
            for stream in [other.stream_id(), "x", ""] {
                let request = scheduler(call.to_string()).with("Mesos-Stream-Id", stream);
                stage.refused(&request, 400, "stream ID");
            }
            other.teardown();
        },
    },
    Rule {
        id: "STREAM-3",
        sent: "a call of a framework that nobody knows",
        answer: "400",
        check: |stage| {
            let call = json!({"type": "REVIVE", "framework_id": {"value": "nobody"}});
            let request = scheduler(call.to_string()).with("Mesos-Stream-Id", "x");
            stage.refused(&request, 400, "Framework cannot be found");
        },
    },
    Rule {
        id: "STREAM-4",
        sent: "an acknowledgement whose uuid has not 16 bytes",
        answer: "400",
        check: |stage| {
            for uuid in ["", "AAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
                let acknowledge = json!({
                    "agent_id": {"value": "a"}, "task_id": {"value": "t"}, "uuid": uuid,
                });
                let call = json!({"type": "ACKNOWLEDGE", "acknowledge": acknowledge});
                super::check_refused(&stage.call(call), 400, "Not a valid UUID");
            }
        },
    },
];

/// Subscribes and sees the stream end with an ERROR; what was said on it.
fn ends_in_error(stage: &Stage, info: Value) -> String {
    let request = scheduler(subscribe(info.clone()).to_string());
    let answer = request.send(stage.cluster.address());
    assert_eq!(answer.status, 200, "{info}: {answer:?}");
    assert!(
        answer.body.contains("\"type\":\"ERROR\"") && answer.body.ends_with("\r\n0\r\n\r\n"),
        "{info}: {answer:?}"
    );
    answer.body
}
