//! Tasks that do nothing, through a master and an agent that are OS processes of their own: what
//! offers, checks, updates and acknowledgements cost. One executor, this program again, takes all
//! tasks and says of each that it runs and that it has finished. Needs the `tepui` binary of the
//! same profile.

use std::collections::BTreeMap;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use tepui_benches::{Contender, compare};
use tepui_framework::{
    Driver, Executor, ExecutorDriver, ExecutorOptions, Scheduler, Task, spawn, spawn_executor_with,
};
use tepui_integration::Cluster;
use tepui_protocol::mesos::v1::offer::{Operation, operation};
use tepui_protocol::mesos::v1::{
    CommandInfo, ExecutorId, ExecutorInfo, Filters, FrameworkInfo, KillPolicy, Offer, TaskId,
    TaskInfo, TaskState, TaskStatus, executor_info,
};
use tepui_protocol::resources::parse_text;
use tepui_runtime::{Node, NodeOptions, Pid, RealOptions, World};

/// Tasks of one run.
const TASKS: usize = 5_000;
/// What each takes.
const CPUS: f64 = 0.01;
const MEM_MB: f64 = 1.0;
/// Says that this is the executor.
const EXECUTOR: &str = "noop-executor";
const PATIENCE: Duration = Duration::from_secs(60);

/// Launches one task, so that the executor is there, and then what fits until all have finished.
struct Batch {
    launched: usize,
    finished: usize,
    begun: Option<Instant>,
    done: Sender<Duration>,
}

impl Batch {
    fn task(&mut self, offer: &Offer) -> TaskInfo {
        self.launched += 1;
        let task = Task::command(format!("task-{}", self.launched), "none");
        let this = std::env::current_exe().expect("this program");
        let command = CommandInfo {
            shell: Some(false),
            value: Some(this.display().to_string()),
            arguments: vec![EXECUTOR.to_owned(), EXECUTOR.to_owned()],
            ..CommandInfo::default()
        };
        let resources = parse_text("cpus:0.1;mem:64", "*").expect("resources");
        let executor = ExecutorInfo {
            r#type: Some(executor_info::Type::Custom as i32),
            executor_id: ExecutorId {
                value: EXECUTOR.to_owned(),
            },
            command: Some(command),
            resources: resources.to_proto(),
            ..ExecutorInfo::default()
        };
        TaskInfo {
            command: None,
            executor: Some(executor),
            ..task.cpus(CPUS).mem(MEM_MB).on(offer)
        }
    }
}

impl Scheduler for Batch {
    fn offers(&mut self, driver: &mut Driver<'_>, offers: Vec<Offer>) {
        for offer in &offers {
            // The first offer has to have the executor's resources as well.
            let room = match self.begun {
                None => fits(offer).saturating_sub(70).min(1 - self.launched),
                Some(_) => fits(offer).min(1 + TASKS - self.launched),
            };
            if room == 0 {
                driver.decline(offer);
                continue;
            }
            let task_infos = (0..room).map(|_| self.task(offer)).collect();
            let launch = Operation {
                r#type: Some(operation::Type::Launch as i32),
                launch: Some(operation::Launch { task_infos }),
                ..Operation::default()
            };
            let again = Filters {
                refuse_seconds: Some(0.0),
            };
            driver.accept(vec![offer.id.clone()], vec![launch], Some(again));
        }
    }

    fn update(&mut self, driver: &mut Driver<'_>, status: TaskStatus) {
        match (status.state(), self.begun) {
            (TaskState::TaskFinished, None) => {
                self.begun = Some(Instant::now());
                driver.revive(Vec::new());
            }
            (TaskState::TaskFinished, Some(begun)) => {
                self.finished += 1;
                if self.finished == TASKS {
                    self.done.send(begun.elapsed()).expect("it is waited for");
                }
            }
            (TaskState::TaskStaging | TaskState::TaskStarting | TaskState::TaskRunning, _) => {}
            (other, _) => panic!("{other:?}: {status:?}"),
        }
    }
}

/// How many tasks an offer has room for.
fn fits(offer: &Offer) -> usize {
    let has = |name: &str| {
        let named = offer
            .resources
            .iter()
            .filter(|resource| resource.name == name);
        let scalars = named.filter_map(|resource| resource.scalar.as_ref());
        scalars.map(|scalar| scalar.value).sum::<f64>()
    };
    (has("cpus") / CPUS + 0.01).min(has("mem") / MEM_MB) as usize
}

/// Takes tasks and ends them.
struct Noop(Sender<()>);

impl Executor for Noop {
    fn launch(&mut self, driver: &mut ExecutorDriver, task: TaskInfo) {
        for state in [TaskState::TaskRunning, TaskState::TaskFinished] {
            driver.update(TaskStatus {
                task_id: task.task_id.clone(),
                state: state as i32,
                ..TaskStatus::default()
            });
        }
    }

    fn kill(&mut self, _: &mut ExecutorDriver, _: TaskId, _: Option<KillPolicy>) {}

    fn shutdown(&mut self, _: &mut ExecutorDriver) {
        let _ = self.0.send(());
    }
}

/// What the agent starts in a container.
fn execute() {
    let variables: BTreeMap<String, String> = std::env::vars().collect();
    let options = ExecutorOptions::from_environment(&variables).expect("an agent's variables");
    let world = World::real(RealOptions::default()).expect("threads can be started");
    let node = Node::start(&world, NodeOptions::default()).expect("a port is free");
    let (ended, end) = channel();
    spawn_executor_with(&node, options, Noop(ended)).expect("an executor");
    let _ = end.recv();
    world.block_on(node.shutdown());
}

fn run(world: &World, node: &Node, master: &Pid) -> f64 {
    let (done, finished) = channel();
    let batch = Batch {
        launched: 0,
        finished: 0,
        begun: None,
        done,
    };
    let info = FrameworkInfo {
        user: "root".to_owned(),
        name: "batch".to_owned(),
        ..FrameworkInfo::default()
    };
    let framework = spawn(node, master.clone(), info, batch).expect("a scheduler");
    let time = finished.recv_timeout(PATIENCE).expect("the tasks finish");
    framework.call(|_, driver| driver.teardown());
    world.block_on(node.wait(framework.pid()));
    TASKS as f64 / time.as_secs_f64()
}

fn main() {
    if std::env::args().nth(1).as_deref() == Some(EXECUTOR) {
        return execute();
    }
    let mut cluster = Cluster::start(&[]);
    cluster.add_agent(&["--resources=cpus:4;mem:4096;disk:0;ports:[]"]);
    let world = World::real(RealOptions::default()).expect("threads can be started");
    let node = Node::start(&world, NodeOptions::default()).expect("a port is free");
    let master = Pid::new("master", cluster.address().parse().expect("an address"));
    compare(
        "tasks that do nothing, 5,000 through a master and an agent in processes of their own",
        &mut [Contender {
            name: "tepui",
            unit: "tasks/s",
            run: Box::new(|| run(&world, &node, &master)),
        }],
    );
    cluster.stop();
}
