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
            "There is no task '{task_id}'{whose}: no offer was accepted for it, it was refused, \
             or it ended so long ago that it is forgotten.\n"
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
    all.filter(|(task, _)| task.task_id.value == task_id)
        .map(|(task, kept)| of_task(snapshot, task, kept))
        .collect()
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
    let state = task.state().as_str_name();
    let Some(last) = task.statuses.last() else {
        return format!("it ended as {state}");
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
    format!("it ended as {state}{reason}{message}")
}

fn reason(status: &TaskStatus) -> Option<&'static str> {
    status.reason.map(|_| status.reason().as_str_name())
}

fn source(status: &TaskStatus) -> &'static str {
    status.source().as_str_name()
}
