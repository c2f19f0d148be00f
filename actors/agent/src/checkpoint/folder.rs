//! A folder of which nothing is used any more once its owner ended: an agent's, a framework's, an
//! executor's or that of one run; below `slaves/` and, where it is checkpointed, below
//! `meta/slaves/` by the same names.

use std::path::PathBuf;

use super::paths::Tree;
use super::{Paths, Run};

/// The ids that lead to a folder. One that is `None` has none after it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Folder {
    /// Agent id.
    pub agent: String,
    /// Framework id.
    pub framework: Option<String>,
    /// Executor id.
    pub executor: Option<String>,
    /// Container id of a run.
    pub container: Option<String>,
}

impl Folder {
    /// All of an agent id.
    #[must_use]
    pub fn agent(agent: &str) -> Folder {
        Folder {
            agent: agent.to_owned(),
            framework: None,
            executor: None,
            container: None,
        }
    }

    /// All of a framework.
    #[must_use]
    pub fn framework(agent: &str, framework: &str) -> Folder {
        Folder {
            framework: Some(framework.to_owned()),
            ..Folder::agent(agent)
        }
    }

    /// All of an executor.
    #[must_use]
    pub fn executor(agent: &str, framework: &str, executor: &str) -> Folder {
        Folder {
            executor: Some(executor.to_owned()),
            ..Folder::framework(agent, framework)
        }
    }

    /// One run of an executor.
    #[must_use]
    pub fn run(agent: &str, framework: &str, executor: &str, container: &str) -> Folder {
        Folder {
            container: Some(container.to_owned()),
            ..Folder::executor(agent, framework, executor)
        }
    }

    fn of(&self, tree: &Tree) -> PathBuf {
        let agent = &self.agent;
        let Some(framework) = &self.framework else {
            return tree.agent(agent);
        };
        let Some(executor) = &self.executor else {
            return tree.framework(agent, framework);
        };
        let Some(container) = &self.container else {
            return tree.executor(agent, framework, executor);
        };
        tree.run(Run {
            agent,
            framework,
            executor,
            container,
        })
    }
}

impl Paths {
    /// Where the folder is among the sandboxes.
    #[must_use]
    pub fn sandbox_folder(&self, folder: &Folder) -> PathBuf {
        folder.of(&self.sandboxes())
    }

    /// Where it is among the sandboxes, and where among the checkpoints.
    #[must_use]
    pub fn folders(&self, folder: &Folder) -> [PathBuf; 2] {
        [self.sandboxes(), self.checkpoints()].map(|tree| folder.of(&tree))
    }

    /// What is about to be removed is moved here first, at one stroke, so that its place may be
    /// used again at once.
    #[must_use]
    pub fn removed(&self) -> PathBuf {
        self.work_dir().join("removed")
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_folder_lies_where_its_runs_do() {
        let paths = Paths::new(Path::new("/w"));
        let run = Run {
            agent: "S0",
            framework: "F",
            executor: "e",
            container: "c",
        };
        let folder = Folder::run("S0", "F", "e", "c");
        let both = [paths.sandbox(run), paths.meta_run(run)];
        assert_eq!(paths.folders(&folder), both);
        let folder = Folder::executor("S0", "F", "e");
        assert_eq!(paths.folders(&folder)[1], paths.meta_executor(run));
        let folder = Folder::framework("S0", "F");
        assert_eq!(paths.folders(&folder)[1], paths.meta_framework("S0", "F"));
        let both = [paths.agent("S0"), paths.meta_agent("S0")];
        assert_eq!(paths.folders(&Folder::agent("S0")), both);
    }
}
