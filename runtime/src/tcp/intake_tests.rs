//! What a connection makes of its bytes, whatever pieces they come in.

use std::{cell::RefCell, rc::Rc};

use super::*;
use crate::tcp::arriving::Arriving;
use tepui_message::CodecError;

/// Writes down what it is handed; knows the process `p` and its message `x.Y`.
#[derive(Clone, Default)]
struct Book(Rc<RefCell<Vec<String>>>);

impl Receiver for Book {
    fn deliver(
        &self,
        id: &str,
        name: &str,
        encoding: Encoding,
        body: &[u8],
        from: &Pid,
        _credit: Option<Credit>,
    ) -> Result<(), Refusal> {
        let body = String::from_utf8_lossy(body);
        self.0
            .borrow_mut()
            .push(format!("{from} {id} {name} {encoding} {body}"));
        match (id, name, &*body) {
            ("p", "x.Y", "bad") => Err(Refusal::Decode(CodecError::Decode {
                message: name.to_owned(),
                path: "a.b".to_owned(),
                problem: "odd".to_owned(),
            })),
            ("p", "x.Y", _) => Ok(()),
            ("p", ..) => Err(Refusal::UnknownName {
                id: id.to_owned(),
                name: name.to_owned(),
            }),
            _ => Err(Refusal::NoSuchProcess { id: id.to_owned() }),
        }
    }
}

fn intake(fences: &Arc<Fences>) -> (Book, Intake<Book>) {
    intake_within(fences, &Arc::new(Arriving::new(1 << 20)))
}

fn intake_within(fences: &Arc<Fences>, arriving: &Arc<Arriving>) -> (Book, Intake<Book>) {
    let book = Book::default();
    let counters = IntakeCounters {
        received: Counter::default(),
        framed: Counter::default(),
        refused: Counter::default(),
    };
    let rules = IntakeRules {
        accepted: 0,
        max_body_bytes: 64,
        required_ip: None,
        frames: true,
    };
    (
        book.clone(),
        Intake::new(
            book,
            Arc::clone(fences),
            rules,
            Share::of(arriving),
            counters,
        ),
    )
}

/// Feeds `text` in pieces; the last step, what was handed over, the answers' statuses and
/// reasons, and what is left.
fn run(text: &str, piece: usize) -> (Step, Vec<String>, Vec<String>, String) {
    let (book, mut intake) = intake(&Arc::default());
    let mut bytes = BytesMut::new();
    let mut step = Step::More;
    let mut rest = text.as_bytes();
    while step == Step::More && !rest.is_empty() {
        let (now, later) = rest.split_at(piece.min(rest.len()));
        bytes.extend_from_slice(now);
        rest = later;
        step = intake.take(&mut bytes);
    }
    let left = String::from_utf8([&bytes[..], rest].concat()).unwrap();
    let mut answers = intake.answers;
    let mut reader = wire::ReplyReader::default();
    let mut statuses = Vec::new();
    while let Some(reply) = reader.read(&mut answers).unwrap() {
        let close = if reply.last { " close" } else { "" };
        statuses.push(format!("{} {}{close}", reply.status, reply.reason));
    }
    let delivered = book.0.borrow().clone();
    (step, delivered, statuses, left)
}

fn post(path: &str, fields: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nLibprocess-From: a@10.0.0.2:1\r\n{fields}\r\n{body}")
}

#[test]
fn messages_are_handed_over_in_order_however_they_are_cut() {
    let json = "Content-Type: application/json\r\nContent-Length: 2\r\n";
    let text = [
        post("/p/x.Y", json, "{}"),
        post(
            "/p/x.Y",
            "Transfer-Encoding: chunked\r\n",
            "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        ),
        post("/p/x.Y", "", ""),
        post("/p%28/x/y", "Content-Length: 1\r\n", "z"),
        "GET /state HTTP/1.1\r\n\r\n".to_owned(),
    ]
    .concat();
    for piece in 1..=text.len() {
        let (step, delivered, statuses, left) = run(&text, piece);
        assert_eq!(step, Step::Http, "{piece}");
        assert_eq!(left, "GET /state HTTP/1.1\r\n\r\n", "{piece}");
        let expected = [
            "a@10.0.0.2:1 p x.Y application/json {}",
            "a@10.0.0.2:1 p x.Y application/x-protobuf abcde",
            "a@10.0.0.2:1 p x.Y application/x-protobuf ",
            "a@10.0.0.2:1 p( x/y application/x-protobuf z",
        ];
        assert_eq!(delivered, expected, "{piece}");
        assert_eq!(
            statuses,
            ["202 ", "202 ", "202 ", "404 no process 'p('"],
            "{piece}"
        );
    }
}

#[test]
fn what_cannot_be_delivered_is_answered_and_the_connection_goes_on() {
    let text = [
        post("/q/x.Y", "", ""),
        post("/p/x.Z", "", ""),
        post("/p", "", ""),
        post("/p/x.Y", "Content-Length: 3\r\n", "bad"),
        post("/p/x.Y", "Content-Type: text/html\r\n", ""),
        post("/", "", ""),
        post("/p%zz/x.Y", "", ""),
        "POST /p/x.Y HTTP/1.1\r\nLibprocess-From: nonsense\r\n\r\n".to_owned(),
        "POST /p/x.Y HTTP/1.1\r\nUser-Agent: libprocess/\r\n\r\n".to_owned(),
        post("/p/x.Y", "", ""),
    ]
    .concat();
    let (step, _, statuses, left) = run(&text, text.len());
    assert_eq!((step, left.as_str()), (Step::More, ""));
    let expected = [
        "404 no process 'q'",
        "400 process 'p' does not take 'x.Z'",
        "400 process 'p' does not take ''",
        "400 x.Y does not decode: at a.b: odd",
        "400 the content type names no encoding of messages",
        "400 bad path: /<process>/<message> is wanted",
        "400 bad path: /<process>/<message> is wanted",
        "500 the sender of the message cannot be determined",
        "500 the sender of the message cannot be determined",
        "202 ",
    ];
    assert_eq!(statuses, expected);
}

#[test]
fn what_breaks_the_framing_is_answered_and_closed() {
    let cases = [
        (
            post("/p/x.Y", "Content-Length: 65\r\n", ""),
            "413 the message is too large close",
        ),
        (
            post("/p/x.Y", "Transfer-Encoding: chunked\r\n", "41\r\n"),
            "413 the message is too large close",
        ),
        (
            post("/p/x.Y", "Transfer-Encoding: chunked\r\n", "nonsense\r\n"),
            "400 bad chunk in the message's body close",
        ),
        (
            post("/p/x.Y", "Content-Length: x\r\n", ""),
            "400 bad Content-Length close",
        ),
        (post("/p/x.Y", "Connection: close\r\n", ""), "202  close"),
    ];
    for (text, answer) in cases {
        for piece in [1, text.len()] {
            let (step, _, statuses, _) = run(&text, piece);
            assert_eq!(
                (step, &statuses[..]),
                (Step::Close, &[answer.to_owned()][..])
            );
        }
    }
}

#[test]
fn a_sender_that_asks_first_is_told_to_continue() {
    let (_, mut intake) = intake(&Arc::default());
    let head = post(
        "/p/x.Y",
        "Expect: 100-continue\r\nContent-Length: 2\r\n",
        "",
    );
    let mut bytes = BytesMut::from(head.as_str());
    assert_eq!(intake.take(&mut bytes), Step::More);
    assert_eq!(
        &intake.answers.split()[..],
        b"HTTP/1.1 100 Continue\r\n\r\n"
    );
    bytes.extend_from_slice(b"{}");
    assert_eq!(intake.take(&mut bytes), Step::More);
    assert!(intake.answers.starts_with(b"HTTP/1.1 202 Accepted\r\n"));
    assert!(!intake.is_amid(&bytes));
}

#[test]
fn a_newer_connection_of_a_node_ends_the_older_one() {
    let fences = Arc::default();
    let (old_book, mut old) = intake(&fences);
    let (new_book, mut new) = intake(&fences);
    let message = |fields: &str| BytesMut::from(post("/p/x.Y", fields, "").as_str());
    assert_eq!(
        old.take(&mut message("Tepui-Connection: 5.1\r\n")),
        Step::More
    );
    assert_eq!(
        new.take(&mut message("Tepui-Connection: 5.2\r\n")),
        Step::More
    );
    assert_eq!(old.take(&mut message("")), Step::Superseded);
    assert_eq!(new.take(&mut message("")), Step::More);
    assert_eq!(
        (old_book.0.borrow().len(), new_book.0.borrow().len()),
        (1, 2)
    );
}

#[test]
fn connections_without_a_serial_stand_for_themselves() {
    let fences = Arc::default();
    let (book, mut numbered) = intake(&fences);
    let (_, mut plain) = intake(&fences);
    let message = |fields: &str| BytesMut::from(post("/p/x.Y", fields, "").as_str());
    assert_eq!(plain.take(&mut message("")), Step::More);
    assert_eq!(
        numbered.take(&mut message("Tepui-Connection: 5.1\r\n")),
        Step::More
    );
    assert_eq!(plain.take(&mut message("")), Step::More);
    assert_eq!(book.0.borrow().len(), 1);
}

#[test]
fn a_sender_must_be_where_it_says_if_that_is_required() {
    let (book, mut intake) = intake(&Arc::default());
    intake.rules.required_ip = Some("10.0.0.3".parse().unwrap());
    assert_eq!(
        intake.take(&mut BytesMut::from(post("/p/x.Y", "", "").as_str())),
        Step::More
    );
    assert!(intake.answers.starts_with(b"HTTP/1.1 400 Bad Request\r\n"));
    intake.rules.required_ip = Some("10.0.0.2".parse().unwrap());
    assert_eq!(
        intake.take(&mut BytesMut::from(post("/p/x.Y", "", "").as_str())),
        Step::More
    );
    assert_eq!(book.0.borrow().len(), 1);
}

#[test]
fn bodies_of_several_connections_share_their_room() {
    let fences = Arc::new(Fences::default());
    let arriving = Arc::new(Arriving::new(8 << 10));
    let part = |intake: &mut Intake<Book>, body: usize| {
        intake.rules.max_body_bytes = 64 << 10;
        let head =
            "POST /p/x.Y HTTP/1.1\r\nLibprocess-From: a@1.2.3.4:5\r\nContent-Length: 50000\r\n\r\n";
        intake.take(&mut BytesMut::from(&*format!("{head}{}", "x".repeat(body))))
    };
    let (_book, mut first) = intake_within(&fences, &arriving);
    assert_eq!(part(&mut first, 20_000), Step::More);
    let (_book, mut second) = intake_within(&fences, &arriving);
    assert_eq!(part(&mut second, 22_000), Step::Close);
    let answer = String::from_utf8_lossy(&second.answers).into_owned();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    // A small one is none of the room's business, and what is complete gives its own back.
    let (book, mut third) = intake_within(&fences, &arriving);
    third.rules.max_body_bytes = 64 << 10;
    assert_eq!(part(&mut third, 10_000), Step::More);
    assert_eq!(
        first.take(&mut BytesMut::from(&*"x".repeat(30_000))),
        Step::More
    );
    let rest = "x".repeat(40_000);
    assert_eq!(third.take(&mut BytesMut::from(&*rest)), Step::More);
    assert_eq!(book.0.borrow().len(), 1);
}
