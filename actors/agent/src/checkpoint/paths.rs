//! Where everything of an agent lies below its work_dir: Mesos' layout, name by name.
//!
//! Sandboxes are below `slaves/`, checkpoints below `meta/`. Ids are path segments; they obey
//! Mesos' id rule (no slash, not `.` or `..`), which the master checks and [`Paths::is_segment`]
//! checks again before an id becomes part of a path.

use std::path::{Path, PathBuf};

/// The folders and files below one work_dir.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    work_dir: PathBuf,
}

/// One run of an executor: the ids that lead to its folders.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// Agent id.
    pub agent: &'a str,
    /// Framework id.
    pub framework: &'a str,
    /// Executor id.
    pub executor: &'a str,
    /// Container id.
    pub container: &'a str,
}

/// The folders of agents, frameworks, executors and runs. There are two such trees with the same
/// names: one of sandboxes, one of checkpoints.
pub(super) struct Tree(PathBuf);

impl Tree {
    fn agents(&self) -> PathBuf {
        self.0.join("slaves")
    }

    pub(super) fn agent(&self, agent: &str) -> PathBuf {
        self.agents().join(agent)
    }

    fn frameworks(&self, agent: &str) -> PathBuf {
        self.agent(agent).join("frameworks")
    }

    pub(super) fn framework(&self, agent: &str, framework: &str) -> PathBuf {
        self.frameworks(agent).join(framework)
    }

    fn executors(&self, agent: &str, framework: &str) -> PathBuf {
        self.framework(agent, framework).join("executors")
    }

    pub(super) fn executor(&self, agent: &str, framework: &str, executor: &str) -> PathBuf {
        self.executors(agent, framework).join(executor)
    }

    fn runs(&self, run: Run<'_>) -> PathBuf {
        self.executor(run.agent, run.framework, run.executor)
            .join("runs")
    }

    pub(super) fn run(&self, run: Run<'_>) -> PathBuf {
        self.runs(run).join(run.container)
    }
}

impl Paths {
    /// Paths below `work_dir`.
    #[must_use]
    pub fn new(work_dir: &Path) -> Paths {
        Paths {
            work_dir: work_dir.to_owned(),
        }
    }

    /// Whether `id` may be a path segment, by Mesos' id rule.
    #[must_use]
    pub fn is_segment(id: &str) -> bool {
        !id.is_empty()
            && id.len() <= 255
            && id != "."
            && id != ".."
            && !id.chars().any(|c| c.is_control() || c == '/' || c == '\\')
    }

    /// The work_dir itself.
    #[must_use]
    pub fn work_dir(&self) -> &Path {
        &self.work_dir
    }

    /// Held locked while an agent runs on this work_dir.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.meta().join("lock")
    }

    /// All checkpoints.
    #[must_use]
    pub fn meta(&self) -> PathBuf {
        self.work_dir.join("meta")
    }

    /// The boot id of the host at the time of the last start.
    #[must_use]
    pub fn boot_id(&self) -> PathBuf {
        self.meta().join("boot_id")
    }

    /// Sandboxes of one agent id.
    #[must_use]
    pub fn agent(&self, agent: &str) -> PathBuf {
        self.sandboxes().agent(agent)
    }

    /// Symlink to the sandboxes of the present agent id.
    #[must_use]
    pub fn latest_agent(&self) -> PathBuf {
        self.sandboxes().agent("latest")
    }

    /// Checkpoints of one agent id.
    #[must_use]
    pub fn meta_agent(&self, agent: &str) -> PathBuf {
        self.checkpoints().agent(agent)
    }

    /// Symlink to the checkpoints of the present agent id.
    #[must_use]
    pub fn meta_latest_agent(&self) -> PathBuf {
        self.checkpoints().agent("latest")
    }

    /// AgentInfo with the id that the master gave.
    #[must_use]
    pub fn agent_info(&self, agent: &str) -> PathBuf {
        self.meta_agent(agent).join("slave.info")
    }

    /// Checkpoints of all frameworks of an agent id.
    #[must_use]
    pub fn meta_frameworks(&self, agent: &str) -> PathBuf {
        self.checkpoints().frameworks(agent)
    }

    /// Checkpoints of one framework.
    #[must_use]
    pub fn meta_framework(&self, agent: &str, framework: &str) -> PathBuf {
        self.checkpoints().framework(agent, framework)
    }

    /// FrameworkInfo.
    #[must_use]
    pub fn framework_info(&self, agent: &str, framework: &str) -> PathBuf {
        self.meta_framework(agent, framework).join("framework.info")
    }

    /// PID of the framework as text.
    #[must_use]
    pub fn framework_pid(&self, agent: &str, framework: &str) -> PathBuf {
        self.meta_framework(agent, framework).join("framework.pid")
    }

    /// Checkpoints of all executors of a framework.
    #[must_use]
    pub fn meta_executors(&self, agent: &str, framework: &str) -> PathBuf {
        self.checkpoints().executors(agent, framework)
    }

    /// Checkpoints of one executor.
    #[must_use]
    pub fn meta_executor(&self, run: Run<'_>) -> PathBuf {
        self.checkpoints()
            .executor(run.agent, run.framework, run.executor)
    }

    /// ExecutorInfo.
    #[must_use]
    pub fn executor_info(&self, run: Run<'_>) -> PathBuf {
        self.meta_executor(run).join("executor.info")
    }

    /// Present where the agent made the executor for a command task.
    #[must_use]
    pub fn generated_for_command_task(&self, run: Run<'_>) -> PathBuf {
        self.meta_executor(run)
            .join("executor_generated_for_command_task")
    }

    /// Symlink to the checkpoints of the executor's last run.
    #[must_use]
    pub fn meta_latest_run(&self, run: Run<'_>) -> PathBuf {
        self.checkpoints().runs(run).join("latest")
    }

    /// Checkpoints of one run.
    #[must_use]
    pub fn meta_run(&self, run: Run<'_>) -> PathBuf {
        self.checkpoints().run(run)
    }

    /// Present where the run is over and nothing of it is left to do.
    #[must_use]
    pub fn sentinel(&self, run: Run<'_>) -> PathBuf {
        self.meta_run(run).join("executor.sentinel")
    }

    /// Pids of the run.
    #[must_use]
    pub fn pids(&self, run: Run<'_>) -> PathBuf {
        self.meta_run(run).join("pids")
    }

    /// Pid of the container's init on the host, as text.
    #[must_use]
    pub fn forked_pid(&self, run: Run<'_>) -> PathBuf {
        self.pids(run).join("forked.pid")
    }

    /// PID of an executor that is an actor, as text.
    #[must_use]
    pub fn libprocess_pid(&self, run: Run<'_>) -> PathBuf {
        self.pids(run).join("libprocess.pid")
    }

    /// Present where the executor speaks HTTP.
    #[must_use]
    pub fn http_marker(&self, run: Run<'_>) -> PathBuf {
        self.meta_run(run).join("http.marker")
    }

    /// Checkpoints of all tasks of a run.
    #[must_use]
    pub fn meta_tasks(&self, run: Run<'_>) -> PathBuf {
        self.meta_run(run).join("tasks")
    }

    /// Checkpoints of one task.
    #[must_use]
    pub fn meta_task(&self, run: Run<'_>, task: &str) -> PathBuf {
        self.meta_tasks(run).join(task)
    }

    /// The Task.
    #[must_use]
    pub fn task_info(&self, run: Run<'_>, task: &str) -> PathBuf {
        self.meta_task(run, task).join("task.info")
    }

    /// The task's status updates and their acknowledgements.
    #[must_use]
    pub fn task_updates(&self, run: Run<'_>, task: &str) -> PathBuf {
        self.meta_task(run, task).join("task.updates")
    }

    /// The executor's sandbox, where its stdout and stderr are.
    #[must_use]
    pub fn sandbox(&self, run: Run<'_>) -> PathBuf {
        self.sandboxes().run(run)
    }

    /// Symlink to the sandbox of the executor's last run.
    #[must_use]
    pub fn latest_sandbox(&self, run: Run<'_>) -> PathBuf {
        self.sandboxes().runs(run).join("latest")
    }

    pub(super) fn sandboxes(&self) -> Tree {
        Tree(self.work_dir.clone())
    }

    pub(super) fn checkpoints(&self) -> Tree {
        Tree(self.meta())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_that_of_mesos() {
        let paths = Paths::new(Path::new("/w"));
        let run = Run {
            agent: "S0",
            framework: "F",
            executor: "e",
            container: "c",
        };
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        assert_eq!(
            text(paths.sandbox(run)),
            "/w/slaves/S0/frameworks/F/executors/e/runs/c"
        );
        assert_eq!(
            text(paths.latest_sandbox(run)),
            "/w/slaves/S0/frameworks/F/executors/e/runs/latest"
        );
        assert_eq!(text(paths.agent_info("S0")), "/w/meta/slaves/S0/slave.info");
        assert_eq!(
            text(paths.task_updates(run, "t")),
            "/w/meta/slaves/S0/frameworks/F/executors/e/runs/c/tasks/t/task.updates"
        );
        assert_eq!(
            text(paths.forked_pid(run)),
            "/w/meta/slaves/S0/frameworks/F/executors/e/runs/c/pids/forked.pid"
        );
    }

    #[test]
    fn an_id_that_would_leave_its_folder_is_no_segment() {
        for bad in ["", ".", "..", "a/b", "a\\b", "a\nb", &"x".repeat(256)] {
            assert!(!Paths::is_segment(bad), "{bad:?}");
        }
        for good in ["a", "a.b", "...", "a b", "task-1_é"] {
            assert!(Paths::is_segment(good), "{good:?}");
        }
    }
}
