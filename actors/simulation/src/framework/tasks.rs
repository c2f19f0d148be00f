//! What a framework launches, kills and asks for.

use std::time::Duration;

use tepui_framework::{Driver, Task, scalar};
use tepui_protocol::mesos::v1::offer::{Operation, operation};
use tepui_protocol::mesos::v1::{Filters, Offer, TaskId, TaskInfo, TaskState};
use tepui_protocol::resources::Resources;
use tepui_runtime::Random;

use super::Player;
use super::ledger::{Memory, OwnTask, SHARE};
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

/// For how long one who shares refuses what it did not take of an offer: not at all where there
/// is room for another of its tasks, unless it took nothing.
pub(super) fn shared_refusal(offer: &Offer, taken: usize) -> Duration {
    let (cpus, mem) = (
        scalar(&offer.resources, "cpus") / SHARE.0,
        scalar(&offer.resources, "mem") / SHARE.1,
    );
    let room = cpus.min(mem) >= (taken + 1) as f64;
    Duration::from_secs(match (room, taken) {
        (true, 0) => 5,
        (true, _) => 0,
        (false, _) => 30,
    })
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
        Temperament::Sharing => true,
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
        if memory.temperament == Temperament::Sharing && memory.coy > 0 {
            memory.coy -= 1;
            return tasks;
        }
        let (most, at_once) = memory.temperament.appetite();
        let mut cpus = scalar(&offer.resources, "cpus");
        let mut mem = scalar(&offer.resources, "mem");
        let room = most.saturating_sub(memory.live());
        for _ in 0..room.min(at_once) {
            let shares = memory.temperament == Temperament::Sharing;
            let needs = match shares {
                true => SHARE,
                false => (
                    draw(&memory.random, &[0.1, 0.5, 1.0, 2.0], 1.0),
                    draw(&memory.random, &[32.0, 64.0, 256.0, 1024.0], 64.0),
                ),
            };
            if needs.0 > cpus || needs.1 > mem {
                break;
            }
            (cpus, mem) = (cpus - needs.0, mem - needs.1);
            let stays = shares || memory.random.below(12) == 0;
            let text = match stays {
                true => FOREVER.to_owned(),
                false => command(&memory.random),
            };
            let id = memory.next_id();
            let task = Task::command(&id, text).cpus(needs.0).mem(needs.1);
            let task = task.on(offer);
            // Another of the same id: the master has to refuse it.
            let repeated =
                memory.temperament == Temperament::Nonsense && memory.random.below(6) == 0;
            let own = OwnTask {
                agent: offer.agent_id.clone(),
                resources: Resources::from_proto(&task.resources).unwrap_or_default(),
                told: None,
                ended: false,
                stays,
                repeated,
                unknown: false,
            };
            memory.tasks.insert(id, own);
            memory.launched += 1;
            if repeated {
                memory.nonsense += 1;
                tasks.push(task.clone());
            }
            tasks.push(task);
        }
        tasks
    }

    /// Now and then it wants no offers, and later it does again; or it only clears its filters.
    pub(super) fn suppress_or_revive(&mut self, driver: &mut Driver<'_>) {
        let mut memory = self.ledger.lock();
        let one_in = if memory.suppressed { 30 } else { 150 };
        if memory.random.below(one_in) > 0 {
            return;
        }
        if memory.suppressed || memory.random.below(2) == 0 {
            driver.revive(Vec::new());
            memory.suppressed = false;
        } else {
            driver.suppress(Vec::new());
            memory.suppressed = true;
        }
    }

    /// One who shares has a task less.
    pub(crate) fn give_up_one(&mut self, driver: &mut Driver<'_>) {
        let memory = self.ledger.lock();
        let runs = |task: &OwnTask| task.told == Some(TaskState::TaskRunning);
        if let Some((id, task)) = memory.tasks.iter().find(|(_, task)| runs(task)) {
            let value = id.clone();
            driver.kill(TaskId { value }, Some(task.agent.clone()), None);
        }
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
        let asked = memory
            .tasks
            .iter()
            .filter(|(_, task)| !task.ended && !task.unknown);
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
