//! One process tells another the same small message a million times: Tepui's processes beside
//! bare actix actors, both within one arbiter and from one arbiter to another.

use std::sync::mpsc::{Sender, channel};

use actix::prelude::{Actor, Arbiter, Context as ActixContext, Handler, System};
use serde::{Deserialize, Serialize};
use tepui_benches::{Contender, compare, per_second};
use tepui_runtime::{
    Context, Declaration, Handle, Id, Node, NodeOptions, Pid, Process, RealOptions, World,
    serde_message,
};

const MESSAGES: u64 = 1_000_000;

/// The message told: a number.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Number {
    value: u64,
}
serde_message!(Number, "bench.Number");

impl actix::Message for Number {
    type Result = ();
}

/// Counts what arrives and says when it was all.
struct Counter {
    seen: u64,
    done: Sender<u64>,
}

impl Counter {
    fn count(&mut self, number: Number) {
        self.seen += number.value;
        if self.seen == MESSAGES {
            self.done.send(self.seen).expect("the measurement waits");
            self.seen = 0;
        }
    }
}

impl Actor for Counter {
    type Context = ActixContext<Self>;

    fn started(&mut self, ctx: &mut ActixContext<Self>) {
        // Tepui's mailboxes are not bounded inside a node, so neither is this one.
        ctx.set_mailbox_capacity(usize::MAX >> 4);
    }
}

impl Handler<Number> for Counter {
    type Result = ();

    fn handle(&mut self, number: Number, _: &mut ActixContext<Self>) {
        self.count(number);
    }
}

impl Process for Counter {
    fn declare(declaration: &mut Declaration<Self>) {
        declaration.message::<Number>();
    }
}

impl Handle<Number> for Counter {
    fn handle(&mut self, number: Number, _: &mut Context<'_, Self>) {
        self.count(number);
    }
}

/// Tells all messages when it is told to begin.
struct Teller<T> {
    to: T,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Begin {}
serde_message!(Begin, "bench.Begin");

impl actix::Message for Begin {
    type Result = ();
}

impl Actor for Teller<actix::Addr<Counter>> {
    type Context = ActixContext<Self>;
}

impl Handler<Begin> for Teller<actix::Addr<Counter>> {
    type Result = ();

    fn handle(&mut self, _: Begin, _: &mut ActixContext<Self>) {
        for _ in 0..MESSAGES {
            self.to.do_send(Number { value: 1 });
        }
    }
}

impl Process for Teller<Pid> {
    fn declare(declaration: &mut Declaration<Self>) {
        declaration.message::<Begin>();
    }
}

impl Handle<Begin> for Teller<Pid> {
    fn handle(&mut self, _: Begin, ctx: &mut Context<'_, Self>) {
        for _ in 0..MESSAGES {
            ctx.send(&self.to, Number { value: 1 });
        }
    }
}

fn actix_tells(arbiters: &[Arbiter]) -> f64 {
    let (done, finished) = channel();
    let (sender, addresses) = channel();
    let counter_at = &arbiters[arbiters.len() - 1];
    counter_at.spawn_fn(move || {
        sender
            .send(Counter { seen: 0, done }.start())
            .expect("the measurement waits");
    });
    let to = addresses.recv().expect("the counter started");
    let (sender, tellers) = channel();
    arbiters[0].spawn_fn(move || {
        sender
            .send(Teller { to }.start())
            .expect("the measurement waits");
    });
    let teller = tellers.recv().expect("the teller started");
    per_second(MESSAGES, || {
        teller.do_send(Begin {});
        finished.recv().expect("all messages arrive");
    })
}

fn tepui_tells(node: &Node) -> f64 {
    let (done, finished) = channel();
    let counter = node
        .spawn(Id::prefix("counter"), Counter { seen: 0, done })
        .expect("the id is free");
    let teller = node
        .spawn(
            Id::prefix("teller"),
            Teller {
                to: counter.pid().clone(),
            },
        )
        .expect("the id is free");
    per_second(MESSAGES, || {
        node.send(&Pid::nobody(), teller.pid(), Begin {});
        finished.recv().expect("all messages arrive");
    })
}

fn node_of(arbiters: usize) -> Node {
    let world = World::real(RealOptions {
        arbiters,
        ..RealOptions::default()
    })
    .expect("threads can be started");
    Node::start(&world, NodeOptions::default()).expect("a port is free")
}

fn main() {
    let system = System::new();
    let (one, two) =
        system.block_on(async { ([Arbiter::new()], [Arbiter::new(), Arbiter::new()]) });
    let (node_one, node_two) = (node_of(1), node_of(2));
    compare(
        "a million messages told within one arbiter",
        &mut [
            Contender {
                name: "actix",
                unit: "messages/s",
                run: Box::new(|| actix_tells(&one)),
            },
            Contender {
                name: "tepui",
                unit: "messages/s",
                run: Box::new(|| tepui_tells(&node_one)),
            },
        ],
    );
    compare(
        "a million messages told from one arbiter to another",
        &mut [
            Contender {
                name: "actix",
                unit: "messages/s",
                run: Box::new(|| actix_tells(&two)),
            },
            Contender {
                name: "tepui",
                unit: "messages/s",
                run: Box::new(|| tepui_tells(&node_two)),
            },
        ],
    );
}
