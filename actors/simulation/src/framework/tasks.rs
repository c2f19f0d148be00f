//! What a framework launches, kills and asks for.

use tepui_framework::{Driver, Task, scalar};
use tepui_protocol::mesos::v1::offer::{Operation, operation};
use tepui_protocol::mesos::v1::{Filters, Offer, TaskId, TaskInfo};
use tepui_protocol::resources::Resources;
use tepui_runtime::Random;

use super::Player;
use super::ledger::{Memory, OwnTask};
use crate::temperament::Temperament;

/// A command that runs on when all is quiet.
const FOREVER: &str = "sleep 1000000000";

/// ACCEPT with one LAUNCH of `tasks`; the rest of the offer is refused by `filters`.
pub(super) fn accept(
    driver: &mut Driver<'_>,
    offer: &Offer,
    tasks: Vec<TaskInfo>,
    filters: Filters,
) {
    let launch = Operation {
        r#type: Some(operation::Type::Launch as i32),
        launch: Some(operation::Launch { task_infos: tasks }),
        ..Operation::default()
    };
    driver.accept(vec![offer.id.clone()], vec![launch], Some(filters));
}

/// What a task does, in the simulated containers' words.
fn command(random: &Random) -> String {
    let seconds = [0, 1, 5, 30, 120, 600];
    let length = usize::try_from(random.below(6)).unwrap_or(0);
    let seconds = seconds.get(length).copied().unwrap_or(1) + random.below(10);
    let slow = if random.below(5) == 0 {
        format!("start {}; ", random.below(20))
    } else {
        String::new()
    };
    let stubborn = if random.below(6) == 0 {
        "trap '' TERM; "
    } else {
        ""
    };
    let end = match random.below(8) {
        0 => "; exit 1",
        1 => "; kill -9 $$",
        2 => "; exceed 64",
        _ => "",
    };
    format!("{slow}{stubborn}sleep {seconds}{end}")
}

fn draw<T: Copy>(random: &Random, of: &[T], default: T) -> T {
    let at = random.below(of.len() as u64);
    let at = usize::try_from(at).unwrap_or(0);
    of.get(at).copied().unwrap_or(default)
}

fn wants(memory: &Memory, offer: &Offer) -> bool {
    if memory.quiet {
        return false;
    }
    match memory.temperament {
        Temperament::Picky => {
            let agent = offer.agent_id.value.bytes().last().unwrap_or(0);
            agent.is_multiple_of(2) && scalar(&offer.resources, "cpus") >= 2.0
        }
        _ => memory.random.below(10) > 0,
    }
}

impl Player {
    /// Draws the tasks to launch on an offer and writes them down.
    pub(super) fn tasks_for(&mut self, offer: &Offer) -> Vec<TaskInfo> {
        let mut memory = self.ledger.lock();
        let mut tasks = Vec::new();
        if !wants(&memory, offer) {
            return tasks;
        }
        let (most, at_once) = memory.temperament.appetite();
        let mut cpus = scalar(&offer.resources, "cpus");
        let mut mem = scalar(&offer.resources, "mem");
        let room = most.saturating_sub(memory.live());
        for _ in 0..room.min(at_once) {
            let needs = (
                draw(&memory.random, &[0.1, 0.5, 1.0, 2.0], 1.0),
                draw(&memory.random, &[32.0, 64.0, 256.0, 1024.0], 64.0),
            );
            if needs.0 > cpus || needs.1 > mem {
                break;
            }
            (cpus, mem) = (cpus - needs.0, mem - needs.1);
            let stays = memory.random.below(12) == 0;
            let text = if stays {
                FOREVER.to_owned()
            } else {
                command(&memory.random)
            };
            let id = memory.next_id();
            let task = Task::command(&id, text).cpus(needs.0).mem(needs.1);
            let task = task.on(offer);
            let own = OwnTask {
                agent: offer.agent_id.clone(),
                resources: Resources::from_proto(&task.resources).unwrap_or_default(),
                told: None,
                ended: false,
                stays,
                repeated: false,
            };
            memory.tasks.insert(id, own);
            memory.launched += 1;
            tasks.push(task);
        }
        tasks
    }

    pub(super) fn kill_one(&mut self, driver: &mut Driver<'_>) {
        let memory = self.ledger.lock();
        let live = memory.tasks.iter().filter(|(_, task)| task.is_live());
        let live: Vec<_> = live.collect();
        let at = usize::try_from(memory.random.below(live.len() as u64)).unwrap_or(0);
        if let Some((id, task)) = live.get(at) {
            let agent = (memory.random.below(2) == 0).then(|| task.agent.clone());
            let value = (*id).clone();
            driver.kill(TaskId { value }, agent, None);
        }
    }

    pub(super) fn kill_what_does_not_stay(&mut self, driver: &mut Driver<'_>) {
        let memory = self.ledger.lock();
        for (id, task) in &memory.tasks {
            if task.is_live() && !task.stays {
                let value = id.clone();
                driver.kill(TaskId { value }, Some(task.agent.clone()), None);
            }
        }
    }

    /// Asks for all tasks that the master has, or for each that has not ended.
    pub(super) fn reconcile(&mut self, driver: &mut Driver<'_>, implicit: bool) {
        let memory = self.ledger.lock();
        let asked = memory.tasks.iter().filter(|(_, task)| !task.ended);
        let asked = asked.map(|(id, task)| {
            let value = id.clone();
            (TaskId { value }, Some(task.agent.clone()))
        });
        let asked: Vec<_> = asked.collect();
        if implicit {
            driver.reconcile([]);
        } else if !asked.is_empty() {
            driver.reconcile(asked);
        }
    }
}
