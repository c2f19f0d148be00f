//! One-way messages from one OS process to another over loopback: what arrives a second, in the
//! form between nodes of our make and in libprocess'. The other process is this program again,
//! which counts and says when all have come.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Sender};

use serde::{Deserialize, Serialize};
use tepui_benches::{Contender, compare, per_second};
use tepui_runtime::{
    Context, Declaration, Handle, Id, Node, NodeOptions, Pid, Process, RealOptions, World,
    serde_message,
};

const MESSAGES: u64 = 500_000;
/// Messages under way at once, at most: the receiver says how far it is.
const WINDOW: u64 = 50_000;
const RECEIVER: &str = "REMOTE_MESSAGES_RECEIVER";

/// The message: a number and who is to be told of the progress.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Number {
    value: u64,
}
serde_message!(Number, "bench.Number");

/// From the receiver, after every half window: how many came.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Progress {
    seen: u64,
}
serde_message!(Progress, "bench.Progress");

/// Tells the sender to begin.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Begin {}
serde_message!(Begin, "bench.Begin");

#[derive(Default)]
struct Receiver {
    next: u64,
}

impl Process for Receiver {
    fn declare(declaration: &mut Declaration<Self>) {
        declaration.message::<Number>();
    }
}

impl Handle<Number> for Receiver {
    fn handle(&mut self, number: Number, ctx: &mut Context<'_, Self>) {
        if number.value == 0 {
            self.next = 0;
        }
        assert_eq!(number.value, self.next, "messages arrive in order");
        self.next += 1;
        if self.next.is_multiple_of(WINDOW / 2) {
            ctx.reply(Progress { seen: self.next });
        }
    }
}

struct Teller {
    to: Pid,
    sent: u64,
    seen: u64,
    done: Sender<()>,
}

impl Teller {
    fn tell(&mut self, ctx: &mut Context<'_, Self>) {
        while self.sent < MESSAGES && self.sent < self.seen + WINDOW {
            ctx.send(&self.to, Number { value: self.sent });
            self.sent += 1;
        }
    }
}

impl Process for Teller {
    fn declare(declaration: &mut Declaration<Self>) {
        declaration.message::<Begin>();
        declaration.message::<Progress>();
    }
}

impl Handle<Begin> for Teller {
    fn handle(&mut self, _: Begin, ctx: &mut Context<'_, Self>) {
        (self.sent, self.seen) = (0, 0);
        self.tell(ctx);
    }
}

impl Handle<Progress> for Teller {
    fn handle(&mut self, progress: Progress, ctx: &mut Context<'_, Self>) {
        self.seen = progress.seen;
        self.tell(ctx);
        if self.seen == MESSAGES {
            self.done.send(()).expect("the measurement waits");
        }
    }
}

/// The other OS process: prints where it is and counts until its input ends.
fn receive() {
    let world = World::real(RealOptions::default()).expect("threads can be started");
    let node = Node::start(&world, NodeOptions::default()).expect("a port is free");
    let receiver = node
        .spawn(Id::chosen("receiver"), Receiver::default())
        .expect("a free id");
    println!("{}", receiver.pid());
    std::io::stdout().flush().expect("the parent reads");
    let _ = std::io::stdin().lines().count();
}

fn main() {
    if std::env::var_os(RECEIVER).is_some() {
        return receive();
    }
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .env(RECEIVER, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program can be started again");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("stdout is a pipe");
    BufReader::new(stdout)
        .read_line(&mut line)
        .expect("the receiver says where it is");
    let to: Pid = line.trim().parse().expect("a PID");

    let world = World::real(RealOptions::default()).expect("threads can be started");
    let tellers = [true, false].map(|frames| teller(&world, &to, frames));
    let contender = |name, at: usize| {
        let (node, teller, finished) = &tellers[at];
        Contender {
            name,
            unit: "messages/s",
            run: Box::new(move || {
                per_second(MESSAGES, || {
                    node.send(&Pid::nobody(), teller, Begin {});
                    finished.recv().expect("all messages arrive");
                })
            }),
        }
    };
    compare(
        "500,000 one-way messages between two OS processes",
        &mut [
            contender("tepui, MessagePack in frames", 0),
            contender("tepui, MessagePack over HTTP/1.1", 1),
        ],
    );
    drop(child.stdin.take());
    child.wait().expect("the receiver ends with its input");
    for (node, ..) in tellers {
        world.block_on(node.shutdown());
    }
}

/// A node that tells, with or without frames, and what says that all was told.
fn teller(world: &World, to: &Pid, frames: bool) -> (Node, Pid, mpsc::Receiver<()>) {
    let options = NodeOptions {
        frames,
        ..NodeOptions::default()
    };
    let node = Node::start(world, options).expect("a port is free");
    let (done, finished) = mpsc::channel();
    let teller = Teller {
        to: to.clone(),
        sent: 0,
        seen: 0,
        done,
    };
    let teller = node.spawn(Id::chosen("teller"), teller).expect("a free id");
    let pid = teller.pid().clone();
    (node, pid, finished)
}
