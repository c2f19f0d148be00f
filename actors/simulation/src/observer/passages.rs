//! From messages to facts.
//!
//! What a process says is taken when it is sent: that is when it has decided. What it is told is
//! taken when it is delivered: only then can it know.

use tepui_agent::AGENT_ID;
use tepui_invariants::{Fact, TaskKey};
use tepui_protocol::mesos::internal::{
    AgentRegistered, AgentReregistered, RunTask, Shutdown, StatusUpdateAcknowledgement,
    StatusUpdateMessage, UnregisterAgent,
};
use tepui_protocol::mesos::v1::scheduler::{Call, Event, call, event};
use tepui_protocol::mesos::v1::{OfferId, TaskInfo, TaskState, executor};
use tepui_protocol::tepui::allocator::RemoveFramework;
use tepui_runtime::{Passage, Pid, Stage};

use super::Seen;

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
            Stage::Sent => Vec::new(),
            Stage::Delivered if *to == self.master => self.told_to_master(passage),
            Stage::Delivered if to.id() == AGENT_ID => self.told_to_agent(passage),
            Stage::Delivered if *from == self.master => self.told_to_framework(passage),
            // What HTTP brings is a message between the gateway and the master.
            Stage::Delivered | Stage::Packet => Vec::new(),
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
        let to = passage.to;
        if let Some(event) = passage.message_as::<Event>() {
            return self.event_sent(to, event);
        }
        if let Some(run) = passage.message_as::<RunTask>() {
            self.count("tasks sent to agents", 1);
            let framework = id_of(run.framework.id.as_ref().map(|id| &id.value));
            let durable = self.frameworks.is_checkpointed(&framework);
            let task = TaskKey::new(framework, &run.task.task_id.value);
            return vec![Fact::TaskSent { task, durable }];
        }
        let registered = |agent: &str| {
            let agent = agent.to_owned();
            let host = to.address().ip.to_string();
            vec![Fact::Registered { agent, host }]
        };
        if let Some(message) = passage.message_as::<AgentRegistered>() {
            self.count("agents registered", 1);
            return registered(&message.agent_id.value);
        }
        if let Some(message) = passage.message_as::<AgentReregistered>() {
            self.count("agents reregistered", 1);
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
        if let Some(message) = passage.message_as::<RemoveFramework>() {
            self.count("frameworks removed", 1);
            return vec![Fact::Removed {
                framework: message.framework_id.value.clone(),
                at: passage.at.as_nanos(),
            }];
        }
        Vec::new()
    }

    fn event_sent(&mut self, to: &Pid, event: &Event) -> Vec<Fact> {
        match event.r#type() {
            event::Type::Subscribed => {
                let Some(subscribed) = &event.subscribed else {
                    return Vec::new();
                };
                self.count("subscriptions", 1);
                let framework = subscribed.framework_id.value.clone();
                self.frameworks.subscribed(to, &framework);
                vec![Fact::Subscribed { framework }]
            }
            event::Type::Offers => {
                let offers = event.offers.as_ref().map(|all| all.offers.as_slice());
                let offers = offers.unwrap_or_default();
                self.count("offers", offers.len());
                let to = id_of(self.frameworks.id_of(to));
                let offered = offers.iter().map(|offer| Fact::Offered {
                    to: to.clone(),
                    framework: offer.framework_id.value.clone(),
                    offer: offer.id.value.clone(),
                });
                offered.collect()
            }
            event::Type::Rescind => {
                self.count("rescinds", 1);
                let offer = event.rescind.as_ref().map(|it| it.offer_id.value.clone());
                offer
                    .map(|offer| Fact::Rescinded { offer })
                    .into_iter()
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    fn said_by_agent(&mut self, passage: &Passage<'_>) -> Vec<Fact> {
        let Passage { from, .. } = *passage;
        if let Some(event) = passage.message_as::<executor::Event>() {
            let Some(launch) = &event.launch else {
                return Vec::new();
            };
            self.count("tasks started", 1);
            return self.started(from, passage.to, &launch.task);
        }
        if let Some(message) = passage.message_as::<StatusUpdateMessage>() {
            self.count("updates sent by agents", 1);
            let update = &message.update;
            let agent = id_of(update.agent_id.as_ref().map(|id| &id.value));
            let uuid = update.uuid.as_ref().filter(|uuid| !uuid.is_empty());
            let task = TaskKey::new(&update.framework_id.value, &update.status.task_id.value);
            let forwarded = uuid.map(|uuid| Fact::Forwarded {
                task,
                agent,
                uuid: uuid.to_vec(),
                state: update.status.state(),
                had: update.executor_id.is_some(),
            });
            return forwarded.into_iter().collect();
        }
        if let Some(message) = passage.message_as::<UnregisterAgent>() {
            let agent = message.agent_id.value.clone();
            return vec![Fact::AgentEnding { agent }];
        }
        Vec::new()
    }

    fn started(&mut self, agent: &Pid, executor: &Pid, task: &TaskInfo) -> Vec<Fact> {
        let Some(framework) = self.agents.framework_of(executor) else {
            return Vec::new();
        };
        vec![Fact::Started {
            task: TaskKey::new(framework, &task.task_id.value),
            meant_for: task.agent_id.value.clone(),
            agent: id_of(self.agents.id_of(agent)),
        }]
    }

    fn told_to_agent(&mut self, passage: &Passage<'_>) -> Vec<Fact> {
        let Passage { from, to, .. } = *passage;
        if let Some(call) = passage.message_as::<executor::Call>() {
            self.agents.executor_speaks(from, &call.framework_id.value);
        } else if let Some(message) = passage.message_as::<AgentRegistered>() {
            self.agents.registered(to, &message.agent_id.value);
        } else if let Some(message) = passage.message_as::<AgentReregistered>() {
            self.agents.registered(to, &message.agent_id.value);
        } else if let Some(message) = passage.message_as::<StatusUpdateAcknowledgement>() {
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
        let event = passage.message_as::<Event>();
        let Some(update) = event.and_then(|event| event.update.as_ref()) else {
            return Vec::new();
        };
        let Some(to) = self.frameworks.id_of(passage.to).map(str::to_owned) else {
            return Vec::new();
        };
        let status = &update.status;
        let state = status.state();
        self.count("updates told to frameworks", 1);
        self.count(name_of(state), 1);
        // An update says no framework's id: whose task it is follows from the agent's words.
        let uuid = status.uuid.as_ref().map(|uuid| uuid.to_vec());
        let owner = uuid.as_ref().and_then(|uuid| self.agents.owner_of(uuid));
        let owner = owner.unwrap_or(&to);
        vec![Fact::Told {
            task: TaskKey::new(owner, &status.task_id.value),
            to,
            uuid,
            state,
        }]
    }

    fn told_to_master(&mut self, passage: &Passage<'_>) -> Vec<Fact> {
        let Passage { from, .. } = *passage;
        if let Some(call) = passage.message_as::<Call>() {
            return self.called(from, call);
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

    fn called(&mut self, from: &Pid, call: &Call) -> Vec<Fact> {
        if let Some(subscribe) = &call.subscribe {
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
                let task = call.kill.as_ref().map(|kill| &kill.task_id.value);
                let task = TaskKey::new(framework, id_of(task));
                vec![Fact::KillAsked { task }]
            }
            call::Type::Shutdown => {
                self.count("executors shut down", 1);
                let executor = call.shutdown.as_ref().map(|it| &it.executor_id.value);
                let tasks = self.frameworks.tasks_of(&framework, &id_of(executor));
                let asked = tasks.iter().map(|task| Fact::KillAsked {
                    task: TaskKey::new(&framework, task),
                });
                asked.collect()
            }
            call::Type::Teardown => {
                self.count("teardowns", 1);
                vec![Fact::TeardownAsked { framework }]
            }
            call::Type::UpdateFramework => {
                if let Some(update) = &call.update_framework {
                    self.frameworks.updates(&framework, &update.framework_info);
                }
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

    fn accepted(&mut self, framework: String, accept: &call::Accept) -> Vec<Fact> {
        self.count("accepts", 1);
        let operations = accept.operations.iter();
        let launched = operations.filter_map(|operation| operation.launch.as_ref());
        let tasks: Vec<&TaskInfo> = launched.flat_map(|launch| &launch.task_infos).collect();
        self.count("launches", tasks.len());
        for task in &tasks {
            self.frameworks.launches(&framework, task);
        }
        vec![Fact::Answered {
            framework,
            offers: ids(&accept.offer_ids),
            launches: tasks
                .iter()
                .map(|task| task.task_id.value.clone())
                .collect(),
        }]
    }
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
