//! The real agent killed with SIGKILL while it launches a container, until twenty launches were cut
//! short, and started again on the same work_dir each time: every task's end is told, and afterwards
//! /proc, every cgroup hierarchy and the table of mounts are as they were before.
//!
//! Alone in its program: the whole host is compared.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tepui_integration::{
    Cluster, Remains, Subscription, cgroup_mounts, command_task, folders, tepui,
};

/// Launches that are cut short.
const LAUNCHES: usize = 20;
/// Launches at most: some executors are faster than the one who kills their agent.
const TRIES: usize = 60;
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

    /// What becomes of a task whose agent was killed while it launched it: the first state that
    /// was told, and the last; it is killed if it runs on.
    fn fate(&mut self, task: &str, checkpoint: bool) -> (String, String) {
        let running = |state: &Value| state == "TASK_RUNNING" || state == "TASK_STARTING";
        let text = |status: &Value| status["state"].as_str().unwrap_or_default().to_owned();
        let first = self.subscription.status(task, |_| true);
        if !running(&first["state"]) {
            return (text(&first), text(&first));
        }
        if checkpoint {
            self.subscription.kill(task);
        }
        let last = self
            .subscription
            .status(task, |status| !running(&status["state"]));
        (text(&first), text(&last))
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
    let mut number = 0;
    while cut_short < LAUNCHES {
        assert!(
            number < TRIES,
            "only {cut_short} of {number} were cut short"
        );
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
        let (first, last) = framework.fate(&task, checkpoint);
        match (checkpoint, last.as_str()) {
            // Lost as soon as its agent's link breaks, whatever the framework can tell apart.
            (false, "TASK_LOST") => {}
            // Never came to the agent, or its executor never came to subscribe.
            (true, "TASK_DROPPED" | "TASK_FAILED") => {}
            (true, "TASK_KILLED") if first != last => {}
            _ => panic!("{task}, checkpoint {checkpoint}, was {first} and is {last}"),
        }
        cut_short += usize::from(first == last);
        number += 1;
        framework.subscription.teardown();
    }
    let root = cluster.cgroups_root(0);
    cluster.stop();
    let left = Remains::left_since(&root, &tepui(), &before);
    assert!(left.is_empty(), "something is left: {}", left.join("\n"));
}
