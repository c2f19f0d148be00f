//! Mesos' own worked example of two-level scheduling, with real processes: an agent of 4 cpus
//! and 4 GB; framework 1 launches tasks of 2 cpus and 1 GB and of 1 cpu and 2 GB on its offer;
//! the remaining cpu and GB are offered to framework 2. Framework 1 is an actor in Rust,
//! framework 2 is curl.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use serde_json::json;
use tepui_framework::{Driver, Scheduler, Task, spawn};
use tepui_integration::{Cluster, Subscription, scalar as amount};
use tepui_protocol::mesos::v1::{FrameworkInfo, Offer, TaskState, TaskStatus};
use tepui_runtime::{Node, NodeOptions, Pid, RealOptions, World};

const PATIENCE: Duration = Duration::from_secs(60);

/// What framework 1 tells the test.
#[derive(Debug)]
enum Seen {
    Offer(f64, f64),
    State(String, TaskState),
}

struct First {
    launched: bool,
    seen: Sender<Seen>,
}

fn scalar(offer: &Offer, name: &str) -> f64 {
    let amounts = offer
        .resources
        .iter()
        .filter(|resource| resource.name == name);
    amounts
        .filter_map(|resource| Some(resource.scalar.as_ref()?.value))
        .sum()
}

impl Scheduler for First {
    fn offers(&mut self, driver: &mut Driver<'_>, offers: Vec<Offer>) {
        for offer in &offers {
            let _ = self
                .seen
                .send(Seen::Offer(scalar(offer, "cpus"), scalar(offer, "mem")));
            if std::mem::replace(&mut self.launched, true) {
                driver.decline(offer);
            } else {
                let one = Task::command("one", "sleep 600").cpus(2.0).mem(1024.0);
                let two = Task::command("two", "sleep 600").cpus(1.0).mem(2048.0);
                driver.launch(offer, [one.on(offer), two.on(offer)]);
            }
        }
    }

    fn update(&mut self, _: &mut Driver<'_>, status: TaskStatus) {
        let _ = self
            .seen
            .send(Seen::State(status.task_id.value.clone(), status.state()));
    }
}

fn wait_until_running(seen: &Receiver<Seen>) {
    let mut running = Vec::new();
    while running.len() < 2 {
        match seen.recv_timeout(PATIENCE).expect("both tasks run in time") {
            Seen::State(id, TaskState::TaskRunning) if !running.contains(&id) => running.push(id),
            Seen::State(_, TaskState::TaskStarting | TaskState::TaskRunning) => {}
            // The rest, which it declines, if the tasks take longer than it refused the rest.
            Seen::Offer(cpus, mem) if (cpus, mem) == (1.0, 1024.0) => {}
            other => panic!("not expected before the tasks run: {other:?}"),
        }
    }
}

#[test]
fn what_one_framework_leaves_is_offered_to_the_next() {
    let mut cluster = Cluster::start(&[]);
    cluster.add_agent(&["--resources=cpus:4;mem:4096;disk:0;ports:[31000-31009]"]);

    let world = World::real(RealOptions::default()).expect("threads");
    let node = Node::start(&world, NodeOptions::default()).expect("a port");
    let (seen, sights) = channel();
    let master = Pid::new("master", cluster.address().parse().expect("an address"));
    let info = FrameworkInfo {
        user: "root".to_owned(),
        name: "first".to_owned(),
        ..Default::default()
    };
    let first = spawn(
        &node,
        master,
        info,
        First {
            launched: false,
            seen,
        },
    )
    .expect("a scheduler");
    match sights.recv_timeout(PATIENCE).expect("an offer in time") {
        Seen::Offer(cpus, mem) => assert_eq!((cpus, mem), (4.0, 4096.0)),
        other => panic!("not an offer: {other:?}"),
    }
    wait_until_running(&sights);

    let info = json!({"user": "root", "name": "second"});
    let mut second = Subscription::open(cluster.address(), &info);
    let rest = second.offer(|_| true);
    assert_eq!((amount(&rest, "cpus"), amount(&rest, "mem")), (1.0, 1024.0));
    assert_eq!(rest["framework_id"]["value"], second.framework_id());

    // Framework 1 goes; its tasks are killed, and what they held is offered again.
    second.decline(&rest);
    first.call(|_, driver| driver.teardown());
    world.block_on(node.wait(first.pid()));
    let all = second.offer(|offer| amount(offer, "cpus") >= 4.0);
    assert_eq!((amount(&all, "cpus"), amount(&all, "mem")), (4.0, 4096.0));
    second.teardown();
    world.block_on(node.shutdown());
    cluster.stop();
}
