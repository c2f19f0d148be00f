//! How far an executor may go with its containers, and what is left of them after it.

use super::*;
use crate::core::nested::{MAX_ENDED, MAX_LIVE, MAX_WAITING};

#[test]
fn with_the_executors_container_all_in_it_end() {
    let (mut rig, root) = running();
    let [a, b, c] = ["a", "b", "c"].map(|name| nested(&root, name));
    rig.nest(&a);
    rig.nest(&b);
    rig.nested_ends(&b, 0);
    rig.asks(asker(2), wait(&a));
    rig.asks(asker(3), launch(&c));
    let effects = rig.terminated(&root);
    let answers: Vec<String> = short(&effects)
        .into_iter()
        .filter(|line| line.contains("agent-call"))
        .collect();
    assert_eq!(
        answers,
        [
            format!("to agent-call(2): 404 Container {root}.a cannot be found"),
            format!("to agent-call(3): 400 Parent container {root} does not exist"),
        ]
    );
    for id in [&a, &b] {
        let gone = (404, format!("Container {id} cannot be found"));
        assert_eq!(refusal(&rig.ask(wait(id))), gone);
    }
    let gone = (400, format!("Parent container {root} does not exist"));
    assert_eq!(refusal(&rig.ask(launch(&a))), gone);
    let gone = (500, "Unknown root container".to_owned());
    assert_eq!(refusal(&rig.ask(remove(&b))), gone);
    // What was launched all the same does not stay.
    assert_eq!(short(&rig.nested_launched(&c, None)), ["kill c with 9"]);
    assert_eq!(short(&rig.nested_ends(&c, 9)), [""; 0]);
}

#[test]
fn all_of_it_is_bounded() {
    let (mut rig, root) = running();
    let id = nested(&root, "n");
    rig.nest(&id);
    let question = pid("__ask__(7)@10.0.0.2:5051");
    rig.asks(question, wait(&id));
    for number in 1..=MAX_WAITING - 1 {
        rig.asks(asker(number), wait(&id));
    }
    let full = format!("503 {MAX_WAITING} wait for the end of container {root}.n already");
    // What may be gone unseen makes room; who is known to be there does not.
    assert_eq!(
        short(&rig.asks(asker(64), wait(&id))),
        [
            "link agent-call(64)".to_owned(),
            format!("to __ask__(7): {full}")
        ]
    );
    assert_eq!(
        short(&rig.asks(asker(65), wait(&id))),
        [format!("to agent-call(65): {full}")]
    );
    rig.input(Input::Exited(asker(5)));
    assert_eq!(
        short(&rig.asks(asker(65), wait(&id))),
        ["link agent-call(65)"]
    );
    assert_eq!(short(&rig.nested_ends(&id, 0)).len(), MAX_WAITING);

    let name = |number: usize| nested(&root, &format!("m{number}"));
    for number in 1..=MAX_LIVE {
        rig.nest(&name(number));
    }
    let full = format!("Container {root} has {MAX_LIVE} nested containers already");
    assert_eq!(refusal(&rig.ask(launch(&name(MAX_LIVE + 1)))), (400, full));
    // n ended first.
    for number in 1..MAX_ENDED {
        assert_eq!(short(&rig.nested_ends(&name(number), 0)), [""; 0]);
    }
    assert_eq!(
        short(&rig.nested_ends(&name(MAX_ENDED), 0)),
        ["remove container n"]
    );
    assert_eq!(refusal(&rig.ask(wait(&id))).0, 404);
    // Of the others nobody was told: none is forgotten before that, and no more come.
    let full = format!(
        "Container {root} has {MAX_ENDED} nested containers that ended, and nobody asked how"
    );
    assert_eq!(refusal(&rig.ask(launch(&name(MAX_LIVE + 1)))), (400, full));
    assert_eq!(answered(&rig.ask(wait(&name(1)))).status, 200);
    rig.nest(&name(MAX_LIVE + 1));
}
