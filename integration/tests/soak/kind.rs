//! The kinds of tasks that are mixed, and the states in which each may end.

use serde_json::{Value, json};

/// A kind of task: its name, how many of a hundred are of it, what runs, and the end that it comes
/// to when nobody disturbs it.
pub struct Kind {
    pub name: &'static str,
    pub share: u64,
    what: What,
    pub end: &'static str,
    /// Whether it runs until it is killed.
    pub stays: bool,
}

enum What {
    Shell(&'static str),
    Missing,
    /// With this as its data.
    OnExecutor(&'static str),
    /// The same, two at a time by LAUNCH_GROUP.
    Pair(&'static str),
    /// Two commands as a group with a default executor of its own.
    Group([&'static str; 2]),
}

pub const KINDS: [Kind; 14] = [
    kind("finishes", 26, What::Shell("exit 0"), "TASK_FINISHED"),
    kind("fails", 10, What::Shell("exit 3"), "TASK_FAILED"),
    kind("no such program", 4, What::Missing, "TASK_FAILED"),
    kind(
        "writes",
        6,
        What::Shell("head -c 3000000 /dev/zero > file; exit 0"),
        "TASK_FINISHED",
    ),
    kind(
        "leaves others behind",
        10,
        What::Shell("setsid sleep 1000 & (sleep 1000 & sleep 1000 &); exit 0"),
        "TASK_FINISHED",
    ),
    staying("stays", 14, What::Shell("exec sleep 1000")),
    staying(
        "ignores SIGTERM",
        6,
        What::Shell("trap '' TERM; while :; do sleep 1; done"),
    ),
    kind("on an executor", 14, What::OnExecutor(""), "TASK_FINISHED"),
    staying("stays on an executor", 10, What::OnExecutor("c3RheQ==")),
    // The data is `pair` and `stay pair`.
    kind("one of a pair", 8, What::Pair("cGFpcg=="), "TASK_FINISHED"),
    staying("stays in a pair", 8, What::Pair("c3RheSBwYWly")),
    kind(
        "one of a group",
        8,
        What::Group(["exit 0", "setsid sleep 1000 & sleep 0.3"]),
        "TASK_FINISHED",
    ),
    kind(
        "a group that fails",
        4,
        What::Group(["sleep 0.2; exit 3", "exec sleep 1000"]),
        "TASK_FAILED",
    ),
    staying(
        "stays in a group",
        8,
        What::Group(["exec sleep 1000", "trap '' TERM; while :; do sleep 1; done"]),
    ),
];

const fn kind(name: &'static str, share: u64, what: What, end: &'static str) -> Kind {
    let stays = false;
    Kind {
        name,
        share,
        what,
        end,
        stays,
    }
}

const fn staying(name: &'static str, share: u64, what: What) -> Kind {
    let end = "TASK_KILLED";
    Kind {
        stays: true,
        ..kind(name, share, what, end)
    }
}

impl Kind {
    /// The kind of this name.
    pub fn of(name: &str) -> &'static Kind {
        let found = KINDS.iter().find(|kind| kind.name == name);
        found.unwrap_or_else(|| panic!("no kind of task {name}"))
    }

    /// Whether it runs on the executor that a framework has for a role on an agent.
    pub fn is_on_executor(&self) -> bool {
        matches!(self.what, What::OnExecutor(_) | What::Pair(_))
    }

    /// Whether it runs in a group with a default executor, whose id is that of its first task.
    pub fn is_in_group(&self) -> bool {
        matches!(self.what, What::Group(_))
    }

    /// How many of this kind are launched at a time.
    pub fn together(&self) -> usize {
        match self.what {
            What::Pair(_) | What::Group(_) => 2,
            _ => 1,
        }
    }

    /// Whether a task of this kind may end so. What is lost with an agent, or is killed with all
    /// others at the end, is no fault of the task; neither is the death of the executor.
    pub fn may_end(&self, state: &str) -> bool {
        const DISTURBED: [&str; 5] = [
            "TASK_LOST",
            "TASK_DROPPED",
            "TASK_UNKNOWN",
            "TASK_GONE",
            "TASK_KILLED",
        ];
        state == self.end
            || DISTURBED.contains(&state)
            || ((self.is_on_executor() || self.is_in_group()) && state == "TASK_FAILED")
    }

    /// The operation that launches tasks of this kind, as many as go together, for a framework.
    pub fn launch(
        &self,
        framework: &str,
        ids: &[String],
        offer: &Value,
        cpus: f64,
        mem: u64,
    ) -> Value {
        let executor = || executor(framework, &offer["allocation_info"]["role"]);
        let task = |(number, id): (usize, &String)| {
            let mut task = json!({
                "name": self.name,
                "task_id": {"value": id},
                "agent_id": offer["agent_id"],
                "resources": resources(cpus, mem),
                "kill_policy": {"grace_period": {"nanoseconds": 500_000_000}},
            });
            match self.what {
                What::Shell(command) => task["command"] = json!({"value": command}),
                What::Missing => task["command"] = json!({"shell": false, "value": "/no/such"}),
                What::OnExecutor(data) => {
                    task["executor"] = executor();
                    task["data"] = json!(data);
                }
                What::Pair(data) => task["data"] = json!(data),
                What::Group(commands) => task["command"] = json!({"value": commands[number]}),
            }
            task
        };
        let tasks: Vec<Value> = ids.iter().enumerate().map(task).collect();
        let executor = match self.what {
            What::Pair(_) => executor(),
            What::Group(_) => default_executor(framework, &ids[0]),
            _ => return json!({"type": "LAUNCH", "launch": {"task_infos": tasks}}),
        };
        let group = json!({"executor": executor, "task_group": {"tasks": tasks}});
        json!({"type": "LAUNCH_GROUP", "launch_group": group})
    }
}

fn default_executor(framework: &str, id: &str) -> Value {
    json!({
        "type": "DEFAULT",
        "executor_id": {"value": id},
        "framework_id": {"value": framework},
        "resources": with_disk(),
    })
}

/// A framework has one executor for each role on an agent: its resources are of that role, and an
/// executor that is there already has to be the same. One that gets groups has to use disk.
fn executor(framework: &str, role: &Value) -> Value {
    let program = std::env::current_exe().expect("this program");
    json!({
        "type": "CUSTOM",
        "executor_id": {"value": role},
        "framework_id": {"value": framework},
        "command": {"value": format!("exec {} executor", program.display())},
        "resources": with_disk(),
    })
}

/// What an executor has itself.
fn with_disk() -> Vec<Value> {
    let mut resources = resources(0.1, 64);
    let disk = json!({"name": "disk", "type": "SCALAR", "scalar": {"value": 1}});
    resources.extend([disk]);
    resources
}

fn resources(cpus: f64, mem: u64) -> Vec<Value> {
    vec![
        json!({"name": "cpus", "type": "SCALAR", "scalar": {"value": cpus}}),
        json!({"name": "mem", "type": "SCALAR", "scalar": {"value": mem}}),
    ]
}
