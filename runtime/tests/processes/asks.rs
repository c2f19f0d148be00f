//! Questions: answered, refused, too late, left alone.

use std::time::Duration;

use tepui_runtime::{AskError, Encoding, Hop, Message, Pid, Terminate};

use crate::in_both_worlds;
use crate::support::{Ignored, Note, Question, SOON, Stage, note, scribe, simulated};

in_both_worlds! {
    a_question_is_answered
    a_process_asks_and_is_called_with_the_answer
    a_question_to_no_process_is_refused
    a_question_ends_with_the_asked_process
    an_answer_of_another_name_is_unexpected
    an_answer_from_outside_is_taken_once
    a_question_over_a_broken_connection_ends
}

fn question(text: &str) -> Question {
    Question(text.to_owned())
}

fn a_question_is_answered(stage: &mut impl Stage) {
    let node = stage.node();
    let (process, _) = scribe(&node, "a");
    let answer = node.ask::<Question, Note>(process.pid(), question("why"), SOON);
    assert_eq!(stage.block_on(answer).unwrap(), note("why"));
    assert_eq!(node.clock().timers(), 0);
}

fn a_process_asks_and_is_called_with_the_answer(stage: &mut impl Stage) {
    let node = stage.node();
    let (asked, _) = scribe(&node, "asked");
    let (asker, log) = scribe(&node, "asker");
    let to = asked.pid().clone();
    asker.dispatch(move |_, ctx| {
        ctx.ask(
            &to,
            question("why"),
            SOON,
            |scribe, answer: Result<Note, AskError>, ctx| {
                scribe.log.add(answer.unwrap().0);
                ctx.terminate();
            },
        );
    });
    stage.block_on(node.wait(asker.pid()));
    assert_eq!(
        log.all(),
        ["initialize asker", "why", "finalize asker", "dropped"]
    );
}

fn a_question_to_no_process_is_refused(stage: &mut impl Stage) {
    let node = stage.node();
    let refused = |reason: &str| AskError::Refused {
        by: Hop::Local,
        status: 404,
        reason: reason.to_owned(),
    };
    let absent = node.ask::<Question, Note>(&node.pid_of("absent"), question("why"), SOON);
    assert_eq!(
        stage.block_on(absent).unwrap_err(),
        refused("no process 'absent'")
    );
    let nobody = node.ask::<Question, Note>(&Pid::nobody(), question("why"), SOON);
    assert_eq!(
        stage.block_on(nobody).unwrap_err(),
        refused("nobody was asked")
    );
    assert_eq!(node.clock().timers(), 0);
}

fn a_question_ends_with_the_asked_process(stage: &mut impl Stage) {
    let node = stage.node();
    let (process, _) = scribe(&node, "a");
    let served = node.ask::<Ignored, Note>(process.pid(), Ignored, SOON);
    node.terminate(process.pid(), Terminate::Queued);
    let unserved = node.ask::<Ignored, Note>(process.pid(), Ignored, SOON);
    assert_eq!(stage.block_on(served).unwrap_err(), AskError::Exited);
    let error = stage.block_on(unserved).unwrap_err();
    // The process may be gone already when the second question is put.
    assert!(
        matches!(
            error,
            AskError::Exited | AskError::Refused { status: 404, .. }
        ),
        "{error}"
    );
}

fn an_answer_of_another_name_is_unexpected(stage: &mut impl Stage) {
    let node = stage.node();
    let (process, _) = scribe(&node, "a");
    let answer = node.ask::<Question, Ignored>(process.pid(), question("why"), SOON);
    let error = stage.block_on(answer).unwrap_err();
    assert_eq!(
        error,
        AskError::Unexpected {
            name: "test.Note".into()
        }
    );
}

fn an_answer_from_outside_is_taken_once(stage: &mut impl Stage) {
    let (node, other) = (stage.node(), stage.node());
    let (process, _) = scribe(&other, "a");
    let answer = node.ask::<Ignored, Note>(process.pid(), Ignored, SOON);
    let body = Message::encode(&note("because"), Encoding::Json).unwrap();
    // Nobody else answers what a process of this node was asked.
    let (own, _) = scribe(&node, "own");
    let inside = node.ask::<Ignored, Note>(own.pid(), Ignored, SOON);
    for forged in [process.pid(), own.pid()] {
        let forged = node.deliver_encoded("__ask__(2)", "test.Note", Encoding::Json, &body, forged);
        forged.unwrap_err();
    }
    node.terminate(own.pid(), Terminate::Now);
    assert!(matches!(stage.block_on(inside), Err(AskError::Exited)));
    let deliver = || {
        node.deliver_encoded(
            "__ask__(1)",
            "test.Note",
            Encoding::Json,
            &body,
            process.pid(),
        )
    };
    deliver().unwrap();
    assert_eq!(stage.block_on(answer).unwrap(), note("because"));
    assert_eq!(deliver().unwrap_err().status(), 404);
    assert_eq!(
        node.metrics().snapshot()["runtime/messages_dropped/late_answer"],
        2.0,
        "the forged one, and the second"
    );
    let answer = node.ask::<Ignored, Note>(process.pid(), Ignored, SOON);
    let bad = node.deliver_encoded(
        "__ask__(3)",
        "test.Note",
        Encoding::Json,
        b"{}",
        process.pid(),
    );
    assert_eq!(bad.unwrap_err().status(), 400);
    assert!(matches!(stage.block_on(answer), Err(AskError::Codec(_))));
}

fn a_question_over_a_broken_connection_ends(stage: &mut impl Stage) {
    let node = stage.node();
    let (process, _) = scribe(&node, "a");
    let answer = node.ask::<Ignored, Note>(process.pid(), Ignored, SOON);
    node.disconnected("10.0.0.1:1".parse().unwrap());
    node.disconnected(node.address());
    assert_eq!(stage.block_on(answer).unwrap_err(), AskError::Exited);
}

#[test]
fn the_deadline_is_kept_to_the_nanosecond() {
    let mut simulation = simulated();
    let node = simulation.node();
    let (process, _) = scribe(&node, "a");
    let started = simulation.now();
    let deadline = Duration::from_millis(1500);
    let answer = node.ask::<Ignored, Note>(process.pid(), Ignored, deadline);
    assert_eq!(simulation.block_on(answer).unwrap_err(), AskError::Deadline);
    assert_eq!(simulation.now() - started, deadline);
}

#[test]
fn a_late_answer_is_dropped_and_counted() {
    let mut simulation = simulated();
    let node = simulation.node();
    let (slow, _) = scribe(&node, "slow");
    let (asker, log) = scribe(&node, "asker");
    let to = slow.pid().clone();
    asker.dispatch(move |_, ctx| {
        let deadline = Duration::from_secs(1);
        ctx.ask(
            &to,
            Ignored,
            deadline,
            |scribe, answer: Result<Note, AskError>, _| {
                scribe.log.add(answer.unwrap_err().to_string());
            },
        );
    });
    slow.dispatch(move |_, ctx| {
        let asker = ctx.node().pid_of("__ask__(1)");
        ctx.delay(Duration::from_secs(2), move |_, ctx| {
            ctx.send(&asker, note("too late"))
        });
    });
    simulation.run_for(Duration::from_secs(3));
    assert_eq!(
        log.all(),
        ["initialize asker", "no answer before the deadline"]
    );
    assert_eq!(
        node.metrics().snapshot()["runtime/messages_dropped/late_answer"],
        1.0
    );
}
