//! A framework on the v1 HTTP API, the same for every master: a subscription that is read on a
//! thread of its own, and calls on a kept-alive connection. Paths have the `/master` prefix, which
//! every Mesos understands.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tepui_protocol::recordio::Decoder;
use tepui_runtime::Bytes;

/// A measurement that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(30);
const RECORD_MAX: usize = 64 << 20;
/// So many acknowledgements may be under way before their answers are read.
const UNDER_WAY: usize = 32;

/// An event, and when its last byte was read.
#[derive(Debug)]
pub struct Arrived {
    /// Which framework it came to, as given at its subscription.
    pub framework: usize,
    /// When it came.
    pub at: Instant,
    /// The event.
    pub event: Value,
}

/// A subscribed framework.
#[derive(Debug)]
pub struct Framework {
    address: String,
    /// The id that the master gave.
    pub id: String,
    stream_id: String,
    subscription: TcpStream,
    calls: BufReader<TcpStream>,
    /// Calls whose answers were not read yet.
    under_way: usize,
    /// Reads the events.
    reader: Option<JoinHandle<()>>,
}

impl Framework {
    /// Subscribes over a connection that is there already; events behind SUBSCRIBED go to `events`
    /// under `number`. Also returns when the call was sent.
    pub fn subscribe(
        address: &str,
        number: usize,
        events: &Sender<Arrived>,
    ) -> (Framework, Instant) {
        let (mut framework, records, sent) = Framework::open(address, number);
        let (told, subscribed) = channel();
        let events = events.clone();
        let reader = std::thread::spawn(move || read_events(records, number, &told, &events));
        framework.reader = Some(reader);
        let subscribed = subscribed.recv_timeout(PATIENCE);
        framework.id = subscribed.expect("SUBSCRIBED comes");
        (framework, sent)
    }

    /// Subscribes, and leaves it to the caller to read what comes. The framework's id, without
    /// which it cannot call, is in SUBSCRIBED.
    pub fn open(address: &str, number: usize) -> (Framework, Records, Instant) {
        let call = json!({"type": "SUBSCRIBE", "subscribe": {"framework_info": {
            "user": "root", "name": format!("bench-{number}"), "roles": [format!("role-{number}")],
            "capabilities": [{"type": "MULTI_ROLE"}],
        }}});
        let mut subscription = connect(address);
        let calls = BufReader::new(connect(address));
        let sent = Instant::now();
        send(&mut subscription, address, "", &call);
        let mut reader = BufReader::new(subscription.try_clone().expect("a handle"));
        let head = head(&mut reader);
        assert!(head.starts_with("HTTP/1.1 200"), "subscribed: {head}");
        let stream_id = field(&head, "Mesos-Stream-Id")
            .expect("a stream id")
            .to_owned();
        let framework = Framework {
            address: address.to_owned(),
            id: String::new(),
            stream_id,
            subscription,
            calls,
            under_way: 0,
            reader: None,
        };
        (framework, Records::new(reader), sent)
    }

    /// Makes a call and waits until it is accepted; when it was sent.
    pub fn call(&mut self, kind: &str, arguments: Value) -> Instant {
        let sent = self.post(kind, arguments);
        self.read_answers();
        sent
    }

    /// Makes a call, the answer to which is read later.
    fn post(&mut self, kind: &str, arguments: Value) -> Instant {
        let mut call = json!({"framework_id": {"value": self.id}, "type": kind});
        if !arguments.is_null() {
            call[kind.to_lowercase()] = arguments;
        }
        let sent = Instant::now();
        let stream_id = format!("Mesos-Stream-Id: {}\r\n", self.stream_id);
        send(self.calls.get_mut(), &self.address, &stream_id, &call);
        self.under_way += 1;
        sent
    }

    /// All calls that were made are accepted.
    fn read_answers(&mut self) {
        while self.under_way > 0 {
            let head = head(&mut self.calls);
            assert!(
                head.starts_with("HTTP/1.1 202"),
                "a call is accepted: {head}"
            );
            skip_body(&mut self.calls, &head);
            self.under_way -= 1;
        }
    }

    /// Declines offers, not to get them again for so many seconds.
    pub fn decline(&mut self, offers: &[Value], seconds: f64) -> Instant {
        let ids: Vec<&Value> = offers.iter().map(|offer| &offer["id"]).collect();
        self.call(
            "DECLINE",
            json!({"offer_ids": ids, "filters": {"refuse_seconds": seconds}}),
        )
    }

    /// Acknowledges a status update, if it wants to be.
    pub fn acknowledge(&mut self, status: &Value) {
        if let Some(uuid) = status.get("uuid") {
            let arguments = json!({
                "agent_id": status["agent_id"], "task_id": status["task_id"], "uuid": uuid,
            });
            self.post("ACKNOWLEDGE", arguments);
            if self.under_way == UNDER_WAY {
                self.read_answers();
            }
        }
    }

    /// Removes the framework from its master, and waits for the end of its subscription.
    pub fn teardown(mut self) {
        self.call("TEARDOWN", Value::Null);
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the events are well formed");
        }
        let _ = self.subscription.shutdown(Shutdown::Both);
    }
}

/// The next event of a type within the patience of a measurement.
pub fn next(events: &Receiver<Arrived>, kind: &str) -> Arrived {
    next_within(events, kind, PATIENCE).unwrap_or_else(|| panic!("no {kind} in time"))
}

/// The next event of a type; others are passed over.
pub fn next_within(events: &Receiver<Arrived>, kind: &str, patience: Duration) -> Option<Arrived> {
    let until = Instant::now() + patience;
    loop {
        match events.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(arrived) if arrived.event["type"] == kind => return Some(arrived),
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) => return None,
            Err(RecvTimeoutError::Disconnected) => panic!("the subscription ended"),
        }
    }
}

/// The body of a reply to GET, read whole.
pub fn get(address: &str, path: &str) -> Vec<u8> {
    try_get(address, path).unwrap_or_else(|head| panic!("{path}: {head}"))
}

/// As [`get`]; else the head of a reply that is none of success.
pub fn try_get(address: &str, path: &str) -> Result<Vec<u8>, String> {
    let mut stream = connect(address);
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .expect("the master reads");
    let mut reader = BufReader::new(stream);
    let head = head(&mut reader);
    if !head.starts_with("HTTP/1.1 200") {
        return Err(head);
    }
    let length = field(&head, "Content-Length").expect("a length");
    let mut body = vec![0; length.parse().expect("a number")];
    reader.read_exact(&mut body).expect("a whole body");
    Ok(body)
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the master listens");
    stream.set_nodelay(true).expect("a socket");
    stream
}

fn send(stream: &mut TcpStream, address: &str, fields: &str, call: &Value) {
    let body = call.to_string();
    let request = format!(
        "POST /master/api/v1/scheduler HTTP/1.1\r\nHost: {address}\r\n\
         Content-Type: application/json\r\nAccept: application/json\r\n{fields}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream
        .write_all(request.as_bytes())
        .expect("the master reads");
}

fn head(reader: &mut impl BufRead) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(
            reader.read_line(&mut head).expect("an answer") > 0,
            "closed: {head}"
        );
    }
    head
}

fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

fn skip_body(reader: &mut impl Read, head: &str) {
    let length = field(head, "Content-Length").map_or(0, |text| text.parse().expect("a number"));
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a whole body");
}

/// A chunked stream of records, read until it ends.
#[derive(Debug)]
pub struct Records {
    reader: BufReader<TcpStream>,
    decoder: Decoder,
    read: VecDeque<Bytes>,
    /// When the last byte of what was read came.
    at: Instant,
}

impl Records {
    fn new(reader: BufReader<TcpStream>) -> Records {
        Records {
            reader,
            decoder: Decoder::new(RECORD_MAX),
            read: VecDeque::new(),
            at: Instant::now(),
        }
    }

    /// Reads one more chunk, unless the stream is over.
    fn read_chunk(&mut self) -> Option<()> {
        let mut line = String::new();
        self.reader.read_line(&mut line).ok()?;
        let size = usize::from_str_radix(line.trim(), 16).ok()?;
        if size == 0 {
            return None;
        }
        let mut chunk = vec![0; size + 2];
        self.reader.read_exact(&mut chunk).ok()?;
        self.at = Instant::now();
        let records = self.decoder.push(&chunk[..size]);
        self.read.extend(records.expect("records are well framed"));
        Some(())
    }
}

impl Iterator for Records {
    type Item = (Instant, Bytes);

    fn next(&mut self) -> Option<(Instant, Bytes)> {
        loop {
            if let Some(record) = self.read.pop_front() {
                return Some((self.at, record));
            }
            self.read_chunk()?;
        }
    }
}

/// The id in SUBSCRIBED, if that is what this event is.
pub fn subscribed_as(event: &Value) -> Option<&str> {
    event["subscribed"]["framework_id"]["value"].as_str()
}

/// Passes events on until there are no more.
fn read_events(
    records: Records,
    framework: usize,
    told: &Sender<String>,
    events: &Sender<Arrived>,
) {
    for (at, record) in records {
        let event: Value = serde_json::from_slice(&record).expect("records are JSON");
        if let Some(id) = subscribed_as(&event) {
            let _ = told.send(id.to_owned());
        } else if event["type"] != "HEARTBEAT" {
            let _ = events.send(Arrived {
                framework,
                at,
                event,
            });
        }
    }
}
