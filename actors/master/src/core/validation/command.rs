//! What a CommandInfo and a ContainerInfo must be, in Mesos' words. Not here: what of them can be
//! carried out (`fields`, and the containerizer's tables).

use tepui_protocol::mesos::v1::{
    CommandInfo, ContainerInfo, Environment, Volume, container_info, environment, volume,
};

/// Mesos' `validateCommandInfo`, and that there is something to run: Mesos lets an empty command
/// through to an executor that cannot run it.
pub(super) fn command(command: &CommandInfo) -> Result<(), String> {
    environment_variables(command.environment.as_ref())?;
    if command.value.is_none() && command.shell() {
        return Err("Shell command is not specified".to_owned());
    }
    if command.value.is_none() && command.arguments.is_empty() {
        return Err("neither `value` nor `arguments` is set".to_owned());
    }
    Ok(())
}

/// Mesos' `validateEnvironment`: each variable has exactly the one source of its type. A NUL is
/// ours: no process can be given it.
pub(super) fn environment_variables(environment: Option<&Environment>) -> Result<(), String> {
    use environment::variable::Type;
    for variable in environment.iter().flat_map(|all| &all.variables) {
        let name = &variable.name;
        match variable.r#type() {
            Type::Secret if variable.value.is_some() => {
                return Err(format!(
                    "Environment variable '{name}' of type 'SECRET' must not have a value set"
                ));
            }
            Type::Secret if variable.secret.is_none() => {
                return Err(format!(
                    "Environment variable '{name}' of type 'SECRET' must have a secret set"
                ));
            }
            Type::Value if variable.secret.is_some() => {
                return Err(format!(
                    "Environment variable '{name}' of type 'VALUE' must not have a secret set"
                ));
            }
            Type::Value if variable.value.is_none() => {
                return Err(format!(
                    "Environment variable '{name}' of type 'VALUE' must have a value set"
                ));
            }
            Type::Value if variable.value().contains('\0') || name.contains('\0') => {
                return Err(format!(
                    "Environment variable '{name}' contains a null byte"
                ));
            }
            Type::Value | Type::Secret => {}
            Type::Unknown => {
                return Err("Environment variable of type 'UNKNOWN' is not allowed".to_owned());
            }
        }
    }
    Ok(())
}

/// Mesos' `validateContainerInfo`.
pub(super) fn container(container: &ContainerInfo) -> Result<(), String> {
    for each in &container.volumes {
        self::volume(each).map_err(|problem| format!("Invalid volume: {problem}"))?;
    }
    if container.r#type() == container_info::Type::Docker && container.docker.is_none() {
        return Err("DockerInfo 'docker' is not set for DOCKER typed ContainerInfo".to_owned());
    }
    Ok(())
}

fn volume(volume: &Volume) -> Result<(), String> {
    let sources = [
        volume.host_path.is_some(),
        volume.image.is_some(),
        volume.source.is_some(),
    ];
    if sources.iter().filter(|set| **set).count() != 1 {
        return Err("Only one of them should be set: 'host_path', 'image' and 'source'".to_owned());
    }
    let Some(source) = &volume.source else {
        return Ok(());
    };
    let (field, set) = match source.r#type() {
        volume::source::Type::DockerVolume => ("docker_volume", source.docker_volume.is_some()),
        volume::source::Type::HostPath => ("host_path", source.host_path.is_some()),
        volume::source::Type::SandboxPath => ("sandbox_path", source.sandbox_path.is_some()),
        volume::source::Type::Secret => ("secret", source.secret.is_some()),
        volume::source::Type::CsiVolume => ("csi_volume", source.csi_volume.is_some()),
        volume::source::Type::Unknown => return Err("'source.type' is unknown".to_owned()),
    };
    if set {
        return Ok(());
    }
    let kind = source.r#type().as_str_name();
    Err(format!("'source.{field}' is not set for {kind} volume"))
}
