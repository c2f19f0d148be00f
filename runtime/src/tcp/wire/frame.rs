//! The framed form: messages between nodes of our own make, with a few bytes around each. Pure.
//!
//! ```text
//! preface   89 'TEPUI' CR LF, version u32, the connection's serial: node u64, number u64
//! welcome   89 'TEPUI' CR LF, version u32                        what a preface is answered with
//! frame     length u32 (of what follows), kind u8, and by kind:
//!   1 message    encoding u8 (1 MessagePack, 2 JSON, 3 protobuf),
//!                lengths u16 of sender's PID, receiving id and name, these three texts, the body
//!   2 accepted   count u32: the next so many messages were handed over
//!   3 refused    status u16, reason: the next message was not
//!   4 closing    as refused, and the connection ends behind it
//! ```
//!
//! Numbers are big-endian. Messages go one way and answers the other: every message is answered in
//! order, the accepted ones by the batch. A connection may begin with the preface. One that began
//! as HTTP is switched by it between two messages, once an answer said [`FRAMES`]; the answers to
//! what was sent before are HTTP, and the welcome stands where they end. What bounds the form is
//! what bounds the other: a reader stops at its credit, and a message has a largest body.

use bytes::{Buf as _, BufMut as _, BytesMut};

use super::reply::{BadReply, MAX_REASON_BYTES, Reply};
use super::{MAX_HEAD_BYTES, Outgoing, Serial, put_address};
use tepui_message::Encoding;

/// The header field by which an answer offers the framed form, in our version.
pub(crate) const FRAMES: &str = "Tepui-Frames";

/// The version of the form that is written and read here.
pub(crate) const VERSION: u32 = 1;

/// No HTTP request and no answer begins with its first byte.
const MAGIC: [u8; 8] = *b"\x89TEPUI\r\n";

const WELCOME_BYTES: usize = MAGIC.len() + 4;
const PREFACE_BYTES: usize = WELCOME_BYTES + 16;

/// A message's frame up to its texts, the length included.
const FIXED_BYTES: usize = 4 + 2 + 3 * 2;

/// The longest answer; a longer one is none of ours.
const MAX_ANSWER_BYTES: usize = 3 + MAX_REASON_BYTES;

const MESSAGE: u8 = 1;
const ACCEPTED: u8 = 2;
const REFUSED: u8 = 3;
const CLOSING: u8 = 4;

/// Appends what opens the framed form.
pub(crate) fn put_preface(out: &mut BytesMut, serial: Serial) {
    put_welcome(out);
    out.put_u64(serial.node);
    out.put_u64(serial.number);
}

/// Appends the answer to a preface.
pub(crate) fn put_welcome(out: &mut BytesMut) {
    out.put_slice(&MAGIC);
    out.put_u32(VERSION);
}

/// A message that a frame cannot carry: its texts or its body are too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Appends a message; nothing if it cannot be carried.
pub(crate) fn put_message(out: &mut BytesMut, message: &Outgoing<'_>) -> Result<(), TooLong> {
    let start = out.len();
    out.reserve(FIXED_BYTES + 64 + message.from.id().len() + message.body.len());
    out.put_bytes(0, FIXED_BYTES);
    let mut mark = out.len();
    let mut texts = 0;
    let mut text = |out: &BytesMut| {
        let length = out.len() - mark;
        (mark, texts) = (out.len(), texts + length);
        (texts <= MAX_HEAD_BYTES).then_some(length)
    };
    out.put_slice(message.from.id().as_bytes());
    out.put_u8(b'@');
    put_address(out, message.from.address());
    let from = text(out);
    out.put_slice(message.to.id().as_bytes());
    let to = text(out);
    out.put_slice(message.name.as_bytes());
    let name = text(out);
    out.put_slice(message.body);
    let short = |length: Option<usize>| u16::try_from(length?).ok();
    let length = u32::try_from(out.len() - start - 4).ok();
    let (Some(length), Some(from), Some(to), Some(name)) =
        (length, short(from), short(to), short(name))
    else {
        out.truncate(start);
        return Err(TooLong);
    };
    let mut fixed = &mut out[start..start + FIXED_BYTES];
    fixed.put_u32(length);
    fixed.put_u8(MESSAGE);
    fixed.put_u8(match message.encoding {
        Encoding::MessagePack => 1,
        Encoding::Json => 2,
        Encoding::Protobuf => 3,
    });
    fixed.put_u16(from);
    fixed.put_u16(to);
    fixed.put_u16(name);
    Ok(())
}

/// Appends that the next `count` messages were handed over.
pub(crate) fn put_accepted(out: &mut BytesMut, count: u32) {
    out.put_u32(5);
    out.put_u8(ACCEPTED);
    out.put_u32(count);
}

/// Appends that the next message was not; with `last` the connection ends behind it.
pub(crate) fn put_refused(out: &mut BytesMut, status: u16, reason: &str, last: bool) {
    let end = reason.floor_char_boundary(MAX_REASON_BYTES);
    let reason = &reason.as_bytes()[..end];
    // At most MAX_ANSWER_BYTES.
    out.put_u32(u32::try_from(3 + reason.len()).unwrap_or(3));
    out.put_u8(if last { CLOSING } else { REFUSED });
    out.put_u16(status);
    out.put_slice(reason);
}

/// What stands at the front of a connection, or where a message might begin.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Preface {
    /// Too few bytes to say.
    Partial,
    /// No preface.
    None,
    /// One of this version, which is not ours.
    Version(u32),
    /// One of ours, which was taken off.
    Taken(Serial),
}

/// Takes a preface from the front of `bytes`.
pub(crate) fn take_preface(bytes: &mut BytesMut) -> Preface {
    let front = bytes.len().min(MAGIC.len());
    if bytes[..front] != MAGIC[..front] {
        return Preface::None;
    }
    let mut rest = bytes.get(MAGIC.len()..).unwrap_or_default();
    match rest.try_get_u32() {
        Err(_) => Preface::Partial,
        Ok(VERSION) => match (rest.try_get_u64(), rest.try_get_u64()) {
            (Ok(node), Ok(number)) => {
                bytes.advance(PREFACE_BYTES);
                Preface::Taken(Serial { node, number })
            }
            _ => Preface::Partial,
        },
        Ok(version) => Preface::Version(version),
    }
}

/// Takes the welcome from the front of `bytes`: true once it is whole, false where something else
/// stands or too little.
pub(crate) fn take_welcome(bytes: &mut BytesMut) -> Result<bool, BadReply> {
    if bytes.first() != MAGIC.first() || bytes.len() < WELCOME_BYTES {
        return Ok(false);
    }
    let mut welcome = bytes.split_to(WELCOME_BYTES);
    if welcome.split_to(MAGIC.len()) != MAGIC[..] || welcome.get_u32() != VERSION {
        return Err(BadReply);
    }
    Ok(true)
}

/// Whether an answer's place holds the beginning of a welcome.
pub(crate) fn is_welcome(bytes: &[u8]) -> bool {
    bytes.first() == MAGIC.first()
}

/// A message as it stands in its frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Framed<'b> {
    /// Bytes of the whole frame.
    pub(crate) len: usize,
    /// `None` where the number names no encoding.
    pub(crate) encoding: Option<Encoding>,
    pub(crate) from: &'b [u8],
    pub(crate) to: &'b [u8],
    pub(crate) name: &'b [u8],
    pub(crate) body: &'b [u8],
}

/// What stands at the front of a connection in the framed form.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'b> {
    /// Too few bytes; `head` tells whether all but texts and body is here.
    Partial { head: bool },
    /// A whole message.
    Message(Framed<'b>),
    /// None that can be read: the status to answer before closing, and why.
    Bad(u16, &'static str),
}

/// Looks at the front of `bytes`. A frame that is too large is known by its first bytes.
pub(crate) fn parse(bytes: &[u8], max_body_bytes: usize) -> Frame<'_> {
    const BAD: Frame<'static> = Frame::Bad(400, "bad frame");
    // What is wrong is told by the bytes at hand, so that nobody waits for the rest of nonsense.
    if bytes.get(4).is_some_and(|kind| *kind != MESSAGE) {
        return BAD;
    }
    let mut rest = bytes;
    let Ok(length) = rest.try_get_u32() else {
        return Frame::Partial { head: false };
    };
    let length = length as usize;
    if length < FIXED_BYTES - 4 {
        return BAD;
    }
    if length > max_body_bytes.saturating_add(MAX_HEAD_BYTES + FIXED_BYTES) {
        return Frame::Bad(413, "the message is too large");
    }
    if bytes.len() < FIXED_BYTES {
        return Frame::Partial { head: false };
    }
    let encoding = match bytes[5] {
        1 => Some(Encoding::MessagePack),
        2 => Some(Encoding::Json),
        3 => Some(Encoding::Protobuf),
        _ => None,
    };
    let size = |at: usize| usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
    let (from, to, name) = (size(6), size(8), size(10));
    let texts = from + to + name;
    if texts > MAX_HEAD_BYTES {
        return Frame::Bad(431, "the head of the message is too large");
    }
    let Some(body) = (length + 4).checked_sub(FIXED_BYTES + texts) else {
        return BAD;
    };
    if body > max_body_bytes {
        return Frame::Bad(413, "the message is too large");
    }
    let Some(rest) = bytes.get(FIXED_BYTES..length + 4) else {
        return Frame::Partial { head: true };
    };
    let (from, rest) = rest.split_at(from);
    let (to, rest) = rest.split_at(to);
    let (name, body) = rest.split_at(name);
    Frame::Message(Framed {
        len: length + 4,
        encoding,
        from,
        to,
        name,
        body,
    })
}

/// Takes one answer from the front of `bytes`; `None` while it is not complete.
pub(crate) fn take_answer(bytes: &mut BytesMut) -> Result<Option<Reply>, BadReply> {
    let Some(length) = bytes.first_chunk::<4>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*length) as usize;
    if !(3..=MAX_ANSWER_BYTES).contains(&length) {
        return Err(BadReply);
    }
    if bytes.len() < 4 + length {
        return Ok(None);
    }
    let mut frame = bytes.split_to(4 + length);
    frame.advance(4);
    let kind = frame.get_u8();
    match kind {
        ACCEPTED => Ok(Some(Reply {
            count: frame.try_get_u32().map_err(|_short| BadReply)?,
            ..Reply::of(202)
        })),
        REFUSED | CLOSING => Ok(Some(Reply {
            last: kind == CLOSING,
            status: frame.get_u16(),
            reason: String::from_utf8_lossy(&frame).into_owned(),
            ..Reply::of(0)
        })),
        _ => Err(BadReply),
    }
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
