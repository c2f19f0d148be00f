//! What the command executor decides. It neither knows time, chance, sockets nor processes: its
//! body tells it what happened and does what it asks for.
//!
//! ```text
//! connection:  CONNECTING ──Subscribed──► SUBSCRIBED ──Disconnected──► CONNECTING ...
//!              (without checkpoint a lost agent is a shutdown)
//!
//! task:        none ──LAUNCH──► STARTING ──Started──► RUNNING ──KILL, SHUTDOWN──► KILLING
//!                     TASK_STARTING   TASK_RUNNING      │          TASK_KILLING      │
//!                                                       └────────Ended──────► ENDED ◄┘
//!                                         TASK_FINISHED, TASK_FAILED, TASK_KILLED
//! ```
//!
//! It exits when its terminal update is acknowledged; or a minute after the update, while the agent
//! is there but does not acknowledge it; or when nobody is left to acknowledge anything.

use std::time::Duration;

use bytes::Bytes;
use nix::libc;
use tepui_protocol::mesos::v1::executor::{Call, Event, event};
use tepui_protocol::mesos::v1::{
    CommandInfo, TaskInfo, TaskResourceLimitation, TaskState, TaskStatus, task_status,
};

use crate::core::Figures;
use crate::executor::checks::{Checks, Kind, Outcome, Probe};
use crate::executor::post::{
    ACKNOWLEDGEMENT_WAIT, Post, Turn, completion_limit, grace_period, own_grace,
};
use crate::executor::settings::Settings;
use crate::executor::status;
use crate::executor::variables::with_variables;
use crate::process::mem;

mod checks;
#[cfg(test)]
mod tests;

/// What built-in executors keep for themselves of the shutdown grace period.
const SHUTDOWN_RESERVE: Duration = Duration::from_secs(2);

/// What happened.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// The executor was started.
    Start,
    /// The agent sent an event.
    Event(Box<Event>),
    /// The connection to the agent could not be made, or broke.
    Disconnected,
    /// The task's process runs.
    Started,
    /// The task's process could not be started.
    NotStarted { error: String },
    /// The task's process ended, with its raw wait status and whether memory was wanting.
    Ended {
        status: i32,
        out_of_memory: Option<Figures>,
    },
    /// What came of a probe.
    Probed {
        kind: Kind,
        number: u64,
        outcome: Outcome,
    },
    /// A timer that was armed is due.
    Due(Timer),
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    /// Connect to the agent and send this SUBSCRIBE.
    Subscribe(Box<Call>),
    /// Send a call over the connection there is.
    Send(Box<Call>),
    /// Answered by [`Input::Started`] or [`Input::NotStarted`], and later [`Input::Ended`].
    StartTask(Box<CommandInfo>),
    /// Send a signal to all processes of the task.
    Signal(i32),
    /// Carry out a check; answered by [`Input::Probed`]. There is one of a kind at a time.
    Probe(Box<Probe>),
    /// The probe of this kind that is under way is not wanted any more: kill its processes.
    Abandon(Kind),
    /// Tell of [`Input::Due`] after this time; replaces one of the same name.
    Arm(Timer, Duration),
    /// The same, after a random time up to this.
    ArmWithin(Timer, Duration),
    Cancel(Timer),
    /// The executor is done.
    Exit,
}

/// What may become due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// SIGKILL follows SIGTERM.
    Escalation,
    /// TaskInfo.max_completion_time.
    MaxCompletion,
    /// The terminal update was not acknowledged.
    Acknowledgement,
    /// The agent did not come back.
    Recovery,
    /// The next attempt to subscribe.
    Subscription,
    /// The next probe of a check.
    Probe(Kind),
    /// A probe takes too long.
    ProbeTimeout(Kind),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Starting,
    Running,
    Ended,
}

#[derive(Debug)]
struct Task {
    info: TaskInfo,
    phase: Phase,
    kill: Option<Kill>,
    /// max_completion_time was over.
    overdue: bool,
    /// No update of it was acknowledged yet.
    unacknowledged: bool,
    checks: Checks,
}

/// A kill under way.
#[derive(Clone, Copy, Debug)]
struct Kill {
    since: Duration,
    grace: Duration,
}

/// One executor and its one task.
#[derive(Debug)]
pub(crate) struct Core {
    post: Post,
    task: Option<Task>,
    /// The last update's uuid, if it is a terminal one.
    terminal: Option<Bytes>,
    shutting_down: bool,
    effects: Vec<Effect>,
}

impl Core {
    pub(crate) fn new(settings: Settings) -> Core {
        Core {
            post: Post::new(settings),
            task: None,
            terminal: None,
            shutting_down: false,
            effects: Vec::new(),
        }
    }

    /// Takes one input; gives what is to be done, in order.
    pub(crate) fn handle(&mut self, input: Input, turn: &mut Turn<'_>) -> Vec<Effect> {
        match input {
            Input::Start | Input::Due(Timer::Subscription) => self.subscribe(),
            Input::Event(event) => self.event(*event, turn),
            Input::Disconnected => self.disconnected(turn),
            Input::Started => self.started(turn),
            Input::NotStarted { error } => self.not_started(&error, turn),
            Input::Ended {
                status,
                out_of_memory,
            } => self.ended(status, out_of_memory, turn),
            Input::Due(Timer::Escalation) => self.signal(libc::SIGKILL),
            Input::Due(Timer::MaxCompletion) => self.overdue(turn),
            Input::Due(Timer::Acknowledgement) => self.effects.push(Effect::Exit),
            Input::Due(Timer::Recovery) => self.shutdown(turn),
            Input::Due(Timer::Probe(kind)) => self.probe_due(kind),
            Input::Due(Timer::ProbeTimeout(kind)) => self.probe_timed_out(kind, turn),
            Input::Probed {
                kind,
                number,
                outcome,
            } => self.probed(kind, number, &outcome, turn),
        }
        std::mem::take(&mut self.effects)
    }

    fn subscribe(&mut self) {
        let tasks = self.task.iter().filter(|task| task.unacknowledged);
        let tasks = tasks.map(|task| task.info.clone()).collect();
        let call = self.post.subscribe(tasks).map(Box::new);
        self.effects.extend(call.map(Effect::Subscribe));
    }

    fn event(&mut self, event: Event, turn: &mut Turn<'_>) {
        match event.r#type() {
            event::Type::Subscribed => {
                if let Some(subscribed) = event.subscribed {
                    self.subscribed(subscribed);
                }
            }
            event::Type::Launch => {
                if let Some(launch) = event.launch {
                    self.launch(launch.task, turn);
                }
            }
            event::Type::Kill => {
                if let Some(kill) = event.kill {
                    self.kill_event(kill, turn);
                }
            }
            event::Type::Acknowledged => {
                if let Some(acknowledged) = event.acknowledged {
                    self.acknowledged(&acknowledged);
                }
            }
            // A group is for another kind of executor; as Mesos' we do not go on after it.
            event::Type::Shutdown | event::Type::LaunchGroup => self.shutdown(turn),
            event::Type::Message
            | event::Type::Error
            | event::Type::Heartbeat
            | event::Type::Unknown => {}
        }
    }

    fn subscribed(&mut self, subscribed: event::Subscribed) {
        let untold = self.post.subscribed(subscribed.framework_info);
        self.effects.push(Effect::Cancel(Timer::Recovery));
        self.effects.push(Effect::Cancel(Timer::Subscription));
        let untold = untold.into_iter().map(|call| Effect::Send(Box::new(call)));
        self.effects.extend(untold);
        if self.terminal.is_some() {
            self.effects
                .push(Effect::Arm(Timer::Acknowledgement, ACKNOWLEDGEMENT_WAIT));
        }
    }

    fn disconnected(&mut self, turn: &mut Turn<'_>) {
        self.post.disconnected();
        self.effects.push(Effect::Cancel(Timer::Acknowledgement));
        if self.is_over() {
            self.effects.push(Effect::Exit);
            return;
        }
        let settings = self.post.settings();
        let (checkpoint, timeout) = (settings.checkpoint, settings.recovery_timeout);
        let backoff = settings.subscription_backoff_max;
        if !checkpoint && !self.shutting_down {
            // A framework without checkpoint does not want its tasks to outlive the agent.
            self.shutdown(turn);
            return;
        }
        if checkpoint {
            if self.post.recover() {
                self.effects.push(Effect::Arm(Timer::Recovery, timeout));
            }
            self.effects
                .push(Effect::ArmWithin(Timer::Subscription, backoff));
        }
    }

    /// Nothing runs and nobody is there, or will be, to be told.
    fn is_over(&self) -> bool {
        let ended = self
            .task
            .as_ref()
            .is_none_or(|task| task.phase == Phase::Ended);
        let alone = !self.post.settings().checkpoint;
        ended && !self.post.is_subscribed() && (alone || self.shutting_down)
    }

    fn launch(&mut self, info: TaskInfo, turn: &mut Turn<'_>) {
        if self.task.is_some() {
            let message = "Attempted to run multiple tasks using a \"command\" executor";
            let status = self.status(&info, TaskState::TaskFailed, message, turn);
            self.update(status);
            return;
        }
        let prepared = with_variables(&info, Vec::new());
        let (checks, problem) = match Checks::of(&prepared) {
            Ok(checks) => (checks, None),
            Err(problem) => (Checks::default(), Some(problem)),
        };
        self.task = Some(Task {
            info: info.clone(),
            phase: Phase::Starting,
            kill: None,
            overdue: false,
            unacknowledged: true,
            checks,
        });
        let status = self.status(&info, TaskState::TaskStarting, "", turn);
        self.update(status);
        match problem {
            None => {
                let command = Box::new(prepared.command.unwrap_or_default());
                self.effects.push(Effect::StartTask(command));
            }
            Some(problem) => self.not_started(&problem, turn),
        }
    }

    fn started(&mut self, turn: &mut Turn<'_>) {
        let Some(task) = &mut self.task else { return };
        if task.phase != Phase::Starting {
            return;
        }
        task.phase = Phase::Running;
        let (info, killing) = (task.info.clone(), task.kill.is_some());
        if killing {
            // The kill came before there was anything to signal.
            self.effects.push(Effect::Signal(libc::SIGTERM));
            return;
        }
        let status = self.status(&info, TaskState::TaskRunning, "", turn);
        self.update(status);
        if let Some(limit) = completion_limit(&info) {
            self.effects.push(Effect::Arm(Timer::MaxCompletion, limit));
        }
        if let Some(task) = &mut self.task {
            task.checks.start(turn.now, &mut self.effects);
        }
    }

    fn not_started(&mut self, error: &str, turn: &mut Turn<'_>) {
        let Some(task) = &self.task else { return };
        let message = format!("Failed to launch task: {error}");
        let status = self.status(&task.info, TaskState::TaskFailed, &message, turn);
        self.finish(status);
    }

    fn ended(&mut self, raw: i32, out_of_memory: Option<Figures>, turn: &mut Turn<'_>) {
        let Some(task) = self.task.as_ref().filter(|task| task.phase != Phase::Ended) else {
            return;
        };
        // Want of memory ends the container, whatever else was on the way; the containerizer says
        // the same, and it must not matter who is faster.
        let exceeded = out_of_memory.map(|figures| figures.describe());
        let state = if task.overdue || exceeded.is_some() {
            TaskState::TaskFailed
        } else if task.kill.is_some() {
            // Even where it exits with 0: it was killed and not finished.
            TaskState::TaskKilled
        } else if raw == 0 {
            TaskState::TaskFinished
        } else {
            TaskState::TaskFailed
        };
        let overdue = task.overdue;
        let message = format!("Command {}", status::describe(raw));
        let mut status = self.status(&task.info, state, &message, turn);
        if overdue {
            status.reason = Some(task_status::Reason::MaxCompletionTimeReached as i32);
        }
        if let Some(exceeded) = exceeded {
            status.reason = Some(task_status::Reason::ContainerLimitationMemory as i32);
            status.message = Some(exceeded.message);
            status.limitation = Some(TaskResourceLimitation {
                resources: vec![mem(exceeded.megabytes)],
            });
        }
        self.effects.push(Effect::Cancel(Timer::Escalation));
        self.effects.push(Effect::Cancel(Timer::MaxCompletion));
        self.finish(status);
    }

    /// The task's last update.
    fn finish(&mut self, status: TaskStatus) {
        if let Some(task) = &mut self.task {
            task.phase = Phase::Ended;
            task.checks.stop(&mut self.effects);
        }
        self.terminal.clone_from(&status.uuid);
        self.update(status);
        if self.is_over() {
            self.effects.push(Effect::Exit);
        } else if self.post.is_subscribed() {
            self.effects
                .push(Effect::Arm(Timer::Acknowledgement, ACKNOWLEDGEMENT_WAIT));
        }
    }

    fn acknowledged(&mut self, acknowledged: &event::Acknowledged) {
        self.post.acknowledged(&acknowledged.uuid);
        if let Some(task) = &mut self.task
            && task.info.task_id == acknowledged.task_id
        {
            task.unacknowledged = false;
        }
        if self.terminal.as_ref() == Some(&acknowledged.uuid) {
            self.effects.push(Effect::Exit);
        }
    }

    fn kill_event(&mut self, kill: event::Kill, turn: &mut Turn<'_>) {
        let Some(task) = &self.task else {
            // It was killed before it got here, and will not come any more.
            self.effects.push(Effect::Exit);
            return;
        };
        if task.info.task_id != kill.task_id {
            return;
        }
        let grace =
            grace_period(kill.kill_policy.as_ref()).unwrap_or_else(|| own_grace(&task.info));
        self.kill(grace, turn);
    }

    fn overdue(&mut self, turn: &mut Turn<'_>) {
        let Some(task) = &mut self.task else { return };
        if task.phase == Phase::Running && task.kill.is_none() {
            task.overdue = true;
            self.kill(Duration::ZERO, turn);
        }
    }

    /// SIGTERM now and SIGKILL after the grace. A later kill may shorten the grace of an earlier
    /// one and never lengthens it.
    fn kill(&mut self, grace: Duration, turn: &mut Turn<'_>) {
        let Some(task) = &mut self.task else { return };
        if task.phase == Phase::Ended {
            return;
        }
        if let Some(kill) = &mut task.kill {
            if grace < kill.grace {
                kill.grace = grace;
                let elapsed = turn.now.saturating_sub(kill.since);
                let remaining = grace.saturating_sub(elapsed);
                self.effects.push(Effect::Arm(Timer::Escalation, remaining));
            }
            return;
        }
        task.kill = Some(Kill {
            since: turn.now,
            grace,
        });
        task.checks.stop(&mut self.effects);
        let (info, overdue, phase) = (task.info.clone(), task.overdue, task.phase);
        if !overdue && self.post.tells_killing() {
            let status = self.status(&info, TaskState::TaskKilling, "", turn);
            self.update(status);
        }
        if phase == Phase::Running {
            self.effects.push(Effect::Signal(libc::SIGTERM));
        }
        self.effects.push(Effect::Arm(Timer::Escalation, grace));
    }

    fn signal(&mut self, signal: i32) {
        match self.task.as_ref().map(|task| task.phase) {
            Some(Phase::Running) => self.effects.push(Effect::Signal(signal)),
            // It is about to be there: asked again when it is.
            Some(Phase::Starting) => {
                self.effects
                    .push(Effect::Arm(Timer::Escalation, Duration::from_millis(100)));
            }
            _ => {}
        }
    }

    fn shutdown(&mut self, turn: &mut Turn<'_>) {
        self.shutting_down = true;
        if self.is_over() || self.task.is_none() {
            self.effects.push(Effect::Exit);
            return;
        }
        self.kill(
            self.post
                .settings()
                .shutdown_grace_period
                .saturating_sub(SHUTDOWN_RESERVE),
            turn,
        );
    }

    fn status(
        &self,
        info: &TaskInfo,
        state: TaskState,
        message: &str,
        turn: &mut Turn<'_>,
    ) -> TaskStatus {
        let own = |task: &&Task| task.info.task_id == info.task_id;
        let checks = self.task.as_ref().filter(own).map(|task| &task.checks);
        TaskStatus {
            healthy: checks.and_then(|checks| checks.healthy(state)),
            check_status: checks.and_then(Checks::status),
            ..self.post.status(&info.task_id, state, message, turn)
        }
    }

    fn update(&mut self, status: TaskStatus) {
        let call = self.post.update(status).map(Box::new);
        self.effects.extend(call.map(Effect::Send));
    }
}
