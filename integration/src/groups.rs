//! Groups of tasks for the default executor, which an agent brings along: how a test describes
//! them, and what it is told of them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::stream::{Subscription, resources};

/// What was told of tasks: of each, its updates in their order.
pub type Told = BTreeMap<String, Vec<Value>>;

impl Subscription {
    /// A default executor with so many cpus and megabytes of memory for itself.
    pub fn default_executor(&self, id: &str, cpus: f64, mem: f64) -> Value {
        let mut own = resources(cpus, mem);
        let disk = json!({"name": "disk", "type": "SCALAR", "scalar": {"value": 10}});
        own.as_array_mut().expect("a list").push(disk);
        json!({
            "type": "DEFAULT",
            "executor_id": {"value": id},
            "framework_id": {"value": self.framework_id()},
            "resources": own,
        })
    }

    /// Launches tasks together on an offer; the rest may be offered again at once.
    ///
    /// # Panics
    ///
    /// When the master does not take it.
    pub fn launch_group(&self, offer: &Value, executor: &Value, mut tasks: Vec<Value>) {
        for task in &mut tasks {
            task["agent_id"] = offer["agent_id"].clone();
        }
        let group = json!({"executor": executor, "task_group": {"tasks": tasks}});
        let accept = json!({
            "offer_ids": [offer["id"]],
            "operations": [{"type": "LAUNCH_GROUP", "launch_group": group}],
            "filters": {"refuse_seconds": 0},
        });
        assert_eq!(self.call(json!({"type": "ACCEPT", "accept": accept})), 202);
    }

    /// Takes updates, and acknowledges them, until each of these tasks is in a state for which
    /// `wanted` holds.
    ///
    /// # Panics
    ///
    /// When that takes more than a minute from one update to the next.
    pub fn told_until(&mut self, tasks: &[&str], wanted: impl Fn(&str) -> bool) -> Told {
        let (mut told, mut left) = (Told::new(), tasks.to_vec());
        while !left.is_empty() {
            let event = self.wait_for("UPDATE", |_| true);
            let status = &event["update"]["status"];
            self.acknowledge(status);
            let (task, state) = (text(&status["task_id"]["value"]), text(&status["state"]));
            told.entry(task.to_owned())
                .or_default()
                .push(status.clone());
            left.retain(|it| *it != task || !wanted(state));
        }
        told
    }

    /// What is told until these tasks run.
    ///
    /// # Panics
    ///
    /// When one ends before.
    pub fn told_until_running(&mut self, tasks: &[&str]) -> Told {
        let told = self.told_until(tasks, |state| state == "TASK_RUNNING" || is_over(state));
        for task in tasks {
            let status = told[*task].last().expect("an update");
            assert_eq!(status["state"], "TASK_RUNNING", "{status:#}");
        }
        told
    }

    /// What is told until these tasks are over.
    pub fn told_until_over(&mut self, tasks: &[&str]) -> Told {
        self.told_until(tasks, is_over)
    }
}

/// Whether a task in this state is over.
pub fn is_over(state: &str) -> bool {
    ![
        "TASK_STAGING",
        "TASK_STARTING",
        "TASK_RUNNING",
        "TASK_KILLING",
    ]
    .contains(&state)
}

/// The states of updates.
pub fn states(updates: &[Value]) -> Vec<&str> {
    updates
        .iter()
        .map(|status| text(&status["state"]))
        .collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// What is at a path of a daemon's (`ip:port`), which is JSON.
///
/// # Panics
///
/// When it is not.
pub fn get(address: &str, path: &str) -> Value {
    let output = std::process::Command::new("curl")
        .args(["-sS", &format!("http://{address}{path}")])
        .output()
        .expect("curl is installed");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        let body = String::from_utf8_lossy(&output.stdout);
        panic!("{path} is no JSON ({error}): {body}")
    })
}
