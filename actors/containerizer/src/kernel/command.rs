//! The last steps before a container's command runs: user, limits, descriptors, exec.
//! Nothing of it returns but an error.
//!
//! The executors that come with the agent are not executed: they are this program already, which
//! becomes the role where it stands. To load and link a program of this size anew takes longer than
//! most of what a short task is. What an exec would change is changed by hand; only the layout of the
//! memory stays that of the `contain` role, the same for all executors of an agent.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Gid, Uid, User};

use crate::executor::{group, role};
use crate::kernel::sys;
use crate::launch::{LaunchDescription, Program};

/// PATH where the environment has none, as Mesos sets it.
pub(crate) const DEFAULT_PATH: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The user a command runs as, looked up while that is still possible.
pub(crate) struct Identity {
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
    name: CString,
}

impl Identity {
    /// Asks the user database; not for root, who is the same everywhere.
    fn look_up(name: &str) -> Result<Identity, String> {
        if name == "root" {
            return Ok(Identity {
                uid: Uid::from_raw(0),
                gid: Gid::from_raw(0),
                name: c"root".to_owned(),
            });
        }
        let user = User::from_name(name)
            .map_err(|error| format!("failed to look up user '{name}': {error}"))?
            .ok_or_else(|| format!("no such user '{name}'"))?;
        let name = CString::new(user.name).map_err(|error| error.to_string())?;
        Ok(Identity {
            uid: user.uid,
            gid: user.gid,
            name,
        })
    }

    /// Asks the user database, and whether this process may become that user at all.
    pub(crate) fn to_become(name: &str) -> Result<Identity, String> {
        let identity = Self::look_up(name)?;
        let own = Uid::effective();
        if own.is_root() || own == identity.uid {
            Ok(identity)
        } else {
            Err(format!(
                "only root can run a container as user '{name}'; this agent runs with uid {own}"
            ))
        }
    }

    /// Becomes the user, with its groups.
    pub(crate) fn assume(&self) -> nix::Result<()> {
        if Uid::effective() == self.uid && nix::unistd::getegid() == self.gid {
            return Ok(());
        }
        nix::unistd::setgid(self.gid)?;
        nix::unistd::initgroups(&self.name, self.gid)?;
        nix::unistd::setuid(self.uid)
    }
}

/// Becomes the command. Comes back only with the reason why it could not.
pub(crate) fn execute(
    description: &LaunchDescription,
    identity: Option<&Identity>,
    standard: [BorrowedFd<'_>; 3],
) -> String {
    match become_command(description, identity, standard) {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

fn become_command(
    description: &LaunchDescription,
    identity: Option<&Identity>,
    standard: [BorrowedFd<'_>; 3],
) -> Result<std::convert::Infallible, String> {
    nix::unistd::setsid().map_err(|error| format!("failed to make a session: {error}"))?;
    for (descriptor, target) in standard.into_iter().zip(0..) {
        sys::redirect(descriptor, target)
            .map_err(|error| format!("failed to set standard descriptor {target}: {error}"))?;
    }
    sys::close_at_exec_from(3);
    if let Some(soft) = description.file_limit {
        getrlimit(Resource::RLIMIT_NOFILE)
            .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, soft.min(hard), hard))
            .map_err(|error| format!("failed to limit open files: {error}"))?;
    }
    for rlimit in &description.rlimits {
        sys::set_rlimit(rlimit.resource, rlimit.soft, rlimit.hard).map_err(|error| {
            format!("failed to set resource limit {}: {error}", rlimit.resource)
        })?;
    }
    if let Some(identity) = identity {
        identity
            .assume()
            .map_err(|error| format!("failed to change user: {error}"))?;
    }
    if !description.namespaces.pid {
        // Without a pid namespace nothing else ends the command where its init is killed. A change
        // of user would clear this, so that it comes after.
        nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)
            .map_err(|error| format!("failed to set the parent death signal: {error}"))?;
    }
    // As the user: a sandbox that is closed to it must fail here.
    nix::unistd::chdir(&description.sandbox).map_err(|error| {
        format!(
            "failed to enter the sandbox '{}': {error}",
            description.sandbox.display()
        )
    })?;
    sys::default_signals();
    match &description.program {
        Program::Myself { arguments } if *arguments == ["executor"] => {
            become_executor(description, "executor", role::run)
        }
        Program::Myself { arguments } if *arguments == ["default-executor"] => {
            become_executor(description, "default-executor", group::role::run)
        }
        _ => execute_program(description),
    }
}

/// Goes on as this executor, and ends with it.
#[expect(clippy::exit, reason = "what is around it belongs to another role")]
fn become_executor(
    description: &LaunchDescription,
    name: &str,
    run: fn(BTreeMap<OsString, OsString>) -> u8,
) -> ! {
    sys::close_from(3);
    sys::ignore_broken_pipes();
    // A change of user hides a process from its own user, until the next exec.
    let _ = nix::sys::prctl::set_dumpable(true);
    let _ = nix::sys::prctl::set_name(c"tepui");
    sys::show_arguments(&["tepui", name]);
    let mut environment: BTreeMap<OsString, OsString> = description
        .environment
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    let path = environment.entry("PATH".into());
    path.or_insert_with(|| DEFAULT_PATH.into());
    std::process::exit(run(environment).into())
}

fn execute_program(description: &LaunchDescription) -> Result<std::convert::Infallible, String> {
    let mut environment = Vec::with_capacity(description.environment.len() + 1);
    for (name, value) in &description.environment {
        environment.push(c_string(format!("{name}={value}"))?);
    }
    let path = description
        .environment
        .iter()
        .find(|(name, _)| name == "PATH");
    let path = path.map_or(DEFAULT_PATH, |(_, value)| value);
    if !description
        .environment
        .iter()
        .any(|(name, _)| name == "PATH")
    {
        environment.push(c_string(format!("PATH={DEFAULT_PATH}"))?);
    }
    let (candidates, name, arguments) = match &description.program {
        Program::Executable {
            path: program,
            arguments,
        } => (
            candidates(program, &description.sandbox, path),
            program.clone(),
            arguments.clone(),
        ),
        Program::Myself { arguments } => {
            let mut all = vec!["tepui".to_owned()];
            all.extend_from_slice(arguments);
            // The link itself may be followed whoever may read the folder it points to.
            (
                vec![PathBuf::from("/proc/self/exe")],
                "tepui".to_owned(),
                all,
            )
        }
    };
    let arguments = arguments
        .iter()
        .map(c_string)
        .collect::<Result<Vec<_>, _>>()?;
    let error = execute_first(&candidates, &arguments, &environment)?;
    Err(format!("failed to execute '{name}': {error}"))
}

/// Executes the first candidate there is. As execvp(3), it passes over what is not there and
/// remembers what may not be executed.
fn execute_first(
    candidates: &[PathBuf],
    arguments: &[CString],
    environment: &[CString],
) -> Result<io::Error, String> {
    let mut worst = io::Error::from_raw_os_error(libc::ENOENT);
    for candidate in candidates {
        let candidate = c_string(candidate.as_os_str())?;
        let Err(error) = sys::exec(&candidate, arguments, environment);
        match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR) => {}
            Some(libc::EACCES) => worst = error,
            _ => return Ok(error),
        }
    }
    Ok(worst)
}

/// Where a program may be, in Mesos' order: a path as it is (a relative one in the sandbox), a
/// bare name in the sandbox and then in PATH.
fn candidates(program: &str, sandbox: &Path, path: &str) -> Vec<PathBuf> {
    let mut candidates = vec![sandbox.join(program)];
    if !program.contains('/') {
        candidates.extend(
            path.split(':')
                .filter(|part| !part.is_empty())
                .map(|part| sandbox.join(part).join(program)),
        );
    }
    candidates
}

fn c_string(text: impl AsRef<OsStr>) -> Result<CString, String> {
    let text = text.as_ref();
    CString::new(text.as_bytes()).map_err(|_| {
        format!(
            "'{}' has a zero byte",
            text.to_string_lossy().replace('\0', "\\0")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_searched_in_the_sandbox_and_then_in_path() {
        let found = candidates("tool", Path::new("/s"), "/usr/bin::/bin");
        assert_eq!(
            found,
            ["/s/tool", "/usr/bin/tool", "/bin/tool"].map(PathBuf::from)
        );
    }

    #[test]
    fn a_path_is_taken_as_it_is() {
        assert_eq!(
            candidates("/bin/sh", Path::new("/s"), "/usr/bin"),
            [PathBuf::from("/bin/sh")]
        );
        assert_eq!(
            candidates("bin/sh", Path::new("/s"), "/usr/bin"),
            [PathBuf::from("/s/bin/sh")]
        );
    }
}
