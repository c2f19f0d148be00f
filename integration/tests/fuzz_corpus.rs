//! A few thousand mutated inputs for each target of `integration/fuzz/`, whose sources these are:
//! nobody panics, and at least half of them get past the first decoder.

#[path = "../fuzz/src/fuzz.rs"]
mod fuzz;

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
