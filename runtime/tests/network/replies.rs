//! What the listener does to replies and paths of itself: gzip, disabled endpoints, and the
//! endpoints that every node has.

use std::io::Read as _;
use std::sync::Arc;

use tepui_runtime::{Handler, Response};

use crate::raw::{Answer, Raw};
use crate::support::*;

fn text_of(length: usize) -> Handler {
    Arc::new(move |request, _| {
        let text = request
            .path
            .bytes()
            .cycle()
            .take(length)
            .collect::<Vec<u8>>();
        Box::pin(async move { Response::bytes(200, "application/json", text) })
    })
}

/// The head of a reply, and its body as it came.
fn get(node: &Node, path: &str, fields: &str) -> (Answer, Vec<u8>) {
    let mut raw = Raw::connect(node);
    raw.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n"));
    let head = raw.read_until("\r\n\r\n");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let answer = Answer {
        status,
        head,
        body: String::new(),
    };
    let length = answer.header("Content-Length").unwrap().parse().unwrap();
    let body = raw.read_exact(length);
    (answer, body)
}

#[test]
fn whole_replies_are_packed_for_who_takes_gzip() {
    let world = world();
    let node = node(&world);
    let (_process, _seen) = witness(&node, "p");
    for length in [1023, 1024, 64 * 1024 + 1, 5_000_000] {
        node.route("p", &format!("/{length}"), text_of(length));
        let path = format!("/p/{length}");
        let expected: Vec<u8> = path[2..].bytes().cycle().take(length).collect();
        let (answer, body) = get(&node, &path, "Accept-Encoding: deflate, gzip;q=0.5\r\n");
        assert_eq!(answer.header("Content-Type"), Some("application/json"));
        if length < 1024 {
            assert_eq!(answer.header("Content-Encoding"), None, "too small");
            assert_eq!(body, expected);
        } else {
            assert_eq!(answer.header("Content-Encoding"), Some("gzip"));
            assert!(
                body.len() < length / 10,
                "{length} packed to {}",
                body.len()
            );
            let mut unpacked = Vec::new();
            let mut reader = flate2::read::GzDecoder::new(&body[..]);
            reader.read_to_end(&mut unpacked).unwrap();
            assert_eq!(unpacked, expected);
        }
        for fields in [
            "",
            "Accept-Encoding: identity\r\n",
            "Accept-Encoding: gzip;q=0\r\n",
        ] {
            let (answer, body) = get(&node, &path, fields);
            assert_eq!(answer.header("Content-Encoding"), None);
            assert_eq!(body, expected);
        }
    }
}

#[test]
fn disabled_endpoints_are_forbidden_under_each_of_their_names() {
    let world = world();
    let options = NodeOptions {
        disabled_endpoints: ["/state".to_owned()].into(),
        ..NodeOptions::default()
    };
    let node = Node::start(&world, options).unwrap();
    let (_process, _seen) = witness(&node, "p");
    node.route("p", "/state", text_of(3));
    node.route("p", "/other", text_of(3));
    node.delegate("p");
    for path in ["/state", "/p/state", "/p/state/", "/state?x=1"] {
        let (answer, body) = get(&node, path, "");
        assert_eq!(answer.status, 403, "{path}");
        assert_eq!(body, b"Endpoint '/p/state' is disabled");
    }
    assert_eq!(get(&node, "/other", "").1, b"/ot");
}

#[test]
fn every_node_lists_its_processes_and_the_host() {
    let world = world();
    let node = node(&world);
    let (_process, _seen) = witness(&node, "p");
    let json = |path: &str| -> serde_json::Value {
        let (answer, body) = get(&node, path, "");
        assert_eq!(answer.header("Content-Type"), Some("application/json"));
        serde_json::from_slice(&body).unwrap()
    };
    let expected = serde_json::json!([{ "id": "p", "events": [] }]);
    assert_eq!(json("/__processes__"), expected);
    let host = json("/system/stats.json");
    for key in ["avg_load_1min", "avg_load_5min", "avg_load_15min"] {
        assert!(host[key].is_f64(), "{key}: {host}");
    }
    let total = host["mem_total_bytes"].as_u64().unwrap();
    assert!(host["mem_free_bytes"].as_u64().unwrap() < total);
    let snapshot = node.metrics().snapshot();
    assert!((snapshot["system/mem_total_bytes"] - total as f64).abs() < 0.5);
    assert_eq!(
        host["cpus_total"].as_f64(),
        snapshot.get("system/cpus_total").copied()
    );
    assert!(snapshot["system/cpus_total"] >= 1.0);

    let (answer, body) = get(&node, "/__processes__?jsonp=a.b", "");
    assert_eq!(answer.header("Content-Type"), Some("text/javascript"));
    assert_eq!(body, br#"a.b([{"events":[],"id":"p"}])"#);
    assert_eq!(get(&node, "/__processes__?jsonp=%3Cx%3E", "").0.status, 400);
}
