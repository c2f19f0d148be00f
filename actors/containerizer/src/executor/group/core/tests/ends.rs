//! How tasks end, what is told of it, and what it means for their groups.

use super::*;

/// What is told of a task of whose container the agent says this.
fn told(wait: &Value) -> String {
    let mut session = Session::running(false, &["a"]);
    session.waited("a", wait).remove(0)
}

#[test]
fn ends_are_told_in_mesos_words() {
    for (wait, expected) in [
        (
            json!({"exit_status": 0}),
            "a TASK_FINISHED #4 'Command exited with status 0'",
        ),
        (
            json!({"exit_status": 3 << 8}),
            "a TASK_FAILED #4 'Command exited with status 3'",
        ),
        (
            json!({"exit_status": 9}),
            "a TASK_FAILED #4 'Command terminated with signal Killed'",
        ),
        (
            json!({}),
            "a TASK_FAILED #4 'Command terminated with unknown status'",
        ),
    ] {
        assert_eq!(told(&wait), expected);
    }
}

#[test]
fn the_agent_knows_better() {
    let wait = json!({
        "exit_status": 9, "state": "TASK_FAILED",
        "reason": "REASON_CONTAINER_LIMITATION_MEMORY", "message": "Memory limit exceeded",
        "limitation": {"resources": [{"name": "mem", "type": "SCALAR", "scalar": {"value": 32}}]},
    });
    let expected = "a TASK_FAILED #4 REASON_CONTAINER_LIMITATION_MEMORY \
                    'Command terminated with signal Killed: Memory limit exceeded' limited=mem";
    assert_eq!(told(&wait), expected);
    // Even of one that was killed.
    let mut session = Session::running(false, &["a"]);
    session.kill("a", None);
    assert_eq!(session.waited("a", &wait)[1], expected);
}

#[test]
fn one_that_fails_takes_its_group_with_it() {
    let mut session = Session::running(false, &["a", "b", "c"]);
    session.group(&["other"]);
    session.launched("other");
    let own = json!({"kill_policy": {"grace_period": {"nanoseconds": 20_000_000_000_u64}}});
    let long = session.number("c");
    session.core.tasks.get_mut(&long).unwrap().info = task_of("c", &own);
    let expected = [
        "a TASK_FAILED #13 'Command exited with status 1'",
        "kill -15 root.#3",
        "arm Escalation(b) 3s",
        "kill -15 root.#5",
        "arm Escalation(c) 3s",
    ];
    let lines = session.ended("a", 1 << 8);
    assert_eq!(lines, expected, "with Mesos' grace, and no other group");
    let expected = "b TASK_KILLED #14 'Command terminated with signal Terminated'";
    let lines = session.ended("b", 15);
    assert_eq!(lines, ["cancel Escalation(gone)", expected]);
}

#[test]
fn one_that_is_killed_takes_its_group_with_it_and_one_that_finished_does_not() {
    let mut session = Session::running(false, &["a", "b", "c"]);
    assert_eq!(session.ended("a", 0).len(), 1);
    session.kill("b", None);
    let expected = [
        "cancel Escalation(gone)",
        "b TASK_KILLED #11 'Command exited with status 0'",
        "kill -15 root.#5",
        "arm Escalation(c) 3s",
    ];
    assert_eq!(session.ended("b", 0), expected);
}

#[test]
fn one_that_is_being_killed_keeps_its_grace() {
    let mut session = Session::running(false, &["a", "b"]);
    session.kill("b", Some(30));
    let expected = ["a TASK_FAILED #7 'Command exited with status 1'"];
    assert_eq!(session.ended("a", 1 << 8), expected);
}

#[test]
fn a_refused_launch_is_the_end_of_its_group_and_of_no_other() {
    let mut session = Session::running(false, &["other"]);
    session.group(&["a", "b", "c"]);
    let refusal = refused(400, "No such user 'x'");
    for lines in [
        session.launched("c"),
        session.task_answer("a", Errand::Launch, refusal),
    ] {
        assert_eq!(lines, [""; 0], "a group goes on together");
    }
    let expected = [
        "link b -> root.#6",
        "b TASK_RUNNING #10",
        "wait root.#6",
        "link c -> root.#8",
        "c TASK_RUNNING #11",
        "wait root.#8",
        "a TASK_FAILED #12 'No such user 'x''",
        "kill -15 root.#6",
        "arm Escalation(b) 3s",
        "kill -15 root.#8",
        "arm Escalation(c) 3s",
    ];
    assert_eq!(session.launched("b"), expected);
}

#[test]
fn a_group_with_a_task_that_cannot_be_run_is_not_launched() {
    let mut session = Session::idle(false);
    let wrong = task_of("b", &json!({"health_check": {}}));
    let lines = session.group_of(vec![
        wrong,
        task_of("a", &json!({})),
        task_of("c", &json!({})),
    ]);
    let expected = [
        "cancel Acknowledgement",
        "b TASK_STARTING #2",
        "a TASK_STARTING #4",
        "c TASK_STARTING #6",
        "b TASK_FAILED #7 'Failed to launch task: health_check.type: missing'",
        "a TASK_KILLED #8",
        "c TASK_KILLED #9",
        "arm Acknowledgement 60s",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_container_that_nobody_knows_has_failed_unless_it_was_killed() {
    let mut session = Session::running(false, &["a"]);
    let expected = "a TASK_FAILED #4 'Unable to retrieve command's termination information'";
    let lines = session.task_answer("a", Errand::Wait, refused(404, "cannot be found"));
    assert_eq!(lines[0], expected);
    let mut session = Session::running(false, &["a"]);
    session.kill("a", None);
    let lines = session.task_answer("a", Errand::Wait, given(404));
    assert_eq!(lines[1], "a TASK_KILLED #4");
}

#[test]
fn a_container_that_cannot_be_waited_for_is_ended() {
    let mut session = Session::running(false, &["a"]);
    let lines = session.task_answer("a", Errand::Wait, refused(403, "forbidden"));
    let expected = [
        "kill -9 root.#1",
        "a TASK_FAILED #4 'Failed to wait for the task's container: forbidden'",
        "arm Acknowledgement 60s",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn what_is_answered_of_a_task_that_is_gone_is_no_news() {
    let mut session = Session::running(false, &["a"]);
    let of = Of::Task(session.number("a"));
    session.ended("a", 0);
    for (errand, answer) in [
        (Errand::Wait, given(404)),
        (Errand::Launch, given(200)),
        (Errand::Kill(15), broken()),
    ] {
        assert_eq!(session.answer(of, errand, answer), [""; 0]);
    }
    assert_eq!(session.feed(Input::Due(Timer::Retry(of))), [""; 0]);
}
