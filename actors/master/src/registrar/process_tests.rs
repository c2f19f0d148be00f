//! What the registrar says when its storage does not answer.

use std::sync::Mutex;

use tepui_protocol::mesos::v1::MasterInfo;
use tepui_protocol::tepui::registrar::Operation;
use tepui_runtime::{AskError, Id, Node, NodeOptions, SimOptions, Simulation, World};

use super::super::storage::{Done, InMemory};
use super::*;

/// Keeps for good what it is asked, of some kinds.
#[derive(Default)]
struct Silent {
    memory: InMemory,
    reads: bool,
    writes: bool,
    asked: Mutex<Vec<Done<Entry>>>,
}

impl Storage for Silent {
    fn survives(&self) -> bool {
        true
    }

    fn get(&self, name: &str, fresh: tepui_runtime::Uuid, done: Done<Entry>) {
        if self.reads {
            self.asked.lock().unwrap().push(done);
        } else {
            self.memory.get(name, fresh, done);
        }
    }

    fn set(&self, read: &Entry, value: Bytes, fresh: tepui_runtime::Uuid, done: Done<Entry>) {
        if self.writes {
            self.asked.lock().unwrap().push(done);
        } else {
            self.memory.set(read, value, fresh, done);
        }
    }
}

const LIMITS: Limits = Limits {
    fetch: Duration::from_secs(7),
    store: Duration::from_secs(3),
};

/// Asks a registrar on such a storage to recover: the answer's error, after how many seconds it
/// came, and what an operation is told afterwards.
fn recover(storage: Silent) -> (Option<String>, f64, Option<String>) {
    let mut simulation: Simulation = World::simulated(SimOptions::default());
    let node = Node::start(simulation.world(), NodeOptions::default()).unwrap();
    let registrar = Registrar::new(Arc::new(storage), LIMITS);
    let registrar = node.spawn(Id::prefix("registrar"), registrar).unwrap();
    let began = simulation.now();
    let patience = Duration::from_secs(60);
    let question = Recover {
        master_info: MasterInfo::default(),
    };
    let asked = node.ask::<Recover, Recovered>(registrar.pid(), question, patience);
    let answer: Result<Recovered, AskError> = simulation.block_on(asked);
    let took = simulation.now().since(began).as_secs_f64();
    let question = Apply {
        operation: Operation::default(),
    };
    let asked = node.ask::<Apply, Applied>(registrar.pid(), question, patience);
    let applied: Result<Applied, AskError> = simulation.block_on(asked);
    (answer.unwrap().error, took, applied.unwrap().error)
}

#[test]
fn a_read_of_the_registry_may_take_registry_fetch_timeout() {
    let (error, took, later) = recover(Silent {
        reads: true,
        ..Silent::default()
    });
    let error = error.unwrap();
    assert!(error.contains("no outcome after 7s"), "{error}");
    assert!((7.0..7.1).contains(&took), "{took}");
    assert!(later.is_some(), "it failed for good");
}

#[test]
fn a_write_of_the_registry_may_take_registry_store_timeout() {
    let (error, took, later) = recover(Silent {
        writes: true,
        ..Silent::default()
    });
    let error = error.unwrap();
    assert!(error.contains("no outcome after 3s"), "{error}");
    assert!((3.0..3.1).contains(&took), "{took}");
    assert!(later.is_some(), "it failed for good");
}

#[test]
fn a_storage_that_answers_is_in_time() {
    let (error, took, _) = recover(Silent::default());
    assert_eq!(error, None);
    assert!(took < 1.0, "{took}");
}
