//! How fast the simulated world is, on one core: messages between nodes a second, and virtual
//! seconds a real second for clusters of three sizes with ten frameworks that run twenty tasks each
//! all the time.
//!
//! Tasks last two minutes, and for so long frameworks decline what they do not need, as Marathon
//! does. Beside it the largest cluster with tasks of twenty seconds, and Mesos' five seconds.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tepui_benches::{Contender, compare};
use tepui_framework::{Driver, Scheduler, Task, spawn};
use tepui_protocol::mesos::v1::{Filters, FrameworkInfo, Offer, TaskState, TaskStatus};
use tepui_runtime::{
    Context, Declaration, Handle, Id, Node, NodeOptions, Pid, Process, SimOptions, World,
    serde_message,
};
use tepui_simulation::{Cluster, ClusterOptions};

const NODES: usize = 100;
/// Messages that are under way at the same time.
const BALLS: usize = 1000;
const FRAMEWORKS: usize = 10;
/// How long a run lasts, in real time.
const RUN: Duration = Duration::from_secs(3);
/// What of a cluster's life is not measured: agents register, tasks start.
const BEGINNING: Duration = Duration::from_secs(150);
/// It is measured for at least so much virtual time, since not all seconds are the same.
const AT_LEAST: Duration = Duration::from_secs(120);

/// What the frameworks of a cluster are like.
#[derive(Clone, Copy)]
struct Pace {
    /// How long a task lasts.
    task: u32,
    /// For how long an offer is declined.
    refusal: u32,
}

const CALM: Pace = Pace {
    task: 120,
    refusal: 120,
};
const HASTY: Pace = Pace {
    task: 20,
    refusal: 5,
};

/// A ball that is thrown from node to node.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Ball {
    thrown: u64,
}
serde_message!(Ball, "bench.Ball");

/// Throws each ball on to anybody.
struct Player {
    players: Vec<Pid>,
}

impl Process for Player {
    fn declare(declaration: &mut Declaration<Self>) {
        declaration.message::<Ball>();
    }
}

impl Handle<Ball> for Player {
    fn handle(&mut self, mut ball: Ball, ctx: &mut Context<'_, Self>) {
        ball.thrown += 1;
        let next = ctx.random_below(self.players.len() as u64);
        ctx.send(&self.players[next as usize], ball);
    }
}

/// Delivered messages a second.
fn messages() -> f64 {
    let mut simulation = World::simulated(SimOptions::default());
    let nodes: Vec<Node> = (0..NODES)
        .map(|_| Node::start(simulation.world(), NodeOptions::default()).expect("a node starts"))
        .collect();
    let players: Vec<Pid> = nodes.iter().map(|node| node.pid_of("player")).collect();
    for node in &nodes {
        let players = players.clone();
        node.spawn(Id::chosen("player"), Player { players })
            .expect("a player starts");
    }
    for ball in 0..BALLS {
        let from = &nodes[ball % NODES];
        from.send(
            &players[ball % NODES],
            &players[(ball + 1) % NODES],
            Ball { thrown: 0 },
        );
    }
    let (start, before) = (Instant::now(), simulation.deliveries());
    while start.elapsed() < RUN {
        simulation.run_for(Duration::from_millis(10));
    }
    (simulation.deliveries() - before) as f64 / start.elapsed().as_secs_f64()
}

/// Runs tasks, twenty at a time.
struct Busy {
    name: String,
    pace: Pace,
    next: u64,
    running: usize,
}

impl Scheduler for Busy {
    fn offers(&mut self, driver: &mut Driver<'_>, offers: Vec<Offer>) {
        let mut rest = Vec::new();
        for offer in &offers {
            if self.running == 20 {
                rest.push(offer.id.clone());
                continue;
            }
            self.next += 1;
            self.running += 1;
            let command = format!("sleep {}", self.pace.task);
            let task = Task::command(format!("{}-{}", self.name, self.next), command);
            driver.launch(offer, [task.cpus(0.1).mem(32.0).on(offer)]);
        }
        let refuse_seconds = Some(f64::from(self.pace.refusal));
        driver.decline_with(rest, Some(Filters { refuse_seconds }));
    }

    fn update(&mut self, _: &mut Driver<'_>, status: TaskStatus) {
        match status.state() {
            TaskState::TaskStaging | TaskState::TaskStarting | TaskState::TaskRunning => {}
            _ => self.running -= 1,
        }
    }
}

/// Virtual seconds a real second.
fn cluster(agents: usize, pace: Pace) -> f64 {
    let options = ClusterOptions {
        agents,
        ..ClusterOptions::default()
    };
    let mut cluster = Cluster::new(options).expect("a cluster starts");
    for number in 0..FRAMEWORKS {
        let host = cluster.framework_host().expect("a host starts");
        let name = format!("busy-{number}");
        let info = FrameworkInfo {
            user: "root".to_owned(),
            name: name.clone(),
            ..FrameworkInfo::default()
        };
        let (next, running) = (0, 0);
        let busy = Busy {
            name,
            pace,
            next,
            running,
        };
        spawn(&host, cluster.master_pid(), info, busy).expect("a framework starts");
    }
    cluster.simulation.run_for(BEGINNING);
    let (start, before) = (Instant::now(), cluster.simulation.now());
    let messages = cluster.simulation.deliveries();
    while start.elapsed() < RUN || cluster.simulation.now() - before < AT_LEAST {
        cluster.simulation.run_for(Duration::from_secs(1));
    }
    let (virtual_s, real_s) = (cluster.simulation.now() - before, start.elapsed());
    if std::env::var_os("TEPUI_BENCH_VERBOSE").is_some() {
        let rate = (cluster.simulation.deliveries() - messages) as f64 / virtual_s.as_secs_f64();
        println!("  {agents} agents: {rate:.1} messages a virtual second");
    }
    virtual_s.as_secs_f64() / real_s.as_secs_f64()
}

fn main() {
    compare(
        "The simulated world: messages between 100 nodes",
        &mut [Contender {
            name: "delivered",
            unit: "/s",
            run: Box::new(messages),
        }],
    );
    let sizes = [
        (10, CALM, "10 agents"),
        (100, CALM, "100 agents"),
        (1000, CALM, "1,000 agents"),
        (1000, HASTY, "1,000 agents, hasty"),
    ];
    let mut contenders: Vec<Contender<'_>> = sizes
        .into_iter()
        .map(|(agents, pace, name)| Contender {
            name,
            unit: "virtual s/s",
            run: Box::new(move || cluster(agents, pace)),
        })
        .collect();
    compare(
        "The simulated world: clusters with 10 frameworks",
        &mut contenders,
    );
}
