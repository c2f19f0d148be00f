//! The task's processes, as the `executor` role starts, signals and awaits them. When that happens
//! is decided by the core.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};

use tepui_protocol::mesos::v1::CommandInfo;

use crate::core::Figures;
use crate::kernel::cgroups::ContainerCgroups;
use crate::kernel::{sys, tree};
use crate::launch::Program;
use crate::spec;

/// Starts a task's command in a session of its own, in the executor's sandbox, with the executor's
/// environment and, over it, the command's.
///
/// # Errors
/// Why it could not be started.
pub(crate) fn start(
    info: &CommandInfo,
    environment: &BTreeMap<OsString, OsString>,
) -> Result<Child, String> {
    start_with(info, environment, |_| {})
}

/// The same, of a command that is changed first.
///
/// # Errors
/// Why it could not be started.
pub(crate) fn start_with(
    info: &CommandInfo,
    environment: &BTreeMap<OsString, OsString>,
    change: impl FnOnce(&mut Command),
) -> Result<Child, String> {
    let Program::Executable { path, arguments } = spec::command_program(info)? else {
        return Err("a task's command cannot be the executor".to_owned());
    };
    let mut command = Command::new(in_sandbox(&path));
    if let Some((name, rest)) = arguments.split_first() {
        command.arg0(name).args(rest);
    }
    command.env_clear().envs(environment);
    command.envs(spec::environment(info)).stdin(Stdio::null());
    sys::in_own_session(&mut command);
    change(&mut command);
    command
        .spawn()
        .map_err(|error| format!("failed to execute '{path}': {error}"))
}

/// A bare name is searched in the sandbox, which is the working directory, before PATH.
fn in_sandbox(path: &str) -> String {
    let here = !path.contains('/') && std::path::Path::new(path).is_file();
    if here {
        format!("./{path}")
    } else {
        path.to_owned()
    }
}

/// Sends a signal to all of a task's processes at once: they are stopped first, so that none sees
/// another one die, or is left out, before it has its own signal.
pub(crate) fn signal(pid: i32, signal: i32) {
    tree::signal_tree(pid, signal);
}

/// Waits for the task's first process; its raw wait status.
///
/// # Errors
/// The kernel's.
pub(crate) fn wait(mut child: Child) -> std::io::Result<i32> {
    child.wait().map(ExitStatusExt::into_raw)
}

/// Asks the container's cgroup, in which the executor and its task run, whether the kernel killed
/// for want of memory. Without a cgroup of its own nobody can tell.
pub(crate) fn out_of_memory() -> Option<Figures> {
    // The working directory is the sandbox, which is named after the container.
    let sandbox = std::env::current_dir().ok()?;
    let container_id = sandbox.file_name()?.to_str()?;
    ContainerCgroups::of_this_process(container_id)?
        .out_of_memory()
        .map(Figures::from)
}
