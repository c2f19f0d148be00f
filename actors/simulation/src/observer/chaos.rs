//! A small storm: a few frameworks, faults by a seed, then quiet. Every rule has to hold.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tepui_framework::{Driver, Framework, Scheduler, Task, spawn};
use tepui_invariants::books::{at_any_time, once_quiet};
use tepui_protocol::mesos::v1::framework_info::{Capability, capability};
use tepui_protocol::mesos::v1::{AgentId, FrameworkInfo, Offer, TaskId, TaskStatus};
use tepui_runtime::{Node, SimOptions};

use super::*;
use crate::cluster::ClusterOptions;

/// Chance of the storm, apart from the world's.
#[derive(Clone)]
struct Dice(Arc<Mutex<u64>>);

impl Dice {
    fn new(seed: u64) -> Dice {
        Dice(Arc::new(Mutex::new(seed)))
    }

    /// Below `sides`; splitmix64.
    fn roll(&self, sides: u64) -> u64 {
        let mut state = self.0.lock().unwrap();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

struct Stormy {
    dice: Dice,
    next: u32,
    live: BTreeMap<String, AgentId>,
}

impl Scheduler for Stormy {
    fn offers(&mut self, driver: &mut Driver<'_>, offers: Vec<Offer>) {
        for offer in &offers {
            if self.dice.roll(3) == 0 || self.live.len() > 12 {
                driver.decline(offer);
                continue;
            }
            let mut tasks = Vec::new();
            for _ in 0..=self.dice.roll(2) {
                let id = format!("t{}", self.next);
                self.next += 1;
                self.live.insert(id.clone(), offer.agent_id.clone());
                let command = match self.dice.roll(5) {
                    0 => "sleep 1".to_owned(),
                    1 => format!("sleep {}; exit 1", self.dice.roll(60)),
                    2 => format!("trap '' TERM; sleep {}", self.dice.roll(900)),
                    3 => "sleep 1000000".to_owned(),
                    _ => format!("sleep {}", self.dice.roll(300)),
                };
                tasks.push(Task::command(id, command).cpus(0.5).mem(64.0).on(offer));
            }
            driver.launch(offer, tasks);
        }
    }

    fn update(&mut self, driver: &mut Driver<'_>, status: TaskStatus) {
        let id = &status.task_id.value;
        if tepui_agent::updates::is_terminal(status.state()) {
            self.live.remove(id);
        } else if self.live.contains_key(id) && self.dice.roll(8) == 0 {
            driver.kill(status.task_id.clone(), status.agent_id.clone(), None);
        }
    }
}

fn reconcile(framework: &Framework<Stormy>) {
    framework.call(|stormy, driver| {
        let live = stormy.live.iter();
        let named = live.map(|(id, agent)| (TaskId { value: id.clone() }, Some(agent.clone())));
        let named: Vec<_> = named.collect();
        if !named.is_empty() {
            driver.reconcile(named);
        }
    });
}

fn info(number: u64, dice: &Dice) -> FrameworkInfo {
    let aware = Capability {
        r#type: Some(capability::Type::PartitionAware as i32),
    };
    FrameworkInfo {
        user: "root".to_owned(),
        name: format!("stormy-{number}"),
        failover_timeout: Some([30.0, 3600.0, 1e6][dice.roll(3) as usize]),
        checkpoint: Some(dice.roll(3) > 0),
        capabilities: (dice.roll(3) > 0).then_some(aware).into_iter().collect(),
        ..FrameworkInfo::default()
    }
}

struct Storm {
    seed: u64,
    dice: Dice,
    cluster: Cluster,
    observer: Observer,
    hosts: Vec<Node>,
    frameworks: Vec<Framework<Stormy>>,
    log: Vec<String>,
}

impl Storm {
    fn new(seed: u64) -> Storm {
        let dice = Dice::new(seed);
        let world = SimOptions {
            seed,
            trace_lines: 0,
            ..SimOptions::default()
        };
        let mut cluster = Cluster::new(ClusterOptions {
            world,
            ..ClusterOptions::default()
        })
        .unwrap();
        let observer = Observer::attach(&mut cluster);
        let mut storm = Storm {
            seed,
            dice,
            cluster,
            observer,
            hosts: Vec::new(),
            frameworks: Vec::new(),
            log: Vec::new(),
        };
        for number in 0..3 {
            storm.join(number);
        }
        storm
    }

    fn join(&mut self, number: u64) {
        let host = self.cluster.framework_host().unwrap();
        let scheduler = Stormy {
            dice: self.dice.clone(),
            next: 0,
            live: BTreeMap::new(),
        };
        let master = self.cluster.master_pid();
        let info = info(number, &self.dice);
        self.frameworks
            .push(spawn(&host, master, info, scheduler).unwrap());
        self.hosts.push(host);
    }

    /// Some host that is up.
    fn host(&self) -> Option<Node> {
        let agents = self.cluster.agents().iter();
        let agents = agents.filter_map(|host| host.up.as_ref().map(|up| up.0.clone()));
        let all: Vec<Node> = agents.chain(self.hosts.iter().cloned()).collect();
        let which = self.dice.roll(all.len().max(1) as u64) as usize;
        all.get(which).cloned()
    }

    fn fault(&mut self) {
        let master = self.cluster.master().map(|(node, _)| node.clone());
        let kind = self.dice.roll(12);
        let number = self.dice.roll(3) as usize;
        let at = self.cluster.simulation.now();
        self.log.push(format!("{at} fault {kind} {number}"));
        let network = self.cluster.simulation.network();
        match (kind, self.host(), master) {
            (0, Some(host), Some(master)) => network.cut(&host, &master),
            (1, Some(host), Some(master)) => network.cut(&master, &host),
            (2, Some(host), Some(master)) => network.block(&host, &master),
            (3, Some(host), Some(master)) => network.block(&master, &host),
            (4, Some(host), Some(master)) => network.partition(&[&host], &[&master]),
            (5 | 6, ..) => {
                let world = self.cluster.simulation.world().clone();
                network.heal_all(&world);
            }
            (7, ..) => {
                if self.cluster.agents()[number].up.is_some() {
                    self.cluster.crash_agent(number);
                } else {
                    self.cluster.start_agent(number).unwrap();
                }
            }
            (8, ..) => (0..3).for_each(|it| self.cluster.start_agent(it).unwrap()),
            (9, _, None) => self.cluster.start_master().unwrap(),
            (9, ..) if self.dice.roll(2) == 0 => self.cluster.crash_master(),
            (10, ..) if self.dice.roll(4) == 0 => {
                self.frameworks[number].call(|_, driver| driver.teardown());
            }
            _ => {}
        }
    }

    fn check(&mut self, found: Vec<Violation>) -> Result<(), String> {
        let mut found: Vec<String> = found.iter().map(ToString::to_string).collect();
        for (at, violation) in self.observer.violations() {
            found.push(format!("{at} {violation}"));
        }
        if found.is_empty() {
            return Ok(());
        }
        found.truncate(4);
        Err(format!(
            "seed {}: {}\n  {}",
            self.seed,
            found.join("\n  "),
            self.log.join("\n  ")
        ))
    }

    fn run(mut self) -> Result<BTreeMap<&'static str, u64>, String> {
        let network = self.cluster.simulation.network();
        network.set_cuts_per_million([0, 100, 5000][self.dice.roll(3) as usize]);
        for _ in 0..40 {
            let pause = [100, 2_000, 20_000, 120_000][self.dice.roll(4) as usize];
            let pause = Duration::from_millis(self.dice.roll(pause));
            self.cluster.simulation.run_for(pause);
            self.fault();
            if self.dice.roll(4) == 0 {
                self.frameworks.iter().for_each(reconcile);
            }
            let books = self.observer.books(&mut self.cluster);
            self.check(at_any_time(&books))?;
        }
        self.log.push("quiet".to_owned());
        let world = self.cluster.simulation.world().clone();
        self.cluster.simulation.network().heal_all(&world);
        self.cluster.simulation.network().set_cuts_per_million(0);
        self.cluster.start_master().unwrap();
        (0..3).for_each(|it| self.cluster.start_agent(it).unwrap());
        for _ in 0..40 {
            self.cluster.simulation.run_for(Duration::from_secs(60));
            self.frameworks.iter().for_each(reconcile);
        }
        self.frameworks.iter().for_each(|it| {
            it.call(|stormy, _| {
                stormy
                    .live
                    .extend((0..99).map(|_| (String::new(), AgentId::default())))
            });
        });
        self.cluster.simulation.run_for(Duration::from_secs(30));
        let books = self.observer.books(&mut self.cluster);
        self.check(once_quiet(&books))?;
        println!(
            "seed {} {} {}",
            self.seed,
            self.cluster.simulation.now(),
            self.cluster.simulation.deliveries()
        );
        Ok(self.observer.numbers())
    }
}

#[test]
fn storms_break_no_rule() {
    let range = std::env::var("STORMS").unwrap_or_else(|_| "0..5".to_owned());
    let (from, to) = range.split_once("..").unwrap();
    let mut bad = Vec::new();
    let mut numbers: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in from.parse().unwrap()..to.parse::<u64>().unwrap() {
        let storm = Storm::new(seed);
        match storm.run() {
            Ok(more) => more.iter().for_each(|(what, count)| {
                *numbers.entry(what).or_default() += count;
            }),
            Err(problem) => bad.push(problem),
        }
    }
    assert!(bad.is_empty(), "{} bad:\n{}", bad.len(), bad.join("\n"));
    println!("{numbers:#?}");
}
