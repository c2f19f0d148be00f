//! An executor and its command as the master shows them.

use serde::{Serialize, Serializer, ser::SerializeMap};
use tepui_protocol::mesos::v1::{
    CommandInfo, Environment, ExecutorInfo, command_info::Uri, environment::Variable, executor_info,
};

use super::{
    Each,
    resources::Summary,
    task::{LabelsView, role},
};

/// An executor on an agent.
pub(crate) struct ExecutorOnAgent<'a> {
    pub(crate) info: &'a ExecutorInfo,
    pub(crate) agent_id: &'a str,
}

impl Serialize for ExecutorOnAgent<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let info = self.info;
        let framework = info
            .framework_id
            .as_ref()
            .map_or("", |id| id.value.as_str());
        let no_command = CommandInfo::default();
        let command = info.command.as_ref().unwrap_or(&no_command);
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("executor_id", &info.executor_id.value)?;
        map.serialize_entry("name", info.name())?;
        map.serialize_entry("framework_id", framework)?;
        map.serialize_entry("command", &CommandView(command))?;
        map.serialize_entry("resources", &Summary::of_proto(&info.resources))?;
        if let Some(role) = role(&info.resources) {
            map.serialize_entry("role", role)?;
        }
        if let Some(labels) = &info.labels {
            map.serialize_entry("labels", &LabelsView(labels))?;
        }
        if let Some(name) = type_name(info) {
            map.serialize_entry("type", name)?;
        }
        map.serialize_entry("slave_id", self.agent_id)?;
        map.end()
    }
}

/// The name of the executor's type, where it says one.
pub(crate) fn type_name(info: &ExecutorInfo) -> Option<&'static str> {
    let kind = executor_info::Type::try_from(info.r#type?).ok()?;
    Some(kind.as_str_name())
}

/// A command, as a person wants to see it.
pub(crate) struct CommandView<'a>(pub(crate) &'a CommandInfo);

impl Serialize for CommandView<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let command = self.0;
        let mut map = to.serialize_map(None)?;
        if let Some(shell) = command.shell {
            map.serialize_entry("shell", &shell)?;
        }
        if let Some(value) = &command.value {
            map.serialize_entry("value", value)?;
        }
        map.serialize_entry("argv", &command.arguments)?;
        if let Some(environment) = &command.environment {
            map.serialize_entry("environment", &EnvironmentView(environment))?;
        }
        map.serialize_entry("uris", &Each(|| command.uris.iter().map(UriView)))?;
        map.end()
    }
}

struct EnvironmentView<'a>(&'a Environment);

impl Serialize for EnvironmentView<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(1))?;
        let variables = || self.0.variables.iter().map(VariableView);
        if !self.0.variables.is_empty() {
            map.serialize_entry("variables", &Each(variables))?;
        }
        map.end()
    }
}

/// A variable. Its type is also written where it is the default, for Mesos does so.
struct VariableView<'a>(&'a Variable);

impl Serialize for VariableView<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let variable = self.0;
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("name", &variable.name)?;
        map.serialize_entry("type", variable.r#type().as_str_name())?;
        if let Some(value) = &variable.value {
            map.serialize_entry("value", value)?;
        }
        if let Some(secret) = &variable.secret {
            map.serialize_entry("secret", secret)?;
        }
        map.end()
    }
}

struct UriView<'a>(&'a Uri);

impl Serialize for UriView<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(2))?;
        map.serialize_entry("value", &self.0.value)?;
        map.serialize_entry("executable", &self.0.executable())?;
        map.end()
    }
}
