//! What a framework launches, kills and asks for.

use std::time::Duration;

use tepui_framework::{Driver, Task, ports, scalar};
use tepui_protocol::mesos::v1::offer::{Operation, operation};
use tepui_protocol::mesos::v1::{
    ExecutorId, ExecutorInfo, Filters, Offer, Resource, TaskGroupInfo, TaskId, TaskInfo, TaskState,
    value,
};
use tepui_protocol::resources::Resources;
use tepui_runtime::Random;

use super::ledger::{Memory, OwnTask, SHARE};
use super::{Player, crews, is_default};
use crate::temperament::Temperament;

/// A command that runs on when all is quiet.
const FOREVER: &str = "sleep 1000000000";

/// A task whose kill does not help: after so many its executor is shut down.
const KILLS: u32 = 4;

/// What is launched on an offer: each task by itself, or all as a group.
#[derive(Clone, Debug, Default)]
pub(super) struct Orders {
    pub(super) tasks: Vec<TaskInfo>,
    /// The executor of the group that they are.
    group: Option<ExecutorInfo>,
}

impl Orders {
    /// One task by itself.
    pub(super) fn alone(task: TaskInfo) -> Orders {
        Orders {
            tasks: vec![task],
            group: None,
        }
    }

    fn operation(&self) -> Operation {
        let tasks = self.tasks.clone();
        match self.group.clone() {
            None => Operation {
                r#type: Some(operation::Type::Launch as i32),
                launch: Some(operation::Launch { task_infos: tasks }),
                ..Operation::default()
            },
            Some(executor) => Operation {
                r#type: Some(operation::Type::LaunchGroup as i32),
                launch_group: Some(operation::LaunchGroup {
                    executor,
                    task_group: TaskGroupInfo { tasks },
                }),
                ..Operation::default()
            },
        }
    }
}

/// ACCEPT with one LAUNCH or LAUNCH_GROUP; the rest of the offer is refused by `filters`.
pub(super) fn accept(driver: &mut Driver<'_>, offer: &Offer, orders: &Orders, filters: Filters) {
    let operations = vec![orders.operation()];
    driver.accept(vec![offer.id.clone()], operations, Some(filters));
}

/// For how long one who shares refuses what it did not take of an offer: not at all where there
/// is room for another of its tasks, unless it took nothing. What is too small it refuses for good:
/// an offer counts as held, and whoever is just asked again comes behind others with what gets
/// free meanwhile.
pub(super) fn shared_refusal(offer: &Offer, taken: usize) -> Duration {
    let (cpus, mem) = (
        scalar(&offer.resources, "cpus") / SHARE.0,
        scalar(&offer.resources, "mem") / SHARE.1,
    );
    let room = cpus.min(mem) >= (taken + 1) as f64;
    Duration::from_secs(match (room, taken) {
        (true, 0) => 5,
        (true, _) => 0,
        (false, _) => 24 * 3600,
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

/// One or two of the lowest ports that are left, for one task in three.
fn some_ports(left: &mut Vec<u64>, random: &Random) -> Option<Resource> {
    let wanted = match random.below(3) {
        0 => 1 + usize::try_from(random.below(2)).unwrap_or(0),
        _ => 0,
    };
    let taken = left.drain(..wanted.min(left.len()));
    let range: Vec<value::Range> = taken
        .map(|port| value::Range {
            begin: port,
            end: port,
        })
        .collect();
    (!range.is_empty()).then(|| Resource {
        name: "ports".to_owned(),
        r#type: value::Type::Ranges as i32,
        ranges: Some(value::Ranges { range }),
        ..Resource::default()
    })
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
    pub(super) fn tasks_for(&mut self, offer: &Offer) -> Orders {
        let mut memory = self.ledger.lock();
        let memory = &mut *memory;
        let mut orders = Orders::default();
        if !wants(memory, offer) {
            return orders;
        }
        if memory.temperament == Temperament::Sharing && memory.coy > 0 {
            memory.coy -= 1;
            return orders;
        }
        let (most, mut at_once) = memory.temperament.appetite();
        if memory.temperament != Temperament::Sharing && memory.random.below(4) == 0 {
            let (own, random) = (memory.id.as_ref(), &memory.random);
            orders.group = Some(memory.defaults.draw(offer, own, random));
            at_once = 2 + usize::try_from(random.below(2)).unwrap_or(0);
        } else if let Some(crews) = &mut memory.crews
            && memory.random.below(4) == 0
        {
            orders.group = Some(crews.draw(offer, memory.id.as_ref(), &memory.random));
        }
        let one_fate = orders.group.as_ref().is_some_and(is_default);
        let group = one_fate.then(|| format!("{} and others", memory.launched));
        let mut paid: Vec<ExecutorId> = Vec::new();
        let mut cpus = scalar(&offer.resources, "cpus");
        let mut mem = scalar(&offer.resources, "mem");
        let mut ports = ports(&offer.resources);
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
            let crew = match (&orders.group, &mut memory.crews) {
                (Some(crew), _) => Some(crew.clone()),
                (None, Some(crews)) if memory.random.below(2) == 0 => {
                    Some(crews.draw(offer, memory.id.as_ref(), &memory.random))
                }
                (None, _) => None,
            };
            // Whether it is there already, nobody can know for sure.
            let new = crew.as_ref().map(|crew| &crew.executor_id);
            let new = new.filter(|id| !paid.contains(id)).cloned();
            let more = new.as_ref().map_or((0.0, 0.0), |_| crews::NEEDS);
            if needs.0 + more.0 > cpus || needs.1 + more.1 > mem {
                break;
            }
            paid.extend(new);
            (cpus, mem) = (cpus - needs.0 - more.0, mem - needs.1 - more.1);
            let stays = shares || memory.random.below(if one_fate { 3 } else { 12 }) == 0;
            let text = match stays {
                true => FOREVER.to_owned(),
                false => command(&memory.random),
            };
            let id = memory.next_id();
            let executor = crew.as_ref().map(|crew| crew.executor_id.clone());
            let task = match crew.filter(|crew| !is_default(crew)) {
                None => Task::command(&id, text),
                Some(crew) => Task::custom(&id, crew).data(text),
            };
            let task = task.cpus(needs.0).mem(needs.1);
            let task = match shares {
                true => task.on(offer),
                false => task
                    .resources(some_ports(&mut ports, &memory.random))
                    .on(offer),
            };
            // Another of the same id: the master has to refuse it.
            let repeated = memory.temperament == Temperament::Nonsense
                && orders.group.is_none()
                && memory.random.below(6) == 0;
            let own = OwnTask {
                agent: offer.agent_id.clone(),
                executor,
                kills: 0,
                resources: Resources::from_proto(&task.resources).unwrap_or_default(),
                told: None,
                ended: false,
                stays,
                group: group.clone(),
                repeated,
                unknown: false,
            };
            memory.tasks.insert(id, own);
            memory.launched += 1;
            if repeated {
                memory.nonsense += 1;
                orders.tasks.push(task.clone());
            }
            orders.tasks.push(task);
        }
        orders
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
        let mut memory = self.ledger.lock();
        for (id, task) in &mut memory.tasks {
            if !task.is_live() || task.stays {
                continue;
            }
            let (value, agent) = (id.clone(), task.agent.clone());
            match &task.executor {
                Some(executor) if task.kills == KILLS => {
                    task.kills = 0;
                    driver.shutdown(executor.clone(), agent);
                }
                _ => {
                    task.kills += 1;
                    driver.kill(TaskId { value }, Some(agent), None);
                }
            }
        }
    }

    /// Ends the executor of one of its tasks, or has it say something.
    pub(super) fn visit_crew(&mut self, driver: &mut Driver<'_>) {
        let memory = self.ledger.lock();
        let (visits, ends) = (memory.random.below(15) == 0, memory.random.below(8) == 0);
        if memory.crews.is_none() || !visits {
            return;
        }
        let crewed = memory.tasks.values().filter(|task| task.is_live());
        let crewed = crewed.filter_map(|task| Some((task.executor.clone()?, task.agent.clone())));
        let crewed: Vec<_> = crewed.collect();
        let at = usize::try_from(memory.random.below(crewed.len() as u64)).unwrap_or(0);
        if let Some((executor, agent)) = crewed.get(at).cloned() {
            match ends {
                true => driver.shutdown(executor, agent),
                false => driver.message(agent, executor, crews::greeting(memory.id.as_ref())),
            }
        }
    }

    /// Asks for all tasks that the master has, or for each that has not ended and now and then
    /// for those that ended last, too.
    pub(super) fn reconcile(&mut self, driver: &mut Driver<'_>, implicit: bool) {
        let memory = self.ledger.lock();
        let looks_back = !implicit && memory.random.below(2) == 0;
        let asked = memory.tasks.iter().filter(|(id, task)| {
            let ended = looks_back && memory.ended_last.contains(*id);
            ended || (!task.ended && !task.unknown)
        });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_task_in_three_takes_ports_and_each_only_once() {
        let random = Random::from_number(7);
        let mut left: Vec<u64> = (31_000..31_100).collect();
        let taken: Vec<Vec<u64>> = (0..300)
            .map(|_| some_ports(&mut left, &random))
            .map(|own| own.map_or_else(Vec::new, |own| ports(&[own])))
            .collect();
        let mut all = taken.concat();
        assert_eq!(
            all,
            (31_000..31_100).collect::<Vec<u64>>(),
            "until none is left"
        );
        all.dedup();
        assert_eq!(all.len(), 100);
        let first = &taken[..60];
        let with = first.iter().filter(|own| !own.is_empty()).count();
        assert!((10..=30).contains(&with), "{with} of 60");
        assert!(first.iter().all(|own| own.len() <= 2));
    }
}
