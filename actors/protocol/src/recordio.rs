//! RecordIO: records in a stream, each behind its length in decimal digits and a newline.
//!
//! The borders of records have nothing to do with those of HTTP's chunks. Not here: what a record
//! holds.

use bytes::{Buf as _, Bytes, BytesMut};

/// A record's length has no more digits than this.
const MAX_DIGITS: usize = 20;

/// Why a stream is not RecordIO.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Something else than digits stands where a length should.
    #[error("'{text}' is not the length of a record")]
    BadLength {
        /// What stands there.
        text: String,
    },
    /// A record is longer than the reader takes.
    #[error("a record of {length} bytes is longer than {limit}")]
    TooLong {
        /// The announced length in bytes.
        length: u64,
        /// The limit in bytes.
        limit: usize,
    },
    /// The stream ended within a record.
    #[error("the stream ended within a record")]
    Truncated,
}

/// Frames one record.
#[must_use]
pub fn encode(record: &[u8]) -> Bytes {
    let mut framed = format!("{}\n", record.len()).into_bytes();
    framed.extend_from_slice(record);
    Bytes::from(framed)
}

/// Reads records from pieces of a stream as they come.
///
/// It holds no more than one unfinished record.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    buffer: BytesMut,
    /// The length of the record that is being read.
    length: Option<usize>,
    /// What was wrong; nothing can be read after that.
    failed: Option<RecordError>,
}

impl Decoder {
    /// A decoder for records of at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Decoder {
        Decoder {
            limit,
            buffer: BytesMut::new(),
            length: None,
            failed: None,
        }
    }

    /// Takes the next piece of the stream, and gives the records that it completes.
    ///
    /// # Errors
    /// The stream is no RecordIO, or a record is too long. It stays so. The records before the
    /// fault are lost with it.
    pub fn push(&mut self, piece: &[u8]) -> Result<Vec<Bytes>, RecordError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.buffer.extend_from_slice(piece);
        let mut records = Vec::new();
        loop {
            match self.next_record() {
                Ok(Some(record)) => records.push(record),
                Ok(None) => return Ok(records),
                Err(error) => {
                    self.buffer = BytesMut::new();
                    self.failed = Some(error.clone());
                    return Err(error);
                }
            }
        }
    }

    /// Says that the stream has ended.
    ///
    /// # Errors
    /// [`RecordError::Truncated`], or what was wrong before.
    pub fn finish(self) -> Result<(), RecordError> {
        match self.failed {
            Some(error) => Err(error),
            None if self.buffer.is_empty() && self.length.is_none() => Ok(()),
            None => Err(RecordError::Truncated),
        }
    }

    fn next_record(&mut self) -> Result<Option<Bytes>, RecordError> {
        let length = match self.length {
            Some(length) => length,
            None => match self.next_length()? {
                Some(length) => length,
                None => return Ok(None),
            },
        };
        self.length = Some(length);
        if self.buffer.len() < length {
            return Ok(None);
        }
        self.length = None;
        Ok(Some(self.buffer.split_to(length).freeze()))
    }

    fn next_length(&mut self) -> Result<Option<usize>, RecordError> {
        let digits = self
            .buffer
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let end = self.buffer.get(digits);
        if end.is_none() && digits <= MAX_DIGITS {
            return Ok(None);
        }
        let text = &self.buffer[..(digits + 1).min(self.buffer.len()).min(MAX_DIGITS + 1)];
        let text = String::from_utf8_lossy(text)
            .trim_end_matches('\n')
            .to_owned();
        let length = match text.parse::<u64>() {
            Ok(length) if end == Some(&b'\n') => length,
            _ => return Err(RecordError::BadLength { text }),
        };
        let fits = usize::try_from(length)
            .ok()
            .filter(|length| *length <= self.limit);
        let fits = fits.ok_or(RecordError::TooLong {
            length,
            limit: self.limit,
        })?;
        self.buffer.advance(digits + 1);
        Ok(Some(fits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] = b"3\nabc0\n12\nhello\nworld!";

    #[test]
    fn records_come_whole_however_the_stream_is_cut() {
        let expected = [&b"abc"[..], b"", b"hello\nworld!"];
        let framed: Vec<u8> = expected.iter().flat_map(|record| encode(record)).collect();
        assert_eq!(framed, STREAM);
        for size in 1..=STREAM.len() {
            let mut decoder = Decoder::new(12);
            let mut records = Vec::new();
            for piece in STREAM.chunks(size) {
                records.extend(decoder.push(piece).unwrap());
            }
            assert_eq!(records, expected, "pieces of {size}");
            assert_eq!(decoder.finish(), Ok(()));
        }
    }

    #[test]
    fn an_end_within_a_record_is_told() {
        for cut in 1..STREAM.len() {
            let mut decoder = Decoder::new(12);
            let complete = decoder.push(&STREAM[..cut]).unwrap().len();
            let at_border = [5, 7].contains(&cut);
            assert_eq!(
                decoder.finish().is_ok(),
                at_border,
                "{cut} bytes, {complete} records"
            );
        }
    }

    #[test]
    fn what_is_no_record_stays_an_error() {
        for (stream, error) in [
            (&b"x"[..], "'x' is not the length of a record"),
            (b"\nabc", "'' is not the length of a record"),
            (b"3 abc", "'3 ' is not the length of a record"),
            (b"-1\n", "'-' is not the length of a record"),
            (b"13\n", "a record of 13 bytes is longer than 12"),
            (
                b"18446744073709551615\n",
                "a record of 18446744073709551615 bytes is longer than 12",
            ),
            (
                b"18446744073709551616\n",
                "'18446744073709551616' is not the length of a record",
            ),
            (
                b"000000000000000000000",
                "'000000000000000000000' is not the length of a record",
            ),
        ] {
            let mut decoder = Decoder::new(12);
            let first = decoder.push(stream).unwrap_err();
            assert_eq!(first.to_string(), error);
            assert_eq!(decoder.push(b"1\na"), Err(first.clone()));
            assert_eq!(decoder.finish(), Err(first));
        }
    }
}
