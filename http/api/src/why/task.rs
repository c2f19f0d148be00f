//! Why a task is not running, as far as the master knows it: what state it is in, what the last
//! update of it said, and what became of its agent.

use serde::Serialize;
use tepui_master::{
    Snapshot,
    snapshot::{Agent, Framework},
};
use tepui_protocol::mesos::v1::{Task, TaskState, TaskStatus};

use crate::checks::Refusal;

/// The answer: ids are a framework's own, so that there may be several.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    task_id: String,
    tasks: Vec<OfTask>,
}

/// One task of the id.
#[derive(Debug, Serialize)]
struct OfTask {
    framework_id: String,
    agent_id: String,
    state: &'static str,
    running: bool,
    why: String,
    /// What the last update said: why, who says so, when.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<f64>,
}

/// Where the master keeps a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// It has not ended, or its framework has not acknowledged its end.
    Active,
    /// Its agent is unreachable.
    Unreachable,
    /// It ended.
    Completed,
}

/// The tasks of that id, of one framework where one is named.
pub(super) fn tasks(
    snapshot: &Snapshot,
    framework_id: Option<&str>,
    task_id: &str,
) -> Result<Answer, Refusal> {
    let present = snapshot.frameworks.values().map(AsRef::as_ref);
    let completed = snapshot.completed_frameworks.iter();
    let completed = completed.map(|(_, framework)| framework.as_ref());
    let known = present.chain(completed);
    let wanted = |framework: &&Framework| framework_id.is_none_or(|id| id == framework.id);
    let of_one = |framework| of_framework(snapshot, framework, task_id);
    let tasks: Vec<OfTask> = known.filter(wanted).flat_map(of_one).collect();
    if tasks.is_empty() {
        let whose = framework_id.map_or_else(String::new, |id| format!(" of framework '{id}'"));
        return Err(Refusal::NotFound(format!(
            "There is no task '{task_id}'{whose}: no offer was accepted for it, or it ended or was \
             refused so long ago that it is forgotten.\n"
        )));
    }
    Ok(Answer {
        task_id: task_id.to_owned(),
        tasks,
    })
}

fn of_framework(snapshot: &Snapshot, framework: &Framework, task_id: &str) -> Vec<OfTask> {
    let active = framework.tasks.get(task_id).map(AsRef::as_ref);
    let active = active.map(|task| (task, Kept::Active));
    let unreachable = framework.unreachable_tasks.iter();
    let unreachable = unreachable.map(|(_, task)| (task.as_ref(), Kept::Unreachable));
    let completed = framework.completed_tasks.iter();
    let completed = completed.map(|(_, task)| (task.as_ref(), Kept::Completed));
    let all = active.into_iter().chain(unreachable).chain(completed);
    let all: Vec<_> = all
        .filter(|(task, _)| task.task_id.value == task_id)
        .collect();
    let refused = framework.refused_tasks.get(task_id);
    let refused = refused.filter(|refused| all.iter().all(|it| is_before(it, refused)));
    let mut told: Vec<OfTask> = all
        .into_iter()
        .map(|(task, kept)| of_task(snapshot, task, kept))
        .collect();
    told.extend(refused.map(|status| of_refused(framework, status)));
    told
}

/// Whether a task was over when another one of its id was refused.
fn is_before((task, kept): &(&Task, Kept), refused: &TaskStatus) -> bool {
    let ended = task.statuses.last().and_then(|status| status.timestamp);
    *kept == Kept::Completed && ended <= refused.timestamp
}

/// A task that the master did not even send to its agent.
fn of_refused(framework: &Framework, status: &TaskStatus) -> OfTask {
    let agent_id = status.agent_id.as_ref().map(|id| id.value.clone());
    OfTask {
        framework_id: framework.id.clone(),
        agent_id: agent_id.unwrap_or_default(),
        state: status.state().as_str_name(),
        running: false,
        why: format!("it was refused: {}", outcome(status.state(), Some(status))),
        reason: reason(status),
        source: Some(source(status)),
        message: status.message.clone(),
        timestamp: status.timestamp,
    }
}

fn of_task(snapshot: &Snapshot, task: &Task, kept: Kept) -> OfTask {
    let agent = snapshot.agent(&task.agent_id.value);
    let last = task.statuses.last();
    let (running, why) = match kept {
        Kept::Active => active(task, agent),
        Kept::Unreachable => (false, unreachable(snapshot, task)),
        Kept::Completed => (false, ended(task)),
    };
    OfTask {
        framework_id: task.framework_id.value.clone(),
        agent_id: task.agent_id.value.clone(),
        state: task.state().as_str_name(),
        running,
        why,
        reason: last.and_then(reason),
        source: last.filter(|status| status.source.is_some()).map(source),
        message: last.and_then(|status| status.message.clone()),
        timestamp: last.and_then(|status| status.timestamp),
    }
}

/// Whether a task that has not ended runs, and why not.
fn active(task: &Task, agent: Option<&Agent>) -> (bool, String) {
    let id = &task.agent_id.value;
    let away = agent.is_none_or(|agent| !agent.connected);
    let key = (task.framework_id.value.clone(), task.task_id.value.clone());
    let killed = agent.is_some_and(|agent| agent.killed.contains(&key));
    let phase = match task.state() {
        TaskState::TaskRunning if !away => {
            let unhealthy = task.statuses.last().and_then(|status| status.healthy) == Some(false);
            let mut why = format!("it is running on agent {id}");
            if unhealthy {
                why.push_str(", and its health check fails");
            }
            if killed {
                why.push_str("; its framework asked to kill it");
            }
            return (true, why);
        }
        TaskState::TaskRunning => "it was running when it was last heard of",
        TaskState::TaskStaging => {
            "it was sent to its agent, which has not said that its executor began it: its sandbox \
             is being filled, its container made, or its executor started"
        }
        TaskState::TaskStarting => "its executor has begun it, and has not said that it runs",
        TaskState::TaskKilling => "it is being killed",
        _ => {
            let how = ended(task);
            let why = format!("{how}; its framework has not acknowledged that");
            return (false, why);
        }
    };
    let mut why = phase.to_owned();
    if away {
        why.push_str(&format!("; agent {id} is disconnected from the master"));
    }
    if killed && task.state() != TaskState::TaskKilling {
        why.push_str("; its framework asked to kill it");
    }
    (false, why)
}

fn unreachable(snapshot: &Snapshot, task: &Task) -> String {
    let id = &task.agent_id.value;
    let since = snapshot.unreachable_agents.get(id);
    let since = since.map_or_else(String::new, |nanos| {
        format!(" since {}", nanos / 1_000_000_000)
    });
    format!("agent {id} is unreachable{since}; the task may still run there, and is back if it is")
}

/// How a task ended, in the words of its last update.
fn ended(task: &Task) -> String {
    let outcome = outcome(task.state(), task.statuses.last());
    format!("it ended as {outcome}")
}

/// A state, with what the update says that told it.
fn outcome(state: TaskState, told: Option<&TaskStatus>) -> String {
    let state = state.as_str_name();
    let Some(last) = told else {
        return state.to_owned();
    };
    let source = match last.source {
        Some(_) => format!(" by {}", source(last)),
        None => String::new(),
    };
    let reason = reason(last).map_or_else(String::new, |reason| format!(" ({reason}{source})"));
    let message = last
        .message
        .as_deref()
        .filter(|message| !message.is_empty());
    let message = message.map_or_else(String::new, |message| format!(": {message}"));
    format!("{state}{reason}{message}")
}

fn reason(status: &TaskStatus) -> Option<&'static str> {
    status.reason.map(|_| status.reason().as_str_name())
}

fn source(status: &TaskStatus) -> &'static str {
    status.source().as_str_name()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use tepui_master::MasterOptions;
    use tepui_master::core::{Effect, FromAgent, Input, MasterCore, ToAgent};
    use tepui_protocol::mesos::internal::{
        RegisterAgent, Registry, StatusUpdate, StatusUpdateMessage,
    };
    use tepui_protocol::mesos::v1::scheduler::{Call, call};
    use tepui_protocol::mesos::v1::{
        AgentId, AgentInfo, CommandInfo, FrameworkId, FrameworkInfo, MasterInfo, OfferId, TaskId,
        TaskInfo, offer,
    };
    use tepui_protocol::resources::parse_text;
    use tepui_protocol::tepui::allocator::Allocation;
    use tepui_runtime::{Pid, Time};

    use super::*;

    /// The master's core with an agent; its registrar answers at once.
    struct Stage {
        core: MasterCore,
        agent: String,
        now: f64,
        offers: u32,
    }

    fn pid(id: &str) -> Pid {
        format!("{id}@10.0.0.1:5051").parse().unwrap()
    }

    impl Stage {
        fn new() -> Stage {
            let info = MasterInfo {
                id: "m".to_owned(),
                ..MasterInfo::default()
            };
            let core = MasterCore::new(MasterOptions::default(), info, Time::default());
            let mut stage = Stage {
                core,
                agent: String::new(),
                now: 1000.0,
                offers: 0,
            };
            stage.give(Input::Recovered(Ok(Registry::default())));
            let register = RegisterAgent {
                agent: AgentInfo {
                    hostname: "host".to_owned(),
                    resources: parse_text("cpus:8;mem:8000", "*").unwrap().to_proto(),
                    ..AgentInfo::default()
                },
                version: Some("1.12.0".to_owned()),
                ..RegisterAgent::default()
            };
            let told = stage.give(Input::Agent(pid("s"), FromAgent::Register(register)));
            let registered = told.into_iter().find_map(|effect| match effect {
                Effect::Agent(_, message) => match *message {
                    ToAgent::Registered(message) => Some(message.agent_id.value),
                    _ => None,
                },
                _ => None,
            });
            stage.agent = registered.unwrap();
            stage
        }

        fn give(&mut self, input: Input) -> Vec<Effect> {
            self.now += 1.0;
            let mut inputs = vec![input];
            let mut done = Vec::new();
            while let Some(input) = inputs.pop() {
                for effect in self.core.handle(input, Time::from_secs_f64(self.now)) {
                    match effect {
                        Effect::Registrar(_, pending) => {
                            inputs.push(Input::Applied(pending, Ok(true)));
                        }
                        other => done.push(other),
                    }
                }
            }
            done
        }

        /// Subscribes a framework; gives its id.
        fn framework(&mut self, from: &str) -> String {
            let subscribe = call::Subscribe {
                framework_info: FrameworkInfo {
                    user: "u".to_owned(),
                    failover_timeout: Some(1000.0),
                    ..FrameworkInfo::default()
                },
                ..call::Subscribe::default()
            };
            let call = Call {
                r#type: Some(call::Type::Subscribe.into()),
                subscribe: Some(subscribe),
                ..Call::default()
            };
            let told = self.give(Input::Call(pid(from), call));
            let id = told.into_iter().find_map(|effect| match effect {
                Effect::Event(_, event) => event.subscribed.map(|it| it.framework_id.value),
                _ => None,
            });
            id.unwrap()
        }

        fn call(&mut self, from: &str, id: &str, kind: call::Type, call: Call) {
            let call = Call {
                framework_id: Some(FrameworkId {
                    value: id.to_owned(),
                }),
                r#type: Some(kind.into()),
                ..call
            };
            self.give(Input::Call(pid(from), call));
        }

        /// Accepts an offer of a cpu with this task, which asks for so many.
        fn launch(&mut self, from: &str, id: &str, task: &str, cpus: &str) {
            let part = |text: &str| parse_text(text, "*").unwrap();
            let allocation = Allocation {
                framework_id: FrameworkId {
                    value: id.to_owned(),
                },
                role: "*".to_owned(),
                agent_id: AgentId {
                    value: self.agent.clone(),
                },
                resources: part("cpus:1;mem:64").allocate("*").to_proto(),
                incarnation: None,
            };
            self.give(Input::Allocations(vec![allocation]));
            let task = TaskInfo {
                task_id: TaskId {
                    value: task.to_owned(),
                },
                agent_id: AgentId {
                    value: self.agent.clone(),
                },
                resources: part(&format!("cpus:{cpus};mem:64")).to_proto(),
                command: Some(CommandInfo {
                    value: Some("true".to_owned()),
                    ..CommandInfo::default()
                }),
                ..TaskInfo::default()
            };
            let launch = offer::Operation {
                r#type: Some(offer::operation::Type::Launch.into()),
                launch: Some(offer::operation::Launch {
                    task_infos: vec![task],
                }),
                ..offer::Operation::default()
            };
            let accept = call::Accept {
                offer_ids: vec![OfferId {
                    value: format!("m-O{}", self.offers),
                }],
                operations: vec![launch],
                filters: None,
            };
            self.offers += 1;
            let call = Call {
                accept: Some(accept),
                ..Call::default()
            };
            self.call(from, id, call::Type::Accept, call);
        }

        fn update(&mut self, id: &str, task: &str, state: TaskState) {
            let status = TaskStatus {
                task_id: TaskId {
                    value: task.to_owned(),
                },
                state: state.into(),
                timestamp: Some(self.now),
                ..TaskStatus::default()
            };
            let update = StatusUpdate {
                framework_id: FrameworkId {
                    value: id.to_owned(),
                },
                agent_id: Some(AgentId {
                    value: self.agent.clone(),
                }),
                status,
                timestamp: self.now,
                uuid: Some(vec![4; 16].into()),
                latest_state: Some(state.into()),
                ..StatusUpdate::default()
            };
            let message = StatusUpdateMessage {
                update,
                ..StatusUpdateMessage::default()
            };
            self.give(Input::Agent(pid("s"), FromAgent::Status(message)));
        }

        fn kill(&mut self, from: &str, id: &str, task: &str) {
            let kill = call::Kill {
                task_id: TaskId {
                    value: task.to_owned(),
                },
                ..call::Kill::default()
            };
            let call = Call {
                kill: Some(kill),
                ..Call::default()
            };
            self.call(from, id, call::Type::Kill, call);
        }

        /// State, whether it runs, and why not, of each task of that id.
        fn why(&self, task: &str) -> Vec<(String, bool, String)> {
            let answer = tasks(&self.core.snapshot(), None, task);
            let answer = serde_json::to_value(answer.unwrap()).unwrap();
            let tasks = answer["tasks"].as_array().unwrap().iter();
            let text = |of: &Value| of.as_str().unwrap().to_owned();
            tasks
                .map(|it| (text(&it["state"]), it["running"] == true, text(&it["why"])))
                .collect()
        }
    }

    fn is(state: &str, why: &str) -> Vec<(String, bool, String)> {
        vec![(state.to_owned(), false, why.to_owned())]
    }

    #[test]
    fn a_refused_task_is_told_with_the_reason() {
        let mut stage = Stage::new();
        let id = stage.framework("a");
        stage.launch("a", &id, "big", "3");
        let [(state, running, why)] = &stage.why("big")[..] else {
            panic!("one task");
        };
        assert_eq!((state.as_str(), *running), ("TASK_ERROR", false));
        let begin = "it was refused: TASK_ERROR (REASON_TASK_INVALID by SOURCE_MASTER): ";
        assert!(why.starts_with(begin), "{why}");
        // The second try counts, while it is there.
        stage.launch("a", &id, "big", "1");
        assert_eq!(stage.why("big")[0].0, "TASK_STAGING");
        assert_eq!(stage.why("big").len(), 1);
        // An offer that is not there.
        stage.offers += 1;
        stage.launch("a", &id, "late", "1");
        let begin = "it was refused: TASK_LOST (REASON_INVALID_OFFERS by SOURCE_MASTER): ";
        let why = stage.why("late");
        assert!(why[0].2.starts_with(begin), "{why:?}");
    }

    #[test]
    fn so_many_refused_tasks_are_remembered() {
        let mut stage = Stage::new();
        let id = stage.framework("a");
        for number in 0..=100 {
            stage.launch("a", &id, &format!("t{number}"), "3");
        }
        assert_eq!(stage.why("t1").len(), 1);
        assert_eq!(stage.why("t100").len(), 1);
        let forgotten = tasks(&stage.core.snapshot(), None, "t0");
        assert!(matches!(forgotten, Err(Refusal::NotFound(_))));
    }

    #[test]
    fn each_phase_of_a_task_has_its_words() {
        let mut stage = Stage::new();
        let id = stage.framework("a");
        stage.launch("a", &id, "t", "1");
        let staging = "it was sent to its agent, which has not said that its executor began it: its \
                       sandbox is being filled, its container made, or its executor started";
        assert_eq!(stage.why("t"), is("TASK_STAGING", staging));
        stage.kill("a", &id, "t");
        let asked = format!("{staging}; its framework asked to kill it");
        assert_eq!(stage.why("t"), is("TASK_STAGING", &asked));
        stage.update(&id, "t", TaskState::TaskKilling);
        assert_eq!(stage.why("t"), is("TASK_KILLING", "it is being killed"));
        stage.update(&id, "t", TaskState::TaskKilled);
        let ended = "it ended as TASK_KILLED; its framework has not acknowledged that";
        assert_eq!(stage.why("t"), is("TASK_KILLED", ended));
    }

    #[test]
    fn tasks_of_one_id_are_told_of_each_also_of_a_framework_that_is_over() {
        let mut stage = Stage::new();
        let (first, second) = (stage.framework("a"), stage.framework("b"));
        stage.launch("a", &first, "t", "1");
        stage.launch("b", &second, "t", "1");
        stage.update(&second, "t", TaskState::TaskRunning);
        stage.call("a", &first, call::Type::Teardown, Call::default());
        let told = stage.why("t");
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!((told[0].0.as_str(), told[0].1), ("TASK_RUNNING", true));
        let over = "it ended as TASK_KILLED (REASON_FRAMEWORK_REMOVED by SOURCE_MASTER): Framework \
                    m-0000 removed";
        assert_eq!(told[1..], is("TASK_KILLED", over));
        let of_one = tasks(&stage.core.snapshot(), Some(&second), "t");
        assert_eq!(of_one.unwrap().tasks.len(), 1);
    }
}
