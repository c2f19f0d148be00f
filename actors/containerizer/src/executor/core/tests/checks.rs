//! Checks of tasks: when they are carried out, and what is told of them.

use serde_json::{Value, json};
use tepui_protocol::mesos::v1::check_info;

use super::*;
use crate::executor::checks::Request;

pub(super) fn probe_line(probe: &Probe) -> String {
    let request = match &probe.request {
        Request::Command(command) => {
            let variables = command.environment.iter().flat_map(|all| &all.variables);
            let variables = variables.map(|it| format!("{}={} ", it.name, it.value()));
            format!("{}{}", variables.collect::<String>(), command.value())
        }
        Request::Http(url) => url.clone(),
        Request::Tcp(endpoint) => endpoint.clone(),
    };
    let timeout = probe.timeout.map_or(0.0, |timeout| timeout.as_secs_f64());
    format!(
        "probe {:?} {} {request} within {timeout}s",
        probe.kind, probe.number
    )
}

/// What a status says of checks; nothing where it says nothing.
pub(super) fn status_line(status: &TaskStatus) -> String {
    let mut line = String::new();
    if let Some(healthy) = status.healthy {
        line += &format!(" healthy={healthy}");
    }
    if let Some(check) = status.check_status {
        let part = match check.r#type() {
            check_info::Type::Command => check.command.map(|it| format!("{:?}", it.exit_code)),
            check_info::Type::Http => check.http.map(|it| format!("{:?}", it.status_code)),
            check_info::Type::Tcp => check.tcp.map(|it| format!("{:?}", it.succeeded)),
            check_info::Type::Unknown => None,
        };
        line += &format!(" check={}", part.unwrap());
    }
    line
}

const HEALTH: &str = "REASON_TASK_HEALTH_CHECK_STATUS_UPDATED";
const CHECK: &str = "REASON_TASK_CHECK_STATUS_UPDATED";

/// A task with these checks.
fn checked(fields: &Value) -> TaskInfo {
    let mut text = json!({
        "name": "t", "task_id": {"value": "t"}, "agent_id": {"value": "a"},
        "command": {"value": "true", "environment": {"variables": [
            {"name": "A", "value": "task"}, {"name": "B", "value": "task"},
        ]}},
    });
    for (name, value) in fields.as_object().unwrap() {
        text[name] = value.clone();
    }
    tepui_protocol::json::from_slice(text.to_string().as_bytes()).unwrap()
}

/// A task with a health check by TCP that has these fields, too.
fn healthy_task(fields: &Value) -> TaskInfo {
    let mut check = json!({"type": "TCP", "tcp": {"port": 80}});
    for (name, value) in fields.as_object().unwrap() {
        check[name] = value.clone();
    }
    checked(&json!({"health_check": check}))
}

/// Until LAUNCH is answered.
fn launched(task: TaskInfo) -> (Session, Vec<String>) {
    let mut session = Session::new(true);
    session.feed(Input::Start);
    session.subscribed();
    let lines = session.launch(task);
    (session, lines)
}

impl Session {
    fn due(&mut self, kind: Kind) -> Vec<String> {
        self.feed(Input::Due(Timer::Probe(kind)))
    }

    fn probed(&mut self, kind: Kind, number: u64, outcome: Outcome) -> Vec<String> {
        self.feed(Input::Probed {
            kind,
            number,
            outcome,
        })
    }

    /// Another health check, with this result; only the updates, signals and what follows them.
    fn health(&mut self, number: u64, connected: bool) -> Vec<String> {
        self.due(Kind::Health);
        let mut lines = self.probed(Kind::Health, number, Outcome::Connected(connected));
        let waits = ["cancel ProbeTimeout(Health)", "arm Probe(Health) 10s"];
        assert_eq!(lines[..2], waits);
        lines.split_off(2)
    }
}

#[test]
fn a_health_check_has_its_delay_timeout_and_interval() {
    let (mut session, lines) = launched(healthy_task(&json!({})));
    assert_eq!(lines, ["TASK_STARTING #1", "start true"]);
    let expected = ["TASK_RUNNING #2", "arm Probe(Health) 15s"];
    assert_eq!(session.feed(Input::Started), expected);
    let expected = [
        "probe Health 1 127.0.0.1:80 within 20s",
        "arm ProbeTimeout(Health) 20s",
    ];
    assert_eq!(session.due(Kind::Health), expected);
    // The interval begins when there is a result.
    let expected = [
        "cancel ProbeTimeout(Health)".to_owned(),
        "arm Probe(Health) 10s".to_owned(),
        format!("TASK_RUNNING #3 {HEALTH} healthy=true"),
    ];
    let lines = session.probed(Kind::Health, 1, Outcome::Connected(true));
    assert_eq!(lines, expected);
    assert_eq!(
        session.due(Kind::Health)[0],
        "probe Health 2 127.0.0.1:80 within 20s"
    );
    let own = json!({"delay_seconds": 1.5, "interval_seconds": 0.25, "timeout_seconds": 0});
    let mut session = Session::running(true, healthy_task(&own));
    assert_eq!(
        session.due(Kind::Health),
        ["probe Health 1 127.0.0.1:80 within 0s"]
    );
    let lines = session.probed(Kind::Health, 1, Outcome::Connected(true));
    assert_eq!(lines[0], "arm Probe(Health) 0.25s");
    let (mut session, _) = launched(healthy_task(&own));
    assert_eq!(session.feed(Input::Started)[1], "arm Probe(Health) 1.5s");
}

#[test]
fn what_a_check_asks_for_is_said_to_the_body() {
    let first = |field: &str, check: Value| {
        let kind = if field == "check" {
            Kind::Check
        } else {
            Kind::Health
        };
        let mut session = Session::running(true, checked(&json!({field: check})));
        session.due(kind).remove(0)
    };
    let command = json!({"value": "test", "environment": {"variables": [
        {"name": "B", "value": "check"},
    ]}});
    // The later of two variables counts.
    let expected = "1 A=task B=task B=check test within 20s";
    assert_eq!(
        first(
            "check",
            json!({"type": "COMMAND", "command": {"command": command}})
        ),
        format!("probe Check {expected}")
    );
    assert_eq!(
        first(
            "health_check",
            json!({"type": "COMMAND", "command": command})
        ),
        format!("probe Health {expected}")
    );
    for (field, check, expected) in [
        (
            "check",
            json!({"type": "HTTP", "http": {"port": 8, "path": "/x"}}),
            "http://127.0.0.1:8/x",
        ),
        (
            "check",
            json!({"type": "TCP", "tcp": {"port": 8}}),
            "127.0.0.1:8",
        ),
        (
            "health_check",
            json!({"type": "HTTP", "http": {"port": 8}}),
            "http://127.0.0.1:8",
        ),
        (
            "health_check",
            json!({"type": "HTTP", "http": {
                "port": 8, "scheme": "https", "protocol": "IPv6", "path": "/x?y"
            }}),
            "https://[::1]:8/x?y",
        ),
        (
            "health_check",
            json!({"type": "TCP", "tcp": {"port": 8, "protocol": "IPv6"}}),
            "[::1]:8",
        ),
    ] {
        let line = first(field, check);
        assert!(
            line.ends_with(&format!(" 1 {expected} within 20s")),
            "{line}"
        );
    }
}

#[test]
fn failures_in_the_grace_period_do_not_count_before_the_first_success() {
    let mut session = Session::running(true, healthy_task(&json!({})));
    for (number, after) in [(1, 3), (2, 7)] {
        session.now += Duration::from_secs(after);
        assert_eq!(session.health(number, false), [""; 0], "{number}");
    }
    // The period is over by the least that can be told.
    session.now += Duration::from_nanos(1);
    let failed = |uuid: u8| format!("TASK_RUNNING #{uuid} {HEALTH} healthy=false");
    assert_eq!(session.health(3, false), [failed(3)]);
    // After a success they count at once.
    let mut session = Session::running(true, healthy_task(&json!({})));
    session.health(1, true);
    assert_eq!(session.health(2, false), [failed(4)]);
    // Without a period every one counts.
    let none = json!({"grace_period_seconds": 0});
    let mut session = Session::running(true, healthy_task(&none));
    assert_eq!(session.health(1, false), [failed(3)]);
}

#[test]
fn a_success_is_told_if_it_is_the_first_or_follows_a_failure() {
    let mut session = Session::running(true, healthy_task(&json!({})));
    let told = |uuid: u8, healthy| format!("TASK_RUNNING #{uuid} {HEALTH} healthy={healthy}");
    assert_eq!(session.health(1, true), [told(3, true)]);
    assert_eq!(session.health(2, true), [""; 0]);
    assert_eq!(session.health(3, false), [told(4, false)]);
    assert_eq!(
        session.health(4, false),
        [told(5, false)],
        "every failure is told"
    );
    assert_eq!(session.health(5, true), [told(6, true)]);
    assert_eq!(session.health(6, true), [""; 0]);
    // One that follows a failure which did not count is the first.
    let mut session = Session::running(true, healthy_task(&json!({})));
    assert_eq!(session.health(1, false), [""; 0]);
    assert_eq!(session.health(2, true), [told(3, true)]);
}

#[test]
fn failures_in_a_row_kill_the_task() {
    let fields = json!({"grace_period_seconds": 0});
    let mut session = Session::running(true, healthy_task(&fields));
    let failed = |uuid: u8| {
        format!("TASK_RUNNING #{uuid} REASON_TASK_HEALTH_CHECK_STATUS_UPDATED healthy=false")
    };
    assert_eq!(session.health(1, false), [failed(3)]);
    assert_eq!(session.health(2, false), [failed(4)]);
    session.health(3, true);
    assert_eq!(session.health(4, false), [failed(6)], "counted anew");
    assert_eq!(session.health(5, false), [failed(7)]);
    let expected = [
        failed(8).as_str(),
        "cancel Probe(Health)",
        "signal 15",
        "arm Escalation 3s",
    ]
    .map(str::to_owned);
    assert_eq!(session.health(6, false), expected);
    let expected = [
        "cancel Escalation",
        "cancel MaxCompletion",
        "TASK_KILLED #9 'Command exited with status 0' healthy=false",
        "arm Acknowledgement 60s",
    ];
    assert_eq!(session.ended(0), expected);
}

#[test]
fn a_health_check_kills_with_the_task_s_own_grace() {
    let task = TaskInfo {
        kill_policy: Some(policy(Duration::from_secs(7))),
        ..healthy_task(&json!({"grace_period_seconds": 0, "consecutive_failures": 1}))
    };
    let mut session = Session::running(true, task);
    assert_eq!(session.health(1, false)[3], "arm Escalation 7s");
    // A framework that kills it, too, may shorten that.
    assert_eq!(session.kill(Some(1)), ["arm Escalation 1s"]);
    assert_eq!(
        session.ended(9)[2],
        "TASK_KILLED #4 'Command terminated with signal Killed' healthy=false"
    );
}

#[test]
fn a_probe_that_takes_too_long_is_a_failure() {
    let fields = json!({"grace_period_seconds": 0, "timeout_seconds": 2});
    let mut session = Session::running(true, healthy_task(&fields));
    session.due(Kind::Health);
    let late = Input::Due(Timer::ProbeTimeout(Kind::Health));
    let expected = [
        "abandon Health".to_owned(),
        "cancel ProbeTimeout(Health)".to_owned(),
        "arm Probe(Health) 10s".to_owned(),
        format!("TASK_RUNNING #3 {HEALTH} healthy=false"),
    ];
    assert_eq!(session.feed(late.clone()), expected);
    // What comes of it afterwards is no news, neither before the next probe nor after.
    let success = Outcome::Connected(true);
    assert_eq!(session.probed(Kind::Health, 1, success.clone()), [""; 0]);
    assert_eq!(session.feed(late), [""; 0]);
    session.due(Kind::Health);
    assert_eq!(session.probed(Kind::Health, 1, success.clone()), [""; 0]);
    assert_eq!(
        session.probed(Kind::Health, 2, success)[2],
        format!("TASK_RUNNING #4 {HEALTH} healthy=true")
    );
}

#[test]
fn a_health_check_succeeds_by_mesos_rules() {
    for (outcome, healthy) in [
        (Outcome::Ended(0), true),
        (Outcome::Ended(1 << 8), false),
        (Outcome::Ended(9), false),
        (Outcome::Answered(199), false),
        (Outcome::Answered(200), true),
        (Outcome::Answered(399), true),
        (Outcome::Answered(400), false),
        (Outcome::Answered(503), false),
        (Outcome::Connected(true), true),
        (Outcome::Connected(false), false),
        (Outcome::Failed("no such file".to_owned()), false),
    ] {
        let fields = json!({"grace_period_seconds": 0});
        let mut session = Session::running(true, healthy_task(&fields));
        session.due(Kind::Health);
        let lines = session.probed(Kind::Health, 1, outcome.clone());
        let expected = format!("TASK_RUNNING #3 {HEALTH} healthy={healthy}");
        assert_eq!(lines[2], expected, "{outcome:?}");
    }
}

#[test]
fn checks_pause_while_the_task_is_killed() {
    let both = json!({
        "health_check": {"type": "TCP", "tcp": {"port": 80}},
        "check": {"type": "TCP", "tcp": {"port": 80}, "timeout_seconds": 0},
    });
    let mut session = Session::running(true, checked(&both));
    session.due(Kind::Health);
    session.due(Kind::Check);
    // What is under way is not wanted any more.
    let expected = [
        "cancel Probe(Check)",
        "cancel ProbeTimeout(Check)",
        "abandon Check",
        "cancel Probe(Health)",
        "cancel ProbeTimeout(Health)",
        "abandon Health",
        "signal 15",
        "arm Escalation 3s",
    ];
    assert_eq!(session.kill(None), expected);
    for kind in [Kind::Check, Kind::Health] {
        assert_eq!(session.probed(kind, 1, Outcome::Connected(false)), [""; 0]);
        assert_eq!(session.due(kind), [""; 0]);
        let late = Input::Due(Timer::ProbeTimeout(kind));
        assert_eq!(session.feed(late), [""; 0]);
    }
    // Nobody killed it for its health.
    assert_eq!(
        session.ended(15)[2],
        "TASK_KILLED #3 'Command terminated with signal Terminated' check=None"
    );
}

#[test]
fn checks_end_with_the_task() {
    let mut session = Session::running(true, healthy_task(&json!({})));
    session.health(1, true);
    session.due(Kind::Health);
    let expected = [
        "cancel Escalation",
        "cancel MaxCompletion",
        "cancel Probe(Health)",
        "cancel ProbeTimeout(Health)",
        "abandon Health",
        "TASK_FINISHED #4 'Command exited with status 0'",
        "arm Acknowledgement 60s",
    ];
    assert_eq!(session.ended(0), expected);
    assert_eq!(
        session.probed(Kind::Health, 2, Outcome::Connected(false)),
        [""; 0]
    );
    assert_eq!(session.due(Kind::Health), [""; 0]);
    // One that is killed before it runs is never checked.
    let (mut session, _) = launched(healthy_task(&json!({})));
    session.kill(None);
    assert_eq!(session.feed(Input::Started), ["signal 15"]);
}

#[test]
fn a_result_that_changed_is_told() {
    let check = json!({"check": {"type": "COMMAND", "command": {"command": {"value": "x"}}}});
    let (mut session, lines) = launched(checked(&check));
    // It is known that there is a check before anything is known of it.
    assert_eq!(lines, ["TASK_STARTING #1 check=None", "start true"]);
    let expected = ["TASK_RUNNING #2 check=None", "arm Probe(Check) 15s"];
    assert_eq!(session.feed(Input::Started), expected);
    let told = |uuid: u8, result: &str| {
        vec![format!(
            "TASK_RUNNING #{uuid} REASON_TASK_CHECK_STATUS_UPDATED check={result}"
        )]
    };
    let ended = Outcome::Ended;
    for (number, outcome, expected) in [
        (1, ended(0), told(3, "Some(0)")),
        (2, ended(0), Vec::new()),
        (3, ended(7 << 8), told(4, "Some(7)")),
        // There is no exit status where a signal ended it, and none where it did not run.
        (4, ended(9), told(5, "None")),
        (5, Outcome::Failed("no".to_owned()), Vec::new()),
        (6, ended(0), told(6, "Some(0)")),
    ] {
        session.due(Kind::Check);
        let lines = session.probed(Kind::Check, number, outcome);
        assert_eq!(
            lines[..2],
            ["cancel ProbeTimeout(Check)", "arm Probe(Check) 10s"]
        );
        assert_eq!(lines[2..], expected, "{number}");
    }
    // However it ends, nobody is killed for a check, and the last result stays.
    let expected = "TASK_FINISHED #7 'Command exited with status 0' check=Some(0)";
    assert!(session.ended(0).contains(&expected.to_owned()));
}

#[test]
fn a_check_tells_what_its_type_can() {
    let first = |check: Value, outcome| {
        let mut session = Session::running(true, checked(&json!({"check": check})));
        session.due(Kind::Check);
        session.probed(Kind::Check, 1, outcome)[2..].to_vec()
    };
    let http = json!({"type": "HTTP", "http": {"port": 80}});
    let tcp = json!({"type": "TCP", "tcp": {"port": 80}});
    for (check, outcome, result) in [
        (&http, Outcome::Answered(503), "Some(503)"),
        (&tcp, Outcome::Connected(true), "Some(true)"),
        (&tcp, Outcome::Connected(false), "Some(false)"),
    ] {
        let expected = [format!("TASK_RUNNING #3 {CHECK} check={result}")];
        assert_eq!(first(check.clone(), outcome), expected);
    }
    // Nothing is known as before.
    let failed = || Outcome::Failed("no answer".to_owned());
    assert_eq!(first(http, failed()), [""; 0]);
    assert_eq!(first(tcp, failed()), [""; 0]);
}

#[test]
fn later_updates_carry_what_earlier_ones_told() {
    let both = json!({
        "health_check": {"type": "TCP", "tcp": {"port": 80}},
        "check": {"type": "TCP", "tcp": {"port": 80}},
    });
    let mut session = Session::running(true, checked(&both));
    let expected = format!("TASK_RUNNING #3 {HEALTH} healthy=true check=None");
    assert_eq!(session.health(1, true), [expected]);
    session.due(Kind::Check);
    let lines = session.probed(Kind::Check, 1, Outcome::Connected(true));
    let expected = format!("TASK_RUNNING #4 {CHECK} healthy=true check=Some(true)");
    assert_eq!(lines[2], expected);
    let expected = format!("TASK_RUNNING #5 {HEALTH} healthy=false check=Some(true)");
    assert_eq!(session.health(2, false), [expected]);
}

#[test]
fn checks_go_on_while_the_agent_is_away() {
    let mut session = Session::running(true, healthy_task(&json!({})));
    session.acknowledge(1);
    session.acknowledge(2);
    session.feed(Input::Disconnected);
    assert_eq!(
        session.health(1, true),
        [""; 0],
        "nobody is there to be told"
    );
    let lines = session.feed(Input::Due(Timer::Subscription));
    let expected =
        format!("subscribe tasks=[] updates=[\"TASK_RUNNING #3 {HEALTH} healthy=true\"]");
    assert_eq!(lines, [expected]);
}

#[test]
fn a_task_with_a_check_that_lacks_something_fails() {
    for (fields, problem) in [
        (json!({"check": {}}), "check.type: missing"),
        (
            json!({"check": {"type": "TCP"}}),
            "check.tcp: missing in a TCP check",
        ),
        (json!({"health_check": {}}), "health_check.type: missing"),
        (
            json!({"health_check": {"type": "COMMAND"}}),
            "health_check.command: missing in a COMMAND check",
        ),
        (
            json!({"health_check": {"type": "HTTP"}}),
            "health_check.http: missing in an HTTP check",
        ),
    ] {
        let (_, lines) = launched(checked(&fields));
        let expected = format!("TASK_FAILED #2 'Failed to launch task: {problem}'");
        assert_eq!(lines[..2], ["TASK_STARTING #1".to_owned(), expected]);
    }
}

#[test]
fn times_beyond_reason_are_long_and_nothing_more() {
    for (delay, expected) in [(f64::MAX, "3153600000"), (f64::INFINITY, "3153600000")] {
        let mut task = healthy_task(&json!({}));
        task.health_check.as_mut().unwrap().delay_seconds = Some(delay);
        let (mut session, _) = launched(task);
        assert_eq!(
            session.feed(Input::Started)[1],
            format!("arm Probe(Health) {expected}s")
        );
    }
}
