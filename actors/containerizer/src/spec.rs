//! From what the agent asks for to what a launcher needs: words of Mesos become words of the
//! kernel. Nothing is done here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::libc;
use tepui_protocol::mesos::v1::linux_info::IpcMode;
use tepui_protocol::mesos::v1::r_limit_info::r_limit;
use tepui_protocol::mesos::v1::{
    CommandInfo, ContainerInfo, LinuxInfo, Resource, command_info, value,
};
use tepui_protocol::tepui::containerizer::Launch;

use crate::isolation::Isolation;
use crate::kernel::launcher::ContainerSpec;
use crate::launch::{FetchDescription, Namespaces, Program, Rlimit, Shm, Uri};
use crate::limits::Limits;
use crate::linux::LauncherKind;
use crate::unsupported::unsupported_fields;

/// What a containerizer adds to every container, and what it allows.
#[derive(Clone, Debug)]
pub(crate) struct Defaults {
    pub(crate) pids_max: Option<u64>,
    pub(crate) enable_cfs: bool,
    pub(crate) limit_swap: bool,
    /// Revocable cpus weigh less.
    pub(crate) low_priority: bool,
    pub(crate) isolation: Isolation,
    pub(crate) stall_timeout: Duration,
    pub(crate) frameworks_home: Option<PathBuf>,
    /// Size in bytes of a private /dev/shm where the task names none.
    pub(crate) shm_size: Option<u64>,
    pub(crate) no_agent_ipc: bool,
    pub(crate) no_agent_pid: bool,
}

impl Defaults {
    /// Those of the simulated world, where nothing is isolated.
    pub(crate) fn simulated() -> Defaults {
        Defaults {
            pids_max: None,
            enable_cfs: false,
            limit_swap: false,
            low_priority: true,
            isolation: Isolation::default_of(LauncherKind::Posix),
            stall_timeout: Duration::ZERO,
            frameworks_home: None,
            shm_size: None,
            no_agent_ipc: false,
            no_agent_pid: false,
        }
    }
}

/// Reads a launch.
///
/// # Errors
/// Names what cannot be honoured.
pub(crate) fn container_spec(
    launch: &Launch,
    defaults: &Defaults,
) -> Result<ContainerSpec, String> {
    let id = &launch.container_id;
    tepui_protocol::ids::validate_container(id).map_err(|error| error.to_string())?;
    let unsupported = unsupported_fields(&launch.command, launch.container.as_ref());
    if !unsupported.is_empty() {
        return Err(format!("not supported: {}", unsupported.join(", ")));
    }
    let directory = PathBuf::from(&launch.directory);
    if !directory.is_absolute() {
        return Err(format!("directory '{}' is not absolute", launch.directory));
    }
    let nested = id.parent.is_some();
    let (namespaces, shm) = namespaces(launch.container.as_ref(), nested, defaults)?;
    let own_cgroups = own_cgroups(launch)?;
    let program = program(launch)?;
    let is_task = match &program {
        Program::Myself { arguments } => *arguments == ["executor"],
        Program::Executable { .. } => nested && own_cgroups,
    };
    Ok(ContainerSpec {
        container_id: id.to_string(),
        program,
        environment: environment(&launch.command),
        fetch: fetch(launch, &directory, defaults),
        directory,
        user: launch.user.clone(),
        rlimits: launch.container.as_ref().map(rlimits).unwrap_or_default(),
        limits: limits(&launch.resources, &launch.limits, defaults),
        own_cgroups,
        is_task,
        namespaces,
        shm,
    })
}

/// Mesos' rules; what would have to be ignored is refused. A nested container has the IPC namespace
/// of its parent unless it asks for another.
fn namespaces(
    container: Option<&ContainerInfo>,
    nested: bool,
    defaults: &Defaults,
) -> Result<(Namespaces, Option<Shm>), String> {
    let none = LinuxInfo::default();
    let info = container.and_then(|container| container.linux_info.as_ref());
    let info = info.unwrap_or(&none);
    let has = |name| defaults.isolation.has(name);
    if info.share_pid_namespace() && defaults.no_agent_pid && !nested {
        let refused = "Sharing agent pid namespace with top level container is not allowed";
        return Err(refused.to_owned());
    }
    if !has("namespaces/ipc") && (info.ipc_mode.is_some() || info.shm_size.is_some()) {
        let needs = "container.linux_info.ipc_mode and shm_size need the isolator namespaces/ipc";
        return Err(needs.to_owned());
    }
    let own_size = info.shm_size.map(|megabytes| u64::from(megabytes) << 20);
    let private = info.ipc_mode() == IpcMode::Private;
    if own_size.is_some() && !private {
        let only = "Only support setting the size of shared memory when the container's IPC mode \
                    is 'PRIVATE'";
        return Err(only.to_owned());
    }
    let own = private || (!nested && info.ipc_mode() != IpcMode::ShareParent);
    let ipc = has("namespaces/ipc") && own;
    if has("namespaces/ipc") && !ipc && defaults.no_agent_ipc && !nested {
        let refused = "Sharing agent IPC namespace with top level container is not allowed";
        return Err(refused.to_owned());
    }
    let pid = has("namespaces/pid") && !info.share_pid_namespace();
    let mount = pid || ipc || has("filesystem/linux");
    let size = own_size.or(defaults.shm_size);
    let shm = ipc.then_some(Shm { size });
    Ok((Namespaces { pid, ipc, mount }, shm))
}

/// Whether a container has cgroups of its own: a nested one has only what it is killed by, unless it
/// asks for more, as in Mesos.
fn own_cgroups(launch: &Launch) -> Result<bool, String> {
    let Some(parent) = &launch.container_id.parent else {
        return Ok(true);
    };
    let container = launch.container.as_ref();
    let info = container.and_then(|container| container.linux_info.as_ref());
    let own = info.is_some_and(|info| !info.share_cgroups());
    if own && parent.parent.is_some() {
        return Err("2nd level or greater nested cgroups are not supported".to_owned());
    }
    Ok(own)
}

/// What is fetched, and as whom: the user of the command, else that of the container. Where the
/// agent switches no users it fetches as itself, too.
fn fetch(launch: &Launch, directory: &Path, defaults: &Defaults) -> Option<FetchDescription> {
    let command = &launch.command;
    if command.uris.is_empty() {
        return None;
    }
    let user = launch.user.clone();
    let user = user.map(|user| command.user.clone().unwrap_or(user));
    let uri = |uri: &command_info::Uri| Uri {
        value: uri.value.clone(),
        executable: uri.executable(),
        extract: uri.extract(),
        cache: uri.cache(),
        output_file: uri.output_file.clone(),
    };
    Some(FetchDescription {
        sandbox: directory.to_owned(),
        user,
        uris: command.uris.iter().map(uri).collect(),
        frameworks_home: defaults.frameworks_home.clone(),
        stall_timeout_ms: u64::try_from(defaults.stall_timeout.as_millis()).unwrap_or(u64::MAX),
    })
}

fn program(launch: &Launch) -> Result<Program, String> {
    let command = &launch.command;
    if launch.builtin_executor() {
        let mut arguments: Vec<String> = command.arguments.iter().skip(1).cloned().collect();
        if arguments.is_empty() {
            arguments.push("executor".to_owned());
        }
        return Ok(Program::Myself { arguments });
    }
    command_program(command)
}

/// A command as Mesos runs it: through the shell, or a path with its argv.
pub(crate) fn command_program(command: &CommandInfo) -> Result<Program, String> {
    let Some(value) = command.value.clone() else {
        return Err("command.value: a command is needed".to_owned());
    };
    if command.shell.unwrap_or(true) {
        let arguments = vec!["sh".to_owned(), "-c".to_owned(), value];
        return Ok(Program::Executable {
            path: "/bin/sh".to_owned(),
            arguments,
        });
    }
    // The first argument is argv[0], as in Mesos; without any, the program's own path is.
    let arguments = match command.arguments.as_slice() {
        [] => vec![value.clone()],
        arguments => arguments.to_vec(),
    };
    Ok(Program::Executable {
        path: value,
        arguments,
    })
}

/// The variables of a command; of two with one name the later wins.
pub(crate) fn environment(command: &CommandInfo) -> Vec<(String, String)> {
    let variables = command
        .environment
        .iter()
        .flat_map(|environment| &environment.variables);
    let variables: BTreeMap<String, String> = variables
        .map(|variable| (variable.name.clone(), variable.value().to_owned()))
        .collect();
    variables.into_iter().collect()
}

/// What cgroups are set to for these resources and limits.
pub(crate) fn limits(
    resources: &[Resource],
    upper: &BTreeMap<String, value::Scalar>,
    defaults: &Defaults,
) -> Limits {
    let mut requested: BTreeMap<String, f64> = BTreeMap::new();
    for resource in resources {
        if let Some(scalar) = &resource.scalar {
            *requested.entry(resource.name.clone()).or_default() += scalar.value;
        }
    }
    let upper = upper
        .iter()
        .map(|(name, scalar)| (name.clone(), scalar.value))
        .collect();
    let revocable = resources
        .iter()
        .any(|resource| resource.name == "cpus" && resource.revocable.is_some());
    Limits {
        revocable_cpus: revocable && defaults.low_priority,
        pids_max: defaults.pids_max,
        enable_cfs: defaults.enable_cfs,
        limit_swap: defaults.limit_swap,
        ..Limits::from_scalars(&requested, &upper)
    }
}

fn rlimits(container: &ContainerInfo) -> Vec<Rlimit> {
    let rlimits = container.rlimit_info.iter().flat_map(|info| &info.rlimits);
    let numbered = rlimits.filter_map(|rlimit| {
        let resource = rlimit_number(rlimit.r#type())?;
        Some(Rlimit {
            resource,
            soft: rlimit.soft,
            hard: rlimit.hard,
        })
    });
    numbered.collect()
}

/// The kernel's number of a resource limit.
pub(crate) fn rlimit_number(kind: r_limit::Type) -> Option<u32> {
    use r_limit::Type;
    match kind {
        Type::Unknown => None,
        Type::RlmtAs => Some(libc::RLIMIT_AS),
        Type::RlmtCore => Some(libc::RLIMIT_CORE),
        Type::RlmtCpu => Some(libc::RLIMIT_CPU),
        Type::RlmtData => Some(libc::RLIMIT_DATA),
        Type::RlmtFsize => Some(libc::RLIMIT_FSIZE),
        Type::RlmtLocks => Some(libc::RLIMIT_LOCKS),
        Type::RlmtMemlock => Some(libc::RLIMIT_MEMLOCK),
        Type::RlmtMsgqueue => Some(libc::RLIMIT_MSGQUEUE),
        Type::RlmtNice => Some(libc::RLIMIT_NICE),
        Type::RlmtNofile => Some(libc::RLIMIT_NOFILE),
        Type::RlmtNproc => Some(libc::RLIMIT_NPROC),
        Type::RlmtRss => Some(libc::RLIMIT_RSS),
        Type::RlmtRtprio => Some(libc::RLIMIT_RTPRIO),
        Type::RlmtRttime => Some(libc::RLIMIT_RTTIME),
        Type::RlmtSigpending => Some(libc::RLIMIT_SIGPENDING),
        Type::RlmtStack => Some(libc::RLIMIT_STACK),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tepui_protocol::mesos::v1::ContainerId;

    fn launch(command: CommandInfo) -> Launch {
        Launch {
            container_id: ContainerId::top("c1"),
            directory: "/sandbox".to_owned(),
            command,
            ..Launch::default()
        }
    }

    /// A container with this `linux_info`.
    fn container(linux_info: &str) -> ContainerInfo {
        let text = format!("{{\"type\":\"MESOS\",\"linux_info\":{{{linux_info}}}}}");
        tepui_protocol::json::from_slice(text.as_bytes()).unwrap()
    }

    fn shell(text: &str) -> CommandInfo {
        CommandInfo {
            value: Some(text.to_owned()),
            ..CommandInfo::default()
        }
    }

    #[test]
    fn a_command_goes_through_the_shell_unless_it_says_otherwise() {
        let spec = container_spec(&launch(shell("echo a")), &Defaults::simulated()).unwrap();
        let arguments = ["sh", "-c", "echo a"].map(str::to_owned).to_vec();
        assert_eq!(
            spec.program,
            Program::Executable {
                path: "/bin/sh".to_owned(),
                arguments
            }
        );
        let command = CommandInfo {
            shell: Some(false),
            arguments: vec!["echo".to_owned(), "a".to_owned()],
            ..shell("/bin/echo")
        };
        let spec = container_spec(&launch(command), &Defaults::simulated()).unwrap();
        let arguments = ["echo", "a"].map(str::to_owned).to_vec();
        assert_eq!(
            spec.program,
            Program::Executable {
                path: "/bin/echo".to_owned(),
                arguments
            }
        );
    }

    #[test]
    fn the_builtin_executor_is_this_binary() {
        let command = CommandInfo {
            shell: Some(false),
            arguments: vec!["tepui".to_owned(), "executor".to_owned()],
            ..shell("/elsewhere/tepui")
        };
        let launch = Launch {
            builtin_executor: Some(true),
            ..launch(command)
        };
        let spec = container_spec(&launch, &Defaults::simulated()).unwrap();
        assert_eq!(
            spec.program,
            Program::Myself {
                arguments: vec!["executor".to_owned()]
            }
        );
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_by_name() {
        let error = |launch: &Launch| container_spec(launch, &Defaults::simulated()).unwrap_err();
        let mut nested = launch(shell("true"));
        nested.container_id = "a.b.c".parse().unwrap();
        nested.container = Some(container(r#""share_cgroups":false"#));
        assert_eq!(
            error(&nested),
            "2nd level or greater nested cgroups are not supported"
        );
        let mut above = launch(shell("true"));
        above.container_id.value = "..".to_owned();
        assert_eq!(error(&above), "'..' is disallowed");
        let mut image = launch(shell("true"));
        image.container = Some(ContainerInfo {
            hostname: Some("h".to_owned()),
            ..container("")
        });
        assert_eq!(error(&image), "not supported: container.hostname");
        let relative = Launch {
            directory: "sandbox".to_owned(),
            ..launch(shell("true"))
        };
        assert_eq!(error(&relative), "directory 'sandbox' is not absolute");
    }

    #[test]
    fn namespaces_are_those_of_the_isolators_and_of_the_task() {
        let linux = Defaults {
            isolation: Isolation::default_of(LauncherKind::Linux),
            shm_size: Some(7),
            ..Defaults::simulated()
        };
        let of =
            |text: &str, defaults: &Defaults| namespaces(Some(&container(text)), false, defaults);
        let own = |pid, ipc| Namespaces {
            pid,
            ipc,
            mount: true,
        };
        let shm = |size| Some(Shm { size: Some(size) });
        assert_eq!(
            namespaces(None, false, &linux),
            Ok((own(true, true), shm(7)))
        );
        let private = r#""ipc_mode":"PRIVATE","shm_size":2"#;
        assert_eq!(of(private, &linux), Ok((own(true, true), shm(2 << 20))));
        let shared = r#""ipc_mode":"SHARE_PARENT""#;
        assert_eq!(of(shared, &linux), Ok((own(true, false), None)));
        let pid = r#""share_pid_namespace":true"#;
        assert_eq!(of(pid, &linux), Ok((own(false, true), shm(7))));
        let none = Namespaces::default();
        assert_eq!(of("", &Defaults::simulated()), Ok((none, None)));
    }

    #[test]
    fn a_nested_container_has_what_its_parent_has_unless_it_asks() {
        let linux = Defaults {
            isolation: Isolation::default_of(LauncherKind::Linux),
            // These are of the agent's, which are not the parent's.
            no_agent_ipc: true,
            no_agent_pid: true,
            ..Defaults::simulated()
        };
        let of = |text: &str| namespaces(Some(&container(text)), true, &linux);
        let own = |pid, ipc, mount| Namespaces { pid, ipc, mount };
        assert_eq!(of(""), Ok((own(true, false, true), None)));
        assert_eq!(
            of(r#""share_pid_namespace":true"#),
            Ok((own(false, false, false), None))
        );
        let private = r#""ipc_mode":"PRIVATE","shm_size":2,"share_pid_namespace":true"#;
        let shm = Some(Shm {
            size: Some(2 << 20),
        });
        assert_eq!(of(private), Ok((own(false, true, true), shm)));
        assert_eq!(
            of(r#""ipc_mode":"SHARE_PARENT""#),
            Ok((own(true, false, true), None))
        );
    }

    #[test]
    fn a_nested_container_shares_cgroups_unless_it_asks() {
        let spec = |id: &str, info: &str| {
            let launch = Launch {
                container_id: id.parse().unwrap(),
                container: Some(container(info)),
                ..launch(shell("true"))
            };
            let spec = container_spec(&launch, &Defaults::simulated()).unwrap();
            (spec.container_id, spec.own_cgroups, spec.is_task)
        };
        let own = r#""share_cgroups":false"#;
        assert_eq!(spec("a", ""), ("a".to_owned(), true, false));
        assert_eq!(spec("a.b", ""), ("a.b".to_owned(), false, false));
        assert_eq!(spec("a.b", own), ("a.b".to_owned(), true, true));
        assert_eq!(spec("a.b.c", ""), ("a.b.c".to_owned(), false, false));
    }

    #[test]
    fn namespaces_that_cannot_be_are_refused() {
        let linux = Defaults {
            isolation: Isolation::default_of(LauncherKind::Linux),
            no_agent_ipc: true,
            no_agent_pid: true,
            ..Defaults::simulated()
        };
        let error = |text: &str, defaults: &Defaults| {
            namespaces(Some(&container(text)), false, defaults).unwrap_err()
        };
        let size = error(r#""shm_size":2"#, &linux);
        assert!(size.starts_with("Only support setting the size of shared memory"));
        let shared = error(r#""ipc_mode":"SHARE_PARENT""#, &linux);
        assert!(shared.starts_with("Sharing agent IPC namespace"));
        let pid = error(r#""share_pid_namespace":true"#, &linux);
        assert!(pid.starts_with("Sharing agent pid namespace"));
        let needs = error(r#""ipc_mode":"PRIVATE""#, &Defaults::simulated());
        assert!(needs.ends_with("need the isolator namespaces/ipc"));
    }

    #[test]
    fn uris_are_fetched_as_the_commands_user_or_the_containers() {
        let mut launch = launch(shell("true"));
        let fetched_as = |launch: &Launch| {
            let spec = container_spec(launch, &Defaults::simulated()).unwrap();
            spec.fetch.map(|fetch| fetch.user)
        };
        assert_eq!(fetched_as(&launch), None, "nothing to fetch");
        launch.command.uris.push(command_info::Uri {
            value: "/a".to_owned(),
            ..command_info::Uri::default()
        });
        launch.command.user = Some("command".to_owned());
        assert_eq!(fetched_as(&launch), Some(None), "no user is switched to");
        launch.user = Some("container".to_owned());
        assert_eq!(fetched_as(&launch), Some(Some("command".to_owned())));
        launch.command.user = None;
        assert_eq!(fetched_as(&launch), Some(Some("container".to_owned())));
    }

    #[test]
    fn resources_of_one_name_add_up() {
        let scalar = |name: &str, value: f64| Resource {
            name: name.to_owned(),
            scalar: Some(value::Scalar { value }),
            ..Resource::default()
        };
        let resources = [
            scalar("cpus", 0.1),
            scalar("mem", 32.0),
            scalar("cpus", 1.0),
        ];
        let upper = BTreeMap::from([(
            "mem".to_owned(),
            value::Scalar {
                value: f64::INFINITY,
            },
        )]);
        let defaults = Defaults {
            pids_max: Some(7),
            enable_cfs: true,
            ..Defaults::simulated()
        };
        let expected = Limits {
            cpus: Some(1.1),
            mem: Some(32.0),
            mem_limit: Some(f64::INFINITY),
            pids_max: Some(7),
            enable_cfs: true,
            ..Limits::default()
        };
        assert_eq!(limits(&resources, &upper, &defaults), expected);
    }
}
