//! Panics, wherever they are caught: they are noticed, and told with the input that they followed.
//!
//! By thread: a simulated world has one, on which all of its processes run.

use std::cell::{Cell, RefCell};

thread_local! {
    static PANICS: Cell<usize> = const { Cell::new(0) };
    static INPUT: RefCell<Input> = RefCell::default();
}

/// The newest input, as it was given.
#[derive(Default)]
struct Input {
    what: String,
    text: String,
    body: Vec<u8>,
}

/// What came of inputs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// How many there were.
    pub inputs: usize,
    /// How many got past the first decoder.
    pub passed: usize,
}

/// Has every panic noticed from now on, also one that a process' world catches, and told with its
/// input.
pub fn watch() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if PANICS.replace(PANICS.get() + 1) == 0 {
            INPUT.with_borrow(|input| {
                eprintln!("{}\n{}\n{:?}", input.what, input.text, input.body);
            });
        }
        before(panic);
    }));
}

/// Says what is about to be given: to whom, as which text, and the bytes.
pub fn tell(what: &str, text: &str, body: &[u8]) {
    INPUT.with_borrow_mut(|input| {
        what.clone_into(&mut input.what);
        text.clone_into(&mut input.text);
        body.clone_into(&mut input.body);
    });
}

/// Gives so many inputs, by their numbers; each says whether it got past the first decoder.
///
/// # Panics
///
/// When one of them made anybody panic, whoever caught it.
pub fn watched(what: &str, inputs: usize, mut input: impl FnMut(usize) -> bool) -> Outcome {
    PANICS.set(0);
    let mut outcome = Outcome::default();
    for number in 0..inputs {
        let passed = input(number);
        assert_eq!(PANICS.get(), 0, "{what}, input {number}");
        outcome.inputs += 1;
        outcome.passed += usize::from(passed);
    }
    outcome
}
