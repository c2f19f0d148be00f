//! The same processes on the simulated network: what travels, what breaks, and that it repeats.

use std::sync::mpsc::channel;
use std::time::Duration;

use tepui_runtime::{
    Address, AskError, Bytes, CodecError, Encoding, Hop, Message, NodeOptions, SimOptions,
    Simulation,
};
use tepui_runtime::{Context, Declaration, Handle, Id, Process};

use crate::support::*;

const SECOND: Duration = Duration::from_secs(1);

fn simulation(seed: u64) -> Simulation {
    World::simulated(SimOptions {
        seed,
        ..SimOptions::default()
    })
}

fn link(process: &ProcessRef<Witness>, to: &Pid) {
    let to = to.clone();
    process.dispatch(move |_, ctx| ctx.link(&to));
}

fn all(seen: &Receiver<Seen>) -> Vec<Seen> {
    seen.try_iter().collect()
}

#[test]
fn messages_take_their_time_and_keep_their_order() {
    let mut simulation = simulation(1);
    let (min, max) = (Duration::from_millis(10), Duration::from_millis(50));
    simulation.network().set_latency(min, max);
    let (a, b) = (node(simulation.world()), node(simulation.world()));
    let (ping, seen_by_ping) = witness(&a, "ping");
    let (pong, seen_by_pong) = witness(&b, "pong");
    for n in 0..50 {
        a.send(ping.pid(), pong.pid(), Tick { n });
    }
    simulation.run_for(Duration::from_millis(9));
    assert_eq!(all(&seen_by_pong), []);
    simulation.run_for(SECOND);
    let ticks: Vec<Seen> = (0..50).map(|n| Seen::Tick(n, ping.pid().clone())).collect();
    let tocks: Vec<Seen> = (0..50).map(|n| Seen::Tock(n, pong.pid().clone())).collect();
    assert_eq!((all(&seen_by_pong), all(&seen_by_ping)), (ticks, tocks));
    assert_eq!(simulation.network().delivered(), 100);
}

#[test]
fn an_ask_is_answered_or_refused_by_the_other_node() {
    let mut simulation = simulation(2);
    let (a, b) = (node(simulation.world()), node(simulation.world()));
    let (pong, _seen) = witness(&b, "pong");
    let asked = a.ask::<Tick, Tock>(pong.pid(), Tick { n: 3 }, SECOND);
    assert_eq!(simulation.block_on(asked), Ok(Tock { n: 3 }));
    let asked = a.ask::<Tick, Tock>(&b.pid_of("ghost"), Tick { n: 3 }, SECOND);
    let by = Hop::Node(b.address());
    let reason = "no process 'ghost'".to_owned();
    let refused = AskError::Refused {
        by,
        status: 404,
        reason,
    };
    assert_eq!(simulation.block_on(asked), Err(refused));
    let nowhere = Pid::new("x", Address::new(a.address().ip, 1));
    let asked = a.ask::<Tick, Tock>(&nowhere, Tick { n: 3 }, SECOND);
    assert_eq!(
        simulation.block_on(asked),
        Err(AskError::Exited),
        "nobody listens there"
    );
}

#[test]
fn a_cut_is_told_to_who_is_linked_and_the_next_message_connects_anew() {
    let mut simulation = simulation(3);
    let (a, b) = (node(simulation.world()), node(simulation.world()));
    let (here, seen_here) = witness(&a, "here");
    let (there, seen_there) = witness(&b, "there");
    link(&here, there.pid());
    simulation.run_for(SECOND);
    a.send(here.pid(), there.pid(), Tick { n: 1 });
    simulation.network().cut(&a, &b);
    simulation.run_for(SECOND);
    assert_eq!(all(&seen_here), [Seen::Exited(there.pid().clone())]);
    assert_eq!(all(&seen_there), [], "what was under way is lost");
    a.send(here.pid(), there.pid(), Tick { n: 2 });
    simulation.run_for(SECOND);
    assert_eq!(all(&seen_there), [Seen::Tick(2, here.pid().clone())]);
}

#[test]
fn a_partition_that_heals_soon_only_delays() {
    let mut simulation = simulation(4);
    let (a, b) = (node(simulation.world()), node(simulation.world()));
    let (here, seen_here) = witness(&a, "here");
    let (there, seen_there) = witness(&b, "there");
    link(&here, there.pid());
    simulation.run_for(SECOND);
    simulation.network().partition(&[&a], &[&b]);
    a.send(here.pid(), there.pid(), Tick { n: 1 });
    simulation.run_for(5 * SECOND);
    assert_eq!((all(&seen_here), all(&seen_there)), (vec![], vec![]));
    simulation.network().heal(&a, &b);
    simulation.run_for(30 * SECOND);
    assert_eq!(all(&seen_there), [Seen::Tick(1, here.pid().clone())]);
    assert_eq!(all(&seen_here), [Seen::Tock(1, there.pid().clone())]);
}

#[test]
fn a_partition_that_lasts_breaks_the_links_of_both_sides() {
    let mut simulation = simulation(5);
    let (a, b) = (node(simulation.world()), node(simulation.world()));
    let (here, seen_here) = witness(&a, "here");
    let (there, seen_there) = witness(&b, "there");
    link(&here, there.pid());
    link(&there, here.pid());
    simulation.run_for(SECOND);
    simulation.network().block(&a, &b);
    simulation.run_for(20 * SECOND);
    assert_eq!(all(&seen_here), [Seen::Exited(there.pid().clone())]);
    assert_eq!(all(&seen_there), [Seen::Exited(here.pid().clone())]);
    link(&here, there.pid());
    simulation.run_for(20 * SECOND);
    assert_eq!(
        all(&seen_here),
        [Seen::Exited(there.pid().clone())],
        "no connection is made"
    );
    simulation.network().heal_all(simulation.world());
    a.send(here.pid(), there.pid(), Tick { n: 1 });
    simulation.run_for(SECOND);
    assert_eq!(all(&seen_there), [Seen::Tick(1, here.pid().clone())]);
}

#[test]
fn a_crash_is_noticed_after_the_detection_time_and_a_shutdown_soon() {
    let mut simulation = simulation(6);
    let nodes: Vec<Node> = (0..3).map(|_| node(simulation.world())).collect();
    let (here, seen) = witness(&nodes[0], "here");
    let pids: Vec<Pid> = nodes[1..].iter().map(|node| node.pid_of("there")).collect();
    let _others: Vec<_> = nodes[1..]
        .iter()
        .map(|node| witness(node, "there"))
        .collect();
    link(&here, &pids[0]);
    link(&here, &pids[1]);
    simulation.run_for(SECOND);
    nodes[1].crash();
    simulation.block_on(nodes[2].shutdown());
    simulation.run_for(SECOND);
    assert_eq!(all(&seen), [Seen::Exited(pids[1].clone())]);
    simulation.run_for(15 * SECOND);
    assert_eq!(all(&seen), [Seen::Exited(pids[0].clone())]);
}

#[test]
fn a_node_that_comes_back_at_its_address_is_another_node() {
    let mut simulation = simulation(7);
    let a = node(simulation.world());
    let (here, seen) = witness(&a, "here");
    let options = NodeOptions {
        port: 5050,
        ..NodeOptions::default()
    };
    let first = Node::start(simulation.world(), options.clone()).unwrap();
    let (there, _) = witness(&first, "there");
    link(&here, there.pid());
    simulation.run_for(SECOND);
    assert!(
        Node::start(simulation.world(), options.clone()).is_err(),
        "the address is taken"
    );
    first.crash();
    let second = Node::start(simulation.world(), options).unwrap();
    let (_, seen_by_second) = witness(&second, "there");
    a.send(here.pid(), there.pid(), Tick { n: 1 });
    simulation.run_for(SECOND);
    assert_eq!(
        all(&seen),
        [Seen::Exited(there.pid().clone())],
        "the old connection is reset"
    );
    assert_eq!(all(&seen_by_second), [], "what was sent on it is lost");
    a.send(here.pid(), there.pid(), Tick { n: 2 });
    simulation.run_for(SECOND);
    assert_eq!(all(&seen_by_second), [Seen::Tick(2, here.pid().clone())]);
}

/// A thousand ticks in bad weather: the trace's hash, and what arrived.
fn storm(seed: u64) -> (u64, Vec<u64>) {
    let mut simulation = simulation(seed);
    simulation.network().set_cuts_per_million(20_000);
    let (a, b) = (node(simulation.world()), node(simulation.world()));
    let (here, _seen_here) = witness(&a, "here");
    let (there, seen_there) = witness(&b, "there");
    for n in 0..1000 {
        a.send(here.pid(), there.pid(), Tick { n });
        simulation.run_for(Duration::from_micros(50));
    }
    simulation.run_for(SECOND);
    let numbers = all(&seen_there).into_iter().filter_map(|seen| match seen {
        Seen::Tick(n, _) => Some(n),
        _ => None,
    });
    (simulation.trace_hash(), numbers.collect())
}

#[test]
fn a_seed_repeats_its_storm_and_no_storm_turns_the_order_round() {
    let (hash, numbers) = storm(7);
    assert_eq!(storm(7), (hash, numbers.clone()));
    assert_ne!(storm(8).0, hash);
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    assert!(
        (500..1000).contains(&numbers.len()),
        "{} of 1000 arrived",
        numbers.len()
    );
}

#[test]
fn one_message_in_ten_goes_through_its_codec() {
    let mut simulation = simulation(11);
    let (a, b) = (node(simulation.world()), node(simulation.world()));
    let (here, _seen) = witness(&a, "here");
    let (there, _seen) = witness(&b, "there");
    for n in 0..5_000 {
        a.send(here.pid(), there.pid(), Tick { n });
    }
    simulation.run_for(SECOND);
    let network = simulation.network();
    assert_eq!(network.delivered(), 10_000, "each tick is answered");
    let written = network.written();
    assert!((800..=1200).contains(&written), "{written}");
    assert_eq!(
        (network.unreadable(), network.first_unreadable()),
        (0, None)
    );
}

/// Its decoder does not take what its encoder wrote.
#[derive(Clone, Debug)]
struct Scrambled;

impl Message for Scrambled {
    const NAME: &'static str = "test.Scrambled";
    const ENCODINGS: &'static [Encoding] = &[Encoding::Json];

    fn encode(&self, _: Encoding) -> Result<Bytes, CodecError> {
        Ok(Bytes::from_static(b"?"))
    }

    fn decode(_: Encoding, _: &[u8]) -> Result<Scrambled, CodecError> {
        Err(CodecError::Decode {
            message: Self::NAME.to_owned(),
            path: "field".to_owned(),
            problem: "it is gone".to_owned(),
        })
    }
}

/// Counts what it is sent of this.
struct Unscrambler(u64);

impl Process for Unscrambler {
    fn declare(declaration: &mut Declaration<Unscrambler>) {
        declaration.message::<Scrambled>();
    }
}

impl Handle<Scrambled> for Unscrambler {
    fn handle(&mut self, _: Scrambled, _: &mut Context<'_, Unscrambler>) {
        self.0 += 1;
    }
}

#[test]
fn what_its_codec_cannot_read_back_is_counted_and_named() {
    let mut simulation = simulation(12);
    let (a, b) = (node(simulation.world()), node(simulation.world()));
    let (here, _seen) = witness(&a, "here");
    let there = b.spawn(Id::chosen("there"), Unscrambler(0)).unwrap();
    for _ in 0..1000 {
        a.send(here.pid(), there.pid(), Scrambled);
    }
    // Nobody is there for these: they are refused, and yet no codec is broken.
    for n in 0..100 {
        a.send(here.pid(), &b.pid_of("ghost"), Tick { n });
    }
    simulation.run_for(SECOND);
    let network = simulation.network().clone();
    let (taken, seen) = channel();
    there.dispatch(move |process, _| taken.send(process.0).unwrap());
    simulation.run_until_idle();
    let (unreadable, copied) = (network.unreadable(), seen.try_recv().unwrap());
    assert!((60..=140).contains(&unreadable), "{unreadable}");
    assert_eq!(unreadable + copied, 1000);
    assert!(network.written() > unreadable);
    let first = network.first_unreadable().unwrap();
    assert_eq!(
        first,
        "test.Scrambled does not decode: at field: it is gone"
    );
}

#[test]
fn one_way_is_freed_while_the_other_stays_blocked() {
    let mut simulation = simulation(13);
    let (a, b) = (node(simulation.world()), node(simulation.world()));
    let (here, seen_here) = witness(&a, "here");
    let (there, seen_there) = witness(&b, "there");
    simulation.network().partition(&[&a], &[&b]);
    simulation.network().unblock(&a, &b);
    a.send(here.pid(), there.pid(), Tick { n: 1 });
    simulation.run_for(SECOND);
    assert_eq!(all(&seen_there), [Seen::Tick(1, here.pid().clone())]);
    assert_eq!(all(&seen_here), [], "the answer waits");
    simulation.network().unblock(&b, &a);
    simulation.run_for(SECOND);
    assert_eq!(all(&seen_here), [Seen::Tock(1, there.pid().clone())]);
}

#[test]
fn one_slow_way_is_fast_again_while_another_stays_slow() {
    let mut simulation = simulation(14);
    let (a, b) = (node(simulation.world()), node(simulation.world()));
    let (here, seen_here) = witness(&a, "here");
    let (there, seen_there) = witness(&b, "there");
    for (from, to) in [(&a, &b), (&b, &a)] {
        let network = simulation.network();
        network.set_latency_between(from, to, SECOND, SECOND);
    }
    simulation.network().clear_latency_between(&a, &b);
    a.send(here.pid(), there.pid(), Tick { n: 1 });
    simulation.run_for(SECOND / 2);
    assert_eq!(all(&seen_there), [Seen::Tick(1, here.pid().clone())]);
    assert_eq!(all(&seen_here), []);
    simulation.run_for(SECOND);
    assert_eq!(all(&seen_here), [Seen::Tock(1, there.pid().clone())]);
}

/// After a crash of the host its silence tells nothing for a while; a kernel that goes on does so
/// at once.
#[test]
fn who_is_linked_hears_of_a_kill_at_once_and_of_a_crash_of_the_host_by_its_silence() {
    for (kill, heard) in [(true, true), (false, false)] {
        let mut simulation = simulation(15);
        let (a, b) = (node(simulation.world()), node(simulation.world()));
        let (here, seen) = witness(&a, "here");
        let (there, _) = witness(&b, "there");
        link(&here, there.pid());
        simulation.run_for(SECOND);
        if kill {
            b.kill()
        } else {
            b.crash()
        }
        simulation.run_for(SECOND);
        assert_eq!(all(&seen) == [Seen::Exited(there.pid().clone())], heard);
        assert!(b.processes().is_empty());
    }
}
