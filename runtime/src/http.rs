//! HTTP as handlers see it: requests, responses, streamed bodies, and the table of routes.
//!
//! What travels between a listener and whoever answers. Nothing here knows sockets or an HTTP
//! library, so the same handlers serve the real and the simulated network. How bytes become a
//! [`Request`] is in `tcp/`.

mod answer;
mod body;
mod routes;

use std::{collections::BTreeMap, fmt, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::Serialize;

pub(crate) use self::answer::answer;
pub use self::body::{BodyError, BodyReader, BodyWriter, body_channel};
pub(crate) use self::routes::{Routes, Unanswered};
use crate::node::Node;

/// Answers the requests of one route. Dropped unfinished when the client goes away.
pub type Handler = Arc<dyn Fn(Request, Node) -> BoxFuture<'static, Response> + Send + Sync>;

/// A request's method, upper case as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Method(pub String);

impl Method {
    /// The method's text, such as `GET`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Method {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for Method {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl From<&str> for Method {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Header fields in the order they came; names compare without regard to case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// No fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field, keeping earlier ones of the same name.
    pub fn append(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }

    /// The first value under `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// All fields in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Headers {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(fields: T) -> Self {
        Self(
            fields
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

/// A request with its body read whole.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method; handlers decide which they take.
    pub method: Method,
    /// The path below the process' id, as it came (not percent-decoded); begins with `/`.
    pub path: String,
    /// The query, decoded; of a key given twice the last value holds.
    pub query: BTreeMap<String, String>,
    /// The header fields.
    pub headers: Headers,
    /// The body; empty where there was none.
    pub body: Bytes,
    /// Where the request came from; `None` in the simulated world.
    pub peer: Option<SocketAddr>,
}

impl Request {
    /// A request with no query, headers or body.
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            method: Method::from(method),
            path: path.to_owned(),
            query: BTreeMap::new(),
            headers: Headers::new(),
            body: Bytes::new(),
            peer: None,
        }
    }
}

/// A response's body.
#[derive(Debug)]
pub enum Body {
    /// No body; `Content-Length: 0`.
    Empty,
    /// All of it at once.
    Bytes(Bytes),
    /// A stream, sent chunked as it is written.
    Stream(BodyReader),
}

/// An answer. `Date` and the framing headers are added by the transport.
#[derive(Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Further header fields.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
}

impl Response {
    /// A response of this status with an empty body.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Body::Empty,
        }
    }

    /// `200` with an empty body.
    pub fn ok() -> Self {
        Self::status(200)
    }

    /// `202` with an empty body.
    pub fn accepted() -> Self {
        Self::status(202)
    }

    /// A plain text body, as Mesos words its errors.
    pub fn text(status: u16, text: impl Into<String>) -> Self {
        Self::bytes(status, "text/plain; charset=utf-8", text.into())
    }

    /// `200` with a value as JSON, or `500` where it cannot be written as JSON.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(text) => Self::bytes(200, "application/json", text),
            Err(problem) => Self::text(500, format!("the answer is not JSON: {problem}")),
        }
    }

    /// A body of a given content type.
    pub fn bytes(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Body::Bytes(body.into()),
        }
        .with_header("Content-Type", content_type)
    }

    /// A streamed body of a given content type.
    pub fn stream(status: u16, content_type: &str, body: BodyReader) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Body::Stream(body),
        }
        .with_header("Content-Type", content_type)
    }

    /// The same response with one more header field.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The first value of a header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        let same = |(key, _): &&(String, String)| key.eq_ignore_ascii_case(name);
        self.headers
            .iter()
            .find(same)
            .map(|(_, value)| value.as_str())
    }
}

/// Decodes `%XX`; `None` where the digits are bad or the result is not UTF-8.
pub fn percent_decode(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let high = char::from(bytes.next()?).to_digit(16)?;
        let low = char::from(bytes.next()?).to_digit(16)?;
        decoded.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(decoded).ok()
}

/// Reads a query (or a form body): `a=1&b=x+y`. What does not decode is kept as it came.
pub fn parse_query(text: &str) -> BTreeMap<String, String> {
    let decode = |part: &str| {
        let spaced = part.replace('+', " ");
        percent_decode(&spaced).unwrap_or(spaced)
    };
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_decoding_refuses_bad_digits_and_bad_utf8() {
        assert_eq!(percent_decode("slave(1)").as_deref(), Some("slave(1)"));
        assert_eq!(percent_decode("slave%281%29").as_deref(), Some("slave(1)"));
        assert_eq!(percent_decode("a%2Fb").as_deref(), Some("a/b"));
        assert_eq!(percent_decode("a%2"), None);
        assert_eq!(percent_decode("a%zz"), None);
        assert_eq!(percent_decode("%ff"), None);
    }

    #[test]
    fn of_a_key_given_twice_the_last_value_holds() {
        let query = parse_query("a=1&b=x+y%21&a=2&flag&&=v");
        let expected = [("", "v"), ("a", "2"), ("b", "x y!"), ("flag", "")];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(query, BTreeMap::from(expected));
    }

    #[test]
    fn header_names_compare_without_case() {
        let headers: Headers = [("Content-Type", "a"), ("content-type", "b")]
            .into_iter()
            .collect();
        assert_eq!(headers.get("CONTENT-TYPE"), Some("a"));
        assert_eq!(headers.get("Accept"), None);
    }
}
