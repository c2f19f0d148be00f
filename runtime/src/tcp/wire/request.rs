//! Recognizes libprocess messages among what arrives, and reads their heads.

use std::ops::Range;

use super::{CONNECTION, MAX_HEAD_BYTES, MAX_HEADERS, Serial, field, framing};
use tepui_message::Encoding;

/// How a body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is none.
    None,
    /// By `Content-Length`.
    Length(usize),
    /// By `Transfer-Encoding: chunked`.
    Chunked,
}

/// The head of a message. The ranges point into the bytes that it was read from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Bytes of the head, its blank line included.
    pub(crate) len: usize,
    /// The path.
    pub(crate) path: Range<usize>,
    /// The sender's PID; `None` where no header names one.
    pub(crate) from: Option<Range<usize>>,
    /// The encoding; `None` where the content type names none of ours.
    pub(crate) encoding: Option<Encoding>,
    pub(crate) framing: Framing,
    /// The sender wants the connection closed after the answer.
    pub(crate) close: bool,
    /// The sender waits for `100 Continue` before it sends the body.
    pub(crate) expects_continue: bool,
    /// The sender's name for this connection.
    pub(crate) serial: Option<Serial>,
}

/// What the bytes at the front of a connection are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// Too few to say.
    Partial,
    /// Not a message: something for the HTTP server.
    Http,
    /// A message's head.
    Message(Head),
    /// A message, but no good one: the status to answer before closing, and why.
    Bad(u16, &'static str),
}

/// Looks at the front of `bytes`. A message is a `POST` with `Libprocess-From`, or with a
/// `User-Agent` that begins with `libprocess/`.
pub(crate) fn parse(bytes: &[u8]) -> Parsed {
    const METHOD: &[u8] = b"POST ";
    let front = bytes.len().min(METHOD.len());
    if bytes[..front] != METHOD[..front] {
        return Parsed::Http;
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let len = match request.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD_BYTES => return Parsed::Partial,
        Ok(httparse::Status::Partial) => {
            return Parsed::Bad(431, "the head of the request is too large");
        }
        // The HTTP server words its own errors.
        Err(_problem) => return Parsed::Http,
    };
    if len > MAX_HEAD_BYTES {
        return Parsed::Bad(431, "the head of the request is too large");
    }
    let from = field(request.headers, "Libprocess-From");
    let agent = field(request.headers, "User-Agent")
        .and_then(|agent| agent.strip_prefix("libprocess/"))
        .map(str::trim);
    if from.is_none() && agent.is_none() && !has(request.headers, "Libprocess-From") {
        return Parsed::Http;
    }
    let coding = field(request.headers, "Content-Encoding").unwrap_or("identity");
    if !coding.eq_ignore_ascii_case("identity") {
        return Parsed::Bad(415, "a Content-Encoding of messages is not supported");
    }
    let framing = match framing(request.headers) {
        Ok(framing) => framing,
        Err(problem) => return Parsed::Bad(400, problem),
    };
    let connection = field(request.headers, "Connection").unwrap_or_default();
    let says = |word: &str| {
        connection
            .split(',')
            .any(|w| w.trim().eq_ignore_ascii_case(word))
    };
    let old = request.version == Some(0);
    let content_type = field(request.headers, "Content-Type");
    let unreadable = content_type.is_none() && has(request.headers, "Content-Type");
    let head = Head {
        len,
        path: range(bytes, request.path.unwrap_or_default()),
        from: from.or(agent).map(|text| range(bytes, text)),
        encoding: Encoding::from_content_type(content_type).filter(|_| !unreadable),
        framing,
        close: says("close") || (old && !says("keep-alive")),
        expects_continue: field(request.headers, "Expect")
            .is_some_and(|value| value.eq_ignore_ascii_case("100-continue")),
        serial: field(request.headers, CONNECTION).and_then(Serial::parse),
    };
    Parsed::Message(head)
}

fn has(headers: &[httparse::Header<'_>], name: &str) -> bool {
    headers
        .iter()
        .any(|header| header.name.eq_ignore_ascii_case(name))
}

/// Where `part`, which lies within `bytes`, begins and ends there.
fn range(bytes: &[u8], part: &str) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(bytes.as_ptr() as usize);
    start..start + part.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Head {
        match parse(text.as_bytes()) {
            Parsed::Message(head) => head,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_post_with_either_header_is_a_message() {
        let text = "POST /master/x.Y HTTP/1.1\r\nlibprocess-from:  a@10.0.0.2:1 \r\n\r\nrest";
        let found = head(text);
        assert_eq!(&text[found.path.clone()], "/master/x.Y");
        assert_eq!(&text[found.from.clone().unwrap()], "a@10.0.0.2:1");
        assert_eq!(&text[found.len..], "rest");
        assert_eq!(
            found.encoding,
            Some(Encoding::Protobuf),
            "without a content type"
        );
        assert_eq!(found.framing, Framing::None);
        assert!(!found.close);

        let text = "POST /master/x HTTP/1.1\r\nUser-Agent: libprocess/a@10.0.0.2:1\r\n\r\n";
        assert_eq!(&text[head(text).from.unwrap()], "a@10.0.0.2:1");

        let text = "POST /x/y HTTP/1.1\r\nUser-Agent: libprocess/a@1.1.1.1:1\r\n\
            Libprocess-From: b@2.2.2.2:2\r\n\r\n";
        assert_eq!(
            &text[head(text).from.unwrap()],
            "b@2.2.2.2:2",
            "the header goes first"
        );
    }

    #[test]
    fn everything_else_is_for_the_http_server() {
        for text in [
            "GET /state HTTP/1.1\r\nLibprocess-From: a@1.1.1.1:1\r\n\r\n",
            "POST /api/v1 HTTP/1.1\r\nUser-Agent: curl/8\r\n\r\n",
            "POST /a\r\n b: c\r\n\r\n",
            "G",
            "\x16\x03\x01",
            "POSTAL",
        ] {
            assert_eq!(parse(text.as_bytes()), Parsed::Http, "{text:?}");
        }
        for text in ["", "P", "POST ", "POST /a HTTP/1.1\r\nLibprocess-Fr"] {
            assert_eq!(parse(text.as_bytes()), Parsed::Partial, "{text:?}");
        }
    }

    #[test]
    fn framing_that_can_be_read_two_ways_is_refused() {
        let message = |fields: &str| {
            let text =
                format!("POST /a/b HTTP/1.1\r\nLibprocess-From: a@1.1.1.1:1\r\n{fields}\r\n");
            parse(text.as_bytes())
        };
        for bad in [
            "Content-Length: 1\r\nContent-Length: 2\r\n",
            "Content-Length: -1\r\n",
            "Content-Length: +1\r\n",
            "Content-Length: 99999999999999999999999\r\n",
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        ] {
            assert!(matches!(message(bad), Parsed::Bad(400, _)), "{bad:?}");
        }
        let same = message("Content-Length: 1\r\nContent-Length: 1\r\n");
        assert!(matches!(
            same,
            Parsed::Message(Head {
                framing: Framing::Length(1),
                ..
            })
        ));
    }

    #[test]
    fn a_head_has_a_bound() {
        let mut text = b"POST /a/b HTTP/1.1\r\nLibprocess-From: a@1.1.1.1:1\r\nX: ".to_vec();
        text.resize(MAX_HEAD_BYTES - 1, b'x');
        assert_eq!(parse(&text), Parsed::Partial);
        text.push(b'x');
        assert!(matches!(parse(&text), Parsed::Bad(431, _)));
        text.extend(b"\r\n\r\n");
        assert!(matches!(parse(&text), Parsed::Bad(431, _)));
    }

    #[test]
    fn the_connection_header_and_the_version_say_whether_to_close() {
        let close = |version: &str, connection: &str| {
            let text = format!(
                "POST /a/b HTTP/{version}\r\nLibprocess-From: a@1.1.1.1:1\r\n{connection}\r\n"
            );
            head(&text).close
        };
        assert!(!close("1.1", ""));
        assert!(!close("1.1", "Connection: Keep-Alive\r\n"));
        assert!(close("1.1", "Connection: x, Close\r\n"));
        assert!(close("1.0", ""));
        assert!(!close("1.0", "Connection: keep-alive\r\n"));
    }

    #[test]
    fn a_content_type_of_no_encoding_is_told_apart_from_none() {
        let encoding = |line: &str| {
            let text = format!("POST /a/b HTTP/1.1\r\nLibprocess-From: a@1.1.1.1:1\r\n{line}\r\n");
            head(&text).encoding
        };
        assert_eq!(
            encoding("Content-Type: application/json\r\n"),
            Some(Encoding::Json)
        );
        assert_eq!(encoding("Content-Type: text/plain\r\n"), None);
        assert_eq!(encoding(""), Some(Encoding::Protobuf));
    }
}
