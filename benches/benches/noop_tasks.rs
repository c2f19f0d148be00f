//! Tasks that do nothing, through a real master and agent that talk over TCP: what offers, checks,
//! checkpoints, updates and acknowledgements cost. An executor is an actor here instead of a
//! process; everything else is what the daemons run, in one OS process. The agent is large, since
//! an executor stays for up to a second behind its task, as Mesos' does.

use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use tepui_agent::AgentOptions;
use tepui_benches::{Contender, compare, per_second};
use tepui_containerizer::simulated::{self, SimulatedOptions};
use tepui_framework::{Driver, Scheduler, Task, spawn};
use tepui_master::MasterOptions;
use tepui_protocol::mesos::v1::{FrameworkInfo, Offer, TaskState, TaskStatus};
use tepui_protocol::resources::parse_text;
use tepui_runtime::{Node, NodeOptions, Pid, RealOptions, World};

/// Tasks of one run.
const TASKS: usize = 4_000;

/// Launches what fits until [`TASKS`] have finished.
struct Batch {
    launched: usize,
    finished: usize,
    done: Sender<()>,
}

impl Scheduler for Batch {
    fn offers(&mut self, driver: &mut Driver<'_>, offers: Vec<Offer>) {
        for offer in &offers {
            let room = 200.min(TASKS - self.launched);
            if room == 0 {
                driver.decline(offer);
                continue;
            }
            let first = self.launched;
            self.launched += room;
            let tasks = (first..self.launched)
                .map(|number| Task::command(format!("task-{number}"), "true"))
                .map(|task| task.cpus(0.01).mem(1.0).on(offer));
            driver.launch(offer, tasks);
        }
    }

    fn update(&mut self, _: &mut Driver<'_>, status: TaskStatus) {
        match status.state() {
            TaskState::TaskFinished => {
                self.finished += 1;
                if self.finished == TASKS {
                    self.done.send(()).expect("the measurement waits");
                }
            }
            TaskState::TaskStaging | TaskState::TaskStarting | TaskState::TaskRunning => {}
            other => panic!("{other:?}: {status:?}"),
        }
    }
}

fn node(world: &World) -> Node {
    Node::start(world, NodeOptions::default()).expect("a port is free")
}

fn main() {
    let world = World::real(RealOptions::default()).expect("threads can be started");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (at_master, at_agent, at_framework) = (node(&world), node(&world), node(&world));
    let master = tepui_master::spawn(&at_master, MasterOptions::default()).expect("a master");
    let options = SimulatedOptions {
        launch: Duration::ZERO,
        destroy: Duration::ZERO,
    };
    let containerizer = simulated::spawn(&at_agent, options).expect("a containerizer");
    let mut options = AgentOptions::new(master.pid().clone(), folder.path().into(), containerizer);
    options.registration_backoff_factor = Duration::from_millis(10);
    options.switch_user = false;
    options.resources = parse_text("cpus:4000;mem:4000000;disk:65536", "*")
        .expect("resources")
        .to_proto();
    tepui_agent::spawn(&at_agent, options).expect("an agent");
    compare(
        "tasks that do nothing, 4,000 through a master and an agent",
        &mut [Contender {
            name: "tepui",
            unit: "tasks/s",
            run: Box::new(|| run(&world, &at_framework, master.pid())),
        }],
    );
    for node in [at_framework, at_agent, at_master] {
        world.block_on(node.shutdown());
    }
}

fn run(world: &World, node: &Node, master: &Pid) -> f64 {
    let (done, finished) = channel();
    let batch = Batch {
        launched: 0,
        finished: 0,
        done,
    };
    let info = FrameworkInfo {
        user: "root".to_owned(),
        name: "batch".to_owned(),
        ..FrameworkInfo::default()
    };
    let mut framework = None;
    let rate = per_second(TASKS as u64, || {
        framework = Some(spawn(node, master.clone(), info, batch).expect("a scheduler"));
        let patience = Duration::from_secs(60);
        finished.recv_timeout(patience).expect("the tasks finish");
    });
    if let Some(framework) = framework {
        framework.call(|_, driver| driver.teardown());
        world.block_on(node.wait(framework.pid()));
    }
    rate
}
