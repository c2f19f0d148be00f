//! Order and loss when connections break: two senders number their messages to one process in
//! another OS process, and the connections are cut again and again in the middle of it.
//!
//! What must hold, per sender: the numbers that arrive rise strictly; some are missing only where
//! a cut was; and each cut is told to the sender, which is linked, by `exited`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tepui_runtime::{
    Context, Declaration, Handle, Id, Node, NodeOptions, Pid, Process, ProcessRef, RealOptions,
    World, serde_message,
};

/// Messages of each sender.
const MESSAGES: u64 = 100_000;

const CUTS: usize = 20;

/// So many messages of a sender may be unanswered: else it would have sent them all, to be lost,
/// before the first cut.
const UNANSWERED: u64 = 1_000;

/// So far a sender may be ahead of the other, so that both are amid their messages at every cut.
const AHEAD: u64 = 1_000;

/// How long a test waits for what must come. Reached only when it fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// Set for the OS process of the receiver, which is this test binary run again.
const RECEIVER: &str = "TEPUI_TEST_RECEIVER";

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Numbered {
    n: u64,
}
serde_message!(Numbered, "test.Numbered");

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Report {
    of: String,
}
serde_message!(Report, "test.Report");

/// What arrived of one sender: runs of consecutive numbers, first and last, in order of arrival.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Arrived {
    runs: Vec<(u64, u64)>,
}
serde_message!(Arrived, "test.Arrived");

/// Writes down what arrives.
#[derive(Default)]
struct Sink {
    arrived: std::collections::BTreeMap<String, Arrived>,
}

impl Process for Sink {
    fn declare(declaration: &mut Declaration<Sink>) {
        declaration.message::<Numbered>().message::<Report>();
    }
}

impl Handle<Numbered> for Sink {
    fn handle(&mut self, message: Numbered, ctx: &mut Context<'_, Sink>) {
        let runs = &mut self
            .arrived
            .entry(ctx.sender().to_string())
            .or_default()
            .runs;
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == message.n => *last = message.n,
            _ => runs.push((message.n, message.n)),
        }
    }
}

impl Handle<Report> for Sink {
    fn handle(&mut self, report: Report, ctx: &mut Context<'_, Sink>) {
        ctx.reply(self.arrived.get(&report.of).cloned().unwrap_or_default());
    }
}

/// What a sender tells the test.
enum Told {
    /// So many are sent.
    Sent(u64),
    /// Its link broke when so many were sent.
    Exited(u64),
}

/// Sends numbered messages, no faster than they are answered.
struct Source {
    number: usize,
    to: Pid,
    sent: u64,
    /// How far each sender is.
    both: Arc<[AtomicU64; 2]>,
    tell: Sender<(usize, Told)>,
}

impl Process for Source {
    fn declare(_: &mut Declaration<Source>) {}

    fn initialize(&mut self, ctx: &mut Context<'_, Source>) {
        ctx.link(&self.to);
        self.go_on(ctx);
    }

    fn exited(&mut self, pid: &Pid, ctx: &mut Context<'_, Source>) {
        assert_eq!(pid, &self.to);
        self.tell.send((self.number, Told::Exited(self.sent))).ok();
        ctx.link(&self.to);
    }
}

impl Source {
    fn go_on(&mut self, ctx: &mut Context<'_, Source>) {
        let before = ctx.node().outgoings(self.to.address());
        let other = self.both[1 - self.number].load(Ordering::Relaxed);
        let room = UNANSWERED
            .saturating_sub(before.queued - before.answered)
            .min((other + AHEAD).saturating_sub(self.sent));
        for _ in 0..room.min(500).min(MESSAGES - self.sent) {
            ctx.send(&self.to, Numbered { n: self.sent });
            self.sent += 1;
            if self.sent.is_multiple_of(1000) {
                self.tell.send((self.number, Told::Sent(self.sent))).ok();
            }
        }
        self.both[self.number].store(self.sent, Ordering::Relaxed);
        if self.sent < MESSAGES {
            ctx.delay(
                Duration::from_micros(if room == 0 { 500 } else { 1 }),
                Source::go_on,
            );
        }
    }
}

/// A TCP proxy whose connections can be cut.
struct Proxy {
    address: SocketAddr,
    streams: Arc<Mutex<Vec<(TcpStream, TcpStream)>>>,
}

impl Proxy {
    fn to(target: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let streams = Arc::<Mutex<Vec<(TcpStream, TcpStream)>>>::default();
        let accepted = Arc::clone(&streams);
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let near = near.unwrap();
                let far = TcpStream::connect(target).unwrap();
                let ways = [(&near, &far), (&far, &near)]
                    .map(|(from, to)| (from.try_clone().unwrap(), to.try_clone().unwrap()));
                // It can be cut as soon as anything goes over it.
                accepted.lock().unwrap().push((near, far));
                for (from, to) in ways {
                    std::thread::spawn(move || copy(from, to));
                }
            }
        });
        Proxy { address, streams }
    }

    /// How many connections there are.
    fn connected(&self) -> usize {
        self.streams.lock().unwrap().len()
    }

    /// Cuts all connections, and says how many. What is already in the receiver's socket stays
    /// there, to be read while the next connection is made.
    fn cut(&self) -> usize {
        let streams = std::mem::take(&mut *self.streams.lock().unwrap());
        for (near, far) in &streams {
            near.shutdown(Shutdown::Both).ok();
            far.shutdown(Shutdown::Both).ok();
        }
        streams.len()
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let mut piece = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut piece) {
        if to.write_all(&piece[..count]).is_err() {
            break;
        }
    }
    from.shutdown(Shutdown::Both).ok();
    to.shutdown(Shutdown::Both).ok();
}

/// The receiver's OS process, which ends with the test.
struct Other(Child);

impl Drop for Other {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn receiver() -> (Other, Pid) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "receive", "--nocapture"])
        .env(RECEIVER, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let pid = lines.find_map(|line| Some(line.unwrap().split_once("PID=")?.1.trim().to_owned()));
    (Other(child), pid.unwrap().parse().unwrap())
}

/// The part that runs in the other OS process, until its stdin closes.
#[test]
fn receive() {
    if std::env::var(RECEIVER).is_err() {
        return;
    }
    let world = World::real(RealOptions::default()).unwrap();
    let node = Node::start(&world, NodeOptions::default()).unwrap();
    let sink = node.spawn(Id::chosen("sink"), Sink::default()).unwrap();
    println!("PID={}", sink.pid());
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
}

/// Cuts the connections as the senders get on, until both have sent everything. For each sender:
/// how many it had sent when it was told of each cut.
fn cut_again_and_again(proxy: &Proxy, told: &Receiver<(usize, Told)>) -> [Vec<u64>; 2] {
    let mut sent = [0; 2];
    let mut exits = [Vec::new(), Vec::new()];
    let mut cuts = 0;
    while sent.iter().any(|sent| *sent < MESSAGES) || exits.iter().any(|exits| exits.len() < cuts) {
        match told.recv_timeout(PATIENCE).expect("the senders get on") {
            (sender, Told::Sent(number)) => sent[sender] = number,
            (sender, Told::Exited(number)) => exits[sender].push(number),
        }
        let share = MESSAGES / (CUTS as u64 + 1);
        let due = sent.iter().all(|sent| sent / share > cuts as u64);
        let told_all = exits.iter().all(|exits| exits.len() == cuts);
        if due && told_all && proxy.connected() == 2 && cuts < CUTS {
            assert_eq!(proxy.cut(), 2, "both senders were connected");
            cuts += 1;
        }
    }
    assert_eq!(cuts, CUTS);
    exits
}

/// Checks that the numbers rise, and that every gap has a cut of its own.
fn check(arrived: &Arrived, exits: &[u64]) {
    let runs = &arrived.runs;
    assert_eq!(exits.len(), CUTS, "told of every cut, once");
    assert_eq!(
        runs.first().map(|run| run.0),
        Some(0),
        "nothing is lost before the first cut"
    );
    assert_eq!(
        runs.last().map(|run| run.1),
        Some(MESSAGES - 1),
        "nothing behind the last"
    );
    let mut exits = exits.iter();
    for pair in runs.windows(2) {
        let (before, after) = (pair[0].1, pair[1].0);
        assert!(after > before, "{after} came behind {before}");
        // What a cut takes was sent before the sender was told of that cut.
        let cut = exits.find(|sent| after <= **sent);
        assert!(
            cut.is_some(),
            "{before} to {after} is missing without a cut"
        );
    }
}

#[test]
fn numbers_rise_and_are_missing_only_at_cuts() {
    numbers_rise(true);
}

#[test]
fn so_they_do_in_the_form_of_libprocess() {
    numbers_rise(false);
}

fn numbers_rise(frames: bool) {
    let (_other, sink) = receiver();
    let proxy = Proxy::to(SocketAddr::from(sink.address()));
    let to = Pid::new(sink.id(), proxy.address.into());
    let world = World::real(RealOptions::default()).unwrap();
    let (tell, told) = channel();
    let both = Arc::<[AtomicU64; 2]>::default();
    let sources: Vec<(Node, ProcessRef<Source>)> = (0..2)
        .map(|number| {
            let options = NodeOptions {
                frames,
                ..NodeOptions::default()
            };
            let node = Node::start(&world, options).unwrap();
            let source = Source {
                number,
                to: to.clone(),
                sent: 0,
                both: Arc::clone(&both),
                tell: tell.clone(),
            };
            let source = node.spawn(Id::chosen("source"), source).unwrap();
            (node, source)
        })
        .collect();
    let exits = cut_again_and_again(&proxy, &told);
    for ((node, source), exits) in sources.iter().zip(&exits) {
        // On the connection of the last messages, so behind them.
        let report = Report {
            of: source.pid().to_string(),
        };
        let arrived = world
            .block_on(node.ask::<Report, Arrived>(&to, report, PATIENCE))
            .unwrap();
        check(&arrived, exits);
    }
}
