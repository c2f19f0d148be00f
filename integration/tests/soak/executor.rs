//! An executor that this program is when an agent starts it so: its tasks do nothing. A task whose
//! data begins with `stay` runs until it is killed; one whose data ends with `pair` has to come
//! with another. A message `die` kills it, others are echoed.

use tepui_framework::{Executor, ExecutorDriver, ExecutorOptions, spawn_executor_with};
use tepui_protocol::mesos::v1::{
    KillPolicy, TaskGroupInfo, TaskId, TaskInfo, TaskState, TaskStatus,
};
use tepui_runtime::{Bytes, Node, NodeOptions, RealOptions, World};

/// How it ends when it is told to die.
pub const DEAD: i32 = 7;

struct Idle;

impl Idle {
    /// Runs tasks that came together. That too few or too many did is an end that none may come to.
    fn run(driver: &mut ExecutorDriver, tasks: &[TaskInfo]) {
        for task in tasks {
            let data = task.data.as_deref().unwrap_or_default();
            let together = if data.ends_with(b"pair") { 2 } else { 1 };
            if tasks.len() != together {
                driver.update(status(&task.task_id, TaskState::TaskError));
                continue;
            }
            driver.update(status(&task.task_id, TaskState::TaskRunning));
            if !data.starts_with(b"stay") {
                driver.update(status(&task.task_id, TaskState::TaskFinished));
            }
        }
    }
}

impl Executor for Idle {
    fn launch(&mut self, driver: &mut ExecutorDriver, task: TaskInfo) {
        Idle::run(driver, &[task]);
    }

    fn launch_group(&mut self, driver: &mut ExecutorDriver, group: TaskGroupInfo) {
        Idle::run(driver, &group.tasks);
    }

    fn kill(&mut self, driver: &mut ExecutorDriver, task_id: TaskId, _: Option<KillPolicy>) {
        driver.update(status(&task_id, TaskState::TaskKilled));
    }

    fn message(&mut self, driver: &mut ExecutorDriver, data: Bytes) {
        if &data[..] == b"die" {
            std::process::exit(DEAD);
        }
        driver.message(data);
    }
}

fn status(task_id: &TaskId, state: TaskState) -> TaskStatus {
    TaskStatus {
        task_id: task_id.clone(),
        state: state.into(),
        ..TaskStatus::default()
    }
}

/// Runs until the agent ends it.
pub fn main() {
    let world = World::real(RealOptions::default()).expect("a world");
    let node = Node::start(&world, NodeOptions::default()).expect("a node");
    let options = ExecutorOptions::from_environment(&std::env::vars().collect());
    let options = options.expect("an agent started it");
    let executor = spawn_executor_with(&node, options, Idle).expect("it starts");
    world.block_on(node.wait(&executor));
}
