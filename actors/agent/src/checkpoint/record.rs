//! How one record lies in a checkpoint file, and how a file of records is read back.
//!
//! A record is: magic with version (4 bytes), length of the body (u32), checksum of these eight
//! bytes followed by the body (u32), body; numbers little-endian. Mesos writes a bare length and
//! the body; here a torn or foreign file must be told apart from a good one.
//!
//! Not here: what the bodies mean, and any access to a disk.

use bytes::{BufMut, Bytes, BytesMut};

/// First bytes of every record: a name and the version of this layout.
const MAGIC: [u8; 4] = *b"TPR\x01";

/// Bytes before the body.
const HEADER: usize = 12;

/// Largest body that is believed, 64 MiB: what is written here is far smaller.
const MAX_BODY: usize = 64 << 20;

/// Why a file's bytes are not a sequence of records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The file does not begin as our files do, so somebody else wrote it.
    #[error("not a checkpoint of this agent: it does not begin with a record of version 1")]
    Foreign,
    /// A record is damaged although later ones are whole, so it is not a torn tail.
    #[error("damaged record at byte {offset}, followed by whole records")]
    Damaged {
        /// Where the damaged record begins, in bytes.
        offset: usize,
    },
    /// A file of exactly one record holds something else.
    #[error("expected exactly one whole record, found {found} in {length} bytes")]
    NotSingle {
        /// Whole records found.
        found: usize,
        /// Size of the file in bytes.
        length: usize,
    },
}

/// The records of a file, and where the last whole one ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Records {
    /// Bodies in the order they were written.
    pub bodies: Vec<Bytes>,
    /// Bytes up to the end of the last whole record: what the file is cut to before appending.
    pub whole: usize,
}

/// `body` as a record, ready to be written.
#[must_use]
pub fn frame(body: &[u8]) -> Bytes {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mut record = BytesMut::with_capacity(HEADER + body.len());
    record.put_slice(&MAGIC);
    record.put_u32_le(length);
    record.put_u32_le(checksum(&record[..8], body));
    record.put_slice(body);
    record.freeze()
}

/// All records of a file that is only ever appended to.
///
/// An append that a crash cut short leaves a tail in which no whole record lies; it was never
/// told to anyone and is left out.
///
/// # Errors
/// [`RecordError::Foreign`] and [`RecordError::Damaged`]: what cannot come from a cut append.
pub fn parse(bytes: &[u8]) -> Result<Records, RecordError> {
    let mut bodies = Vec::new();
    let mut offset = 0;
    while offset < bytes.len() {
        match record_at(&bytes[offset..]) {
            Some(body) => {
                offset += HEADER + body.len();
                bodies.push(Bytes::copy_from_slice(body));
            }
            None if offset == 0 && !begins_like_ours(bytes) => return Err(RecordError::Foreign),
            None if whole_record_after(&bytes[offset..]) => {
                return Err(RecordError::Damaged { offset });
            }
            None => break,
        }
    }
    Ok(Records {
        bodies,
        whole: offset,
    })
}

/// The one record of a file that is replaced as a whole.
///
/// # Errors
/// [`RecordError`] where the file is not exactly one whole record.
pub fn parse_single(bytes: &[u8]) -> Result<Bytes, RecordError> {
    let records = parse(bytes)?;
    match <[Bytes; 1]>::try_from(records.bodies) {
        Ok([body]) if records.whole == bytes.len() => Ok(body),
        Ok(_) => Err(RecordError::NotSingle {
            found: 1,
            length: bytes.len(),
        }),
        Err(bodies) => Err(RecordError::NotSingle {
            found: bodies.len(),
            length: bytes.len(),
        }),
    }
}

fn checksum(head: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(body);
    hasher.finalize()
}

/// The body of the whole record with which `bytes` begins.
fn record_at(bytes: &[u8]) -> Option<&[u8]> {
    let header = bytes.get(..HEADER)?;
    if header[..4] != MAGIC {
        return None;
    }
    let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
    let sum = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
    if length > MAX_BODY {
        return None;
    }
    let body = bytes.get(HEADER..HEADER + length)?;
    (checksum(&header[..8], body) == sum).then_some(body)
}

/// Whether the first bytes can be a first record that was cut short: a beginning of the magic, with
/// zeros behind it where a file grew before its bytes arrived.
fn begins_like_ours(bytes: &[u8]) -> bool {
    let arrived = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    MAGIC.starts_with(&bytes[..arrived.min(MAGIC.len())])
}

fn whole_record_after(bytes: &[u8]) -> bool {
    (1..bytes.len()).any(|start| record_at(&bytes[start..]).is_some())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(bodies: &[Vec<u8>]) -> Vec<u8> {
        bodies.iter().flat_map(|body| frame(body)).collect()
    }

    #[test]
    fn the_layout_is_pinned() {
        // crc32 of the first eight bytes and "abc", computed apart from this code.
        let expected = crc32fast::hash(b"TPR\x01\x03\0\0\0abc").to_le_bytes();
        let mut bytes = b"TPR\x01\x03\0\0\0".to_vec();
        bytes.extend(expected);
        bytes.extend(b"abc");
        assert_eq!(frame(b"abc"), bytes);
    }

    #[test]
    fn foreign_files_are_refused() {
        for bytes in [
            &b"{\"json\": 1}"[..],
            b"\x05\0\0\0hello",
            b"TPR\x02\0\0\0\0\0\0\0\0",
        ] {
            assert_eq!(parse(bytes), Err(RecordError::Foreign), "{bytes:?}");
        }
    }

    #[test]
    fn a_single_record_is_exactly_one() {
        let two = file(&[b"a".to_vec(), b"b".to_vec()]);
        assert_eq!(
            parse_single(&two),
            Err(RecordError::NotSingle {
                found: 2,
                length: two.len()
            })
        );
        assert_eq!(
            parse_single(&[]),
            Err(RecordError::NotSingle {
                found: 0,
                length: 0
            })
        );
        let torn = &frame(b"abc")[..13];
        assert_eq!(
            parse_single(torn),
            Err(RecordError::NotSingle {
                found: 0,
                length: 13
            })
        );
        assert_eq!(parse_single(&frame(b"abc")), Ok(Bytes::from_static(b"abc")));
    }

    proptest! {
        #[test]
        fn a_file_cut_anywhere_keeps_every_record_before_the_cut(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..6),
            cut in any::<prop::sample::Index>(),
            zeros in 0usize..20,
        ) {
            let whole = file(&bodies);
            let cut = cut.index(whole.len() + 1);
            let mut torn = whole[..cut].to_vec();
            // A file may have grown before its bytes arrived.
            torn.extend(std::iter::repeat_n(0, zeros.min(whole.len() - cut)));
            let records = parse(&torn).unwrap();
            let mut end = 0;
            let mut kept = 0;
            while kept < bodies.len() && end + HEADER + bodies[kept].len() <= cut {
                end += HEADER + bodies[kept].len();
                kept += 1;
            }
            prop_assert!(records.bodies.len() >= kept);
            for (read, written) in records.bodies.iter().zip(&bodies) {
                prop_assert_eq!(read, written);
            }
            prop_assert_eq!(&torn[..records.whole], &whole[..records.whole]);
        }

        #[test]
        fn damage_before_the_last_record_is_never_silent(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 2..6),
            at in any::<prop::sample::Index>(),
            flip in 1u8..=255,
        ) {
            let mut bytes = file(&bodies);
            let last = HEADER + bodies[bodies.len() - 1].len();
            let at = at.index(bytes.len() - last);
            bytes[at] ^= flip;
            prop_assert!(parse(&bytes).is_err());
        }
    }
}
