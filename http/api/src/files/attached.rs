//! Which virtual paths there are: Mesos attaches the log, and each executor's sandbox three times.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use tepui_agent::{ExecutorView, Snapshot, SnapshotCell};

/// What is attached under virtual paths.
pub(crate) trait Attached: Send + Sync {
    /// What is attached under exactly this path.
    fn find(&self, path: &str) -> Option<PathBuf>;

    /// Everything.
    fn all(&self) -> BTreeMap<String, PathBuf>;
}

/// Of a master: its log.
pub(crate) struct MasterFiles {
    pub(crate) log: Option<PathBuf>,
}

const MASTER_LOG: &str = "/master/log";

impl Attached for MasterFiles {
    fn find(&self, path: &str) -> Option<PathBuf> {
        self.log.clone().filter(|_| path == MASTER_LOG)
    }

    fn all(&self) -> BTreeMap<String, PathBuf> {
        let log = self.log.clone();
        log.map(|log| (MASTER_LOG.to_owned(), log))
            .into_iter()
            .collect()
    }
}

/// Of an agent: its log, and the sandboxes of its executors, ended ones among them.
pub(crate) struct AgentFiles {
    pub(crate) log: Option<PathBuf>,
    pub(crate) snapshot: SnapshotCell,
}

const AGENT_LOG: &str = "/slave/log";
const LATEST: &str = "latest";

impl Attached for AgentFiles {
    fn find(&self, path: &str) -> Option<PathBuf> {
        if path == AGENT_LOG {
            return self.log.clone();
        }
        let snapshot = self.snapshot.load();
        let real = folder(&snapshot);
        let (run, any) = match path.strip_prefix("/frameworks/") {
            Some(run) => (run, false),
            None => (path.strip_prefix(&format!("{real}/"))?, true),
        };
        let parts: Vec<&str> = run.split('/').collect();
        let [framework, "executors", executor, "runs", run] = parts[..] else {
            return None;
        };
        let mut runs = runs(&snapshot, framework, executor);
        let found = match run {
            LATEST => runs.next(),
            container if any => runs.find(|view| view.container == container),
            _ => None,
        };
        found.map(|view| view.directory.clone())
    }

    fn all(&self) -> BTreeMap<String, PathBuf> {
        let snapshot = self.snapshot.load();
        let real = folder(&snapshot);
        let mut all = BTreeMap::new();
        if let Some(log) = &self.log {
            all.insert(AGENT_LOG.to_owned(), log.clone());
        }
        // The newest run comes last, and is the latest.
        for (framework, view) in every(&snapshot) {
            let executor = &view.info.executor_id.value;
            let below = format!("{framework}/executors/{executor}/runs");
            for path in [
                format!("/frameworks/{below}/{LATEST}"),
                format!("{real}/{below}/{LATEST}"),
                format!("{real}/{below}/{}", view.container),
            ] {
                all.insert(path, view.directory.clone());
            }
        }
        all
    }
}

/// The folder on the host below which frameworks have theirs.
fn folder(snapshot: &Snapshot) -> String {
    let work_dir: &Path = &snapshot.origin.work_dir;
    format!(
        "{}/slaves/{}/frameworks",
        work_dir.display(),
        snapshot.agent_id()
    )
}

/// The runs of an executor, the newest first.
fn runs<'a>(
    snapshot: &'a Snapshot,
    framework: &'a str,
    executor: &'a str,
) -> impl Iterator<Item = &'a Arc<ExecutorView>> {
    let of_framework = every(snapshot).filter(move |(id, _)| *id == framework);
    let of_executor =
        of_framework.filter(move |(_, view)| view.info.executor_id.value == *executor);
    of_executor
        .map(|(_, view)| view)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
}

/// All runs with their framework's id; those of one executor in their order.
fn every(snapshot: &Snapshot) -> impl Iterator<Item = (&str, &Arc<ExecutorView>)> {
    let completed = snapshot.completed_frameworks.iter().flat_map(|framework| {
        let id = framework.info.id.as_ref();
        let id = id.map_or("", |id| id.value.as_str());
        framework
            .completed_executors
            .iter()
            .map(move |view| (id, view))
    });
    let ended = snapshot.frameworks.iter().flat_map(|(id, framework)| {
        let ended = framework.completed_executors.iter();
        ended.map(move |view| (id.as_str(), view))
    });
    let present = snapshot
        .executors
        .iter()
        .map(|((framework, _), view)| (framework.as_str(), view));
    completed.chain(ended).chain(present)
}
