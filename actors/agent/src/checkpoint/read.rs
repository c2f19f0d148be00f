//! Reads back all that an earlier agent on the work_dir left; runs on a blocking thread.
//!
//! A folder whose first checkpoint never became whole (the agent died between making the folder
//! and writing the file) is passed over: nothing in it was ever told to anyone. A file that is
//! there must be whole.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use prost::Message;
use tepui_protocol::mesos::v1::{AgentInfo, ExecutorInfo, FrameworkInfo, Task};
use tepui_runtime::{Disk, Time};

use super::{CheckpointError, Folder, Paths, Run, record};
use crate::updates::{Replayed, replay};

/// All of it.
#[derive(Debug, Clone, Default)]
pub struct RecoveredState {
    /// The agent as it registered, with its id; `None` where it never did.
    pub info: Option<AgentInfo>,
    /// The boot id of the host when the earlier agent started.
    pub boot_id: Option<String>,
    /// Frameworks that asked for checkpoints.
    pub frameworks: Vec<RecoveredFramework>,
    /// All folders of agents, frameworks, executors and runs, and when each last changed.
    pub folders: Vec<(Folder, Time)>,
}

/// A framework with its executors.
#[derive(Debug, Clone)]
pub struct RecoveredFramework {
    /// Its FrameworkInfo, with id.
    pub info: FrameworkInfo,
    /// Its PID as text; empty where it speaks HTTP.
    pub pid: String,
    /// Its executors' last runs.
    pub executors: Vec<RecoveredExecutor>,
}

/// The last run of an executor.
#[derive(Debug, Clone)]
pub struct RecoveredExecutor {
    /// Its ExecutorInfo.
    pub info: ExecutorInfo,
    /// Made by the agent for a command task.
    pub generated: bool,
    /// The run's container id.
    pub container: String,
    /// Pid of the container's init; absent where the launch was not over.
    pub forked_pid: Option<u32>,
    /// The run is over and all its updates were acknowledged.
    pub completed: bool,
    /// Its tasks.
    pub tasks: Vec<RecoveredTask>,
}

/// A task and its update stream.
#[derive(Debug, Clone)]
pub struct RecoveredTask {
    /// The Task as it was launched.
    pub task: Task,
    /// Its updates, where there are any.
    pub updates: Option<Replayed>,
}

/// Reads the work_dir of `paths`.
///
/// # Errors
/// [`CheckpointError`] of the first file that is foreign, damaged or unreadable.
pub fn read(disk: &dyn Disk, paths: &Paths) -> Result<RecoveredState, CheckpointError> {
    let mut state = RecoveredState {
        boot_id: single::<Text>(disk, &paths.boot_id())?.map(|text| text.0),
        folders: folders(disk, paths)?,
        ..RecoveredState::default()
    };
    let latest = paths.meta_latest_agent();
    let agent = match disk.read_link(&latest) {
        Ok(target) => target
            .file_name()
            .map(|name| name.to_string_lossy().into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(source) => {
            return Err(CheckpointError::Read {
                path: latest,
                source,
            });
        }
    };
    let Some(agent) = agent else { return Ok(state) };
    let path = paths.agent_info(&agent);
    state.info = single::<Proto<AgentInfo>>(disk, &path)?.map(|info| info.0);
    if state.info.as_ref().is_some_and(|info| info.id.is_none()) {
        return Err(CheckpointError::Incomplete {
            path,
            what: "an AgentInfo without id",
        });
    }
    if state.info.is_some() {
        for framework in list(disk, &paths.meta_frameworks(&agent))? {
            state
                .frameworks
                .extend(read_framework(disk, paths, &agent, &framework)?);
        }
    }
    Ok(state)
}

/// Every folder that may be left over: found among the sandboxes, the checkpoints, or both. Its
/// sandbox tells its age, else its checkpoints do.
fn folders(disk: &dyn Disk, paths: &Paths) -> Result<Vec<(Folder, Time)>, CheckpointError> {
    let mut found: BTreeMap<Folder, Time> = BTreeMap::new();
    for tree in [0, 1] {
        let mut level = vec![None];
        while let Some(above) = level.pop() {
            for (folder, names) in below(disk, paths, above.as_ref(), tree)? {
                let modified = disk.modified(&names).unwrap_or_default();
                found.entry(folder.clone()).or_insert(modified);
                if folder.container.is_none() {
                    level.push(Some(folder));
                }
            }
        }
    }
    Ok(found.into_iter().collect())
}

/// The folders one step below `above` (agents below none) in the tree of sandboxes (0) or of
/// checkpoints (1), with their paths. Links and what has no valid id are passed over.
fn below(
    disk: &dyn Disk,
    paths: &Paths,
    above: Option<&Folder>,
    tree: usize,
) -> Result<Vec<(Folder, PathBuf)>, CheckpointError> {
    let root = [paths.work_dir().join("slaves"), paths.meta().join("slaves")];
    let directory = match above {
        None => root[tree].clone(),
        Some(above) => {
            let name = match (&above.framework, &above.executor) {
                (None, _) => "frameworks",
                (Some(_), None) => "executors",
                (Some(_), Some(_)) => "runs",
            };
            paths.folders(above)[tree].join(name)
        }
    };
    let mut found = Vec::new();
    for name in list(disk, &directory)? {
        let path = directory.join(&name);
        let is_folder = disk.metadata(&path).is_ok_and(|info| info.is_dir);
        if !is_folder || !Paths::is_segment(&name) {
            continue;
        }
        let folder = match above {
            None => Folder::agent(&name),
            Some(above) => {
                let mut folder = above.clone();
                let place = match (&above.framework, &above.executor) {
                    (None, _) => &mut folder.framework,
                    (Some(_), None) => &mut folder.executor,
                    (Some(_), Some(_)) => &mut folder.container,
                };
                *place = Some(name);
                folder
            }
        };
        found.push((folder, path));
    }
    Ok(found)
}

fn read_framework(
    disk: &dyn Disk,
    paths: &Paths,
    agent: &str,
    framework: &str,
) -> Result<Option<RecoveredFramework>, CheckpointError> {
    let info = single::<Proto<FrameworkInfo>>(disk, &paths.framework_info(agent, framework))?;
    let Some(Proto(info)) = info else {
        return Ok(None);
    };
    let pid = single::<Text>(disk, &paths.framework_pid(agent, framework))?;
    let mut executors = Vec::new();
    for executor in list(disk, &paths.meta_executors(agent, framework))? {
        let run = Run {
            agent,
            framework,
            executor: &executor,
            container: "",
        };
        let latest = paths.meta_latest_run(run);
        let container = match disk.read_link(&latest) {
            Ok(target) => target
                .file_name()
                .map(|name| name.to_string_lossy().into_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => {
                return Err(CheckpointError::Read {
                    path: latest,
                    source,
                });
            }
        };
        if let Some(container) = container {
            executors.extend(read_executor(
                disk,
                paths,
                Run {
                    container: &container,
                    ..run
                },
            )?);
        }
    }
    Ok(Some(RecoveredFramework {
        info,
        pid: pid.map(|text| text.0).unwrap_or_default(),
        executors,
    }))
}

fn read_executor(
    disk: &dyn Disk,
    paths: &Paths,
    run: Run<'_>,
) -> Result<Option<RecoveredExecutor>, CheckpointError> {
    let info = single::<Proto<ExecutorInfo>>(disk, &paths.executor_info(run))?;
    let Some(Proto(info)) = info else {
        return Ok(None);
    };
    let path = paths.forked_pid(run);
    let forked_pid = match single::<Text>(disk, &path)? {
        None => None,
        Some(Text(text)) => match text.parse() {
            Ok(pid) => Some(pid),
            Err(_) => {
                return Err(CheckpointError::Incomplete {
                    path,
                    what: "something that is no pid",
                });
            }
        },
    };
    let mut tasks = Vec::new();
    for task in list(disk, &paths.meta_tasks(run))? {
        let Some(Proto(info)) = single::<Proto<Task>>(disk, &paths.task_info(run, &task))? else {
            continue;
        };
        let path = paths.task_updates(run, &task);
        let updates = match bytes(disk, &path)? {
            Some(bytes) => Some(replay(&path, &bytes)?),
            None => None,
        };
        tasks.push(RecoveredTask {
            task: info,
            updates,
        });
    }
    Ok(Some(RecoveredExecutor {
        info,
        generated: disk.exists(&paths.generated_for_command_task(run)),
        container: run.container.to_owned(),
        forked_pid,
        completed: disk.exists(&paths.sentinel(run)),
        tasks,
    }))
}

/// What a single record may hold.
trait Body: Sized {
    fn decode(path: &Path, body: Bytes) -> Result<Self, CheckpointError>;
}

struct Proto<M>(M);

impl<M: Message + Default> Body for Proto<M> {
    fn decode(path: &Path, body: Bytes) -> Result<Self, CheckpointError> {
        M::decode(body)
            .map(Proto)
            .map_err(|source| CheckpointError::Decode {
                path: path.to_owned(),
                source,
            })
    }
}

struct Text(String);

impl Body for Text {
    fn decode(path: &Path, body: Bytes) -> Result<Self, CheckpointError> {
        String::from_utf8(body.to_vec())
            .map(Text)
            .map_err(|_| CheckpointError::Incomplete {
                path: path.to_owned(),
                what: "text that is not UTF-8",
            })
    }
}

fn single<B: Body>(disk: &dyn Disk, path: &Path) -> Result<Option<B>, CheckpointError> {
    let Some(content) = bytes(disk, path)? else {
        return Ok(None);
    };
    let body = record::parse_single(&content).map_err(|source| CheckpointError::Record {
        path: path.to_owned(),
        source,
    })?;
    B::decode(path, body).map(Some)
}

fn bytes(disk: &dyn Disk, path: &Path) -> Result<Option<Vec<u8>>, CheckpointError> {
    match disk.read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(CheckpointError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

fn list(disk: &dyn Disk, path: &Path) -> Result<Vec<String>, CheckpointError> {
    match disk.list(path) {
        Ok(names) => Ok(names),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(CheckpointError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}
