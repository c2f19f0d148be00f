//! The real agent killed with SIGKILL twenty times while it launches a container, and started again
//! on the same work_dir each time: every task's end is told, and afterwards /proc, every cgroup
//! hierarchy and the table of mounts are as they were before.
//!
//! Alone in its program: the whole host is compared.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tepui_integration::{
    Cluster, Remains, Subscription, cgroup_mounts, command_task, folders, tepui,
};

/// Launches, and kills of the agent.
const LAUNCHES: usize = 20;
/// How far a launch may come before the agent is killed.
const STAGES: usize = 5;
const PATIENCE: Duration = Duration::from_secs(20);

/// What of a container can be seen on the host while it comes to be.
struct Launch {
    runtime: PathBuf,
    cgroups: Vec<PathBuf>,
    /// What is there of earlier launches.
    known: Vec<PathBuf>,
}

impl Launch {
    fn of(cluster: &Cluster) -> Launch {
        let root = cluster.cgroups_root(0);
        let mut launch = Launch {
            runtime: cluster.runtime_dir(0).join("containers"),
            cgroups: cgroup_mounts().iter().map(|it| it.join(&root)).collect(),
            known: Vec::new(),
        };
        launch.known = launch.seen();
        launch
    }

    fn seen(&self) -> Vec<PathBuf> {
        let mut seen = folders(&self.runtime);
        seen.extend(self.cgroups.iter().flat_map(|cgroup| folders(cgroup)));
        seen
    }

    /// The new container's folders below one of these.
    fn new_in(&self, parents: &[PathBuf]) -> Vec<PathBuf> {
        let all = parents.iter().flat_map(|parent| folders(parent));
        all.filter(|path| !self.known.contains(path)).collect()
    }

    fn has_come_to(&self, stage: usize) -> bool {
        let runtime = self.new_in(std::slice::from_ref(&self.runtime));
        let cgroups = self.new_in(&self.cgroups);
        let is_inhabited = |cgroup: &PathBuf| {
            ["cgroup.procs", "leaf/cgroup.procs"].iter().any(|file| {
                std::fs::read(cgroup.join(file)).is_ok_and(|processes| !processes.is_empty())
            })
        };
        match stage {
            0 => true,
            1 => !runtime.is_empty(),
            2 => !cgroups.is_empty(),
            3 => cgroups.iter().any(is_inhabited),
            _ => runtime.iter().any(|path| path.join("init").exists()),
        }
    }

    /// Waits until the launch has come some way.
    fn reach(&self, stage: usize) {
        let deadline = Instant::now() + PATIENCE;
        while !self.has_come_to(stage) {
            assert!(Instant::now() < deadline, "stage {stage} is not reached");
            std::thread::yield_now();
        }
    }
}

/// A framework whose tasks' ends are waited for.
struct Framework {
    subscription: Subscription,
}

impl Framework {
    fn new(cluster: &Cluster, checkpoint: bool) -> Framework {
        let info = json!({
            "user": "root",
            "name": format!("checkpoint-{checkpoint}"),
            "checkpoint": checkpoint,
            "capabilities": [{"type": "PARTITION_AWARE"}],
        });
        Framework {
            subscription: Subscription::open(cluster.address(), &info),
        }
    }

    /// What becomes of a task whose agent was killed while it launched it; it is killed if it
    /// runs after all. Gives the first state that was told.
    fn fate(&mut self, task: &str) -> String {
        let running = |state: &Value| state == "TASK_RUNNING" || state == "TASK_STARTING";
        let status = self.subscription.status(task, |_| true);
        if running(&status["state"]) {
            self.subscription.kill(task);
            let end = self
                .subscription
                .status(task, |status| !running(&status["state"]));
            assert_eq!(end["state"], "TASK_KILLED", "{end:#}");
        }
        status["state"].as_str().unwrap_or_default().to_owned()
    }
}

#[test]
fn nothing_is_left_of_launches_that_were_cut_short() {
    let mut cluster = Cluster::start(&[]);
    let before = Remains::look(&cluster.cgroups_root(0), &tepui());
    cluster.add_agent(&[
        "--resources=cpus:4;mem:4096;disk:0;ports:[]",
        "--executor_reregistration_timeout=1secs",
    ]);
    let mut cut_short = 0;
    for number in 0..LAUNCHES {
        let checkpoint = number % 2 == 0;
        let mut framework = Framework::new(&cluster, checkpoint);
        let task = format!("task-{number}");
        let launch = Launch::of(&cluster);
        let offer = framework.subscription.offer(|_| true);
        let command = "setsid sleep 1000 & exec sleep 1000";
        let info = command_task(&task, command, 0.1, 32.0);
        framework.subscription.launch(&offer, vec![info]);
        launch.reach(number / 2 % STAGES);
        cluster.kill_agent(0);
        let agent = cluster.restart_agent(0);
        agent.wait_for("registration", |line| line.contains("registered"));
        let fate = framework.fate(&task);
        match (checkpoint, fate.as_str()) {
            // Lost as soon as its agent's link breaks, whatever the framework can tell apart.
            (false, "TASK_LOST") => cut_short += 1,
            // Never came to the agent, or its executor never came to subscribe.
            (true, "TASK_DROPPED" | "TASK_FAILED") => cut_short += 1,
            (true, "TASK_STARTING" | "TASK_RUNNING") => {}
            _ => panic!("{task}, checkpoint {checkpoint}, is {fate}"),
        }
        framework.subscription.teardown();
    }
    assert!(
        cut_short >= LAUNCHES * 4 / 5,
        "only {cut_short} launches were cut short"
    );
    let root = cluster.cgroups_root(0);
    cluster.stop();
    let left = Remains::left_since(&root, &tepui(), &before);
    assert!(left.is_empty(), "something is left: {}", left.join("\n"));
}
