//! Answers to messages: written by the node that received one, read by the node that sent it.

use bytes::{Buf as _, BufMut as _, BytesMut};

use super::{BodyDecoder, Framing, MAX_HEAD_BYTES, MAX_HEADERS, field, framing, put_number};

/// Of an answer's body so much is kept as the reason.
const MAX_REASON_BYTES: usize = 4 * 1024;

/// An answer with a larger body ends the connection.
const MAX_REPLY_BYTES: usize = 1024 * 1024;

/// Appends an answer to a message. `date` is the text of the `Date` header.
pub(crate) fn put_reply(out: &mut BytesMut, status: u16, reason: &str, date: &str, close: bool) {
    out.put_slice(b"HTTP/1.1 ");
    put_number(out, usize::from(status));
    out.put_u8(b' ');
    out.put_slice(phrase(status).as_bytes());
    out.put_slice(b"\r\nDate: ");
    out.put_slice(date.as_bytes());
    if close {
        out.put_slice(b"\r\nConnection: close");
    }
    if !reason.is_empty() {
        out.put_slice(b"\r\nContent-Type: text/plain; charset=utf-8");
    }
    out.put_slice(b"\r\nContent-Length: ");
    put_number(out, reason.len());
    out.put_slice(b"\r\n\r\n");
    out.put_slice(reason.as_bytes());
}

fn phrase(status: u16) -> &'static str {
    match status {
        202 => "Accepted",
        400 => "Bad Request",
        404 => "Not Found",
        408 => "Request Timeout",
        413 => "Content Too Large",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Refused",
    }
}

/// An answer as the sender of a message sees it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The beginning of the body, as text.
    pub(crate) reason: String,
    /// The peer closes the connection behind this answer.
    pub(crate) last: bool,
}

/// What comes back is no HTTP, or too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadReply;

/// Reads answers one after another from a connection.
#[derive(Debug, Default)]
pub(crate) struct ReplyReader {
    body: Option<(Reply, BodyDecoder)>,
}

impl ReplyReader {
    /// Takes one answer from the front of `bytes`; `None` while it is not complete.
    pub(crate) fn read(&mut self, bytes: &mut BytesMut) -> Result<Option<Reply>, BadReply> {
        loop {
            if let Some((_, decoder)) = &mut self.body {
                if !decoder.read(bytes).map_err(|_| BadReply)? {
                    return Ok(None);
                }
                let Some((mut reply, decoder)) = self.body.take() else {
                    return Err(BadReply);
                };
                reply.reason = String::from_utf8_lossy(&decoder.body).into_owned();
                return Ok(Some(reply));
            }
            match head(bytes)? {
                None => return Ok(None),
                Some((reply, _)) if (100..200).contains(&reply.status) => {}
                Some((reply, Framing::None | Framing::Length(0))) => return Ok(Some(reply)),
                Some((reply, framing)) => {
                    let decoder = BodyDecoder::new(framing, MAX_REPLY_BYTES, MAX_REASON_BYTES);
                    self.body = Some((reply, decoder));
                }
            }
        }
    }
}

/// Takes an answer's head from the front of `bytes`.
fn head(bytes: &mut BytesMut) -> Result<Option<(Reply, Framing)>, BadReply> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let len = match response.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD_BYTES => return Ok(None),
        Ok(httparse::Status::Partial) | Err(_) => return Err(BadReply),
    };
    let status = response.code.unwrap_or_default();
    let framing = match framing(response.headers).map_err(|_| BadReply)? {
        _ if status < 200 || status == 204 || status == 304 => Framing::None,
        framing => framing,
    };
    let connection = field(response.headers, "Connection").unwrap_or_default();
    let last = connection
        .split(',')
        .any(|word| word.trim().eq_ignore_ascii_case("close"));
    bytes.advance(len);
    Ok(Some((
        Reply {
            status,
            reason: String::new(),
            last,
        },
        framing,
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    #[test]
    fn answers_are_written_with_a_date_and_a_length() {
        let mut out = BytesMut::new();
        put_reply(&mut out, 202, "", DATE, false);
        put_reply(&mut out, 404, "no process 'x'", DATE, true);
        let expected = "HTTP/1.1 202 Accepted\r\n\
            Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
            Content-Length: 0\r\n\
            \r\n\
            HTTP/1.1 404 Not Found\r\n\
            Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
            Connection: close\r\n\
            Content-Type: text/plain; charset=utf-8\r\n\
            Content-Length: 14\r\n\
            \r\n\
            no process 'x'";
        assert_eq!(std::str::from_utf8(&out).unwrap(), expected);
    }

    #[test]
    fn what_is_written_is_read_back_however_it_is_cut() {
        let mut out = BytesMut::new();
        put_reply(&mut out, 202, "", DATE, false);
        put_reply(&mut out, 404, "no process 'x'", DATE, false);
        out.put_slice(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n");
        out.put_slice(b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
        put_reply(&mut out, 202, "", DATE, true);
        let reply = |status, reason: &str, last| Reply {
            status,
            reason: reason.to_owned(),
            last,
        };
        let expected = [
            reply(202, "", false),
            reply(404, "no process 'x'", false),
            reply(200, "hi", false),
            reply(202, "", true),
        ];
        for step in 1..=out.len() {
            let mut reader = ReplyReader::default();
            let mut bytes = BytesMut::new();
            let mut replies = Vec::new();
            for piece in out.chunks(step) {
                bytes.extend_from_slice(piece);
                while let Some(reply) = reader.read(&mut bytes).unwrap() {
                    replies.push(reply);
                }
            }
            assert_eq!(replies, expected, "{step}");
        }
    }

    #[test]
    fn garbage_is_no_answer() {
        for bad in ["hello\r\n\r\n", "HTTP/1.1 2x2 Odd\r\n\r\n", "\0\0\0\0"] {
            let mut bytes = BytesMut::from(bad);
            assert_eq!(
                ReplyReader::default().read(&mut bytes),
                Err(BadReply),
                "{bad:?}"
            );
        }
        let mut endless = BytesMut::from("HTTP/1.1 202 Accepted\r\nX: ");
        endless.resize(MAX_HEAD_BYTES, b'x');
        assert_eq!(ReplyReader::default().read(&mut endless), Err(BadReply));
    }
}
