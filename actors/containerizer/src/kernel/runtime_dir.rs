//! The folder in which a container is remembered while it runs, laid out as Mesos':
//!
//! ```text
//! <runtime_dir>/containers/<container id>/config    what was launched (JSON)
//!                                         init      which process is its init (JSON)
//!                                         pid       the same for people: the pid alone
//!                                         status    raw wait status, once the command has ended
//!                                         started   there once its init has got the word, where it is
//!                                                   nested
//!                                         termination  how it ended, where it is nested and nothing
//!                                                   else of it is left (JSON)
//!                                         containers/  those nested in it, each the same
//! ```
//!
//! Files appear whole, by rename. They are not synced: they outlive an agent, which the kernel's
//! page cache does as well, and after a reboot there is no container left that they could name.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::kernel::cgroups::OutOfMemory;
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
    /// A nested container is in cgroups of its own.
    #[serde(default)]
    pub(crate) own_cgroups: bool,
}

/// How a nested container ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Remembered {
    /// Raw wait status.
    pub(crate) status: i32,
    pub(crate) out_of_memory: Option<OutOfMemory>,
}

/// The file that says that a nested container's init has got the word.
pub(crate) const STARTED: &str = "started";

/// The folder of those that are nested in a container.
const NESTED: &str = "containers";

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
        let mut path = PathBuf::new();
        for id in container_id.split('.') {
            path = if path.as_os_str().is_empty() {
                self.containers.join(id)
            } else {
                path.join(NESTED).join(id)
            };
        }
        path
    }

    /// Makes a container's folder; one that is there already is an error.
    pub(crate) fn create(&self, config: &ContainerConfig) -> io::Result<()> {
        let folder = self.of(&config.container_id);
        fs::create_dir_all(folder.parent().unwrap_or(&self.containers))?;
        fs::create_dir(folder)?;
        self.rewrite(config)
            .inspect_err(|_| drop(self.remove(&config.container_id)))
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

    /// Remembers how a nested container ended. One that is not known is no error.
    pub(crate) fn remember(&self, container_id: &str, how: &Remembered) -> io::Result<()> {
        match self.write(container_id, "termination", &serde_json::to_vec(how)?) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            written => written,
        }
    }

    /// How a nested container ended, where that was remembered.
    pub(crate) fn remembered(&self, container_id: &str) -> Option<Remembered> {
        self.read_json(container_id, "termination")
    }

    /// Whether a nested container's init has ever got the word.
    pub(crate) fn started(&self, container_id: &str) -> bool {
        self.of(container_id).join(STARTED).exists()
    }

    /// Every container there is a folder of, nested ones included.
    pub(crate) fn list(&self) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        list(&self.containers, "", &mut found)?;
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

/// Ids of the containers in a folder, each with what is before it.
fn list(folder: &Path, before: &str, found: &mut Vec<String>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        // A dot parts ids and is in none: what has one is not ours.
        if let Ok(name) = entry?.file_name().into_string()
            && !name.contains('.')
        {
            let id = format!("{before}{name}");
            list(&folder.join(&name).join(NESTED), &format!("{id}."), found)?;
            found.push(id);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn nested_containers_are_in_the_folder_of_their_parent() {
        let folder = tempfile::tempdir().unwrap();
        let runtime_dir = RuntimeDir::new(folder.path());
        for id in ["p", "p.c", "p.c.a", "p.d", "q"] {
            runtime_dir.create(&config(id)).unwrap();
        }
        let inner = folder.path().join("containers/p/containers/c/containers/a");
        assert_eq!(runtime_dir.of("p.c.a"), inner);
        // What is no folder of ours.
        fs::create_dir(folder.path().join("containers/p.x")).unwrap();
        assert_eq!(
            runtime_dir.list().unwrap(),
            ["p", "p.c", "p.c.a", "p.d", "q"]
        );
        let how = Remembered {
            status: 256,
            out_of_memory: None,
        };
        assert_eq!(runtime_dir.remembered("p.d"), None);
        runtime_dir.remember("p.d", &how).unwrap();
        assert_eq!(runtime_dir.remembered("p.d"), Some(how.clone()));
        runtime_dir.remember("p.unknown", &how).unwrap();
        runtime_dir.remove("p.c").unwrap();
        assert_eq!(runtime_dir.list().unwrap(), ["p", "p.d", "q"]);
        runtime_dir.remove("p").unwrap();
        assert_eq!(runtime_dir.list().unwrap(), ["q"]);
    }

    #[test]
    fn what_cannot_be_written_leaves_no_folder() {
        let folder = tempfile::tempdir().unwrap();
        let runtime_dir = RuntimeDir::new(folder.path());
        let impossible = ContainerConfig {
            // No text, so that it is not to be had as JSON.
            directory: std::ffi::OsStr::from_bytes(b"/\xff").into(),
            ..config("c1")
        };
        runtime_dir.create(&impossible).unwrap_err();
        assert_eq!(runtime_dir.list().unwrap(), [""; 0]);
        runtime_dir.create(&config("c1")).unwrap();
    }

    #[test]
    fn a_torn_file_is_as_good_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let runtime_dir = RuntimeDir::new(folder.path());
        let config = config("c1");
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

    fn config(id: &str) -> ContainerConfig {
        ContainerConfig {
            version: ContainerConfig::VERSION,
            container_id: id.to_owned(),
            directory: "/sandbox".into(),
            cgroups_root: None,
            limits: Limits {
                mem_limit: Some(f64::INFINITY),
                ..Limits::default()
            },
            own_cgroups: false,
        }
    }
}
