//! libprocess' wire format: messages as HTTP requests, and the answers to them. Pure: bytes in,
//! bytes out, no sockets.
//!
//! ```text
//! POST /<id>/<message name> HTTP/1.1
//! User-Agent: libprocess/<from>
//! Libprocess-From: <from>
//! Connection: Keep-Alive
//! Host: <ip:port>
//! Content-Type: application/msgpack
//! Content-Length: <bytes>
//! ```
//!
//! The first message of each connection of ours carries [`CONNECTION`] as well: see
//! [`super::order`]. Between nodes that both have it, [`frame`] takes over from there.

mod body;
pub(crate) mod frame;
mod reply;
mod request;

use bytes::{BufMut as _, BytesMut};

pub(crate) use self::body::{BodyDecoder, BodyFault};
pub(crate) use self::reply::{Fields, Reply, ReplyReader, put_reply};
pub(crate) use self::request::{Framing, Head, Parsed, parse};
use crate::address::{Address, Pid};
use tepui_message::Encoding;

/// The largest head of a message or an answer. libprocess' own are some 300 bytes.
pub(crate) const MAX_HEAD_BYTES: usize = 32 * 1024;

/// The most header fields of a message or an answer.
const MAX_HEADERS: usize = 64;

/// Names a connection among those of its node: `<node's start in ns>.<number>`, both rising.
pub(crate) const CONNECTION: &str = "Tepui-Connection";

/// A connection's place among all that one node ever makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Serial {
    /// When the node started, in nanoseconds since the Unix epoch.
    pub(crate) node: u64,
    /// Counts the node's connections.
    pub(crate) number: u64,
}

impl Serial {
    fn parse(text: &str) -> Option<Self> {
        let (node, number) = text.split_once('.')?;
        Some(Self {
            node: node.parse().ok()?,
            number: number.parse().ok()?,
        })
    }
}

/// One message to be sent.
pub(crate) struct Outgoing<'a> {
    pub(crate) from: &'a Pid,
    pub(crate) to: &'a Pid,
    pub(crate) name: &'a str,
    pub(crate) encoding: Encoding,
    pub(crate) body: &'a [u8],
}

/// Appends a message as a request. `first` is given for the first one of a connection.
pub(crate) fn put_message(out: &mut BytesMut, message: &Outgoing<'_>, first: Option<Serial>) {
    out.reserve(256 + 2 * message.from.id().len() + message.to.id().len() + message.body.len());
    out.put_slice(b"POST /");
    put_path_part(out, message.to.id(), b"/");
    out.put_u8(b'/');
    put_path_part(out, message.name, b"");
    out.put_slice(b" HTTP/1.1\r\nUser-Agent: libprocess/");
    let start = out.len();
    put_field(out, message.from.id());
    out.put_u8(b'@');
    put_address(out, message.from.address());
    let from = start..out.len();
    out.put_slice(b"\r\nLibprocess-From: ");
    out.extend_from_within(from);
    out.put_slice(b"\r\nConnection: Keep-Alive\r\nHost: ");
    put_address(out, message.to.address());
    if let Some(Serial { node, number }) = first {
        out.put_slice(format!("\r\n{CONNECTION}: {node}.{number}").as_bytes());
    }
    out.put_slice(b"\r\nContent-Type: ");
    out.put_slice(message.encoding.content_type().as_bytes());
    out.put_slice(b"\r\nContent-Length: ");
    put_number(out, message.body.len());
    out.put_slice(b"\r\n\r\n");
    out.put_slice(message.body);
}

/// Writes a part of a path: raw as libprocess does, but for what would break the request line.
fn put_path_part(out: &mut BytesMut, part: &str, also: &[u8]) {
    let is_plain =
        |byte: u8| byte.is_ascii_graphic() && !b"%?#".contains(&byte) && !also.contains(&byte);
    if part.bytes().all(is_plain) {
        out.put_slice(part.as_bytes());
        return;
    }
    for byte in part.bytes() {
        if is_plain(byte) {
            out.put_u8(byte);
        } else {
            out.put_slice(&[b'%', hex(byte >> 4), hex(byte & 15)]);
        }
    }
}

fn hex(digit: u8) -> u8 {
    b"0123456789ABCDEF"[usize::from(digit & 15)]
}

/// Writes a header's value; control characters, which would end it, become `?`.
fn put_field(out: &mut BytesMut, value: &str) {
    if value.bytes().any(|byte| byte.is_ascii_control()) {
        out.extend(
            value
                .bytes()
                .map(|byte| if byte.is_ascii_control() { b'?' } else { byte }),
        );
    } else {
        out.put_slice(value.as_bytes());
    }
}

fn put_address(out: &mut BytesMut, address: Address) {
    match address.ip {
        std::net::IpAddr::V4(ip) => {
            for (index, octet) in ip.octets().into_iter().enumerate() {
                if index > 0 {
                    out.put_u8(b'.');
                }
                put_number(out, usize::from(octet));
            }
        }
        std::net::IpAddr::V6(ip) => out.put_slice(ip.to_string().as_bytes()),
    }
    out.put_u8(b':');
    put_number(out, usize::from(address.port));
}

/// Writes a decimal number without the formatting machinery, which costs more than the message.
fn put_number(out: &mut BytesMut, number: usize) {
    let mut digits = [0u8; 20];
    let mut start = digits.len();
    let mut rest = number;
    loop {
        start -= 1;
        digits[start] = b"0123456789"[rest % 10];
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.put_slice(&digits[start..]);
}

/// The value of a header field among httparse's, as text.
fn field<'h>(headers: &[httparse::Header<'h>], name: &str) -> Option<&'h str> {
    let header = headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(header.value).ok().map(str::trim)
}

/// How a message's body is delimited, from its headers.
fn framing(headers: &[httparse::Header<'_>]) -> Result<Framing, &'static str> {
    let mut length = None;
    let mut chunked = false;
    for header in headers {
        if header.name.eq_ignore_ascii_case("Content-Length") {
            let text = std::str::from_utf8(header.value).unwrap_or_default().trim();
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let number = text.parse().ok().filter(|_| digits);
            let number: usize = number.ok_or("bad Content-Length")?;
            if length
                .replace(number)
                .is_some_and(|earlier| earlier != number)
            {
                return Err("two Content-Lengths that differ");
            }
        } else if header.name.eq_ignore_ascii_case("Transfer-Encoding") {
            if !header.value.trim_ascii().eq_ignore_ascii_case(b"chunked") || chunked {
                return Err("a Transfer-Encoding other than chunked");
            }
            chunked = true;
        }
    }
    match (length, chunked) {
        (Some(_), true) => Err("both Content-Length and Transfer-Encoding"),
        (None, true) => Ok(Framing::Chunked),
        (Some(length), false) => Ok(Framing::Length(length)),
        (None, false) => Ok(Framing::None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(from: &str, to: &str, name: &str, first: Option<Serial>) -> String {
        let message = Outgoing {
            from: &from.parse().unwrap(),
            to: &to.parse().unwrap(),
            name,
            encoding: Encoding::Json,
            body: br#"{"n":1}"#,
        };
        let mut out = BytesMut::new();
        put_message(&mut out, &message, first);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn a_message_is_written_as_libprocess_writes_it() {
        let text = written(
            "slave(1)@10.0.0.2:5051",
            "master@10.0.0.1:5050",
            "example.Tick",
            None,
        );
        let expected = "POST /master/example.Tick HTTP/1.1\r\n\
            User-Agent: libprocess/slave(1)@10.0.0.2:5051\r\n\
            Libprocess-From: slave(1)@10.0.0.2:5051\r\n\
            Connection: Keep-Alive\r\n\
            Host: 10.0.0.1:5050\r\n\
            Content-Type: application/json\r\n\
            Content-Length: 7\r\n\
            \r\n\
            {\"n\":1}";
        assert_eq!(text, expected);
    }

    #[test]
    fn the_first_message_of_a_connection_names_the_connection() {
        let first = Some(Serial {
            node: 17,
            number: 3,
        });
        let text = written("a@10.0.0.2:1", "slave(1)@10.0.0.1:2", "x.Y", first);
        let expected = "POST /slave(1)/x.Y HTTP/1.1\r\n\
            User-Agent: libprocess/a@10.0.0.2:1\r\n\
            Libprocess-From: a@10.0.0.2:1\r\n\
            Connection: Keep-Alive\r\n\
            Host: 10.0.0.1:2\r\n\
            Tepui-Connection: 17.3\r\n\
            Content-Type: application/json\r\n\
            Content-Length: 7\r\n\
            \r\n\
            {\"n\":1}";
        assert_eq!(text, expected);
        assert_eq!(Serial::parse("17.3"), first);
        assert_eq!(Serial::parse("17"), None);
    }

    #[test]
    fn an_id_cannot_break_out_of_its_place() {
        let text = written("a\r\nX: y@10.0.0.2:1", "b c/d?e\r\n%@10.0.0.1:2", "x", None);
        let mut lines = text.lines();
        assert_eq!(
            lines.next(),
            Some("POST /b%20c%2Fd%3Fe%0D%0A%25/x HTTP/1.1")
        );
        assert_eq!(
            lines.next(),
            Some("User-Agent: libprocess/a??X: y@10.0.0.2:1")
        );
        assert_eq!(lines.next(), Some("Libprocess-From: a??X: y@10.0.0.2:1"));
        assert_eq!(lines.next(), Some("Connection: Keep-Alive"));
    }

    #[test]
    fn numbers_are_decimal() {
        for number in [0, 7, 10, 65_535, usize::MAX] {
            let mut out = BytesMut::new();
            put_number(&mut out, number);
            assert_eq!(std::str::from_utf8(&out).unwrap(), number.to_string());
        }
    }
}
