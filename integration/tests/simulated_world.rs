//! A whole cluster in the simulated world, made by the constructors of the daemons: a master,
//! three agents and a framework that wants thirty tasks to finish. One agent crashes on the way
//! and comes back with its disk. The same seed gives the same trace, in another OS process too.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tepui_agent::AgentOptions;
use tepui_containerizer::simulated::{self, SimulatedOptions};
use tepui_framework::{Driver, Scheduler, Task, spawn};
use tepui_master::MasterOptions;
use tepui_protocol::mesos::v1::{FrameworkInfo, Offer, TaskState, TaskStatus};
use tepui_protocol::resources::parse_text;
use tepui_runtime::{Node, NodeOptions, Pid, SimOptions, Simulation, World};

const TASKS: usize = 30;
const AGENTS: u8 = 3;
/// Set in the process that only prints what a seed gave.
const CHILD: &str = "SIMULATED_WORLD_SEED";

#[derive(Default)]
struct Book {
    finished: BTreeSet<String>,
    lost: usize,
}

/// Keeps launching until [`TASKS`] tasks have finished, those that were lost under new ids.
struct Batch {
    next: usize,
    live: usize,
    book: Arc<Mutex<Book>>,
}

impl Batch {
    fn wanted(&self) -> usize {
        TASKS.saturating_sub(self.live + self.book.lock().unwrap().finished.len())
    }
}

impl Scheduler for Batch {
    fn offers(&mut self, driver: &mut Driver<'_>, offers: Vec<Offer>) {
        for offer in &offers {
            let mut tasks = Vec::new();
            for _ in 0..self.wanted().min(4) {
                let id = format!("task-{}", self.next);
                self.next += 1;
                self.live += 1;
                tasks.push(Task::command(id, "sleep 20").cpus(1.0).mem(64.0).on(offer));
            }
            if tasks.is_empty() {
                driver.decline(offer);
            } else {
                driver.launch(offer, tasks);
            }
        }
    }

    fn update(&mut self, _: &mut Driver<'_>, status: TaskStatus) {
        let id = status.task_id.value.clone();
        let mut book = self.book.lock().unwrap();
        match status.state() {
            TaskState::TaskFinished => {
                if book.finished.insert(id) {
                    self.live -= 1;
                }
            }
            TaskState::TaskStaging | TaskState::TaskStarting | TaskState::TaskRunning => {}
            _ => {
                book.lost += 1;
                self.live -= 1;
            }
        }
    }
}

fn node(simulation: &Simulation, name: &str, last: u8, port: u16) -> Node {
    let ip = IpAddr::from([10, 0, 0, last]);
    let options = NodeOptions {
        name: name.to_owned(),
        ip,
        port,
        ..NodeOptions::default()
    };
    Node::start(simulation.world(), options).unwrap()
}

fn start_agent(simulation: &Simulation, master: &Pid, number: u8) -> Node {
    let name = format!("agent-{number}");
    let node = node(simulation, &name, 10 + number, 5051);
    let containerizer = simulated::spawn(&node, SimulatedOptions::default()).unwrap();
    let mut options = AgentOptions::new(master.clone(), "/var/lib/tepui".into(), containerizer);
    options.hostname = name;
    options.resources = parse_text("cpus:4;mem:1024;disk:1024;ports:[31000-31009]", "*")
        .unwrap()
        .to_proto();
    tepui_agent::spawn(&node, options).unwrap();
    node
}

/// What a run showed: the hash of its trace and how it went.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    hash: u64,
    deliveries: u64,
    finished: usize,
    lost: usize,
}

fn run(seed: u64) -> Outcome {
    let mut simulation = World::simulated(SimOptions {
        seed,
        ..SimOptions::default()
    });
    let master_node = node(&simulation, "master", 1, 5050);
    let master = tepui_master::spawn(&master_node, MasterOptions::default()).unwrap();
    let mut agents: Vec<Node> = (1..=AGENTS)
        .map(|number| start_agent(&simulation, master.pid(), number))
        .collect();

    let book = Arc::new(Mutex::new(Book::default()));
    let scheduler_node = node(&simulation, "scheduler", 2, 5052);
    let info = FrameworkInfo {
        user: "nobody".to_owned(),
        name: "batch".to_owned(),
        failover_timeout: Some(3600.0),
        ..FrameworkInfo::default()
    };
    let batch = Batch {
        next: 0,
        live: 0,
        book: Arc::clone(&book),
    };
    let framework = spawn(&scheduler_node, master.pid().clone(), info, batch).unwrap();

    // The first tasks run on all three agents when one of them crashes.
    simulation.run_for(Duration::from_secs(10));
    agents[1].crash();
    simulation.run_for(Duration::from_secs(30));
    agents[1] = start_agent(&simulation, master.pid(), 2);

    let seen = Arc::clone(&book);
    let finished = simulation.run_while(move || seen.lock().unwrap().finished.len() < TASKS);
    assert!(
        finished,
        "seed {seed}: {} tasks finished",
        book.lock().unwrap().finished.len()
    );

    // Quiet: the framework goes, and all that it held is free again.
    framework.call(|_, driver| driver.teardown());
    simulation.run_for(Duration::from_secs(60));
    let snapshot = master.snapshot();
    assert_eq!(snapshot.frameworks.size(), 0, "seed {seed}");
    assert_eq!(snapshot.offers.size(), 0, "seed {seed}");
    assert!(
        snapshot.agents.size() >= usize::from(AGENTS),
        "seed {seed}: {snapshot:#?}"
    );
    for (id, agent) in snapshot.agents.iter() {
        assert!(
            agent.used.is_empty(),
            "seed {seed}: {id} is used: {:?}",
            agent.used
        );
        assert!(
            agent.tasks.is_empty(),
            "seed {seed}: {id} has tasks: {:?}",
            agent.tasks
        );
    }
    let book = book.lock().unwrap();
    Outcome {
        hash: simulation.trace_hash(),
        deliveries: simulation.deliveries(),
        finished: book.finished.len(),
        lost: book.lost,
    }
}

#[test]
fn a_cluster_survives_the_crash_of_an_agent() {
    for seed in 0..20 {
        let outcome = run(seed);
        assert_eq!(outcome.finished, TASKS, "seed {seed}");
        assert!(
            outcome.lost > 0,
            "seed {seed}: the crash hit no task: {outcome:?}"
        );
    }
}

#[test]
fn other_seeds_give_other_traces() {
    assert_ne!(run(7).hash, run(8).hash);
}

/// Not a test of its own: the process that the next test starts twice.
#[test]
fn print_the_outcome_of_a_seed() {
    if let Ok(seed) = std::env::var(CHILD) {
        println!("outcome {:?}", run(seed.parse().unwrap()));
    }
}

#[test]
fn the_same_seed_gives_the_same_trace_in_two_processes() {
    let print = |folder: &str| {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "print_the_outcome_of_a_seed", "--nocapture"])
            .env(CHILD, "7")
            .env("NOISE", folder)
            .current_dir(folder)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text.lines().find(|line| line.contains("outcome Outcome"));
        line.unwrap_or_else(|| panic!("no outcome in {text}"))
            .to_owned()
    };
    let first = print("/");
    assert_eq!(first, print("/tmp"));
    assert!(first.contains(&format!("{:?}", run(7))));
}
