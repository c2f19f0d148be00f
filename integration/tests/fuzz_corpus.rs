//! A few thousand mutated inputs for each target of `integration/fuzz/`, whose sources these are:
//! nobody panics, and at least half of them get past the first decoder. A panic would be noticed.

#[path = "../fuzz/src/fuzz.rs"]
mod fuzz;

use std::time::Duration;

use tepui_runtime::{
    Context, Declaration, Handle, Id, Node, NodeOptions, Pid, Process, SimOptions, World,
    serde_message,
};

/// Inputs for each target: what two cores do in a minute.
const INPUTS: usize = 3_000;

#[test]
fn mutated_input_makes_nobody_panic_and_gets_past_the_first_decoder() {
    fuzz::watch();
    for target in fuzz::TARGETS {
        for seed in [1, 2] {
            let outcome = fuzz::run(target, INPUTS / 2, seed);
            assert!(
                outcome.passed * 2 >= outcome.inputs,
                "{target:?}: {outcome:?}"
            );
        }
    }
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
struct Number(usize);
serde_message!(Number, "Number");

/// What panics at one number.
struct Fragile(usize);

impl Process for Fragile {
    fn declare(declaration: &mut Declaration<Fragile>) {
        declaration.message::<Number>();
    }
}

impl Handle<Number> for Fragile {
    fn handle(&mut self, number: Number, _ctx: &mut Context<'_, Fragile>) {
        assert_ne!(number.0, self.0, "planted");
    }
}

/// The world catches the panic of a process, so that those who run it see nothing of it.
#[test]
fn a_planted_panic_of_a_process_is_noticed_with_its_input() {
    fuzz::watch();
    let give = |fragile_at: usize| {
        let mut simulation = World::simulated(SimOptions::default());
        let node = Node::start(simulation.world(), NodeOptions::default()).expect("a node");
        let fragile = node.spawn(Id::prefix("fragile"), Fragile(fragile_at));
        let fragile = fragile.expect("it is spawned").pid().clone();
        fuzz::watched("planted", 10, |number| {
            node.send(&Pid::nobody(), &fragile, Number(number));
            simulation.run_for(Duration::from_secs(1));
            number.is_multiple_of(2)
        })
    };
    let noticed = std::panic::catch_unwind(|| give(7)).expect_err("nobody noticed");
    let said = noticed.downcast_ref::<String>().expect("it says where");
    assert!(said.contains("planted, input 7"), "{said}");

    let outcome = give(10);
    assert_eq!((outcome.inputs, outcome.passed), (10, 5));
}
