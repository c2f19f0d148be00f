//! Calls that no sane framework makes; none of them may harm another.

use tepui_framework::{Driver, Task};
use tepui_protocol::mesos::v1::{
    AgentId, ExecutorId, Filters, Offer, OfferId, Request, TaskId, TaskStatus,
};
use tepui_runtime::Bytes;

use super::tasks::{self, Orders};
use super::{Player, crews};

impl Player {
    /// Says something foolish, once in a while.
    pub(super) fn nonsense(&mut self, driver: &mut Driver<'_>) {
        let random = {
            let mut memory = self.ledger.lock();
            if memory.random.below(8) > 0 {
                return;
            }
            memory.nonsense += 1;
            memory.random.clone()
        };
        let used = self.used.first().cloned();
        let guessed = guess(used.as_ref(), random.below(50));
        match random.below(8) {
            // An offer that was answered, or that was made to somebody else.
            0 => self.launch_on(driver, used),
            1 => self.launch_on(driver, guessed),
            2 => driver.decline_with(guessed.into_iter().collect(), Some(Filters::default())),
            // Others have tasks of these ids, too.
            3 => {
                let value = format!("t{}", 1 + random.below(60));
                if !self.ledger.lock().tasks.contains_key(&value) {
                    driver.kill(TaskId { value }, None, None);
                }
            }
            4 => self.shut_down_anothers(driver),
            5 => {
                let value = format!("never-{}", random.below(10));
                driver.reconcile([(TaskId { value }, None)]);
            }
            // Masters make nothing of it.
            6 => {
                let value = format!("agent-{}", random.below(5));
                let agent_id = (random.below(2) == 0).then_some(AgentId { value });
                let resources = Vec::new();
                driver.request(vec![Request {
                    agent_id,
                    resources,
                }]);
            }
            _ => {
                let status = TaskStatus {
                    task_id: TaskId { value: "t1".into() },
                    agent_id: Some(AgentId {
                        value: "nobody".into(),
                    }),
                    uuid: Some(Bytes::copy_from_slice(random.uuid().as_bytes())),
                    ..TaskStatus::default()
                };
                driver.acknowledge(&status);
            }
        }
    }

    /// Launches on an offer that is not there: the task is told to be an error or lost.
    fn launch_on(&mut self, driver: &mut Driver<'_>, offer: Option<OfferId>) {
        let Some(id) = offer else { return };
        let value = "nowhere".to_owned();
        let offer = Offer {
            id,
            agent_id: AgentId { value },
            ..Offer::default()
        };
        let task = self.ledger.lock().next_id();
        let task = Task::command(task, "sleep 1").cpus(0.1).mem(32.0);
        let filters = Filters::default();
        let orders = Orders::alone(task.on(&offer));
        tasks::accept(driver, &offer, &orders, filters);
    }

    /// Others have executors of these ids, too.
    fn shut_down_anothers(&self, driver: &mut Driver<'_>) {
        let memory = self.ledger.lock();
        let Some(agent) = memory.tasks.values().next_back().map(|task| &task.agent) else {
            return;
        };
        if memory.crews.is_none() {
            let value = crews::id(1 + memory.random.below(6));
            driver.shutdown(ExecutorId { value }, agent.clone());
        }
    }
}

/// An offer id of the same master, with another number.
fn guess(used: Option<&OfferId>, number: u64) -> Option<OfferId> {
    let (master, _) = used?.value.rsplit_once("-O")?;
    let value = format!("{master}-O{number}");
    Some(OfferId { value })
}
