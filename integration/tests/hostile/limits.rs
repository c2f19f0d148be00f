//! Too much, and too slow: bodies, heads, connections. What is refused is refused before it is
//! held, so the master's memory is looked at as well.

use std::io::{Error, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tepui_integration::raw::{Request, connect, exchange_and_close, read_answer};

use super::{HELD, MOST_HELD, PATIENCE, Rule, Stage, check_refused, scheduler};

/// The largest body that is taken; larger ones are not read.
const BODY_MAX: usize = 64 << 20;
/// Connections that say nothing.
const IDLE: usize = 10_000;
/// So long without a byte read is not to be read from any more.
const DEAF_FOR: Duration = Duration::from_secs(2);
/// Far more than that takes.
const QUESTIONS: usize = 1_000_000;
/// What may be held for one that reads nothing.
const HELD_MAX: usize = 16 << 20;
/// What the master may hold at most while it is attacked with bodies.
const MEMORY_MAX: usize = 512 << 20;
/// How long it may take until a connection whose body is too large is closed.
const CLOSED_WITHIN: Duration = Duration::from_secs(30);
/// How long a request may take to arrive before its connection is closed, and some more.
const SLOW_MAX: Duration = Duration::from_secs(25);
/// For so long its sender is waited for.
const SLOW_MIN: Duration = Duration::from_secs(9);

/// The rules of this file.
pub const RULES: &[Rule] = &[
    Rule {
        id: "LIMIT-1",
        sent: "a length beyond 64 MiB, to a handler or as a message",
        answer: "413 before the body comes",
        check: |stage| {
            for length in [BODY_MAX + 1, usize::MAX / 2] {
                let length = length.to_string();
                let request = Request::new("POST", "/api/v1/scheduler")
                    .with("Content-Type", "application/json")
                    .with("Content-Length", &length);
                check_refused(&request.send(stage.cluster.address()), 413, "");
                let request = Request::new("POST", "/master/mesos.v1.scheduler.Call")
                    .with("Libprocess-From", "a@127.0.0.1:9")
                    .with("Content-Length", &length);
                check_refused(&request.send(stage.cluster.address()), 413, "");
            }
        },
    },
    Rule {
        id: "LIMIT-2",
        sent: "a body in chunks that goes on beyond 64 MiB",
        answer: "413, and the connection is closed",
        check: |stage| {
            for header in [
                "Content-Type: application/json",
                "Libprocess-From: a@127.0.0.1:9",
            ] {
                let mut stream = connect(stage.cluster.address());
                let head = format!(
                    "POST /api/v1/scheduler HTTP/1.1\r\nHost: t\r\n{header}\r\n\
                     Transfer-Encoding: chunked\r\n\r\n"
                );
                stream.write_all(head.as_bytes()).expect("a head is read");
                let chunk = [b"100000\r\n", vec![b' '; 1 << 20].as_slice(), b"\r\n"].concat();
                let mut reader = stream.try_clone().expect("a socket");
                let answer = std::thread::spawn(move || read_answer(&mut reader));
                let (start, mut sent) = (Instant::now(), 0);
                while stream.write_all(&chunk).is_ok() {
                    sent += 1 << 20;
                    assert!(start.elapsed() < CLOSED_WITHIN, "{sent} bytes were taken");
                }
                assert!(sent >= BODY_MAX, "refused after {sent} bytes");
                let answer = answer.join().expect("a reader").expect("an answer");
                check_refused(&answer, 413, "");
            }
            memory_is_bounded(stage);
        },
    },
    Rule {
        id: "LIMIT-3",
        sent: "a head of a megabyte: one long header, ten thousand headers, a long path",
        answer: "4xx or nothing, and the connection is closed",
        check: |stage| {
            let long = Request::new("GET", "/health").with("X-Long", &"x".repeat(1 << 20));
            let mut many = Request::new("GET", "/health");
            for number in 0..10_000 {
                many = many.with(&format!("X-{number}"), "y");
            }
            let path = Request::new("GET", &format!("/{}", "x".repeat(1 << 20)));
            let message = Request::message("/master/x.Y", "a@127.0.0.1:9", "x/y", "")
                .with("X-Long", &"x".repeat(1 << 20));
            for request in [long, many, path, message] {
                let answer = exchange_and_close(stage.cluster.address(), &request.bytes());
                let refused = |status: u16| (400..500).contains(&status);
                assert!(
                    answer.as_ref().is_none_or(|it| refused(it.status)),
                    "{answer:?}"
                );
            }
        },
    },
    Rule {
        id: "LIMIT-4",
        sent: "requests that stop in their head or their body, with the connection left open",
        answer: "408 or nothing, and the connection is closed after 10 s",
        check: |stage| {
            let starts = [
                "P",
                "POST /api/v1/scheduler HTTP/1.1\r\nHost: t\r\nContent-Ty",
                "POST /api/v1/scheduler HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n\
                 Content-Length: 100\r\n\r\n{",
                "POST /master/x.Y HTTP/1.1\r\nLibprocess-From: a@127.0.0.1:9\r\n",
                "POST /master/x.Y HTTP/1.1\r\nLibprocess-From: a@127.0.0.1:9\r\n\
                 Content-Length: 100\r\n\r\n{",
            ];
            let start = Instant::now();
            let mut streams = starts.map(|text| {
                let mut stream = connect(stage.cluster.address());
                stream.write_all(text.as_bytes()).expect("it is read");
                stream
            });
            for (stream, text) in streams.iter_mut().zip(starts) {
                stream.set_read_timeout(Some(SLOW_MAX)).expect("a socket");
                let mut said = String::new();
                let end = stream.read_to_string(&mut said);
                let reset = |error: Error| error.kind() == ErrorKind::ConnectionReset;
                assert!(
                    end.is_ok() || end.is_err_and(reset),
                    "{text:?} is waited for"
                );
                let took = start.elapsed();
                assert!((SLOW_MIN..SLOW_MAX).contains(&took), "{text:?}: {took:?}");
                let timeout = said.starts_with("HTTP/1.1 408");
                assert!(said.is_empty() || timeout, "{text:?}: {said}");
            }
        },
    },
    Rule {
        id: "LIMIT-5",
        sent: "10,000 connections that say nothing",
        answer: "the others are served as before",
        check: |stage| {
            let address = stage.cluster.address().to_owned();
            let (before, opened) = (stage.memory(HELD), files(stage));
            let idle: Vec<TcpStream> = (0..IDLE).map(|_| connect(&address)).collect();
            stage.runs_a_task();
            let start = Instant::now();
            let answer = Request::new("GET", "/version").send(&address);
            assert_eq!(answer.status, 200, "{answer:?}");
            assert!(start.elapsed() < Duration::from_secs(5));
            assert!(files(stage) >= opened + IDLE, "they are not all held");
            let taken = stage.memory(HELD).saturating_sub(before) / IDLE;
            assert!(taken < 16 << 10, "{taken} bytes for each");
            drop(idle);
        },
    },
    Rule {
        id: "LIMIT-6",
        sent: "a client that asks on and on and reads no answer",
        answer: "it is not read from any more, little is held for it, and the others are served as before",
        check: |stage| {
            let mut deaf = connect(stage.cluster.address());
            let question = Request::new("GET", "/metrics/snapshot").bytes();
            let before = stage.memory(HELD);
            deaf.set_write_timeout(Some(DEAF_FOR)).expect("a socket");
            let mut asked = 0;
            while deaf.write_all(&question).is_ok() {
                asked += 1;
                assert!(asked < QUESTIONS, "all of {asked} questions are read");
            }
            stage.runs_a_task();
            let taken = stage.memory(HELD).saturating_sub(before);
            assert!(taken < HELD_MAX, "{taken} bytes for {asked} questions");
        },
    },
    Rule {
        id: "LIMIT-7",
        sent: "a hundred subscriptions that are dropped at once",
        answer: "their frameworks are gone as well",
        check: |stage| {
            let call = super::subscribe(super::info("fleeting")).to_string();
            let request = scheduler(call).bytes();
            for _ in 0..100 {
                let mut stream = connect(stage.cluster.address());
                stream.write_all(&request).expect("it is read");
                let mut first = [0; 12];
                stream.read_exact(&mut first).expect("an answer");
                assert_eq!(&first, b"HTTP/1.1 200");
            }
            let start = Instant::now();
            let fleeting = |list: &str| {
                let names = stage.frameworks(list).into_iter();
                names.filter(|name| name == "fleeting").count()
            };
            // So many the master remembers.
            while fleeting("frameworks") > 0 || fleeting("completed_frameworks") < 50 {
                assert!(start.elapsed() < PATIENCE, "they stay");
            }
        },
    },
];

/// How many files the master has open.
fn files(stage: &Stage) -> usize {
    let folder = format!("/proc/{}/fd", stage.cluster.master.pid());
    std::fs::read_dir(folder).expect("the master lives").count()
}

fn memory_is_bounded(stage: &Stage) {
    let held = stage.memory(MOST_HELD);
    assert!(held < MEMORY_MAX, "the master held {held} bytes");
}
