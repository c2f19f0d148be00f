//! HTTP by hand, for what no client would send: bytes out, one answer back.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How long an answer may take, to its end.
const PATIENCE: Duration = Duration::from_secs(20);

/// A request, written as it is told and not checked.
#[derive(Clone, Debug)]
pub struct Request {
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    /// A request without headers or a body.
    pub fn new(method: &str, path: &str) -> Request {
        Request {
            line: format!("{method} {path} HTTP/1.1"),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// A POST of a body that is said to be of a type.
    pub fn post(path: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Request {
        let request = Request::new("POST", path).with("Content-Type", content_type);
        request.with_body(body)
    }

    /// A message to the process and of the name that make up the path, as libprocess sends it.
    pub fn message(
        path: &str,
        from: &str,
        content_type: &str,
        body: impl Into<Vec<u8>>,
    ) -> Request {
        Request::post(path, content_type, body).with("Libprocess-From", from)
    }

    /// The same with another header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Request {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with a body, and its length.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Request {
        self.body = body.into();
        let length = self.body.len().to_string();
        self.with("Content-Length", &length)
    }

    /// The bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut head = format!("{}\r\nHost: tepui\r\n", self.line);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// Sends it over a connection of its own and gives the answer.
    ///
    /// # Panics
    ///
    /// When there is no answer.
    pub fn send(&self, address: &str) -> Answer {
        let answer = exchange(address, &self.bytes());
        answer.unwrap_or_else(|| panic!("no answer to {}", self.line))
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    /// The body; of a stream everything until it ended.
    pub body: String,
}

impl Answer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }
}

/// A connection whose reads end.
///
/// # Panics
///
/// When nobody listens there.
pub fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    stream.set_write_timeout(Some(PATIENCE)).expect("a socket");
    stream
}

/// Sends bytes and gives the first answer; `None` where the connection is closed without one.
pub fn exchange(address: &str, bytes: &[u8]) -> Option<Answer> {
    let mut stream = connect(address);
    // Who answers before the end of what is sent may close before it, too.
    let _ = stream.write_all(bytes);
    read_answer(&mut stream)
}

/// Sends bytes and gives the first answer, if there is one, of a connection that is closed then.
///
/// # Panics
///
/// When it stays open.
pub fn exchange_and_close(address: &str, bytes: &[u8]) -> Option<Answer> {
    let mut stream = connect(address);
    let _ = stream.write_all(bytes);
    let answer = read_answer(&mut stream);
    let said = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]);
    assert!(
        is_closed(&mut stream),
        "{said:?} leaves the connection open"
    );
    answer
}

/// Reads on until the connection is closed; whether it is.
pub fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read_to_end(&mut Vec::new()) {
        Ok(_) => true,
        // What was not read there resets it.
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

/// Reads one answer; `None` where the connection is closed before its head is whole.
pub fn read_answer(stream: &mut impl Read) -> Option<Answer> {
    let mut bytes = Vec::new();
    let mut piece = [0; 16384];
    let deadline = Instant::now() + PATIENCE;
    let mut more = |bytes: &mut Vec<u8>| match stream.read(&mut piece) {
        // Heartbeats of a stream that was meant to end come for ever.
        Ok(length @ 1..) if Instant::now() < deadline => {
            bytes.extend_from_slice(&piece[..length]);
            true
        }
        _ => false,
    };
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if !more(&mut bytes) {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut answer = Answer {
        status: head.split(' ').nth(1)?.parse().ok()?,
        head,
        body: String::new(),
    };
    let length = answer.header("Content-Length").map(str::parse::<usize>);
    match length {
        Some(Ok(length)) => while bytes.len() < end + length && more(&mut bytes) {},
        _ if answer.header("Transfer-Encoding").is_none() => {}
        // A stream of chunks: to its last one, which is empty.
        _ => while !bytes.ends_with(b"\r\n0\r\n\r\n") && more(&mut bytes) {},
    }
    answer.body = String::from_utf8_lossy(&bytes[end..]).into_owned();
    Some(answer)
}
