//! Messages over TCP: to and from nodes, and to and from whoever speaks the wire format.

use std::net::{Shutdown, TcpListener};
use std::time::Duration;

use tepui_runtime::{AskError, Hop, NodeOptions, Pid};

use crate::raw::{JSON, Raw, post};
use crate::support::*;

#[test]
fn a_message_and_its_reply_travel_between_two_nodes() {
    let world = world();
    let (a, b) = (node(&world), node(&world));
    let (ping, seen_by_ping) = witness(&a, "ping");
    let (pong, seen_by_pong) = witness(&b, "pong(1)");
    for n in 0..100 {
        a.send(ping.pid(), pong.pid(), Tick { n });
    }
    for n in 0..100 {
        assert_eq!(next(&seen_by_pong), Seen::Tick(n, ping.pid().clone()));
        assert_eq!(next(&seen_by_ping), Seen::Tock(n, pong.pid().clone()));
    }
}

#[test]
fn an_ask_crosses_the_network_and_a_refusal_names_the_hop() {
    let world = world();
    let (a, b) = (node(&world), node(&world));
    let (pong, _seen) = witness(&b, "pong");
    let ask = |to: &Pid| world.block_on(a.ask::<Tick, Tock>(to, Tick { n: 7 }, PATIENCE));
    assert_eq!(ask(pong.pid()), Ok(Tock { n: 7 }));
    let refused = |status, reason: &str| {
        let by = Hop::Node(b.address());
        Err(AskError::Refused {
            by,
            status,
            reason: reason.to_owned(),
        })
    };
    assert_eq!(
        ask(&b.pid_of("nobody")),
        refused(404, "no process 'nobody'")
    );
    let answer = world.block_on(a.ask::<Unknown, Tock>(pong.pid(), Unknown {}, PATIENCE));
    assert_eq!(
        answer,
        refused(400, "process 'pong' does not take 'test.Unknown'")
    );
    assert_eq!(ask(pong.pid()), Ok(Tock { n: 7 }), "the connection goes on");
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Unknown {}
serde_message!(Unknown, "test.Unknown");

#[test]
fn what_we_send_is_libprocess_format_byte_for_byte() {
    let world = world();
    let a = node(&world);
    let (sender, _seen) = witness(&a, "slave(1)");
    let peer = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = Pid::new("master", peer.local_addr().unwrap().into());
    a.send(sender.pid(), &to, Tick { n: 1 });
    a.send(sender.pid(), &to, Tick { n: 300 });
    let mut raw = Raw::of(peer.accept().unwrap().0);
    let (from, host) = (sender.pid(), to.address());
    let head = |extra: &str, length: usize| {
        format!(
            "POST /master/test.Tick HTTP/1.1\r\n\
             User-Agent: libprocess/{from}\r\n\
             Libprocess-From: {from}\r\n\
             Connection: Keep-Alive\r\n\
             Host: {host}\r\n\
             {extra}Content-Type: application/msgpack\r\n\
             Content-Length: {length}\r\n\r\n"
        )
    };
    let first = raw.read_until("\r\n\r\n");
    let serial = first
        .lines()
        .find(|line| line.starts_with("Tepui-Connection: "))
        .unwrap();
    assert_eq!(first, head(&format!("{serial}\r\n"), 4));
    assert_eq!(raw.read_exact(4), b"\x81\xa1n\x01", "a map with names");
    assert_eq!(raw.read_until("\r\n\r\n"), head("", 6));
}

#[test]
fn a_peer_that_never_answers_gets_every_message() {
    let world = world();
    let a = node(&world);
    let (sender, _seen) = witness(&a, "s");
    let peer = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = Pid::new("old", peer.local_addr().unwrap().into());
    for n in 0..1000 {
        a.send(sender.pid(), &to, Tick { n: n % 100 });
    }
    let mut raw = Raw::of(peer.accept().unwrap().0);
    for n in 0..100u8 {
        raw.read_until("Content-Length: 4\r\n\r\n");
        assert_eq!(raw.read_exact(4), [0x81, 0xa1, b'n', n]);
    }
    for _ in 100..1000 {
        raw.read_until("Content-Length: 4\r\n\r\n");
        raw.read_exact(4);
    }
    assert_eq!(a.outgoings(to.address()).queued, 1000);
    assert_eq!(a.outgoings(to.address()).answered, 0);
}

#[test]
fn anyone_can_send_a_message_in_json_and_is_answered() {
    let world = world();
    let node = node(&world);
    let (_process, seen) = witness(&node, "p(1)");
    let mut raw = Raw::connect(&node);
    raw.send(post("/p%281%29/test.Tick", JSON, r#"{"n":7}"#));
    let answer = raw.answer();
    assert_eq!((answer.status, answer.body.as_str()), (202, ""));
    assert!(
        answer.header("Date").unwrap().ends_with(" GMT"),
        "{}",
        answer.head
    );
    assert_eq!(next(&seen), Seen::Tick(7, Pid::nobody()));
    let dropped = || node.metrics().snapshot()["runtime/messages_dropped/nobody"];
    // The reply is dropped while the tick is served; an ask behind it is served later.
    let mine = node.pid_of("p(1)");
    world
        .block_on(node.ask::<Tick, Tock>(&mine, Tick { n: 0 }, PATIENCE))
        .unwrap();
    assert!(
        (dropped() - 1.0).abs() < 0.5,
        "the reply to nobody is counted"
    );

    let cases = [
        (
            "/none/test.Tick",
            JSON,
            r#"{"n":7}"#,
            404,
            "no process 'none'",
        ),
        (
            "/p(1)/test.Other",
            JSON,
            "{}",
            400,
            "process 'p(1)' does not take 'test.Other'",
        ),
        (
            "/p(1)/test.Tick",
            "Content-Type: text/html\r\n",
            "",
            400,
            "names no encoding",
        ),
        (
            "/p(1)/test.Tick",
            "",
            "",
            400,
            "test.Tick has no form in application/x-protobuf",
        ),
        (
            "/p(1)/test.Tick",
            JSON,
            r#"{"n":"x"}"#,
            400,
            "test.Tick does not decode: at n: ",
        ),
        ("/", JSON, "", 400, "bad path"),
    ];
    for (path, fields, body, status, reason) in cases {
        raw.send(post(path, fields, body));
        let answer = raw.answer();
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.body.contains(reason), "{path}: {}", answer.body);
    }
    raw.send(post("/p(1)/test.Tick", JSON, r#"{"n":8}"#));
    assert_eq!(raw.answer().status, 202, "the connection goes on");
}

#[test]
fn a_chunked_message_of_libprocess_is_taken() {
    let world = world();
    let node = node(&world);
    let (_process, seen) = witness(&node, "p");
    let mut raw = Raw::connect(&node);
    raw.send(
        "POST /p/test.Tick HTTP/1.1\r\nUser-Agent: libprocess/x@127.0.0.1:9\r\n\
         Connection: Keep-Alive\r\nHost: \r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n8\r\n{\"n\":17}\r\n0\r\n\r\n",
    );
    assert_eq!(raw.answer().status, 202);
    assert_eq!(
        next(&seen),
        Seen::Tick(17, "x@127.0.0.1:9".parse().unwrap())
    );
}

#[test]
fn ten_thousand_messages_on_one_connection_are_answered_in_order() {
    let world = world();
    let node = node(&world);
    let (_process, seen) = witness(&node, "p");
    let mut raw = Raw::connect(&node);
    let batch: String = (0..10_000)
        .map(|n| {
            let path = if n % 10 == 3 {
                "/q/test.Tick"
            } else {
                "/p/test.Tick"
            };
            post(path, JSON, &format!("{{\"n\":{n}}}"))
        })
        .collect();
    let mut writing = Raw::of(raw.stream().try_clone().unwrap());
    let writer = std::thread::spawn(move || writing.send(batch));
    for n in 0..10_000 {
        assert_eq!(
            raw.answer().status,
            if n % 10 == 3 { 404 } else { 202 },
            "{n}"
        );
    }
    writer.join().unwrap();
    for n in (0..10_000).filter(|n| n % 10 != 3) {
        assert_eq!(next(&seen), Seen::Tick(n, Pid::nobody()));
    }
}

#[test]
fn a_node_answers_in_the_encoding_in_which_it_is_spoken_to() {
    let world = world();
    let node = node(&world);
    let (_process, _seen) = witness(&node, "p");
    let peer = TcpListener::bind("127.0.0.1:0").unwrap();
    let me = format!("me@{}", peer.local_addr().unwrap());
    let mut raw = Raw::connect(&node);
    let mut say = |encoding: &str, body: &[u8]| {
        let length = body.len();
        raw.send(format!(
            "POST /p/test.Tick HTTP/1.1\r\nLibprocess-From: {me}\r\nContent-Type: {encoding}\r\n\
             Content-Length: {length}\r\n\r\n"
        ));
        raw.send(body);
        assert_eq!(raw.answer().status, 202);
    };
    say("application/json", br#"{"n":5}"#);
    let mut back = Raw::of(peer.accept().unwrap().0);
    assert!(
        back.read_until("\r\n\r\n")
            .contains("Content-Type: application/json\r\n")
    );
    assert_eq!(back.read_exact(7), br#"{"n":5}"#);
    let (sender, _) = witness(&node, "other");
    node.send(sender.pid(), &me.parse().unwrap(), Tick { n: 6 });
    assert!(
        back.read_until("\r\n\r\n")
            .contains("Content-Type: application/json\r\n")
    );
    assert_eq!(
        back.read_exact(7),
        br#"{"n":6}"#,
        "what is no reply as well"
    );
    say("application/msgpack", b"\x81\xa1n\x07");
    assert!(
        back.read_until("\r\n\r\n")
            .contains("Content-Type: application/msgpack\r\n")
    );
    assert_eq!(back.read_exact(4), b"\x81\xa1n\x07");
}

#[test]
fn a_queue_over_its_bound_closes_the_connection_as_stuck() {
    let world = world();
    let options = NodeOptions {
        max_outgoing_bytes: 1 << 20,
        ..NodeOptions::default()
    };
    let a = Node::start(&world, options).unwrap();
    let (sender, seen) = witness(&a, "s");
    let peer = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = Pid::new("slow", peer.local_addr().unwrap().into());
    let linked = to.clone();
    sender.dispatch(move |_, ctx| ctx.link(&linked));
    let (stream, _) = peer.accept().unwrap();
    let mut sent = 0u64;
    let broken = || a.metrics().snapshot()["runtime/connections_out_stuck"] > 0.5;
    while !broken() {
        a.send(
            sender.pid(),
            &to,
            Big {
                text: "x".repeat(10_000),
            },
        );
        sent += 1;
        assert!(sent < 100_000, "a gigabyte did not fill the queue");
    }
    assert_eq!(next(&seen), Seen::Exited(to), "who is linked is told");
    stream.shutdown(Shutdown::Both).ok();
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Big {
    text: String,
}
serde_message!(Big, "test.Big");

#[test]
fn a_deadline_ends_an_ask_whose_peer_is_silent() {
    let world = world();
    let a = node(&world);
    let peer = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = Pid::new("silent", peer.local_addr().unwrap().into());
    let asked = a.ask::<Tick, Tock>(&to, Tick { n: 1 }, Duration::from_millis(50));
    assert_eq!(world.block_on(asked), Err(AskError::Deadline));
    let asked = a.ask::<Tick, Tock>(&to, Tick { n: 1 }, PATIENCE);
    drop(peer);
    assert_eq!(
        world.block_on(asked),
        Err(AskError::Exited),
        "the connection broke"
    );
}
