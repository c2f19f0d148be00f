//! From messages to facts.
//!
//! What a process says is taken when it is sent: that is when it has decided. What it is told is
//! taken when it is delivered: only then can it know.

use tepui_agent::AGENT_ID;
use tepui_invariants::{Fact, TaskKey};
use tepui_protocol::mesos::internal::{
    AgentRegistered, AgentReregistered, FrameworkToExecutor, KillTask, RegisterAgent,
    ReregisterAgent, RunTask, RunTaskGroup, Shutdown, ShutdownExecutor, ShutdownFramework,
    StatusUpdateAcknowledgement, StatusUpdateMessage, UnregisterAgent,
};
use tepui_protocol::mesos::v1::offer::Operation;
use tepui_protocol::mesos::v1::scheduler::{Call, Event, call, event};
use tepui_protocol::mesos::v1::task_status::Reason;
use tepui_protocol::mesos::v1::{
    FrameworkId, FrameworkInfo, Offer, OfferId, TaskInfo, TaskState, executor,
};
use tepui_protocol::tepui::allocator::{AddFramework, RemoveFramework, UpdateFramework};
use tepui_protocol::tepui::containerizer::{Update, Updated};
use tepui_runtime::{Passage, Pid, Stage};

use super::Seen;
use super::errands::Errand;
use super::groups::grouped;
use crate::framework::{is_default, sender_of};

impl Seen {
    /// What a passage means, in the order in which it happened.
    pub(super) fn facts(&mut self, passage: &Passage<'_>) -> Vec<Fact> {
        let Passage {
            stage, from, to, ..
        } = *passage;
        match stage {
            Stage::Exited if *to == self.master => self.exited(passage),
            Stage::Exited => Vec::new(),
            Stage::Sent if *from == self.master => self.said_by_master(passage),
            Stage::Sent if from.id() == AGENT_ID => self.said_by_agent(passage),
            Stage::Sent => {
                self.asked_of_containerizers(passage);
                Vec::new()
            }
            Stage::Delivered if *to == self.master => self.told_to_master(passage),
            Stage::Delivered if to.id() == AGENT_ID => self.told_to_agent(passage),
            Stage::Delivered if *from == self.master => self.told_to_framework(passage),
            // What HTTP brings is a message between the gateway and the master.
            Stage::Delivered | Stage::Packet => Vec::new(),
        }
    }

    /// An agent has a container's limits changed, and is told that they are.
    fn asked_of_containerizers(&mut self, passage: &Passage<'_>) {
        if let Some(update) = passage.message_as::<Update>() {
            self.agents.changes_limits(&update.container_id.value, true);
        } else if let Some(updated) = passage.message_as::<Updated>() {
            self.agents
                .changes_limits(&updated.container_id.value, false);
            self.count("changes of limits", 1);
        }
    }

    fn exited(&mut self, passage: &Passage<'_>) -> Vec<Fact> {
        self.count("exits told to the master", 1);
        let away = self.frameworks.exited(passage.from);
        let fact = away.map(|(framework, failover_timeout)| Fact::Disconnected {
            framework,
            at: passage.at.as_nanos(),
            failover_timeout,
        });
        fact.into_iter().collect()
    }

    fn said_by_master(&mut self, passage: &Passage<'_>) -> Vec<Fact> {
        let Passage { to, at, .. } = *passage;
        if let Some(event) = passage.message_as::<Event>() {
            return self.event_sent(to, event, at.as_nanos());
        }
        if let Some((errand, id)) = errand(passage) {
            self.errands.sent(to, errand, id);
        }
        if let Some(run) = passage.message_as::<RunTask>() {
            self.count("tasks sent to agents", 1);
            let framework = id_of(run.framework.id.as_ref().map(|id| &id.value));
            let durable = self.frameworks.is_checkpointed(&framework);
            let task = TaskKey::new(framework, &run.task.task_id.value);
            return vec![Fact::TaskSent { task, durable }];
        }
        if let Some(run) = passage.message_as::<RunTaskGroup>() {
            self.count("task groups sent to agents", 1);
            let framework = id_of(run.framework.id.as_ref().map(|id| &id.value));
            let durable = self.frameworks.is_checkpointed(&framework);
            let tasks = run.task_group.tasks.iter();
            let sent = tasks.map(|task| Fact::TaskSent {
                task: TaskKey::new(&framework, &task.task_id.value),
                durable,
            });
            return sent.collect();
        }
        let registered = |agent: &str| {
            let agent = agent.to_owned();
            let host = to.address().ip.to_string();
            vec![Fact::Registered { agent, host }]
        };
        if let Some(message) = passage.message_as::<AgentRegistered>() {
            self.count("agents registered", 1);
            self.errands.registers(to, &message.agent_id.value);
            return registered(&message.agent_id.value);
        }
        if let Some(message) = passage.message_as::<AgentReregistered>() {
            self.count("agents reregistered", 1);
            self.errands.registers(to, &message.agent_id.value);
            return registered(&message.agent_id.value);
        }
        if passage.message_as::<Shutdown>().is_some() {
            self.count("agents told to end", 1);
            let agent = self.agents.id_of(to).map(str::to_owned);
            return agent
                .map(|agent| Fact::AgentEnding { agent })
                .into_iter()
                .collect();
        }
        if let Some(message) = passage.message_as::<AddFramework>() {
            let (info, suppressed) = (&message.framework_info, &message.suppressed_roles);
            return self.taken(info, suppressed, at.as_nanos());
        }
        if let Some(message) = passage.message_as::<UpdateFramework>() {
            let (info, suppressed) = (&message.framework_info, &message.suppressed_roles);
            let subscribes = self.frameworks.is_asking(&own_id(info));
            self.count("updates of frameworks", usize::from(!subscribes));
            return self.taken(info, suppressed, at.as_nanos());
        }
        if let Some(message) = passage.message_as::<RemoveFramework>() {
            self.count("frameworks removed", 1);
            return vec![Fact::Removed {
                framework: message.framework_id.value.clone(),
                at: passage.at.as_nanos(),
            }];
        }
        Vec::new()
    }

    /// The master took what a framework says of itself: no call says so of one that came by HTTP.
    fn taken(&mut self, info: &FrameworkInfo, suppressed: &[String], at: u64) -> Vec<Fact> {
        let framework = own_id(info);
        let roles = self.frameworks.takes(&framework, info, suppressed);
        vec![Fact::Wants {
            framework,
            roles,
            at,
        }]
    }

    fn offered(&self, to: &Pid, offer: &Offer, at: u64) -> Fact {
        let framework = offer.framework_id.value.clone();
        let named = offer.allocation_info.as_ref();
        let role = named.and_then(|named| named.role.clone());
        Fact::Offered {
            to: id_of(self.frameworks.id_of(to)),
            role: role.unwrap_or_else(|| self.frameworks.role_of(&framework)),
            framework,
            offer: offer.id.value.clone(),
            agent: offer.agent_id.value.clone(),
            at,
        }
    }

    fn event_sent(&mut self, to: &Pid, event: &Event, at: u64) -> Vec<Fact> {
        match event.r#type() {
            event::Type::Subscribed => {
                let Some(subscribed) = &event.subscribed else {
                    return Vec::new();
                };
                self.count("subscriptions", 1);
                let framework = subscribed.framework_id.value.clone();
                let repeated = self.frameworks.subscribed(to, &framework);
                vec![Fact::Subscribed {
                    framework,
                    repeated,
                }]
            }
            event::Type::Offers => {
                let offers = event.offers.as_ref().map(|all| all.offers.as_slice());
                let offers = offers.unwrap_or_default();
                self.count("offers", offers.len());
                let offered = offers.iter().map(|offer| self.offered(to, offer, at));
                offered.collect()
            }
            event::Type::Rescind => {
                self.count("rescinds", 1);
                let offer = event.rescind.as_ref().map(|it| it.offer_id.value.clone());
                let to = id_of(self.frameworks.id_of(to));
                let rescinded = offer.map(|offer| Fact::Rescinded { to, offer });
                rescinded.into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    fn said_by_agent(&mut self, passage: &Passage<'_>) -> Vec<Fact> {
        let Passage { from, at, .. } = *passage;
        if let Some(event) = passage.message_as::<executor::Event>() {
            if let Some(acted) = self.acted(passage, event) {
                self.count("errands of agents", 1);
                return vec![acted];
            }
            let group = self.group_started(passage.to, event);
            let alone = event.launch.iter().map(|launch| &launch.task);
            let groups = event.launch_group.iter();
            let tasks = alone.chain(groups.flat_map(|launch| &launch.task_group.tasks));
            let tasks: Vec<&TaskInfo> = tasks.collect();
            self.count("tasks started", tasks.len());
            let started = tasks
                .into_iter()
                .filter_map(|task| self.started(from, passage.to, task));
            return group.into_iter().chain(started).collect();
        }
        if let Some(message) = passage.message_as::<StatusUpdateMessage>() {
            self.count("updates sent by agents", 1);
            let update = &message.update;
            let agent = id_of(update.agent_id.as_ref().map(|id| &id.value));
            let uuid = update.uuid.as_ref().filter(|uuid| !uuid.is_empty());
            let task = TaskKey::new(&update.framework_id.value, &update.status.task_id.value);
            let acted = (update.status.state() == TaskState::TaskKilled).then(|| {
                let why = |errand: &Errand| {
                    matches!(errand, Errand::Kill { framework, task: killed }
                        if *framework == task.framework && *killed == task.task)
                };
                self.errands.acts(at, from, &format!("kill of {task}"), why)
            });
            let forwarded = uuid.map(|uuid| Fact::Forwarded {
                task,
                agent,
                uuid: uuid.to_vec(),
                state: update.status.state(),
                had: update.executor_id.is_some(),
            });
            return acted.flatten().into_iter().chain(forwarded).collect();
        }
        if let Some(message) = passage.message_as::<UnregisterAgent>() {
            let agent = message.agent_id.value.clone();
            return vec![Fact::AgentEnding { agent }];
        }
        if let Some(id) = introduced(passage) {
            self.errands.is(from, &id);
        }
        Vec::new()
    }

    /// What an agent does by telling an executor so.
    fn acted(&self, passage: &Passage<'_>, event: &executor::Event) -> Option<Fact> {
        let Passage { from, to, at, .. } = *passage;
        let framework = self.agents.framework_of(to)?;
        match event.r#type() {
            executor::event::Type::Kill => {
                let task = TaskKey::new(framework, &event.kill.as_ref()?.task_id.value);
                let errand = Errand::Kill {
                    framework: task.framework.clone(),
                    task: task.task.clone(),
                };
                let what = format!("kill of {task}");
                self.errands.acts(at, from, &what, |why| *why == errand)
            }
            executor::event::Type::Message => {
                let errand = Errand::Message {
                    framework: framework.to_owned(),
                };
                let what = format!("message of {framework}");
                self.errands.acts(at, from, &what, |why| *why == errand)
            }
            executor::event::Type::Shutdown => {
                let what = format!("shutdown of an executor of {framework}");
                let why = |errand: &Errand| errand.ends_executors_of(framework);
                self.errands.acts(at, from, &what, why)
            }
            _ => None,
        }
    }

    fn started(&self, agent: &Pid, executor: &Pid, task: &TaskInfo) -> Option<Fact> {
        let framework = self.agents.framework_of(executor)?;
        Some(Fact::Started {
            task: TaskKey::new(framework, &task.task_id.value),
            meant_for: task.agent_id.value.clone(),
            agent: id_of(self.agents.id_of(agent)),
        })
    }

    fn told_to_agent(&mut self, passage: &Passage<'_>) -> Vec<Fact> {
        let Passage { from, to, at, .. } = *passage;
        if let Some(message) = passage.message_as::<ShutdownFramework>() {
            self.agents.told_end(to, &message.framework_id.value);
        } else if let Some(framework) = whose_task(passage) {
            self.agents.given(to, &framework);
        }
        if let Some((errand, _)) = errand(passage) {
            return self.errands.arrived(at, to, &errand).into_iter().collect();
        }
        if let Some(call) = passage.message_as::<executor::Call>() {
            self.agents.executor_speaks(from, &call.framework_id.value);
            return self.told_by_executor(call).into_iter().collect();
        } else if let Some(message) = passage.message_as::<AgentRegistered>() {
            self.agents.registered(to, &message.agent_id.value);
            self.errands.is(to, &message.agent_id.value);
        } else if let Some(message) = passage.message_as::<AgentReregistered>() {
            self.agents.registered(to, &message.agent_id.value);
        } else if let Some(message) = passage.message_as::<StatusUpdateAcknowledgement>() {
            if !self.errands.is_for(to, &message.agent_id.value) {
                self.count("acknowledgements for former selves", 1);
                return Vec::new();
            }
            self.count("acknowledgements recorded", 1);
            return vec![Fact::Recorded {
                task: TaskKey::new(&message.framework_id.value, &message.task_id.value),
                uuid: message.uuid.to_vec(),
                durable: self.agents.writes(to, passage.at),
            }];
        }
        Vec::new()
    }

    fn told_to_framework(&mut self, passage: &Passage<'_>) -> Vec<Fact> {
        let Some(event) = passage.message_as::<Event>() else {
            return Vec::new();
        };
        let Some(to) = self.frameworks.id_of(passage.to).map(str::to_owned) else {
            return Vec::new();
        };
        if let Some(message) = &event.message {
            self.count("messages of executors", 1);
            let framework = sender_of(&message.data);
            let heard = framework.map(|framework| Fact::Heard { to, framework });
            return heard.into_iter().collect();
        }
        let Some(update) = &event.update else {
            return Vec::new();
        };
        let status = &update.status;
        let state = status.state();
        self.count("updates told to frameworks", 1);
        self.count(name_of(state), 1);
        self.count_end(&to, status);
        // An update says no framework's id: whose task it is follows from the agent's words.
        let uuid = status.uuid.as_ref().map(|uuid| uuid.to_vec());
        let owner = uuid.as_ref().and_then(|uuid| self.agents.owner_of(uuid));
        let owner = owner.unwrap_or(&to);
        let task = TaskKey::new(owner, &status.task_id.value);
        let reconciled = uuid.is_none() && status.reason() == Reason::Reconciliation;
        if reconciled {
            self.count("reconciliation answers", 1);
            if self.frameworks.has_ended(&to, &task.task) {
                self.count("reconciliation answers of ended tasks", 1);
            }
        }
        vec![Fact::Told {
            task,
            to,
            uuid,
            state,
            reconciled,
        }]
    }

    fn told_to_master(&mut self, passage: &Passage<'_>) -> Vec<Fact> {
        let Passage { from, .. } = *passage;
        if let Some(call) = passage.message_as::<Call>() {
            return self.called(from, call, passage.at.as_nanos());
        }
        if let Some(id) = introduced(passage) {
            self.errands.asks(from, &id);
        }
        if let Some(message) = passage.message_as::<UnregisterAgent>() {
            self.count("agents unregistered", 1);
            let agent = message.agent_id.value.clone();
            if self.agents.id_of(from) == Some(agent.as_str()) {
                return vec![Fact::Gone { agent }];
            }
        }
        Vec::new()
    }

    fn called(&mut self, from: &Pid, call: &Call, at: u64) -> Vec<Fact> {
        if let Some(subscribe) = &call.subscribe {
            let suppressed = usize::from(!subscribe.suppressed_roles.is_empty());
            let constrained = usize::from(subscribe.offer_constraints.is_some());
            self.count("subscriptions with suppressed roles", suppressed);
            self.count("subscriptions with offer constraints", constrained);
            self.frameworks.asks(from, &subscribe.framework_info);
            return Vec::new();
        }
        let framework = id_of(call.framework_id.as_ref().map(|id| &id.value));
        let malformed = tepui_master::validation::call(call).is_err();
        if malformed || !self.frameworks.is_present(&framework, from) {
            self.count("calls of nobody, or malformed", 1);
            return Vec::new();
        }
        match call.r#type() {
            call::Type::Accept => {
                self.accepted(framework, &call.accept.clone().unwrap_or_default())
            }
            call::Type::Decline => {
                let offers = call.decline.as_ref().map(|decline| &decline.offer_ids);
                self.count("declines", 1);
                vec![Fact::Answered {
                    framework,
                    offers: ids(offers.map_or(&[], Vec::as_slice)),
                    launches: Vec::new(),
                }]
            }
            call::Type::Acknowledge => {
                self.count("acknowledgements", 1);
                let acknowledged = call.acknowledge.as_ref().map(|it| Fact::Acknowledged {
                    task: TaskKey::new(framework, &it.task_id.value),
                    uuid: it.uuid.to_vec(),
                });
                acknowledged.into_iter().collect()
            }
            call::Type::Kill => {
                self.count("kills asked", 1);
                let task = id_of(call.kill.as_ref().map(|kill| &kill.task_id.value));
                // The others of its group end with it, where their executor does not have them.
                let group = self.frameworks.group_of(&framework, &task);
                let killed = group.iter().chain([&task]).map(|task| Fact::KillAsked {
                    task: TaskKey::new(&framework, task),
                });
                killed.collect()
            }
            call::Type::Shutdown => {
                self.count("executors shut down", 1);
                let shutdown = call.shutdown.clone().unwrap_or_default();
                let (executor, agent) = (shutdown.executor_id.value, shutdown.agent_id.value);
                let tasks = self.frameworks.tasks_of(&framework, &executor, &agent);
                let asked = tasks.iter().map(|task| Fact::KillAsked {
                    task: TaskKey::new(&framework, task),
                });
                asked.collect()
            }
            call::Type::Teardown => {
                self.count("teardowns", 1);
                vec![Fact::TeardownAsked { framework }]
            }
            call::Type::Suppress => {
                let suppress = call.suppress.clone().unwrap_or_default();
                self.suppressed(framework, &suppress.roles, true, at)
            }
            call::Type::Revive => {
                let revive = call.revive.clone().unwrap_or_default();
                self.suppressed(framework, &revive.roles, false, at)
            }
            call::Type::Request => {
                self.count("requests", 1);
                Vec::new()
            }
            call::Type::Reconcile => {
                self.count("reconciliations", 1);
                let asked = call.reconcile.iter().flat_map(|it| &it.tasks);
                let asked = asked.map(|task| Fact::Asked {
                    task: TaskKey::new(&framework, &task.task_id.value),
                });
                asked.collect()
            }
            _ => Vec::new(),
        }
    }

    fn suppressed(
        &mut self,
        framework: String,
        named: &[String],
        suppresses: bool,
        at: u64,
    ) -> Vec<Fact> {
        let one = usize::from(!named.is_empty());
        match suppresses {
            true => self.count("suppressions of one role", one),
            false => self.count("revivals of one role", one),
        }
        let roles = self.frameworks.suppresses(&framework, named, suppresses);
        vec![Fact::Wants {
            framework,
            roles,
            at,
        }]
    }

    fn accepted(&mut self, framework: String, accept: &call::Accept) -> Vec<Fact> {
        self.count("accepts", 1);
        let (mut launches, mut facts) = (Vec::new(), Vec::new());
        for operation in &accept.operations {
            let launched = self.launched(&framework, operation);
            if let Some(launch) = &operation.launch_group {
                facts.push(grouped(&framework, launch));
            }
            launches.extend(launched);
        }
        self.count("launches", launches.len());
        facts.push(Fact::Answered {
            framework,
            offers: ids(&accept.offer_ids),
            launches,
        });
        facts
    }

    /// The tasks of a LAUNCH or a LAUNCH_GROUP.
    fn launched(&mut self, framework: &str, operation: &Operation) -> Vec<String> {
        let names = |tasks: &[TaskInfo]| -> Vec<String> {
            let names = tasks.iter().map(|task| task.task_id.value.clone());
            names.collect()
        };
        if let Some(launch) = &operation.launch {
            for task in &launch.task_infos {
                let executor = task.executor.as_ref();
                self.frameworks.launches(framework, task, executor, &[]);
            }
            return names(&launch.task_infos);
        }
        let Some(launch) = &operation.launch_group else {
            return Vec::new();
        };
        self.count("launched groups", 1);
        if is_default(&launch.executor) {
            self.count_group(framework, launch);
        }
        let group = names(&launch.task_group.tasks);
        for task in &launch.task_group.tasks {
            let executor = Some(&launch.executor);
            self.frameworks.launches(framework, task, executor, &group);
        }
        group
    }
}

/// What a master asks of an agent by a message, and of which, where the message says so.
fn errand<'a>(passage: &Passage<'a>) -> Option<(Errand, Option<&'a str>)> {
    let framework = |id: &FrameworkId| id.value.clone();
    if let Some(message) = passage.message_as::<KillTask>() {
        let kill = Errand::Kill {
            framework: framework(&message.framework_id),
            task: message.task_id.value.clone(),
        };
        return Some((kill, None));
    }
    if let Some(message) = passage.message_as::<FrameworkToExecutor>() {
        let framework = framework(&message.framework_id);
        let id = message.agent_id.value.as_str();
        return Some((Errand::Message { framework }, Some(id)));
    }
    if let Some(message) = passage.message_as::<ShutdownExecutor>() {
        let framework = framework(message.framework_id.as_ref()?);
        return Some((Errand::ShutdownExecutor { framework }, None));
    }
    if let Some(message) = passage.message_as::<ShutdownFramework>() {
        let framework = framework(&message.framework_id);
        return Some((Errand::ShutdownFramework { framework }, None));
    }
    let shutdown = passage.message_as::<Shutdown>();
    shutdown.map(|_| (Errand::Shutdown, None))
}

/// The id that a framework's info has at the master.
fn own_id(info: &FrameworkInfo) -> String {
    id_of(info.id.as_ref().map(|id| &id.value))
}

/// The framework of which a message gives an agent something to run.
fn whose_task(passage: &Passage<'_>) -> Option<String> {
    let alone = passage.message_as::<RunTask>().map(|run| &run.framework);
    let group = passage.message_as::<RunTaskGroup>();
    let framework = alone.or(group.map(|run| &run.framework))?;
    framework.id.as_ref().map(|id| id.value.clone())
}

/// Who an agent says that it is when it asks to be registered; empty where it has no id.
fn introduced(passage: &Passage<'_>) -> Option<String> {
    if passage.message_as::<RegisterAgent>().is_some() {
        return Some(String::new());
    }
    let message = passage.message_as::<ReregisterAgent>()?;
    Some(id_of(message.agent.id.as_ref().map(|id| &id.value)))
}

fn ids(offers: &[OfferId]) -> Vec<String> {
    offers.iter().map(|offer| offer.value.clone()).collect()
}

/// An id that should be there.
fn id_of<T: AsRef<str>>(id: Option<T>) -> String {
    id.map(|id| id.as_ref().to_owned()).unwrap_or_default()
}

fn name_of(state: TaskState) -> &'static str {
    state.as_str_name()
}
