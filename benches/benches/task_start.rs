//! From ACCEPT to TASK_RUNNING: a scheduler in Rust launches one task after another on a master
//! and an agent that are OS processes of their own, and each runs in a real container.

use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use tepui_benches::{Contender, compare};
use tepui_framework::{Driver, Scheduler, Task, spawn};
use tepui_integration::Cluster;
use tepui_protocol::mesos::v1::{FrameworkInfo, Offer, TaskState, TaskStatus};
use tepui_runtime::{Node, NodeOptions, Pid, RealOptions, World};

/// Tasks of one run; the run's figure is their median.
const TASKS: usize = 20;
const PATIENCE: Duration = Duration::from_secs(60);

struct OneByOne {
    launched: usize,
    waiting: Option<Instant>,
    started: Sender<Duration>,
}

impl Scheduler for OneByOne {
    fn offers(&mut self, driver: &mut Driver<'_>, offers: Vec<Offer>) {
        for offer in &offers {
            if self.waiting.is_some() {
                driver.decline(offer);
                continue;
            }
            let id = format!("task-{}", self.launched);
            self.launched += 1;
            let task = Task::command(id, "true").cpus(0.1).mem(32.0).on(offer);
            driver.launch(offer, [task]);
            self.waiting = Some(Instant::now());
        }
    }

    fn update(&mut self, driver: &mut Driver<'_>, status: TaskStatus) {
        match status.state() {
            TaskState::TaskRunning => {
                if let Some(start) = self.waiting {
                    self.started
                        .send(start.elapsed())
                        .expect("the measurement waits");
                }
            }
            TaskState::TaskStaging | TaskState::TaskStarting => {}
            _ => {
                self.waiting = None;
                driver.revive(Vec::new());
            }
        }
    }
}

fn median_start(node: &Node, world: &World, master: &Pid) -> f64 {
    let (started, starts) = channel();
    let info = FrameworkInfo {
        user: "root".to_owned(),
        name: "starts".to_owned(),
        ..Default::default()
    };
    let scheduler = OneByOne {
        launched: 0,
        waiting: None,
        started,
    };
    let framework = spawn(node, master.clone(), info, scheduler).expect("a scheduler");
    let mut times: Vec<Duration> = (0..TASKS)
        .map(|_| starts.recv_timeout(PATIENCE).expect("a task starts"))
        .collect();
    framework.call(|_, driver| driver.teardown());
    world.block_on(node.wait(framework.pid()));
    times.sort_unstable();
    times[TASKS / 2].as_secs_f64() * 1000.0
}

fn main() {
    let mut cluster = Cluster::start(&["--quiet=false"]);
    cluster.add_agent(&["--resources=cpus:4;mem:4096;disk:0;ports:[]"]);
    let world = World::real(RealOptions::default()).expect("threads can be started");
    let node = Node::start(&world, NodeOptions::default()).expect("a port is free");
    let master = Pid::new("master", cluster.address().parse().expect("an address"));
    compare(
        "ACCEPT to TASK_RUNNING, in a container, master and agent in processes of their own",
        &mut [Contender {
            name: "tepui",
            unit: "ms",
            run: Box::new(|| median_start(&node, &world, &master)),
        }],
    );
    cluster.stop();
}
