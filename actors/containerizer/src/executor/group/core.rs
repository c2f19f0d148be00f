//! What the default executor decides. As the command executor's core it knows neither time, chance,
//! sockets nor processes: its body carries out what it asks for and tells what came of it.
//!
//! ```text
//! connection:  CONNECTING ──Subscribed──► SUBSCRIBED ──Disconnected──► CONNECTING ...
//!              (without checkpoint a lost agent is the end)
//!
//! task:  LAUNCH_GROUP ──► LAUNCHING ──► ANSWERED ──launched──► RUNNING ──wait answered──► gone
//!        TASK_STARTING                     │   TASK_RUNNING    TASK_FINISHED, _FAILED, _KILLED
//!                                          └──────refused──► gone
//!                                                            TASK_FAILED
//! ```
//!
//! Where the answer to a launch was lost, the agent is asked whether the container is there, or was,
//! before it is launched again: no task runs twice.
//! A group goes on together: nobody of it is RUNNING before the last of its launches is answered.
//! A task that FAILED or was KILLED takes the others of its group with it; one that FINISHED does
//! not. A kill is SIGTERM, and SIGKILL after its grace; a later kill changes nothing. What the agent
//! does not answer is asked again every second.
//!
//! It exits when its last task ended and every update is acknowledged, or a minute after that task
//! if they are not.

use std::collections::BTreeMap;
use std::time::Duration;

use nix::libc;
use tepui_invariants::Planted;
use tepui_protocol::mesos::v1::agent;
use tepui_protocol::mesos::v1::agent::response::WaitContainer;
use tepui_protocol::mesos::v1::executor::{Call, Event, event};
use tepui_protocol::mesos::v1::{
    ContainerId, ContainerStatus, TaskGroupInfo, TaskId, TaskInfo, TaskState, TaskStatus,
};
use uuid::Uuid;

use crate::executor::checks::{Alarm, Checks, Kind, Outcome, Probe};
use crate::executor::post::{ACKNOWLEDGEMENT_WAIT, Post, Turn};
use crate::executor::settings::Settings;

use self::runs::Run;

pub(crate) mod calls;
mod ends;
mod kills;
mod runs;
#[cfg(test)]
mod tests;

/// How long it takes until the agent is asked again.
const RETRY: Duration = Duration::from_secs(1);

/// What happened.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// The executor was started.
    Start,
    /// The agent sent an event.
    Event(Box<Event>),
    /// The connection to the agent could not be made, or broke.
    Disconnected,
    /// What the agent was asked is answered.
    Answered(Ask, Answer),
    /// What came of a probe of this task.
    Probed {
        task: u64,
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
    /// Ask the agent about a container; answered by [`Input::Answered`].
    Ask(Ask, Box<agent::Call>),
    /// Carry out a check by network for this task; answered by [`Input::Probed`].
    Probe(u64, Box<Probe>),
    /// Let `tasks/<task id>` lead to the sandbox of this container.
    Link(TaskId, ContainerId),
    /// Say what a check's command said, from its sandbox.
    Echo(String),
    /// Tell of [`Input::Due`] after this time; replaces one of the same name.
    Arm(Timer, Duration),
    /// The same, after a random time up to this.
    ArmWithin(Timer, Duration),
    Cancel(Timer),
    /// The executor is done.
    Exit,
}

/// Something the agent is asked; but for kills only one of a kind is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ask {
    pub(crate) of: Of,
    pub(crate) errand: Errand,
}

/// Whose container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Of {
    Task(u64),
    /// The command of a check.
    Run(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Errand {
    Launch,
    /// Whether it is there.
    Find,
    Wait,
    Kill(i32),
    Remove,
}

/// What the agent answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// As HTTP has it, with the problem's text or what a wait tells.
    Given {
        status: u16,
        problem: String,
        end: Option<Box<WaitContainer>>,
    },
    /// There was no answer, and why. Nobody knows whether it was done.
    Broken(String),
}

/// What may become due; the numbers are those of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The next attempt to subscribe.
    Subscription,
    /// The agent did not come back.
    Recovery,
    /// The last updates were not acknowledged.
    Acknowledgement,
    /// SIGKILL follows SIGTERM.
    Escalation(u64),
    /// TaskInfo.max_completion_time.
    MaxCompletion(u64),
    /// The agent is asked again.
    Retry(Of),
    /// The next probe of a check.
    Probe(u64, Kind),
    /// A probe takes too long.
    ProbeTimeout(u64, Kind),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Its launch is not asked for yet.
    New,
    Launching,
    /// Its launch was asked for, and nobody told what came of it.
    Doubtful,
    /// The same, and it does not run now; perhaps it did.
    Missing,
    /// Its launch is answered, and that of others of its group is not.
    Answered,
    Running,
}

#[derive(Debug)]
struct Task {
    info: TaskInfo,
    group: u64,
    container: ContainerId,
    phase: Phase,
    /// Why there is no container for it.
    refused: Option<String>,
    /// Its launch, or its end, is being waited for.
    asked: bool,
    kill: Option<Kill>,
    /// max_completion_time was over.
    overdue: bool,
    /// Another one's end is the end of its group.
    condemned: bool,
    /// No update of it was acknowledged yet.
    unacknowledged: bool,
    checks: Checks,
}

/// A kill under way.
#[derive(Clone, Copy, Debug)]
struct Kill {
    signal: i32,
    /// The agent is asked, or has done it.
    asked: bool,
}

/// One executor and its tasks.
#[derive(Debug)]
pub(crate) struct Core {
    post: Post,
    /// Its own sandbox.
    sandbox: String,
    /// The address that its tasks have.
    address: String,
    /// The container that it is in, as the agent told.
    root: Option<ContainerId>,
    /// The user that it runs as, and with it what does not say otherwise.
    user: Option<String>,
    /// By number, in the order they came.
    tasks: BTreeMap<u64, Task>,
    /// Commands of checks, by number.
    runs: BTreeMap<u64, Run>,
    /// The last number that was given away.
    number: u64,
    shutting_down: bool,
    /// A bug to have, in a test build.
    pub(crate) planted: Planted,
    /// A task has ended with the input that is being taken.
    ended: bool,
    effects: Vec<Effect>,
}

impl Core {
    /// # Errors
    /// Names the variable that is missing or has no sense.
    pub(crate) fn new(settings: Settings) -> Result<Core, String> {
        let sandbox = settings.sandbox.clone();
        let sandbox = sandbox.ok_or("environment variable MESOS_SANDBOX is not set")?;
        let endpoint = &settings.agent_endpoint;
        let address = endpoint.rsplit_once(':').map(|(address, _)| address);
        let address = address
            .ok_or_else(|| format!("MESOS_AGENT_ENDPOINT: '{endpoint}' is no address with a port"))?
            .trim_matches(['[', ']']);
        // Executor, tasks and agent share the host's network.
        let address = settings.ip.clone().unwrap_or_else(|| address.to_owned());
        Ok(Core {
            post: Post::new(settings),
            sandbox,
            address,
            root: None,
            user: None,
            tasks: BTreeMap::new(),
            runs: BTreeMap::new(),
            number: 0,
            shutting_down: false,
            planted: Planted::NONE,
            ended: false,
            effects: Vec::new(),
        })
    }

    /// Takes one input; gives what is to be done, in order.
    pub(crate) fn handle(&mut self, input: Input, turn: &mut Turn<'_>) -> Vec<Effect> {
        match input {
            Input::Start | Input::Due(Timer::Subscription) => self.subscribe(),
            Input::Event(event) => self.event(*event, turn),
            Input::Disconnected => self.disconnected(turn),
            Input::Answered(ask, answer) => self.answered(ask, answer, turn),
            Input::Probed {
                task,
                kind,
                number,
                outcome,
            } => self.probed(task, kind, number, &outcome, turn),
            // Nobody is there who could be told, or asked to end the tasks: they end with the
            // executor's own container.
            Input::Due(Timer::Acknowledgement | Timer::Recovery) => {
                self.effects.push(Effect::Exit);
            }
            Input::Due(Timer::Escalation(task)) => self.escalate(task),
            Input::Due(Timer::MaxCompletion(task)) => self.overdue(task, turn),
            Input::Due(Timer::Retry(Of::Task(task))) => self.pursue(task),
            Input::Due(Timer::Retry(Of::Run(run))) => self.pursue_run(run),
            Input::Due(Timer::Probe(task, kind)) => self.probe_due(task, kind, turn),
            Input::Due(Timer::ProbeTimeout(task, kind)) => self.probe_timed_out(task, kind, turn),
        }
        if std::mem::take(&mut self.ended) && self.tasks.is_empty() {
            self.finish();
        }
        std::mem::take(&mut self.effects)
    }

    fn subscribe(&mut self) {
        let tasks = self.tasks.values().filter(|task| task.unacknowledged);
        let tasks = tasks.map(|task| task.info.clone()).collect();
        let call = self.post.subscribe(tasks).map(Box::new);
        self.effects.extend(call.map(Effect::Subscribe));
    }

    fn event(&mut self, event: Event, turn: &mut Turn<'_>) {
        match event.r#type() {
            event::Type::Subscribed => {
                if let Some(subscribed) = event.subscribed {
                    self.subscribed(subscribed, turn);
                }
            }
            event::Type::LaunchGroup => {
                if let Some(launch) = event.launch_group {
                    self.launch_group(launch.task_group, turn);
                }
            }
            event::Type::Kill => {
                if let Some(kill) = event.kill {
                    self.kill_event(&kill, turn);
                }
            }
            event::Type::Acknowledged => {
                if let Some(acknowledged) = event.acknowledged {
                    self.acknowledged(&acknowledged);
                }
            }
            // A task by itself is for another kind of executor; as Mesos' we do not go on after it.
            event::Type::Shutdown | event::Type::Launch => self.shutdown(turn),
            event::Type::Message
            | event::Type::Error
            | event::Type::Heartbeat
            | event::Type::Unknown => {}
        }
    }

    fn subscribed(&mut self, subscribed: event::Subscribed, turn: &mut Turn<'_>) {
        let command = subscribed.executor_info.command;
        let user = command.and_then(|command| command.user);
        let user = user.unwrap_or_else(|| subscribed.framework_info.user.clone());
        self.user = Some(user).filter(|user| !user.is_empty());
        let untold = self.post.subscribed(subscribed.framework_info);
        self.root = subscribed.container_id.or(self.root.take());
        self.effects.push(Effect::Cancel(Timer::Recovery));
        self.effects.push(Effect::Cancel(Timer::Subscription));
        let untold = untold.into_iter().map(|call| Effect::Send(Box::new(call)));
        self.effects.extend(untold);
        for number in self.tasks.keys().copied().collect::<Vec<_>>() {
            self.pursue(number);
            self.resume_checks(number, turn);
        }
        for number in self.runs.keys().copied().collect::<Vec<_>>() {
            self.pursue_run(number);
        }
        if self.tasks.is_empty() && !self.post.is_settled() {
            let wait = Effect::Arm(Timer::Acknowledgement, ACKNOWLEDGEMENT_WAIT);
            self.effects.push(wait);
        }
    }

    fn disconnected(&mut self, turn: &mut Turn<'_>) {
        self.post.disconnected();
        let settings = self.post.settings();
        if !settings.checkpoint {
            // A framework without checkpoint does not want its tasks to outlive the agent, and
            // nobody is there to end them one by one.
            self.effects.push(Effect::Exit);
            return;
        }
        let (timeout, backoff) = (settings.recovery_timeout, settings.subscription_backoff_max);
        self.effects.push(Effect::Cancel(Timer::Acknowledgement));
        for number in self.tasks.keys().copied().collect::<Vec<_>>() {
            self.stop_checks(number, turn);
        }
        for kill in self
            .tasks
            .values_mut()
            .filter_map(|task| task.kill.as_mut())
        {
            // A signal was sent; but the agent may not have lived to destroy a container.
            kill.asked &= kill.signal != libc::SIGKILL;
        }
        if self.post.recover() {
            self.effects.push(Effect::Arm(Timer::Recovery, timeout));
        }
        self.effects
            .push(Effect::ArmWithin(Timer::Subscription, backoff));
    }

    fn acknowledged(&mut self, acknowledged: &event::Acknowledged) {
        if !self.post.acknowledged(&acknowledged.uuid) {
            return;
        }
        for task in self.tasks.values_mut() {
            if task.info.task_id == acknowledged.task_id {
                task.unacknowledged = false;
            }
        }
        if self.tasks.is_empty() && self.post.is_settled() {
            self.effects.push(Effect::Exit);
        }
    }

    fn shutdown(&mut self, turn: &mut Turn<'_>) {
        if std::mem::replace(&mut self.shutting_down, true) {
            return;
        }
        if self.tasks.is_empty() {
            self.finish();
        }
        for number in self.tasks.keys().copied().collect::<Vec<_>>() {
            self.kill(number, kills::GROUP_GRACE, turn);
        }
    }

    /// Nothing runs any more: it is over when everything is acknowledged.
    fn finish(&mut self) {
        if self.post.is_settled() {
            self.effects.push(Effect::Exit);
        } else if self.post.is_subscribed() {
            let wait = Effect::Arm(Timer::Acknowledgement, ACKNOWLEDGEMENT_WAIT);
            self.effects.push(wait);
        }
    }

    fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    fn launch_group(&mut self, group: TaskGroupInfo, turn: &mut Turn<'_>) {
        let Some(root) = self.root.clone().filter(|_| !self.shutting_down) else {
            let (state, problem) = if self.shutting_down {
                (TaskState::TaskKilled, "The executor is shutting down")
            } else {
                (
                    TaskState::TaskFailed,
                    "The agent did not tell the executor's container",
                )
            };
            for task in group.tasks {
                let status = self.post.status(&task.task_id, state, problem, turn);
                self.update(status);
            }
            return;
        };
        self.effects.push(Effect::Cancel(Timer::Acknowledgement));
        let group_number = self.next_number();
        let mut launched = Vec::new();
        for info in group.tasks {
            let container = nested(&root, &Uuid::from_bytes((turn.uuid)()).to_string());
            let (checks, problem) = match Checks::of(&self.with_variables(&info)) {
                Ok(checks) => (checks, None),
                Err(problem) => (Checks::default(), Some(problem)),
            };
            let task = Task {
                info,
                group: group_number,
                container,
                phase: Phase::New,
                refused: None,
                asked: false,
                kill: None,
                overdue: false,
                condemned: false,
                unacknowledged: true,
                checks,
            };
            let status = self.status(&task, TaskState::TaskStarting, "", turn);
            let number = self.next_number();
            self.tasks.insert(number, task);
            self.update(status);
            launched.push((number, problem));
        }
        for (number, problem) in launched {
            match problem {
                None => self.pursue(number),
                Some(problem) => {
                    let problem = format!("Failed to launch task: {problem}");
                    self.not_launched(number, problem, turn);
                }
            }
        }
    }

    /// Asks what is to be asked for a task and is not under way.
    fn pursue(&mut self, number: u64) {
        let Some(task) = self.tasks.get_mut(&number) else {
            return;
        };
        if !self.post.is_subscribed() {
            return;
        }
        let mut errands = Vec::new();
        if !std::mem::replace(&mut task.asked, true) {
            if task.phase == Phase::New {
                task.phase = Phase::Launching;
            }
            errands.push(match task.phase {
                Phase::New | Phase::Launching | Phase::Answered => Errand::Launch,
                Phase::Doubtful => Errand::Find,
                Phase::Missing | Phase::Running => Errand::Wait,
            });
        }
        // What does not run yet cannot be told anything, but it can be destroyed.
        let running = task.phase == Phase::Running;
        if let Some(kill) = &mut task.kill
            && (running || kill.signal == libc::SIGKILL)
            && !std::mem::replace(&mut kill.asked, true)
        {
            errands.push(Errand::Kill(kill.signal));
        }
        for errand in errands {
            self.ask_for_task(number, errand);
        }
    }

    fn answered(&mut self, ask: Ask, answer: Answer, turn: &mut Turn<'_>) {
        match (ask.of, ask.errand) {
            (Of::Task(task), Errand::Launch) => self.launch_answered(task, answer, turn),
            (Of::Task(task), Errand::Find) => self.find_answered(task, &answer, turn),
            (Of::Task(task), Errand::Wait) => self.wait_answered(task, answer, turn),
            (Of::Task(task), Errand::Kill(signal)) => self.kill_answered(task, signal, &answer),
            // The containers of tasks stay, for the sake of their sandboxes.
            (Of::Task(_), Errand::Remove) => {}
            (Of::Run(run), errand) => self.run_answered(run, errand, answer, turn),
        }
    }

    /// Asks again after a while; if the agent is away, when it is there again.
    fn retry(&mut self, of: Of) {
        if self.post.is_subscribed() {
            self.effects.push(Effect::Arm(Timer::Retry(of), RETRY));
        }
    }

    fn status(
        &self,
        task: &Task,
        state: TaskState,
        message: &str,
        turn: &mut Turn<'_>,
    ) -> TaskStatus {
        TaskStatus {
            healthy: task.checks.healthy(state),
            check_status: task.checks.status(),
            container_status: Some(ContainerStatus {
                container_id: Some(task.container.clone()),
                ..ContainerStatus::default()
            }),
            ..self.post.status(&task.info.task_id, state, message, turn)
        }
    }

    fn update(&mut self, status: TaskStatus) {
        let call = self.post.update(status).map(Box::new);
        self.effects.extend(call.map(Effect::Send));
    }
}

impl Answer {
    /// The agent is not there, or not yet what it was.
    fn is_away(&self) -> bool {
        matches!(self, Answer::Broken(_) | Answer::Given { status: 503, .. })
    }
}

impl Timer {
    fn of(task: u64, alarm: Alarm) -> Timer {
        match alarm {
            Alarm::Probe(kind) => Timer::Probe(task, kind),
            Alarm::Timeout(kind) => Timer::ProbeTimeout(task, kind),
        }
    }
}

/// The container of this id in another.
fn nested(parent: &ContainerId, value: &str) -> ContainerId {
    ContainerId {
        value: value.to_owned(),
        parent: Some(Box::new(parent.clone())),
    }
}
