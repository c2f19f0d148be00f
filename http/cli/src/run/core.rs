//! What `tepui run` does with offers and updates, decided without any I/O: which offer runs which
//! instance, what is printed about it, and with which exit status the command ends.
//!
//! ```text
//!   waiting --offer that fits--> launched --update--> running --terminal update--> ended
//!      |                            |                    |
//!      +---- kill: ended at once    +------- kill -------+--> killing --terminal--> ended
//! ```

use std::fmt::Write as _;

use tepui_protocol::mesos::v1::{
    AgentId, CommandInfo, FrameworkId, Offer, TaskId, TaskInfo, TaskState, TaskStatus,
};
use tepui_protocol::resources::{Entry, Resources};

/// What is to be run, and how often.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    /// The tasks' name, and the beginning of their ids.
    pub(crate) name: String,
    /// What each instance runs.
    pub(crate) command: CommandInfo,
    /// What each instance needs, without allocation.
    pub(crate) resources: Resources,
    /// How many instances; at least one.
    pub(crate) instances: usize,
}

/// Where one instance is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Instance {
    Waiting,
    /// On an agent; whether its end was asked for.
    Live {
        agent_id: AgentId,
        killing: bool,
    },
    /// Over, with this exit status.
    Ended(u8),
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    /// Launch these tasks on this offer.
    Launch {
        offer: Box<Offer>,
        tasks: Vec<TaskInfo>,
    },
    /// Give these offers back.
    Decline(Vec<Offer>),
    /// Nothing more is to be launched.
    Suppress,
    /// Kill this task.
    Kill { task_id: TaskId, agent_id: AgentId },
    /// Follow the output of this instance, if that is not done yet.
    Follow {
        instance: usize,
        status: Box<TaskStatus>,
    },
    /// A line for the user.
    Say(String),
    /// All is over: the exit status of the command.
    Finish(u8),
}

/// The run of one job.
#[derive(Debug)]
pub(crate) struct Run {
    job: Job,
    instances: Vec<Instance>,
    /// The status to end with when the run was interrupted.
    interrupted: Option<u8>,
    finished: bool,
}

impl Run {
    /// A run of which nothing was launched.
    pub(crate) fn new(job: Job) -> Self {
        let count = job.instances;
        Self {
            job,
            instances: vec![Instance::Waiting; count],
            interrupted: None,
            finished: false,
        }
    }

    /// The scheduler is subscribed.
    pub(crate) fn subscribed(&self, framework_id: &FrameworkId) -> Vec<Effect> {
        vec![Effect::Say(format!(
            "framework {} subscribed",
            framework_id.value
        ))]
    }

    /// Offers came in: fills each with as many waiting instances as fit.
    pub(crate) fn offered(&mut self, offers: Vec<Offer>) -> Vec<Effect> {
        let mut effects = Vec::new();
        let mut declined = Vec::new();
        let before = self.waiting().count();
        for offer in offers {
            let tasks = self.fill(&offer);
            if tasks.is_empty() {
                declined.push(offer);
                continue;
            }
            for task in &tasks {
                effects.push(Effect::Say(format!(
                    "task {} launched on agent {} ({})",
                    task.task_id.value, offer.agent_id.value, offer.hostname
                )));
            }
            effects.push(Effect::Launch {
                offer: Box::new(offer),
                tasks,
            });
        }
        if !declined.is_empty() {
            effects.push(Effect::Decline(declined));
        }
        if before > 0 && self.waiting().count() == 0 {
            effects.push(Effect::Suppress);
        }
        effects
    }

    /// The state of a task changed.
    pub(crate) fn updated(&mut self, status: &TaskStatus) -> Vec<Effect> {
        let Some(instance) = self.instance_of(&status.task_id) else {
            return Vec::new();
        };
        if matches!(self.instances[instance], Instance::Ended(_)) {
            return Vec::new();
        }
        let mut effects = vec![Effect::Say(line(status))];
        if status.agent_id.is_some() {
            effects.push(Effect::Follow {
                instance,
                status: Box::new(status.clone()),
            });
        }
        if is_terminal(status.state()) {
            self.instances[instance] = Instance::Ended(exit_status(status));
            self.finish(&mut effects);
        }
        effects
    }

    /// Ends everything; the command will end with `status`.
    pub(crate) fn interrupt(&mut self, status: u8) -> Vec<Effect> {
        self.interrupted.get_or_insert(status);
        let mut effects = Vec::new();
        for index in 0..self.instances.len() {
            let task_id = self.task_id(index);
            match &mut self.instances[index] {
                Instance::Live { agent_id, killing } if !*killing => {
                    *killing = true;
                    effects.push(Effect::Say(format!("killing task {}", task_id.value)));
                    effects.push(Effect::Kill {
                        task_id,
                        agent_id: agent_id.clone(),
                    });
                }
                waiting @ Instance::Waiting => *waiting = Instance::Ended(status),
                Instance::Live { .. } | Instance::Ended(_) => {}
            }
        }
        self.finish(&mut effects);
        effects
    }

    /// The cluster cannot go on.
    pub(crate) fn failed(&mut self, problem: &str) -> Vec<Effect> {
        if self.finished {
            return Vec::new();
        }
        self.finished = true;
        vec![Effect::Say(problem.to_owned()), Effect::Finish(1)]
    }

    fn waiting(&self) -> impl Iterator<Item = usize> {
        let waiting = |index: &usize| self.instances[*index] == Instance::Waiting;
        (0..self.instances.len()).filter(waiting)
    }

    /// The tasks that this offer is to run, marked as launched.
    fn fill(&mut self, offer: &Offer) -> Vec<TaskInfo> {
        let Ok(mut left) = Resources::from_proto(&offer.resources) else {
            return Vec::new();
        };
        let mut tasks = Vec::new();
        for index in self.waiting().collect::<Vec<_>>() {
            let Some(taken) = take(&left, &self.job.resources) else {
                break;
            };
            left -= &taken;
            let agent_id = offer.agent_id.clone();
            tasks.push(TaskInfo {
                name: self.job.name.clone(),
                task_id: self.task_id(index),
                agent_id: agent_id.clone(),
                resources: taken.to_proto(),
                command: Some(self.job.command.clone()),
                ..TaskInfo::default()
            });
            self.instances[index] = Instance::Live {
                agent_id,
                killing: false,
            };
        }
        tasks
    }

    fn task_id(&self, instance: usize) -> TaskId {
        TaskId {
            value: format!("{}.{instance}", self.job.name),
        }
    }

    fn instance_of(&self, task_id: &TaskId) -> Option<usize> {
        let number = task_id
            .value
            .strip_prefix(&self.job.name)?
            .strip_prefix('.')?;
        number
            .parse()
            .ok()
            .filter(|number| *number < self.instances.len())
    }

    fn finish(&mut self, effects: &mut Vec<Effect>) {
        let ended = |instance: &Instance| match instance {
            Instance::Ended(status) => Some(*status),
            _ => None,
        };
        let statuses: Option<Vec<u8>> = self.instances.iter().map(ended).collect();
        if let Some(statuses) = statuses
            && !self.finished
        {
            self.finished = true;
            let first = statuses
                .into_iter()
                .find(|status| *status != 0)
                .unwrap_or(0);
            effects.push(Effect::Finish(self.interrupted.unwrap_or(first)));
        }
    }
}

/// Takes what one instance needs out of an offer, what is reserved first. `None` where it does not
/// fit.
pub(crate) fn take(offered: &Resources, needed: &Resources) -> Option<Resources> {
    let mut taken = Resources::new();
    for need in needed.iter() {
        let mut missing = need.amount.clone();
        let named = offered.named(need.kind.name()).non_revocable();
        let usable = named.iter().filter(|entry| !entry.kind.is_counted());
        let mut entries: Vec<&Entry> = usable.collect();
        entries.sort_by_key(|entry| entry.kind.reservations().is_empty());
        for entry in entries {
            let part = entry.amount.intersection(&missing);
            if !part.is_empty() {
                missing.subtract(&part);
                taken.add_entry(Entry::new(entry.kind.clone(), part));
            }
        }
        if !missing.is_empty() {
            return None;
        }
    }
    Some(taken)
}

/// Whether a task in this state is over.
pub(crate) fn is_terminal(state: TaskState) -> bool {
    use TaskState as S;
    !matches!(
        state,
        S::TaskStaging
            | S::TaskStarting
            | S::TaskRunning
            | S::TaskKilling
            | S::TaskUnreachable
            | S::TaskUnknown
    )
}

fn line(status: &TaskStatus) -> String {
    let mut line = format!(
        "task {} is {}",
        status.task_id.value,
        status.state().as_str_name()
    );
    if is_terminal(status.state()) {
        if status.reason.is_some() {
            let _ = write!(line, " ({})", status.reason().as_str_name());
        }
        if let Some(message) = &status.message {
            let _ = write!(line, ": {message}");
        }
    }
    line
}

/// The exit status that stands for the end of a task: that of its command where it has one, 128
/// and the number of the signal that ended it, else 1.
fn exit_status(status: &TaskStatus) -> u8 {
    if status.state() == TaskState::TaskFinished {
        return 0;
    }
    let message = status.message();
    if let Some((_, rest)) = message.split_once("exited with status ") {
        let digits = rest
            .split(|c: char| !c.is_ascii_digit())
            .next()
            .unwrap_or_default();
        return digits.parse().unwrap_or(1);
    }
    let Some((_, name)) = message.split_once("terminated with signal ") else {
        return 1;
    };
    let named = SIGNALS.iter().find(|(text, _)| name.starts_with(text));
    named.map_or(1, |(_, number)| 128 + number)
}

/// The names that strsignal(3) gives, which Mesos' messages use.
const SIGNALS: [(&str, u8); 16] = [
    ("Hangup", 1),
    ("Interrupt", 2),
    ("Quit", 3),
    ("Illegal instruction", 4),
    ("Trace/breakpoint trap", 5),
    ("Aborted", 6),
    ("Bus error", 7),
    ("Floating point exception", 8),
    ("Killed", 9),
    ("User defined signal 1", 10),
    ("Segmentation fault", 11),
    ("User defined signal 2", 12),
    ("Broken pipe", 13),
    ("Alarm clock", 14),
    ("Terminated", 15),
    ("CPU time limit exceeded", 24),
];

#[cfg(test)]
#[path = "core_tests.rs"]
mod tests;
