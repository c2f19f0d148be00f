//! The folder in which a container is remembered while it runs, laid out as Mesos':
//!
//! ```text
//! <runtime_dir>/containers/<container id>/config    what was launched (JSON)
//!                                         init      which process is its init (JSON)
//!                                         pid       the same for people: the pid alone
//!                                         status    raw wait status, once the command has ended
//! ```
//!
//! Files appear whole, by rename. They are not synced: they outlive an agent, which the kernel's
//! page cache does as well, and after a reboot there is no container left that they could name.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::kernel::identity::ProcessIdentity;
use crate::limits::Limits;

/// What is written before anything of a container is made, so that all of it is found again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ContainerConfig {
    /// Of this layout; another one is not understood.
    pub(crate) version: u32,
    pub(crate) container_id: String,
    /// Host path of the sandbox.
    pub(crate) directory: PathBuf,
    /// Root of its cgroups at that time; none where the posix launcher made it.
    pub(crate) cgroups_root: Option<PathBuf>,
    /// What it may use, for statistics.
    #[serde(default)]
    pub(crate) limits: Limits,
}

impl ContainerConfig {
    /// Version of the layout that is written.
    pub(crate) const VERSION: u32 = 1;
}

/// All containers' folders.
#[derive(Clone, Debug)]
pub(crate) struct RuntimeDir {
    containers: PathBuf,
}

impl RuntimeDir {
    pub(crate) fn new(runtime_dir: &Path) -> Self {
        Self {
            containers: runtime_dir.join("containers"),
        }
    }

    /// Folder of one container.
    pub(crate) fn of(&self, container_id: &str) -> PathBuf {
        self.containers.join(container_id)
    }

    /// Makes a container's folder; one that is there already is an error.
    pub(crate) fn create(&self, config: &ContainerConfig) -> io::Result<()> {
        fs::create_dir_all(&self.containers)?;
        fs::create_dir(self.of(&config.container_id))?;
        self.rewrite(config)
    }

    /// Writes a container's configuration again.
    pub(crate) fn rewrite(&self, config: &ContainerConfig) -> io::Result<()> {
        self.write(&config.container_id, "config", &serde_json::to_vec(config)?)
    }

    /// Remembers the container's init.
    pub(crate) fn write_init(&self, container_id: &str, init: &ProcessIdentity) -> io::Result<()> {
        self.write(container_id, "init", &serde_json::to_vec(init)?)?;
        self.write(container_id, "pid", init.pid.to_string().as_bytes())
    }

    /// What was launched. None where it was never written, or is torn or foreign.
    pub(crate) fn config(&self, container_id: &str) -> Option<ContainerConfig> {
        let config: ContainerConfig = self.read_json(container_id, "config")?;
        (config.version == ContainerConfig::VERSION).then_some(config)
    }

    /// The container's init. None as for the configuration.
    pub(crate) fn init(&self, container_id: &str) -> Option<ProcessIdentity> {
        self.read_json(container_id, "init")
    }

    /// Raw wait status of the command, where its init could write it.
    pub(crate) fn status(&self, container_id: &str) -> Option<i32> {
        let text = fs::read_to_string(self.of(container_id).join("status")).ok()?;
        text.trim().parse().ok()
    }

    /// Every container there is a folder of.
    pub(crate) fn list(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.containers) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut found = Vec::new();
        for entry in entries {
            found.extend(entry?.file_name().into_string());
        }
        found.sort();
        Ok(found)
    }

    /// Forgets a container. One that is not known is no error.
    pub(crate) fn remove(&self, container_id: &str) -> io::Result<()> {
        match fs::remove_dir_all(self.of(container_id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn write(&self, container_id: &str, name: &str, contents: &[u8]) -> io::Result<()> {
        let directory = self.of(container_id);
        let temporary = directory.join(format!("{name}.new"));
        fs::write(&temporary, contents)?;
        fs::rename(temporary, directory.join(name))
    }

    fn read_json<T: for<'a> Deserialize<'a>>(&self, container_id: &str, name: &str) -> Option<T> {
        let path = self.of(container_id).join(name);
        let contents = fs::read(&path).ok()?;
        match serde_json::from_slice(&contents) {
            Ok(value) => Some(value),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a container's file is unreadable");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_file_is_as_good_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let runtime_dir = RuntimeDir::new(folder.path());
        let config = ContainerConfig {
            version: ContainerConfig::VERSION,
            container_id: "c1".to_owned(),
            directory: "/sandbox".into(),
            cgroups_root: None,
            limits: Limits {
                mem_limit: Some(f64::INFINITY),
                ..Limits::default()
            },
        };
        runtime_dir.create(&config).unwrap();
        assert_eq!(runtime_dir.config("c1"), Some(config.clone()));
        assert!(
            runtime_dir.create(&config).is_err(),
            "the folder is there already"
        );
        fs::write(runtime_dir.of("c1").join("config"), "{\"version\":1,").unwrap();
        assert_eq!(runtime_dir.config("c1"), None);
        fs::write(runtime_dir.of("c1").join("status"), "").unwrap();
        assert_eq!(runtime_dir.status("c1"), None);
        assert_eq!(runtime_dir.list().unwrap(), ["c1"]);
        runtime_dir.remove("c1").unwrap();
        runtime_dir.remove("c1").unwrap();
        assert_eq!(runtime_dir.list().unwrap(), [""; 0]);
    }
}
