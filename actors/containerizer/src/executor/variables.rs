//! The variables that executors add to those of their tasks' commands. What the agent tells an
//! executor, and what a command has of its own, is not here.

use tepui_protocol::mesos::v1::TaskInfo;
use tepui_protocol::mesos::v1::environment::{Variable, variable};

/// A variable that is a text.
pub(crate) fn plain(name: &str, value: &str) -> Variable {
    Variable {
        name: name.to_owned(),
        r#type: Some(variable::Type::Value as i32),
        value: Some(value.to_owned()),
        ..Variable::default()
    }
}

/// The task with these variables behind its own, so that they win, and with the role that it was
/// allocated for, which all of its resources have: Mesos' `MESOS_ALLOCATION_ROLE`.
pub(crate) fn with_variables(task: &TaskInfo, more: Vec<Variable>) -> TaskInfo {
    let mut task = task.clone();
    let first = task.resources.first();
    let allocation = first.and_then(|resource| resource.allocation_info.as_ref());
    let role = allocation.and_then(|allocation| allocation.role.as_ref());
    let role = role.map(|role| plain("MESOS_ALLOCATION_ROLE", role));
    let command = task.command.get_or_insert_default();
    let variables = &mut command.environment.get_or_insert_default().variables;
    variables.extend(more.into_iter().chain(role));
    task
}
