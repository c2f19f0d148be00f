//! A framework that keeps three copies of a service alive, tried in the simulated world:
//! `cargo run -p tepui-simulation --example steady`.

use std::collections::BTreeMap;
use std::time::Duration;

use tepui_framework::{Driver, Scheduler, Task};
use tepui_protocol::mesos::v1::{Offer, TaskState, TaskStatus};
use tepui_simulation::ClusterError;
use tepui_simulation::kit::Lab;

const COPIES: usize = 3;

/// Keeps copies of a service alive.
#[derive(Default)]
struct Steady {
    alive: BTreeMap<String, TaskState>,
    launched: u32,
    lost: u32,
}

impl Scheduler for Steady {
    fn offers(&mut self, driver: &mut Driver<'_>, offers: Vec<Offer>) {
        for offer in &offers {
            if self.alive.len() == COPIES {
                driver.decline(offer);
                continue;
            }
            self.launched += 1;
            let id = format!("copy-{}", self.launched);
            self.alive.insert(id.clone(), TaskState::TaskStaging);
            // In the simulated world the command is the task's script.
            let task = Task::command(id, "start 3; sleep 100000");
            driver.launch(offer, [task.cpus(1.0).mem(128.0).on(offer)]);
        }
    }

    fn update(&mut self, driver: &mut Driver<'_>, status: TaskStatus) {
        let id = status.task_id.value.clone();
        match status.state() {
            state @ (TaskState::TaskStaging | TaskState::TaskStarting | TaskState::TaskRunning) => {
                self.alive.insert(id, state);
            }
            _ => {
                self.lost += u32::from(self.alive.remove(&id).is_some());
                driver.revive(Vec::new());
            }
        }
    }
}

/// A minute, a crash of an agent, two minutes without it, and a restart of the master.
fn trial(seed: u64) -> Result<(usize, u32), ClusterError> {
    let mut lab = Lab::new(seed, 3)?;
    let steady = lab.start("steady", Steady::default())?;
    lab.run_for(Duration::from_secs(60));
    lab.crash_agent(0);
    lab.run_for(Duration::from_secs(120));
    lab.restart_master(Duration::from_secs(5))?;
    lab.run_for(Duration::from_secs(120));
    lab.assert_in_order();
    let lost = lab.look(&steady, |steady| steady.lost).unwrap_or_default();
    Ok((lab.tasks_running(), lost))
}

fn main() -> Result<(), ClusterError> {
    for seed in 0..5 {
        let (running, lost) = trial(seed)?;
        println!("seed {seed}: {running} copies run, {lost} were lost on the way");
    }
    Ok(())
}

#[test]
fn all_copies_run_again_after_the_crash_of_an_agent_and_the_master() {
    for seed in 0..5 {
        let (running, lost) = trial(seed).unwrap();
        assert_eq!(running, COPIES, "seed {seed}");
        assert!((1..=3).contains(&lost), "seed {seed}: {lost} lost");
    }
}
