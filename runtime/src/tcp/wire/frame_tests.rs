//! Frames as they are written, and what is made of bytes that are none.

use super::*;

const MAX_BODY: usize = 64;

fn written(from: &str, to: &str, name: &str, encoding: Encoding, body: &[u8]) -> BytesMut {
    let mut out = BytesMut::new();
    let message = Outgoing {
        from: &from.parse().unwrap(),
        to: &to.parse().unwrap(),
        name,
        encoding,
        body,
    };
    put_message(&mut out, &message).unwrap();
    out
}

fn tick() -> BytesMut {
    let (from, to) = ("a@10.0.0.2:1", "slave(1)@10.0.0.1:2");
    written(from, to, "x.Y", Encoding::Json, b"{}")
}

#[test]
fn a_message_is_written_with_twelve_bytes_before_its_texts_and_body() {
    let expected = [
        b"\0\0\0\x21\x01\x02".as_slice(),
        b"\0\x0c\0\x08\0\x03",
        b"a@10.0.0.2:1slave(1)x.Y{}",
    ]
    .concat();
    assert_eq!(tick(), expected);
    let read = Framed {
        len: expected.len(),
        encoding: Some(Encoding::Json),
        from: b"a@10.0.0.2:1",
        to: b"slave(1)",
        name: b"x.Y",
        body: b"{}",
    };
    assert_eq!(parse(&expected, MAX_BODY), Frame::Message(read));
}

#[test]
fn every_encoding_has_its_number() {
    for encoding in [Encoding::MessagePack, Encoding::Json, Encoding::Protobuf] {
        let out = written("a@10.0.0.2:1", "b@10.0.0.1:2", "", encoding, b"");
        let Frame::Message(read) = parse(&out, MAX_BODY) else {
            panic!("{encoding}")
        };
        assert_eq!(read.encoding, Some(encoding));
        assert_eq!((read.name, read.body), (b"".as_slice(), b"".as_slice()));
    }
    for unknown in [0, 4, 255] {
        let mut out = tick();
        out[5] = unknown;
        let Frame::Message(read) = parse(&out, MAX_BODY) else {
            panic!("{unknown}")
        };
        assert_eq!(read.encoding, None);
    }
}

#[test]
fn what_is_cut_short_is_waited_for() {
    let out = tick();
    for cut in 0..out.len() {
        let head = cut >= FIXED_BYTES;
        assert_eq!(
            parse(&out[..cut], MAX_BODY),
            Frame::Partial { head },
            "{cut}"
        );
    }
}

#[test]
fn what_cannot_be_a_message_is_known_by_its_first_bytes() {
    let large = u32::try_from(MAX_BODY + MAX_HEAD_BYTES + FIXED_BYTES + 1).unwrap();
    let fixed = |length: u32, kind: u8, texts: [u16; 3]| {
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.extend([kind, 1]);
        texts
            .iter()
            .for_each(|text| bytes.extend(text.to_be_bytes()));
        bytes
    };
    let body = u32::try_from(MAX_BODY).unwrap() + 8;
    for (bytes, status) in [
        (fixed(20, 0, [1, 1, 1]), 400),
        (fixed(20, ACCEPTED, [1, 1, 1]), 400),
        (fixed(7, MESSAGE, [0, 0, 0]), 400),
        (fixed(0, MESSAGE, [0, 0, 0]), 400),
        (fixed(10, MESSAGE, [1, 1, 1]), 400),
        (fixed(large, MESSAGE, [0, 0, 0]), 413),
        (fixed(u32::MAX, MESSAGE, [0, 0, 0]), 413),
        (fixed(body + 1, MESSAGE, [0, 0, 0]), 413),
        (fixed(large - 1, MESSAGE, [u16::MAX, 1, 1]), 431),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), 400),
    ] {
        match parse(&bytes, MAX_BODY) {
            Frame::Bad(found, _) => assert_eq!(found, status, "{bytes:?}"),
            other => panic!("{bytes:?}: {other:?}"),
        }
    }
    let most = fixed(body, MESSAGE, [0, 0, 0]);
    assert_eq!(parse(&most, MAX_BODY), Frame::Partial { head: true });
}

#[test]
fn texts_that_no_reader_would_take_are_not_written() {
    let mut out = BytesMut::from("before");
    let long = "x".repeat(MAX_HEAD_BYTES);
    for (to, name) in [
        ("b@10.0.0.1:2", long.as_str()),
        (&format!("{long}@10.0.0.1:2"), "x"),
    ] {
        let message = Outgoing {
            from: &"a@10.0.0.2:1".parse().unwrap(),
            to: &to.parse().unwrap(),
            name,
            encoding: Encoding::Json,
            body: b"",
        };
        assert_eq!(put_message(&mut out, &message), Err(TooLong));
        assert_eq!(out, "before");
    }
}

#[test]
fn a_preface_is_taken_off_whole_and_names_its_connection() {
    let serial = Serial {
        node: 17,
        number: u64::MAX,
    };
    let mut out = BytesMut::new();
    put_preface(&mut out, serial);
    assert_eq!(out.len(), PREFACE_BYTES);
    for cut in 0..out.len() {
        let mut some = BytesMut::from(&out[..cut]);
        assert_eq!(take_preface(&mut some), Preface::Partial, "{cut}");
        assert_eq!(some.len(), cut);
    }
    let mut whole = out.clone();
    whole.extend_from_slice(b"rest");
    assert_eq!(take_preface(&mut whole), Preface::Taken(serial));
    assert_eq!(whole, "rest");
    out[MAGIC.len() + 3] = 9;
    assert_eq!(take_preface(&mut out), Preface::Version(9));
    for none in ["POST /", "\u{89}TEPUI\r\n", "x"] {
        assert_eq!(take_preface(&mut BytesMut::from(none)), Preface::None);
    }
    assert_eq!(
        take_preface(&mut BytesMut::from(&b"\x89PNG"[..])),
        Preface::None
    );
}

#[test]
fn a_reason_has_a_bound_and_stays_text() {
    let mut out = BytesMut::new();
    put_refused(&mut out, 400, &"ä".repeat(MAX_REASON_BYTES), false);
    let reply = take_answer(&mut out).unwrap().unwrap();
    assert_eq!(reply.reason, "ä".repeat(MAX_REASON_BYTES / 2));
    assert!(out.is_empty());
}
