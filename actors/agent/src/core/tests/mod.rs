//! The core by example: inputs in, effects out as short text, compared exactly.

mod calls;
mod custom;
mod environment;
mod groups;
mod laws;
mod limitation;
mod nested;
mod recovery;
mod registration;
mod rules;
mod sandboxes;
mod tasks;

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use tepui_protocol::mesos::internal::{
    AgentRegistered, KillTask, RunTask, StatusUpdateAcknowledgement, StatusUpdateMessage,
};
use tepui_protocol::mesos::v1::executor::{Call, call};
use tepui_protocol::mesos::v1::framework_info::{Capability, capability};
use tepui_protocol::mesos::v1::task_status::Source;
use tepui_protocol::mesos::v1::value::{self, Scalar};
use tepui_protocol::mesos::v1::{
    CommandInfo, ExecutorInfo, FrameworkInfo, Resource, TaskInfo, TaskStatus,
};
use tepui_protocol::tepui::containerizer::{Launch, Launched, Terminated, Updated};
use tepui_runtime::Time;

use super::*;
use crate::checkpoint::RecoveredState;

/// A core with a clock and a source of chance, in which every number is one more than the last.
struct Rig {
    core: Core,
    now: Time,
    random: u64,
}

fn pid(text: &str) -> Pid {
    text.parse().unwrap()
}

fn options() -> AgentOptions {
    let mut options = AgentOptions::new(
        pid("master@10.0.0.1:5050"),
        PathBuf::from("/w"),
        pid("containerizer(1)@10.0.0.2:5051"),
    );
    options.resources = vec![scalar("cpus", 4.0), scalar("mem", 4096.0)];
    options.executor_environment = [
        ("PATH", "/bin"),
        ("MESOS_WORK_DIR", "/x"),
        ("LIBPROCESS_PORT", "1"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    options
}

fn scalar(name: &str, amount: f64) -> Resource {
    Resource {
        name: name.to_owned(),
        r#type: value::Type::Scalar as i32,
        scalar: Some(Scalar { value: amount }),
        ..Resource::default()
    }
}

fn framework(checkpoint: bool) -> FrameworkInfo {
    FrameworkInfo {
        user: "root".to_owned(),
        name: "test".to_owned(),
        id: Some(framework_id("F")),
        checkpoint: Some(checkpoint),
        ..FrameworkInfo::default()
    }
}

fn partition_aware(mut info: FrameworkInfo) -> FrameworkInfo {
    let kind = Some(capability::Type::PartitionAware as i32);
    info.capabilities.push(Capability { r#type: kind });
    info
}

fn task(id: &str) -> TaskInfo {
    TaskInfo {
        name: id.to_owned(),
        task_id: TaskId {
            value: id.to_owned(),
        },
        agent_id: AgentId {
            value: "S0".to_owned(),
        },
        resources: vec![scalar("cpus", 1.0), scalar("mem", 64.0)],
        command: Some(CommandInfo {
            value: Some("echo hello".to_owned()),
            ..CommandInfo::default()
        }),
        ..TaskInfo::default()
    }
}

/// A task for the framework's own executor `executor`.
fn custom_task(id: &str, executor: &str) -> TaskInfo {
    TaskInfo {
        command: None,
        executor: Some(ExecutorInfo {
            executor_id: executor_id(executor),
            command: Some(CommandInfo {
                value: Some("./executor".to_owned()),
                ..CommandInfo::default()
            }),
            resources: vec![scalar("cpus", 0.5), scalar("mem", 128.0)],
            ..ExecutorInfo::default()
        }),
        ..task(id)
    }
}

impl Rig {
    /// An agent that was just started on an empty work_dir.
    fn new() -> Rig {
        Rig::with(options())
    }

    fn with(options: AgentOptions) -> Rig {
        let mut random = 0;
        let mut next = || {
            random += 1;
            random
        };
        let now = Time::from_nanos(1_000_000_000_000);
        let myself = pid("slave(1)@10.0.0.2:5051");
        let core = Core::new(
            options,
            myself,
            &mut Turn {
                now,
                random: &mut next,
            },
        );
        Rig { core, now, random }
    }

    /// An agent that is registered as S0.
    fn registered() -> Rig {
        Rig::registered_with(options())
    }

    fn registered_with(options: AgentOptions) -> Rig {
        let mut rig = Rig::with(options);
        rig.input(Input::Recovered(Box::default()));
        rig.input(Input::ContainersRecovered(Ok(vec![])));
        rig.timer(Timer::Register(1));
        rig.master(FromMaster::Registered(AgentRegistered {
            agent_id: AgentId {
                value: "S0".to_owned(),
            },
            ..AgentRegistered::default()
        }));
        assert_eq!(rig.core.state(), AgentState::Running);
        rig
    }

    /// A registered agent that runs task `t`, whose executor is `x@10.0.0.2:9`; the id of its
    /// container comes, too.
    fn running(info: FrameworkInfo) -> (Rig, String) {
        let mut rig = Rig::registered();
        let launch = rig.run(info, task("t"));
        let container = launch.container_id.value.clone();
        rig.launched(&container);
        rig.subscribe();
        (rig, container)
    }

    fn input(&mut self, input: Input) -> Vec<Effect> {
        let random = &mut self.random;
        let mut next = || {
            *random += 1;
            *random
        };
        self.core.handle(
            input,
            &mut Turn {
                now: self.now,
                random: &mut next,
            },
        )
    }

    fn timer(&mut self, timer: Timer) -> Vec<Effect> {
        self.input(Input::Timer(timer))
    }

    fn master(&mut self, message: FromMaster) -> Vec<Effect> {
        self.input(Input::Master(pid("master@10.0.0.1:5050"), message))
    }

    /// Gives the agent a task, and gives back what it asks the containerizer to launch.
    fn run(&mut self, info: FrameworkInfo, task: TaskInfo) -> Launch {
        let effects = self.run_task(info, task);
        effects
            .into_iter()
            .find_map(|effect| match effect {
                Effect::Launch(launch) => Some(*launch),
                _ => None,
            })
            .expect("a launch")
    }

    fn run_task(&mut self, info: FrameworkInfo, task: TaskInfo) -> Vec<Effect> {
        self.master(FromMaster::RunTask(Box::new(RunTask {
            framework: info,
            task,
            pid: Some(String::new()),
            ..RunTask::default()
        })))
    }

    fn launched(&mut self, container: &str) -> Vec<Effect> {
        let launched = Launched {
            container_id: container_id(container),
            pid: Some(4242),
            error: None,
        };
        self.input(Input::Launched(container_id(container), Ok(launched)))
    }

    fn executor(&mut self, kind: call::Type, call: Call) -> Vec<Effect> {
        self.executor_says("t", kind, call)
    }

    fn executor_says(&mut self, executor: &str, kind: call::Type, call: Call) -> Vec<Effect> {
        let call = Call {
            framework_id: framework_id("F"),
            executor_id: executor_id(executor),
            r#type: Some(kind as i32),
            ..call
        };
        self.input(Input::Executor(pid("x@10.0.0.2:9"), call))
    }

    fn subscribe(&mut self) -> Vec<Effect> {
        self.subscribe_as("t")
    }

    fn subscribe_as(&mut self, executor: &str) -> Vec<Effect> {
        let call = Call {
            subscribe: Some(call::Subscribe::default()),
            ..Call::default()
        };
        self.executor_says(executor, call::Type::Subscribe, call)
    }

    fn update(&mut self, state: TaskState, uuid: u8) -> Vec<Effect> {
        self.update_of("t", "t", state, uuid)
    }

    fn update_of(&mut self, executor: &str, task: &str, state: TaskState, uuid: u8) -> Vec<Effect> {
        let call = Call {
            update: Some(call::Update {
                status: status(task, state, uuid),
            }),
            ..Call::default()
        };
        self.executor_says(executor, call::Type::Update, call)
    }

    /// The containerizer has changed the limits as it was asked to.
    fn updated(&mut self, number: u64) -> Vec<Effect> {
        self.input(Input::ContainerUpdated(number, Updated::default()))
    }

    /// A registered agent on which the framework's own executor `e` runs task `a`.
    fn custom(info: FrameworkInfo) -> (Rig, String) {
        let mut rig = Rig::registered();
        let container = rig.run(info, custom_task("a", "e")).container_id.value;
        rig.launched(&container);
        rig.subscribe_as("e");
        (rig, container)
    }

    fn acknowledge(&mut self, task: &str, uuid: Bytes) -> Vec<Effect> {
        self.master(FromMaster::Acknowledgement(StatusUpdateAcknowledgement {
            agent_id: AgentId {
                value: "S0".to_owned(),
            },
            framework_id: framework_id("F"),
            task_id: TaskId {
                value: task.to_owned(),
            },
            uuid,
        }))
    }

    fn kill(&mut self, task: &str) -> Vec<Effect> {
        self.master(FromMaster::KillTask(KillTask {
            framework_id: framework_id("F"),
            task_id: TaskId {
                value: task.to_owned(),
            },
            kill_policy: None,
        }))
    }

    fn terminated(&mut self, container: &str) -> Vec<Effect> {
        self.input(Input::Terminated(Terminated {
            container_id: container_id(container),
            ..Terminated::default()
        }))
    }

    fn after(&mut self, time: Duration) {
        self.now += time;
    }
}

fn status(task: &str, state: TaskState, uuid: u8) -> TaskStatus {
    TaskStatus {
        task_id: TaskId {
            value: task.to_owned(),
        },
        state: state as i32,
        source: Some(Source::Executor as i32),
        uuid: Some(Bytes::from(vec![uuid; 16])),
        ..TaskStatus::default()
    }
}

/// What effects do, without notes: one short line each.
fn short(effects: &[Effect]) -> Vec<String> {
    effects.iter().filter_map(line).collect()
}

fn line(effect: &Effect) -> Option<String> {
    Some(match effect {
        Effect::Note(_) | Effect::Disk(Write::Touch { .. }) => return None,
        Effect::Disk(write) => disk_line(write),
        Effect::Sandbox(sandbox) => format!("sandbox {}", tail(&sandbox.directory)),
        Effect::Link(to) => format!("link {}", to.id()),
        Effect::RecoverContainers(recover) => format!("recover {}", recover.containers.len()),
        Effect::Launch(_) => "launch".to_owned(),
        Effect::UpdateContainer(number, update) => {
            format!(
                "update container {number}: {} resources",
                update.resources.len()
            )
        }
        Effect::Destroy(_) => "destroy".to_owned(),
        Effect::KillContainer(id, signal) => format!("kill {} with {signal}", id.value),
        Effect::RemoveContainer(id) => format!("remove container {}", id.value),
        Effect::MeasureDisk | Effect::Collect(_) | Effect::RemoveSandbox(..) => return None,
        Effect::Timer(after, timer) => match timer {
            Timer::Register(number) => format!("timer register {number}"),
            Timer::PingSilence => format!("timer ping {}s", after.as_secs()),
            Timer::ExecutorRegistration(_) => format!("timer registration {}s", after.as_secs()),
            Timer::ExecutorShutdown(_) => format!("timer shutdown {}s", after.as_secs()),
            Timer::ExecutorReregistration => format!("timer back {}s", after.as_secs()),
            Timer::UpdateRetry(_, attempt) => format!("timer retry {attempt} {}s", after.as_secs()),
            // What is removed when, has tests of its own.
            Timer::DiskWatch | Timer::Collect(_) => return None,
        },
        Effect::Exit(how) => format!("exit {how:?}"),
        Effect::Send(to, message) => format!("to {}: {}", to.id(), message_line(message)),
    })
}

fn disk_line(write: &Write) -> String {
    match write {
        Write::Behind { path } => format!("behind {}", tail(path)),
        Write::Touch { path } => format!("touch {}", tail(path)),
        Write::Folder { path } => format!("folder {}", tail(path)),
        Write::File { path, .. } => format!("file {}", tail(path)),
        Write::Append { path, .. } => format!("append {}", tail(path)),
        Write::Cut { path, length } => format!("cut {} to {length}", tail(path)),
        Write::Link { link, .. } => format!("symlink {}", tail(link)),
        Write::Remove { path } => format!("remove {}", tail(path)),
    }
}

/// The last two segments of a path, container ids left out.
fn tail(path: &std::path::Path) -> String {
    let parts: Vec<String> = path
        .components()
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .map(|part| {
            if part.len() == 36 {
                "C".to_owned()
            } else {
                part
            }
        })
        .collect();
    parts[parts.len().saturating_sub(2)..].join("/")
}

fn message_line(message: &Outbound) -> String {
    match message {
        Outbound::Register(_) => "register".to_owned(),
        Outbound::Reregister(message) => format!("reregister {} tasks", message.tasks.len()),
        Outbound::Unregister(_) => "unregister".to_owned(),
        Outbound::Update(_) => "update agent".to_owned(),
        Outbound::Status(message) => status_line(message),
        Outbound::ExitedExecutor(message) => {
            let id = &message.executor_id.value;
            format!("exited executor {id} {}", message.status)
        }
        Outbound::Message(message) => {
            format!("message {}", String::from_utf8_lossy(&message.data))
        }
        Outbound::Pong(_) => "pong".to_owned(),
        Outbound::Operated(answer) => {
            let problem = answer.problem.as_deref().unwrap_or_default();
            format!("{} {problem}", answer.status).trim_end().to_owned()
        }
        Outbound::Event(event) => {
            let task = event
                .kill
                .as_ref()
                .map(|kill| kill.task_id.value.clone())
                .or_else(|| {
                    event
                        .launch
                        .as_ref()
                        .map(|launch| launch.task.task_id.value.clone())
                })
                .or_else(|| {
                    let group = &event.launch_group.as_ref()?.task_group;
                    let ids = group.tasks.iter().map(|task| task.task_id.value.as_str());
                    Some(ids.collect::<Vec<_>>().join(" "))
                });
            let error = event.error.as_ref().map(|error| error.message.clone());
            let kind = event.r#type().as_str_name().to_owned();
            [Some(kind), task, error]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(" ")
        }
    }
}

fn status_line(message: &StatusUpdateMessage) -> String {
    let status = &message.update.status;
    let reason = status.reason.map_or(String::new(), |_| {
        format!(" {} '{}'", status.reason().as_str_name(), status.message())
    });
    format!(
        "{} {}{reason}",
        status.task_id.value,
        status.state().as_str_name()
    )
}

/// The only status update among effects.
fn sent_status(effects: &[Effect]) -> StatusUpdateMessage {
    let mut sent = effects.iter().filter_map(|effect| match effect {
        Effect::Send(_, Outbound::Status(message)) => Some(message),
        _ => None,
    });
    let message = sent.next().expect("a status update");
    assert_eq!(sent.next(), None, "one status update only");
    (**message).clone()
}

fn sent_uuid(effects: &[Effect]) -> Bytes {
    sent_status(effects).update.uuid.expect("a uuid")
}

fn recovered(state: RecoveredState) -> Input {
    Input::Recovered(Box::new(state))
}
