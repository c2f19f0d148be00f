//! The life of an executor, told as sessions: what happens, and exactly what is asked for.

use std::collections::BTreeMap;

use bytes::Bytes;
use tepui_protocol::mesos::v1::executor::call;
use tepui_protocol::mesos::v1::{
    AgentInfo, DurationInfo, ExecutorInfo, FrameworkInfo, KillPolicy, Resource, TaskId,
    framework_info, resource,
};

use super::*;

mod checks;

/// An executor, the time, and a line for each thing it asks for.
struct Session {
    core: Core,
    now: Duration,
    uuids: u8,
    capabilities: Vec<framework_info::Capability>,
}

impl Session {
    fn new(checkpoint: bool) -> Session {
        let pairs = [
            ("MESOS_FRAMEWORK_ID", "f"),
            ("MESOS_EXECUTOR_ID", "e"),
            ("MESOS_SLAVE_PID", "slave(1)@127.0.0.1:5051"),
            ("MESOS_AGENT_ENDPOINT", "127.0.0.1:5051"),
            ("MESOS_CHECKPOINT", if checkpoint { "1" } else { "0" }),
            ("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", "5secs"),
        ];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let settings = Settings::from_environment(&BTreeMap::from(pairs)).unwrap();
        let now = Duration::from_secs(1000);
        Session {
            core: Core::new(settings),
            now,
            uuids: 0,
            capabilities: Vec::new(),
        }
    }

    /// Subscribed, with the task "t" running.
    fn running(checkpoint: bool, task: TaskInfo) -> Session {
        let mut session = Session::new(checkpoint);
        session.feed(Input::Start);
        session.subscribed();
        session.launch(task);
        session.feed(Input::Started);
        session
    }

    fn feed(&mut self, input: Input) -> Vec<String> {
        let mut uuid = || {
            self.uuids += 1;
            [self.uuids; 16]
        };
        let mut turn = Turn {
            now: self.now,
            uuid: &mut uuid,
        };
        self.core
            .handle(input, &mut turn)
            .iter()
            .map(line)
            .collect()
    }

    fn event(&mut self, event: Event) -> Vec<String> {
        self.feed(Input::Event(Box::new(event)))
    }

    fn subscribed(&mut self) -> Vec<String> {
        let subscribed = event::Subscribed {
            executor_info: ExecutorInfo::default(),
            framework_info: FrameworkInfo {
                capabilities: self.capabilities.clone(),
                ..FrameworkInfo::default()
            },
            agent_info: AgentInfo::default(),
            container_id: None,
        };
        let kind = Some(event::Type::Subscribed as i32);
        self.event(Event {
            r#type: kind,
            subscribed: Some(subscribed),
            ..Event::default()
        })
    }

    fn launch(&mut self, task: TaskInfo) -> Vec<String> {
        let launch = Some(event::Launch { task });
        let kind = Some(event::Type::Launch as i32);
        self.event(Event {
            r#type: kind,
            launch,
            ..Event::default()
        })
    }

    fn kill(&mut self, grace: Option<u64>) -> Vec<String> {
        let kill_policy = grace.map(|seconds| policy(Duration::from_secs(seconds)));
        let kill = Some(event::Kill {
            task_id: task_id("t"),
            kill_policy,
        });
        let kind = Some(event::Type::Kill as i32);
        self.event(Event {
            r#type: kind,
            kill,
            ..Event::default()
        })
    }

    fn acknowledge(&mut self, uuid: u8) -> Vec<String> {
        let uuid = Bytes::copy_from_slice(&[uuid; 16]);
        let acknowledged = Some(event::Acknowledged {
            task_id: task_id("t"),
            uuid,
        });
        let kind = Some(event::Type::Acknowledged as i32);
        self.event(Event {
            r#type: kind,
            acknowledged,
            ..Event::default()
        })
    }

    fn of_type(&mut self, kind: event::Type) -> Vec<String> {
        self.event(Event {
            r#type: Some(kind as i32),
            ..Event::default()
        })
    }

    fn ended(&mut self, status: i32) -> Vec<String> {
        self.feed(Input::Ended {
            status,
            out_of_memory: None,
        })
    }
}

fn task_id(value: &str) -> TaskId {
    TaskId {
        value: value.to_owned(),
    }
}

fn policy(grace: Duration) -> KillPolicy {
    let nanoseconds = i64::try_from(grace.as_nanos()).unwrap();
    KillPolicy {
        grace_period: Some(DurationInfo { nanoseconds }),
    }
}

fn task() -> TaskInfo {
    let command = CommandInfo {
        value: Some("true".to_owned()),
        ..CommandInfo::default()
    };
    TaskInfo {
        task_id: task_id("t"),
        command: Some(command),
        ..TaskInfo::default()
    }
}

fn line(effect: &Effect) -> String {
    match effect {
        Effect::Subscribe(call) => {
            let subscribe = call.subscribe.clone().unwrap();
            let tasks: Vec<String> = subscribe
                .unacknowledged_tasks
                .into_iter()
                .map(|task| task.task_id.value)
                .collect();
            let updates: Vec<String> = subscribe
                .unacknowledged_updates
                .iter()
                .map(update_line)
                .collect();
            format!("subscribe tasks={tasks:?} updates={updates:?}")
        }
        Effect::Send(call) => update_line(call.update.as_ref().unwrap()),
        Effect::StartTask(command) => format!("start {}", command.value()),
        Effect::Signal(signal) => format!("signal {signal}"),
        Effect::Probe(probe) => checks::probe_line(probe),
        Effect::Abandon(kind) => format!("abandon {kind:?}"),
        Effect::Arm(timer, after) => format!("arm {timer:?} {}s", after.as_secs_f64()),
        Effect::ArmWithin(timer, most) => format!("arm {timer:?} within {}s", most.as_secs_f64()),
        Effect::Cancel(timer) => format!("cancel {timer:?}"),
        Effect::Exit => "exit".to_owned(),
    }
}

fn update_line(update: &call::Update) -> String {
    let status = &update.status;
    assert_eq!(status.source(), task_status::Source::Executor);
    assert_eq!(status.uuid.as_ref().unwrap().len(), 16);
    assert_eq!(status.executor_id.as_ref().unwrap().value, "e");
    let reason = status
        .reason
        .map(|_| format!(" {}", status.reason().as_str_name()));
    let message = status
        .message
        .as_ref()
        .map(|message| format!(" '{message}'"));
    format!(
        "{} #{}{}{}{}",
        status.state().as_str_name(),
        status.uuid.as_ref().unwrap()[0],
        reason.unwrap_or_default(),
        message.unwrap_or_default(),
        checks::status_line(status)
    )
}

#[test]
fn a_task_runs_and_its_end_is_acknowledged() {
    let mut session = Session::new(false);
    assert_eq!(
        session.feed(Input::Start),
        ["subscribe tasks=[] updates=[]"]
    );
    assert_eq!(
        session.subscribed(),
        ["cancel Recovery", "cancel Subscription"]
    );
    assert_eq!(session.launch(task()), ["TASK_STARTING #1", "start true"]);
    assert_eq!(session.feed(Input::Started), ["TASK_RUNNING #2"]);
    assert_eq!(session.acknowledge(1), [""; 0]);
    assert_eq!(session.acknowledge(2), [""; 0]);
    let expected = [
        "cancel Escalation",
        "cancel MaxCompletion",
        "TASK_FINISHED #3 'Command exited with status 0'",
        "arm Acknowledgement 60s",
    ];
    assert_eq!(session.ended(0), expected);
    assert_eq!(session.acknowledge(3), ["exit"]);
}

#[test]
fn failures_are_told_in_mesos_words() {
    for (status, expected) in [
        (3 << 8, "TASK_FAILED #3 'Command exited with status 3'"),
        (9, "TASK_FAILED #3 'Command terminated with signal Killed'"),
    ] {
        let mut session = Session::running(false, task());
        assert_eq!(session.ended(status)[2], expected);
    }
    let mut session = Session::running(false, task());
    let figures = Figures {
        max_usage: Some(40 << 20),
        limit: Some(32 << 20),
        ..Figures::default()
    };
    let lines = session.feed(Input::Ended {
        status: 9,
        out_of_memory: Some(figures),
    });
    let expected = "TASK_FAILED #3 REASON_CONTAINER_LIMITATION_MEMORY 'Memory limit exceeded: \
                    Requested: 32MB Maximum Used: 40MB\n\nMEMORY STATISTICS: \n'";
    assert_eq!(lines[2], expected);
}

#[test]
fn want_of_memory_counts_whatever_the_command_says() {
    let ended = |session: &mut Session, status| {
        let lines = session.feed(Input::Ended {
            status,
            out_of_memory: Some(Figures::default()),
        });
        lines[2].clone()
    };
    let expected = "TASK_FAILED #3 REASON_CONTAINER_LIMITATION_MEMORY 'Memory limit exceeded: \
                    Requested: 0B Maximum Used: 0B\n\nMEMORY STATISTICS: \n'";
    for status in [0, 1 << 8, 137 << 8, 9, 15] {
        let mut session = Session::running(false, task());
        assert_eq!(ended(&mut session, status), expected);
        // It ends the container, which would say so if the executor did not.
        let mut session = Session::running(false, task());
        session.kill(None);
        assert_eq!(ended(&mut session, status), expected);
    }
}

#[test]
fn a_command_that_cannot_be_started_fails() {
    let mut session = Session::new(false);
    session.feed(Input::Start);
    session.subscribed();
    session.launch(task());
    let lines = session.feed(Input::NotStarted {
        error: "no such file".to_owned(),
    });
    let expected = [
        "TASK_FAILED #2 'Failed to launch task: no such file'",
        "arm Acknowledgement 60s",
    ];
    assert_eq!(lines, expected);
    assert_eq!(session.acknowledge(2), ["exit"]);
}

#[test]
fn a_kill_escalates_after_its_grace() {
    let mut session = Session::running(false, task());
    assert_eq!(session.kill(None), ["signal 15", "arm Escalation 3s"]);
    assert_eq!(session.feed(Input::Due(Timer::Escalation)), ["signal 9"]);
    let expected = "TASK_KILLED #3 'Command terminated with signal Killed'";
    assert_eq!(session.ended(9)[2], expected);
    // A task that exits well after a kill was killed all the same.
    let mut session = Session::running(false, task());
    session.kill(None);
    assert_eq!(
        session.ended(0)[2],
        "TASK_KILLED #3 'Command exited with status 0'"
    );
}

#[test]
fn kill_policies_override_each_other_and_a_later_kill_only_shortens() {
    let own = TaskInfo {
        kill_policy: Some(policy(Duration::from_secs(20))),
        ..task()
    };
    let mut session = Session::running(false, own.clone());
    assert_eq!(session.kill(None), ["signal 15", "arm Escalation 20s"]);
    session.now += Duration::from_secs(4);
    assert_eq!(session.kill(Some(30)), [""; 0], "longer is not taken");
    assert_eq!(
        session.kill(Some(10)),
        ["arm Escalation 6s"],
        "counted from the first kill"
    );
    assert_eq!(session.kill(Some(1)), ["arm Escalation 0s"]);
    let mut session = Session::running(false, own);
    assert_eq!(session.kill(Some(7)), ["signal 15", "arm Escalation 7s"]);
}

#[test]
fn killing_is_told_to_those_who_know_the_state() {
    let kind = Some(framework_info::capability::Type::TaskKillingState as i32);
    let mut session = Session::new(false);
    session.capabilities = vec![framework_info::Capability { r#type: kind }];
    session.feed(Input::Start);
    session.subscribed();
    session.launch(task());
    session.feed(Input::Started);
    assert_eq!(
        session.kill(None),
        ["TASK_KILLING #3", "signal 15", "arm Escalation 3s"]
    );
}

#[test]
fn a_kill_before_the_task_runs_is_not_lost() {
    let mut session = Session::new(false);
    session.feed(Input::Start);
    session.subscribed();
    session.launch(task());
    assert_eq!(session.kill(None), ["arm Escalation 3s"]);
    assert_eq!(session.feed(Input::Started), ["signal 15"]);
    // Before there is a task at all, there will never be one.
    let mut session = Session::new(false);
    session.feed(Input::Start);
    session.subscribed();
    assert_eq!(session.kill(None), ["exit"]);
}

#[test]
fn a_task_over_its_time_fails_with_its_own_reason() {
    let limit = Some(DurationInfo {
        nanoseconds: 2_500_000_000,
    });
    let mut session = Session::new(false);
    session.feed(Input::Start);
    session.subscribed();
    session.launch(TaskInfo {
        max_completion_time: limit,
        ..task()
    });
    let expected = ["TASK_RUNNING #2", "arm MaxCompletion 2.5s"];
    assert_eq!(session.feed(Input::Started), expected);
    let expected = ["signal 15", "arm Escalation 0s"];
    assert_eq!(session.feed(Input::Due(Timer::MaxCompletion)), expected);
    let expected = "TASK_FAILED #3 REASON_MAX_COMPLETION_TIME_REACHED \
                    'Command terminated with signal Terminated'";
    assert_eq!(session.ended(15)[2], expected);
}

#[test]
fn no_time_at_all_is_no_limit() {
    let mut session = Session::new(false);
    session.feed(Input::Start);
    session.subscribed();
    session.launch(TaskInfo {
        max_completion_time: Some(DurationInfo { nanoseconds: 0 }),
        ..task()
    });
    assert_eq!(session.feed(Input::Started), ["TASK_RUNNING #2"]);
}

#[test]
fn a_task_knows_for_which_role_it_was_allocated() {
    let mut session = Session::new(false);
    session.feed(Input::Start);
    session.subscribed();
    let allocation_info = resource::AllocationInfo {
        role: Some("r/s".to_owned()),
    };
    let resource = Resource {
        allocation_info: Some(allocation_info),
        ..Resource::default()
    };
    let launch = Some(event::Launch {
        task: TaskInfo {
            resources: vec![resource],
            ..task()
        },
    });
    let event = Event {
        r#type: Some(event::Type::Launch as i32),
        launch,
        ..Event::default()
    };
    let mut uuid = || [1; 16];
    let mut turn = Turn {
        now: session.now,
        uuid: &mut uuid,
    };
    let effects = session
        .core
        .handle(Input::Event(Box::new(event)), &mut turn);
    let Some(Effect::StartTask(command)) = effects.last() else {
        panic!("{effects:?}")
    };
    let variables = &command.environment.as_ref().unwrap().variables;
    let last = variables.last().unwrap();
    assert_eq!(last.name, "MESOS_ALLOCATION_ROLE");
    assert_eq!(last.value(), "r/s");
}

#[test]
fn a_shutdown_leaves_the_task_the_grace_less_two_seconds() {
    let mut session = Session::running(false, task());
    assert_eq!(
        session.of_type(event::Type::Shutdown),
        ["signal 15", "arm Escalation 3s"]
    );
    assert_eq!(
        session.ended(15)[2],
        "TASK_KILLED #3 'Command terminated with signal Terminated'"
    );
    assert_eq!(session.acknowledge(3), ["exit"]);
    let mut session = Session::new(false);
    session.feed(Input::Start);
    session.subscribed();
    assert_eq!(
        session.of_type(event::Type::Shutdown),
        ["exit"],
        "there is no task"
    );
}

#[test]
fn a_second_task_is_refused() {
    let mut session = Session::running(false, task());
    let second = TaskInfo {
        task_id: task_id("u"),
        ..task()
    };
    let expected =
        ["TASK_FAILED #3 'Attempted to run multiple tasks using a \"command\" executor'"];
    assert_eq!(session.launch(second), expected);
}

#[test]
fn without_checkpoint_a_lost_agent_is_a_shutdown() {
    let mut session = Session::running(false, task());
    let expected = ["cancel Acknowledgement", "signal 15", "arm Escalation 3s"];
    assert_eq!(session.feed(Input::Disconnected), expected);
    assert_eq!(
        session.ended(15),
        ["cancel Escalation", "cancel MaxCompletion", "exit"]
    );
}

#[test]
fn with_checkpoint_it_comes_back_with_what_is_not_acknowledged() {
    let mut session = Session::running(true, task());
    let expected = [
        "cancel Acknowledgement",
        "arm Recovery 900s",
        "arm Subscription within 2s",
    ];
    assert_eq!(session.feed(Input::Disconnected), expected);
    assert_eq!(
        session.ended(0),
        ["cancel Escalation", "cancel MaxCompletion"],
        "it waits"
    );
    let expected = "subscribe tasks=[\"t\"] updates=[\"TASK_STARTING #1\", \"TASK_RUNNING #2\", \
                    \"TASK_FINISHED #3 'Command exited with status 0'\"]";
    assert_eq!(session.feed(Input::Due(Timer::Subscription)), [expected]);
    let expected = ["cancel Acknowledgement", "arm Subscription within 2s"];
    assert_eq!(
        session.feed(Input::Disconnected),
        expected,
        "recovery is timed once"
    );
    let expected = [
        "cancel Recovery",
        "cancel Subscription",
        "arm Acknowledgement 60s",
    ];
    assert_eq!(session.subscribed(), expected);
    session.acknowledge(1);
    session.acknowledge(2);
    assert_eq!(session.acknowledge(3), ["exit"]);
}

#[test]
fn what_happens_before_a_subscription_is_answered_is_told_after_it() {
    let mut session = Session::running(true, task());
    session.feed(Input::Disconnected);
    session.feed(Input::Due(Timer::Subscription));
    assert_eq!(
        session.ended(0),
        ["cancel Escalation", "cancel MaxCompletion"]
    );
    let expected = [
        "cancel Recovery",
        "cancel Subscription",
        "TASK_FINISHED #3 'Command exited with status 0'",
        "arm Acknowledgement 60s",
    ];
    assert_eq!(session.subscribed(), expected);
    // What went with the subscription is not told again.
    session.feed(Input::Disconnected);
    session.feed(Input::Due(Timer::Subscription));
    assert_eq!(session.subscribed()[2..], ["arm Acknowledgement 60s"]);
}

#[test]
fn an_acknowledged_task_is_not_subscribed_with() {
    let mut session = Session::running(true, task());
    session.acknowledge(1);
    session.feed(Input::Disconnected);
    let expected = ["subscribe tasks=[] updates=[\"TASK_RUNNING #2\"]"];
    assert_eq!(session.feed(Input::Due(Timer::Subscription)), expected);
}

#[test]
fn an_agent_that_never_comes_back_is_given_up() {
    let mut session = Session::running(true, task());
    session.feed(Input::Disconnected);
    let expected = ["signal 15", "arm Escalation 3s"];
    assert_eq!(session.feed(Input::Due(Timer::Recovery)), expected);
    assert_eq!(
        session.ended(15),
        ["cancel Escalation", "cancel MaxCompletion", "exit"]
    );
}

#[test]
fn an_agent_that_does_not_acknowledge_is_not_waited_for_ever() {
    let mut session = Session::running(false, task());
    session.ended(0);
    assert_eq!(session.feed(Input::Due(Timer::Acknowledgement)), ["exit"]);
}

#[test]
fn a_group_is_not_for_this_executor() {
    let mut session = Session::new(false);
    session.feed(Input::Start);
    session.subscribed();
    assert_eq!(session.of_type(event::Type::LaunchGroup), ["exit"]);
}
