//! What an agent shows of itself: an immutable picture of one instant, for the gateway and for
//! whoever reads the agent's state. Readers take it without asking the agent.
//!
//! Everything sits in persistent maps behind `Arc`s: a new picture shares with the last what did
//! not change. Not here: how it is shown (views are written where they are served).

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rpds::{QueueSync, RedBlackTreeMapSync};
use tepui_protocol::mesos::v1::executor::Call;
use tepui_protocol::mesos::v1::{AgentInfo, ExecutorInfo, FrameworkInfo, Resource};
use tepui_runtime::{Pid, Time};

use crate::core::call::{CallError, Standing, validate_executor_call};
use crate::core::executor::{self, AgentTask, Executor, ExecutorState};
use crate::core::framework::Framework;
use crate::core::task_list::InOrder;
use crate::core::{AgentState, Core};

/// Where the present snapshot of an agent is found; the agent puts each new one here.
pub type SnapshotCell = Arc<ArcSwap<Snapshot>>;

/// A persistent ordered map whose values are shared.
pub type Map<K, V> = RedBlackTreeMapSync<K, Arc<V>>;

/// What an agent is and has from its first moment on.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The agent's own PID.
    pub pid: Pid,
    /// The master it registers with.
    pub master: Pid,
    /// Who runs its containers.
    pub containerizer: Pid,
    /// Where sandboxes and checkpoints are.
    pub work_dir: PathBuf,
    /// When it started.
    pub started_at: Time,
}

/// An agent at one instant.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// What never changes.
    pub origin: Arc<Origin>,
    /// Its state.
    pub state: AgentState,
    /// Whether executors may subscribe: its checkpoints were read.
    pub open: bool,
    /// Its info; has an id once it was registered.
    pub info: Arc<AgentInfo>,
    /// Its frameworks by id.
    pub frameworks: Map<String, FrameworkView>,
    /// Its executors by the ids of framework and executor.
    pub executors: Map<(String, String), ExecutorView>,
    /// Frameworks that ended here, oldest first.
    pub completed_frameworks: Arc<Vec<Arc<FrameworkView>>>,
    /// Folders of what ended that wait for their removal.
    pub scheduled_removals: usize,
    /// How old such a folder may get on the disk as it is.
    pub max_sandbox_age: Duration,
}

/// A framework at that instant.
#[derive(Debug, Clone)]
pub struct FrameworkView {
    /// Its FrameworkInfo.
    pub info: FrameworkInfo,
    /// Its executors that ended, oldest first.
    pub completed_executors: Vec<Arc<ExecutorView>>,
}

/// An executor at that instant.
#[derive(Debug, Clone)]
pub struct ExecutorView {
    /// Its ExecutorInfo.
    pub info: Arc<ExecutorInfo>,
    /// Its state.
    pub state: ExecutorState,
    /// The process that speaks for it, while it is connected.
    pub pid: Option<Pid>,
    /// Its container's id.
    pub container: String,
    /// Its sandbox.
    pub directory: PathBuf,
    /// Made by the agent for a command task.
    pub generated: bool,
    /// Its tasks in order of arrival, ended and unacknowledged ones among them.
    pub tasks: InOrder,
    /// Its tasks that ended and were acknowledged, oldest first.
    pub completed_tasks: QueueSync<Arc<AgentTask>>,
}

impl ExecutorView {
    /// What its container has.
    #[must_use]
    pub fn resources(&self) -> Vec<Resource> {
        executor::resources(&self.info, self.tasks.values().map(Arc::as_ref))
    }
}

impl Snapshot {
    /// The picture of a core in its first moment.
    #[must_use]
    pub fn first(core: &Core, origin: Origin) -> Snapshot {
        Snapshot {
            origin: Arc::new(origin),
            state: core.state(),
            open: core.is_open(),
            info: Arc::new(core.info().clone()),
            frameworks: Map::new_sync(),
            executors: Map::new_sync(),
            completed_frameworks: Arc::default(),
            scheduled_removals: core.scheduled_removals(),
            max_sandbox_age: core.max_sandbox_age(),
        }
    }

    /// This picture brought up to date: only the executors named in `changed` are looked at.
    #[must_use]
    pub fn next(&self, core: &Core, changed: &BTreeSet<(String, String)>) -> Snapshot {
        let mut next = self.clone();
        next.state = core.state();
        next.open = core.is_open();
        next.scheduled_removals = core.scheduled_removals();
        next.max_sandbox_age = core.max_sandbox_age();
        if *next.info != *core.info() {
            next.info = Arc::new(core.info().clone());
        }
        // Before the frameworks, whose ended executors are found among these.
        next.update_completed(core);
        next.update_frameworks(core, changed, &self.completed_frameworks);
        next.update_executors(core, changed);
        next
    }

    fn update_executors(&mut self, core: &Core, changed: &BTreeSet<(String, String)>) {
        for key in changed {
            let framework = core.frameworks().get(&key.0);
            match framework.and_then(|known| known.executors.get(&key.1)) {
                Some(executor) => {
                    let view = Arc::new(view_of(executor));
                    self.executors.insert_mut(key.clone(), view);
                }
                None => {
                    self.executors.remove_mut(key);
                }
            }
        }
    }

    fn update_frameworks(
        &mut self,
        core: &Core,
        changed: &BTreeSet<(String, String)>,
        ended: &[Arc<FrameworkView>],
    ) {
        let gone = self.frameworks.keys();
        let gone = gone.filter(|id| !core.frameworks().contains_key(*id));
        for id in gone.cloned().collect::<Vec<_>>() {
            self.frameworks.remove_mut(&id);
        }
        let touched: BTreeSet<&str> = changed.iter().map(|(id, _)| id.as_str()).collect();
        for (id, framework) in core.frameworks() {
            let before = self.frameworks.get(id);
            let same = before.is_some_and(|before| {
                let touched = touched.contains(id.as_str());
                before.info == framework.info && !(touched && before.lacks(framework))
            });
            if !same {
                // One that had ended is back, with its past.
                let back = || ended.iter().find(|view| view.info.id == framework.info.id);
                let before = before.or_else(back);
                let view = framework_view(framework, before.map(Arc::as_ref));
                self.frameworks.insert_mut(id.clone(), Arc::new(view));
            }
        }
    }

    fn update_completed(&mut self, core: &Core) {
        let (now, before) = (core.completed_frameworks(), &self.completed_frameworks);
        let same = |view: &Arc<FrameworkView>, framework: &Framework| {
            view.info.id == framework.info.id && !view.lacks(framework)
        };
        if now.len() == before.len() && before.iter().zip(now).all(|(old, new)| same(old, new)) {
            return;
        }
        let completed = now.iter().map(|framework| {
            let old = before.iter().find(|view| same(view, framework));
            old.cloned().unwrap_or_else(|| {
                let id = framework.info.id.as_ref();
                let known = self.frameworks.get(id.map_or("", |id| id.value.as_str()));
                Arc::new(framework_view(framework, known.map(Arc::as_ref)))
            })
        });
        self.completed_frameworks = Arc::new(completed.collect());
    }

    /// Whether the agent is registered with its master.
    #[must_use]
    pub fn is_registered(&self) -> bool {
        self.state == AgentState::Running
    }

    /// The agent's id; empty before it was registered.
    #[must_use]
    pub fn agent_id(&self) -> &str {
        self.info.id.as_ref().map_or("", |id| id.value.as_str())
    }

    /// The present executors of a framework, by id.
    pub fn executors_of<'a>(
        &'a self,
        framework: &str,
    ) -> impl Iterator<Item = &'a Arc<ExecutorView>> + use<'a> {
        let owner = framework.to_owned();
        let from = (framework.to_owned(), String::new());
        self.executors
            .range(from..)
            .take_while(move |((framework, _), _)| *framework == owner)
            .map(|(_, view)| view)
    }

    /// Whether a call of an executor may be passed on to the agent; what the agent itself would
    /// say, for the gateway to answer before.
    ///
    /// # Errors
    /// [`CallError`], with the status that HTTP is to answer.
    pub fn validate_executor_call(&self, call: &Call) -> Result<(), CallError> {
        validate_executor_call(call, self.open, |framework, executor| {
            if !self.frameworks.contains_key(framework) {
                return Standing::NoFramework;
            }
            match self
                .executors
                .get(&(framework.to_owned(), executor.to_owned()))
            {
                None => Standing::NoExecutor,
                Some(view) if view.state == ExecutorState::Registering => Standing::NotSubscribed,
                Some(_) => Standing::Subscribed,
            }
        })
    }
}

impl FrameworkView {
    /// Whether executors of the framework ended since. They are only ever added at the end.
    fn lacks(&self, framework: &Framework) -> bool {
        let (known, now) = (&self.completed_executors, &framework.completed);
        let last = known.last().map(|view| &view.container);
        known.len() != now.len() || last != now.back().map(|executor| &executor.container)
    }
}

fn framework_view(framework: &Framework, before: Option<&FrameworkView>) -> FrameworkView {
    // Both in the order in which they ended: each is behind the one found before.
    let known = before.map(|before| before.completed_executors.as_slice());
    let mut known = known.unwrap_or_default().iter();
    let ended = framework.completed.iter().map(|executor| {
        let view = known.find(|view| view.container == executor.container);
        view.cloned().unwrap_or_else(|| Arc::new(view_of(executor)))
    });
    FrameworkView {
        completed_executors: ended.collect(),
        info: framework.info.clone(),
    }
}

fn view_of(executor: &Executor) -> ExecutorView {
    ExecutorView {
        info: Arc::clone(&executor.info),
        state: executor.state,
        pid: executor.pid.clone(),
        container: executor.container.clone(),
        directory: executor.directory.clone(),
        generated: executor.generated,
        tasks: executor.tasks.in_order(),
        completed_tasks: executor.completed.clone(),
    }
}
