//! A process that tells the test what happens to it, and how nodes are made.

pub(crate) use std::sync::mpsc::Receiver;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

pub(crate) use serde::{Deserialize, Serialize};
pub(crate) use tepui_runtime::serde_message;
use tepui_runtime::{Context, Declaration, Handle, Id, Process, RealOptions};
pub(crate) use tepui_runtime::{Node, NodeOptions, Pid, ProcessRef, World};

/// How long a test waits for what must come. Reached only when it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tick {
    pub(crate) n: u64,
}
serde_message!(Tick, "test.Tick");

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tock {
    pub(crate) n: u64,
}
serde_message!(Tock, "test.Tock");

/// What a [`Witness`] saw.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Seen {
    Tick(u64, Pid),
    Tock(u64, Pid),
    Exited(Pid),
}

/// Tells the test what happens to it, and answers each tick with a tock.
pub(crate) struct Witness(Sender<Seen>);

impl Process for Witness {
    fn declare(declaration: &mut Declaration<Witness>) {
        declaration.message::<Tick>().message::<Tock>();
    }

    fn exited(&mut self, pid: &Pid, _ctx: &mut Context<'_, Witness>) {
        self.0.send(Seen::Exited(pid.clone())).ok();
    }
}

impl Handle<Tick> for Witness {
    fn handle(&mut self, tick: Tick, ctx: &mut Context<'_, Witness>) {
        self.0.send(Seen::Tick(tick.n, ctx.sender().clone())).ok();
        ctx.reply(Tock { n: tick.n });
    }
}

impl Handle<Tock> for Witness {
    fn handle(&mut self, tock: Tock, ctx: &mut Context<'_, Witness>) {
        self.0.send(Seen::Tock(tock.n, ctx.sender().clone())).ok();
    }
}

pub(crate) fn world() -> World {
    World::real(RealOptions {
        arbiters: 2,
        ..RealOptions::default()
    })
    .unwrap()
}

pub(crate) fn node(world: &World) -> Node {
    Node::start(world, NodeOptions::default()).unwrap()
}

pub(crate) fn witness(node: &Node, id: &str) -> (ProcessRef<Witness>, Receiver<Seen>) {
    let (sender, seen) = channel();
    (node.spawn(Id::chosen(id), Witness(sender)).unwrap(), seen)
}

pub(crate) fn next(seen: &Receiver<Seen>) -> Seen {
    seen.recv_timeout(PATIENCE)
        .expect("something is seen in time")
}
