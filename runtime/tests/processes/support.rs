//! A world of either kind behind one face, and the process that most tests use.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tepui_runtime::{
    Context, Declaration, Handle, Id, Node, NodeOptions, Pid, Process, ProcessRef, RealOptions,
    SimOptions, Simulation, World, serde_message,
};

/// Long enough that only a defect reaches it.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) trait Stage {
    fn world(&self) -> &World;
    fn block_on<T>(&mut self, future: impl Future<Output = T>) -> T;

    fn node(&self) -> Node {
        Node::start(self.world(), NodeOptions::default()).unwrap()
    }
}

impl Stage for Simulation {
    fn world(&self) -> &World {
        Simulation::world(self)
    }

    fn block_on<T>(&mut self, future: impl Future<Output = T>) -> T {
        Simulation::block_on(self, future)
    }
}

pub(crate) struct Real(World);

impl Stage for Real {
    fn world(&self) -> &World {
        &self.0
    }

    fn block_on<T>(&mut self, future: impl Future<Output = T>) -> T {
        self.0.block_on(future)
    }
}

pub(crate) fn real() -> Real {
    let options = RealOptions {
        arbiters: 2,
        ..RealOptions::default()
    };
    Real(World::real(options).unwrap())
}

pub(crate) fn simulated() -> Simulation {
    World::simulated(SimOptions::default())
}

/// Makes one test in each world from a function that takes a stage.
#[macro_export]
macro_rules! in_both_worlds {
    ($($name:ident)*) => {$(
        mod $name {
            #[test]
            fn real() {
                super::$name(&mut $crate::support::real());
            }

            #[test]
            fn simulated() {
                super::$name(&mut $crate::support::simulated());
            }
        }
    )*};
}

/// What happened, in order, as text.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn add(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// A message that is only noted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Note(pub(crate) String);
serde_message!(Note, "test.Note");

/// Is answered with a `Note` of its text.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Question(pub(crate) String);
serde_message!(Question, "test.Question");

/// Is never answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ignored;
serde_message!(Ignored, "test.Ignored");

/// Panics.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Trip;
serde_message!(Trip, "test.Trip");

/// Notes down everything that happens to it.
pub(crate) struct Scribe {
    pub(crate) log: Log,
}

impl Process for Scribe {
    fn declare(declaration: &mut Declaration<Scribe>) {
        declaration
            .message::<Note>()
            .message::<Question>()
            .message::<Ignored>();
        declaration.message::<Trip>();
    }

    fn initialize(&mut self, ctx: &mut Context<'_, Scribe>) {
        self.log.add(format!("initialize {}", ctx.pid().id()));
    }

    fn exited(&mut self, pid: &Pid, _ctx: &mut Context<'_, Scribe>) {
        self.log.add(format!("exited {}", pid.id()));
    }

    fn finalize(&mut self, ctx: &mut Context<'_, Scribe>) {
        self.log.add(format!("finalize {}", ctx.pid().id()));
    }
}

impl Drop for Scribe {
    fn drop(&mut self) {
        self.log.add("dropped");
    }
}

impl Handle<Note> for Scribe {
    fn handle(&mut self, note: Note, _ctx: &mut Context<'_, Scribe>) {
        self.log.add(note.0);
    }
}

impl Handle<Question> for Scribe {
    fn handle(&mut self, question: Question, ctx: &mut Context<'_, Scribe>) {
        ctx.reply(Note(question.0));
    }
}

impl Handle<Ignored> for Scribe {
    fn handle(&mut self, _ignored: Ignored, _ctx: &mut Context<'_, Scribe>) {}
}

impl Handle<Trip> for Scribe {
    fn handle(&mut self, _trip: Trip, _ctx: &mut Context<'_, Scribe>) {
        panic!("tripped on purpose");
    }
}

pub(crate) fn note(text: impl Into<String>) -> Note {
    Note(text.into())
}

/// A scribe on a node, with its log.
pub(crate) fn scribe(node: &Node, id: &str) -> (ProcessRef<Scribe>, Log) {
    let log = Log::default();
    let scribe = node
        .spawn(Id::chosen(id), Scribe { log: log.clone() })
        .unwrap();
    (scribe, log)
}
