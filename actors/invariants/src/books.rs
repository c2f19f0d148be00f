//! What master, allocator, agents and frameworks have written down, and the rules between them.
//!
//! [`at_any_time`] holds in every instant; [`once_quiet`] only when no message is under way and
//! nothing has changed for a while.

use std::collections::{BTreeMap, BTreeSet};

use tepui_protocol::mesos::v1::TaskState;
use tepui_protocol::resources::{Resources, Scalar};

use crate::history::is_terminal;
use crate::{
    BOOKS_AGREE, CONTAINER_RESOURCES, CONTAINERS_AGREE, ENDS_OR_RUNS, FAIR, FREE_IS_OFFERED,
    IN_ONE_PLACE, IS_REGISTERED, IS_SUBSCRIBED, Invariant, NOTHING_FOR_THE_DEAD, NOTHING_WAITS,
    ONE_FATE, READS_BACK, TaskKey, UNREACHABLE_IS_AWAY, Violation,
};

/// A task, an executor or an offer, and what it has of an agent.
#[derive(Clone, Debug)]
pub struct Held {
    /// Which, in words.
    pub by: String,
    /// What it has.
    pub resources: Resources,
}

/// What an agent has written down of an executor that has not ended.
#[derive(Clone, Debug)]
pub struct ExecutorBook {
    /// The framework that it is for.
    pub framework: String,
    /// Its own resources and those of its tasks that have not ended.
    pub resources: Resources,
    /// It has subscribed, and its agent has said to the containerizer what there was to say.
    pub settled: bool,
}

/// What is written down of an agent. Resources are compared without their allocation.
#[derive(Clone, Debug, Default)]
pub struct AgentBooks {
    /// Its link holds, by the master.
    pub connected: bool,
    /// All that it has, by the master.
    pub total: Resources,
    /// What its tasks and executors use, by framework, by the master.
    pub used: BTreeMap<String, Resources>,
    /// The part of `used` that executors of frameworks' own have, by framework.
    pub executors_use: BTreeMap<String, Resources>,
    /// Its tasks that the master has as unreachable.
    pub unreachable: Vec<TaskKey>,
    /// What is offered, by framework, by the master.
    pub offered: BTreeMap<String, Resources>,
    /// What each single task, executor and offer has, by the master.
    pub held: Vec<Held>,
    /// What is given away, by framework, by the allocator; `None` where it does not know the agent.
    pub allocated: Option<BTreeMap<String, Resources>>,
    /// What its tasks and executors use, by framework, by the agent; `None` while it is down.
    pub running: Option<BTreeMap<String, Resources>>,
    /// Tasks that run on it, by the agent.
    pub tasks: Vec<TaskKey>,
    /// Tasks with an update that the agent has no acknowledgement of.
    pub waiting: Vec<TaskKey>,
    /// Its executors by container, by the agent.
    pub executors: BTreeMap<String, ExecutorBook>,
    /// The containers that run and the cpus and memory that each has, by its containerizer; `None`
    /// while it is down. A nested one has a part of what its parent has, and is not among them.
    pub containers: Option<BTreeMap<String, Resources>>,
}

/// What a framework has written down of a task.
#[derive(Clone, Debug)]
pub struct TaskBook {
    /// The agent it was launched on.
    pub agent: String,
    /// What it was launched with, without its executor.
    pub resources: Resources,
    /// The last state that the framework was told.
    pub told: Option<TaskState>,
    /// The group of a default executor that it was launched in, by any name.
    pub group: Option<String>,
}

/// What a framework that would take more is after.
#[derive(Clone, Debug)]
pub struct Demand {
    /// The least that it takes of one agent.
    pub task: Resources,
    /// Its share counts as this much less.
    pub weight: f64,
    /// It declined what is free, and its filter still holds.
    pub filters: bool,
}

/// What is written down of a framework.
#[derive(Clone, Debug, Default)]
pub struct FrameworkBook {
    /// Every task that it launched, by the framework.
    pub tasks: BTreeMap<String, TaskBook>,
    /// It was torn down.
    pub over: bool,
    /// It acknowledges what it is told.
    pub acknowledges: bool,
    /// Its scheduler is up and wants to be subscribed.
    pub wants: bool,
    /// It is connected, by the master.
    pub subscribed: bool,
    /// Set where it would take more.
    pub demand: Option<Demand>,
}

/// All books, from one instant.
#[derive(Clone, Debug, Default)]
pub struct Books {
    /// By agent id: the agents that the master knows.
    pub agents: BTreeMap<String, AgentBooks>,
    /// By name: the hosts whose agent is up, and the id that it has, empty where it has none.
    pub hosts: BTreeMap<String, String>,
    /// By framework id.
    pub frameworks: BTreeMap<String, FrameworkBook>,
    /// The first message that one node wrote and another could not read, in words.
    pub unreadable: Option<String>,
}

impl Books {
    /// Whether an agent of that id is up.
    fn is_up(&self, id: &str) -> bool {
        self.hosts.values().any(|own| own == id)
    }
}

fn broken(invariant: &'static Invariant, detail: String) -> Violation {
    Violation { invariant, detail }
}

/// What is wrong in this very instant.
#[must_use]
pub fn at_any_time(books: &Books) -> Vec<Violation> {
    let agents = books.agents.iter();
    let rules = [
        in_one_place,
        allocator_agrees,
        unreachable_is_away,
        |id: &str, agent: &AgentBooks| container_resources(id, agent, true),
    ];
    let of_agents = agents.flat_map(|(id, agent)| rules.map(|rule| rule(id, agent)));
    let unreadable = books.unreadable.iter();
    let unreadable = unreadable.map(|message| broken(&READS_BACK, message.clone()));
    of_agents.flatten().chain(unreadable).collect()
}

/// [`IN_ONE_PLACE`] for one agent: a master's own book suffices, so that it can assert this.
#[must_use]
pub fn in_one_place(id: &str, agent: &AgentBooks) -> Option<Violation> {
    more_than_there_is(id, agent).or_else(|| given_twice(id, agent))
}

fn more_than_there_is(id: &str, agent: &AgentBooks) -> Option<Violation> {
    let used: Resources = agent.used.values().sum();
    let offered: Resources = agent.offered.values().sum();
    let taken = (used.clone() + &offered).unallocate();
    (!agent.total.unallocate().contains(&taken)).then(|| {
        let total = &agent.total;
        let detail = format!("agent {id} has {total}: used {used}, offered {offered}");
        broken(&IN_ONE_PLACE, detail)
    })
}

/// Of ports and names a sum does not say how often each is in it, so those who have them are
/// looked at one by one.
fn given_twice(id: &str, agent: &AgentBooks) -> Option<Violation> {
    let mut taken: Vec<(&Held, Resources)> = Vec::new();
    for held in &agent.held {
        let own = held
            .resources
            .filter(|entry| entry.amount.scalar().is_none());
        let own = own.unallocate();
        if own.is_empty() {
            continue;
        }
        for (other, before) in &taken {
            let twice = own.intersection(before);
            if !twice.is_empty() {
                let (one, other) = (&other.by, &held.by);
                let detail = format!("{twice} of agent {id} is {one}'s and {other}'s");
                return Some(broken(&IN_ONE_PLACE, detail));
            }
        }
        taken.push((held, own));
    }
    None
}

fn unreachable_is_away(id: &str, agent: &AgentBooks) -> Option<Violation> {
    let task = agent.unreachable.first()?;
    let detail = format!("task {task} of agent {id}");
    Some(broken(&UNREACHABLE_IS_AWAY, detail))
}

/// What is wrong although nothing moves any more.
#[must_use]
pub fn once_quiet(books: &Books) -> Vec<Violation> {
    let mut found = at_any_time(books);
    is_registered(books, &mut found);
    for (id, agent) in &books.agents {
        books_agree(id, agent, books, &mut found);
        found.extend(containers_agree(id, agent));
        found.extend(container_resources(id, agent, false));
        for task in &agent.tasks {
            let framework = books.frameworks.get(&task.framework);
            if framework.is_some_and(|framework| framework.over) {
                let detail = format!("task {task} runs on agent {id}");
                found.push(broken(&NOTHING_FOR_THE_DEAD, detail));
            }
        }
        for (container, ExecutorBook { framework, .. }) in &agent.executors {
            let known = books.frameworks.get(framework);
            if known.is_some_and(|framework| framework.over) {
                let detail = format!("executor {container} of {framework} runs on agent {id}");
                found.push(broken(&NOTHING_FOR_THE_DEAD, detail));
            }
        }
        for task in &agent.waiting {
            let framework = books.frameworks.get(&task.framework);
            if framework.is_some_and(|framework| framework.acknowledges && !framework.over) {
                let detail = format!("an update of {task} waits on agent {id}");
                found.push(broken(&NOTHING_WAITS, detail));
            }
        }
    }
    for (id, framework) in &books.frameworks {
        if framework.wants && !framework.subscribed && !framework.over {
            found.push(broken(&IS_SUBSCRIBED, format!("framework {id}")));
        }
        one_fate(id, framework, books, &mut found);
        ends_or_runs(id, framework, books, &mut found);
        free_is_offered(id, framework, books, &mut found);
    }
    fair(books, &mut found);
    found
}

fn is_registered(books: &Books, found: &mut Vec<Violation>) {
    for (host, id) in &books.hosts {
        let known = books.agents.get(id);
        if !known.is_some_and(|agent| agent.connected) {
            let as_it_is = known.map_or("not registered", |_| "not connected");
            let detail = format!("the agent of {host} is up as '{id}' and {as_it_is}");
            found.push(broken(&IS_REGISTERED, detail));
        }
    }
    for id in books.agents.keys().filter(|id| !books.is_up(id)) {
        let detail = format!("agent {id} is registered, and is nobody that is up");
        found.push(broken(&IS_REGISTERED, detail));
    }
}

/// What each framework uses by a book, empty entries left out.
fn compared(book: &BTreeMap<String, Resources>) -> BTreeMap<&str, Resources> {
    book.iter()
        .map(|(framework, used)| (framework.as_str(), used.unallocate()))
        .filter(|(_, used)| !used.is_empty())
        .collect()
}

fn shown(book: &BTreeMap<&str, Resources>) -> String {
    let lines = book
        .iter()
        .map(|(framework, used)| format!("{framework} {used}"));
    let lines: Vec<String> = lines.collect();
    format!("[{}]", lines.join(", "))
}

/// [`BOOKS_AGREE`] between the books of an agent that are the `master`'s and those of somebody.
fn differs(
    id: &str,
    whose: &str,
    theirs: &BTreeMap<&str, Resources>,
    master: &BTreeMap<&str, Resources>,
) -> Option<Violation> {
    (theirs != master).then(|| {
        let (master, theirs) = (shown(master), shown(theirs));
        let detail = format!("agent {id}: the master has {master}, {whose} has {theirs}");
        broken(&BOOKS_AGREE, detail)
    })
}

/// [`BOOKS_AGREE`] between master and allocator.
fn allocator_agrees(id: &str, agent: &AgentBooks) -> Option<Violation> {
    let allocated = agent.allocated.as_ref()?;
    let mut given = agent.used.clone();
    for (framework, offered) in &agent.offered {
        *given.entry(framework.clone()).or_default() += offered;
    }
    differs(id, "the allocator", &compared(allocated), &compared(&given))
}

fn books_agree(id: &str, agent: &AgentBooks, books: &Books, found: &mut Vec<Violation>) {
    let used = compared(&agent.used);
    if let Some(running) = &agent.running {
        found.extend(differs(id, "the agent", &compared(running), &used));
    }
    // A framework counts what it launched and was not told the end of. Who does not acknowledge is
    // not told what comes after.
    let mut own: BTreeMap<String, Resources> = BTreeMap::new();
    let listens = |book: &FrameworkBook| !book.over && book.acknowledges;
    for (framework, book) in books.frameworks.iter().filter(|(_, book)| listens(book)) {
        let live = book.tasks.values().filter(|task| task.agent == id);
        for task in live.filter(|task| !task.told.is_some_and(is_terminal)) {
            *own.entry(framework.clone()).or_default() += &task.resources;
        }
    }
    let known = |framework: &&str| {
        let book = books.frameworks.get(*framework);
        book.is_some_and(|book| book.over || book.acknowledges)
    };
    // Which executors of its own still run, no framework knows for sure.
    let mut tasks = agent.used.clone();
    for (framework, executors) in &agent.executors_use {
        if let Some(used) = tasks.get_mut(framework) {
            *used = used.unallocate() - executors.unallocate();
        }
    }
    let mut tasks = compared(&tasks);
    tasks.retain(|framework, _| known(framework));
    found.extend(differs(id, "the frameworks' own", &compared(&own), &tasks));
}

fn containers_agree(id: &str, agent: &AgentBooks) -> Option<Violation> {
    let containers = agent.containers.as_ref()?;
    let containers: BTreeSet<&str> = containers.keys().map(String::as_str).collect();
    let executors: BTreeSet<&str> = agent.executors.keys().map(String::as_str).collect();
    (containers != executors).then(|| {
        let only = |these: &BTreeSet<&str>, those| {
            let only: Vec<&str> = these.difference(those).copied().collect();
            only.join(", ")
        };
        let runs = only(&containers, &executors);
        let lacks = only(&executors, &containers);
        let detail = format!(
            "agent {id}: containers without executor [{runs}], executors without container [{lacks}]"
        );
        broken(&CONTAINERS_AGREE, detail)
    })
}

/// [`CONTAINER_RESOURCES`] for the containers of those executors that are `settled`, or that are
/// not. Which containers there are, is another rule's.
fn container_resources(id: &str, agent: &AgentBooks, settled: bool) -> Option<Violation> {
    let of = |resources: &Resources| ["cpus", "mem"].map(|name| resources.scalar(name));
    let executors = agent.executors.iter();
    let mut executors = executors.filter(|(_, executor)| executor.settled == settled);
    executors.find_map(|(container, executor)| {
        let given = of(agent.containers.as_ref()?.get(container)?);
        let needed = of(&executor.resources);
        let in_words = |[cpus, mem]: [Scalar; 2]| format!("{cpus} cpus, {mem} MB");
        (given != needed).then(|| {
            let (given, needed) = (in_words(given), in_words(needed));
            let detail = format!(
                "container {container} of agent {id} has {given}: its executor and tasks, {needed}"
            );
            broken(&CONTAINER_RESOURCES, detail)
        })
    })
}

fn one_fate(id: &str, framework: &FrameworkBook, books: &Books, found: &mut Vec<Violation>) {
    let mut ended: BTreeMap<&String, &String> = BTreeMap::new();
    for (task, book) in &framework.tasks {
        let told = book.told;
        let ends_all = matches!(told, Some(TaskState::TaskFailed | TaskState::TaskKilled));
        if let Some(group) = book.group.as_ref().filter(|_| ends_all) {
            ended.entry(group).or_insert(task);
        }
    }
    for (task, book) in &framework.tasks {
        let group = book.group.as_ref();
        let Some(first) = group.and_then(|group| ended.get(group)) else {
            continue;
        };
        let key = TaskKey::new(id, task);
        let agent = books.agents.get(&book.agent);
        if agent.is_some_and(|agent| agent.tasks.contains(&key)) {
            let detail = format!("task {key} runs, and {first} of its group has ended");
            found.push(broken(&ONE_FATE, detail));
        }
    }
}

fn ends_or_runs(id: &str, framework: &FrameworkBook, books: &Books, found: &mut Vec<Violation>) {
    if framework.over || !framework.acknowledges {
        return;
    }
    for (task, book) in &framework.tasks {
        let key = TaskKey::new(id, task);
        let told = book.told;
        let agent = books.agents.get(&book.agent);
        // An agent that is away keeps its tasks, and the framework is told so.
        let away = agent.is_none() && !books.is_up(&book.agent);
        let away = away && told == Some(TaskState::TaskUnreachable);
        let runs = agent.is_some_and(|agent| agent.tasks.contains(&key));
        if !runs && !away && !told.is_some_and(is_terminal) {
            let detail = format!("task {key} is on no agent, and its framework was told {told:?}");
            found.push(broken(&ENDS_OR_RUNS, detail));
        }
    }
}

fn free_is_offered(id: &str, framework: &FrameworkBook, books: &Books, found: &mut Vec<Violation>) {
    let Some(demand) = framework.demand.as_ref().filter(|demand| !demand.filters) else {
        return;
    };
    for (name, agent) in &books.agents {
        let taken: Resources = agent.used.values().chain(agent.offered.values()).sum();
        let free = agent.total.unallocate() - taken.unallocate();
        if free.contains(&demand.task.unallocate()) {
            let detail = format!("{free} of agent {name} is not offered to {id}");
            found.push(broken(&FREE_IS_OFFERED, detail));
        }
    }
}

/// The greatest part that `amount` is of `total`, over all kinds of resources, by weight.
fn share(amount: &Resources, total: &Resources, weight: f64) -> f64 {
    let parts = amount.names().into_iter().filter_map(|name| {
        let whole = total.scalar(name).to_f64();
        (whole > 0.0).then(|| amount.scalar(name).to_f64() / whole)
    });
    parts.fold(0.0, f64::max) / weight
}

fn fair(books: &Books, found: &mut Vec<Violation>) {
    let total: Resources = books.agents.values().map(|agent| &agent.total).sum();
    let wanting = books.frameworks.iter().filter_map(|(id, framework)| {
        let demand = framework.demand.as_ref().filter(|_| !framework.over)?;
        let used: Resources = books
            .agents
            .values()
            .filter_map(|agent| agent.used.get(id))
            .sum();
        let task = share(&demand.task, &total, demand.weight);
        Some((share(&used, &total, demand.weight), task, id))
    });
    let wanting: Vec<(f64, f64, &String)> = wanting.collect();
    let most = wanting.iter().max_by(|a, b| a.0.total_cmp(&b.0));
    let least = wanting.iter().min_by(|a, b| a.0.total_cmp(&b.0));
    if let (Some((high, of_high, rich)), Some((low, of_low, poor))) = (most, least)
        && high - low > of_high.max(*of_low) + 1e-9
    {
        let detail = format!("{rich} has {high:.4} and {poor} has {low:.4}, both want more");
        found.push(broken(&FAIR, detail));
    }
}

#[cfg(test)]
#[path = "books/tests.rs"]
mod tests;
