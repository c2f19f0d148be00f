//! The books of master, allocator, agents and frameworks, laid side by side.
//!
//! Each is the owner's own: the master's and the agents' from what they publish, the allocator's
//! from its answer, the frameworks' from what they keep, or else from what reached them.

use std::collections::BTreeMap;
use std::time::Duration;

use tepui_agent::core::executor::{ExecutorState, Phase};
use tepui_agent::snapshot::{ExecutorView, Snapshot as AgentSnapshot};
use tepui_invariants::TaskKey;
use tepui_invariants::books::{AgentBooks, Books, ExecutorBook, FrameworkBook, Held};
use tepui_master::snapshot::{Agent, Snapshot};
use tepui_protocol::mesos::v1::Resource;
use tepui_protocol::resources::{Resources, parse_text};
use tepui_protocol::tepui::allocator::{Book, ShowBook};
use tepui_protocol::tepui::containerizer::{Inspect, Inspected};
use tepui_runtime::{AskError, Pid, Time};

use super::Observer;
use crate::cluster::{AgentHost, Cluster};

/// What each framework has of each agent, by agent and framework.
type Uses = BTreeMap<String, BTreeMap<String, Resources>>;

impl Observer {
    /// All books of this instant; none of an agent while there is no master. What is ready to run
    /// is run first, so that what master and allocator tell each other has arrived.
    #[must_use]
    pub fn books(&self, cluster: &mut Cluster) -> Books {
        self.books_with(cluster, [])
    }

    /// The same, with books that frameworks keep themselves, by id, in place of what was derived.
    #[must_use]
    pub fn books_with(
        &self,
        cluster: &mut Cluster,
        own: impl IntoIterator<Item = (String, FrameworkBook)>,
    ) -> Books {
        cluster.simulation.run_until_idle();
        let mut frameworks = self.seen().frameworks.books();
        for (id, mut book) in own {
            // Whether it is over is the master's to say. Who only believes so listens no more.
            let over = frameworks.get(&id).is_some_and(|derived| derived.over);
            book.acknowledges &= !book.over;
            book.over = over;
            frameworks.insert(id, book);
        }
        if let Some((_, master)) = cluster.master() {
            for (id, framework) in master.snapshot().frameworks.iter() {
                if let Some(book) = frameworks.get_mut(id) {
                    book.subscribed = framework.connected();
                }
            }
        }
        let mut books = Books {
            hosts: hosts(cluster),
            unreadable: cluster.simulation.network().first_unreadable(),
            frameworks,
            ..Books::default()
        };
        let Some((node, master)) = cluster.master().cloned() else {
            return books;
        };
        let allocator = node.pid_of(ALLOCATOR);
        let answer = node.ask(&allocator, ShowBook {}, Duration::from_secs(1));
        let answer: Result<Book, AskError> = cluster.simulation.block_on(answer);
        let allocated = answer.ok().map(|book| uses(&book));
        let now = cluster.simulation.now();
        let snapshot = master.snapshot();
        let mut inspect = Vec::new();
        for (id, agent) in snapshot.agents.iter() {
            let mut book = by_master(&snapshot, agent);
            book.allocated = allocated
                .as_ref()
                .map(|all| all.get(id).cloned().unwrap_or_default());
            let host = cluster.agents().iter();
            let host = host.filter(|host| host.address == agent.pid.address());
            if let Some(own) = host.filter_map(present).find(|own| own.agent_id() == id) {
                self.by_agent(&own, now, &mut book);
                inspect.push((id.clone(), own.origin.containerizer.clone()));
            }
            books.agents.insert(id.clone(), book);
        }
        for (id, containerizer) in inspect {
            if let Some(book) = books.agents.get_mut(&id) {
                book.containers = containers(cluster, &containerizer);
            }
        }
        books
    }

    fn by_agent(&self, own: &AgentSnapshot, now: Time, book: &mut AgentBooks) {
        let mut running: BTreeMap<String, Resources> = BTreeMap::new();
        let seen = self.seen();
        let mut waiting = seen.agents.waiting(own.agent_id());
        let writes = seen.agents.writes(&own.origin.pid, now);
        for ((framework, _), executor) in own.executors.iter() {
            *running.entry(framework.clone()).or_default() += used_by(executor);
            if executor.state != ExecutorState::Terminated {
                let container = executor.container.clone();
                let said = writes && seen.agents.keeps_limits(&container);
                let known = ExecutorBook {
                    framework: framework.clone(),
                    resources: contained(executor),
                    settled: executor.state == ExecutorState::Running && said,
                };
                book.executors.insert(container, known);
            }
            for task in executor.tasks.values() {
                let key = TaskKey::new(framework, &task.task.task_id.value);
                if task.phase == Phase::Terminated {
                    waiting.insert(key);
                } else {
                    book.tasks.push(key);
                }
            }
        }
        book.running = Some(running);
        book.waiting = waiting.into_iter().collect();
    }
}

/// The allocator's process on the master's node.
const ALLOCATOR: &str = "hierarchical-allocator(1)";

/// The hosts that are up, with the id that the agent of each has.
fn hosts(cluster: &Cluster) -> BTreeMap<String, String> {
    let hosts = cluster.agents().iter();
    let up = hosts.filter_map(|host| Some((host.name.clone(), present(host)?)));
    up.map(|(name, own)| (name, own.agent_id().to_owned()))
        .collect()
}

fn present(host: &AgentHost) -> Option<std::sync::Arc<AgentSnapshot>> {
    host.up
        .as_ref()
        .map(|(_, agent)| agent.snapshot.load_full())
}

/// The containers that run at a containerizer and what each has, by its own answer; those that are
/// not nested in another.
fn containers(cluster: &mut Cluster, containerizer: &Pid) -> Option<BTreeMap<String, Resources>> {
    let hosts = cluster.agents().iter();
    let mut hosts = hosts.filter(|host| host.address == containerizer.address());
    let (node, _) = hosts.next()?.up.clone()?;
    let all = Inspect::default();
    let answer = node.ask(containerizer, all, Duration::from_secs(1));
    let answer: Result<Inspected, AskError> = cluster.simulation.block_on(answer);
    let running = answer.ok()?.containers.into_iter();
    let running = running.filter(|one| one.error.is_none() && one.container_id.parent.is_none());
    let running = running.map(|one| {
        let usage = one.statistics.unwrap_or_default();
        let cpus = usage.cpus_soft_limit.unwrap_or(0.0);
        let mem = usage.mem_soft_limit_bytes.unwrap_or(0);
        (one.container_id.value, cpus_and_mem(cpus, mem))
    });
    Some(running.collect())
}

fn cpus_and_mem(cpus: f64, bytes: u64) -> Resources {
    // In thousandths, as an agent's book has it; a container's bytes are cut to whole ones.
    let thousandths = bytes.saturating_mul(1000).saturating_add(1 << 19) >> 20;
    let (whole, rest) = (thousandths / 1000, thousandths % 1000);
    let text = format!("cpus:{cpus};mem:{whole}.{rest:03}");
    parse_text(&text, "*").unwrap_or_default()
}

fn resources(all: &[Resource]) -> Resources {
    Resources::from_proto(all).unwrap_or_default()
}

fn uses(book: &Book) -> Uses {
    let mut uses = Uses::new();
    for one in &book.uses {
        let agent = uses.entry(one.agent_id.value.clone()).or_default();
        *agent.entry(one.framework_id.value.clone()).or_default() += resources(&one.resources);
    }
    uses
}

fn by_master(snapshot: &Snapshot, agent: &Agent) -> AgentBooks {
    let used = agent.used.iter();
    let mut offered: BTreeMap<String, Resources> = BTreeMap::new();
    for offer in agent.offers.iter().filter_map(|id| snapshot.offers.get(id)) {
        *offered.entry(offer.framework_id.clone()).or_default() += &offer.resources;
    }
    let mut unreachable = Vec::new();
    for (framework, known) in snapshot.frameworks.iter() {
        let tasks = known.unreachable_tasks.iter();
        let here = tasks.filter(|(_, task)| task.agent_id.value == agent.id);
        unreachable.extend(here.map(|(task, _)| TaskKey::new(framework, task)));
    }
    let mut executors_use: BTreeMap<String, Resources> = BTreeMap::new();
    for (framework, executor) in agent.executors.iter() {
        let known = snapshot.frameworks.get(framework);
        let key = (agent.id.clone(), executor.clone());
        if let Some(info) = known.and_then(|known| known.executors.get(&key)) {
            *executors_use.entry(framework.clone()).or_default() += resources(&info.resources);
        }
    }
    let holders = snapshot.holders(agent).into_iter();
    AgentBooks {
        connected: agent.connected,
        held: holders
            .map(|(by, resources)| Held { by, resources })
            .collect(),
        unreachable,
        executors_use,
        total: agent.total.clone(),
        used: used
            .map(|(id, used)| (id.clone(), (**used).clone()))
            .collect(),
        offered,
        ..AgentBooks::default()
    }
}

/// What an executor and its tasks have that have not ended. What the agent adds for an executor
/// that it made itself is in nobody's books, as in Mesos.
fn used_by(executor: &ExecutorView) -> Resources {
    let mut used = Resources::default();
    if !executor.generated && executor.state != ExecutorState::Terminated {
        used += resources(&executor.info.resources);
    }
    let alive = executor.tasks.values();
    for task in alive.filter(|task| task.phase != Phase::Terminated) {
        used += resources(&task.task.resources);
    }
    used
}

/// What the container of an executor is to have: what the agent adds for one that it made itself,
/// or else the executor's own, and what its tasks have that have not ended.
fn contained(executor: &ExecutorView) -> Resources {
    let used = used_by(executor);
    match executor.generated {
        true => used + cpus_and_mem(0.1, 32 << 20),
        false => used,
    }
}
