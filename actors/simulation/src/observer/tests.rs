//! A cluster that is watched: calm, with an agent that crashes, with a master that crashes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tepui_framework::{Driver, Framework, Scheduler, Task, spawn};
use tepui_invariants::TaskKey;
use tepui_invariants::books::{Books, FrameworkBook, at_any_time, once_quiet};
use tepui_protocol::mesos::v1::framework_info::{Capability, capability};
use tepui_protocol::mesos::v1::{FrameworkInfo, Offer, TaskId, TaskState, TaskStatus};
use tepui_protocol::resources::parse_text;
use tepui_runtime::SimOptions;

use super::*;
use crate::cluster::ClusterOptions;

/// Launches tasks, one for each offer, until there are so many; then it wants no more.
struct Launcher {
    left: u32,
    command: &'static str,
    live: BTreeMap<String, String>,
}

impl Scheduler for Launcher {
    fn offers(&mut self, driver: &mut Driver<'_>, offers: Vec<Offer>) {
        for offer in &offers {
            if self.left == 0 {
                driver.decline(offer);
                continue;
            }
            self.left -= 1;
            let id = format!("t{}", self.left);
            self.live.insert(id.clone(), offer.agent_id.value.clone());
            let task = Task::command(id, self.command).cpus(0.5).mem(64.0);
            driver.launch(offer, [task.on(offer)]);
        }
    }

    fn update(&mut self, _driver: &mut Driver<'_>, status: TaskStatus) {
        if tepui_agent::updates::is_terminal(status.state()) {
            self.live.remove(&status.task_id.value);
        }
    }
}

fn info(name: &str) -> FrameworkInfo {
    FrameworkInfo {
        user: "root".to_owned(),
        name: name.to_owned(),
        failover_timeout: Some(3600.0),
        checkpoint: Some(true),
        capabilities: vec![Capability {
            r#type: Some(capability::Type::PartitionAware as i32),
        }],
        ..FrameworkInfo::default()
    }
}

struct Stage {
    cluster: Cluster,
    observer: Observer,
    framework: Framework<Launcher>,
}

impl Stage {
    fn new(seed: u64, tasks: u32, command: &'static str) -> Stage {
        let world = SimOptions {
            seed,
            ..SimOptions::default()
        };
        let mut cluster = Cluster::new(ClusterOptions {
            world,
            ..ClusterOptions::default()
        })
        .unwrap();
        let observer = Observer::attach(&mut cluster);
        let host = cluster.framework_host().unwrap();
        let scheduler = Launcher {
            left: tasks,
            command,
            live: BTreeMap::new(),
        };
        let framework = spawn(&host, cluster.master_pid(), info("calm"), scheduler).unwrap();
        Stage {
            cluster,
            observer,
            framework,
        }
    }

    fn run(&mut self, seconds: u64) {
        self.cluster
            .simulation
            .run_for(Duration::from_secs(seconds));
    }

    /// All books; that no rule is broken now, nor was before.
    fn quiet(&mut self) -> Books {
        let books = self.observer.books(&mut self.cluster);
        assert_eq!(self.observer.violations(), []);
        assert_eq!(once_quiet(&books), [], "{books:#?}");
        books
    }

    fn number(&self, what: &str) -> u64 {
        self.observer.numbers().get(what).copied().unwrap_or(0)
    }

    fn framework_book(books: &Books) -> &FrameworkBook {
        books.frameworks.values().next().unwrap()
    }
}

#[test]
fn a_calm_cluster_keeps_every_rule_and_its_books_agree() {
    let mut stage = Stage::new(1, 12, "sleep 20");
    stage.run(12);
    let busy = stage.observer.books(&mut stage.cluster);
    assert_eq!(at_any_time(&busy), []);
    let running: usize = busy.agents.values().map(|agent| agent.tasks.len()).sum();
    assert!(running > 0, "tasks run for 20 s: {busy:#?}");
    stage.run(100);
    let books = stage.quiet();
    assert_eq!(books.agents.len(), 3);
    assert!(books.agents.values().all(|agent| agent.allocated.is_some()));
    assert_eq!(stage.number("launches"), 12);
    assert_eq!(stage.number("tasks started"), 12);
    assert_eq!(stage.number("TASK_FINISHED"), 12);
    assert_eq!(stage.number("changes of limits"), 12);
    let book = Stage::framework_book(&books);
    assert_eq!(book.tasks.len(), 12);
}

#[test]
fn tasks_that_run_are_in_all_four_books() {
    let mut stage = Stage::new(2, 6, "sleep 100000");
    stage.run(60);
    let books = stage.quiet();
    for agent in books.agents.values() {
        let of = |book: &BTreeMap<String, tepui_protocol::resources::Resources>| {
            book.values()
                .map(|used| used.scalar("cpus").to_f64())
                .sum::<f64>()
        };
        assert!(of(&agent.used) > 0.0);
        assert!(of(agent.running.as_ref().unwrap()) > 0.0);
        assert!(of(agent.allocated.as_ref().unwrap()) > 0.0);
        // Each container has a task's and what the agent adds for its executor.
        let containers = agent.containers.as_ref().unwrap();
        assert_eq!(containers.len(), agent.tasks.len());
        for given in containers.values() {
            assert_eq!(given.to_string(), "cpus:0.6; mem:96");
        }
    }
    // The rules see a book that is false.
    let mut wrong = books.clone();
    let agent = wrong.agents.values_mut().next().unwrap();
    agent.running = Some(BTreeMap::new());
    assert!(!once_quiet(&wrong).is_empty());
    let mut wrong = books.clone();
    let agent = wrong.agents.values_mut().next().unwrap();
    let executor = agent.executors.values_mut().next().unwrap();
    executor.resources -= parse_text("cpus:0.1", "*").unwrap();
    let ids = |found: Vec<Violation>| -> Vec<&str> {
        let rules = found.iter().map(|it| it.invariant.id);
        rules.collect()
    };
    assert_eq!(ids(at_any_time(&wrong)), ["container-resources"]);
    // While its limits are being changed, a container is held to nothing.
    let agent = books.agents.values().next().unwrap();
    let container = agent.executors.keys().next().unwrap();
    let mut settled = |changes: bool| {
        let mut seen = stage.observer.seen();
        seen.agents.changes_limits(container, changes);
        drop(seen);
        let books = stage.observer.books(&mut stage.cluster);
        let mut agents = books.agents.into_values();
        let executor = agents.find_map(|mut agent| agent.executors.remove(container));
        executor.unwrap().settled
    };
    assert!(!settled(true));
    assert!(settled(false));
}

#[test]
fn an_agent_crashes_and_comes_back_and_all_agree_again() {
    let mut stage = Stage::new(3, 6, "sleep 100000");
    stage.run(30);
    stage.cluster.crash_agent(0);
    stage.run(5);
    stage.cluster.start_agent(0).unwrap();
    stage.run(1800);
    stage.quiet();
    assert_eq!(stage.number("agent crashes"), 1);
    assert!(stage.number("TASK_FAILED") + stage.number("TASK_LOST") > 0);
}

#[test]
fn an_agent_that_is_away_is_still_registered_and_one_that_is_cut_off_is_not() {
    let mut stage = Stage::new(8, 0, "");
    stage.run(30);
    let unregistered = |stage: &mut Stage| {
        let books = stage.observer.books(&mut stage.cluster);
        let found = once_quiet(&books).into_iter();
        let found = found.filter(|it| it.invariant.id == "is-registered");
        found.map(|it| it.detail).collect::<Vec<String>>()
    };
    assert_eq!(unregistered(&mut stage), Vec::<String>::new());
    stage.cluster.crash_agent(0);
    let [ghost] = &unregistered(&mut stage)[..] else {
        panic!("one has crashed, and the master does not know")
    };
    assert!(ghost.ends_with("nobody that is up"), "{ghost}");
    stage.cluster.start_agent(0).unwrap();
    stage.run(60);
    assert_eq!(unregistered(&mut stage), Vec::<String>::new());
    let (master, _) = stage.cluster.master().unwrap();
    let (node, _) = stage.cluster.agents()[1].up.as_ref().unwrap();
    let network = stage.cluster.simulation.network();
    network.block(master, node);
    network.block(node, master);
    stage.run(1200);
    let [vanished] = &unregistered(&mut stage)[..] else {
        panic!("one is cut off, and the master has given it up")
    };
    assert!(vanished.ends_with("not registered"), "{vanished}");
}

#[test]
fn what_a_master_says_of_a_task_that_ended_changes_no_book() {
    let mut stage = Stage::new(9, 1, "sleep 1");
    stage.run(60);
    let told = |stage: &mut Stage| {
        let books = stage.observer.books(&mut stage.cluster);
        Stage::framework_book(&books).tasks["t0"].told
    };
    assert_eq!(told(&mut stage), Some(TaskState::TaskFinished));
    stage.framework.call(|_, driver| {
        let value = "t0".to_owned();
        driver.reconcile([(TaskId { value }, None)]);
    });
    stage.run(10);
    assert_eq!(stage.number("reconciliation answers"), 1);
    assert_eq!(stage.number("reconciliation answers of ended tasks"), 1);
    assert_eq!(stage.number("TASK_UNKNOWN"), 1);
    assert_eq!(told(&mut stage), Some(TaskState::TaskFinished));
    assert_eq!(stage.observer.violations(), []);
}

#[test]
fn a_master_crashes_and_its_successor_has_the_same_books() {
    let mut stage = Stage::new(4, 6, "sleep 100000");
    stage.run(30);
    stage.cluster.crash_master();
    let none = stage.observer.books(&mut stage.cluster);
    assert!(none.agents.is_empty());
    stage.cluster.start_master().unwrap();
    stage.run(1800);
    let books = stage.quiet();
    assert_eq!(books.agents.len(), 3);
    let running: usize = books.agents.values().map(|agent| agent.tasks.len()).sum();
    assert_eq!(running, 6);
    stage.framework.call(|_, driver| driver.teardown());
    stage.run(120);
    let books = stage.quiet();
    assert!(books.agents.values().all(|agent| agent.tasks.is_empty()));
    assert!(Stage::framework_book(&books).over);
}

#[test]
fn what_a_framework_wants_follows_from_its_calls() {
    let mut stage = Stage::new(7, 0, "");
    stage.run(30);
    let (_, master) = stage.cluster.master().unwrap().clone();
    let id = master.snapshot().frameworks.keys().next().unwrap().clone();
    let mut offers = 0;
    // Whether an offer in its role would break a rule, after a call of its and a second.
    let mut after = |stage: &mut Stage, call: fn(&mut Driver<'_>)| {
        stage.framework.call(move |_, driver| call(driver));
        stage.run(1);
        assert_eq!(stage.observer.violations(), []);
        offers += 1;
        let at = stage.cluster.simulation.now();
        let offered = Fact::Offered {
            to: id.clone(),
            framework: id.clone(),
            offer: format!("false-{offers}"),
            role: "*".into(),
            agent: "a".into(),
            at: at.as_nanos(),
        };
        let found = stage.observer.seen().history.see(&offered);
        !found.is_empty()
    };
    assert!(!after(&mut stage, |_| {}));
    let foreign = |driver: &mut Driver<'_>| driver.suppress(vec!["foreign".into()]);
    assert!(!after(&mut stage, foreign), "no role of its: dropped");
    assert!(after(&mut stage, |driver| driver.suppress(vec![])));
    assert!(!after(&mut stage, |driver| driver.revive(vec!["*".into()])));
    let update = |driver: &mut Driver<'_>| {
        driver.update_framework(info("calm"), vec!["*".into()], None);
    };
    assert!(after(&mut stage, update));
    assert_eq!(stage.number("updates of frameworks"), 1);
    assert_eq!(stage.number("revivals of one role"), 1);
    assert!(!after(&mut stage, |driver| driver.revive(vec![])));
}

#[test]
fn an_agent_that_was_told_another_id_and_ends_for_that_is_itself() {
    let stage = Stage::new(5, 0, "");
    let at = stage.cluster.simulation.now();
    let pid: Pid = "slave(1)@10.1.0.1:5051".parse().unwrap();
    let waiting = || stage.observer.seen().agents.waiting("S3").len();
    stage.observer.seen().agents.registered(&pid, "S3");
    let forwarded = Fact::Forwarded {
        task: TaskKey::new("F", "t"),
        agent: "S3".into(),
        uuid: vec![1],
        state: TaskState::TaskRunning,
        had: true,
    };
    stage.observer.seen().happened(at, &forwarded);
    stage.observer.seen().agents.registered(&pid, "S4");
    assert_eq!(waiting(), 1);
    stage.observer.agent_crashed(&pid, "S3", at);
    assert_eq!(waiting(), 0, "it is told again if it was kept");
    let seen = stage.observer.seen();
    assert_eq!(seen.agents.id_of(&pid), Some("S3"));
}

#[test]
fn an_agent_keeps_nothing_of_a_framework_whose_end_it_was_told() {
    let stage = Stage::new(6, 0, "");
    let at = stage.cluster.simulation.now();
    let pid: Pid = "slave(1)@10.1.0.1:5051".parse().unwrap();
    let mut seen = stage.observer.seen();
    seen.agents.registered(&pid, "S3");
    let forwarded = |framework: &str| Fact::Forwarded {
        task: TaskKey::new(framework, "t"),
        agent: "S3".into(),
        uuid: vec![1],
        state: TaskState::TaskRunning,
        had: true,
    };
    seen.happened(at, &forwarded("F"));
    seen.happened(at, &forwarded("G"));
    seen.agents.told_end(&pid, "F");
    let waits = [TaskKey::new("G", "t")];
    assert_eq!(seen.agents.waiting("S3"), BTreeSet::from(waits.clone()));
    // What was under way meanwhile is not kept either; what belongs to its next life is.
    seen.happened(at, &forwarded("F"));
    assert_eq!(seen.agents.waiting("S3"), BTreeSet::from(waits));
    seen.agents.given(&pid, "F");
    seen.happened(at, &forwarded("F"));
    assert_eq!(seen.agents.waiting("S3").len(), 2);
}
