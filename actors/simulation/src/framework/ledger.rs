//! A framework's own memory: it outlives its scheduler, as a framework's database does.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tepui_invariants::books::{Demand, FrameworkBook, TaskBook};
use tepui_protocol::mesos::v1::scheduler::OfferConstraints;
use tepui_protocol::mesos::v1::{
    AgentId, ExecutorId, FrameworkId, FrameworkInfo, TaskState, TaskStatus,
};
use tepui_protocol::resources::{Resources, parse_text};
use tepui_runtime::Random;

use super::crews::Crews;
use super::groups::DefaultExecutors;
use crate::temperament::{Acknowledges, Temperament};

/// So many tasks that ended are remembered as the last ones.
const LAST: usize = 20;

/// A task as its framework knows it.
#[derive(Clone, Debug)]
pub(crate) struct OwnTask {
    pub(crate) agent: AgentId,
    /// The executor of the framework's own that has it.
    pub(crate) executor: Option<ExecutorId>,
    /// How often it was to be killed since all is quiet.
    pub(crate) kills: u32,
    pub(crate) resources: Resources,
    pub(crate) told: Option<TaskState>,
    /// Its end was told with a uuid: by its agent, and for good.
    pub(crate) ended: bool,
    /// Nobody is to kill it: it is to run on when all is quiet.
    pub(crate) stays: bool,
    /// The group of a default executor that it was launched in.
    pub(crate) group: Option<String>,
    /// The framework launched another of the same id.
    pub(crate) repeated: bool,
    /// The master knows neither it nor its agent: its ACCEPT was lost, unless it is told of after
    /// all.
    pub(crate) unknown: bool,
}

impl OwnTask {
    pub(crate) fn is_live(&self) -> bool {
        !self.unknown && !self.told.is_some_and(is_over)
    }
}

/// Whether a framework counts a task in this state no more.
pub(crate) fn is_over(state: TaskState) -> bool {
    use TaskState as State;
    matches!(
        state,
        State::TaskFinished
            | State::TaskFailed
            | State::TaskKilled
            | State::TaskError
            | State::TaskLost
            | State::TaskDropped
            | State::TaskGone
            | State::TaskGoneByOperator
    )
}

/// The least that a framework takes which takes everything.
fn least() -> Resources {
    parse_text("cpus:0.1;mem:32", "*").unwrap_or_default()
}

/// Cpus and megabytes of each task of those who share.
pub(crate) const SHARE: (f64, f64) = (1.0, 256.0);

fn share() -> Resources {
    let (cpus, mem) = SHARE;
    parse_text(&format!("cpus:{cpus};mem:{mem}"), "*").unwrap_or_default()
}

/// What a framework remembers.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) temperament: Temperament,
    pub(crate) random: Random,
    pub(crate) info: FrameworkInfo,
    /// It speaks HTTP, and no messages.
    pub(crate) http: bool,
    pub(crate) id: Option<FrameworkId>,
    pub(crate) tasks: BTreeMap<String, OwnTask>,
    /// The last of them that ended.
    pub(crate) ended_last: VecDeque<String>,
    next: u64,
    /// Its own executors, where it has any.
    pub(crate) crews: Option<Crews>,
    /// Those that come with the agents and run its groups.
    pub(crate) defaults: DefaultExecutors,
    /// The master said that it is over, or it was torn down by itself.
    pub(crate) over: bool,
    /// It is tearing itself down.
    pub(crate) ending: bool,
    /// A scheduler of it is subscribed, as that one believes.
    pub(crate) subscribed: bool,
    /// What it counts for among those who share, and how many of its first offers it refuses, for
    /// a while each.
    pub(crate) weight: f64,
    pub(crate) coy: u32,
    /// The roles in which it wanted no offers, and did not revive them yet.
    pub(crate) suppressed: BTreeSet<String>,
    /// Of which agents it wants offers, where that matters to it.
    pub(crate) constraints: Option<OfferConstraints>,
    /// Where it is quiet: it takes and keeps every offer.
    pub(crate) keeps_offers: bool,
    /// Its scheduler has ended, since it was told that another one has the framework.
    pub(crate) replaced: bool,
    /// Wants no more tasks, and is to bring its book in order.
    pub(crate) quiet: bool,
    pub(crate) launched: u64,
    pub(crate) nonsense: u64,
    /// How often its executors answered it.
    pub(crate) heard: u64,
}

/// A handle to it.
#[derive(Clone, Debug)]
pub(crate) struct Ledger(Arc<Mutex<Memory>>);

impl Ledger {
    pub(crate) fn new(temperament: Temperament, number: usize, random: Random) -> Ledger {
        let info = temperament.info(number, &random);
        let http = random.below(3) == 0;
        let crews = random.below(2) == 0 && temperament != Temperament::Sharing;
        Ledger(Arc::new(Mutex::new(Memory {
            temperament,
            random,
            info,
            http,
            id: None,
            tasks: BTreeMap::new(),
            ended_last: VecDeque::new(),
            next: 1,
            crews: crews.then(Crews::default),
            defaults: DefaultExecutors::default(),
            over: false,
            ending: false,
            subscribed: false,
            weight: 1.0,
            coy: 3,
            suppressed: BTreeSet::new(),
            constraints: None,
            keeps_offers: false,
            replaced: false,
            quiet: false,
            launched: 0,
            nonsense: 0,
            heard: 0,
        })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    /// A task id: the same ones in every framework.
    pub(crate) fn next_id(&mut self) -> String {
        let id = format!("t{}", self.next);
        self.next += 1;
        id
    }

    /// What the framework is told of a task.
    pub(crate) fn told(&mut self, status: &TaskStatus) {
        let state = status.state();
        let Some(task) = self.tasks.get_mut(&status.task_id.value) else {
            return;
        };
        if task.ended || (task.repeated && state == TaskState::TaskError) {
            return;
        }
        task.told = Some(state);
        task.ended = is_over(state) && status.uuid.is_some();
        task.unknown = state == TaskState::TaskUnknown;
        if task.ended {
            if self.ended_last.len() == LAST {
                self.ended_last.pop_front();
            }
            self.ended_last.push_back(status.task_id.value.clone());
        }
    }

    /// It would take all that is offered, and answers nothing.
    pub(crate) fn hungry(&self) -> bool {
        self.quiet && self.keeps_offers
    }

    pub(crate) fn live(&self) -> usize {
        self.tasks.values().filter(|task| task.is_live()).count()
    }

    /// What it would take more of.
    fn demand(&self) -> Option<Demand> {
        let task = match self.temperament {
            Temperament::Sharing => share(),
            _ if self.hungry() => least(),
            _ => return None,
        };
        self.subscribed.then_some(Demand {
            task,
            weight: self.weight,
            filters: false,
        })
    }

    /// Its book, under its id, or under its name while it has none.
    pub(crate) fn book(&self) -> (String, FrameworkBook) {
        let tasks = self.tasks.iter().filter(|(_, task)| !task.unknown);
        let tasks = tasks.map(|(id, task)| {
            let book = TaskBook {
                agent: task.agent.value.clone(),
                resources: task.resources.clone(),
                told: task.told,
                group: task.group.clone(),
            };
            (id.clone(), book)
        });
        let book = FrameworkBook {
            tasks: tasks.collect(),
            over: self.over,
            acknowledges: self.temperament.acknowledges() != Acknowledges::Never,
            wants: !self.over && !self.ending,
            subscribed: false,
            demand: self.demand(),
        };
        let id = self.id.as_ref().map_or(&self.info.name, |id| &id.value);
        (id.clone(), book)
    }
}
