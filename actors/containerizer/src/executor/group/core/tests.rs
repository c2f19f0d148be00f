//! The life of a default executor, told as sessions: what happens, and exactly what is asked for.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};
use tepui_protocol::json;
use tepui_protocol::mesos::v1::executor::call;
use tepui_protocol::mesos::v1::{
    AgentInfo, DurationInfo, ExecutorInfo, FrameworkInfo, KillPolicy, framework_info, task_status,
};

use super::*;

mod checks;
mod ends;
mod kills;
mod life;
mod random;

/// An executor in the container "root", the time, and a line for each thing it asks for.
struct Session {
    core: Core,
    now: Duration,
    uuids: u8,
    capabilities: Vec<framework_info::Capability>,
}

impl Session {
    fn new(checkpoint: bool) -> Session {
        Session {
            core: Core::new(settings(checkpoint, &[])).unwrap(),
            now: Duration::from_secs(1000),
            uuids: 0,
            capabilities: Vec::new(),
        }
    }

    /// Subscribed, before anything is launched.
    fn idle(checkpoint: bool) -> Session {
        let mut session = Session::new(checkpoint);
        session.feed(Input::Start);
        session.subscribed();
        session
    }

    /// Subscribed, with a group of these tasks running.
    fn running(checkpoint: bool, tasks: &[&str]) -> Session {
        let mut session = Session::idle(checkpoint);
        session.group(tasks);
        for task in tasks {
            session.launched(task);
        }
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
        let effects = self.core.handle(input, &mut turn);
        effects.iter().map(|effect| self.line(effect)).collect()
    }

    fn event(&mut self, kind: event::Type, event: Event) -> Vec<String> {
        let r#type = Some(kind as i32);
        self.feed(Input::Event(Box::new(Event { r#type, ..event })))
    }

    fn subscribed(&mut self) -> Vec<String> {
        let subscribed = event::Subscribed {
            executor_info: ExecutorInfo::default(),
            framework_info: FrameworkInfo {
                user: "own".to_owned(),
                capabilities: self.capabilities.clone(),
                ..FrameworkInfo::default()
            },
            agent_info: AgentInfo::default(),
            container_id: Some(ContainerId::top("root")),
        };
        let event = Event {
            subscribed: Some(subscribed),
            ..Event::default()
        };
        self.event(event::Type::Subscribed, event)
    }

    /// A group of tasks of these ids, which run `true`.
    fn group(&mut self, tasks: &[&str]) -> Vec<String> {
        self.group_of(tasks.iter().map(|task| task_of(task, &json!({}))).collect())
    }

    fn group_of(&mut self, tasks: Vec<TaskInfo>) -> Vec<String> {
        let task_group = TaskGroupInfo { tasks };
        let launch_group = Some(event::LaunchGroup { task_group });
        let event = Event {
            launch_group,
            ..Event::default()
        };
        self.event(event::Type::LaunchGroup, event)
    }

    fn kill(&mut self, task: &str, grace: Option<u64>) -> Vec<String> {
        let kill = Some(event::Kill {
            task_id: task.into(),
            kill_policy: grace.map(policy),
        });
        let event = Event {
            kill,
            ..Event::default()
        };
        self.event(event::Type::Kill, event)
    }

    fn acknowledge(&mut self, task: &str, uuid: u8) -> Vec<String> {
        let acknowledged = Some(event::Acknowledged {
            task_id: task.into(),
            uuid: Bytes::copy_from_slice(&[uuid; 16]),
        });
        let event = Event {
            acknowledged,
            ..Event::default()
        };
        self.event(event::Type::Acknowledged, event)
    }

    fn shutdown(&mut self) -> Vec<String> {
        self.event(event::Type::Shutdown, Event::default())
    }

    fn number(&self, task: &str) -> u64 {
        let mut tasks = self.core.tasks.iter();
        let found = tasks.find(|(_, info)| info.info.task_id.value == task);
        *found.unwrap().0
    }

    fn answer(&mut self, of: Of, errand: Errand, answer: Answer) -> Vec<String> {
        self.feed(Input::Answered(Ask { of, errand }, answer))
    }

    fn task_answer(&mut self, task: &str, errand: Errand, answer: Answer) -> Vec<String> {
        self.answer(Of::Task(self.number(task)), errand, answer)
    }

    fn launched(&mut self, task: &str) -> Vec<String> {
        self.task_answer(task, Errand::Launch, given(200))
    }

    /// The task's container ended with this raw wait status.
    fn ended(&mut self, task: &str, status: i32) -> Vec<String> {
        self.waited(task, &json!({"exit_status": status}))
    }

    fn waited(&mut self, task: &str, wait: &Value) -> Vec<String> {
        self.task_answer(task, Errand::Wait, end(wait))
    }

    fn due(&mut self, timer: impl Fn(u64) -> Timer, task: &str) -> Vec<String> {
        self.feed(Input::Due(timer(self.number(task))))
    }

    fn name(&self, of: Of) -> String {
        match of {
            Of::Task(number) => self.task_name(number),
            Of::Run(number) => format!("run{number}"),
        }
    }

    /// The id of a task that may have ended.
    fn task_name(&self, number: u64) -> String {
        let task = self.core.tasks.get(&number);
        task.map_or_else(|| "gone".to_owned(), |it| it.info.task_id.value.clone())
    }

    fn timer(&self, timer: Timer) -> String {
        match timer {
            Timer::Escalation(task) => format!("Escalation({})", self.task_name(task)),
            Timer::MaxCompletion(task) => format!("MaxCompletion({})", self.task_name(task)),
            Timer::Probe(task, kind) => format!("Probe({}, {kind:?})", self.task_name(task)),
            Timer::ProbeTimeout(task, kind) => {
                format!("ProbeTimeout({}, {kind:?})", self.task_name(task))
            }
            Timer::Retry(of) => format!("Retry({})", self.name(of)),
            Timer::Subscription | Timer::Recovery | Timer::Acknowledgement => format!("{timer:?}"),
        }
    }

    fn line(&self, effect: &Effect) -> String {
        match effect {
            Effect::Subscribe(call) => {
                let subscribe = call.subscribe.clone().unwrap();
                let tasks = subscribe.unacknowledged_tasks.into_iter();
                let tasks: Vec<String> = tasks.map(|task| task.task_id.value).collect();
                let updates = subscribe.unacknowledged_updates.iter();
                let updates: Vec<String> = updates.map(update_line).collect();
                format!("subscribe tasks={tasks:?} updates={updates:?}")
            }
            Effect::Send(call) => update_line(call.update.as_ref().unwrap()),
            Effect::Ask(ask, call) => ask_line(*ask, call),
            Effect::Probe(task, probe) => {
                let Probe {
                    kind,
                    number,
                    request,
                    ..
                } = &**probe;
                let task = self.task_name(*task);
                format!("probe {task} {kind:?} {number} {request:?}")
            }
            Effect::Link(task, container) => short(&format!("link {} -> {container}", task.value)),
            Effect::Echo(sandbox) => format!("echo {}", short(sandbox)),
            Effect::Arm(timer, after) => {
                format!("arm {} {}s", self.timer(*timer), after.as_secs_f64())
            }
            Effect::ArmWithin(timer, most) => {
                format!("arm {} within {}s", self.timer(*timer), most.as_secs_f64())
            }
            Effect::Cancel(timer) => format!("cancel {}", self.timer(*timer)),
            Effect::Exit => "exit".to_owned(),
        }
    }
}

fn settings(checkpoint: bool, more: &[(&str, &str)]) -> Settings {
    let mut pairs = vec![
        ("MESOS_FRAMEWORK_ID", "f"),
        ("MESOS_EXECUTOR_ID", "e"),
        ("MESOS_SLAVE_PID", "slave(1)@127.0.0.1:5051"),
        ("MESOS_AGENT_ENDPOINT", "127.0.0.1:5051"),
        ("MESOS_SANDBOX", "/s"),
        ("MESOS_CHECKPOINT", if checkpoint { "1" } else { "0" }),
    ];
    pairs.extend_from_slice(more);
    let pairs = pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    Settings::from_environment(&pairs.collect::<BTreeMap<_, _>>()).unwrap()
}

/// A task of this id, with more fields.
fn task_of(id: &str, more: &Value) -> TaskInfo {
    let mut fields = json!({
        "task_id": {"value": id}, "name": id, "agent_id": {"value": "a"},
        "command": {"value": "true"},
    });
    let more = more.as_object().unwrap().clone();
    fields.as_object_mut().unwrap().extend(more);
    json::from_slice(fields.to_string().as_bytes()).unwrap()
}

fn policy(seconds: u64) -> KillPolicy {
    let nanoseconds = i64::try_from(seconds * 1_000_000_000).unwrap();
    KillPolicy {
        grace_period: Some(DurationInfo { nanoseconds }),
    }
}

fn given(status: u16) -> Answer {
    refused(status, "")
}

fn refused(status: u16, problem: &str) -> Answer {
    Answer::Given {
        status,
        problem: problem.to_owned(),
        end: None,
    }
}

fn end(wait: &Value) -> Answer {
    let wait = json::from_slice(wait.to_string().as_bytes()).unwrap();
    Answer::Given {
        status: 200,
        problem: String::new(),
        end: Some(Box::new(wait)),
    }
}

fn broken() -> Answer {
    Answer::Broken("connection reset".to_owned())
}

/// The uuid that is made of one number, by that number: `#3`.
fn short(text: &str) -> String {
    let mut text = text.to_owned();
    for number in (1..=60).rev() {
        let uuid = Uuid::from_bytes([number; 16]).to_string();
        text = text.replace(&uuid, &format!("#{number}"));
    }
    text
}

fn ask_line(ask: Ask, call: &agent::Call) -> String {
    let mut command = "";
    let name = if let Some(launch) = &call.launch_container {
        command = launch.command.as_ref().unwrap().value();
        "launch".to_owned()
    } else if call.wait_container.is_some() {
        "wait".to_owned()
    } else if let Some(kill) = &call.kill_container {
        format!("kill -{}", kill.signal())
    } else {
        assert!(call.remove_container.is_some());
        "remove".to_owned()
    };
    let errand = match ask.errand {
        Errand::Kill(signal) => format!("kill -{signal}"),
        Errand::Find => "kill -0".to_owned(),
        errand => format!("{errand:?}").to_lowercase(),
    };
    assert_eq!(name, errand, "the call is what it is said to be");
    let container = calls::container(call);
    short(&format!("{name} {container} {command}"))
        .trim()
        .to_owned()
}

fn update_line(update: &call::Update) -> String {
    let status = &update.status;
    assert_eq!(status.source(), task_status::Source::Executor);
    assert_eq!(status.executor_id.as_ref().unwrap().value, "e");
    let mut line = format!(
        "{} {} #{}",
        status.task_id.value,
        status.state().as_str_name(),
        status.uuid.as_ref().unwrap()[0]
    );
    if status.reason.is_some() {
        line += &format!(" {}", status.reason().as_str_name());
    }
    if let Some(message) = &status.message {
        line += &format!(" '{message}'");
    }
    if let Some(healthy) = status.healthy {
        line += &format!(" healthy={healthy}");
    }
    if let Some(check) = &status.check_status {
        line += &format!(" check={:?}", check.command.unwrap().exit_code);
    }
    if let Some(limitation) = &status.limitation {
        line += &format!(" limited={}", limitation.resources[0].name);
    }
    line
}
