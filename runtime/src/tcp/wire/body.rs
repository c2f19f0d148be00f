//! Reads a body that arrives in pieces, delimited by a length or in chunks.

use bytes::{Buf as _, BytesMut};

use super::Framing;

/// The longest line of a chunk's size, or of a trailer.
const MAX_LINE_BYTES: usize = 1024;

/// The most bytes of trailers behind the last chunk.
const MAX_TRAILER_BYTES: usize = 8 * 1024;

/// Why a body cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyFault {
    /// It is larger than allowed.
    TooLarge,
    /// The chunks are not well formed.
    BadChunk,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In data, so many bytes to come; `chunked` tells whether a chunk's end follows.
    Data {
        left: usize,
        chunked: bool,
    },
    /// Before the line with the next chunk's size.
    Size,
    /// Before the line end behind a chunk's data.
    DataEnd,
    /// Behind the last chunk; so many bytes of trailers were seen.
    Trailer {
        seen: usize,
    },
    Done,
}

/// Gathers one body from the pieces in which it comes.
#[derive(Debug)]
pub(crate) struct BodyDecoder {
    state: State,
    /// What was gathered.
    pub(crate) body: Vec<u8>,
    /// All bytes of data seen, also those that were not kept.
    seen: usize,
    /// A larger body is a fault.
    max_bytes: usize,
    /// Of the body so much is kept.
    keep_bytes: usize,
}

impl BodyDecoder {
    /// A decoder that keeps the first `keep_bytes` of a body of at most `max_bytes`.
    pub(crate) fn new(framing: Framing, max_bytes: usize, keep_bytes: usize) -> Self {
        let state = match framing {
            Framing::None => State::Done,
            Framing::Length(0) => State::Done,
            Framing::Length(left) => State::Data {
                left,
                chunked: false,
            },
            Framing::Chunked => State::Size,
        };
        Self {
            state,
            body: Vec::new(),
            seen: 0,
            max_bytes,
            keep_bytes,
        }
    }

    /// Takes what it can from the front of `bytes`; true when the body is complete.
    pub(crate) fn read(&mut self, bytes: &mut BytesMut) -> Result<bool, BodyFault> {
        if let State::Data {
            left,
            chunked: false,
        } = self.state
            && self.seen.saturating_add(left) > self.max_bytes
        {
            return Err(BodyFault::TooLarge);
        }
        loop {
            match self.state {
                State::Done => return Ok(true),
                _ if bytes.is_empty() => return Ok(false),
                State::Data { left, chunked } => self.data(bytes, left, chunked),
                State::Size => {
                    let Some(line) = line(bytes)? else {
                        return Ok(false);
                    };
                    self.size(&line)?;
                }
                State::DataEnd => {
                    let Some(line) = line(bytes)? else {
                        return Ok(false);
                    };
                    if !line.is_empty() {
                        return Err(BodyFault::BadChunk);
                    }
                    self.state = State::Size;
                }
                State::Trailer { seen } => {
                    let Some(line) = line(bytes)? else {
                        return Ok(false);
                    };
                    let seen = seen + line.len() + 2;
                    if seen > MAX_TRAILER_BYTES {
                        return Err(BodyFault::BadChunk);
                    }
                    let end = line.is_empty();
                    self.state = if end {
                        State::Done
                    } else {
                        State::Trailer { seen }
                    };
                }
            }
        }
    }

    fn data(&mut self, bytes: &mut BytesMut, left: usize, chunked: bool) {
        let here = left.min(bytes.len());
        let room = self.keep_bytes.saturating_sub(self.body.len());
        self.body.extend_from_slice(&bytes[..here.min(room)]);
        bytes.advance(here);
        self.seen += here;
        self.state = match (left - here, chunked) {
            (0, true) => State::DataEnd,
            (0, false) => State::Done,
            (left, chunked) => State::Data { left, chunked },
        };
    }

    /// Reads the line before a chunk: a hexadecimal size, and perhaps extensions behind a `;`.
    fn size(&mut self, line: &[u8]) -> Result<(), BodyFault> {
        let text = std::str::from_utf8(line).map_err(|_| BodyFault::BadChunk)?;
        let digits = text.split(';').next().unwrap_or_default().trim_end();
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(BodyFault::BadChunk);
        }
        // More digits than a usize has are a chunk larger than anything allowed.
        let left = usize::from_str_radix(digits, 16).map_err(|_| BodyFault::TooLarge)?;
        if self.seen.saturating_add(left) > self.max_bytes {
            return Err(BodyFault::TooLarge);
        }
        self.state = match left {
            0 => State::Trailer { seen: 0 },
            left => State::Data {
                left,
                chunked: true,
            },
        };
        Ok(())
    }
}

/// Takes one line, without its end, from the front; `None` while it is not complete.
fn line(bytes: &mut BytesMut) -> Result<Option<BytesMut>, BodyFault> {
    let window = &bytes[..bytes.len().min(MAX_LINE_BYTES)];
    let Some(end) = window.iter().position(|&byte| byte == b'\n') else {
        let full = window.len() == MAX_LINE_BYTES;
        return if full {
            Err(BodyFault::BadChunk)
        } else {
            Ok(None)
        };
    };
    let mut line = bytes.split_to(end + 1);
    line.truncate(end);
    if line.last() != Some(&b'\r') {
        return Err(BodyFault::BadChunk);
    }
    line.truncate(end - 1);
    Ok(Some(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `text` in pieces of `step` bytes; what was gathered, and what is left behind it.
    fn read(
        framing: Framing,
        text: &str,
        step: usize,
    ) -> Result<Option<(String, String)>, BodyFault> {
        let mut decoder = BodyDecoder::new(framing, 20, 20);
        let mut bytes = BytesMut::new();
        let mut rest = text.as_bytes();
        loop {
            if decoder.read(&mut bytes)? {
                let left = [&bytes[..], rest].concat();
                let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
                return Ok(Some((text(decoder.body), text(left))));
            }
            if rest.is_empty() {
                return Ok(None);
            }
            let (now, later) = rest.split_at(step.min(rest.len()));
            bytes.extend_from_slice(now);
            rest = later;
        }
    }

    fn whole(body: &str, left: &str) -> Result<Option<(String, String)>, BodyFault> {
        Ok(Some((body.to_owned(), left.to_owned())))
    }

    #[test]
    fn a_body_comes_out_the_same_however_it_is_cut() {
        let chunks = "4\r\nWiki\r\n6;x=y\r\npedia.\r\n0\r\nTrailer: z\r\n\r\nPOST";
        for step in 1..=chunks.len() {
            assert_eq!(
                read(Framing::Chunked, chunks, step),
                whole("Wikipedia.", "POST"),
                "{step}"
            );
            assert_eq!(
                read(Framing::Length(3), "abcPOST", step),
                whole("abc", "POST"),
                "{step}"
            );
            assert_eq!(
                read(Framing::None, "POST", step),
                whole("", "POST"),
                "{step}"
            );
            assert_eq!(
                read(Framing::Length(0), "POST", step),
                whole("", "POST"),
                "{step}"
            );
        }
        assert_eq!(read(Framing::Length(9), "abc", 1), Ok(None));
    }

    #[test]
    fn bad_chunks_are_refused() {
        for bad in [
            "x\r\n",
            "\r\n",
            "4\nWiki",
            "4\r\nWikiX\r\n",
            "-4\r\n",
            "+4\r\n",
            "0x4\r\n",
        ] {
            assert_eq!(
                read(Framing::Chunked, bad, 64),
                Err(BodyFault::BadChunk),
                "{bad:?}"
            );
        }
        let endless = "1".repeat(MAX_LINE_BYTES);
        assert_eq!(
            read(Framing::Chunked, &endless, 7),
            Err(BodyFault::BadChunk)
        );
        let trailers = format!("0\r\n{}", "a: b\r\n".repeat(2000));
        assert_eq!(
            read(Framing::Chunked, &trailers, 64),
            Err(BodyFault::BadChunk)
        );
    }

    #[test]
    fn a_body_has_a_bound() {
        assert_eq!(read(Framing::Length(21), "a", 1), Err(BodyFault::TooLarge));
        assert_eq!(
            read(Framing::Chunked, "15\r\n", 64),
            Err(BodyFault::TooLarge)
        );
        let two = "a\r\n0123456789\r\nb\r\n";
        assert_eq!(read(Framing::Chunked, two, 64), Err(BodyFault::TooLarge));
        let huge = "fffffffffffffffffffff\r\n";
        assert_eq!(read(Framing::Chunked, huge, 64), Err(BodyFault::TooLarge));
    }

    #[test]
    fn what_need_not_be_kept_is_only_counted() {
        let mut decoder = BodyDecoder::new(Framing::Length(10), 100, 4);
        let mut bytes = BytesMut::from(&b"0123456789next"[..]);
        assert_eq!(decoder.read(&mut bytes), Ok(true));
        assert_eq!(
            (&decoder.body[..], &bytes[..]),
            (&b"0123"[..], &b"next"[..])
        );
    }
}
