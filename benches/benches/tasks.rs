//! Tasks through a master and its agent, by a framework on the HTTP API: how many real ones finish
//! a second, each an executor and a command of its own in a container, and how long it takes from
//! ACCEPT to TASK_RUNNING. The real Mesos runs its tasks without isolation.

use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tepui_benches::http::{Arrived, Framework};
use tepui_benches::masters::{Master, masters};
use tepui_benches::{Contender, compare, median};

/// Tasks are launched for so long.
const TIME: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_secs(30);
/// Tasks one after another in one run of the second measurement.
const ROUNDS: usize = 10;
/// What a task takes; its executor takes another 0.1 cpus and 32 MB of the agent.
const CPUS: f64 = 0.1;
const MEM_MB: f64 = 32.0;

/// Launches as much as fits, or one after another.
struct Run {
    framework: Framework,
    events: Receiver<Arrived>,
    launched: usize,
    live: usize,
    finished: usize,
    accepted: Instant,
    /// From ACCEPT to TASK_RUNNING.
    starts: Vec<f64>,
}

impl Run {
    fn begin(master: &Master) -> Run {
        let (sender, events) = channel();
        let (framework, accepted) = Framework::subscribe(&master.address, 0, &sender);
        Run {
            framework,
            events,
            launched: 0,
            live: 0,
            finished: 0,
            accepted,
            starts: Vec::new(),
        }
    }

    /// Serves one event, launching at most so many tasks on an offer.
    fn step(&mut self, most: usize) {
        let arrived = self
            .events
            .recv_timeout(PATIENCE)
            .expect("an event in time");
        match arrived.event["type"].as_str() {
            Some("OFFERS") => {
                let offers = arrived.event["offers"]["offers"].as_array().cloned();
                for offer in offers.unwrap_or_default() {
                    self.offer(&offer, most);
                }
            }
            Some("UPDATE") => self.update(&arrived),
            _ => {}
        }
    }

    fn offer(&mut self, offer: &Value, most: usize) {
        let has = |name: &str| {
            let resources = offer["resources"].as_array().into_iter().flatten();
            resources
                .filter(|resource| resource["name"] == name)
                .filter_map(|resource| resource["scalar"]["value"].as_f64())
                .sum::<f64>()
        };
        let fits = (has("cpus") / CPUS + 0.01).min(has("mem") / MEM_MB) as usize;
        let count = fits.min(most);
        if count == 0 {
            self.framework.decline(std::slice::from_ref(offer), 0.1);
            return;
        }
        let tasks: Vec<Value> = (0..count).map(|_| self.task(offer)).collect();
        self.accepted = self.framework.call(
            "ACCEPT",
            json!({
                "offer_ids": [offer["id"]],
                "operations": [{"type": "LAUNCH", "launch": {"task_infos": tasks}}],
                "filters": {"refuse_seconds": 0.0},
            }),
        );
        self.live += count;
    }

    fn task(&mut self, offer: &Value) -> Value {
        self.launched += 1;
        json!({
            "name": "true",
            "task_id": {"value": format!("task-{}", self.launched)},
            "agent_id": offer["agent_id"],
            "command": {"value": "true"},
            "resources": [
                {"name": "cpus", "type": "SCALAR", "scalar": {"value": CPUS}},
                {"name": "mem", "type": "SCALAR", "scalar": {"value": MEM_MB}},
            ],
        })
    }

    fn update(&mut self, arrived: &Arrived) {
        let status = &arrived.event["update"]["status"];
        self.framework.acknowledge(status);
        match status["state"].as_str().unwrap_or_default() {
            "TASK_STAGING" | "TASK_STARTING" => {}
            "TASK_RUNNING" => {
                let start = arrived.at.saturating_duration_since(self.accepted);
                self.starts.push(start.as_secs_f64() * 1000.0);
            }
            "TASK_FINISHED" => {
                self.finished += 1;
                self.live -= 1;
            }
            other => panic!("{other}: {status}"),
        }
    }
}

/// Tasks that finish a second while as many as fit are launched.
fn rate(master: &Master) -> f64 {
    let mut run = Run::begin(master);
    let start = Instant::now();
    while start.elapsed() < TIME {
        run.step(usize::MAX);
    }
    let rate = run.finished as f64 / start.elapsed().as_secs_f64();
    while run.live > 0 {
        run.step(0);
    }
    run.framework.teardown();
    rate
}

/// From ACCEPT to TASK_RUNNING, one task after another.
fn start(master: &Master) -> f64 {
    let mut run = Run::begin(master);
    while run.finished < ROUNDS {
        let idle = run.live == 0;
        run.step(usize::from(idle));
    }
    let middle = median(&run.starts);
    run.framework.teardown();
    middle
}

fn contenders<'m>(
    masters: &'m [Master],
    unit: &'static str,
    measure: fn(&Master) -> f64,
) -> Vec<Contender<'m>> {
    let one = |master: &'m Master| Contender {
        name: master.name,
        unit,
        run: Box::new(move || measure(master)),
    };
    masters.iter().map(one).collect()
}

fn main() {
    let masters = masters(1, &["--resources=cpus:4;mem:4096;disk:1000"]);
    compare(
        "real tasks that finish a second, one agent of 4 cpus",
        &mut contenders(&masters, "tasks/s", rate),
    );
    compare(
        "ACCEPT to TASK_RUNNING over HTTP, one task after another",
        &mut contenders(&masters, "ms", start),
    );
}
