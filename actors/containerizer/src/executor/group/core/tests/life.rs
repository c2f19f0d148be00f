//! From SUBSCRIBE to exit, with one group and several, and with an agent that is lost.

use super::*;

#[test]
fn a_group_runs_and_its_end_is_acknowledged() {
    let mut session = Session::new(false);
    assert_eq!(
        session.feed(Input::Start),
        ["subscribe tasks=[] updates=[]"]
    );
    assert_eq!(
        session.subscribed(),
        ["cancel Recovery", "cancel Subscription"]
    );
    let expected = [
        "cancel Acknowledgement",
        "a TASK_STARTING #2",
        "b TASK_STARTING #4",
        "launch root.#1 true",
        "launch root.#3 true",
    ];
    assert_eq!(session.group(&["a", "b"]), expected);
    assert_eq!(session.launched("b"), [""; 0], "a group goes on together");
    let expected = [
        "link a -> root.#1",
        "a TASK_RUNNING #5",
        "wait root.#1",
        "link b -> root.#3",
        "b TASK_RUNNING #6",
        "wait root.#3",
    ];
    assert_eq!(session.launched("a"), expected);
    let expected = ["a TASK_FINISHED #7 'Command exited with status 0'"];
    assert_eq!(session.ended("a", 0), expected, "the other one runs on");
    let expected = [
        "b TASK_FINISHED #8 'Command exited with status 0'",
        "arm Acknowledgement 60s",
    ];
    assert_eq!(session.ended("b", 0), expected);
    for (task, uuid) in [("a", 2), ("b", 4), ("a", 5), ("b", 6), ("b", 8)] {
        assert_eq!(session.acknowledge(task, uuid), [""; 0]);
    }
    assert_eq!(session.acknowledge("a", 7), ["exit"], "the last one");
}

#[test]
fn every_status_names_the_nested_container() {
    let mut session = Session::idle(false);
    session.group(&["a"]);
    session.launched("a");
    session.ended("a", 0);
    session.core.post.disconnected();
    let call = session.core.post.subscribe(Vec::new()).unwrap();
    let updates = call.subscribe.unwrap().unacknowledged_updates;
    assert_eq!(updates.len(), 3);
    for update in updates {
        let container = update
            .status
            .container_status
            .unwrap()
            .container_id
            .unwrap();
        assert_eq!(short(&container.to_string()), "root.#1");
    }
}

#[test]
fn a_container_is_asked_for_with_all_that_the_task_has() {
    let mut session = Session::idle(false);
    let resources = json!([
        {"name": "cpus", "type": "SCALAR", "scalar": {"value": 0.5},
         "allocation_info": {"role": "r/s"}},
    ]);
    let fields = json!({
        "command": {"value": "env", "user": "nobody", "environment": {"variables": [
            {"name": "OWN", "value": "1"},
        ]}},
        "container": {"type": "MESOS", "linux_info": {"share_pid_namespace": true}},
        "resources": resources,
        "limits": {"mem": {"value": 64}},
    });
    let task = task_of("a", &fields);
    let launch = session.core.launch_call(&task, &ContainerId::top("c"));
    let expected = json!({
        "type": "LAUNCH_CONTAINER",
        "launch_container": {
            "container_id": {"value": "c"},
            "command": {"value": "env", "user": "nobody", "environment": {"variables": [
                {"name": "OWN", "value": "1"},
                {"name": "MESOS_CONTAINER_IP", "type": "VALUE", "value": "127.0.0.1"},
                {"name": "MESOS_ALLOCATION_ROLE", "type": "VALUE", "value": "r/s"},
            ]}},
            "container": {"type": "MESOS", "linux_info": {"share_pid_namespace": true}},
            "resources": resources,
            "limits": {"mem": {"value": 64.0}},
        },
    });
    let expected: agent::Call = json::from_slice(expected.to_string().as_bytes()).unwrap();
    assert_eq!(launch, expected);
    // It is the task as it came that is told of later.
    session.group_of(vec![task.clone()]);
    assert_eq!(session.core.tasks.values().next().unwrap().info, task);
}

#[test]
fn tasks_have_the_address_of_their_host() {
    for (more, expected) in [
        (vec![], "127.0.0.1"),
        (vec![("MESOS_AGENT_ENDPOINT", "[::1]:5051")], "::1"),
        (vec![("LIBPROCESS_IP", "10.0.0.2")], "10.0.0.2"),
    ] {
        let core = Core::new(settings(false, &more)).unwrap();
        assert_eq!(core.address, expected);
    }
    let wrong = settings(false, &[("MESOS_AGENT_ENDPOINT", "here")]);
    let error = Core::new(wrong).unwrap_err();
    assert_eq!(
        error,
        "MESOS_AGENT_ENDPOINT: 'here' is no address with a port"
    );
    let mut without = settings(false, &[]);
    without.sandbox = None;
    let error = Core::new(without).unwrap_err();
    assert_eq!(error, "environment variable MESOS_SANDBOX is not set");
}

#[test]
fn groups_come_and_go_and_the_executor_stays() {
    let mut session = Session::running(false, &["a"]);
    session.group(&["b"]);
    assert_eq!(session.ended("a", 0).len(), 1, "b is there");
    session.launched("b");
    let lines = session.ended("b", 0);
    assert_eq!(lines[1], "arm Acknowledgement 60s");
    // Another one comes before everything is acknowledged.
    let lines = session.group(&["c"]);
    assert_eq!(lines[0], "cancel Acknowledgement");
    for uuid in 1..session.uuids {
        assert_eq!(session.acknowledge("b", uuid), [""; 0]);
    }
    session.launched("c");
    session.ended("c", 0);
}

#[test]
fn an_agent_that_does_not_acknowledge_is_not_waited_for_ever() {
    let mut session = Session::running(false, &["a"]);
    session.ended("a", 0);
    assert_eq!(session.feed(Input::Due(Timer::Acknowledgement)), ["exit"]);
}

#[test]
fn an_acknowledgement_of_nothing_means_nothing() {
    let mut session = Session::idle(false);
    assert_eq!(session.acknowledge("a", 9), [""; 0]);
}

#[test]
fn a_shutdown_kills_everything() {
    let mut session = Session::idle(false);
    let own = json!({"kill_policy": {"grace_period": {"nanoseconds": 20_000_000_000_u64}}});
    session.group_of(vec![task_of("a", &own)]);
    session.launched("a");
    session.group(&["b"]);
    session.launched("b");
    let expected = [
        "kill -15 root.#1",
        "arm Escalation(a) 3s",
        "kill -15 root.#4",
        "arm Escalation(b) 3s",
    ];
    assert_eq!(session.shutdown(), expected, "no task has more than that");
    assert_eq!(session.shutdown(), [""; 0], "once");
    let lines = session.ended("a", 15);
    let expected = "a TASK_KILLED #7 'Command terminated with signal Terminated'";
    assert_eq!(lines, ["cancel Escalation(gone)", expected]);
    // What comes now is not launched any more.
    let expected = ["c TASK_KILLED #8 'The executor is shutting down'"];
    assert_eq!(session.group(&["c"]), expected);
    let lines = session.ended("b", 0);
    let expected = "b TASK_KILLED #9 'Command exited with status 0'";
    assert_eq!(lines[1..], [expected, "arm Acknowledgement 60s"]);
    // Without a task there is nothing to wait for.
    let mut session = Session::idle(false);
    assert_eq!(session.shutdown(), ["exit"]);
    // But for what is not acknowledged yet.
    let mut session = Session::running(false, &["a"]);
    session.ended("a", 0);
    assert_eq!(session.shutdown(), ["arm Acknowledgement 60s"]);
}

#[test]
fn a_task_by_itself_is_not_for_this_executor() {
    let mut session = Session::running(false, &["a"]);
    let lines = session.event(event::Type::Launch, Event::default());
    assert_eq!(lines, ["kill -15 root.#1", "arm Escalation(a) 3s"]);
}

#[test]
fn without_the_executor_s_container_nothing_can_be_launched() {
    let mut session = Session::new(false);
    let expected = ["a TASK_FAILED #1 'The agent did not tell the executor's container'"];
    session.core.post.subscribed(FrameworkInfo::default());
    assert_eq!(session.group(&["a"]), expected);
}

#[test]
fn without_checkpoint_a_lost_agent_is_the_end() {
    let mut session = Session::running(false, &["a"]);
    assert_eq!(session.feed(Input::Disconnected), ["exit"]);
}

#[test]
fn with_checkpoint_it_comes_back_with_what_is_not_acknowledged() {
    let mut session = Session::running(true, &["a", "b"]);
    session.acknowledge("a", 2);
    let expected = [
        "cancel Acknowledgement",
        "arm Recovery 900s",
        "arm Subscription within 2s",
    ];
    assert_eq!(session.feed(Input::Disconnected), expected);
    // The wait for "a" broke with the agent; that for "b" is not told yet.
    let lines = session.task_answer("a", Errand::Wait, broken());
    assert_eq!(lines, [""; 0], "nobody is there to be asked");
    let expected = "subscribe tasks=[\"b\"] updates=[\"b TASK_STARTING #4\", \
                    \"a TASK_RUNNING #5\", \"b TASK_RUNNING #6\"]";
    assert_eq!(
        session.feed(Input::Due(Timer::Subscription)),
        [expected],
        "a task of which something was acknowledged is known"
    );
    let again = ["cancel Acknowledgement", "arm Subscription within 2s"];
    assert_eq!(session.feed(Input::Disconnected), again, "timed once");
    let expected = ["cancel Recovery", "cancel Subscription", "wait root.#1"];
    assert_eq!(session.subscribed(), expected);
    let lines = session.task_answer("b", Errand::Wait, broken());
    assert_eq!(lines, ["arm Retry(b) 1s"]);
    // The agent is not yet what it was.
    let lines = session.due(|task| Timer::Retry(Of::Task(task)), "b");
    assert_eq!(lines, ["wait root.#3"]);
    let lines = session.task_answer("b", Errand::Wait, refused(503, "recovering"));
    assert_eq!(lines, ["arm Retry(b) 1s"]);
    session.due(|task| Timer::Retry(Of::Task(task)), "b");
    let expected = ["b TASK_FINISHED #7 'Command exited with status 0'"];
    assert_eq!(session.ended("b", 0), expected);
}

/// The task "a", of whose launch the agent did not live to tell, when the agent is back.
fn doubtful() -> Session {
    let mut session = Session::idle(true);
    session.group(&["a"]);
    session.feed(Input::Disconnected);
    assert_eq!(
        session.task_answer("a", Errand::Launch, broken()),
        [""; 0],
        "not while the agent is away"
    );
    let expected = ["kill -0 root.#1"];
    assert_eq!(session.subscribed()[2..], expected, "is it there?");
    session
}

#[test]
fn a_launch_that_nobody_told_of_is_not_made_twice() {
    // It is there.
    let mut session = doubtful();
    let expected = ["link a -> root.#1", "a TASK_RUNNING #3", "wait root.#1"];
    assert_eq!(session.task_answer("a", Errand::Find, given(200)), expected);
    // It was there: its end is told by the next wait.
    let mut session = doubtful();
    let lines = session.task_answer("a", Errand::Find, given(404));
    assert_eq!(lines, ["wait root.#1"]);
    let lines = session.ended("a", 3 << 8);
    assert_eq!(lines, expected);
    let lines = session.ended("a", 3 << 8);
    assert_eq!(lines[0], "a TASK_FAILED #4 'Command exited with status 3'");
    // It was never there.
    let mut session = doubtful();
    session.task_answer("a", Errand::Find, given(404));
    let lines = session.task_answer("a", Errand::Wait, given(404));
    assert_eq!(lines, ["launch root.#1 true"], "the same container");
    assert_eq!(session.launched("a"), expected);
}

#[test]
fn an_agent_that_is_not_ready_is_asked_again_whether_a_container_is_there() {
    let mut session = doubtful();
    let retry = |session: &mut Session| session.due(|task| Timer::Retry(Of::Task(task)), "a");
    for answer in [refused(503, "recovering"), broken()] {
        let lines = session.task_answer("a", Errand::Find, answer);
        assert_eq!(lines, ["arm Retry(a) 1s"]);
        assert_eq!(retry(&mut session), ["kill -0 root.#1"]);
    }
    session.task_answer("a", Errand::Find, given(404));
    let lines = session.task_answer("a", Errand::Wait, broken());
    assert_eq!(lines, ["arm Retry(a) 1s"]);
    assert_eq!(retry(&mut session), ["wait root.#1"]);
    // One that had not taken the launch at all is asked the same again.
    let mut session = Session::idle(true);
    session.group(&["a"]);
    session.task_answer("a", Errand::Launch, refused(503, "recovering"));
    assert_eq!(retry(&mut session), ["launch root.#1 true"]);
}

#[test]
fn what_is_killed_before_it_is_there_is_not_launched_again() {
    let killed = "a TASK_KILLED #3";
    let mut session = doubtful();
    session.kill("a", None);
    session.task_answer("a", Errand::Find, given(404));
    let lines = session.task_answer("a", Errand::Wait, given(404));
    assert_eq!(lines[1], killed);
    let mut session = Session::idle(true);
    session.group(&["a"]);
    session.kill("a", None);
    let lines = session.task_answer("a", Errand::Launch, refused(503, "recovering"));
    assert_eq!(lines[1], killed);
    // One that is there is killed.
    let mut session = doubtful();
    session.kill("a", None);
    let lines = session.task_answer("a", Errand::Find, given(200));
    assert_eq!(lines[2], "kill -15 root.#1");
}

#[test]
fn an_end_that_is_learnt_while_the_agent_is_away_is_told_when_it_is_back() {
    let mut session = Session::running(true, &["a"]);
    session.feed(Input::Disconnected);
    assert_eq!(session.ended("a", 0), [""; 0]);
    let lines = session.feed(Input::Due(Timer::Subscription));
    let expected = "subscribe tasks=[] updates=[\"a TASK_STARTING #2\", \"a TASK_RUNNING #3\", \
                    \"a TASK_FINISHED #4 'Command exited with status 0'\"]";
    assert_eq!(lines, [expected]);
    let expected = [
        "cancel Recovery",
        "cancel Subscription",
        "arm Acknowledgement 60s",
    ];
    assert_eq!(session.subscribed(), expected);
    session.acknowledge("a", 2);
    session.acknowledge("a", 3);
    assert_eq!(session.acknowledge("a", 4), ["exit"]);
}

#[test]
fn what_happens_before_a_subscription_is_answered_is_told_after_it() {
    let mut session = Session::running(true, &["a"]);
    session.feed(Input::Disconnected);
    session.feed(Input::Due(Timer::Subscription));
    assert_eq!(session.ended("a", 0), [""; 0]);
    let expected = [
        "cancel Recovery",
        "cancel Subscription",
        "a TASK_FINISHED #4 'Command exited with status 0'",
        "arm Acknowledgement 60s",
    ];
    assert_eq!(session.subscribed(), expected);
}

#[test]
fn an_agent_that_never_comes_back_is_given_up() {
    let mut session = Session::running(true, &["a"]);
    session.feed(Input::Disconnected);
    assert_eq!(session.feed(Input::Due(Timer::Recovery)), ["exit"]);
}
