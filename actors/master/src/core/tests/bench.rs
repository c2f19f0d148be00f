//! A core with a registrar that answers at once (or when told to), and shorthands for messages.
//! There is no allocator: tests say themselves what is allocated.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use tepui_protocol::mesos::internal::{
    RegisterAgent, Registry, ReregisterAgent, StatusUpdate, StatusUpdateMessage, registry,
};
use tepui_protocol::mesos::v1::framework_info::capability::Type as Capability;
use tepui_protocol::mesos::v1::scheduler::call::{self, Accept, Subscribe};
use tepui_protocol::mesos::v1::scheduler::{Call, Event, event};
use tepui_protocol::mesos::v1::{
    AgentId, AgentInfo, CommandInfo, Filters, FrameworkId, FrameworkInfo, MasterInfo, OfferId,
    Resource, Task, TaskId, TaskInfo, TaskState, TaskStatus, agent_info, framework_info, offer,
};
use tepui_protocol::resources::{Resources, parse_text};
use tepui_protocol::tepui::allocator::{Allocation, RecoverResources};
use tepui_protocol::tepui::operator::Operated;
use tepui_protocol::tepui::registrar::Operation;
use tepui_runtime::{Pid, Time};

use crate::MasterOptions;
use crate::core::{
    Counter, Effect, FromAgent, Input, Level, MasterCore, Pending, Timer, ToAgent, ToAllocator,
};
use crate::registrar;

pub(super) struct Bench {
    pub(super) core: MasterCore,
    pub(super) now: Time,
    pub(super) registry: Registry,
    /// Whether the registrar keeps its answers until [`Bench::answer`].
    pub(super) slow: bool,
    pub(super) waiting: VecDeque<(Operation, Pending)>,
    pub(super) events: Vec<(Pid, Event)>,
    pub(super) to_agents: Vec<(Pid, ToAgent)>,
    pub(super) to_allocator: Vec<ToAllocator>,
    /// What operators were answered.
    pub(super) answers: Vec<(Pid, Operated)>,
    pub(super) links: Vec<Pid>,
    pub(super) timers: BTreeMap<Timer, Time>,
    pub(super) counts: BTreeMap<String, u64>,
    pub(super) aborted: Option<String>,
    /// What was logged as a warning.
    pub(super) warnings: Vec<String>,
    /// Agents that do not answer pings; all others do at once.
    pub(super) silent: BTreeSet<Pid>,
    /// Pings, and whether they said that the link holds. They are not among `to_agents`.
    pub(super) pings: Vec<(Pid, bool)>,
}

pub(super) fn pid(id: &str) -> Pid {
    format!("{id}@10.0.0.1:5051").parse().unwrap()
}

pub(super) fn resources(text: &str) -> Resources {
    parse_text(text, "*").unwrap()
}

pub(super) fn protos(text: &str) -> Vec<Resource> {
    resources(text).to_proto()
}

/// A framework that checkpoints, with the given capabilities.
pub(super) fn framework_info(capabilities: &[Capability]) -> FrameworkInfo {
    FrameworkInfo {
        user: "u".into(),
        name: "f".into(),
        checkpoint: Some(true),
        failover_timeout: Some(60.0),
        capabilities: capabilities
            .iter()
            .map(|c| framework_info::Capability {
                r#type: Some(*c as i32),
            })
            .collect(),
        ..FrameworkInfo::default()
    }
}

pub(super) fn agent_info(id: Option<&str>, text: &str) -> AgentInfo {
    AgentInfo {
        hostname: "host".into(),
        port: Some(5051),
        resources: protos(text),
        id: id.map(|value| AgentId {
            value: value.into(),
        }),
        ..AgentInfo::default()
    }
}

pub(super) fn command_task(id: &str, agent: &str, text: &str) -> TaskInfo {
    TaskInfo {
        name: id.into(),
        task_id: TaskId { value: id.into() },
        agent_id: AgentId {
            value: agent.into(),
        },
        resources: protos(text),
        command: Some(CommandInfo {
            value: Some("true".into()),
            ..CommandInfo::default()
        }),
        ..TaskInfo::default()
    }
}

/// The uuid of an update, made of a number; of version 4, as only a UUID is acknowledged.
pub(super) fn uuid(number: u8) -> Vec<u8> {
    let mut bytes = vec![number; 16];
    bytes[6] = 0x40;
    bytes
}

pub(super) fn launch(tasks: Vec<TaskInfo>) -> offer::Operation {
    offer::Operation {
        r#type: Some(offer::operation::Type::Launch as i32),
        launch: Some(offer::operation::Launch { task_infos: tasks }),
        ..offer::Operation::default()
    }
}

/// A task as an agent lists it; `framework` is its framework's id.
pub(super) fn listed(framework: &str, id: &str, agent: &str, state: TaskState) -> Task {
    Task {
        name: id.into(),
        task_id: TaskId { value: id.into() },
        framework_id: FrameworkId {
            value: framework.into(),
        },
        agent_id: AgentId {
            value: agent.into(),
        },
        state: state as i32,
        resources: resources("cpus:1;mem:64").allocate("*").to_proto(),
        ..Task::default()
    }
}

/// The registry of a master that ended, with agents of these ids.
pub(super) fn registry_of(ids: &[&str]) -> Registry {
    let agents = ids.iter().map(|id| registry::Agent {
        info: agent_info(Some(id), "cpus:4"),
        ..registry::Agent::default()
    });
    Registry {
        agents: Some(registry::Agents {
            agents: agents.collect(),
        }),
        ..Registry::default()
    }
}

impl Bench {
    pub(super) fn new() -> Bench {
        Bench::with(MasterOptions::default())
    }

    pub(super) fn with(options: MasterOptions) -> Bench {
        Bench::recovering(options, Registry::default())
    }

    pub(super) fn recovering(options: MasterOptions, registry: Registry) -> Bench {
        Bench::at(None, options, registry)
    }

    /// A master that has a PID; without one, it takes nobody for being on another node.
    pub(super) fn at(pid: Option<&str>, options: MasterOptions, registry: Registry) -> Bench {
        let now = Time::from_secs_f64(1000.0);
        let info = MasterInfo {
            id: "m".into(),
            pid: pid.map(str::to_owned),
            ..MasterInfo::default()
        };
        let mut bench = Bench {
            core: MasterCore::new(options, info, now),
            now,
            registry: registry.clone(),
            slow: false,
            waiting: VecDeque::new(),
            events: Vec::new(),
            to_agents: Vec::new(),
            to_allocator: Vec::new(),
            answers: Vec::new(),
            links: Vec::new(),
            timers: BTreeMap::new(),
            counts: BTreeMap::new(),
            aborted: None,
            warnings: Vec::new(),
            silent: BTreeSet::new(),
            pings: Vec::new(),
        };
        bench.give(Input::Recovered(Ok(registry)));
        bench
    }

    pub(super) fn give(&mut self, input: Input) {
        let before = self.pings.len();
        for effect in self.core.handle(input, self.now) {
            match effect {
                Effect::Event(to, event) => self.events.push((to, *event)),
                Effect::Agent(to, message) => match *message {
                    ToAgent::Ping(ping) => self.pings.push((to, ping.connected)),
                    message => self.to_agents.push((to, message)),
                },
                Effect::Answer(to, answer) => self.answers.push((to, answer)),
                Effect::Allocator(message) => self.to_allocator.push(*message),
                Effect::Registrar(operation, pending) => {
                    self.waiting.push_back((*operation, pending));
                }
                Effect::Link(pid) => self.links.push(pid),
                Effect::Arm(timer, after) => {
                    self.timers.insert(timer, self.now + after);
                }
                Effect::Cancel(timer) => {
                    self.timers.remove(&timer);
                }
                Effect::Count(Counter::Key(key)) => {
                    *self.counts.entry(key.into()).or_default() += 1
                }
                Effect::Count(Counter::Made(key, by)) => {
                    *self.counts.entry(key).or_default() += by;
                }
                Effect::Abort(problem) => self.aborted = Some(problem),
                Effect::Log(Level::Warn, line) => self.warnings.push(line),
                Effect::Forget(key) => {
                    let prefix = key.ends_with('/');
                    let gone = |other: &str| *other == key || prefix && other.starts_with(&key);
                    self.counts.retain(|other, _| !gone(other));
                }
                Effect::Gauge(..) | Effect::Show { .. } | Effect::Log(..) => {}
            }
        }
        let pinged: Vec<Pid> = self.pings[before..]
            .iter()
            .map(|(pid, _)| pid.clone())
            .collect();
        for pinged in pinged {
            if !self.silent.contains(&pinged) {
                self.give(Input::Agent(pinged, FromAgent::Pong));
            }
        }
        while !self.slow && self.answer() {}
    }

    /// Has the registrar answer the oldest operation that waits.
    pub(super) fn answer(&mut self) -> bool {
        let Some((operation, pending)) = self.waiting.pop_front() else {
            return false;
        };
        let answer = registrar::apply(&mut self.registry, &operation);
        self.give(Input::Applied(pending, answer));
        true
    }

    /// Lets time pass; timers that are due fire in their order.
    pub(super) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let due = self
                .timers
                .iter()
                .min_by_key(|(_, at)| **at)
                .map(|(t, at)| (t.clone(), *at));
            let Some((timer, at)) = due.filter(|(_, at)| *at <= until) else {
                break;
            };
            self.timers.remove(&timer);
            self.now = at;
            self.give(Input::Timer(timer));
        }
        self.now = until;
    }

    pub(super) fn call(&mut self, from: &str, call: Call) {
        self.give(Input::Call(pid(from), call));
    }

    /// A call of a type, for a framework.
    pub(super) fn of(framework: &str, kind: call::Type) -> Call {
        Call {
            framework_id: Some(FrameworkId {
                value: framework.into(),
            }),
            r#type: Some(kind as i32),
            ..Call::default()
        }
    }

    pub(super) fn subscribe_with(&mut self, from: &str, subscribe: Subscribe) {
        let call = Call {
            framework_id: subscribe.framework_info.id.clone(),
            r#type: Some(call::Type::Subscribe as i32),
            subscribe: Some(subscribe),
            ..Call::default()
        };
        self.call(from, call);
    }

    /// Subscribes a framework, and gives back its id.
    pub(super) fn subscribe(&mut self, from: &str, info: FrameworkInfo) -> String {
        self.subscribe_with(
            from,
            Subscribe {
                framework_info: info,
                ..Subscribe::default()
            },
        );
        let subscribed = self
            .take_events(from)
            .into_iter()
            .find_map(|event| event.subscribed);
        subscribed.expect("SUBSCRIBED").framework_id.value
    }

    pub(super) fn framework(&mut self, from: &str) -> String {
        self.subscribe(from, framework_info(&[]))
    }

    /// Registers an agent, and gives back its id.
    pub(super) fn agent(&mut self, at: &str, text: &str) -> String {
        self.register(at, agent_info(None, text));
        let registered = self
            .take_agent_messages(at)
            .into_iter()
            .find_map(|m| match m {
                ToAgent::Registered(message) => Some(message.agent_id.value),
                _ => None,
            });
        registered.expect("AgentRegistered")
    }

    pub(super) fn register(&mut self, at: &str, info: AgentInfo) {
        let message = RegisterAgent {
            agent: info,
            version: Some("1.12.0".into()),
            agent_capabilities: capabilities(),
            ..RegisterAgent::default()
        };
        self.give(Input::Agent(pid(at), FromAgent::Register(message)));
    }

    pub(super) fn reregister(&mut self, at: &str, mut message: ReregisterAgent) {
        message.version = Some("1.12.0".into());
        message.agent_capabilities = capabilities();
        self.give(Input::Agent(pid(at), FromAgent::Reregister(message)));
    }

    /// Allocates to a framework in role `*`, and gives back the ids of the offers it got.
    pub(super) fn offer(&mut self, framework: &str, agent: &str, text: &str) -> Vec<String> {
        self.offer_in(framework, agent, "*", text)
    }

    pub(super) fn offer_in(
        &mut self,
        framework: &str,
        agent: &str,
        role: &str,
        text: &str,
    ) -> Vec<String> {
        let allocation = Allocation {
            framework_id: FrameworkId {
                value: framework.into(),
            },
            role: role.into(),
            agent_id: AgentId {
                value: agent.into(),
            },
            resources: resources(text).allocate(role).to_proto(),
            incarnation: None,
        };
        let before = self.events.len();
        self.give(Input::Allocations(vec![allocation]));
        let events = self.events.split_off(before);
        let offers = events.into_iter().filter_map(|(_, event)| event.offers);
        offers
            .flat_map(|offers| offers.offers)
            .map(|offer| offer.id.value)
            .collect()
    }

    pub(super) fn accept(
        &mut self,
        from: &str,
        framework: &str,
        offers: &[&str],
        operations: Vec<offer::Operation>,
        refuse_seconds: Option<f64>,
    ) {
        let mut call = Bench::of(framework, call::Type::Accept);
        call.accept = Some(Accept {
            offer_ids: offers
                .iter()
                .map(|id| OfferId {
                    value: (*id).into(),
                })
                .collect(),
            operations,
            filters: refuse_seconds.map(|s| Filters {
                refuse_seconds: Some(s),
            }),
        });
        self.call(from, call);
    }

    /// Accepts one offer by launching `task` on it.
    pub(super) fn launch(&mut self, from: &str, framework: &str, offer: &str, task: TaskInfo) {
        let operations = vec![launch(vec![task])];
        self.accept(from, framework, &[offer], operations, None);
    }

    /// Launches a task of one cpu and 64 MB on an agent of the framework at `from`.
    pub(super) fn run(&mut self, from: &str, framework: &str, agent: &str, task: &str) {
        let offers = self.offer(framework, agent, "cpus:1;mem:64");
        let task = command_task(task, agent, "cpus:1;mem:64");
        self.accept(
            from,
            framework,
            &[&offers[0]],
            vec![launch(vec![task])],
            None,
        );
    }

    pub(super) fn status(
        &mut self,
        at: &str,
        framework: &str,
        agent: &str,
        task: &str,
        (state, latest): (TaskState, TaskState),
        uuid: u8,
    ) {
        let status = TaskStatus {
            task_id: TaskId { value: task.into() },
            state: state as i32,
            uuid: Some(self::uuid(uuid).into()),
            ..TaskStatus::default()
        };
        let update = StatusUpdate {
            framework_id: FrameworkId {
                value: framework.into(),
            },
            agent_id: Some(AgentId {
                value: agent.into(),
            }),
            status,
            timestamp: 7.0,
            uuid: Some(self::uuid(uuid).into()),
            latest_state: Some(latest as i32),
            executor_id: None,
        };
        let message = StatusUpdateMessage { update, pid: None };
        self.give(Input::Agent(pid(at), FromAgent::Status(message)));
    }

    pub(super) fn acknowledge(
        &mut self,
        from: &str,
        framework: &str,
        agent: &str,
        task: &str,
        uuid: u8,
    ) {
        let mut call = Bench::of(framework, call::Type::Acknowledge);
        call.acknowledge = Some(call::Acknowledge {
            agent_id: AgentId {
                value: agent.into(),
            },
            task_id: TaskId { value: task.into() },
            uuid: self::uuid(uuid).into(),
        });
        self.call(from, call);
    }

    pub(super) fn exited(&mut self, who: &str) {
        self.give(Input::Exited(pid(who)));
    }

    /// The events that came for `to` since the last time.
    pub(super) fn take_events(&mut self, to: &str) -> Vec<Event> {
        let to = pid(to);
        let events = std::mem::take(&mut self.events);
        let (own, others): (Vec<_>, Vec<_>) = events.into_iter().partition(|(p, _)| *p == to);
        self.events = others;
        own.into_iter().map(|(_, event)| event).collect()
    }

    /// The types of the events that came for `to` since the last time.
    pub(super) fn take_types(&mut self, to: &str) -> Vec<event::Type> {
        self.take_events(to).iter().map(Event::r#type).collect()
    }

    /// The statuses that came for `to` since the last time.
    pub(super) fn take_statuses(&mut self, to: &str) -> Vec<TaskStatus> {
        let updates = self
            .take_events(to)
            .into_iter()
            .filter_map(|event| event.update);
        updates.map(|update| update.status).collect()
    }

    pub(super) fn take_agent_messages(&mut self, at: &str) -> Vec<ToAgent> {
        let at = pid(at);
        let messages = std::mem::take(&mut self.to_agents);
        let (own, others): (Vec<_>, Vec<_>) = messages.into_iter().partition(|(p, _)| *p == at);
        self.to_agents = others;
        own.into_iter().map(|(_, message)| message).collect()
    }

    /// What was given back to the allocator since the last time: amount, and how long refused.
    pub(super) fn take_recovered(&mut self) -> Vec<(String, Option<f64>)> {
        let messages = std::mem::take(&mut self.to_allocator);
        let recovered = messages.into_iter().filter_map(|message| match message {
            ToAllocator::Recover(message) => Some(message),
            _ => None,
        });
        recovered
            .map(|message| (amount(&message), refusal(&message)))
            .collect()
    }

    pub(super) fn count(&self, key: &str) -> u64 {
        self.counts.get(key).copied().unwrap_or(0)
    }

    pub(super) fn state_of(&self, framework: &str, task: &str) -> Option<TaskState> {
        let snapshot = self.core.snapshot();
        Some(snapshot.framework(framework)?.tasks.get(task)?.state())
    }
}

fn amount(message: &RecoverResources) -> String {
    Resources::from_proto(&message.resources)
        .unwrap()
        .unallocate()
        .to_text()
        .unwrap()
}

fn refusal(message: &RecoverResources) -> Option<f64> {
    message.filters.as_ref().map(Filters::refuse_seconds)
}

fn capabilities() -> Vec<agent_info::Capability> {
    use agent_info::capability::Type;
    [
        Type::MultiRole,
        Type::HierarchicalRole,
        Type::ReservationRefinement,
        Type::TaskResourceLimits,
    ]
    .into_iter()
    .map(|kind| agent_info::Capability {
        r#type: Some(kind as i32),
    })
    .collect()
}
