//! A scheduler that takes, keeps or refuses offers as it is told.

use std::collections::{BTreeMap, BTreeSet};

use tepui_framework::{Driver, Scheduler, Task, scalar};
use tepui_protocol::mesos::v1::{
    AgentId, Filters, FrameworkId, MasterInfo, Offer, OfferId, TaskId, TaskStatus,
};

/// Longer than any test.
const LONG: f64 = 1_000_000.0;

/// What it does with offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Greed {
    /// Neither accepts nor declines.
    Keeps,
    /// Declines for a long time.
    Refuses,
    /// Runs a task on the half of it and refuses the rest.
    Half,
    /// Runs a task on all of it.
    All,
}

/// The scheduler.
pub struct Taker {
    greed: Greed,
    pub id: Option<FrameworkId>,
    offers: BTreeMap<String, Offer>,
    tasks: BTreeMap<String, AgentId>,
    /// Agents of which it wants nothing more, and those whose offers it keeps whatever it does
    /// else.
    averse: BTreeSet<String>,
    keeps: BTreeSet<String>,
    /// By role and agent what it has refused for long, and not revived.
    pub refusals: BTreeSet<(String, String)>,
    next: u32,
}

impl Taker {
    pub fn new(greed: Greed, id: Option<FrameworkId>) -> Taker {
        Taker {
            greed,
            id,
            offers: BTreeMap::new(),
            tasks: BTreeMap::new(),
            averse: BTreeSet::new(),
            keeps: BTreeSet::new(),
            refusals: BTreeSet::new(),
            next: 0,
        }
    }

    /// Gives back all that it has of an agent, and wants nothing of it.
    pub fn let_go(&mut self, driver: &mut Driver<'_>, agent: &str) {
        self.averse.insert(agent.to_owned());
        self.give_up(driver, agent);
    }

    /// Keeps what it is offered of an agent from now on.
    pub fn want(&mut self, agent: &str) {
        self.averse.remove(agent);
        self.keeps.insert(agent.to_owned());
    }

    /// Ends its refusals in a role.
    pub fn revive(&mut self, driver: &mut Driver<'_>, role: &str) {
        self.refusals.retain(|(refused, _)| refused != role);
        driver.revive(vec![role.to_owned()]);
    }

    fn give_up(&mut self, driver: &mut Driver<'_>, agent: &str) {
        let offers = self.offers.iter();
        let there = offers.filter(|(_, offer)| offer.agent_id.value == agent);
        let ids: Vec<String> = there.map(|(id, _)| id.clone()).collect();
        for id in ids {
            let offer = self.offers.remove(&id).unwrap();
            self.refuse(driver, &offer);
        }
        self.end_tasks(driver, agent);
    }

    /// Kills its tasks on an agent.
    pub fn end_tasks(&self, driver: &mut Driver<'_>, agent: &str) {
        for (task, on) in self.tasks.iter().filter(|(_, on)| on.value == agent) {
            let value = task.clone();
            driver.kill(TaskId { value }, Some(on.clone()), None);
        }
    }

    /// Runs a task with this script on an offer that it keeps.
    pub fn launch(&mut self, driver: &mut Driver<'_>, id: &str, script: &str) {
        let (_, offer) = self.offers.pop_first().unwrap();
        driver.launch(
            &offer,
            [Task::command(id, script).cpus(1.0).mem(64.0).on(&offer)],
        );
    }

    fn refuse(&mut self, driver: &mut Driver<'_>, offer: &Offer) {
        let filters = self.for_long(offer);
        driver.decline_with(vec![offer.id.clone()], Some(filters));
    }

    /// What it does not take of an offer it does not want for long.
    fn for_long(&mut self, offer: &Offer) -> Filters {
        let role = offer.allocation_info.as_ref().unwrap().role();
        let key = (role.to_owned(), offer.agent_id.value.clone());
        self.refusals.insert(key);
        Filters {
            refuse_seconds: Some(LONG),
        }
    }

    fn run(&mut self, driver: &mut Driver<'_>, offer: &Offer, part: f64) {
        self.next += 1;
        let id = format!("t{}", self.next);
        self.tasks.insert(id.clone(), offer.agent_id.clone());
        let of = |name| scalar(&offer.resources, name) * part;
        let task = Task::command(id, "sleep 1000000000")
            .cpus(of("cpus"))
            .mem(of("mem"));
        let filters = self.for_long(offer);
        driver.launch_on(vec![offer.id.clone()], [task.on(offer)], Some(filters));
    }
}

impl Scheduler for Taker {
    fn subscribed(&mut self, _: &mut Driver<'_>, id: &FrameworkId, _: Option<&MasterInfo>) {
        self.id = Some(id.clone());
    }

    fn offers(&mut self, driver: &mut Driver<'_>, offers: Vec<Offer>) {
        for offer in offers {
            let agent = &offer.agent_id.value;
            if self.keeps.contains(agent) {
                self.offers.insert(offer.id.value.clone(), offer);
            } else if self.averse.contains(agent) {
                self.refuse(driver, &offer);
            } else {
                match self.greed {
                    Greed::Keeps => {
                        self.offers.insert(offer.id.value.clone(), offer);
                    }
                    Greed::Refuses => self.refuse(driver, &offer),
                    Greed::Half => self.run(driver, &offer, 0.5),
                    Greed::All => self.run(driver, &offer, 1.0),
                }
            }
        }
    }

    fn rescind(&mut self, _: &mut Driver<'_>, offer_id: OfferId) {
        self.offers.remove(&offer_id.value);
    }

    fn update(&mut self, _: &mut Driver<'_>, status: TaskStatus) {
        use tepui_protocol::mesos::v1::TaskState as State;
        let alive = [State::TaskStaging, State::TaskStarting, State::TaskRunning];
        let alive = alive.contains(&status.state());
        let id = status.task_id.value.clone();
        match status.agent_id {
            Some(agent) if alive => {
                self.tasks.insert(id, agent);
            }
            _ => {
                self.tasks.remove(&id);
            }
        }
    }
}
