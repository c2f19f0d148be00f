//! Takes messages out of the bytes of one connection, hands them to the node, and writes the
//! answers. No sockets here: bytes in, answers out, so that it is tested as it is.
//!
//! ```text
//! head --its body is here--> delivered --> head
//!  | \--its body is not--> body --complete--> delivered
//!  |--a preface of ours--> frames, for good (`frames`)
//!  |--not a message--> the HTTP server has the connection from here on
//!  \--bad message, or the sender closes--> answered, closed
//! ```
//!
//! A thousand messages that arrive together are served together: no future, no timer, no write
//! for each.

mod frames;

use std::{
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Buf as _, Bytes, BytesMut};

use super::{
    arriving::Share,
    date::DateText,
    order::{Fence, Fences, Place},
    wire::{self, BodyDecoder, Fields, Framing, Head, Parsed, Serial, put_reply},
};
use crate::{
    Encoding,
    address::{Address, Pid},
    credit::{Account, Credit},
    http::percent_decode,
    metrics::Counter,
    transport::Refusal,
};

/// Where messages go.
pub(super) trait Receiver {
    /// Hands a message to its process, or says why not.
    fn deliver(
        &self,
        id: &str,
        name: &str,
        encoding: Encoding,
        body: &[u8],
        from: &Pid,
        credit: Option<Credit>,
    ) -> Result<(), Refusal>;
}

/// What a connection is to do when the bytes at hand are used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Read more.
    More,
    /// Hand the connection, with the bytes that are left, to the HTTP server.
    Http,
    /// Send the answers and close.
    Close,
    /// Close at once: a newer connection of the same node has taken over.
    Superseded,
}

/// A message whose body is still arriving.
struct Pending {
    head: Head,
    bytes: Bytes,
    decoder: BodyDecoder,
}

/// The state of one connection.
pub(super) struct Intake<R> {
    receiver: R,
    fences: Arc<Fences>,
    rules: IntakeRules,
    /// What of this connection waits in mailboxes.
    account: Arc<Account>,
    /// What of it is still arriving.
    share: Share,
    pending: Option<Pending>,
    /// The sender of the last message: most connections have one or two.
    last_from: Option<(Bytes, Pid)>,
    /// The number that its node gave this connection, and with it its place among that node's.
    serial: Option<Serial>,
    place: Option<(Arc<Fence>, Place)>,
    /// The preface was read.
    framed: bool,
    /// Of the frame at hand, all but texts and body was read.
    amid_frame: bool,
    date: DateText,
    counters: IntakeCounters,
    handled: u64,
    /// Answers that are not sent yet.
    pub(super) answers: BytesMut,
}

/// What holds for the messages of one connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct IntakeRules {
    /// Counts the connections that the node accepted.
    pub(super) accepted: u64,
    pub(super) max_body_bytes: usize,
    /// The sender's PID must have this address, or the message is refused.
    pub(super) required_ip: Option<IpAddr>,
    /// The framed form is offered and taken.
    pub(super) frames: bool,
}

/// What is counted of messages from outside.
#[derive(Clone)]
pub(super) struct IntakeCounters {
    /// Messages handed to a process.
    pub(super) received: Counter,
    /// Of these, so many came in frames.
    pub(super) framed: Counter,
    /// Messages answered other than 202.
    pub(super) refused: Counter,
}

impl<R: Receiver> Intake<R> {
    /// A connection of which nothing was read.
    pub(super) fn new(
        receiver: R,
        fences: Arc<Fences>,
        rules: IntakeRules,
        share: Share,
        counters: IntakeCounters,
    ) -> Self {
        Self {
            receiver,
            fences,
            rules,
            account: Arc::default(),
            share,
            pending: None,
            last_from: None,
            serial: None,
            place: None,
            framed: false,
            amid_frame: false,
            date: DateText::default(),
            counters,
            handled: 0,
            answers: BytesMut::new(),
        }
    }

    /// Whether a message has begun and is not complete.
    pub(super) fn is_amid(&self, bytes: &BytesMut) -> bool {
        self.pending.is_some() || !bytes.is_empty()
    }

    /// Becomes ready when so much was served that the connection may read on.
    pub(super) fn poll_available(&self, cx: &Context<'_>) -> Poll<()> {
        self.account.poll_available(cx)
    }

    /// How many messages were answered so far.
    pub(super) fn handled(&self) -> u64 {
        self.handled
    }

    /// Whether the head of a message is complete and its body is not.
    pub(super) fn is_in_body(&self) -> bool {
        self.pending.is_some() || self.amid_frame
    }

    /// Takes every complete message out of `bytes`.
    pub(super) fn take(&mut self, bytes: &mut BytesMut) -> Step {
        let step = self.take_complete(bytes);
        let body = self.pending.as_ref().map(|it| it.decoder.body.len());
        if step == Step::More && !self.share.hold(body.unwrap_or(0) + bytes.len()) {
            return self.refuse_and_close(503, "too many bodies are arriving");
        }
        step
    }

    fn take_complete(&mut self, bytes: &mut BytesMut) -> Step {
        if self.framed {
            return self.take_frames(bytes);
        }
        self.date.refresh();
        loop {
            if self.pending.is_some() {
                match self.continue_body(bytes) {
                    Some(Step::More) => continue,
                    Some(step) => return step,
                    None => return Step::More,
                }
            }
            if bytes.is_empty() {
                return Step::More;
            }
            if self.rules.frames
                && let Some(step) = self.open_frames(bytes)
            {
                return step;
            }
            let head = match wire::parse(bytes) {
                Parsed::Partial => return Step::More,
                Parsed::Http => return Step::Http,
                Parsed::Bad(status, reason) => return self.refuse_and_close(status, reason),
                Parsed::Message(head) => head,
            };
            let body_len = match head.framing {
                Framing::None => Some(0),
                Framing::Length(length) if length > self.rules.max_body_bytes => {
                    return self.refuse_and_close(413, "the message is too large");
                }
                Framing::Length(length) => {
                    let end = head.len.saturating_add(length);
                    (end <= bytes.len()).then_some(length)
                }
                Framing::Chunked => None,
            };
            let Some(body_len) = body_len else {
                self.begin_body(head, bytes);
                continue;
            };
            let (front, rest) = bytes.split_at(head.len);
            let step = self.deliver(&head, front, &rest[..body_len]);
            bytes.advance(head.len + body_len);
            if step != Step::More {
                return step;
            }
        }
    }

    /// Answers that the sender took too long, before the connection is closed.
    pub(super) fn time_out(&mut self) {
        self.refuse_and_close(408, "the message did not arrive in time");
    }

    fn begin_body(&mut self, head: Head, bytes: &mut BytesMut) {
        if head.expects_continue && bytes.len() == head.len {
            self.answers
                .extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        let decoder = BodyDecoder::new(
            head.framing,
            self.rules.max_body_bytes,
            self.rules.max_body_bytes,
        );
        let bytes = bytes.split_to(head.len).freeze();
        self.pending = Some(Pending {
            head,
            bytes,
            decoder,
        });
    }

    /// Goes on with a body; `None` while it is not complete.
    fn continue_body(&mut self, bytes: &mut BytesMut) -> Option<Step> {
        let mut pending = self.pending.take()?;
        match pending.decoder.read(bytes) {
            Ok(true) => Some(self.deliver(&pending.head, &pending.bytes, &pending.decoder.body)),
            Ok(false) => {
                self.pending = Some(pending);
                None
            }
            Err(wire::BodyFault::TooLarge) => {
                Some(self.refuse_and_close(413, "the message is too large"))
            }
            Err(wire::BodyFault::BadChunk) => {
                Some(self.refuse_and_close(400, "bad chunk in the message's body"))
            }
        }
    }

    fn refuse_and_close(&mut self, status: u16, reason: &str) -> Step {
        if self.framed {
            self.refuse_frame(status, reason, true);
        } else {
            self.answer(status, reason, true, false);
        }
        Step::Close
    }

    fn answer(&mut self, status: u16, reason: &str, close: bool, frames: bool) {
        self.count(status);
        let fields = Fields {
            date: self.date.as_str(),
            close,
            frames,
        };
        put_reply(&mut self.answers, status, reason, fields);
    }

    fn count(&mut self, status: u16) {
        let counter = match status {
            202 => &self.counters.received,
            _ => &self.counters.refused,
        };
        counter.increment(1);
        self.handled += 1;
    }

    /// Hands one message over and answers it.
    fn deliver(&mut self, head: &Head, front: &[u8], body: &[u8]) -> Step {
        // The first message of a connection of our own make: its answer says what we have.
        let offer = self.rules.frames && head.serial.is_some();
        self.serial = head.serial.or(self.serial);
        let from = head.from.clone();
        let from = from.and_then(|range| self.sender(&front[range]));
        let path = std::str::from_utf8(&front[head.path.clone()]).unwrap_or_default();
        let target = Target::parse(path).ok_or("bad path: /<process>/<message> is wanted");
        match self.hand_over(from, target, head.encoding, body) {
            None => return Step::Superseded,
            Some(Ok(())) => self.answer(202, "", head.close, offer),
            Some(Err((status, reason))) => self.answer(status, &reason, head.close, offer),
        }
        self.after(head)
    }

    /// Hands one message over, or says why not; `None` once a newer connection of the same node
    /// has taken over.
    fn hand_over(
        &mut self,
        from: Option<Pid>,
        target: Result<Target<'_>, &'static str>,
        encoding: Option<Encoding>,
        body: &[u8],
    ) -> Option<Result<(), (u16, String)>> {
        let refuse = |status, reason: &str| Some(Err((status, reason.to_owned())));
        let Some(from) = from else {
            return refuse(500, "the sender of the message cannot be determined");
        };
        let required = self.rules.required_ip;
        if required.is_some_and(|ip| ip != from.address().ip) {
            return refuse(400, "the sender's address is not that of the connection");
        }
        // What is sent in nobody's name does not tell whose connection it is.
        if from.address() != Address::NOWHERE
            && let Some(serial) = self.serial.take()
        {
            let accepted = self.rules.accepted;
            let place = Place { serial, accepted };
            self.place = Some((self.fences.of(from.address()), place));
        }
        let target = match target {
            Ok(target) => target,
            Err(problem) => return refuse(400, problem),
        };
        let credit = Some(self.account.take(body.len()));
        let hand_over = || target.deliver(&self.receiver, encoding, body, &from, credit);
        match &self.place {
            Some((fence, place)) => fence.pass(*place, hand_over),
            None => Some(hand_over()),
        }
    }

    fn after(&self, head: &Head) -> Step {
        if head.close { Step::Close } else { Step::More }
    }

    /// The PID in a header; the last one is remembered.
    fn sender(&mut self, text: &[u8]) -> Option<Pid> {
        if let Some((last, pid)) = &self.last_from
            && last == text
        {
            return Some(pid.clone());
        }
        let pid: Pid = std::str::from_utf8(text).ok()?.parse().ok()?;
        self.last_from = Some((Bytes::copy_from_slice(text), pid.clone()));
        Some(pid)
    }
}

/// The process and the message that are named.
pub(super) struct Target<'p> {
    id: std::borrow::Cow<'p, str>,
    name: std::borrow::Cow<'p, str>,
}

impl<'p> Target<'p> {
    /// Splits `/<id>/<name>`; both are percent-decoded, and the name may contain `/`.
    pub(super) fn parse(path: &'p str) -> Option<Self> {
        let (id, name) = path
            .strip_prefix('/')?
            .split_once('/')
            .unwrap_or((&path[1..], ""));
        if id.is_empty() {
            return None;
        }
        Some(Self {
            id: decoded(id)?,
            name: decoded(name)?,
        })
    }

    /// The two as they are.
    fn named(id: &'p str, name: &'p str) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
        }
    }

    /// Hands a message over; else the status and the reason to answer.
    pub(super) fn deliver(
        &self,
        receiver: &impl Receiver,
        encoding: Option<Encoding>,
        body: &[u8],
        from: &Pid,
        credit: Option<Credit>,
    ) -> Result<(), (u16, String)> {
        let Some(encoding) = encoding else {
            return Err((
                400,
                "the content type names no encoding of messages".to_owned(),
            ));
        };
        receiver
            .deliver(&self.id, &self.name, encoding, body, from, credit)
            .map_err(|refusal| (refusal.status(), refusal.to_string()))
    }
}

fn decoded(part: &str) -> Option<std::borrow::Cow<'_, str>> {
    if part.contains('%') {
        percent_decode(part).map(Into::into)
    } else {
        Some(part.into())
    }
}

#[cfg(test)]
#[path = "intake_tests.rs"]
mod tests;
