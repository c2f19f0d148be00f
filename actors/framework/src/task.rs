//! Tasks in a few words, and what an offer has.
//!
//! Not here: fields that are rarely used; a [`TaskInfo`] can be written out where they are.

use std::time::Duration;

use bytes::Bytes;
use tepui_protocol::mesos::v1::command_info::Uri;
use tepui_protocol::mesos::v1::environment::{Variable, variable};
use tepui_protocol::mesos::v1::value::{self, Scalar};
use tepui_protocol::mesos::v1::{
    AgentId, CommandInfo, DurationInfo, Environment, ExecutorInfo, Filters, KillPolicy, Label,
    Labels, Offer, Resource, TaskId, TaskInfo,
};

/// A task that is being described; [`Task::on`] makes it a TaskInfo for an offer.
#[derive(Debug, Clone)]
pub struct Task {
    info: TaskInfo,
}

impl Task {
    /// A task that runs `command` in a shell. Its id is `id`, and so is its name.
    #[must_use]
    pub fn command(id: impl Into<String>, command: impl Into<String>) -> Task {
        Task::with(
            id.into(),
            CommandInfo {
                value: Some(command.into()),
                ..CommandInfo::default()
            },
        )
    }

    /// A task that runs the program `argv[0]` with its arguments, without a shell.
    #[must_use]
    pub fn exec(id: impl Into<String>, argv: Vec<String>) -> Task {
        let command = CommandInfo {
            shell: Some(false),
            value: argv.first().cloned(),
            arguments: argv,
            ..CommandInfo::default()
        };
        Task::with(id.into(), command)
    }

    /// A task for an executor of the framework's own.
    #[must_use]
    pub fn custom(id: impl Into<String>, executor: ExecutorInfo) -> Task {
        let id = id.into();
        let info = TaskInfo {
            name: id.clone(),
            task_id: TaskId { value: id },
            executor: Some(executor),
            ..TaskInfo::default()
        };
        Task { info }
    }

    pub(crate) fn info(&self) -> &TaskInfo {
        &self.info
    }

    pub(crate) fn info_mut(&mut self) -> &mut TaskInfo {
        &mut self.info
    }

    fn with(id: String, command: CommandInfo) -> Task {
        let info = TaskInfo {
            name: id.clone(),
            task_id: TaskId { value: id },
            command: Some(command),
            ..TaskInfo::default()
        };
        Task { info }
    }

    /// The id that it was given.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.info.task_id.value
    }

    /// Bytes for its executor.
    #[must_use]
    pub fn data(mut self, data: impl Into<Bytes>) -> Task {
        self.info.data = Some(data.into());
        self
    }

    /// Gives it another name than its id.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Task {
        self.info.name = name.into();
        self
    }

    /// Processors.
    #[must_use]
    pub fn cpus(self, amount: f64) -> Task {
        self.resource("cpus", amount)
    }

    /// Memory in megabytes.
    #[must_use]
    pub fn mem(self, megabytes: f64) -> Task {
        self.resource("mem", megabytes)
    }

    /// Disk in megabytes.
    #[must_use]
    pub fn disk(self, megabytes: f64) -> Task {
        self.resource("disk", megabytes)
    }

    /// So much of the unreserved resource `name`.
    #[must_use]
    pub fn resource(mut self, name: &str, amount: f64) -> Task {
        self.info.resources.push(Resource {
            name: name.to_owned(),
            r#type: value::Type::Scalar as i32,
            scalar: Some(Scalar { value: amount }),
            ..Resource::default()
        });
        self
    }

    /// These resources, as they stand in an offer.
    #[must_use]
    pub fn resources(mut self, resources: impl IntoIterator<Item = Resource>) -> Task {
        self.info.resources.extend(resources);
        self
    }

    /// A variable in the environment of its command.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Task {
        let command = self.info.command.get_or_insert_default();
        command
            .environment
            .get_or_insert_with(Environment::default)
            .variables
            .push(Variable {
                name: name.into(),
                value: Some(value.into()),
                r#type: Some(variable::Type::Value as i32),
                ..Variable::default()
            });
        self
    }

    /// A file that is fetched into its sandbox before it runs, and unpacked if it is an archive.
    /// Only for tasks with a command.
    #[must_use]
    pub fn fetch(mut self, uri: impl Into<String>) -> Task {
        let uri = Uri {
            value: uri.into(),
            ..Uri::default()
        };
        self.info.command.get_or_insert_default().uris.push(uri);
        self
    }

    /// The user who runs it, where that is not the framework's.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Task {
        self.info.command.get_or_insert_default().user = Some(user.into());
        self
    }

    /// A label.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Task {
        let label = Label {
            key: key.into(),
            value: Some(value.into()),
        };
        self.info
            .labels
            .get_or_insert_with(Labels::default)
            .labels
            .push(label);
        self
    }

    /// Time between SIGTERM and SIGKILL when it is killed.
    #[must_use]
    pub fn grace_period(mut self, grace: Duration) -> Task {
        let nanoseconds = i64::try_from(grace.as_nanos()).unwrap_or(i64::MAX);
        self.info.kill_policy = Some(KillPolicy {
            grace_period: Some(DurationInfo { nanoseconds }),
        });
        self
    }

    /// The TaskInfo that runs on the agent of `offer`.
    #[must_use]
    pub fn on(self, offer: &Offer) -> TaskInfo {
        self.on_agent(&offer.agent_id)
    }

    /// The TaskInfo that runs on this agent.
    #[must_use]
    pub fn on_agent(mut self, agent_id: &AgentId) -> TaskInfo {
        self.info.agent_id = agent_id.clone();
        self.info
    }
}

/// Filters: what is left is not wanted again for so long. (Mesos' own default, where a call has
/// no filters, is 5 seconds.)
#[must_use]
pub fn refuse(time: Duration) -> Filters {
    Filters {
        refuse_seconds: Some(time.as_secs_f64()),
    }
}

/// How much of the scalar resource `name` is in `resources`, reserved or not.
#[must_use]
pub fn scalar(resources: &[Resource], name: &str) -> f64 {
    resources
        .iter()
        .filter(|resource| resource.name == name)
        .filter_map(|resource| resource.scalar.as_ref())
        .map(|scalar| scalar.value)
        .sum()
}

#[cfg(test)]
mod tests {
    use tepui_protocol::mesos::v1::AgentId;

    use super::*;

    #[test]
    fn a_task_is_what_was_said_of_it() {
        let agent_id = AgentId {
            value: "S0".to_owned(),
        };
        let offer = Offer {
            agent_id: agent_id.clone(),
            ..Offer::default()
        };
        let info = Task::command("t", "echo hello")
            .cpus(0.5)
            .mem(64.0)
            .env("A", "1")
            .on(&offer);
        assert_eq!(
            (info.name.as_str(), info.task_id.value.as_str()),
            ("t", "t")
        );
        assert_eq!(info.agent_id, agent_id);
        assert!((scalar(&info.resources, "cpus") - 0.5).abs() < 1e-9);
        let command = info.command.unwrap();
        assert_eq!(command.value(), "echo hello");
        assert!(
            command.shell(),
            "a command runs in a shell unless it is said otherwise"
        );
        assert_eq!(command.environment.unwrap().variables[0].name, "A");
    }
}
