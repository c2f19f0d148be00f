//! Clients that mean no good, or that know no better: each is closed or answered, and the node
//! goes on.

use std::sync::Arc;
use std::time::Duration;

use tepui_runtime::{Handler, Limits, NodeOptions, Response};

use crate::raw::{JSON, Raw, post};
use crate::support::*;

/// A node that loses patience soon.
fn hasty(world: &World, max_connections: usize) -> Node {
    let limits = Limits {
        max_connections,
        head_timeout: Duration::from_secs(1),
        keep_alive: Duration::from_secs(1),
        stall_timeout: Duration::from_millis(200),
        linger: Duration::from_millis(100),
        ..Limits::default()
    };
    Node::start(
        world,
        NodeOptions {
            limits,
            ..NodeOptions::default()
        },
    )
    .unwrap()
}

fn still_serves(node: &Node) {
    let mut raw = Raw::connect(node);
    raw.send(post("/p/test.Tick", JSON, r#"{"n":1}"#));
    assert_eq!(raw.answer().status, 202);
}

#[test]
fn what_never_ends_is_closed() {
    let world = world();
    let node = hasty(&world, 100);
    let (_process, _seen) = witness(&node, "p");
    let message = "POST /p/test.Tick HTTP/1.1\r\nLibprocess-From: @0.0.0.0:0\r\n";
    let cases = [
        ("POST /p/te".to_owned(), "HTTP/1.1 408 "),
        (message.to_owned(), "HTTP/1.1 408 "),
        (
            format!("{message}Content-Length: 10\r\n\r\nhalf"),
            "HTTP/1.1 408 ",
        ),
        (
            format!("{message}Transfer-Encoding: chunked\r\n\r\n5\r\nha"),
            "HTTP/1.1 408 ",
        ),
        ("GET /p/state HT".to_owned(), "HTTP/1.1 408 "),
        (
            "POST /p/x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf".to_owned(),
            "HTTP/1.1 408 ",
        ),
    ];
    for (text, answer) in cases {
        let mut raw = Raw::connect(&node);
        raw.send(&text);
        let got = raw.rest();
        assert!(got.starts_with(answer), "{text:?} got {got:?}");
    }
    still_serves(&node);
}

#[test]
fn garbage_is_answered_and_closed() {
    let world = world();
    let node = hasty(&world, 100);
    let (_process, _seen) = witness(&node, "p");
    let message = "POST /p/test.Tick HTTP/1.1\r\nLibprocess-From: @0.0.0.0:0\r\n";
    let long = "x".repeat(200_000);
    let cases = [
        ("\x16\x03\x01\x02\0\x01\0".to_owned(), "HTTP/1.1 400 "),
        ("hello, who is there?\r\n\r\n".to_owned(), "HTTP/1.1 400 "),
        (format!("{message}X: {long}\r\n\r\n"), "HTTP/1.1 431 "),
        (format!("GET /p/{long} HTTP/1.1\r\n\r\n"), "HTTP/1.1 "),
        (
            format!("{message}Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
            "HTTP/1.1 400 ",
        ),
        (
            format!("{message}Transfer-Encoding: chunked\r\n\r\n{long}"),
            "HTTP/1.1 400 ",
        ),
        (
            format!("{message}Content-Length: 1\r\nContent-Length: 2\r\n\r\n"),
            "HTTP/1.1 400 ",
        ),
        (
            format!("{message}Content-Length: 99999999999999\r\n\r\n"),
            "HTTP/1.1 413 ",
        ),
        (format!("{message}: novalue\r\n\r\n"), "HTTP/1.1 400 "),
        (
            "POST /p/test.Tick HTTP/9.9\r\n\r\n".to_owned(),
            "HTTP/1.1 400 ",
        ),
    ];
    for (text, answer) in cases {
        let mut raw = Raw::connect(&node);
        raw.try_send(&text);
        let got = raw.rest();
        assert!(
            got.starts_with(answer),
            "{:?} got {got:?}",
            &text[..text.len().min(100)]
        );
    }
    still_serves(&node);
}

#[test]
fn random_bytes_never_take_the_node_down() {
    let world = world();
    let node = hasty(&world, 1000);
    let (_process, _seen) = witness(&node, "p");
    let source = tepui_runtime::Random::from_number(7);
    let good = post("/p/test.Tick", JSON, r#"{"n":1}"#);
    for _ in 0..300 {
        let mut bytes = good.repeat(3).into_bytes();
        for _ in 0..=source.below(8) {
            let at = usize::try_from(source.below(bytes.len() as u64)).unwrap();
            bytes[at] = source.u64().to_le_bytes()[0];
        }
        let mut raw = Raw::connect(&node);
        raw.try_send(&bytes);
        raw.close_sending();
        raw.rest();
    }
    still_serves(&node);
}

#[test]
fn a_sender_that_reads_no_answers_is_cut_off() {
    let world = world();
    let node = hasty(&world, 100);
    let (_process, _seen) = witness(&node, "p");
    let mut raw = Raw::connect(&node);
    let batch = post("/none/x", JSON, "").repeat(1000);
    let stuck = || node.metrics().snapshot()["runtime/connections_in_stuck"] > 0.5;
    let started = std::time::Instant::now();
    raw.stream()
        .set_write_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    while !stuck() {
        raw.try_send(&batch);
        assert!(
            started.elapsed() < PATIENCE,
            "the connection was not cut off"
        );
    }
    still_serves(&node);
}

#[test]
fn connections_over_the_bound_are_refused_clearly() {
    let world = world();
    let node = hasty(&world, 3);
    let (_process, _seen) = witness(&node, "p");
    // A libprocess peer that is only linked says nothing, and is kept.
    let mut kept: Vec<Raw> = (0..3).map(|_| Raw::connect(&node)).collect();
    for raw in &mut kept {
        raw.send(post("/p/test.Tick", JSON, r#"{"n":1}"#));
        assert_eq!(raw.answer().status, 202);
    }
    let mut over = Raw::connect(&node);
    let answer = over.answer();
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (503, "too many connections")
    );
    assert_eq!(over.rest(), "");
    kept.pop();
    let started = std::time::Instant::now();
    loop {
        let mut raw = Raw::connect(&node);
        raw.try_send(post("/p/test.Tick", JSON, r#"{"n":2}"#));
        if raw.answer().status == 202 {
            break;
        }
        assert!(
            started.elapsed() < PATIENCE,
            "the place that is free is not given"
        );
    }
    kept[0].send(post("/p/test.Tick", JSON, r#"{"n":3}"#));
    assert_eq!(kept[0].answer().status, 202);
}

#[test]
fn bodies_that_arrive_together_are_bounded() {
    const BODY: usize = 64 << 10;
    let world = world();
    let options = NodeOptions {
        max_body_bytes: BODY,
        limits: Limits {
            max_arriving_bytes: BODY,
            ..Limits::default()
        },
        ..NodeOptions::default()
    };
    let node = Node::start(&world, options).unwrap();
    let (_process, _seen) = witness(&node, "p");
    let answer: Handler = Arc::new(|_, _| Box::pin(async { Response::ok() }));
    node.route("p", "/taken", answer);
    let part = "x".repeat(BODY - 1);
    let head = format!("POST /p/taken HTTP/1.1\r\nHost: x\r\nContent-Length: {BODY}\r\n\r\n");
    let refused = || node.metrics().snapshot()["runtime/bodies_refused"];
    let started = std::time::Instant::now();
    let mut open = Vec::new();
    while refused() < 0.5 {
        let mut raw = Raw::connect(&node);
        raw.try_send(format!("{head}{part}"));
        open.push(raw);
        assert!(started.elapsed() < PATIENCE, "{} of them", open.len());
    }
    // Small ones have their way.
    still_serves(&node);
    let mut statuses = Vec::new();
    for raw in &mut open {
        raw.try_send("x");
        let answer = raw.answer();
        if answer.status == 503 {
            assert_eq!(answer.body, "too many bodies are arriving");
        }
        statuses.push(answer.status);
    }
    assert!(statuses.contains(&503), "{statuses:?}");
    drop(open);
    // What is gone has made room.
    while {
        let mut raw = Raw::connect(&node);
        raw.try_send(format!("{head}{part}x"));
        raw.answer().status != 200
    } {
        assert!(started.elapsed() < PATIENCE, "the room is not given back");
    }
}

#[test]
fn who_says_nothing_makes_room_for_the_next() {
    let world = world();
    let node = hasty(&world, 3);
    let (_process, _seen) = witness(&node, "p");
    let speak = |raw: &mut Raw| {
        raw.send(post("/p/test.Tick", JSON, r#"{"n":1}"#));
        raw.answer().status
    };
    let mut spoke = Raw::connect(&node);
    assert_eq!(speak(&mut spoke), 202);
    let mut silent = [Raw::connect(&node), Raw::connect(&node)];
    let mut kept = Vec::new();
    for (n, silent) in (1..).zip(&mut silent) {
        let mut next = Raw::connect(&node);
        assert_eq!(speak(&mut next), 202);
        assert_eq!(silent.rest(), "", "the older one first");
        let closed = node.metrics().snapshot()["runtime/connections_idle_closed"];
        assert!((closed - f64::from(n)).abs() < 0.5, "{closed}");
        kept.push(next);
    }
    assert_eq!(speak(&mut spoke), 202, "who spoke stays");
}

#[test]
fn thousands_of_idle_connections_leave_others_served() {
    const IDLE: usize = 3000;
    let world = world();
    let node = node(&world);
    let (_process, _seen) = witness(&node, "p");
    node.route(
        "p",
        "/x",
        Arc::new(|_, _| Box::pin(async { Response::text(200, "x") })),
    );
    let mut idle: Vec<Raw> = (0..IDLE).map(|_| Raw::connect(&node)).collect();
    // A third says nothing, a third half a request, a third one request and no more.
    for raw in idle.iter_mut().skip(IDLE / 3).take(IDLE / 3) {
        raw.send("POST /p/te");
    }
    for raw in idle.iter_mut().skip(IDLE / 3 * 2) {
        raw.send("GET /p/x HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(raw.answer().status, 200);
    }
    let started = std::time::Instant::now();
    for _ in 0..100 {
        still_serves(&node);
    }
    let each = started.elapsed() / 100;
    assert!(each < Duration::from_millis(50), "{each:?} each");
    assert!(node.metrics().snapshot()["runtime/connections_refused"] < 0.5);
    // Those of the first third may be linked peers, and are kept.
    idle[0].send(post("/p/test.Tick", JSON, r#"{"n":1}"#));
    assert_eq!(idle[0].answer().status, 202);
}
