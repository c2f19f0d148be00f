//! Fuzz: `cargo run --release -- INPUTS [SEED [TARGET]]`, INPUTS for each target. Ends at the first
//! input that makes anybody panic, which is printed.

mod fuzz;

use fuzz::{TARGETS, run, watch};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| {
        let given = arguments.get(at).map(|text| text.parse());
        given.map_or(default, |number| number.expect("a number"))
    };
    watch();
    let (inputs, seed) = (number(0, 10_000), number(1, 1));
    for target in TARGETS {
        if arguments
            .get(2)
            .is_some_and(|only| *only != format!("{target:?}"))
        {
            continue;
        }
        let start = std::time::Instant::now();
        let outcome = run(target, inputs as usize, seed);
        println!(
            "{target:?}: {} inputs, {} past the first decoder, {:?}",
            outcome.inputs,
            outcome.passed,
            start.elapsed()
        );
    }
}
