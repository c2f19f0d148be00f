//! What a framework says of itself, and what runs its tasks, in a few words.
//!
//! Not here: fields that are rarely used; a [`FrameworkInfo`] can be written out where they are.

use std::time::Duration;

use tepui_protocol::mesos::v1::framework_info::{Capability, capability};
use tepui_protocol::mesos::v1::{
    CommandInfo, ExecutorId, ExecutorInfo, FrameworkId, FrameworkInfo, Label, Labels, executor_info,
};
use tepui_protocol::resources::{ResourceError, parse_text};

/// A framework that is being described; [`Info::build`] makes it a FrameworkInfo.
#[derive(Debug, Clone)]
pub struct Info {
    info: FrameworkInfo,
}

impl Info {
    /// A framework of this name, whose tasks run as `root` unless it is said otherwise, in role
    /// `*`.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Info {
        Info {
            info: FrameworkInfo {
                name: name.into(),
                user: "root".to_owned(),
                ..FrameworkInfo::default()
            },
        }
    }

    /// The user who runs its tasks.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Info {
        self.info.user = user.into();
        self
    }

    /// The roles in which it is offered resources; more than one or none at all is fine.
    #[must_use]
    pub fn roles(mut self, roles: impl IntoIterator<Item = String>) -> Info {
        self.info.roles = roles.into_iter().collect();
        self.capable(capability::Type::MultiRole)
    }

    /// The id that it had before: this is a failover.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Info {
        self.info.id = Some(FrameworkId { value: id.into() });
        self
    }

    /// How long its tasks live on without a scheduler. Nothing said means: not at all.
    #[must_use]
    pub fn failover_timeout(mut self, timeout: Duration) -> Info {
        self.info.failover_timeout = Some(timeout.as_secs_f64());
        self
    }

    /// Its tasks outlive a restart of their agent.
    #[must_use]
    pub fn checkpoint(mut self) -> Info {
        self.info.checkpoint = Some(true);
        self
    }

    /// It tells UNREACHABLE, DROPPED and GONE apart, and may get a task back that was away.
    #[must_use]
    pub fn partition_aware(self) -> Info {
        self.capable(capability::Type::PartitionAware)
    }

    /// It can do this.
    #[must_use]
    pub fn capable(mut self, what: capability::Type) -> Info {
        let capability = Capability {
            r#type: Some(what as i32),
        };
        if !self.info.capabilities.contains(&capability) {
            self.info.capabilities.push(capability);
        }
        self
    }

    /// A label.
    #[must_use]
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Info {
        let labels = self.info.labels.get_or_insert_with(Labels::default);
        labels.labels.push(Label {
            key: key.into(),
            value: Some(value.into()),
        });
        self
    }

    /// The FrameworkInfo.
    #[must_use]
    pub fn build(self) -> FrameworkInfo {
        self.info
    }
}

/// An executor of the framework's own that `command` starts, with its resources in the form of
/// `--resources` (`cpus:0.1;mem:32`).
///
/// # Errors
/// [`ResourceError`] where `resources` is not of that form.
pub fn executor(
    id: impl Into<String>,
    command: impl Into<String>,
    resources: &str,
) -> Result<ExecutorInfo, ResourceError> {
    let command = CommandInfo {
        value: Some(command.into()),
        ..CommandInfo::default()
    };
    Ok(ExecutorInfo {
        r#type: Some(executor_info::Type::Custom as i32),
        executor_id: ExecutorId { value: id.into() },
        command: Some(command),
        resources: parse_text(resources, "*")?.to_proto(),
        ..ExecutorInfo::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_framework_is_what_was_said_of_it() {
        let info = Info::new("web")
            .user("www")
            .roles(["a".to_owned(), "a/b".to_owned()])
            .roles(["a".to_owned()])
            .failover_timeout(Duration::from_secs(60))
            .checkpoint()
            .partition_aware()
            .build();
        assert_eq!((info.name.as_str(), info.user.as_str()), ("web", "www"));
        assert_eq!(info.roles, ["a"]);
        assert_eq!(info.failover_timeout, Some(60.0));
        assert_eq!(info.checkpoint, Some(true));
        let capabilities: Vec<_> = info.capabilities.iter().map(Capability::r#type).collect();
        let expected = [
            capability::Type::MultiRole,
            capability::Type::PartitionAware,
        ];
        assert_eq!(capabilities, expected);
    }

    #[test]
    fn an_executor_has_the_resources_that_it_was_given() {
        let info = executor("e", "./run", "cpus:0.1;mem:32").unwrap();
        assert_eq!(info.executor_id.value, "e");
        assert_eq!(info.resources.len(), 2);
        assert!(executor("e", "./run", "cpus").is_err());
    }
}
