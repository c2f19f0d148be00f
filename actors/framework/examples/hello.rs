//! Runs `echo hello` on a cluster and exits when it has finished:
//! `cargo run -p tepui-framework --example hello -- 127.0.0.1:5050`.

use tepui_framework::{Driver, Scheduler, Task, spawn};
use tepui_protocol::mesos::v1::{FrameworkInfo, Offer, TaskState, TaskStatus};
use tepui_runtime::{Node, NodeOptions, Pid, RealOptions, World};

struct Hello {
    launched: bool,
}

impl Scheduler for Hello {
    fn offers(&mut self, driver: &mut Driver<'_>, offers: Vec<Offer>) {
        for offer in &offers {
            if std::mem::replace(&mut self.launched, true) {
                driver.decline(offer);
            } else {
                let task = Task::command("hello", "echo hello").cpus(0.1).mem(32.0);
                driver.launch(offer, [task.on(offer)]);
            }
        }
    }

    fn update(&mut self, driver: &mut Driver<'_>, status: TaskStatus) {
        println!("{} {}", status.state().as_str_name(), status.message());
        match status.state() {
            TaskState::TaskStaging | TaskState::TaskStarting | TaskState::TaskRunning => {}
            _ => driver.teardown(),
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let master = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:5050".to_owned());
    let world = World::real(RealOptions::default())?;
    let node = Node::start(&world, NodeOptions::default())?;
    let info = FrameworkInfo {
        user: "root".to_owned(),
        name: "hello".to_owned(),
        ..Default::default()
    };
    let master = Pid::new("master", master.parse()?);
    let hello = spawn(&node, master, info, Hello { launched: false })?;
    world.block_on(node.wait(hello.pid()));
    world.block_on(node.shutdown());
    Ok(())
}
