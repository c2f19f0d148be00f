//! A small cluster around a core: agents that really hold their tasks, a real allocator, and the
//! two queues between it and the master.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tepui_allocator::core::{Allocator, Options, Order};
use tepui_protocol::mesos::internal::{ExitedExecutor, ReregisterAgent, UnregisterAgent};
use tepui_protocol::mesos::v1::framework_info::capability::Type as Capability;
use tepui_protocol::mesos::v1::master::call::Type;
use tepui_protocol::mesos::v1::scheduler::call;
use tepui_protocol::mesos::v1::{
    AgentId, ExecutorId, ExecutorInfo, Filters, FrameworkId, FrameworkInfo, OfferId, Task, TaskId,
    TaskInfo, TaskState,
};
use tepui_protocol::tepui::allocator::Allocation;

use super::super::bench::{Bench, agent_info, command_task, framework_info, launch, pid, protos};
use super::super::operator::{ask, of_agent};
use crate::core::{FromAgent, Input, ToAgent, ToAllocator, is_terminal};

const TOTAL: &str = "cpus:6;mem:1024";

/// Something that happens; the number picks whom.
#[derive(Clone, Debug)]
pub(super) enum Action {
    Subscribe(u8),
    FrameworkExits(u8),
    Resubscribe(u8),
    Teardown(u8),
    Register(u8),
    AgentExits(u8),
    Reregister(u8),
    AgentSilent(u8),
    Unregister(u8),
    Gone(u8),
    Deactivate(u8),
    Reactivate(u8),
    AllocatorHears,
    Allocate,
    MasterHears,
    /// The last three, one after the other.
    AllThree,
    Accept(u8, u8),
    AcceptStale(u8),
    Decline(u8),
    Update(u8, bool),
    Acknowledge(u8),
    Kill(u8),
    ExecutorExits(u8),
    Pass(u8),
}

/// An agent with what really runs on it.
#[derive(Clone, Debug)]
struct FakeAgent {
    at: String,
    id: String,
    linked: bool,
    tasks: BTreeMap<(String, String), Task>,
    frameworks: BTreeMap<String, FrameworkInfo>,
    /// By framework and id.
    executors: BTreeMap<(String, String), ExecutorInfo>,
}

#[derive(Clone, Debug)]
struct FakeFramework {
    from: String,
    id: String,
    /// Updates that are not acknowledged: agent, task, uuid.
    unacknowledged: Vec<(String, String, u8)>,
}

/// How much of what the property is about has happened.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) offers: u64,
    pub(super) launched: u64,
    pub(super) ended: u64,
    pub(super) unreachable: u64,
    pub(super) returned: u64,
    /// Executors that were launched, found running by a second task, and ended.
    pub(super) executors: u64,
    /// Agents that an operator marked gone.
    pub(super) gone: u64,
    /// Agents that an operator deactivated and reactivated.
    pub(super) reactivated: u64,
}

impl Seen {
    pub(super) fn add(&mut self, other: &Seen) {
        self.offers += other.offers;
        self.launched += other.launched;
        self.ended += other.ended;
        self.unreachable += other.unreachable;
        self.returned += other.returned;
        self.executors += other.executors;
        self.gone += other.gone;
        self.reactivated += other.reactivated;
    }
}

pub(super) struct Cluster {
    pub(super) bench: Bench,
    pub(super) allocator: Allocator,
    pub(super) incarnations: BTreeMap<String, Option<u64>>,
    to_allocator: VecDeque<ToAllocator>,
    to_master: VecDeque<Vec<Allocation>>,
    agents: Vec<FakeAgent>,
    frameworks: Vec<FakeFramework>,
    /// An offer that was answered already.
    stale: Option<String>,
    names: u64,
    seed: u64,
    launched: u64,
    /// Tasks that found their executor running.
    shared: u64,
    reactivated: u64,
}

/// The same task for an executor, of which each framework has one on each agent.
fn with_executor(task: TaskInfo) -> TaskInfo {
    let executor = ExecutorInfo {
        executor_id: ExecutorId { value: "e".into() },
        command: task.command.clone(),
        resources: protos("cpus:1;mem:16"),
        ..ExecutorInfo::default()
    };
    TaskInfo {
        command: None,
        executor: Some(executor),
        ..task
    }
}

fn pick<T>(list: &[T], which: u8) -> Option<&T> {
    list.get(usize::from(which) % list.len().max(1))
}

impl Cluster {
    pub(super) fn new() -> Cluster {
        let bench = Bench::new();
        let allocator = Allocator::new(Options::default(), bench.now);
        Cluster {
            bench,
            allocator,
            incarnations: BTreeMap::new(),
            to_allocator: VecDeque::new(),
            to_master: VecDeque::new(),
            agents: Vec::new(),
            frameworks: Vec::new(),
            stale: None,
            names: 0,
            seed: 0,
            launched: 0,
            shared: 0,
            reactivated: 0,
        }
    }

    pub(super) fn seen(&self) -> Seen {
        Seen {
            offers: self.bench.core.book.next_offer,
            launched: self.launched,
            ended: self.bench.count("master/tasks_finished"),
            unreachable: self.bench.count("master/slave_unreachable_completed"),
            returned: self.bench.count("master/slave_reregistrations"),
            executors: self
                .shared
                .min(self.bench.count("master/messages_exited_executor")),
            gone: self.bench.core.snapshot().gone_agents.size() as u64,
            reactivated: self.reactivated,
        }
    }

    fn name(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}{}", self.names)
    }

    pub(super) fn act(&mut self, action: &Action) {
        match *action {
            Action::Subscribe(which) if self.frameworks.len() < 4 => self.subscribe(which),
            Action::Register(_) if self.agents.len() < 3 => {
                let at = self.name("s");
                let id = self.bench.agent(&at, TOTAL);
                let (tasks, frameworks) = (BTreeMap::new(), BTreeMap::new());
                self.agents.push(FakeAgent {
                    at,
                    id,
                    linked: true,
                    tasks,
                    frameworks,
                    executors: BTreeMap::new(),
                });
            }
            Action::Subscribe(which) | Action::Resubscribe(which) => self.resubscribe(which),
            Action::Register(which) | Action::Reregister(which) => self.reregister(which),
            Action::FrameworkExits(which) => {
                if let Some(framework) = pick(&self.frameworks, which).cloned() {
                    self.bench.exited(&framework.from);
                }
            }
            Action::Teardown(which) => self.call_of(which, call::Type::Teardown),
            Action::AgentExits(which) => {
                let count = self.agents.len().max(1);
                if let Some(agent) = self.agents.get_mut(usize::from(which) % count) {
                    agent.linked = false;
                    let at = agent.at.clone();
                    self.bench.exited(&at);
                }
            }
            Action::AgentSilent(which) => self.silent(which),
            Action::Unregister(which) => {
                if let Some(agent) = pick(&self.agents, which).cloned() {
                    let message = UnregisterAgent {
                        agent_id: AgentId { value: agent.id },
                    };
                    self.bench
                        .give(Input::Agent(pid(&agent.at), FromAgent::Unregister(message)));
                }
            }
            Action::Gone(which) => self.operate(which, Type::MarkAgentGone),
            Action::Deactivate(which) => self.operate(which, Type::DeactivateAgent),
            Action::Reactivate(which) => self.operate(which, Type::ReactivateAgent),
            Action::AllocatorHears => self.allocator_hears(),
            Action::Allocate => self.allocate(),
            Action::MasterHears => {
                if let Some(allocations) = self.to_master.pop_front() {
                    self.bench.give(Input::Allocations(allocations));
                }
            }
            Action::AllThree => {
                self.allocator_hears();
                self.allocate();
                while let Some(allocations) = self.to_master.pop_front() {
                    self.bench.give(Input::Allocations(allocations));
                }
            }
            Action::Accept(which, cpus) => self.accept(which, cpus),
            Action::AcceptStale(which) => self.accept_stale(which),
            Action::Decline(which) => self.decline(which),
            Action::Update(which, ends) => self.update(which, ends),
            Action::Acknowledge(which) => self.acknowledge(which),
            Action::Kill(which) => self.kill(which),
            Action::ExecutorExits(which) => self.executor_exits(which),
            Action::Pass(seconds) => self.bench.pass(Duration::from_secs(u64::from(seconds))),
        }
        self.carry();
    }

    /// Brings what the master sent to where it goes.
    fn carry(&mut self) {
        self.to_allocator
            .extend(std::mem::take(&mut self.bench.to_allocator));
        for (to, message) in std::mem::take(&mut self.bench.to_agents) {
            let Some(agent) = self.agents.iter_mut().find(|agent| pid(&agent.at) == to) else {
                continue;
            };
            if !agent.linked {
                continue;
            }
            match message {
                ToAgent::Run(run) => {
                    self.launched += 1;
                    let framework = run.framework.id.clone().unwrap();
                    let task = crate::core::tasks::task_of(&run.task, &framework);
                    let key = (framework.value.clone(), run.task.task_id.value.clone());
                    if let Some(info) = run.task.executor {
                        let id = (framework.value.clone(), info.executor_id.value.clone());
                        let here = agent.executors.contains_key(&id);
                        assert_eq!(run.launch_executor, Some(!here), "{id:?}");
                        self.shared += u64::from(here);
                        agent.executors.insert(id, info);
                    }
                    agent.frameworks.insert(framework.value, run.framework);
                    agent.tasks.insert(key, task);
                }
                ToAgent::Acknowledge(message) => {
                    let key = (message.framework_id.value, message.task_id.value);
                    if agent
                        .tasks
                        .get(&key)
                        .is_some_and(|task| is_terminal(task.state()))
                    {
                        agent.tasks.remove(&key);
                    }
                }
                ToAgent::ShutdownFramework(message) => {
                    let gone = message.framework_id.value;
                    agent.tasks.retain(|(framework, _), _| *framework != gone);
                    agent
                        .executors
                        .retain(|(framework, _), _| *framework != gone);
                    agent.frameworks.remove(&gone);
                }
                _ => {}
            }
        }
        self.bench.events.clear();
        // What was removed makes room for new ones.
        let snapshot = self.bench.core.snapshot();
        self.frameworks
            .retain(|framework| !snapshot.is_completed(&framework.id));
        let known = |id: &String| {
            snapshot.agents.contains_key(id) || snapshot.unreachable_agents.contains_key(id)
        };
        self.agents.retain(|agent| known(&agent.id));
    }

    /// An operator does something to an agent, and is answered.
    fn operate(&mut self, which: u8, kind: Type) {
        let Some(agent) = pick(&self.agents, which).cloned() else {
            return;
        };
        let before = self.bench.core.snapshot();
        let was = before.deactivated_agents.contains(&agent.id);
        let answers = ask(&mut self.bench, of_agent(kind, &agent.id));
        assert_eq!(answers.len(), 1);
        let after = self.bench.core.snapshot();
        let is = after.deactivated_agents.contains(&agent.id);
        self.reactivated += u64::from(was && !is && kind == Type::ReactivateAgent);
        if let Some(agent) = after.agent(&agent.id) {
            assert_eq!(agent.active, agent.connected && !is);
        }
    }

    fn subscribe(&mut self, which: u8) {
        let capabilities: &[Capability] = if which.is_multiple_of(2) {
            &[Capability::PartitionAware]
        } else {
            &[]
        };
        let info = FrameworkInfo {
            checkpoint: Some(!which.is_multiple_of(3)),
            failover_timeout: Some(if which.is_multiple_of(5) { 0.0 } else { 60.0 }),
            ..framework_info(capabilities)
        };
        let from = self.name("f");
        let id = self.bench.subscribe(&from, info);
        self.frameworks.push(FakeFramework {
            from,
            id,
            unacknowledged: Vec::new(),
        });
    }

    fn resubscribe(&mut self, which: u8) {
        let from = self.name("f");
        let count = self.frameworks.len().max(1);
        let Some(framework) = self.frameworks.get_mut(usize::from(which) % count) else {
            return;
        };
        framework.from.clone_from(&from);
        let id = Some(FrameworkId {
            value: framework.id.clone(),
        });
        let info = FrameworkInfo {
            id,
            ..framework_info(&[])
        };
        let subscribe = call::Subscribe {
            framework_info: info,
            ..call::Subscribe::default()
        };
        self.bench.subscribe_with(&from, subscribe);
    }

    fn reregister(&mut self, which: u8) {
        let count = self.agents.len().max(1);
        let Some(agent) = self.agents.get_mut(usize::from(which) % count) else {
            return;
        };
        agent.linked = true;
        let message = ReregisterAgent {
            agent: agent_info(Some(&agent.id), TOTAL),
            tasks: agent.tasks.values().cloned().collect(),
            executor_infos: agent.executors.values().cloned().collect(),
            frameworks: agent.frameworks.values().cloned().collect(),
            ..ReregisterAgent::default()
        };
        let at = agent.at.clone();
        self.bench.reregister(&at, message);
    }

    fn silent(&mut self, which: u8) {
        let Some(agent) = pick(&self.agents, which).cloned() else {
            return;
        };
        self.bench.silent.insert(pid(&agent.at));
        self.bench.pass(Duration::from_secs(120));
        self.bench.silent.clear();
    }

    fn call_of(&mut self, which: u8, kind: call::Type) {
        if let Some(framework) = pick(&self.frameworks, which).cloned() {
            self.bench
                .call(&framework.from, Bench::of(&framework.id, kind));
        }
    }

    fn offer(&self, which: u8) -> Option<(FakeFramework, String, String)> {
        let snapshot = self.bench.core.snapshot();
        let offers: Vec<_> = snapshot.offers.values().cloned().collect();
        let offer = pick(&offers, which)?;
        let framework = self
            .frameworks
            .iter()
            .find(|f| f.id == offer.framework_id)?;
        Some((framework.clone(), offer.id.clone(), offer.agent_id.clone()))
    }

    fn accept(&mut self, which: u8, cpus: u8) {
        let Some((framework, offer, agent)) = self.offer(which) else {
            return;
        };
        let tasks = (0..1 + which % 2)
            .map(|_| {
                let task = self.name("t");
                let task = command_task(&task, &agent, &format!("cpus:{cpus};mem:32"));
                if which.is_multiple_of(3) {
                    task
                } else {
                    with_executor(task)
                }
            })
            .collect();
        let refuse = (which.is_multiple_of(2)).then_some(f64::from(which % 8));
        let operations = vec![launch(tasks)];
        self.bench.accept(
            &framework.from,
            &framework.id,
            &[&offer],
            operations,
            refuse,
        );
        self.stale = Some(offer);
    }

    /// An ACCEPT of a good offer together with one that is gone.
    fn accept_stale(&mut self, which: u8) {
        let Some((framework, offer, agent)) = self.offer(which) else {
            return;
        };
        let stale = self.stale.clone().unwrap_or_default();
        let task = self.name("t");
        let operations = vec![launch(vec![command_task(&task, &agent, "cpus:1")])];
        self.bench.accept(
            &framework.from,
            &framework.id,
            &[&offer, &stale],
            operations,
            None,
        );
    }

    fn decline(&mut self, which: u8) {
        let Some((framework, offer, _)) = self.offer(which) else {
            return;
        };
        let mut call = Bench::of(&framework.id, call::Type::Decline);
        call.decline = Some(call::Decline {
            offer_ids: vec![OfferId {
                value: offer.clone(),
            }],
            filters: Some(Filters {
                refuse_seconds: Some(f64::from(which % 8)),
            }),
        });
        self.bench.call(&framework.from, call);
        self.stale = Some(offer);
    }

    /// A task at an agent goes on, and the master hears of it if the agent is linked.
    fn update(&mut self, which: u8, ends: bool) {
        let count = self.agents.len().max(1);
        let Some(agent) = self.agents.get_mut(usize::from(which) % count) else {
            return;
        };
        let keys: Vec<_> = agent.tasks.keys().cloned().collect();
        let Some(key) = pick(&keys, which / 4) else {
            return;
        };
        let Some(task) = agent.tasks.get_mut(key) else {
            return;
        };
        let before = task.state();
        if !is_terminal(before) {
            let state = if ends {
                TaskState::TaskFinished
            } else {
                TaskState::TaskRunning
            };
            task.state = state as i32;
        }
        let latest = task.state();
        let (at, id, linked) = (agent.at.clone(), agent.id.clone(), agent.linked);
        if !linked {
            return;
        }
        // Half of the time an older state is forwarded first, as when acknowledgements are late.
        let told = if which.is_multiple_of(2) {
            latest
        } else {
            before
        };
        self.bench
            .status(&at, &key.0, &id, &key.1, (told, latest), which);
        if let Some(framework) = self.frameworks.iter_mut().find(|f| f.id == key.0) {
            framework.unacknowledged.push((id, key.1.clone(), which));
        }
    }

    fn acknowledge(&mut self, which: u8) {
        let count = self.frameworks.len().max(1);
        let Some(framework) = self.frameworks.get_mut(usize::from(which) % count) else {
            return;
        };
        let Some((agent, task, uuid)) = framework.unacknowledged.pop() else {
            return;
        };
        let (from, id) = (framework.from.clone(), framework.id.clone());
        self.bench.acknowledge(&from, &id, &agent, &task, uuid);
    }

    /// An executor ends, and with it its tasks: they are lost at the agent, too.
    fn executor_exits(&mut self, which: u8) {
        let count = self.agents.len().max(1);
        let Some(agent) = self.agents.get_mut(usize::from(which) % count) else {
            return;
        };
        let ids: Vec<_> = agent.executors.keys().cloned().collect();
        let Some((framework, id)) = pick(&ids, which / 4).cloned() else {
            return;
        };
        agent.executors.remove(&(framework.clone(), id.clone()));
        if !agent.linked {
            return;
        }
        let message = ExitedExecutor {
            agent_id: AgentId {
                value: agent.id.clone(),
            },
            framework_id: FrameworkId { value: framework },
            executor_id: ExecutorId { value: id },
            status: 0,
        };
        let at = pid(&agent.at);
        self.bench
            .give(Input::Agent(at, FromAgent::ExitedExecutor(message)));
    }

    fn kill(&mut self, which: u8) {
        let Some(framework) = pick(&self.frameworks, which).cloned() else {
            return;
        };
        let snapshot = self.bench.core.snapshot();
        let Some(known) = snapshot.framework(&framework.id) else {
            return;
        };
        let tasks: Vec<_> = known.tasks.keys().cloned().collect();
        let Some(task) = pick(&tasks, which / 4) else {
            return;
        };
        let mut call = Bench::of(&framework.id, call::Type::Kill);
        call.kill = Some(call::Kill {
            task_id: TaskId {
                value: task.clone(),
            },
            ..call::Kill::default()
        });
        self.bench.call(&framework.from, call);
    }

    fn allocate(&mut self) {
        self.seed += 1;
        let order = Order::Shuffled { seed: self.seed };
        // Refusals end in batches, and those are a second apart.
        self.bench.now += Duration::from_millis(600);
        let run = self.allocator.run(self.bench.now, order, &mut ());
        let allocations = run
            .grants
            .iter()
            .map(|grant| Allocation {
                framework_id: FrameworkId {
                    value: grant.framework.to_string(),
                },
                role: grant.role.to_string(),
                agent_id: AgentId {
                    value: grant.agent.to_string(),
                },
                resources: grant.to_proto(),
                incarnation: self.incarnations.get(&*grant.agent).copied().flatten(),
            })
            .collect();
        self.to_master.push_back(allocations);
    }

    fn allocator_hears(&mut self) {
        while let Some(message) = self.to_allocator.pop_front() {
            self.tell_allocator(message);
        }
    }

    /// Lets everything arrive that is on its way.
    pub(super) fn settle(&mut self) {
        while !self.to_allocator.is_empty() || !self.to_master.is_empty() {
            self.allocator_hears();
            while let Some(allocations) = self.to_master.pop_front() {
                self.bench.give(Input::Allocations(allocations));
                self.carry();
            }
        }
    }
}
