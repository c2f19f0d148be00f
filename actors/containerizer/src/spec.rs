//! From what the agent asks for to what a launcher needs: words of Mesos become words of the
//! kernel. Nothing is done here.

use std::collections::BTreeMap;
use std::path::PathBuf;

use nix::libc;
use tepui_protocol::mesos::v1::r_limit_info::r_limit;
use tepui_protocol::mesos::v1::{CommandInfo, ContainerInfo, Resource, value};
use tepui_protocol::tepui::containerizer::Launch;

use crate::kernel::launcher::ContainerSpec;
use crate::launch::{Program, Rlimit};
use crate::limits::Limits;
use crate::unsupported::unsupported_fields;

/// What a containerizer adds to every container's limits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LimitDefaults {
    pub(crate) pids_max: Option<u64>,
    pub(crate) enable_cfs: bool,
}

/// Reads a launch.
///
/// # Errors
/// Names what cannot be honoured.
pub(crate) fn container_spec(
    launch: &Launch,
    defaults: LimitDefaults,
) -> Result<ContainerSpec, String> {
    let id = &launch.container_id;
    tepui_protocol::ids::validate_container(id).map_err(|error| error.to_string())?;
    if id.parent.is_some() {
        return Err("container_id.parent: nested containers are not supported".to_owned());
    }
    let unsupported = unsupported_fields(&launch.command, launch.container.as_ref());
    if !unsupported.is_empty() {
        return Err(format!("not supported: {}", unsupported.join(", ")));
    }
    let directory = PathBuf::from(&launch.directory);
    if !directory.is_absolute() {
        return Err(format!("directory '{}' is not absolute", launch.directory));
    }
    Ok(ContainerSpec {
        container_id: id.value.clone(),
        program: program(launch)?,
        environment: environment(&launch.command),
        directory,
        user: launch.user.clone(),
        rlimits: launch.container.as_ref().map(rlimits).unwrap_or_default(),
        limits: limits(&launch.resources, &launch.limits, defaults),
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
    defaults: LimitDefaults,
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
        revocable_cpus: revocable,
        pids_max: defaults.pids_max,
        enable_cfs: defaults.enable_cfs,
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

    fn shell(text: &str) -> CommandInfo {
        CommandInfo {
            value: Some(text.to_owned()),
            ..CommandInfo::default()
        }
    }

    #[test]
    fn a_command_goes_through_the_shell_unless_it_says_otherwise() {
        let spec = container_spec(&launch(shell("echo a")), LimitDefaults::default()).unwrap();
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
        let spec = container_spec(&launch(command), LimitDefaults::default()).unwrap();
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
        let spec = container_spec(&launch, LimitDefaults::default()).unwrap();
        assert_eq!(
            spec.program,
            Program::Myself {
                arguments: vec!["executor".to_owned()]
            }
        );
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_by_name() {
        let error = |launch: &Launch| container_spec(launch, LimitDefaults::default()).unwrap_err();
        let mut nested = launch(shell("true"));
        nested.container_id.parent = Some(Box::new(ContainerId::top("p")));
        assert_eq!(
            error(&nested),
            "container_id.parent: nested containers are not supported"
        );
        let mut above = launch(shell("true"));
        above.container_id.value = "..".to_owned();
        assert_eq!(error(&above), "'..' is disallowed");
        let mut uri = launch(shell("true"));
        uri.command.uris.push(Default::default());
        assert_eq!(error(&uri), "not supported: command.uris");
        let relative = Launch {
            directory: "sandbox".to_owned(),
            ..launch(shell("true"))
        };
        assert_eq!(error(&relative), "directory 'sandbox' is not absolute");
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
        let defaults = LimitDefaults {
            pids_max: Some(7),
            enable_cfs: true,
        };
        let expected = Limits {
            cpus: Some(1.1),
            mem: Some(32.0),
            mem_limit: Some(f64::INFINITY),
            pids_max: Some(7),
            enable_cfs: true,
            ..Limits::default()
        };
        assert_eq!(limits(&resources, &upper, defaults), expected);
    }
}
