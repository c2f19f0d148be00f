//! Every field of TaskInfo and ExecutorInfo is honoured: it has its effect, here or at the agent.
//!
//! The lists are complete: a test walks the schema, so that a field nobody thought of fails it.
//! What of commands, containers, checks and the rest an agent can do, the containerizer's tables
//! say: what is below a field is refused by its path where no agent can do it.

use tepui_protocol::mesos::v1::TaskInfo;

/// The fields of `mesos.v1.TaskInfo`.
pub const TASK_INFO: &[&str] = &[
    "name",
    "task_id",
    "agent_id",
    "resources",
    "executor",
    "command",
    "container",
    "health_check",
    "check",
    "kill_policy",
    // Reaches the executor with the task; a command executor has no use for it.
    "data",
    "labels",
    "discovery",
    "max_completion_time",
    "limits",
];

/// The fields of `mesos.v1.ExecutorInfo`.
pub const EXECUTOR_INFO: &[&str] = &[
    // CUSTOM, and DEFAULT for groups; what else is refused in Mesos' words.
    "type",
    "executor_id",
    "framework_id",
    "command",
    "container",
    "resources",
    "name",
    "source",
    // Reaches the executor with SUBSCRIBED.
    "data",
    "discovery",
    "shutdown_grace_period",
    "labels",
];

/// The fields of a task that are set and refused, by their paths.
#[must_use]
pub fn refused(task: &TaskInfo) -> Vec<String> {
    tepui_containerizer::unsupported_task_fields(task)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tepui_protocol::Schema;
    use tepui_protocol::mesos::v1::ExecutorInfo;

    use super::*;

    /// A value for each field of TaskInfo.
    fn samples() -> Value {
        json!({
            "name": "n",
            "task_id": {"value": "t"},
            "agent_id": {"value": "s"},
            "resources": [{"name": "cpus", "type": "SCALAR", "scalar": {"value": 1}}],
            "executor": {"executor_id": {"value": "e"}, "command": {"value": "true"}},
            "command": {"value": "true"},
            "container": {"type": "MESOS"},
            "health_check": {"type": "TCP", "tcp": {"port": 1}},
            "check": {"type": "TCP", "tcp": {"port": 1}},
            "kill_policy": {"grace_period": {"nanoseconds": 1}},
            "data": "eA==",
            "labels": {"labels": [{"key": "k"}]},
            "discovery": {"visibility": "CLUSTER"},
            "max_completion_time": {"nanoseconds": 1},
            "limits": {"cpus": {"value": 2}},
        })
    }

    #[test]
    fn every_field_of_the_schema_is_listed() {
        for (shape, table) in [
            (TaskInfo::SHAPE, TASK_INFO),
            (ExecutorInfo::SHAPE, EXECUTOR_INFO),
        ] {
            let mut in_schema: Vec<&str> = shape.fields.iter().map(|field| field.name).collect();
            let mut listed = table.to_vec();
            in_schema.sort_unstable();
            listed.sort_unstable();
            assert_eq!(in_schema, listed, "{}", shape.name);
        }
    }

    #[test]
    fn no_field_of_a_task_is_refused_by_itself() {
        let samples = samples();
        for field in TASK_INFO {
            let mut task = json!({
                "name": samples["name"], "task_id": samples["task_id"],
                "agent_id": samples["agent_id"],
            });
            task[field] = samples[field].clone();
            let bytes = serde_json::to_vec(&task).unwrap();
            let task: TaskInfo = tepui_protocol::json::from_slice(&bytes).unwrap();
            assert_eq!(refused(&task), [""; 0], "{field}");
        }
    }
}
