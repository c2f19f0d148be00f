//! Every field of TaskInfo and ExecutorInfo: honoured, or refused by its name.
//!
//! The tables are complete: a test walks the schema, so that a field nobody thought of fails it.
//! What of commands, containers and the rest an agent can do, the containerizer's tables say;
//! the rules here come on top of them.

use tepui_protocol::mesos::v1::TaskInfo;

/// What is done with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// It has its effect, here or at the agent; below it, the containerizer's tables count.
    Honoured,
    /// A task that sets it is TASK_ERROR, by the field's name.
    Refused,
}

use Treatment::{Honoured, Refused};

/// The fields of `mesos.v1.TaskInfo`.
pub const TASK_INFO: &[(&str, Treatment)] = &[
    ("name", Honoured),
    ("task_id", Honoured),
    ("agent_id", Honoured),
    ("resources", Honoured),
    ("executor", Honoured),
    ("command", Honoured),
    ("container", Honoured),
    ("health_check", Refused),
    ("check", Refused),
    ("kill_policy", Honoured),
    // Reaches the executor with the task; a command executor has no use for it.
    ("data", Honoured),
    ("labels", Honoured),
    ("discovery", Honoured),
    ("max_completion_time", Honoured),
    ("limits", Honoured),
];

/// The fields of `mesos.v1.ExecutorInfo`.
pub const EXECUTOR_INFO: &[(&str, Treatment)] = &[
    // CUSTOM; what else is refused in Mesos' words.
    ("type", Honoured),
    ("executor_id", Honoured),
    ("framework_id", Honoured),
    ("command", Honoured),
    ("container", Honoured),
    ("resources", Honoured),
    ("name", Honoured),
    ("source", Honoured),
    // Reaches the executor with SUBSCRIBED.
    ("data", Honoured),
    ("discovery", Honoured),
    ("shutdown_grace_period", Honoured),
    ("labels", Honoured),
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
    fn every_field_of_the_schema_is_in_a_table() {
        for (shape, table) in [
            (TaskInfo::SHAPE, TASK_INFO),
            (ExecutorInfo::SHAPE, EXECUTOR_INFO),
        ] {
            let mut in_schema: Vec<&str> = shape.fields.iter().map(|field| field.name).collect();
            let mut in_table: Vec<&str> = table.iter().map(|(field, _)| *field).collect();
            in_schema.sort_unstable();
            in_table.sort_unstable();
            assert_eq!(in_schema, in_table, "{}", shape.name);
        }
    }

    #[test]
    fn a_field_is_refused_by_its_name_exactly_if_the_table_says_so() {
        let samples = samples();
        for (field, treatment) in TASK_INFO {
            let mut task = json!({
                "name": samples["name"], "task_id": samples["task_id"],
                "agent_id": samples["agent_id"],
            });
            task[field] = samples[field].clone();
            let bytes = serde_json::to_vec(&task).unwrap();
            let task: TaskInfo = tepui_protocol::json::from_slice(&bytes).unwrap();
            let refused = refused(&task);
            match treatment {
                Honoured => assert!(refused.is_empty(), "{field}: {refused:?}"),
                Refused => assert_eq!(refused, [*field]),
            }
        }
    }
}
