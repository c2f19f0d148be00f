//! The framed form of a connection's messages: what its preface opens.

use bytes::{Buf as _, BytesMut};

use super::{Intake, Receiver, Step, Target};
use crate::tcp::wire::frame::{
    self, Frame, Framed, Preface, put_accepted, put_refused, put_welcome,
};

impl<R: Receiver> Intake<R> {
    /// Looks for a preface where a message might begin; `None` if something else stands there.
    pub(super) fn open_frames(&mut self, bytes: &mut BytesMut) -> Option<Step> {
        match frame::take_preface(bytes) {
            Preface::None => None,
            Preface::Partial => Some(Step::More),
            Preface::Version(version) => {
                self.framed = true;
                put_welcome(&mut self.answers);
                let ours = frame::VERSION;
                let reason =
                    format!("version {version} of the framed form is not spoken here, {ours} is");
                Some(self.refuse_and_close(505, &reason))
            }
            Preface::Taken(serial) => {
                self.framed = true;
                self.serial = Some(serial);
                put_welcome(&mut self.answers);
                Some(self.take_frames(bytes))
            }
        }
    }

    /// Takes every complete frame out of `bytes`, and answers them together.
    pub(super) fn take_frames(&mut self, bytes: &mut BytesMut) -> Step {
        let mut accepted = 0;
        let step = loop {
            let framed = match frame::parse(bytes, self.rules.max_body_bytes) {
                Frame::Message(framed) => framed,
                Frame::Partial { head } => {
                    self.amid_frame = head;
                    break Step::More;
                }
                Frame::Bad(status, reason) => {
                    self.accept_frames(&mut accepted);
                    break self.refuse_and_close(status, reason);
                }
            };
            let len = framed.len;
            match self.deliver_framed(&framed) {
                None => break Step::Superseded,
                Some(Ok(())) => accepted += 1,
                Some(Err((status, reason))) => {
                    self.accept_frames(&mut accepted);
                    self.refuse_frame(status, &reason, false);
                }
            }
            bytes.advance(len);
        };
        self.accept_frames(&mut accepted);
        step
    }

    fn deliver_framed(&mut self, framed: &Framed<'_>) -> Option<Result<(), (u16, String)>> {
        let from = self.sender(framed.from);
        let text = |bytes| std::str::from_utf8(bytes).ok();
        let target = match (text(framed.to), text(framed.name)) {
            (Some(to), Some(name)) if !to.is_empty() => Ok(Target::named(to, name)),
            _ => Err("bad frame: a process and a message are wanted"),
        };
        self.hand_over(from, target, framed.encoding, framed.body)
    }

    /// Writes that so many messages in a row were handed over.
    fn accept_frames(&mut self, accepted: &mut u32) {
        let count = std::mem::take(accepted);
        if count > 0 {
            put_accepted(&mut self.answers, count);
            self.handled += u64::from(count);
            self.counters.received.increment(u64::from(count));
            self.counters.framed.increment(u64::from(count));
        }
    }

    pub(super) fn refuse_frame(&mut self, status: u16, reason: &str, last: bool) {
        self.count(status);
        put_refused(&mut self.answers, status, reason, last);
    }
}
