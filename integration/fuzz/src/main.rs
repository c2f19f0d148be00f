//! Fuzz: `cargo run --release -- INPUTS [SEED [TARGET]]`, INPUTS for each target. Ends at the first
//! input that makes anybody panic, which is printed.

mod fuzz;

use fuzz::{Outcome, TARGETS, Target, run, watch};

/// So many inputs follow from one seed, the next ones from the next seed: whichever it was is soon
/// found again.
const INPUTS_A_SEED: usize = 50_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| {
        let given = arguments.get(at).map(|text| text.parse());
        given.map_or(default, |number| number.expect("a number"))
    };
    watch();
    let (inputs, seed) = (number(0, 10_000), number(1, 1));
    let is_wanted = |target: &Target| {
        let only = arguments.get(2);
        only.is_none_or(|only| *only == format!("{target:?}"))
    };
    for target in TARGETS.into_iter().filter(is_wanted) {
        all(target, inputs as usize, seed);
    }
}

/// Gives a target all of its inputs, and says now and then how many it has had.
fn all(target: Target, inputs: usize, mut seed: u64) {
    let start = std::time::Instant::now();
    let mut outcome = Outcome::default();
    while outcome.inputs < inputs {
        let more = run(target, INPUTS_A_SEED.min(inputs - outcome.inputs), seed);
        outcome.inputs += more.inputs;
        outcome.passed += more.passed;
        seed += 1;
        println!(
            "{target:?}: {} inputs, {} past the first decoder, {:?}",
            outcome.inputs,
            outcome.passed,
            start.elapsed()
        );
    }
}
