//! The framed form: when it is used, what is the same in it, and bytes that are no frames. The
//! frames here are written by hand, so that the form stays what other nodes know.

use std::net::TcpListener;
use std::time::Duration;

use tepui_runtime::{AskError, Hop, Limits};

use crate::raw::{JSON, Raw, post};
use crate::support::*;

const MAGIC: &[u8] = b"\x89TEPUI\r\n";
const WELCOME: &[u8] = b"\x89TEPUI\r\n\0\0\0\x01";

fn preface(version: u32, node: u64, number: u64) -> Vec<u8> {
    let (node, number) = (node.to_be_bytes(), number.to_be_bytes());
    [MAGIC, &version.to_be_bytes(), &node, &number].concat()
}

/// A message in the encoding of that number: 1 MessagePack, 2 JSON, 3 protobuf.
fn frame(from: &str, to: &str, name: &str, encoding: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![1, encoding];
    for text in [from, to, name] {
        frame.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
    }
    for part in [from.as_bytes(), to.as_bytes(), name.as_bytes(), body] {
        frame.extend(part);
    }
    let length = u32::try_from(frame.len()).unwrap();
    [&length.to_be_bytes()[..], &frame].concat()
}

fn tick(n: u64) -> Vec<u8> {
    let body = format!("{{\"n\":{n}}}");
    frame("@0.0.0.0:0", "p", "test.Tick", 2, body.as_bytes())
}

/// Reads one answer: how many were accepted, or the status and reason of a refusal.
fn answer(raw: &mut Raw) -> Result<u32, (u16, String, bool)> {
    let length = u32::from_be_bytes(raw.read_exact(4).try_into().unwrap());
    let frame = raw.read_exact(length as usize);
    match frame[0] {
        2 => Ok(u32::from_be_bytes(frame[1..].try_into().unwrap())),
        kind @ (3 | 4) => {
            let status = u16::from_be_bytes([frame[1], frame[2]]);
            let reason = String::from_utf8(frame[3..].to_vec()).unwrap();
            Err((status, reason, kind == 4))
        }
        kind => panic!("{kind}"),
    }
}

/// A connection in the framed form from its first byte.
fn framed(node: &Node) -> Raw {
    let mut raw = Raw::connect(node);
    raw.send(preface(1, 7, 1));
    assert_eq!(raw.read_exact(WELCOME.len()), WELCOME);
    raw
}

fn started(world: &World, frames: bool) -> Node {
    let options = NodeOptions {
        frames,
        ..NodeOptions::default()
    };
    Node::start(world, options).unwrap()
}

fn metric(node: &Node, name: &str) -> u64 {
    node.metrics().snapshot()[name] as u64
}

#[test]
fn nodes_of_our_make_go_over_to_frames_and_others_do_not() {
    for (sender, receiver) in [(true, true), (true, false), (false, true), (false, false)] {
        let world = world();
        let (a, b) = (started(&world, sender), started(&world, receiver));
        let (there, seen) = witness(&b, "there");
        let ask = |n| world.block_on(a.ask::<Tick, Tock>(there.pid(), Tick { n }, PATIENCE));
        assert_eq!(ask(0), Ok(Tock { n: 0 }));
        // Its answer may come behind the tock; the second cannot be sent before the first's is read.
        while a.outgoings(b.address()).answered < 1 {
            std::thread::yield_now();
        }
        for n in 1..100 {
            assert_eq!(ask(n), Ok(Tock { n }));
        }
        for n in 0..100 {
            assert!(matches!(next(&seen), Seen::Tick(seen, _) if seen == n));
        }
        let expected = if sender && receiver { 99 } else { 0 };
        // What is accepted together is counted together, behind the last of it.
        while metric(&b, "runtime/messages_in") < 100 {
            std::thread::yield_now();
        }
        assert_eq!(
            metric(&b, "runtime/messages_in_framed"),
            expected,
            "{sender} {receiver}"
        );
    }
}

#[test]
fn the_switch_is_a_preface_between_two_messages_byte_for_byte() {
    let world = world();
    let a = node(&world);
    let (sender, seen) = witness(&a, "s");
    let peer = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = tepui_runtime::Pid::new("m", peer.local_addr().unwrap().into());
    a.send(sender.pid(), &to, Tick { n: 1 });
    let mut raw = Raw::of(peer.accept().unwrap().0);
    let head = raw.read_until("\r\n\r\n");
    let serial = head
        .lines()
        .find_map(|line| line.strip_prefix("Tepui-Connection: "));
    let (began, number) = serial.unwrap().split_once('.').unwrap();
    assert_eq!(raw.read_exact(4), b"\x81\xa1n\x01");
    raw.send("HTTP/1.1 202 Accepted\r\nTepui-Frames: 1\r\nContent-Length: 0\r\n\r\n");
    while a.outgoings(to.address()).answered < 1 {
        std::thread::yield_now();
    }
    let expected = [
        preface(1, began.parse().unwrap(), number.parse().unwrap()),
        frame(
            &sender.pid().to_string(),
            "m",
            "test.Tick",
            1,
            b"\x81\xa1n\x02",
        ),
        frame(
            &sender.pid().to_string(),
            "m",
            "test.Tick",
            1,
            b"\x81\xa1n\x03",
        ),
    ];
    a.send(sender.pid(), &to, Tick { n: 2 });
    a.send(sender.pid(), &to, Tick { n: 3 });
    assert_eq!(raw.read_exact(expected.concat().len()), expected.concat());
    // An answer that is neither form breaks the connection, as it does in HTTP.
    let linked = to.clone();
    sender.dispatch(move |_, ctx| ctx.link(&linked));
    raw.send(WELCOME);
    raw.send(b"\0\0\0\x05\x02\0\0\0\x02");
    while a.outgoings(to.address()).answered < 3 {
        std::thread::yield_now();
    }
    raw.send(b"\xff\xff\xff\xff");
    assert_eq!(next(&seen), Seen::Exited(to));
}

#[test]
fn a_connection_may_begin_in_frames() {
    let world = world();
    let node = node(&world);
    let (_process, seen) = witness(&node, "p");
    let mut raw = framed(&node);
    raw.send([tick(1), tick(2), tick(3)].concat());
    let mut accepted = 0;
    while accepted < 3 {
        accepted += answer(&mut raw).unwrap();
    }
    for n in 1..=3 {
        assert_eq!(next(&seen), Seen::Tick(n, Pid::nobody()));
    }
}

#[test]
fn messages_before_and_behind_the_preface_are_answered_each_in_its_form() {
    let world = world();
    let node = node(&world);
    let (_process, seen) = witness(&node, "p");
    let mut raw = Raw::connect(&node);
    let http = |n: u64| post("/p/test.Tick", JSON, &format!("{{\"n\":{n}}}")).into_bytes();
    let numbered = |n: u64| {
        let first = String::from_utf8(http(n)).unwrap();
        first.replace("Host: x\r\n", "Host: x\r\nTepui-Connection: 7.1\r\n")
    };
    raw.send(
        [
            http(1),
            numbered(2).into_bytes(),
            http(3),
            preface(1, 7, 1),
            tick(4),
        ]
        .concat(),
    );
    for offered in [None, Some("1"), None] {
        let answer = raw.answer();
        assert_eq!(answer.status, 202);
        assert_eq!(
            answer.header("Tepui-Frames"),
            offered,
            "only to our own make"
        );
    }
    assert_eq!(raw.read_exact(WELCOME.len()), WELCOME);
    assert_eq!(answer(&mut raw), Ok(1));
    for n in 1..=4 {
        assert_eq!(next(&seen), Seen::Tick(n, Pid::nobody()));
    }
}

#[test]
fn what_cannot_be_delivered_is_refused_in_its_place() {
    let world = world();
    let node = node(&world);
    let (_process, seen) = witness(&node, "p");
    let mut raw = framed(&node);
    let nobody = "@0.0.0.0:0";
    let from_here = node.pid_of("p").to_string();
    let cases = [
        (
            frame(nobody, "q", "test.Tick", 2, b"{}"),
            404,
            "no process 'q'",
        ),
        (
            frame(nobody, "", "test.Tick", 2, b"{}"),
            400,
            "bad frame: a process and a message",
        ),
        (
            frame(nobody, "p", "test.Odd", 2, b"{}"),
            400,
            "does not take 'test.Odd'",
        ),
        (
            frame(nobody, "p", "test.Tick", 9, b"{}"),
            400,
            "names no encoding",
        ),
        (
            frame(nobody, "p", "test.Tick", 3, b""),
            400,
            "no form in application/x-protobuf",
        ),
        (
            frame(nobody, "p", "test.Tick", 2, br#"{"n":"x"}"#),
            400,
            "does not decode: at n: ",
        ),
        (
            frame("nonsense", "p", "test.Tick", 2, b"{}"),
            500,
            "cannot be determined",
        ),
        (
            frame("", "p", "test.Tick", 2, b"{}"),
            500,
            "cannot be determined",
        ),
        (
            frame(&from_here, "p", "test.Tick", 2, br#"{"n":1}"#),
            400,
            "is on this node",
        ),
        (
            frame(nobody, "__ask__(1)", "test.Tick", 2, b"{}"),
            404,
            "no process '__ask__(1)'",
        ),
    ];
    for (n, (bad, status, reason)) in (0..).zip(cases) {
        raw.send([tick(n), bad].concat());
        assert_eq!(answer(&mut raw), Ok(1));
        let (found, text, last) = answer(&mut raw).unwrap_err();
        assert_eq!((found, last), (status, false), "{text}");
        assert!(text.contains(reason), "{text}");
        assert_eq!(next(&seen), Seen::Tick(n, Pid::nobody()));
    }
}

#[test]
fn a_refused_ask_names_the_hop_in_frames_as_well() {
    let world = world();
    let (a, b) = (node(&world), node(&world));
    let (there, _seen) = witness(&b, "there");
    let ask = |to: &Pid| world.block_on(a.ask::<Tick, Tock>(to, Tick { n: 7 }, PATIENCE));
    while metric(&b, "runtime/messages_in_framed") == 0 {
        assert_eq!(ask(there.pid()), Ok(Tock { n: 7 }));
    }
    assert!(a.outgoings(b.address()).queued > 1);
    let refused = AskError::Refused {
        by: Hop::Node(b.address()),
        status: 404,
        reason: "no process 'nobody'".to_owned(),
    };
    assert_eq!(ask(&b.pid_of("nobody")), Err(refused));
    assert_eq!(
        ask(there.pid()),
        Ok(Tock { n: 7 }),
        "the connection goes on"
    );
}

#[test]
fn an_older_connection_delivers_nothing_once_a_newer_one_has() {
    let world = world();
    let node = node(&world);
    let (_process, seen) = witness(&node, "p");
    let from: Pid = "x@127.0.0.1:9".parse().unwrap();
    let message = |n: u64| {
        let body = format!("{{\"n\":{n}}}");
        frame(&from.to_string(), "p", "test.Tick", 2, body.as_bytes())
    };
    let connect = |number| {
        let mut raw = Raw::connect(&node);
        raw.send(preface(1, 7, number));
        raw
    };
    let (mut old, mut new) = (connect(1), connect(2));
    for (raw, n) in [(&mut old, 1), (&mut new, 2)] {
        assert_eq!(raw.read_exact(WELCOME.len()), WELCOME);
        raw.send(message(n));
        assert_eq!(answer(raw), Ok(1));
    }
    old.send(message(3));
    assert_eq!(old.rest(), "", "closed without an answer");
    new.send(message(4));
    assert_eq!(answer(&mut new), Ok(1));
    for n in [1, 2, 4] {
        assert_eq!(next(&seen), Seen::Tick(n, from.clone()));
    }
    assert_eq!(metric(&node, "runtime/connections_superseded"), 1);
}

#[test]
fn nobody_is_no_node_whose_connections_supersede_each_other() {
    let world = world();
    let c = node(&world);
    let (there, seen) = witness(&c, "there");
    let nodes = [node(&world), node(&world)];
    for n in 0..10 {
        for node in &nodes {
            node.send(&Pid::nobody(), there.pid(), Tick { n });
            assert_eq!(next(&seen), Seen::Tick(n, Pid::nobody()));
        }
    }
    assert_eq!(metric(&c, "runtime/connections_superseded"), 0);
}

/// A node that loses patience soon.
fn hasty(world: &World) -> Node {
    let options = NodeOptions {
        max_body_bytes: 1000,
        limits: Limits {
            head_timeout: Duration::from_millis(300),
            stall_timeout: Duration::from_millis(200),
            linger: Duration::from_millis(100),
            ..Limits::default()
        },
        ..NodeOptions::default()
    };
    Node::start(world, options).unwrap()
}

fn still_serves(node: &Node) {
    let mut raw = framed(node);
    raw.send(tick(1));
    assert_eq!(answer(&mut raw), Ok(1));
}

#[test]
fn what_is_no_frame_is_refused_and_closed() {
    let world = world();
    let node = hasty(&world);
    let (_process, _seen) = witness(&node, "p");
    let large = frame("@0.0.0.0:0", "p", "test.Tick", 2, &[b' '; 1001]);
    let mut overlapping = tick(1);
    overlapping[6..8].copy_from_slice(&[0, 0x60]);
    let cases: [(&[u8], u16, &str); 8] = [
        (&large, 413, "the message is too large"),
        (b"\xff\xff\xff\xff\x01", 413, "the message is too large"),
        (b"\0\0\0\x20\x02", 400, "bad frame"),
        (b"\0\0\0\0\0\0", 400, "bad frame"),
        (b"GET /state HTTP/1.1\r\n\r\n", 400, "bad frame"),
        (&overlapping, 400, "bad frame"),
        (&tick(1)[..3], 408, "the message did not arrive in time"),
        (&tick(1)[..20], 408, "the message did not arrive in time"),
    ];
    for (bytes, status, reason) in cases {
        let mut raw = framed(&node);
        raw.send([&tick(0), bytes].concat());
        assert_eq!(answer(&mut raw), Ok(1), "what came before is taken");
        let expected = Err((status, reason.to_owned(), true));
        assert_eq!(answer(&mut raw), expected, "{bytes:?}");
        assert_eq!(raw.rest(), "");
    }
    still_serves(&node);
}

#[test]
fn a_preface_that_is_not_ours_is_answered_and_closed() {
    let world = world();
    let node = hasty(&world);
    let (_process, _seen) = witness(&node, "p");
    for version in [0, 2, u32::MAX] {
        let mut raw = Raw::connect(&node);
        raw.send(preface(version, 7, 1));
        assert_eq!(raw.read_exact(WELCOME.len()), WELCOME, "says which is ours");
        let (status, reason, last) = answer(&mut raw).unwrap_err();
        assert_eq!((status, last), (505, true));
        let expected = format!("version {version} of the framed form is not spoken here, 1 is");
        assert_eq!(reason, expected);
        assert_eq!(raw.rest(), "");
    }
    for (bytes, expected) in [
        (&b"\x89PNG\r\n\x1a\n"[..], "HTTP/1.1 400 "),
        (&preface(1, 7, 1)[..20], "HTTP/1.1 408 "),
        (MAGIC, "HTTP/1.1 408 "),
    ] {
        let mut raw = Raw::connect(&node);
        raw.send(bytes);
        let got = raw.rest();
        assert!(got.starts_with(expected), "{bytes:?} got {got:?}");
    }
    let without = started(&world, false);
    let mut raw = Raw::connect(&without);
    raw.send(preface(1, 7, 1));
    let got = raw.rest();
    assert!(got.starts_with("HTTP/1.1 400 "), "{got:?}");
    still_serves(&node);
}

#[test]
fn a_sender_of_frames_that_reads_no_answers_is_cut_off() {
    let world = world();
    let node = hasty(&world);
    let (_process, _seen) = witness(&node, "p");
    let mut raw = framed(&node);
    let batch = frame("@0.0.0.0:0", &"q".repeat(1000), "x", 2, b"").repeat(100);
    raw.stream()
        .set_write_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    let started = std::time::Instant::now();
    while metric(&node, "runtime/connections_in_stuck") == 0 {
        // Cut anywhere, so that what follows is no frame: either way the connection ends.
        raw.try_send(&batch);
        assert!(
            started.elapsed() < PATIENCE,
            "the connection was not cut off"
        );
        if metric(&node, "runtime/messages_in_refused") > 0 && raw.stream().take_error().is_err() {
            break;
        }
    }
    still_serves(&node);
}

#[test]
fn random_frames_never_take_the_node_down() {
    let world = world();
    let node = hasty(&world);
    let (_process, _seen) = witness(&node, "p");
    let source = tepui_runtime::Random::from_number(7);
    let good = [preface(1, 7, 1), tick(1), tick(2), tick(3)].concat();
    for _ in 0..300 {
        let mut bytes = good.clone();
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
