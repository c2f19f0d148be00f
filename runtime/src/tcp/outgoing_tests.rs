//! The queue of a connection: what is written, in which form, and which answer is whose.

use std::task::Waker;

use super::*;
use tepui_message::Encoding;

fn peer(max_queued_bytes: usize) -> Peer {
    let serial = Serial { node: 1, number: 1 };
    let rules = PeerRules {
        max_queued_bytes,
        frames: true,
    };
    Peer::new("10.0.0.1:5050".parse().unwrap(), serial, rules)
}

fn push(peer: &Peer, from: &str, body: &[u8]) -> Result<(), NotQueued> {
    peer.push(&Outgoing {
        from: &from.parse().unwrap(),
        to: &"master@10.0.0.1:5050".parse().unwrap(),
        name: "x.Y",
        encoding: Encoding::Json,
        body,
    })
}

fn work(peer: &Peer) -> Poll<Work> {
    peer.poll_work(&Context::from_waker(Waker::noop()))
}

fn reply(status: u16) -> Reply {
    Reply::of(status)
}

#[test]
fn what_gathers_is_written_at_once() {
    let peer = peer(10_000);
    assert_eq!(work(&peer), Poll::Pending);
    for _ in 0..3 {
        push(&peer, "a@10.0.0.2:1", b"{}").unwrap();
    }
    let Poll::Ready(Work::Write(bytes)) = work(&peer) else {
        panic!("nothing to write")
    };
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    assert_eq!(text.matches("POST /master/x.Y HTTP/1.1\r\n").count(), 3);
    assert_eq!(
        text.matches("Tepui-Connection: 1.1\r\n").count(),
        1,
        "on the first alone"
    );
    assert_eq!(peer.outgoings().queued_bytes, text.len(), "being written");
    assert_eq!(work(&peer), Poll::Pending);
    let expected = Outgoings {
        queued_bytes: 0,
        queued: 3,
        answered: 0,
    };
    assert_eq!(peer.outgoings(), expected);
}

#[test]
fn a_queue_over_its_bound_closes_the_connection() {
    let peer = peer(600);
    assert_eq!(push(&peer, "a@10.0.0.2:1", &[b'x'; 300]), Ok(()));
    assert_eq!(
        push(&peer, "a@10.0.0.2:1", &[b'x'; 300]),
        Err(NotQueued::Full)
    );
    assert_eq!(push(&peer, "a@10.0.0.2:1", b""), Err(NotQueued::Closed));
    assert!(peer.is_closed());
    assert_eq!(work(&peer), Poll::Ready(Work::Stuck));
    assert_eq!(
        peer.end(),
        Ended {
            unanswered: 1,
            stuck: true
        }
    );
}

#[test]
fn answers_find_their_asks_by_order() {
    let peer = peer(10_000);
    for from in [
        "a@10.0.0.2:1",
        "__ask__(1)@10.0.0.2:1",
        "a@10.0.0.2:1",
        "__ask__(2)@10.0.0.2:1",
    ] {
        push(&peer, from, b"").unwrap();
    }
    let answered = peer.answered(vec![reply(202), reply(404), reply(404)]);
    assert_eq!(
        answered,
        [("__ask__(1)@10.0.0.2:1".parse().unwrap(), reply(404))]
    );
    let answered = peer.answered(vec![reply(202)]);
    assert_eq!(
        answered,
        [("__ask__(2)@10.0.0.2:1".parse().unwrap(), reply(202))]
    );
    assert_eq!(
        peer.answered(vec![reply(202)]),
        [],
        "more answers than messages"
    );
}

#[test]
fn frames_begin_behind_what_was_queued_when_they_were_offered() {
    let peer = peer(10_000);
    push(&peer, "a@10.0.0.2:1", b"{}").unwrap();
    push(&peer, "__ask__(1)@10.0.0.2:1", b"{}").unwrap();
    let offer = Reply {
        frames: true,
        ..reply(202)
    };
    assert_eq!(peer.answered(vec![offer.clone()]), []);
    for from in [
        "__ask__(2)@10.0.0.2:1",
        "a@10.0.0.2:1",
        "__ask__(3)@10.0.0.2:1",
    ] {
        push(&peer, from, b"{}").unwrap();
    }
    let Poll::Ready(Work::Write(mut bytes)) = work(&peer) else {
        panic!("nothing to write")
    };
    let http = bytes.windows(6).rposition(|window| window == b"\r\n\r\n{}");
    let _http = bytes.split_to(http.unwrap() + 6);
    let serial = Serial { node: 1, number: 1 };
    assert_eq!(
        frame::take_preface(&mut bytes),
        frame::Preface::Taken(serial)
    );
    for from in [
        "__ask__(2)@10.0.0.2:1",
        "a@10.0.0.2:1",
        "__ask__(3)@10.0.0.2:1",
    ] {
        let frame::Frame::Message(read) = frame::parse(&bytes, 100) else {
            panic!("{bytes:?}")
        };
        assert_eq!(std::str::from_utf8(read.from).unwrap(), from);
        let _read = bytes.split_to(read.len);
    }
    assert!(bytes.is_empty());
    let three = Reply {
        count: 3,
        ..reply(202)
    };
    let asked: Vec<(Pid, Reply)> = peer.answered(vec![three, reply(404), reply(202)]);
    let expected = [
        ("__ask__(1)", 202),
        ("__ask__(2)", 202),
        ("__ask__(3)", 404),
    ];
    let found: Vec<(&str, u16)> = asked
        .iter()
        .map(|(from, reply)| (from.id(), reply.status))
        .collect();
    assert_eq!(found, expected, "the last answer is to no message");
    assert_eq!(peer.outgoings().answered, 5, "not more than were sent");
}

#[test]
fn an_offer_of_frames_is_not_taken_by_a_node_without_them() {
    let mut peer = peer(10_000);
    peer.frames = false;
    push(&peer, "a@10.0.0.2:1", b"{}").unwrap();
    peer.answered(vec![Reply {
        frames: true,
        ..reply(202)
    }]);
    push(&peer, "a@10.0.0.2:1", b"{}").unwrap();
    let Poll::Ready(Work::Write(bytes)) = work(&peer) else {
        panic!("nothing to write")
    };
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    assert_eq!(text.matches("POST /master/x.Y HTTP/1.1\r\n").count(), 2);
}

#[test]
fn names_that_fit_no_frame_are_not_queued() {
    let peer = peer(1_000_000);
    push(&peer, "a@10.0.0.2:1", b"{}").unwrap();
    peer.answered(vec![Reply {
        frames: true,
        ..reply(202)
    }]);
    let _http = work(&peer);
    let long = format!("{}@10.0.0.2:1", "x".repeat(70_000));
    assert_eq!(push(&peer, &long, b""), Err(NotQueued::TooLong));
    assert_eq!(work(&peer), Poll::Pending, "not even a preface");
    push(&peer, "a@10.0.0.2:1", b"{}").unwrap();
    let Poll::Ready(Work::Write(mut bytes)) = work(&peer) else {
        panic!("nothing to write")
    };
    assert!(matches!(
        frame::take_preface(&mut bytes),
        frame::Preface::Taken(_)
    ));
}

#[test]
fn an_idle_connection_closes_unless_somebody_is_linked() {
    let linked = peer(10_000);
    assert!(!linked.close_if_idle(|| true));
    assert_eq!(push(&linked, "a@10.0.0.2:1", b""), Ok(()));
    assert!(
        !linked.close_if_idle(|| false),
        "there is something to write"
    );
    let idle = peer(10_000);
    assert!(idle.close_if_idle(|| false));
    assert_eq!(push(&idle, "a@10.0.0.2:1", b""), Err(NotQueued::Closed));
}

#[test]
fn a_finishing_connection_ends_behind_what_is_queued() {
    let peer = peer(10_000);
    push(&peer, "a@10.0.0.2:1", b"").unwrap();
    peer.finish();
    assert!(matches!(work(&peer), Poll::Ready(Work::Write(_))));
    assert_eq!(work(&peer), Poll::Ready(Work::Finish));
    assert_eq!(push(&peer, "a@10.0.0.2:1", b""), Err(NotQueued::Closed));
}

#[test]
fn the_table_has_a_bound_and_a_new_connection_a_higher_number() {
    let peers = Peers::new(
        7,
        1,
        PeerRules {
            max_queued_bytes: 10_000,
            frames: true,
        },
    );
    let address: Address = "10.0.0.1:1".parse().unwrap();
    let (first, new) = peers.get(address).unwrap();
    assert!(new);
    assert!(!peers.get(address).unwrap().1);
    assert_eq!(
        peers.get("10.0.0.1:2".parse().unwrap()).err(),
        Some(TooMany)
    );
    peers.remove(&first);
    let (second, new) = peers.get(address).unwrap();
    assert!(new && second.serial > first.serial);
    peers.remove(&first);
    assert!(
        !peers.get(address).unwrap().1,
        "only the one that is over is removed"
    );
}
