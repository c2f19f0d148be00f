//! What a master can place: tasks a second from ACCEPT to the acknowledgement of TASK_FINISHED,
//! for one framework and for fifty, as actors and on the HTTP API. The agents are stand-ins in this
//! program, of which each task has TASK_RUNNING and TASK_FINISHED, the second when the first is
//! acknowledged. `noop_tasks` has a real agent and executor instead.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tepui_benches::agents::{Agents, Manner};
use tepui_benches::http::{Arrived, Framework, next};
use tepui_benches::masters::{Master, alone};
use tepui_benches::{Contender, compare};
use tepui_framework::{Driver, Scheduler, Task, spawn};
use tepui_protocol::mesos::v1::{
    Filters, FrameworkInfo, Offer, TaskState, TaskStatus, framework_info,
};
use tepui_runtime::{Node, NodeOptions, RealOptions, World};

/// As many as there are frameworks at most, so that each can have one to itself.
const AGENTS: usize = 50;
const RESOURCES: &str = "cpus:16;mem:16384;disk:1000";
/// Tasks of one run, and how many of them go to each agent.
const TASKS: usize = 10_000;
const EACH: usize = TASKS / AGENTS;
/// What each takes.
const CPUS: f64 = 0.01;
const MEM_MB: f64 = 1.0;
/// Not offered again within this measurement.
const LONG_S: f64 = 10_000.0;
const PATIENCE: Duration = Duration::from_secs(60);

/// Takes so many offers and holds them until it is told to use them.
struct Holder {
    wanted: usize,
    held: Vec<Offer>,
    ready: Sender<()>,
}

impl Holder {
    fn launch(&mut self, driver: &mut Driver<'_>) {
        for offer in self.held.drain(..) {
            let task = |number| {
                let id = format!("{}-{number}", offer.id.value);
                Task::command(id, "none").cpus(CPUS).mem(MEM_MB).on(&offer)
            };
            driver.launch(&offer, (0..EACH).map(task));
        }
    }
}

impl Scheduler for Holder {
    fn offers(&mut self, driver: &mut Driver<'_>, offers: Vec<Offer>) {
        for offer in offers {
            if self.held.len() < self.wanted {
                self.held.push(offer);
                if self.held.len() == self.wanted {
                    self.ready.send(()).expect("it is waited for");
                }
            } else {
                let refuse_seconds = Some(LONG_S);
                driver.decline_with(vec![offer.id], Some(Filters { refuse_seconds }));
            }
        }
    }

    fn update(&mut self, _: &mut Driver<'_>, status: TaskStatus) {
        let expected = [TaskState::TaskRunning, TaskState::TaskFinished];
        assert!(expected.contains(&status.state()), "{status:?}");
    }
}

/// By frameworks that are actors of one node.
fn actors(master: &Master, agents: &Agents, frameworks: usize) -> f64 {
    let world = World::real(RealOptions::default()).expect("threads can be started");
    let node = Node::start(&world, NodeOptions::default()).expect("a port is free");
    let (ready, holding) = channel();
    let holder = |number| {
        let multi_role = framework_info::Capability {
            r#type: Some(framework_info::capability::Type::MultiRole as i32),
        };
        let info = FrameworkInfo {
            user: "root".to_owned(),
            name: format!("holder-{number}"),
            roles: vec![format!("role-{number}")],
            capabilities: vec![multi_role],
            ..FrameworkInfo::default()
        };
        let holder = Holder {
            wanted: AGENTS / frameworks,
            held: Vec::new(),
            ready: ready.clone(),
        };
        spawn(&node, master.pid(), info, holder).expect("a scheduler")
    };
    let schedulers: Vec<_> = (0..frameworks).map(holder).collect();
    for _ in &schedulers {
        holding.recv_timeout(PATIENCE).expect("all get offers");
    }
    let start = Instant::now();
    for scheduler in &schedulers {
        scheduler.call(Holder::launch);
    }
    let end = agents.wait_finished(TASKS);
    for scheduler in &schedulers {
        scheduler.call(|_, driver| driver.teardown());
        world.block_on(node.wait(scheduler.pid()));
    }
    world.block_on(node.shutdown());
    TASKS as f64 / end.duration_since(start).as_secs_f64()
}

/// Frameworks on the HTTP API, and what they hold.
struct Crowd {
    frameworks: Vec<Framework>,
    events: Receiver<Arrived>,
    held: Vec<Vec<Value>>,
}

impl Crowd {
    fn gather(master: &Master, count: usize) -> Crowd {
        let (sender, events) = channel();
        let subscribe = |number| Framework::subscribe(&master.address, number, &sender).0;
        let mut crowd = Crowd {
            frameworks: (0..count).map(subscribe).collect(),
            events,
            held: vec![Vec::new(); count],
        };
        while crowd.held.iter().any(|held| held.len() < AGENTS / count) {
            let arrived = next(&crowd.events, "OFFERS");
            crowd.hold(&arrived);
        }
        crowd
    }

    fn hold(&mut self, arrived: &Arrived) {
        let offers = arrived.event["offers"]["offers"].as_array();
        let mut offers = offers.cloned().unwrap_or_default();
        let held = &mut self.held[arrived.framework];
        let room = AGENTS / self.frameworks.len() - held.len();
        let surplus = offers.split_off(room.min(offers.len()));
        held.extend(offers);
        if !surplus.is_empty() {
            self.frameworks[arrived.framework].decline(&surplus, LONG_S);
        }
    }

    fn launch(&mut self) {
        for (framework, held) in self.frameworks.iter_mut().zip(&self.held) {
            for offer in held {
                let tasks: Vec<Value> = (0..EACH).map(|number| task(offer, number)).collect();
                framework.call(
                    "ACCEPT",
                    json!({
                        "offer_ids": [offer["id"]],
                        "operations": [{"type": "LAUNCH", "launch": {"task_infos": tasks}}],
                    }),
                );
            }
        }
    }

    /// Acknowledges both updates of each task.
    fn acknowledge(&mut self) {
        for _ in 0..2 * TASKS {
            let arrived = next(&self.events, "UPDATE");
            let status = &arrived.event["update"]["status"];
            let state = status["state"].as_str().unwrap_or_default();
            let expected = ["TASK_RUNNING", "TASK_FINISHED"];
            assert!(expected.contains(&state), "{status}");
            self.frameworks[arrived.framework].acknowledge(status);
        }
    }
}

fn task(offer: &Value, number: usize) -> Value {
    let id = offer["id"]["value"].as_str().unwrap_or_default();
    json!({
        "name": "none",
        "task_id": {"value": format!("{id}-{number}")},
        "agent_id": offer["agent_id"],
        "command": {"value": "none"},
        "resources": [
            {"name": "cpus", "type": "SCALAR", "scalar": {"value": CPUS}},
            {"name": "mem", "type": "SCALAR", "scalar": {"value": MEM_MB}},
        ],
    })
}

/// By frameworks on the HTTP API, in JSON.
fn http(master: &Master, agents: &Agents, frameworks: usize) -> f64 {
    let mut crowd = Crowd::gather(master, frameworks);
    let start = Instant::now();
    crowd.launch();
    crowd.acknowledge();
    let end = agents.wait_finished(TASKS);
    for framework in crowd.frameworks {
        framework.teardown();
    }
    TASKS as f64 / end.duration_since(start).as_secs_f64()
}

fn main() {
    let masters = alone(&[]);
    let agents: Vec<Agents> = masters
        .iter()
        .map(|master| Agents::register(master, AGENTS, RESOURCES, Manner::Finish))
        .collect();
    for frameworks in [1, 50] {
        let ours = Contender {
            name: "tepui, frameworks as actors",
            unit: "tasks/s",
            run: Box::new(|| actors(&masters[0], &agents[0], frameworks)),
        };
        let on_http = masters
            .iter()
            .zip(&agents)
            .map(|(master, agents)| Contender {
                name: master.name,
                unit: "tasks/s",
                run: Box::new(move || http(master, agents, frameworks)),
            });
        let mut contenders: Vec<Contender<'_>> = [ours].into_iter().chain(on_http).collect();
        let title = format!("placements, {frameworks} frameworks, {AGENTS} agents");
        compare(&title, &mut contenders);
    }
    for agents in agents {
        agents.leave();
    }
}
