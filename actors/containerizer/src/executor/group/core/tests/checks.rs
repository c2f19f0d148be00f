//! Checks: by network as the command executor has them; commands in containers of their own.

use super::*;

const HEALTH: &str = "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED";

/// Subscribed, with the task "a" running, which has these checks.
fn checked(fields: &Value) -> (Session, Vec<String>) {
    let mut session = Session::idle(true);
    session.group_of(vec![task_of("a", fields)]);
    let lines = session.launched("a");
    (session, lines)
}

/// With a health check by this command, whose first probe is under way as `run`.
fn probing(fields: &Value) -> (Session, u64) {
    let mut health = json!({
        "type": "COMMAND", "command": {"value": "test -e ok"},
        "grace_period_seconds": 0, "consecutive_failures": 2,
    });
    let more = fields.as_object().unwrap().clone();
    health.as_object_mut().unwrap().extend(more);
    let (mut session, _) = checked(&json!({"health_check": health}));
    let lines = due(&mut session);
    assert!(lines[0].starts_with("launch root.#1.check-#"), "{lines:?}");
    let run = run(&session);
    (session, run)
}

fn due(session: &mut Session) -> Vec<String> {
    session.due(|task| Timer::Probe(task, Kind::Health), "a")
}

/// The last run.
fn run(session: &Session) -> u64 {
    *session.core.runs.keys().last().unwrap()
}

fn run_answer(session: &mut Session, run: u64, errand: Errand, answer: Answer) -> Vec<String> {
    session.answer(Of::Run(run), errand, answer)
}

#[test]
fn checks_start_with_the_task_and_ask_by_network() {
    let both = json!({
        "check": {"type": "COMMAND", "command": {"command": {"value": "x"}}, "delay_seconds": 1},
        "health_check": {"type": "TCP", "tcp": {"port": 80}, "delay_seconds": 2},
    });
    let (mut session, lines) = checked(&both);
    let expected = [
        "a TASK_RUNNING #3 check=None",
        "arm Probe(a, Check) 1s",
        "arm Probe(a, Health) 2s",
        "wait root.#1",
    ];
    assert_eq!(lines[1..], expected);
    let expected = [
        "probe a Health 1 Tcp(\"127.0.0.1:80\")",
        "arm ProbeTimeout(a, Health) 20s",
    ];
    assert_eq!(due(&mut session), expected);
    let probed = Input::Probed {
        task: session.number("a"),
        kind: Kind::Health,
        number: 1,
        outcome: Outcome::Connected(true),
    };
    let expected = [
        "cancel ProbeTimeout(a, Health)".to_owned(),
        "arm Probe(a, Health) 10s".to_owned(),
        format!("a TASK_RUNNING #4 {HEALTH} healthy=true check=None"),
    ];
    assert_eq!(session.feed(probed), expected);
}

#[test]
fn a_command_runs_in_a_container_within_the_task_s_and_is_removed() {
    let (mut session, _) = checked(&json!({
        "health_check": {"type": "COMMAND", "command": {"value": "test -e ok"}},
    }));
    let launch = "launch root.#1.check-#4 cd '/s/containers/#1' || exit 1\ntest -e ok";
    let expected = [launch, "arm ProbeTimeout(a, Health) 20s"];
    assert_eq!(due(&mut session), expected);
    let run = run(&session);
    let lines = run_answer(&mut session, run, Errand::Launch, given(200));
    assert_eq!(lines, ["wait root.#1.check-#4"]);
    let ended = end(&json!({"exit_status": 0}));
    let expected = [
        "echo /s/containers/#1/containers/check-#4".to_owned(),
        "remove root.#1.check-#4".to_owned(),
        "cancel ProbeTimeout(a, Health)".to_owned(),
        "arm Probe(a, Health) 10s".to_owned(),
        format!("a TASK_RUNNING #5 {HEALTH} healthy=true"),
    ];
    assert_eq!(run_answer(&mut session, run, Errand::Wait, ended), expected);
    let lines = run_answer(&mut session, run, Errand::Remove, given(200));
    assert_eq!(lines, [""; 0]);
    assert!(session.core.runs.is_empty());
}

#[test]
fn a_check_s_container_is_as_the_task_s_but_for_the_pid_namespace() {
    let mut session = Session::idle(false);
    let task = task_of(
        "a",
        &json!({"command": {"value": "x", "user": "nobody", "environment": {"variables": [
            {"name": "A", "value": "task"},
        ]}}, "health_check": {"type": "COMMAND", "command": {
            "value": "y", "environment": {"variables": [{"name": "B", "value": "check"}]},
        }}}),
    );
    session.group_of(vec![task]);
    session.launched("a");
    due(&mut session);
    let run = session.core.runs.values().next().unwrap();
    let container = ContainerId::top("c");
    let launch = calls::launch_check(&container, run.command.clone());
    let sandbox = format!("/s/containers/{}", Uuid::from_bytes([1; 16]));
    let expected = json!({
        "type": "LAUNCH_CONTAINER",
        "launch_container": {
            "container_id": {"value": "c"},
            "command": {
                "value": format!("cd '{sandbox}' || exit 1\ny"),
                "shell": true,
                "user": "nobody",
                "environment": {"variables": [
                    {"name": "MESOS_SANDBOX", "type": "VALUE", "value": sandbox},
                    {"name": "A", "value": "task"},
                    {"name": "MESOS_CONTAINER_IP", "type": "VALUE", "value": "127.0.0.1"},
                    {"name": "B", "value": "check"},
                ]},
            },
            "container": {"type": "MESOS", "linux_info": {"share_pid_namespace": true}},
        },
    });
    let expected: agent::Call = json::from_slice(expected.to_string().as_bytes()).unwrap();
    assert_eq!(launch, expected);
}

/// An agent that was started anew does not know as whom the task's container runs.
#[test]
fn a_check_says_as_whom_it_runs() {
    let user = |check: Value, task: Value| {
        let mut session = Session::idle(false);
        let mut command = json!({"value": "y"});
        let own = check.as_object().unwrap().clone();
        command.as_object_mut().unwrap().extend(own);
        let fields = json!({
            "command": task,
            "health_check": {"type": "COMMAND", "command": command},
        });
        session.group_of(vec![task_of("a", &fields)]);
        session.launched("a");
        due(&mut session);
        let run = session.core.runs.values().next().unwrap();
        run.command.user.clone().unwrap()
    };
    let (nobody, daemon) = (
        json!({"user": "nobody"}),
        json!({"value": "x", "user": "daemon"}),
    );
    assert_eq!(user(nobody, daemon.clone()), "nobody");
    assert_eq!(user(json!({}), daemon), "daemon");
    assert_eq!(user(json!({}), json!({"value": "x"})), "own");
}

#[test]
fn a_check_that_is_no_shell_s_keeps_its_words() {
    let script = |value: &str, arguments: &[&str]| {
        let command = json!({"value": value, "shell": false, "arguments": arguments});
        let command = json::from_slice(command.to_string().as_bytes()).unwrap();
        let task = task_of("a", &json!({}));
        let user = Some("own".to_owned());
        let command = calls::check_command(command, &task, "/it's", user);
        command.value.unwrap()
    };
    let enter = "cd '/it'\\''s' || exit 1\n";
    assert_eq!(
        script("/bin/test", &["test", "-e", "a b", "$c"]),
        format!("{enter}exec '/bin/test' '-e' 'a b' '$c'")
    );
    assert_eq!(
        script("test", &["test", "x"]),
        format!("{enter}[ -f './test' ] && exec './test' 'x'\nexec 'test' 'x'")
    );
}

#[test]
fn failures_in_a_row_kill_the_task() {
    let (mut session, _) = probing(&json!({}));
    for number in [1, 2] {
        let run = run(&session);
        run_answer(&mut session, run, Errand::Launch, given(200));
        let failed = end(&json!({"exit_status": 1 << 8}));
        let lines = run_answer(&mut session, run, Errand::Wait, failed);
        let told = lines.iter().find(|line| line.contains("TASK_RUNNING"));
        assert!(told.unwrap().ends_with("healthy=false"), "{lines:?}");
        if number == 2 {
            assert_eq!(
                lines[5..],
                [
                    "cancel Probe(a, Health)",
                    "kill -15 root.#1",
                    "arm Escalation(a) 3s"
                ]
            );
        } else {
            run_answer(&mut session, run, Errand::Remove, given(200));
            due(&mut session);
        }
    }
    let lines = session.ended("a", 15);
    assert!(lines[1].starts_with("a TASK_KILLED"), "{lines:?}");
    assert!(lines[1].ends_with("healthy=false"), "{lines:?}");
}

#[test]
fn only_the_task_that_was_ill_is_told_to_be() {
    let mut session = Session::idle(false);
    let health = json!({"health_check": {
        "type": "TCP", "tcp": {"port": 1}, "grace_period_seconds": 0, "consecutive_failures": 1,
    }});
    session.group_of(vec![task_of("a", &health), task_of("b", &health)]);
    session.launched("a");
    session.launched("b");
    due(&mut session);
    session.feed(Input::Probed {
        task: session.number("a"),
        kind: Kind::Health,
        number: 1,
        outcome: Outcome::Connected(false),
    });
    let lines = session.ended("a", 0);
    assert!(lines[1].ends_with("healthy=false"), "{lines:?}");
    let lines = session.ended("b", 0);
    assert_eq!(lines[1], "b TASK_KILLED #9 'Command exited with status 0'");
}

#[test]
fn a_command_that_takes_too_long_is_killed_before_the_next_one_runs() {
    let (mut session, first) = probing(&json!({"timeout_seconds": 2, "interval_seconds": 0}));
    run_answer(&mut session, first, Errand::Launch, given(200));
    let late =
        |session: &mut Session| session.due(|task| Timer::ProbeTimeout(task, Kind::Health), "a");
    let expected = [
        "kill -9 root.#1.check-#4".to_owned(),
        "cancel ProbeTimeout(a, Health)".to_owned(),
        "arm Probe(a, Health) 0s".to_owned(),
        format!("a TASK_RUNNING #5 {HEALTH} healthy=false"),
    ];
    assert_eq!(late(&mut session), expected);
    // The next one waits until nothing is left of it.
    assert_eq!(due(&mut session), ["arm ProbeTimeout(a, Health) 2s"]);
    let lines = run_answer(&mut session, first, Errand::Kill(9), given(200));
    assert_eq!(lines, [""; 0]);
    let killed = end(&json!({"exit_status": 9}));
    let lines = run_answer(&mut session, first, Errand::Wait, killed);
    let expected = [
        "echo /s/containers/#1/containers/check-#4",
        "remove root.#1.check-#4",
    ];
    assert_eq!(lines, expected, "its result is told already");
    let lines = run_answer(&mut session, first, Errand::Remove, given(200));
    assert!(
        lines[0].starts_with("launch root.#1.check-#6 "),
        "{lines:?}"
    );
    assert_eq!(lines.len(), 1);
}

#[test]
fn one_that_waits_too_long_for_its_turn_fails_like_one_that_runs_too_long() {
    let (mut session, first) = probing(&json!({"timeout_seconds": 2, "interval_seconds": 0}));
    let late =
        |session: &mut Session| session.due(|task| Timer::ProbeTimeout(task, Kind::Health), "a");
    // Its launch is not even answered.
    assert_eq!(late(&mut session)[0], "cancel ProbeTimeout(a, Health)");
    due(&mut session);
    let lines = late(&mut session);
    assert!(lines[2].ends_with("healthy=false"), "{lines:?}");
    assert_eq!(
        lines[3..],
        [
            "cancel Probe(a, Health)",
            "kill -15 root.#1",
            "arm Escalation(a) 3s"
        ]
    );
    let lines = run_answer(&mut session, first, Errand::Launch, given(200));
    let expected = ["kill -9 root.#1.check-#4", "wait root.#1.check-#4"];
    assert_eq!(lines, expected, "nobody wants it any more");
    run_answer(&mut session, first, Errand::Wait, given(404));
    run_answer(&mut session, first, Errand::Remove, given(200));
    assert!(session.core.runs.is_empty());
}

#[test]
fn what_cannot_be_carried_out_says_nothing_of_the_task() {
    let nothing = ["cancel ProbeTimeout(a, Health)", "arm Probe(a, Health) 10s"];
    for status in [400, 500, 503] {
        let (mut session, run) = probing(&json!({}));
        let lines = run_answer(&mut session, run, Errand::Launch, given(status));
        assert_eq!(lines, nothing);
        assert!(session.core.runs.is_empty());
    }
    // It was killed, most likely with its task.
    let (mut session, run) = probing(&json!({}));
    run_answer(&mut session, run, Errand::Launch, given(200));
    let killed = end(&json!({"exit_status": 9}));
    let lines = run_answer(&mut session, run, Errand::Wait, killed);
    assert_eq!(lines[2..], nothing);
    // But one that no status is known of has failed.
    for answer in [end(&json!({})), given(404)] {
        let (mut session, run) = probing(&json!({}));
        run_answer(&mut session, run, Errand::Launch, given(200));
        let lines = run_answer(&mut session, run, Errand::Wait, answer);
        assert!(lines[4].ends_with("healthy=false"), "{lines:?}");
    }
}

#[test]
fn checks_pause_while_the_agent_is_away_and_what_was_under_way_is_cleared_away() {
    let (mut session, run) = probing(&json!({}));
    run_answer(&mut session, run, Errand::Launch, given(200));
    let lines = session.feed(Input::Disconnected);
    let expected = [
        "cancel Acknowledgement",
        "cancel Probe(a, Health)",
        "cancel ProbeTimeout(a, Health)",
    ];
    assert_eq!(lines[..3], expected);
    assert_eq!(due(&mut session), [""; 0]);
    assert_eq!(
        run_answer(&mut session, run, Errand::Wait, broken()),
        [""; 0]
    );
    // The task's own wait broke, too.
    session.task_answer("a", Errand::Wait, broken());
    let expected = [
        "cancel Recovery",
        "cancel Subscription",
        "wait root.#1",
        "arm Probe(a, Health) 0s",
        "kill -9 root.#1.check-#4",
        "wait root.#1.check-#4",
    ];
    assert_eq!(session.subscribed(), expected);
    assert_eq!(due(&mut session).len(), 1, "the next one waits");
    run_answer(&mut session, run, Errand::Wait, given(404));
    let lines = run_answer(
        &mut session,
        run,
        Errand::Remove,
        refused(503, "recovering"),
    );
    assert_eq!(lines, [format!("arm Retry(run{run}) 1s")]);
    let lines = session.feed(Input::Due(Timer::Retry(Of::Run(run))));
    assert_eq!(lines, ["remove root.#1.check-#4"]);
    let lines = run_answer(&mut session, run, Errand::Remove, given(200));
    assert!(lines[0].starts_with("launch root.#1.check-#"), "{lines:?}");
}

#[test]
fn a_launch_that_the_agent_did_not_live_to_answer_is_cleared_away() {
    let (mut session, run) = probing(&json!({}));
    let lines = run_answer(&mut session, run, Errand::Launch, broken());
    let expected = [
        format!("arm Retry(run{run}) 1s"),
        "cancel ProbeTimeout(a, Health)".to_owned(),
        "arm Probe(a, Health) 10s".to_owned(),
    ];
    assert_eq!(lines, expected);
    let lines = session.feed(Input::Due(Timer::Retry(Of::Run(run))));
    let expected = ["kill -9 root.#1.check-#4", "wait root.#1.check-#4"];
    assert_eq!(lines, expected);
}

#[test]
fn checks_end_with_the_task() {
    let (mut session, run) = probing(&json!({}));
    run_answer(&mut session, run, Errand::Launch, given(200));
    let expected = [
        "cancel Probe(a, Health)",
        "cancel ProbeTimeout(a, Health)",
        "kill -9 root.#1.check-#4",
    ];
    assert_eq!(session.kill("a", None)[..3], expected);
    let ended = end(&json!({"exit_status": 1 << 8}));
    let lines = run_answer(&mut session, run, Errand::Wait, ended);
    assert_eq!(lines.len(), 2, "no news: {lines:?}");
    // A task that is gone has no checks.
    let (mut session, run) = probing(&json!({}));
    session.ended("a", 0);
    run_answer(&mut session, run, Errand::Launch, given(400));
    assert!(session.core.runs.is_empty());
}
