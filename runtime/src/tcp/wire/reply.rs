//! Answers to messages: written by the node that received one, read by the node that sent it.

use bytes::{Buf as _, BufMut as _, BytesMut};

use super::{BodyDecoder, Framing, MAX_HEAD_BYTES, MAX_HEADERS, field, frame, framing, put_number};

/// Of an answer's body so much is kept as the reason.
pub(super) const MAX_REASON_BYTES: usize = 4 * 1024;

/// An answer with a larger body ends the connection.
const MAX_REPLY_BYTES: usize = 1024 * 1024;

/// What an answer says beside its status and reason.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'d> {
    /// The text of the `Date` header.
    pub(crate) date: &'d str,
    /// The connection is closed behind it.
    pub(crate) close: bool,
    /// The sender may go over to the framed form.
    pub(crate) frames: bool,
}

/// Appends an answer to a message.
pub(crate) fn put_reply(out: &mut BytesMut, status: u16, reason: &str, fields: Fields<'_>) {
    out.put_slice(b"HTTP/1.1 ");
    put_number(out, usize::from(status));
    out.put_u8(b' ');
    out.put_slice(phrase(status).as_bytes());
    out.put_slice(b"\r\nDate: ");
    out.put_slice(fields.date.as_bytes());
    if fields.close {
        out.put_slice(b"\r\nConnection: close");
    }
    if fields.frames {
        out.put_slice(format!("\r\n{}: {}", frame::FRAMES, frame::VERSION).as_bytes());
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
        415 => "Unsupported Media Type",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Refused",
    }
}

/// An answer as the sender of a message sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The beginning of the body, as text.
    pub(crate) reason: String,
    /// The peer closes the connection behind this answer.
    pub(crate) last: bool,
    /// So many messages in a row have this answer.
    pub(crate) count: u32,
    /// The peer takes the framed form.
    pub(crate) frames: bool,
}

impl Reply {
    /// The answer to one message, with nothing said beside its status.
    pub(crate) fn of(status: u16) -> Self {
        Self {
            status,
            reason: String::new(),
            last: false,
            count: 1,
            frames: false,
        }
    }

    /// Whether the messages were handed over.
    pub(crate) fn is_accepted(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// What comes back is neither form of an answer, or too large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadReply;

/// Reads answers one after another from a connection.
#[derive(Debug, Default)]
pub(crate) struct ReplyReader {
    body: Option<(Reply, BodyDecoder)>,
    framed: bool,
}

impl ReplyReader {
    /// Takes one answer from the front of `bytes`; `None` while it is not complete.
    pub(crate) fn read(&mut self, bytes: &mut BytesMut) -> Result<Option<Reply>, BadReply> {
        loop {
            if self.framed {
                return frame::take_answer(bytes);
            }
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
            if frame::is_welcome(bytes) {
                if !frame::take_welcome(bytes)? {
                    return Ok(None);
                }
                self.framed = true;
                continue;
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
    let offered = field(response.headers, frame::FRAMES);
    let reply = Reply {
        last,
        frames: offered.and_then(|version| version.parse().ok()) == Some(frame::VERSION),
        ..Reply::of(status)
    };
    bytes.advance(len);
    Ok(Some((reply, framing)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(close: bool) -> Fields<'static> {
        Fields {
            date: "Sun, 06 Nov 1994 08:49:37 GMT",
            close,
            frames: false,
        }
    }

    #[test]
    fn answers_are_written_with_a_date_and_a_length() {
        let mut out = BytesMut::new();
        put_reply(&mut out, 202, "", fields(false));
        put_reply(&mut out, 404, "no process 'x'", fields(true));
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
        put_reply(&mut out, 202, "", fields(false));
        put_reply(&mut out, 404, "no process 'x'", fields(false));
        out.put_slice(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n");
        out.put_slice(b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
        put_reply(&mut out, 202, "", fields(true));
        let reply = |status, reason: &str, last| Reply {
            reason: reason.to_owned(),
            last,
            ..Reply::of(status)
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
    fn an_answer_offers_frames_and_frames_follow_the_welcome() {
        let mut out = BytesMut::new();
        let offer = Fields {
            frames: true,
            ..fields(false)
        };
        put_reply(&mut out, 202, "", offer);
        let text = String::from_utf8(out.to_vec()).unwrap();
        assert!(
            text.contains("GMT\r\nTepui-Frames: 1\r\nContent-Length: 0\r\n"),
            "{text}"
        );
        put_reply(&mut out, 202, "", fields(false));
        frame::put_welcome(&mut out);
        frame::put_accepted(&mut out, 7);
        frame::put_refused(&mut out, 404, "no process 'x'", false);
        frame::put_refused(&mut out, 400, "bad frame", true);
        let expected = [
            Reply {
                frames: true,
                ..Reply::of(202)
            },
            Reply::of(202),
            Reply {
                count: 7,
                ..Reply::of(202)
            },
            Reply {
                reason: "no process 'x'".to_owned(),
                ..Reply::of(404)
            },
            Reply {
                reason: "bad frame".to_owned(),
                last: true,
                ..Reply::of(400)
            },
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
        let other = text.replace("Tepui-Frames: 1", "Tepui-Frames: 2");
        let mut other = BytesMut::from(other.as_str());
        let reply = ReplyReader::default().read(&mut other);
        assert_eq!(
            reply,
            Ok(Some(Reply::of(202))),
            "a version that is not ours"
        );
    }

    #[test]
    fn garbage_is_no_answer() {
        let bad_frames: [&[u8]; 4] = [
            b"\0\0\0\x05\x02\0\0\0\x01\0\0\0\x02",
            b"\0\0\0\x03\x02\0\0",
            b"\0\0\0\x03\x09\0\0",
            b"\x7f\xff\xff\xff",
        ];
        for bad in bad_frames {
            let mut bytes = BytesMut::new();
            frame::put_welcome(&mut bytes);
            bytes.extend_from_slice(bad);
            let mut reader = ReplyReader::default();
            let mut read = reader.read(&mut bytes);
            while matches!(read, Ok(Some(_))) {
                read = reader.read(&mut bytes);
            }
            assert_eq!(read, Err(BadReply), "{bad:?}");
        }
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
