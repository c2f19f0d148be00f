//! What an agent shows of itself: an immutable picture of one instant, for the gateway and for
//! whoever reads the agent's state. Readers take it without asking the agent.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tepui_protocol::mesos::v1::executor::Call;
use tepui_protocol::mesos::v1::{AgentInfo, ExecutorInfo, FrameworkInfo, Resource, Task};
use tepui_runtime::Pid;

use crate::core::call::{CallError, Standing, validate_executor_call};
use crate::core::executor::{Executor, ExecutorState};
use crate::core::{AgentState, Core};

/// Where the present snapshot of an agent is found; the agent puts each new one here.
pub type SnapshotCell = Arc<ArcSwap<Snapshot>>;

/// An agent at one instant.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The agent's own PID.
    pub pid: Pid,
    /// The master it registers with.
    pub master: Pid,
    /// Its state.
    pub state: AgentState,
    /// Whether executors may subscribe: its checkpoints were read.
    pub open: bool,
    /// Its info; has an id once it was registered.
    pub info: AgentInfo,
    /// Its frameworks by id.
    pub frameworks: BTreeMap<String, FrameworkInfo>,
    /// Its executors by the ids of framework and executor.
    pub executors: BTreeMap<(String, String), Arc<ExecutorView>>,
}

/// An executor at that instant.
#[derive(Debug, Clone)]
pub struct ExecutorView {
    /// Its ExecutorInfo.
    pub info: ExecutorInfo,
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
    /// Its tasks, ended and unacknowledged ones among them.
    pub tasks: Vec<Task>,
    /// What its container has.
    pub resources: Vec<Resource>,
}

impl Snapshot {
    /// The picture of a core in its first moment.
    #[must_use]
    pub fn first(core: &Core, pid: Pid, master: Pid) -> Snapshot {
        Snapshot {
            pid,
            master,
            state: core.state(),
            open: core.is_open(),
            info: core.info().clone(),
            frameworks: BTreeMap::new(),
            executors: BTreeMap::new(),
        }
    }

    /// This picture brought up to date: only the executors named in `changed` are looked at.
    #[must_use]
    pub fn next(&self, core: &Core, changed: &BTreeSet<(String, String)>) -> Snapshot {
        let mut executors = self.executors.clone();
        for (framework, id) in changed {
            let key = (framework.clone(), id.clone());
            match core
                .frameworks()
                .get(framework)
                .and_then(|f| f.executors.get(id))
            {
                Some(executor) => {
                    executors.insert(key, Arc::new(view(executor)));
                }
                None => {
                    executors.remove(&key);
                }
            }
        }
        Snapshot {
            state: core.state(),
            open: core.is_open(),
            info: core.info().clone(),
            frameworks: core
                .frameworks()
                .iter()
                .map(|(id, framework)| (id.clone(), framework.info.clone()))
                .collect(),
            executors,
            ..self.clone()
        }
    }

    /// Whether the agent is registered with its master.
    #[must_use]
    pub fn is_registered(&self) -> bool {
        self.state == AgentState::Running
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

fn view(executor: &Executor) -> ExecutorView {
    ExecutorView {
        info: executor.info.clone(),
        state: executor.state,
        pid: executor.pid.clone(),
        container: executor.container.clone(),
        directory: executor.directory.clone(),
        generated: executor.generated,
        tasks: executor
            .tasks
            .values()
            .map(|task| task.task.clone())
            .collect(),
        resources: executor.resources(),
    }
}
