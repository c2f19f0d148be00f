//! Kills: their graces, when they are carried out, and what the framework is told of them.

use super::*;

fn grace(seconds: u64) -> Value {
    json!({"kill_policy": {"grace_period": {"nanoseconds": seconds * 1_000_000_000}}})
}

#[test]
fn a_kill_escalates_after_its_grace() {
    let mut session = Session::running(false, &["a"]);
    let expected = ["kill -15 root.#1", "arm Escalation(a) 3s"];
    assert_eq!(session.kill("a", None), expected);
    let answered = session.task_answer("a", Errand::Kill(15), given(200));
    assert_eq!(answered, [""; 0]);
    assert_eq!(session.due(Timer::Escalation, "a"), ["kill -9 root.#1"]);
    let expected = [
        "cancel Escalation(gone)",
        "a TASK_KILLED #4 'Command terminated with signal Killed'",
        "arm Acknowledgement 60s",
    ];
    assert_eq!(session.ended("a", 9), expected);
    // A task that exits well after a kill was killed all the same.
    let mut session = Session::running(false, &["a"]);
    session.kill("a", None);
    let expected = "a TASK_KILLED #4 'Command exited with status 0'";
    assert_eq!(session.ended("a", 0)[1], expected);
}

#[test]
fn the_grace_of_a_kill_is_before_that_of_the_task() {
    let launched = |session: &mut Session| {
        session.group_of(vec![task_of("a", &grace(20))]);
        session.launched("a");
    };
    let mut session = Session::idle(false);
    launched(&mut session);
    assert_eq!(session.kill("a", None)[1], "arm Escalation(a) 20s");
    let mut session = Session::idle(false);
    launched(&mut session);
    assert_eq!(session.kill("a", Some(7))[1], "arm Escalation(a) 7s");
    // A kill that is under way is left alone.
    assert_eq!(session.kill("a", Some(1)), [""; 0]);
}

#[test]
fn a_kill_of_nobody_is_left_alone() {
    let mut session = Session::running(false, &["a"]);
    assert_eq!(session.kill("b", None), [""; 0]);
    session.ended("a", 0);
    assert_eq!(session.kill("a", None), [""; 0]);
}

#[test]
fn killing_is_told_to_those_who_know_the_state() {
    let kind = Some(framework_info::capability::Type::TaskKillingState as i32);
    let mut session = Session::new(false);
    session.capabilities = vec![framework_info::Capability { r#type: kind }];
    session.feed(Input::Start);
    session.subscribed();
    session.group(&["a"]);
    session.launched("a");
    let expected = [
        "a TASK_KILLING #4",
        "kill -15 root.#1",
        "arm Escalation(a) 3s",
    ];
    assert_eq!(session.kill("a", None), expected);
}

#[test]
fn a_kill_before_the_task_runs_is_not_lost() {
    let mut session = Session::idle(false);
    session.group(&["a"]);
    assert_eq!(session.kill("a", None), ["arm Escalation(a) 3s"]);
    let expected = ["link a -> root.#1", "wait root.#1", "kill -15 root.#1"];
    assert_eq!(session.launched("a"), expected, "it is never told to run");
    let expected = "a TASK_KILLED #3 'Command terminated with signal Terminated'";
    assert_eq!(session.ended("a", 15)[1], expected);
    // What does not get to run at all is destroyed after the grace.
    let mut session = Session::idle(false);
    session.group(&["a"]);
    session.kill("a", None);
    assert_eq!(session.due(Timer::Escalation, "a"), ["kill -9 root.#1"]);
    let lines = session.task_answer("a", Errand::Launch, refused(400, "destroyed"));
    assert_eq!(lines[1], "a TASK_KILLED #3 'destroyed'");
    // Where the agent did not know it yet, it is killed as soon as it runs.
    let mut session = Session::idle(false);
    session.group(&["a"]);
    session.kill("a", None);
    session.due(Timer::Escalation, "a");
    session.task_answer("a", Errand::Kill(9), given(404));
    assert_eq!(session.launched("a")[2], "kill -9 root.#1");
}

/// The launch of another may take long: a kill does not wait for it.
#[test]
fn a_kill_does_not_wait_for_the_group() {
    let mut session = Session::idle(false);
    session.group(&["a", "b"]);
    session.launched("a");
    let expected = [
        "link a -> root.#1",
        "wait root.#1",
        "kill -15 root.#1",
        "arm Escalation(a) 3s",
    ];
    assert_eq!(session.kill("a", None), expected);
    let expected = [
        "cancel Escalation(gone)",
        "a TASK_KILLED #5 'Command terminated with signal Terminated'",
        "arm Escalation(b) 3s",
    ];
    assert_eq!(session.ended("a", 15), expected, "which ends with it");
    // The same of one that was killed before it was there.
    let mut session = Session::idle(false);
    session.group(&["a", "b"]);
    session.kill("a", None);
    let expected = ["link a -> root.#1", "wait root.#1", "kill -15 root.#1"];
    assert_eq!(session.launched("a"), expected);
    // One that is refused has its end at once.
    let mut session = Session::idle(false);
    session.group(&["a", "b"]);
    session.task_answer("a", Errand::Launch, refused(400, "no"));
    let expected = ["a TASK_KILLED #5 'no'", "arm Escalation(b) 3s"];
    assert_eq!(session.kill("a", None)[1..], expected);
}

#[test]
fn what_the_agent_did_not_live_to_destroy_is_destroyed_when_it_is_back() {
    let mut session = Session::running(true, &["a"]);
    session.kill("a", None);
    session.task_answer("a", Errand::Kill(15), given(200));
    let back = |session: &mut Session| {
        session.feed(Input::Disconnected);
        session.subscribed()[2..].to_vec()
    };
    assert_eq!(back(&mut session), [""; 0], "a signal is sent once");
    session.due(Timer::Escalation, "a");
    session.task_answer("a", Errand::Kill(9), given(200));
    assert_eq!(back(&mut session), ["kill -9 root.#1"]);
}

#[test]
fn a_kill_that_fails_is_tried_again() {
    let mut session = Session::running(true, &["a"]);
    session.kill("a", None);
    let again = |session: &mut Session| session.due(|task| Timer::Retry(Of::Task(task)), "a");
    for answer in [broken(), refused(503, "busy"), refused(500, "no")] {
        let lines = session.task_answer("a", Errand::Kill(15), answer);
        assert_eq!(lines, ["arm Retry(a) 1s"]);
        assert_eq!(again(&mut session), ["kill -15 root.#1"]);
    }
    assert_eq!(session.due(Timer::Escalation, "a"), ["kill -9 root.#1"]);
    let lines = session.task_answer("a", Errand::Kill(15), broken());
    assert_eq!(lines, [""; 0], "it is no matter any more");
    session.task_answer("a", Errand::Kill(9), broken());
    assert_eq!(again(&mut session), ["kill -9 root.#1"]);
    // While the agent is away nobody can be asked; then at once.
    session.feed(Input::Disconnected);
    assert_eq!(session.task_answer("a", Errand::Kill(9), broken()), [""; 0]);
    assert_eq!(again(&mut session), [""; 0]);
    assert_eq!(session.subscribed()[2..], ["kill -9 root.#1"]);
    let done = session.task_answer("a", Errand::Kill(9), given(200));
    assert_eq!(done, [""; 0]);
    assert_eq!(again(&mut session), [""; 0], "it is done");
}

#[test]
fn a_task_over_its_time_fails_with_its_own_reason() {
    let running = |nanoseconds: u64| {
        let limit = json!({"max_completion_time": {"nanoseconds": nanoseconds}});
        let mut session = Session::idle(false);
        let kind = Some(framework_info::capability::Type::TaskKillingState as i32);
        session.capabilities = vec![framework_info::Capability { r#type: kind }];
        session.subscribed();
        session.group_of(vec![task_of("a", &limit)]);
        let lines = session.launched("a");
        (session, lines)
    };
    let (mut session, lines) = running(2_500_000_000);
    let expected = [
        "a TASK_RUNNING #3",
        "arm MaxCompletion(a) 2.5s",
        "wait root.#1",
    ];
    assert_eq!(lines[1..], expected);
    let expected = [
        "cancel MaxCompletion(a)",
        "kill -15 root.#1",
        "arm Escalation(a) 0s",
    ];
    assert_eq!(session.due(Timer::MaxCompletion, "a"), expected);
    assert_eq!(session.kill("a", None), [""; 0]);
    let expected = "a TASK_FAILED #4 REASON_MAX_COMPLETION_TIME_REACHED \
                    'Command terminated with signal Killed'";
    assert_eq!(session.ended("a", 9)[1], expected);
    // One that is killed before has no time to be over.
    let (mut session, _) = running(2_500_000_000);
    let expected = [
        "cancel MaxCompletion(a)",
        "a TASK_KILLING #4",
        "kill -15 root.#1",
        "arm Escalation(a) 3s",
    ];
    assert_eq!(session.kill("a", None), expected);
    assert_eq!(session.due(Timer::MaxCompletion, "a"), [""; 0]);
    let expected = "a TASK_KILLED #5 'Command exited with status 0'";
    assert_eq!(session.ended("a", 0)[1], expected);
    // And one that ends in time is not overdue.
    let (mut session, _) = running(2_500_000_000);
    assert_eq!(session.ended("a", 0)[0], "cancel MaxCompletion(gone)");
    // No time at all is no limit.
    let (_, lines) = running(0);
    assert_eq!(lines[1..], ["a TASK_RUNNING #3", "wait root.#1"]);
}
