//! The kernel's edge: processes, namespaces, cgroups, mounts, signals. Everything here blocks, and
//! is called on blocking threads only. What is to be done is decided in [`crate::core`].

pub(crate) mod around;
pub(crate) mod cgroups;
pub(crate) mod command;
pub(crate) mod contain;
pub(crate) mod destroy;
pub(crate) mod fetch;
pub(crate) mod hierarchies;
pub(crate) mod identity;
pub(crate) mod init;
pub(crate) mod launcher;
pub(crate) mod runtime_dir;
pub(crate) mod spawn;
pub(crate) mod sys;
pub(crate) mod tree;
pub(crate) mod usage;
pub(crate) mod watcher;
