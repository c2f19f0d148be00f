//! How an agent becomes known to its master, and stays so.
//!
//! A registration is sent after a random pause of up to the backoff factor, and again after
//! random pauses whose bound doubles up to one minute, until the master answers. It begins anew when
//! the master is silent, says that it sees us disconnected, or the link to it breaks: what was under
//! way then may be lost, and no executor's end is told twice but by this. (Mesos leaves such an
//! executor in the master's books.)

use std::collections::BTreeSet;
use std::time::Duration;

use tepui_protocol::mesos::internal::{
    AgentRegistered, AgentReregistered, ExitedExecutor, MasterAgentConnection, PingAgent,
    PongAgent, ReconcileTasks, RegisterAgent, ReregisterAgent, UpdateAgent, archive,
};
use tepui_protocol::mesos::v1::agent_info::{Capability, capability};
use tepui_protocol::mesos::v1::task_status::Reason;
use tepui_protocol::mesos::v1::{
    AgentInfo, ExecutorInfo, FrameworkInfo, Resource, Task, TaskState, Uuid,
};
use tepui_runtime::{Pid, Time};

use super::executor::{Executor, ExecutorState};
use super::framework::lost_as;
use super::{AgentState, Core, Effect, Note, Outbound, Timer, Turn};
use crate::checkpoint::Write;
use crate::updates::is_terminal;

/// The version of Mesos that this agent is compatible with.
pub(super) const MESOS_VERSION: &str = "1.12.0";

/// Longest bound of the pause between two registrations (Mesos' REGISTER_RETRY_INTERVAL_MAX).
pub(super) const RETRY_MAX: Duration = Duration::from_secs(60);

/// Silence of the master that is too long, until the master says otherwise: five missed pings of
/// 15 seconds.
pub(super) const DEFAULT_PING_TIMEOUT: Duration = Duration::from_secs(75);

/// What it can do, of what an agent of Mesos 1.12 can. It has no resource providers, volumes,
/// operations or drains, and does not say so: a master would send what is not done here.
pub const CAPABILITIES: &[capability::Type] = &[
    capability::Type::MultiRole,
    capability::Type::HierarchicalRole,
    capability::Type::ReservationRefinement,
    capability::Type::TaskResourceLimits,
];

/// Where an agent is in its registration.
#[derive(Debug, Clone)]
pub(super) struct Registration {
    /// Number of the last timer that counts.
    number: u64,
    /// Bound of the pause after the next sending.
    bound: Duration,
    /// When the master was last heard.
    heard: Time,
    ping_timeout: Duration,
    /// A timer looks for silence.
    watching: bool,
    /// The master was told what runs here, and has not answered.
    listed: bool,
    /// The link to the master holds, as far as we know.
    linked: bool,
    /// The executors that the master was last told to run here, by framework.
    named: BTreeSet<(String, String)>,
    /// Executors that ended since the master was told what runs here. It may have been told that
    /// they run, and does not hear of their end before it has registered us.
    ended: Vec<ExitedExecutor>,
}

impl Default for Registration {
    fn default() -> Registration {
        Registration {
            number: 0,
            bound: Duration::ZERO,
            heard: Time::default(),
            ping_timeout: DEFAULT_PING_TIMEOUT,
            watching: false,
            listed: false,
            linked: false,
            named: BTreeSet::new(),
            ended: Vec::new(),
        }
    }
}

/// Whether the master is told of an executor: of those that the agent made itself it knows nothing.
fn is_listed(executor: &Executor) -> bool {
    !executor.generated && executor.state != ExecutorState::Terminated
}

impl Core {
    /// Begins anew with the master: now, or since it is silent.
    pub(super) fn start_registration(&mut self, why: &str, turn: &mut Turn<'_>) {
        self.set_state(AgentState::Disconnected, why);
        self.registration.listed = false;
        self.updates.pause();
        self.link_master();
        self.registration.number += 1;
        self.registration.bound = self.options.registration_backoff_factor.min(RETRY_MAX);
        let pause = turn.random_up_to(self.registration.bound);
        self.timer_after(pause, Timer::Register(self.registration.number));
        // Its silence is watched from when it has registered us, and said how long is too long.
        self.registration.heard = turn.now;
    }

    fn link_master(&mut self) {
        self.registration.linked = true;
        self.effect(Effect::Link(self.options.master.clone()));
    }

    /// The link to the master broke. While it is being asked to register us, the next attempt makes
    /// another.
    pub(super) fn lost_master(&mut self, turn: &mut Turn<'_>) {
        self.registration.linked = false;
        let why = "lost the link to the master";
        match self.state {
            AgentState::Running => self.start_registration(why, turn),
            _ => self.note(Note::Info(why.to_owned())),
        }
    }

    /// Sends a registration, and sets the timer of the next.
    pub(super) fn register(&mut self, number: u64, turn: &mut Turn<'_>) {
        if number != self.registration.number || self.state != AgentState::Disconnected {
            return;
        }
        if !self.registration.linked {
            self.link_master();
        }
        self.registration.listed = self.info.id.is_some();
        self.registration.named = self.own_executors();
        let message = if self.registration.listed {
            Outbound::Reregister(Box::new(self.reregister_message()))
        } else {
            Outbound::Register(Box::new(self.register_message()))
        };
        self.tell_master(message);
        self.registration.bound = (self.registration.bound * 2).min(RETRY_MAX);
        let pause = turn.random_up_to(self.registration.bound);
        self.registration.number += 1;
        self.timer_after(pause, Timer::Register(self.registration.number));
    }

    /// While the master is asked to register us again it is told of an executor's end once more when
    /// it has done so.
    pub(super) fn tell_again_once_registered(&mut self, exited: &ExitedExecutor) {
        if self.state == AgentState::Disconnected && self.registration.listed {
            self.registration.ended.push(exited.clone());
        }
    }

    /// Whether a master that registers this agent now learns of tasks that come from here on. What
    /// it launched before it heard what runs here, and what was long under way, it has given up by
    /// then, or asks for: nobody would know that such a task runs.
    pub(super) fn is_heard_of_new_tasks(&self) -> bool {
        self.state != AgentState::Disconnected || !self.registration.listed
    }

    pub(super) fn registered(&mut self, message: AgentRegistered, turn: &mut Turn<'_>) {
        match self.state {
            AgentState::Disconnected => {
                if self
                    .info
                    .id
                    .as_ref()
                    .is_some_and(|id| *id != message.agent_id)
                {
                    self.give_up(&format!(
                        "registered as {}, but this agent is {}",
                        message.agent_id.value,
                        self.agent_id()
                    ));
                    return;
                }
                self.info.id = Some(message.agent_id);
                self.checkpoint_info();
                self.connected("registered", message.connection.as_ref(), turn);
            }
            AgentState::Running if self.info.id.as_ref() != Some(&message.agent_id) => {
                self.give_up(&format!(
                    "registered as {}, but this agent is {}",
                    message.agent_id.value,
                    self.agent_id()
                ));
            }
            AgentState::Running => {}
            AgentState::Recovering | AgentState::Terminating => {
                self.note(Note::Info(format!(
                    "ignored a registration while {:?}",
                    self.state
                )));
            }
        }
    }

    pub(super) fn reregistered(&mut self, message: AgentReregistered, turn: &mut Turn<'_>) {
        if self.info.id.as_ref() != Some(&message.agent_id) {
            self.give_up(&format!(
                "re-registered as {}, but this agent is {}",
                message.agent_id.value,
                self.agent_id()
            ));
            return;
        }
        match self.state {
            AgentState::Disconnected => {
                self.connected("re-registered", message.connection.as_ref(), turn);
            }
            AgentState::Running => {}
            AgentState::Recovering | AgentState::Terminating => {
                self.note(Note::Info(format!(
                    "ignored a re-registration while {:?}",
                    self.state
                )));
                return;
            }
        }
        for reconciliation in &message.reconciliations {
            self.reconcile(reconciliation, turn);
        }
        self.name_executors(turn);
    }

    /// What launches an executor may have been under way when the master took in what runs here,
    /// and then it has struck that executor off: it is told what runs here once more. (Mesos leaves
    /// such an executor out of the master's books.)
    fn name_executors(&mut self, turn: &mut Turn<'_>) {
        let all_named = self.own_executors().is_subset(&self.registration.named);
        if self.state == AgentState::Running && !all_named {
            let why = "the master may not know of executors that were launched meanwhile";
            self.start_registration(why, turn);
        }
    }

    /// The executors of frameworks' own that run here, by framework.
    fn own_executors(&self) -> BTreeSet<(String, String)> {
        let mut own = BTreeSet::new();
        for (framework, known) in &self.frameworks {
            let executors = known.executors.values().filter(|it| is_listed(it));
            let ids = executors.map(|it| it.info.executor_id.value.clone());
            own.extend(ids.map(|id| (framework.clone(), id)));
        }
        own
    }

    fn connected(
        &mut self,
        why: &str,
        connection: Option<&MasterAgentConnection>,
        turn: &mut Turn<'_>,
    ) {
        let seconds = connection.and_then(|connection| connection.total_ping_timeout_seconds);
        if let Some(timeout) = seconds.and_then(|s| Duration::try_from_secs_f64(s).ok()) {
            self.registration.ping_timeout = timeout;
        }
        self.set_state(AgentState::Running, why);
        self.heard_master(turn);
        let update = UpdateAgent {
            agent_id: self.info.id.clone().unwrap_or_default(),
            update_oversubscribed_resources: Some(false),
            resource_version_uuid: Some(self.resource_version()),
            ..UpdateAgent::default()
        };
        self.tell_master(Outbound::Update(Box::new(update)));
        for exited in std::mem::take(&mut self.registration.ended) {
            self.tell_master(Outbound::ExitedExecutor(exited));
        }
        let actions = self.updates.resume();
        self.carry(actions);
        if !self.registration.linked {
            self.start_registration("lost the link to the master meanwhile", turn);
        }
    }

    /// As what a task of a framework ended here, as far as that is remembered.
    fn end_of(&self, framework: &str, task: &str) -> Option<TaskState> {
        let over = self.completed.iter();
        let over = over.filter(|it| it.info.id.as_ref().is_some_and(|id| id.value == framework));
        let mut all = self.frameworks.get(framework).into_iter().chain(over);
        all.find_map(|known| known.end_of(task))
    }

    /// Tasks that the master knows and we did not list: what we do not know either is lost. One
    /// that ended and was acknowledged meanwhile has that end, which its framework was told. (A
    /// Mesos agent says that it is lost.)
    fn reconcile(&mut self, tasks: &ReconcileTasks, turn: &mut Turn<'_>) {
        let framework = &tasks.framework_id.value;
        for status in &tasks.statuses {
            let task = &status.task_id.value;
            let known = self.frameworks.get(framework).is_some_and(|known| {
                known.strays.contains(task)
                    || known
                        .executors
                        .values()
                        .any(|executor| executor.tasks.contains(task))
            });
            if !known {
                let info = tasks.framework.clone().or_else(|| {
                    self.frameworks
                        .get(framework)
                        .map(|known| known.info.clone())
                });
                let lost = lost_as(&info.unwrap_or_default(), TaskState::TaskDropped);
                // An agent that crashed may have forgotten an end that the master still knows.
                let by_master = Some(status.state()).filter(|state| is_terminal(*state));
                let (state, message) = match self.end_of(framework, task).or(by_master) {
                    Some(end) => (end, "Reconciliation: the task has ended"),
                    None => (lost, "Reconciliation: task unknown to the agent"),
                };
                let status = self.status(task, state, Reason::Reconciliation, message, turn);
                self.direct_update(framework, status);
            }
        }
    }

    pub(super) fn pinged(&mut self, from: &Pid, message: PingAgent, turn: &mut Turn<'_>) {
        self.effect(Effect::Send(
            from.clone(),
            Outbound::Pong(PongAgent::default()),
        ));
        if !message.connected && self.state == AgentState::Running {
            self.start_registration("the master sees this agent as disconnected", turn);
        } else {
            self.heard_master(turn);
        }
    }

    fn heard_master(&mut self, turn: &mut Turn<'_>) {
        self.registration.heard = turn.now;
        if !self.registration.watching {
            self.registration.watching = true;
            self.timer_after(self.registration.ping_timeout, Timer::PingSilence);
        }
    }

    /// One timer at a time looks when the master was last heard.
    pub(super) fn check_ping_silence(&mut self, turn: &mut Turn<'_>) {
        self.registration.watching = false;
        if !matches!(self.state, AgentState::Disconnected | AgentState::Running) {
            return;
        }
        let silence = turn.now - self.registration.heard;
        if silence >= self.registration.ping_timeout {
            let why = format!("no ping from the master for {} seconds", silence.as_secs());
            self.start_registration(&why, turn);
        } else {
            self.registration.watching = true;
            let rest = self.registration.ping_timeout - silence;
            self.timer_after(rest, Timer::PingSilence);
        }
    }

    /// The agent cannot go on; its executors survive, as with Mesos' EXIT.
    pub(super) fn give_up(&mut self, why: &str) {
        self.set_state(AgentState::Terminating, why);
        self.effect(Effect::Exit(Err(why.to_owned())));
    }

    fn checkpoint_info(&mut self) {
        let agent = self.agent_id().to_owned();
        let folder = Write::Folder {
            path: self.paths.agent(&agent),
        };
        self.effect(Effect::Disk(folder));
        let info = self.info.clone();
        self.write_message(self.paths.agent_info(&agent), &info);
        // The links come last: whoever follows them finds a whole checkpoint.
        for (target, link) in [
            (self.paths.agent(&agent), self.paths.latest_agent()),
            (
                self.paths.meta_agent(&agent),
                self.paths.meta_latest_agent(),
            ),
        ] {
            self.effect(Effect::Disk(Write::Link { target, link }));
        }
    }

    fn resource_version(&self) -> Uuid {
        Uuid {
            value: self.resource_version.clone(),
        }
    }

    fn register_message(&self) -> RegisterAgent {
        RegisterAgent {
            agent: self.info.clone(),
            version: Some(MESOS_VERSION.to_owned()),
            agent_capabilities: capabilities(),
            resource_version_uuid: Some(self.resource_version()),
            ..RegisterAgent::default()
        }
    }

    fn reregister_message(&self) -> ReregisterAgent {
        let executors = || self.frameworks.values().flat_map(|f| f.executors.values());
        ReregisterAgent {
            agent: self.info.clone(),
            version: Some(MESOS_VERSION.to_owned()),
            agent_capabilities: capabilities(),
            resource_version_uuid: Some(self.resource_version()),
            frameworks: self
                .frameworks
                .values()
                .map(|known| known.info.clone())
                .collect(),
            executor_infos: executors()
                .filter(|executor| is_listed(executor))
                .map(|executor| ExecutorInfo::clone(&executor.info))
                .collect(),
            tasks: self
                .frameworks
                .iter()
                .flat_map(|(id, known)| known.executors.values().map(move |e| (id, e)))
                .flat_map(|(id, e)| {
                    e.tasks
                        .values()
                        .map(move |task| self.reported(id, &task.task))
                })
                .collect(),
            completed_frameworks: self.completed.iter().map(archived).collect(),
            ..ReregisterAgent::default()
        }
    }

    /// Whether what the agent was registered with is what it is now, so that it may keep its id
    /// (Mesos' reconfiguration policy `equal`).
    pub(super) fn is_compatible(&self, earlier: &AgentInfo) -> Result<(), String> {
        let mut now = self.info.clone();
        now.id.clone_from(&earlier.id);
        let differs = [
            ("hostname", now.hostname != earlier.hostname),
            ("port", now.port() != earlier.port()),
            (
                "resources",
                !same_resources(&now.resources, &earlier.resources),
            ),
            ("attributes", now.attributes != earlier.attributes),
            ("domain", now.domain != earlier.domain),
        ];
        match differs.iter().find(|(_, differs)| *differs) {
            None => Ok(()),
            Some((what, _)) => Err(format!(
                "{what} of this agent changed since it registered as {}; to let it register \
                 anew, remove '{}'",
                earlier.id.as_ref().map_or("", |id| id.value.as_str()),
                self.paths.meta_latest_agent().display()
            )),
        }
    }
}

fn capabilities() -> Vec<Capability> {
    CAPABILITIES
        .iter()
        .map(|kind| Capability {
            r#type: Some(*kind as i32),
        })
        .collect()
}

/// Resources are equal whatever their order.
fn same_resources(left: &[Resource], right: &[Resource]) -> bool {
    left.len() == right.len() && left.iter().all(|resource| right.contains(resource))
}

fn archived(framework: &super::Framework) -> archive::Framework {
    let tasks: Vec<Task> = framework
        .completed
        .iter()
        .flat_map(|executor| executor.completed.iter())
        .map(|done| done.task.clone())
        .collect();
    archive::Framework {
        framework_info: FrameworkInfo::clone(&framework.info),
        pid: Some(framework.pid.clone()),
        tasks,
    }
}
