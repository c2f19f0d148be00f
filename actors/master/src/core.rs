//! Everything the master decides, in plain Rust: a state, inputs, and the effects it asks for.
//!
//! One file for each concern; each adds methods to [`MasterCore`]:
//!
//! | file | what it decides |
//! |---|---|
//! | `recovery` | what the registry says at start, and pruning it |
//! | `calls` | which call of a scheduler goes where, and which are not done |
//! | `subscribe` | a framework comes, comes back, fails over |
//! | `frameworks` | a framework disconnects, is removed |
//! | `registration` | an agent comes |
//! | `reregistration` | an agent comes back; what it and the master disagree on |
//! | `agents` | pings, broken links, unreachable and removed agents |
//! | `removals` | how fast agents are given up |
//! | `operator`, `gone` | what an operator asks for; agents that never come back |
//! | `offers` | allocations become offers; declined, rescinded, expired ones |
//! | `pauses` | where a framework's tasks fail at once, it is offered more after a while |
//! | `accept`, `launch_group` | ACCEPT: offers and operations |
//! | `status` | status updates and acknowledgements |
//! | `executors` | executors end, are shut down, exchange messages with frameworks |
//! | `tasks` | the books: which tasks there are and what they use |
//! | `kill`, `reconcile` | the calls of these names |
//! | `operations` | calls about operations under way and inverse offers, of which there are none |
//! | `validation` | what is refused, by name |
//!
//! The invariants that the property test checks after every input:
//! - MA-1: what is offered of an agent and what tasks use of it never exceed its total.
//! - MA-2: every offer is in the books of exactly its framework and its agent, both of them active.
//! - MA-3: every task of an agent is its framework's, and the other way round.
//! - MA-4: what agents and frameworks are said to use is the sum over their tasks that run.
//! - MA-5: the allocator's book equals offered plus used.
//!
//! No clock, no IO, no randomness: time comes with each input.

mod accept;
mod agents;
mod amounts;
mod calls;
mod counters;
mod effect;
mod executors;
mod frameworks;
mod gone;
mod input;
mod kill;
mod launch_group;
mod offers;
mod operations;
mod operator;
mod pauses;
mod reconcile;
mod recovery;
mod registration;
mod removals;
mod reregistration;
mod status;
mod subscribe;
mod tasks;
#[cfg(test)]
mod tests;
pub mod validation;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tepui_invariants::PlantedBug;
use tepui_protocol::mesos::v1::scheduler::Event;
use tepui_protocol::mesos::v1::{MasterInfo, TaskState};
use tepui_runtime::{Pid, Time};

pub use self::calls::{supported, supported_operation};
pub use self::effect::{Counter, Effect, Level, ToAgent, ToAllocator};
pub use self::input::{FromAgent, Input, Pending, Timer};
pub use self::operator::operates;
pub use self::registration::{Admission, Reregistration};
pub(crate) use self::tasks::holds;
use crate::MasterOptions;
use crate::snapshot::{Agent, Bounded, Framework, Snapshot};

/// Mesos remembers this many agents it removed (`MAX_REMOVED_SLAVES`).
const MAX_REMOVED_AGENTS: usize = 100_000;

/// The master's mind.
#[derive(Debug)]
pub struct MasterCore {
    options: MasterOptions,
    state: Snapshot,
    /// What readers need not see.
    book: Book,
    now: Time,
    changed: bool,
    effects: Vec<Effect>,
}

/// Indexes, transitions under way and counters.
#[derive(Debug)]
struct Book {
    next_framework: u64,
    next_agent: u64,
    next_offer: u64,
    next_incarnation: u64,
    framework_of: BTreeMap<Pid, String>,
    agent_of: BTreeMap<Pid, String>,
    /// Agents whose admission is being written, by PID: they have no id yet.
    registering: BTreeSet<Pid>,
    reregistering: BTreeSet<String>,
    marking_unreachable: BTreeSet<String>,
    marking_gone: BTreeSet<String>,
    removing: BTreeSet<String>,
    removed: Bounded<String, ()>,
    /// Pings that got no answer in a row, and whether one is under way, by agent id.
    pings: BTreeMap<String, agents::Pings>,
    removals: removals::Removals,
    pauses: pauses::Pauses,
}

impl MasterCore {
    /// A master that has not read its registry yet.
    #[must_use]
    pub fn new(options: MasterOptions, master_info: MasterInfo, now: Time) -> MasterCore {
        let mut state = Snapshot::new(master_info, now, options.max_completed_frameworks);
        state.weights = Arc::new(options.allocator.decisions.weights.clone());
        state.whitelist = options.roles.clone().map(Arc::new);
        let book = Book {
            next_framework: 0,
            next_agent: 0,
            next_offer: 0,
            next_incarnation: 0,
            framework_of: BTreeMap::new(),
            agent_of: BTreeMap::new(),
            registering: BTreeSet::new(),
            reregistering: BTreeSet::new(),
            marking_unreachable: BTreeSet::new(),
            marking_gone: BTreeSet::new(),
            removing: BTreeSet::new(),
            removed: Bounded::new(MAX_REMOVED_AGENTS),
            pings: BTreeMap::new(),
            removals: removals::Removals::default(),
            pauses: pauses::Pauses::default(),
        };
        MasterCore {
            options,
            state,
            book,
            now,
            changed: true,
            effects: Vec::new(),
        }
    }

    /// Takes one input and says what is to be done about it.
    pub fn handle(&mut self, input: Input, now: Time) -> Vec<Effect> {
        self.now = now;
        let answered = matches!(input, Input::Recovered(_) | Input::Operator(..));
        if !self.state.recovered && !answered {
            // Mesos drops every message until its registry is read; senders try again.
            self.count("master/dropped_messages");
            return std::mem::take(&mut self.effects);
        }
        match input {
            Input::Recovered(answer) => self.recovered(answer),
            Input::Applied(pending, answer) => self.applied(pending, answer),
            Input::Timer(timer) => self.timer(timer),
            Input::Exited(pid) => self.exited(&pid),
            Input::Allocations(allocations) => self.allocated(allocations),
            Input::Call(from, call) => self.call(&from, call),
            Input::Agent(from, message) => self.agent_message(&from, message),
            Input::Operator(asker, call) => self.operator(&asker, &call),
        }
        std::mem::take(&mut self.effects)
    }

    /// The state now: a cheap copy.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.state.clone()
    }

    /// Whether the registry was read: before that the master answers nobody.
    #[must_use]
    pub fn is_recovered(&self) -> bool {
        self.state.recovered
    }

    /// Whether the state changed since this was last asked.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    fn applied(&mut self, pending: Pending, answer: Result<bool, String>) {
        let mutated = match answer {
            Ok(mutated) => mutated,
            Err(problem) => {
                return self
                    .effects
                    .push(Effect::Abort(format!("registrar failed: {problem}")));
            }
        };
        match pending {
            Pending::Admit(admission) => self.admitted(*admission, mutated),
            Pending::Update(agent) => self.agent_info_updated(*agent, mutated),
            Pending::Readmit(agent) => self.readmitted(*agent),
            Pending::Unreachable { agent_id, why, at } => {
                self.marked_unreachable(&agent_id, &why, at, mutated);
            }
            Pending::Remove {
                agent_id,
                why,
                counter,
            } => {
                self.removed_from_registry(&agent_id, &why, counter);
            }
            Pending::Gone {
                agent_id,
                at,
                asker,
            } => self.marked_gone(&asker, &agent_id, at),
            Pending::Deactivate { agent_id, asker } => self.deactivated(&asker, &agent_id),
            Pending::Reactivate { agent_id, asker } => self.reactivated(&asker, &agent_id),
            Pending::Prune { unreachable, gone } => self.pruned(&unreachable, &gone),
        }
    }

    fn timer(&mut self, timer: Timer) {
        match timer {
            Timer::Ping(agent_id) => self.ping_due(&agent_id),
            Timer::AgentReregister(agent_id) => self.agent_did_not_return(&agent_id),
            Timer::RecoveredAgents => self.recovered_agents_did_not_return(),
            Timer::Heartbeat(framework_id) => self.heartbeat_due(&framework_id),
            Timer::FrameworkFailover(framework_id) => self.failover_timed_out(&framework_id),
            Timer::Offer(offer_id) => self.offer_timed_out(&offer_id),
            Timer::RegistryGc => self.prune(),
            Timer::Removal => self.next_removal(),
        }
    }

    fn exited(&mut self, pid: &Pid) {
        if let Some(framework_id) = self.book.framework_of.get(pid).cloned() {
            self.framework_exited(&framework_id);
        }
        if let Some(agent_id) = self.book.agent_of.get(pid).cloned() {
            self.agent_exited(&agent_id);
        }
    }

    fn agent_message(&mut self, from: &Pid, message: FromAgent) {
        match message {
            FromAgent::Register(message) => self.register_agent(from, message),
            FromAgent::Reregister(message) => self.reregister_agent(from, message),
            FromAgent::Unregister(message) => self.unregister_agent(from, &message),
            FromAgent::Update(message) => self.update_agent(from, message),
            FromAgent::Pong => self.pong(from),
            FromAgent::Status(message) => self.status_update(message),
            FromAgent::ExitedExecutor(message) => self.exited_executor(&message),
            FromAgent::ToFramework(message) => self.executor_message(message),
        }
    }

    /// Whether a test build is to have this bug.
    fn planted(&self, bug: PlantedBug) -> bool {
        self.options.planted.has(bug)
    }

    /// The framework `id`, to be changed.
    fn framework_mut(&mut self, id: &str) -> Option<&mut Framework> {
        self.changed = true;
        self.state
            .frameworks
            .get_mut(id)
            .map(std::sync::Arc::make_mut)
    }

    /// The registered agent `id`, to be changed.
    fn agent_mut(&mut self, id: &str) -> Option<&mut Agent> {
        self.changed = true;
        self.state.agents.get_mut(id).map(std::sync::Arc::make_mut)
    }

    /// Sends an event to a framework, if it is connected.
    fn event(&mut self, framework_id: &str, event: Event) -> bool {
        let Some(framework) = self.state.framework(framework_id) else {
            return false;
        };
        let Some(pid) = framework.pid().cloned() else {
            return false;
        };
        self.count_event(framework_id, &event);
        self.effects.push(Effect::Event(pid, Box::new(event)));
        true
    }

    /// Sends a message to a registered agent, connected or not.
    fn tell_agent(&mut self, agent_id: &str, message: ToAgent) {
        if let Some(agent) = self.state.agent(agent_id) {
            self.effects
                .push(Effect::Agent(agent.pid.clone(), Box::new(message)));
        }
    }

    fn tell_allocator(&mut self, message: ToAllocator) {
        self.effects.push(Effect::Allocator(Box::new(message)));
    }

    fn count(&mut self, key: &'static str) {
        self.effects.push(Effect::Count(Counter::Key(key)));
    }

    fn count_made(&mut self, key: String) {
        self.effects.push(Effect::Count(Counter::Made(key, 1)));
    }

    fn info(&mut self, line: String) {
        self.effects.push(Effect::Log(Level::Info, line));
    }

    fn warn(&mut self, line: String) {
        self.effects.push(Effect::Log(Level::Warn, line));
    }
}

/// Mesos' terminal states: the task will never run again.
#[must_use]
pub fn is_terminal(state: TaskState) -> bool {
    match state {
        TaskState::TaskFinished
        | TaskState::TaskFailed
        | TaskState::TaskKilled
        | TaskState::TaskError
        | TaskState::TaskLost
        | TaskState::TaskDropped
        | TaskState::TaskGone
        | TaskState::TaskGoneByOperator => true,
        TaskState::TaskStaging
        | TaskState::TaskStarting
        | TaskState::TaskRunning
        | TaskState::TaskKilling
        | TaskState::TaskUnreachable
        | TaskState::TaskUnknown => false,
    }
}
