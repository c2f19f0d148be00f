//! What only the simulated world has: virtual time, runs that repeat, crashes.

use std::path::Path;
use std::time::Duration;

use tepui_runtime::{
    Context, Declaration, Handle, Id, Node, NodeOptions, Pid, Process, SimOptions, Simulation,
    World,
};

use crate::support::{Log, Note, Scribe, Stage, note, scribe, simulated};

const SECOND: Duration = Duration::from_secs(1);

fn named(simulation: &Simulation, name: &str) -> Node {
    let options = NodeOptions {
        name: name.to_owned(),
        ..NodeOptions::default()
    };
    Node::start(simulation.world(), options).unwrap()
}

/// Tells a random other after a random time, for as long as there are notes left.
struct Gossip {
    others: Vec<Pid>,
    left: u32,
}

impl Process for Gossip {
    fn declare(declaration: &mut Declaration<Gossip>) {
        declaration.message::<Note>();
    }
}

impl Handle<Note> for Gossip {
    fn handle(&mut self, heard: Note, ctx: &mut Context<'_, Gossip>) {
        if self.left == 0 {
            return;
        }
        self.left -= 1;
        let count = self.others.len() as u64;
        let to = self.others[usize::try_from(ctx.random_below(count)).unwrap()].clone();
        ctx.delay(
            Duration::from_nanos(ctx.random_below(1_000_000)),
            move |_, ctx| {
                let told = format!("{} {}", heard.0.len(), ctx.uuid());
                ctx.send(&to, Note(told));
            },
        );
    }
}

fn gossip(seed: u64) -> (u64, u64, Vec<String>) {
    let mut simulation = World::simulated(SimOptions {
        seed,
        ..SimOptions::default()
    });
    let node = simulation.node();
    let pids: Vec<Pid> = (0..5)
        .map(|n| node.pid_of(&format!("gossip({})", n + 1)))
        .collect();
    for _ in &pids {
        node.spawn(
            Id::prefix("gossip"),
            Gossip {
                others: pids.clone(),
                left: 50,
            },
        )
        .unwrap();
    }
    for pid in &pids {
        node.send(&Pid::nobody(), pid, note("psst"));
    }
    simulation.run_for(SECOND);
    (
        simulation.trace_hash(),
        simulation.deliveries(),
        simulation.trace_lines(),
    )
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let (first, again, other) = (gossip(7), gossip(7), gossip(8));
    assert_eq!(first, again);
    assert!(first.1 > 100, "{}", first.1);
    assert_ne!(first.0, other.0);
    assert_ne!(first.2, other.2);
}

#[test]
fn the_hash_tells_bodies_apart() {
    let hash = |text: &str| {
        let mut simulation = simulated();
        let node = simulation.node();
        let (process, _) = scribe(&node, "a");
        node.send(&Pid::nobody(), process.pid(), note(text));
        simulation.run_until_idle();
        assert_eq!(simulation.deliveries(), 1);
        simulation.trace_hash()
    };
    assert_eq!(hash("x"), hash("x"));
    assert_ne!(hash("x"), hash("y"));
}

#[test]
fn time_moves_only_to_alarms_and_limits() {
    let mut simulation = simulated();
    let node = simulation.node();
    let begin = simulation.now();
    assert_eq!(begin.as_secs_f64(), 1_767_225_600.0);
    let (process, log) = scribe(&node, "a");
    process.dispatch(|_, ctx| {
        ctx.delay(SECOND * 3, |scribe, _| scribe.log.add("three"));
    });
    simulation.run_until_idle();
    assert_eq!(simulation.now(), begin);
    simulation.run_for(SECOND * 2);
    assert_eq!((simulation.now() - begin, log.all().len()), (SECOND * 2, 1));
    simulation.run_until(begin + SECOND * 3);
    assert_eq!((simulation.now() - begin, log.all().len()), (SECOND * 3, 2));
}

#[test]
fn running_while_says_whether_it_came_to_pass() {
    let mut simulation = simulated();
    let node = simulation.node();
    let (process, log) = scribe(&node, "a");
    process.dispatch(|_, ctx| {
        ctx.every(SECOND, |scribe, _| scribe.log.add("beat"));
    });
    let begin = simulation.now();
    assert!(simulation.run_while(|| log.all().len() < 4));
    assert_eq!(simulation.now() - begin, SECOND * 3);
    node.crash();
    assert!(!simulation.run_while(|| true));
}

#[test]
#[should_panic(expected = "nothing is left to run that could complete the future")]
fn a_future_that_cannot_end_is_an_error() {
    simulated().block_on(std::future::pending::<()>());
}

#[test]
fn a_crash_takes_everything_without_a_word() {
    let mut simulation = simulated();
    let node = named(&simulation, "agent");
    let (process, log) = scribe(&node, "a");
    let (linker, linked) = scribe(&node, "b");
    let pid = process.pid().clone();
    linker.dispatch(move |_, ctx| ctx.link(&pid));
    simulation.block_on(node.settle());
    process.dispatch(|_, ctx| {
        ctx.every(SECOND, |scribe, _| scribe.log.add("beat"));
    });
    simulation.block_on(node.settle());
    node.send(&Pid::nobody(), process.pid(), note("in the queue"));
    node.crash();
    let again = named(&simulation, "agent");
    let (_, reborn) = scribe(&again, "a");
    simulation.run_for(SECOND * 5);
    assert_eq!(log.all(), ["initialize a", "dropped"]);
    assert_eq!(linked.all(), ["initialize b", "dropped"]);
    assert_eq!(reborn.all(), ["initialize a"]);
    assert!(node.processes().is_empty());
    assert!(
        node.spawn(
            Id::chosen("c"),
            Scribe {
                log: Log::default()
            }
        )
        .is_err()
    );
}

#[test]
fn the_nodes_that_are_up_are_listed_in_the_order_of_their_start() {
    let mut simulation = simulated();
    let names = |simulation: &Simulation| -> Vec<String> {
        simulation
            .nodes()
            .iter()
            .map(|node| node.name().to_owned())
            .collect()
    };
    let nodes = ["master", "agent", ""].map(|name| named(&simulation, name));
    assert_eq!(names(&simulation), ["master", "agent", "node(1)"]);
    nodes[1].crash();
    assert_eq!(names(&simulation), ["master", "node(1)"]);
    simulation.block_on(nodes[0].shutdown());
    assert_eq!(names(&simulation), ["node(1)"]);
}

#[test]
fn a_process_that_crashes_its_own_node_is_gone_too() {
    let mut simulation = simulated();
    let node = simulation.node();
    let (process, log) = scribe(&node, "a");
    process.dispatch(|scribe, ctx| {
        ctx.node().crash();
        scribe.log.add("the rest of this event");
    });
    simulation.run_until_idle();
    assert_eq!(
        log.all(),
        ["initialize a", "the rest of this event", "dropped"]
    );
}

#[test]
fn a_crash_leaves_of_the_disk_what_was_synced() {
    let mut lengths = std::collections::BTreeSet::new();
    for seed in 0..20 {
        let simulation = World::simulated(SimOptions {
            seed,
            ..SimOptions::default()
        });
        let node = named(&simulation, "agent");
        let disk = node.disk();
        let path = Path::new("/data/log");
        disk.create_dir_all(Path::new("/data")).unwrap();
        disk.append_synced(path, b"synced").unwrap();
        disk.append(path, b" and not").unwrap();
        assert_eq!(disk.read(path).unwrap(), b"synced and not");
        node.crash();
        let again = named(&simulation, "agent");
        let left = again.disk().read(path).unwrap();
        assert!(b"synced and not".starts_with(&left) && left.len() >= 6);
        lengths.insert(left.len());
        assert!(!named(&simulation, "other").disk().exists(path));
    }
    assert!(lengths.len() > 3, "{lengths:?}");
}

#[test]
fn a_kill_leaves_all_of_the_disk_and_frees_its_locks() {
    let mut lost = 0;
    for seed in 0..20 {
        let simulation = World::simulated(SimOptions {
            seed,
            ..SimOptions::default()
        });
        let node = named(&simulation, "agent");
        let (log, lock) = (Path::new("/log"), Path::new("/lock"));
        let _held = node.disk().lock_exclusive(lock, "the first").unwrap();
        node.disk().append(log, b"not synced").unwrap();
        node.kill();
        let again = named(&simulation, "agent");
        assert_eq!(again.disk().read(log).unwrap(), b"not synced");
        drop(again.disk().lock_exclusive(lock, "the second").unwrap());
        // It is as unsynced as before.
        again.crash();
        let left = named(&simulation, "agent").disk().read(log);
        lost += u32::from(left.unwrap_or_default() != b"not synced");
    }
    assert!(lost > 10, "{lost} of 20");
}

#[test]
fn a_disk_that_breaks_off_leaves_the_old_or_the_new() {
    let mut seen = std::collections::BTreeSet::new();
    let mut torn = std::collections::BTreeSet::new();
    for seed in 0..40 {
        let simulation = World::simulated(SimOptions {
            seed,
            ..SimOptions::default()
        });
        let node = named(&simulation, "agent");
        let (whole, log) = (Path::new("/whole"), Path::new("/log"));
        node.disk().write_atomic(whole, b"old").unwrap();
        simulation.break_disk("agent", 0);
        let error = node.disk().write_atomic(whole, b"new").unwrap_err();
        assert_eq!(error.to_string(), "/whole: the disk is gone");
        assert!(node.disk().read(whole).is_err());
        node.crash();
        let node = named(&simulation, "agent");
        seen.insert(node.disk().read(whole).unwrap());
        simulation.break_disk("agent", 1);
        node.disk().append_synced(log, b"1234").unwrap();
        node.disk().append_synced(log, b"5678").unwrap_err();
        node.crash();
        torn.insert(named(&simulation, "agent").disk().read(log).unwrap());
    }
    assert_eq!(seen, [b"new".to_vec(), b"old".to_vec()].into());
    assert!(
        torn.len() > 2 && torn.iter().all(|left| b"12345678".starts_with(left)),
        "{torn:?}"
    );
}

#[test]
fn a_lock_is_free_after_a_crash_of_its_holder() {
    let simulation = simulated();
    let node = named(&simulation, "agent");
    let path = Path::new("/lock");
    let lock = node.disk().lock_exclusive(path, "the first").unwrap();
    let held = node.disk().lock_exclusive(path, "the second").unwrap_err();
    assert_eq!(held.to_string(), "/lock is locked by the first");
    node.crash();
    let again = named(&simulation, "agent").disk();
    let second = again.lock_exclusive(path, "the second").unwrap();
    drop(lock);
    assert!(again.lock_exclusive(path, "the third").is_err());
    drop(second);
    again.lock_exclusive(path, "the third").unwrap();
}

#[test]
fn a_clock_that_drifts_rings_by_its_own_time_and_goes_on_through_a_crash() {
    let mut simulation = simulated();
    let second = Duration::from_secs(1);
    // Before the node is there: it starts by the host's clock.
    simulation.set_drift("fast", 100_000, Duration::from_secs(3600));
    let (fast, even) = (named(&simulation, "fast"), named(&simulation, "even"));
    assert_eq!(fast.clock().now() - even.clock().now(), 3600 * second);
    let (scribe, log) = scribe(&fast, "a");
    scribe.dispatch(move |_, ctx| {
        ctx.delay(11 * second, |scribe, _| scribe.log.add("rang"));
    });
    simulation.run_for(Duration::from_millis(9_999));
    assert!(!log.all().contains(&"rang".to_owned()));
    simulation.run_for(Duration::from_millis(1));
    assert!(log.all().contains(&"rang".to_owned()), "11 s of its own");
    let ahead = |node: &Node| node.clock().now().since(simulation.now());
    assert_eq!(ahead(&fast), 3601 * second);
    fast.crash();
    simulation.run_for(10 * second);
    let fast = named(&simulation, "fast");
    let ahead = |node: &Node| node.clock().now().since(simulation.now());
    assert_eq!(ahead(&fast), 3602 * second);

    // Slower: what was due by the old rate waits, and its time does not go back.
    let before = fast.clock().now();
    simulation.set_drift("fast", -500_000, Duration::ZERO);
    assert_eq!(fast.clock().now(), before);
    let folder = std::path::Path::new("/folder");
    simulation.run_for(10 * second);
    assert_eq!(fast.clock().now() - before, 5 * second);
    fast.disk().create_dir_all(folder).unwrap();
    assert_eq!(fast.disk().modified(folder).unwrap(), fast.clock().now());
}
