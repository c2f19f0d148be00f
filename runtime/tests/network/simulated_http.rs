//! HTTP over the simulated network: answers and streams, and what breaks them.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use tepui_runtime::{
    Address, Body, BodyError, BodyReader, BodyWriter, Bytes, HttpError, Request, Response,
    SimOptions, Simulation, Stage, body_channel,
};

use crate::support::*;

const SECOND: Duration = Duration::from_secs(1);
const CAPACITY: usize = 10_000;

fn simulation(seed: u64) -> Simulation {
    World::simulated(SimOptions {
        seed,
        ..SimOptions::default()
    })
}

/// What the server has to do with its streams.
#[derive(Clone, Default)]
struct Feed {
    writer: Arc<Mutex<Option<BodyWriter>>>,
    closed: Arc<AtomicU32>,
}

impl Feed {
    fn write(&self, text: &str) -> Result<(), BodyError> {
        let writer = self.writer.lock().unwrap();
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        writer.as_ref().unwrap().write(bytes)
    }

    fn end(&self) -> Option<BodyWriter> {
        self.writer.lock().unwrap().take()
    }

    fn closed(&self) -> u32 {
        self.closed.load(Ordering::Relaxed)
    }
}

/// A node that streams, echoes, and thinks for ever.
fn server(world: &World) -> (Node, Feed, Arc<AtomicBool>) {
    let node = node(world);
    let (feed, thinking) = (Feed::default(), Arc::new(AtomicBool::new(false)));
    witness(&node, "server");
    let of_handler = feed.clone();
    let stream = move |_request: Request, _node: Node| {
        let (writer, reader) = body_channel(CAPACITY);
        let closed = Arc::clone(&of_handler.closed);
        writer.on_closed(Box::new(move || {
            closed.fetch_add(1, Ordering::Relaxed);
        }));
        *of_handler.writer.lock().unwrap() = Some(writer);
        std::future::ready(Response::stream(200, "text/plain", reader)).boxed()
    };
    node.route("server", "/feed", Arc::new(stream));
    let echo = |request: Request, _node: Node| {
        let Request { method, path, .. } = &request;
        let text = format!("{method} {path} {:?} {:?}", request.query, request.body);
        std::future::ready(Response::text(200, text)).boxed()
    };
    node.route("server", "/echo", Arc::new(echo));
    let thinks = Arc::clone(&thinking);
    let think = move |_request: Request, _node: Node| {
        struct Thought(Arc<AtomicBool>);
        impl Drop for Thought {
            fn drop(&mut self) {
                self.0.store(false, Ordering::Relaxed);
            }
        }
        thinks.store(true, Ordering::Relaxed);
        let thought = Thought(Arc::clone(&thinks));
        async move {
            let _thought = thought;
            std::future::pending().await
        }
        .boxed()
    };
    node.route("server", "/think", Arc::new(think));
    node.route("server", "/panic", Arc::new(|_, _| panic!("on purpose")));
    node.delegate("server");
    (node, feed, thinking)
}

/// Sends a request and runs until it is answered.
fn ask(
    simulation: &mut Simulation,
    from: &Node,
    to: Address,
    request: Request,
) -> Result<Response, HttpError> {
    let answer = simulation.network().request(from, to, request);
    simulation.block_on(answer)
}

fn open(simulation: &mut Simulation, from: &Node, to: &Node) -> BodyReader {
    let answer = ask(simulation, from, to.address(), Request::new("GET", "/feed")).unwrap();
    assert_eq!(answer.header("content-type"), Some("text/plain"));
    match answer.body {
        Body::Stream(reader) => reader,
        body => panic!("{body:?}"),
    }
}

/// What a stream has by now.
fn read(reader: &mut BodyReader) -> Vec<Result<String, BodyError>> {
    let mut all = Vec::new();
    while let Some(Some(piece)) = reader.next().now_or_never() {
        let failed = piece.is_err();
        all.push(piece.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()));
        if failed {
            break;
        }
    }
    all
}

fn text(text: &str) -> Result<String, BodyError> {
    Ok(text.to_owned())
}

#[test]
fn requests_reach_the_handlers_of_the_routes_and_take_their_time() {
    let mut simulation = simulation(1);
    let latency = Duration::from_millis(10);
    simulation.network().set_latency(latency, latency);
    let client = node(simulation.world());
    let (server, _feed, _thinking) = server(simulation.world());
    let begin = simulation.now();
    let mut request = Request::new("POST", "/server/echo/more");
    request.query.insert("a".to_owned(), "1".to_owned());
    request.body = Bytes::from_static(b"body");
    let answer = ask(&mut simulation, &client, server.address(), request).unwrap();
    let Body::Bytes(body) = answer.body else {
        panic!("a whole body")
    };
    assert_eq!(body, r#"POST /echo/more {"a": "1"} b"body""#);
    assert_eq!(simulation.now() - begin, 2 * latency);
    for (path, status) in [("/echo", 200), ("/nothing", 404), ("/panic", 500)] {
        let request = Request::new("GET", path);
        let answer = ask(&mut simulation, &client, server.address(), request).unwrap();
        assert_eq!(answer.status, status, "{path}");
    }
}

#[test]
fn every_packet_is_in_the_trace() {
    let run = |seed: u64, word: &'static str| {
        let mut simulation = simulation(seed);
        let client = node(simulation.world());
        let (server, feed, _thinking) = server(simulation.world());
        let seen: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
        let tapped = Arc::clone(&seen);
        let (here, there) = (client.address(), server.address());
        simulation.tap(move |passage| {
            if passage.stage == Stage::Packet {
                let body = passage.packet.map(|packet| packet.body.to_vec());
                let name = passage.name().to_owned();
                let up = passage.from.address() == here && passage.to.address() == there;
                let down = passage.from.address() == there && passage.to.address() == here;
                assert!(up != down && passage.from.id() == passage.to.id());
                let line = passage.to_string();
                assert!(line.contains(&format!(" {name} ")), "{line}");
                assert!(line.ends_with(&format!(" {:016x}", passage.body_hash())));
                let way = if up { ">" } else { "<" };
                let body = String::from_utf8(body.unwrap()).unwrap();
                tapped.lock().unwrap().push((format!("{way} {name}"), body));
            }
        });
        let mut request = Request::new("POST", "/echo");
        request.body = Bytes::from_static(b"body");
        ask(&mut simulation, &client, there, request).unwrap();
        let mut reader = open(&mut simulation, &client, &server);
        feed.write(word).unwrap();
        simulation.run_for(SECOND);
        read(&mut reader);
        simulation.run_for(SECOND);
        drop(feed.end());
        simulation.run_for(SECOND);
        assert_eq!(simulation.deliveries(), 0, "none of it is a message");
        let seen = seen.lock().unwrap().clone();
        (seen, simulation.trace_hash())
    };
    let (seen, hash) = run(9, "one");
    let echoed = r#"POST /echo {} b"body""#;
    let expected = [
        ("> POST /echo", "body"),
        ("< HTTP 200", echoed),
        ("> GET /feed", ""),
        ("< HTTP 200", ""),
        ("< HTTP piece", "one"),
        ("> HTTP read", ""),
        ("< HTTP end", ""),
    ];
    let seen: Vec<(&str, &str)> = seen.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    assert_eq!(seen, expected);
    assert_eq!(run(9, "one").1, hash);
    assert_ne!(run(9, "two").1, hash, "the hash takes in what is written");
}

#[test]
fn pieces_of_a_stream_arrive_in_order_and_its_end_after_them() {
    let mut simulation = simulation(2);
    let (min, max) = (Duration::from_millis(1), Duration::from_millis(50));
    simulation.network().set_latency(min, max);
    let client = node(simulation.world());
    let (server, feed, _thinking) = server(simulation.world());
    let mut reader = open(&mut simulation, &client, &server);
    let expected: Vec<String> = (0..100).map(|n| format!("piece {n}")).collect();
    for piece in &expected {
        feed.write(piece).unwrap();
        simulation.run_until_idle();
    }
    assert_eq!(read(&mut reader), []);
    drop(feed.end());
    simulation.run_for(SECOND);
    let pieces: Vec<String> = read(&mut reader).into_iter().map(Result::unwrap).collect();
    assert_eq!(pieces, expected);
    assert_eq!(reader.next().now_or_never(), Some(None), "the end");
    assert_eq!(feed.closed(), 0, "it was complete");
}

#[test]
fn a_cut_ends_the_stream_with_an_error_on_both_sides() {
    let mut simulation = simulation(3);
    let client = node(simulation.world());
    let (server, feed, _thinking) = server(simulation.world());
    let mut reader = open(&mut simulation, &client, &server);
    feed.write("one").unwrap();
    simulation.run_for(SECOND);
    assert_eq!(read(&mut reader), [text("one")]);
    feed.write("two").unwrap();
    simulation.network().cut(&server, &client);
    simulation.run_for(SECOND);
    assert_eq!(
        read(&mut reader),
        [text("two")],
        "nobody cut what the client began"
    );
    simulation.network().cut(&client, &server);
    simulation.run_for(SECOND);
    assert_eq!(read(&mut reader), [Err(BodyError::Aborted)]);
    assert_eq!(feed.closed(), 1);
    assert_eq!(feed.write("three"), Err(BodyError::Closed));
}

#[test]
fn a_client_that_leaves_is_seen_by_the_server() {
    let mut simulation = simulation(4);
    let client = node(simulation.world());
    let (server, feed, thinking) = server(simulation.world());
    let reader = open(&mut simulation, &client, &server);
    simulation.run_for(SECOND);
    drop(reader);
    assert_eq!(feed.closed(), 0, "it takes its time");
    simulation.run_for(SECOND);
    assert_eq!(feed.closed(), 1);

    let request = Request::new("GET", "/think");
    let answer = simulation
        .network()
        .request(&client, server.address(), request);
    simulation.run_for(SECOND);
    assert!(thinking.load(Ordering::Relaxed));
    drop(answer);
    simulation.run_for(SECOND);
    assert!(!thinking.load(Ordering::Relaxed), "the handler is dropped");
}

#[test]
fn a_client_that_does_not_read_fills_the_stream_until_it_does() {
    let mut simulation = simulation(5);
    let client = node(simulation.world());
    let (server, feed, _thinking) = server(simulation.world());
    let mut reader = open(&mut simulation, &client, &server);
    let piece = "x".repeat(1000);
    let fill = |simulation: &mut Simulation| {
        for written in 0..1000 {
            if feed.write(&piece) == Err(BodyError::Full) {
                return written;
            }
            simulation.run_for(Duration::from_millis(10));
        }
        1000
    };
    // The stream's own bound and the window of the connection.
    assert_eq!(fill(&mut simulation), 66 + 10);
    let mut taken = 0;
    for _ in 0..10 {
        taken += read(&mut reader).len();
        simulation.run_for(SECOND);
    }
    assert_eq!(taken, 76);
    assert_eq!(fill(&mut simulation), 76);
}

#[test]
fn a_writer_that_breaks_off_is_an_error_even_to_a_client_that_does_not_read() {
    let mut simulation = simulation(6);
    let client = node(simulation.world());
    let (server, feed, _thinking) = server(simulation.world());
    let mut reader = open(&mut simulation, &client, &server);
    feed.write("half").unwrap();
    feed.end().unwrap().abort();
    simulation.run_for(SECOND);
    assert_eq!(read(&mut reader), [Err(BodyError::Aborted)]);
}

#[test]
fn a_block_delays_or_breaks() {
    let mut simulation = simulation(7);
    let client = node(simulation.world());
    let (server, feed, _thinking) = server(simulation.world());
    let mut reader = open(&mut simulation, &client, &server);
    for (first, second) in [("one", "two"), ("three", "four")] {
        feed.write(first).unwrap();
        simulation.network().block(&server, &client);
        simulation.run_for(2 * SECOND);
        feed.write(second).unwrap();
        simulation.run_for(2 * SECOND);
        assert_eq!(read(&mut reader), [], "nothing gets through");
        simulation.network().heal(&client, &server);
        simulation.run_for(20 * SECOND);
        assert_eq!(read(&mut reader), [text(first), text(second)]);
    }
    simulation.network().block(&client, &server);
    let request = Request::new("GET", "/echo");
    let begin = simulation.now();
    let answer = ask(&mut simulation, &client, server.address(), request);
    let to = server.address();
    assert_eq!(answer.unwrap_err(), HttpError::Broken { to });
    assert_eq!(simulation.now() - begin, 15 * SECOND, "the detection time");
    assert_eq!(read(&mut reader), [Err(BodyError::Aborted)]);
    assert_eq!(feed.closed(), 1);
}

#[test]
fn crashes_are_noticed_after_the_detection_time_and_shutdowns_soon() {
    let mut simulation = simulation(8);
    let client = node(simulation.world());
    let servers: Vec<_> = (0..2).map(|_| server(simulation.world())).collect();
    let mut readers: Vec<BodyReader> = servers
        .iter()
        .map(|(server, ..)| open(&mut simulation, &client, server))
        .collect();
    servers[0].0.crash();
    simulation.block_on(servers[1].0.shutdown());
    simulation.run_for(SECOND);
    assert_eq!(read(&mut readers[0]), []);
    assert_eq!(read(&mut readers[1]), [Err(BodyError::Aborted)]);
    let refused = ask(
        &mut simulation,
        &client,
        servers[1].0.address(),
        Request::new("GET", "/echo"),
    );
    let to = servers[1].0.address();
    assert_eq!(refused.unwrap_err(), HttpError::Broken { to });
    simulation.run_for(15 * SECOND);
    assert_eq!(read(&mut readers[0]), [Err(BodyError::Aborted)]);

    let (server, feed, _thinking) = server(simulation.world());
    let _reader = open(&mut simulation, &client, &server);
    client.crash();
    simulation.run_for(14 * SECOND);
    assert_eq!(feed.closed(), 0);
    simulation.run_for(2 * SECOND);
    assert_eq!(feed.closed(), 1);
    let down = ask(
        &mut simulation,
        &client,
        server.address(),
        Request::new("GET", "/echo"),
    );
    assert_eq!(down.unwrap_err(), HttpError::Down);
}

/// Many requests in bad weather: which were answered, and when the last one was.
fn storm(seed: u64) -> (Vec<bool>, tepui_runtime::Time) {
    let mut simulation = simulation(seed);
    simulation.network().set_cuts_per_million(100_000);
    let client = node(simulation.world());
    let (server, _feed, _thinking) = server(simulation.world());
    let answers = (0..200).map(|_| {
        let request = Request::new("GET", "/echo");
        ask(&mut simulation, &client, server.address(), request).is_ok()
    });
    (answers.collect(), simulation.now())
}

#[test]
fn a_seed_repeats_what_it_cuts() {
    let first = storm(1);
    assert_eq!(storm(1), first);
    assert_ne!(storm(2), first);
    let answered = first.0.iter().filter(|answered| **answered).count();
    assert!((120..200).contains(&answered), "{answered} of 200");
}
