//! Crews in a cluster: tasks that share one, a group, and one that hangs.

use std::sync::{Arc, Mutex};

use tepui_containerizer::simulated::SimulatedOptions;
use tepui_framework::{Driver, Framework, Options, Scheduler, Task, executor};
use tepui_protocol::mesos::v1::{AgentId, ExecutorId, Offer};
use tepui_runtime::SimOptions;

use super::*;
use crate::cluster::ClusterOptions;
use crate::kit::Lab;

#[test]
fn a_fate_is_read_from_the_command() {
    assert_eq!(Fate::parse("sleep 5; exit 1"), None);
    assert_eq!(Fate::parse("crew"), Some(Fate::default()));
    let fate = Fate::parse("crew; hang 3; leave 4; sleep 5; exit 1").unwrap();
    let seconds = |after: Option<Duration>| after.map(|it| it.as_secs());
    let all = [fate.hangs, fate.leaves, fate.ends].map(seconds);
    assert_eq!(all, [Some(3), Some(4), Some(5)]);
}

/// Launches what it was given on the first offer, and writes down what it hears.
struct Boss {
    tasks: Vec<(&'static str, &'static str)>,
    crew: &'static str,
    group: bool,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Boss {
    fn hears(&self, what: String) {
        self.heard.lock().unwrap().push(what);
    }
}

impl Scheduler for Boss {
    fn offers(&mut self, driver: &mut Driver<'_>, offers: Vec<Offer>) {
        let Some(offer) = offers.first() else { return };
        let crew = executor("crew", self.crew, "cpus:0.1;mem:32;disk:1").unwrap();
        let crew = ExecutorInfo {
            framework_id: driver.framework_id().cloned(),
            ..crew
        };
        let tasks = std::mem::take(&mut self.tasks).into_iter();
        let tasks = tasks.map(|(id, script)| {
            let task = Task::custom(id, crew.clone()).data(script);
            task.cpus(1.0).mem(64.0).on(offer)
        });
        match self.group {
            true => driver.launch_group(offer, crew.clone(), tasks),
            false => driver.launch(offer, tasks),
        }
        driver.suppress(Vec::new());
    }

    fn update(&mut self, _: &mut Driver<'_>, status: TaskStatus) {
        let (task, state) = (&status.task_id.value, status.state().as_str_name());
        self.hears(format!("{task} {state}"));
    }

    fn message(&mut self, _: &mut Driver<'_>, _: AgentId, from: ExecutorId, data: Bytes) {
        let data = String::from_utf8_lossy(&data);
        self.hears(format!("{} says {data}", from.value));
    }

    fn failure(
        &mut self,
        _: &mut Driver<'_>,
        _: Option<AgentId>,
        executor: Option<ExecutorId>,
        status: Option<i32>,
    ) {
        let id = executor.unwrap_or_default().value;
        self.hears(format!("{id} ended with {}", status.unwrap_or_default()));
    }
}

struct Stage {
    lab: Lab,
    boss: Framework<Boss>,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Stage {
    fn new(crew: &'static str, group: bool, tasks: &[(&'static str, &'static str)]) -> Stage {
        let mut lab = Lab::with(ClusterOptions {
            world: SimOptions {
                seed: 3,
                ..SimOptions::default()
            },
            agents: 1,
            containers: SimulatedOptions {
                players: players(),
                ..SimulatedOptions::default()
            },
            ..ClusterOptions::default()
        })
        .unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let boss = Boss {
            tasks: tasks.to_vec(),
            crew,
            group,
            heard: Arc::clone(&heard),
        };
        let boss = lab.start_with(
            tepui_framework::Info::new("boss").user("root").build(),
            boss,
            Options::default(),
        );
        let boss = boss.unwrap().0;
        Stage { lab, boss, heard }
    }

    /// What is heard within so many seconds.
    fn hears(&mut self, seconds: u64) -> Vec<String> {
        self.lab.run_for(Duration::from_secs(seconds));
        self.lab.assert_in_order();
        std::mem::take(&mut *self.heard.lock().unwrap())
    }

    fn says(&self, call: impl FnOnce(&mut Driver<'_>, AgentId) + Send + 'static) {
        let (_, agent) = self.lab.cluster.agents()[0].up.as_ref().unwrap();
        let value = agent.snapshot.load().agent_id().to_owned();
        self.boss
            .call(move |_, driver| call(driver, AgentId { value }));
    }
}

fn crew() -> ExecutorId {
    ExecutorId {
        value: "crew".to_owned(),
    }
}

#[test]
fn a_crew_runs_its_tasks_each_by_its_script_and_leaves_when_all_have_ended() {
    let tasks = [
        ("a", "sleep 5"),
        ("b", "start 2; sleep 10; exit 1"),
        ("c", "sleep 9; exceed 64"),
    ];
    let mut stage = Stage::new("crew; leave 30", false, &tasks);
    let heard = stage.hears(20);
    let of = |task: &str| -> Vec<String> {
        let own = heard.iter().filter(|line| line.starts_with(task));
        own.map(|line| line[2..].to_owned()).collect()
    };
    assert_eq!(of("a"), ["TASK_RUNNING", "TASK_FINISHED"]);
    assert_eq!(of("b"), ["TASK_STARTING", "TASK_RUNNING", "TASK_FAILED"]);
    assert_eq!(of("c"), ["TASK_RUNNING", "TASK_FAILED"]);
    stage.says(|driver, agent| driver.message(agent, crew(), Bytes::from_static(b"hello")));
    assert_eq!(stage.hears(5), ["crew says hello"]);
    assert_eq!(stage.hears(30), ["crew ended with 0"]);
}

#[test]
fn a_group_is_launched_at_one_stroke_and_ends_with_its_executor() {
    let tasks = [("a", "sleep 500"), ("b", "trap '' TERM; sleep 500")];
    let mut stage = Stage::new("crew", true, &tasks);
    assert_eq!(stage.hears(10), ["a TASK_RUNNING", "b TASK_RUNNING"]);
    stage.says(|driver, agent| driver.shutdown(crew(), agent));
    let mut heard = stage.hears(1);
    assert_eq!(heard, ["a TASK_KILLED"], "the other has its grace period");
    heard = stage.hears(9);
    heard.sort();
    assert_eq!(heard, ["b TASK_KILLED", "crew ended with 0"]);
}

#[test]
fn a_crew_that_hangs_is_destroyed_after_the_grace_period() {
    let mut stage = Stage::new("crew; hang 5", false, &[("a", "sleep 10")]);
    assert_eq!(stage.hears(20), ["a TASK_RUNNING"], "its end is not told");
    stage.says(|driver, agent| driver.shutdown(crew(), agent));
    assert!(stage.hears(4).is_empty());
    let mut heard = stage.hears(6);
    heard.sort();
    assert_eq!(heard, ["a TASK_FAILED", "crew ended with 9"]);
}

#[test]
fn a_crew_that_dies_takes_its_tasks_along() {
    let mut stage = Stage::new("crew; sleep 7; exit 3", false, &[("a", "sleep 100")]);
    let mut heard = stage.hears(20);
    heard.sort();
    let ended = format!("crew ended with {}", 3 << 8);
    assert_eq!(heard, ["a TASK_FAILED", "a TASK_RUNNING", &ended]);
}
