//! HTTP on the same port: routes, streams, and clients that leave.

use std::io::{ErrorKind, Read as _};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tepui_runtime::{
    BodyError, BodyWriter, Bytes, Handler, NodeOptions, Request, Response, body_channel,
};

use crate::raw::{JSON, Raw, post};
use crate::support::*;

/// A client that leaves must be noticed within this time.
const NOTICED: Duration = Duration::from_millis(100);
/// Of so many the quickest counts: what is slow by itself is so each time, and a busy machine not.
const TRIES: usize = 5;

fn describe() -> Handler {
    Arc::new(|request: Request, node| {
        Box::pin(async move {
            let Request {
                method,
                path,
                query,
                body,
                ..
            } = request;
            let body = String::from_utf8_lossy(&body).into_owned();
            let name = node.address();
            Response::text(200, format!("{name} {method} {path} {query:?} {body}"))
        })
    })
}

/// A handler whose streams' writers are handed to the test.
fn streaming(capacity: usize) -> (Handler, Receiver<BodyWriter>) {
    let (sender, writers) = channel();
    let sender = Mutex::new(sender);
    let handler: Handler = Arc::new(move |_, _| {
        let (writer, reader) = body_channel(capacity);
        sender.lock().unwrap().send(writer).unwrap();
        Box::pin(async move { Response::stream(200, "application/json", reader) })
    });
    (handler, writers)
}

#[test]
fn a_held_node_answers_nobody_until_it_is_opened() {
    let world = world();
    let options = NodeOptions {
        held: true,
        ..NodeOptions::default()
    };
    let node = Node::start(&world, options).unwrap();
    let mut raw = Raw::connect(&node);
    raw.send("GET /p/state HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut stream = raw.stream();
    stream
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let early = stream.read(&mut [0; 1]).map_err(|problem| problem.kind());
    assert_eq!(early, Err(ErrorKind::WouldBlock));
    let (_process, _seen) = witness(&node, "p");
    node.route("p", "/state", describe());
    node.open();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(raw.answer().status, 200);
}

#[test]
fn routes_are_found_below_a_process_and_by_the_delegate() {
    let world = world();
    let node = node(&world);
    let (_process, _seen) = witness(&node, "slave(1)");
    node.route("slave(1)", "/state", describe());
    node.route("slave(1)", "/api/v1", describe());
    node.delegate("slave(1)");
    let mut raw = Raw::connect(&node);
    let mut get = |target: &str| {
        raw.send(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"));
        let answer = raw.answer();
        assert!(answer.header("Date").is_some(), "{}", answer.head);
        (answer.status, answer.body)
    };
    let at = node.address();
    let shown = |path: &str, query: &str| (200, format!("{at} GET {path} {query} "));
    assert_eq!(get("/slave(1)/state"), shown("/state", "{}"));
    assert_eq!(get("/slave%281%29/state/"), shown("/state", "{}"));
    assert_eq!(
        get("/state?a=1&b=x+y"),
        shown("/state", r#"{"a": "1", "b": "x y"}"#)
    );
    assert_eq!(get("/api/v1/more"), shown("/api/v1/more", "{}"));
    for unknown in [
        "/",
        "/nothing",
        "/slave(1)",
        "/slave(1)/../state",
        "/state/..",
        "/slave%28",
    ] {
        assert_eq!(
            get(unknown),
            (404, "404 Not Found.".to_owned()),
            "{unknown}"
        );
    }
    node.terminate(&node.pid_of("slave(1)"), tepui_runtime::Terminate::Now);
    world.block_on(node.wait(&node.pid_of("slave(1)")));
    assert_eq!(
        get("/slave(1)/state"),
        (404, "404 Not Found.".to_owned()),
        "routes vanish with the process"
    );
}

#[test]
fn requests_in_a_row_are_answered_in_order_and_mixed_with_messages() {
    let world = world();
    let node = node(&world);
    let (_process, seen) = witness(&node, "p");
    node.route("p", "/x", describe());
    let mut raw = Raw::connect(&node);
    let get =
        |n: u64| format!("POST /p/x/{n} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{n:02}");
    let tick = |n: u64| post("/p/test.Tick", JSON, &format!("{{\"n\":{n}}}"));
    raw.send([tick(1), tick(2), get(3), get(4), tick(5), get(6)].concat());
    let at = node.address();
    for expected in [
        (202, String::new()),
        (202, String::new()),
        (200, format!("{at} POST /x/3 {{}} 03")),
        (200, format!("{at} POST /x/4 {{}} 04")),
        (202, String::new()),
        (200, format!("{at} POST /x/6 {{}} 06")),
    ] {
        let answer = raw.answer();
        assert_eq!((answer.status, answer.body), expected);
    }
    for n in [1, 2, 5] {
        assert_eq!(next(&seen), Seen::Tick(n, Pid::nobody()));
    }
}

#[test]
fn a_body_over_the_bound_is_refused() {
    let world = world();
    let options = NodeOptions {
        max_body_bytes: 1000,
        ..NodeOptions::default()
    };
    let node = Node::start(&world, options).unwrap();
    let (_process, _seen) = witness(&node, "p");
    node.route("p", "/x", describe());
    for sender in ["", "Libprocess-From: @0.0.0.0:0\r\n"] {
        let head = format!("POST /p/x HTTP/1.1\r\nHost: x\r\n{sender}");
        let mut raw = Raw::connect(&node);
        raw.send(format!("{head}Content-Length: 1001\r\n\r\n"));
        assert_eq!(raw.answer().status, 413);
        let mut raw = Raw::connect(&node);
        raw.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n"));
        for _ in 0..11 {
            raw.try_send(format!("64\r\n{}\r\n", "x".repeat(100)));
        }
        assert_eq!(raw.answer().status, 413);
    }
    let mut raw = Raw::connect(&node);
    raw.send(format!(
        "POST /p/x HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{}",
        "y".repeat(1000)
    ));
    assert_eq!(raw.answer().status, 200);
}

#[test]
fn a_body_that_never_ends_is_not_read_to_its_end() {
    let world = world();
    let options = NodeOptions {
        max_body_bytes: 100_000,
        ..NodeOptions::default()
    };
    let node = Node::start(&world, options).unwrap();
    node.route("p", "/x", describe());
    let mut raw = Raw::connect(&node);
    raw.send("POST /p/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    let chunk = [b"f4240\r\n", &[b'x'; 1_000_000][..], b"\r\n"].concat();
    let started = Instant::now();
    // It is closed; until then the sockets' buffers take some megabytes.
    let mut taken = 0;
    while std::io::Write::write_all(&mut raw.stream(), &chunk).is_ok() {
        taken += 1;
        assert!(taken < 50, "{taken} MB were taken");
        assert!(started.elapsed() < PATIENCE);
    }
    let mut raw = Raw::connect(&node);
    raw.send("POST /p/x HTTP/1.1\r\nHost: x\r\nContent-Length: 100001\r\n\r\n");
    let answer = raw.answer();
    assert_eq!(answer.status, 413);
    assert_eq!(answer.header("Connection"), Some("close"));
    assert_eq!(raw.rest(), "");
}

#[test]
fn a_request_whose_body_is_packed_is_refused_unread() {
    let world = world();
    let node = node(&world);
    node.route("p", "/x", describe());
    for sender in ["", "Libprocess-From: @0.0.0.0:0\r\n"] {
        let post = |coding: &str| {
            let mut raw = Raw::connect(&node);
            raw.send(format!(
                "POST /p/x HTTP/1.1\r\nHost: x\r\n{sender}Content-Encoding: {coding}\r\n\
                 Content-Length: 1\r\n\r\n"
            ));
            raw
        };
        for coding in ["gzip", "br", "deflate, gzip"] {
            let mut raw = post(coding);
            let answer = raw.answer();
            assert_eq!(answer.status, 415);
            assert!(answer.body.contains("Content-Encoding"), "{}", answer.body);
            assert_eq!(raw.rest(), "");
        }
        let mut raw = post("identity");
        raw.send("x");
        let expected = if sender.is_empty() { 200 } else { 404 };
        assert_eq!(raw.answer().status, expected);
    }
}

#[test]
fn a_stream_arrives_as_it_is_written() {
    let world = world();
    let node = node(&world);
    let (handler, writers) = streaming(1000);
    node.route("p", "/stream", handler);
    let mut raw = Raw::connect(&node);
    raw.send("GET /p/stream HTTP/1.1\r\nHost: x\r\n\r\n");
    let head = raw.read_until("\r\n\r\n").to_ascii_lowercase();
    assert!(head.contains("transfer-encoding: chunked\r\n"), "{head}");
    let writer = writers.recv_timeout(PATIENCE).unwrap();
    for text in ["first", "second"] {
        writer.write(Bytes::from(text)).unwrap();
        let length = text.len();
        assert_eq!(
            raw.read_until(&format!("{text}\r\n")),
            format!("{length:X}\r\n{text}\r\n")
        );
    }
    drop(writer);
    raw.read_until("0\r\n\r\n");
}

/// Has clients leave, and checks how soon the writer knows.
fn leaves(leave: impl Fn(Raw) -> Option<Raw>) {
    let noticed = (0..TRIES).map(|_| noticed_after(&leave)).min().unwrap();
    assert!(noticed < NOTICED, "noticed after {noticed:?}");
}

/// Has a client leave and waits until the writer knows.
fn noticed_after(leave: impl Fn(Raw) -> Option<Raw>) -> Duration {
    let world = world();
    let node = node(&world);
    let (handler, writers) = streaming(1000);
    node.route("p", "/stream", handler);
    let mut raw = Raw::connect(&node);
    raw.send("POST /p/stream HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}");
    raw.read_until("\r\n\r\n");
    let writer = writers.recv_timeout(PATIENCE).unwrap();
    let (sender, closed) = channel();
    writer.on_closed(Box::new(move || sender.send(Instant::now()).unwrap()));
    let left_at = Instant::now();
    let kept = leave(raw);
    let noticed = closed.recv_timeout(PATIENCE).unwrap();
    assert_eq!(
        writer.write(Bytes::from_static(b"x")),
        Err(BodyError::Closed)
    );
    drop(kept);
    noticed.duration_since(left_at)
}

#[test]
fn a_client_that_closes_its_stream_is_noticed() {
    leaves(|raw| {
        drop(raw);
        None
    });
}

#[test]
fn a_client_that_closes_only_its_sending_side_is_noticed() {
    leaves(|raw| {
        raw.close_sending();
        Some(raw)
    });
}

#[test]
fn a_client_that_resets_its_stream_is_noticed() {
    leaves(|raw| {
        let linger = nix::libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        let option = nix::sys::socket::sockopt::Linger;
        nix::sys::socket::setsockopt(raw.stream(), option, &linger).unwrap();
        drop(raw);
        None
    });
}

#[test]
fn a_handler_is_dropped_when_its_client_leaves() {
    struct Dropped(std::sync::mpsc::Sender<()>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.send(()).ok();
        }
    }
    let world = world();
    let node = node(&world);
    let (sender, dropped) = channel();
    let (entered_sender, entered) = channel();
    let senders = Mutex::new((sender, entered_sender));
    let handler: Handler = Arc::new(move |_, _| {
        let (sender, entered) = senders.lock().unwrap().clone();
        Box::pin(async move {
            let _dropped = Dropped(sender);
            entered.send(()).unwrap();
            std::future::pending().await
        })
    });
    node.route("p", "/wait", handler);
    let mut raw = Raw::connect(&node);
    raw.send("GET /p/wait HTTP/1.1\r\nHost: x\r\n\r\n");
    entered.recv_timeout(PATIENCE).unwrap();
    drop(raw);
    dropped.recv_timeout(PATIENCE).unwrap();
}

#[test]
fn a_client_that_does_not_read_fills_the_stream_and_can_be_cut_off() {
    let world = world();
    let node = node(&world);
    let (handler, writers) = streaming(1 << 20);
    node.route("p", "/stream", handler);
    let mut raw = Raw::connect(&node);
    raw.send("GET /p/stream HTTP/1.1\r\nHost: x\r\n\r\n");
    let writer = writers.recv_timeout(PATIENCE).unwrap();
    let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
    let started = Instant::now();
    let mut written = 0usize;
    // The kernel's buffers take some megabytes; then the channel fills, for good.
    let mut full_since = None;
    while full_since.is_none_or(|since: Instant| since.elapsed() < Duration::from_millis(200)) {
        assert!(started.elapsed() < PATIENCE, "{written} bytes and not full");
        match writer.write(chunk.clone()) {
            Ok(()) => {
                written += chunk.len();
                full_since = None;
            }
            Err(BodyError::Full) => {
                full_since.get_or_insert_with(Instant::now);
                std::thread::yield_now();
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(writer.queued_bytes() <= 1 << 20);
    let (sender, closed) = channel();
    writer.on_closed(Box::new(move || sender.send(()).unwrap()));
    writer.abort();
    closed.recv_timeout(PATIENCE).unwrap();
    let got = raw.rest();
    assert!(
        !got.ends_with("0\r\n\r\n"),
        "a stream that was cut off does not look complete"
    );
}

#[test]
fn a_handler_that_panics_is_a_500_and_no_more() {
    let world = world();
    let node = node(&world);
    let handler: Handler = Arc::new(|_, _| Box::pin(async { panic!("on purpose") }));
    node.route("p", "/panic", handler);
    let mut raw = Raw::connect(&node);
    for _ in 0..2 {
        raw.send("GET /p/panic HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_eq!(raw.answer().status, 500);
    }
}

#[test]
fn a_long_answer_is_whole_and_its_connection_goes_on() {
    let world = world();
    let node = node(&world);
    // No multiple of anything, and nowhere like itself nearby.
    let text: String = (0..700_003).map(|number| format!("{number} ")).collect();
    let body = Bytes::from(text.clone());
    let long: Handler = Arc::new(move |_, _| {
        let body = body.clone();
        Box::pin(async move { Response::bytes(200, "text/plain", body) })
    });
    node.route("p", "/long", long);
    let mut raw = Raw::connect(&node);
    for _ in 0..2 {
        raw.send("GET /p/long HTTP/1.1\r\nHost: x\r\n\r\n");
        let answer = raw.answer();
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.header("Content-Length"),
            Some(text.len().to_string().as_str())
        );
        assert!(answer.body == text, "{} bytes", answer.body.len());
    }
}
